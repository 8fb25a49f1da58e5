"""The parts of many orders that are judged by themselves, and what is paid in their groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweep.statistics.totals import TOTAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from allocator.order import Side
    from sweep.statistics.orders import Orders
    from sweep.statistics.totals import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Orders that are judged together; None = of every side, or size.

    Attributes
    ----------
    side : str, optional
    size : int, optional
    groups : (M,) int64
        Their groups.
    """

    side: Side | None
    size: int | None
    groups: NDArray[np.int64]


def parts_of(orders: Orders) -> list[Part]:
    """All orders; then each size of both sides; then each side and size: those that are not the same as one before."""
    cells = [(orders.orders[first].side, orders.orders[first].size) for first in orders.edges[:-1]]
    sides, sizes = dict.fromkeys(side for side, _ in cells), dict.fromkeys(size for _, size in cells)
    wanted: list[tuple[Side | None, int | None]] = [(None, None)]
    if len(sizes) > 1:
        wanted += [(None, size) for size in sizes]
    if len(sides) > 1:
        wanted += [(side, size) for side in sides for size in sizes]
    return [
        Part(side, size, np.flatnonzero([side in {None, of} and size in {None, shares} for of, shares in cells]))
        for side, size in wanted
    ]


def paid_by_group(orders: Orders, outcomes: Mapping[str, Outcome]) -> dict[str, NDArray[np.int64]]:
    """(G,) by strategy, what it pays in each group of orders less what it receives, 1e-9 $."""
    signs = np.array(orders.signs, np.int64)
    return {
        name: np.add.reduceat(outcome.rows[:, TOTAL], orders.edges[:-1]) * signs for name, outcome in outcomes.items()
    }


def notional_by_group(orders: Orders, best_ask: Outcome, arrivals: Sequence[int]) -> NDArray[np.float64]:
    """(G,) of the orders of each group at their arrival mids, 1e-9 $; at the cash of best_ask where one has none.

    Parameters
    ----------
    orders : Orders
    best_ask : Outcome
    arrivals : (N,) sequence of int
        Twice each arrival mid, 1e-9 $; 0 = there is none.
    """
    cash = best_ask.rows[:, TOTAL].tolist()
    each = [
        order.size * mid2 / 2 if mid2 else float(paid)
        for order, mid2, paid in zip(orders.orders, arrivals, cash, strict=True)
    ]
    notional: NDArray[np.float64] = np.add.reduceat(np.array(each), orders.edges[:-1])
    return notional
