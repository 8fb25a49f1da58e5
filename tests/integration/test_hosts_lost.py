"""Hosts, cables and processes lost in the middle of a sweep: it ends, with the same bytes, after a short stall.

The tests share a cluster, and each leaves it as the next one needs it: what comes back is brought back by Ray's
autoscaler, as after `ray up`.
"""

import pytest
from runlogs import check_legs

pytestmark = [pytest.mark.cluster, pytest.mark.kafka, pytest.mark.timeout(300)]

CPUS = (0, 1)
"""Of the head, as in cluster.yaml, and of each worker."""

KILL = """until pid=$(ps -eo pid=,args= | grep -v -e ray::IDLE -e Agent | awk '$2 ~ /^ray::/ {print $1; exit}')
[ -n "$pid" ]; do :; done; kill -9 "$pid" """
"""Waits for a worker that runs a task, and kills that one."""


def grid(count):
    """So many combinations."""
    return (
        "policy=pseudocode",
        "order.size=5000000",
        "grid.lambda_over=0",
        f"grid.lambda_under={{start: 0, stop: 0.09, num: {count // 100}}}",
        "grid.theta_queue={start: 0, stop: 0.05, num: 100}",
    )


@pytest.fixture
def begin(running, record_testsuite_property):
    """Begin a sweep, which ends with the test at the latest; its longest stall is in the report."""
    begun = {}

    def beginning(name, count, **options):
        begun[name] = running.sweep(name, *grid(count), "collapse=false", **options)
        return begun[name]

    yield beginning
    for name, sweep in begun.items():
        sweep.kill()
        record_testsuite_property(f"longest stall, {name}", f"{sweep.longest_stall():.2f} s")


STALL_SECONDS = 25
"""Without a finished chunk: by Ray's own settings a cable that is cut stops everything for a minute."""


def check(running, sweep, name, count):
    """Assert that a sweep ends well: every combination once, with the rows of one process, and no long stall."""
    assert sweep.finish() == 0, sweep.said
    assert sweep.results().read_bytes() == running.inline(f"{name}-inline", *grid(count))
    document = sweep.document()
    assert (document["run"]["simulated"], document["failed"]) == (count, [])
    assert sweep.longest_stall() < STALL_SECONDS, sweep.stalled


def chunks(running):
    """The newest sweep's chunks, as Ray saw them."""
    return [task for task in running.cluster.tasks() if "run_chunk" in task["function"]]


def test_worker_processes_that_are_killed(running, begin):
    sweep = begin("process", 6_000, pace=0.3)
    sweep.until(500)
    for host in running.cluster.workers:
        host.run("bash", "-c", KILL)
    sweep.until_lost()
    sweep.go()
    check(running, sweep, "process", 6_000)


def test_a_driver_that_is_killed_half_way(running, begin):
    sweep = begin("driver", 8_000, pace=0.1)
    sweep.until(4_000)
    sweep.kill()
    cluster = running.cluster
    cluster.head.run(*cluster.words("python", "-m", "sweep", "resume", sweep.home()), timeout=120)
    assert sweep.results().read_bytes() == running.inline("driver-inline", *grid(8_000))
    # on a cluster 64 are in flight at least, for the autoscaler to see
    check_legs(sweep.home(), 8_000, 64)


def test_a_cable_that_is_cut_and_put_back(running, begin):
    sweep = begin("cable", 8_000, pace=0.5)
    sweep.until(500)
    cut = running.cluster.workers[0]
    sweep.until_busy(cut)
    cut.cut()
    try:
        sweep.until_lost()
    finally:
        cut.plug()
    sweep.go()
    check(running, sweep, "cable", 8_000)
    running.cluster.wait(host.address for host in running.cluster.hosts.all)


def test_a_host_without_power(running, begin):
    sweep = begin("power", 8_000, pace=0.5)
    sweep.until(500)
    off = running.cluster.workers[0]
    sweep.until_busy(off)
    off.power_off()
    sweep.until_lost()
    sweep.go()
    check(running, sweep, "power", 8_000)


def test_a_host_that_joins_late(running, begin):
    late, there = running.cluster.workers
    assert not late.alive
    sweep = begin("late", 8_000, pace=1)
    sweep.until(500)
    sweep.until_busy(there)
    late.boot()
    sweep.until_busy(late)
    sweep.go()
    check(running, sweep, "late", 8_000)


def test_the_only_host_that_has_the_book_without_power(running, begin):
    cluster = running.cluster
    cluster.wait(host.address for host in cluster.hosts.all)
    sweep = begin("book", 8_000, hold=True)
    address = sweep.holder()
    (holder,) = (host for host in cluster.workers if host.address == address)
    holder.power_off()
    sweep.go()
    check(running, sweep, "book", 8_000)
    made = [task["address"] for task in cluster.tasks() if "assemble" in task["function"]]
    (other,) = (host.address for host in cluster.workers if host is not holder)
    assert sorted(made) == sorted([address, other])
    assert {task["address"] for task in chunks(running)} == {other}
