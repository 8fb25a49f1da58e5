"""Descendants of this process: found and ended by id where an interrupted start leaves some behind."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 2.0
"""Seconds that they have to end by themselves."""

Started = dict[int, str]
"""Process id to its start time, which tells it from a later process of the same id."""


def descendants(pid: int) -> Started:
    """Every living descendant of a process; none where there is no /proc."""
    parents: dict[int, int] = {}
    started: Started = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)], started[int(entry.name)] = int(fields[1]), fields[19]
    below = {pid}
    while children := {child for child, parent in parents.items() if parent in below} - below:
        below |= children
    return {descendant: started[descendant] for descendant in below - {pid}}


def begun(before: Started) -> Started:
    """Every living descendant of this process that was not there before."""
    return {pid: start_time for pid, start_time in descendants(os.getpid()).items() if before.get(pid) != start_time}


def age(pid: int) -> float:
    """Seconds since a process started; 0 where there is none, or no /proc."""
    with suppress(OSError, ValueError, IndexError):
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")
    return 0.0


def end(processes: Started) -> None:
    """Wait a little for processes to end, then kill those that have not."""
    deadline = time.monotonic() + PATIENCE
    while (survivors := _alive(processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in survivors:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _alive(processes: Started) -> list[int]:
    survivors = []
    for pid, started in processes.items():
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            if fields[19] == started and fields[0] != "Z":
                survivors.append(pid)
    return survivors
