"""Queues served at known rates: the replayed fills against fill probabilities of birth-death chains.

A neutral queue moves by what is cancelled ahead on average, so that it fills an order in parts where in truth all or
none of it fills. What it gets right is the mean of the shares filled: of 40,000 markets of each of three kinds it was
0.001 above the probability, and 0.004 and 0.007 below it where many orders stood behind.
"""

from itertools import pairwise

import numpy as np
import pytest

from allocator.book import OFF, BookRules, build_book
from allocator.order import NEUTRAL
from allocator.queues import Joins, QueueRules, cleared
from tests.support.birth_death import (
    PRICE,
    Flows,
    fill_before,
    fill_before_by_matrix,
    fill_by,
    fill_by_matrix,
    record,
    steady,
)

PHIS = (0, NEUTRAL, 10**9)
OTHER = steady(1.0, 0.8, 0.25)
"""Of the ask's queue."""
STILL = steady(0.0, 0.0, 0.0)
LONGER_WAIT = Flows(lambda _: 0.0, lambda orders: 0.9 / (1 + orders), lambda orders: 0.4 * orders**0.5)
"""Nobody joins; the longer the queue, the fewer sell, and the fewer of it give up."""
ATTRACTED = Flows(lambda orders: 2 / orders, lambda orders: 0.5 + 0.1 * orders, lambda orders: 0.3 * orders)
JOINED = steady(0.6, 0.7, 0.3)


@pytest.mark.parametrize("ahead", [0, 1, 4])
@pytest.mark.parametrize("other", [OTHER, ATTRACTED])
def test_both_ways_give_one_probability_to_fill_before_the_mid_moves(ahead, other):
    alone = fill_before_by_matrix((ahead, 0, 3), LONGER_WAIT, other, lambda *_: 1.0, 14)
    assert fill_before(ahead, LONGER_WAIT.leave, 3, other) == pytest.approx(alone, abs=1e-6)
    joined = fill_before_by_matrix((ahead, 0, 3), JOINED, other, lambda front, back: front / (front + back), 14)
    assert fill_before(ahead, JOINED.leave, 3, other) == pytest.approx(
        joined, abs=1e-6
    )  # what is behind does not count


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_both_ways_give_one_probability_to_fill_in_time(ahead):
    for flows in (LONGER_WAIT, JOINED):
        by_formula, by_matrix = (way(ahead, flows.leave, 4.0) for way in (fill_by, fill_by_matrix))
        assert by_formula == pytest.approx(by_matrix, abs=1e-8)


def _filled(recorded, unit, phi, seconds=None):
    """Shares filled of an order of one unit behind each market's first queue, in units: (N,)."""
    book, count = build_book(recorded.tape, BookRules(uncross=False, stub_band=OFF)), len(recorded.joined)
    past = recorded.past
    if seconds is not None:
        past = np.minimum(past, book.ts.searchsorted(book.ts[recorded.joined] + int(seconds * 1e9), "right"))
    none = np.zeros(count, np.int64)
    joins = Joins(none, recorded.joined, past, np.full(count, PRICE), none)
    return np.minimum(cleared(book, "buy", joins, QueueRules(phi=phi)).passed(), unit) / unit


def _same(fills, probability):
    """Whether fills are as many as a probability says, within three standard errors."""
    error = (probability * (1 - probability) / len(fills)) ** 0.5
    assert abs(fills.mean() - probability) < 3 * error, (fills.mean(), probability, error)


@pytest.mark.parametrize(("start", "other"), [((1, 3), OTHER), ((4, 5), ATTRACTED), ((7, 9), OTHER)])
def test_a_queue_served_only_by_trades_and_cancels_fills_as_often_as_the_chain(start, other):
    recorded = record(1, 3000, start, LONGER_WAIT, other, unit=1)
    for phi in PHIS:  # all cancels are ahead, since nobody is behind
        _same(_filled(recorded, 1, phi), fill_before(start[0], LONGER_WAIT.leave, start[1], other))


@pytest.mark.parametrize("seconds", [1.5, 6.0, 15.0])
def test_in_a_given_time_it_fills_as_often_as_the_chain(seconds):
    recorded = record(2, 3000, (3, 1), LONGER_WAIT, STILL, unit=1)
    for phi in PHIS:
        _same(_filled(recorded, 1, phi, seconds), fill_by(3, LONGER_WAIT.leave, seconds))


def test_where_orders_join_the_bounds_are_chains_whose_cancels_are_behind_or_ahead_and_neutral_is_the_truth_between():
    start, unit = (3, 4), 1000
    recorded = record(3, 4000, start, JOINED, OTHER, unit)
    low, middle, high = (_filled(recorded, unit, phi) for phi in PHIS)
    state = (start[0], 0, start[1])
    _same(low, fill_before_by_matrix(state, JOINED, OTHER, lambda _, back: float(back == 0), 14))
    _same(high, fill_before_by_matrix(state, JOINED, OTHER, lambda front, _: float(front > 0), 14))
    _same(middle, fill_before(start[0], JOINED.leave, start[1], OTHER))
    for less, more in pairwise((low, middle, high)):
        assert (less <= more).all()
    assert ((middle > 0) & (middle < 1)).any()  # in parts, where in truth it is all or nothing


def test_cancels_of_single_shares_move_a_neutral_queue_only_where_nobody_is_behind():
    recorded = record(4, 500, (3, 4), JOINED, OTHER, unit=1)
    assert np.array_equal(_filled(recorded, 1, NEUTRAL), _filled(recorded, 1, 0))
