"""`python -m sweep`, which also notes when combinations were done: ``python stampeddriver.py FOLDER WORD ...``.

FOLDER/stamps has a line for each step: seconds of a monotonic clock, and how many were done. FOLDER/again has a byte
once a chunk ran again. With a file FOLDER/hold, the driver waits before the first combination, names the address of the
node that holds the book in FOLDER/holder, and goes on when FOLDER/go is there. With a number in FOLDER/pace, each chunk
rests for so many seconds before it computes, until FOLDER/go is there: whatever the machine's speed, there is time for
what is to happen in the middle, and nearly always a chunk where it happens.
"""

from __future__ import annotations

import faulthandler
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import sweep.executors.on_ray.meter
import sweep.progress
import sweep.tapes.session
import sweep.tasks
from sweep.cli import main

FOLDER = Path(sys.argv[1])
STALLED = (FOLDER / "stalled").open("w")
STALLED_SECONDS = 3


class Stamped(sweep.progress.Plain):
    """Lines on stderr, and stamps."""

    def started(self, event):
        stamp(event.stored)
        super().started(event)

    def finished(self, event):
        stamp(event.done)
        super().finished(event)


def stamp(done):
    """Note that so many are done; FOLDER/stalled shows where the driver is if nothing more is for seconds."""
    faulthandler.dump_traceback_later(STALLED_SECONDS, file=STALLED)
    with (FOLDER / "stamps").open("a") as stamps:
        print(time.monotonic(), done, file=stamps)


@contextmanager
def open_stamped(stream=None):
    yield Stamped(sys.stderr if stream is None else stream)


def hold(materialise):
    """Materialise, and wait before anything else uses what that gave."""

    def holding(*arguments, **options):
        import ray
        from ray.experimental import get_object_locations

        tapes = materialise(*arguments, **options)
        if (FOLDER / "hold").exists():
            addresses = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
            book = tapes.fetch(0).books[0]
            ray.wait([book], fetch_local=False)
            while not (nodes := get_object_locations([book])[book]["node_ids"]):  # the owner is told a moment later
                time.sleep(0.05)
            holders = [addresses[each] for each in nodes]
            (FOLDER / "holder.part").write_text("\n".join(holders))
            (FOLDER / "holder.part").rename(FOLDER / "holder")
            while not (FOLDER / "go").exists():
                time.sleep(0.05)
            stamp(0)
        return tapes

    return holding


class Counted(sweep.executors.on_ray.meter.RayMeter):
    """Ray's meter, and a file that is there once a chunk ran again."""

    def finished(self, event):
        if event.again:
            (FOLDER / "again").write_bytes(b".")
        super().finished(event)


def paced(folder, seconds):
    """Make `run_chunk` one that rests first; it is sent to the workers by value."""

    def run_chunk(*arguments):
        import time

        from sweep import tasks

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (folder / "go").exists():
            time.sleep(0.02)
        return tasks.run_chunk(*arguments)

    return run_chunk


if (FOLDER / "pace").exists():
    sweep.tasks.run_chunk = paced(FOLDER, float((FOLDER / "pace").read_text()))
sweep.executors.on_ray.meter.RayMeter = Counted
sweep.progress.open_progress = open_stamped
sweep.tapes.session.materialise = hold(sweep.tapes.session.materialise)
if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
