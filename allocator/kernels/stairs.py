"""One walk for all combinations of `static` in whole shares: what a snapshot costs does not depend on their number.

Combinations stand in the order of their reach. One that reaches farther has taken at least as much of each quote as
one that reaches less far: its limit is at least as high, whether it is measured from the touch, a mid, or the best of
what is left to it, which is less. So what is taken of a quote is no number per combination but stairs over them, which
rise with the reach: under `refresh` at most one step, under `persist` at most one per size that was displayed since
the shares were available again. The combination at the top completes first, alone, and all others take whole quotes.

A quote is a supply: a venue, or, in a book of several levels, a venue's level of one price. It is looked at when it
changes, or when limits rise. Sums are kept as differences from one combination to the next.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, lowest, record
from allocator.kernels.stateful import (
    ARRIVAL,
    BEST,
    COST,
    FEES,
    LAST_ASK,
    MID,
    NONE,
    SHARES,
    SWEEP,
    TOUCH,
    WAIT,
    Costs,
    Quotes,
    Rules,
)

FAR = 2**62
"""Dearer than any cost."""

NOWHERE = -(2**62)
"""Stands for the point that costs are measured from where there is none."""

_WIDE = types.Array(types.int64, 2, "C", readonly=True)
_ROW = types.Array(types.int64, 1, "C", readonly=True)

Sums = Annotated[NDArray[np.int64], types.int64[::1]]
Steps = Annotated[NDArray[np.int32], types.int32[:, ::1]]
Table = Annotated[NDArray[np.int32], types.int32[::1]]
Row = Annotated[NDArray[np.int64], _ROW]
Rows = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C", readonly=True)]
Counts = Annotated[NDArray[np.int8], types.Array(types.int8, 2, "C", readonly=True)]


class Levels(NamedTuple):
    """All levels of the side of a book that is taken from.

    Attributes
    ----------
    rows : (T, V) int32
        The row of each venue's last publication; -1 = none yet.
    shown : (T, V) int8
        How many of its levels are displayed.
    ticks, sizes : (R, D) int32 or int64, int32
        As published, ascending in cost; 0 = no level. D <= 64.
    mid2 : (T,) int64
        Doubled mid, 1e-9 $, unsigned, 0 = none.
    """

    rows: Rows
    shown: Counts
    ticks: Any
    sizes: Rows
    mid2: Row


class Places(NamedTuple):
    """Which supplies the levels of V venues are, D each.

    Attributes
    ----------
    at, shown : (V,) int64
        The standing row; how many of its levels are displayed.
    supply : (V * D,) int64
        Of each level of the standing row, one of its venue's.
    kept : (D,) int64
        Scratch.
    """

    at: Sums
    shown: Sums
    supply: Sums
    kept: Sums


class Reaches(NamedTuple):
    """How far K combinations go, and a table that tells where among them a distance lies.

    Attributes
    ----------
    reach : (K,) int64
        Ascending; see `walk`.
    table : (B,) int32
        The first combination that reaches reach[0] + b * 2^shift; K = none.
    shift : int64
    """

    reach: Row
    table: Table
    shift: int


class Supplies(NamedTuple):
    """What S supplies display, and what K combinations have taken of it.

    Attributes
    ----------
    cost, size, fee : (S,) int64
        Units, `FAR` = nothing displayed; shares; the offset in the cost, units.
    open : (S,) int64
        Shares are left to the combinations before this one.
    steps : (S,) int64
        Of the stairs of each supply.
    first, taken : (S, K) int32
        The first combination of a step, and the shares that it and those up to the next step have taken; ascending.
        Those before the first step have taken nothing. That is 8 bytes per supply and combination, of which the machine
        gives only what is written to: most stairs have a step or two.
    fresh, takes, low : (S,) int64
        Scratch: the supplies that have changed; those that are taken of now; the first combination that does so.
    by_cost : (S,) int64
        All supplies, ascending by cost, of equal ones the last first; sorted when that is needed.
    waiting, best, upto : (S,) int64
        Scratch: supplies with shares left, ascending by cost; the best costs, and the combinations up to which each is.
    """

    cost: Sums
    size: Sums
    fee: Sums
    open: Sums
    steps: Sums
    first: Steps
    taken: Steps
    fresh: Sums
    takes: Sums
    low: Sums
    by_cost: Sums
    waiting: Sums
    best: Sums
    upto: Sums


_REACHES, _SUPPLIES, _COSTS, _RULES = record(Reaches), record(Supplies), record(Costs), record(Rules)
_PLACES = record(Places)
_FLAT = record(Quotes), record(Quotes, ticks=_WIDE)
_DEEP = tuple(record(Levels, ticks=types.Array(each, 2, "C", readonly=True)) for each in (types.int32, types.int64))


@kernel(_REACHES(_ROW))
def _reaches(reach):
    """Make the table: about as long as there are combinations."""
    count, shift = len(reach), 0
    while (reach[count - 1] - reach[0]) >> shift > 2 * count + 64:
        shift += 1
    table = np.empty(((reach[count - 1] - reach[0]) >> shift) + 2, np.int32)
    k = 0
    for b in range(len(table)):
        while k < count and reach[k] - reach[0] < b << shift:
            k += 1
        table[b] = k
    return Reaches(reach, table, shift)


@kernel(types.int64(_REACHES, types.int64), inline=True)
def _reaching(reaches, need):
    """The first combination that reaches `need`; the last one does."""
    reach = reaches.reach
    if need <= reach[0]:
        return 0
    bucket = (need - reach[0]) >> reaches.shift
    low, high = np.int64(reaches.table[bucket]), np.int64(reaches.table[bucket + 1])
    if reach[low] >= need:
        return low
    while low < high:
        middle = (low + high) >> 1
        if reach[middle] < need:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(_SUPPLIES(types.int64, _ROW, types.int64))
def _supplies(depth, offset, combinations):
    """The supplies of each venue, of which nothing is displayed or taken."""
    count = depth * len(offset)
    fee = np.empty(count, np.int64)
    for s in range(count):
        fee[s] = offset[s // depth]
    return Supplies(
        np.full(count, FAR, np.int64),
        np.zeros(count, np.int64),
        fee,
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.empty((count, combinations), np.int32),
        np.empty((count, combinations), np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.arange(count),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )


@kernel(types.int64(types.int32[:, ::1], types.int64, types.int64, types.int64), inline=True)
def _before(stairs, s, steps, least):
    """How many of the ascending steps of a supply are below `least`."""
    low, high = 0, steps
    while low < high:
        middle = (low + high) >> 1
        if stairs[s, middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(types.int64(_SUPPLIES, types.int64, types.int64), inline=True)
def _taken(supplies, s, combination):
    """What a combination has taken of a supply."""
    step = _before(supplies.first, s, supplies.steps[s], combination + 1)
    return np.int64(supplies.taken[s, step - 1]) if step > 0 else np.int64(0)


@kernel(types.void(_SUPPLIES, types.int64, types.int64, types.int64), inline=True)
def _display(supplies, s, cost, size):
    """Show another quote at a supply; its stairs stay."""
    supplies.cost[s], supplies.size[s] = cost, size
    step = _before(supplies.taken, s, supplies.steps[s], size)
    if size == 0:
        supplies.open[s] = 0
    elif step < supplies.steps[s]:
        supplies.open[s] = supplies.first[s, step]
    else:
        supplies.open[s] = supplies.first.shape[1]


@kernel(types.void(types.int64[:, ::1], types.int64, types.int64, types.int64, types.int64), inline=True)
def _add(out, combination, shares, cost, fee):
    """Add shares to the sums of a combination and of all that reach farther."""
    out[combination, SHARES] += shares
    out[combination, COST] += shares * cost
    out[combination, FEES] += shares * fee


@kernel(types.void(_SUPPLIES, types.int64, types.int64, types.int64, types.int64[:, ::1]), inline=True)
def _take(supplies, s, low, top, out):
    """Let those combinations from `low` on that have something left at a supply take it; `top` are not done."""
    first, taken, steps, size = supplies.first, supplies.taken, supplies.steps[s], supplies.size[s]
    cost, fee, high = supplies.cost[s], supplies.fee[s], min(supplies.open[s], top)
    below = _before(first, s, steps, low)
    held = np.int64(taken[s, below - 1]) if below > 0 else np.int64(0)
    _add(out, low, size - held, cost, fee)
    above = below
    while above < steps and first[s, above] < high:
        _add(out, np.int64(first[s, above]), held - taken[s, above], cost, fee)
        held = np.int64(taken[s, above])
        above += 1
    if high < top:
        _add(out, high, held - size, cost, fee)
        if taken[s, above] == size:  # one step with those that have taken this much before
            above += 1
    else:
        above = steps  # what those have taken that are done
    more = below + 1 - above
    if more > 0:
        for step in range(steps - 1, above - 1, -1):
            first[s, step + more], taken[s, step + more] = first[s, step], taken[s, step]
    elif more < 0:
        for step in range(above, steps):
            first[s, step + more], taken[s, step + more] = first[s, step], taken[s, step]
    first[s, below], taken[s, below] = low, size
    supplies.steps[s] = steps + more
    supplies.open[s] = low


@kernel(types.int64(_SUPPLIES, _REACHES, types.int64), inline=True)
def _from_best(supplies, reaches, top):
    """List what is taken now by whom, measured from the best that is left to each; returns the length of the list.

    The cheapest supply is the best of all who have something left of it, the next one that of all others who have
    something left of that, and so on.
    """
    cost, waiting, best, upto = supplies.cost, supplies.waiting, supplies.best, supplies.upto
    count, bests, takes = 0, 0, 0
    for s in range(len(cost)):  # no branch, which nobody could predict
        waiting[count] = s
        count += int(supplies.open[s] > 0)
    for each in range(1, count):
        s, at = waiting[each], each
        while at > 0 and cost[waiting[at - 1]] > cost[s]:
            waiting[at] = waiting[at - 1]
            at -= 1
        waiting[at] = s
    for each in range(count):
        s = waiting[each]
        high = min(supplies.open[s], top)
        if bests == 0 or upto[bests - 1] < high:
            best[bests], upto[bests] = cost[s], high
            bests += 1
        low, b = high, bests - 1
        while b > 0 and upto[b - 1] >= high:
            b -= 1
        while b >= 0 and cost[s] - best[b] <= reaches.reach[low - 1]:
            below = upto[b - 1] if b > 0 else 0
            low = max(below, _reaching(reaches, cost[s] - best[b]))
            b = b - 1 if low == below else -1
        if low < high:
            supplies.low[s] = low
            supplies.takes[takes] = s
            takes += 1
    return takes


@kernel(
    types.int64(_SUPPLIES, _REACHES, types.int64, types.int64, types.int64, types.boolean, types.int64), inline=True
)
def _from_point(supplies, reaches, scale, point, fresh, everywhere, top):
    """List what is taken now by whom, measured from one point; returns the length of the list.

    Only `fresh` of the supplies are looked at, or all where limits have risen.
    """
    half, takes = np.int64(scale > 1), 0
    for each in range(len(supplies.cost) if everywhere else fresh):
        s = each if everywhere else supplies.fresh[each]
        high = min(supplies.open[s], top)
        if supplies.cost[s] < FAR and high > 0:
            need = (scale * supplies.cost[s] - point + half) >> half
            if need <= reaches.reach[high - 1]:
                supplies.low[s] = _reaching(reaches, need)
                supplies.takes[takes] = s
                takes += 1
    return takes


@kernel(types.int64(_SUPPLIES, _COSTS, _RULES, types.int64), inline=True)
def _point(supplies, costs, rules, mid2):
    """What limits are measured from: the lowest cost displayed, units, or twice a mid less twice c0, 1e-9 $."""
    if rules.reference == TOUCH:
        touch = np.int64(FAR)
        for cost in supplies.cost:
            touch = min(touch, cost)
        return touch
    if rules.reference == ARRIVAL:
        return costs.sign * rules.arrival2 - 2 * costs.c0
    if rules.reference == MID and mid2 != 0:
        return costs.sign * mid2 - 2 * costs.c0
    return np.int64(NOWHERE)


@kernel(types.int64(_COSTS, _RULES), inline=True)
def _scale(costs, rules):
    """In how many parts of what a point is counted in a unit of cost is."""
    return 2 * costs.unit if rules.reference in (MID, ARRIVAL) else np.int64(1)


@kernel(types.void(_SUPPLIES), inline=True)
def _rank(supplies):
    """Sort all supplies by cost."""
    cost, by_cost = supplies.cost, supplies.by_cost
    for each in range(1, len(by_cost)):
        s, at = by_cost[each], each
        while at > 0 and (
            cost[by_cost[at - 1]] > cost[s] or (cost[by_cost[at - 1]] == cost[s] and by_cost[at - 1] < s)
        ):
            by_cost[at] = by_cost[at - 1]
            at -= 1
        by_cost[at] = s


@kernel(
    types.void(
        _SUPPLIES, _REACHES, _RULES, types.int64, types.int64, types.int64, types.int64, types.int64, types.int64[::1]
    )
)
def _close(supplies, reaches, rules, scale, point, leftover, size, combination, sums):
    """Let one combination take at a snapshot, cheapest first, up to the order's size, and apply a leftover rule."""
    cost, fee, reach, half = supplies.cost, supplies.fee, reaches.reach[combination], np.int64(scale > 1)
    for s in supplies.by_cost:
        if cost[s] == FAR or sums[SHARES] == size:
            break
        left = supplies.size[s] - _taken(supplies, s, combination)
        if left <= 0:
            continue
        if rules.reference == BEST and point == NOWHERE:
            point = cost[s]
        within_reach = point != NOWHERE and (scale * cost[s] - point + half) >> half <= reach
        if within_reach or (leftover == SWEEP and cost[s] - fee[s] <= rules.edge):
            shares = min(left, size - sums[SHARES])
            sums[SHARES] += shares
            sums[COST] += shares * cost[s]
            sums[FEES] += shares * fee[s]
    if leftover == LAST_ASK and sums[SHARES] < size:
        at = -1
        for s in range(len(cost)):  # the lowest price, without fees
            if cost[s] < FAR and (at < 0 or cost[s] - fee[s] < cost[at] - fee[at]):
                at = s
        if at >= 0:
            shares = size - sums[SHARES]
            sums[SHARES] += shares
            sums[COST] += shares * cost[at]
            sums[FEES] += shares * fee[at]


@kernel(types.UniTuple(types.int64, 3)(_SUPPLIES, types.int64, types.int64), inline=True)
def _gain(supplies, takes, top):
    """What the combination at the top takes now of the listed supplies: shares, cost and fees."""
    shares, cost, fees = np.int64(0), np.int64(0), np.int64(0)
    for each in range(takes):
        s = supplies.takes[each]
        if supplies.low[s] < top <= supplies.open[s]:
            left = supplies.size[s] - _taken(supplies, s, top - 1)
            shares += left
            cost += left * supplies.cost[s]
            fees += left * supplies.fee[s]
    return shares, cost, fees


@kernel(
    types.UniTuple(types.int64, 2)(
        _SUPPLIES, _REACHES, _COSTS, _RULES, types.int64, types.int64, types.int64, types.int64, types.int64,
        types.int64[::1], types.int64[:, ::1],
    ),
    inline=True,
)  # fmt: skip
def _act(supplies, reaches, costs, rules, size, mid2, fresh, top, before, sums, out):
    """Take at a snapshot that is not the last.

    Parameters
    ----------
    supplies, reaches, costs, rules, size, out
        As in `walk`; out holds the sums of a combination less those of the one before it.
    mid2, fresh : int64
        The mid; how many supplies have changed.
    top, before : int64
        How many combinations are not done; the point at the snapshot before, or, of `BEST`, how much was taken of.
    sums : (3,) int64, in and out
        Of the combination at the top.

    Returns
    -------
    top, before : int64
    """
    point, scale = np.int64(NOWHERE), _scale(costs, rules)
    if rules.reference == BEST:
        takes = 0 if fresh == 0 and before == 0 else _from_best(supplies, reaches, top)
        before = takes
    else:
        point = _point(supplies, costs, rules, mid2)
        takes = _from_point(supplies, reaches, scale, point, fresh, point > before, top) if point != NOWHERE else 0
        before = point
    if takes == 0:
        return top, before
    shares, cost, fees = _gain(supplies, takes, top)
    if sums[SHARES] + shares >= size:
        _rank(supplies)
        while top > 0 and sums[SHARES] + shares >= size:
            top -= 1
            row = out[top]
            for each in range(3):
                row[each], sums[each] = sums[each], sums[each] - row[each]
            _close(supplies, reaches, rules, scale, point, NONE, size, top, row)
            shares, cost, fees = _gain(supplies, takes, top)
    sums[SHARES] += shares
    sums[COST] += cost
    sums[FEES] += fees
    for each in range(takes):
        s = supplies.takes[each]
        if supplies.low[s] < top:
            _take(supplies, s, supplies.low[s], top, out)
    return top, before


@kernel(
    types.void(
        _SUPPLIES, _REACHES, _COSTS, _RULES, types.int64, types.int64, types.int64, types.int64[::1],
        types.int64[:, ::1],
    ),
    inline=True,
)  # fmt: skip
def _end(supplies, reaches, costs, rules, size, mid2, top, sums, out):
    """Turn differences into sums, and let each combination that is not done act at the last snapshot."""
    point = np.int64(NOWHERE) if rules.at_last == WAIT else _point(supplies, costs, rules, mid2)
    scale = _scale(costs, rules)
    _rank(supplies)
    sums[:] = 0
    for k in range(top):
        row = out[k]
        for each in range(3):
            sums[each] += row[each]
            row[each] = sums[each]
        _close(supplies, reaches, rules, scale, point, rules.leftover, size, k, row)


@kernel(*(types.int64(quotes, _COSTS, types.int64, types.uint64, _SUPPLIES) for quotes in _FLAT), inline=True)
def _look(quotes, costs, t, changed, supplies):
    """Show the quotes of snapshot t at those venues that may have changed; returns how many have."""
    fresh = 0
    while changed != np.uint64(0):
        v = lowest(changed)
        bit = np.uint64(1) << np.uint64(v)
        changed ^= bit
        again = quotes.resets[t] & bit != np.uint64(0)
        if again:
            supplies.steps[v] = 0
        cost, size = np.int64(FAR), np.int64(0)
        if quotes.shown[t] & bit != np.uint64(0):
            cost, size = costs.slope * np.int64(quotes.ticks[t, v]) + costs.offset[v], np.int64(quotes.sizes[t, v])
        if again or cost != supplies.cost[v] or size != supplies.size[v]:
            _display(supplies, v, cost, size)
            supplies.fresh[fresh] = v
            fresh += 1
    return fresh


@kernel(
    *(
        types.void(
            quotes, _COSTS, _RULES, types.int64, types.int64, types.int64, _SUPPLIES, _REACHES, types.int64[::1],
            types.int64[:, ::1],
        )
        for quotes in _FLAT
    ),
    inline=True,
)  # fmt: skip
def _walk(quotes, costs, rules, begin, last, size, supplies, reaches, sums, out):
    """The snapshots of `walk`; like all that is put in line, without counting references."""
    top, before, shown = len(out), np.int64(NOWHERE), np.uint64(0)
    for t in range(begin, last + 1):
        changed = quotes.published[t] | quotes.resets[t] | (quotes.shown[t] ^ shown)
        shown = quotes.shown[t]
        fresh = _look(quotes, costs, t, changed, supplies)
        if t < last:
            top, before = _act(
                supplies, reaches, costs, rules, size, quotes.mid2[t], fresh, top, before, sums, out
            )  # fmt: skip
            if top == 0:
                return
    _end(supplies, reaches, costs, rules, size, quotes.mid2[last], top, sums, out)


@kernel(
    *(
        types.void(quotes, _COSTS, _RULES, types.int64, types.int64, types.int64, _ROW, types.int64[:, ::1])
        for quotes in _FLAT
    )
)
def walk(quotes, costs, rules, begin, last, size, reach, out):
    """Run one order for K combinations.

    Parameters
    ----------
    quotes, costs, rules
        As `allocator.kernels.stateful.walk_each`; ticks are int32 or int64.
    begin, last, size : int64
        The order's first and last snapshot, and shares.
    reach : (K,) int64
        Ascending; K >= 1. How much more than the touch or the best a share may cost, units, or than a mid, 1e-9 $.
    out : (K, 3) int64, output, zeroed
        The sums of each combination.
    """
    supplies, reaches, sums = _supplies(1, costs.offset, len(reach)), _reaches(reach), np.zeros(3, np.int64)
    _walk(quotes, costs, rules, begin, last, size, supplies, reaches, sums, out)


@kernel(
    *(types.void(levels, types.int64, types.int64, types.int64, types.boolean, _PLACES, _SUPPLIES) for levels in _DEEP),
    inline=True,
)
def _place(levels, slope, v, row, persist, places, supplies):
    """Give each level of a venue's new row a supply: that of its price in the row before, or one without stairs."""
    ticks, kept, old_row = levels.ticks, places.kept, places.at[v]
    depth, old = ticks.shape[1], 0
    first, free = v * depth, ~np.uint64(0)
    for level in range(depth):
        px = np.int64(ticks[row, level])
        kept[level] = -1
        if persist and px != 0 and old_row >= 0:  # both rows ascend in cost
            while old < depth and ticks[old_row, old] != 0 and slope * (np.int64(ticks[old_row, old]) - px) < 0:
                old += 1
            if old < depth and ticks[old_row, old] == px:
                kept[level] = places.supply[first + old]
                free &= ~(np.uint64(1) << np.uint64(kept[level] - first))
    for level in range(depth):
        if kept[level] < 0:
            kept[level] = first + lowest(free)
            supplies.steps[kept[level]] = 0
            free &= free - np.uint64(1)
        places.supply[first + level] = kept[level]
    places.at[v] = row


@kernel(*(types.int64(levels, _COSTS, types.boolean, types.int64, _PLACES, _SUPPLIES) for levels in _DEEP), inline=True)
def _look_deep(levels, costs, persist, t, places, supplies):
    """Show the levels of snapshot t at those venues that have changed; returns how many supplies have."""
    depth, fresh = levels.ticks.shape[1], 0
    for v in range(len(places.at)):
        row, shown = np.int64(levels.rows[t, v]), np.int64(levels.shown[t, v])
        if row == places.at[v] and shown == places.shown[v]:
            continue
        again = not persist and row != places.at[v]
        if row != places.at[v]:
            _place(levels, costs.slope, v, row, persist, places, supplies)
        places.shown[v] = shown
        for level in range(depth):
            s = places.supply[v * depth + level]
            cost, size = np.int64(FAR), np.int64(0)
            if level < shown:
                cost = costs.slope * np.int64(levels.ticks[row, level]) + costs.offset[v]
                size = np.int64(levels.sizes[row, level])
            if again or cost != supplies.cost[s] or size != supplies.size[s]:
                _display(supplies, s, cost, size)
                supplies.fresh[fresh] = s
                fresh += 1
    return fresh


@kernel(
    *(
        types.void(
            levels, _COSTS, _RULES, types.int64, types.int64, types.int64, _PLACES, _SUPPLIES, _REACHES,
            types.int64[::1], types.int64[:, ::1],
        )
        for levels in _DEEP
    ),
    inline=True,
)  # fmt: skip
def _walk_levels(levels, costs, rules, begin, last, size, places, supplies, reaches, sums, out):
    """The snapshots of `walk_levels`."""
    top, before = len(out), np.int64(NOWHERE)
    for t in range(begin, last + 1):
        fresh = _look_deep(levels, costs, rules.persist, t, places, supplies)
        if t < last:
            top, before = _act(
                supplies, reaches, costs, rules, size, levels.mid2[t], fresh, top, before, sums, out
            )  # fmt: skip
            if top == 0:
                return
    _end(supplies, reaches, costs, rules, size, levels.mid2[last], top, sums, out)


@kernel(
    *(
        types.void(levels, _COSTS, _RULES, types.int64, types.int64, types.int64, _ROW, types.int64[:, ::1])
        for levels in _DEEP
    )
)
def walk_levels(levels, costs, rules, begin, last, size, reach, out):
    """Run one order for K combinations; as `walk`, over all levels.

    Parameters
    ----------
    levels : Levels
    costs, rules, begin, last, size, reach, out
        As there.
    """
    venues, depth = levels.rows.shape[1], levels.ticks.shape[1]
    supplies, reaches, sums = _supplies(depth, costs.offset, len(reach)), _reaches(reach), np.zeros(3, np.int64)
    places = Places(
        np.full(venues, -1, np.int64),
        np.zeros(venues, np.int64),
        np.arange(venues * depth),
        np.zeros(depth, np.int64),
    )
    _walk_levels(levels, costs, rules, begin, last, size, places, supplies, reaches, sums, out)
