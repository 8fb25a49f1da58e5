"""Three hosts, a real `ray up` and a real Kafka: the same bytes as in one process, whatever is lost in the middle.

The tests share a cluster, and each leaves it as the next one needs it: what comes back is brought back by Ray's
autoscaler, as after `ray up`. The last one ends it.
"""

import json

import pandas as pd
import pytest

from feed import synthetic
from feed.tape import QUOTE_DTYPES, Tape
from tests.support.cluster.hosts import HOME
from tests.support.runfiles import TABLES
from tests.support.runlogs import check_legs

pytestmark = [pytest.mark.cluster, pytest.mark.kafka, pytest.mark.timeout(300)]

CPUS = (0, 1)
"""Of the head, as in cluster.yaml, and of each worker."""

KILL = """until pid=$(ps -eo pid=,args= | grep -v -e ray::IDLE -e Agent | awk '$2 ~ /^ray::/ {print $1; exit}')
[ -n "$pid" ]; do :; done; kill -9 "$pid" """
"""Waits for a worker that runs a task, and kills that one."""


COUNT = 3_200
GRID = (
    "policy=pseudocode",
    "order.size=5000000",
    "grid.lambda_over=0",
    "grid.lambda_under={start: 0, stop: 0.09, num: 40}",
    "grid.theta_queue={start: 0, stop: 0.05, num: 80}",
    "collapse=false",
)
"""So many combinations, each run on its own."""
BEGUN = 100
"""So many are done where something happens."""


@pytest.fixture
def begin(running, record_testsuite_property):
    """Begin a sweep, which ends with the test at the latest; its longest stall is in the report."""
    begun = {}

    def beginning(name, **options):
        begun[name] = running.sweep(name, *GRID, **options)
        return begun[name]

    yield beginning
    for name, sweep in begun.items():
        sweep.kill()
        record_testsuite_property(f"longest stall, {name}", f"{sweep.longest_stall():.2f} s")


STALL_SECONDS = 25
"""Without a finished chunk: by Ray's own settings a cable that is cut stops everything for a minute."""


@pytest.fixture(scope="module")
def expected(running):
    """The bytes of the table of one process of this machine, which simulates once what decides alike."""
    return running.inline("inline", *GRID, "collapse=true")


def check(sweep, expected):
    """Assert that a sweep ends well: every combination once, with the rows of one process, and no long stall."""
    assert sweep.finish() == 0, sweep.stderr
    assert sweep.results().read_bytes() == expected
    document = sweep.document()
    assert (document["run"]["simulated"], document["failed"]) == (COUNT, [])
    assert sweep.longest_stall() < STALL_SECONDS, sweep.stalled


def chunks(running):
    """The newest sweep's chunks, as Ray saw them."""
    return [task for task in running.cluster.tasks() if "run_chunk" in task["function"]]


ASK = """import sys
from ray._raylet import GcsClient
print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=10)))
"""


def test_every_node_has_the_project_that_was_shipped(running):
    shipped = f"{HOME}/sor-sweep/sweep/__init__.py\n"
    for host in running.cluster.hosts.all:
        place = host.run(*running.cluster.words("python", "-c", "import sweep; print(sweep.__file__)")).stdout
        assert place == shipped
        assert not (host.home / "sor-sweep" / "tests").exists()


def test_both_workers_compute_what_one_process_does(running, begin, expected):
    cluster = running.cluster
    sweep = begin("all", pace=0.3)
    for host in cluster.workers:
        sweep.until_busy(host)
    sweep.go()
    check(sweep, expected)
    document = sweep.document()
    assert document["feed"]["source"] == "kafka"
    chunks = [task for task in cluster.tasks() if "run_chunk" in task["function"]]
    assert len(chunks) == document["run"]["chunks"]
    assert {task["address"] for task in chunks} == {host.address for host in cluster.workers}


def test_nobody_without_the_token_is_let_in(running):
    cluster = running.cluster
    address = f"{cluster.head.address}:6379"

    def ask(**changed):
        environment = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", **changed}
        return cluster.hosts.control.run("python", "-c", ASK, address, env=environment, check=False)

    assert ask().stdout == "3\n"
    for stranger in (ask(RAY_AUTH_TOKEN="0" * 64), ask(RAY_AUTH_MODE="disabled")):
        assert stranger.returncode
        assert "Unauthenticated" in stranger.stderr


def test_worker_processes_that_are_killed(running, begin, expected):
    sweep = begin("process", pace=0.3)
    sweep.until(BEGUN)
    for host in running.cluster.workers:
        host.run("bash", "-c", KILL)
    sweep.until_lost()
    sweep.go()
    check(sweep, expected)


def test_a_driver_that_is_killed_half_way(running, begin, expected):
    sweep = begin("driver", pace=0.1)
    sweep.until(COUNT // 2)
    sweep.kill()
    cluster = running.cluster
    cluster.head.run(*cluster.words("python", "-m", "sweep", "resume", sweep.home()), timeout=120)
    assert sweep.results().read_bytes() == expected
    # on a cluster 64 are in flight at least, for the autoscaler to see
    check_legs(sweep.home(), COUNT, 64)


def test_a_cable_that_is_cut_and_put_back(running, begin, expected):
    sweep = begin("cable", pace=0.5)
    sweep.until(BEGUN)
    cut = running.cluster.workers[0]
    sweep.until_busy(cut)
    cut.cut()
    try:
        sweep.until_lost()
    finally:
        cut.plug()
    sweep.go()
    check(sweep, expected)
    running.cluster.wait(host.address for host in running.cluster.hosts.all)


def test_a_host_without_power(running, begin, expected):
    sweep = begin("power", pace=0.5)
    sweep.until(BEGUN)
    off = running.cluster.workers[0]
    sweep.until_busy(off)
    off.power_off()
    sweep.until_lost()
    sweep.go()
    check(sweep, expected)


def test_a_host_that_joins_late(running, begin, expected):
    late, early = running.cluster.workers
    assert not late.alive
    sweep = begin("late", pace=1)
    sweep.until(BEGUN)
    sweep.until_busy(early)
    late.boot()
    sweep.until_busy(late)
    sweep.go()
    check(sweep, expected)


MANY = (
    "policy=pseudocode",
    "order.side=[buy, sell]",
    "order.size=[100000, 500000]",
    "order.every=20s",
    "order.horizon=20s",
    "grid.lambda_over=0",
    "grid.lambda_under={start: 0, stop: 0.09, num: 20}",
    "grid.theta_queue={start: 0, stop: 0.05, num: 20}",
    "collapse=false",
)
SYMBOLS = ("AAPL", "MSFT", "ORCL")


@pytest.fixture(scope="module")
def symbols(running):
    """The same cluster, and a topic with a minute of each of several symbols."""
    folder = running.cluster.hosts.folder / "symbols"
    folder.mkdir()
    for seed, symbol in enumerate(SYMBOLS):
        tape = synthetic.generate(seed=seed, seconds=60.0, warmup=5.0)
        columns = {name: getattr(tape, name) for name in QUOTE_DTYPES}
        synthetic.write_csv(Tape.build(symbol, **columns), folder / f"{symbol}.csv.gz")
    return running.streaming(folder, "symbols")


def test_a_host_without_power_between_tapes(running, symbols, record_testsuite_property):
    """In the middle of the second of three tapes; the documents and all tables are those of one process."""
    home = symbols.inline_home("inline-symbols", *MANY, "collapse=true")
    expected = json.loads((home / "result.json").read_text())
    combinations = len(pd.read_parquet(home / "results.parquet", columns=["tape"]).query("tape == 0"))
    running.cluster.wait(host.address for host in running.cluster.hosts.all)
    off = running.cluster.workers[0]
    sweep = symbols.sweep("many", *MANY, pace=0.3)
    try:
        sweep.until(combinations + combinations // 4)
        sweep.until_busy(off)
        done = sweep.stamps()[-1][1]
        off.power_off()
        assert combinations < done < 2 * combinations
        sweep.until_lost()
        sweep.go()
        assert sweep.finish() == 0, sweep.stderr
    finally:
        sweep.kill()
        record_testsuite_property("longest stall, many", f"{sweep.longest_stall():.2f} s")
    off.boot()
    for name in TABLES:
        assert (sweep.home() / name).read_bytes() == (home / name).read_bytes()
    document = sweep.document()
    assert document["run"]["simulated"] == len(SYMBOLS) * combinations
    assert document["feed"]["source"] == "kafka"
    assert document["feed"]["digest"] == expected["feed"]["digest"]
    for each in (document, expected):
        del each["run"], each["feed"]
    assert document == expected
    assert sweep.longest_stall() < STALL_SECONDS, sweep.stalled


def test_the_only_host_that_has_the_book_without_power(running, begin, expected):
    cluster = running.cluster
    cluster.wait(host.address for host in cluster.hosts.all)
    sweep = begin("book", hold=True)
    address = sweep.holder()
    (holder,) = (host for host in cluster.workers if host.address == address)
    holder.power_off()
    sweep.go()
    check(sweep, expected)
    made = [task["address"] for task in cluster.tasks() if "assemble" in task["function"]]
    (other,) = (host.address for host in cluster.workers if host is not holder)
    assert sorted(made) == sorted([address, other])
    assert {task["address"] for task in chunks(running)} == {other}


def test_ray_down_stops_the_head(running):
    cluster = running.cluster
    assert "ray::" in cluster.head.run("ps", "-eo", "args").stdout
    cluster.down()
    left = cluster.head.run("ps", "-eo", "args").stdout
    assert not any(name in left for name in ("ray::", "raylet", "gcs_server", "ray/dashboard"))
    # Ray leaves the workers of given addresses to their owner; these end with their hosts
