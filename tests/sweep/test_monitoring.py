"""A router on new days: what is added to the log, what is not, and when days speak against the champion."""

import fcntl
import json
import random
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from feed import synthetic
from feed.files.csv_writer import write_csv
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import cli, daylog, monitoring
from sweep.config.loading import build_config
from sweep.daylog import Line, open_log
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.monitoring import NotAll, judge_days, monitor
from sweep.router import document_of, export, read_router
from sweep.statistics import confidence_sequence
from sweep.tasks import Failure
from tests.support.pages import unnamed
from tests.sweep.runs.test_store import StopAt, home_of

ORDERS = {"side": ["buy", "sell"], "size": [300, 2000], "every": "2s", "horizon": "2s"}
GRID = {"lambda_over": 0, "lambda_under": [0, 0.03], "theta_queue": [0, 0.01, 0.02]}


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Files of five days, of which the last holds another symbol than the rest."""
    folder = tmp_path_factory.mktemp("days")
    paths = []
    for day, symbol in enumerate(["AAPL", "AAPL", "AAPL", "AAPL", "MSFT"]):
        tape = synthetic.generate(seed=day, seconds=20.0, warmup=2.0, levels=1)
        columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
        paths.append(folder / f"{day}.csv.gz")
        write_csv(Tape.build(symbol, **columns | {"ts": tape.ts + day * DAY}), paths[-1])
    return paths


@pytest.fixture(scope="module")
def made(days, tmp_path_factory):
    """A router of the first day."""
    folder = tmp_path_factory.mktemp("run")
    tree = {"source": str(days[0]), "executor": "inline", "order": ORDERS, "grid": GRID, "output": str(folder)}
    config = build_config(tree)
    run(config)
    return export(home_of(config), 2)


@pytest.fixture
def router(made, tmp_path):
    path = tmp_path / "router.json"
    path.write_text(document_of(made))
    return path


def watch(router, log, *sources, **keywords):
    return monitor(router, [str(source) for source in sources], log, ["executor=inline"], **keywords)


def lines_of(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_each_day_is_added_with_what_a_run_of_its_own_pays(router, made, days, tmp_path):
    log = tmp_path / "monitor.jsonl"
    document = watch(router, log, days[1], days[2])
    assert (document["state"], document["days"], document["first"], document["last"]) == (
        "learning",
        2,
        "2025-03-13",
        "2025-03-14",
    )
    assert [(each["date"], each["symbol"]) for each in document["appended"]] == [
        ("2025-03-13", "AAPL"),
        ("2025-03-14", "AAPL"),
    ]
    lines = lines_of(log)
    for line, path in zip(lines, days[1:3], strict=True):
        result = run(build_config({"source": str(path), "executor": "inline", "order": ORDERS, "grid": GRID}))
        frame = result.orders_frame()
        sign = np.where(frame["side"] == "sell", -1, 1)
        paid = (frame["total_cash"] * sign).groupby(frame["strategy"]).sum()
        assert line["baselines"] == {name: cash for name, cash in paid.to_dict().items() if name != "optimized"}
        asks = frame[frame["strategy"] == "best_ask"]
        assert line["notional2"] == (asks["size"] * asks["arrival_mid2"]).sum()
        assert line["orders"] == len(asks) == result.document["orders"]["count"]
        assert line["digest"] == result.document["feed"]["digest"]
        rows = result.to_frame()
        side_of = asks.drop_duplicates("group").set_index("group")["side"]
        for point, cash in zip(made.points, [line["champion"], *line["challengers"]], strict=True):
            own = rows[(rows["lambda_under"] == point["lambda_under"]) & (rows["theta_queue"] == point["theta_queue"])]
            signs = np.where(side_of.loc[own["order"]].to_numpy() == "sell", -1, 1)
            assert cash == (own["total_cash"].to_numpy() * signs).sum()
    assert lines[0]["before"] == ""
    mean = np.mean(
        [1e4 * 2 * (each["baselines"][made.verdict.against] - each["champion"]) / each["notional2"] for each in lines]
    )
    assert document["saving_bps"]["mean"] == pytest.approx(mean, abs=0.0051)
    assert document["saving_bps"]["low"] is None


def test_a_day_twice_is_counted_once_and_it_goes_on_where_it_was(router, days, tmp_path):
    log = tmp_path / "monitor.jsonl"
    watch(router, log, days[1])
    before = log.read_bytes()
    progress = StopAt(None)
    document = watch(router, log, days[1], days[1], progress=progress)
    assert log.read_bytes() == before
    assert (document["days"], document["known"], document["appended"]) == (1, 2, [])
    assert "AAPL 2025-03-13: is in the log already, and not counted twice" in progress.lines
    watch(router, log, days[2])
    assert log.read_bytes().startswith(before)
    both = tmp_path / "both.jsonl"
    watch(router, both, days[1], days[2])
    drop = ("time", "before")
    assert [{name: each[name] for name in each if name not in drop} for each in lines_of(both)] == [
        {name: each[name] for name in each if name not in drop} for each in lines_of(log)
    ]


def test_a_folder_of_days_is_added_day_by_day_and_other_symbols_are_passed_over(router, days, tmp_path):
    log = tmp_path / "monitor.jsonl"
    watch(router, log, days[1])
    document = watch(router, log, days[0].parent)
    assert [each["date"] for each in document["appended"]] == ["2025-03-14", "2025-03-15"]
    assert document["known"] == 1
    assert document["passed_over"] == [
        "AAPL 2025-03-12: the router was found on it, so it is no new day",
        "MSFT 2025-03-16: the router is of AAPL",
    ]
    assert document["days"] == 3


def test_an_earlier_day_is_refused_and_nothing_of_its_source_is_added(router, days, tmp_path):
    log = tmp_path / "monitor.jsonl"
    watch(router, log, days[2])
    before = log.read_bytes()
    with pytest.raises(ConfigError, match="AAPL 2025-03-13: is before the last day of the log, 2025-03-14"):
        watch(router, log, days[0].parent)
    assert log.read_bytes() == before


def test_other_quotes_of_a_day_are_refused(router, days, tmp_path):
    log = tmp_path / "monitor.jsonl"
    watch(router, log, days[1])
    tape = synthetic.generate(seed=99, seconds=20.0, warmup=2.0, levels=1)
    columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
    write_csv(Tape.build("AAPL", **columns | {"ts": tape.ts + DAY}), tmp_path / "other.csv.gz")
    with pytest.raises(ConfigError, match="AAPL 2025-03-13: is in the log with other quotes"):
        watch(router, log, tmp_path / "other.csv.gz")


def test_a_monitor_that_is_interrupted_keeps_the_days_before(router, days, tmp_path):
    log = tmp_path / "monitor.jsonl"

    class Stopping(StopAt):
        def say(self, text):
            super().say(text)
            if text.startswith("2025-03-13: added"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        watch(router, log, days[1], days[2], progress=Stopping(None))
    assert stopped.value.__notes__ == [f"1 tape added to {log}; the same command goes on"]
    document = watch(router, log, days[1], days[2])
    assert (document["known"], document["days"]) == (1, 2)


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_last_line_that_was_cut_short_is_dropped_and_its_day_run_again(router, days, tmp_path, cut):
    log = tmp_path / "monitor.jsonl"
    watch(router, log, days[1], days[2])
    whole = lines_of(log)
    content = log.read_bytes()
    log.write_bytes(content[:-cut])
    progress = StopAt(None)
    document = watch(router, log, days[1], days[2], progress=progress)
    kept = len(content.splitlines(keepends=True)[1])
    assert document["known"] == 1
    assert document["appended"][0]["date"] == "2025-03-14"
    assert kept > cut
    assert any("the last line has no end" in line for line in progress.lines)
    assert [each["digest"] for each in lines_of(log)] == [each["digest"] for each in whole]


@pytest.fixture(scope="module")
def kept(made, days, tmp_path_factory):
    """The bytes of a log of three days."""
    folder = tmp_path_factory.mktemp("log")
    (folder / "router.json").write_text(document_of(made))
    watch(folder / "router.json", folder / "monitor.jsonl", days[1], days[2], days[3])
    return (folder / "monitor.jsonl").read_bytes()


class TestDamagedLogs:
    def refused(self, router, days, log, content):
        log.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            watch(router, log, days[3])
        assert log.read_bytes() == content
        message = str(caught.value)
        assert message.startswith(f"{log}: ")
        assert "\n" not in message
        return message

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda lines: [lines[0], lines[2]], "line 2 does not follow the line before it"),
            (lambda lines: lines[1:], "line 1 does not follow the line before it"),
            (lambda lines: [lines[0].replace(b'"orders": ', b'"orders": 1'), *lines[1:]], "line 2 does not follow"),
            (lambda lines: [lines[0], b"{", lines[2]], "line 2 is none of a monitor's, or damaged"),
            (lambda lines: [b"\xff\xfe", *lines], "line 1 is none of a monitor's, or damaged"),
            (lambda _: [b"[" * 100_000], "line 1 is none of a monitor's, or damaged"),
            (lambda lines: [lines[0].replace(b'"version": 1', b'"version": 2')], "line 1 has version 2"),
            (lambda lines: [lines[0].replace(b'"orders": ', b'"orders": -')], "line 1 is of no orders"),
            (lambda lines: [lines[0].replace(b'"router": "', b'"router": "a')], "line 1 is of router a"),
            (lambda lines: [lines[0].replace(b'"question": "', b'"question": "a')], "is of other orders"),
            (lambda _: [b""], "line 1 is none of a monitor's"),
        ],
    )
    def test_each_is_refused_by_its_line(self, kept, router, days, tmp_path, edit, message):
        content = b"".join(line + b"\n" for line in edit(kept.splitlines()))
        assert message in self.refused(router, days, tmp_path / "log.jsonl", content)

    def test_no_byte_of_an_earlier_line_can_be_changed(self, kept, made, tmp_path):
        log, rng = tmp_path / "log.jsonl", random.Random(4)
        question = json.loads(kept.splitlines()[0])["question"]
        last = kept.rstrip(b"\n").rindex(b"\n")
        for position in (*rng.sample(range(last), 300), last):
            content = bytearray(kept)
            content[position] ^= rng.randrange(1, 256)
            log.write_bytes(content)
            refused = pytest.raises(ConfigError, match=r"line \d+ (does not follow|is|has)")
            with refused, open_log(log, made.id, question):
                pass

    def test_too_many_bytes(self, router, days, tmp_path, monkeypatch):
        monkeypatch.setattr(daylog, "LIMIT", 100)
        assert "is over 100 bytes" in self.refused(router, days, tmp_path / "log.jsonl", b"x" * 101)

    def test_a_folder(self, router, days, tmp_path):
        with pytest.raises(ConfigError, match="cannot be opened"):
            watch(router, tmp_path, days[3])

    def test_a_log_that_another_process_adds_to(self, router, days, tmp_path):
        log = tmp_path / "log.jsonl"
        with log.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(ConfigError, match="another process is adding to this log"):
                watch(router, log, days[3])

    def test_a_disk_that_is_full_leaves_the_log_as_it_was(self, kept, router, days, tmp_path, monkeypatch):
        log = tmp_path / "log.jsonl"
        log.write_bytes(b"".join(line + b"\n" for line in kept.splitlines()[:2]))
        before = log.read_bytes()

        def full(_descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(daylog.os, "fsync", full)
        with pytest.raises(ConfigError, match="cannot be written"):
            watch(router, log, days[3])
        assert log.read_bytes() == before


def test_a_baseline_that_nobody_runs_is_refused(router, days, tmp_path):
    tree = json.loads(router.read_text())
    tree["verdict"]["against"] = "nobody"
    router.write_text(json.dumps(tree))
    log = tmp_path / "log.jsonl"
    with pytest.raises(ConfigError, match="nobody is no baseline"):
        watch(router, log, days[1])
    assert log.read_bytes() == b""


def test_a_log_does_not_outgrow_what_is_read(kept, router, days, tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    first, *_ = kept.splitlines(keepends=True)
    log.write_bytes(first)
    monkeypatch.setattr(daylog, "LIMIT", len(first) + 100)
    with pytest.raises(ConfigError, match="would be over"):
        watch(router, log, days[2])
    assert log.read_bytes() == first


def test_what_cannot_be_simulated_is_no_day(router, days, tmp_path, monkeypatch):
    original = monitoring.run_on

    def failing(*arguments):
        return replace(original(*arguments), failures=(Failure(0, "too large", ""),))

    monkeypatch.setattr(monitoring, "run_on", failing)
    log = tmp_path / "log.jsonl"
    with pytest.raises(NotAll, match="AAPL 2025-03-13: a combination failed: too large") as caught:
        watch(router, log, days[1])
    assert caught.value.exit_code == 4
    assert caught.value.__notes__ == [f"0 tapes added to {log}; the same command goes on"]
    assert log.read_bytes() == b""


def line(day, champion, challengers=(0, 0), symbol="AAPL"):
    """A line of one of 28 days of a month, whose champion saves so many 1e-4 bps against best_ask."""
    return Line(
        version=1,
        before="",
        time="",
        router="",
        question="",
        code="",
        date=f"{2025 + day // 336}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}",
        symbol=symbol,
        digest=str(day),
        place="",
        replay=None,
        orders=1,
        notional2=2 * 10**8,
        champion=-champion,
        challengers=list(challengers),
        baselines={"best_ask": 0},
    )


@pytest.fixture
def plain(made):
    """A router of two challengers that was exported with a saving of 2 (1 to 3) bps against best_ask."""
    figure = msgspec.structs.replace(made.saving_bps, mean=2.0, low=1.0, high=3.0)
    verdict = msgspec.structs.replace(made.verdict, against="best_ask")
    return msgspec.structs.replace(made, saving_bps=figure, held_out_bps=None, verdict=verdict)


def noisy(mean, days, seed=1):
    """(champion, [challenger, challenger]) of each day, in 1e-4 bps of 1e8: around a mean in bps."""
    rng = random.Random(seed)
    return [int(10**4 * (mean + rng.gauss(0, 1))) for _ in range(days)]


def days_of(savings, better=None):
    better = better or [0] * len(savings)
    return [
        line(day, saved, (-saved - more, -saved + 5000 * (-1) ** day))
        for day, (saved, more) in enumerate(zip(savings, better, strict=True))
    ]


def test_a_champion_that_keeps_its_saving_is_ok_after_twenty_days(plain):
    savings = noisy(2.0, 60)
    assert judge_days(plain, []).state == "learning"
    assert judge_days(plain, days_of(savings[:19])).state == "learning"
    judged = judge_days(plain, days_of(savings))
    assert (judged.state, judged.since, judged.reasons) == ("ok", None, ())
    assert judged.level == pytest.approx(1 - 0.05 / 3)
    expected = confidence_sequence(np.array(savings) / 1e4, judged.level)
    assert judged.saving.mean == pytest.approx(expected.mean)
    assert judged.saving.low[19:] == pytest.approx(expected.low[19:])


@pytest.mark.parametrize(
    ("mean", "reason"),
    [
        (-1.5, "the champion pays more than best_ask"),
        (0.2, "it saves less than the 1.00 bps that it was exported with at least"),
    ],
)
def test_a_saving_that_goes_is_drift(plain, mean, reason):
    judged = judge_days(plain, days_of(noisy(mean, 120)))
    assert judged.state == "drift"
    assert reason in judged.reasons
    day = judged.dates.index(judged.since)
    assert day >= 19
    assert judge_days(plain, days_of(noisy(mean, 120))[:day]).state != "drift"


def test_a_challenger_that_becomes_better_is_drift_although_the_champion_saves(plain):
    savings = noisy(3.0, 60)
    better = [each + 10_000 for each in noisy(0.0, 60, seed=2)]
    judged = judge_days(plain, days_of(savings, better))
    assert (judged.state, judged.reasons) == ("drift", ("challenger 1 pays less than it",))
    assert judge_days(plain, days_of(savings)).state == "ok"


def test_drift_stays_whatever_comes_after(plain):
    savings = noisy(-2.0, 40) + noisy(20.0, 200)
    judged = judge_days(plain, days_of(savings))
    assert judged.state == "drift"
    assert judged.saving.low[-1] > 0
    assert judged.since == judge_days(plain, days_of(savings[:40])).since


def test_the_tapes_of_a_date_are_one_day(plain):
    one = [line(0, 30_000), line(0, 10_000, symbol="MSFT"), line(1, 0)]
    judged = judge_days(plain, one)
    assert len(judged.dates) == 2
    assert judged.saving.mean == pytest.approx([2.0, 1.0])


def test_the_command_prints_the_document_and_its_exit_code_is_that_of_the_state(
    router, days, tmp_path, capsys, monkeypatch
):
    log = tmp_path / "monitor.jsonl"
    words = ["monitor", str(router), str(days[1]), str(days[2]), "executor=inline", "--log", str(log)]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["state"] == "learning"
    assert err.splitlines()[-1] == document["sentence"]
    assert len(lines_of(log)) == 2
    original = monitoring.judge_days

    def drifted(*arguments):
        return replace(original(*arguments), state="drift", since="2025-03-13", reasons=("so it is",))

    monkeypatch.setattr(monitoring, "judge_days", drifted)
    assert cli.main(words) == cli.DRIFTED == 5
    assert "the days speak against the champion: so it is." in capsys.readouterr().err
    assert cli.main(words[:-2]) == 2
    assert "--log: expected a file" in capsys.readouterr().err
    assert cli.main([*words, "liquidity=refresh"]) == 2
    assert "would ask something else" in capsys.readouterr().err
    assert cli.main([*words, "--follow"]) == 2
    assert "--follow: expected one SOURCE" in capsys.readouterr().err
    assert cli.main(["monitor", str(router), str(tmp_path / "none.csv"), "executor=inline", "--log", str(log)]) == 2


def test_an_address_with_a_version_is_a_source_and_no_key():
    call = cli.parse(["monitor", "r.json", "a.csv", "kafka://h:1/t?api_version=2.3", "executor=inline", "--log", "x"])
    assert call.places == ("r.json", "a.csv", "kafka://h:1/t?api_version=2.3")
    assert call.assignments == ["executor=inline"]


def test_the_router_that_was_written_is_the_one_that_is_read(router, made):
    assert read_router(router) == made


def test_the_page_names_every_field_of_document_and_log_and_no_other(router, days, tmp_path):
    log = tmp_path / "log.jsonl"
    empty = watch(router, log)
    document = watch(router, log, days[1])
    assert unnamed("router.md", "The document", document, empty) == ([], [])
    assert unnamed("router.md", "The log", lines_of(log)[0]) == ([], [])
