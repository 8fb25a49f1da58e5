"""The fill engine of `allocator.kernels.walk` with child orders that take time, a cap, and a pace; of any depth.

Each level of a venue is a supply: supply s is level s % D of venue s // D, and the supplies of a venue stand in the
order of their price. What is left of a supply is kept beside what is free for the policy: of the cap on it, what is not
taken, and what the children in flight to its venue would not take. That is worked out anew where the venue's quote
changes, or a child is sent to it or arrives.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.flight import mixed
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
Ids = Annotated[NDArray[np.uint64], types.Array(types.uint64, 1, "C", readonly=True)]
Rows = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C", readonly=True)]
Counts = Annotated[NDArray[np.int8], types.Array(types.int8, 2, "C", readonly=True)]
Bits = Annotated[NDArray[np.uint64], types.Array(types.uint64, 2, "C", readonly=True)]
Choices = Annotated[NDArray[np.int64], types.Array(types.int64, 2, "C", readonly=True)]
Shares = Annotated[NDArray[np.int64], types.int64[::1]]
Trail = Annotated[NDArray[np.int64], types.int64[:, ::1]]

NANO = 10**9
BY_PRICE, BY_COST = True, False
"""In which order supplies are looked at."""

SLOTS = 64
"""Children that there is room for at first."""


class Quotes(NamedTuple):
    """A book of any depth as an order sees it that takes from one side.

    Attributes
    ----------
    rows : (T, V) int32
        The row of each venue's last publication; -1 = none yet.
    shown : (T, V) int8
        How many of its levels are displayed.
    resets : (T, W) uint64
        Where shares taken are available again.
    ticks, sizes : (R, D) int32 or int64, int32
        Of the side taken from; 0 = no level, or none displayed.
    other_ticks : (T, V) as ticks
        The other side's first level; 0 = nothing displayed.
    mid2, stood : (T,) int64
        As `allocator.kernels.walk.Quotes`.
    persist : bool
        Whether shares taken stay taken until a row of the venue does not show their price; otherwise any row ends that.
    deep : bool
        Whether `rows` and `shown` say which row of `ticks` stands. Otherwise there is a row of one level for each
        snapshot and venue, snapshot after snapshot, and a venue's row stands until `resets`, or until what it displays
        is another: rows and shown are empty then, and with several levels resets is.
    """

    rows: Rows
    shown: Counts
    resets: Bits
    ticks: Any
    sizes: Rows
    other_ticks: Any
    mid2: Row
    stood: Row
    persist: bool
    deep: bool


class Latency(NamedTuple):
    """How long a child takes: as `allocator.order.Latency`.

    Attributes
    ----------
    ts : (T,) int64
        UTC nanoseconds of the snapshots.
    seed : (1,) uint64
        Mixed once.
    ids : (V,) uint64
        Publisher ids, modulo 2^64.
    counts : (V,) int64
        How many choices a venue has.
    choices : (V, C) int64
        Nanoseconds; those beyond a venue's count say nothing.
    """

    ts: Row
    seed: Ids
    ids: Ids
    counts: Row
    choices: Choices


class Pace(NamedTuple):
    """What holds a policy back.

    Attributes
    ----------
    participation : int64
        1e-9 of what is displayed.
    due : (past - first,) int64
        Shares that may have been sent by each snapshot of the order.
    """

    participation: int
    due: Row


class Offer(NamedTuple):
    """What turns a level into money: as `allocator.kernels.walk.Prices`; units per share; the participation.

    Attributes
    ----------
    sign, base, tick, unit, participation : int64
    fees : (V,) int64
    """

    sign: int
    base: int
    tick: int
    unit: int
    participation: int
    fees: Row


class State(NamedTuple):
    """What an order has taken, and what a snapshot offers; kept up to date while shares are taken.

    Attributes
    ----------
    at, shown, head : (V,) int64
        The standing row; how many of its levels are displayed; the first of these that may be free.
    known : (V,) int64
        How many of these have been looked at: of the others price, cost, left and free say nothing.
    holds : (V,) int64
        Of how many of the standing row's first levels shares may be taken.
    stale : (V,) int64
        Not 0: what is free is to be worked out anew.
    taken : (V * D,) int64
        Units taken; of levels that hold none it says nothing.
    price, cost, left, free : (V * D,) int64
        Without and with fees, signed, 1e-9 $; units left, and those of them that a policy may send for.
    split : (V * D,) int64
        Units to be sent; 0 between decisions.
    kept : (D,) int64
        Scratch, as `ahead`, (V,) int64, is.
    trail : (F, 4) int64
        The first fills: snapshot, venue, shares in units, price displayed in 1e-9 $.
    tally : (2,) int64
        `FILLS`, how many fills there were, also where the trail has no room for them; `NOW`, the snapshot looked at.
    """

    at: Shares
    shown: Shares
    head: Shares
    ahead: Shares
    known: Shares
    holds: Shares
    stale: Shares
    taken: Shares
    price: Shares
    cost: Shares
    left: Shares
    free: Shares
    split: Shares
    kept: Shares
    trail: Trail
    tally: Shares


FILLS, NOW = range(2)


class Flight(NamedTuple):
    """The children in flight, N at most: each has a slot, in a list by venue and in one by the snapshot it arrives at.

    Attributes
    ----------
    venue, shares, limit : (N,) int64
        Venue, units, the dearest signed price, 1e-9 $.
    before, after : (N,) int64
        The slots of the children sent to the same venue before and after it, -1 = none; of an empty slot, `after` is
        the next empty one.
    next : (N,) int64
        The slot of the next child that arrives at the same snapshot.
    oldest, newest : (V,) int64
        The ends of the list of a venue.
    arrives, ends : (past - first,) int64
        The ends of the list of a snapshot, `arrives` is -1 where none arrives.
    sums : (3,) int64
        `EMPTY`, the first empty slot; `ROOM`, how many are empty; `FLYING`, units in flight.
    """

    venue: Shares
    shares: Shares
    limit: Shares
    before: Shares
    after: Shares
    next: Shares
    oldest: Shares
    newest: Shares
    arrives: Shares
    ends: Shares
    sums: Shares


EMPTY, ROOM, FLYING = range(3)

_QUOTES = tuple(record(Quotes, ticks=grid, other_ticks=grid) for grid in _GRIDS)
_PRICES, _SPAN, _STATE, _RULES, _SCHEDULES, _OFFER, _LATENCY, _PACE, _FLIGHT = (
    record(each) for each in (Prices, Span, State, Rules, Schedules, Offer, Latency, Pace, Flight)
)
_OUT = types.int64[::1]


@kernel(_STATE(types.int64, types.int64, types.int64[:, ::1]))
def _state(venues, depth, trail):
    """Room for what an order has taken."""
    supplies = venues * depth
    return State(
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(supplies, np.int64),
        np.empty(supplies, np.int64),
        np.empty(supplies, np.int64),
        np.empty(supplies, np.int64),
        np.empty(supplies, np.int64),
        np.zeros(supplies, np.int64),
        np.empty(depth, np.int64),
        trail,
        np.zeros(2, np.int64),
    )


@kernel(_FLIGHT(types.int64, types.int64, types.int64))
def _flight(slots, venues, snapshots):
    """Room for children."""
    return Flight(
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(venues, np.int64),
        np.empty(venues, np.int64),
        np.empty(snapshots, np.int64),
        np.empty(snapshots, np.int64),
        np.empty(3, np.int64),
    )


@kernel(types.void(_STATE, _FLIGHT))
def _clear(state, flight):
    """Forget everything that was taken, seen and sent."""
    state.at[:] = -1
    state.shown[:] = 0
    state.head[:] = 0
    state.known[:] = 0
    state.holds[:] = 0
    state.stale[:] = 0
    flight.oldest[:] = -1
    flight.newest[:] = -1
    flight.arrives[:] = -1
    for slot in range(len(flight.after)):
        flight.after[slot] = slot + 1
    flight.sums[EMPTY], flight.sums[ROOM], flight.sums[FLYING] = 0, len(flight.after), 0


@kernel(_FLIGHT(_FLIGHT))
def _roomier(flight):
    """The same children with twice the room."""
    slots = len(flight.after)
    wider = _flight(2 * slots, len(flight.oldest), 0)
    for slot in range(slots):
        wider.venue[slot], wider.shares[slot], wider.limit[slot] = (
            flight.venue[slot], flight.shares[slot], flight.limit[slot],
        )  # fmt: skip
        wider.before[slot], wider.after[slot], wider.next[slot] = (
            flight.before[slot], flight.after[slot], flight.next[slot],
        )  # fmt: skip
    for slot in range(slots, 2 * slots):
        wider.after[slot] = slot + 1 if slot + 1 < 2 * slots else flight.sums[EMPTY]
    flight.sums[EMPTY] = slots
    flight.sums[ROOM] += slots
    return Flight(
        wider.venue,
        wider.shares,
        wider.limit,
        wider.before,
        wider.after,
        wider.next,
        flight.oldest,
        flight.newest,
        flight.arrives,
        flight.ends,
        flight.sums,
    )


@kernel(*(types.void(quotes, _OFFER, types.int64, types.int64, _STATE) for quotes in _QUOTES), inline=True)
def _know(quotes, offer, v, levels, state):
    """Look at a venue's levels up to a number of them, as if no child were in flight to it."""
    ticks, sizes = quotes.ticks, quotes.sizes
    depth, row = ticks.shape[1], state.at[v]
    first = v * depth
    for level in range(state.known[v], levels):
        s = first + level
        taken = state.taken[s] if level < state.holds[v] else np.int64(0)
        size = np.int64(sizes[row, level])
        state.price[s] = offer.sign * (offer.base + offer.tick * np.int64(ticks[row, level]))
        state.cost[s] = state.price[s] + offer.fees[v]
        state.left[s] = max(size * offer.unit - taken, 0)
        state.free[s] = state.left[s]
        if offer.participation < NANO:
            state.free[s] = max(size * offer.participation // NANO * offer.unit - taken, 0)
    state.known[v] = max(state.known[v], levels)


@kernel(*(types.void(quotes, _OFFER, types.int64, _STATE) for quotes in _QUOTES), inline=True)
def _look(quotes, offer, t, state):
    """Bring a state to snapshot t; it has seen every snapshot before, from the order's first on."""
    rows, shown, ticks, sizes, deep = quotes.rows, quotes.shown, quotes.ticks, quotes.sizes, quotes.deep
    depth, venues = ticks.shape[1], len(state.at)
    state.tally[NOW] = t
    for v in range(venues):
        row = state.at[v]
        if deep:
            row, levels = np.int64(rows[t, v]), np.int64(shown[t, v])
        else:
            here = t * venues + v
            levels = np.int64(ticks[here, 0] != 0)
            if quotes.resets[t, v >> 6] >> np.uint64(v & 63) & np.uint64(1) or (
                levels != 0 and (row < 0 or ticks[here, 0] != ticks[row, 0] or sizes[here, 0] != sizes[row, 0])
            ):
                row = np.int64(here)
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
        state.shown[v], state.stale[v] = levels, 1


@kernel(*(types.void(quotes, _OFFER, types.int64, _FLIGHT, _STATE) for quotes in _QUOTES), counts=False)
def _set_aside(quotes, offer, v, flight, state):
    """Work out what is free at a venue where the children in flight to it would take what they can first."""
    depth, levels, kept = quotes.ticks.shape[1], state.shown[v], state.kept
    first = v * depth
    _know(quotes, offer, v, levels, state)
    rest = np.int64(0)
    for level in range(levels):
        kept[level] = state.left[first + level]
        rest += kept[level]
    child = flight.oldest[v]
    while child >= 0 and rest > 0:
        missing, level = flight.shares[child], 0
        while level < levels and missing > 0 and state.price[first + level] <= flight.limit[child]:
            shares = min(kept[level], missing)
            kept[level] -= shares
            missing -= shares
            rest -= shares
            level += 1
        child = flight.after[child]
    for level in range(levels):
        s = first + level
        state.free[s] = max(state.free[s] - (state.left[s] - kept[level]), 0)


@kernel(*(types.void(quotes, _OFFER, _FLIGHT, _STATE) for quotes in _QUOTES), inline=True)
def _freshen(quotes, offer, flight, state):
    """Work out what is free at the venues at which that has changed."""
    for v in range(len(state.at)):
        if state.stale[v] != 0:
            state.stale[v], state.head[v], state.known[v] = 0, 0, 0
            if flight.oldest[v] < 0:
                _know(quotes, offer, v, min(state.shown[v], 1), state)
            else:
                _set_aside(quotes, offer, v, flight, state)


@kernel(
    *(types.int64(quotes, _OFFER, types.int64[::1], types.int64[::1], _STATE, types.boolean) for quotes in _QUOTES),
    inline=True,
)
def _first(quotes, offer, shares, head, state, by_price):
    """The supply of the least (c, -venue) with shares, left or free, or of the least (price, venue); -1 if none.

    `head` is moved on to the first level with shares of each venue.
    """
    depth, best = quotes.ticks.shape[1], -1
    for v in range(len(head)):
        while head[v] < state.shown[v]:
            if head[v] == state.known[v]:
                _know(quotes, offer, v, head[v] + 1, state)
            if shares[v * depth + head[v]] > 0:
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


@kernel(*(types.int64(quotes, _OFFER, types.int64) for quotes in _QUOTES), inline=True)
def _best_other(quotes, offer, t):
    """The venue with the best quote of the other side, the lowest index first; -1 if none."""
    other_ticks, other = quotes.other_ticks, -1
    for v in range(other_ticks.shape[1]):
        if other_ticks[t, v] != 0 and (
            other < 0 or offer.sign * (np.int64(other_ticks[t, v]) - np.int64(other_ticks[t, other])) > 0
        ):
            other = v
    return other


@kernel(*(types.void(quotes, _OFFER, types.int64, types.int64, _STATE, _OUT) for quotes in _QUOTES), inline=True)
def _fill(quotes, offer, s, shares, state, out):
    """Take units of a supply that is known."""
    depth = quotes.ticks.shape[1]
    v = s // depth
    for each in range(v * depth + state.holds[v], s + 1):
        state.taken[each] = 0
    state.holds[v] = max(state.holds[v], s % depth + 1)
    state.taken[s] += shares
    state.left[s] -= shares
    state.free[s] -= shares
    out[FILLED] += shares
    out[CASH] += shares * state.cost[s]
    out[FEES] += shares * offer.fees[v]
    fill = state.tally[FILLS]
    state.tally[FILLS] += 1
    if fill < len(state.trail):
        state.trail[fill, 0], state.trail[fill, 1] = state.tally[NOW], v
        state.trail[fill, 2], state.trail[fill, 3] = shares, offer.sign * state.price[s]


@kernel(*(types.void(quotes, _OFFER, types.int64, types.int64, _OUT) for quotes in _QUOTES), counts=False)
def _sell_back(quotes, offer, t, excess, out):
    """Sell units at the best quote of the other side, which shows one."""
    other = _best_other(quotes, offer, t)
    out[OVER] += excess
    out[OVER_CASH] += excess * (
        offer.sign * (offer.base + offer.tick * np.int64(quotes.other_ticks[t, other])) - offer.fees[other]
    )
    out[FEES] += excess * offer.fees[other]


@kernel(types.int64(_LATENCY, types.int64, types.int64, types.int64), counts=False)
def _arrival(latency, t, v, past):
    """The snapshot that a child meets which is sent at t to a venue; `past` if it is none of the order's."""
    ts, choice = latency.ts, np.int64(0)
    if latency.counts[v] > 1:
        number = mixed(mixed(latency.seed[0] ^ np.uint64(ts[t])) ^ latency.ids[v])
        choice = np.int64(number % np.uint64(latency.counts[v]))
    wait = latency.choices[v, choice]
    if wait == 0:
        return t
    due, low, high = ts[t] + wait, t + 1, past
    while low < high:
        middle = (low + high) // 2
        if ts[middle] < due:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(
    *(types.void(quotes, _OFFER, _LATENCY, _SPAN, types.int64, _FLIGHT, _STATE, _OUT) for quotes in _QUOTES),
    counts=False,
)
def _dispatch(quotes, offer, latency, span, t, flight, state, out):
    """Send what is split, a child for each venue, for which there is room; at once what has no latency."""
    depth, split, sums = quotes.ticks.shape[1], state.split, flight.sums
    for v in range(len(state.at)):
        shares, worst = np.int64(0), -1
        for s in range(v * depth, v * depth + state.known[v]):
            if split[s] > 0:
                shares += split[s]
                worst = s
        if worst < 0:
            continue
        arrives = _arrival(latency, t, v, span.past)
        if arrives == t:
            for s in range(v * depth, worst + 1):
                if split[s] > 0:
                    _fill(quotes, offer, s, split[s], state, out)
        else:
            child = sums[EMPTY]
            sums[EMPTY] = flight.after[child]
            sums[ROOM] -= 1
            sums[FLYING] += shares
            flight.venue[child], flight.shares[child], flight.limit[child] = v, shares, state.price[worst]
            flight.before[child], flight.after[child], flight.next[child] = flight.newest[v], -1, -1
            if flight.newest[v] < 0:
                flight.oldest[v] = child
            else:
                flight.after[flight.newest[v]] = child
            flight.newest[v] = child
            if arrives < span.past:
                at = arrives - span.first
                if flight.arrives[at] < 0:
                    flight.arrives[at] = child
                else:
                    flight.next[flight.ends[at]] = child
                flight.ends[at] = child
            state.stale[v] = 1
        for s in range(v * depth, worst + 1):
            split[s] = 0


@kernel(
    *(types.void(quotes, _OFFER, types.int64, types.int64, types.int64, _FLIGHT, _STATE, _OUT) for quotes in _QUOTES),
    counts=False,
)
def _receive(quotes, offer, first, t, size, flight, state, out):
    """Let the children that arrive at snapshot t of an order take what they can, until it is complete."""
    depth, sums = quotes.ticks.shape[1], flight.sums
    child = flight.arrives[t - first]
    while child >= 0:
        v, missing, following = flight.venue[child], flight.shares[child], flight.next[child]
        before, after = flight.before[child], flight.after[child]
        if before < 0:
            flight.oldest[v] = after
        else:
            flight.after[before] = after
        if after < 0:
            flight.newest[v] = before
        else:
            flight.before[after] = before
        flight.after[child] = sums[EMPTY]
        sums[EMPTY] = child
        sums[ROOM] += 1
        sums[FLYING] -= missing
        if state.stale[v] != 0:
            state.known[v] = 0  # its levels are others now
        state.stale[v] = 1
        short = size - out[FILLED] + out[OVER]
        if missing > short and _best_other(quotes, offer, t) < 0:
            missing = short  # what cannot be sold back is not bought
        for level in range(state.shown[v]):
            _know(quotes, offer, v, level + 1, state)
            s = v * depth + level
            if missing == 0 or state.price[s] > flight.limit[child]:
                break
            shares = min(state.left[s], missing)
            if shares > 0:
                _fill(quotes, offer, s, shares, state, out)
                missing -= shares
        excess = out[FILLED] - out[OVER] - size
        if excess > 0:
            _sell_back(quotes, offer, t, excess, out)
        if excess >= 0:
            return
        child = following


@kernel(types.void(types.int64, types.int64, types.int64, _OUT))
def _mark(before, t, mid2, out):
    """Record the mid and the snapshot t if more is filled by now than `before`."""
    shares = out[FILLED] - out[OVER] - before
    if shares > 0:
        out[MIDS] += shares * mid2
        out[FIRST] = out[FIRST] if out[FIRST] > 0 else t + 1
        out[LAST] = t + 1


@kernel(
    *(types.void(quotes, _OFFER, types.int64, types.int64, types.int64, _FLIGHT, _STATE, _OUT) for quotes in _QUOTES),
    counts=False,
)
def _complete(quotes, offer, leftover, edge, remaining, flight, state, out):
    """Apply the leftover rule at an order's last snapshot, to what is left: what is in flight does not arrive."""
    _freshen(quotes, offer, flight, state)
    if leftover == LAST_ASK:
        s = _touch(state, quotes.ticks.shape[1], BY_PRICE)
        if s >= 0:
            _fill(quotes, offer, s, remaining, state, out)
        return
    state.head[:] = 0
    while remaining > 0:
        s = _first(quotes, offer, state.left, state.head, state, BY_COST)
        if s < 0:
            return
        shares = min(state.left[s], remaining) if state.price[s] <= edge else np.int64(0)
        if shares > 0:
            _fill(quotes, offer, s, shares, state, out)
            remaining -= shares
        else:
            state.left[s] = 0


@kernel(
    *(
        types.int64(
            quotes, _OFFER, _SPAN, types.int64, _RULES, _LATENCY, _I64, types.int64, types.int64, types.int64,
            _FLIGHT, _STATE, _OUT,
        )
        for quotes in _QUOTES
    ),
    counts=False,
)  # fmt: skip
def _walk(quotes, offer, span, size, rules, latency, due, tau, over, begin, flight, state, row):
    """Run a combination from a snapshot on, up to one for which there is too little room in flight; `past` = none."""
    first, past, sign, venues, depth = span.first, span.past, offer.sign, len(state.at), quotes.ticks.shape[1]
    step, lots_only = rules.step, rules.lots_only
    shown, head, ahead, cost, free, split = (
        state.shown, state.head, state.ahead, state.cost, state.free, state.split,
    )  # fmt: skip
    for t in range(begin, past):
        if flight.sums[ROOM] < venues:
            return t
        before = row[FILLED] - row[OVER]
        _look(quotes, offer, t, state)
        if flight.arrives[t - first] >= 0:
            _receive(quotes, offer, first, t, size, flight, state, row)
        bought = row[FILLED] - row[OVER]
        remaining = min(due[t - first], size) - bought - flight.sums[FLYING]
        if bought < size and remaining > 0:
            _freshen(quotes, offer, flight, state)
            act, whole = True, False
            if rules.policy == PSEUDOCODE:
                lots = 0
                for v in range(venues):
                    _know(quotes, offer, v, shown[v], state)
                    for s in range(v * depth, v * depth + shown[v]):
                        lots += free[s] // step * step
                whole = remaining % step == 0 and lots >= remaining
                act = whole or not rules.wait
            best = _first(quotes, offer, free, head, state, BY_COST)
            reference2 = 0
            if act and not whole:
                if best < 0:
                    act = False
                elif rules.reference == BEST:
                    reference2 = 2 * cost[best]
                elif rules.reference == TOUCH:
                    reference2 = 2 * cost[_touch(state, depth, BY_COST)]
                elif rules.reference == MID:
                    reference2 = sign * quotes.mid2[t]
                    act = quotes.mid2[t] != 0
                else:
                    reference2 = sign * rules.arrival2
                    act = t >= rules.arrival_at
            if act:
                lots = whole or lots_only
                for v in range(venues):  # an assignment of slices would make an array
                    ahead[v] = head[v]
                short = remaining
                while short > 0:
                    s = _first(quotes, offer, free, ahead, state, BY_COST)
                    if s < 0 or (not whole and 2 * cost[s] - reference2 > 2 * tau):
                        break
                    split[s] = min(free[s] // step, short // step) * step if lots else min(free[s], short)
                    short -= split[s]
                    ahead[s // depth] += 1
                if lots_only and not whole and 0 < short < step:
                    more = -1
                    for v in range(venues):
                        _know(quotes, offer, v, shown[v], state)
                        for s in range(v * depth, v * depth + shown[v]):
                            # of equal costs the last venue's: within a venue none is equal
                            if (free[s] - split[s]) // step > 0 and (more < 0 or cost[s] <= cost[more]):
                                more = s
                    if (
                        more >= 0
                        and over < INFINITE
                        and (
                            tau >= INFINITE
                            or step * (2 * cost[more] - reference2) + 2 * over * (step - short) < 2 * tau * short
                        )
                        and _best_other(quotes, offer, t) >= 0
                    ):
                        split[more] += step
                        short -= step
                if short < remaining:
                    _dispatch(quotes, offer, latency, span, t, flight, state, row)
                    excess = row[FILLED] - row[OVER] - size
                    if excess > 0:
                        _sell_back(quotes, offer, t, excess, row)
        missing = size - row[FILLED] + row[OVER]
        if missing > 0 and t == past - 1:
            _complete(quotes, offer, rules.leftover, rules.edge, missing, flight, state, row)
        _mark(before, t, quotes.stood[t], row)
        if row[FILLED] - row[OVER] == size:
            break
    return past


@kernel(
    *(
        types.void(
            quotes, _PRICES, _SPAN, types.int64, _RULES, _LATENCY, _PACE, _I64, _I64, types.int64[:, ::1],
            types.int64[:, ::1], types.int64[::1],
        )
        for quotes in _QUOTES
    )
)  # fmt: skip
def walk(quotes, prices, span, size, rules, latency, pace, tau, over, out, trail, counts):
    """Run one order for K combinations; as `allocator.kernels.walk.walk`, with children in flight.

    Parameters
    ----------
    quotes : Quotes
    prices, span, size, rules, tau, over, out
        As there.
    latency : Latency
    pace : Pace
    trail : (F, 4) int64, output
        As `State.trail`, combination after combination; without room for them it costs nothing.
    counts : (K,) int64, output
        The fills of each combination.
    """
    venues, depth = quotes.other_ticks.shape[1], quotes.ticks.shape[1]
    offer = Offer(prices.sign, prices.base, prices.tick, 1, pace.participation, prices.fees)
    state, flight = _state(venues, depth, trail), _flight(max(SLOTS, venues), venues, span.past - span.first)
    for k in range(len(tau)):
        _clear(state, flight)
        earlier = state.tally[FILLS]
        t = span.first
        while t < span.past:
            t = _walk(
                quotes, offer, span, size, rules, latency, pace.due, tau[k], over[k], t, flight, state, out[k]
            )  # fmt: skip
            if t < span.past:
                flight = _roomier(flight)
        counts[k] = state.tally[FILLS] - earlier


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


class _Parts(NamedTuple):
    """Scratch of `_pro_rata`, (V,) int64 each."""

    weights: Shares
    parts: Shares
    rests: Shares


@kernel(
    *(
        types.int64(
            quotes, _OFFER, _SPAN, types.int64, types.int64, _I64, _LATENCY, types.int64, types.int64, types.int64,
            _FLIGHT, _STATE, record(_Parts), _OUT,
        )
        for quotes in _QUOTES
    ),
    counts=False,
)  # fmt: skip
def _follow(quotes, offer, span, size, way, due, latency, leftover, edge, begin, flight, state, scratch, row):
    """Run a schedule from a snapshot on, up to one for which there is too little room in flight; `past` = none."""
    first, past, venues, depth = span.first, span.past, len(state.at), quotes.ticks.shape[1]
    head, ahead, price, free, split = state.head, state.ahead, state.price, state.free, state.split
    weights, parts, least = scratch.weights, scratch.parts, 1 if way >= BURST else offer.unit
    for t in range(begin, past):
        if flight.sums[ROOM] < venues:
            return t
        before = row[FILLED]
        _look(quotes, offer, t, state)
        if flight.arrives[t - first] >= 0:
            _receive(quotes, offer, first, t, size, flight, state, row)
        sent = row[FILLED] + flight.sums[FLYING]
        buy = min(due[t - first], size - sent) if way >= BURST else due[t - first] - sent
        if buy >= least:
            _freshen(quotes, offer, flight, state)
            short = buy
            if way >= BURST:
                for v in range(venues):  # an assignment of slices would make an array
                    ahead[v] = head[v]
                while short > 0:
                    s = _first(quotes, offer, free, ahead, state, way == BURST)
                    if s < 0:
                        break
                    split[s] = min(free[s], short)
                    short -= split[s]
                    ahead[s // depth] += 1
            elif way == PRO_RATA:
                best = _touch(state, depth, BY_PRICE)
                if best >= 0:
                    for v in range(venues):
                        at_touch = state.shown[v] > 0 and price[v * depth] == price[best]
                        weights[v] = np.int64(quotes.sizes[state.at[v], 0]) if at_touch else 0
                    _pro_rata(buy, weights, parts, scratch.rests)
                    for v in range(venues):
                        if weights[v] > 0:
                            split[v * depth] = min(free[v * depth], parts[v])
                            short -= split[v * depth]
            else:
                s = (
                    _touch(state, depth, BY_PRICE)
                    if way == BEST_ASK
                    else _first(quotes, offer, free, head, state, BY_PRICE)
                )
                if s >= 0:
                    split[s] = min(free[s], buy)
                    short -= split[s]
            if short < buy:
                _dispatch(quotes, offer, latency, span, t, flight, state, row)
        if t == past - 1 and row[FILLED] < size:
            _complete(quotes, offer, leftover, edge, size - row[FILLED], flight, state, row)
        _mark(before, t, quotes.stood[t], row)
        if row[FILLED] == size:
            break
    return past


@kernel(
    *(
        types.void(
            quotes, _PRICES, _SPAN, _SCHEDULES, _LATENCY, types.int64, types.int64, types.int64[:, ::1],
            types.int64[:, ::1], types.int64[::1],
        )
        for quotes in _QUOTES
    )
)  # fmt: skip
def follow(quotes, prices, span, given, latency, leftover, edge, out, trail, counts):
    """Run N schedules, one after the other; as `allocator.kernels.walk.follow`, with children in flight.

    Parameters
    ----------
    quotes : Quotes
    prices, span, given, leftover, edge, out
        As there.
    latency : Latency
    trail, counts
        As of `walk`, of N schedules.
    """
    sizes, units, ways = given.sizes, given.units, given.ways
    venues, depth = quotes.other_ticks.shape[1], quotes.ticks.shape[1]
    state, flight = _state(venues, depth, trail), _flight(max(SLOTS, venues), venues, span.past - span.first)
    scratch = _Parts(np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64))
    for n in range(len(sizes)):
        _clear(state, flight)
        earlier = state.tally[FILLS]
        offer = Offer(prices.sign, prices.base, prices.tick, units[n], NANO, prices.fees)
        t = span.first
        while t < span.past:
            t = _follow(
                quotes, offer, span, sizes[n], ways[n], given.due[n], latency, leftover, edge, t, flight, state,
                scratch, out[n],
            )  # fmt: skip
            if t < span.past:
                flight = _roomier(flight)
        counts[n] = state.tally[FILLS] - earlier
