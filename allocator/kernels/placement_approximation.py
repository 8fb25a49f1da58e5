"""Cont and Kukanov's own algorithm for the placement of an order: robust stochastic approximation."""

from __future__ import annotations

import numpy as np
from numba import types

from allocator.kernels.compiling import kernel

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I64_2 = types.Array(types.int64, 2, "C", readonly=True)


@kernel(types.void(types.int64, types.float64[::1]))
def _allow(size, x):
    """Clip to what is allowed; then raise all limit orders alike until the whole order is sent."""
    x[0] = min(max(x[0], 0.0), float(size))
    total = x[0]
    for k in range(1, len(x)):
        x[k] = min(max(x[k], 0.0), size - x[0])
        total += x[k]
    for k in range(1, len(x)):
        x[k] += max(size - total, 0.0) / (len(x) - 1)


@kernel(
    types.void(
        types.int64,
        _I64_2,
        types.int64,
        _I64,
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        types.float64[::1],
    )
)
def average(size, through, taking, gain, theta, under, over, steps, x):
    """Take one step along the gradient of each sample in turn; the orders at which that is, on average.

    Parameters
    ----------
    size : int64
        S, shares.
    through : (K, n) int64
        u: shares that pass the front of our place; samples are used in turn, and again.
    taking : int64
        h + f.
    gain : (K,) int64
        h + r_k.
    theta, under, over : int64
    steps : int64
        N, above 0.
    x : (K + 1,) float64, also output
        (M, L_1 .. L_K), shares: where it begins; then, the average.
    """
    venues, samples = through.shape
    squares = float(taking + theta + under + over) ** 2
    for k in range(venues):
        squares += float(gain[k] + theta + under + over) ** 2
    pace = np.sqrt(venues) * size / np.sqrt(steps * squares)
    here, total = x.copy(), np.zeros(venues + 1)
    _allow(size, here)
    for step in range(steps):
        i = step % samples
        bought = here[0]
        for k in range(venues):
            bought += min(float(through[k, i]), here[1 + k])
        missed = 0
        if bought < size:
            missed = -(under + theta)
        elif bought > size:
            missed = over
        for k in range(venues):
            slope = theta
            if through[k, i] > here[1 + k]:
                slope += missed - gain[k]
            here[1 + k] -= pace * slope
        here[0] -= pace * (taking + theta + missed)
        _allow(size, here)
        total += here
    x[:] = total / steps
