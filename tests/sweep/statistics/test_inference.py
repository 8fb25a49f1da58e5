"""Intervals of means over blocks, by hand and against a plain second reading of their formulas."""

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics import inference
from sweep.statistics.inference import (
    blocks_for,
    cosine_weights,
    degrees_of,
    detectable,
    estimates,
    interval,
    linearised,
    t_below,
    t_quantile,
    undercoverage,
)
from tests.support.examples import examples

T_975 = {1: 12.7062047362, 2: 4.3026527297, 4: 2.7764451052, 5: 2.5705818356, 10: 2.2281388520, 30: 2.0422724563}
"""Tables of Student's t."""


def plain_interval(values, level):
    """Mean and ends, as the formulas stand, one number after the other."""
    n = len(values)
    degrees = max(4, round(0.4 * n ** (2 / 3)))
    variance = 0.0
    for j in range(1, degrees + 1):
        weighted = sum(math.sqrt(2) * math.cos(math.pi * j * (b - 0.5) / n) * values[b - 1] for b in range(1, n + 1))
        variance += (weighted / math.sqrt(n)) ** 2 / degrees
    reach = t_quantile((1 + level) / 2, degrees) * math.sqrt(variance / n)
    mean = sum(values) / n
    return mean, mean - reach, mean + reach


def test_the_quantiles_of_students_t_are_those_of_tables():
    for degrees, quantile in T_975.items():
        assert t_quantile(0.975, degrees) == pytest.approx(quantile, abs=2e-10)
        assert t_quantile(0.025, degrees) == -t_quantile(0.975, degrees)
    assert t_quantile(0.8, 4) == pytest.approx(0.9409645772, abs=2e-10)
    assert t_quantile(0.5, 7) == 0


def test_students_t_of_one_degree_is_cauchys_and_of_two_is_algebraic():
    for value in (-3.0, -0.5, 0.0, 1.0, 40.0):
        assert t_below(value, 1) == pytest.approx(0.5 + math.atan(value) / math.pi, abs=1e-15)
        assert t_below(value, 2) == pytest.approx(0.5 + value / 2 / math.sqrt(2 + value * value), abs=1e-15)


@pytest.mark.parametrize("part", [0.6, 0.8, 0.95, 0.975, 0.9975])
def test_quantiles_give_back_their_part_and_join_the_series(part):
    for degrees in (3, 4, 17, 120, 399, 400, 401, 2000):
        assert t_below(t_quantile(part, degrees), degrees) == pytest.approx(part, abs=2e-10)
    assert t_quantile(part, 10**7) == pytest.approx(NormalDist().inv_cdf(part), abs=1e-6)


@pytest.mark.parametrize("blocks", [5, 20, 21, 38, 120, 999])
def test_cosine_weights_are_cosines_orthogonal_to_one_another_and_to_the_mean(blocks):
    weights = cosine_weights(blocks)
    assert weights.shape == (degrees_of(blocks), blocks)
    b, j = np.arange(1, blocks + 1), np.arange(1, degrees_of(blocks) + 1)[:, None]
    assert np.allclose(
        weights, math.sqrt(2) * np.cos(math.pi * j * (b - 0.5) / blocks), rtol=0, atol=2e-14 * len(weights)
    )
    assert np.allclose(weights @ weights.T / blocks, np.eye(len(weights)), atol=1e-13)
    assert np.allclose(weights.sum(axis=1), 0, atol=1e-11)


def test_cosines_are_the_nearest_floats():
    # cos(pi/3), cos(pi/4), cos(pi/5): 1/2, 1/sqrt 2, the golden ratio's half
    assert inference._cosines(3).tolist() == [1, 0.5, -0.5]
    assert inference._cosines(4)[1] == math.sqrt(0.5)
    assert inference._cosines(5)[1] == 0.8090169943749475


def test_how_many_cosines_there_are():
    assert [degrees_of(n) for n in (1, 20, 31, 38, 60, 120, 250, 1000)] == [4, 4, 4, 5, 6, 10, 16, 40]


def test_an_interval_worked_by_hand():
    # one cosine alone: x_b = 3 + cos(pi (b - 1/2) / 20) has sum w_1 x / sqrt n = sqrt(n / 2), and 0 by the other three
    values = [3 + math.cos(math.pi * (b - 0.5) / 20) for b in range(1, 21)]
    known = interval(np.array(values))
    assert known.mean == pytest.approx(3, abs=1e-14)
    assert (known.blocks, known.degrees, known.level, known.undercovers) == (20, 4, 0.95, None)
    error = math.sqrt(10 / 4 / 20)
    assert known.standard_error == pytest.approx(error, rel=1e-13)
    assert known.low == pytest.approx(3 - 2.7764451052 * error, rel=1e-10)
    assert known.high == pytest.approx(3 + 2.7764451052 * error, rel=1e-10)
    assert known.skewness == pytest.approx(0, abs=1e-13)


def test_skewness_and_the_correlation_of_neighbours_worked_by_hand():
    # three blocks of 4 among 1s: of n = 4, mean 7/4, deviations -3/4 x 3 and 9/4
    known = interval(np.array([1, 1, 1, 4]))
    cubes, squares = (3 * Fraction(-3, 4) ** power + Fraction(9, 4) ** power for power in (3, 2))
    assert known.skewness == pytest.approx(float(cubes / 4) / float(squares / 4) ** 1.5)
    assert known.lag_1 == pytest.approx(float((2 * Fraction(9, 16) - Fraction(27, 16)) / squares))
    constant = interval(np.full(25, 0.1))
    assert (constant.skewness, constant.lag_1) == (0, 0)
    assert interval(np.array([0, 1] * 13)).lag_1 == pytest.approx(-25 / 26)


def test_fewer_than_20_blocks_have_a_mean_and_no_interval():
    known = interval(np.arange(19) ** 4)
    assert known.mean == pytest.approx(sum(b**4 for b in range(19)) / 19)
    assert (known.standard_error, known.low, known.high, known.undercovers) == (None,) * 4
    assert detectable(np.arange(19)) is None
    assert interval(np.arange(20)).standard_error > 0


def test_what_does_not_vary_has_an_interval_of_no_width():
    known = interval(np.full(30, 7))
    assert known.mean == known.low == known.high or known.standard_error < 1e-14
    assert (interval(np.zeros(30)).low, interval(np.zeros(30)).high) == (0, 0)
    assert blocks_for(1e-6, np.zeros(30)) == 20


def test_a_mean_over_a_notional_is_the_ratio_of_sums_and_its_variance_the_delta_methods():
    d, w = np.array([4, 1, 7]), np.array([10, 2, 3])
    mean, values = linearised(d, w)
    assert mean == pytest.approx(12 / 15)
    assert values == pytest.approx([0.8 + 3 * (a - 0.8 * b) / 15 for a, b in zip(d, w, strict=True)])
    assert values.mean() == pytest.approx(mean)
    table, all_values = linearised(np.column_stack([d, 2 * d]), w)
    assert table.tolist() == [mean, 2 * mean]
    assert all_values[:, 0].tolist() == values.tolist()


def test_differences_in_proportion_to_the_notional_are_known_exactly():
    w = np.arange(1, 31)
    known = interval(3 * w, w)
    assert known.mean == pytest.approx(3)
    assert known.standard_error < 1e-14


@given(st.lists(st.integers(-(10**12), 10**12), min_size=20, max_size=70), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
@examples(60)
def test_intervals_are_those_of_a_plain_second_reading(values, level):
    known, plain = interval(np.array(values), level=level), plain_interval(values, level)
    assert [known.mean, known.low, known.high] == pytest.approx(plain, rel=1e-9, abs=1e-3)


@given(st.integers(20, 60), st.integers(1, 9), st.randoms(use_true_random=False), st.booleans())
@examples(40)
def test_a_column_is_the_same_alone_in_a_matrix_and_in_pieces(blocks, columns, random, weighted):
    table = np.array([[random.randint(-99, 99) for _ in range(columns)] for _ in range(blocks)])
    notional = np.array([random.randint(0, 9) + (block == 0) for block in range(blocks)]) if weighted else None
    together = estimates(table, notional)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "PIECE", 4)
        in_pieces = estimates(np.asfortranarray(table), notional)
    for column in range(columns):
        alone = interval(table[:, column], notional)
        assert (together.means[column], together.standard_errors[column]) == (alone.mean, alone.standard_error)
        assert (in_pieces.means[column], in_pieces.standard_errors[column]) == (alone.mean, alone.standard_error)
    assert (together.blocks, together.degrees) == (blocks, degrees_of(blocks))


def test_what_is_detectable_is_two_quantiles_of_standard_errors():
    values = np.random.default_rng(5).normal(3, 2, 38)
    error = interval(values).standard_error
    assert detectable(values) == pytest.approx((2.5705818356 + 0.9195437802) * error, rel=1e-9)
    assert detectable(values + 100) == pytest.approx(detectable(values))
    assert detectable(values, power=0.5) == pytest.approx(2.5705818356 * error, rel=1e-9)


@given(st.floats(0.01, 20), st.integers(5, 90), st.sampled_from([0.5, 0.8, 0.95]))
@examples(60)
def test_blocks_for_an_effect_are_the_fewest_that_show_it(effect, blocks, power):
    values = np.random.default_rng(blocks).normal(0, 3, blocks)
    needed = blocks_for(effect, values, power=power)
    deviation = math.sqrt(((cosine_weights(blocks) @ values / math.sqrt(blocks)) ** 2).mean())

    def shown(count):
        degrees = degrees_of(count)
        return (t_quantile(0.975, degrees) + t_quantile(power, degrees)) * deviation / math.sqrt(count)

    assert needed >= 20
    assert shown(needed) <= effect * (1 + 1e-12)
    assert needed == 20 or shown(needed - 1) > effect * (1 - 1e-12)


def test_of_four_blocks_no_variance_is_known():
    assert blocks_for(1, np.array([1, 2, 3, 5])) is None
    assert blocks_for(1, np.array([1, 2, 3, 5, 8])) >= 20


def test_skewed_blocks_say_by_how_much_their_interval_is_too_short():
    values = np.r_[np.zeros(37), 1.0]
    known = interval(values)
    assert known.skewness > 1
    assert known.undercovers == undercoverage(38, known.skewness)
    assert undercoverage(40, -2.0) == pytest.approx(0.1 / 4 + 0.9 * 0.01)
    assert undercoverage(20, 400) == 0.95
    assert interval(-values).undercovers == known.undercovers
    assert interval(np.array([0, 1] * 19)).undercovers is None


@pytest.mark.parametrize(
    ("differences", "options", "message"),
    [
        (np.zeros((3, 2)), {}, "one column"),
        (np.zeros(0), {}, "but their shape is"),
        (np.array([1.0, np.nan]), {}, "finite differences"),
        (np.array([1.0, np.inf]), {}, "finite differences"),
        (np.ones(3), {"notional": np.ones(2)}, "a notional for each of 3 blocks"),
        (np.ones(3), {"notional": np.zeros(3)}, "one above it"),
        (np.ones(3), {"notional": np.array([1, -1, 1])}, "at least 0"),
        (np.ones(3), {"notional": np.array([1, np.nan, 1])}, "at least 0"),
        (np.ones(3), {"level": 1}, "a level between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused(differences, options, message):
    with pytest.raises(ValueError, match=message):
        interval(differences, **options)


def test_a_power_or_an_effect_that_is_none_is_refused():
    with pytest.raises(ValueError, match="a power between"):
        detectable(np.ones(30), power=0)
    with pytest.raises(ValueError, match="a power between"):
        blocks_for(1, np.ones(30), power=1)
    with pytest.raises(ValueError, match="an effect above 0"):
        blocks_for(0, np.ones(30))
    with pytest.raises(ValueError, match="a matrix of blocks and columns"):
        estimates(np.ones(30))
