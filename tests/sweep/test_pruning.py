"""Exact pruning: what is left out could not have been the best, and the best is that of the sweep without it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.order import FIELDS, Order
from feed import synthetic
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import verification
from sweep.config.loading import build_config
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.progress import Silent
from sweep.pruning import Pruning, overlapping
from sweep.statistics import joined
from sweep.statistics.orders import Orders
from tests.sweep.runs.test_store import cut_short

GRID = {
    "reference": ["touch", "mid"],
    "lambda_over": 0,
    "lambda_under": [0, 0.01, 0.03, 0.2],
    "theta_queue": [0, 0.004, 0.01, 0.02, 0.1],
}
ALL_TAPES = ("best_parameters", "optimized", "baselines", "savings_vs_baselines_bps", "room", "shortfall")


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Folders of tapes: of many short days, and of two."""
    folders = {}
    for count in (2, 6):
        folders[count] = tmp_path_factory.mktemp("days")
        for seed in range(count):
            tape = synthetic.generate(seed=seed, seconds=8.0, warmup=1.0)
            columns = {name: getattr(tape, name) for name in QUOTE_DTYPES}
            day = Tape.build("AAPL", **columns | {"ts": tape.ts + seed * DAY})
            synthetic.write_csv(day, folders[count] / f"{seed}.csv.gz")
    return folders


def asked(source, *, prune, **keys):
    orders = {"side": ["buy", "sell"], "size": [300, 2000], "every": "2s", "horizon": "2s"}
    kind = keys.pop("search", {})
    return build_config(
        {
            "source": str(source), "executor": "inline", "order": orders, "grid": GRID,
            "search": {**kind, "prune": prune}, **keys,
        }
    )  # fmt: skip


@pytest.mark.parametrize("collapse", [True, False])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"order.side": "sell"},
        {"order.side": "buy", "order.size": 2000, "liquidity": "refresh"},
        {"grid": {**GRID, "liquidity": ["persist", "refresh"], "max_age": ["1s", "100ms"]}},
        {"fees": {"default": {"taker": -0.002}, "2": {"taker": 0.01}}, "latency": "3ms", "participation": 0.3},
        {"where": "lambda_under > theta_queue or reference == 'mid'"},
        {"search": {"kind": "random", "combinations": 25}},
        {"infeasible": "wait", "leftover": "last_ask"},
    ],
    ids=str,
)
def test_the_best_and_its_ties_are_those_of_the_sweep_without_it(days, keys, collapse):
    orders = {name.partition(".")[2]: value for name, value in keys.items() if name.startswith("order.")}
    rest = {name: value for name, value in keys.items() if not name.startswith("order.")}
    if orders:
        rest["order"] = {"side": "buy", "size": [300, 2000], "every": "2s", "horizon": "2s", **orders}
    whole = run(asked(days[6], prune=False, collapse=collapse, **rest))
    some = run(asked(days[6], prune=True, collapse=collapse, **rest))
    for name in ALL_TAPES:
        assert some.document[name] == whole.document[name], name
    assert some.document["objective"]["best_ties"] == whole.document["objective"]["best_ties"]
    assert some.document["objective"]["combinations"] == whole.document["objective"]["combinations"]
    for one, other in zip(some.document.get("worlds", ()), whole.document.get("worlds", ()), strict=True):
        for name in ("market", "cells", *ALL_TAPES):
            assert one[name] == other[name], name
        assert one["objective"]["best_ties"] == other["objective"]["best_ties"]
    pruned = some.document["search"]["pruned"]
    assert pruned > 0
    assert some.document["run"]["simulated"] < whole.document["run"]["simulated"]
    rows, every = some.to_frame(), whole.to_frame()
    merged = rows.merge(every)
    assert len(merged) == len(rows) < len(every)  # each row is one of the whole sweep's
    tapes = rows.groupby("combination")["tape"].nunique()
    assert (tapes < 6).sum() == pruned
    assert rows.groupby("combination")["tape"].max().add(1).equals(tapes)  # none comes back
    verdict = some.document["verdict"]
    assert verdict["winner"] is None


def test_pruning_of_two_tapes_or_of_one_changes_nothing_that_is_no_row(days):
    for source, several in ((days[2], True), (next(iter(sorted(days[2].iterdir()))), False)):
        whole, some = (run(asked(source, prune=prune)) for prune in (False, True))
        assert some.document["best_parameters"] == whole.document["best_parameters"]
        assert (some.document["search"]["pruned"] > 0) == (several and len(some.table) < len(whole.table))
        if not several:
            assert some.document["statistics"] == whole.document["statistics"]
            assert some.table.tobytes() == whole.table.tobytes()


@pytest.mark.parametrize("part", [0.05, 0.4, 0.9])
def test_a_pruned_run_is_resumed_and_proven_again(days, tmp_path, part):
    whole = run(asked(days[6], prune=True))
    home, _ = cut_short(asked(days[6], prune=True, output=str(tmp_path)), int(part * len(whole.table)))
    again = resume(home)
    assert again.table.tobytes() == whole.table.tobytes()
    for name, section in whole.document.items():
        assert name in {"run", "feed"} or again.document[name] == section, name
    checked = verification.verify(home, progress=Silent(), sample=40)
    assert checked["identical"], checked
    assert checked["checked"]["pruned"] == whole.document["search"]["pruned"]


def test_verify_notices_what_was_left_out_without_a_proof(days, tmp_path, monkeypatch):
    result = run(asked(days[6], prune=True, output=str(tmp_path)))
    table, original = result.table, verification.read_table
    signs = np.where(table[:, 1] < (table[:, 1].max() + 1) // 2, 1, -1)  # buys come first
    counts, paid = np.bincount(table[:, 2]), np.bincount(table[:, 2], table[:, -1] * signs)
    best, close = sorted(np.flatnonzero(counts == counts.max()).tolist(), key=paid.__getitem__)[:2]
    assert result.config.question.grid.printed(best)["theta_queue"] == result.document["best_parameters"]["theta_queue"]

    def without(rows):
        monkeypatch.setattr(verification, "read_table", lambda *arguments: rows(original(*arguments)))
        return verification.verify(result.home, progress=Silent())

    late = without(lambda rows: rows[~((rows[:, 2] == close) & (rows[:, 0] == 5))])
    gap = without(lambda rows: rows[~((rows[:, 2] == close) & (rows[:, 0] == 1))])
    for checked in (late, gap):
        assert {"combination": close} in [each["where"] for each in checked["differs"] if each["what"] == "table"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"search": {"kind": "zoom"}}, "search.prune: search.kind=zoom asks for every cost"),
        ({"validate": "folds=5"}, "search.prune: validate=folds=5 asks for every row"),
        ({"lots_only": True}, "search.prune: its bound is one of conventions=fair"),
        ({"policy": "pseudocode"}, "search.prune: its bound is one of conventions=fair"),
        ({"grid": {"policy": ["static", "pseudocode"]}}, "search.prune: its bound is one of conventions=fair"),
        ({"conventions": "classic"}, "search.prune: its bound is one of conventions=fair"),
    ],
)
def test_where_there_is_no_bound_pruning_is_refused(keys, says):
    with pytest.raises(ConfigError) as error:
        build_config({**keys, "search": {**keys.get("search", {}), "prune": True}})
    assert says in str(error.value)


def test_the_verdict_says_what_was_left_out(days):
    orders = {"side": "buy", "size": 300, "every": "200ms", "horizon": "200ms"}
    document = run(asked(days[6], prune=True, order=orders)).document
    pruned, objective = document["search"]["pruned"], document["objective"]
    assert document["orders"]["blocks"] >= 20
    assert document["verdict"]["kind"] == "not enough data"
    assert document["verdict"]["sentence"].startswith(
        f"{pruned:,} of {objective['combinations']:,} combinations were left out of later tapes, as they could not be"
    )
    assert np.isfinite(document["savings_vs_baselines_bps"]["best_ask"])


ONE_TAPE = Orders((Order("buy", 9, 0, 1), Order("sell", 9, 0, 1)), (("buy", 9), ("sell", 9)), (0, 1, 2))


def market_of(bounds, filled):
    """A world with a bound for a buy and a sell, and what best_ask fills of both."""
    rows = np.zeros((2, len(FIELDS)), np.int64)
    least, base = rows.copy(), rows.copy()
    least[:, FIELDS.index("total_cash")] = bounds
    base[0, FIELDS.index("filled")] = filled
    return SimpleNamespace(
        baselines={"clairvoyant": SimpleNamespace(rows=least), "best_ask": SimpleNamespace(rows=base)}
    )


@settings(max_examples=700, deadline=None)
@given(st.data())
def test_no_costs_above_the_bound_let_the_winner_change(data):
    """Any costs on any tapes: what is left out is dearer than the best that fills enough, in each of two worlds."""
    tapes, split, count = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 4)), data.draw(st.integers(5, 8))
    small = st.integers(0, 6)
    scale = data.draw(st.sampled_from([1, 2**61 // 50]))
    worlds = [range(split), range(split, count)]
    buys, sells = ([[data.draw(small) for _ in range(tapes)] for _ in worlds] for _ in range(2))
    above = np.array([[[data.draw(small) for _ in range(2)] for _ in range(count)] for _ in range(tapes)], object)
    filled = np.array([[data.draw(st.integers(0, 2)) for _ in range(count)] for _ in range(tapes)])
    world = np.array([int(number >= split) for number in range(count)])
    rows = np.zeros((tapes, 2, count, len(FIELDS)), np.int64)
    for tape in range(tapes):
        for number in range(count):
            at = world[number]
            rows[tape, 0, number, FIELDS.index("total_cash")] = (buys[at][tape] + above[tape, number, 0]) * scale
            rows[tape, 1, number, FIELDS.index("total_cash")] = (sells[at][tape] - above[tape, number, 1]) * scale
            rows[tape, 0, number, FIELDS.index("filled")] = filled[tape, number]
    enough = data.draw(st.integers(0, 2))
    markets = [
        [market_of([buys[at][tape] * scale, sells[at][tape] * scale], enough) for at in range(2)]
        for tape in range(tapes)
    ]
    variants = SimpleNamespace(each=[SimpleNamespace(world=0), SimpleNamespace(world=1)])
    orders = joined([ONE_TAPE] * tapes)
    pruning = Pruning(orders, range(tapes), variants, [0, split, count], markets)
    ran = np.zeros((tapes, 2, count), np.bool_)
    ran[0] = True
    best = []
    for tape in range(tapes):
        left = pruning.left_out(tape) if tape else []
        alive = np.setdiff1d(np.arange(count), left)
        assert [n for first, past in pruning.ranges([(0, count)]) for n in range(first, past)] == alive.tolist()
        ran[tape][:, alive] = True
        pruning.add(tape, np.where(ran[tape][:, :, None], rows[tape], 7), ran[tape])
        if not tape:
            best = pruning.incumbents()
            for number in best:
                if number is not None:
                    ran[1:, :, number] = True
            pruning.limit(best, [(rows[later], ran[later]) for later in range(1, tapes)])
    paid = sum(
        rows[tape, 0, :, FIELDS.index("total_cash")].astype(object)
        - rows[tape, 1, :, FIELDS.index("total_cash")].astype(object)
        for tape in range(tapes)
    )
    fit = filled.sum(axis=0) >= enough * tapes
    pruned = np.flatnonzero(~ran.all(axis=(0, 1)))
    for at, members in enumerate(worlds):
        assert best[at] is None or ran[:, :, best[at]].all()
        candidates = [number for number in members if fit[number]] or list(members)
        least = min(paid[number] for number in candidates)
        winners = [number for number in candidates if paid[number] == least]
        assert not {*winners} & {*pruned.tolist()}
        if not any(fit[number] for number in members):
            assert not {*members} & {*pruned.tolist()}  # nothing that fills enough stands against them


def test_what_lies_in_ranges_and_in_others():
    assert overlapping([(0, 5), (7, 9)], [(1, 2), (4, 8)]) == [(1, 2), (4, 5), (7, 8)]
    assert overlapping([], [(1, 2)]) == []
