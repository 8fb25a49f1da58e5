"""Measure every case, print the table, write results.json and machine.json beside this file.

Run by ``make bench``; options by ``make bench ARGS=--quick``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    allocator_bench,
    dbn_bench,
    feed_bench,
    kafka_bench,
    peers_bench,
    placed_bench,
    placement_bench,
    queues_bench,
    readers_bench,
    report_bench,
    statistics_bench,
    sweep_bench,
)
from benchmarks.frame import Absent, Case, Scale, measure, table
from sweep.environment import cpu_name

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent

CASES: tuple[Case, ...] = (
    *allocator_bench.CASES,
    *queues_bench.CASES,
    *peers_bench.CASES,
    *placement_bench.CASES,
    *placed_bench.CASES,
    *statistics_bench.CASES,
    *feed_bench.CASES,
    *dbn_bench.CASES,
    *readers_bench.CASES,
    *kafka_bench.CASES,
    *sweep_bench.CASES,
    *report_bench.CASES,
)

VERSIONED = (
    "sor-sweep",
    "numpy",
    "numba",
    "pandas",
    "pyarrow",
    "polars",
    "msgspec",
    "ray",
    "kafka-python",
    "confluent-kafka",
    "highspy",
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds: not to quote")
    parser.add_argument("--only", metavar="NAME", action="append", help="cases whose name holds NAME; may be repeated")
    parser.add_argument("--rounds", metavar="N", type=int, help="samples of each side, for every case")
    arguments = parser.parse_args(argv)
    if not __debug__:
        parser.error("asserts guard the figures: run without -O")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    chosen = [case for case in CASES if not arguments.only or any(name in case.name for name in arguments.only)]
    if not chosen:
        parser.error(f"--only: there is none of that name; the cases are {', '.join(case.name for case in CASES)}")

    machine = describe_machine() | {"quick": arguments.quick, "load_before": os.getloadavg()}
    began = time.perf_counter()
    measured = []
    for case in chosen:
        print(f"measuring {case.name}", file=sys.stderr)
        rounds = arguments.rounds or (case.quick_rounds if arguments.quick else case.rounds)
        with tempfile.TemporaryDirectory(prefix="sor-sweep-bench-") as scratch, ExitStack() as closing:
            try:
                measured.append(measure(case, case.prepare(Scale(arguments.quick, Path(scratch), closing)), rounds))
            except Absent as error:
                print(f"left out {case.name}: {error}", file=sys.stderr)
    machine |= {"load_after": os.getloadavg(), "seconds": round(time.perf_counter() - began, 1)}

    figures = [asdict(figure) for each in measured for figure in each.figures]
    (HERE / "results.json").write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n")
    (HERE / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    print(table(measured))
    print(
        f"\n{machine['cpu']}, {machine['cores']} cores; Python {machine['python']}; {machine['seconds']:.0f} s in all"
    )
    print("load average {:.1f} before, {:.1f} after".format(machine["load_before"][0], machine["load_after"][0]))
    return 0


def describe_machine() -> dict[str, object]:
    """What the figures were measured on; no name of the machine."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in VERSIONED},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
