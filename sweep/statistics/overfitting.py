"""How often the best combination in sample is a poor one out of sample: PBO by CSCV, of block results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

FEWEST_BLOCKS: Final = 16
FEWEST_COLUMNS: Final = 12
"""Below either a probability of overfitting says nothing."""

GROUPS: Final = (16, 14, 12, 10, 8)
"""How many groups the blocks may be cut into."""

PAIRS_BY_COLUMNS: Final = 40_000_000
"""Pairs of splits times distinct columns that are looked at: half a second."""

FEWEST_PAIRS: Final = 32

RANGE_PAIRS: Final = 256
RANGE_COLUMNS: Final = 500
"""Pairs of splits and columns, at most, of each repeat that the range is made of."""

_TILE: Final = 2**17
"""Sums that are looked at together: they stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The probability of backtest overfitting.

    Attributes
    ----------
    probability : float
        Share of the splits in which the best column in sample is, out of sample, in the middle or below.
    low, high : float, optional
        5 % and 95 % of what it is where labels mean nothing: below `low`, the best in sample is more than luck. None
        without repeats.
    splits, possible : int
        How many splits were looked at, and how many there are: those of `groups` into halves.
    groups, blocks : int
        Equal contiguous groups of blocks, and the blocks in them; the first ones are left out where they do not fit.
    columns : int
        Distinct ones.
    """

    probability: float
    low: float | None
    high: float | None
    splits: int
    possible: int
    groups: int
    blocks: int
    columns: int


def pbo(results: NDArray[Any], repeats: int = 200, seed: int = 0) -> Overfitting | None:
    """Estimate the probability of backtest overfitting by combinatorially symmetric cross-validation.

    Blocks are cut into 16 equal contiguous groups where their number is a multiple of 16; else into the even number of
    groups, 8 to 16, that leaves the fewest blocks out, and the largest such number; the first blocks are left out. Each
    half of the groups is the sample once. The best column in sample has the largest sum, the first of several such. Its
    rank r out of sample is 1 for the worst of the K distinct columns, the mean of the ranks of those that tie, and the
    split counts where the logit of r / (K + 1) is 0 or less, that is r <= (K + 1) / 2.

    The range: within each group the columns are rotated by an offset of its own, drawn uniformly, so that no column is
    the same one in two groups and none is really better, while columns that were neighbours, and alike as neighbours on
    a grid are, still are: of 150 matrices of 60 random walks that range held PBO in .89, and that of permuted labels in
    .66; of independent columns both hold it in about .9. That is repeated; each time up to 256 seeded pairs of splits
    are looked at, of up to 500 columns at even distances.

    Of many columns, a seeded choice of splits is looked at, each with its complement: 40,000,000 by the number of
    columns such pairs, 32 at least.

    Parameters
    ----------
    results : (n, N) array of integers or floats
        What column c gains in block b, the more the better, blocks in order of time. Sums are exact, and so
        are ties: of integers that fit into 62 bits if all of a column had the largest size; others are rounded first,
        to 2^-61 of that or better.
    repeats : int
        What the range is made of; 0 for none.
    seed : int

    Returns
    -------
    Overfitting or None
        None where there are fewer than 12 distinct columns or 16 blocks.

    Raises
    ------
    ValueError
        `results` is no matrix of finite numbers.

    Notes
    -----
    Bailey, Borwein, Lopez de Prado, Zhu (2017), The probability of backtest overfitting, Journal of Computational
    Finance 20 (4).
    """
    if results.ndim != 2 or results.dtype.kind not in "iuf":
        raise ValueError(f"results: expected a matrix of numbers, but it had {results.ndim} dimensions")
    blocks = len(results)
    if blocks < FEWEST_BLOCKS or results.shape[1] < FEWEST_COLUMNS:
        return None
    power = _power(results)
    columns = distinct_columns(results)
    count = len(columns)
    if count < FEWEST_COLUMNS:
        return None
    groups = min(GROUPS, key=lambda each: (blocks % each, -each))
    every = _halves(groups)
    draws = np.random.PCG64(seed)
    halves = _some(draws, every, max(FEWEST_PAIRS, PAIRS_BY_COLUMNS // count))

    def sums(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        as_one = slice(int(chosen[0]), int(chosen[-1]) + 1)  # a view, and not a copy, where none is left out
        values = results[blocks % groups :, as_one if as_one.stop - as_one.start == len(chosen) else chosen]
        if power is not None:
            values = np.rint(np.ldexp(values.astype(np.float64), power))
        by_group: NDArray[np.int64] = values.astype(np.int64, copy=False).reshape(groups, -1, len(chosen)).sum(axis=1)
        return by_group

    def pieces() -> Iterator[NDArray[np.int64]]:
        for first in range(0, count, _PIECE):
            yield sums(columns[first : first + _PIECE])

    probability = _share(pieces, halves, count)
    low, high = None, None
    if repeats:
        some = sums(columns[:: -(-count // RANGE_COLUMNS)])
        shares = sorted(_null_shares(some, _some(draws, every, RANGE_PAIRS), repeats, draws))
        outside = max(repeats // 20 - 1, 0)
        low, high = shares[outside], shares[-1 - outside]
    used = blocks - blocks % groups
    return Overfitting(probability, low, high, 2 * len(halves), 2 * len(every), groups, used, count)


_PIECE: Final = 4_096
"""Columns whose sums are made at a time."""


def _power(results: NDArray[Any]) -> int | None:
    """The power of 2 by which results are multiplied, so that their sums are integers of 62 bits; None = they are."""
    size = max(abs(results.max().item()), abs(results.min().item())) * len(results)
    if not size < math.inf:
        raise ValueError("results: expected finite numbers")
    if not size or (results.dtype.kind in "iu" and size < 2**62):
        return None
    return 61 - math.frexp(size)[1]


def distinct_columns(results: NDArray[Any]) -> NDArray[np.int64]:
    """Which columns differ from all before them.

    Parameters
    ----------
    results : (n, N) array of integers or floats

    Returns
    -------
    (K,) int64
        Ascending. Columns are compared exactly; the work is that of one sort.
    """
    count = results.shape[1]
    keys = np.empty(count, np.uint64)
    for first in range(0, count, _PIECE):
        key = keys[first : first + _PIECE]
        key[:] = 0
        for row in _bits(results[:, first : first + _PIECE]):
            key ^= row
            key *= _MULTIPLIER
            key ^= key >> np.uint64(32)
    order = np.argsort(keys, kind="stable")
    new = np.ones(count, np.bool_)
    new[1:] = keys[order[1:]] != keys[order[:-1]]
    firsts = order[np.maximum.accumulate(np.where(new, np.arange(count), 0))]
    again, same_as = order[~new], firsts[~new]
    for first in range(0, len(again), _PIECE):
        piece = slice(first, first + _PIECE)
        if not np.array_equal(results[:, again[piece]], results[:, same_as[piece]]):  # two columns share a key
            return np.sort(np.unique(results, axis=1, return_index=True)[1])
    return np.sort(order[new])


_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Equal for equal numbers only, whatever the sign of a 0."""
    wide: NDArray[Any] = values.astype(np.float64) + 0.0 if values.dtype.kind == "f" else values.astype(np.int64)
    bits: NDArray[np.uint64] = wide.view(np.uint64)
    return bits


def _halves(groups: int) -> NDArray[np.int64]:
    """(H, groups / 2): the groups of each half that holds the first one; the others are their complements."""
    return np.array([(0, *others) for others in combinations(range(1, groups), groups // 2 - 1)])


def _some(draws: np.random.PCG64, halves: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """All of the halves, or as many at random."""
    if len(halves) <= most:
        return halves
    return halves[np.sort(np.argsort(_raw(draws, len(halves)), kind="stable")[:most])]


def _raw(draws: np.random.PCG64, count: int) -> NDArray[np.int64]:
    """Draws of 63 bits; their stream is one that no version of numpy changes."""
    bits: NDArray[np.uint64] = np.asarray(draws.random_raw(count))
    return (bits >> np.uint64(1)).astype(np.int64)


def _null_shares(
    sums: NDArray[np.int64], halves: NDArray[np.int64], repeats: int, draws: np.random.PCG64
) -> Iterator[float]:
    """What `_share` is where the columns of each group are rotated at random, each time anew."""
    groups, count = sums.shape
    places = np.arange(count)
    for _ in range(repeats):
        offsets = _raw(draws, groups) % count
        rotated = np.take_along_axis(sums, (places + offsets[:, None]) % count, axis=1)
        yield _share(partial(iter, (rotated,)), halves, count)


def _share(pieces: Callable[[], Iterator[NDArray[np.int64]]], halves: NDArray[np.int64], count: int) -> float:
    """Share of splits whose best column in sample is out of sample in the middle or below.

    Parameters
    ----------
    pieces : callable
        Gives the (groups, columns) sums of all `count` columns, piece by piece; called twice.
    halves : (P, groups / 2) int64
        The groups of the sample; the other half is the sample as well.
    """
    best = np.full((2, len(halves)), np.iinfo(np.int64).min)
    outside = np.zeros((2, len(halves)), np.int64)
    for sums in pieces():
        for place, both in _tiles(sums, halves):
            for sample in (0, 1):
                at = both[sample].argmax(axis=1)[:, None]
                top, other = (np.take_along_axis(both[half], at, axis=1)[:, 0] for half in (sample, 1 - sample))
                better = top > best[sample, place]
                best[sample, place][better] = top[better]
                outside[sample, place][better] = other[better]
    doubled = np.zeros((2, len(halves)), np.int64)  # twice the columns below, and once those that tie
    for sums in pieces():
        for place, both in _tiles(sums, halves):
            for sample in (0, 1):
                own = outside[sample, place][:, None]
                doubled[sample, place] += np.count_nonzero(both[1 - sample] < own, axis=1)
                doubled[sample, place] += np.count_nonzero(both[1 - sample] <= own, axis=1)
    return int(np.count_nonzero(doubled <= count)) / (2 * len(halves))


def _tiles(
    sums: NDArray[np.int64], halves: NDArray[np.int64]
) -> Iterator[tuple[slice, tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Which pairs of splits, and the (pairs, columns) sums over their one half and their other half."""
    whole = sums.sum(axis=0)
    step = max(1, _TILE // sums.shape[1])
    for first in range(0, len(halves), step):
        place = slice(first, first + step)
        half = sums[halves[place, 0]]
        for group in range(1, halves.shape[1]):
            half += sums[halves[place, group]]
        yield place, (half, whole - half)
