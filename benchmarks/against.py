"""Two checkouts side by side, such as this one and a worktree of an earlier commit: the same bytes, how much faster.

    git worktree add ../before COMMIT
    python -m benchmarks.against ../before [--rounds 5] [--only NAME]

Both run with this interpreter, each in its own folder. Documents and results.parquet have to be the same bytes but for
what names the run: `run`, and where the quotes were read. Then whole processes are timed in turns.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.support import ROOT

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

TIMED: Final[dict[str, tuple[str, ...]]] = {
    "default run on Ray": (),
    "default run inline": ("executor=inline",),
    "a million combinations inline": (
        "executor=inline",
        *(f"grid.{name}={AXIS}" for name in ("lambda_over", "lambda_under", "theta_queue")),
    ),
}
"""Whole processes that are timed."""


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
    """Wall and CPU seconds of one process and of those that it waited for."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    sweep(folder, *words)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(other: Path, rounds: int, only: str) -> None:
    """Time both checkouts in turns, after a run of each that loads what is compiled; print medians and ratios."""
    for name, words in TIMED.items():
        if only not in name:
            continue
        samples: dict[Path, list[tuple[float, float]]] = {other: [], ROOT: []}
        for number in range(rounds + 1):
            for folder, taken in samples.items():
                sample = timed(folder, words)
                if number:
                    taken.append(sample)
        (wall, cpu), (own_wall, own_cpu) = (
            [median(each[which] for each in taken) for which in (0, 1)] for taken in samples.values()
        )
        print(
            f"{name:32} wall {wall:.2f} -> {own_wall:.2f} s, {wall / own_wall:.2f} times as fast; "
            f"CPU {cpu:.2f} -> {own_cpu:.2f} s, {cpu / own_cpu:.2f}",
            flush=True,
        )


def main() -> int:
    """Compare bytes, then times; 1 where bytes differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=5, help="of timing; 0 = bytes only")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    arguments = parser.parse_args()
    differ = differences(arguments.other.resolve(), arguments.only)
    if arguments.rounds:
        compare(arguments.other.resolve(), arguments.rounds, arguments.only)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
