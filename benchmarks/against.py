"""Two checkouts side by side, such as this one and a worktree of an earlier commit: the same bytes, how much faster.

    git worktree add ../before COMMIT
    python -m benchmarks.against ../before [--rounds 5] [--only NAME]

Both run with this interpreter, each in its own folder. Documents and results.parquet have to be the same bytes but for
what names the run: `run`, and where the quotes were read. Then whole processes are timed in turns; then, each in a
process of its own that has run a sweep before, a run from a file, and what a combination more costs the driver.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.feed_bench import write_mbp10
from feed.files.dbn_writer import write_dbn
from feed.synthetic import generate
from feed.tape import no_trades
from tests.support import ROOT
from tests.support.tapes import first_rows, long_tape

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(os.environ.get("SOR_SWEEP_TEST_DATA", ROOT.parent / "shared" / "data"))

EACH_ALONE = (
    "collapse=false",
    "policy=pseudocode",
    "order.size=500000",
    "grid.theta_queue={start: 0, stop: 0.02, num: 400}",
)

SAME: Final[dict[str, tuple[str, ...]]] = {
    "default": (),
    "classic": ("conventions=classic",),
    "whole lots": ("lots_only=true", "step=30", "grid.lambda_under=[0, 0.002, 0.03, .inf]"),
    "pseudocode": ("policy=pseudocode", "order.size=30000"),
    "golden, one venue": (
        *(f"source={DATA / 'l1_day.csv.gz'}", "conventions=classic"),
        *("window.start=2024-08-01T13:36:32Z", "window.end=2024-08-01T13:45:14Z"),
    ),
    "golden, twelve venues": (
        *(f"source={DATA / 'taq_2018-01-02.csv.gz'}", "order.size=20000"),
        *("window.start=2018-01-02T14:35:00Z", "window.end=2018-01-02T15:35:00Z"),
    ),
}
"""Sweeps whose bytes are compared; those of market data where it is."""

AXIS = "{start: 0, stop: 0.09, num: 100}"

MILLION = tuple(f"grid.{name}={AXIS}" for name in ("lambda_over", "lambda_under", "theta_queue"))
CSV, CSV_ROWS, CSV_VENUES = "{csv}", 600_000, 8
"""Stands for a file of Databento's mbp-10 rows; how many rows and venues it has."""

TIMED: Final[dict[str, tuple[str, ...]]] = {
    "default run on Ray": (),
    "default run inline": ("executor=inline",),
    "a million combinations inline": ("executor=inline", *MILLION),
    "600,000 rows of CSV inline": ("executor=inline", f"source={CSV}", "order.size=100000"),
}
"""Whole processes that are timed."""

SCRIPT: Final = """
import json, sys, time
from pathlib import Path
import sweep
from sweep.config import load_config
runs = []
for words in json.loads(sys.argv[1]):
    began = time.perf_counter()
    document = sweep.run(load_config(None, words)).document
    seconds = document["run"]["seconds"]
    (peak,) = (1024 * int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
    runs.append([time.perf_counter() - began, sum(seconds[each] for each in ("calibrate", "sweep", "reduce")), peak])
print(json.dumps(runs))
"""
"""Several sweeps in one process; for each: seconds in all, seconds of the phases that the grid costs, peak of RSS."""

READ: Final = """
import sys, time
from pathlib import Path
from feed.files.dbn_reader import read_dbn
path, depth, took = Path(sys.argv[1]), int(sys.argv[2]), []
for _ in range(4):
    began, used = time.perf_counter(), time.process_time()
    read_dbn(path, depth=depth)
    took.append((time.perf_counter() - began, time.process_time() - used))
print(*(1000 * min(each) for each in zip(*took[1:])))
"""
"""A DBN file read again and again in one process: milliseconds of the quickest, by wall and by CPU."""

DBN: Final = {
    f"DBN {schema}{ending}, depth {depth}": (levels, ending, depth)
    for schema, levels, depths in (("mbp-1", 1, (1,)), ("mbp-10", 10, (1, 10)))
    for ending in (".dbn", ".dbn.zst")
    for depth in depths
}
"""Files of DBN that are read: the levels of their stream, their ending, and the levels that are asked for."""

DBN_SECONDS, DBN_VENUES = 5_400, 8

LINGER_SECONDS = 1.0
"""How long what a run leaves behind may take to end; its CPU time counts."""


def sweep(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the sweep of a checkout to its end; CalledProcessError where it fails."""
    command = [sys.executable, "-m", "sweep", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def bytes_of(stdout: str, output: Path) -> tuple[str, str]:
    """SHA-256 of a document without what names the run, and of its table."""
    document: dict[str, Any] = json.loads(stdout)
    del document["run"]
    for place in ("place", "replay", "partitions"):
        del document["feed"][place]
    (table,) = output.rglob("results.parquet")
    return tuple(hashlib.sha256(each).hexdigest() for each in (json.dumps(document).encode(), table.read_bytes()))  # type: ignore[return-value]


def resumed(folder: Path, output: Path) -> tuple[str, str]:
    """The bytes of a run that is interrupted after its first part, and resumed."""
    command = [sys.executable, "-m", "sweep", "executor=inline", *EACH_ALONE, "--output", str(output)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not list(output.rglob("parts/*.parquet")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    (home,) = (output / "runs").iterdir()
    if process.returncode != 130:
        raise RuntimeError(f"{folder}: it ended with {process.returncode} before it could be interrupted")
    return bytes_of(sweep(folder, "resume", home).stdout, output)


def differences(other: Path, only: str) -> list[str]:
    """The names of sweeps of which this checkout and another one write other bytes."""
    differ = []
    for name, words in {**SAME, "resumed": ()}.items():
        source = next((word.partition("=")[2] for word in words if word.startswith("source=")), None)
        if only not in name or (source is not None and not Path(source).exists()):
            continue
        written = []
        for folder in (other, ROOT):
            with tempfile.TemporaryDirectory() as scratch:
                output = Path(scratch)
                if name == "resumed":
                    written.append(resumed(folder, output))
                else:
                    run = sweep(folder, "executor=inline", *words, "--output", output)
                    written.append(bytes_of(run.stdout, output))
        same = written[0] == written[1]
        print(
            f"{name:32} {'the same bytes' if same else 'DIFFERS'}  {written[1][0][:12]} {written[1][1][:12]}",
            flush=True,
        )
        differ += [] if same else [name]
    return differ


def timed(folder: Path, words: tuple[str, ...]) -> tuple[float, float]:
    """Wall seconds of one process, and the CPU seconds of this machine meanwhile, which should do nothing else.

    Ray's servers do not wait for their workers: what a process knows of the CPU time of its children leaves most out.
    """
    before, began = busy(), time.perf_counter()
    sweep(folder, *words)
    wall = time.perf_counter() - began
    time.sleep(LINGER_SECONDS)
    return wall, busy() - before


def busy() -> float:
    """Seconds for which the CPUs of this machine have worked since it started, as Linux counts them."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def inside(folder: Path, *runs: tuple[str, ...]) -> list[tuple[float, float, int]]:
    """Run sweeps of a checkout in one process; for each what `SCRIPT` measures."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(runs)]
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return [tuple(run) for run in json.loads(ran.stdout.splitlines()[-1])]


def from_file(folder: Path, csv: str) -> tuple[float, ...]:
    """Seconds of a run from a file, in a process that has run one."""
    words = ("executor=inline", f"source={csv}", "order.size=100000")
    return (inside(folder, words, words)[1][0],)


def per_combination(folder: Path, csv: str) -> tuple[float, ...]:  # noqa: ARG001 - as the others
    """Nanoseconds and bytes of the driver's process that a million combinations take beyond a grid of 27, each."""
    small, large = ("executor=inline",), ("executor=inline", *MILLION)
    few, many = (inside(folder, small, *[words] * 5)[1:] for words in (small, large))
    seconds, peak = ([median(run[which] for run in runs) for runs in (many, few)] for which in (1, 2))
    return 1e9 * (seconds[0] - seconds[1]) / 1e6, (peak[0] - peak[1]) / 1e6


def from_dbn(folder: Path, csv: str, levels: int, ending: str, depth: int) -> tuple[float, ...]:
    """Milliseconds of reading a file that lies beside the CSV, by wall and by CPU."""
    path = Path(csv).with_name(f"{levels}{ending}")
    command = [sys.executable, "-c", READ, str(path), str(depth)]
    wall, used = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return float(wall), float(used)


WARM: Final[dict[str, tuple[Callable[[Path, str], tuple[float, ...]], tuple[str, ...]]]] = {
    "600,000 rows of CSV, second run": (from_file, ("s",)),
    "a combination more": (per_combination, ("ns", "bytes")),
    **{
        name: (partial(from_dbn, levels=levels, ending=ending, depth=depth), ("ms wall", "ms CPU"))
        for name, (levels, ending, depth) in DBN.items()
    },
}
"""What is measured in processes that have run a sweep: the function, and the units of what it returns."""


def compare(other: Path, rounds: int, only: str, csv: str) -> None:
    """Measure both checkouts in turns, after a run of each that loads what is compiled; print medians and ratios."""
    measures: dict[str, tuple[Callable[[Path], tuple[float, ...]], tuple[str, ...]]] = {
        name: (partial(timed, words=tuple(word.replace(CSV, csv) for word in words)), ("s wall", "s CPU"))
        for name, words in TIMED.items()
    }
    measures |= {name: (partial(measure, csv=csv), units) for name, (measure, units) in WARM.items()}
    for name, (measure, units) in measures.items():
        if only not in name:
            continue
        samples: dict[Path, list[tuple[float, ...]]] = {other: [], ROOT: []}
        for number in range(rounds + 1):
            for folder, taken in samples.items():
                sample = measure(folder)
                if number:
                    taken.append(sample)
        for which, unit in enumerate(units):
            theirs, ours = ([each[which] for each in taken] for taken in samples.values())
            ratio = median(one / two if two else inf for one, two in zip(theirs, ours, strict=True))
            print(f"{name:32} {median(theirs):8.3g} -> {median(ours):8.3g} {unit}, {ratio:.3g} times less", flush=True)


def write_sources(path: Path, only: str) -> str:
    """Write the file of `CSV`, and beside it those of `DBN` that are asked for."""
    write_mbp10(first_rows(long_tape(CSV_ROWS, CSV_VENUES), CSV_ROWS), path)
    wanted = {(levels, ending) for name, (levels, ending, _) in DBN.items() if only in name}
    for levels in {levels for levels, _ in wanted}:
        tape = generate(seed=3, seconds=DBN_SECONDS, venues=DBN_VENUES, levels=levels)
        quotes = replace(tape, trades=no_trades())
        for ending in (ending for each, ending in wanted if each == levels):
            write_dbn(quotes, path.with_name(f"{levels}{ending}"))
    return str(path)


def main() -> int:
    """Compare bytes, then times; 1 where bytes differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=5, help="of timing; 0 = bytes only")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    arguments = parser.parse_args()
    # A checkout that was installed has its modules compiled; a worktree that may not write them would start slower.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    differ = differences(arguments.other.resolve(), arguments.only)
    if arguments.rounds:
        with tempfile.TemporaryDirectory() as scratch:
            csv = write_sources(Path(scratch) / "mbp-10.csv", arguments.only)
            compare(arguments.other.resolve(), arguments.rounds, arguments.only, csv)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
