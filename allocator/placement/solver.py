"""Where to place an order: the optimum of the sample average, how far it may be from the best, and whole lots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allocator.errors import AllocatorError
from allocator.placement.cost import Costs, Placing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.placement.cost import Int64


@dataclass(frozen=True, slots=True)
class Solution:
    """Where an order is placed.

    Attributes
    ----------
    market : int
        M, shares.
    limits : tuple of int
        L_k, shares.
    value : int
        The sum of v(X, xi) over all samples, in the unit of the costs: n V.
    bound : int or None
        No orders have a lower sum; None where it was not asked for. `value - bound` is what the answer can be short of
        at most; what it is short of may be much less, as the bound need not be reached.
    how : str
        From where the answer was reached.
    """

    market: int
    limits: tuple[int, ...]
    value: int
    bound: int | None
    how: str

    @property
    def x(self) -> list[int]:
        """(M, L_1 .. L_K)."""
        return [self.market, *self.limits]


def solve(
    costs: Costs,
    size: int,
    through: Int64,
    *,
    offered: Sequence[tuple[int, int]] | None = None,
    start: Sequence[int] | None = None,
    lot: int = 1,
    bound: bool = False,
) -> Solution:
    """Minimise the sample average of the cost over market and limit orders.

    The cost is not convex, so that no descent is proven to end at the least of it: `bound` says how far away the least
    can be. `allocator.kernels.placement` has the method.

    Parameters
    ----------
    costs : Costs
        In 1e-9 $, or any other whole unit.
    size : int
        S, shares.
    through : (K, n) int64
        Shares that pass the front of our place at each venue, a column for each joint sample.
    offered : sequence of (int, int), optional
        What a market order can buy: shares, and what each of them costs relative to the mid, ascending; by default
        `size` shares at h + f.
    start : sequence of K + 1 int, optional
        Begin at these orders alone, made feasible; otherwise at three places.
    lot : int
        Orders are whole lots of so many shares, and `size` is. Their value exceeds that of whole shares by no more than
        moving each order by less than one lot can: see `in_lots`.
    bound : bool
        Bound the value from below, too.

    Raises
    ------
    AllocatorError
        As `allocator.placement.cost.Placing`; `size` is no whole number of lots; a start of another length.
    """
    from allocator.kernels import placement as kernels

    steps = ((size, costs.taking),) if offered is None else tuple(offered)
    placing = Placing(costs, size, np.minimum(through, size), steps)
    if lot < 1 or size % lot:
        raise AllocatorError(f"size: expected whole lots of {lot} shares, but it had {size}")
    if start is not None and len(start) != placing.orders:
        raise AllocatorError(f"start: expected {placing.orders} orders, but it had {len(start)}")
    x = np.full(placing.orders, -1, np.int64) if start is None else np.maximum(np.array(start, np.int64), 0)
    value = kernels.best(
        size,
        np.ascontiguousarray(placing.through),
        *(np.array(each, np.int64) for each in ([shares for shares, _ in steps], [cost for _, cost in steps])),
        np.array(costs.gains, np.int64),
        costs.theta,
        costs.under,
        costs.over,
        x,
    )
    orders, value = x.tolist(), int(value)
    how = f"descent from {kernels.STARTS} starts" if start is None else "descent from the orders given"
    if lot > 1:
        orders = in_lots(placing, orders, lot)
        value, how = placing.total(orders), f"{how}, then in lots of {lot}"
    least = None
    if bound:
        from allocator.placement.bound import lower_bound

        least = lower_bound(placing, orders)
    return Solution(orders[0], tuple(orders[1:]), value, least, how)


def in_lots(placing: Placing, x: Sequence[int], lot: int) -> list[int]:
    """Round feasible orders to whole lots, then descend by lots.

    The market order is cut to lots and the limit orders are raised to lots. That is feasible: S is in lots, so S - M is
    after the cut, and no limit order is raised above it; and the sum, in lots and above S less one lot, is at least S.
    Each order has moved by less than one lot, so no sample has become dearer by more than a lot of each; from there
    on the value only falls.

    Parameters
    ----------
    placing : Placing
        Its size is a whole number of lots.
    x : sequence of K + 1 int
        Feasible orders, shares.
    lot : int
        Shares.
    """
    market, *limits = x
    orders = [market // lot * lot, *(-(-each // lot) * lot for each in limits)]
    value, moving = placing.total(orders), bool(limits)
    while moving:
        moving = False
        for step in _steps(len(orders)):
            further = [each + lot * change for each, change in zip(orders, step, strict=True)]
            if placing.allows(further) and (lower := placing.total(further)) < value:
                orders, value, moving = further, lower, True
    return orders


def _steps(orders: int) -> Iterator[list[int]]:
    """One lot from each order, or from nowhere, to each other, or to nowhere."""
    for giver in range(orders + 1):
        for taker in range(orders + 1):
            if giver != taker:
                yield [int(k == taker) - int(k == giver) for k in range(orders)]
