"""Walks over books in which every quote is published at its snapshot: shares taken carry over to no other snapshot.

For `static` in whole shares measured from the best. Without state a walk is sums over columns: tile by tile, first the
lowest cost of each snapshot over the venues, then per venue the shares within reach of it. Both functions stop at the
tile in which an order completes, and leave that tile to `stateful.walk_each`.

Costs are int32 units, slope * ticks + offset[v], as in `stateful`.
"""

from __future__ import annotations

import numpy as np
from numba import types

from allocator.kernels.compiling import kernel

SHARES, COST, FEES = range(3)
"""The sums of a walk, as in `stateful`."""

FAR = 2**31 - 1
"""Dearer than any cost; the ticks, in a tile, of a venue that displays nothing."""

TABLE = 2**16
"""Up to this reach a table gives the first combination that takes a cost; beyond it a search does."""

_TILES = types.Array(types.int32, 3, "C", readonly=True)
_ROW = types.Array(types.int64, 1, "C", readonly=True)


@kernel(
    types.void(
        _TILES, types.int32, _ROW, types.int64, types.int64, types.int64, types.int32[::1]
    )
)  # fmt: skip
def _lowest(ticks, slope, offset, tile, low, high, best):
    """Write the lowest cost of each snapshot of a tile's part [low, high) to best[: high - low]; `FAR` for none."""
    part = best[: high - low]
    for v in range(ticks.shape[1]):
        row, extra = ticks[tile, v, low:high], offset[v]
        for i in range(len(row)):
            near = np.int64(row[i]) * slope + extra
            cost = np.int32(near if row[i] != FAR else FAR)
            part[i] = min(part[i], cost) if v > 0 else cost


@kernel(
    types.void(
        _TILES, types.int64, _TILES, types.int64, _ROW, types.int64, types.int64, types.int32, types.int32[::1],
        types.int64[::1],
    )
)  # fmt: skip
def _take(costs, at, sizes, tile, offset, low, high, reach, best, sums):
    """Sum the shares within reach of the best in a tile's part, whose costs are costs[at].

    Usually the costs taken are little above the least of all, and sizes are small: sums over a tile then fit int32,
    which takes half the time. Where they might not fit, they are computed again in int64.
    """
    sums[:] = 0
    cheapest = best[: high - low]
    one, other = costs[at, 0, low:high], costs[at, min(1, costs.shape[1] - 1), low:high]
    for i in range(len(one)):
        cheapest[i] = min(one[i], other[i])
    for v in range(2, costs.shape[1]):
        row = costs[at, v, low:high]
        for i in range(len(row)):
            cheapest[i] = min(cheapest[i], row[i])
    least, most = np.int32(FAR), np.int32(-FAR)
    for i in range(len(cheapest)):
        least = min(least, cheapest[i])
        most = max(most, cheapest[i] if cheapest[i] != FAR else np.int32(-FAR))
    if least == FAR:  # nothing is displayed
        return
    span = max(np.int64(most) + reach - least, np.int64(1))
    for v in range(costs.shape[1]):
        row, shown_sizes = costs[at, v, low:high], sizes[tile, v, low:high]
        few, above, seen = np.int32(0), np.int32(0), np.int32(0)
        for i in range(len(row)):
            more = shown_sizes[i] if np.int32(row[i] - reach) <= cheapest[i] else np.int32(0)
            few = np.int32(np.int64(few) + more)  # via int64, so that it also wraps silently when not compiled
            above = np.int32(np.int64(more) * (np.int64(row[i]) - least) + above)
            seen = np.int32(seen | shown_sizes[i])
        shares, cost = np.int64(few), np.int64(few) * least + above
        if np.int64(seen) * span > FAR // len(row):  # the product of all three might wrap
            shares, cost = np.int64(0), np.int64(0)
            for i in range(len(row)):
                more = shown_sizes[i] if np.int32(row[i] - reach) <= cheapest[i] else np.int32(0)
                shares += more
                cost += np.int64(more) * np.int64(row[i])
        sums[SHARES] += shares
        sums[COST] += cost
        sums[FEES] += shares * offset[v]


@kernel(
    types.void(
        _TILES, _TILES, types.int32, _ROW, types.int64, types.int64, types.int64, _ROW, types.int64[::1],
        types.int64[:, ::1],
    )
)  # fmt: skip
def scan_each(ticks, sizes, slope, offset, first, past, size, reach, stops, out):
    """Scan the columns once per combination.

    Parameters
    ----------
    ticks, sizes : (B, V, R) int32
        Tiles of R snapshots, column per venue, of the side taken from; `FAR`, 0 = nothing displayed.
    slope : int32
        Units of cost per tick, signed as the order.
    offset : (V,) int64
        Units, 0 or more.
    first, past, size : int64
        The snapshots [first, past), and shares.
    reach : (K,) int64
        Units above the best within which a share is taken.
    stops : (K,) int64, output
        The first snapshot walked of the tile in which the order completes; `past` if it does not.
    out : (K, 3) int64, output
        The sums before `stops`.
    """
    _, venues, rows = ticks.shape
    direct = slope == 1  # the ticks are the costs, for example if all fees are equal
    for v in range(venues):
        direct &= offset[v] == 0
    priced = np.empty((1, venues, rows), np.int32)
    best, here = np.empty(rows, np.int32), np.zeros(3, np.int64)
    for k in range(len(reach)):
        out[k, :] = 0
        stops[k] = past
        within = np.int32(reach[k])
        for tile in range(first // rows, (past + rows - 1) // rows):
            low, high = max(first - tile * rows, 0), min(past - tile * rows, rows)
            if direct:
                _take(ticks, tile, sizes, tile, offset, low, high, within, best, here)
            else:
                for v in range(venues):
                    row, costs, extra = ticks[tile, v, low:high], priced[0, v, low:high], np.int32(offset[v])
                    for i in range(len(row)):
                        costs[i] = np.int32(np.int32(row[i] * slope) + extra) if row[i] != FAR else np.int32(FAR)
                _take(priced, 0, sizes, tile, offset, low, high, within, best, here)
            if out[k, SHARES] + here[SHARES] >= size:
                stops[k] = tile * rows + low
                break
            out[k] += here


@kernel(
    types.int64(
        _TILES, _TILES, types.int32, _ROW, types.int64, types.int64, types.int64, _ROW,
        types.Array(types.int32, 1, "C", readonly=True), types.int64, types.int64, types.int32[::1],
        types.int64[:, ::1],
    )
)  # fmt: skip
def _drop_into_bins(ticks, sizes, slope, offset, tile, low, high, reach, table, first_bins, times, best, bins):
    """Add each quote of a tile's part, `times` times, to the bin of the first combination that takes it.

    Bin K is for quotes that none takes. Returns the shares that went into the first `first_bins` bins.
    """
    _lowest(ticks, slope, offset, tile, low, high, best)
    farthest = len(table) - 1
    total = np.int64(0)
    for v in range(ticks.shape[1]):
        row, shown_sizes, extra = ticks[tile, v, low:high], sizes[tile, v, low:high], offset[v]
        for i in range(len(row)):
            if shown_sizes[i] > 0:
                cost = np.int64(row[i]) * slope + extra
                above = cost - best[i]
                at = np.int64(table[min(above, farthest)]) if farthest >= 0 else np.searchsorted(reach, above)
                shares = times * shown_sizes[i]
                bins[at, SHARES] += shares
                bins[at, COST] += shares * cost
                if extra != 0:
                    bins[at, FEES] += shares * extra
                if at < first_bins:
                    total += shares
    return total


@kernel(
    types.void(
        _TILES, _TILES, types.int32, _ROW, types.int64, types.int64, types.int64, _ROW, types.int64[::1],
        types.int64[:, ::1],
    )
)  # fmt: skip
def scan_together(ticks, sizes, slope, offset, first, past, size, reach, stops, out):
    """Scan the columns once for all combinations.

    Without state, a combination takes at a snapshot all that one of smaller reach takes: each quote is counted once,
    for the first combination that takes it, and the sums of all are running sums of these counts. The combination of
    the greatest reach completes first.

    Parameters
    ----------
    reach : (K,) int64
        Ascending, at least one.
    others
        As `scan_each`.
    """
    combinations, rows = len(reach), ticks.shape[2]
    table = np.empty(0, np.int32)
    if reach[combinations - 1] < TABLE:
        table = np.empty(reach[combinations - 1] + 2, np.int32)
        for above in range(len(table)):
            table[above] = np.searchsorted(reach, above)
    best = np.empty(rows, np.int32)
    bins, here = np.zeros((combinations + 1, 3), np.int64), np.zeros((combinations + 1, 3), np.int64)
    top, top_here = np.zeros(3, np.int64), np.zeros(3, np.int64)
    stops[:] = past
    unfilled, shares = combinations, np.int64(0)
    for tile in range(first // rows, (past + rows - 1) // rows):
        low, high = max(first - tile * rows, 0), min(past - tile * rows, rows)
        more = _drop_into_bins(ticks, sizes, slope, offset, tile, low, high, reach, table, unfilled, 1, best, bins)
        shares += more
        if shares < size:
            continue
        # some complete in this tile: take it back, and find out which ones
        _drop_into_bins(ticks, sizes, slope, offset, tile, low, high, reach, table, unfilled, -1, best, bins)
        here[:] = 0
        _drop_into_bins(ticks, sizes, slope, offset, tile, low, high, reach, table, unfilled, 1, best, here)
        top[:] = 0
        top_here[:] = 0
        for k in range(unfilled):
            top += bins[k]
            top_here += here[k]
        while unfilled > 0 and top[SHARES] + top_here[SHARES] >= size:
            unfilled -= 1
            stops[unfilled] = tile * rows + low
            out[unfilled] = top
            top -= bins[unfilled]
            top_here -= here[unfilled]
        if unfilled == 0:
            return
        for k in range(unfilled):
            bins[k] += here[k]
        shares = top[SHARES] + top_here[SHARES]
    top[:] = 0
    for k in range(unfilled):
        top += bins[k]
        out[k] = top
