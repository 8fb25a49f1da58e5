"""Classes of combinations: the arithmetic of their places, against the spelled-out way."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search import classes as module
from sweep.search.classes import each_alone, in_classes
from sweep.search.grid import PARAMETERS, Axis, Grid
from sweep.sink import expand


@st.composite
def grids_in_classes(draw):
    """A small grid, the axes that decide, and a code for each place on them."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    grid = Grid(tuple(Axis(name, np.arange(size)) for name, size in zip(PARAMETERS, shape, strict=True)))
    axes = tuple(name for name in PARAMETERS if draw(st.booleans()))
    places = int(np.prod([size for name, size in zip(PARAMETERS, shape, strict=True) if name in axes], dtype=int))
    codes = draw(st.lists(st.integers(-2, 3), min_size=places, max_size=places))
    return grid, axes, codes


def spelled_out(grid, axes, codes):
    """The members of each class, ascending by the first, and by class."""
    sizes = [len(axis) if axis.name in axes else 1 for axis in grid.axes]
    code_at = dict(zip(itertools.product(*map(range, sizes)), codes, strict=True))
    members = {}
    for number, place in enumerate(itertools.product(*map(range, grid.shape))):
        decides = tuple(at if axis.name in axes else 0 for at, axis in zip(place, grid.axes, strict=True))
        members.setdefault(code_at[decides], []).append(number)
    return sorted(members.values())


def classes_of(grid, axes, codes, most=2**62):
    """The classes of a grid, from codes in two columns, by blocks of a few places and with `most` codes at a time."""
    low, high = (np.array(part, np.int64) for part in ([code % 2 for code in codes], [code // 2 for code in codes]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 3)
        patch.setattr(module, "_CODES", most)
        return in_classes(grid, axes, lambda first, past: [low[first:past], high[first:past]])


@given(grids_in_classes(), st.sampled_from([2**62, 12, 200]))
def test_classes_are_those_of_equal_code_in_the_order_of_their_first_combination(made, most):
    grid = made[0]
    classes, expected = classes_of(*made, max(most, 7 * len(made[2]))), spelled_out(*made)
    every = np.arange(len(classes))
    assert len(classes) == len(expected)
    assert classes.numbers(every).tolist() == [members[0] for members in expected]
    assert classes.counts(every).tolist() == [len(members) for members in expected]
    assert classes.count(1, len(classes)) == sum(map(len, expected[1:]))
    of = classes.of_numbers(np.arange(len(grid)))
    assert [np.flatnonzero(of == each).tolist() for each in every] == expected
    values = every * 7
    cube = np.broadcast_to(values[classes.cube({})], grid.shape)
    assert cube.reshape(-1).tolist() == values[of].tolist()
    points = [list(grid.point(members[0]).values()) for members in expected]
    columns = classes.parameters(0, len(classes))
    assert [[int(getattr(columns, name)[k]) for name in PARAMETERS] for k in every] == points


@given(grids_in_classes(), st.data())
def test_a_row_for_each_combination_is_that_of_its_class(made, data):
    classes, members = classes_of(*made), spelled_out(*made)
    failed = data.draw(st.sets(st.sampled_from(range(len(members)))))
    simulated = [each for each in range(len(members)) if each not in failed]
    rows = np.array([[0, 0, each, *[100 + each] * 8] for each in simulated], np.int64).reshape(-1, 11)
    expected = sorted((number, 100 + each) for each in simulated for number in members[each])
    assert [(row[2], row[10]) for row in expand(rows, classes).tolist()] == expected


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4)])
def test_combinations_each_alone_are_their_own_numbers(shape):
    grid = Grid(tuple(Axis(name, np.arange(size)) for name, size in zip(PARAMETERS, shape, strict=True)))
    classes, every = each_alone(grid), np.arange(len(grid))
    assert len(classes) == len(grid)
    assert classes.numbers(every).tolist() == classes.of_numbers(every).tolist() == every.tolist()
    assert (classes.count(0, len(grid)), classes.counts(every).tolist()) == (len(grid), [1] * len(grid))
    assert classes.cube({}).shape == shape


def test_columns_of_many_books_do_not_overflow():
    grid = Grid((*(Axis(name, np.zeros(1, np.int64)) for name in PARAMETERS[:2]), Axis("theta_queue", np.arange(4096))))
    place = np.arange(4096)
    # the first column alone tells the odd places from the even ones; the others have 4,096 values and 2,048 of them
    columns = [place % 2, *[place // 2] * 40]
    classes = in_classes(grid, ("theta_queue",), lambda first, past: [column[first:past] for column in columns])
    assert len(classes) == 4096
