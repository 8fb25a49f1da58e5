"""Fills of a sweep: what venues.parquet, orders.parquet and the document say of them adds up, however it is cut."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from msgspec import structs
from pyarrow import parquet

from allocator.fills import COLUMNS, MARK_OUTS, VenueFills, joined
from allocator.order import Order
from feed import synthetic
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import answering, verification
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.progress import Silent
from sweep.runs.files import sha256
from sweep.runs.manifest import read_manifest, write_manifest
from sweep.runs.table import read_result
from sweep.statistics import Orders, Outcome, fills_by_venue
from sweep.statistics.filling import exact_sum, filling, rebates
from tests.support.minute import config_of

ORDERS = {"side": ["buy", "sell"], "size": [500, 2000], "every": "5s", "horizon": "7s"}
UNEVEN = {"2": {"taker": 0.01}, "default": {"taker": -0.001}}
GRID = {"lambda_over": 0, "lambda_under": [0, 0.03], "theta_queue": 0.01}
DETAILED = {"detail": "all", "fees": UNEVEN}
ASKED = {
    "fair": {},
    "rebates": {"fees": UNEVEN},
    "refresh, one level": {"liquidity": "refresh", "depth": 1, "fees": UNEVEN},
    "whole lots": {
        "detail": "all",
        "lots_only": True,
        "step": 300,
        "fees": UNEVEN,
        "order": {**ORDERS, "size": [400, 1000]},
    },
    "the study's allocator": {"policy": "pseudocode"},
    "delayed": {"latency": ["1ms", "300ms"], "participation": 0.5, "schedule": "pov", "fees": UNEVEN},
    "classic": {"conventions": "classic", "order": {**ORDERS, "side": "sell"}, "source": None},
    "everything": DETAILED,
}
KEYS = ["strategy", "tape", "order"]
UNKNOWN = ["waited", "shortfall_rebates", *(f"filled_by_{percent}" for percent in range(10, 101, 10))]


@pytest.fixture(scope="module", params=ASKED)
def asked(request, stream):
    keys = {name: value for name, value in ASKED[request.param].items() if value is not None}
    return request.param, run(config_of(stream, **{"order": ORDERS, "grid": GRID, **keys}))


def summed(result):
    """The table of orders, with the sums of each one's rows by venue in columns called so: `venues.shares`."""
    venues = result.venues_frame()
    columns = [name for name in COLUMNS if name not in {"run", "venue"}]
    paid = venues.assign(rebates=np.minimum(venues["fees"], 0))
    sums = paid.groupby(KEYS)[[*columns, "rebates"]].sum().add_prefix("venues.")
    return result.orders_frame().merge(sums, on=KEYS, how="left").fillna(dict.fromkeys(sums.columns, 0))


def test_sums_by_venue_are_those_of_each_order(asked):
    name, result = asked
    every = summed(result)
    known = every["waited"].notna() | (every["filled"] == 0) & every["filled_by_100"].notna()
    assert every.loc[~known, UNKNOWN].isna().all(axis=None)
    assert (every.loc[~known, "venues.fills"] == 0).all()
    fractions = {"twap", "vwap"} if name == "classic" else set()
    assert set(every.loc[~known, "strategy"]) <= {"clairvoyant", *fractions}
    assert bool(set(every.loc[~known, "strategy"]) & fractions) == (name == "classic")
    assert known.sum() > 0
    each = every[known]
    assert (each["venues.shares"] == each["filled"]).all()
    assert (each["filled_by_100"] == each["filled"]).all()
    for earlier, later in pairwise(UNKNOWN[2:]):
        assert (each[earlier] <= each[later]).all()
    sign = np.where(each["side"] == "buy", 1, -1)
    sold_back = each["overfilled"] > 0
    assert sold_back.any() == (name == "whole lots")
    assert (each["shortfall_fees"] + each["shortfall_rebates"] == 2 * each["fees"]).all()
    assert (each["shortfall_rebates"] <= 0).all()
    assert (each["shortfall_fees"] >= 0).all()
    assert (each["shortfall_rebates"] < 0).any() == ("fees" in ASKED[name])
    assert (each["venues.notional"] + sign * each["venues.fees"] == each["cash_filled"]).all()
    for ours, column in (
        (2 * each["venues.rebates"], "shortfall_rebates"),
        (each["venues.spread"], "shortfall_spread"),
        (2 * each["venues.fees"], "shortfall_fees"),
    ):
        theirs = each[column] + (each["shortfall_rebates"] if column == "shortfall_fees" else 0)
        assert (ours == theirs)[~sold_back].all(), column
    assert ((each["venues.marked_1s"] > 0) == (each["venues.marked_notional_1s"] > 0)).all()
    assert (each["venues.marked_60s"] <= each["venues.marked_1s"]).all()
    filled = each[each["filled"] > 0]
    assert (filled["first_fill"] - filled["start"] <= filled["waited"]).all()
    assert (filled["waited"] <= filled["last_fill"] - filled["start"]).all()


def test_the_document_says_what_the_tables_add_up_to(asked):
    _, result = asked
    document, every, venues = result.document, summed(result), result.venues_frame()
    section = document["fills"]
    of_each = {"optimized": section["optimized"], **section["baselines"]}
    assert set(of_each) == {"optimized", *document["baselines"]}
    losses = {"optimized": document["shortfall"]["optimized"], **document["shortfall"]["baselines"]}
    for name, shown in of_each.items():
        rows, fills = every[every["strategy"] == name], venues[venues["strategy"] == name]
        if shown is None:
            assert rows["filled_by_100"].isna().any()
            assert losses[name]["rebates"] is None
            assert losses[name]["fees"] == pytest.approx(rows["fees"].sum() / 1e9, abs=0.006)
            continue
        filled, size = int(rows["filled"].sum()), int(rows["size"].sum())
        mean = (rows["waited"].fillna(0) * rows["filled"]).sum() / filled / 1e9 if filled else None
        assert shown["seconds_to_fill"] == (None if mean is None else pytest.approx(mean, abs=0.0006))
        by_tenth = [100 * int(rows[f"filled_by_{percent}"].sum()) / size for percent in range(10, 101, 10)]
        assert shown["completion_percent"] == pytest.approx(by_tenth, abs=0.006)
        for seconds in MARK_OUTS:
            notional = int(fills[f"marked_notional_{seconds}s"].sum())
            bps = 1e4 * int(fills[f"mark_out_{seconds}s"].sum()) / (2 * notional) if notional else None
            assert shown["mark_out_bps"][f"{seconds}s"] == (None if bps is None else pytest.approx(bps, abs=0.006))
        by_venue = fills.groupby("venue")[["shares", "fees"]].sum()
        assert {int(venue) for venue in shown["venues"]} == set(by_venue.index)
        for venue, sums in shown["venues"].items():
            assert sums["shares"] == by_venue.loc[int(venue), "shares"]
            assert sums["fees"] == pytest.approx(by_venue.loc[int(venue), "fees"] / 1e9, abs=0.006)
        assert (shown["crossed_shares"], shown["old_shares"]) == (fills["crossed"].sum(), fills["old"].sum())
        assert losses[name]["fees"] == pytest.approx(rows["shortfall_fees"].sum() / 2e9, abs=0.006)
        assert losses[name]["rebates"] == pytest.approx(rows["shortfall_rebates"].sum() / 2e9, abs=0.006)


def test_every_combination_that_is_asked_for_has_its_fills(asked):
    name, result = asked
    venues = result.venues_frame()
    combinations = {"combination 0", "combination 1"} - {f"combination {best_of(result)}"}
    assert set(venues["strategy"]) >= (combinations if "detail" in ASKED[name] else set()) | {"optimized"}
    by_name = venues.groupby("strategy")["combination"].unique()
    for strategy, numbers in by_name.items():
        assert len(numbers) == 1
        number = {"optimized": best_of(result)}.get(strategy, strategy.removeprefix("combination "))
        assert numbers[0] is pd.NA or int(numbers[0]) == int(number)
        assert (numbers[0] is pd.NA) == (strategy in result.document["baselines"])


def best_of(result):
    frame = result.orders_frame()
    return int(frame.loc[frame["strategy"] == "optimized", "combination"].iloc[0])


def test_how_orders_are_cut_into_tasks_changes_nothing(stream, monkeypatch):
    config = config_of(stream, order=ORDERS, grid=GRID, fees=UNEVEN)
    whole = run(config)
    monkeypatch.setattr(answering, "PIECE", 3)
    cut = run(config)
    pd.testing.assert_frame_equal(whole.venues_frame(), cut.venues_frame())
    pd.testing.assert_frame_equal(whole.orders_frame(), cut.orders_frame())
    assert whole.document["fills"] == cut.document["fills"]


def test_several_tapes_have_the_rows_that_each_has_alone(tmp_path):
    paths = [tmp_path / f"day-{day}.csv.gz" for day in range(2)]
    for day, path in enumerate(paths):
        tape = synthetic.generate(seed=day, seconds=20.0, warmup=2.0)
        columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
        synthetic.write_csv(Tape.build("AAPL", **columns | {"ts": tape.ts + day * DAY}), path)

    def result_of(source):
        order = {**ORDERS, "every": "4s", "horizon": "5s"}
        keys = {"order": order, "grid": {**GRID, "lambda_under": 0}}
        return run(build_config({"source": str(source), "executor": "inline", **keys}))

    together, alone = result_of(tmp_path).venues_frame(), [result_of(path).venues_frame() for path in paths]
    assert [len(frame) > 20 for frame in alone] == [True, True]
    for tape, frame in enumerate(alone):
        own = together[together["tape"] == tape].assign(tape=0)
        pd.testing.assert_frame_equal(own.reset_index(drop=True), frame)
    assert len(together) == sum(map(len, alone))


def test_worlds_have_a_number_each(stream):
    rules = ["persist", "refresh"]
    both = run(config_of(stream, order=ORDERS, grid={**GRID, "liquidity": rules}))
    for world, rule in enumerate(rules):
        alone = run(config_of(stream, order=ORDERS, grid=GRID, liquidity=rule))
        for frame, expected in (
            (both.venues_frame(), alone.venues_frame()),
            (both.orders_frame(), alone.orders_frame()),
        ):
            own = frame[frame["world"] == world].drop(columns=["world", "combination"]).reset_index(drop=True)
            pd.testing.assert_frame_equal(own, expected.drop(columns="combination"))


@pytest.mark.parametrize("column", ["shares", "mark_out_10s"])
def test_a_changed_table_of_venues_is_found(stream, tmp_path, column):
    result = run(config_of(stream, order=ORDERS, grid=GRID, output=str(tmp_path)))
    path = result.home / "venues.parquet"
    stored = read_result(result.home, read_manifest(result.home))
    pd.testing.assert_frame_equal(stored.venues_frame(), result.venues_frame())
    table = parquet.read_table(path)
    values = table.column(column).to_pylist()
    values[7] += 1
    parquet.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(values)), path)
    assert verification.verify(result.home, [], Silent(), sample=1)["differs"][0]["what"] == "file"
    manifest = read_manifest(result.home)
    write_manifest(result.home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))
    assert verification.verify(result.home, [], Silent(), sample=1)["differs"] == [
        {"what": "venues", "where": {"row": 7, "column": column}, "stored": values[7], "found": values[7] - 1}
    ]


def sums_of(*rows):
    """`VenueFills` of runs, venues and fees."""
    columns = dict.fromkeys(COLUMNS, np.zeros(len(rows), np.int64))
    run_of, venue, fees = np.array(rows, np.int64).reshape(-1, 3).T
    return VenueFills(**columns | {"run": run_of, "venue": venue, "fees": fees})


def test_the_fee_of_what_is_sold_back_is_a_fee_or_a_rebate_by_itself():
    fees = [70, -30, 40 + 5, 40 - 5, -8]
    rows = np.zeros((5, 8), np.int64)
    rows[:, 4] = fees
    venues = sums_of((0, 1, 70), (1, 1, 10), (1, 2, -40), (2, 1, 40), (3, 1, 40), (4, 1, -8))
    outcome = Outcome(rows, (None,) * 5, (venues,), np.zeros((5, 10), np.int64), (1, 1, 1, 1, None))
    assert rebates(outcome).tolist() == [0, -40, 0, -5, None]
    assert filling([SimpleNamespace(size=1)] * 5, outcome) is None


def test_what_makes_is_a_rebate_beside_what_takes():
    rows = np.zeros((3, 8), np.int64)
    rows[:, 4] = [30, -20, 0]
    venues = (sums_of((0, 1, 30), (1, 1, -10)), sums_of((1, 2, -10), (2, 2, 0)))
    passive = (sums_of((0, 1, -20)), sums_of((1, 2, 5), (2, 2, -7)))
    outcome = Outcome(rows, (None,) * 3, venues, np.zeros((3, 10), np.int64), (1, 1, 1), passive)
    # taken for 50, made for -20; taken for -10 at one venue, taken for -15 and made for 5 at the other; 7 and -7
    assert rebates(outcome).tolist() == [-20, -25, -7]


def test_columns_of_passive_fills_stand_where_anything_places():
    order = Order("buy", 5, 0, 1)
    orders = Orders((order, order), (("buy", 5),), (0, 1, 2))
    sums, made = sums_of((0, 1, 30), (0, 2, 4), (1, 2, 9)), sums_of((0, 2, 4), (1, 2, -1))
    outcomes = {
        name: Outcome(np.zeros((2, 8), np.int64), (None,) * 2, (sums,), np.zeros((2, 10), np.int64), (1, 1), passive)
        for name, passive in (("optimized", (made,)), ("best_ask", ()))
    }
    best, base = fills_by_venue(orders, outcomes, {"optimized": 3}, placing=True)
    assert best["passive_fees"].tolist() == [0, 4, -1]
    assert base["passive_fees"].tolist() == [0, 0, 0]
    assert {*best} == {*base}
    alike = [*fills_by_venue(orders, outcomes, {"optimized": 3})]
    names = [f"passive_{name}_{seconds}s" for name in ("mark_out", "marked") for seconds in MARK_OUTS]
    assert {*best} - {*alike[0]} == {"passive", "passive_fees", *names}


def test_sums_beyond_int64_stay_exact():
    column = np.array([2**63 - 1] * 5 + [-(2**63)] * 2 + [-7], np.int64)
    assert exact_sum(column) == 5 * (2**63 - 1) - 2**64 - 7


def test_parts_count_their_runs_on():
    parts = [sums_of((0, 1, 5), (2, 1, 6)), sums_of(), sums_of((1, 9, 7))]
    both = joined([part.after(runs) for part, runs in zip(parts, (0, 3, 5), strict=True)])
    assert both.run.tolist() == [0, 2, 6]
    assert both.fees.tolist() == [5, 6, 7]
    assert both.of_runs(2, 7).run.tolist() == [0, 4]
    assert both.of_runs(3, 6).run.tolist() == []
