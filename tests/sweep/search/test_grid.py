"""Axes, ranges, numbering; nothing is expanded that need not be."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.errors import AllocatorError
from allocator.money import INFINITE, penalty
from allocator.order import UNBOUNDED, Parameters, bounded
from sweep.errors import ConfigError
from sweep.search.grid import PARAMETERS, Axis, Grid, build_grid, in_dollars, spread

CENT = 10**7


def test_the_default_grid_has_nine_different_tau():
    grid = build_grid({})
    assert len(grid) == 27
    assert len({each.tau for each in grid.parameters(0, 27)}) == 9
    assert max(each.tau for each in grid.parameters(0, 27)) == 11 * CENT


def test_combinations_are_numbered_row_major_with_theta_innermost_whatever_the_config_order():
    grid = build_grid({"theta_queue": [0, 0.01], "lambda_under": [0.02, 0.03], "lambda_over": [0.04, 0.05]})
    expected = [Parameters(*p) for p in itertools.product((4 * CENT, 5 * CENT), (2 * CENT, 3 * CENT), (0, CENT))]
    assert list(grid.parameters(0, 8)) == expected
    assert [axis.name for axis in grid.axes] == ["lambda_over", "lambda_under", "theta_queue"]


@given(st.lists(st.integers(1, 4), min_size=3, max_size=3), st.data())
def test_a_slice_of_the_grid_is_that_slice_of_the_product(sizes, data):
    grid = Grid(tuple(Axis(name, np.arange(n)) for name, n in zip(PARAMETERS, sizes, strict=True)))
    every = [Parameters(*point) for point in itertools.product(*map(range, sizes))]
    first = data.draw(st.integers(0, len(grid)))
    past = data.draw(st.integers(first, len(grid)))
    assert list(grid.parameters(first, past)) == every[first:past]
    with pytest.raises(IndexError):
        grid.point(len(grid))


def test_values_keep_their_order_and_a_scalar_is_an_axis_of_one():
    grid = build_grid({"lambda_over": [0.05, 0, 0.01], "theta_queue": 0.5, "lambda_under": float("inf")})
    assert [axis.values.tolist() for axis in grid.axes] == [[5 * CENT, 0, CENT], [UNBOUNDED], [50 * CENT]]
    assert in_dollars(INFINITE) == ".inf"
    assert in_dollars(CENT) == 0.01


def theta(spec):
    """The values of one axis, 1e-9 $."""
    return build_grid({"theta_queue": spec}).axes[-1].values.tolist()


def test_ranges_include_both_ends_exactly():
    assert theta({"start": 0, "stop": 0.1, "num": 11}) == [CENT * i for i in range(11)]
    thirds = {"start": 0, "stop": 1, "num": 4, "scale": "linear"}
    assert theta(thirds) == [0, 333_333_333, 666_666_667, 10**9]
    log = {"start": 0.001, "stop": 1, "num": 4, "scale": "log"}
    assert theta(log) == [10**6, 10**7, 10**8, 10**9]
    assert theta({"start": 0.1, "stop": 0.1, "num": 1}) == [10 * CENT]
    assert theta({"start": 0.1, "stop": 0, "num": 2}) == [10 * CENT, 0]
    assert theta({"start": 0, "stop": 5e-9, "num": 3}) == [0, 2, 5]  # 2.5, half-even


halves = st.integers(0, 2 * 10**9).map(lambda n: (n + 0.5) / 1e9)
number_of = st.one_of(
    st.floats(0, 10), st.floats(0, 8e6), st.integers(0, 8_000_000), st.just(float("inf")), halves,
    st.decimals(0, 3, places=10).map(float), st.floats(allow_nan=True, allow_infinity=True), st.just(10**400),
)  # fmt: skip


@given(st.lists(number_of, min_size=1, max_size=30))
def test_an_axis_is_rounded_as_each_of_its_values_alone(numbers):
    try:
        expected = [bounded(penalty(number)) for number in numbers]
        assert all(value or not number for number, value in zip(numbers, expected, strict=True))
        assert len({*expected}) == len(expected)
    except (AllocatorError, AssertionError):
        with pytest.raises(ConfigError):
            theta(numbers)
    else:
        assert theta(numbers) == expected


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"start": 0, "stop": 1}, "num is missing"),
        ({"start": 0, "stop": 1, "num": 2, "step": 1}, "it had step"),
        ({"start": 0, "stop": 1, "num": 0}, "num: expected a whole number"),
        ({"start": 0, "stop": 1, "num": 2.5}, "num: expected a whole number"),
        ({"start": 0, "stop": 1, "num": 1}, "both ends are included"),
        ({"start": 0, "stop": 1, "num": 3, "scale": "log"}, "above 0"),
        ({"start": 0, "stop": 1, "num": 3, "scale": "cubic"}, "scale: expected linear or log"),
        ({"start": -1, "stop": 1, "num": 3}, "start: expected 0 or more"),
        ({"start": "a", "stop": 1, "num": 3}, "start: expected a number"),
        ({"start": 0, "stop": float("inf"), "num": 3}, "stop: expected a finite amount"),
        ({"start": 0, "stop": 1e-9, "num": 5}, "stands twice"),
    ],
)
def test_malformed_ranges_are_refused(spec, says):
    with pytest.raises(ConfigError, match=says):
        build_grid({"theta_queue": spec})


def test_a_grid_beyond_bounds_is_refused_and_a_large_one_costs_nothing():
    axis = {"start": 0, "stop": 1, "num": 400}
    large = build_grid({"lambda_over": axis, "lambda_under": axis, "theta_queue": axis})
    assert len(large) == 64_000_000
    assert list(large.parameters(63_999_999, 64_000_000)) == [Parameters(10**9, 10**9, 10**9)]
    wider = {"start": 0, "stop": 1, "num": 500}
    with pytest.raises(ConfigError, match="125,000,000 combinations are above"):
        build_grid({"lambda_over": wider, "lambda_under": wider, "theta_queue": wider})


def test_columns_in_dollars_are_those_of_each_point_and_infinity_stays():
    grid = build_grid({"lambda_over": [0, 0.1, float("inf")], "theta_queue": [1e-9, 0.3, 8_388_607.987654321]})
    numbers = np.array([0, 26, 5, 13, 20])
    columns = grid.printed_columns(numbers)
    for at, number in enumerate(numbers.tolist()):
        printed = {name: in_dollars(value) for name, value in grid.point(number).items()}
        expected = {name: float("inf") if value == ".inf" else value for name, value in printed.items()}
        assert {name: column[at] for name, column in columns.items()} == expected


def test_a_spread_sample_moves_along_every_axis():
    grid = build_grid(
        {name: {"start": 0, "stop": 0.99, "num": 100} for name in ("lambda_over", "lambda_under", "theta_queue")}
    )
    for column in grid.columns(spread(len(grid), 16)).values():
        assert len(set(column.tolist())) >= 12
    assert spread(27, 4).tolist() == [0, 16, 6, 23]


def test_the_values_of_an_axis_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        build_grid({}).axes[0].values[0] = 1
