"""arch's tests of many columns, by a stationary bootstrap: python -m benchmarks.peers.bootstrap_tests SAVINGS.npy.

The matrix holds what each column saves against the baseline in each block; a loss is what it does not.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from arch.bootstrap import SPA, StepM

from benchmarks.peers.serving import per_run, serve, took

DRAWS, BLOCK = 1_000, 2
LEVEL = 0.05


def main(path: str) -> None:
    savings = np.load(path)
    losses, benchmark = -savings, np.zeros(len(savings))

    def computed(test, **options):
        known = test(benchmark, losses, reps=DRAWS, block_size=BLOCK, seed=1, **options)
        known.compute()
        return known

    runs = {
        "stepm": partial(per_run, partial(took, partial(computed, StepM, size=LEVEL))),
        "spa": partial(per_run, partial(took, partial(computed, SPA))),
        "superior": lambda: [int(each) for each in computed(StepM, size=LEVEL).superior_models],
        "p": lambda: float(computed(SPA).pvalues["consistent"]),
    }
    serve("arch", runs)


if __name__ == "__main__":
    main(*sys.argv[1:])
