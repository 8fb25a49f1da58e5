"""The fill engine compiled: one pass over the book per combination, and the baselines' schedules.

Prices are signed as in `allocator.engine`, which these functions equal.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_PX = types.Array(types.int64, 2, "C", readonly=True)
_SZ = types.Array(types.int32, 2, "C", readonly=True)
_FLAG = types.Array(types.boolean, 2, "C", readonly=True)

STATIC, PSEUDOCODE = 0, 1
BEST, MID, ARRIVAL = 0, 1, 2
SWEEP, LAST_ASK = 0, 1

INFINITE = 2**60
"""`allocator.order.UNBOUNDED`."""

FILLED, OVER, CASH, FEES, OVER_CASH = range(5)


@njit(types.int64(types.int64[::1], types.int64[::1]), cache=True)
def _cheapest(cost, left):
    """Venue with the least (c, -index) among those with shares left; -1 where none."""
    best = -1
    for v in range(len(cost)):
        if left[v] > 0 and (best < 0 or cost[v] <= cost[best]):
            best = v
    return best


@njit(types.int64(types.int64[::1], types.int64[::1]), cache=True)
def _best_quote(price, left):
    """Venue with the lowest price among those with shares left, the lowest index first; -1 where none."""
    best = -1
    for v in range(len(price)):
        if left[v] > 0 and (best < 0 or price[v] < price[best]):
            best = v
    return best


@njit(
    types.void(
        _PX, _SZ, _FLAG, _I64, types.int64, types.int64, types.int64,
        types.int64[::1], types.int64[::1], types.int64[::1], types.int64[::1],
    ),
    cache=True,
)  # fmt: skip
def _look(px, sz, resets, fees, sign, unit, t, taken, price, cost, left):
    """Bring taken, price, cost and what is left up to snapshot t."""
    for v in range(len(taken)):
        if resets[t, v]:
            taken[v] = 0
        price[v] = sign * px[t, v]
        cost[v] = price[v] + fees[v]
        left[v] = max(sz[t, v] * unit - taken[v], 0) if px[t, v] != 0 else 0


@njit(
    types.void(types.int64, types.int64, types.int64[::1], _I64, types.int64[::1], types.int64[::1], types.int64[::1]),
    cache=True,
)
def _fill(v, shares, cost, fees, taken, left, out):
    taken[v] += shares
    left[v] -= shares
    out[FILLED] += shares
    out[CASH] += shares * cost[v]
    out[FEES] += shares * fees[v]


@njit(
    types.void(
        types.int64, types.int64, types.int64[::1], types.int64[::1], _I64,
        types.int64[::1], types.int64[::1], types.int64[::1],
    ),
    cache=True,
)  # fmt: skip
def _complete(leftover, remaining, price, cost, fees, taken, left, out):
    """Apply the leftover rule at an order's last snapshot."""
    if leftover == LAST_ASK:
        best = -1
        for v in range(len(price)):
            if price[v] != 0 and (best < 0 or price[v] < price[best]):
                best = v
        if best >= 0:
            _fill(best, remaining, cost, fees, taken, left, out)
        return
    while remaining > 0:
        v = _cheapest(cost, left)
        if v < 0:
            return
        shares = min(left[v], remaining)
        _fill(v, shares, cost, fees, taken, left, out)
        remaining -= shares


@njit(
    types.void(
        _PX, _SZ, _FLAG, _PX, _I64, _I64, types.int64, types.int64, types.int64, types.int64,
        types.int64, types.int64, types.boolean, types.boolean, types.int64, types.int64, types.int64, types.int64,
        _I64, _I64, types.int64[:, ::1],
    ),
    cache=True,
)  # fmt: skip
def walk(
    px, sz, resets, other_px, mid2, fees, sign, first, past, size,
    policy, step, wait, lots_only, reference, arrival_at, arrival2, leftover,
    tau, over, out,
):  # fmt: skip
    """Run one order for K combinations.

    Parameters
    ----------
    px, sz, resets, other_px : (T, V)
        The side taken from, where `taken` is reset, and the other side's prices.
    mid2 : (T,) int64
        Unsigned, 0 = none.
    fees : (V,) int64
    sign, first, past, size
        Of the order.
    policy, step, wait, lots_only, reference, leftover
        The routing and the rule, as the constants above.
    arrival_at, arrival2
        The first snapshot that may use the arrival mid, and twice that mid, unsigned.
    tau, over : (K,) int64
        lambda_under + theta_queue, and lambda_over + theta_queue; at most `INFINITE`.
    out : (K, 5) int64, output, zeroed
        FILLED, OVER, CASH, FEES, OVER_CASH, signed as in `allocator.engine.settle`.
    """
    venues = px.shape[1]
    taken, price, cost, left = (
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
    )
    rest, split = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    for k in range(len(tau)):
        taken[:] = 0
        remaining = size
        row = out[k]
        for t in range(first, past):
            _look(px, sz, resets, fees, sign, 1, t, taken, price, cost, left)
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
                        if other_px[t, v] != 0 and (other < 0 or sign * (other_px[t, v] - other_px[t, other]) > 0):
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
                        row[OVER_CASH] += excess * (sign * other_px[t, other] - fees[other])
                        row[FEES] += excess * fees[other]
                        short = 0
                for v in range(venues):
                    if split[v] > 0:
                        _fill(v, split[v], cost, fees, taken, left, row)
                remaining = short
            if remaining > 0 and t == past - 1:
                _complete(leftover, remaining, price, cost, fees, taken, left, row)
            if remaining == 0:
                break


@njit(
    types.void(
        _PX, _SZ, _FLAG, _I64, types.int64, types.int64, types.int64, types.int64,
        types.int64, _I64, types.boolean, types.int64, types.int64[::1],
    ),
    cache=True,
)  # fmt: skip
def follow(px, sz, resets, fees, sign, first, past, size, unit, due, burst, leftover, out):
    """Run one schedule: `size` and `due` in units, `out` (5,) int64, zeroed, in units."""
    venues = px.shape[1]
    taken, price, cost, left = (
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
        np.zeros(venues, np.int64),
    )
    for t in range(first, past):
        _look(px, sz, resets, fees, sign, unit, t, taken, price, cost, left)
        remaining = size - out[FILLED]
        if burst:
            buy = min(due[t - first], remaining)
            while buy > 0:
                v = _cheapest(cost, left)
                if v < 0:
                    break
                shares = min(left[v], buy)
                _fill(v, shares, cost, fees, taken, left, out)
                buy -= shares
        else:
            buy = due[t - first] - out[FILLED]
            v = _best_quote(price, left)
            if buy >= unit and v >= 0:
                _fill(v, min(left[v], buy), cost, fees, taken, left, out)
        remaining = size - out[FILLED]
        if remaining > 0 and t == past - 1:
            _complete(leftover, remaining, price, cost, fees, taken, left, out)
        if remaining == 0:
            break
