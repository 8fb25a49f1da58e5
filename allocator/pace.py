"""How much of an order is due by a snapshot.

These are the targets of baselines that follow the clock or the volume, and of the router where it keeps to such a pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.book import Book, Int64
    from allocator.order import Order, Pace

MINUTE: Final = 60 * 10**9

POV_PERCENT: Final = 1
"""Of the shares displayed by the rows published since the order's start, what `pov` wants to have bought."""


def minutes(order: Order) -> int:
    """The minutes of an order, a part counting as one; at least one."""
    return max(1, -(-(order.end - order.start) // MINUTE))


def minute_of(book: Book, order: Order) -> Int64:
    """(N,) int64, the minute since the order's start of each of its N snapshots."""
    first, past = book.span(order)
    of: Int64 = np.minimum(minutes(order) - 1, (book.ts[first:past] - order.start) // MINUTE)
    return of


def _now(book: Book, order: Order) -> Int64:
    first, past = book.span(order)
    return np.full(past - first, order.size, np.int64)


def _twap(book: Book, order: Order) -> Int64:
    n = minutes(order)
    return np.array([order.size * (k + 1) // n for k in range(n)], np.int64)[minute_of(book, order)]


def _pov(book: Book, order: Order) -> Int64:
    first, past = book.span(order)
    displayed = np.cumsum(book.take_side(order.side).volume[first:past])
    due: Int64 = np.minimum(displayed * POV_PERCENT // 100, order.size)
    return due


TARGETS: Final[dict[Pace, Callable[[Book, Order], Int64]]] = {"now": _now, "twap": _twap, "pov": _pov}
"""(N,) int64, whole shares that are due by each of the N snapshots of an order, by the name of a schedule.

now : all.
twap : floor(S (k + 1) / n) in minute k of n.
pov : `POV_PERCENT` of the shares displayed by the rows published since the order's start, S at most.
"""
