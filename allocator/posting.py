"""Where limit orders rest: the price at each venue, and the queue that is displayed there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.errors import AllocatorError
from allocator.order import SIGN
from allocator.queues import resting

if TYPE_CHECKING:
    from allocator.book import Book, Int64, TakeSide
    from allocator.order import Side


TICK: Final = 10**7
TICK_BELOW: Final = 10**5
FROM_A_DOLLAR: Final = 10**9
"""The least step of a price of US equities, from 1 $ on and below it, 1e-9 $ (rule 612). That of a book is no use: it
is the common divisor of all its prices, those of later included."""


def level_of(posting: str) -> int:
    """The level that a posting joins, from 0 on; -1 = inside the spread.

    Raises
    ------
    AllocatorError
        It is none of ``touch``, ``inside`` and ``deep:N``.
    """
    name, _, level = posting.partition(":")
    if posting in {"touch", "inside"}:
        return 0 if posting == "touch" else -1
    if name == "deep" and level.isascii() and level.isdecimal() and 1 <= int(level) < 100:
        return int(level)
    raise AllocatorError(f"posting: expected touch, inside, or deep:1 and more, but it had {posting!r}")


def joinable(book: Book, side: Side, posting: str, snapshots: Int64) -> tuple[Int64, Int64]:
    """Where an order could rest at each venue, whether or not that is at the best price of all.

    Parameters
    ----------
    book : Book
    side : str
        Of the parent order: a buy rests on bids.
    posting : str
        ``touch``: behind each venue's own best quote. ``inside``: a `TICK` better than the best of all, where that does
        not reach the other side. ``deep:N``: behind the N-th level after the venue's first.
    snapshots : (J,) int64

    Returns
    -------
    price : (J, V) int64
        1e-9 $; 0 where the venue shows nothing to join.
    queue : (J, V) int64
        Shares displayed at that price.
    """
    own, level, sign = resting(book, side), level_of(posting), SIGN[side]
    ticks, queue = own.ticks[snapshots].astype(np.int64), own.sz[snapshots].astype(np.int64)
    if level > 0:
        if own.levels is None or level >= own.levels.ticks.shape[1]:
            return np.zeros_like(ticks), np.zeros_like(ticks)
        rows, shown = own.levels.rows[snapshots], own.levels.count[snapshots] > level
        ticks = np.where(shown, own.levels.ticks[rows, level].astype(np.int64), 0)
        queue = own.levels.sz[rows, level].astype(np.int64)
    elif level < 0:
        best, lowest = _spread(own, sign, snapshots)
        better = sign * (book.base + book.tick * sign * best)
        better += np.where(sign * better < FROM_A_DOLLAR, TICK_BELOW, TICK)
        other = sign * (book.base + book.tick * sign * lowest)
        fits = (ticks != 0) & (lowest != _FAR) & (better < other)
        return np.where(fits, sign * better, 0), np.zeros_like(ticks)
    return np.where(ticks != 0, book.base + book.tick * ticks, 0), np.where(ticks != 0, queue, 0)


def posted(book: Book, side: Side, posting: str, snapshots: Int64) -> tuple[Int64, Int64]:
    """The limit orders that can be sent at some snapshots: of `joinable`, those to venues that are at the best price.

    None is sent while the spread is not above 0; one inside of it goes to any venue that shows a quote.

    Parameters
    ----------
    book, side, posting, snapshots
        As `joinable`.

    Returns
    -------
    price, queue : (J, V) int64
        As there; 0 = no limit order can be sent to this venue.
    """
    price, queue = joinable(book, side, posting, snapshots)
    if level_of(posting) < 0:
        return price, queue
    own, sign = resting(book, side), SIGN[side]
    best, lowest = _spread(own, sign, snapshots)
    ticks = own.ticks[snapshots].astype(np.int64)
    sends = (ticks != 0) & (sign * ticks == best) & (lowest != _FAR) & (best < lowest)
    return np.where(sends, price, 0), np.where(sends, queue, 0)


_FAR = 2**62
"""In place of the signed ticks of a price that nobody displays."""


def _spread(own: TakeSide, sign: int, snapshots: Int64) -> tuple[Int64, Int64]:
    """(J, 1) int64 each, signed ticks: the best price of the side rested on, and that of the other; `_FAR` off = none.

    The better price of the own side is the greater one, so that -`_FAR` stands for none; of the other side `_FAR` does.
    """
    ticks, other = (each[snapshots].astype(np.int64) for each in (own.ticks, own.other_ticks))
    best = np.where(ticks != 0, sign * ticks, -_FAR).max(axis=1, initial=-_FAR, keepdims=True)
    return best, np.where(other != 0, sign * other, _FAR).min(axis=1, initial=_FAR, keepdims=True)
