"""What a sweep will take, said before it runs: counted as it runs, by hand where that can be done, and without Ray."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from feed import synthetic
from feed.errors import FeedUnavailable
from feed.instants import format_instant
from sweep import driver, tasks
from sweep.chunks import LARGEST, Chunk
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.executors import registry
from sweep.forecast import cost as bill
from sweep.forecast import estimate as forecasts
from sweep.forecast import forecast, timing
from sweep.forecast import walk as walking
from sweep.forecast.timing import BUDGET_SECONDS, Pace, measure
from sweep.forecast.walk import OVERHEAD, Overhead, walk_plan
from sweep.planning import Plan
from sweep.progress import Silent
from sweep.search.classes import each_alone
from sweep.search.grid import build_grid
from sweep.sink import MemorySink
from sweep.statistics import Orders
from tests.support import ROOT
from tests.support.minute import config_of

SECOND = 10**9
BARE = Overhead(window=1, task=0.0, driver=0.0)
CLUSTER = """\
head_node_type: head
max_workers: 8
idle_timeout_minutes: 5
available_node_types:
    head: {resources: {CPU: 0}, node_config: {InstanceType: m7i.large}}
    worker:
        max_workers: 8
        node_config: {InstanceType: c7i.4xlarge, InstanceMarketOptions: {MarketType: spot}}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """A working directory without a cluster file."""
    monkeypatch.chdir(tmp_path)


def plan_of(combinations, workers=1, measured=()):
    grid = build_grid({"lambda_over": 0, "lambda_under": 0, "theta_queue": 0})
    axis = replace(grid.axes[2], values=np.arange(combinations, dtype=np.int64))
    order = driver.tasks.Job  # never simulated here
    return Plan(
        each_alone(replace(grid, axes=(*grid.axes[:2], axis))),
        Orders((order,), (("buy", 1),), (0, 1)),
        workers,
        ("rows",),
        measured,
        0,
    )


def linear(start, each):
    return Pace(((1, start + each), (1000, start + 1000 * each)))


def cut(plan, window, cost):
    """Chunks as a cutter really hands them out, learning of each that finished, in the order of their start."""
    cutter, flying, sizes = plan.cutter(), [], []
    while True:
        while len(flying) < window * plan.workers and (chunk := cutter.take()):
            flying.append(len(chunk))
            sizes.append(len(chunk))
        if not flying:
            return sizes
        size = flying.pop(0)
        cutter.learn(size, cost(size))


def timed(seconds):
    """Runs no simulation: rows of which each combination took so long."""
    rows = np.zeros((1, 8), np.int64)

    def run_chunk(book, job, chunk):
        return tasks.ChunkRows(np.zeros(len(chunk), np.int32), rows, (), seconds(len(chunk)))

    return run_chunk


@pytest.fixture
def nothing_else(monkeypatch):
    """The driver's own work takes no time."""
    monkeypatch.setattr(timing, "_keep_seconds", lambda *_: 0.0)
    monkeypatch.setattr(timing, "_reduce_seconds", lambda *_: 0.0)


def test_the_document_says_what_is_asked_for_and_stores_nothing(stream, tmp_path):
    estimate = forecast(config_of(stream))
    assert json.loads(json.dumps(estimate, allow_nan=False)) == estimate
    assert (estimate["combinations"], estimate["orders"], estimate["result_rows"]) == (27, 1, 27)
    assert estimate["bytes"]["result_table"] == 27 * 89
    ran = run(config_of(stream)).document
    assert estimate["bytes"]["object_store_per_node"] == ran["run"]["object_store_bytes"]
    assert estimate["feed"]["digest"] == ran["feed"]["digest"]
    assert estimate["chunks"] == ran["run"]["chunks"] == 1
    sweep = estimate["here"]["seconds"]["sweep"]
    assert 0 < sweep["low"] < sweep["likely"] < sweep["high"]
    assert estimate["cluster"] is None
    assert list(tmp_path.iterdir()) == []


def test_a_row_has_as_many_bytes_as_the_driver_keeps_of_it():
    sink = MemorySink([1], 1000)
    assert sink._table.nbytes + sink._state.nbytes == 1000 * bill.ROW_BYTES


@pytest.mark.parametrize(
    ("combinations", "start", "each"), [(27, 0.0, 1e-4), (3000, 0.0, 1e-4), (5000, 0.02, 1e-4), (3000, 0.3, 1e-4)]
)
def test_chunks_are_counted_as_a_run_cuts_them(stream, monkeypatch, nothing_else, combinations, start, each):
    """In a run whose chunks take made-up seconds."""
    fake = timed(lambda k: start + each * k)
    real = tasks.run_chunk

    def run_chunk(book, job, chunk):
        return replace(real(book, job, chunk), seconds=fake(book, job, chunk).seconds)

    measured = {"rows": ((1, start + each), (16, start + 16 * each))}
    monkeypatch.setattr(tasks, "calibrate", lambda *_: measured)
    monkeypatch.setattr(tasks, "run_chunk", run_chunk)
    monkeypatch.setattr(forecasts, "measure", lambda *arguments: measure(*arguments, run_chunk=fake))
    theta = {"start": 0, "stop": 0.05, "num": combinations} if combinations > 27 else [0, 0.01, 0.02]
    grid = {"lambda_over": 0, "lambda_under": 0, "theta_queue": theta} if combinations > 27 else {}
    config = config_of(stream, grid=grid, depth=1)
    estimate, ran = forecast(config), run(config).document["run"]
    assert (estimate["chunks"], estimate["chunk_size"]) == (ran["chunks"], ran["chunk_size"])


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("workers", [1, 2, 16, 200])
@pytest.mark.parametrize(("start", "each"), [(0.0, 0.001), (0.02, 0.001), (0.3, 1e-5), (0.0, 1e-7)])
def test_a_walk_has_the_chunks_that_the_cutter_hands_out(window, workers, start, each):
    seconds = linear(start, each)
    plan = plan_of(120_000, workers, ((1, seconds.of(1)), (16, seconds.of(16))))
    walked = walk_plan(plan, seconds, Overhead(window, 0.0, 0.0))
    sizes = cut(plan, window, seconds.of)
    assert walked.chunks == pytest.approx(len(sizes), rel=0.1, abs=1)
    assert walked.largest == pytest.approx(max(sizes), rel=0.05)
    assert walked.work == pytest.approx(sum(map(seconds.of, sizes)), rel=0.1)


def test_one_worker_takes_the_sum_and_many_a_part_of_it():
    seconds = linear(0.0, 0.001)
    measured = ((1, 0.001), (16, 0.016))
    assert walk_plan(plan_of(5000, 1, measured), seconds, BARE).seconds == pytest.approx(5.0)
    assert walk_plan(plan_of(5000, 1, measured), seconds, BARE, speed=2.0).seconds == pytest.approx(2.5)
    assert walk_plan(plan_of(5000, 4, measured), seconds, replace(BARE, window=4)).seconds == pytest.approx(
        1.25, rel=0.03
    )
    with_tasks = walk_plan(plan_of(5000, 1, measured), seconds, Overhead(1, 0.5, 0.25))
    assert with_tasks.seconds == pytest.approx(5.0 + 0.75 * with_tasks.chunks)
    assert walk_plan(plan_of(5000, 1, measured), seconds, replace(BARE, start=2.0)).seconds == pytest.approx(7.0)


def test_workers_cannot_be_faster_than_the_driver_takes_in():
    cheap = replace(linear(0.0, 1e-6), keep=1e-5)
    plan = plan_of(1_000_000, 64, ((1, 1e-6), (16, 1.6e-5)))
    walked = walk_plan(plan, cheap, OVERHEAD["ray"])
    assert walked.work / 64 < 0.1
    assert walked.driver == pytest.approx(10.0 + 0.0006 * walked.chunks)
    assert walked.seconds == pytest.approx(walked.driver, rel=0.05)


def test_a_walk_too_long_to_play_goes_on_as_it_was(monkeypatch):
    seconds = linear(0.0, 0.001)
    plan = plan_of(200_000, 4, ((1, 0.001), (16, 0.016)))
    whole = walk_plan(plan, seconds, OVERHEAD["ray"])
    monkeypatch.setattr(walking, "LONGEST_WALK", 200)
    part = walk_plan(plan, seconds, OVERHEAD["ray"])
    assert whole.chunks > 400
    assert part.chunks == pytest.approx(whole.chunks, rel=0.05)
    assert part.seconds == pytest.approx(whole.seconds, rel=0.02)
    assert part.work == pytest.approx(whole.work, rel=1e-6)


def test_a_hundred_million_combinations_are_answered_without_their_table(stream, monkeypatch, nothing_else):
    largest, size = [], np.empty

    def noting(shape, *rest, **keywords):
        largest.append(int(np.prod(shape)))
        return size(shape, *rest, **keywords)

    monkeypatch.setattr(np, "empty", noting)
    monkeypatch.setattr(
        forecasts, "measure", lambda *arguments: measure(*arguments, run_chunk=timed(lambda k: 2e-6 * k))
    )
    axis = {"start": 0, "stop": 0.05}
    names = {"lambda_over": 100, "lambda_under": 1000, "theta_queue": 1000}
    grid = {name: {**axis, "num": num} for name, num in names.items()}
    estimate = forecast(config_of(stream, grid=grid, collapse=False))
    assert estimate["result_rows"] == 100_000_000
    assert estimate["bytes"]["while_reduced"] == 2 * 8_900_000_000
    assert estimate["chunks"] >= 100_000_000 / LARGEST
    assert estimate["here"]["seconds"]["sweep"]["likely"] == pytest.approx(200, rel=0.02)
    assert max(largest, default=0) < 10_000_000


def test_the_probe_keeps_to_its_budget_and_runs_no_chunk_that_would_not_fit(nothing_else):
    cost = timed(lambda k: 0.5 + 0.001 * k)
    pace = measure(None, None, plan_of(10**6, 2, ((1, 0.501), (16, 0.516))), 0, run_chunk=cost)
    assert pace.chunks >= 2
    assert pace.seconds <= BUDGET_SECONDS
    assert pace.of(1000) == pytest.approx(1.5)
    hopeless = timed(lambda _: pytest.fail("a chunk of 30 s was begun"))
    pace = measure(None, None, plan_of(10**6, 2, ((1, 30.0), (16, 31.5))), 0, run_chunk=hopeless)
    assert pace.chunks == 0
    assert pace.of(16) == 31.5
    assert pace.of(31) == pytest.approx(33.0)
    assert pace.spread == timing.UNTRIED


def test_the_probe_stops_where_more_chunks_say_nothing_new_and_its_places_are_spread(nothing_else):
    places = []

    def run_chunk(book, job, chunk):
        places.append(chunk)
        return timed(lambda k: 1e-4 * k)(book, job, chunk)

    measure(None, None, plan_of(10**6, 2, ((1, 1e-4), (16, 1.6e-3))), 0, run_chunk=run_chunk)
    settled = [chunk for chunk in places if chunk.past - chunk.first > 700]
    assert len(settled) == timing.ENOUGH
    assert all(0 <= chunk.first < chunk.past <= 10**6 for chunk in places)
    quarters = {chunk.first * 4 // 10**6 for chunk in settled}
    assert quarters == {0, 1, 2, 3}


def test_places_that_differ_widen_the_range(nothing_else):
    def run_chunk(book, job, chunk):
        dear = 3 if chunk.first % 2 else 1
        return timed(lambda k: dear * 1e-4 * k)(book, job, chunk)

    plan = plan_of(10**6, 2, ((1, 1e-4), (16, 1.6e-3)))
    even = measure(None, None, plan, 0, run_chunk=timed(lambda k: 1e-4 * k))
    uneven = measure(None, None, plan, 0, run_chunk=run_chunk)
    assert even.spread == pytest.approx(0.0, abs=1e-9)
    assert uneven.spread > 0.1
    wide, narrow = (bill.seconds_range(10.0, each) for each in (uneven, even))
    assert narrow == {"likely": 10.0, "low": 8.7, "high": 11.5}
    assert wide["low"] < narrow["low"]
    assert wide["high"] > narrow["high"]
    assert bill.seconds_range(10.0, even, 2.0) == {"likely": 10.0, "low": 8.7, "high": 23.0}


def test_chunks_that_fail_say_nothing_but_are_no_obstacle(nothing_else):
    def run_chunk(book, job, chunk):
        failure = tasks.Failure(chunk.first, "ValueError: x", "")
        return tasks.ChunkRows(np.full(len(chunk), -1, np.int32), np.empty((0, 8), np.int64), (failure,), 0.25)

    pace = measure(None, None, plan_of(100), 0, run_chunk=run_chunk)
    assert pace.of(100) == pytest.approx(0.25 * pace.chunks, rel=0.7)
    assert (pace.keep, pace.reduce) == (0.0, 0.0)


def test_seconds_between_sizes_lie_on_a_line_and_beyond_on_the_fitted_one():
    pace = Pace(((1, 1.0), (11, 2.0), (21, 3.0)))
    assert [pace.of(k) for k in (1, 6, 11, 16, 21, 31)] == pytest.approx([1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
    assert Pace(((5, 0.0),)).of(50) == 0.0


def test_the_price_of_a_cluster_by_hand(stream, tmp_path, monkeypatch, nothing_else):
    """0.1 s for each of 16,000 combinations: 100 s on 16 vCPU, 12.5 s on 128, billed as a minute."""
    monkeypatch.setattr(
        forecasts, "measure", lambda *arguments: measure(*arguments, run_chunk=timed(lambda k: 0.1 * k))
    )
    monkeypatch.setattr(tasks, "calibrate", lambda *_: {"rows": ((1, 0.1), (16, 1.6))})
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    grid = {"lambda_over": 0, "lambda_under": 0, "theta_queue": {"start": 0, "stop": 0.05, "num": 16_000}}
    estimate = forecast(config_of(stream, grid=grid, collapse=False))["cluster"]
    (worker,) = estimate["workers"]
    one, all_of_them = worker["estimates"]
    assert (one["nodes"], one["workers"]) == (1, 16)
    assert (all_of_them["nodes"], all_of_them["workers"]) == (8, 128)
    assert one["seconds"]["sweep"]["likely"] == pytest.approx(100, rel=0.03)
    assert all_of_them["seconds"]["sweep"]["likely"] == pytest.approx(12.5, rel=0.1)
    assert one["price"]["on_demand"]["likely"] == pytest.approx(100 / 3600 * (0.714 + 0.1008), abs=0.006)
    assert all_of_them["price"]["on_demand"]["likely"] == round(60 / 3600 * (8 * 0.714 + 0.1008), 2)
    until = one["price_until_idle"]["on_demand"]["likely"]
    assert until == pytest.approx(400 / 3600 * (0.714 + 0.1008), abs=0.006)
    assert one["price"]["spot"] is None
    assert "describe-spot-price-history" in worker["unknown"][0]
    assert worker["object_store_fits"] is True
    assert estimate["head"]["result_table_fits"] is True


def test_prices_and_speed_of_a_file_count(stream, tmp_path, monkeypatch, nothing_else):
    monkeypatch.setattr(
        forecasts, "measure", lambda *arguments: measure(*arguments, run_chunk=timed(lambda k: 0.1 * k))
    )
    monkeypatch.setattr(tasks, "calibrate", lambda *_: {"rows": ((1, 0.1), (16, 1.6))})
    (tmp_path / "c.yaml").write_text(CLUSTER)
    spot = "{spot: 0.25, spot_date: 2026-11-24, speed: 2.0}"
    (tmp_path / "p.yaml").write_text(f"date: 2026-11-24\ntypes: {{c7i.4xlarge: {spot}}}\n")
    grid = {"lambda_over": 0, "lambda_under": 0, "theta_queue": {"start": 0, "stop": 0.05, "num": 16_000}}
    estimate = forecast(config_of(stream, grid=grid, collapse=False), prices="p.yaml", cluster="c.yaml")["cluster"]
    (worker,) = estimate["workers"]
    assert worker["unknown"] == []
    assert worker["hour"] == {"on_demand": 0.714, "date": "2026-10-05", "spot": 0.25, "spot_date": "2026-11-24"}
    one = worker["estimates"][0]
    assert one["seconds"]["sweep"]["likely"] == pytest.approx(50, rel=0.05)
    assert one["price"]["spot"]["likely"] == round(60 / 3600 * (0.25 + 0.1008), 2)
    assert estimate["prices"]["date"] == "2026-11-24"


def test_a_type_without_a_price_is_listed_with_the_remedy(stream, tmp_path):
    text = CLUSTER.replace("c7i.4xlarge", "x9.huge")
    (tmp_path / "cluster.yaml").write_text(text)
    (worker,) = forecast(config_of(stream))["cluster"]["workers"]
    assert (worker["vcpu"], worker["hour"], worker["object_store_fits"]) == (None, None, None)
    assert "types: {x9.huge: {vcpu: ..." in worker["unknown"][0]
    assert worker["estimates"] == []
    (tmp_path / "p.yaml").write_text("date: 2026-11-24\ntypes: {x9.huge: {vcpu: 4, memory_gib: 0.01}}\n")
    (worker,) = forecast(config_of(stream), prices="p.yaml")["cluster"]["workers"]
    assert worker["estimates"][0]["price"] == {"on_demand": None, "spot": None}
    assert "types.x9.huge.on_demand" in worker["unknown"][0]
    nbytes = forecast(config_of(stream))["bytes"]["object_store_per_node"]
    assert worker["object_store_fits"] is (nbytes <= 0.3 * 0.01 * 2**30)


def test_a_head_that_works_counts_and_one_without_memory_for_the_table_is_told(stream, tmp_path, monkeypatch):
    (tmp_path / "cluster.yaml").write_text(CLUSTER.replace("{CPU: 0}", "{CPU: 2}"))
    monkeypatch.setattr(bill, "ROW_BYTES", 10**9)
    estimate = forecast(config_of(stream))["cluster"]
    assert estimate["workers"][0]["estimates"][0]["workers"] == 18
    assert estimate["head"]["result_table_fits"] is False


def test_what_a_run_would_refuse_is_refused(stream, tmp_path):
    with pytest.raises(FeedUnavailable):
        forecast(config_of(tmp_path / "nowhere.csv"))
    backwards = {"start": "2024-08-01T13:40:00Z", "end": "2024-08-01T13:39:00Z"}
    with pytest.raises(ConfigError, match=r"window\.start is after window\.end"):
        forecast(config_of(stream, window=backwards))
    with pytest.raises(ConfigError, match="the inline executor has one"):
        forecast(config_of(stream, workers=2))
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        forecast(config_of(tmp_path / "nowhere.csv"), cluster="nowhere.yaml")


def test_workers_are_those_that_a_run_would_have(stream, monkeypatch):
    monkeypatch.setattr(forecasts.os, "cpu_count", lambda: 6)
    assert forecast(config_of(stream))["here"]["workers"] == 1
    assert forecast(config_of(stream, executor="ray"))["here"]["workers"] == 6
    monkeypatch.setattr(registry, "cpus", lambda: 6)
    assert forecast(config_of(stream, executor="ray", workers=3))["here"]["workers"] == 3
    assert forecast(config_of(stream, executor="ray", workers=64))["here"]["workers"] == 6


def test_a_driver_that_shares_the_cpus_of_its_workers_is_counted(monkeypatch):
    monkeypatch.setattr(forecasts, "cpus", lambda: 2)
    assert forecasts._local_seconds(walking.Walk(1, 1, seconds=5.0, work=8.0, driver=4.0), 2) == 6.0
    assert forecasts._local_seconds(walking.Walk(1, 1, seconds=7.0, work=8.0, driver=4.0), 2) == 7.0


def test_a_machine_that_does_other_work_is_told_of(stream, monkeypatch):
    lines = []

    class Listening(Silent):
        def say(self, text):
            lines.append(text)

    def busy(*arguments):
        return replace(measure(*arguments), busy=2.5)

    monkeypatch.setattr(forecasts, "measure", busy)
    estimate = forecast(config_of(stream), Listening())
    assert estimate["calibration"]["busy"] == 2.5
    assert "warning: this machine does other work; they took 2.5 times as long as they computed" in lines
    sweep = estimate["here"]["seconds"]["sweep"]
    assert sweep["high"] / sweep["likely"] > 2.5


@pytest.mark.command
def test_no_ray_is_started_nor_even_loaded(stream):
    code = (
        "import sys\n"
        "from sweep.config import load_config\n"
        "from sweep.forecast import forecast\n"
        "found = forecast(load_config(None, sys.argv[1:]))\n"
        "assert found['here']['executor'] == 'ray', found\n"
        "assert 'ray' not in sys.modules, 'ray was loaded'\n"
    )
    start, end = map(format_instant, synthetic.window(60.0))
    words = [f"source={stream}", f"window.start={start}", f"window.end={end}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_chunk_of_the_probe_is_one_of_the_run_s(stream):
    """What the probe measures is what runs: the same rows."""
    seen = []

    def run_chunk(book, job, chunk):
        rows = timing.computing(book, job, chunk)
        seen.append((chunk, rows, tasks.run_chunk(book, job, Chunk(0, 0, chunk.first, chunk.past))))
        return rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecasts, "measure", lambda *arguments: measure(*arguments, run_chunk=run_chunk))
        forecast(config_of(stream))
    assert seen
    for _, rows, again in seen:
        assert rows.rows.tobytes() == again.rows.tobytes()
        assert rows.seconds > 0


def test_what_a_forecast_costs_does_not_grow_with_the_workers_of_a_cluster():
    pace_ = timing.Pace(((1.0, 0.001), (64.0, 0.002)), 0.0)
    walks = [walk_plan(plan_of(500, workers), pace_, OVERHEAD["ray"]) for workers in (500, 10**4, 10**12)]
    assert walks[0].chunks == walks[1].chunks == walks[2].chunks == 500
    assert walks[1].seconds == walks[2].seconds
