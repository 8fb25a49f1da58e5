"""How sure a mean over blocks of time is: its interval, and the effects that as many blocks can show.

Differences are what one strategy saves against another in each block, above 0 where it saves. Sums run over the blocks
one by one, in their order, and columns never mix: a column has the same bits alone, in a matrix, and on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FEWEST_BLOCKS: Final = 20
"""Below it there is no interval: the variance of a mean would rest on cosines that so few blocks hardly tell apart."""

SKEWED: Final = 1.0
"""Skewness of block values, in size, beyond which intervals are too short."""

PIECE: Final = 2048
"""Columns that are worked on at a time: 40 blocks of them stay in a core's own cache."""


class Columns(Protocol):
    """A matrix of differences, (n, N) integers or floats, that may make its columns when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, N)."""

    def __getitem__(self, place: tuple[slice, slice], /) -> NDArray[Any]:
        """(n, P) of the columns of a slice, all blocks; the first of the two slices is always empty."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of one difference, and how sure it is; in the unit of the differences, or of them over the notional.

    Attributes
    ----------
    mean : float
        Of the differences; with a notional, the sum of differences over the sum of notionals.
    standard_error : float, optional
        Of the mean, allowing for dependence between blocks; None of fewer than 20 blocks, as the two after it.
    low, high : float, optional
        The interval's ends.
    level : float
        What part of such intervals holds the truth.
    blocks : int
        How many there are.
    degrees : int
        Cosines that the variance is made of, and so degrees of freedom of Student's t.
    skewness : float
        Of the block values; 0 where all are equal.
    lag_1 : float
        Correlation of a block's value with the next one's; 0 where all are equal.
    undercovers : float, optional
        By about how much fewer than `level` hold the truth, as `undercoverage` has it; None where skewness is at most
        1 in size, and of fewer than 20 blocks.
    """

    mean: float
    standard_error: float | None
    low: float | None
    high: float | None
    level: float
    blocks: int
    degrees: int
    skewness: float
    lag_1: float
    undercovers: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """The means of many differences, and their standard errors.

    Attributes
    ----------
    means, standard_errors : (N,) float64
        In the unit of `Interval`; the standard errors are nan of fewer than 20 blocks.
    blocks, degrees : int
        As of `Interval`.
    """

    means: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    blocks: int
    degrees: int


def linearised(
    differences: NDArray[Any], notional: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make a mean of a ratio of sums, by the delta method.

    Parameters
    ----------
    differences : (n,) or (n, N) integers or floats
        Of each block.
    notional : (n,) integers or floats, optional
        What the differences of a block are measured by, at least 0, not 0 together. None = each block counts as one.

    Returns
    -------
    means : () or (N,) float64
        The sum of differences over the sum of notionals, or their plain mean.
    values : (n,) or (n, N) float64
        One per block, d_b below: m + n (d_b - m w_b) / sum of w. Their plain mean is m, and its variance that of the
        ratio, but for terms that vanish as blocks are added. Without a notional the differences themselves.
    """
    block_values = np.asarray(differences, np.float64)
    weights = _weights(block_values, notional)
    if weights is None:
        return added(block_values) / len(block_values), block_values
    means, scale = added(block_values) / added(weights), scale_of(len(weights), weights)
    column = weights.reshape(-1, *[1] * (block_values.ndim - 1))
    return means, means + (block_values - means * column) * scale


def interval(differences: NDArray[Any], notional: NDArray[Any] | None = None, level: float = 0.95) -> Interval:
    """An interval for the mean of one difference, by the equal-weighted cosine variance.

    B = max(4, round(0.4 n^(2/3))) cosines w_j(b) = sqrt(2) cos(pi j (b - 1/2) / n) give as many estimates of the
    long-run variance, (sum_b w_j x_b)^2 / n, whose mean is L; the interval is mean +- t_B sqrt(L / n), from Student's t
    with B degrees of freedom.

    Parameters
    ----------
    differences : (n,) integers or floats
        Of each block, ordered in time.
    notional : (n,) integers or floats, optional
        As of `linearised`.
    level : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        Shapes that do not go together, what is not finite, no notional at all, or a level that is none.

    References
    ----------
    Lazarus, Lewis, Stock, Watson (2018), HAR Inference: Recommendations for Practice. JBES 36, 541-559.
    """
    check_part("level", level)
    if np.ndim(differences) != 1:
        raise ValueError(f"expected the differences of one column, but they have {np.ndim(differences)} dimensions")
    mean, values = linearised(differences, notional)
    blocks, degrees = len(values), degrees_of(len(values))
    skewness, lag_1 = _shape(values)
    error = float(_standard_errors(values[:, None])[0])
    few = math.isnan(error)
    reach = math.nan if few else t_quantile((1 + level) / 2, degrees) * error
    return Interval(
        float(mean),
        None if few else error,
        None if few else float(mean) - reach,
        None if few else float(mean) + reach,
        level,
        blocks,
        degrees,
        skewness,
        lag_1,
        None if few or abs(skewness) <= SKEWED else undercoverage(blocks, skewness),
    )


def estimates(differences: Columns, notional: NDArray[Any] | None = None) -> Estimates:
    """The means of many differences and their standard errors, each as `interval` has them.

    Parameters
    ----------
    differences : (n, N) integers or floats
    notional : (n,) integers or floats, optional
        As of `linearised`.
    """
    blocks, columns = two_dimensions(differences)
    means, errors = np.empty(columns), np.empty(columns)
    for at, piece in pieces(differences):
        means[at], values = linearised(piece, notional)
        errors[at] = _standard_errors(values)
    return Estimates(means, errors, blocks, degrees_of(blocks))


def detectable(
    differences: NDArray[Any], notional: NDArray[Any] | None = None, power: float = 0.8, level: float = 0.95
) -> float | None:
    """The smallest effect that an interval over these blocks would tell from 0 with a given power.

    (t_B at (1 + level) / 2 + t_B at power) standard errors. None of fewer than 20 blocks, which have no interval.

    Parameters
    ----------
    differences : (n,) integers or floats
        Only their variance matters, not their mean.
    notional : (n,) integers or floats, optional
        As of `linearised`.
    power, level : float
        Between 0 and 1.
    """
    check_part("power", power)
    known = interval(differences, notional, level)
    return None if known.standard_error is None else _reach(known.blocks, power, level) * known.standard_error


def blocks_for(
    effect: float,
    differences: NDArray[Any],
    notional: NDArray[Any] | None = None,
    power: float = 0.8,
    level: float = 0.95,
) -> int | None:
    """How many blocks of the same variance it takes for an effect to be `detectable`; at least 20.

    The long-run variance is that of the blocks that there are, 5 of them at least; None of fewer. What is asked of more
    blocks has more degrees of freedom as well.

    Parameters
    ----------
    effect : float
        Above 0, in the unit of the mean.
    differences, notional, power, level
        As of `detectable`.
    """
    check_part("power", power)
    check_part("level", level)
    if not effect > 0:
        raise ValueError(f"expected an effect above 0, but it is {effect:g}")
    _, values = linearised(differences, notional)
    if len(values) <= degrees_of(len(values)):
        return None
    deviation = math.sqrt(float(_long_run_variances(values[:, None])[0]))

    def enough(blocks: int) -> bool:
        return _reach(blocks, power, level) * deviation <= effect * math.sqrt(blocks)

    past = FEWEST_BLOCKS
    while not enough(past):
        past *= 2
    short = max(past // 2, FEWEST_BLOCKS - 1)  # not enough, or not asked
    while past - short > 1:
        middle = (short + past) // 2
        short, past = (short, middle) if enough(middle) else (middle, past)
    return past


def undercoverage(blocks: int, skewness: float) -> float:
    """By about how much an interval of 95 % covers less than that where block values are skewed.

    v / 4 + .9 v^2 with v = skewness^2 / n: fitted to lognormal blocks of sigma .2 to 1.25, 20 to 500 of them, by the
    median of the skewness that is observed, within .01 (`make bench-stats`). Blocks of another kind may differ from it.

    Parameters
    ----------
    blocks : int
    skewness : float
        As observed.
    """
    ratio = skewness * skewness / blocks
    return min(ratio / 4 + 0.9 * ratio * ratio, 0.95)


def degrees_of(blocks: int) -> int:
    """How many cosines the variance of a mean over as many blocks is made of."""
    return max(4, round(0.4 * math.pow(blocks, 2 / 3)))


def two_dimensions(differences: Columns) -> tuple[int, int]:
    """The shape of a matrix, which has at least one block and one column."""
    if len(differences.shape) != 2 or 0 in differences.shape:
        raise ValueError(f"expected a matrix of blocks and columns, but its shape is {differences.shape}")
    blocks, columns = differences.shape
    return blocks, columns


def pieces(differences: Columns) -> Iterator[tuple[slice, NDArray[Any]]]:
    """A matrix, a few columns at a time: where they are, and (n, P) of them."""
    for first in range(0, differences.shape[1], PIECE):
        at = slice(first, first + PIECE)
        yield at, np.asarray(differences[:, at])


def scale_of(blocks: int, notional: NDArray[Any] | None) -> float:
    """What makes the plain mean of differences the ratio of sums."""
    return 1.0 if notional is None else blocks / float(added(np.asarray(notional, np.float64)))


def cosine_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, N), the sums over (n, N) block values times each cosine, over sqrt n; their squares estimate the variance."""
    weights = cosine_weights(len(values))
    sums = np.zeros((len(weights), values.shape[1]))
    product = np.empty_like(sums)
    for row, weight in zip(values, weights.T[:, :, None], strict=True):
        np.multiply(row, weight, out=product)
        sums += product
    sums /= math.sqrt(len(values))
    return sums


def _long_run_variances(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,), of (n, N) block values."""
    sums = cosine_sums(values)
    return added(sums * sums) / len(sums)


def _standard_errors(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,), of the means of (n, N) block values; nan of fewer than 20."""
    if len(values) < FEWEST_BLOCKS:
        return np.full(values.shape[1], np.nan)
    errors: NDArray[np.float64] = np.sqrt(_long_run_variances(values) / len(values))
    return errors


def added(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum over the first axis, one after the other: numpy's own order depends on the shape."""
    total = np.zeros(values.shape[1:])
    for row in values:
        total += row
    return total


def _weights(block_values: NDArray[np.float64], notional: NDArray[Any] | None) -> NDArray[np.float64] | None:
    """(n,) float64, the notional of each block; None where each counts as one."""
    if block_values.ndim not in {1, 2} or not block_values.size:
        raise ValueError(f"expected differences of blocks, (n,) or (n, N), but their shape is {block_values.shape}")
    if not np.isfinite(block_values).all():
        raise ValueError("expected finite differences, but there are others")
    if notional is None:
        return None
    weights = np.asarray(notional, np.float64)
    if weights.shape != block_values.shape[:1]:
        raise ValueError(
            f"expected a notional for each of {len(block_values)} blocks, but its shape is {weights.shape}"
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("expected notionals of at least 0, and one above it, but there are others")
    return weights


def _shape(values: NDArray[np.float64]) -> tuple[float, float]:
    """The skewness of block values, and their correlation with the next one's; 0 where all are equal."""
    mean = math.fsum(values) / len(values)
    apart = [float(each) - mean for each in values]
    largest = max(map(abs, apart))
    if largest <= 1e-12 * abs(mean) or not largest:
        return 0.0, 0.0
    apart = [each / largest for each in apart]  # so that no power overflows
    squares = math.fsum(each * each for each in apart)
    cubes = math.fsum(each * each * each for each in apart)
    products = math.fsum(each * after for each, after in pairwise(apart))
    deviation = math.sqrt(squares / len(apart))
    return cubes / len(apart) / (deviation * deviation * deviation), products / squares


def _reach(blocks: int, power: float, level: float) -> float:
    degrees = degrees_of(blocks)
    return t_quantile((1 + level) / 2, degrees) + t_quantile(power, degrees)


def check_part(name: str, value: float) -> None:
    """Refuse what is no part of a whole."""
    if not 0 < value < 1:
        raise ValueError(f"expected a {name} between 0 and 1, but it is {value:g}")


@lru_cache(maxsize=64)
def cosine_weights(blocks: int) -> NDArray[np.float64]:
    """(B, n) float64, sqrt(2) cos(pi j (b - 1/2) / n), read-only."""
    table = _cosines(2 * blocks)
    odd = 2 * np.arange(blocks) + 1
    places = np.arange(1, degrees_of(blocks) + 1)[:, None] * odd % (4 * blocks)
    weights: NDArray[np.float64] = math.sqrt(2) * np.concatenate([table, -table])[places]
    weights.flags.writeable = False
    return weights


_BITS: Final = 96
_PI: Final = 0x3_243F6A88_85A308D3_13198A2E
"""pi, in units of 2^-96."""


def _cosines(parts: int) -> NDArray[np.float64]:
    """(m,) float64, cos(pi k / m) for k = 0..m-1, correctly rounded.

    By whole numbers, since the last bit of a library's cosine may depend on the processor: cos((k + 1) a) is
    2 cos(a) cos(k a) - cos((k - 1) a).
    """
    square, term, first = (_PI // parts) ** 2 >> _BITS, 1 << _BITS, 0
    for step in count(0, 2):
        if not term:
            break
        first += term if step % 4 == 0 else -term
        term = (term * square >> _BITS) // ((step + 1) * (step + 2))
    before, now, table = first, 1 << _BITS, []
    for _ in range(parts):
        table.append(now / (1 << _BITS))
        before, now = now, (2 * first * now >> _BITS) - before
    return np.array(table)


_NEAR_NORMAL: Final = 400
"""Degrees of freedom from which Student's t is a series about the normal, to better than 1e-10."""


@lru_cache(maxsize=1024)
def t_quantile(part: float, degrees: int) -> float:
    """The quantile of Student's t, to ten decimals: beyond them a library's arc tangent may depend on the processor."""
    if part < 0.5:
        return -t_quantile(1 - part, degrees)
    z = NormalDist().inv_cdf(part)
    if degrees >= _NEAR_NORMAL:
        first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return round(z + (first + (second + third / degrees) / degrees) / degrees, 10)
    low, high = z, 2 * z + 1.0
    while t_below(high, degrees) < part:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if t_below(middle, degrees) < part else (low, middle)
    return round(low, 10)


def t_below(value: float, degrees: int) -> float:
    """The part of Student's t, of whole degrees of freedom, that lies below a value: its closed form.

    References
    ----------
    Abramowitz, Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    square = degrees / (degrees + value * value)  # of the cosine of the angle whose tangent is value / sqrt(degrees)
    sine = value / math.sqrt(degrees + value * value)
    odd = degrees % 2
    term, total = (math.sqrt(square), 0.0) if odd else (1.0, 0.0)
    for step in range(1 + odd, degrees, 2):
        total += term
        term *= square * step / (step + 1)
    inside = sine * total
    if odd:
        inside = 2 / math.pi * (math.atan(value / math.sqrt(degrees)) + inside)
    return 0.5 + inside / 2
