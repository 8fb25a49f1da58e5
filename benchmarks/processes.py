"""What the processes of a command take: CPU seconds of each, and their memory together at its peak.

    python -m benchmarks.processes python -m sweep workers=1

It looks every 50 ms at everything that the command has started, from Linux's /proc; what a process does after the last
look is not seen. Memory is PSS: what several share is shared out among them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sweep.executors.on_ray.processes import descendants

LOOK_SECONDS = 0.05
SHOWN = 12
"""Processes that are listed, those with the most CPU seconds."""


def seconds(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss(pid: int) -> int:
    """Bytes of a process, those that it shares divided among all who do."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> int:
    """Run a command and print what its processes took; its exit code."""
    began = time.perf_counter()
    taken: dict[int, tuple[float, str]] = {}
    peak = 0
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            together = 0
            for pid in descendants(os.getpid()):
                with suppress(OSError, IndexError, StopIteration):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    _, before = taken.get(pid, (0.0, ""))  # one that has ended has no words any more
                    taken[pid] = (seconds(pid), words.strip()[:90] or before)
                    together += pss(pid)
            peak = max(peak, together)
            time.sleep(LOOK_SECONDS)
    print(f"{time.perf_counter() - began:.1f} s, {sum(cpu for cpu, _ in taken.values()):.1f} s of CPU, {peak >> 20} MB")
    for cpu, words in sorted(taken.values(), reverse=True)[:SHOWN]:
        print(f"{cpu:7.2f} s  {words}")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
