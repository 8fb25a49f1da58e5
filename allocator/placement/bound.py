"""How much cheaper than a placement any other one could be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.book import freeze
from allocator.errors import AllocatorError
from allocator.money import SUM_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.placement.cost import Placing

STEPS: Final = 400
"""Of the ascent: 2 ms for four venues and 500 samples."""


def lower_bound(placing: Placing, x: Sequence[int], *, steps: int = STEPS) -> int:
    """Bound the sum of costs over all samples from below, for whatever orders are allowed.

    The bound is exact arithmetic, see `allocator.kernels.placement_bound`, so it holds; how close it comes to the least
    cost depends on how many prices of samples have to be found. It is tighter than the linear program in which fills
    may be declined, since here they may not.

    Parameters
    ----------
    placing : Placing
    x : sequence of K + 1 int
        Orders that are allowed, the better the tighter: the ascent begins at their shortfalls and aims at their cost.
    steps : int
        Of the ascent, at most.

    Raises
    ------
    AllocatorError
        Sums beyond int64.
    """
    from allocator.kernels import placement_bound as kernels

    costs, size, samples = placing.costs, placing.size, placing.samples
    reached = placing.total(x)
    if not costs.rebates:
        return reached
    short = costs.theta + costs.under
    largest = max(map(abs, costs.gains)) + max((abs(cost) for _, cost in placing.offered), default=0)
    if samples * size * placing.orders * (largest + 3 * short + 2 * costs.theta + costs.over) >= SUM_LIMIT:
        raise AllocatorError("bound: the sums that it takes are beyond what is kept exactly")
    through = np.ascontiguousarray(np.minimum(placing.through, size))
    bought = x[0] + np.minimum(through, np.asarray(x[1:], np.int64)[:, None]).sum(0)
    prices = np.zeros(samples + 1, np.int64)
    prices[:samples] = np.where(bought < size, short, np.where(bought > size, -costs.over, 0))
    order = np.argsort(through, axis=1, kind="stable")
    sizes, steps_at = (np.array([each[at] for each in placing.offered], np.int64) for at in (0, 1))
    gain = np.array(costs.gains, np.int64)
    freeze(through, order, sizes, steps_at, gain)
    relaxed = kernels.Relaxed(size, placing.most, through, order, sizes, steps_at, gain, costs.theta, short, costs.over)
    return int(kernels.ascend(relaxed, reached, steps, prices))
