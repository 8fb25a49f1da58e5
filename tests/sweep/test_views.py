"""What is stored for a report: each figure against the tables it is made of, and the book it was seen in."""

import numpy as np
import pandas as pd
import pytest

from allocator.book import build_book
from feed.source import read_source
from sweep.driver import run
from sweep.page.reading import read_run
from sweep.verification import verify
from sweep.views import EXTREMES, extremes
from tests.support.minute import config_of
from tests.sweep.runs.test_store import home_of

MANY = {"side": ["buy", "sell"], "size": [500, 2000], "every": "2s", "horizon": "1s"}
GRID = {
    "theta_queue": [0, 0.01, 0.02],
    "lambda_over": [0, 0.02],
    "lambda_under": [0, 0.03],
    "liquidity": ["persist", "refresh"],
}


@pytest.fixture(scope="module")
def stored(stream, tmp_path_factory):
    config = config_of(stream, order=MANY, grid=GRID, output=str(tmp_path_factory.mktemp("views")))
    result = run(config)
    return result, read_run(home_of(config))


def signed(table):
    return np.where(table["side"] == "buy", 1, -1) * table["total_cash"]


def test_the_combinations_are_the_sums_of_the_result_table(stored):
    result, read = stored
    rows, combinations = result.to_frame(), read.combinations
    orders = pd.read_parquet(read.home / "orders.parquet")
    sides = orders[orders["strategy"] == "optimized"].groupby(["world", "tape", "group"])["side"].first()[0]
    rows["side"] = sides.loc[pd.MultiIndex.from_frame(rows[["tape", "order"]])].to_numpy()
    rows["paid"] = signed(rows)
    summed = rows.groupby("combination")[["paid", "filled", "unfilled", "overfilled", "fees"]].sum()
    assert combinations["combination"].tolist() == list(range(24))
    for name in ("filled", "unfilled", "overfilled", "fees"):
        assert combinations[name].tolist() == summed[name].tolist()
    for world, document in enumerate(result.document["worlds"]):
        own = combinations[combinations["world"] == world]
        of_world = orders[orders["world"] == world]
        baseline = of_world[of_world["strategy"] == document["statistics"]["against"]]
        assert own["saved"].tolist() == (signed(baseline).sum() - summed["paid"][own["combination"]]).tolist()
        best = own.loc[own["saving_bps"].idxmax()]
        mean = document["statistics"]["saving_bps"][document["statistics"]["against"]]["mean"]
        assert round(best["saving_bps"], 2) + 0.0 == mean
        assert (own["liquidity"] == document["market"]["liquidity"]).all()
        close = document["statistics"]["confidence_set"]
        assert own["in_set"].sum() == close["combinations"]
        assert own["in_set"][best.name]


def test_a_stored_run_and_one_in_memory_have_the_same_combinations(stored, stream):
    result, read = stored
    again = run(config_of(stream, order=MANY, grid=GRID))
    pd.testing.assert_frame_equal(again.frame(), read.combinations)
    pd.testing.assert_frame_equal(result.frame(), read.combinations)
    assert len(again.frame().columns) == len(GRID) + 9


def test_too_few_blocks_say_nothing_of_a_set(stream):
    assert run(config_of(stream)).frame()["in_set"].isna().all()


def test_paths_are_kept_of_the_ten_best_the_ten_worst_and_the_median_order(stored):
    _, read = stored
    optimized, against = (
        read.orders[read.orders["strategy"] == name].reset_index(drop=True) for name in ("optimized", read.against)
    )
    saved = (signed(against) - signed(optimized)) / (optimized["size"] * optimized["arrival_mid2"])
    kept = sorted(read.paths["position"].unique())
    ranked = saved.sort_values(kind="stable").index
    median = ranked[(len(ranked) - 1) // 2]
    assert kept == sorted({*ranked[:EXTREMES], *ranked[-EXTREMES:], median})
    assert len(kept) == 2 * EXTREMES + 1


def test_fills_add_up_to_the_orders(stored):
    _, read = stored
    orders = {name: table.reset_index(drop=True) for name, table in read.orders.groupby("strategy", sort=False)}
    for (strategy, position), fills in read.fills.groupby(["strategy", "position"]):
        row = orders[strategy].loc[position]
        assert fills["shares"].sum() == row["filled"]
        assert fills["ts"].between(row["start"], row["end"]).all()
        assert fills["ts"].is_monotonic_increasing
    assert set(read.fills["strategy"]) >= {"optimized", "best_ask", "twap"}


def test_paths_show_the_book_as_it_stood(stored, stream):
    result, read = stored
    book = build_book(read_source(str(stream))[0], result.config.question.settings.book)
    for sample in read.paths.iloc[::37].itertuples():
        at = int(np.searchsorted(book.ts, sample.ts, "right")) - 1
        bids, asks = book.bid_px[at], book.ask_px[at]
        assert sample.bid == bids.max()
        assert sample.ask == (asks[asks > 0].min() if asks.any() else 0)
        assert sample.bid_shares == book.bid_sz[at][bids > 0].sum()
        assert sample.ask_shares == book.ask_sz[at][asks > 0].sum()
    first = read.paths.groupby("position")["ts"].min()
    orders = read.orders[read.orders["strategy"] == "optimized"].reset_index(drop=True)
    assert (first >= orders["start"][first.index]).all()


def test_the_timeline_covers_the_quotes_of_the_window(stored):
    result, read = stored
    quality = result.document["feed"]["quality"]
    assert read.timeline["snapshots"].sum() <= quality["snapshots"]
    assert read.timeline["snapshots"].sum() == read.timeline["looked_at"].sum()
    assert (read.timeline["end"][:-1].to_numpy() == read.timeline["start"][1:].to_numpy()).all()


def test_blocks_of_orders_are_those_of_the_statistics(stored):
    result, read = stored
    optimized = read.orders[read.orders["strategy"] == "optimized"]
    assert optimized["block"].nunique() == result.document["statistics"]["blocks"]
    assert (
        optimized.groupby("block")["start"].max().to_numpy()[:-1]
        <= optimized.groupby("block")["start"].min().to_numpy()[1:]
    ).all()


def test_all_of_it_is_verified(stored):
    _, read = stored
    report = verify(read.home, sample=5, seed=1)
    assert report["identical"], report["differs"]


def test_equal_savings_count_in_their_order():
    assert extremes([0.0]) == [0]
    assert extremes([0.0] * 60) == [*range(10), 29, *range(50, 60)]
