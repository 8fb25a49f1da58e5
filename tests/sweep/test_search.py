"""Searches that look at a part of the grid: their rows are those of the whole grid, whatever runs them."""

import itertools
import json
from importlib import metadata
from importlib.util import find_spec

import msgspec
import numpy as np
import pytest

from allocator import simulate
from feed import synthetic
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import rounds, tasks, verification
from sweep.config.loading import build_config, load_config
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.forecast import forecast
from sweep.progress import Silent
from sweep.runs import config_of, read_manifest
from tests.sweep.runs.test_store import cut_short

ORDERS = {"side": ["buy", "sell"], "size": [300, 2000], "every": "3s", "horizon": "4s"}
GRID = {
    "reference": ["touch", "mid"],
    "liquidity": ["persist", "refresh"],
    "lambda_over": [0, 0.02],
    "lambda_under": [0, 0.01, 0.02],
    "theta_queue": {"start": 0, "stop": 0.02, "num": 33},
}
POINTS = [
    {"reference": reference, "lambda_over": over, "lambda_under": 0.01, "theta_queue": theta}
    for reference, over, theta in (("mid", 0.02, 0.005), ("touch", 0, 0.0025), ("mid", 0, 0.02), ("touch", 0.02, 0))
]
SEARCHES = {
    "list": {"kind": "list", "points": POINTS},
    "random": {"kind": "random", "combinations": 40, "seed": 3},
    "sobol": {"kind": "sobol", "combinations": 30},
    "zoom": {"kind": "zoom"},
    "few": {"kind": "zoom", "combinations": 101},
    "timed": {"kind": "random", "seconds": 0.2, "combinations": 600},
}


if find_spec("optuna"):
    SEARCHES["optuna"] = {"kind": "optuna", "combinations": 80, "seed": 2}


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
    assert document["search"] == {"kind": SEARCHES[kind]["kind"], "looked_at": len(grid), "of": 792}
    for world in document["worlds"]:
        own = rows[rows["liquidity"] == world["market"]["liquidity"]]
        signs = np.repeat([1, -1], (own["order"].max() + 1) // 2)
        best = grid.printed(best_of(own, signs))
        assert world["best_parameters"] == best
        assert world["first_best"] is not None


def test_a_zoom_finds_the_best_of_the_whole_grid_and_looks_at_a_part(day, everything):
    result = run(asked(day, search={"kind": "zoom"}))
    assert 0 < result.document["run"]["simulated"] < 0.5 * 24 * len(everything["combination"].unique())
    assert len(result.config.question.grid) < 0.7 * 792
    best = run(asked(day)).document
    for world, whole in zip(result.document["worlds"], best["worlds"], strict=True):
        assert world["optimized"] == whole["optimized"]
    few = run(asked(day, search=SEARCHES["few"]))
    assert len(few.config.question.grid) == 100  # whole points of two worlds
    warning = (
        "search.kind=zoom went where costs on all of these orders led it: what is said of chance counts the 100 "
        "combinations that it looked at, not those that it passed by; judge the best on other days"
    )
    assert warning in few.document["warnings"]
    assert not any("went where" in line for line in best["warnings"])


@pytest.mark.parametrize("kind", sorted({*SEARCHES} - {"timed"}))
@pytest.mark.parametrize("part", [0.01, 0.5, 0.97])
def test_a_search_is_resumed_and_verified(day, tmp_path, kind, part):
    whole = run(asked(day, search=SEARCHES[kind]))
    in_rounds = whole.config.places is not None
    total = whole.document["run"]["simulated"] if in_rounds else len(whole.table)
    home, _ = cut_short(asked(day, search=SEARCHES[kind], output=str(tmp_path)), int(part * total))
    again = resume(home)
    assert again.table.tobytes() == whole.table.tobytes()
    assert without_run(again.document) == without_run(whole.document)
    checked = verification.verify(home, progress=Silent(), sample=40)
    assert checked["identical"], checked
    assert resume(home).to_frame().equals(whole.to_frame())


def test_a_plan_counts_what_is_looked_at(day):
    assert forecast(asked(day, search=SEARCHES["random"]))["combinations"] == 40
    assert forecast(asked(day, search=SEARCHES["few"]))["combinations"] == 100
    lines = []
    progress = Silent()
    progress.say = lines.append
    zoom = asked(day, search={"kind": "zoom"}, where="lambda_over < lambda_under")
    assert forecast(zoom, progress)["combinations"] == 264
    assert "warning: nobody knows how many combinations are looked at; 792 are planned for" in lines


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


@pytest.mark.parametrize("kind", ["zoom", "few"])
@pytest.mark.parametrize("collapse", [True, False])
def test_no_class_runs_twice_whatever_the_rounds_and_the_resumption(day, tmp_path, kind, collapse, monkeypatch):
    ran, original = [], tasks.run_chunk

    def counted(book, job, chunk):
        numbers = job.classes.numbers(np.arange(chunk.first, chunk.past))
        ran.extend((chunk.tape, chunk.order, place) for place in job.grid.places(numbers).tolist())
        return original(book, job, chunk)

    monkeypatch.setattr(tasks, "run_chunk", counted)
    home, _ = cut_short(asked(day, search=SEARCHES[kind], output=str(tmp_path), collapse=collapse), 150)
    first = len(ran)
    result = resume(home, [f"collapse={str(not collapse).lower()}"])
    again = [each for each in ran[first:] if each in ran[:first]]
    assert 0 < first < len(ran)
    assert len(again) < first / 2  # what was in flight, or not on disk yet
    assert len({*ran[first:]}) == len(ran) - first
    assert result.document["run"]["simulated"] == len({*ran})
    assert not (home / "parts").exists()


def test_a_search_by_the_clock_goes_on_where_it_was(day, tmp_path, monkeypatch):
    search = {"kind": "zoom", "seconds": 2.5}
    clock = itertools.count()
    monkeypatch.setattr(rounds, "monotonic", lambda: float(next(clock)))  # a second each round
    whole = run(asked(day, search=search))
    assert next(clock) == 4  # three rounds of four, and when it ended
    clock = itertools.count()
    home, (note,) = cut_short(asked(day, search=search, output=str(tmp_path)), 300)
    assert "combinations are stored; python -m sweep resume" in note
    begun = len([*(home / "parts").glob("*/asked.json")])
    assert begun > 1
    clock = itertools.count(1000)
    again = resume(home)
    assert next(clock) == 1000 + 4
    assert again.table.tobytes() == whole.table.tobytes()
    assert without_run(again.document) == without_run(whole.document)
    assert verification.verify(home, progress=Silent())["identical"]


def test_a_search_that_asks_for_something_else_is_not_gone_on_with(day, tmp_path):
    home, _ = cut_short(asked(day, search={"kind": "zoom"}, output=str(tmp_path)), 300)
    asked_for = home / "parts" / "000001" / "asked.json"
    stored = json.loads(asked_for.read_text())
    asked_for.write_text(json.dumps({**stored, "places": stored["places"][1:]}))
    with pytest.raises(ConfigError, match="asked for other places in round 1 than it asks for now"):
        resume(home)
    asked_for.write_text("{")
    with pytest.raises(ConfigError, match=r"asked\.json: is damaged"):
        resume(home)


def test_what_fails_in_a_search_is_reported_and_not_the_best(day, monkeypatch):
    original = simulate.run_combinations

    def fails(*arguments, **keywords):
        if any(10_000_000 < each.tau < 14_000_000 for each in arguments[-1]):
            raise ZeroDivisionError("a bug")
        return original(*arguments, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    monkeypatch.setattr(tasks, "add_orders", lambda *_, **__: 1 / 0)
    result = run(asked(day, search={"kind": "zoom"}, collapse=False))
    grid = result.config.question.grid
    failed = {failure.combination for failure in result.failures}
    assert failed
    taus = [each.tau for each in grid.parameters(0, len(grid))]
    assert failed == {number for number, tau in enumerate(taus) if 10_000_000 < tau < 14_000_000}
    assert [each["combination"] for each in result.document["failed"]] == sorted(failed)
    rows = result.to_frame()
    assert not failed & {*rows["combination"]}
    assert len(rows["combination"].unique()) + len(failed) == len(grid)


def test_a_manifest_whose_places_are_none_of_its_grid_is_refused(day, tmp_path):
    home = run(asked(day, search=SEARCHES["few"], output=str(tmp_path))).home
    manifest = read_manifest(home)
    for places in ([], [3, 2], [0, 0], [-1], [792], [2**70]):
        with pytest.raises(ConfigError, match="its places are none of its grid"):
            config_of(msgspec.structs.replace(manifest, places=places))


@pytest.mark.skipif(find_spec("optuna") is None, reason="an extra")
def test_another_version_of_optuna_is_another_run(day, tmp_path, monkeypatch):
    config = asked(day, search=SEARCHES.get("optuna"), output=str(tmp_path))
    first = run(config)
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "4.9" if name == "optuna" else version(name))
    assert run(config).home != first.home


def test_a_search_over_several_tapes_and_books(day, tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    for seed in (3, 4):
        tape = synthetic.generate(seed=seed, seconds=12.0, warmup=2.0)
        columns = {name: getattr(tape, name) for name in QUOTE_DTYPES}
        days = Tape.build("AAPL", **columns | {"ts": tape.ts + seed * DAY})
        synthetic.write_csv(days, folder / f"{seed}.csv.gz")
    grid = {"max_age": ["1s", "100ms"], **GRID}
    whole = run(asked(folder, grid=grid))
    rows = whole.to_frame()
    keys = {"grid": grid, "search": {"kind": "zoom"}, "where": "lambda_over < lambda_under or max_age == '1s'"}
    searched = run(asked(folder, **keys))
    kept = searched.config.places
    own = rows[rows["combination"].isin(kept)].drop(columns="combination").reset_index(drop=True)
    assert searched.to_frame().drop(columns="combination").equals(own)
    assert {*own["tape"]} == {0, 1}
    assert not ((own["max_age"] == "100ms") & (own["lambda_over"] >= own["lambda_under"])).any()
    home, _ = cut_short(asked(folder, output=str(tmp_path), **keys), 300)
    again = resume(home)
    assert again.table.tobytes() == searched.table.tobytes()
    assert without_run(again.document) == without_run(searched.document)
    assert verification.verify(home, progress=Silent(), sample=40)["identical"]
