"""Predicted and realised fills: the document's figures, and where there are none."""

from __future__ import annotations

import pytest

from sweep.page.sections.calibration import calibration
from tests.support.paper_run import document_of, lead, made_run, tables, words

SCORED = {"orders": 4, "predicted": 0.6, "realised": 0.5, "brier": 0.2, "brier_of_base_rate": 0.25}
EMPTY = {"orders": 0, "predicted": None, "realised": None}


def section_of(**changes):
    bins = [{"from": at / 10, "to": (at + 1) / 10, **EMPTY} for at in range(10)]
    bins[2] |= {"orders": 1, "predicted": 0.25, "realised": 0.0}
    bins[9] |= {"orders": 3, "predicted": 0.95, "realised": 0.6667}
    none = {**EMPTY, "brier": None, "brier_of_base_rate": None}
    scores = {
        **SCORED,
        "bins": bins,
        "venues": {"2": SCORED},
        "terciles": [SCORED, none, none],
        "sentence": "predictions of fills are better than their base rate",
    }
    placement = {
        "limit_orders": {"sent": 0},
        "calibration": scores,
        "decisions": {"slices": 5, "fallback": 2},
        "cost": {"predicted": 452.62, "realised": 632.75},
    }
    return document_of(placement=placement | changes)


def test_figures_are_the_documents():
    made = calibration(made_run(section_of()))
    by_tenth, groups = tables(made).values()

    assert lead(made) == "Predictions of fills are better than their base rate."
    assert by_tenth[3] == ["20 to 30", "1", "25.00", "0.00"]
    assert by_tenth[4] == ["30 to 40", "0", "none", "none"]
    assert by_tenth[10] == ["90 to 100", "3", "95.00", "66.67"]
    assert groups[1:] == [
        ["XNAS (2)", "4", "60.00", "50.00", "0.2000", "0.2500"],
        ["queue in the shortest third", "4", "60.00", "50.00", "0.2000", "0.2500"],
        ["queue in the middle third", "0", "none", "none", "none", "none"],
        ["queue in the longest third", "0", "none", "none", "none", "none"],
        ["all", "4", "60.00", "50.00", "0.2000", "0.2500"],
    ]


def test_each_tenth_with_orders_is_a_mark_at_its_place():
    made = calibration(made_run(section_of()))
    broad = next(svg for svg in made.iter("svg") if svg.get("class") == "broad")
    marks = [tuple(float(dot.get(name)) for name in ("cx", "cy", "r")) for dot in broad.iter("circle")]

    # 0 to 100 % are 340 px, from x = 46 to the right and from y = 364 upwards; areas grow with counts
    assert marks == [(46 + 0.25 * 340, 364, 6.5), (46 + 0.95 * 340, 137.3, 9)]
    assert words(broad.find("desc")) == (
        "Percent, by tenths: predicted 25.0, realised 0.0 of 1; predicted 95.0, realised 66.7 of 3. Base rate 50.00."
    )


def test_costs_are_those_of_decisions_that_past_windows_made():
    assert "of 3 decisions (2 more had too few past windows): predicted 452.62 $, realised 632.75 $." in words(
        calibration(made_run(section_of()))
    )


@pytest.mark.parametrize(
    "changes", [{"cost": {"predicted": None, "realised": None}}, {"decisions": {"slices": 2, "fallback": 2}}]
)
def test_costs_that_are_none_are_not_shown(changes):
    assert "The cost beyond the mid" not in words(calibration(made_run(section_of(**changes))))


def test_a_run_without_placement_has_no_such_section():
    assert calibration(made_run()) is None


def test_a_best_that_places_nothing_says_so():
    made = calibration(made_run(document_of(placement=None)))

    assert lead(made) == "The best combination places no limit orders, so it predicts no fill."


def test_no_limit_order_is_no_drawing():
    document = section_of()
    document["placement"]["calibration"] |= {"orders": 0, "sentence": "no limit order was sent"}
    made = calibration(made_run(document))

    assert lead(made) == "No limit order was sent."
    assert not list(made.iter("svg"))
