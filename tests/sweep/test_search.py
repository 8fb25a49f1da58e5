"""Searches that look at a part of the grid: their rows are those of the whole grid, whatever runs them."""

import numpy as np
import pytest

from feed import synthetic
from sweep import verification
from sweep.config.loading import build_config, load_config
from sweep.driver import resume, run
from sweep.forecast import forecast
from sweep.progress import Silent
from tests.sweep.runs.test_store import cut_short

ORDERS = {"side": ["buy", "sell"], "size": [300, 2000], "every": "3s", "horizon": "4s"}
GRID = {
    "reference": ["touch", "mid"],
    "liquidity": ["persist", "refresh"],
    "lambda_over": [0, 0.02],
    "lambda_under": [0, 0.01, 0.02],
    "theta_queue": {"start": 0, "stop": 0.02, "num": 9},
}
POINTS = [
    {"reference": reference, "lambda_over": over, "lambda_under": 0.01, "theta_queue": theta}
    for reference, over, theta in (("mid", 0.02, 0.005), ("touch", 0, 0.0025), ("mid", 0, 0.02), ("touch", 0.02, 0))
]
SEARCHES = {
    "list": {"kind": "list", "points": POINTS},
    "random": {"kind": "random", "combinations": 40, "seed": 3},
    "sobol": {"kind": "sobol", "combinations": 30},
}


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A file of a stream of one level."""
    path = tmp_path_factory.mktemp("search") / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seed=3, seconds=12.0, warmup=2.0), path)
    return path


def asked(source, **keys):
    return build_config({"source": str(source), "executor": "inline", "order": ORDERS, "grid": GRID, **keys})


@pytest.fixture(scope="module")
def everything(day):
    """The rows of the whole grid, and what is best in each world of them."""
    return run(asked(day)).to_frame()


def without_run(document):
    return {name: section for name, section in document.items() if name not in {"run", "feed"}}


def best_of(frame, signs):
    """The combination of least cash paid of a world, the first of equals."""
    paid = (frame["total_cash"] * signs[frame["order"]]).groupby(frame["combination"]).sum()
    return int(paid.idxmin())


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("collapse", [True, False])
def test_the_rows_are_those_of_the_whole_grid_and_the_best_is_that_of_them(day, everything, kind, collapse):
    result = run(asked(day, search=SEARCHES[kind], collapse=collapse))
    grid = result.config.question.grid
    rows = result.to_frame()
    of_whole = everything[everything["combination"].isin(grid.kept)]
    assert 0 < len(of_whole) < len(everything)
    assert rows.drop(columns="combination").equals(of_whole.drop(columns="combination").reset_index(drop=True))
    assert (rows["combination"].to_numpy() == np.searchsorted(grid.kept, of_whole["combination"].to_numpy())).all()
    document = result.document
    assert document["objective"]["combinations"] == len(grid) / 2  # of a world
    for world in document["worlds"]:
        own = rows[rows["liquidity"] == world["market"]["liquidity"]]
        signs = np.repeat([1, -1], (own["order"].max() + 1) // 2)
        best = grid.printed(best_of(own, signs))
        assert world["best_parameters"] == best
        assert world["first_best"] is not None


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("done", [1, 30])
def test_a_search_is_resumed_and_verified(day, tmp_path, kind, done):
    whole = run(asked(day, search=SEARCHES[kind]))
    home, _ = cut_short(asked(day, search=SEARCHES[kind], output=str(tmp_path)), done)
    again = resume(home)
    assert again.table.tobytes() == whole.table.tobytes()
    assert without_run(again.document) == without_run(whole.document)
    checked = verification.verify(home, progress=Silent(), sample=40)
    assert checked["identical"], checked
    assert resume(home).to_frame().equals(whole.to_frame())


def test_a_plan_counts_what_is_looked_at(day):
    assert forecast(asked(day, search=SEARCHES["random"]))["combinations"] == 40


def test_a_billion_places_of_which_a_hundred_are_looked_at(day):
    axis = {"start": 0, "stop": 0.03, "num": 1001}
    grid = dict.fromkeys(("lambda_over", "lambda_under", "theta_queue"), axis)
    result = run(asked(day, grid=grid, search={"kind": "sobol", "combinations": 100}, where="lambda_over <= 0.02"))
    frame = result.to_frame()
    assert frame["combination"].nunique() == result.document["objective"]["combinations"] == 100
    assert frame["lambda_over"].max() <= 0.02
    assert frame.groupby("combination")["theta_queue"].first().nunique() > 90


def test_a_search_from_the_command_line(day):
    words = ["search.kind=random", "search.combinations=2e1", f"source={day}", "grid.theta_queue=[0, 0.01, 0.02, 0.03]"]
    assert len(load_config(assignments=words).question.grid) == 20
    points = "search.points=[{lambda_over: 0, lambda_under: .inf, theta_queue: 0.01}]"
    config = load_config(assignments=["search.kind=list", points])
    assert config.question.grid.printed(0) == {"lambda_over": 0.0, "lambda_under": ".inf", "theta_queue": 0.01}


def test_an_infinite_value_of_a_point_is_stored(day, tmp_path):
    points = [{"lambda_over": 0, "lambda_under": float("inf"), "theta_queue": theta} for theta in (0, 0.01)]
    config = asked(day, grid={}, search={"kind": "list", "points": points}, output=str(tmp_path))
    home = run(config).home
    assert resume(home).document["best_parameters"]["lambda_under"] == ".inf"
    assert verification.verify(home, progress=Silent())["identical"]
