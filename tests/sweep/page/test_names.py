"""Names and figures as they are printed."""

from __future__ import annotations

import pytest

from sweep.page.layout import table
from sweep.page.names import clock, moment, plural, strategy, tape, venue
from sweep.page.numbers import NONE, dollars, label
from tests.support.paper_run import START, words


@pytest.mark.parametrize(
    ("number", "name"), [(2, "XNAS (2)"), (47, "XNAS (47)"), (38, "IEXG (38)"), (30, "OPRA (30)"), (32000, "id 32000")]
)
def test_a_venue_is_named_by_its_code_and_its_id(number, name):
    assert venue(number).split() == name.split()
    assert " " not in venue(number)  # which would break in a table


def test_instants_are_cut_not_rounded():
    assert moment(START + 1_999_999_999) == "2025-03-12 14:30:01.999"
    assert clock(START + 1_999_999_999, 0) == "14:30:01"


def test_other_names():
    assert [strategy(name) for name in ("optimized", "vwap")] == ["best combination", "vwap"]
    assert [plural(count, "tape") for count in (0, 1, 1000)] == ["0 tapes", "1 tape", "1,000 tapes"]
    assert plural(2, "stretch", "stretches") == "2 stretches"
    assert tape({"symbol": "XYZ", "window": {"start": "2025-03-12T14:30:00Z"}}) == "XYZ 2025-03-12"


@pytest.mark.parametrize(
    ("nano", "printed"),
    [(27_615_000_000, "27.62"), (27_605_000_000, "27.60"), (-27_615_000_000, "-27.62"), (4_999_999, "0.00")],
)
def test_dollars_are_rounded_half_even_as_in_the_document(nano, printed):
    assert dollars(nano).replace("\N{MINUS SIGN}", "-") == printed


@pytest.mark.parametrize(
    ("column", "aligned"), [(["1", NONE], True), ([NONE, NONE], False), (["1", "two"], False), (["", "-0.5 %"], True)]
)
def test_a_dash_is_no_reason_to_align_figures_to_the_left(column, aligned):
    made = table(("a", "b"), [("x", cell) for cell in column], "c")

    assert [cell.get("class") == "figure" for cell in made.iter("td")] == [aligned, aligned]
    assert words(made.find(".//caption")) == "c"


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (1_234_567, "1234567"),
        (-1_000_000, "\N{MINUS SIGN}1000000"),
        (0.1234567, "0.1234567"),
        (0.02, "0.02"),
        (300.0, "300"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (True, "true"),
        (None, "none"),
        ("touch", "touch"),
    ],
)
def test_a_value_of_an_axis_keeps_its_digits(value, printed):
    assert label(value) == printed
