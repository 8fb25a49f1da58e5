"""What fills say beside their sums: at which venues they were, when, and where the mid went afterwards.

A mark-out is the move of the mid after a fill, towards the order: above 0 where a buyer's mid rises. Exact integers, by
run (one order by one strategy) and venue.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.book import Book, Int64
    from allocator.order import Order

SECOND: Final = 10**9

MARK_OUTS: Final = (1, 10, 60)
"""Seconds after a fill at which the mid is looked at."""

OLD: Final = 30 * SECOND
"""Nanoseconds since its venue's last row after which a quote counts as old."""

TENTHS: Final = 10
"""Parts of an order's span at whose ends its completion is counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """N fills of several runs on one book, run after run, in the order of time within each.

    Attributes
    ----------
    run : (N,) int64
        Counted from 0.
    snapshot, venue : (N,) int64
        Indices into the book.
    shares : (N,) int64
    price : (N,) int64
        Before the fee, 1e-9 $.
    passive : (N,) bool
        Whether an order that rested was filled.
    """

    run: Int64
    snapshot: Int64
    venue: Int64
    shares: Int64
    price: Int64
    passive: NDArray[np.bool_]

    @classmethod
    def of(cls, runs: Sequence[Int64 | None]) -> Fills:
        """Join (F, 4) rows of snapshot, venue, shares and price, of each run; None has none.

        A fifth column says which fills are passive, 1 or 0; without it none is.
        """
        none = np.empty((0, 4), np.int64)
        each = [none if rows is None else rows for rows in runs]
        numbers = np.repeat(np.arange(len(each)), [len(rows) for rows in each])
        passive = [rows[:, 4] != 0 if rows.shape[1] > len(none.T) else np.zeros(len(rows), np.bool_) for rows in each]
        rows = np.concatenate([none, *(rows[:, :4] for rows in each)])
        snapshot, venue, shares, price = rows.T
        return cls(numbers, snapshot, venue, shares, price, np.concatenate([np.empty(0, np.bool_), *passive]))

    def passively(self) -> Fills:
        """Those that are passive."""
        return Fills(*(getattr(self, field.name)[self.passive] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class VenueFills:
    """Sums of fills by run and venue, M rows, ascending by both; money in 1e-9 $ or half of it.

    Attributes
    ----------
    run : (M,) int64
    venue : (M,) int64
        Publisher ids.
    fills, shares : (M,) int64
    notional : (M,) int64
        Before fees, 1e-9 $.
    fees : (M,) int64
        Less rebates, 1e-9 $.
    spread : (M,) int64
        Beyond the mid at the time of each fill, half 1e-9 $; above 0 = a loss.
    mark_out_1s, mark_out_10s, mark_out_60s : (M,) int64
        Shares times the move of twice the mid so long after a fill, half 1e-9 $, towards the order; of fills so long
        before the book ends.
    marked_1s, marked_10s, marked_60s : (M,) int64
        Shares of these fills.
    marked_notional_1s, marked_notional_10s, marked_notional_60s : (M,) int64
        Their notional before fees, 1e-9 $.
    crossed : (M,) int64
        Shares filled at snapshots whose best displayed bid is above the best displayed ask.
    old : (M,) int64
        Shares filled at a quote that its venue published more than `OLD` ago.
    """

    run: Int64
    venue: Int64
    fills: Int64
    shares: Int64
    notional: Int64
    fees: Int64
    spread: Int64
    mark_out_1s: Int64
    mark_out_10s: Int64
    mark_out_60s: Int64
    marked_1s: Int64
    marked_10s: Int64
    marked_60s: Int64
    marked_notional_1s: Int64
    marked_notional_10s: Int64
    marked_notional_60s: Int64
    crossed: Int64
    old: Int64

    def of_runs(self, first: int, past: int) -> VenueFills:
        """The rows of the runs [first, past), which are counted from 0 then."""
        rows = slice(*np.searchsorted(self.run, [first, past]))
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return VenueFills(**{**columns, "run": columns["run"] - first})

    def after(self, runs: int) -> VenueFills:
        """The same sums, of runs that come after so many others."""
        return replace(self, run=self.run + runs)


COLUMNS: Final = tuple(field.name for field in fields(VenueFills))
"""The names of all of these columns."""


def joined(parts: Sequence[VenueFills]) -> VenueFills:
    """Sums of fills, part after part."""
    none = np.empty(0, np.int64)
    return VenueFills(**{name: np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in COLUMNS})


def matched(sums: VenueFills, part: VenueFills, column: str) -> Int64:
    """(M,) int64, a column of the sums of some of the fills at the rows of the sums of all of them; 0 where none is."""
    ids = 1 + max(int(each.venue.max(initial=0)) for each in (sums, part))
    values = np.zeros(len(sums.run), np.int64)
    values[np.searchsorted(sums.run * ids + sums.venue, part.run * ids + part.venue)] = getattr(part, column)
    return values


def stood_mids(book: Book) -> Int64:
    """(T,) int64, twice the last mid up to each snapshot, 1e-9 $; before the first, twice the first; 0 without any."""
    has_mid = book.mid2 != 0
    if not has_mid.any():
        return np.zeros(len(book.ts), np.int64)
    last = np.maximum.accumulate(np.where(has_mid, np.arange(len(book.ts)), int(has_mid.argmax())))
    stood: Int64 = book.mid2[last]
    return stood


def by_venue(
    book: Book,
    orders: Sequence[Order],
    fees: Sequence[int],
    maker_fees: Sequence[int],
    fills: Fills,
    stood: Int64 | None = None,
) -> VenueFills:
    """Add up fills by run and venue.

    Parameters
    ----------
    book : Book
    orders : sequence of Order
        Of each run.
    fees, maker_fees : (V,) sequence of int
        What takers, and orders that rested, pay, 1e-9 $ per share.
    fills : Fills
    stood : (T,) int64, optional
        `stood_mids` of the book.
    """
    signs = np.array([order.sign for order in orders], np.int64)[fills.run] if len(orders) else fills.run
    stood, now = stood_mids(book) if stood is None else stood, book.ts[fills.snapshot]
    mid2, shares = stood[fills.snapshot], fills.shares
    columns = {
        "fills": np.ones_like(shares),
        "shares": shares,
        "notional": shares * fills.price,
        "fees": shares * np.array([fees, maker_fees], np.int64)[fills.passive.astype(np.int64), fills.venue],
        "spread": signs * shares * (2 * fills.price - mid2),
    }
    marks, marked, notional = {}, {}, {}
    for seconds in MARK_OUTS:
        after = now + seconds * SECOND
        known = after <= (book.ts[-1] if len(book.ts) else 0)
        later = stood[np.searchsorted(book.ts, after, "right") - 1]
        marks[f"mark_out_{seconds}s"] = np.where(known, signs * shares * (later - mid2), 0)
        marked[f"marked_{seconds}s"] = np.where(known, shares, 0)
        notional[f"marked_notional_{seconds}s"] = np.where(known, columns["notional"], 0)
    columns |= marks | marked | notional
    columns["crossed"] = np.where(_crossed(book, fills.snapshot), shares, 0)
    columns["old"] = np.where(_recent(book, fills), 0, shares)
    key = fills.run * len(book.venues) + fills.venue
    order = np.argsort(key, kind="stable")
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    run, venue = np.divmod(key[order][firsts], max(len(book.venues), 1))
    # one block: many small arrays that are kept, among large ones that are not, would leave holes in memory
    block = np.empty((len(COLUMNS), len(firsts)), np.int64)
    sums = VenueFills(*block)
    sums.run[:], sums.venue[:] = run, book.venues[venue]
    for name, column in columns.items():
        getattr(sums, name)[:] = np.add.reduceat(column[order], firsts) if len(firsts) else 0
    return sums


def _crossed(book: Book, snapshots: Int64) -> NDArray[np.bool_]:
    """(N,) bool, where the best displayed bid is above the best displayed ask."""
    bids, asks = book.bid_ticks[snapshots], book.ask_ticks[snapshots]
    lowest = np.where(asks > 0, asks, np.iinfo(asks.dtype).max).min(axis=1, initial=np.iinfo(asks.dtype).max)
    crossed: NDArray[np.bool_] = bids.max(axis=1, initial=0) > lowest
    return crossed


def _recent(book: Book, fills: Fills) -> NDArray[np.bool_]:
    """(N,) bool, whether the venue of each fill published at most `OLD` before it."""
    recent = np.zeros(len(fills.venue), np.bool_)
    if not len(recent):
        return recent
    since = np.searchsorted(book.ts, book.ts[fills.snapshot] - OLD)
    first, past = int(since.min()), int(fills.snapshot.max()) + 1
    for v in np.unique(fills.venue).tolist():
        at = fills.venue == v
        rows = first + np.flatnonzero(book.published[first:past, v // 64] >> np.uint64(v % 64) & np.uint64(1))
        last = rows[np.maximum(np.searchsorted(rows, fills.snapshot[at], "right") - 1, 0)] if len(rows) else -1
        recent[at] = (last >= since[at]) & (last <= fills.snapshot[at])
    return recent


def completion(book: Book, orders: Sequence[Order], fills: Fills) -> Int64:
    """(R, 10) int64, the shares that each run has filled by each tenth of its order's span."""
    done = np.zeros((len(orders), TENTHS), np.int64)
    starts, ends = (np.array([getattr(order, name) for order in orders], np.int64) for name in ("start", "end"))
    since, span = book.ts[fills.snapshot] - starts[fills.run], np.maximum(ends - starts, 1)[fills.run]
    # the first tenth by whose end, included, the fill is there
    tenth = np.clip(-(-since * TENTHS // span) - 1, 0, TENTHS - 1)
    np.add.at(done, (fills.run, tenth), fills.shares)
    return np.cumsum(done, axis=1)


def waited(book: Book, orders: Sequence[Order], fills: Fills) -> list[int]:
    """Of each run the sum over its fills of shares times nanoseconds since the order's start."""
    starts = np.array([order.start for order in orders], np.int64)
    since = book.ts[fills.snapshot] - starts[fills.run]
    sums, shift = [0] * len(orders), 0
    # so many bits of the time at once that no sum of shares times them leaves int64: a run's shares are below 2^62
    bits = max(61 - int(fills.shares.sum(dtype=np.float64)).bit_length(), 1)
    while (since >> shift).any():
        part = np.zeros(len(orders), np.int64)
        np.add.at(part, fills.run, fills.shares * (since >> shift & (1 << bits) - 1))
        sums = [total + (each << shift) for total, each in zip(sums, part.tolist(), strict=True)]
        shift += bits
    return sums
