"""The cheapest shares that a book offers in a span: the clairvoyant bound of `allocator.clairvoyant`, compiled."""

from __future__ import annotations

import numpy as np
from numba import types

from allocator.kernels.compiling import kernel, record
from allocator.kernels.deep_walk import Quotes as DeepQuotes
from allocator.kernels.walk import Prices, Quotes, Span

_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in (types.int32, types.int64))
_FLAT, _DEEP = (tuple(record(each, ticks=grid, other_ticks=grid) for grid in _GRIDS) for each in (Quotes, DeepQuotes))
_PRICES, _SPAN = record(Prices), record(Span)
_HEAP = types.int64[:, ::1]

COST, VENUE, SHARES = range(3)
"""The columns of a heap: entry 0 is the dearest, and of equal costs the lowest venue; no entry is before its parent,
(i - 1) // 2."""


@kernel(types.boolean(types.int64, types.int64, types.int64, types.int64))
def _dearer(cost, venue, other_cost, other_venue):
    """Whether a supply comes after another one: by cost, then the lower venue."""
    return cost > other_cost or (cost == other_cost and venue < other_venue)


@kernel(types.void(_HEAP, types.int64))
def _drop(heap, count):
    """Take the dearest of `count` entries out."""
    last, at = count - 1, 0
    cost, venue, shares = heap[last, COST], heap[last, VENUE], heap[last, SHARES]
    while 2 * at + 1 < last:
        child = 2 * at + 1
        if child + 1 < last and _dearer(
            heap[child + 1, COST], heap[child + 1, VENUE], heap[child, COST], heap[child, VENUE]
        ):
            child += 1
        if not _dearer(heap[child, COST], heap[child, VENUE], cost, venue):
            break
        heap[at, COST], heap[at, VENUE], heap[at, SHARES] = heap[child, COST], heap[child, VENUE], heap[child, SHARES]
        at = child
    heap[at, COST], heap[at, VENUE], heap[at, SHARES] = cost, venue, shares


@kernel(
    types.Tuple((_HEAP, types.int64, types.int64))(
        _HEAP, types.int64, types.int64, types.int64, types.int64, types.int64, types.int64
    )
)
def _keep(heap, count, total, size, cost, venue, shares):
    """Add a supply to the `count` entries of a heap that hold `total` shares, and take out what `size` does not need.

    Returns
    -------
    heap, count, total
        The heap is a larger one where it was full.
    """
    if total >= size and not _dearer(heap[0, COST], heap[0, VENUE], cost, venue):
        return heap, count, total
    if count == len(heap):
        larger = np.empty((2 * count, 3), np.int64)
        larger[:count] = heap
        heap = larger
    shares = min(shares, size)
    at = count
    while at > 0:
        parent = (at - 1) // 2
        if not _dearer(cost, venue, heap[parent, COST], heap[parent, VENUE]):
            break
        heap[at, COST], heap[at, VENUE], heap[at, SHARES] = (
            heap[parent, COST],
            heap[parent, VENUE],
            heap[parent, SHARES],
        )
        at = parent
    heap[at, COST], heap[at, VENUE], heap[at, SHARES] = cost, venue, shares
    count += 1
    total += shares
    while total - heap[0, SHARES] >= size:
        total -= heap[0, SHARES]
        _drop(heap, count)
        count -= 1
    return heap, count, total


@kernel(
    types.void(
        _HEAP, types.int64, types.int64, types.int64, types.Array(types.int64, 1, "C", readonly=True), types.int64[::1]
    )
)
def _add_up(heap, count, total, size, fees, out):
    """Shares, cash and fees of the entries, of the dearest one only what `size` needs."""
    if total > size:
        heap[0, SHARES] -= total - size
    for i in range(count):
        out[0] += heap[i, SHARES]
        out[1] += heap[i, SHARES] * heap[i, COST]
        out[2] += heap[i, SHARES] * fees[heap[i, VENUE]]


@kernel(*(types.void(quotes, _PRICES, _SPAN, types.int64, types.int64, types.int64[::1]) for quotes in _FLAT))
def cheapest(quotes, prices, span, size, limit, out):
    """Find the cheapest shares that one level of each venue offers.

    Parameters
    ----------
    quotes : allocator.kernels.walk.Quotes
    prices : allocator.kernels.walk.Prices
    span : allocator.kernels.walk.Span
    size : int64
        How many shares are wanted.
    limit : int64
        What a share may cost, signed, 1e-9 $.
    out : (3,) int64, output, zeroed
        Shares, at most `size`; what they cost, signed, and their fees, 1e-9 $.
    """
    ticks, sizes, resets = quotes.ticks, quotes.sizes, quotes.resets
    sign, base, tick, fees = prices.sign, prices.base, prices.tick, prices.fees
    venues = ticks.shape[1]
    offered = np.zeros(venues, np.int64)
    heap, count, total = np.empty((64, 3), np.int64), 0, 0
    for t in range(span.first, span.past):
        for v in range(venues):
            if resets[t, v >> 6] >> np.uint64(v & 63) & np.uint64(1):
                offered[v] = 0
            more = np.int64(sizes[t, v]) - offered[v]
            if ticks[t, v] == 0 or more <= 0:
                continue
            offered[v] += more
            cost = sign * (base + tick * np.int64(ticks[t, v])) + fees[v]
            if cost <= limit and (total < size or cost <= heap[0, COST]):
                heap, count, total = _keep(heap, count, total, size, cost, v, more)
    _add_up(heap, count, total, size, fees, out)


@kernel(*(types.void(quotes, _PRICES, _SPAN, types.int64, types.int64, types.int64[::1]) for quotes in _DEEP))
def cheapest_of_levels(quotes, prices, span, size, limit, out):
    """Find the cheapest shares that all levels of each venue offer; as `cheapest`.

    Parameters
    ----------
    quotes : allocator.kernels.deep_walk.Quotes
    prices, span, size, limit, out
        As there.
    """
    rows, shown, ticks, sizes = quotes.rows, quotes.shown, quotes.ticks, quotes.sizes
    sign, base, tick, fees = prices.sign, prices.base, prices.tick, prices.fees
    venues, depth = rows.shape[1], ticks.shape[1]
    # of each venue: the standing row, how many of its levels have been looked at, and what its prices have offered
    at, known = np.full(venues, -1, np.int64), np.zeros(venues, np.int64)
    offered, kept = np.zeros((venues, depth), np.int64), np.zeros(depth, np.int64)
    heap, count, total = np.empty((64, 3), np.int64), 0, 0
    for t in range(span.first, span.past):
        for v in range(venues):
            row = np.int64(rows[t, v])
            if row != at[v]:
                kept[:] = 0
                if quotes.persist and at[v] >= 0:
                    # both rows ascend from the best price on
                    level = 0
                    for old in range(depth):
                        px = np.int64(ticks[at[v], old])
                        if px == 0:
                            break
                        while level < depth and ticks[row, level] != 0 and sign * (ticks[row, level] - px) < 0:
                            level += 1
                        if level == depth or ticks[row, level] == 0:
                            break
                        if ticks[row, level] == px:
                            kept[level] = offered[v, old]
                offered[v] = kept
                at[v], known[v] = row, 0
            for level in range(known[v], shown[t, v]):
                more = np.int64(sizes[row, level]) - offered[v, level]
                if more <= 0:
                    continue
                offered[v, level] += more
                cost = sign * (base + tick * np.int64(ticks[row, level])) + fees[v]
                if cost <= limit and (total < size or cost <= heap[0, COST]):
                    heap, count, total = _keep(heap, count, total, size, cost, v, more)
            known[v] = max(known[v], np.int64(shown[t, v]))
    _add_up(heap, count, total, size, fees, out)
