"""Below what no placement of an order can cost: the Lagrangian dual of `allocator.kernels.placement`.

What a sample pays for its shortfall or its excess is at least p_i (S - A_i), whatever p_i between -over and
theta + under. With prices p_i in its place the orders no longer meet in a sample, and each is minimised by itself,
exactly, jumps of the fills included: the sum is a bound for any p. A price m >= 0 of M + sum L_k >= S does the same for
that; L_k <= S - M is left out. The prices follow a subgradient, with Polyak's step towards a cost that is known to be
reached. They are rounded to whole numbers and the bound is summed in whole numbers, so that it holds however the steps
were rounded.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, record

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I64_2 = types.Array(types.int64, 2, "C", readonly=True)
_ROW = types.int64[::1]

Row = Annotated[NDArray[np.int64], _I64]
Rows = Annotated[NDArray[np.int64], _I64_2]

PATIENCE = 12
"""Steps without a better bound after which they become shorter, and begin at the best prices again."""

SHORTER = 0.6
"""How much shorter."""


class Relaxed(NamedTuple):
    """What is bounded, for K queues in n samples.

    Attributes
    ----------
    size, most : int64
        Shares, of the order and at most of its market order.
    through, order : (K, n) int64
        Shares that pass the front of our place, at most `size`; and the samples of each queue, ascending in them.
    sizes, costs : (B,) int64
        Steps of the market's cost, ascending.
    gain : (K,) int64
        What a filled share is worth.
    theta, short, over : int64
        Of a share sent, of one missing (its own theta included), of one too many.
    """

    size: int
    most: int
    through: Rows
    order: Rows
    sizes: Row
    costs: Row
    gain: Row
    theta: int
    short: int
    over: int


_RELAXED = record(Relaxed)


@kernel(types.int64(_RELAXED, _ROW, types.int64, _ROW))
def _market(relaxed, prices, sending, filled):
    """The least that a market order costs under these prices; what it fills is left in `filled`."""
    samples = len(prices)
    slope = samples * relaxed.theta - prices.sum() - sending
    total, bought = 0, 0
    for b in range(len(relaxed.sizes)):
        if samples * relaxed.costs[b] + slope >= 0:
            break
        step = min(relaxed.sizes[b], relaxed.most - bought)
        total += step * (samples * relaxed.costs[b] + slope)
        bought += step
    filled[:samples] = bought
    filled[samples] = bought
    return total


@kernel(types.int64(_RELAXED, types.int64, _ROW, types.int64, _ROW))
def _limit(relaxed, k, prices, sending, filled):
    """The least that a limit order costs under these prices, at one of the sizes that a sample fills, or at S."""
    samples = len(prices)
    slope = samples * (relaxed.theta - relaxed.gain[k]) - prices.sum() - sending
    total, least, best, at = 0, 0, 0, 0
    for j in range(samples):
        i = relaxed.order[k, j]
        passed = relaxed.through[k, i]
        total += (passed - at) * slope
        at = passed
        if total < least:
            least, best = total, at
        slope += relaxed.gain[k] + prices[i]
    if total + (relaxed.size - at) * slope < least:
        least, best = total + (relaxed.size - at) * slope, relaxed.size
    for i in range(samples):
        filled[i] += min(relaxed.through[k, i], best)
    filled[samples] += best
    return least


@kernel(types.int64(_RELAXED, types.int64, types.int64, _ROW))
def ascend(relaxed, reached, steps, prices):
    """Raise the bound by moving the prices.

    Parameters
    ----------
    relaxed : Relaxed
    reached : int64
        A cost that is reached: the sum over all samples.
    steps : int64
        How many steps to take at most.
    prices : (n + 1,) int64, also output
        p of each sample, and m in the end; where to start, and what gave the bound.

    Returns
    -------
    int64
        No orders have a lower sum of costs over all samples.
    """
    venues, samples = relaxed.through.shape
    here, filled = prices.copy(), np.zeros(samples + 1, np.int64)
    bound, length, waited = -(2**62), 1.0, 0
    for _ in range(steps):
        sending = here[samples]
        value = relaxed.size * (here[:samples].sum() + sending)
        value += _market(relaxed, here[:samples], sending, filled)
        for k in range(venues):
            value += _limit(relaxed, k, here[:samples], sending, filled)
        if value > bound:
            bound, waited = value, 0
            prices[:] = here
        else:
            waited += 1
        if bound >= reached:
            break
        squares = 0.0
        for i in range(samples + 1):
            missing = relaxed.size - filled[i]
            stuck = missing > 0 and i < samples and here[i] >= relaxed.short
            stuck |= missing < 0 and here[i] <= (-relaxed.over if i < samples else 0)
            filled[i] = 0 if stuck else missing
            squares += float(filled[i]) * float(filled[i])
        if squares == 0:
            break
        step = length * float(reached - value) / squares
        if waited == PATIENCE:
            length, waited = length * SHORTER, 0
            here[:] = prices
            continue
        for i in range(samples):
            here[i] = min(max(here[i] + int(np.rint(step * filled[i])), -relaxed.over), relaxed.short)
        most = samples * (relaxed.short + relaxed.theta)
        here[samples] = min(max(sending + int(np.rint(step * filled[samples])), 0), most)
    return bound
