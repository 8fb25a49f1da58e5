"""Hosts, cables and processes lost in the middle of a sweep: it ends, with the same bytes, after a short stall.

The tests share a cluster, and each leaves it as the next one needs it: what comes back is brought back by Ray's
autoscaler, as after `ray up`.
"""

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

CPUS = (0, 1)
"""Of the head, as in cluster.yaml, and of each worker."""

AGENTS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


def grid(count):
    """So many combinations, about a thousand a second on one worker."""
    return (
        "policy=pseudocode",
        "order.size=5000000",
        "grid.lambda_over=0",
        f"grid.lambda_under={{start: 0, stop: 0.09, num: {count // 100}}}",
        "grid.theta_queue={start: 0, stop: 0.05, num: 100}",
    )


def begin(running, name, count, **options):
    return running.sweep(name, *grid(count), "collapse=false", **options)


def check(running, sweep, name, count, stall):
    """Assert that a sweep ends well: every combination once, with the rows of one process, and no long stall."""
    assert sweep.finish() == 0, sweep.said
    print(f"{name}: longest stall {sweep.longest_stall():.2f} s", sweep.document()["run"])
    assert sweep.results().read_bytes() == running.inline(f"{name}-inline", *grid(count))
    assert sweep.document()["run"]["simulated"] == count
    assert sweep.document()["failed"] == []
    assert sweep.longest_stall() < stall


def computing(host):
    """Process ids of the host's workers that run a task."""
    listed = [line.split(None, 1) for line in host.run("ps", "-eo", "pid=,args=").stdout.splitlines()]
    return [pid for pid, title in listed if title.startswith("ray::") and not title.startswith(AGENTS)]


def test_a_worker_process_that_is_killed(running):
    sweep = begin(running, "process", 20_000)
    sweep.until(5_000)
    killed = 0
    for host in running.cluster.workers:
        for pid in computing(host):
            host.run("kill", "-9", pid)
            killed += 1
    assert killed
    check(running, sweep, "process", 20_000, 10)


def test_a_cable_that_is_cut_and_put_back(running):
    sweep = begin(running, "cable", 60_000)
    sweep.until(6_000)
    cut = running.cluster.workers[0]
    cut.cut()
    sweep.pause(30)
    cut.plug()
    check(running, sweep, "cable", 60_000, 15)
    running.cluster.wait(host.address for host in running.cluster.hosts.all)


def test_a_host_without_power(running):
    sweep = begin(running, "power", 40_000)
    sweep.until(10_000)
    running.cluster.workers[0].power_off()
    check(running, sweep, "power", 40_000, 10)


def test_a_host_that_joins_late(running):
    late, there = running.cluster.workers
    assert not late.alive
    sweep = begin(running, "late", 50_000)
    sweep.until(5_000)
    late.boot()
    check(running, sweep, "late", 50_000, 10)
    chunks = [task["address"] for task in running.cluster.tasks() if "run_chunk" in task["function"]]
    assert set(chunks) == {late.address, there.address}


def test_the_only_host_that_has_the_book_without_power(running):
    cluster = running.cluster
    cluster.wait(host.address for host in cluster.hosts.all)
    sweep = begin(running, "book", 20_000, hold=True)
    address = sweep.holder()
    (holder,) = (host for host in cluster.workers if host.address == address)
    holder.power_off()
    sweep.go()
    check(running, sweep, "book", 20_000, 10)
    chunks = [task["address"] for task in cluster.tasks() if "run_chunk" in task["function"]]
    assert address not in chunks
