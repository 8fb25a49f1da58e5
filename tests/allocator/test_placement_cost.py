"""The cost, its assumptions and the one-venue solution, with the numbers that the paper and the specification print."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.errors import AllocatorError
from allocator.placement.cost import ASSUMPTIONS, Costs, Placing, passed, violated
from allocator.placement.one_venue import Empirical, one_venue
from allocator.placement.solver import solve
from tests.support.examples import examples
from tests.support.placings import placing_of


def costs_of(rebates=("0.002",), *, theta="0", under="0.05", over="0.05"):
    return Costs.of_dollars(half_spread="0.02", fee="0.003", rebates=rebates, theta=theta, under=under, over=over)


class Poisson:
    """Summed term by term."""

    def __init__(self, mean):
        self.mean = mean

    def chance(self, count):
        return math.exp(count * math.log(self.mean) - self.mean - math.lgamma(count + 1))

    def cdf(self, shares):
        return math.fsum(map(self.chance, range(shares + 1)))

    def quantile(self, probability):
        total, count = self.chance(0), 0
        while total < probability:
            count += 1
            total += self.chance(count)
        return count


class Exponential:
    def __init__(self, mean):
        self.mean = mean

    def cdf(self, shares):
        return -math.expm1(-shares / self.mean)

    def quantile(self, probability):
        return -self.mean * math.log1p(-probability)


@pytest.mark.parametrize(
    ("theta", "under", "split"),
    [("0", "0.026", (728, 272)), ("0.0005", "0.026", (731, 269)), ("0.0005", "0.05", (786, 214))],
)
def test_one_venue_with_a_poisson_outflow(theta, under, split):
    assert one_venue(costs_of(theta=theta, under=under), 1000, 2000, Poisson(2200)) == split


def test_one_venue_does_not_look_at_the_penalty_of_shares_too_many():
    splits = {one_venue(costs_of(over=over), 1000, 2000, Poisson(2200)) for over in ("0", "0.05", "3")}
    assert len(splits) == 1


@pytest.mark.parametrize(
    ("under", "split"),
    [("0.0001", (0, 1000)), ("0.04", (0, 1000)), ("8", (1000, 0))],
    ids=["missing costs nothing", "little", "much"],
)
def test_the_ends_of_one_venue(under, split):
    """F(Q + S) is 0.70 here and p 0.72 at the second; F(Q) is 0.33 and p 0.006 at the third."""
    assert one_venue(costs_of(under=under), 1000, 500, Exponential(1250)) == split


def test_between_the_ends_the_quantile_decides():
    costs = costs_of(under="0.06")
    market, limit = one_venue(costs, 1000, 500, Exponential(1250))
    assert math.isclose(Exponential(1250).cdf(500 + limit), 45 / 82)
    assert market + limit == 1000
    assert 0 < limit < 1000


@examples(60)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=30),
    st.integers(1, 150),
    st.integers(0, 200),
    st.tuples(st.integers(1, 30), st.integers(0, 9), st.integers(-5, 9)),
    st.tuples(st.integers(0, 5), st.integers(1, 100), st.integers(0, 100)),
)
def test_the_empirical_solution_is_the_solvers_and_the_best_of_all_splits(samples, size, queue, prices, penalties):
    half, fee, rebate = prices
    costs = Costs(half + 5, fee, (rebate,), *penalties)
    market, limit = one_venue(costs, size, queue, Empirical(samples))
    placing = placing_of(costs, size, passed(np.array([samples], np.int64), [queue]))
    assert placing.allows([market, limit])
    least = min(placing.total([size - each, each]) for each in range(size + 1))
    assert placing.total([market, limit]) == least
    # the solver looks at places only where the cost may rise and fall again, which it does not at one venue
    assert solve(costs, size, placing.through).value == least


def test_an_empirical_distribution_counts():
    three = Empirical([5, 1, 5])
    assert [three.cdf(x) for x in (0, 1, 4, 5)] == [0, Fraction(1, 3), Fraction(1, 3), 1]
    assert [three.quantile(Fraction(k, 6)) for k in range(1, 7)] == [1, 1, 5, 5, 5, 5]
    with pytest.raises(AllocatorError, match="one or more"):
        Empirical([])


def test_what_one_venue_refuses():
    with pytest.raises(AllocatorError, match="one rebate"):
        one_venue(costs_of(("0.002", "0.002")), 1000, 2000, Poisson(2200))
    with pytest.raises(AllocatorError, match="above 0"):
        one_venue(costs_of(("-0.09",), under="0.01"), 1000, 2000, Poisson(2200))


def test_the_cost_of_one_outflow_by_hand():
    """0.023 x 200 for the market, 0.022 x (100 + 50) earned; 850 sent and 150 missing at 0.0005; 150 x 0.05."""
    costs = costs_of(("0.002", "0.002"), theta="0.0005")
    placing = placing_of(costs, 500, passed(np.array([[2100], [2050]]), [2000, 2000]))
    dollars = 0.023 * 200 - 0.022 * (100 + 50) + 0.0005 * (850 + 150) + 0.05 * 150
    assert placing.total([200, 250, 400]) == round(dollars * 10**9)
    assert not placing.allows([200, 250, 400])
    assert placing.allows([200, 250, 300])


def test_shares_too_many_are_paid_for():
    placing = placing_of(costs_of(("0.002", "0.002")), 500, np.array([[500, 0], [400, 500]]))
    assert placing.each([100, 400, 400]).tolist() == [
        23 * 10**8 - 22 * 800 * 10**6 + 50 * 400 * 10**6,
        23 * 10**8 - 22 * 400 * 10**6,
    ]


def test_the_market_is_swept_level_by_level():
    placing = Placing(costs_of(()), 500, np.zeros((0, 1), np.int64), ((100, 7), (300, 9), (50, 20)))
    assert [placing.swept(shares) for shares in (0, 100, 101, 450)] == [0, 700, 709, 700 + 2700 + 1000]
    assert placing.most == 450


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, ()),
        ({"rebates": ("0.002", "-0.02")}, ("A1",)),
        ({"over": "0.022"}, ("A2",)),
        ({"under": "0.023"}, ("A3",)),
        ({"under": "0.0230001", "over": "0.0220001"}, ()),
        ({"rebates": ("-0.03",), "under": "0", "over": "0"}, ("A1", "A3")),
        ({"rebates": (), "over": "0"}, ()),
    ],
)
def test_assumptions_are_named_where_they_do_not_hold(changed, names):
    assert violated(costs_of(**changed)) == names
    assert set(names) <= set(ASSUMPTIONS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": -1}, "size: expected 0 or more shares, but it had -1"),
        ({"through": np.zeros((2, 3), np.int64)}, "through: expected a row for each of 1 venues"),
        ({"through": np.zeros((1, 0), np.int64)}, "through: expected a sample or more"),
        ({"through": np.array([[-1]])}, "through: expected 0 or more shares, but it had -1"),
        ({"offered": ((5, 9), (5, 8))}, "offered: expected"),
        ({"offered": ((-5, 9),)}, "offered: expected"),
        ({"size": 2**40}, "size: the sum of its costs"),
    ],
)
def test_what_cannot_be_placed_is_refused(changed, message):
    given_ = {"costs": costs_of(), "size": 10, "through": np.zeros((1, 4), np.int64), "offered": ((10, 23_000_000),)}
    with pytest.raises(AllocatorError, match=message):
        Placing(**given_ | changed)


@pytest.mark.parametrize("name", ["theta", "under", "over"])
def test_penalties_are_not_negative(name):
    with pytest.raises(AllocatorError, match=f"{name}: expected 0 or more, but it had -1"):
        costs_of(**{name: "-0.000000001"})
