"""The baselines: schedules that buy at the best quote, for both conventions (model sections 1 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from allocator.engine import ChildOrder, View, best_quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from allocator.book import Book
    from allocator.order import Order, Parameters

MINUTE = 60 * 10**9
INT64 = 2**63 - 1

Conventions = Literal["fair", "classic"]
Follower = Literal["best_ask", "best_available"]
"""The baseline as which a schedule buys what is due: at the best quote displayed, or at the best that is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A policy that follows the clock.

    Attributes
    ----------
    first : int
        The order's first snapshot.
    size : int
        The order in units.
    due : (past - first,) int64, or object where units are finer than int64 holds
        Units: cumulative target at each snapshot; for a burst, what to buy at that snapshot only.
    unit : int
        Units per share.
    burst : bool
        Buy `due` over the venues, lowest price first, and forget what is not available; otherwise buy what is missing
        to the target at the one venue with the best quote, later if need be.
    waits : bool
        The best quote is the best displayed: where its shares are taken already, wait. Otherwise it is the best of
        those that have shares left.
    """

    first: int
    size: int
    due: NDArray[Any]
    unit: int = 1
    burst: bool = False
    waits: bool = False

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:  # noqa: ARG002
        """Buy what is missing to the schedule, whatever the parameters."""
        due = int(self.due[view.snapshot - self.first])
        if self.burst:
            return self._burst(view, min(due, remaining))
        due -= self.size - remaining
        venue = best_quote(view.prices, view.prices if self.waits else view.available)
        if due < self.unit or venue is None or not view.available[venue]:
            return []
        return [ChildOrder(venue, min(due, view.available[venue]), view.prices[venue])]

    def in_whole_shares(self) -> Schedule:
        """The same schedule with targets rounded down to whole shares."""
        return replace(self, size=self.size // self.unit, due=(self.due // self.unit).astype(np.int64), unit=1)

    @staticmethod
    def _burst(view: View, due: int) -> list[ChildOrder]:
        orders, left = [], list(view.available)
        while due and (v := best_quote(view.prices, left)) is not None:
            orders.append(ChildOrder(v, min(due, left[v]), view.prices[v]))
            due -= orders[-1].shares
            left[v] = 0
        return orders

    @property
    def acting(self) -> NDArray[np.intp] | None:
        """The snapshots at which a burst buys; None = any may be one."""
        return self.first + np.flatnonzero(self.due) if self.burst else None


def _whole_order(book: Book, order: Order) -> Schedule:
    first, past = book.span(order)
    return Schedule(first, order.size, np.full(past - first, order.size, np.int64))


def _best_ask(book: Book, order: Order) -> Schedule:
    return replace(_whole_order(book, order), waits=True)


def _minutes(order: Order) -> int:
    return max(1, -(-(order.end - order.start) // MINUTE))


def _fair_bins(book: Book, order: Order) -> NDArray[np.int64]:
    """The minute of each snapshot since the order's start."""
    first, past = book.span(order)
    return np.minimum(_minutes(order) - 1, (book.ts[first:past] - order.start) // MINUTE)


def _openings(bins: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each bin of an ascending column begins."""
    return np.flatnonzero(np.diff(bins, prepend=-1))


def _fair_twap(book: Book, order: Order) -> Schedule:
    n = _minutes(order)
    targets = np.array([order.size * (k + 1) // n for k in range(n)], np.int64)
    return Schedule(book.span(order)[0], order.size, targets[_fair_bins(book, order)])


def _fair_vwap(book: Book, order: Order) -> Schedule:
    n, bins = _minutes(order), _fair_bins(book, order)
    first, past = book.span(order)
    volume, opening = np.zeros(n, np.int64), _openings(bins)
    if len(opening):
        volume[bins[opening]] = np.add.reduceat(book.take_side(order.side).volume[first:past], opening)
    until = np.cumsum(volume).tolist()
    targets = np.array([order.size * v // until[-1] if until[-1] else 0 for v in until], np.int64)
    return Schedule(first, order.size, targets[bins])


def _classic_twap(book: Book, order: Order) -> Schedule:
    first, past = book.span(order)
    since = book.ts[first:past] - book.ts[first] if past > first else np.zeros(0, np.int64)
    n = max(1, int(since[-1]) // MINUTE) if past > first else 1
    # one slice at the first snapshot, one more strictly after each full minute
    slices = 1 + np.minimum(n - 1, np.maximum(since - 1, 0) // MINUTE)
    unit = n // gcd(n, order.size)
    return Schedule(first, order.size * unit, slices * (order.size * unit // n), unit=unit)


def twap_slices(book: Book, order: Order, conventions: Conventions, *, standing: bool) -> tuple[int, int]:
    """How many slices TWAP has, and how many of them show a quote on the side that the order takes from.

    Parameters
    ----------
    book : Book
    order : Order
    conventions : str
    standing : bool
        A quote is shown until the next snapshot, as in a consolidated book, not only at its own instant: a thin stock
        is quoted in minutes without an update, too. After the last snapshot nothing is known.
    """
    first, past = book.span(order)
    shown = book.take_side(order.side).shown[first:past].any(axis=1)
    if conventions == "fair":
        n, bins = _minutes(order), _fair_bins(book, order)
    else:
        since = book.ts[first:past] - book.ts[first] if past > first else np.zeros(0, np.int64)
        n = max(1, int(since[-1]) // MINUTE) if past > first else 1
        bins = np.minimum(n - 1, since // MINUTE)
    until = np.maximum(bins + 1, np.append(bins[1:], 0)) if standing else bins + 1
    edges = np.bincount(bins[shown], minlength=n + 1) - np.bincount(until[shown], minlength=n + 1)
    if standing and first > 0 and past > first and book.take_side(order.side).shown[first - 1].any():
        edges[0] += 1
        edges[bins[0]] -= 1
    return n, int((np.cumsum(edges)[:n] > 0).sum())


def _classic_vwap(book: Book, order: Order) -> Schedule:
    first, past = book.span(order)
    side = book.take_side(order.side)
    since = book.ts[first:past] - book.ts[first] if past > first else np.zeros(0, np.int64)
    shown = side.sz[first:past].sum(axis=1, dtype=np.int64)
    opening = _openings(since // MINUTE)
    volume = np.add.reduceat(shown, opening) if len(opening) else np.zeros(0, np.int64)
    common = gcd(order.size, int(volume.sum()))
    unit = int(volume.sum()) // common or 1
    due = np.zeros(past - first, np.int64 if order.size * unit <= INT64 else object)
    due[opening] = [order.size // common * v for v in volume.tolist()] if volume.any() else 0
    return Schedule(first, order.size * unit, due, unit=unit, burst=True)


SCHEDULES: dict[Conventions, dict[str, Callable[[Book, Order], Schedule]]] = {
    "fair": {"best_ask": _best_ask, "twap": _fair_twap, "vwap": _fair_vwap, "best_available": _whole_order},
    "classic": {"best_ask": _best_ask, "twap": _classic_twap, "vwap": _classic_vwap},
}
"""Every baseline by conventions and name; for a sell, best_ask trades at the best bid."""


def schedules(book: Book, order: Order, conventions: Conventions, follower: Follower) -> dict[str, Schedule]:
    """Make every baseline of a convention.

    Parameters
    ----------
    book, order, conventions
        As `allocator.simulate.run_baselines`.
    follower : str
        As what twap and vwap buy; a burst buys from all venues in any case.
    """
    made = {name: make(book, order) for name, make in SCHEDULES[conventions].items()}
    waits = follower == "best_ask"
    return {name: replace(schedule, waits=waits) if name in FOLLOWING else schedule for name, schedule in made.items()}


FOLLOWING = frozenset({"twap", "vwap"})
"""The baselines that buy as another one."""
