"""`python -m sweep` from a topic: the same document as from the file that filled it; bad feeds end it with one line."""

import base64
import json
import os
import signal
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from feed import synthetic
from feed.kafka.headers import data_headers
from feed.kafka.producer import replay
from feed.tape import DAY, QUOTE_DTYPES, Tape
from tests.support import ROOT
from tests.support.kafka.handmade import end_item, messages, put, tape
from tests.sweep.test_golden_cli import STUDY, WAITING, check_study, sweep

pytestmark = [pytest.mark.kafka, pytest.mark.command]


PLACE = {"source", "place", "topic", "replay", "partitions", "messages", "resent", "empty", "bad", "ignored", "notes"}
"""What `feed` says of where the data was; the rest of it depends on the data."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return {**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def broker(environment):
    """`python -m feed broker`: how the SOURCE of a topic on it is written."""
    process = subprocess.Popen(
        [sys.executable, "-m", "feed", "broker"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    try:
        address = process.stdout.readline().strip()
        assert address.endswith("/quotes?api_version=2.3")
        yield lambda topic: address.replace("/quotes?", f"/{topic}?")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 143
    finally:
        process.kill()
        process.communicate()


def run(environment, package, *words):
    command = [sys.executable, "-m", package, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120, check=False)


@pytest.fixture(scope="module")
def study(broker, environment, l1_day):
    """The study's file, replayed into a topic: the topic's SOURCE and what the replay said."""
    source = broker("study")
    ran = run(environment, "feed", "replay", str(l1_day), source)
    assert ran.returncode == 0, ran.stderr
    return source, json.loads(ran.stdout)


def beside_place(document):
    """The document without what the place, the time and the machine decide, as text: the order of keys counts."""
    kept = {key: value for key, value in document.items() if key != "run"}
    return json.dumps(kept | {"feed": {key: value for key, value in kept["feed"].items() if key not in PLACE}})


@pytest.mark.parametrize(
    ("executor", "words", "numbers"),
    [
        (("executor=inline",), (), ()),
        pytest.param(
            ("executor=ray", "workers=2"),
            WAITING,
            (1113715.0, {"best_ask": 3.61, "twap": 13.9, "vwap": 23.22}),
            marks=pytest.mark.cluster,
        ),
    ],
    ids=["inline", "ray, waiting for an exact fit"],
)
def test_a_topic_gives_the_document_of_the_file_that_filled_it(
    study, environment, l1_day, capsys, executor, words, numbers
):
    source, sent = study
    ran = run(environment, "sweep", *executor, f"source={source}", *STUDY, *words)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    check_study(document, *numbers)
    of_file = sweep(capsys, f"source=file:{l1_day}", *STUDY, *words)
    assert beside_place(document) == beside_place(of_file)
    feed = document["feed"]
    assert feed["digest"] == of_file["feed"]["digest"]
    assert feed["source"] == "kafka"
    assert feed["place"] == source == sent["place"]
    assert feed["topic"] == "study"
    assert (feed["replay"], feed["messages"], feed["partitions"]) == (
        sent["replay"],
        sent["messages"],
        sent["partitions"],
    )
    assert (feed["resent"], feed["notes"]) == (0, [])
    assert f"executor={document['run']['executor']}" == executor[0]


@pytest.mark.parametrize("codec", ["json", "arrow"])
def test_ten_levels_come_through_a_topic_and_a_reader_of_one_takes_the_first(
    broker, environment, l1_day, capsys, codec
):
    source = broker(f"deep-{codec}")
    ran = run(environment, "feed", "replay", str(l1_day), source, "depth=10", "--codec", codec)
    assert ran.returncode == 0, ran.stderr
    for depth in ((), *([("depth=10",)] if codec == "json" else []), ("depth=1",)):
        words = (*(word for word in STUDY if word.startswith("window")), "order.size=5000", *depth)
        ran = run(environment, "sweep", "executor=inline", f"source={source}", *words)
        assert ran.returncode == 0, ran.stderr
        document = json.loads(ran.stdout)
        of_file = sweep(capsys, f"source=file:{l1_day}", *words)
        assert beside_place(document) == beside_place(of_file)
        assert document["feed"]["digest"] == of_file["feed"]["digest"]
        assert document["optimized"]["total_cash"] == (1113790.2 if depth == ("depth=1",) else 1113787.52)


@pytest.fixture(scope="module")
def topics(broker):
    """Topics that are whole, cut short, or broken."""
    items = messages(tape())
    put(broker("whole"), [*items, end_item(tape(), items)])
    put(broker("incomplete"), items)
    filler = [(b"x", data_headers("other", "AAPL", "json", i, i)) for i in range(9)]
    put(broker("truncated"), [*items[:-2], *filler, end_item(tape(), items)])
    broken = [*items]
    broken[17] = (b'{"snapshot":[{"ts_event":NaN}]}', items[17][1])
    put(broker("malformed"), [*broken, end_item(tape(), items)])
    replay([tape(1, symbol="AAPL"), tape(2, symbol="MSFT")], broker("two"))
    put(broker("noisy"), [(b"\x1b[2J", []), *items, end_item(tape(), items, end=len(items) + 1)])
    return ["incomplete", "malformed", "truncated", "whole"], len(items)


def refused(environment, *words):
    """The exit code and the one line of a refusal."""
    ran = run(environment, "sweep", *words)
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    *_, last = ran.stderr.splitlines()
    assert [line for line in ran.stderr.splitlines() if line.startswith("error:")] == [last]
    return ran.returncode, last


def test_an_unknown_topic_lists_those_there_are(broker, topics, environment):
    code, line = refused(environment, "executor=inline", f"source={broker('gone')}")
    assert code == 2
    assert "there is no topic 'gone'; topics there: " in line
    assert all(topic in line for topic in topics[0])
    assert "python -m feed replay" in line


@pytest.mark.parametrize(
    ("topic", "words", "code", "says"),
    [
        (
            "incomplete",
            (),
            3,
            "incomplete: no end record in partition 0 [0, {count}); replays there: hand ({count} mess",
        ),
        ("truncated", (), 3, "a hole in replay hand: messages {last_but_one} to {last} of partition 0 are missing"),
        ("malformed", (), 3, "partition 0, offset 17: malformed message: JSON is malformed"),
        ("whole", ("replay=gone",), 2, "there is no replay 'gone'; replays there: hand"),
        ("whole", ("symbol=MSFT",), 2, "replay hand does not hold 'MSFT'; symbols there: AAPL"),
        (
            "noisy",
            (),
            3,
            r"partition 0, offset 0: malformed message: it carries no headers of a replay; it begins '\x1b[2J'",
        ),
        (
            "whole",
            ("window.start=2024-08-02T00:00:00Z",),
            2,
            "no quotes in the window; the data there spans {first_instant} to {last_instant}",
        ),
    ],
    ids=[
        "incomplete",
        "truncated",
        "malformed",
        "unknown replay",
        "unknown symbol",
        "no headers",
        "no data in the window",
    ],
)
def test_a_bad_feed_ends_the_run_with_one_line(broker, topics, environment, topic, words, code, says):
    from feed.instants import format_instant

    count = topics[1]
    first, last = map(format_instant, tape().span)
    expected = says.format(count=count, last=count - 1, last_but_one=count - 2, first_instant=first, last_instant=last)
    got, line = refused(environment, "executor=inline", f"source={broker(topic)}", *words)
    assert expected in line
    assert got == code


def test_a_topic_of_two_symbols_is_two_tapes(broker, topics, environment):
    words = ["executor=inline", "order.size=100", f"source={broker('two')}"]
    documents = []
    for symbol in ([], ["symbol=AAPL"], ["symbol=MSFT"]):
        ran = run(environment, "sweep", *words, *symbol)
        assert ran.returncode == 0, ran.stderr
        documents.append(json.loads(ran.stdout))
    both, *each = documents
    assert [part["symbol"] for part in both["feed"]["tapes"]] == ["AAPL", "MSFT"]
    assert [part["digest"] for part in both["feed"]["tapes"]] == [one["feed"]["digest"] for one in each]
    assert both["orders"]["symbols"] == 2
    cash = sum(one["baselines"]["twap"]["total_cash"] for one in each)
    assert both["baselines"]["twap"]["total_cash"] == pytest.approx(cash, abs=0.02)


@pytest.mark.parametrize(
    "executor", ["executor=inline", pytest.param("executor=ray", marks=pytest.mark.cluster)], ids=["inline", "ray"]
)
def test_what_is_tolerated_is_counted_and_put_into_a_file(broker, topics, environment, tmp_path, executor):
    aside = tmp_path / "aside.jsonl"
    order = ["order.size=100", executor]
    ran = run(environment, "sweep", *order, f"source={broker('noisy')}", "feed.max_bad=1", f"feed.quarantine={aside}")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["feed"]["bad"] == 1
    (line,) = map(json.loads, aside.read_text().splitlines())
    assert (line["partition"], line["offset"], line["size"]) == (0, 0, 4)
    assert base64.b64decode(line["value_base64"]) == b"\x1b[2J"
    assert line["reason"] == "it carries no headers of a replay"
    assert "1 malformed messages put aside in" in ran.stderr
    whole = json.loads(run(environment, "sweep", "executor=inline", *order[:1], f"source={broker('whole')}").stdout)
    assert document["best_parameters"] == whole["best_parameters"]
    assert document["feed"]["rows"] == whole["feed"]["rows"]


def test_one_of_several_symbols_is_swept(broker, topics, environment):
    ran = run(environment, "sweep", "executor=inline", "order.size=100", f"source={broker('two')}", "symbol=MSFT")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["feed"]["digest"] == tape(2, symbol="MSFT").digest()


def test_a_quarantine_that_cannot_be_written_is_one_line(broker, topics, environment, tmp_path):
    where = tmp_path / "absent" / "aside.jsonl"
    words = "executor=inline", f"source={broker('noisy')}", "feed.max_bad=1", f"feed.quarantine={where}"
    code, line = refused(environment, *words)
    assert code == 2
    assert "feed.quarantine" in line


def test_a_sweep_that_begins_before_the_replay(broker, environment, tmp_path):
    source = broker("later")
    command = [sys.executable, "-m", "sweep", "executor=inline", "order.size=100", f"source={source}", "feed.wait=60s"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    try:
        assert "waiting up to 60s for a complete replay" in process.stderr.readline()
        sent = replay(tape(), source)
        out, stderr = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    assert json.loads(out)["feed"]["replay"] == sent.replay


def test_a_topic_of_several_symbols_and_dates_is_the_run_of_the_folder_that_filled_it(broker, environment, tmp_path):
    """An empty day among them is named, and left out in the same words."""
    days, source = tmp_path / "days", broker("days")
    days.mkdir()
    for seed, (symbol, day) in enumerate(product(("AAPL", "MSFT"), range(2))):
        stream = synthetic.generate(seed=seed, seconds=20.0, warmup=2.0)
        columns = {name: getattr(stream, name) for name in QUOTE_DTYPES} | {"ts": stream.ts + day * DAY}
        if seed == 3:
            columns |= {name: np.zeros_like(columns[name]) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
        synthetic.write_csv(Tape.build(symbol, **columns), days / f"{symbol}-{day}.csv")
    assert run(environment, "feed", "replay", str(days), source).returncode == 0
    words = "executor=inline", "order.size=300", "order.every=4s", "order.horizon=5s"
    for place in (days, source):
        refused = run(environment, "sweep", *words, f"source={place}")
        assert refused.returncode == 2
        assert "MSFT 2025-03-13 has rows but no quote" in refused.stderr.splitlines()[-1]
    ran = [run(environment, "sweep", *words, "tapes.skip_empty=true", f"source={place}") for place in (days, source)]
    folder, topic = (json.loads(each.stdout) for each in ran)
    assert (topic["orders"]["days"], topic["orders"]["symbols"], len(topic["feed"]["tapes"])) == (2, 2, 4)
    assert topic["warnings"][0].startswith("MSFT 2025-03-13: left out")
    assert topic["run"]["id"] == folder["run"]["id"]
    for each in (folder, topic):
        each["feed"] |= {"tapes": [{k: v for k, v in tape.items() if k not in PLACE} for tape in each["feed"]["tapes"]]}
    assert beside_place(topic) == beside_place(folder)


@pytest.mark.cluster
def test_a_malformed_message_is_one_line_from_a_task_on_ray_too(broker, topics, environment):
    code, line = refused(environment, "executor=ray", "workers=1", f"source={broker('malformed')}")
    assert code == 3
    assert "partition 0, offset 17: malformed message: JSON is malformed" in line
