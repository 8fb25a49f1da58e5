"""Outflow of queues in windows of a tape: what the `placement` policy takes the next window to bring.

The xi of a window and venue is what left the front of the queue that stood at its start: of those ahead what traded or
was cancelled, and what traded beyond them. Windows overlap; all venues of one are together, as one row of a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from allocator.fills import stood_mids
from allocator.order import SIGN
from allocator.posting import joinable, level_of
from allocator.queues import FULL, Joins, clear, cleared_plain, resting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book, Int64, TakeSide
    from allocator.order import Side
    from allocator.queues import Flags, QueueRules


@dataclass(frozen=True, slots=True, eq=False)
class Outflow:
    """W windows; of one that is not usable all is 0 but its start, end and volume.

    Attributes
    ----------
    start, end : (W,) int64
        UTC nanoseconds. An order joins behind what stands at the start; steps up to the end count.
    xi : (W, V) int64
        Shares; `FULL` where any order would have been filled, 0 where a venue shows nothing to join.
    usable : (W,) bool
        Whether an order could join somewhere and there was a mid by then, and the tape reaches the end.
    mid2_start, mid2_end : (W,) int64
        `allocator.fills.stood_mids` at both, 1e-9 $.
    c2_end : (W,) int64
        Twice the lowest signed taker cost that is displayed at the end, 1e-9 $; 0 = none.
    queue : (W,) int64
        Shares displayed where orders join, all venues together.
    volume : (W,) int64
        Shares that traded against the side rested on, at any price; without prints those by which the best quotes
        decrease (`allocator.kernels.queues.decreases`). 0 of a window that reaches beyond the tape.
    """

    start: Int64
    end: Int64
    xi: Int64
    usable: Flags
    mid2_start: Int64
    mid2_end: Int64
    c2_end: Int64
    queue: Int64
    volume: Int64


def outflow(
    book: Book,
    side: Side,
    fees: Sequence[int],
    length: int,
    stride: int,
    posting: str,
    rules: QueueRules,
    first_window: int,
    past_window: int,
) -> Outflow:
    """Measure the windows [first_window, past_window) of the grid of starts book.ts[0] + i * stride.

    Parameters
    ----------
    book : Book
    side : str
        Of the parent order.
    fees : (V,) sequence of int
        Taker fees, 1e-9 $ per share.
    length, stride : int
        Nanoseconds, above 0.
    posting : str
        As of `allocator.posting.joinable`.
    rules : QueueRules
    first_window, past_window : int

    Raises
    ------
    AllocatorError
        A posting that is none.
    """
    start, end, joined, past, usable = _spans(book, length, stride, first_window, past_window)
    recorded = (joined >= 0) & (end <= book.ts[-1]) if len(book.ts) else usable
    volume = _volume(book, resting(book, side), SIGN[side], joined[recorded], past[recorded])
    at, last = np.where(usable, joined, 0), np.where(usable, past - 1, 0)
    own, shape = resting(book, side), (len(start), len(book.venues))
    px = joinable(book, side, posting, at)[0] if usable.any() else np.zeros(shape, np.int64)
    window, venue = np.nonzero((px != 0) & usable[:, None])
    joins = Joins(venue, at[window], last[window] + 1, px[window, venue], np.zeros(len(venue), np.int64))
    ends, _, _ = clear(book, side, joins, rules, 0)
    xi, queue = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    taken = ~ends.refused
    xi[window, venue] = np.where(ends.through == FULL, FULL, np.where(taken, ends.queue - ends.ahead + ends.through, 0))
    queue[window, venue] = ends.queue
    usable[:] = False
    usable[window[taken]] = True
    stood = stood_mids(book) if len(book.ts) else np.zeros(1, np.int64)
    columns = {
        "mid2_start": stood[at],
        "mid2_end": stood[last],
        "c2_end": _costs2(book, own, SIGN[side], fees, last) if len(venue) else np.zeros_like(at),
        "queue": queue.sum(axis=1),
    }
    columns = {name: np.where(usable, each, 0) for name, each in columns.items()}
    columns["volume"] = np.zeros_like(at)
    columns["volume"][recorded] = volume
    return Outflow(start, end, xi, usable, **columns)


def _spans(book: Book, length: int, stride: int, first: int, past: int) -> tuple[Int64, Int64, Int64, Int64, Flags]:
    """Start and end of windows, the snapshot that stands at each start, the one past each end, and which are usable."""
    origin = int(book.ts[0]) if len(book.ts) else 0
    start = origin + stride * np.arange(first, past, dtype=np.int64)
    end = start + length
    joined, beyond = book.ts.searchsorted(start, "right") - 1, book.ts.searchsorted(end, "right")
    two_sided = np.flatnonzero(book.mid2)
    usable = np.zeros(len(start), np.bool_)
    if len(two_sided):
        usable = (joined >= two_sided[0]) & (end <= book.ts[-1])
    return start, end, joined, beyond, usable


def _costs2(book: Book, own: TakeSide, sign: int, fees: Sequence[int], snapshots: Int64) -> Int64:
    """Twice the lowest signed taker cost displayed, (S,) int64; 0 = none."""
    ticks = own.other_ticks[snapshots].astype(np.int64)
    none = np.iinfo(np.int64).max
    costs = np.where(ticks != 0, sign * (book.base + book.tick * ticks) + np.array(fees, np.int64), none).min(axis=1)
    return np.where(costs == none, 0, 2 * costs)


def _volume(book: Book, own: TakeSide, sign: int, joined: Int64, past: Int64) -> Int64:
    """(S,) int64, `Outflow.volume` of the snapshots (joined, past)."""
    from allocator.kernels import queues

    if not len(joined):
        return np.zeros(0, np.int64)
    first, last = int(joined.min()) + 1, int(past.max())
    if book.prints is None:
        each = np.zeros(last - first + 1, np.int64)
        queues.decreases(own.ticks, own.sz, sign, first, each[1:])
        sums = np.cumsum(each)
        return sums[past - first] - sums[joined + 1 - first]
    low, high = int(book.prints.edges[first]), int(book.prints.edges[last])
    shares = np.where(book.prints.side[low:high] != sign, book.prints.sz[low:high], 0)
    sums = np.concatenate([[0], np.cumsum(shares, dtype=np.int64)])
    return sums[book.prints.edges[past] - low] - sums[book.prints.edges[joined + 1] - low]


def outflow_plain(
    book: Book,
    side: Side,
    fees: Sequence[int],
    length: int,
    stride: int,
    posting: str,
    rules: QueueRules,
    first_window: int,
    past_window: int,
) -> Outflow:
    """The same, window by window."""
    windows = [
        _window(book, side, fees, posting, rules, start, start + length)
        for start in (
            int(book.ts[0]) + stride * i if len(book.ts) else stride * i for i in range(first_window, past_window)
        )
    ]
    rows = [[getattr(each, field.name) for each in windows] for field in fields(Outflow)]
    start, end, xi, usable, *others = rows
    return Outflow(
        np.array(start, np.int64),
        np.array(end, np.int64),
        np.array(xi, np.int64).reshape(-1, len(book.venues)),
        np.array(usable, np.bool_),
        *(np.array(each, np.int64) for each in others),
    )


@dataclass(frozen=True, slots=True)
class _Window:
    """A row of `Outflow`."""

    start: int
    end: int
    xi: Sequence[int]
    usable: bool = False
    mid2_start: int = 0
    mid2_end: int = 0
    c2_end: int = 0
    queue: int = 0
    volume: int = 0


def _window(
    book: Book, side: Side, fees: Sequence[int], posting: str, rules: QueueRules, start: int, end: int
) -> _Window:
    """Measure one window."""
    sign, own, venues = SIGN[side], resting(book, side), len(book.venues)
    until = [t for t in range(len(book.ts)) if book.ts[t] <= end]
    joined = max((t for t in until if book.ts[t] <= start), default=-1)
    if joined < 0 or end > book.ts[-1]:
        return _Window(start, end, [0] * venues)
    volume = sum(_traded(book, own, sign, t) for t in range(joined + 1, until[-1] + 1))
    nothing = _Window(start, end, [0] * venues, volume=volume)
    if not book.mid2[: joined + 1].any():
        return nothing
    prices = {v: px for v in range(venues) if (px := _price(book, side, posting, joined, v))}
    joins = [(v, joined, until[-1] + 1, px, 0) for v, px in prices.items()]
    done = cleared_plain(book, side, Joins(*np.array(joins, np.int64).reshape(-1, 5).T), rules)
    if done.refused.all():
        return nothing
    xi = dict.fromkeys(range(venues), 0)
    for v, queue, ahead, passed in zip(
        prices, done.queue.tolist(), done.ahead.tolist(), done.passed().tolist(), strict=True
    ):
        xi[v] = FULL if passed == FULL else queue - ahead + passed
    asks = zip(book.price_list(own.other_ticks[until[-1]].tolist()), fees, strict=True)
    stood = stood_mids(book).tolist()
    return _Window(
        start,
        end,
        list(xi.values()),
        usable=True,
        mid2_start=stood[joined],
        mid2_end=stood[until[-1]],
        c2_end=2 * min((sign * px + fee for px, fee in asks if px), default=0),
        queue=sum(done.queue.tolist()),
        volume=volume,
    )


def _price(book: Book, side: Side, posting: str, t: int, v: int) -> int:
    """The price at which an order is posted at a venue, 1e-9 $; 0 where there is nothing to join."""
    sign, own, level = SIGN[side], resting(book, side), level_of(posting)
    displayed = book.price_list(own.ticks[t].tolist())
    if not displayed[v] or level == 0:
        return displayed[v]
    if level < 0:
        best = max(sign * px for px in displayed if px)
        inside = best + (10**7 if abs(best) >= 10**9 else 10**5)  # a cent, below a dollar a hundredth of one
        others = [sign * px for px in book.price_list(own.other_ticks[t].tolist()) if px]
        return sign * inside if others and inside < min(others) else 0
    if own.levels is None or own.levels.count[t, v] <= level:
        return 0
    return book.price_list(own.levels.ticks[own.levels.rows[t, v]].tolist())[level]


def _traded(book: Book, own: TakeSide, sign: int, t: int) -> int:
    """What traded against a side at a snapshot, or by how much its best quotes decreased."""
    if book.prints is not None:
        step = slice(*book.prints.edges[t : t + 2].tolist())
        sides = zip(book.prints.sz[step].tolist(), book.prints.side[step].tolist(), strict=True)
        return sum(shares for shares, side in sides if side != sign)
    gone = 0
    for (before, size), (now, left) in zip(*(_quotes(own, each) for each in (t - 1, t)), strict=True):
        if before and now and sign * now <= sign * before:
            gone += max(size - (left if now == before else 0), 0)
    return gone


def _quotes(own: TakeSide, t: int) -> list[tuple[int, int]]:
    """Ticks and shares of each venue."""
    return list(zip(own.ticks[t].tolist(), own.sz[t].tolist(), strict=True))
