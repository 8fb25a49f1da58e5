"""Which orders' paths a report draws: the median one, the best and the worst by saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.page.paired import Paired
    from sweep.page.reading import Run

KINDS: Final = ("median", "best", "worst")


def shown(run: Run, pairs: Paired) -> Mapping[str, int]:
    """The position of each order that is drawn, by kind: the median first; no order twice, and none without a path.

    Parameters
    ----------
    run : Run
    pairs : Paired
        Of all orders, against the strongest baseline.
    """
    positions = set(run.paths["position"].tolist()) if len(run.paths) else set()
    kept = sorted(positions & set(range(len(pairs.saved))))
    if not kept:
        return {}
    savings = np.nan_to_num(pairs.bps)
    ranked = np.argsort(savings, kind="stable").tolist()
    middle = ranked[(len(ranked) - 1) // 2]
    best, worst = (pick(kept, key=savings.__getitem__) for pick in (max, min))  # the first of equal ones
    chosen: dict[str, int] = {}
    for kind, position in zip(KINDS, (middle, best, worst), strict=True):
        if position in kept and position not in chosen.values():
            chosen[kind] = position
    return chosen


def anchor(position: int) -> str:
    """The link to an order's path."""
    return f"path-{position}"
