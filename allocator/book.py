"""The book: the dense, carried, uncrossed view of a tape that every policy and baseline trades on (model section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from allocator.errors import AllocatorError

if TYPE_CHECKING:
    from allocator.order import Order, Side
    from feed.tape import Tape

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]
Flags = NDArray[np.bool_]

OFF = -1


@dataclass(frozen=True, slots=True)
class BookRules:
    """How a tape becomes a book.

    Attributes
    ----------
    book : str
        ``consolidated``: a venue's quote stands until it publishes again. ``event``: only this instant's rows.
    uncross : bool
        Hide the older of two quotes that cross.
    stub_band : int
        1e-9 of the best price beyond which a quote is hidden; at most 1e9; `OFF` = none.
    max_age : int
        Nanoseconds after which a quote is hidden; `OFF` = never.
    require : str, optional
        ``ask`` or ``bid``: rows without that side do not exist (classic).
    """

    book: Literal["consolidated", "event"] = "consolidated"
    uncross: bool = True
    stub_band: int = 100_000_000
    max_age: int = OFF
    require: Literal["ask", "bid"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """What is displayed at each of T snapshots by V venues; read-only, shared by all.

    Attributes
    ----------
    ts : (T,) int64
        UTC nanoseconds, strictly ascending; warm-up included.
    venues : (V,) int16
        Publisher ids, ascending: the index order is the id order.
    bid_px, ask_px : (T, V) int64
        1e-9 $, 0 = nothing displayed (none, or hidden).
    bid_sz, ask_sz : (T, V) int32
        Shares displayed.
    bid_moved, ask_moved : (T, V) bool
        The venue's published price changed here, withdrawal included; hiding is no change.
    fresh : (T, V) bool
        The venue published here.
    mid2 : (T,) int64
        Best bid + best ask, 1e-9 $; 0 = one-sided.
    bid_volume, ask_volume : (T,) int64
        Shares of the rows published here, the last one of each venue.
    counts : dict of str to int
        What was crossed, locked and hidden.
    """

    ts: Int64
    venues: Int16
    bid_px: Int64
    ask_px: Int64
    bid_sz: Int32
    ask_sz: Int32
    bid_moved: Flags
    ask_moved: Flags
    fresh: Flags
    mid2: Int64
    bid_volume: Int64
    ask_volume: Int64
    counts: dict[str, int]

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, name).nbytes for name in self.__slots__ if name != "counts")

    def take_side(self, side: Side) -> TakeSide:
        """The side an order of `side` takes from, and the other one."""
        if side == "buy":
            return TakeSide(1, self.ask_px, self.ask_sz, self.ask_moved, self.ask_volume, self.bid_px)
        return TakeSide(-1, self.bid_px, self.bid_sz, self.bid_moved, self.bid_volume, self.ask_px)

    def span(self, order: Order) -> tuple[int, int]:
        """The snapshots [first, past) at which an order acts."""
        first, past = np.searchsorted(self.ts, [order.start, order.end + 1])
        return int(first), int(past)

    def arrival(self, order: Order) -> tuple[int, int]:
        """The snapshot whose mid is the arrival price, and twice that mid (1e-9 $).

        The last snapshot at or before the order's start; if that is one-sided or there is none, the first two-sided
        one after it. (T, 0) where there is none.
        """
        last = int(np.searchsorted(self.ts, order.start, "right")) - 1
        if last >= 0 and self.mid2[last]:
            return last, int(self.mid2[last])
        after = np.flatnonzero(self.mid2[last + 1 :])
        if not len(after):
            return len(self.ts), 0
        found = last + 1 + int(after[0])
        return found, int(self.mid2[found])


@dataclass(frozen=True, slots=True, eq=False)
class TakeSide:
    """The columns an order takes from.

    Attributes
    ----------
    sign : int
        1 for a buy, -1 for a sell: sign * px is what the order minimises.
    px, sz, moved : (T, V)
        Of the side taken from.
    volume : (T,) int64
    other_px : (T, V) int64
        Of the opposite side.
    """

    sign: int
    px: Int64
    sz: Int32
    moved: Flags
    volume: Int64
    other_px: Int64


def build_book(tape: Tape, rules: BookRules) -> Book:
    """Derive the book of a tape, once.

    Parameters
    ----------
    tape : Tape
        Window and warm-up, nothing else.
    rules : BookRules

    Raises
    ------
    AllocatorError
        A band or an age out of range.
    """
    from allocator.kernels import standing

    if not OFF <= rules.stub_band <= 10**9:
        raise AllocatorError(f"stub_band: expected 0 to 1, but it had {rules.stub_band / 1e9}")
    if rules.max_age < OFF:
        raise AllocatorError(f"max_age: expected 0 or more, but it had {rules.max_age} ns")
    rows = slice(None) if rules.require is None else getattr(tape, f"{rules.require}_px") > 0
    ts, venue = tape.ts[rows], tape.venue[rows]
    instants, venues = np.unique(ts), np.unique(venue)
    shape = len(instants), len(venues)
    book = Book(
        ts=instants,
        venues=venues,
        bid_px=np.zeros(shape, np.int64),
        ask_px=np.zeros(shape, np.int64),
        bid_sz=np.zeros(shape, np.int32),
        ask_sz=np.zeros(shape, np.int32),
        bid_moved=np.zeros(shape, np.bool_),
        ask_moved=np.zeros(shape, np.bool_),
        fresh=np.zeros(shape, np.bool_),
        mid2=np.zeros(shape[0], np.int64),
        bid_volume=np.zeros(shape[0], np.int64),
        ask_volume=np.zeros(shape[0], np.int64),
        counts={},
    )
    counts = np.zeros(len(standing.COUNTS), np.int64)
    standing.derive(
        np.ascontiguousarray(ts),
        np.searchsorted(venues, venue).astype(np.int16),
        *(np.ascontiguousarray(column[rows]) for column in (tape.bid_px, tape.ask_px, tape.bid_sz, tape.ask_sz)),
        rules.book == "consolidated",
        rules.uncross,
        rules.stub_band,
        rules.max_age,
        *(getattr(book, name) for name in Book.__slots__[2:-1]),
        counts,
    )
    book.counts.update(zip(standing.COUNTS, counts.tolist(), strict=True))
    return book
