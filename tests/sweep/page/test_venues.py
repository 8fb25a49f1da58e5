"""Where it fills: sums by venue, mark-outs, what rests apart."""

from __future__ import annotations

import pandas as pd
import pytest

from sweep.page.element import html
from sweep.page.sections.venues import by_venue, venues
from tests.support.paper_run import (
    FILLS,
    HOSTILE,
    document_of,
    lead,
    made_run,
    orders_frame,
    tables,
    venues_frame,
    words,
)

PLACED = {
    "sent": 4,
    "refused": 1,
    "shares": 800,
    "expected": 512.5,
    "filled": 400,
    "through_percent": 25.0,
    "fill_rate_percent": 50.0,
    "passive_percent": 44.44,
    "fees": -0.4,
    "fees_per_share": -0.001,
    "mark_out_per_share": {"1s": None, "10s": -0.0125, "60s": 0.02},
}


def test_figures_of_each_venue():
    rows = tables(venues(made_run()))["Fills of the best combination, by venue"]

    # 43: 400 of the buy and 500 of the sell; 10 s later the mid is 0.01 $ further, of 99.9978 $ on average
    assert rows[1:] == [
        ["ARCX (43)", "2", "900", "60.0", "-0.90", "-0.0010", "none", "1.00", "none", "0.0", "0.0"],
        ["XNAS (2)", "1", "600", "40.0", "1.80", "0.0030", "none", "1.00", "none", "0.0", "0.0"],
        ["all", "3", "1,500", "100.0", "0.90", "0.0006", "none", "1.00", "none", "0.0", "0.0"],
    ]


def test_the_lead_compares_with_the_strongest_baseline():
    assert lead(venues(made_run())) == (
        "The best combination fills 60.0 % of its shares at ARCX (43), best_ask 0.0 %. It pays 0.90 $ in fees less "
        "rebates, best_ask 4.50 $. In the 10 s after its fills the mid moves 1.00 bps towards the order, after those "
        "of best_ask 0.00."
    )


def test_every_strategy_that_fills_is_listed():
    rows = tables(venues(made_run()))["Fills at all venues, by strategy"]

    assert [row[:4] for row in rows[1:]] == [
        ["best combination", "3", "1,500", "0.90"],
        ["best_ask", "2", "1,500", "4.50"],
        ["twap", "2", "1,500", "4.50"],
        ["vwap", "1", "1,000", "3.00"],
    ]


def test_sums_beyond_64_bits_are_exact():
    frame = venues_frame()
    frame["notional"] = frame["marked_notional_10s"] = 2**62
    many = [frame] * 3

    assert by_venue(pd.concat(many), "optimized")[43].marked_notional_10s == 6 * 2**62


def test_nothing_filled_is_one_sentence():
    none = [each for each in FILLS if each[0] != "optimized"]
    made = venues(made_run(venues=venues_frame(none), orders=orders_frame(none)))

    assert lead(made) == "The best combination fills nothing, so no venue has a share of it."
    assert not list(made.iter("svg"))


def test_a_baseline_that_fills_nothing_has_no_bar():
    own = [each for each in FILLS if each[0] == "optimized"]
    made = venues(made_run(venues=venues_frame(own)))

    assert lead(made).endswith("It pays 0.90 $ in fees less rebates.")
    assert not [rect for rect in made.iter("rect") if rect.get("class") == "base"]


def test_many_venues_are_drawn_together():
    fills = [("optimized", 0, 1, 500 + number, 100, 10001, False) for number in range(30)]
    made = venues(made_run(venues=venues_frame(fills)))

    assert "19 other venues" in words(made)
    assert len([rect for rect in made.iter("rect") if rect.get("class") == "best"]) == 2 * 12
    assert len(tables(made)["Fills of the best combination, by venue"]) == 1 + 30 + 1


@pytest.mark.parametrize("placement", [None, {"limit_orders": {**PLACED, "sent": 0}, "venues": {}}])
def test_without_limit_orders_nothing_rests(placement):
    assert "Orders that rested" not in words(venues(made_run(document_of(placement=placement))))


def test_what_rests_is_apart():
    placement = {"limit_orders": PLACED, "venues": {"43": PLACED}}
    rows = tables(venues(made_run(document_of(placement=placement))))["Limit orders of the best combination, by venue"]

    assert rows[1] == [
        "ARCX (43)", "4", "1", "800", "400", "512.5", "50.00", "44.44", "25.00", "-0.0010", "none", "-0.0125", "0.0200",
    ]  # fmt: skip


def test_the_drawing_says_its_figures():
    described = {words(svg.find("desc")) for svg in venues(made_run()).iter("svg")}

    assert described == {
        "Percent of shares, best combination and best_ask: ARCX (43) 60.0 and 0.0; XNAS (2) 40.0 and 100.0."
    }


def test_names_are_escaped():
    document = document_of(statistics={"against": HOSTILE}, baselines={HOSTILE: {}})

    assert "<img" not in html(venues(made_run(document)))
