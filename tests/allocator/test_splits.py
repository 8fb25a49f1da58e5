"""The closed forms against the literal searches, and the facts of model 2.1 and 2.2."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator import AllocatorError, Venue, allocate, compute_cost, exhaustive, splits
from allocator.cost import split_cost
from allocator.money import INFINITE
from allocator.order import Parameters
from tests.support.examples import examples

CENT = 10**7
MANY = examples(400)

costs_of = st.integers(9_990, 10_003).map(lambda c: c * CENT)
rebates_of = st.sampled_from([0, 2_000_000, -1_000_000])
amounts = st.one_of(st.integers(0, 6).map(lambda c: c * CENT), st.just(3 * CENT + 1), st.just(INFINITE))
parameters_of = st.builds(Parameters, amounts, amounts, amounts)


def book_of(max_size, max_venues=3):
    """[(c, available, rebate)], ties and empty venues included."""
    return st.lists(st.tuples(costs_of, st.integers(0, max_size), rebates_of), min_size=1, max_size=max_venues)


def columns(book):
    return [list(column) for column in zip(*book, strict=True)]


@MANY
@given(book_of(7), st.integers(1, 9), parameters_of, st.sampled_from(["best", -2 * CENT, 0, CENT + 1]))
def test_static_is_the_exhaustive_optimum(book, size, parameters, reference):
    costs, available, rebates = columns(book)
    best2 = 2 * min((c for c, shown, _ in book if shown), default=0)
    reference2 = best2 if reference == "best" else best2 + reference
    split = splits.static(costs, available, size, parameters.tau, reference2)
    assert split == exhaustive.static([2 * c - reference2 for c in costs], available, rebates, size, parameters)


@MANY
@given(
    book_of(9), st.integers(1, 13), st.integers(1, 4), parameters_of, st.sampled_from(["best", -2 * CENT, 0, CENT + 1])
)
def test_static_in_lots_is_the_exhaustive_optimum(book, size, step, parameters, reference):
    costs, available, rebates = columns(book)
    best2 = 2 * min((c for c, shown, _ in book if shown), default=0)
    reference2 = best2 if reference == "best" else best2 + reference
    split = splits.static_lots(costs, available, size, step, parameters, reference2)
    literal = exhaustive.static(
        [2 * c - reference2 for c in costs], available, rebates, size, parameters, step=step, lots_only=True
    )
    if split_cost(literal, costs, available, rebates, size, parameters) < INFINITE:
        assert split == literal
    else:  # nothing is least among infinities; the rule still takes the cheap first, as many lots
        assert sum(split) == sum(literal)


@MANY
@given(book_of(9), st.integers(0, 13), st.integers(1, 4), parameters_of)
def test_pseudocode_is_the_first_minimum_of_the_enumeration(book, size, step, parameters):
    costs, available, rebates = columns(book)
    split = splits.pseudocode(costs, available, size, step)
    assert split == exhaustive.pseudocode(costs, available, rebates, size, step, parameters)
    feasible = size % step == 0 and sum(step * (shown // step) for shown in available) >= size
    assert (split is not None) == feasible


@given(book_of(9), st.integers(1, 12), st.integers(1, 3), parameters_of, parameters_of)
def test_no_parameter_changes_a_pseudocode_answer(book, size, step, one, other):
    costs, available, rebates = columns(book)
    split = splits.pseudocode(costs, available, size, step)
    assume(split is not None)
    expected = sum(s * c for s, c in zip(split, costs, strict=True))
    for parameters in (one, other):
        assert split_cost(split, costs, available, rebates, size, parameters) == expected
        assert exhaustive.pseudocode(costs, available, rebates, size, step, parameters) == split


@given(book_of(500, max_venues=6), st.integers(1, 1500), parameters_of)
def test_static_takes_the_cheap_before_the_dear_and_the_high_index_first(book, size, parameters):
    costs, available, _ = columns(book)
    split = splits.static(costs, available, size, parameters.tau, 2 * min(costs))
    order = splits.by_cost(costs, available)
    partly = [i for i in order if 0 < split[i] < available[i]]
    assert len(partly) <= 1
    if partly:
        after = order[order.index(partly[0]) + 1 :]
        assert all(split[i] == 0 for i in after)
        assert sum(split) == size


def test_an_odd_lot_is_taken_and_a_tie_goes_to_the_highest_index():
    venues = [Venue(10.0, 37), Venue(10.0, 100), Venue(10.01, 500)]
    assert allocate(120, venues, 0, 0, 0).split == (20, 100, 0)
    assert allocate(137, venues, 0, 0.01, 0).split == (37, 100, 0)
    assert allocate(200, venues, 0, 0.01, 0).split == (37, 100, 63)
    assert allocate(200, venues, 0, 0.009999999, 0).split == (37, 100, 0)


def test_a_rebate_can_make_the_dearer_ask_the_cheaper_one():
    venues = [Venue(10.0, 100, fee=0.003), Venue(10.001, 100, fee=-0.0029)]
    assert allocate(100, venues, 0, 0, 0).split == (0, 100)


def test_pseudocode_waits_or_sweeps_where_there_is_no_split():
    venues = [Venue(10.0, 150), Venue(10.01, 90)]
    assert allocate(200, venues, 0, 0, 0, policy="pseudocode", infeasible="wait") == allocate(
        200, venues, 1, 2, 3, policy="pseudocode", infeasible="wait", method="exhaustive"
    )
    split, cost = allocate(200, venues, 0, 0, 0, policy="pseudocode", infeasible="wait")
    assert (split, cost) == ((), math.inf)
    assert allocate(200, venues, 0, 0.5, 0, policy="pseudocode").split == (150, 50)
    split, cost = allocate(100, venues, 0, 0, 0, policy="pseudocode")
    assert (split, cost) == ((100, 0), 1000.0)


def test_a_lot_more_is_sent_where_the_excess_costs_less_than_the_shortfall():
    venues = [Venue(10.0, 300)]
    assert allocate(150, venues, 0.0, 0.05, 0, lots_only=True, reference=9.98).split == (200,)
    assert allocate(150, venues, 0.05, 0.05, 0, lots_only=True, reference=9.98).split == (100,)
    assert allocate(150, venues, math.inf, 5, 0, lots_only=True).split == (100,)


def test_the_cost_is_absolute_for_pseudocode_and_measured_from_the_reference_for_static():
    venues = [Venue(10.0, 100, fee=0.003), Venue(10.02, 100, fee=0.003)]
    assert allocate(200, venues, 0, 1, 0).cost == pytest.approx(2.0)
    assert allocate(200, venues, 0, 1, 0, reference=10).cost == pytest.approx(0.3 + 2.3)
    assert allocate(300, venues, 0, 1, 0.5).cost == pytest.approx(2.0 + 150.0)


def test_compute_cost_is_the_formula():
    venues = [Venue(10.0, 100, fee=0.003, rebate=0.002), Venue(10.02, 50, fee=-0.001)]
    cost = compute_cost([150, 50], venues, 180, 0.1, 0.2, 0.05)
    assert cost == pytest.approx(100 * 10.003 + 50 * 10.019 - 50 * 0.002 + 0.05 * 30 + 0.2 * 30, abs=1e-9)
    cost = compute_cost([100, 50], venues, 120, 0.1, 0.2, 0.05)
    assert cost == pytest.approx(100 * 10.003 + 50 * 10.019 + 0.05 * 30 + 0.1 * 30, abs=1e-9)
    assert compute_cost([100], venues[:1], 100, math.inf, math.inf, math.inf) == 1000.3
    assert compute_cost([99], venues[:1], 100, 0, math.inf, 0) == math.inf
    assert compute_cost([], [], 0, 0, 0, 0) == 0


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((100, [Venue(10.0, 100)], -1, 0, 0), {}, "lambda_over: expected 0 or more"),
        ((100, [Venue(10.0, 100)], 0, float("nan"), 0), {}, "lambda_under: expected a number"),
        ((-1, [Venue(10.0, 100)], 0, 0, 0), {}, "order_size"),
        ((1.5, [Venue(10.0, 100)], 0, 0, 0), {}, "order_size"),
        ((100, [Venue(10.0, 100)], 0, 0, 0), {"policy": "best"}, "policy: expected static or pseudocode"),
        ((100, [Venue(10.0, 100)], 0, 0, 0), {"reference": "mid"}, "needs bids"),
        ((100, [Venue(10.0, 100)], 0, 0, 0), {"step": 0}, "step"),
        ((float("inf"), [Venue(10.0, 100)], 0, 0, 0), {}, "order_size"),
        ((float("nan"), [Venue(10.0, 100)], 0, 0, 0), {}, "order_size"),
        ((None, [Venue(10.0, 100)], 0, 0, 0), {}, "order_size"),
        (("100", [Venue(10.0, 100)], 0, 0, 0), {}, "order_size"),
        ((10**4, [Venue(10.0, 10**4)] * 2, 0, 0, 0), {"method": "exhaustive"}, "use method='exact'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, options, says):
    with pytest.raises(AllocatorError, match=says) as error:
        allocate(*arguments, **options)
    assert isinstance(error.value, ValueError)


def test_numbers_of_numpy_are_numbers():
    venues = [Venue(np.float64(10.1), np.int64(7), fee=np.float32(0.25))]
    answer = allocate(np.int32(5), venues, np.float64(0.1), np.float64(0.2), np.float32(0.5))
    assert answer == allocate(5, [Venue(10.1, 7, fee=0.25)], 0.1, 0.2, 0.5)


def test_a_split_of_another_length_and_a_negative_size_are_refused():
    with pytest.raises(AllocatorError, match="one per venue"):
        compute_cost([1], [], 1, 0, 0, 0)
    with pytest.raises(AllocatorError, match="ask_size"):
        Venue(10.0, -1)
    with pytest.raises(AllocatorError, match="ask"):
        Venue(float("nan"), 1)
