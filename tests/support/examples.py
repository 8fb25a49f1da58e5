"""How many examples each property is tried on: few at each run, which begins at another place, many in `make soak`."""

import os

from hypothesis import settings

TIMES = float(os.environ.get("SOR_SWEEP_EXAMPLES", "0.25"))


def examples(count, **others):
    """Settings of a property that `count` examples would try thoroughly."""
    return settings(max_examples=max(round(count * TIMES), 5), **others)
