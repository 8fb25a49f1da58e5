"""Three hosts against one with as many CPUs: throughput, what a chunk costs, and how often the quotes travel.

Run as root by ``python -m benchmarks.hosts``; writes JSON on stdout. The hosts are namespaces of this machine and share
its cores, so that throughput compares the ways, not the hardware.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from allocator.book import build_book
from feed import synthetic
from feed.instants import format_instant
from sweep.config.loading import build_config
from tests.support.cluster.hosts import why_not
from tests.support.cluster.streamedcluster import WARMUP_SECONDS, run_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.cluster.streamedcluster import Running

LAYOUTS = {"three hosts": (3, (1, 1)), "one host": (1, (3, 0))}
"""Hosts, and CPUs of the head and of each other: three in all."""

STREAM_SECONDS = 1800.0
ORDER_SECONDS = 300
COMBINATIONS = (500, 50_000)
IDLE_SECONDS = 5.0


def grid(count: int) -> tuple[str, ...]:
    """So many combinations of a policy that walks the book lot by lot, for an order that never fills."""
    start, _ = synthetic.window(STREAM_SECONDS)
    return (
        "policy=pseudocode",
        "collapse=false",
        "order.size=5000000",
        f"order.end={format_instant(start + ORDER_SECONDS * 10**9)}",
        "grid.lambda_over=0",
        f"grid.lambda_under={{start: 0, stop: 0.09, num: {count // 100}}}",
        "grid.theta_queue={start: 0, stop: 0.05, num: 100}",
    )


def book_bytes() -> int:
    """Bytes of the book: of what is in the object store, all that a chunk needs."""
    settings = build_config({}).question.settings
    start, end = synthetic.window(STREAM_SECONDS)
    tape = synthetic.generate(seconds=STREAM_SECONDS, warmup=WARMUP_SECONDS, levels=1).clip(
        start - settings.warmup, end
    )
    return build_book(tape, settings.book).nbytes


def received(running: Running) -> dict[str, int]:
    """Bytes that each host but the head has received so far."""
    return {host.name: host.received() for host in running.cluster.workers}


def run_once(running: Running, name: str, count: int) -> tuple[dict[str, Any], bytes]:
    """One sweep: its figures, and its table."""
    before = received(running)
    sweep = running.sweep(name, *grid(count))
    assert sweep.finish(600) == 0, sweep.stderr
    after = received(running)
    run = sweep.document()["run"]
    seconds, chunks = run["seconds"]["sweep"], run["chunks"]
    simulating = sum(line["seconds"] for line in sweep.log() if line["event"] == "chunk")
    tasks = running.cluster.tasks()
    return {
        "seconds": seconds,
        "total_seconds": run["seconds"]["total"],
        "per_second": count / seconds,
        "chunks": chunks,
        "overhead_ms_per_chunk": 1000 * (3 * seconds - simulating) / chunks,
        "received": {host: after[host] - before[host] for host in after},
        "tape_and_book": run["object_store_bytes"],
        "read_on": sorted({str(task["address"]) for task in tasks if "read_range" in task["function"]}),
        "book_on": sorted({str(task["address"]) for task in tasks if "assemble" in task["function"]}),
    }, sweep.results().read_bytes()


def measure(count: int, cpus: tuple[int, int], rounds: int) -> tuple[dict[str, Any], dict[int, bytes]]:
    """Every size on one layout: its figures by size, medians and each round; the tables by size."""
    figures: dict[str, Any] = {}
    tables: dict[int, bytes] = {}
    with (
        tempfile.TemporaryDirectory(prefix="sor-sweep-bench-") as folder,
        run_cluster(Path(folder) / "h", cpus, count, STREAM_SECONDS) as running,
    ):
        run_once(running, "warm", COMBINATIONS[0])
        before = received(running)
        time.sleep(IDLE_SECONDS)
        figures["idle_bytes_per_second"] = {
            host: (now - before[host]) / IDLE_SECONDS for host, now in received(running).items()
        }
        for size in COMBINATIONS:
            each = []
            for number in range(rounds):
                measured, table = run_once(running, f"{size}-{number}", size)
                assert tables.setdefault(size, table) == table, "two runs differ"
                each.append(measured)
            figures[str(size)] = {
                "per_second": median(measured["per_second"] for measured in each),
                "overhead_ms_per_chunk": median(measured["overhead_ms_per_chunk"] for measured in each),
                "rounds": each,
            }
    return figures, tables


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="sweeps of each size (default %(default)s)")
    arguments = parser.parse_args(argv)
    if reason := why_not():
        print(f"error: {reason}", file=sys.stderr)
        return 2
    layouts, answers = {}, []
    for name, (count, cpus) in LAYOUTS.items():
        print(f"{name}: up", file=sys.stderr, flush=True)
        layouts[name], tables = measure(count, cpus, arguments.rounds)
        answers.append(tables)
    assert answers[0] == answers[1], "three hosts and one differ"
    about = {"cores": os.cpu_count(), "load_1_5_15_minutes": os.getloadavg(), "book_bytes": book_bytes()}
    print(json.dumps({**about, "layouts": layouts}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
