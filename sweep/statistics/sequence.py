"""A confidence sequence over days: an interval for each day that holds for all days at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_DAY: Final = 20
"""The first day of which something is said: a variance of fewer days is too often too small."""

TUNED_FOR: Final = 60
"""The number of days at which the sequence is narrowest, for the evidence that there is then."""


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequence:
    """An interval for the mean after each of n days.

    Attributes
    ----------
    mean : (n,) float64
        Of the days so far, in the unit of the values.
    low, high : (n,) float64
        -inf and inf where nothing can be said yet.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def confidence_sequence(
    values: NDArray[Any], level: float = 0.95, first: int = FIRST_DAY, tuned_for: int = TUNED_FOR
) -> ConfidenceSequence:
    """Make intervals that may be looked at every day, and acted on at any.

    The two-sided boundary of the normal mixture with the sample variance put in for the variance: after t days
    mean +- s_t sqrt((t r + 1) / (t^2 r) ln((t r + 1) / a^2)), where a = 1 - level, s_t^2 is the sum of squares about
    the mean of all t days by t - 1, and r = (-2 ln a + ln(1 - 2 ln a)) / `tuned_for`, which makes it narrowest then.

    With a variance that is known, of values that are normal and independent, the mean of all days lies in every
    interval with at least the probability `level`, whenever one looks and stops. With the one put in that is true of
    many days only. From 20 days on, tuned for 60, all of 400 intervals at 95 % held in .959 of 8,000 trials with normal
    values, in .973 with Student's t of 3 degrees of freedom, but in .907 with exponential values, whose skewness is 2:
    days are to be sums of many orders. From 10 days on it would be .945, .964 and .865. Intervals are not intersected
    with those before: where a mean drifts away they follow it, and an intersection would become empty.

    Parameters
    ----------
    values : (n,) array of numbers
        One a day, in order; independent of one another.
    level : float
    first : int
        The first day of which something is said, 2 or more. Nor is anything said while all values are the same.
    tuned_for : int
        Days.

    Returns
    -------
    ConfidenceSequence

    Raises
    ------
    ValueError
        An argument is out of range, or a value is no finite number.

    Notes
    -----
    Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of
    Statistics 49 (2), equation 14; with an estimated variance: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024),
    Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 52 (6).
    """
    if not 0 < level < 1 or first < 2 or tuned_for < 1:
        raise ValueError(
            f"expected a level between 0 and 1, and days of 2 and 1 or more, but it had {level}, {first}, {tuned_for}"
        )
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("values: expected one finite number a day")
    alpha = 1 - level
    evidence = -2 * math.log(alpha)
    mixed = (evidence + math.log(1 + evidence)) / tuned_for
    means, widths = [], []
    mean = squares = 0.0
    for day, value in enumerate(map(float, values.tolist()), 1):
        off = value - mean
        mean += off / day
        squares += off * (value - mean)
        width = math.inf
        if day >= first and squares > 0:
            spread = day * mixed + 1
            width = math.sqrt(squares / (day - 1) * spread / (day * day * mixed) * math.log(spread / alpha**2))
        means.append(mean)
        widths.append(width)
    middle, half = np.array(means, np.float64), np.array(widths, np.float64)
    return ConfidenceSequence(middle, middle - half, middle + half)
