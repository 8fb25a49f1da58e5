"""What passes the place of resting orders, compiled: all orders in one pass over the snapshots.

A snapshot costs by the venues where orders rest and something happens: a row, a print, a quote hidden or shown again.
Prices are signed as in `allocator.queues`, whose plain functions these equal.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, lowest, record

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C", readonly=True)
_I16 = types.Array(types.int16, 1, "C", readonly=True)
_I8 = types.Array(types.int8, 1, "C", readonly=True)
_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in (types.int32, types.int64))

Row = Annotated[NDArray[np.int64], _I64]
Shares = Annotated[NDArray[np.int32], _I32]
Venues = Annotated[NDArray[np.int16], _I16]
Sides = Annotated[NDArray[np.int8], _I8]
Sizes = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C", readonly=True)]
Counts = Annotated[NDArray[np.int8], types.Array(types.int8, 2, "C", readonly=True)]
Bits = Annotated[NDArray[np.uint64], types.Array(types.uint64, 2, "C", readonly=True)]

NEUTRAL, FULL = -1, 2**60
"""As in `allocator.queues`."""

NANO = 10**9

PRICE, PAST, AHEAD, SHOWN, PENDING, FRESH, THROUGH, EMITTED, NEXT, FIELDS = range(10)
"""The state of an order, as `allocator.queues._Queue`; EMITTED is THROUGH of its last event, NEXT the order behind it
in the list of its venue."""


class Quotes(NamedTuple):
    """The quotes of V venues at T snapshots as an order sees them that rests on one side.

    Attributes
    ----------
    ts : (T,) int64
        UTC nanoseconds.
    ticks, sizes, other_ticks : (T, V) int32 or int64, int32, as ticks
        The side rested on, and the other side's prices; 0 = nothing displayed.
    shown, other_shown, published : (T, W) uint64
        Venues that display a quote on each of them; venues that publish.
    rows, displayed : (T, V) int32, int8
        The row of each venue's last publication, and how many of its levels are displayed; empty where the depth is 1.
    level_ticks, level_sizes : (R, D) as ticks, int32
        The levels of rows.
    """

    ts: Row
    ticks: Any
    sizes: Sizes
    other_ticks: Any
    shown: Bits
    other_shown: Bits
    published: Bits
    rows: Sizes
    displayed: Counts
    level_ticks: Any
    level_sizes: Sizes


class Traded(NamedTuple):
    """The columns of `allocator.prints.Prints`; without any, all empty."""

    edges: Row
    venue: Venues
    px: Row
    sz: Shares
    side: Sides
    ts: Row


class Assumed(NamedTuple):
    """How a queue moves.

    Attributes
    ----------
    sign : int64
        1 for a buy, -1 for a sell.
    base, tick : int64
        A signed price is sign * (base + tick * ticks), 1e-9 $.
    phi, rho : int64
        As `allocator.queues.QueueRules`.
    """

    sign: int
    base: int
    tick: int
    phi: int
    rho: int


class Orders(NamedTuple):
    """N limit orders: the columns of `allocator.queues.Joins`, and their order by `joined`."""

    venue: Row
    joined: Row
    past: Row
    price: Row
    ahead: Row
    turn: Row


class Ends(NamedTuple):
    """(N,) each, to be filled: shares ahead at joining, whether refused, shares ahead and passed in the end."""

    queue: Annotated[NDArray[np.int64], types.int64[::1]]
    refused: Annotated[NDArray[np.bool_], types.boolean[::1]]
    ahead: Annotated[NDArray[np.int64], types.int64[::1]]
    through: Annotated[NDArray[np.int64], types.int64[::1]]


_QUOTES = tuple(record(Quotes, ticks=grid, other_ticks=grid, level_ticks=grid) for grid in _GRIDS)
_TRADED, _ASSUMED, _ORDERS, _ENDS = record(Traded), record(Assumed), record(Orders), record(Ends)
_STATE = types.int64[:, ::1]


@kernel(*(types.int64(quotes, _ASSUMED, types.int64, types.int64, types.int64) for quotes in _QUOTES), counts=False)
def _size_at(quotes, assumed, t, v, price):
    """Shares displayed at a price; 0 where it is better than the best or between two levels; -1 = not known."""
    sign, base, tick = assumed.sign, assumed.base, assumed.tick
    if quotes.ticks[t, v] == 0:
        return np.int64(-1)
    best = sign * (base + tick * np.int64(quotes.ticks[t, v]))
    if best <= price:
        return np.int64(quotes.sizes[t, v]) if best == price else np.int64(0)
    if len(quotes.rows) > 0:
        row = quotes.rows[t, v]
        for level in range(1, quotes.displayed[t, v]):
            at = sign * (base + tick * np.int64(quotes.level_ticks[row, level]))
            if at <= price:
                return np.int64(quotes.level_sizes[row, level]) if at == price else np.int64(0)
    return np.int64(-1)


@kernel(*(types.boolean(quotes, _ASSUMED, types.int64, types.int64, types.int64) for quotes in _QUOTES), counts=False)
def _crossed(quotes, assumed, t, v, price):
    """Whether the other side of a venue is displayed at the price or beyond."""
    other = np.int64(quotes.other_ticks[t, v])
    return other != 0 and assumed.sign * (assumed.base + assumed.tick * other) <= price


@kernel(types.void(_STATE, types.int64, types.int64), counts=False)
def _take(state, n, shares):
    """Let shares trade at the front of an order's queue."""
    state[n, THROUGH] += max(shares - state[n, AHEAD], 0)
    state[n, AHEAD] = max(state[n, AHEAD] - shares, 0)


@kernel(types.void(_STATE, types.int64, types.int64, _ASSUMED, types.boolean, types.boolean), counts=False)
def _look(state, n, size, assumed, printed, published):
    """See the size that is displayed at an order's price."""
    shown = state[n, SHOWN]
    decrease = shown - size
    if decrease > 0:
        absorbed = np.int64(0)
        if printed:
            absorbed = min(decrease, state[n, PENDING])
            state[n, PENDING] -= absorbed
        elif size != 0:
            absorbed = decrease * assumed.rho // NANO
            _take(state, n, absorbed)
        cancelled, ahead = decrease - absorbed, state[n, AHEAD]
        if assumed.phi == NEUTRAL:
            before = cancelled * ahead // max(shown - absorbed, ahead, 1) if ahead != 0 else np.int64(0)
        else:
            before = cancelled * assumed.phi // NANO
        state[n, AHEAD] = min(max(ahead - before, 0), size)
    if published:
        state[n, PENDING] = min(state[n, PENDING], state[n, FRESH])
    state[n, SHOWN] = size


@kernel(
    *(
        types.UniTuple(types.int64, 2)(quotes, _TRADED, _ASSUMED, _STATE, *[types.int64] * 4, _STATE, types.int64)
        for quotes in _QUOTES
    ),
    counts=False,
)
def _alone(quotes, traded, assumed, state, n, v, t, until, events, count):
    """Run the one order that rests from a snapshot on, until another one or until it is filled: where, and the events.

    The same as the pass over all orders, with what it changes at hand.
    """
    price, ahead, size_shown = state[n, PRICE], state[n, AHEAD], state[n, SHOWN]
    pending, through, emitted = state[n, PENDING], state[n, THROUGH], state[n, EMITTED]
    sign, printed, word, one = assumed.sign, len(traded.edges) > 0, v >> 6, np.uint64(1)
    bit = one << np.uint64(v & 63)
    while t < until and through != FULL:
        fresh = np.int64(0)
        for i in range(traded.edges[t] if printed else 0, traded.edges[t + 1] if printed else 0):
            if np.int64(traded.venue[i]) != v or through == FULL:
                continue
            px = sign * traded.px[i]
            if px < price:
                through = np.int64(FULL)
            elif px == price and traded.side[i] != sign:
                shares = np.int64(traded.sz[i])
                through += max(shares - ahead, 0)
                ahead = max(ahead - shares, 0)
                pending += shares
                fresh += shares if traded.ts[i] == quotes.ts[t] else 0
        is_row = quotes.published[t, word] & bit != 0
        if through != FULL and (
            is_row
            or (
                (quotes.shown[t, word] ^ quotes.shown[t - 1, word])
                | (quotes.other_shown[t, word] ^ quotes.other_shown[t - 1, word])
            )
            & bit
            != 0
        ):
            if _crossed(quotes, assumed, t, v, price):
                through = np.int64(FULL)
            else:
                size = _size_at(quotes, assumed, t, v, price)
                if size >= 0:
                    decrease = size_shown - size
                    if decrease > 0:
                        absorbed = np.int64(0)
                        if printed:
                            absorbed = min(decrease, pending)
                            pending -= absorbed
                        elif size != 0:
                            absorbed = decrease * assumed.rho // NANO
                            through += max(absorbed - ahead, 0)
                            ahead = max(ahead - absorbed, 0)
                        cancelled = decrease - absorbed
                        if assumed.phi == NEUTRAL:
                            before = np.int64(0)
                            if ahead != 0:
                                before = cancelled * ahead // max(size_shown - absorbed, ahead, 1)
                        else:
                            before = cancelled * assumed.phi // NANO
                        ahead = min(max(ahead - before, 0), size)
                    if is_row:
                        pending = min(pending, fresh)
                    size_shown = size
        if through > emitted:
            emitted = through
            if count < len(events):
                events[count, 0], events[count, 1], events[count, 2] = t, n, through
            count += 1
        t += 1
    state[n, AHEAD], state[n, SHOWN], state[n, PENDING] = ahead, size_shown, pending
    state[n, THROUGH], state[n, EMITTED], state[n, FRESH] = through, emitted, 0
    return t, count


@kernel(*(types.int64(quotes, _TRADED, _ASSUMED, _ORDERS, _ENDS, types.int64[:, ::1]) for quotes in _QUOTES))
def clear(quotes, traded, assumed, orders, ends, events):
    """Run N orders through their queues.

    Parameters
    ----------
    quotes : Quotes
    traded : Traded
    assumed : Assumed
    orders : Orders
    ends : Ends, output
    events : (R, 3) int64, output
        Snapshot, order and shares passed, ascending by snapshot; as far as there is room.

    Returns
    -------
    int64
        How many events there were.
    """
    shown, other_shown, published, instants = quotes.shown, quotes.other_shown, quotes.published, quotes.ts
    edges, print_venue, print_px, print_sz = traded.edges, traded.venue, traded.px, traded.sz
    takers, print_ts = traded.side, traded.ts
    joined, turn, sign = orders.joined, orders.turn, assumed.sign
    printed, words, zero, one = len(edges) > 0, published.shape[1], np.uint64(0), np.uint64(1)
    state = np.zeros((len(joined), FIELDS), np.int64)
    heads, latest = np.full(quotes.ticks.shape[1], -1, np.int64), 0
    resting, hit = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
    t, waiting, count = 0, 0, 0
    alive, lone, its = 0, -1, -1
    while True:
        if t >= latest or alive == 0:  # nobody rests any more
            if waiting == len(joined):
                break
            heads[:], resting[:] = -1, zero
            alive, lone, t = 0, -1, joined[turn[waiting]]
        elif alive == 1:
            if lone < 0:
                for venue in range(len(heads)):
                    if heads[venue] >= 0:
                        lone, its = heads[venue], venue
            until = state[lone, PAST]
            if waiting < len(joined):
                until = min(until, joined[turn[waiting]])
            if t < until:
                t, count = _alone(quotes, traded, assumed, state, lone, its, t, until, events, count)
                if state[lone, THROUGH] == FULL:
                    alive, lone = 0, -1
                continue
        for i in range(edges[t] if printed else 0, edges[t + 1] if printed else 0):
            v = np.int64(print_venue[i])
            if resting[v >> 6] >> np.uint64(v & 63) & one:
                hit[v >> 6] |= one << np.uint64(v & 63)
                px, shares, now = sign * print_px[i], np.int64(print_sz[i]), print_ts[i] == instants[t]
                n = heads[v]
                while n >= 0:
                    if state[n, PAST] > t and state[n, THROUGH] != FULL:
                        if px < state[n, PRICE]:
                            state[n, THROUGH] = FULL
                        elif px == state[n, PRICE] and takers[i] != sign:
                            _take(state, n, shares)
                            state[n, PENDING] += shares
                            state[n, FRESH] += shares if now else 0
                    n = state[n, NEXT]
        for word in range(words):
            bits = resting[word]
            if bits == zero:
                continue
            rows = published[t, word]
            seen = rows | (shown[t, word] ^ shown[t - 1, word]) | (other_shown[t, word] ^ other_shown[t - 1, word])
            bits &= seen | hit[word]
            hit[word] = zero
            while bits != zero:
                bit = bits & (~bits + one)
                v = np.int64(word * 64 + lowest(bits))
                bits ^= bit
                looks, is_row = seen & bit != zero, rows & bit != zero
                before, n = np.int64(-1), heads[v]
                while n >= 0:
                    following, leaves = state[n, NEXT], state[n, PAST] <= t
                    if not leaves:
                        if looks and state[n, THROUGH] != FULL:
                            if _crossed(quotes, assumed, t, v, state[n, PRICE]):
                                state[n, THROUGH] = FULL
                            else:
                                size = _size_at(quotes, assumed, t, v, state[n, PRICE])
                                if size >= 0:
                                    _look(state, n, size, assumed, printed, is_row)
                        state[n, FRESH] = 0
                        if state[n, THROUGH] > state[n, EMITTED]:
                            state[n, EMITTED] = state[n, THROUGH]
                            if count < len(events):
                                events[count, 0], events[count, 1], events[count, 2] = t, n, state[n, THROUGH]
                            count += 1
                        leaves = state[n, THROUGH] == FULL
                    if not leaves:
                        before = n
                    else:
                        alive, lone = alive - 1, -1
                        if before >= 0:
                            state[before, NEXT] = following
                        else:
                            heads[v] = following
                    n = following
                if heads[v] < 0:
                    resting[word] ^= bit
        while waiting < len(joined) and joined[turn[waiting]] == t:
            n = turn[waiting]
            v, price = orders.venue[n], sign * orders.price[n]
            ends.refused[n] = _crossed(quotes, assumed, t, v, price)
            ahead = np.int64(0)
            if not ends.refused[n] and quotes.ticks[t, v] != 0:
                ahead = _size_at(quotes, assumed, t, v, price)
                ahead = ahead if ahead >= 0 else orders.ahead[n]
            ends.queue[n] = ahead
            state[n, PRICE], state[n, PAST], state[n, AHEAD], state[n, SHOWN] = price, orders.past[n], ahead, ahead
            if not ends.refused[n]:
                state[n, NEXT], heads[v] = heads[v], n
                resting[v >> 6] |= one << np.uint64(v & 63)
                latest = max(latest, orders.past[n])
                alive, lone = alive + 1, -1
            waiting += 1
        t += 1
    for n in range(len(joined)):
        ends.through[n] = state[n, THROUGH]
        ends.ahead[n] = state[n, AHEAD] if state[n, THROUGH] != FULL else np.int64(0)
    return count


@kernel(
    *(
        types.void(grid, types.Array(types.int32, 2, "C", readonly=True), *[types.int64] * 2, types.int64[::1])
        for grid in _GRIDS
    )
)
def decreases(ticks, sizes, sign, first, out):
    """Add up by how many shares the best quotes of all venues decrease.

    Where a venue's price becomes worse, all of its size is gone; where it becomes better, or is not displayed at one of
    two snapshots, nothing is known.

    Parameters
    ----------
    ticks : (T, V) int32 or int64
        Of the side rested on, 0 = nothing displayed.
    sizes : (T, V) int32
    sign : int64
        1 for a buy, -1 for a sell.
    first : int64
        The snapshot that `out` begins with, above 0.
    out : (S,) int64, output
        Shares, from the snapshot before to each.
    """
    for s in range(len(out)):
        t, gone = first + s, np.int64(0)
        for v in range(ticks.shape[1]):
            before, now = np.int64(ticks[t - 1, v]), np.int64(ticks[t, v])
            if before != 0 and now != 0:
                left = np.int64(sizes[t, v]) if before == now else np.int64(0)
                gone += max(sizes[t - 1, v] - left, 0) if sign * now <= sign * before else 0
        out[s] = gone
