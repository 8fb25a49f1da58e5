"""Sequences of places: a random order of all of them, and Sobol' points. Whole numbers only: the same on any machine.

No generator of numpy's is used, whose streams may change with its version: what a run looks at is part of its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]
    Uint64 = NDArray[np.uint64]

ROUNDS: Final = 8
"""Rounds of the Feistel network: four make a permutation that cannot be told from a random one."""

BITS: Final = 32
"""Binary digits of a coordinate of a Sobol' point."""

_DIRECTIONS: Final = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
    (5, 11, (1, 1, 5, 1, 1)),
    (5, 13, (1, 1, 1, 3, 11)),
    (5, 14, (1, 3, 5, 5, 31)),
    (6, 1, (1, 3, 3, 9, 7, 49)),
    (6, 13, (1, 1, 1, 15, 21, 21)),
    (6, 16, (1, 3, 1, 13, 27, 49)),
)
"""Degree, coefficients and first direction numbers of the polynomial of each dimension from the second on.

new-joe-kuo-6.21201 of S. Joe and F. Y. Kuo, Constructing Sobol sequences with better two-dimensional projections, SIAM
J. Sci. Comput. 30, 2635-2654 (2008).
"""

DIMENSIONS: Final = 1 + len(_DIRECTIONS)
"""Axes that vary, at most."""


def mixed(values: Uint64, key: int) -> Uint64:
    """(N,) uint64, 64 bits of each value and a key that look random: the finaliser of SplitMix64."""
    mask = 2**64 - 1
    bits = values + np.uint64((key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & mask)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def permuted(count: int, first: int, past: int, seed: int) -> Int64:
    """The numbers [first, past) of a random order of all numbers below `count`.

    A Feistel network over the least even number of bits that holds them; what falls beyond walks on along its cycle.

    Parameters
    ----------
    count : int
        Up to 2^62.
    first, past : int
        0 <= first <= past <= count.
    seed : int
        0 or more: another order.

    Returns
    -------
    (past - first,) int64
    """
    half = max(1, -(-(count - 1).bit_length() // 2))
    shift, low = np.uint64(half), np.uint64(2**half - 1)
    keys = [int(key) for key in mixed(np.arange(ROUNDS, dtype=np.uint64), seed)]
    values = np.arange(first, past, dtype=np.uint64)
    outside = np.arange(len(values))
    while len(outside):
        left, right = values[outside] >> shift, values[outside] & low
        for key in keys:
            left, right = right, left ^ (mixed(right, key) & low)
        values[outside] = (left << shift) | right
        outside = outside[values[outside] >= np.uint64(count)]
    return values.astype(np.int64)


def sobol(dimensions: int, first: int, past: int, seed: int = 0) -> Int64:
    """The points [first, past) of a Sobol' sequence.

    Parameters
    ----------
    dimensions : int
        1 to `DIMENSIONS`.
    first, past : int
        Up to 2^32.
    seed : int
        0: the sequence as it is, from the origin on. Others shift it digit by digit, which keeps how even it is.

    Returns
    -------
    (past - first, dimensions) int64
        2^-32.
    """
    numbers = np.arange(first, past, dtype=np.int64)
    gray = numbers ^ (numbers >> 1)
    points = np.zeros((len(numbers), dimensions), np.int64)
    for dimension in range(dimensions):
        for bit, direction in enumerate(_directions(dimension)):
            points[:, dimension] ^= np.where((gray >> bit) & 1, direction, 0)
    if seed:
        shifts = mixed(np.arange(dimensions, dtype=np.uint64), seed) >> np.uint64(64 - BITS)
        points ^= shifts.astype(np.int64)
    return points


def _directions(dimension: int) -> list[int]:
    """The direction numbers of a dimension, 2^-32, one for each binary digit of a point's number."""
    if dimension == 0:
        return [1 << (BITS - 1 - bit) for bit in range(BITS)]
    degree, coefficients, first = _DIRECTIONS[dimension - 1]
    directions = [number << (BITS - 1 - bit) for bit, number in enumerate(first)]
    for bit in range(degree, BITS):
        direction = directions[bit - degree] ^ (directions[bit - degree] >> degree)
        for term in range(1, degree):
            if (coefficients >> (degree - 1 - term)) & 1:
                direction ^= directions[bit - term]
        directions.append(direction)
    return directions


def sobol_places(shape: Sequence[int], first: int, past: int, seed: int = 0) -> Int64:
    """The places of the Sobol' points [first, past) on a lattice: each value of an axis has an equal share of [0, 1).

    Parameters
    ----------
    shape : sequence of int
        Values of each axis, below 2^31; up to `DIMENSIONS` of them are above 1, and their product is at most 2^62.

    Returns
    -------
    (past - first,) int64
        Row-major; a place may come again.
    """
    long = [length for length in shape if length > 1]
    points = sobol(max(1, len(long)), first, past, seed)
    places = np.zeros(past - first, np.int64)
    for dimension, length in enumerate(long):
        places = places * length + (points[:, dimension] * length >> BITS)
    return places


def fresh(candidates: Int64, seen: Int64) -> Int64:
    """Those of some places that were not seen before, each once, in their order."""
    distinct, at = np.unique(candidates, return_index=True)
    return candidates[np.sort(at[~np.isin(distinct, seen, assume_unique=True)])]
