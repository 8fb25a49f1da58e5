"""Paired differences: by hand, and those of a real run against what it printed."""

import json
import math

import numpy as np
import pytest

from sweep.driver import run
from sweep.page.element import html
from sweep.page.paired import paired
from sweep.page.reading import read_run
from sweep.page.sections.cells import cells
from sweep.page.sections.differences import differences
from sweep.page.sections.held_out import held_out
from sweep.page.sections.realism import realism
from sweep.page.sections.verdict import verdict
from sweep.page.sections.waterfall import losses_of, waterfall
from sweep.statistics import interval
from tests.support.made_runs import made_run, words
from tests.support.minute import config_of
from tests.sweep.runs.test_store import home_of

MAKERS = (verdict, waterfall, differences, cells, held_out, realism)
SIX = [("buy", 100, 0, 0, 10.0), ("sell", 100, 0, 0, 10.0), ("buy", 200, 60, 1, 0.0)]


@pytest.fixture(scope="module")
def real(stream, tmp_path_factory):
    """A real run of many orders and of two worlds."""
    order = {"side": ["buy", "sell"], "size": [500, 2000], "every": "2s", "horizon": "1s"}
    grid = {
        **{name: {"start": 0, "stop": 0.02, "num": 2} for name in ("lambda_over", "lambda_under", "theta_queue")},
        "liquidity": ["persist", "refresh"],
    }
    config = config_of(stream, order=order, grid=grid, output=str(tmp_path_factory.mktemp("report")))
    run(config)
    return read_run(home_of(config))


def test_a_buy_saves_what_it_pays_less_and_a_sell_what_it_receives_more():
    cash = {"optimized": [1000.5, 998.8, 2000.0], "best_ask": [1001.0, 999.0, 2000.0], "twap": [1000.0, 998.0, 2002.0]}
    each = paired(made_run(orders=SIX, cash=cash))

    assert each.saved.tolist() == [500_000_000, -200_000_000, 0]
    assert each.notional.tolist() == [1e12, 1e12, 2e12]  # of the third the cash of best_ask, as it has no arrival mid
    assert each.bps.tolist() == [5.0, -2.0, 0.0]
    blocks, saved, notional = each.by_block()
    assert (blocks.tolist(), saved.tolist(), notional.tolist()) == ([0, 1], [3e8, 0.0], [2e12, 2e12])
    assert paired(made_run(orders=SIX, cash=cash), "twap").bps.tolist() == [-5.0, 8.0, 10.0]


def test_an_order_without_notional_has_no_bps():
    each = paired(made_run(orders=[("buy", 100, 0, 0, 0.0)], cash={"optimized": [1.0], "best_ask": [0.0]}))

    assert math.isnan(each.bps[0])


def test_paired_differences_are_those_of_the_document(real):
    statistics = real.document["statistics"]
    for name, printed in statistics["saving_bps"].items():
        _, saved, notional = paired(real, name).by_block()
        computed = interval(1e4 * saved, notional)
        figures = {"mean": computed.mean, "low": computed.low, "high": computed.high}
        assert {key: round(value, 2) + 0.0 for key, value in figures.items()} == {key: printed[key] for key in figures}
    best = real.combinations[real.combinations["world"] == 0].sort_values("saved").iloc[-1]
    assert int(paired(real).saved.sum()) == best["saved"]
    assert statistics["blocks"] >= 20


def test_shortfalls_are_those_of_the_document(real):
    losses = losses_of(real)
    notional = paired(real).notional.sum() / 1e9

    assert [each.name for each in losses] == real.strategies
    for each in losses:
        if each.name != "clairvoyant":
            assert math.fsum(each.parts.values()) == pytest.approx(each.total, abs=1e-4)
        assert each.total == pytest.approx(1e4 * each.cash / notional)
    saved = 1e4 * paired(real).saved.sum() / 1e9 / notional
    base = next(each for each in losses if each.name == real.against)
    assert base.total - losses[0].total == pytest.approx(saved, abs=1e-4)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_sections_of_a_real_run(real, make):
    made = make(real)
    shown = html(made)
    identifiers = [each.get("id") for each in made.iter() if each.get("id")]

    assert len(shown.encode()) < 40_000
    assert len(identifiers) == len(set(identifiers))
    assert all(each.get("aria-hidden") or each.get("aria-labelledby") for each in made.iter("svg"))
    assert not any("nan" in (each.get(name) or "") for each in made.iter() for name in ("d", "points", "cx", "x", "y"))


def test_what_a_real_run_shows_is_what_it_printed(real):
    document, shown = real.document, {make.__name__: words(make(real)) for make in MAKERS}
    assert document["verdict"]["sentence"] in shown["verdict"]
    assert all(line in shown["verdict"] for line in document["warnings"])
    for world in document["worlds"]:
        assert world["verdict"]["kind"] in shown["realism"]
    for fold in document["statistics"]["held_out"]["folds"]:
        assert fold["from"][11:16] in shown["held_out"]
    assert f"Of {len(paired(real).orders)} orders" in shown["differences"]
    assert json.dumps(document)  # nothing was written into it


def test_no_order_of_a_real_run_is_left_out_of_the_cells(real):
    from sweep.page.sections.cells import panels_of

    each = paired(real)
    _, panels = panels_of(each)
    assert sum(panel.whole.orders for panel in panels) == len(each.orders)
    assert all(sum(cell.orders for cell in panel.by_time) == panel.whole.orders for panel in panels)
    for panel in panels:
        own = each.bps[(each.orders["side"] + " " + each.orders["size"].map("{:,}".format)) == panel.name]
        assert panel.whole.mean == pytest.approx(np.mean(own))
        assert panel.whole.error == pytest.approx(np.std(own, ddof=1) / len(own) ** 0.5)
