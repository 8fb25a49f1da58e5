"""The fill engine of `allocator.kernels.walk` for books of several levels: each level of a venue is a supply.

The supplies of a venue stand in the order of their price, so that a walk looks at the first of each that has shares
left, its head. Supply s is level s % D of venue s // D.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, record
from allocator.kernels.walk import (
    BEST,
    BEST_ASK,
    BURST,
    CASH,
    FEES,
    FILLED,
    FIRST,
    INFINITE,
    LAST,
    LAST_ASK,
    MID,
    MIDS,
    OVER,
    OVER_CASH,
    PRO_RATA,
    PSEUDOCODE,
    TOUCH,
    Prices,
    Rules,
    Schedules,
    Span,
)

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in (types.int32, types.int64))

Row = Annotated[NDArray[np.int64], _I64]
Rows = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C", readonly=True)]
Counts = Annotated[NDArray[np.int8], types.Array(types.int8, 2, "C", readonly=True)]
Shares = Annotated[NDArray[np.int64], types.int64[::1]]


BY_PRICE, BY_COST = True, False
"""In which order supplies are looked at."""


class Quotes(NamedTuple):
    """All levels of a book as an order sees them that takes from one side.

    Attributes
    ----------
    rows : (T, V) int32
        The row of each venue's last publication; -1 = none yet.
    shown : (T, V) int8
        How many of its levels are displayed.
    ticks, sizes : (R, D) int32 or int64, int32
        Of the side taken from, as published; 0 = no level.
    other_ticks : (T, V) as ticks
        The other side's first level; 0 = nothing displayed.
    mid2, stood : (T,) int64
        As `allocator.kernels.walk.Quotes`.
    persist : bool
        Whether shares taken stay taken until a row of the venue does not show their price; otherwise any row ends that.
    """

    rows: Rows
    shown: Counts
    ticks: Any
    sizes: Rows
    other_ticks: Any
    mid2: Row
    stood: Row
    persist: bool


class State(NamedTuple):
    """What an order has taken, and what a snapshot offers; kept up to date while shares are taken.

    Attributes
    ----------
    at, shown, head : (V,) int64
        The standing row; how many of its levels are displayed; the first of these that may have shares left.
    known : (V,) int64
        How many of these have been looked at: of the others price, cost and left say nothing.
    holds : (V,) int64
        Of how many of the standing row's first published levels shares may be taken.
    taken : (V * D,) int64
        These shares, in units; of the other levels it says nothing.
    price, cost, left : (V * D,) int64
        Without and with fees, signed, 1e-9 $, and what is left, in units.
    kept : (D,) int64
        Scratch.
    """

    at: Shares
    shown: Shares
    head: Shares
    known: Shares
    holds: Shares
    taken: Shares
    price: Shares
    cost: Shares
    left: Shares
    kept: Shares


class Offer(NamedTuple):
    """What turns a level into money: as `allocator.kernels.walk.Prices`, and units per share.

    Attributes
    ----------
    sign, base, tick, unit : int64
    fees : (V,) int64
    """

    sign: int
    base: int
    tick: int
    unit: int
    fees: Row


_QUOTES = tuple(record(Quotes, ticks=grid, other_ticks=grid) for grid in _GRIDS)
_PRICES, _SPAN, _STATE, _RULES, _SCHEDULES, _OFFER = (
    record(each) for each in (Prices, Span, State, Rules, Schedules, Offer)
)


@kernel(types.void(_STATE))
def _clear(state):
    """Forget everything that was taken and seen."""
    state.at[:] = -1
    state.shown[:] = 0
    state.head[:] = 0
    state.known[:] = 0
    state.holds[:] = 0


@kernel(*(types.void(quotes, _OFFER, types.int64, types.int64, _STATE) for quotes in _QUOTES), inline=True)
def _know(quotes, offer, v, levels, state):
    """Look at a venue's levels up to a number of them."""
    ticks, sizes = quotes.ticks, quotes.sizes
    depth, row = ticks.shape[1], state.at[v]
    first = v * depth
    for level in range(state.known[v], levels):
        s = first + level
        taken = state.taken[s] if level < state.holds[v] else np.int64(0)
        state.price[s] = offer.sign * (offer.base + offer.tick * np.int64(ticks[row, level]))
        state.cost[s] = state.price[s] + offer.fees[v]
        state.left[s] = max(np.int64(sizes[row, level]) * offer.unit - taken, 0)
    state.known[v] = max(state.known[v], levels)


@kernel(*(types.void(quotes, _OFFER, types.int64, _STATE) for quotes in _QUOTES), inline=True)
def _look(quotes, offer, t, state):
    """Bring a state to snapshot t; it has seen every snapshot before, from the order's first on."""
    rows, shown, ticks = quotes.rows, quotes.shown, quotes.ticks
    depth = ticks.shape[1]
    for v in range(rows.shape[1]):
        row, levels = np.int64(rows[t, v]), np.int64(shown[t, v])
        if row == state.at[v] and levels == state.shown[v]:
            continue
        if row != state.at[v]:
            # both rows ascend from the best price on: what is taken goes to the level of its price, if there is one
            first, level, holds = v * depth, 0, 0
            for old in range(state.holds[v] if quotes.persist else 0):
                px = np.int64(ticks[state.at[v], old])
                while level < depth and ticks[row, level] != 0 and offer.sign * (ticks[row, level] - px) < 0:
                    state.kept[level] = 0
                    level += 1
                if level == depth or ticks[row, level] == 0:
                    break
                if ticks[row, level] == px:
                    state.kept[level] = state.taken[first + old]
                    level += 1
                    holds = level
            for each in range(holds):
                state.taken[first + each] = state.kept[each]
            state.holds[v], state.at[v] = holds, row
        state.shown[v], state.head[v], state.known[v] = levels, 0, 0
        _know(quotes, offer, v, min(levels, 1), state)


@kernel(*(types.int64(quotes, _OFFER, types.int64[::1], _STATE, types.boolean) for quotes in _QUOTES), inline=True)
def _first(quotes, offer, head, state, by_price):
    """The supply of the least (c, -venue) with shares left, or of the least (price, venue); -1 if none.

    `head` is moved on to the first level with shares left of each venue.
    """
    depth, best = quotes.ticks.shape[1], -1
    for v in range(len(head)):
        while head[v] < state.shown[v]:
            if head[v] == state.known[v]:
                _know(quotes, offer, v, head[v] + 1, state)
            if state.left[v * depth + head[v]] > 0:
                break
            head[v] += 1
        if head[v] < state.shown[v]:
            s = v * depth + head[v]
            if best < 0 or (state.price[s] < state.price[best] if by_price else state.cost[s] <= state.cost[best]):
                best = s
    return best


@kernel(types.int64(_STATE, types.int64, types.boolean), inline=True)
def _touch(state, depth, by_price):
    """The first level of the least cost displayed, or of the least (price, venue), whatever is taken; -1 if none."""
    best = -1
    for v in range(len(state.at)):
        s = v * depth
        if state.shown[v] > 0 and (
            best < 0 or (state.price[s] < state.price[best] if by_price else state.cost[s] < state.cost[best])
        ):
            best = s
    return best


@kernel(
    *(types.void(quotes, types.int64, types.int64, _I64, _STATE, types.int64[::1]) for quotes in _QUOTES), inline=True
)
def _fill(quotes, s, shares, fees, state, out):
    depth = quotes.ticks.shape[1]
    v = s // depth
    for each in range(v * depth + state.holds[v], s + 1):
        state.taken[each] = 0
    state.holds[v] = max(state.holds[v], s % depth + 1)
    state.taken[s] += shares
    state.left[s] -= shares
    out[FILLED] += shares
    out[CASH] += shares * state.cost[s]
    out[FEES] += shares * fees[v]


@kernel(types.void(types.int64, types.int64, types.int64, types.int64[::1]))
def _mark(before, t, mid2, out):
    """Record the mid and the snapshot t if more is filled by now than `before`."""
    shares = out[FILLED] - out[OVER] - before
    if shares > 0:
        out[MIDS] += shares * mid2
        out[FIRST] = out[FIRST] if out[FIRST] > 0 else t + 1
        out[LAST] = t + 1


@kernel(
    *(types.void(quotes, _OFFER, types.int64, types.int64, types.int64, _STATE, types.int64[::1]) for quotes in _QUOTES)
)
def _complete(quotes, offer, leftover, edge, remaining, state, out):
    """Apply the leftover rule at an order's last snapshot."""
    if leftover == LAST_ASK:
        s = _touch(state, quotes.ticks.shape[1], BY_PRICE)
        if s >= 0:
            _fill(quotes, s, remaining, offer.fees, state, out)
        return
    while remaining > 0:
        s = _first(quotes, offer, state.head, state, BY_COST)
        if s < 0:
            return
        shares = min(state.left[s], remaining) if state.price[s] <= edge else np.int64(0)
        if shares > 0:
            _fill(quotes, s, shares, offer.fees, state, out)
            remaining -= shares
        else:
            state.left[s] = 0


@kernel(
    *(types.void(quotes, _PRICES, _SPAN, types.int64, _RULES, _I64, _I64, types.int64[:, ::1]) for quotes in _QUOTES)
)
def walk(quotes, prices, span, size, rules, tau, over, out):
    """Run one order for K combinations; as `allocator.kernels.walk.walk`, over all levels.

    Parameters
    ----------
    quotes : Quotes
    prices, span, size, rules, tau, over, out
        As there.
    """
    other_ticks, mid2, stood = quotes.other_ticks, quotes.mid2, quotes.stood
    sign, base, tick, fees = prices.sign, prices.base, prices.tick, prices.fees
    first, past = span.first, span.past
    policy, step, wait, lots_only = rules.policy, rules.step, rules.wait, rules.lots_only
    reference, arrival_at, arrival2, leftover = rules.reference, rules.arrival_at, rules.arrival2, rules.leftover
    venues, depth = quotes.rows.shape[1], quotes.ticks.shape[1]
    supplies = venues * depth
    price, cost, left = np.zeros(supplies, np.int64), np.zeros(supplies, np.int64), np.zeros(supplies, np.int64)
    taken, split, kept = np.zeros(supplies, np.int64), np.zeros(supplies, np.int64), np.zeros(depth, np.int64)
    at, shown, head = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    known, holds, ahead = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    state = State(at, shown, head, known, holds, taken, price, cost, left, kept)
    offer = Offer(sign, base, tick, 1, fees)
    for k in range(len(tau)):
        _clear(state)
        remaining = size
        row = out[k]
        for t in range(first, past):
            before = row[FILLED] - row[OVER]
            _look(quotes, offer, t, state)
            act, whole = True, False
            if policy == PSEUDOCODE:
                lots = 0
                for v in range(venues):
                    _know(quotes, offer, v, shown[v], state)
                    for s in range(v * depth, v * depth + shown[v]):
                        lots += left[s] // step * step
                whole = remaining % step == 0 and lots >= remaining
                act = whole or not wait
            best = _first(quotes, offer, head, state, BY_COST)
            reference2 = 0
            if act and not whole:
                if best < 0:
                    act = False
                elif reference == BEST:
                    reference2 = 2 * cost[best]
                elif reference == TOUCH:
                    reference2 = 2 * cost[_touch(state, depth, BY_COST)]
                elif reference == MID:
                    reference2 = sign * mid2[t]
                    act = mid2[t] != 0
                else:
                    reference2 = sign * arrival2
                    act = t >= arrival_at
            if act:
                lots = whole or lots_only
                ahead[:] = head
                short = remaining
                while short > 0:
                    s = _first(quotes, offer, ahead, state, BY_COST)
                    if s < 0 or (not whole and 2 * cost[s] - reference2 > 2 * tau[k]):
                        break
                    split[s] = min(left[s] // step, short // step) * step if lots else min(left[s], short)
                    short -= split[s]
                    ahead[s // depth] += 1
                if lots_only and not whole and 0 < short < step:
                    other = -1
                    for v in range(venues):
                        if other_ticks[t, v] != 0 and (
                            other < 0 or sign * (np.int64(other_ticks[t, v]) - np.int64(other_ticks[t, other])) > 0
                        ):
                            other = v
                    more = -1
                    for v in range(venues):
                        _know(quotes, offer, v, shown[v], state)
                        for s in range(v * depth, v * depth + shown[v]):
                            # of equal costs the last venue's: within a venue none is equal
                            if (left[s] - split[s]) // step > 0 and (more < 0 or cost[s] <= cost[more]):
                                more = s
                    if (
                        other >= 0
                        and more >= 0
                        and over[k] < INFINITE
                        and (
                            tau[k] >= INFINITE
                            or step * (2 * cost[more] - reference2) + 2 * over[k] * (step - short) < 2 * tau[k] * short
                        )
                    ):
                        split[more] += step
                        ahead[more // depth] = max(ahead[more // depth], more % depth + 1)
                        excess = step - short
                        row[OVER] += excess
                        row[OVER_CASH] += excess * (
                            sign * (base + tick * np.int64(other_ticks[t, other])) - fees[other]
                        )
                        row[FEES] += excess * fees[other]
                        short = 0
                for v in range(venues):
                    for s in range(v * depth + head[v], v * depth + ahead[v]):
                        if split[s] > 0:
                            _fill(quotes, s, split[s], fees, state, row)
                            split[s] = 0
                remaining = short
            if remaining > 0 and t == past - 1:
                _complete(quotes, offer, leftover, rules.edge, remaining, state, row)
            _mark(before, t, stood[t], row)
            if remaining == 0:
                break


@kernel(types.void(types.int64, types.int64[::1], types.int64[::1], types.int64[::1]))
def _pro_rata(due, weights, split, rests):
    """Split `due` shares in proportion to weights, as `allocator.splits.pro_rata`; no more than its weight to any.

    Weights are below 2^31, and there are fewer than 2^15: a product of two sums is taken in halves.
    """
    total = weights.sum()
    if due >= total:
        split[:] = weights
        return
    missing = due
    for i in range(len(weights)):
        high, low = due * (weights[i] >> 16), due * (weights[i] & 0xFFFF)
        low += (high % total) << 16
        split[i] = ((high // total) << 16) + low // total
        rests[i] = low % total
        missing -= split[i]
    while missing > 0:
        most = 0
        for i in range(len(weights)):
            if rests[i] > rests[most]:
                most = i
        split[most] += 1
        rests[most] = -1
        missing -= 1


@kernel(
    *(
        types.void(quotes, _PRICES, _SPAN, _SCHEDULES, types.int64, types.int64, types.int64[:, ::1])
        for quotes in _QUOTES
    )
)
def follow(quotes, prices, span, given, leftover, edge, out):
    """Run N schedules, one after the other; as `allocator.kernels.walk.follow`, over all levels.

    Parameters
    ----------
    quotes : Quotes
    prices, span, given, leftover, edge, out
        As there.
    """
    stood, fees, first, past = quotes.stood, prices.fees, span.first, span.past
    sizes, units, due, ways = given.sizes, given.units, given.due, given.ways
    venues, depth = quotes.rows.shape[1], quotes.ticks.shape[1]
    supplies = venues * depth
    price, cost, left = np.zeros(supplies, np.int64), np.zeros(supplies, np.int64), np.zeros(supplies, np.int64)
    taken, kept = np.zeros(supplies, np.int64), np.zeros(depth, np.int64)
    at, shown, head = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    known, holds = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    weights, split, rests = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    state = State(at, shown, head, known, holds, taken, price, cost, left, kept)
    for n in range(len(sizes)):
        _clear(state)
        offer = Offer(prices.sign, prices.base, prices.tick, units[n], fees)
        row, size, way = out[n], sizes[n], ways[n]
        for t in range(first, past):
            before = row[FILLED]
            _look(quotes, offer, t, state)
            buy = min(due[n, t - first], size - before) if way >= BURST else due[n, t - first] - before
            if way >= BURST:
                while buy > 0:
                    s = _first(quotes, offer, head, state, way == BURST)
                    if s < 0:
                        break
                    shares = min(left[s], buy)
                    _fill(quotes, s, shares, fees, state, row)
                    buy -= shares
            elif buy >= units[n] and way == PRO_RATA:
                best = _touch(state, depth, BY_PRICE)
                if best >= 0:
                    for v in range(venues):
                        at_touch = shown[v] > 0 and price[v * depth] == price[best]
                        weights[v] = np.int64(quotes.sizes[at[v], 0]) if at_touch else 0
                    _pro_rata(buy, weights, split, rests)
                    for v in range(venues):
                        shares = min(left[v * depth], split[v]) if weights[v] > 0 else 0
                        if shares > 0:
                            _fill(quotes, v * depth, shares, fees, state, row)
            elif buy >= units[n]:
                s = _touch(state, depth, BY_PRICE) if way == BEST_ASK else _first(quotes, offer, head, state, BY_PRICE)
                if s >= 0 and left[s] > 0:
                    _fill(quotes, s, min(left[s], buy), fees, state, row)
            if t == past - 1 and row[FILLED] < size:
                _complete(quotes, offer, leftover, edge, size - row[FILLED], state, row)
            _mark(before, t, stood[t], row)
            if row[FILLED] == size:
                break
