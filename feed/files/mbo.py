"""Orders (the schema mbo) folded into the price levels that rows of a tape show.

A book is that of one publisher and instrument. An event is what its records up to one flagged F_LAST say; a row shows
the book after an event that changed its first levels. Adds, modifies, cancels and clears change a book. Trades and
fills do not: the cancels that come with them do (databento.com/docs/examples/order-book/order-tracking).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feed.tape import Int32, Int64

ROWS = 2**12
"""Rows that a call of the kernel writes at most."""

COLUMNS = MappingProxyType(
    {
        "publisher_id": "<u2",
        "instrument_id": "<u4",
        "order_id": "<u8",
        "price": "<i8",
        "size": "<u4",
        "flags": "u1",
        "action": "u1",
        "side": "u1",
    }
)
"""What the fold wants of each record, and in which types."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What books show after events, in the order of the events.

    Attributes
    ----------
    at : (R,) int64
        Index of the record that ends the event.
    px, sz : (R, 2, D) int64, int32
        Bids and asks, best first, 1e-9 $ and shares; 0 = no level.
    """

    at: Int64
    px: Int64
    sz: Int32


class UnfitError(ValueError):
    """A number that no tape holds.

    Attributes
    ----------
    at : int
        Index of the record.
    what : str
        The number, and what was expected.
    """

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


class Fold:
    """Books of orders, block of records after block.

    Parameters
    ----------
    depth : int
        Levels of a side that rows show.
    """

    def __init__(self, depth: int, *, slots: int = 2**10) -> None:
        from feed.files import mbo_kernel

        self._kernel = mbo_kernel
        self._state = np.zeros(mbo_kernel.STATE, np.int64)
        self._state[mbo_kernel.SEED] = 0x9E3779B9
        self._orders = _orders(slots)
        self._levels = _levels(slots)
        self._books = (np.zeros(8, np.uint64), np.full(8, -1, np.int32))
        self._sides = _sides(4, depth)
        self._rows = (np.zeros(ROWS, np.int64), np.zeros((ROWS, 2, depth), np.int64), np.zeros((ROWS, 2, depth), "<i4"))

    @property
    def nbytes(self) -> int:
        """Bytes that orders, levels and books take."""
        return sum(each.nbytes for part in (self._orders, self._levels, self._books, self._sides) for each in part)

    @property
    def unfinished(self) -> int:
        """Books that changed after their last finished event."""
        return int(np.count_nonzero(self._sides[-1]))

    def counts(self) -> dict[str, int]:
        """How many records were not as they should be, by kind."""
        kernel = self._kernel
        places = {
            "unknown_order": kernel.UNKNOWN,
            "unusable_order": kernel.UNUSABLE,
            "new_by_modify": kernel.NEW_BY_MODIFY,
            "repeated": kernel.REPEATED,
            "more_than_left": kernel.OVER,
            "late": kernel.LATE,
            "doubted": kernel.DOUBTED,
            "books": kernel.BOOK_COUNT,
        }
        return {name: int(self._state[place]) for name, place in places.items()}

    def rows(self, records: Mapping[str, NDArray[Any]] | NDArray[Any]) -> Shown:
        """Apply records.

        Parameters
        ----------
        records : mapping of str to (N,), or (N,) structured
            The columns `COLUMNS`.

        Raises
        ------
        UnfitError
            A price, or the size of a level that is shown, beyond what a tape holds.
        """
        kernel = self._kernel
        columns = [np.asarray(records[name], dtype) for name, dtype in COLUMNS.items()]
        parts: list[Shown] = []
        at, why = 0, kernel.ROWS
        while why != kernel.DONE:
            why, at, rows = kernel.fold(
                *columns, at, *self._orders, *self._levels, *self._books, *self._sides, *self._rows, self._state
            )
            if rows:
                parts.append(_shown([self._rows], rows))
            self._make_room(int(why), int(at), columns)
        return _shown([(part.at, part.px, part.sz) for part in parts] or [self._rows], None if parts else 0)

    def _make_room(self, why: int, at: int, columns: list[NDArray[Any]]) -> None:
        """Make what is full larger, or say what is wrong."""
        kernel, state = self._kernel, self._state
        if why == kernel.PRICE:
            raise UnfitError(at, f"px: {columns[3][at]} (expected a price below {kernel.PRICE_LIMIT // 10**9} $)")
        if why == kernel.SIZE:
            side, level, value = (int(state[each]) for each in (kernel.AT_SIDE, kernel.AT_LEVEL, kernel.VALUE))
            name = f"{('bid', 'ask')[side]}_sz_{level:02}"
            raise UnfitError(at, f"{name}: {value} (expected a size up to {kernel.SHARES_LIMIT - 1})")
        if why == kernel.ORDERS:
            epochs, old = self._sides[1], self._orders
            alive = old[1] >= 0
            alive[alive] = old[4][alive] == epochs[old[1][alive]]
            slots = len(alive)  # those of an epoch that is over may be most of them
            while 3 * np.count_nonzero(alive) >= slots:
                slots *= 2
            self._orders = _orders(slots)
            kernel.move_orders(*old, epochs, *self._orders, state)
        elif why == kernel.LEVELS:
            room = _levels(2 * len(self._levels[0]))
            for new, part in zip(room, self._levels, strict=True):
                new[: len(part)] = part
            self._levels = room
        elif why == kernel.BOOKS:
            books = (np.zeros(2 * len(self._books[0]), np.uint64), np.full(2 * len(self._books[0]), -1, np.int32))
            kernel.move_books(*self._books, *books)
            self._books = books
            sides = _sides(2 * len(self._sides[-1]), self._rows[1].shape[2])
            for new, part in zip(sides, self._sides, strict=True):
                new[: len(part)] = part
            self._sides = sides


def _shown(parts: list[tuple[Int64, Int64, Int32]], rows: int | None) -> Shown:
    """Copy the first rows of each part, or all of them, one behind the other."""
    at, px, sz = ([part[place][:rows] for part in parts] for place in range(3))
    return Shown(np.concatenate(at), np.concatenate(px), np.concatenate(sz))


def _orders(slots: int) -> tuple[NDArray[Any], ...]:
    return (
        np.zeros(slots, np.uint64),
        np.full(slots, -1, np.int32),
        np.zeros(slots, np.int32),
        np.zeros(slots, np.int64),
        np.zeros(slots, np.int32),
    )


def _levels(count: int) -> tuple[NDArray[Any], ...]:
    from feed.files.mbo_kernel import HEIGHT

    return np.zeros(count, np.int64), np.zeros(count, np.int64), np.full((count, HEIGHT), -1, np.int32)


def _sides(books: int, depth: int) -> tuple[NDArray[Any], ...]:
    return (
        np.zeros(2 * books, np.int32),
        np.zeros(2 * books, np.int32),
        np.zeros((books, 2, depth), np.int64),
        np.zeros((books, 2, depth), np.int32),
        np.zeros(books, np.uint8),
    )
