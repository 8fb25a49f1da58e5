"""One target under atheris, in a process of its own.

python -m fuzz.attack TARGET FINDINGS CORPUS TALLY [options of libFuzzer]

What Python raises is a finding that is written down, once for each place that raises it, and the attack goes on; what
ends the process (a crash in a library, an input that takes too long or too much memory) libFuzzer writes down itself.
The file TALLY holds a JSON object, a few times a second: inputs, how many were accepted, findings. At the end libFuzzer
leaves by the shortest way, which runs nothing of Python's.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from random import Random

import atheris

KERNELS = [
    "feed.files.csv_kernel",
    "feed.files.fields_kernel",
    "feed.files.mbo_kernel",
    "feed.files.price_book_kernel",
    "feed.quality.tally_kernel",
    "allocator.kernels",
]
COMPILED = [] if os.environ.get("NUMBA_DISABLE_JIT") else KERNELS  # numba wants its bytecode as it is

with atheris.instrument_imports(include=["feed", "allocator"], exclude=COMPILED):
    from tests.fuzz.targets import TARGETS, accepted

TELL_SECONDS = 0.2
HUNG_SECONDS = 40
"""After its time is up, a process that is still there says where it hangs, and ends."""

PARTS = 4
"""Of so many changes one is libFuzzer's own, which knows nothing of formats but much of what was compared."""


class Attack:
    """What was tried of one target, and what came of it."""

    def __init__(self, name, findings, seeds, tally):
        self.name, self.target, self.findings, self.tally = name, TARGETS[name], findings, tally
        self.seeds = [path.read_bytes() for path in sorted(seeds.iterdir())]
        self.inputs = self.taken = 0
        self.reported = 0.0
        self.smallest = {}

    def one(self, data):
        """Try an input."""
        self.inputs += 1
        try:
            self.taken += accepted(self.target, data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of a library in Rust is no Exception
            self._note(data, error)
        if time.monotonic() - self.reported > TELL_SECONDS:
            self.tell()

    def _note(self, data, error):
        frames = traceback.extract_tb(error.__traceback__)[-2:]
        place = ", ".join(f"{Path(at.filename).name}:{at.lineno}" for at in frames)
        key = f"{type(error).__name__} at {place}"
        known = self.smallest.get(key)
        if known is not None and len(known) <= len(data):
            return
        self.smallest[key] = data
        stem = f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"  # a smaller input takes its place
        (self.findings / stem).write_bytes(data)
        (self.findings / f"{stem}.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")

    def change(self, data, most, seed):
        """Change an input: mostly so that it gets past the parser; a seed as often, most that is kept is refused."""
        rng = Random(seed)
        if rng.randrange(PARTS) == 0:
            return atheris.Mutate(data, most)
        if rng.randrange(2):
            data = rng.choice(self.seeds)
        for _ in range(rng.randint(1, 2)):
            data = self.target.change(data, rng)
        return data[:most]

    def tell(self):
        """Write the tally, in one step: it may be the last."""
        self.reported = time.monotonic()
        tally = {"inputs": self.inputs, "accepted": self.taken, "findings": sorted(self.smallest)}
        new = self.tally.with_suffix(".new")
        new.write_text(json.dumps(tally), encoding="utf-8")
        new.replace(self.tally)


def main():
    name, findings, corpus, tally, *options = sys.argv[1:]
    attack = Attack(name, Path(findings), Path(corpus), Path(tally))
    arguments = [
        sys.argv[0],
        *(f"-max_len={attack.target.size}", f"-artifact_prefix={Path(findings) / name}-", "-print_final_stats=1"),
        *(*options, corpus),
    ]
    (limit,) = (int(option.partition("=")[2]) for option in options if option.startswith("-max_total_time="))
    faulthandler.dump_traceback_later(limit + HUNG_SECONDS, exit=True)
    atheris.Setup(arguments, attack.one, custom_mutator=attack.change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
