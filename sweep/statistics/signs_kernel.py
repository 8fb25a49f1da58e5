"""Sums under all sign vectors, compiled: as `selection.count_signs_plainly` and `largest_sums_plainly`, bit by bit."""

from __future__ import annotations

import numpy as np
from numba import types

from allocator.kernels.compiling import kernel

_LOOK = 64
"""Columns after which it is looked up anew how far the least of the largest sums has risen."""

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


@kernel(types.void(_TABLE, types.float64[::1], types.float64[::1]))
def largest_sums(table, highest, lowest):
    """The extremes over all columns; most columns are too small to change any once some hundred were seen.

    Parameters
    ----------
    table : (N, q) float64
        A row per column: the values of its groups.
    highest, lowest : (2^(q-1),) float64
        As of `count_signs`.
    """
    columns, groups = table.shape
    sums = np.empty(1 << (groups - 1))
    reached, seen = -np.inf, 0
    for column in range(columns):
        value = table[column, 0]
        size = abs(value)
        for group in range(1, groups):
            size += abs(table[column, group])
        if size <= reached:
            continue
        sums[0] = value
        width = 1
        for group in range(1, groups):
            value = table[column, group]
            flipped = sums[width : 2 * width]
            for place in range(width):
                flipped[place] = sums[place] - value
                sums[place] += value
            width *= 2
        for place in range(width):
            highest[place], lowest[place] = max(highest[place], sums[place]), min(lowest[place], sums[place])
        seen += 1
        if seen % _LOOK == 0:
            reached = np.inf
            for place in range(width):
                reached = min(reached, highest[place], -lowest[place])
