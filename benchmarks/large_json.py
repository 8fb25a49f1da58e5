"""A large stream through a real broker as JSON: what replaying it and sweeping over it take, each as one command.

    python -m benchmarks.large_json [--snapshots 600000] [--venues 12] [--codec json]

Needs Java and the broker's files, as the tests do. Prints one line per command: seconds, peak memory, rates.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from feed.files.parquet import write_parquet
from tests.support import ROOT
from tests.support.tapes import dense_tape
from tools.kafka.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: its standard output, seconds, and the most memory that its process held, bytes."""

    out: str
    seconds: float
    peak: int


def ran(*arguments: str) -> Ran:
    """Run ``python -m ...`` to its end; CalledProcessError where it fails."""
    began, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        with subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, stdout=out) as process:
            while process.poll() is None:
                peak = max(peak, peak_of(process.pid))  # what wait4 tells begins with this process's own
                time.sleep(0.05)
        seconds = time.perf_counter() - began
        out.seek(0)
        stdout = out.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, stdout)
    return Ran(stdout, seconds, peak)


def peak_of(pid: int) -> int:
    """The highest RSS of a process so far, bytes; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    match = re.search(r"VmHWM:\s*(\d+)", status)
    return 1024 * int(match[1]) if match else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snapshots", type=int, default=600_000)
    parser.add_argument("--venues", type=int, default=12)
    parser.add_argument("--codec", default="json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sor-sweep-bench-") as scratch:
        file = Path(scratch) / "stream.parquet"
        tape = dense_tape(arguments.snapshots, arguments.venues)
        write_parquet([tape], file)
        print(f"{tape.snapshots:,} snapshots, {tape.rows:,} rows, {arguments.codec}", flush=True)
        (Path(scratch) / "broker").mkdir()
        with Cluster(Path(scratch) / "broker") as cluster:
            cluster.create_topic("quotes")
            place = cluster.address("quotes")
            replayed = ran("feed", "replay", str(file), place, "--codec", arguments.codec)
            say("python -m feed replay FILE kafka://...", replayed, tape.snapshots)
            checked = ran("feed", "check", place, "--json")
            say("python -m feed check kafka://...", checked, tape.snapshots)
            swept = ran("sweep", f"source={place}", "executor=inline", "conventions=classic")
            say("python -m sweep source=kafka://... executor=inline", swept, tape.snapshots)
            feed = json.loads(swept.out)["feed"]
            assert feed["digest"] == tape.digest(), "the tape differs"
            assert feed["snapshots"] == tape.snapshots


def say(command: str, result: Ran, snapshots: int) -> None:
    rate = snapshots / result.seconds
    print(f"{command}: {result.seconds:.1f} s, {rate:,.0f} snapshots/s, peak {result.peak / 1e6:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
