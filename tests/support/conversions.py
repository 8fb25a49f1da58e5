"""Convert a small file many times on a busy machine: python -m tests.support.conversions --runs 1000.

Each conversion reads a Parquet file, writes a compressed CSV and reads that back, in a process of its own that goes
through the whole end of an interpreter: a thread that still holds an object of Python by then aborts it after its last
line. The processes are forks of one that has imported everything, so that a thousand take minutes. Prints how many
ended how; ends with 1 where one ended otherwise than with 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd  # noqa: F401 - pyarrow imports it, and all of this is imported before the forks
import pyarrow.parquet  # noqa: F401

from feed import cli, source, synthetic  # noqa: F401
from feed.files import conversion, csv_reader, csv_writer, parquet, plan  # noqa: F401

SECONDS = 300
"""After which a conversion is a hang."""


def spin() -> None:
    while True:
        pass


def fork(work) -> int:
    """Start a child that returns what it does, and so ends as an interpreter does; 0 in the child once it has."""
    if pid := os.fork():
        return pid
    work()
    return 0


def convert_once(where: Path, out: Path) -> None:
    """Convert in silence; what is said on stderr stays."""
    signal.alarm(SECONDS)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = cli.main(["convert", str(where), str(out)])
    out.unlink(missing_ok=True)
    sys.exit(code)


def main() -> int:
    parser = argparse.ArgumentParser(description="Convert a small file many times on a busy machine.")
    parser.add_argument("--runs", type=int, default=1000, help="conversions in all (default %(default)s)")
    parser.add_argument("--beside", type=int, default=4, help="conversions at a time (default %(default)s)")
    parser.add_argument("--spinning", type=int, default=2, help="busy loops beside them (default %(default)s)")
    words = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sor-sweep-soak-"))
    where = folder / "in.parquet"
    # in a child: threads that pyarrow started would be missing in a fork
    _, status = os.waitpid(fork(lambda: sys.exit(make(where))), 0)
    if status:
        return 1
    spinning = []
    ended: Counter[int] = Counter()
    running, parent = 0, os.getpid()
    try:
        spinning.extend(fork(spin) for _ in range(words.spinning))
        for number in range(words.runs):
            while running >= words.beside:
                running -= reap(ended, spinning)
            fork(lambda: convert_once(where, folder / f"{number}.csv.zst"))  # noqa: B023 - it is called at once
            running += 1
        while running:
            running -= reap(ended, spinning)
    finally:
        for pid in spinning if os.getpid() == parent else ():  # a child ends through here too
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    for code, times in sorted(ended.items()):
        print(f"{times:6} {f'exit {code}' if code >= 0 else f'signal {-code} (exit {128 - code})'}")
    with suppress(OSError):
        where.unlink()
        folder.rmdir()
    return 0 if set(ended) == {0} else 1


def make(where: Path) -> int:
    """Write the file that is converted."""
    parquet.write_parquet([synthetic.generate(seconds=12, warmup=1)], where)
    return 0


def reap(ended: Counter[int], spinning: list[int]) -> int:
    """Wait for a child; 1 where it was a conversion."""
    pid, status = os.wait()
    if pid in spinning:
        return 0
    ended[os.waitstatus_to_exitcode(status)] += 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
