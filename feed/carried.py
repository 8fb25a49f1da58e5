"""What the carried book of a tape shows: at each instant, each venue's last row so far, nothing hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feed.tape import PRICE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from feed.tape import Int64, Tape

    Flags = NDArray[np.bool_]

CHUNK = 2**19
"""Cells of the carried book that are looked at together: bounds memory, changes no count."""


def true(flags: Flags) -> int:
    """Count what is True; several times faster than a sum, which of many thousand small tapes is most of the time."""
    return int(np.count_nonzero(flags))


def count_snapshots(tape: Tape, rows: Int64) -> dict[str, int]:
    """Count what it shows, by check; `rows`, ascending, are the last of their venue at their instant."""
    none = np.iinfo(np.int64).max
    crossed = locked = one_sided = stubs = sane = 0
    stale = np.zeros((2, len(rows)), np.bool_)
    for row, fresh in _carried(tape, rows):
        there = row >= 0
        bid = np.where(there, tape.bid_px[rows[row]], 0)
        ask = np.where(there, tape.ask_px[rows[row]], 0)
        ask[ask == 0] = none
        best_bid, best_ask = bid.max(axis=1), ask.min(axis=1)
        two_sided = (best_bid > 0) & (best_ask < none)
        one_sided += len(two_sided) - true(two_sided)
        crossed += true(two_sided & (best_bid > best_ask))
        locked += true(two_sided & (best_bid == best_ask))
        asked, least = np.where(ask < none, ask, 0), np.minimum(best_ask, PRICE_LIMIT)[:, None]
        if bid.shape[1] > 1:  # the only venue is the best one
            stubs += true(fresh & (bid > 0) & (10 * bid < 9 * best_bid[:, None]))
            stubs += true(fresh & (10 * asked > 11 * least))
        stub_bids, stub_asks, sane = _alone(best_bid, np.where(best_ask < none, best_ask, 0), sane)
        if stub_bids.any():
            stubs += true(stub_bids[:, None] & fresh & (bid > 0) & (10 * bid >= 9 * best_bid[:, None]))
        if stub_asks.any():
            stubs += true(stub_asks[:, None] & fresh & (asked > 0) & (10 * asked <= 11 * least))
        if not fresh.all():
            new_bid = np.where(fresh, bid, 0).max(axis=1, keepdims=True)
            new_ask = np.where(fresh, ask, none).min(axis=1, keepdims=True)
            stale[0, row[~fresh & (bid > new_ask)]] = True
            stale[1, row[~fresh & (ask < new_bid)]] = True
    return {
        "crossed_snapshots": crossed,
        "locked_snapshots": locked,
        "one_sided_snapshots": one_sided,
        "stub_quotes": stubs,
        "stale_quotes": true(stale),
    }


def _alone(bid: Int64, ask: Int64, sane: int) -> tuple[Flags, Flags, int]:
    """Where the best of a side is itself a stub, as the book hides it (model section 3).

    Parameters
    ----------
    bid, ask : (C,) int64
        The best of each side, 1e-9 $, 0 = none.
    sane : int
        Twice the last mid before them of a book no wider than 10 % of it either way, 0 = none.

    Returns
    -------
    bids, asks : (C,) bool
    sane : int
        As before, after them.
    """
    both = (bid > 0) & (ask > 0)
    narrow = both & (10 * (ask - bid) <= ask + bid)
    at = np.maximum.accumulate(np.where(narrow, np.arange(len(bid)), -1))
    known = np.where(at >= 0, bid[at] + ask[at], sane)
    apart = both & (known == 0) & (ask > 2 * bid)
    compared = ~narrow & (known > 0)
    bids = apart | (compared & (bid > 0) & (20 * bid < 9 * known))
    asks = apart | (compared & (20 * ask > 11 * known))
    return bids, asks, int(known[-1])


def _carried(tape: Tape, rows: Int64) -> Iterator[tuple[Int64, Flags]]:
    """Give the carried book in chunks of snapshots.

    Yields
    ------
    row : (C, V) int64
        Index into `rows` of the quote that stands, -1 = none yet.
    fresh : (C, V) bool
        The venue published at this snapshot.
    """
    ts = tape.ts[rows]
    venues, column = np.unique(tape.venue[rows], return_inverse=True)
    snapshot = np.cumsum(np.diff(ts, prepend=ts[:1]) != 0)
    total = int(snapshot[-1]) + 1 if len(rows) else 0
    size = max(CHUNK // max(len(venues), 1), 1)
    standing = np.full(len(venues), -1, np.int64)
    for first in range(0, total, size):
        low, high = np.searchsorted(snapshot, [first, min(first + size, total)])
        row = np.full((min(size, total - first), len(venues)), -1, np.int64)
        row[snapshot[low:high] - first, column[low:high]] = np.arange(low, high)
        fresh = row >= 0
        row[0] = np.maximum(row[0], standing)
        np.maximum.accumulate(row, axis=0, out=row)
        standing = row[-1]
        yield row, fresh
