"""From published rows to the standing book: carry, age, uncross, band (model section 3), one pass over the rows."""

from __future__ import annotations

import numpy as np
from numba import njit, types

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C", readonly=True)
_I16 = types.Array(types.int16, 1, "C", readonly=True)
_PX = types.int64[:, ::1]
_SZ = types.int32[:, ::1]
_FLAG = types.boolean[:, ::1]

COUNTS = (
    "crossed_snapshots",
    "locked_snapshots",
    "own_crossed_quotes",
    "expired_quotes",
    "uncrossed_quotes",
    "stub_quotes",
)
"""What `derive` counts, in the order of its `counts`: snapshots, or hidden (snapshot, venue, side)."""


@njit(types.int64(types.int64, types.int64), cache=True)
def _share(price, fraction):
    """floor(price * fraction / 1e9) without leaving int64; fraction at most 1e9."""
    return price // 1_000_000_000 * fraction + price % 1_000_000_000 * fraction // 1_000_000_000


@njit(types.int64(types.int64[::1], types.int64[::1], types.int64), cache=True)
def _best(px, published, sign):
    """The venue that stands for a side: best price, then the oldest, then the lowest index; -1 where none."""
    best = -1
    for v in range(len(px)):
        if px[v] == 0:
            continue
        if best < 0 or sign * (px[v] - px[best]) < 0 or (px[v] == px[best] and published[v] < published[best]):
            best = v
    return best


@njit(
    types.void(
        _I64, _I16, _I64, _I64, _I32, _I32,
        types.boolean, types.boolean, types.int64, types.int64,
        _PX, _PX, _SZ, _SZ, _FLAG, _FLAG, _FLAG,
        types.int64[::1], types.int64[::1], types.int64[::1], types.int64[::1],
    ),
    cache=True,
)  # fmt: skip
def derive(
    ts, venue, row_bid_px, row_ask_px, row_bid_sz, row_ask_sz,
    carry, uncross, band, max_age,
    bid_px, ask_px, bid_sz, ask_sz, bid_moved, ask_moved, fresh,
    mid2, bid_volume, ask_volume, counts,
):  # fmt: skip
    """Fill the book's arrays from a tape's rows.

    Parameters
    ----------
    ts, row_* : (N,)
        The tape's columns, in its order.
    venue : (N,) int16
        Index of the row's venue, 0..V-1.
    carry, uncross : bool
    band, max_age : int64
        1e-9 of the best price; ns. Negative = off.
    bid_px .. ask_volume : outputs
        The columns of `allocator.book.Book`, zeroed.
    counts : (6,) int64, output
        See `COUNTS`.
    """
    rows, venues = len(ts), bid_px.shape[1]
    stand_bid, stand_ask = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    stand_bid_sz, stand_ask_sz = np.zeros(venues, np.int32), np.zeros(venues, np.int32)
    published = np.zeros(venues, np.int64)
    bid, ask = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    row = 0
    for t in range(bid_px.shape[0]):
        now = ts[row]
        while row < rows and ts[row] == now:
            v = venue[row]
            last = row + 1 == rows or ts[row + 1] != now or venue[row + 1] != v
            if last:
                fresh[t, v] = True
                bid_moved[t, v] = row_bid_px[row] != stand_bid[v]
                ask_moved[t, v] = row_ask_px[row] != stand_ask[v]
                stand_bid[v], stand_bid_sz[v] = row_bid_px[row], row_bid_sz[row]
                stand_ask[v], stand_ask_sz[v] = row_ask_px[row], row_ask_sz[row]
                published[v] = now
                bid_volume[t] += row_bid_sz[row]
                ask_volume[t] += row_ask_sz[row]
            row += 1

        for v in range(venues):
            shown = carry or fresh[t, v]
            bid[v] = stand_bid[v] if shown else 0
            ask[v] = stand_ask[v] if shown else 0
            if max_age >= 0 and shown and now - published[v] > max_age:
                counts[3] += (bid[v] != 0) + (ask[v] != 0)
                bid[v] = ask[v] = 0

        best_bid, best_ask = _best(bid, published, -1), _best(ask, published, 1)
        if best_bid >= 0 and best_ask >= 0 and bid[best_bid] > ask[best_ask]:
            counts[0] += 1
            if uncross:
                for v in range(venues):
                    if ask[v] != 0 and bid[v] > ask[v]:
                        bid[v] = ask[v] = 0
                        counts[2] += 2
                while True:
                    best_bid, best_ask = _best(bid, published, -1), _best(ask, published, 1)
                    if best_bid < 0 or best_ask < 0 or bid[best_bid] <= ask[best_ask]:
                        break
                    counts[4] += 1
                    older = published[best_bid] - published[best_ask]
                    if older < 0 or (older == 0 and best_bid < best_ask):
                        bid[best_bid] = 0
                    else:
                        ask[best_ask] = 0
        if best_bid >= 0 and best_ask >= 0 and bid[best_bid] == ask[best_ask]:
            counts[1] += 1
        if band >= 0:
            if best_ask >= 0:
                limit = ask[best_ask] + _share(ask[best_ask], band)
                for v in range(venues):
                    if ask[v] > limit:
                        ask[v] = 0
                        counts[5] += 1
            if best_bid >= 0:
                limit = bid[best_bid] - _share(bid[best_bid], band)
                for v in range(venues):
                    if bid[v] != 0 and bid[v] < limit:
                        bid[v] = 0
                        counts[5] += 1
        if best_bid >= 0 and best_ask >= 0:
            mid2[t] = bid[best_bid] + ask[best_ask]
        for v in range(venues):
            if bid[v] != 0:
                bid_px[t, v], bid_sz[t, v] = bid[v], stand_bid_sz[v]
            if ask[v] != 0:
                ask_px[t, v], ask_sz[t, v] = ask[v], stand_ask_sz[v]
