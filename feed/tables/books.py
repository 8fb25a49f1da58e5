"""Rows that hold one level of one side, and rows that hold a whole market, folded into rows of a venue's book.

An instant is what all rows of one symbol, venue and time make together: the last of them for each level counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feed.tape import Int64

SIDES = ("bid", "ask")


def group_starts(*keys: Int64) -> NDArray[np.bool_]:
    """(N,) bool: whether a row differs from the one before in any of the keys."""
    starts = np.ones(len(keys[0]), np.bool_)
    if len(starts):
        starts[1:] = False
        for key in keys:
            starts[1:] |= key[1:] != key[:-1]
    return starts


def first_of_group(starts: NDArray[np.bool_]) -> Int64:
    """(N,) int64: the index at which each row's group begins."""
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))


def ranked(group: Int64, side: Int64, px: Int64, sz: Int64) -> Int64:
    """Levels of the rows of books that are sent whole: by price, best first, one level for each price.

    Parameters
    ----------
    group : (N,) int64
        Ascending; rows of one group are one book.
    side : (N,) int64
        0 bid, 1 ask.
    px, sz : (N,) int64
        A price or a size of 0 or less is no quote, and gets a level behind all others.

    Returns
    -------
    (N,) int64
        From 0.
    """
    unquoted = (px <= 0) | (sz <= 0)
    signed = np.where(side == 0, -px, px)
    order = np.lexsort((signed, unquoted, side, group))
    books, prices = group_starts(group[order], side[order]), group_starts(group[order], side[order], px[order])
    prices |= unquoted[order]
    count = np.cumsum(prices)
    level = np.empty(len(px), np.int64)
    level[order] = count - count[first_of_group(books)]
    return level


def fold(rows: Mapping[str, Int64], depth: int, *, snapshots: bool) -> dict[str, Int64]:
    """Fold rows of one level of one side into books.

    Parameters
    ----------
    rows : mapping of str to (N,) int64
        code (the symbol's), venue, ts, sequence; side (0 bid, 1 ask), level (from 0), px and sz; by code, venue and ts
        ascending, rows of one instant in order of arrival.
    depth : int
        Levels of a side that are kept.
    snapshots : bool
        Whether the rows of an instant are the whole book of their venue; otherwise levels stand until they are named
        again.

    Returns
    -------
    dict of str to arrays
        code, venue, ts, sequence (M,) of each instant's last row; bid_px, bid_sz, ask_px, ask_sz (M, D).
    """
    count = len(rows["ts"])
    instants = group_starts(rows["code"], rows["venue"], rows["ts"])
    books = instants if snapshots else group_starts(rows["code"], rows["venue"])
    begins = first_of_group(books)
    last = np.append(np.flatnonzero(instants)[1:] - 1, count - 1) if count else np.zeros(0, np.int64)
    folded = {name: rows[name][last] for name in ("code", "venue", "ts", "sequence")}
    place = np.arange(count)
    for code, side in enumerate(SIDES):
        px, sz = np.zeros((len(last), depth), np.int64), np.zeros((len(last), depth), np.int64)
        for level in range(depth):
            touched = np.where((rows["side"] == code) & (rows["level"] == level), place, -1)
            latest = np.maximum.accumulate(touched)[last] if count else touched
            stands = latest >= begins[last]
            for name, column in (("px", px), ("sz", sz)):
                column[:, level] = np.where(stands, rows[name][latest], 0)
        gone = (px <= 0) | (sz <= 0)
        px[gone], sz[gone] = 0, 0
        folded[f"{side}_px"], folded[f"{side}_sz"] = px, sz
    return folded


def packed(px: Int64, sz: Int64, *, bids: bool) -> None:
    """Order the levels of each row by price, best first, those without a quote last; in place.

    Parameters
    ----------
    px, sz : (M, D) int64
        0 where there is no quote.
    """
    key = np.where(px > 0, -px if bids else px, np.iinfo(np.int64).max)
    if (key[:, 1:] >= key[:, :-1]).all():
        return
    order = np.argsort(key, axis=1, kind="stable")
    px[:], sz[:] = np.take_along_axis(px, order, 1), np.take_along_axis(sz, order, 1)


def withdrawals(code: Int64, venue: Int64, ts: Int64) -> tuple[Int64, Int64, Int64]:
    """Where a venue is missing in a market that is sent whole at each instant, after an instant at which it was there.

    Parameters
    ----------
    code, venue, ts : (N,) int64
        Of each row; in any order.

    Returns
    -------
    code, venue, ts : (M,) int64
        At which a venue shows nothing any more.
    """
    order = np.lexsort((ts, code))
    starts = group_starts(code[order], ts[order])
    number = np.empty(len(ts), np.int64)  # of the instant, over all symbols
    number[order] = np.cumsum(starts) - 1
    instant_code, instant_ts = code[order][starts], ts[order][starts]
    by_venue = np.lexsort((number, venue, code))
    here, same = number[by_venue], np.zeros(len(ts), np.bool_)
    after = np.full(len(ts), -1, np.int64)  # the next instant of the same venue
    same[:-1] = ~group_starts(code[by_venue], venue[by_venue])[1:]
    after[:-1][same[:-1]] = here[1:][same[:-1]]
    following = here + 1
    within = (following < len(instant_ts)) & (
        instant_code[np.minimum(following, len(instant_ts) - 1)] == code[by_venue]
    )
    gone = within & (after != here) & (after != following)
    at = following[gone]
    return instant_code[at], venue[by_venue][gone], instant_ts[at]
