"""`python -m sweep`, which also notes when combinations were done: ``python stampeddriver.py FOLDER WORD ...``.

FOLDER/stamps has a line for each step: seconds of a monotonic clock, and how many were done. With a file FOLDER/hold,
the driver waits before the first combination, names the address of the node that holds the book in FOLDER/holder, and
goes on when FOLDER/go is there.
"""

from __future__ import annotations

import faulthandler
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import sweep.progress
import sweep.session
from sweep.cli import main

FOLDER = Path(sys.argv[1])
STALLED = (FOLDER / "stalled").open("w")
STALLED_SECONDS = 3


class Stamped(sweep.progress.Plain):
    """Lines on stderr, and stamps."""

    def start(self, total, done):
        stamp(done)
        super().start(total, done)

    def advance(self, done, *rest):
        stamp(done)
        super().advance(done, *rest)


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
            book = tapes[0].book
            ray.wait([book], fetch_local=False)
            holders = [addresses[each] for each in get_object_locations([book])[book]["node_ids"]]
            (FOLDER / "holder.part").write_text("\n".join(holders))
            (FOLDER / "holder.part").rename(FOLDER / "holder")
            while not (FOLDER / "go").exists():
                time.sleep(0.05)
            stamp(0)
        return tapes

    return holding


sweep.progress.open_progress = open_stamped
sweep.session.materialise = hold(sweep.session.materialise)
if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
