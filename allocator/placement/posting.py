"""Where limit orders rest: the price of each venue, and the queue that is displayed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from allocator.order import SIGN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allocator.book import Book, Int64
    from allocator.order import Side


def posted(book: Book, side: Side, posting: str, snapshots: Int64) -> tuple[Int64, Int64]:
    """The limit orders that can be sent at some snapshots.

    Parameters
    ----------
    book : Book
    side : str
        Of the parent order: a buy rests on bids.
    posting : str
        As of `allocator.placement.policy.Placement`.
    snapshots : (J,) int64

    Returns
    -------
    price : (J, V) int64
        1e-9 $; 0 = no limit order can be sent to this venue. None is sent while the spread is not above 0, and none at
        a price that would take at once.
    queue : (J, V) int64
        Shares displayed at that price.
    """
    own, shares, others = own_quotes(book, side, snapshots)
    sign, none = SIGN[side], np.zeros_like(own)
    # the prices of the side that is joined, the greatest of which is the best, and of the side that is taken from
    best = np.where(own != 0, sign * own, _LEAST).max(axis=1, initial=_LEAST)[:, None]
    lowest = np.where(others != 0, sign * others, -_LEAST).min(axis=1, initial=-_LEAST)[:, None]
    spread = (best != _LEAST) & (lowest != -_LEAST) & (lowest > best)
    at_best = spread & (own != 0) & (sign * own == best)
    if posting == "inside":
        inside = spread & (own != 0) & (best + book.tick < lowest)
        return np.where(inside, sign * (best + book.tick), none), none
    if posting == "touch":
        return np.where(at_best, own, none), np.where(at_best, shares, none)
    price, queue = deeper(book, side, int(posting.removeprefix("deep:")), snapshots)
    return np.where(at_best, price, none), np.where(at_best, queue, none)


_LEAST = -(2**62)


def own_quotes(book: Book, side: Side, snapshots: Int64) -> tuple[Int64, Int64, Int64]:
    """(J, V) int64 each: prices (1e-9 $, 0 = none) and shares of the side that is joined; prices of the other one."""
    bids, asks = (book.bid_ticks, book.bid_sz), (book.ask_ticks, book.ask_sz)
    (ticks, shares), (other, _) = (bids, asks) if side == "buy" else (asks, bids)
    prices, others = (
        np.where(each[snapshots] != 0, book.base + book.tick * each[snapshots].astype(np.int64), 0)
        for each in (ticks, other)
    )
    return prices, shares[snapshots].astype(np.int64), others


def deeper(book: Book, side: Side, level: int, snapshots: Int64) -> tuple[Int64, Int64]:
    """(J, V) int64 each: the price, and the shares, of a level of each venue, counted from 0; 0 = none is shown."""
    levels = book.levels
    shape = len(snapshots), len(book.venues)
    if levels is None or level >= book.depth:
        return np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    rows = levels.rows[snapshots]
    if side == "buy":
        count, ticks, shares = levels.bid_count, levels.bid_ticks, levels.bid_sz
    else:
        count, ticks, shares = levels.ask_count, levels.ask_ticks, levels.ask_sz
    is_shown: NDArray[np.bool_] = (rows >= 0) & (level < count[snapshots])
    at = ticks[np.maximum(rows, 0), level].astype(np.int64)
    is_shown &= at != 0
    price = np.where(is_shown, book.base + book.tick * at, 0)
    return price, np.where(is_shown, shares[np.maximum(rows, 0), level].astype(np.int64), 0)
