"""The baselines that follow the clock or the quotes: schedules, for both conventions (model sections 1 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import gcd
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from allocator import pace, splits
from allocator.engine import ChildOrder, View, best_quote
from allocator.errors import AllocatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from allocator.book import Book
    from allocator.engine import Policy
    from allocator.order import Order, Pace, Parameters

    Make = Callable[[Book, Order], Policy]

MINUTE = pace.MINUTE
INT64 = 2**63 - 1

Conventions = Literal["fair", "classic"]
Follower = Literal["best_ask", "best_available"]
"""The baseline as which a schedule buys what is due: at the best quote displayed, or at the best that is left."""

How = Literal["best_ask", "best_available", "pro_rata", "burst", "cross"]
"""How a schedule buys what is due at a snapshot.

best_ask : at the one venue with the best price displayed; where its shares are taken already, it waits.
best_available : at the one venue with the best price among those that have shares left.
pro_rata : at all venues with the best price displayed, split by the shares that each displays; a part waits where the
    venue that it is for has fewer left.
burst : over all venues, the best price first, and what is not available is forgotten.
cross : the same, the least cost first, fees included.
"""

AT_ONCE: Final = frozenset({"burst", "cross"})
"""What is due is due at that snapshot alone; otherwise the target is cumulative, and what is missing bought later."""

LOOKING_AHEAD: Final = frozenset({"vwap", "clairvoyant"})
"""The baselines that use what nobody knows at the time: the volume of the whole span, or all of its quotes."""


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
        Units: cumulative target at each snapshot; `AT_ONCE`, what to buy at that snapshot only.
    unit : int
        Units per share.
    how : str
        One of `How`.
    """

    first: int
    size: int
    due: NDArray[Any]
    unit: int = 1
    how: How = "best_available"

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:  # noqa: ARG002
        """Buy what is missing to the schedule, whatever the parameters."""
        bought, least = (0, 1) if self.how in AT_ONCE else (self.size - remaining, self.unit)
        due = min(int(self.due[view.snapshot - self.first]) - bought, remaining)
        split = _BUYING[self.how](view, due) if due >= least else {}
        return [ChildOrder(v, shares, view.prices[v]) for v, shares in split.items() if shares]

    def in_whole_shares(self) -> Schedule:
        """The same schedule with targets rounded down to whole shares."""
        return replace(self, size=self.size // self.unit, due=(self.due // self.unit).astype(np.int64), unit=1)

    @property
    def acting(self) -> NDArray[np.intp] | None:
        """The snapshots at which something is due `AT_ONCE`; None = any may be one."""
        return self.first + np.flatnonzero(self.due) if self.how in AT_ONCE else None


def _at_one(view: View, due: int, venue: int | None) -> dict[int, int]:
    return {} if venue is None else {venue: min(due, view.available[venue])}


def _by_size(view: View, due: int) -> dict[int, int]:
    """Over the venues that display the best price, each up to what is left there."""
    best = best_quote(view.prices, view.prices)
    if best is None:
        return {}
    touch = [v for v, px in enumerate(view.prices) if px == view.prices[best]]
    split = splits.pro_rata(due, [view.displayed[v] for v in touch])
    return {v: min(shares, view.available[v]) for v, shares in zip(touch, split, strict=True)}


def _in_turn(view: View, due: int, venues: Iterable[int]) -> dict[int, int]:
    split = {}
    for v in venues:
        split[v] = min(due, view.available[v])
        due -= split[v]
    return split


def _by_price(view: View) -> list[int]:
    return sorted((v for v, shares in enumerate(view.available) if shares), key=lambda v: (view.prices[v], v))


_BUYING: dict[How, Callable[[View, int], dict[int, int]]] = {
    "best_ask": lambda view, due: _at_one(view, due, best_quote(view.prices, view.prices)),
    "best_available": lambda view, due: _at_one(view, due, best_quote(view.prices, view.available)),
    "pro_rata": _by_size,
    "burst": lambda view, due: _in_turn(view, due, _by_price(view)),
    "cross": lambda view, due: _in_turn(view, due, splits.by_cost(view.costs, view.available)),
}
"""Shares (in units) by supply of what is due."""


def _whole_order(book: Book, order: Order) -> Schedule:
    return _by_target(book, order, "now")


def _by_target(book: Book, order: Order, name: Pace) -> Schedule:
    return Schedule(book.span(order)[0], order.size, pace.TARGETS[name](book, order))


def _best_ask(book: Book, order: Order) -> Schedule:
    return replace(_whole_order(book, order), how="best_ask")


def _pro_rata(book: Book, order: Order) -> Schedule:
    return replace(_whole_order(book, order), how="pro_rata")


def _sweep_now(book: Book, order: Order) -> Schedule:
    """All at the first snapshot that displays anything, at any price."""
    first, past = book.span(order)
    due = np.zeros(past - first, np.int64)
    due[np.flatnonzero(book.take_side(order.side).shown[first:past].any(axis=1))[:1]] = order.size
    return Schedule(first, order.size, due, how="cross")


def _openings(bins: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each bin of an ascending column begins."""
    return np.flatnonzero(np.diff(bins, prepend=-1))


def _fair_vwap(book: Book, order: Order) -> Schedule:
    n, bins = pace.minutes(order), pace.minute_of(book, order)
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
        n, bins = pace.minutes(order), pace.minute_of(book, order)
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
    return Schedule(first, order.size * unit, due, unit=unit, how="burst")


SCHEDULES: dict[Conventions, dict[str, Callable[[Book, Order], Schedule]]] = {
    "fair": {
        "best_ask": _best_ask,
        "twap": partial(_by_target, name="twap"),
        "vwap": _fair_vwap,
        "best_available": _whole_order,
        "sweep_now": _sweep_now,
        "pov": partial(_by_target, name="pov"),
        "pro_rata": _pro_rata,
    },
    "classic": {"best_ask": _best_ask, "twap": _classic_twap, "vwap": _classic_vwap},
}
"""Every schedule by conventions and name; for a sell, best_ask trades at the best bid."""


def schedules(book: Book, order: Order, conventions: Conventions, follower: Follower) -> dict[str, Schedule]:
    """Make every baseline of a convention.

    Parameters
    ----------
    book, order, conventions
        As `allocator.simulate.run_baselines`.
    follower : str
        As what the baselines of `FOLLOWING` buy, but for those that buy `AT_ONCE`.
    """
    made = {name: make(book, order) for name, make in SCHEDULES[conventions].items()}
    following = {name: replace(made[name], how=follower) for name in FOLLOWING & made.keys()}
    return made | {name: schedule for name, schedule in following.items() if made[name].how not in AT_ONCE}


BASELINES: Final = (
    "best_ask",
    "twap",
    "vwap",
    "best_available",
    "sweep_now",
    "pov",
    "pro_rata",
    "touch",
    "clairvoyant",
)
"""The names of all baselines: those of `SCHEDULES`, and what `allocator.simulate` runs beside them."""


def check_schedule(schedule: Schedule, book: Book, order: Order) -> None:
    """Refuse (AllocatorError) a schedule of somebody else's that is not one of this order."""
    first, past = book.span(order)
    due = schedule.due
    if schedule.how not in get_args(How):
        raise AllocatorError(f"how: expected one of {', '.join(get_args(How))}, but it had {schedule.how!r:.40}")
    if type(schedule.unit) is not int or schedule.unit < 1 or schedule.size != order.size * schedule.unit:
        raise AllocatorError(f"size: expected {order.size} shares in 1/unit of a share, but it had {schedule.size}")
    if schedule.first != first or getattr(due, "shape", None) != (past - first,) or due.dtype != np.int64:
        raise AllocatorError(f"due: expected ({past - first},) int64, one for each snapshot from {first} on")
    if len(due) and not 0 <= int(due.min()) <= int(due.max()) <= schedule.size:
        raise AllocatorError(f"due: expected 0 to {schedule.size}, but it had {int(due.min())} to {int(due.max())}")
    if schedule.how in AT_ONCE and sum(due.tolist()) > schedule.size:
        raise AllocatorError(f"due: expected {schedule.size} in all to buy at once, but it had {sum(due.tolist())}")


FOLLOWING: Final = frozenset({"twap", "vwap", "pov"})
"""The baselines that buy as another one."""
