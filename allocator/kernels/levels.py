"""The levels behind the first: which row of a venue stands at a snapshot, and how many of its levels are displayed."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, record

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_TICKS = types.int32, types.int64
_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in _TICKS)

Times = Annotated[NDArray[np.int64], _I64]
Ids = Annotated[NDArray[np.int16], types.Array(types.int16, 1, "C", readonly=True)]
Ticks = Annotated[NDArray[Any], types.Array(types.int64, 2, "C", readonly=True)]

FilledRows = Annotated[NDArray[np.int32], types.int32[:, ::1]]
FilledCounts = Annotated[NDArray[np.int8], types.int8[:, ::1]]

IDS = 2**16
"""Publisher ids are indexed by their distance from -2^15."""


class Rows(NamedTuple):
    """Rows of a tape: N, in its order.

    Attributes
    ----------
    ts, venue : (N,) int64, int16
        UTC nanoseconds; publisher ids.
    index_of : (IDS,) int64
        Venue index of publisher id - 2^15.
    bid_ticks, ask_ticks : (N, D) int32 or int64
        Prices of all levels, as they were published; 0 = none.
    """

    ts: Times
    venue: Ids
    index_of: Times
    bid_ticks: Ticks
    ask_ticks: Ticks


class Displayed(NamedTuple):
    """The first level of a book: T snapshots, V venues.

    Attributes
    ----------
    bid_ticks, ask_ticks : (T, V) int32 or int64
        0 = nothing displayed: of a side without a first level nothing is.
    base, tick : int64
        A price is base + tick * ticks, 1e-9 $.
    band : int64
        1e-9 of the best price, negative = off.
    """

    bid_ticks: Ticks
    ask_ticks: Ticks
    base: int
    tick: int
    band: int


class Standing(NamedTuple):
    """To be filled.

    Attributes
    ----------
    rows : (T, V) int32
        The row of each venue's last publication; -1 = none yet.
    bid_count, ask_count : (T, V) int8
        Levels displayed.
    """

    rows: FilledRows
    bid_count: FilledCounts
    ask_count: FilledCounts


_PRICES = types.Array(types.int64, 2, "C", readonly=True)
_FAR = 2**62


@kernel(types.UniTuple(types.int64, 2)(_PRICES))
def bounds(px):
    """The lowest and the highest price; 2^62 and 0 where there is none."""
    least, most = np.int64(_FAR), np.int64(0)
    for row in range(px.shape[0]):
        for level in range(px.shape[1]):
            most = max(most, px[row, level])
            least = min(least, px[row, level] if px[row, level] != 0 else np.int64(_FAR))
    return least, most


@kernel(*(types.boolean(_I64, _PRICES, types.int64, types.int64, types.Array(each, 2, "C")) for each in _TICKS))
def in_ticks(first, behind, base, tick, out):
    """Write the prices of all levels as ticks, 0 for none.

    Parameters
    ----------
    first, behind : (N,), (N, D - 1) int64
        1e-9 $.
    base, tick : int64
        A price is base + tick * ticks, ticks above 0.
    out : (N, D) int32 or int64, output

    Returns
    -------
    bool
        Whether all are whole numbers of ticks.
    """
    per_tick, off = 1.0 / tick, np.int64(0)
    for row in range(len(first)):
        for level in range(out.shape[1]):
            px = first[row] if level == 0 else behind[row, level - 1]
            ticks = np.int64(0)
            if px != 0:
                ticks = px - base if tick == 1 else np.int64((px - base) * per_tick + 0.5)
                off |= base + tick * ticks - px
            out[row, level] = ticks
    return off == 0


@kernel(types.int64(types.int64, types.int64))
def _share(price, fraction):
    """floor(price * fraction / 1e9) without leaving int64; fraction at most 1e9."""
    return price // 1_000_000_000 * fraction + price % 1_000_000_000 * fraction // 1_000_000_000


@kernel(
    *(
        types.int64(
            record(Rows, bid_ticks=grid, ask_ticks=grid),
            record(Displayed, bid_ticks=grid, ask_ticks=grid),
            record(Standing),
        )
        for grid in _GRIDS
    )
)
def stand(tape, displayed, standing):
    """Fill the standing rows; return the highest ask displayed, in ticks.

    Parameters
    ----------
    tape : Rows
    displayed : Displayed
    standing : Standing, output
    """
    ts, venue, index_of, bid_levels, ask_levels = tape.ts, tape.venue, tape.index_of, tape.bid_ticks, tape.ask_ticks
    bid, ask, base, tick, band = (
        displayed.bid_ticks,
        displayed.ask_ticks,
        displayed.base,
        displayed.tick,
        displayed.band,
    )
    out_rows, out_bids, out_asks = standing.rows, standing.bid_count, standing.ask_count
    snapshots, venues, depth = bid.shape[0], bid.shape[1], bid_levels.shape[1]
    stands, bids, asks = np.full(venues, -1, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    row, highest = 0, np.int64(0)
    for t in range(snapshots):
        now = ts[row]
        while row < len(ts) and ts[row] == now:
            v = index_of[np.int64(venue[row]) + IDS // 2]
            stands[v] = row  # the last row of an instant stands
            bids[v] = asks[v] = 0
            while bids[v] < depth and bid_levels[row, bids[v]] != 0:
                bids[v] += 1
            while asks[v] < depth and ask_levels[row, asks[v]] != 0:
                asks[v] += 1
            row += 1
        top_bid, low_ask = np.int64(0), np.int64(0)
        for v in range(venues):
            top_bid = max(top_bid, np.int64(bid[t, v]))
            if ask[t, v] != 0 and (low_ask == 0 or ask[t, v] < low_ask):
                low_ask = np.int64(ask[t, v])
        bid_edge, ask_edge = np.int64(0), np.int64(2**62)
        if band >= 0:
            best = base + tick * top_bid
            bid_edge = -((base - best + _share(best, band)) // tick)
            best = base + tick * low_ask
            ask_edge = (best + _share(best, band) - base) // tick
        for v in range(venues):
            at, one, other = stands[v], np.int64(0), np.int64(0)
            if bid[t, v] != 0:
                one = bids[v]
                while bid_levels[at, one - 1] < bid_edge:
                    one -= 1
            if ask[t, v] != 0:
                other = asks[v]
                while ask_levels[at, other - 1] > ask_edge:
                    other -= 1
                highest = max(highest, np.int64(ask_levels[at, other - 1]))
            out_rows[t, v], out_bids[t, v], out_asks[t, v] = at, one, other
    return highest
