"""Queues of resting orders on a tape: how many shares pass the place of an order that joins one.

An order of ours moves no queue, so that what passes its place depends on where and when it joined alone: of the u
shares that passed by a snapshot an order of L shares has min(L, u) filled. Published quotes do not show who cancels:
`QueueRules` says how much of that is assumed to be ahead.

Prices inside are signed (model section 5): a sell rests on the asks as a buy at negated prices rests on the bids.
`cleared_plain` is the reference, against which `cleared` is tested.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.book import SideLevels
from allocator.errors import AllocatorError
from allocator.money import NANO
from allocator.order import NEUTRAL, RHO, SIGN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from allocator.book import Book, TakeSide
    from allocator.kernels.queues import Ends
    from allocator.order import Side
    from allocator.prints import Prints

    Int64 = NDArray[np.int64]
    Flags = NDArray[np.bool_]

FULL: Final = 2**60
"""Shares that pass where the price trades through or the other side comes to it: any order is filled."""

EVENTS: Final = 64
"""Events of an order that there is room for at first."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What is assumed where the tape does not say it.

    Attributes
    ----------
    phi : int
        1e-9 of the shares cancelled that were ahead of us: 0 is pessimistic, 1e9 optimistic; `NEUTRAL`: as many of
        them as of the shares displayed.
    rho : int
        1e-9 of the shares by which a displayed size decreases that traded, where the book has no prints.
    """

    phi: int = NEUTRAL
    rho: int = RHO

    def __post_init__(self) -> None:
        if self.phi != NEUTRAL and not 0 <= self.phi <= NANO:
            raise AllocatorError(f"phi: expected 0 to 1 or neutral, but it had {self.phi / NANO}")
        if not 0 <= self.rho <= NANO:
            raise AllocatorError(f"rho: expected 0 to 1, but it had {self.rho / NANO}")


@dataclass(frozen=True, slots=True, eq=False)
class Joins:
    """N limit orders of one side; any number of them may rest at a venue at once.

    Attributes
    ----------
    venue : (N,) int64
        Index into the book's venues.
    joined : (N,) int64
        The snapshot behind whose quotes an order joins.
    past : (N,) int64
        The first snapshot whose events no longer count.
    price : (N,) int64
        1e-9 $.
    ahead : (N,) int64
        Shares assumed ahead, 0 to 2^31 - 1, where the snapshot does not show what rests at that price.
    """

    venue: Int64
    joined: Int64
    past: Int64
    price: Int64
    ahead: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Cleared:
    """What became of N limit orders, and the E events of it, ordered by (snapshot, order).

    Attributes
    ----------
    queue : (N,) int64
        Shares ahead at joining; 0 of an order that was refused.
    refused : (N,) bool
        Whether the order, which only rests, would have traded at once: the other side came up to its price.
    ahead : (N,) int64
        Shares ahead in the end; 0 where all is filled.
    order, snapshot : (E,) int64
    through : (E,) int64
        The shares that passed the place of `order` by the end of `snapshot`: above those of the event before, and
        `FULL` where any order is filled.
    """

    queue: Int64
    refused: Flags
    ahead: Int64
    order: Int64
    snapshot: Int64
    through: Int64

    def passed(self) -> Int64:
        """(N,) int64, the shares that passed each order in the end."""
        passed = np.zeros(len(self.queue), np.int64)
        passed[self.order] = self.through  # events ascend: the last one stays
        return passed


def resting(book: Book, side: Side) -> TakeSide:
    """The quotes beside which orders of a side rest, as somebody who takes them sees them: the bids, for a buy."""
    return book.take_side("sell" if side == "buy" else "buy")


@dataclass(slots=True)
class _Queue:
    """One order in its queue; its price is signed, the rest shares.

    Attributes
    ----------
    shown : int
        The size last displayed at the price.
    pending, fresh : int
        Prints at the price that no row has reflected, and of those the ones of this very instant: a row of the same
        stamp may show the book before them.
    """

    price: int
    ahead: int
    shown: int
    pending: int = 0
    fresh: int = 0
    through: int = 0

    def trade(self, price: int, shares: int, *, against: bool, now: bool) -> None:
        """Let a print happen; `against` = it may have taken from the order's side, `now` = at the snapshot's stamp."""
        if price < self.price:
            self.through = FULL
        elif price == self.price and against:
            self._take(shares)
            self.pending += shares
            self.fresh += shares if now else 0

    def _take(self, shares: int) -> None:
        self.through += max(shares - self.ahead, 0)
        self.ahead = max(self.ahead - shares, 0)

    def look(self, size: int, rules: QueueRules, *, printed: bool, published: bool) -> None:
        """See the size that is displayed at the price; `published` = in a row of this snapshot."""
        decrease = max(self.shown - size, 0)
        if printed:
            absorbed = min(decrease, self.pending)
            # a row later than a print shows the book after it
            self.pending = min(self.pending - absorbed, self.fresh) if published else self.pending - absorbed
        else:
            absorbed = decrease * rules.rho // NANO if size else 0  # the price left: no fill
            self._take(absorbed)
        # while anything is ahead, ahead + pending <= shown: neutral takes at most `cancelled`, as the optimistic rule
        cancelled = decrease - absorbed
        if rules.phi == NEUTRAL:
            before = cancelled * self.ahead // max(self.shown - absorbed, self.ahead, 1)
        else:
            before = cancelled * rules.phi // NANO
        self.ahead = min(max(self.ahead - before, 0), size)
        self.shown = size


class _Display:
    """What venues display, by signed prices."""

    def __init__(self, book: Book, side: Side) -> None:
        self._book, self._sign, self._own = book, SIGN[side], resting(book, side)

    def _signed(self, ticks: int) -> int:
        return self._sign * (self._book.base + self._book.tick * ticks)

    def first(self, t: int, v: int) -> tuple[int, int, int]:
        """Ticks and size of a venue's first own level and the ticks of the other side; 0 = none."""
        return int(self._own.ticks[t, v]), int(self._own.sz[t, v]), int(self._own.other_ticks[t, v])

    def crossed(self, t: int, v: int, price: int) -> bool:
        """Whether the other side of a venue is displayed at the price or beyond."""
        other = int(self._own.other_ticks[t, v])
        return other != 0 and self._signed(other) <= price

    def shows(self, t: int, v: int) -> bool:
        """Whether a venue displays a quote on the own side."""
        return bool(self._own.ticks[t, v])

    def size_at(self, t: int, v: int, price: int) -> int | None:
        """Shares displayed at a price; 0 where it is better than the best or between two levels; None = not known."""
        levels = self._own.levels
        shown = [self.first(t, v)[:2]] if self.shows(t, v) else []
        if shown and levels is not None:
            row, count = levels.rows[t, v], levels.count[t, v]
            shown = list(zip(levels.ticks[row, :count].tolist(), levels.sz[row, :count].tolist(), strict=True))
        for ticks, size in shown:
            level = self._signed(ticks)
            if level <= price:
                return int(size) if level == price else 0
        return None


def check(book: Book, joins: Joins) -> None:
    """Refuse orders that no queue of the book could take.

    Raises
    ------
    AllocatorError
        A venue or a snapshot that the book does not have.
    """
    for name, least, past in (
        ("venue", 0, len(book.venues)),
        ("joined", 0, len(book.ts)),
        ("past", 0, len(book.ts) + 1),
        ("ahead", 0, 2**31),
    ):
        column = getattr(joins, name)
        if len(column) and not least <= column.min() <= column.max() < past:
            raise AllocatorError(
                f"joins.{name}: expected {least} to {past - 1}, but it had {column.min()} to {column.max()}"
            )


def cleared_plain(book: Book, side: Side, joins: Joins, rules: QueueRules) -> Cleared:
    """What passes the place of limit orders; one after the other, snapshot by snapshot.

    Parameters
    ----------
    book : Book
    side : str
        Of the parent order: a ``buy`` rests on bids.
    joins : Joins
    rules : QueueRules

    Raises
    ------
    AllocatorError
        As `check`.
    """
    check(book, joins)
    display, sign, prints = _Display(book, side), SIGN[side], book.prints
    published = book.flags_of(book.published)
    queue, refused, left, events = [], [], [], []
    orders = zip(*(getattr(joins, field.name).tolist() for field in fields(Joins)), strict=True)
    for n, (v, joined, past, price, assumed) in enumerate(orders):
        signed = sign * price
        refused.append(display.crossed(joined, v, signed))
        size = display.size_at(joined, v, signed) if display.shows(joined, v) else 0
        ahead = 0 if refused[-1] else assumed if size is None else size
        queue.append(ahead)
        own = _Queue(signed, ahead, ahead)
        for t in range(joined + 1, past if not refused[-1] else 0):
            before, own.fresh = own.through, 0
            for px, shares, taker, ts in _prints(prints, t, v):
                if own.through != FULL:
                    own.trade(sign * px, shares, against=taker != sign, now=ts == book.ts[t])
            is_row = published[t, v]
            if own.through != FULL and (is_row or display.first(t, v) != display.first(t - 1, v)):
                if display.crossed(t, v, signed):
                    own.through = FULL
                elif (size := display.size_at(t, v, signed)) is not None:
                    own.look(size, rules, printed=prints is not None, published=is_row)
            if own.through > before:
                events.append((t, n, own.through))
            if own.through == FULL:
                own.ahead = 0
                break
        left.append(own.ahead)
    snapshot, order, through = np.array(sorted(events), np.int64).reshape(-1, 3).T.copy()
    return Cleared(
        np.array(queue, np.int64), np.array(refused, np.bool_), np.array(left, np.int64), order, snapshot, through
    )


def _prints(prints: Prints | None, t: int, v: int) -> list[tuple[int, int, int, int]]:
    """Price, shares, aggressor and stamp of what traded at a venue since the snapshot before."""
    if prints is None:
        return []
    step = slice(*prints.edges[t : t + 2].tolist())
    at = prints.venue[step] == v
    columns = (getattr(prints, name)[step][at].tolist() for name in ("px", "sz", "side", "ts"))
    return list(zip(*columns, strict=True))


def cleared(book: Book, side: Side, joins: Joins, rules: QueueRules) -> Cleared:
    """The same as `cleared_plain`, compiled."""
    check(book, joins)
    room = EVENTS * (len(joins.venue) + 1)
    ends, events, count = clear(book, side, joins, rules, room)
    if count > room:
        ends, events, _ = clear(book, side, joins, rules, count)
    snapshot, order, through = events[:count].T
    by = np.argsort(snapshot * len(joins.venue) + order)
    return Cleared(ends.queue, ends.refused, ends.ahead, order[by], snapshot[by], through[by])


def clear(book: Book, side: Side, joins: Joins, rules: QueueRules, room: int) -> tuple[Ends, Int64, int]:
    """Run the kernel: ends, (room, 3) int64 events as far as there is room, and how many there were."""
    from allocator.kernels import queues

    own, prints, size = resting(book, side), book.prints, len(joins.venue)
    levels = own.levels or SideLevels(
        np.empty((0, 0), np.int32),
        np.empty((0, 0), np.int8),
        np.empty((0, 0), own.ticks.dtype),
        np.empty((0, 0), np.int32),
    )
    quotes = queues.Quotes(
        book.ts,
        own.ticks,
        own.sz,
        own.other_ticks,
        own.shown,
        book.ask_shown if side == "buy" else book.bid_shown,
        book.published,
        *_read_only(levels.rows, levels.count, levels.ticks, levels.sz),
    )
    dtypes = np.int64, np.int16, np.int64, np.int32, np.int8, np.int64
    traded = queues.Traded(*_read_only(*(np.empty(0, dtype) for dtype in dtypes)))
    if prints is not None:
        traded = queues.Traded(prints.edges, prints.venue, prints.px, prints.sz, prints.side, prints.ts)
    columns = [np.ascontiguousarray(getattr(joins, field.name), np.int64) for field in fields(Joins)]
    orders = queues.Orders(*_read_only(*columns, np.argsort(joins.joined, kind="stable")))
    assumed = queues.Assumed(SIGN[side], book.base, book.tick, rules.phi, rules.rho)
    ends = queues.Ends(
        np.zeros(size, np.int64), np.zeros(size, np.bool_), np.zeros(size, np.int64), np.zeros(size, np.int64)
    )
    events = np.empty((room, 3), np.int64)
    return ends, events, int(queues.clear(quotes, traded, assumed, orders, ends, events))


def _read_only(*columns: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The same as kernels take them; whose they are stays able to write."""
    for column in columns:
        view = column.view()
        view.setflags(write=False)
        yield view
