"""The whole fill engine compiled: every policy and setting, one pass per combination; and the baselines' schedules.

Prices are signed as in `allocator.engine`, whose results these functions equal.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, lowest, record

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in (types.int32, types.int64))

Row = Annotated[NDArray[np.int64], _I64]
Sizes = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C", readonly=True)]
Bits = Annotated[NDArray[np.uint64], types.Array(types.uint64, 2, "C", readonly=True)]
Due = Annotated[NDArray[np.int64], types.Array(types.int64, 2, "C", readonly=True)]
Shares = Annotated[NDArray[np.int64], types.int64[::1]]
Money = Annotated[NDArray[np.int64], types.int64[::1]]

STATIC, PSEUDOCODE = 0, 1
BEST, MID, ARRIVAL, TOUCH = 0, 1, 2, 3
SWEEP, LAST_ASK = 0, 1
BEST_ASK, BEST_AVAILABLE, PRO_RATA, BURST, CROSS = range(5)
"""`allocator.baselines.How`: from BURST on, what is due is due at that snapshot alone."""

INFINITE = 2**60
"""`allocator.order.UNBOUNDED`."""

FILLED, OVER, CASH, FEES, OVER_CASH, MIDS, FIRST, LAST = range(8)
"""The sums of an order: the arguments of `allocator.engine.settle`, then those of `allocator.shortfall.trace_row`."""


class Quotes(NamedTuple):
    """A book as an order sees it that takes from one side.

    Attributes
    ----------
    ticks, sizes, other_ticks : (T, V) int32 or int64, int32, as ticks
        The side taken from, and the other side's prices; 0 = nothing displayed.
    resets : (T, W) uint64
        Where `taken` is reset.
    mid2 : (T,) int64
        Unsigned, 1e-9 $, 0 = none.
    stood : (T,) int64
        Twice the mid that fills are compared with, 1e-9 $.
    """

    ticks: Any
    sizes: Sizes
    other_ticks: Any
    resets: Bits
    mid2: Row
    stood: Row


class Prices(NamedTuple):
    """What a quote costs: a signed price is sign * (base + tick * ticks), 1e-9 $.

    Attributes
    ----------
    sign : int64
        1 for a buy, -1 for a sell.
    base, tick : int64
        1e-9 $.
    fees : (V,) int64
        1e-9 $ per share.
    """

    sign: int
    base: int
    tick: int
    fees: Row


class Span(NamedTuple):
    """The snapshots [first, past) at which an order acts."""

    first: int
    past: int


class Rules(NamedTuple):
    """How an order is routed and completed; codes are the constants above.

    Attributes
    ----------
    policy, step, reference, leftover : int64
    wait, lots_only : bool
    arrival_at, arrival2 : int64
        The first snapshot that can use the arrival mid, and twice that mid, unsigned, 1e-9 $.
    edge : int64
        The dearest signed price, 1e-9 $, that `SWEEP` takes.
    """

    policy: int
    step: int
    wait: bool
    lots_only: bool
    reference: int
    arrival_at: int
    arrival2: int
    leftover: int
    edge: int


class Schedules(NamedTuple):
    """N schedules of one order.

    Attributes
    ----------
    sizes, units : (N,) int64
        The order in units, and units per share.
    due : (N, past - first) int64
        As `allocator.baselines.Schedule`, in units.
    ways : (N,) int64
        How it buys; codes are the constants above.
    """

    sizes: Row
    units: Row
    due: Due
    ways: Row


class Available(NamedTuple):
    """What a snapshot offers, kept up to date while shares are taken.

    Attributes
    ----------
    price, cost : (V,) int64
        Without and with fees, signed, 1e-9 $; price is 0 where nothing is displayed.
    left : (V,) int64
        Shares displayed that are not taken.
    """

    price: Money
    cost: Money
    left: Shares


_QUOTES = tuple(record(Quotes, ticks=grid, other_ticks=grid) for grid in _GRIDS)
_PRICES, _SPAN, _AVAILABLE = record(Prices), record(Span), record(Available)


@kernel(types.int64(types.int64[::1], types.int64[::1]))
def _cheapest(cost, left):
    """The venue of the least (c, -index) among those with shares left; -1 if none."""
    best = -1
    for v in range(len(cost)):
        if left[v] > 0 and (best < 0 or cost[v] <= cost[best]):
            best = v
    return best


@kernel(types.int64(_AVAILABLE))
def _touch(available):
    """The lowest cost displayed, whatever is taken of it; only where something is displayed."""
    price, cost = available.price, available.cost
    touch = -1
    for v in range(len(price)):
        if price[v] != 0 and (touch < 0 or cost[v] < cost[touch]):
            touch = v
    return cost[touch]


@kernel(types.int64(types.int64[::1], types.int64[::1]))
def _best_quote(price, left):
    """The venue of the lowest price among those with shares left, the lowest index first; -1 if none."""
    best = -1
    for v in range(len(price)):
        if left[v] > 0 and (best < 0 or price[v] < price[best]):
            best = v
    return best


@kernel(types.int64(types.int64[::1]))
def _best_displayed(price):
    """The venue of the lowest price displayed, whatever is taken of it, the lowest index first; -1 if none."""
    best = -1
    for v in range(len(price)):
        if price[v] != 0 and (best < 0 or price[v] < price[best]):
            best = v
    return best


@kernel(*(types.void(quotes, _PRICES, types.int64, types.int64, types.int64[::1], _AVAILABLE) for quotes in _QUOTES))
def _look(quotes, prices, unit, t, taken, available):
    """Update the shares taken, and what is available, to snapshot t."""
    ticks, sizes, resets = quotes.ticks, quotes.sizes, quotes.resets
    sign, base, tick, fees = prices.sign, prices.base, prices.tick, prices.fees
    price, cost, left = available.price, available.cost, available.left
    for v in range(len(taken)):
        if resets[t, v >> 6] >> np.uint64(v & 63) & np.uint64(1):
            taken[v] = 0
        price[v] = sign * (base + tick * np.int64(ticks[t, v])) if ticks[t, v] != 0 else 0
        cost[v] = price[v] + fees[v]
        left[v] = max(np.int64(sizes[t, v]) * unit - taken[v], 0) if ticks[t, v] != 0 else 0


@kernel(types.void(types.int64, types.int64, _I64, types.int64[::1], _AVAILABLE, types.int64[::1]))
def _fill(v, shares, fees, taken, available, out):
    taken[v] += shares
    available.left[v] -= shares
    out[FILLED] += shares
    out[CASH] += shares * available.cost[v]
    out[FEES] += shares * fees[v]


@kernel(types.void(types.int64, types.int64, types.int64, types.int64[::1]))
def _mark(before, t, mid2, out):
    """Record the mid and the snapshot t if more is filled by now than `before`."""
    shares = out[FILLED] - out[OVER] - before
    if shares > 0:
        out[MIDS] += shares * mid2
        out[FIRST] = out[FIRST] if out[FIRST] > 0 else t + 1
        out[LAST] = t + 1


@kernel(types.void(types.int64, types.int64, types.int64, _I64, types.int64[::1], _AVAILABLE, types.int64[::1]))
def _complete(leftover, edge, remaining, fees, taken, available, out):
    """Apply the leftover rule at an order's last snapshot; price is 0 where nothing is displayed."""
    price, cost, left = available.price, available.cost, available.left
    if leftover == LAST_ASK:
        best = _best_displayed(price)
        if best >= 0:
            _fill(best, remaining, fees, taken, available, out)
        return
    for v in range(len(price)):
        if price[v] > edge:
            left[v] = 0
    while remaining > 0:
        v = _cheapest(cost, left)
        if v < 0:
            return
        shares = min(left[v], remaining)
        _fill(v, shares, fees, taken, available, out)
        remaining -= shares


@kernel(
    *(
        types.void(quotes, _PRICES, _SPAN, types.int64, record(Rules), _I64, _I64, types.int64[:, ::1])
        for quotes in _QUOTES
    )
)
def walk(quotes, prices, span, size, rules, tau, over, out):
    """Run one order for K combinations.

    Parameters
    ----------
    quotes : Quotes
    prices : Prices
    span : Span
    size : int64
        Of the order, shares.
    rules : Rules
    tau, over : (K,) int64
        lambda_under + theta_queue, and lambda_over + theta_queue; at most `INFINITE`.
    out : (K, 8) int64, output, zeroed
        FILLED, OVER, CASH, FEES, OVER_CASH, signed as in `allocator.engine.settle`; MIDS, the sum of shares * stood;
        FIRST, LAST, one more than the snapshots of the first and the last fill, 0 = none.
    """
    other_ticks, mid2, stood = quotes.other_ticks, quotes.mid2, quotes.stood
    sign, base, tick, fees = prices.sign, prices.base, prices.tick, prices.fees
    first, past = span.first, span.past
    policy, step, wait, lots_only = rules.policy, rules.step, rules.wait, rules.lots_only
    reference, arrival_at, arrival2, leftover = rules.reference, rules.arrival_at, rules.arrival2, rules.leftover
    venues = quotes.ticks.shape[1]
    taken, price, cost, left = (
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
    )
    available = Available(price, cost, left)
    rest, split = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    for k in range(len(tau)):
        taken[:] = 0
        remaining = size
        row = out[k]
        for t in range(first, past):
            before = row[FILLED] - row[OVER]
            _look(quotes, prices, 1, t, taken, available)
            act, whole = True, False
            if policy == PSEUDOCODE:
                lots = 0
                for v in range(venues):
                    lots += left[v] // step * step
                whole = remaining % step == 0 and lots >= remaining
                act = whole or not wait
            best = _cheapest(cost, left)
            reference2 = 0
            if act and not whole:
                if best < 0:
                    act = False
                elif reference == BEST:
                    reference2 = 2 * cost[best]
                elif reference == TOUCH:
                    reference2 = 2 * _touch(available)
                elif reference == MID:
                    reference2 = sign * mid2[t]
                    act = mid2[t] != 0
                else:
                    reference2 = sign * arrival2
                    act = t >= arrival_at
            if act:
                lots = whole or lots_only
                rest[:] = left
                split[:] = 0
                short = remaining
                while short > 0:
                    v = _cheapest(cost, rest)
                    if v < 0 or (not whole and 2 * cost[v] - reference2 > 2 * tau[k]):
                        break
                    split[v] = min(rest[v] // step, short // step) * step if lots else min(rest[v], short)
                    short -= split[v]
                    rest[v] = 0
                if lots_only and not whole and 0 < short < step:
                    other = -1
                    for v in range(venues):
                        if other_ticks[t, v] != 0 and (
                            other < 0 or sign * (np.int64(other_ticks[t, v]) - np.int64(other_ticks[t, other])) > 0
                        ):
                            other = v
                    for v in range(venues):
                        rest[v] = (left[v] - split[v]) // step
                    v = _cheapest(cost, rest)
                    if (
                        other >= 0
                        and v >= 0
                        and over[k] < INFINITE
                        and (
                            tau[k] >= INFINITE
                            or step * (2 * cost[v] - reference2) + 2 * over[k] * (step - short) < 2 * tau[k] * short
                        )
                    ):
                        split[v] += step
                        excess = step - short
                        row[OVER] += excess
                        row[OVER_CASH] += excess * (
                            sign * (base + tick * np.int64(other_ticks[t, other])) - fees[other]
                        )
                        row[FEES] += excess * fees[other]
                        short = 0
                for v in range(venues):
                    if split[v] > 0:
                        _fill(v, split[v], fees, taken, available, row)
                remaining = short
            if remaining > 0 and t == past - 1:
                _complete(leftover, rules.edge, remaining, fees, taken, available, row)
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
        types.void(quotes, _PRICES, _SPAN, record(Schedules), types.int64, types.int64, types.int64[:, ::1])
        for quotes in _QUOTES
    )
)
def follow(quotes, prices, span, given, leftover, edge, out):
    """Run N schedules in one pass. A schedule that has nothing to buy at a snapshot reads no quote.

    Parameters
    ----------
    quotes, prices, span
        As `walk`.
    given : Schedules
    leftover, edge : int64
        `SWEEP` or `LAST_ASK`, and the dearest signed price, 1e-9 $, that `SWEEP` takes.
    out : (N, 8) int64, output, zeroed
        As `walk`, in units.
    """
    resets, stood, fees = quotes.resets, quotes.stood, prices.fees
    first, past = span.first, span.past
    sizes, units, due, ways = given.sizes, given.units, given.due, given.ways
    schedules, venues, words = len(sizes), quotes.ticks.shape[1], resets.shape[1]
    taken = np.zeros((schedules, venues), np.int64)
    price, cost, left = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    available = Available(price, cost, left)
    weights, split, rests = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    holding = np.zeros((schedules, words), np.uint64)
    for t in range(first, past):
        for n in range(schedules):
            row, size, way = out[n], sizes[n], ways[n]
            if row[FILLED] == size:
                continue
            for word in range(words):
                back = resets[t, word] & holding[n, word]
                holding[n, word] ^= back
                while back != np.uint64(0):
                    taken[n, word * 64 + lowest(back)] = 0
                    back &= back - np.uint64(1)
            buy = min(due[n, t - first], size - row[FILLED]) if way >= BURST else due[n, t - first] - row[FILLED]
            short = buy > 0 if way >= BURST else buy >= units[n]
            if not short and t < past - 1:
                continue
            before = row[FILLED]
            _look(quotes, prices, units[n], t, taken[n], available)
            if way >= BURST:
                while buy > 0:
                    v = _best_quote(price, left) if way == BURST else _cheapest(cost, left)
                    if v < 0:
                        break
                    shares = min(left[v], buy)
                    _fill(v, shares, fees, taken[n], available, row)
                    buy -= shares
            elif short and way == PRO_RATA:
                best = _best_displayed(price)
                if best >= 0:
                    for v in range(venues):
                        weights[v] = np.int64(quotes.sizes[t, v]) if price[v] == price[best] else 0
                    _pro_rata(buy, weights, split, rests)
                    for v in range(venues):
                        _fill(v, min(left[v], split[v]), fees, taken[n], available, row)
            elif short:
                v = _best_displayed(price) if way == BEST_ASK else _best_quote(price, left)
                if v >= 0 and left[v] > 0:
                    _fill(v, min(left[v], buy), fees, taken[n], available, row)
            if t == past - 1 and row[FILLED] < size:
                _complete(leftover, edge, size - row[FILLED], fees, taken[n], available, row)
            _mark(before, t, stood[t], row)
            for v in range(venues):
                if taken[n, v] != 0:
                    holding[n, v >> 6] |= np.uint64(1) << np.uint64(v & 63)
