"""What may be claimed of the best of many: whether it beats the baseline, what cannot be told from it, what it saves.

Differences are what a column saves against the baseline in each block, above 0 where it saves. Every sign vector over
contiguous groups of blocks is tried, so that nothing is drawn and every answer is the same on any machine. A copy of
a column changes no answer, as a maximum over columns does not notice it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.statistics.inference import (
    FEWEST_BLOCKS,
    PIECE,
    added,
    check_part,
    cosine_sums,
    degrees_of,
    linearised,
    pieces,
    scale_of,
    t_below,
    t_quantile,
    two_dimensions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sweep.statistics.inference import Columns

MANY: Final = 2_000
"""Columns from which it is worth loading the compiled count."""

NEAR: Final = 1e-12
"""Sums that differ by less, in parts of the sum of a column's sizes, are equal: they may be so but for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class BestOf:
    """Whether the best of many columns beats the baseline.

    Attributes
    ----------
    best : int
        The column with the largest mean, the first of them, or the one that was named.
    p : float
        Of "the best beats the baseline", adjusted for all columns, by the maximum of mean / standard error of groups.
    p_plain : float
        The same by the maximum of the means themselves, in one step. The first is blind to a column that differs in
        one group only, whose ratio is 1 at most, and this one to a steady column beside a wild one.
    agree : bool
        Whether both are at most `level`, or neither.
    by_chance : float
        What the best of these columns would save on average if none saved anything: the mean over all sign vectors of
        the largest mean. The mean of the best less this is unbiased then, and too low where a column does save.
    level : float
    adjusted : (N,) float64
        p of each column, by stepdown: columns with larger ratios are left out of its maximum.
    distinct : int
        How many columns differ from one another.
    groups : int
        Of blocks, each with a sign of its own.
    vectors : int
        Sign vectors, all that there are: 2^groups.
    """

    best: int
    p: float
    p_plain: float
    agree: bool
    by_chance: float
    level: float
    adjusted: NDArray[np.float64]
    distinct: int
    groups: int
    vectors: int

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """(N,) bool, the columns that beat the baseline at `level`, all of them together."""
        beats: NDArray[np.bool_] = self.adjusted <= self.level
        return beats


def best_of(
    differences: Columns, notional: NDArray[Any] | None = None, best: int | None = None, level: float = 0.05
) -> BestOf:
    """Whether the best of many columns beats the baseline: randomised signs over groups of blocks, with stepdown.

    Blocks are cut into q contiguous groups, 10 of fewer than 60 blocks and else 12, whose means are nearly independent
    of one another. If no column saves anything, and savings are as often above 0 as below, a group could as well have
    the opposite sign, the same in all columns. The part of all 2^q sign vectors under which some column does as well
    as the one that is looked at, by mean / standard error over groups, is its p.

    Parameters
    ----------
    differences : (n, N) integers or floats
        Of each block, ordered in time, n >= q; the columns are asked for a few at a time.
    notional : (n,) integers or floats, optional
        What differences are measured by; only their sum matters here.
    best : int, optional
        The column that is called best; None = the one with the largest mean.
    level : float
        What part of worlds without any saving may be called one with.

    Raises
    ------
    ValueError
        Fewer blocks than groups, shapes that do not go together, what is not finite.

    References
    ----------
    Canay, Romano, Shaikh (2017), Randomization tests under an approximate symmetry assumption. Econometrica 85,
    1013-1030. Romano, Wolf (2005), Stepwise multiple testing as formalized data snooping. Econometrica 73, 1237-1282.
    """
    blocks, columns = two_dimensions(differences)
    groups = groups_of(blocks)
    table, hashes = np.empty((columns, groups)), np.empty(columns, np.uint64)
    means = np.empty(columns)
    for at, piece in pieces(differences):
        means[at], _ = linearised(piece, notional)
        table[at] = _group_means(piece, groups).T
        hashes[at] = _hashed(piece)
    distinct = _distinct(hashes)
    chosen = int(np.argmax(means)) if best is None else range(columns)[best]
    largest = largest_by_signs(table)
    by_chance = math.fsum(largest) / len(largest) / groups * scale_of(blocks, notional)
    sums, sizes = _sums_and_sizes(table[chosen : chosen + 1])
    p_plain = int(np.count_nonzero(largest >= float(sums[0]) - NEAR * float(sizes[0]))) / len(largest)
    _to_unit_length(table)
    adjusted = by_signs(table)
    p = float(adjusted[chosen])
    agree = (p <= level) == (p_plain <= level)
    return BestOf(chosen, p, p_plain, agree, by_chance, level, adjusted, distinct, groups, 2**groups)


def confidence_set(
    differences: Columns, notional: NDArray[Any] | None = None, best: int | None = None, level: float = 0.9
) -> NDArray[np.bool_]:
    """The columns that cannot be told from the best: by the signs of `best_of`, on what the best saves against each.

    Parameters
    ----------
    differences, notional, best
        As of `best_of`.
    level : float
        What part of such sets holds a column that is as good as the best, about.

    Returns
    -------
    (N,) bool
        True of the best, and of every column that is equal to it.
    """
    blocks, columns = two_dimensions(differences)
    groups = groups_of(blocks)
    chosen = best_column(differences, notional) if best is None else range(columns)[best]
    reference = _group_means(np.asarray(differences[:, chosen : chosen + 1]), groups).T
    table = np.empty((columns, groups))
    for at, piece in pieces(differences):
        table[at] = _group_means(piece, groups).T
    np.subtract(reference, table, out=table)
    _to_unit_length(table)
    inside: NDArray[np.bool_] = by_signs(table) > 1 - level
    return inside


@dataclass(frozen=True, slots=True)
class Corrected:
    """What the best of many saves, corrected for having been picked.

    Attributes
    ----------
    best : int
        Its column.
    mean : float
        Its mean as it was observed, which is too high: it was picked for it.
    corrected : float, optional
        Its mean as likely too high as too low; None of fewer than 20 blocks, as the two after it.
    low, high : float, optional
        Ends of an interval for it.
    level : float
        What part of such intervals holds the truth.
    distinct : int
        How many columns differ from one another.
    """

    best: int
    mean: float
    corrected: float | None
    low: float | None
    high: float | None
    level: float
    distinct: int


def corrected(
    differences: Columns,
    notional: NDArray[Any] | None = None,
    best: int | None = None,
    level: float = 0.95,
    distinct: int | None = None,
) -> Corrected:
    """What the best of many saves, corrected for having been picked: the hybrid of Andrews, Kitagawa, McCloskey.

    The mean of the best is normal, but cut off where another column would have been picked. With r the covariance of a
    column with the best over the variance of the best, by the cosines of `interval`, it is cut off below at what was
    observed less the smallest gap / (1 - r) of the columns with r < 1, and above at what was observed plus the smallest
    gap / (r - 1) of those with r > 1; the gap is how far a column's mean lies behind. The hybrid also takes it that the
    observed mean is within c standard errors of the truth, as those of all columns are together in all worlds but a
    tenth of those that the level gives away. Without it the estimate has no mean.

    The estimate is the median of the normal law, with the c of independent normal columns. The interval is that of
    Student's t for as many degrees of freedom as there are cosines, with the c of that: the normal one holds the truth
    too rarely where the variance rests on four or five cosines. It is widened to hold the estimate.

    Parameters
    ----------
    differences, notional, best
        As of `best_of`; columns with a larger mean than a best that is named are taken to be out of the choice.
    level : float
        Between 0 and 1.
    distinct : int, optional
        How many columns differ, where `best_of` has counted them.

    References
    ----------
    Andrews, Kitagawa, McCloskey (2024), Inference on Winners. Quarterly Journal of Economics 139, 305-358.
    """
    check_part("level", level)
    blocks, columns = two_dimensions(differences)
    chosen = best_column(differences, notional) if best is None else range(columns)[best]
    means, values = linearised(np.asarray(differences[:, chosen : chosen + 1]), notional)
    mean, own = float(means[0]), cosine_sums(values)
    square = float(added(own * own)[0])
    deviation, degrees = math.sqrt(square / len(own) / blocks), degrees_of(blocks)
    if distinct is None:
        distinct = count_distinct(differences)
    if blocks < FEWEST_BLOCKS:
        return Corrected(chosen, mean, None, None, None, level, distinct)
    if not deviation:
        return Corrected(chosen, mean, mean, mean, mean, level, distinct)
    below = above = math.inf
    for _, piece in pieces(differences):
        others, values = linearised(piece, notional)
        apart = added((own - cosine_sums(values)) * own) / square  # 1 - r, 0 of a copy
        gaps = mean - others
        gaps[np.abs(gaps) <= NEAR * abs(mean)] = 0
        below = min(below, _smallest(gaps, apart))
        above = min(above, _smallest(gaps, -apart))
    given_away = (1 - level) / 10
    outside = given_away / (2 * distinct)
    tail = ((1 - level) - given_away) / (1 - given_away) / 2
    span = below / deviation, above / deviation
    middle = _hybrid(0.5, span, -NormalDist().inv_cdf(outside), _normal_below)
    far = -t_quantile(outside, degrees)
    ends = [_hybrid(part, span, far, lambda value: t_below(value, degrees)) for part in (tail, 1 - tail)]
    estimate, low, high = (
        _rounded(mean + deviation * each) for each in (middle, min(middle, *ends), max(middle, *ends))
    )
    return Corrected(chosen, mean, estimate, low, high, level, distinct)


def _smallest(gaps: NDArray[np.float64], apart: NDArray[np.float64]) -> float:
    """The smallest gap / apart of the columns that stood for choice and are apart; inf where none is."""
    given = (gaps >= 0) & (apart > 0)
    return float((gaps[given] / apart[given]).min(initial=math.inf))


def _hybrid(part: float, span: tuple[float, float], far: float, law: Callable[[float], float]) -> float:
    """The truth, in standard errors from what is observed, under which less would be observed with 1 - `part`.

    Parameters
    ----------
    part : float
        The truth lies below the answer in this part of all worlds.
    span : (below, above)
        How far from what is observed the law is cut off.
    far : float
        How far apart truth and observation are at most.
    law : callable
        The part of what is observed that lies below a value, about the truth; symmetric, in standard errors.
    """
    low, high = -far, far
    while low < (truth := (low + high) / 2) < high:
        first, last = max(-span[0] - truth, -far), min(span[1] - truth, far)
        seen = -truth
        if first > 0:  # of two numbers next to 1 the difference is lost, of two next to 0 it is not
            first, seen, last = -first, -seen, -last
        mass = law(last) - law(first)
        passed = (law(seen) - law(first)) / mass if mass else float(truth < 0)
        low, high = (truth, high) if passed > 1 - part else (low, truth)
    return low


def _normal_below(value: float) -> float:
    return math.erfc(-value / math.sqrt(2)) / 2


def _rounded(value: float) -> float:
    """To ten digits: beyond them a library's error function may depend on the processor."""
    return float(f"{value:.10g}")


def best_column(differences: Columns, notional: NDArray[Any] | None = None) -> int:
    """The column with the largest mean, the first of them."""
    means = np.empty(two_dimensions(differences)[1])
    for at, piece in pieces(differences):
        means[at], _ = linearised(piece, notional)
    return int(np.argmax(means))


def groups_of(blocks: int) -> int:
    """How many groups of blocks get signs of their own."""
    groups = 10 if blocks < 60 else 12
    if blocks < groups:
        raise ValueError(f"expected at least {groups} blocks, but there are {blocks}")
    return groups


def by_signs(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p of each column, by all sign vectors and stepdown.

    Parameters
    ----------
    table : (N, q) float64
        A row per column: the values of its groups.

    Returns
    -------
    (N,) float64
        The part of the sign vectors under which the sum of this column, or of one whose sum is not larger, reaches the
        sum of this one, but at least the p of every column whose sum is larger.
    """
    columns, groups = table.shape
    order = np.argsort(_sums_and_sizes(table)[0], kind="stable")
    half = 2 ** (groups - 1)
    counts = np.empty(columns, np.int32)
    _sums_of(columns).count_signs(table, order, np.full(half, -np.inf), np.full(half, np.inf), counts)
    falling = order[::-1]
    adjusted = np.empty(columns)
    adjusted[falling] = np.maximum.accumulate(counts[falling]) / (2 * half)
    return adjusted


def largest_by_signs(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2^q,) float64, the largest sum of all columns of (N, q) under each sign vector."""
    columns, groups = table.shape
    highest, lowest = np.full(2 ** (groups - 1), -np.inf), np.full(2 ** (groups - 1), np.inf)
    _sums_of(columns).largest_sums(table, highest, lowest)
    return np.concatenate([highest, -lowest])  # under opposite signs the lowest is the largest


def _sums_of(columns: int) -> Any:  # noqa: ANN401 - a module, or what stands in for it
    """Where the sums of as many columns are made."""
    if columns < MANY:
        return _PLAIN
    from sweep.statistics import signs_kernel

    return signs_kernel


def count_signs_plainly(
    table: NDArray[np.float64],
    order: NDArray[np.int64],
    highest: NDArray[np.float64],
    lowest: NDArray[np.float64],
    counts: NDArray[np.int32],
) -> None:
    """As `sweep.statistics.signs_kernel.count_signs`, which see, with numpy."""
    _, sizes = _sums_and_sizes(table)
    for column in order.tolist():
        sums = signed_sums(table[column])
        np.maximum(highest, sums, out=highest)
        np.minimum(lowest, sums, out=lowest)
        least = sums[0] - NEAR * sizes[column]
        counts[column] = np.count_nonzero(highest >= least) + np.count_nonzero(-lowest >= least)


def largest_sums_plainly(table: NDArray[np.float64], highest: NDArray[np.float64], lowest: NDArray[np.float64]) -> None:
    """As `sweep.statistics.signs_kernel.largest_sums`, which see, with numpy."""
    for row in table:
        sums = signed_sums(row)
        np.maximum(highest, sums, out=highest)
        np.minimum(lowest, sums, out=lowest)


_PLAIN: Final = SimpleNamespace(count_signs=count_signs_plainly, largest_sums=largest_sums_plainly)


def signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2^(q-1),) sums of q values, added in order, under every sign vector that leaves the first value as it is.

    The first of them changes none.
    """
    sums = values[:1]
    for value in values[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _sums_and_sizes(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) each, the sums over the groups of each column of (N, q), and those of their sizes."""
    columns = len(table)
    sums, sizes = np.empty(columns), np.empty(columns)
    for first in range(0, columns, PIECE):
        rows = table[first : first + PIECE].T
        sums[first : first + PIECE] = added(rows)
        sizes[first : first + PIECE] = added(np.abs(rows))
    return sums, sizes


def _to_unit_length(table: NDArray[np.float64]) -> None:
    """Divide the groups of each column by the root of the sum of their squares; a column of zeros stays as it is.

    mean / standard error is s (q - 1)^(1/2) / (q - s^2)^(1/2) for s the sum of what is left, and grows with it. Signs
    do not change the squares.
    """
    for first in range(0, len(table), PIECE):
        rows = table[first : first + PIECE]
        lengths = np.sqrt(added((rows * rows).T))
        rows /= np.where(lengths > 0, lengths, 1)[:, None]


def _group_means(piece: NDArray[Any], groups: int) -> NDArray[np.float64]:
    """(q, P), the means over contiguous groups of (n, P) blocks, which differ by one block at most in length."""
    edges = [len(piece) * group // groups for group in range(groups + 1)]
    means = np.empty((groups, piece.shape[1]))
    for mean, (first, past) in zip(means, pairwise(edges), strict=True):
        mean[:] = added(piece[first:past].astype(np.float64)) / (past - first)
    return means


def count_distinct(differences: Columns) -> int:
    """How many columns differ from one another."""
    hashes = np.empty(two_dimensions(differences)[1], np.uint64)
    for at, piece in pieces(differences):
        hashes[at] = _hashed(piece)
    return _distinct(hashes)


def _distinct(hashes: NDArray[np.uint64]) -> int:
    """How many numbers differ; they are sorted."""
    hashes.sort()
    return 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1]))


def _hashed(piece: NDArray[Any]) -> NDArray[np.uint64]:
    """(P,), a number for each column of (n, P), equal for equal columns and hardly ever for others: in 64 bits."""
    state = np.zeros(piece.shape[1], np.uint64)
    whole = piece.dtype == np.int64
    for row in piece:
        state ^= (row if whole else row.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
        state *= np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(32)
    return state
