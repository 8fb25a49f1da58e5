"""The whole way from a file to the document, in this process."""

import io
import json
import os
import subprocess
import sys
import threading
from functools import partial
from importlib import metadata

import numpy as np
import pytest

import sweep
from allocator import simulate
from allocator.errors import AllocatorError
from allocator.kernels import compiling
from feed import synthetic
from feed.console import printable, waiting
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from sweep import chunks as cutting
from sweep import tasks
from sweep.chunks import ATTEMPTS, Cutter
from sweep.config.loading import build_config
from sweep.driver import AllFailed, run
from sweep.errors import ConfigError, WorkersLost
from sweep.events import Started
from sweep.executors.contract import Lost
from sweep.executors.inline import Inline
from sweep.progress import Plain, Silent, open_progress
from sweep.sink import COLUMNS
from sweep.tapes import session
from tests.support.events import finished
from tests.support.minute import config_of

SECOND = 10**9


def test_the_document_has_what_the_public_interface_promises(stream):
    document = run(config_of(stream)).document
    assert set(document) >= {
        "best_parameters",
        "optimized",
        "baselines",
        "savings_vs_baselines_bps",
        "objective",
        "feed",
        "run",
    }
    assert list(document["best_parameters"]) == ["lambda_over", "lambda_under", "theta_queue"]
    assert list(document["baselines"]) == list(document["savings_vs_baselines_bps"])
    assert list(document["baselines"]) == [
        *("best_ask", "twap", "vwap", "best_available"),
        *("sweep_now", "pov", "pro_rata", "touch", "clairvoyant"),
    ]
    for strategy in (document["optimized"], *document["baselines"].values()):
        assert strategy["filled"] + strategy["unfilled"] - strategy["overfilled"] == 2000
        assert set(strategy) >= {"total_cash", "avg_fill_px", "cash_filled", "unfilled_value", "fees"}
    looking_ahead = {name for name, each in document["baselines"].items() if each.get("lookahead") is True}
    assert looking_ahead == {"vwap", "clairvoyant"}
    (other,) = document["sensitivity"].values()
    assert all(each["savings_vs_baselines_bps"]["clairvoyant"] < 0 for each in (document, other))
    bound = document["shortfall"]["baselines"]["clairvoyant"]
    unknown = ["first_fill", "last_fill", "timing", "spread", "rebates"]
    assert [name for name, part in bound.items() if part is None] == unknown
    assert document["shortfall"]["savings_parts_bps"]["clairvoyant"] == {
        "total": document["savings_vs_baselines_bps"]["clairvoyant"],
        "timing": None,
        "execution": None,
        "comparable": True,
    }
    assert set(document["sensitivity"]) == {"refresh"}
    assert set(document["sensitivity"]["refresh"]) == {"optimized", "baselines", "savings_vs_baselines_bps"}
    assert document["feed"]["source"] == "file"
    assert document["objective"]["combinations"] == 27
    assert document["run"]["simulated"] == 9  # nine different tau
    assert set(document["run"]) >= {"id", "config_hash", "versions", "executor", "kernel", "seconds"}
    json.dumps(document, allow_nan=False)


def test_the_collapse_is_a_switch_that_changes_no_result(stream):
    collapsed, each = run(config_of(stream)), run(config_of(stream, collapse=False))
    assert each.document["run"]["simulated"] == 27
    assert each.table.tobytes() == collapsed.table.tobytes()
    assert each.document["run"]["id"] == collapsed.document["run"]["id"]
    for document in (collapsed.document, each.document):
        del document["run"]
    assert each.document == collapsed.document


def test_the_sensitivity_is_a_run_under_the_other_rule(stream):
    persist = run(config_of(stream)).document
    best = {f"grid.{name}": value for name, value in persist["best_parameters"].items()}
    refresh = run(
        config_of(stream, liquidity="refresh", grid={name.removeprefix("grid."): v for name, v in best.items()})
    ).document
    assert persist["sensitivity"]["refresh"] == {
        name: refresh[name] for name in ("optimized", "baselines", "savings_vs_baselines_bps")
    }
    assert run(config_of(stream, conventions="classic")).document["sensitivity"] is None


def test_rows_do_not_depend_on_how_the_grid_is_cut(stream, monkeypatch):
    whole = run(config_of(stream)).table
    for size, chunks in ((1, 27), (2, 14), (5, 6), (100, 1)):
        monkeypatch.setattr(Cutter, "_size", lambda _, size=size: size)
        result = run(config_of(stream, collapse=False))
        assert (result.document["run"]["chunks"], result.document["run"]["chunk_size"]) == (chunks, min(size, 27))
        assert result.table.tobytes() == whole.tobytes()
    assert whole.dtype == np.int64
    assert whole[:, COLUMNS.index("combination")].tolist() == list(range(27))


def test_the_same_question_has_the_same_id_and_another_one_another(stream):
    ids = [run(config_of(stream, **keys)).document["run"]["id"] for keys in ({}, {}, {"step": 10})]
    assert ids[0] == ids[1] != ids[2]


def test_a_failing_combination_is_reported_and_the_others_go_on(stream, monkeypatch):
    original = simulate.run_combinations

    def fails(book, order, rules, policy, fees, parameters, **keywords):
        if any(p.lambda_under == 30_000_000 and p.theta_queue == 0 for p in parameters):
            raise ZeroDivisionError("a bug in one corner")
        return original(book, order, rules, policy, fees, parameters, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    result = run(config_of(stream))
    assert [failure.combination for failure in result.failures] == [3, 12, 21]
    assert len(result.table) == 24
    assert result.document["failed"][0] == {
        "combination": 3,
        "parameters": {"lambda_over": 0.0, "lambda_under": 0.03, "theta_queue": 0.0},
        "error": "ZeroDivisionError: a bug in one corner",
    }
    assert "Traceback" in result.failures[0].details
    assert result.document["run"]["simulated"] == 8

    def always_fails(*_, **__):
        raise ZeroDivisionError("everywhere")

    monkeypatch.setattr(tasks, "run_combinations", always_fails)
    for order in ({"size": 2000}, {"size": [500, 2000], "side": ["buy", "sell"]}):
        with pytest.raises(AllFailed, match="everywhere"):
            run(config_of(stream, order=order))


class Fragile(Inline):
    """Ends its process where a chunk holds one of some combinations."""

    bad = frozenset()

    def stream(self, function, shared, take, name=None):
        self.names = []
        while (item := take()) is not None:
            self.names.append(name(item))
            (chunk,) = item
            lost = self.bad & set(range(chunk.first, chunk.past))
            yield item, Lost("its process ended") if lost else function(*shared, *item)


def test_a_combination_that_ends_its_process_is_reported_and_the_others_go_on(stream, monkeypatch):
    fragile, lines = Fragile(), []
    fragile.bad = frozenset({5, 20})
    whole = run(config_of(stream))  # in classes: the rows are the same

    class Listening(Silent):
        def say(self, text):
            lines.append(text)

    monkeypatch.setattr(session, "open_executor", lambda _: fragile)
    result = run(config_of(stream, collapse=False), Listening())
    assert [failure.combination for failure in result.failures] == [5, 20]
    kept = whole.table[~np.isin(whole.table[:, COLUMNS.index("combination")], [5, 20])]
    assert result.table.tobytes() == kept.tobytes()
    assert result.document["failed"][1] == {
        "combination": 20,
        "parameters": {"lambda_over": 0.05, "lambda_under": 0.0, "theta_queue": 0.02},
        "error": "WorkersLost: its process ended",
    }
    name = result.document["run"]["id"]
    assert all(each.startswith(f"{name} chunk 0/0/") for each in fragile.names)
    assert sum(line.startswith(f"run {name}, chunk 0/0/20-20 lost: its process") for line in lines) == 1 + ATTEMPTS


class Stricken(Inline):
    """Loses every process for a while: something outside ends them all."""

    def __init__(self, first, past):
        self.lost = range(first, past)

    def stream(self, function, shared, take, name=None):  # noqa: ARG002
        number = 0
        while (item := take()) is not None:
            yield item, Lost("killed") if number in self.lost else function(*shared, *item)
            number += 1


MANY = {"theta_queue": {"start": 0, "stop": 1, "num": 300}}


@pytest.mark.parametrize("past", [9, 40, 64])
def test_no_combination_failed_where_something_outside_ends_every_process(stream, monkeypatch, past):
    whole = run(config_of(stream, grid=MANY, collapse=False))
    monkeypatch.setattr(cutting, "LARGEST", 32)  # or one chunk, which is not lost, holds them all
    monkeypatch.setattr(session, "open_executor", lambda _: Stricken(1, past))
    result = run(config_of(stream, grid=MANY, collapse=False))
    assert result.failures == ()
    assert result.table.tobytes() == whole.table.tobytes()


def test_what_an_end_of_all_processes_leaves_stored_has_no_failures_and_is_resumed(stream, monkeypatch, tmp_path):
    whole = run(config_of(stream, grid=MANY, collapse=False))
    monkeypatch.setattr(cutting, "LARGEST", 32)
    monkeypatch.setattr(session, "open_executor", lambda _: Stricken(1, 10**6))
    with pytest.raises(WorkersLost) as error:
        run(config_of(stream, grid=MANY, collapse=False), home=tmp_path / "run")
    assert error.value.exit_code == 3
    (note,) = error.value.__notes__
    assert "combinations are stored; python -m sweep resume " in note
    monkeypatch.setattr(session, "open_executor", lambda _: Inline())
    result = run(config_of(stream, grid=MANY, collapse=False), home=tmp_path / "run")
    assert result.failures == ()
    assert result.table.tobytes() == whole.table.tobytes()


@pytest.mark.parametrize("error", [MemoryError("no"), OSError(28, "No space left on device")])
def test_a_machine_without_room_says_nothing_of_a_combination(stream, monkeypatch, tmp_path, error):
    original = tasks.run_combinations

    def fails(*arguments, **keywords):
        if arguments[-1].theta_queue.min() > 0 and len(arguments[-1]) == 1:
            raise error
        if len(arguments[-1]) > 1:
            raise error
        return original(*arguments, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    with pytest.raises(WorkersLost, match=r"^the machine that ran a task has no room for it \(\w+Error: .*\); give it"):
        run(config_of(stream), home=tmp_path / "run")
    monkeypatch.undo()
    assert run(config_of(stream), home=tmp_path / "run").failures == ()


def test_a_sweep_of_which_every_chunk_ends_its_process_ends(stream, monkeypatch):
    fragile = Fragile()
    fragile.bad = frozenset(range(1000))
    monkeypatch.setattr(session, "open_executor", lambda _: fragile)
    with pytest.raises(WorkersLost, match=r"^\d\d worker processes ended and no chunk was done meanwhile: its process"):
        run(config_of(stream, grid={"theta_queue": {"start": 0, "stop": 1, "num": 1000}}))


def test_an_order_must_lie_in_the_window(stream):
    start, end = synthetic.window(60.0)
    early = {"size": 100, "start": format_instant(start - SECOND)}
    with pytest.raises(ConfigError, match="no order acts on warm-up"):
        run(config_of(stream, order=early))
    backwards = {"start": format_instant(end), "end": format_instant(start)}
    with pytest.raises(ConfigError, match=r"window\.start is after window\.end"):
        run(config_of(stream, window=backwards))
    inside = {"size": 100, "start": format_instant(start + SECOND), "end": format_instant(end - SECOND)}
    assert run(config_of(stream, order=inside)).document["order"]["start"] == inside["start"]


def test_a_window_without_data_says_what_there_is(stream):
    _, end = synthetic.window(60.0)
    for start, past in ((end + SECOND, end + 2 * SECOND), (end + 1, end + 2)):
        window = {"start": format_instant(start), "end": format_instant(past)}
        with pytest.raises(FeedUnavailable, match=r"no quotes in the window; the data there spans .*Z to .*Z"):
            run(config_of(stream, window=window))


def test_an_order_beyond_exact_money_is_refused_in_one_line(stream):
    with pytest.raises(AllocatorError, match=r"^order\.size: .* at most"):
        run(config_of(stream, order={"size": 2**31 - 1}, unfilled_penalty=100), None)


def test_a_window_longer_than_a_date_is_refused_before_a_book_is_made(stream):
    start, end = synthetic.window(60.0)
    for window in (
        {"start": 1},
        {"start": 1, "end": 2**63 - 1},
        {"start": format_instant(start), "end": format_instant(end + 86_400 * SECOND)},
    ):
        with pytest.raises(FeedUnavailable, match=r"is longer than one UTC date; set window\.start and window\.end"):
            run(config_of(stream, window=window))


def test_an_order_that_begins_or_ends_far_from_the_quotes_is_said(stream):
    lines = []

    class Listening(Silent):
        def say(self, text):
            lines.append(text)

    start, end = synthetic.window(60.0)
    window = {"start": format_instant(start - 600 * SECOND), "end": format_instant(end + 600 * SECOND)}
    run(config_of(stream, window=window), Listening())
    assert [line for line in lines if "the order" in line] == [
        "warning: the order starts 590 s before the first quote",
        "warning: the order ends 600 s after the last quote",
    ]


def test_quotes_that_cannot_be_used_end_a_sweep_as_they_end_a_check(tmp_path):
    path = tmp_path / "swapped.csv"
    rows = [f"2024-08-01T14:00:{s:02d}Z,2,{s},100.05,100.01,100,100\n" for s in range(30)]
    path.write_text("ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n" + "".join(rows))
    with pytest.raises(FeedCorrupt, match="the quotes cannot be used: sides_swapped"):
        run(build_config({"source": str(path), "executor": "inline", "uncross": False}))


def test_the_best_so_far_ends_as_the_best(stream):
    last = []

    class Listening(Silent):
        def finished(self, event):
            last.append((event.done, event.best))

    for keys in ({}, {"order": {"side": "sell", "size": 6000}, "reference": "mid"}):
        result = run(config_of(stream, **keys), Listening())
        assert last[-1][0] == 27
        best = result.table[result.table[:, COLUMNS.index("combination")] == _best_of(result), -1]
        assert last[-1][1] == best[0]


def _best_of(result):
    """The number of the best combination: its parameters in the frame."""
    frame, best = result.to_frame(), result.document["best_parameters"]
    rows = frame[(frame[list(best)] == list(best.values())).all(axis=1)]
    return int(rows["combination"].iloc[0])


def test_a_warm_up_that_reaches_over_midnight_begins_there(tmp_path):
    path = tmp_path / "night.csv"
    path.write_text(
        "ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n"
        "2024-08-01T23:59:58Z,3,1,99.90,99.95,100,100\n"
        "2024-08-02T00:00:01Z,2,2,100.00,100.01,100,100\n"
    )
    keys = {"source": str(path), "executor": "inline", "order": {"size": 100}}
    document = run(build_config({**keys, "window": {"start": "2024-08-02T00:00:00Z"}})).document
    assert document["feed"]["rows"] == 1
    assert document["optimized"]["avg_fill_px"] == 100.013


def test_the_window_defaults_to_the_data(stream):
    document = run(build_config({"source": f"file:{stream}", "executor": "inline"})).document["feed"]
    assert document["window"] == {"start": document["quality"]["start"], "end": document["quality"]["end"]}


def test_the_frame_has_parameters_in_dollars_beside_the_integers(stream):
    frame = run(config_of(stream, grid={"theta_queue": [0, float("inf")]})).to_frame()
    assert list(frame.columns)[:6] == ["tape", "order", "combination", "lambda_over", "lambda_under", "theta_queue"]
    assert frame["theta_queue"].tolist()[:2] == [0.0, float("inf")]
    assert frame["total_cash"].dtype == "int64"


def test_the_packages_face_is_lazy_and_whole():
    assert sweep.run is run
    assert sweep.Config is type(build_config({}))
    assert sweep.__version__ == metadata.version("sor-sweep")
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        _ = sweep.walk


def test_a_notebook_runs_plans_resumes_and_verifies_by_name(stream, tmp_path):
    keys = {"source": str(stream), "executor": "inline", "order.size": 300, "grid": {"theta_queue": (0, 0.01)}}
    nested = {"source": stream, "executor": "inline", "order": {"size": 300}, "grid.theta_queue": np.array([0, 0.01])}
    result = sweep.run(keys)
    assert sweep.run(nested).document["run"]["id"] == result.document["run"]["id"]
    saved = result.document["savings_vs_baselines_bps"]
    best = ", ".join(f"{name}={value}" for name, value in result.document["best_parameters"].items())
    savings = ", ".join(f"{bps} bps against {name}" for name, bps in saved.items())
    assert repr(result) == f"Result(best of 18: {best}; saves {savings}; not stored)"
    stored = sweep.run({**keys, "output": tmp_path})
    assert repr(stored).endswith(f"; stored in {stored.home})")
    assert stored.home == tmp_path / "runs" / stored.document["run"]["id"]
    again = sweep.resume(str(stored.home))
    assert (repr(again), again.document) == (repr(stored), stored.document)
    assert sweep.verify(stored.home, sample=1)["identical"]
    assert sweep.plan(keys)["combinations"] == 18
    with pytest.raises(ConfigError, match=r"^unknown key size; the nearest valid one is order.size$"):
        sweep.run({"size": 5})
    with pytest.raises(
        ConfigError, match=r"^expected a Config, or a mapping .* but it had str; sweep.config.load_config"
    ):
        sweep.run("sweep.yaml")


@pytest.mark.command
def test_commands_are_functions_whatever_was_imported_first():
    script = (
        "import sweep.planning, sweep.verification, sweep.forecast.estimate\n"
        "from sweep import plan, resume, run, verify\n"
        "import inspect, sweep\n"
        "assert all(map(inspect.isfunction, (plan, resume, run, verify)))\n"
        "assert sweep.verify is verify is sweep.verification.verify and sweep.plan is plan\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_plain_progress_says_rate_time_left_and_best_but_not_too_often():
    now, out = [0.0], io.StringIO()
    plain = Plain(out, lambda: now[0])
    plain.started(Started(1000, 0))
    for done, at in ((10, 0.1), (100, 2.5), (200, 3.0), (1000, 5.0)):
        now[0] = at
        plain.finished(finished(done=done, best=123_450_000_000))
    plain.started(Started(1000, 900))
    now[0] = 7.5
    plain.finished(finished(done=950))
    assert out.getvalue().splitlines() == [
        "100/1,000 combinations, 40/s, 22 s left, best so far 123.45",
        "1,000/1,000 combinations, 200/s, 0 s left, best so far 123.45",
        "950/1,000 combinations, 20/s, 2 s left",
    ]


def test_a_terminal_gets_a_bar_and_anything_else_plain_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    with open_progress(shown) as progress:
        progress.say("a step \x1b[31m")
        progress.started(Started(10, 0))
        progress.finished(finished(done=10, best=10**9))
    assert "best so far 1.00" in shown.getvalue()
    assert "\x1b[31m" not in shown.getvalue().replace("\\x1b[31m", "")
    plain = io.StringIO()
    with open_progress(plain) as progress:
        progress.say("a step")
    assert plain.getvalue() == "a step\n"


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"


def test_workers_load_the_kernels_before_the_source_is_read_and_one_is_left_to_read(stream, monkeypatch):
    called = []

    class Three(Inline):
        workers = 3

        def call(self, function, *arguments, returns=1, **keywords):
            called.append(function.__name__)
            return super().call(function, *arguments, returns=returns, **keywords)

    monkeypatch.setattr(session, "open_executor", lambda _: Three())
    run(config_of(stream))
    assert called[:5] == ["warm", "warm", "read_range", "assemble", "classify"]
    assert called.count("warm") == 2


def test_a_long_phase_says_what_it_waits_for_and_whether_kernels_are_compiled(monkeypatch, tmp_path):
    lines, heard = [], threading.Event()

    def say(text):
        lines.append(text)
        heard.set()

    monkeypatch.setattr(session, "waiting", partial(waiting, first=0.01, again=60.0))
    folder = tmp_path / "kernels"
    monkeypatch.setattr(compiling, "cache_folder", lambda: folder if folder.is_dir() else None)

    def line(name):
        heard.clear()
        with session.Phases(say).phase(name):
            assert heard.wait(10)
        return lines[-1]

    assert line("source") == "still waiting after 0 s: the synthetic stream is replayed"
    assert line("calibrate").endswith("no folder to keep them can be written, set SOR_SWEEP_CACHE_DIR")
    folder.mkdir()
    assert line("calibrate") == (
        "still waiting after 0 s: the kernels are loaded and measured; kernels are compiled first, once for each "
        "version, which takes minutes: 0 functions so far"
    )
    (folder / "a.nbi").touch()
    os.utime(folder / "a.nbi", (1, 1))
    assert line("materialise") == "still waiting after 0 s: the source is read, and its book derived"
    assert set(session.AWAITED) >= session.COMPILING


def test_every_phase_has_words(stream):
    seconds = run(config_of(stream)).document["run"]["seconds"]
    assert set(seconds) - {"total", "origin"} == set(session.AWAITED)


@pytest.mark.parametrize("before", ["first", "last"])
def test_a_long_chunk_says_what_is_awaited(stream, monkeypatch, before):
    """Whether it is the first, of which nothing was said yet, or a later one."""
    lines, heard = [], threading.Event()

    class Telling(Silent):
        def say(self, text):
            if text.startswith("still waiting"):
                lines.append(text)
                heard.set()

    class Slow(Inline):
        def stream(self, function, shared, take, name=None):
            answers = super().stream(function, shared, take, name)
            if before == "last":
                yield next(answers)
            heard.clear()
            assert heard.wait(10)
            yield from answers

    monkeypatch.setattr(session, "waiting", partial(waiting, first=0.01, again=0.02))
    monkeypatch.setattr(session, "open_executor", lambda _: Slow())
    run(config_of(stream), Telling())
    assert "still waiting after 0 s: the baselines, or the next combinations, are simulated" in lines
