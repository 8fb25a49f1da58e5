"""The compiled count of a tape: one pass over the rows that keeps the standing book.

It counts tapes in order and as `feed.tape.Tape.build` leaves them, and refuses others: those are counted by
`feed.quality.checks` with numpy, which knows every tape, and the two are tested equal.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit, types

from feed.compiling import compiled

COUNTS = (
    "early_stamps",
    "own_crossed_rows",
    "own_locked_rows",
    "crossed_snapshots",
    "locked_snapshots",
    "one_sided_snapshots",
    "stale_quotes",
    "old_quotes",
    "withdrawn_bids",
    "withdrawn_asks",
    "stub_quotes",
    "off_tick",
    "odd_lots",
    "superseded_rows",
    "backward_sequences",
    "sequence_gaps",
    "time_gaps",
)
"""The checks that `tally` counts, in the order of its `counts`."""

TWO_SIDED, TIED, LARGEST_GAP = range(len(COUNTS), len(COUNTS) + 3)
"""Places of `counts` behind them: rows that quote both sides; rows at the time, venue and sequence of their
predecessor, which may repeat it; the longest pause between rows, nanoseconds."""

PLACES = len(COUNTS) + 3

IDS = 2**16
ROWS, LAST, QUOTED = range(3)
"""What `tally` finds of each publisher id: its rows; its last row; whether a row quotes either side."""

(
    _EARLY, _OWN_CROSSED, _OWN_LOCKED, _CROSSED, _LOCKED, _ONE_SIDED, _STALE, _OLD, _NO_BIDS, _NO_ASKS, _STUBS,
    _OFF_TICK, _ODD_LOTS, _SUPERSEDED, _BACKWARD, _JUMPS, _PAUSES,
) = range(len(COUNTS))  # fmt: skip

_PRICE_LIMIT = 2**23 * 10**9
_NONE = 2**62
_ALONE = 10
_CENT = np.uint64(10**7)
_DOLLAR = np.uint64(10**9)

TIERS = 3
"""Tiers of price of a table of round lots, at most."""

_MOST_LOT = 100
_ZERO = np.uint64(0)

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C", readonly=True)
_I16 = types.Array(types.int16, 1, "C", readonly=True)
_RULES = types.Array(types.int64, 2, "C", readonly=True)
_OUT = types.int64[::1]


_compiled = partial(compiled, error_model="numpy")


_part = njit(nogil=True, error_model="numpy")
"""Compiled into what calls it: there is one piece of code to load."""


@_part
def off_tick(px, ticks):
    """Count prices, 0 or above, between two ticks, each of which is a part of a cent."""
    off = np.int64(0)
    for rule in range(len(ticks)):
        whole, below = np.uint64(ticks[rule, 2]), np.uint64(ticks[rule, 3])
        for row in range(ticks[rule, 0], ticks[rule, 1]):
            price = np.uint64(px[row])
            if price % _CENT != _ZERO:
                off += price % (whole if price >= _DOLLAR else below) != _ZERO
    return off


@_part
def odd_lots(px, sz, lots):
    """Count quotes of fewer shares than a round lot at their price."""
    odd = np.int64(0)
    for rule in range(len(lots)):
        for row in range(lots[rule, 0], lots[rule, 1]):
            if 0 < sz[row] < _MOST_LOT and px[row] > 0:
                lot = lots[rule, 2 + 2 * TIERS]
                for tier in range(TIERS):
                    if px[row] <= lots[rule, 2 + 2 * tier]:
                        lot = lots[rule, 3 + 2 * tier]
                        break
                odd += sz[row] < lot
    return odd


@_part
def is_normal(px, sz):
    """Whether all prices are within the limit, and have a size exactly where they are not 0."""
    broken = np.int64(0)
    for row in range(len(px)):
        broken |= np.int64(px[row] < 0) | np.int64(px[row] >= _PRICE_LIMIT) | np.int64(sz[row] < 0)
        broken |= np.int64((px[row] > 0) != (sz[row] > 0))
    return broken == 0


@_part
def is_ordered(ts, venue, sequence):
    """Whether no row is before its predecessor by (time, venue, sequence)."""
    for row in range(1, len(ts)):
        if ts[row] <= ts[row - 1]:
            if ts[row] < ts[row - 1] or venue[row] < venue[row - 1]:
                return False
            if venue[row] == venue[row - 1] and sequence[row] < sequence[row - 1]:
                return False
    return True


@_part
def put(tree, at, value):
    """Set a leaf of a tree in which each node, from 1 on, is the highest of its two children at 2n and 2n + 1."""
    at += len(tree) >> 1
    while tree[at] != value:
        tree[at] = value
        if at == 1:
            break
        value = max(value, tree[at ^ 1])
        at >>= 1


@_part
def take_above(tree, value):
    """Remove every leaf above a value; return how many there were."""
    taken, leaves = np.int64(0), len(tree) >> 1
    while tree[1] > value:
        at = 1
        while at < leaves:
            at *= 2
            at += tree[at] <= value
        put(tree, at - leaves, -_NONE)
        taken += 1
    return taken


@_compiled(
    types.boolean(_I64, _I16, _I64, _I64, _I32, _I32, _I64, types.int64, _RULES, _RULES, _OUT, types.int64[:, ::1])
)
def tally(ts, venue, bid_px, ask_px, bid_sz, ask_sz, sequence, first_in_ns, ticks, lots, counts, ids):
    """Count what a tape shows.

    The best of a side, and the best of its quotes that nothing crossed yet, are each the root of a tree with a leaf for
    each venue: a row then takes at most as many steps as the logarithm of their number, and mostly one, as most rows
    leave the best as it is.

    Parameters
    ----------
    ts, venue, bid_px, ask_px, bid_sz, ask_sz, sequence : (N,)
        The tape's columns, N at least 1.
    first_in_ns : int64
        The first stamp that can only be nanoseconds; those before it are early.
    ticks : (K, 4) int64
        Tick sizes: the first row, the row behind the last one, the tick from 1 $ on, and below; 1e-9 $.
    lots : (K, 3 + 2 * TIERS) int64
        Round lots: the first row, the row behind the last one, price and shares of each tier, the shares beyond.
    counts : (PLACES,) int64, output, zeroed
        See `COUNTS`, `TWO_SIDED`, `TIED`, `LARGEST_GAP`.
    ids : (3, IDS) int64, output, zeroed
        See `ROWS`, `LAST`, `QUOTED`; of publisher id - 2^15.

    Returns
    -------
    bool
        Whether it was counted; where not, the outputs mean nothing.
    """
    if not (is_ordered(ts, venue, sequence) and is_normal(bid_px, bid_sz) and is_normal(ask_px, ask_sz)):
        return False
    rows, final = len(ts), ts[len(ts) - 1]
    counts[_OFF_TICK] = off_tick(bid_px, ticks) + off_tick(ask_px, ticks)
    counts[_ODD_LOTS] = odd_lots(bid_px, bid_sz, lots) + odd_lots(ask_px, ask_sz, lots)
    for row in range(rows):
        ids[ROWS, np.int64(venue[row]) + IDS // 2] += 1
    index, venues = np.empty(IDS, np.int64), 0
    for each in range(IDS):
        index[each] = venues
        venues += ids[ROWS, each] > 0
    leaves = 2
    while leaves < venues:
        leaves *= 2
    # asks are kept below 0, so that the best of either side is the highest
    bids, asks = np.full(2 * leaves, -_NONE, np.int64), np.full(2 * leaves, -_NONE, np.int64)
    open_bids, open_asks = bids.copy(), asks.copy()
    last, stands, steps_by_one, jumps = (
        np.full(venues, -1, np.int64), np.full(venues, -1, np.int64),
        np.zeros(venues, np.int64), np.zeros(venues, np.int64),
    )  # fmt: skip
    sane, start = np.int64(0), 0
    while start < rows:
        now = ts[start]
        if start > 0:
            pause = now - ts[start - 1]
            counts[LARGEST_GAP] = max(counts[LARGEST_GAP], pause)
            counts[_PAUSES] += pause > 10_000_000_000
        counted_early = now < first_in_ns
        top_bid, top_ask, end = np.int64(-_NONE), np.int64(-_NONE), start
        while end < rows and ts[end] == now:
            bid, ask, number = bid_px[end], ask_px[end], np.int64(venue[end]) + IDS // 2
            counts[_EARLY] += counted_early
            counts[_NO_BIDS] += bid == 0
            counts[_NO_ASKS] += ask == 0
            if bid > 0 and ask > 0:
                counts[TWO_SIDED] += 1
                counts[_OWN_CROSSED] += bid > ask
                counts[_OWN_LOCKED] += bid == ask
            v = index[number]
            if last[v] >= 0:
                step = sequence[end] - sequence[last[v]]
                steps_by_one[v] += step == 1
                jumps[v] += step > 1
                counts[_BACKWARD] += step < 0
                counts[TIED] += step == 0 and last[v] == end - 1 and end > start
            last[v] = end
            if bid > 0 or ask > 0:
                ids[QUOTED, number] = 1
            end += 1
            if end < rows and ts[end] == now and venue[end] == venue[end - 1]:
                counts[_SUPERSEDED] += 1
                continue
            top_bid = max(top_bid, bid)
            top_ask = max(top_ask, -ask if ask > 0 else np.int64(-_NONE))
            before = stands[v]
            if before >= 0 and now - ts[before] > 60_000_000_000:
                counts[_OLD] += bid_px[before] > 0 or ask_px[before] > 0
            stands[v] = end - 1
        # what is replaced at this instant is not crossed at it
        if open_bids[1] > -top_ask or open_asks[1] > -max(top_bid, np.int64(0)):
            for row in range(start, end):
                v = index[np.int64(venue[row]) + IDS // 2]
                put(open_bids, v, -_NONE)
                put(open_asks, v, -_NONE)
            counts[_STALE] += take_above(open_bids, -top_ask) + take_above(open_asks, -max(top_bid, np.int64(0)))
        for row in range(start, end):
            v = index[np.int64(venue[row]) + IDS // 2]
            if stands[v] == row:
                bid, ask = bid_px[row], -ask_px[row] if ask_px[row] > 0 else np.int64(-_NONE)
                put(bids, v, bid)
                put(asks, v, ask)
                put(open_bids, v, bid)
                put(open_asks, v, ask)
        best_bid, best_ask = max(bids[1], np.int64(0)), -asks[1]
        vouched, stub_bids, stub_asks = False, False, False
        if best_bid > 0 and best_ask < _NONE:
            counts[_CROSSED] += best_bid > best_ask
            counts[_LOCKED] += best_bid == best_ask
            vouched = best_ask <= 2 * best_bid
            if vouched:
                sane = best_bid + best_ask
            elif sane == 0:
                stub_bids = stub_asks = best_ask > _ALONE * _ALONE * best_bid
        else:
            counts[_ONE_SIDED] += 1
        if not vouched and sane > 0:
            stub_bids = best_bid > 0 and 2 * _ALONE * best_bid < sane
            stub_asks = best_ask < _NONE and 2 * best_ask > _ALONE * sane
        for row in range(start, end):
            if stands[index[np.int64(venue[row]) + IDS // 2]] == row:
                bid, ask = bid_px[row], ask_px[row]
                counts[_STUBS] += bid > 0 and (stub_bids or 10 * bid < 9 * best_bid)
                counts[_STUBS] += ask > 0 and (stub_asks or 10 * ask > 11 * best_ask)
        start = end
    for each in range(IDS):
        if ids[ROWS, each] > 0:
            v, steps = index[each], ids[ROWS, each] - 1
            ids[LAST, each] = last[v]
            if steps > 0 and 100 * steps_by_one[v] >= 99 * steps:
                counts[_JUMPS] += jumps[v]
            if final - ts[stands[v]] > 60_000_000_000:
                counts[_OLD] += bid_px[stands[v]] > 0 or ask_px[stands[v]] > 0
    return True
