"""`python -m sweep monitor --follow`: a topic is read replay after replay, as they become whole, and goes on later."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace as changed

import pytest

from feed import synthetic
from feed.kafka.producer import replay
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import monitoring
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.monitoring import monitor
from sweep.router import document_of, export
from tests.support import ROOT
from tests.support.kafka.handmade import messages, put
from tests.sweep.runs.test_store import StopAt, home_of

pytestmark = [pytest.mark.kafka, pytest.mark.command]

SECONDS = 120


def day(number, symbol="AAPL"):
    tape = synthetic.generate(seed=number, seconds=10.0, warmup=1.0, levels=1)
    columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
    return Tape.build(symbol, **columns | {"ts": tape.ts + number * DAY})


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    synthetic.write_csv(day(0), folder / "day.csv.gz")
    config = build_config(
        {
            "source": str(folder / "day.csv.gz"),
            "executor": "inline",
            "order": {"size": 300, "every": "2s", "horizon": "2s"},
            "grid": {"lambda_over": 0, "lambda_under": 0, "theta_queue": [0, 0.02]},
            "output": str(folder),
        }
    )
    run(config)
    path = folder / "router.json"
    path.write_text(document_of(export(home_of(config))))
    return path


class Following:
    """A monitor in a process of its own."""

    def __init__(self, router, topic, log):
        words = ["monitor", str(router), topic, "executor=inline", "--follow", "--log", str(log)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sweep", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def next(self):
        """The next document; it comes when a replay was added."""
        return json.loads(self.process.stdout.readline())

    def interrupted(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=SECONDS)
        assert out == ""
        return self.process.returncode, err


@pytest.fixture
def following(router, topic, tmp_path):
    begun = []

    def begin():
        begun.append(Following(router, topic, tmp_path / "log.jsonl"))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.communicate()


@pytest.mark.timeout(300)
def test_two_replays_are_followed_and_the_same_command_goes_on(following, topic, tmp_path):
    log = tmp_path / "log.jsonl"
    monitored = following()  # before there is a topic
    assert monitored.next()["days"] == 0
    replay(day(1), topic, replay_id="first", codec="arrow")
    document = monitored.next()
    assert (document["days"], document["state"]) == (1, "learning")
    assert [each["replay"] for each in document["appended"]] == ["first"]
    put(topic, messages(day(3), "cut")[:50])  # never whole, so never read
    replay(day(2), topic, replay_id="second")
    document = monitored.next()
    assert document["days"] == 2
    assert [(each["replay"], each["date"]) for each in document["appended"]] == [("second", "2025-03-14")]
    code, err = monitored.interrupted()
    assert code == 130
    assert err.splitlines()[-1] == f"interrupted; 2 tapes added to {log}; the same command goes on"
    before = log.read_bytes()
    replay(day(2), topic, replay_id="again")  # the same quotes once more
    replay(day(1), topic, replay_id="late", partition="spread")
    replay(day(4), topic, replay_id="third", codec="arrow")
    monitored = following()
    assert monitored.next()["days"] == 2
    assert (monitored.next()["known"], monitored.next()["known"]) == (1, 1)
    document = monitored.next()
    assert [each["replay"] for each in document["appended"]] == ["third"]
    code, err = monitored.interrupted()
    assert code == 130
    assert "AAPL 2025-03-14: is in the log already, and not counted twice" in err
    assert log.read_bytes().startswith(before)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["replay"] for line in lines] == ["first", "second", "third"]
    assert [line["digest"] for line in lines] == [day(number).digest() for number in (1, 2, 4)]


def test_a_topic_gives_what_files_give(router, topic, tmp_path):
    for number in (1, 2):
        replay(day(number), topic, replay_id=f"of-{number}")
        synthetic.write_csv(day(number), tmp_path / f"{number}.csv.gz")
    files = [str(tmp_path / f"{number}.csv.gz") for number in (1, 2)]
    of_files = monitor(router, files, tmp_path / "files.jsonl", ["executor=inline"])
    for number in (1, 2):
        words = ["executor=inline", f"replay=of-{number}"]
        of_topic = monitor(router, [topic], tmp_path / "topic.jsonl", words)
    paid = ("date", "symbol", "digest", "orders", "notional2", "champion", "challengers", "baselines")
    each = [
        [{name: line[name] for name in paid} for line in map(json.loads, (tmp_path / name).read_text().splitlines())]
        for name in ("files.jsonl", "topic.jsonl")
    ]
    assert each[0] == each[1]
    assert of_topic["saving_bps"] == of_files["saving_bps"]


def test_following_ends_where_the_days_speak_against_the_champion(router, topic, tmp_path, monkeypatch):
    for number in (1, 2, 3):
        replay(day(number), topic, replay_id=f"of-{number}")
    original = monitoring.judge_days

    def drifting(router, lines):
        judged = original(router, lines)
        return changed(judged, state="drift", since=judged.dates[-1]) if len(judged.dates) == 2 else judged

    monkeypatch.setattr(monitoring, "judge_days", drifting)
    documents = []
    last = monitor(router, [topic], tmp_path / "log.jsonl", ["executor=inline"], follow=True, tell=documents.append)
    assert [document["days"] for document in documents] == [0, 1]
    assert (last["state"], last["days"]) == ("drift", 2)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_what_cannot_be_added_is_passed_over(router, topic, tmp_path, monkeypatch):
    replay(day(3), topic, replay_id="a")
    replay(day(1), topic, replay_id="b")
    replay(day(4, symbol="MSFT"), topic, replay_id="c")
    documents = []

    def tell(document):
        documents.append(document)
        if len(documents) == 4:
            raise KeyboardInterrupt

    progress = StopAt(None)
    with pytest.raises(KeyboardInterrupt):
        monitor(router, [topic], tmp_path / "log.jsonl", ["executor=inline"], progress=progress, follow=True, tell=tell)
    assert [document["passed_over"] for document in documents] == [
        [],
        [],
        ["AAPL 2025-03-13: is before the last day of the log, 2025-03-15; days are judged in their order"],
        ["MSFT 2025-03-16: the router is of AAPL"],
    ]
    assert f"warning: passed over {documents[3]['passed_over'][0]}" in progress.lines


@pytest.mark.parametrize("word", ["replay=first", "feed.foreign=true"])
def test_what_does_not_go_with_it_is_refused(router, topic, tmp_path, word):
    with pytest.raises(ConfigError, match="--follow: goes from replay to replay"):
        monitor(router, [topic], tmp_path / "log.jsonl", ["executor=inline", word], follow=True)
    assert not (tmp_path / "log.jsonl").exists()


def test_a_monitor_that_is_killed_goes_on(router, tmp_path):
    for number in (1, 2, 3, 4):
        synthetic.write_csv(day(number), tmp_path / f"{number}.csv.gz")
    files = [str(tmp_path / f"{number}.csv.gz") for number in (1, 2, 3, 4)]
    monitor(router, files, tmp_path / "whole.jsonl", ["executor=inline"])
    log = tmp_path / "log.jsonl"
    words = ["monitor", str(router), *files, "executor=inline", "--log", str(log)]
    for lines in (1, 2):
        process = subprocess.Popen(
            [sys.executable, "-m", "sweep", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )
        try:
            deadline = time.monotonic() + SECONDS
            while not log.exists() or log.read_bytes().count(b"\n") < lines:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.kill()
            process.communicate()
        log.write_bytes(log.read_bytes() + b'{"version": 1, "bef')  # as a kill in the middle of a line leaves it
    document = monitor(router, files, log, ["executor=inline"])
    assert document["days"] == 4
    assert document["cut_bytes"] == 0
    paid = ("date", "digest", "notional2", "champion", "challengers", "baselines")
    each = [
        [{name: line[name] for name in paid} for line in map(json.loads, path.read_text().splitlines())]
        for path in (log, tmp_path / "whole.jsonl")
    ]
    assert each[0] == each[1]
