"""The solver's front: printed optima, certificates, restarts, lots, and the paper's algorithm beside it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.errors import AllocatorError
from allocator.placement.bound import lower_bound
from allocator.placement.cost import Costs, Placing
from allocator.placement.solver import in_lots, solve
from allocator.placement.stochastic import stochastic_approximation
from tests.support.examples import examples
from tests.support.placings import CENT, cents, placing_of, random_placing


def costs_of(venues, *, theta="0", under="0.05", over="0.05"):
    return Costs.of_dollars(
        half_spread="0.02", fee="0.003", rebates=["0.002"] * venues, theta=theta, under=under, over=over
    )


@pytest.fixture(scope="module")
def exponential():
    """Two venues, independent outflows of mean 500 behind 200 shares: a grid of equally likely pairs, in tenths."""
    count = 180
    row = np.rint(-5000 * np.log1p(-(np.arange(count) + 0.5) / count)).astype(np.int64) - 2000
    pairs = np.maximum(np.array([np.repeat(row, count), np.tile(row, count)]), 0)
    placing = placing_of(costs_of(2, over="0.06"), 10_000, pairs)
    return placing, solve(placing.costs, placing.size, placing.through)


def test_two_venues_with_exponential_outflows(exponential):
    placing, done = exponential
    assert np.abs(np.array(done.x) / 10 - [248.6, 739.5, 739.5]).max() < 6  # V is flat there: see its value
    assert abs(done.value / placing.samples / 10 / 1e9 - 14.024) < 0.01
    paper = placing.total([2486, 7395, 7395])
    assert done.value <= paper < 1.0001 * done.value


def test_first_order_conditions_of_an_optimum_within_its_bounds(exponential):
    """Proposition 2: the probabilities of a shortfall, alone and where a queue has passed, are those of the prices."""
    placing, done = exponential
    market, *limits = done.x
    assert market > 0
    assert all(0 < limit < placing.size - market for limit in limits)
    bought = market + np.minimum(placing.through, np.array(limits)[:, None]).sum(0)
    costs, samples = placing.costs, placing.samples
    short, over = np.mean(bought < placing.size), np.mean(bought > placing.size)
    assert abs(costs.taking - costs.under * short + costs.over * over) < 0.02 * costs.taking
    for row, limit, gain in zip(placing.through, limits, costs.gains, strict=True):
        beyond = row > limit
        missing = np.mean(beyond & (bought < placing.size))
        excess = np.mean(beyond & (bought > placing.size))
        assert abs(-gain * beyond.mean() - costs.under * missing + costs.over * excess) < 0.02 * gain
    for change in product((-1, 0, 1), repeat=3):
        if sum(map(abs, change)) == 1 or (sum(change) == 0 and any(change)):
            near = [each + step for each, step in zip(done.x, change, strict=True)]
            assert placing.total(near) >= done.value, (change, samples)


PRINTED = {
    # venues: all at the market, all at the first venue, equal parts; cents per share of 1,000
    1: (2.35, 3.65, 2.27),
    2: (2.35, 3.65, 1.28),
    3: (2.35, 3.65, 0.09),
    4: (2.35, 3.65, -0.86),
    5: (2.35, 3.65, -1.30),
}


def table(venues, size, samples=4000):
    """The paper's baseline in tenths of a share, so that .6 xi_0 + .4 eps is whole."""
    rng = np.random.default_rng([1210, 1625])
    common, own = rng.poisson(2200, samples), rng.poisson(2200, (5, samples))
    passes = np.maximum(6 * common + 4 * own - 20_000, 0)[:venues]
    return placing_of(costs_of(venues, theta="0.0005"), 10 * size, passes)


@pytest.mark.parametrize("venues", PRINTED)
def test_the_papers_table_and_an_optimum_below_it(venues):
    placing = table(venues, 1000)
    size = placing.size
    parts = [size // (venues + 1)] * (venues + 1)
    parts[0] += size - sum(parts)
    naive = ([size] + [0] * venues, [0, size] + [0] * (venues - 1), parts)
    costs = [cents(placing, placing.total(x)) for x in naive]
    assert np.abs(np.array(costs) - PRINTED[venues]).max() < 0.025
    done = solve(placing.costs, size, placing.through)
    assert placing.allows(done.x)
    assert cents(placing, done.value) < min(PRINTED[venues]) + 0.005


@pytest.mark.parametrize(("venues", "size", "printed", "true"), [(2, 1000, 0.77, 0.74), (5, 5000, 1.62, 1.54)])
def test_the_papers_optima_are_not_matched_but_beaten(venues, size, printed, true):
    placing = table(venues, size)
    done = solve(placing.costs, placing.size, placing.through, bound=True)
    assert abs(cents(placing, done.value) - true) < 0.015 < printed - true
    assert 0 <= cents(placing, done.value - done.bound) < 0.01


@pytest.mark.parametrize("venues", range(1, 11))
def test_no_restart_is_a_hundredth_of_a_cent_lower(venues):
    rng = np.random.default_rng([30, venues])
    for _ in range(4):
        placing = random_placing(rng, venues, 500)
        done = solve(placing.costs, placing.size, placing.through)
        size = placing.size
        values = []
        for market in rng.integers(0, size + 1, 30).tolist():
            start = [market, *rng.integers(0, size - market + 1, venues).tolist()]
            values.append(solve(placing.costs, size, placing.through, start=start).value)
        assert cents(placing, done.value - min(values)) <= 0.01


@pytest.mark.parametrize("seed", [(3, 12, 214), (4, 12, 738)])
def test_a_line_that_falls_and_rises_and_falls_again_is_not_followed_upwards(seed):
    """To a bottom higher than where its line began a descent would go round for ever."""
    placing = random_placing(np.random.default_rng(seed), *seed[:2])
    done = solve(placing.costs, placing.size, placing.through)
    assert placing.allows(done.x)


def test_most_optima_are_certified_to_a_hundredth_of_a_cent():
    gaps = []
    for number in range(60):
        placing = random_placing(np.random.default_rng([4, number]), 1 + number % 6, 500)
        done = solve(placing.costs, placing.size, placing.through, bound=True)
        gaps.append(cents(placing, done.value - done.bound))
    assert min(gaps) >= 0
    assert np.median(gaps) < 0.002
    assert np.mean(np.array(gaps) < 0.01) > 0.85


def small(draw):
    size, venues, samples = draw(st.integers(0, 5)), draw(st.integers(0, 2)), draw(st.integers(1, 4))
    through = draw(st.lists(st.integers(0, size), min_size=venues * samples, max_size=venues * samples))
    amounts = st.integers(0, 40)
    gains = tuple(draw(st.lists(st.integers(-20, 40), min_size=venues, max_size=venues)))
    costs = Costs(0, draw(st.integers(-9, 40)), gains, draw(st.integers(0, 9)), draw(amounts), draw(amounts))
    offered = draw(st.sampled_from([((size, costs.taking),), ((2, 5), (1, 8)), ((9, 1),)]))
    return Placing(costs, size, np.array(through, np.int64).reshape(venues, samples), offered)


@examples(100)
@given(st.data())
def test_a_bound_is_below_everything_that_is_allowed(data):
    placing = small(data.draw)
    choices = product(range(placing.size + 1), repeat=placing.orders)
    allowed = [x for x in choices if placing.allows(x)]
    done = solve(placing.costs, placing.size, placing.through, offered=placing.offered, bound=True)
    if not placing.costs.rebates:
        assert done.market == placing.most
        assert done.bound == done.value == placing.total(done.x)
        return
    assert tuple(done.x) in allowed
    assert done.value == placing.total(done.x)
    assert done.bound <= min(map(placing.total, allowed))
    anywhere = data.draw(st.sampled_from(allowed))
    assert lower_bound(placing, anywhere) <= min(map(placing.total, allowed))


@pytest.mark.parametrize("lot", [10, 100])
def test_lots_cost_no_more_than_to_move_each_order_by_one(lot):
    rng = np.random.default_rng(lot)
    for _ in range(6):
        placing = random_placing(rng, int(rng.integers(1, 5)), 100)
        costs, size = placing.costs, placing.size
        shares = solve(costs, size, placing.through)
        lots = solve(costs, size, placing.through, lot=lot)
        assert placing.allows(lots.x)
        assert not any(each % lot for each in lots.x)
        assert lots.value == placing.total(lots.x) >= shares.value or shares.value - lots.value < 0.01 * CENT
        dearest = costs.theta + max(costs.under + costs.taking, costs.over + costs.taking, *costs.gains)
        assert lots.value - shares.value <= placing.samples * placing.orders * lot * 2 * dearest
        assert lots.how.endswith(f"then in lots of {lot}")


def test_whole_lots_stay_as_they_are_where_nothing_is_lower():
    placing = placing_of(costs_of(1), 300, np.array([[100, 100]]))
    assert in_lots(placing, [200, 100], 100) == [200, 100]
    assert in_lots(placing, [299, 1], 100) == [200, 100]
    assert in_lots(placing, [0, 300], 100) == [200, 100]


def test_a_start_is_made_feasible_and_how_says_so():
    placing = random_placing(np.random.default_rng(5), 3, 50)
    costs, size = placing.costs, placing.size
    done = solve(costs, size, placing.through, start=[-5, size, 2 * size, 0])
    assert placing.allows(done.x)
    assert done.how == "descent from the orders given"
    cold = solve(costs, size, placing.through)
    assert cold.how == "descent from 3 starts"
    again = solve(costs, size, placing.through, start=cold.x)
    assert (again.x, again.value) == (cold.x, cold.value)
    assert cold.bound is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lot": 7}, "whole lots of 7"),
        ({"lot": 0}, "whole lots of 0"),
        ({"start": [1, 2, 3]}, "start: expected 2 orders"),
    ],
)
def test_what_cannot_be_solved_is_refused(changed, message):
    with pytest.raises(AllocatorError, match=message):
        solve(costs_of(1), 100, np.zeros((1, 3), np.int64), **changed)


def test_a_bound_that_would_leave_int64_is_refused():
    placing = placing_of(costs_of(1), 6 * 10**7, np.full((1, 250), 10**7, np.int64))
    with pytest.raises(AllocatorError, match="bound: the sums"):
        lower_bound(placing, [6 * 10**7, 0])


def test_the_papers_algorithm_nears_the_optimum_and_does_not_pass_it():
    excess = {steps: [] for steps in (500, 50_000)}
    for number in range(8):
        placing = random_placing(np.random.default_rng([9, number]), 2 + number % 3, 500)
        done = solve(placing.costs, placing.size, placing.through)
        for steps, each in excess.items():
            orders = stochastic_approximation(placing, steps)
            assert placing.allows(orders)
            each.append(cents(placing, placing.total(orders) - done.value))
    assert min(map(min, excess.values())) > -0.001
    assert np.mean(excess[50_000]) < 0.03 < 0.5 * np.mean([each for each in excess[500] if each > 0.03])
    assert np.mean(excess[50_000]) < np.mean(excess[500])


def test_one_step_of_the_papers_algorithm_by_hand():
    """At (40, 30): bought 50, too few. g = (23 - 50, -22 - 50) and gamma = 100 / sqrt(123^2 + 122^2): then clipped."""
    placing = Placing(Costs(20, 3, (2,), 0, 50, 50), 100, np.array([[10]]), ((100, 23),))
    from allocator.kernels import placement_approximation as kernels

    x = np.array([40.0, 30.0])
    kernels.average(100, placing.through, 23, np.array([22]), 0, 50, 50, 1, x)
    pace = 100 / np.sqrt(123.0**2 + 122.0**2)
    market = 40 + 27 * pace
    assert x == pytest.approx([market, 100 - market])
    beyond = replace(placing, through=np.array([[90]]))
    x = np.array([40.0, 60.0])
    kernels.average(100, beyond.through, 23, np.array([22]), 0, 50, 50, 1, x)
    assert x == pytest.approx([40 - 23 * pace, 60 + 23 * pace])  # nothing is missing: raised along the ridge again
