"""The compiled solver equals the plain one, finds what trying everything finds, and keeps what it was given."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.kernels import placement
from tests.support import plain_placement as plain
from tests.support.examples import examples
from tests.support.plain_placement import Problem

FULL = 2**60


def solved(problem, start=None):
    """What the kernel makes of a problem: orders and value."""
    x = np.full(problem.venues + 1, -1, np.int64) if start is None else np.array(start, np.int64)
    through = np.array(problem.through, np.int64).reshape(problem.venues, len(problem.through[0]) if x.size > 1 else 0)
    columns = [np.array(each, np.int64) for each in (problem.market_sizes, problem.market_costs, problem.gain)]
    for each in (through, *columns):
        each.flags.writeable = False
    value = placement.best(problem.size, through, *columns, problem.theta, problem.under, problem.over, x)
    return x.tolist(), int(value)


@st.composite
def problems(draw, most_venues=4, most_size=150, most_samples=8, least_venues=0):
    size = draw(st.one_of(st.integers(0, 4), st.integers(0, most_size)))
    venues = draw(st.integers(least_venues, most_venues))
    samples = draw(st.integers(1, most_samples)) if venues else 0
    passes = st.one_of(st.just(0), st.integers(0, size), st.sampled_from([size, FULL]))
    through = [draw(st.lists(passes, min_size=samples, max_size=samples)) for _ in range(venues)]
    offered = draw(st.one_of(st.just([size]), st.lists(st.integers(0, most_size), max_size=3)))
    dearest = st.lists(st.integers(-20, 60), min_size=len(offered), max_size=len(offered))
    amounts = st.integers(0, 120)
    gain = draw(st.lists(st.integers(-15, 40), min_size=venues, max_size=venues))
    return Problem(
        size, through, offered, sorted(draw(dearest)), gain, draw(st.integers(0, 9)), draw(amounts), draw(amounts)
    )


@examples(70)
@given(problems(), st.data())
def test_the_kernel_equals_the_plain_solver(problem, data):
    x, value = solved(problem)
    assert (x, value) == plain.best(problem)
    assert problem.allows(x)
    assert value == problem.value(x)
    start = data.draw(st.lists(st.integers(0, problem.size), min_size=len(x), max_size=len(x)))
    warm, value = solved(problem, start)
    assert (warm, value) == plain.best(problem, start)
    assert problem.allows(warm)
    assert value <= problem.value(plain.feasible(problem, start))


@examples(80)
@given(problems(least_venues=1))
def test_it_is_never_worse_than_its_starts(problem):
    _, value = solved(problem)
    assert all(value <= problem.value(plain.feasible(problem, x)) for x in plain.starts(problem))


@examples(80)
@given(problems(), st.integers(2, 1000))
def test_money_in_another_unit_changes_no_order(problem, unit):
    scaled = Problem(
        problem.size,
        problem.through,
        problem.market_sizes,
        [unit * each for each in problem.market_costs],
        [unit * each for each in problem.gain],
        unit * problem.theta,
        unit * problem.under,
        unit * problem.over,
    )
    x, value = solved(problem)
    assert solved(scaled) == (x, unit * value)


def everything(problem):
    """The least value of all that is allowed."""
    choices = product(range(problem.size + 1), repeat=problem.venues + 1)
    return min(problem.value(x) for x in choices if problem.allows(x))


def test_of_small_orders_it_finds_what_trying_everything_finds():
    rng = np.random.default_rng(16)
    missed, trials = [], 60
    for trial in range(trials):
        venues, size, samples = 1 + trial % 3, int(rng.integers(1, 7)), int(rng.integers(1, 6))
        problem = Problem(
            size,
            rng.integers(0, size + 1, (venues, samples)).tolist(),
            [size],
            [23],
            rng.integers(10, 30, venues).tolist(),
            int(rng.integers(0, 3)),
            int(rng.integers(0, 90)),
            int(rng.integers(30, 90)),
        )
        x, value = solved(problem)
        assert problem.allows(x)
        least = everything(problem)
        assert value >= least
        if value > least:
            missed.append((value - least) / (samples * size))
    assert len(missed) <= 0.04 * trials, missed
    assert max(missed, default=0) < 4


def test_the_cost_is_not_convex():
    """Half the rebates of two venues, which fill 2000 and 500: -22, -8, -8 dollars at the ends and the middle."""
    problem = Problem(1000, [[1000], [500]], [1000], [23], [22, 22], 0, 50, 50)
    assert [problem.value([0, 1000, other]) for other in (0, 500, 1000)] == [-22_000, -8_000, -8_000]
    middle, ends = problem.value([0, 1000, 500]), (problem.value([0, 1000, 0]), problem.value([0, 1000, 1000]))
    assert 2 * middle > sum(ends)
    assert solved(problem) == ([0, 1000, 0], -22_000)


@pytest.mark.parametrize(
    ("problem", "x"),
    [
        (Problem(0, [[0, 5]], [10], [23], [22], 1, 50, 50), [0, 0]),
        (Problem(1, [[1, 1]], [10], [23], [22], 1, 50, 50), [0, 1]),
        (Problem(1, [[0, 0]], [10], [23], [22], 1, 50, 50), [1, 0]),
        (Problem(100, [], [60], [23], [], 1, 50, 50), [60]),
        (Problem(100, [], [60, 60], [23, 24], [], 1, 50, 50), [100]),
        (Problem(100, [], [], [], [], 1, 50, 50), [0]),
        (Problem(100, [[0] * 3, [0] * 3], [60], [23], [22, 22], 1, 50, 50), [60, 20, 20]),
        (Problem(100, [[0] * 3, [FULL] * 3], [], [], [22, 22], 1, 50, 50), [0, 0, 100]),
        (Problem(100, [[FULL] * 3, [FULL] * 3], [100], [23], [22, 21], 1, 50, 50), [0, 100, 0]),
    ],
    ids=["no share", "filled", "empty", "no queue", "no queue, enough", "nothing", "empty queues", "no market", "full"],
)
def test_the_ends_of_what_can_be_asked(problem, x):
    assert solved(problem)[0] == x == plain.best(problem)[0]


def test_amounts_of_which_the_sum_is_just_exact():
    samples, size = 500, 10**6
    most = 2**62 // (samples * size * 6)
    rng = np.random.default_rng(3)
    through = rng.integers(0, size, (2, samples))
    problem = Problem(size, through.tolist(), [size], [most], [most, most - 5], most, most, most)
    x, value = solved(problem)
    assert value == problem.value(x)
    assert problem.allows(x)


def test_levels_smaller_than_what_is_counted_as_one_share_can_still_be_bought():
    size, samples, levels = 400_000, 5_000, 8_000
    unit, _ = placement.unit_and_cap(size, samples, 2)
    assert unit > 20
    x = np.full((1, 3), -1)
    given = (
        np.array([size]), np.zeros((2, samples), np.int64), np.full((1, levels), 20), np.full(levels, 100),
        np.zeros(2, np.int64), np.zeros(1, np.int64), np.array([10_000]), np.zeros(1, np.int64),
    )  # fmt: skip
    for column in given:
        column.setflags(write=False)
    placement.best_each(*given, x)
    # nothing fills, and to miss a share is dear: all that is offered is bought, but for a part of a unit
    assert 20 * levels - unit < x[0, 0] <= 20 * levels
