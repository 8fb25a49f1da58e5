"""The whole fill engine compiled: every policy and setting, one pass per combination; and the baselines' schedules.

Prices are signed as in `allocator.engine`, whose results these functions equal.
"""

from __future__ import annotations

import numpy as np
from numba import types

from allocator.kernels.compiling import kernel, lowest

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_GRIDS = tuple(types.Array(each, 2, "C", readonly=True) for each in (types.int32, types.int64))
_SZ = types.Array(types.int32, 2, "C", readonly=True)
_BITS = types.Array(types.uint64, 2, "C", readonly=True)

STATIC, PSEUDOCODE = 0, 1
BEST, MID, ARRIVAL = 0, 1, 2
SWEEP, LAST_ASK = 0, 1

INFINITE = 2**60
"""`allocator.order.UNBOUNDED`."""

FILLED, OVER, CASH, FEES, OVER_CASH, MIDS, FIRST, LAST = range(8)
"""The sums of an order: the arguments of `allocator.engine.settle`, then those of `allocator.shortfall.trace_row`."""


@kernel(types.int64(types.int64[::1], types.int64[::1]))
def _cheapest(cost, left):
    """The venue of the least (c, -index) among those with shares left; -1 if none."""
    best = -1
    for v in range(len(cost)):
        if left[v] > 0 and (best < 0 or cost[v] <= cost[best]):
            best = v
    return best


@kernel(types.int64(types.int64[::1], types.int64[::1]))
def _best_quote(price, left):
    """The venue of the lowest price among those with shares left, the lowest index first; -1 if none."""
    best = -1
    for v in range(len(price)):
        if left[v] > 0 and (best < 0 or price[v] < price[best]):
            best = v
    return best


@kernel(
    *(
        types.void(
            grid, _SZ, _BITS, _I64, types.int64, types.int64, types.int64, types.int64, types.int64,
            types.int64[::1], types.int64[::1], types.int64[::1], types.int64[::1],
        )
        for grid in _GRIDS
    )
)  # fmt: skip
def _look(ticks, sz, resets, fees, sign, base, tick, unit, t, taken, price, cost, left):
    """Update taken, price, cost and shares left to snapshot t."""
    for v in range(len(taken)):
        if resets[t, v >> 6] >> np.uint64(v & 63) & np.uint64(1):
            taken[v] = 0
        price[v] = sign * (base + tick * np.int64(ticks[t, v])) if ticks[t, v] != 0 else 0
        cost[v] = price[v] + fees[v]
        left[v] = max(np.int64(sz[t, v]) * unit - taken[v], 0) if ticks[t, v] != 0 else 0


@kernel(
    types.void(types.int64, types.int64, types.int64[::1], _I64, types.int64[::1], types.int64[::1], types.int64[::1])
)
def _fill(v, shares, cost, fees, taken, left, out):
    taken[v] += shares
    left[v] -= shares
    out[FILLED] += shares
    out[CASH] += shares * cost[v]
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
    types.void(
        types.int64, types.int64, types.int64[::1], types.int64[::1], _I64,
        types.int64[::1], types.int64[::1], types.int64[::1],
    )
)  # fmt: skip
def _complete(leftover, remaining, price, cost, fees, taken, left, out):
    """Apply the leftover rule at an order's last snapshot; price is 0 where nothing is displayed."""
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


@kernel(
    *(
        types.void(
            grid, _SZ, _BITS, grid, _I64, _I64, _I64, types.int64, types.int64, types.int64,
            types.int64, types.int64, types.int64,
            types.int64, types.int64, types.boolean, types.boolean, types.int64, types.int64, types.int64, types.int64,
            _I64, _I64, types.int64[:, ::1],
        )
        for grid in _GRIDS
    )
)  # fmt: skip
def walk(
    ticks, sz, resets, other_ticks, mid2, stood, fees, sign, base, tick, first, past, size,
    policy, step, wait, lots_only, reference, arrival_at, arrival2, leftover,
    tau, over, out,
):  # fmt: skip
    """Run one order for K combinations.

    Parameters
    ----------
    ticks, sz, other_ticks : (T, V)
        The side taken from, and the other side's prices; 0 = nothing displayed.
    resets : (T, W) uint64
        Where `taken` is reset.
    mid2 : (T,) int64
        Unsigned, 0 = none.
    stood : (T,) int64
        Twice the mid that fills are compared with.
    fees : (V,) int64
    sign, base, tick
        A signed price is sign * (base + tick * ticks).
    first, past, size
        Of the order.
    policy, step, wait, lots_only, reference, leftover
        The policy's switches and the rule, as the constants above.
    arrival_at, arrival2
        The first snapshot that can use the arrival mid, and twice that mid, unsigned.
    tau, over : (K,) int64
        lambda_under + theta_queue, and lambda_over + theta_queue; at most `INFINITE`.
    out : (K, 8) int64, output, zeroed
        FILLED, OVER, CASH, FEES, OVER_CASH, signed as in `allocator.engine.settle`; MIDS, the sum of shares * stood;
        FIRST, LAST, one more than the snapshots of the first and the last fill, 0 = none.
    """
    venues = ticks.shape[1]
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
            before = row[FILLED] - row[OVER]
            _look(ticks, sz, resets, fees, sign, base, tick, 1, t, taken, price, cost, left)
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
                        _fill(v, split[v], cost, fees, taken, left, row)
                remaining = short
            if remaining > 0 and t == past - 1:
                _complete(leftover, remaining, price, cost, fees, taken, left, row)
            _mark(before, t, stood[t], row)
            if remaining == 0:
                break


@kernel(
    *(
        types.void(
            grid, _SZ, _BITS, _I64, _I64, types.int64, types.int64, types.int64, types.int64, types.int64,
            _I64, _I64, types.Array(types.int64, 2, "C", readonly=True),
            types.Array(types.boolean, 1, "C", readonly=True), types.int64, types.int64[:, ::1],
        )
        for grid in _GRIDS
    )
)  # fmt: skip
def follow(ticks, sz, resets, stood, fees, sign, base, tick, first, past, sizes, units, due, bursts, leftover, out):
    """Run N schedules in one pass. A schedule that has nothing to buy at a snapshot reads no quote.

    Parameters
    ----------
    ticks, sz, resets, stood, fees, sign, base, tick, first, past, leftover
        As `walk`.
    sizes, units : (N,) int64
        The order in units, and units per share.
    due : (N, past - first) int64
        As `allocator.baselines.Schedule`, in units.
    bursts : (N,) bool
    out : (N, 8) int64, output, zeroed
        As `walk`, in units.
    """
    schedules, venues, words = len(sizes), ticks.shape[1], resets.shape[1]
    taken = np.zeros((schedules, venues), np.int64)
    price, cost, left = np.zeros(venues, np.int64), np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    holding = np.zeros((schedules, words), np.uint64)
    for t in range(first, past):
        for n in range(schedules):
            row, size = out[n], sizes[n]
            if row[FILLED] == size:
                continue
            for word in range(words):
                back = resets[t, word] & holding[n, word]
                holding[n, word] ^= back
                while back != np.uint64(0):
                    taken[n, word * 64 + lowest(back)] = 0
                    back &= back - np.uint64(1)
            buy = min(due[n, t - first], size - row[FILLED]) if bursts[n] else due[n, t - first] - row[FILLED]
            short = buy > 0 if bursts[n] else buy >= units[n]
            if not short and t < past - 1:
                continue
            before = row[FILLED]
            _look(ticks, sz, resets, fees, sign, base, tick, units[n], t, taken[n], price, cost, left)
            if bursts[n]:
                while buy > 0:
                    v = _cheapest(cost, left)
                    if v < 0:
                        break
                    shares = min(left[v], buy)
                    _fill(v, shares, cost, fees, taken[n], left, row)
                    buy -= shares
            elif short:
                v = _best_quote(price, left)
                if v >= 0:
                    _fill(v, min(left[v], buy), cost, fees, taken[n], left, row)
            if t == past - 1 and row[FILLED] < size:
                _complete(leftover, size - row[FILLED], price, cost, fees, taken[n], left, row)
            _mark(before, t, stood[t], row)
            for v in range(venues):
                if taken[n, v] != 0:
                    holding[n, v >> 6] |= np.uint64(1) << np.uint64(v & 63)
