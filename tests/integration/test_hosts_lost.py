"""Hosts, cables and processes lost in the middle of a sweep: it ends, with the same bytes, after a short stall.

The tests share a cluster, and each leaves it as the next one needs it: what comes back is brought back by Ray's
autoscaler, as after `ray up`.
"""

import time

import pytest
from runlogs import check_legs

pytestmark = [pytest.mark.cluster, pytest.mark.kafka, pytest.mark.timeout(300)]

CPUS = (0, 1)
"""Of the head, as in cluster.yaml, and of each worker."""

KILL = """until pid=$(ps -eo pid=,args= | grep -v -e ray::IDLE -e Agent | awk '$2 ~ /^ray::/ {print $1; exit}')
[ -n "$pid" ]; do :; done; kill -9 "$pid" """
"""Waits for a worker that runs a task, and kills that one."""


def grid(count):
    """So many combinations, about a thousand a second on one worker."""
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


def check(running, sweep, name, count, stall):
    """Assert that a sweep ends well: every combination once, with the rows of one process, and no long stall."""
    assert sweep.finish() == 0, sweep.said
    assert sweep.results().read_bytes() == running.inline(f"{name}-inline", *grid(count))
    document = sweep.document()
    assert (document["run"]["simulated"], document["failed"]) == (count, [])
    assert sweep.longest_stall() < stall, sweep.stalled


def chunks(running):
    """The newest sweep's chunks, as Ray saw them."""
    return [task for task in running.cluster.tasks() if "run_chunk" in task["function"]]


def until_used(running, host, seconds=60):
    """Wait until a host has run a chunk, and so runs the next: on a slow machine one begins long after the other."""
    deadline = time.monotonic() + seconds
    while not any(task["address"] == host.address for task in chunks(running)):
        assert time.monotonic() < deadline, f"{host.address} runs nothing"


def lost(running):
    """Chunks that did not end where they ran."""
    return [task for task in chunks(running) if task["state"] == "FAILED"]


def test_worker_processes_that_are_killed(running, begin):
    sweep = begin("process", 20_000)
    sweep.until(5_000)
    for host in running.cluster.workers:
        host.run("bash", "-c", KILL)
    check(running, sweep, "process", 20_000, 10)
    assert lost(running)


def test_a_driver_that_is_killed_half_way(running, begin):
    sweep = begin("driver", 30_000)
    sweep.until(15_000)
    sweep.kill()
    cluster = running.cluster
    cluster.head.run(*cluster.words("python", "-m", "sweep", "resume", sweep.home()), timeout=120)
    assert sweep.results().read_bytes() == running.inline("driver-inline", *grid(30_000))
    # on a cluster 64 are in flight at least, for the autoscaler to see
    check_legs(sweep.home(), 30_000, 64)


def test_a_cable_that_is_cut_and_put_back(running, begin):
    sweep = begin("cable", 60_000)
    sweep.until(6_000)
    cut = running.cluster.workers[0]
    until_used(running, cut)
    cut.cut()
    try:
        sweep.pause(20)
    finally:
        cut.plug()
    check(running, sweep, "cable", 60_000, 15)
    assert lost(running)
    running.cluster.wait(host.address for host in running.cluster.hosts.all)


def test_a_host_without_power(running, begin):
    sweep = begin("power", 30_000)
    sweep.until(10_000)
    running.cluster.workers[0].power_off()
    check(running, sweep, "power", 30_000, 10)
    assert lost(running)


def test_a_host_that_joins_late(running, begin):
    late, there = running.cluster.workers
    assert not late.alive
    sweep = begin("late", 40_000)
    sweep.until(5_000)
    late.boot()
    check(running, sweep, "late", 40_000, 10)
    assert {task["address"] for task in chunks(running)} == {late.address, there.address}


def test_the_only_host_that_has_the_book_without_power(running, begin):
    cluster = running.cluster
    cluster.wait(host.address for host in cluster.hosts.all)
    sweep = begin("book", 20_000, hold=True)
    address = sweep.holder()
    (holder,) = (host for host in cluster.workers if host.address == address)
    holder.power_off()
    sweep.go()
    check(running, sweep, "book", 20_000, 10)
    made = [task["address"] for task in cluster.tasks() if "assemble" in task["function"]]
    (other,) = (host.address for host in cluster.workers if host is not holder)
    assert sorted(made) == sorted([address, other])
    assert {task["address"] for task in chunks(running)} == {other}
