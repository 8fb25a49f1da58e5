"""The part of a lattice that a search looks at."""

from itertools import product

import numpy as np
import pytest

from sweep.config.loading import build_config
from sweep.errors import ConfigError
from sweep.search.choice import spanned
from sweep.search.conditions import holds, holds_at
from sweep.search.grid import build_lattice

LONG = {axis: {"start": 0, "stop": 0.1, "num": 2000} for axis in ("lambda_over", "lambda_under", "theta_queue")}


def grid_of(**keys):
    return build_config(keys).question.grid


def printed(grid):
    return [grid.printed(number) for number in range(len(grid))]


def test_points_on_some_axes_with_each_value_of_the_others():
    lattice = build_lattice({"lambda_over": [0, 1], "lambda_under": [0, 1, 2], "theta_queue": [0, 1]})
    points = np.array([3, 0])  # theta fastest: (1, 1) and (0, 0)
    places = spanned(lattice, {"lambda_over", "theta_queue"}, points)
    assert places.tolist() == [[6 + 1, 6 + 2 + 1, 6 + 4 + 1], [0, 2, 4]]


def test_conditions_on_some_places_are_those_on_all():
    grid = build_lattice(
        {"reference": ["touch", "mid"], "depth": [1, 5], "lambda_over": [0, float("inf")]},
        {"reference": ["touch", "mid"], "depth": [1, 5]},
    )
    conditions = [
        "lambda_over < lambda_under or reference == 'mid'", "not (depth * 2 >= 3 and theta_queue == 0)",
        "lambda_under + 2 * theta_queue <= 0.05 or lambda_over == inf", "0 <= 1",
    ]  # fmt: skip
    numbers = np.array([0, 17, 3, 71, 44, 3])
    for count in range(len(conditions) + 1):
        some = holds_at(conditions[:count], grid.axes, grid.positions(numbers))
        assert some.tolist() == holds(conditions[:count], grid.axes)[numbers].tolist()


def test_a_list_is_looked_at_in_the_order_of_the_grid():
    points = [
        {"reference": "mid", "lambda_over": 0.01, "lambda_under": 0, "theta_queue": 0.02},
        {"reference": "touch", "lambda_over": 0.01, "lambda_under": 0, "theta_queue": 0.01},
        {"reference": "mid", "lambda_over": 0, "lambda_under": float("inf"), "theta_queue": 0.02},
    ]
    grid = grid_of(search={"kind": "list", "points": points})
    assert [axis.printed(0) for axis in grid.axes] == ["mid", 0.01, 0.0, 0.02]
    shown = [{**point, "lambda_under": ".inf" if point["lambda_under"] else 0.0} for point in points]
    assert printed(grid) == [shown[0], shown[2], shown[1]]


def test_points_that_name_no_axis_of_the_market_run_in_each_world():
    points = [{"lambda_over": 0, "lambda_under": 0, "theta_queue": theta} for theta in (0, 0.01)]
    for search in ({"kind": "list", "points": points}, {"kind": "random", "combinations": 7, "seed": 1}):
        grid = grid_of(grid={"liquidity": ["refresh", "persist"], "uncross": [True, False]}, search=search)
        rows = printed(grid)
        worlds = {(row.pop("liquidity"), row.pop("uncross")) for row in rows}
        assert worlds == {*product(["refresh", "persist"], [True, False])}
        assert rows[: len(rows) // 4] * 4 == rows
        assert len(rows) == (8 if search["kind"] == "list" else 4)


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_a_lattice_of_billions_costs_what_is_looked_at(kind):
    search = {"kind": kind, "combinations": 500}
    grid = grid_of(grid=LONG, search=search)
    assert len(grid) == len({*grid.kept.tolist()}) == 500
    assert grid.kept.dtype == np.int64
    assert max(grid.kept.tolist()) > 2**31
    columns = grid.printed_columns(np.arange(500))
    for column in columns.values():  # from end to end
        assert column.min() < 0.01
        assert column.max() > 0.09
    again = grid_of(grid=LONG, search={**search, "seed": 0})
    other = grid_of(grid=LONG, search={**search, "seed": 1})
    assert again.kept.tolist() == grid.kept.tolist()
    assert len({*grid.kept.tolist()} & {*other.kept.tolist()}) < 5


def test_conditions_are_made_up_for():
    where = "lambda_over < lambda_under"
    grid = grid_of(grid=LONG, where=where, search={"kind": "random", "combinations": 300})
    columns = grid.columns(np.arange(len(grid)))
    assert len(grid) == 300
    assert (columns["lambda_over"] < columns["lambda_under"]).all()
    whole = grid_of(where=where, search={"kind": "sobol", "combinations": 27})
    assert whole.kept.tolist() == grid_of(where=where).kept.tolist()


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"search": {"kind": "raandom"}}, "search.kind: expected one of grid, list, random, sobol"),
        ({"search": {"kind": "zoom", "seconds": 0}}, "search.seconds: expected above 0, but it had 0"),
        ({"search": {"kind": "zoom", "seed": 3}}, "search.seed: search.kind=zoom does not take it"),
        ({"search": {"kind": "zoom", "combinations": 10**7}}, "search.combinations: expected a whole number, 1"),
        ({"search": {"kind": "zoom"}, "detail": [3]}, "detail: search.kind=zoom numbers combinations at its end"),
        ({"search": {"kinds": "random"}}, "unknown key search.kinds; the nearest valid one is search.kind"),
        ({"search": {"kind": "random"}}, "search.combinations: search.kind=random needs it"),
        ({"search": {"kind": "list"}}, "search.points: search.kind=list needs them"),
        ({"search": {"combinations": 5}}, "search.combinations: search.kind=grid does not take it"),
        ({"search": {"kind": "list", "points": [{}], "seed": 1}}, "search.seed: search.kind=list does not take it"),
        ({"search": {"kind": "random", "combinations": 0}}, "search.combinations: expected a whole number, 1 to"),
        ({"search": {"kind": "random", "combinations": 1, "seed": -1}}, "search.seed: expected a whole number, 0 to"),
        ({"grid": {"depth": [1, 2, 5]}, "search": {"kind": "sobol", "combinations": 2}},
         "search.combinations: 2 is below 3: each point is run with all values of depth"),
        ({"search": {"kind": "list", "points": [{"theta_queue": 0}]}}, "search.points: they name no lambda_over"),
        ({"search": {"kind": "list", "points": [7]}}, "search.points: expected a list of points"),
        ({"search": {"kind": "list", "points": [{"theta": 0}]}}, "search.points: unknown key theta"),
        ({"search": {"kind": "list", "points": [{"reference": "middle"}]}},
         "search.points: expected touch or best or mid or arrival, but it had 'middle'"),
        ({"grid": {"lambda_over": 0, "lambda_under": 0}, "search": {"kind": "list", "points": [{"theta_queue": "x"}]}},
         "search.points: expected a number, but it had 'x'"),
        ({"grid": {"lambda_over": 0, "lambda_under": 0},
          "search": {"kind": "list", "points": [{"theta_queue": 0.1}, {"theta_queue": 0.10}]}},
         "search.points: {theta_queue: 0.1} stands twice"),
        ({"grid": {"lambda_over": 0, "lambda_under": 0},
          "search": {"kind": "list", "points": [{"theta_queue": 0.1}, {"theta_queue": 0, "depth": 1}]}},
         "search.points: the first one names theta_queue, but number 2 names theta_queue, depth"),
        ({"grid": {"lambda_over": 0, "lambda_under": 0, "theta_queue": [0, 0.1]},
          "search": {"kind": "list", "points": [{"theta_queue": 0.2}]}},
         "search.points: theta_queue=0.2 is no value of grid.theta_queue"),
        ({"grid": {"lambda_over": 0, "lambda_under": 0, "theta_queue": [0, 0.1]},
          "search": {"kind": "list", "points": [{"fees": "now"}]}}, "search.points: fees has names; set grid.fees"),
        ({"where": "theta_queue > 1", "search": {"kind": "random", "combinations": 5}},
         "where: theta_queue > 1 drops every combination that was drawn"),
    ],
)  # fmt: skip
def test_what_a_search_does_not_take_is_refused(keys, says):
    with pytest.raises(ConfigError) as error:
        build_config(keys)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_the_hash_of_a_question_knows_what_is_looked_at():
    points = [{"lambda_over": 0, "lambda_under": 0, "theta_queue": theta} for theta in (0, 0.01)]

    def hash_of(**search):
        return build_config({"search": search}).question.config_hash

    hashes = [
        hash_of(),
        hash_of(kind="random", combinations=5),
        hash_of(kind="random", combinations=5, seed=1),
        hash_of(kind="random", combinations=6),
        hash_of(kind="sobol", combinations=5),
        hash_of(kind="list", points=points),
        hash_of(kind="list", points=points[:1]),
    ]
    assert len({*hashes}) == len(hashes)
    assert build_config({}).question.config_hash == hashes[0] == hash_of(kind="grid")
    spelled = [{**point, "lambda_over": 0.0} for point in points]
    assert hash_of(kind="list", points=spelled) == hashes[5]
