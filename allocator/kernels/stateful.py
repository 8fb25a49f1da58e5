"""Walks over books whose quotes stand: the shares taken at each venue are state, kept from snapshot to snapshot.

For `static` in whole shares on at most 64 venues. A quote is read when it is published or may be taken: sets of venues
are bit masks, so that a snapshot at which nothing can be taken costs a few instructions, and no snapshot is sorted
except the one at which an order takes only a part.

Costs are integers of `unit`, relative to `c0`: c = c0 + unit * (slope * ticks + offset[v]); see `allocator.units`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, lowest, record

BEST, MID, ARRIVAL, WAIT, TOUCH = 0, 1, 2, 3, 4
"""The reference that prices are measured from; `WAIT` = the policy does not act."""

SWEEP, LAST_ASK, NONE = 0, 1, 2

SHARES, COST, FEES = range(3)
"""The sums of a walk: shares; shares * cost and shares * offset, in units."""

LANES, WIDE = 64, 128
"""Combinations that walk side by side."""

BLOCK = 512
"""Snapshots between two checks which lanes are done."""

ALL = 2**31 - 1
"""Stands for a quote that was taken whole, where only a new publication can bring it back."""

FAR = 2**31 - 1
"""Dearer than any cost; these stay below 2^30."""

_ROW = types.Array(types.int64, 1, "C", readonly=True)

Grid = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C", readonly=True)]
Bits = Annotated[NDArray[np.uint64], types.Array(types.uint64, 1, "C", readonly=True)]
Row = Annotated[NDArray[np.int64], _ROW]


class Quotes(NamedTuple):
    """The side of a book that is taken from.

    Attributes
    ----------
    ticks, sizes : (T, V) int32
        0 = nothing displayed. 1 <= V <= 64.
    resets, published, shown : (T,) uint64
        Bit v: shares taken at venue v are available again; it publishes; it displays a quote.
    mid2 : (T,) int64
        Doubled mid, 1e-9 $, unsigned, 0 = none.
    """

    ticks: Grid
    sizes: Grid
    resets: Bits
    published: Bits
    shown: Bits
    mid2: Row


class Costs(NamedTuple):
    """How costs are counted; as `allocator.units.CostUnits`.

    Attributes
    ----------
    slope : int64
        Units of cost per tick, signed as the order.
    offset : (V,) int64
        Units, 0 or more.
    sign, c0, unit : int64
        1 or -1; signed 1e-9 $; 1e-9 $.
    farthest : int64
        No cost exceeds another by more than this, in units; caps tau.
    """

    slope: int
    offset: Row
    sign: int
    c0: int
    unit: int
    farthest: int


class Rules(NamedTuple):
    """What a walk takes, whatever its threshold.

    Attributes
    ----------
    persist : bool
        Whether shares taken stay taken at a publication without a reset.
    reference, arrival2 : int64
        `TOUCH`, `BEST`, `MID` or `ARRIVAL`; twice the arrival mid, 1e-9 $, unsigned.
    at_last : int64
        `reference`, or `WAIT` where the policy does not act at the last snapshot.
    leftover, edge : int64
        `SWEEP` or `LAST_ASK`; `SWEEP` takes at slope * ticks of at most `edge`.
    """

    persist: bool
    reference: int
    arrival2: int
    at_last: int
    leftover: int
    edge: int


class Orders(NamedTuple):
    """N orders: their snapshots [first, past), at least one each, sizes in shares, `Rules.edge` of each, (N,) int64."""

    firsts: Row
    pasts: Row
    sizes: Row
    edges: Row


_QUOTES, _COSTS, _RULES = record(Quotes), record(Costs), record(Rules)


@kernel(types.int64(types.int64, types.int64, types.int64, types.int64, types.int64))
def _limit(tau, middle, sign, c0, unit):
    """The dearest cost that is taken, in units, where costs are measured from a mid; `middle` is twice that mid."""
    return (sign * middle - 2 * c0 + 2 * tau) // (2 * unit)


@kernel(types.int64(_QUOTES, _COSTS, types.int64))
def _touch(quotes, costs, t):
    """The lowest cost displayed at snapshot t, whatever is taken of it; `FAR` where nothing is."""
    ticks, slope, offset = quotes.ticks, costs.slope, costs.offset
    touch, rest = np.int64(FAR), quotes.shown[t]
    while rest != np.uint64(0):
        v = lowest(rest)
        rest &= rest - np.uint64(1)
        touch = min(touch, slope * np.int64(ticks[t, v]) + offset[v])
    return touch


@kernel(
    types.int64(
        _QUOTES, _COSTS, _RULES, types.int64, types.int64, types.int64, types.int64, types.int64[::1], types.int64[::1]
    )
)
def _through(quotes, costs, rules, tau, t, until, size, taken, sums):
    """Walk on from snapshot t while the order wants every share that is cheap enough.

    Parameters
    ----------
    quotes, costs, rules
        As `walk_each`.
    tau : int64
        1e-9 $.
    t, until : int64
        The snapshots [t, until).
    size : int64
        Of the order; the walk stops before the snapshot at which it would complete.
    taken : (V,) int64, in and out
        Shares taken at each venue since its reset; `ALL` or 0 where not `persist`.
    sums : (3,) int64, in and out

    Returns
    -------
    int64
        `until`, or the snapshot at which the order completes; taken and sums are as before it.
    """
    ticks, sizes, resets, published = quotes.ticks, quotes.sizes, quotes.resets, quotes.published
    shown, mid2 = quotes.shown, quotes.mid2
    slope, offset, sign, c0, unit = costs.slope, costs.offset, costs.sign, costs.c0, costs.unit
    persist, reference, arrival2 = rules.persist, rules.reference, rules.arrival2
    one = np.uint64(1)
    zero = np.uint64(0)
    free, doubt, held = zero, zero, zero
    for v in range(ticks.shape[1]):
        bit = one << np.uint64(v)
        if persist or taken[v] == 0:
            free |= bit
        if persist:
            doubt |= bit
            if taken[v] != 0:
                held |= bit
        taken[v] = taken[v] if persist else 0
    shares, cost, fees = sums[SHARES], sums[COST], sums[FEES]
    reach = min(tau // unit, costs.farthest)
    limit = np.int64(0)
    if reference == ARRIVAL:
        limit = _limit(tau, arrival2, sign, c0, unit)
    while t < until:
        free |= published[t]
        if persist:
            again = resets[t]
            back = again & held
            held &= ~again
            doubt = (doubt | published[t]) & ~again
            while back != zero:
                taken[lowest(back)] = 0
                back &= back - one
        takeable = free & shown[t]
        if persist:
            unsure = takeable & doubt
            if unsure != zero:
                doubt &= ~unsure
                while unsure != zero:
                    v = lowest(unsure)
                    bit = unsure & (~unsure + one)
                    unsure ^= bit
                    if sizes[t, v] <= taken[v]:
                        free &= ~bit
                        takeable &= ~bit
        if takeable == zero or (reference == MID and mid2[t] == 0):
            t += 1
            continue
        if reference == BEST and takeable & (takeable - one) == zero:
            v = lowest(takeable)
            left = np.int64(sizes[t, v]) - taken[v]
            if shares + left >= size:
                break
            shares += left
            cost += left * (slope * np.int64(ticks[t, v]) + offset[v])
            fees += left * offset[v]
            free &= ~takeable
            if persist:
                taken[v] += left
                held |= takeable
            t += 1
            continue
        if reference == BEST:
            best = np.int64(FAR)
            rest = takeable
            while rest != zero:
                v = lowest(rest)
                rest &= rest - one
                best = min(best, slope * np.int64(ticks[t, v]) + offset[v])
            limit = best + reach
        elif reference == TOUCH:
            limit = _touch(quotes, costs, t) + reach
        elif reference == MID:
            limit = _limit(tau, mid2[t], sign, c0, unit)
        within_limit = zero
        more, more_cost, more_fees = np.int64(0), np.int64(0), np.int64(0)
        rest = takeable
        while rest != zero:
            v = lowest(rest)
            bit = rest & (~rest + one)
            rest ^= bit
            c = slope * np.int64(ticks[t, v]) + offset[v]
            if c <= limit:
                left = np.int64(sizes[t, v]) - taken[v]
                within_limit |= bit
                more += left
                more_cost += left * c
                more_fees += left * offset[v]
        if shares + more >= size:
            break
        shares += more
        cost += more_cost
        fees += more_fees
        free &= ~within_limit
        if persist:
            held |= within_limit
            while within_limit != zero:
                v = lowest(within_limit)
                within_limit &= within_limit - one
                taken[v] = sizes[t, v]
        t += 1
    sums[SHARES], sums[COST], sums[FEES] = shares, cost, fees
    if not persist:
        for v in range(ticks.shape[1]):
            taken[v] = 0 if free >> np.uint64(v) & one else ALL
    return t


@kernel(
    types.void(
        _QUOTES,
        _COSTS,
        _RULES,
        types.int64,
        types.int64,
        types.int64,
        types.boolean,
        types.int64,
        types.int64[::1],
        types.int64[::1],
    )
)
def _close(quotes, costs, rules, tau, t, size, ends, edge, taken, sums):
    """Act at snapshot t, cheapest first, up to the order's size; apply the leftover rule if the order ends there."""
    ticks, sizes, resets, mid2 = quotes.ticks, quotes.sizes, quotes.resets, quotes.mid2
    slope, offset, sign, c0, unit = costs.slope, costs.offset, costs.sign, costs.c0, costs.unit
    reference, leftover = rules.at_last if ends else rules.reference, rules.leftover if ends else NONE
    venues = ticks.shape[1]
    left, cost = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    best = np.int64(FAR)
    for v in range(venues):
        if resets[t] >> np.uint64(v) & np.uint64(1):
            taken[v] = 0
        if ticks[t, v] != 0:
            left[v] = max(np.int64(sizes[t, v]) - taken[v], 0)
            cost[v] = slope * np.int64(ticks[t, v]) + offset[v]
            if left[v] > 0:
                best = min(best, cost[v])
    limit = np.int64(-FAR)
    if reference == BEST:
        limit = best + min(tau // unit, costs.farthest)
    elif reference == TOUCH:
        limit = _touch(quotes, costs, t) + min(tau // unit, costs.farthest)
    elif reference == ARRIVAL:
        limit = _limit(tau, rules.arrival2, sign, c0, unit)
    elif reference == MID and mid2[t] != 0:
        limit = _limit(tau, mid2[t], sign, c0, unit)
    for v in range(venues):  # first what the policy takes, then what the leftover rule does, in the same order
        if cost[v] > limit and not (leftover == SWEEP and cost[v] - offset[v] <= edge):
            left[v] = 0
    while sums[SHARES] < size:
        at = -1
        for v in range(venues):
            if left[v] > 0 and (at < 0 or cost[v] <= cost[at]):
                at = v
        if at < 0:
            break
        shares = min(left[at], size - sums[SHARES])
        left[at] -= shares
        sums[SHARES] += shares
        sums[COST] += shares * cost[at]
        sums[FEES] += shares * offset[at]
    if leftover == LAST_ASK and sums[SHARES] < size:
        at = -1
        for v in range(venues):  # the lowest price, without fees
            if ticks[t, v] != 0 and (at < 0 or slope * (np.int64(ticks[t, v]) - np.int64(ticks[t, at])) < 0):
                at = v
        if at >= 0:
            shares = size - sums[SHARES]
            sums[SHARES] += shares
            sums[COST] += shares * cost[at]
            sums[FEES] += shares * offset[at]


_WALK = types.void(
    _QUOTES, _COSTS, _RULES, types.int64, types.int64, _ROW, _ROW, types.int64[:, ::1]
)  # fmt: skip


@kernel(_WALK)
def walk_each(quotes, costs, rules, last, size, starts, tau, out):
    """Walk one combination after another.

    Parameters
    ----------
    quotes : Quotes
    costs : Costs
    rules : Rules
    last, size : int64
        The order's last snapshot, and shares.
    starts : (K,) int64
        The snapshot at which each walk begins, with nothing taken; not after `last`.
    tau : (K,) int64
        1e-9 $.
    out : (K, 3) int64, in and out
        The sums; on entry those before the starts.
    """
    taken = np.zeros(quotes.ticks.shape[1], np.int64)
    for k in range(len(tau)):
        taken[:] = 0
        sums = out[k]
        t = _through(quotes, costs, rules, tau[k], starts[k], last, size, taken, sums)
        _close(quotes, costs, rules, tau[k], t, size, t == last, rules.edge, taken, sums)


@kernel(types.void(types.int32[:, ::1], types.int64, types.int64[:, ::1]))
def _flush(few, pivot, sums):
    """Add int32 sums of shares, and of their cost above a pivot, to the sums of each lane, and clear them."""
    for k in range(sums.shape[1]):
        sums[SHARES, k] += few[SHARES, k]
        sums[COST, k] += few[COST, k] + few[SHARES, k] * pivot
    few[:] = 0


def _lanes(width):
    """Make the walk of `width` combinations side by side; for the compiler, its inner loops have constant length."""

    @kernel(_WALK)
    def walk_lanes(quotes, costs, rules, last, size, starts, tau, out):
        """Walk `width` combinations over one pass; parameters as `walk_each`, all starts the same.

        A lane whose order completes inside a block goes back to the block's start and walks alone from there. Sums are
        int32, of costs above a pivot, as long as the sizes prove that they fit.
        """
        ticks, sizes, resets, published = quotes.ticks, quotes.sizes, quotes.resets, quotes.published
        shown, mid2 = quotes.shown, quotes.mid2
        slope, offset, sign, c0, unit = costs.slope, costs.offset, costs.sign, costs.c0, costs.unit
        persist, reference, arrival2, farthest = rules.persist, rules.reference, rules.arrival2, costs.farthest
        venues = ticks.shape[1]
        one, zero = np.uint64(1), np.uint64(0)
        uneven = False
        for v in range(venues):
            uneven |= offset[v] != 0
        taken, before = np.zeros((venues, width), np.int32), np.zeros((venues, width), np.int32)
        sums, sums_before = np.zeros((3, width), np.int64), np.zeros((3, width), np.int64)
        shares, fees = sums[SHARES], sums[FEES]
        few = np.zeros((2, width), np.int32)
        some, above_pivot = few[SHARES], few[COST]
        reach, base = np.zeros(width, np.int32), np.zeros(width, np.int32)
        above, part = np.zeros(width, np.int64), np.zeros(width, np.int64)
        done = np.zeros(width, np.bool_)
        alone = np.zeros(venues, np.int64)
        for group in range(0, len(tau), width):
            lanes = min(width, len(tau) - group)
            for k in range(width):
                each = tau[group + min(k, lanes - 1)]
                # a mid, which holds no fee, may lie farther than `farthest` from every cost
                reach[k] = min(each // unit, farthest) if reference in (BEST, TOUCH) else 0
                above[k], part[k] = each // unit, 2 * (each % unit)
                done[k] = k >= lanes
            taken[:] = 0
            sums[:] = 0
            active = ~zero
            t, open_lanes = starts[group], lanes
            pivot, room, room_above = np.int64(0), np.int64(0), np.int64(0)
            while t < last and open_lanes > 0:
                start, until = t, min(t + BLOCK, last)
                before[:] = taken
                sums_before[:] = sums
                while t < until:
                    active |= published[t]
                    again = resets[t]
                    while again != zero:
                        taken[lowest(again)][:] = 0
                        again &= again - one
                    takeable = active & shown[t]
                    if takeable == zero or (reference == MID and mid2[t] == 0):
                        t += 1
                        continue
                    if reference == BEST and takeable & (takeable - one) == zero:
                        v = lowest(takeable)
                        size_there = sizes[t, v]
                        c = slope * np.int64(ticks[t, v]) + offset[v]
                        room -= size_there
                        room_above -= size_there * abs(c - pivot)
                        if min(room, room_above) < 0:
                            _flush(few, pivot, sums)
                            pivot, room, room_above = c, np.int64(ALL) - size_there, np.int64(ALL)
                        beyond = np.int32(c - pivot)
                        row = taken[v]
                        for k in range(width):
                            left = max(np.int32(size_there - row[k]), np.int32(0))
                            some[k] += left
                            above_pivot[k] += left * beyond
                            row[k] += left
                            if uneven:
                                fees[k] += np.int64(left) * offset[v]
                        active &= ~takeable
                        t += 1
                        continue
                    if reference == BEST:
                        v = lowest(takeable)
                        rest = takeable & (takeable - one)
                        size_there = sizes[t, v]
                        near = np.int32(slope * np.int64(ticks[t, v]) + offset[v])
                        row = taken[v]
                        for k in range(width):
                            base[k] = near if row[k] < size_there else np.int32(FAR)
                        while rest != zero:
                            v = lowest(rest)
                            rest &= rest - one
                            size_there = sizes[t, v]
                            near = np.int32(slope * np.int64(ticks[t, v]) + offset[v])
                            row = taken[v]
                            for k in range(width):
                                base[k] = min(base[k], near if row[k] < size_there else np.int32(FAR))
                    elif reference == TOUCH:
                        base[:] = np.int32(_touch(quotes, costs, t))
                    else:
                        middle = (arrival2 if reference == ARRIVAL else mid2[t]) * sign - 2 * c0
                        whole, rest_of = middle // (2 * unit), middle % (2 * unit)
                        for k in range(width):
                            limit = whole + above[k] + (1 if rest_of + part[k] >= 2 * unit else 0)
                            base[k] = np.int32(min(max(limit, np.int64(-FAR)), np.int64(FAR)))
                    rest = takeable
                    while rest != zero:
                        v = lowest(rest)
                        bit = rest & (~rest + one)
                        rest ^= bit
                        size_there = sizes[t, v]
                        c = slope * np.int64(ticks[t, v]) + offset[v]
                        room -= size_there
                        room_above -= size_there * abs(c - pivot)
                        if min(room, room_above) < 0:
                            _flush(few, pivot, sums)
                            pivot, room, room_above = c, np.int64(ALL) - size_there, np.int64(ALL)
                        near, beyond = np.int32(c), np.int32(c - pivot)
                        row = taken[v]
                        any_left = np.int32(0)
                        for k in range(width):
                            left = max(np.int32(size_there - row[k]), np.int32(0))
                            more = left if np.int32(near - reach[k]) <= base[k] else np.int32(0)
                            some[k] += more
                            above_pivot[k] += more * beyond
                            row[k] += more
                            any_left = np.int32(any_left | np.int32(left - more))  # an int64 would halve the vectors
                            if uneven:
                                fees[k] += np.int64(more) * offset[v]
                        if any_left == 0:
                            active &= ~bit
                    t += 1
                _flush(few, pivot, sums)
                pivot, room, room_above = np.int64(0), np.int64(0), np.int64(0)
                for k in range(lanes):
                    if not done[k] and shares[k] >= size:
                        done[k] = True
                        open_lanes -= 1
                        row_out = out[group + k]
                        for v in range(venues):
                            alone[v] = before[v, k] if persist or before[v, k] == 0 else ALL
                        row_out[:] = sums_before[:, k]
                        stop = _through(
                            quotes, costs, rules, tau[group + k], start, until, size, alone, row_out
                        )  # fmt: skip
                        ends = False  # it completes before its last snapshot
                        _close(quotes, costs, rules, tau[group + k], stop, size, ends, rules.edge, alone, row_out)
            for k in range(lanes):
                if not done[k]:
                    row_out = out[group + k]
                    for v in range(venues):
                        alone[v] = taken[v, k]
                    row_out[:] = sums[:, k]
                    ends = True
                    _close(quotes, costs, rules, tau[group + k], last, size, ends, rules.edge, alone, row_out)

    return walk_lanes


walk_lanes, walk_wide = _lanes(LANES), _lanes(WIDE)
"""The narrow walk wastes less on a small grid, the wide one shares more on a large one."""


@kernel(types.void(_QUOTES, _COSTS, _RULES, record(Orders), types.int64, types.int64, types.int64[:, ::1]))
def walk_orders(quotes, costs, rules, orders, every, tau, out):
    """Walk many orders under one combination, sharing one long walk; `reference` is not `ARRIVAL`.

    The long walk wants every share, from the first order's start to the last one's end; its state is saved every
    `every` snapshots. An order walks alone until its shares taken since the resets equal those of the long walk. From
    there on both take the same, so its end is looked up in the long walk's sums, and it walks alone again inside the
    last interval.

    Parameters
    ----------
    quotes, costs, rules
        As `walk_each`.
    orders : Orders
    every : int64
        Snapshots.
    tau : int64
        1e-9 $.
    out : (N, 3) int64, output
        The sums of each order.
    """
    venues, firsts, pasts, wanted = quotes.ticks.shape[1], orders.firsts, orders.pasts, orders.sizes
    begin, end = firsts.min(), pasts.max() - 1
    marks = (end - begin) // every + 1
    marked, marked_taken = np.zeros((marks, 3), np.int64), np.zeros((marks, venues), np.int64)
    taken, sums = np.zeros(venues, np.int64), np.zeros(3, np.int64)
    endless = np.int64(2**62)
    for mark in range(marks):
        marked[mark], marked_taken[mark] = sums, taken
        here = begin + mark * every
        _through(quotes, costs, rules, tau, here, min(here + every, end), endless, taken, sums)
    for n in range(len(firsts)):
        t, last, size, sums = firsts[n], pasts[n] - 1, wanted[n], out[n]
        taken[:] = 0
        sums[:] = 0
        mark = -((begin - t) // every)  # the first one that is not before t
        joined = False
        while t < last:
            until = min(begin + mark * every, last)
            stop = _through(quotes, costs, rules, tau, t, until, size, taken, sums)
            completes = stop < until
            t = stop
            if completes or t == last:
                break
            if not joined:
                joined = True
                for v in range(venues):
                    joined &= taken[v] == marked_taken[mark, v]
                if joined:  # on to the last mark before the order completes or ends
                    low, high = mark, (last - begin) // every
                    needed = size - sums[SHARES] + marked[mark, SHARES]
                    while low < high:
                        middle = (low + high + 1) // 2
                        if marked[middle, SHARES] < needed:
                            low = middle
                        else:
                            high = middle - 1
                    sums += marked[low] - marked[mark]
                    taken[:] = marked_taken[low]
                    t, mark = begin + low * every, low
            mark += 1
        _close(quotes, costs, rules, tau, t, size, t == last, orders.edges[n], taken, sums)
