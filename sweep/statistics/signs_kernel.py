"""The compiled count of sign vectors: as `selection.count_signs_plainly`, to the same bits, for many columns."""

from __future__ import annotations

import numpy as np
from numba import types

from allocator.kernels.compiling import kernel

_TABLE = types.Array(types.float64, 2, "C", readonly=True)
_ORDER = types.Array(types.int64, 1, "C", readonly=True)


@kernel(types.void(_TABLE, _ORDER, types.float64[::1], types.float64[::1], types.int32[::1]))
def count_signs(table, order, highest, lowest, counts):
    """Of each column, how many sign vectors lift it or one before it to where it is.

    Parameters
    ----------
    table : (N, q) float64
        A row per column: the values of its groups.
    order : (N,) int64
        The columns, ascending in their sums.
    highest, lowest : (2^(q-1),) float64
        Extremes of all columns so far under the vectors whose first sign is +; those of the opposite vectors are these
        with the sign changed. Begins with -inf and inf.
    counts : (N,) int32
        Filled, by column.
    """
    groups = table.shape[1]
    sums = np.empty(1 << (groups - 1))
    for column in order:
        value = table[column, 0]
        size = abs(value)
        sums[0] = value
        width = 1
        for group in range(1, groups):
            value = table[column, group]
            size += abs(value)
            flipped = sums[width : 2 * width]
            for place in range(width):
                flipped[place] = sums[place] - value
                sums[place] += value
            width *= 2
        least = sums[0] - 1e-12 * size
        reached = 0
        for place in range(width):
            value = sums[place]
            above, below = max(highest[place], value), min(lowest[place], value)
            highest[place] = above
            lowest[place] = below
            reached += int(above >= least) + int(-below >= least)
        counts[column] = reached
