"""Sums over the fills of many parent orders: when they were, at which venues, and where the mid went afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allocator.fills import MARK_OUTS, joined, matched
from allocator.order import FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.order import Order
    from sweep.statistics.totals import Outcome

FILLED, FEES = (FIELDS.index(name) for name in ("filled", "fees"))


@dataclass(frozen=True, slots=True)
class Filling:
    """The fills of one strategy over all orders.

    Attributes
    ----------
    asked, filled : int
        Shares; those filled that exceed an order are among them.
    waited : int
        Sum over the fills of shares times nanoseconds since the order's start.
    completion : tuple of int
        Shares filled by each tenth of their order's span.
    mark_outs : dict of int to (int, int)
        By seconds: shares times the move of twice the mid so long after each fill, half 1e-9 $, towards the order; and
        the notional of these fills, 1e-9 $.
    venues : dict of int to (int, int)
        By publisher id, ascending: shares, and fees less rebates in 1e-9 $.
    crossed, old : int
        Shares, as of `allocator.fills.VenueFills`.
    """

    asked: int
    filled: int
    waited: int
    completion: tuple[int, ...]
    mark_outs: dict[int, tuple[int, int]]
    venues: dict[int, tuple[int, int]]
    crossed: int
    old: int


def filling(orders: Sequence[Order], outcome: Outcome) -> Filling | None:
    """Add up the fills of one strategy; None where those of an order are unknown."""
    waited = [each for each in outcome.waited if each is not None]
    if len(waited) < len(orders):
        return None
    sums = joined(outcome.venues)
    ids = np.unique(sums.venue)
    at = [np.flatnonzero(sums.venue == venue) for venue in ids]
    return Filling(
        asked=sum(order.size for order in orders),
        filled=exact_sum(outcome.rows[:, FILLED]),
        waited=sum(waited),
        completion=tuple(exact_sum(column) for column in outcome.completion.T),
        mark_outs={
            seconds: (
                exact_sum(getattr(sums, f"mark_out_{seconds}s")),
                exact_sum(getattr(sums, f"marked_notional_{seconds}s")),
            )
            for seconds in MARK_OUTS
        },
        venues={
            int(venue): (exact_sum(sums.shares[own]), exact_sum(sums.fees[own]))
            for venue, own in zip(ids, at, strict=True)
        },
        crossed=exact_sum(sums.crossed),
        old=exact_sum(sums.old),
    )


def exact_sum(column: NDArray[np.int64]) -> int:
    """The sum of up to 2^31 integers, which may lie beyond int64."""
    return (int((column >> 32).sum()) << 32) + int((column & 0xFFFFFFFF).sum())


def rebates(outcome: Outcome) -> NDArray[np.int64]:
    """(N,) int64, the rebates of each order, 0 or below, 1e-9 $; masked where its fills are unknown.

    What a venue charges takers and what it gives orders that rest are apart. Of shares that are sold back, at the end
    of an order, it is what is neither a fee nor a rebate of its fills.
    """
    of_fills = np.zeros((2, len(outcome.rows)), np.int64)
    passive = joined(outcome.passive)
    for sums in (joined(outcome.venues),) if outcome.passive else outcome.venues:
        made = matched(sums, passive, "fees")
        np.add.at(of_fills[0], sums.run, sums.fees)
        np.add.at(of_fills[1], sums.run, np.minimum(sums.fees - made, 0) + np.minimum(made, 0))
    sold_back = outcome.rows[:, FEES] - of_fills[0]
    masked: NDArray[np.int64] = np.ma.masked_array(of_fills[1] + np.minimum(sold_back, 0), mask=unknown(outcome))
    return masked


def unknown(outcome: Outcome) -> NDArray[np.bool_]:
    """(N,) bool, where the fills of an order are unknown."""
    return np.array([waited is None for waited in outcome.waited], np.bool_)
