"""The confidence sequence: by hand, against a plain implementation, and how often all of its intervals hold."""

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics.sequence import confidence_sequence
from tests.support.examples import examples

DAYS = 400


def test_two_days_by_hand():
    # a = .5: -2 ln .5 = 1.386294; r = (1.386294 + ln 2.386294) / 1 = 2.256035; t = 2: mean 2, s^2 = 2 (1 and 3);
    # 2 r + 1 = 5.512071; width = sqrt(2 * 5.512071 / (4 * 2.256035) * ln(5.512071 / .25)) = sqrt(1.221620 * 3.093233)
    answer = confidence_sequence(np.array([1, 3]), level=0.5, first=2, tuned_for=1)
    assert answer.mean.tolist() == [1, 2]
    assert (answer.low[0], answer.high[0]) == (-math.inf, math.inf)
    assert answer.high[1] - 2 == pytest.approx(1.943905, abs=1e-5)
    assert 2 - answer.low[1] == pytest.approx(1.943905, abs=1e-5)


@examples(100)
@given(
    st.lists(st.integers(-(10**6), 10**6), max_size=40),
    st.sampled_from([0.5, 0.9, 0.95]),
    st.integers(2, 30),
    st.integers(1, 90),
)
def test_each_interval_is_that_of_the_days_so_far(numbers, level, first, tuned_for):
    answer = confidence_sequence(np.array(numbers, np.int64), level, first, tuned_for)
    assert len(answer.mean) == len(answer.low) == len(answer.high) == len(numbers)
    scale = math.log(1 / (1 - level))
    ratio = (2 * scale + math.log(2 * scale + 1)) / tuned_for
    for day in range(1, len(numbers) + 1):
        so_far = numbers[:day]
        mean = Fraction(sum(so_far), day)
        low, high = answer.low[day - 1], answer.high[day - 1]
        assert answer.mean[day - 1] == pytest.approx(float(mean), abs=1e-8)
        if day < first or len({*so_far}) == 1:
            assert (low, high) == (-math.inf, math.inf)
            continue
        variance = float(sum((value - mean) ** 2 for value in so_far) / (day - 1))
        # the boundary of Howard et al. for the sum: sqrt((v + rho) ln((v + rho) / (rho a^2))), v = t, rho = 1 / ratio
        boundary = math.sqrt((day + 1 / ratio) * (math.log(day * ratio + 1) + 2 * scale))
        assert (high - low) / 2 == pytest.approx(math.sqrt(variance) * boundary / day, rel=1e-9)


def test_it_is_narrowest_for_its_evidence_where_it_is_tuned_for():
    values = np.random.default_rng(1).normal(size=200)
    widths = {tuned: confidence_sequence(values, tuned_for=tuned).high[59] for tuned in (15, 30, 60, 120, 240)}
    assert min(widths, key=widths.get) == 60


def test_a_constant_says_nothing_and_what_is_no_number_is_refused():
    assert np.isinf(confidence_sequence(np.full(50, 0.1)).high).all()
    assert len(confidence_sequence(np.zeros(0)).mean) == 0
    for values in (np.array([1.0, np.nan]), np.array([np.inf]), np.zeros((2, 2))):
        with pytest.raises(ValueError, match="values: expected one finite number a day"):
            confidence_sequence(values)
    for options in ({"level": 1.0}, {"level": 0.0}, {"first": 1}, {"tuned_for": 0}):
        with pytest.raises(ValueError, match="expected a level between 0 and 1"):
            confidence_sequence(np.zeros(3), **options)


@pytest.mark.parametrize("draw", ["normal", "student"])
def test_all_intervals_hold_at_once_and_those_of_a_fixed_number_of_days_do_not(draw):
    random = np.random.default_rng(2)
    trials = 1000
    paths = {
        "normal": lambda: random.normal(size=(trials, DAYS)),
        "student": lambda: random.standard_t(3, size=(trials, DAYS)),
    }[draw]()
    held = sum(bool((answer.low <= 0).all() and (answer.high >= 0).all()) for answer in map(confidence_sequence, paths))
    assert held / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)
    # the 95 % interval of each day by itself, from day 20 on, looked at every day
    days = np.arange(1, DAYS + 1)
    means = np.cumsum(paths, axis=1) / days
    spread = np.sqrt((np.cumsum(paths**2, axis=1) / days - means**2) / np.maximum(days - 1, 1))
    alone = (np.abs(means) <= students_t(days - 1) * spread)[:, 19:].all(axis=1).mean()
    print(held / trials, alone)
    assert 0.60 < alone < 0.75


def students_t(degrees):
    """The 97.5 % quantile of Student's t, by its expansion in 1 / degrees; 4e-4 off at 19."""
    z = NormalDist().inv_cdf(0.975)
    v = np.maximum(degrees, 1)
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)


def test_the_expansion_of_students_t():
    assert students_t(np.array([19, 30, 120])) == pytest.approx([2.0930, 2.0423, 1.9799], abs=5e-4)
