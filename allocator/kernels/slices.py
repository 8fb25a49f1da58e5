"""Accounts of a block of combinations that place one order slice by slice: market children, limit orders, and money.

All combinations meet the same moments: when decisions fall, when what they send arrives, and what passes each queue do
not depend on what they decide. So a moment is looked at once, and each combination of the block takes its part of it.
Prices are signed (a sell is a buy at negated prices).
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.flight import mixed
from allocator.kernels.compiling import kernel, record
from allocator.kernels.delayed import Latency, Quotes
from allocator.kernels.walk import CASH, FEES, FILLED, FIRST, LAST, MIDS, OVER, OVER_CASH

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I64_2D = types.Array(types.int64, 2, "C", readonly=True)
_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in (types.int32, types.int64))

Row = Annotated[NDArray[np.int64], _I64]
Table = Annotated[NDArray[np.int64], _I64_2D]
Column = Annotated[NDArray[np.int64], types.int64[::1]]
Block = Annotated[NDArray[np.int64], types.int64[:, ::1]]
Records = Annotated[NDArray[np.int64], types.int64[:, :, ::1]]

PASSED, ARRIVES = range(2)
"""What happens at a moment: shares pass a queue; a market child meets its venue."""

VENUE, PRICE, SHARES, AT = range(4)
"""Of a record of shares taken: where, the signed price, how many, and at which snapshot last."""

NONE = -1
ANY = 2**62
"""Beyond any price, and any shares that pass a queue."""


class Moments(NamedTuple):
    """What happens to an order between its decisions, in the order of time; N = J slices * V venues.

    Attributes
    ----------
    kind, snapshot : (E,) int64
    sent : (E,) int64
        Slice * V + venue of the limit order or the child.
    before, after : (E,) int64
        Shares that have passed the queue of the limit order, before and with this moment.
    mid2 : (E,) int64
        Twice the mid that fills are compared with, unsigned, 1e-9 $.
    other, other_fee : (E,) int64
        Signed proceeds of a share sold back, after the fee, and that fee, 1e-9 $; `other` is -`ANY` where no quote ever
        stood on the other side.
    """

    kind: Row
    snapshot: Row
    sent: Row
    before: Row
    after: Row
    mid2: Row
    other: Row
    other_fee: Row


class Terms(NamedTuple):
    """What the moments of an order have in common.

    Attributes
    ----------
    sign, size : int64
    price : (N,) int64
        Of each limit order, signed, 1e-9 $.
    taker, maker : (V,) int64
        Fees, 1e-9 $ per share.
    """

    sign: int
    size: int
    price: Row
    taker: Row
    maker: Row


class Supplies(NamedTuple):
    """Levels that can be taken from: those of N venues at a snapshot each, D of each venue, the best first.

    Attributes
    ----------
    price, shares : (N, D) int64
        Signed, 1e-9 $; 0 shares = nothing is displayed.
    since : (N, D) int64
        Shares taken at this snapshot or later are still taken.
    """

    price: Table
    shares: Table
    since: Table


class Accounts(NamedTuple):
    """What the K combinations of a block have done so far.

    Attributes
    ----------
    sums : (K, 8) int64
        As the output of `allocator.kernels.walk.walk`.
    flying, passive : (K,) int64
        Shares of market children on their way; shares filled by limit orders.
    done : (K,) int64
        The snapshot at which the order was complete, `NONE` before.
    cutoff : (K, V) int64
        The last snapshot at which a limit order of a complete order can still fill.
    limits, children, worst : (K, N) int64
        Shares of the limit orders and of the market children, and the dearest signed price of these.
    records : (K, R, 4) int64
        Shares taken, by venue and price.
    held : (K,) int64
        How many records there are.
    trail : (F, 5) int64
        The first fills of the first combination: snapshot, venue, shares, price in 1e-9 $, 1 where a limit order.
    tally : (2,) int64
        How many fills there were, also where the trail has no room; 1 where records had none.
    """

    sums: Block
    flying: Column
    passive: Column
    done: Column
    cutoff: Block
    limits: Block
    children: Block
    worst: Block
    records: Records
    held: Column
    trail: Block
    tally: Column


_QUOTES = tuple(record(Quotes, ticks=grid, other_ticks=grid) for grid in _GRIDS)
_MOMENTS, _TERMS, _SUPPLIES, _ACCOUNTS, _LATENCY = (
    record(each) for each in (Moments, Terms, Supplies, Accounts, Latency)
)
_OUT, _OUT_2D = types.int64[::1], types.int64[:, ::1]


@kernel(*(
    types.void(quotes, *(types.int64,) * 4, _I64, _I64, _OUT_2D, _OUT_2D, _OUT_2D) for quotes in _QUOTES
))  # fmt: skip
def look(quotes, sign, base, tick, first, snapshots, venues, price, shares, since):
    """Fill `Supplies` of some venues at a snapshot each.

    Parameters
    ----------
    quotes : allocator.kernels.delayed.Quotes
    sign, base, tick : int64
        As `allocator.kernels.walk.Prices`.
    first : int64
        The order's first snapshot: nothing is taken before.
    snapshots, venues : (N,) int64
        The snapshots ascending.
    price, shares, since : (N, D) int64, output
    """
    rows, ticks, sizes = quotes.rows, quotes.ticks, quotes.sizes
    depth, count = ticks.shape[1], quotes.other_ticks.shape[1]
    reset = np.full((count, depth), first, np.int64)
    kept = np.empty(depth, np.int64)
    standing = np.full(count, -1, np.int64)
    if quotes.deep:
        for v in range(count):
            standing[v] = rows[first, v]
    seen = first
    for n in range(len(snapshots)):
        t, v = snapshots[n], venues[n]
        while seen < t:
            seen += 1
            if not quotes.deep:
                for word in range(quotes.resets.shape[1]):
                    bits = quotes.resets[seen, word]
                    u = word * 64
                    while bits != 0:
                        if bits & np.uint64(1):
                            reset[u, 0] = seen
                        bits = bits >> np.uint64(1)
                        u += 1
                continue
            for u in range(count):
                row, old = np.int64(rows[seen, u]), standing[u]
                if row == old:
                    continue
                standing[u] = row
                for level in range(depth):
                    kept[level] = seen
                    if quotes.persist and old >= 0 and ticks[row, level] != 0:
                        for other in range(depth):
                            if ticks[old, other] == ticks[row, level]:
                                kept[level] = reset[u, other]
                reset[u, :] = kept
        row = standing[v] if quotes.deep else t * count + v
        shown = np.int64(quotes.shown[t, v]) if quotes.deep else 1
        for level in range(depth):
            price[n, level], shares[n, level], since[n, level] = 0, 0, reset[v, level]
            if row >= 0 and level < shown and ticks[row, level] != 0:
                price[n, level] = sign * (base + tick * np.int64(ticks[row, level]))
                shares[n, level] = np.int64(sizes[row, level])


@kernel(types.int64(_ACCOUNTS, types.int64, types.int64, types.int64, types.int64, types.int64), inline=True)
def _left(accounts, k, v, price, shares, since):
    """Shares of a level that a combination has not taken."""
    for r in range(accounts.held[k]):
        if (
            accounts.records[k, r, PRICE] == price
            and accounts.records[k, r, VENUE] == v
            and accounts.records[k, r, AT] >= since
        ):
            shares -= accounts.records[k, r, SHARES]
    return max(shares, 0)


@kernel(
    types.void(_ACCOUNTS, types.int64, types.int64, types.int64, types.int64, types.int64, types.int64), inline=True
)
def _note(accounts, k, v, price, shares, since, t):
    """Remember shares taken of a level; records that the level's reset ended are used again."""
    for r in range(accounts.held[k]):
        if accounts.records[k, r, PRICE] == price and accounts.records[k, r, VENUE] == v:
            if accounts.records[k, r, AT] >= since:
                accounts.records[k, r, SHARES] += shares
            else:
                accounts.records[k, r, SHARES] = shares
            accounts.records[k, r, AT] = t
            return
    r = accounts.held[k]
    if r == accounts.records.shape[1]:
        accounts.tally[1] = 1
        return
    accounts.records[k, r, VENUE], accounts.records[k, r, PRICE] = v, price
    accounts.records[k, r, SHARES], accounts.records[k, r, AT] = shares, t
    accounts.held[k] = r + 1


@kernel(types.void(_ACCOUNTS, *(types.int64,) * 9), inline=True)
def _buy(accounts, k, t, v, shares, price, fee, mid2, shown, passive):
    """Book a fill: signed price, and the price as it is displayed."""
    sums = accounts.sums
    sums[k, FILLED] += shares
    sums[k, CASH] += shares * (price + fee)
    sums[k, FEES] += shares * fee
    sums[k, MIDS] += shares * mid2
    if sums[k, FIRST] == 0:
        sums[k, FIRST] = t + 1
    sums[k, LAST] = t + 1
    if k == 0:
        if accounts.tally[0] < len(accounts.trail):
            row = accounts.trail[accounts.tally[0]]
            row[0], row[1], row[2], row[3], row[4] = t, v, shares, shown, passive
        accounts.tally[0] += 1


@kernel(types.void(_ACCOUNTS, *(types.int64,) * 5), inline=True)
def _sell_back(accounts, k, size, mid2, other, other_fee):
    """Sell what exceeds the order."""
    sums = accounts.sums
    excess = sums[k, FILLED] - sums[k, OVER] - size
    if excess > 0:
        sums[k, OVER] += excess
        sums[k, OVER_CASH] += excess * other
        sums[k, FEES] += excess * other_fee
        sums[k, MIDS] -= excess * mid2


@kernel(types.int64(_LATENCY, types.int64, types.int64), counts=False)
def _arrival(latency, t, v):
    """The snapshot at which something sent at t meets its venue; T where it is after the last one."""
    ts = latency.ts
    drawn = np.int64(mixed(mixed(latency.seed[0] ^ np.uint64(ts[t])) ^ latency.ids[v]) % np.uint64(latency.counts[v]))
    waits = latency.choices[v, drawn]
    if waits == 0:
        return t
    goal, low, high = ts[t] + waits, t, len(ts)
    while low < high:
        middle = (low + high) // 2
        if ts[middle] < goal:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(types.void(_ACCOUNTS, _TERMS, _LATENCY, *(types.int64,) * 2), counts=False)
def _finish(accounts, terms, latency, k, t):
    """Cancel every limit order of a combination whose order is complete, after the latency of each venue."""
    if accounts.done[k] != NONE or accounts.sums[k, FILLED] - accounts.sums[k, OVER] < terms.size:
        return
    accounts.done[k] = t
    for v in range(len(terms.taker)):
        # messages to a venue arrive in the order of sending
        accounts.cutoff[k, v] = max(_arrival(latency, t, v), accounts.cutoff[k, v])


@kernel(types.void(_MOMENTS, types.int64, types.int64, _TERMS, _LATENCY, _SUPPLIES, _ACCOUNTS), counts=False)
def advance(moments, begin, past, terms, latency, supplies, accounts):
    """Let the moments [begin, past) happen to each combination.

    Parameters
    ----------
    moments : Moments
    begin, past : int64
    terms : Terms
    latency : allocator.kernels.delayed.Latency
    supplies : Supplies
        Of each child, where it meets its venue; without rows where nothing takes time.
    accounts : Accounts, changed
    """
    venues = len(terms.taker)
    for e in range(begin, past):
        t, n, mid2 = moments.snapshot[e], moments.sent[e], moments.mid2[e]
        v = n % venues
        for k in range(len(accounts.done)):
            if moments.kind[e] == PASSED:
                if accounts.limits[k, n] == 0 or (accounts.done[k] != NONE and t > accounts.cutoff[k, v]):
                    continue
                shares = min(accounts.limits[k, n], moments.after[e]) - min(accounts.limits[k, n], moments.before[e])
                if shares <= 0:
                    continue
                accounts.passive[k] += shares
                _buy(
                    accounts, k, t, v, shares, terms.price[n], terms.maker[v], mid2, terms.sign * terms.price[n], 1
                )  # fmt: skip
            else:
                wanted = accounts.children[k, n]
                if wanted == 0:
                    continue
                accounts.children[k, n] = 0
                accounts.flying[k] -= wanted
                if moments.other[e] == -ANY:  # what could not be sold back is not bought
                    wanted = min(wanted, terms.size - accounts.sums[k, FILLED] + accounts.sums[k, OVER])
                for level in range(supplies.price.shape[1]):
                    price, shown = supplies.price[n, level], supplies.shares[n, level]
                    if wanted <= 0 or shown == 0 or price > accounts.worst[k, n]:
                        break
                    since = supplies.since[n, level]
                    shares = min(_left(accounts, k, v, price, shown, since), wanted)
                    if shares > 0:
                        wanted -= shares
                        _note(accounts, k, v, price, shares, since, t)
                        _buy(accounts, k, t, v, shares, price, terms.taker[v], mid2, terms.sign * price, 0)
            _sell_back(accounts, k, terms.size, mid2, moments.other[e], moments.other_fee[e])
            _finish(accounts, terms, latency, k, t)


@kernel(types.void(_SUPPLIES, types.int64, _I64, types.int64, _ACCOUNTS, _OUT_2D), counts=False)
def offer(supplies, begin, ascending, edge, accounts, shares):
    """How many shares each combination finds of each level, the cheapest first.

    Parameters
    ----------
    supplies : Supplies
    begin : int64
        The row of the first venue.
    ascending : (S,) int64
        The levels of all venues, venue * D + level, by cost.
    edge : int64
        The dearest signed price that counts.
    accounts : Accounts
    shares : (K, S) int64, output
    """
    depth = supplies.price.shape[1]
    for k in range(len(accounts.done)):
        for i in range(len(ascending)):
            v, level = ascending[i] // depth, ascending[i] % depth
            price, shown = supplies.price[begin + v, level], supplies.shares[begin + v, level]
            shares[k, i] = 0
            if shown > 0 and price <= edge:
                shares[k, i] = _left(accounts, k, v, price, shown, supplies.since[begin + v, level])


@kernel(
    types.void(_SUPPLIES, types.int64, _I64, _I64_2D, _I64, _I64, types.int64, _I64, _TERMS, _ACCOUNTS), counts=False
)
def send(supplies, begin, ascending, shares, wanted, market, first_sent, arrivals, terms, accounts):
    """Send market children, and let those that take no time take.

    Parameters
    ----------
    supplies, begin, ascending : as `offer`
    shares : (K, S) int64
        What may be taken of each level.
    wanted : (K,) int64
        Shares, all in all.
    market : (4,) int64
        The snapshot, `Moments.mid2`, `Moments.other` and `Moments.other_fee` there.
    first_sent : int64
        Slice * V; `NONE` where all children take no time, whatever the latency.
    arrivals : (V,) int64
        The snapshot at which a child meets each venue.
    terms : Terms
    accounts : Accounts, changed
    """
    depth = supplies.price.shape[1]
    t, mid2 = market[0], market[1]
    for k in range(len(accounts.done)):
        missing = wanted[k]
        for i in range(len(ascending)):
            if missing <= 0:
                break
            taken = min(shares[k, i], missing)
            if taken <= 0:
                continue
            missing -= taken
            v, level = ascending[i] // depth, ascending[i] % depth
            price = supplies.price[begin + v, level]
            if first_sent == NONE or arrivals[v] == t:
                _note(accounts, k, v, price, taken, supplies.since[begin + v, level], t)
                _buy(accounts, k, t, v, taken, price, terms.taker[v], mid2, terms.sign * price, 0)
            else:
                n = first_sent + v
                accounts.worst[k, n] = price if accounts.children[k, n] == 0 else max(accounts.worst[k, n], price)
                accounts.children[k, n] += taken
                accounts.flying[k] += taken
        _sell_back(accounts, k, terms.size, mid2, market[2], market[3])


@kernel(types.void(types.int64, _TERMS, _LATENCY, _I64, _ACCOUNTS), counts=False)
def post(t, terms, latency, arrivals, accounts):
    """Note that messages are on their way to every venue, and cancel what a complete order has resting."""
    for k in range(len(accounts.done)):
        if accounts.done[k] != NONE:
            continue
        for v in range(len(terms.taker)):
            accounts.cutoff[k, v] = arrivals[v]
        _finish(accounts, terms, latency, k, t)
