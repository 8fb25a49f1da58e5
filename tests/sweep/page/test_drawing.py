"""Drawings: coordinates, text that fits, words for who does not see them."""

from __future__ import annotations

import math

import pytest

from sweep.page.drawing import (
    BROAD,
    NARROW,
    axis_bottom,
    axis_left,
    bar,
    breadth,
    coordinate,
    cut,
    diamond,
    dot,
    drawing,
    fitted,
    interval,
    polyline,
    steps,
    text,
)
from sweep.page.element import html
from sweep.page.scales import Linear

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e"


@pytest.mark.parametrize(
    ("value", "printed"), [(0, "0"), (-0.04, "0"), (12.34, "12.3"), (12.98, "13"), (-7.25, "-7.2"), (1e6, "1000000")]
)
def test_a_coordinate_has_one_decimal_at_most(value, printed):
    assert coordinate(value) == printed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_coordinate_is_finite(value):
    with pytest.raises(ValueError, match="finite"):
        coordinate(value)


def test_a_drawing_says_what_it_shows():
    made = drawing(100, 50, "Saving", "It saves 1.2 bps.", dot(1, 2), key="saving")

    assert html(made) == (
        '<svg viewBox="0 0 100 50" width="100" height="50" role="img" aria-labelledby="saving-100-title '
        'saving-100-desc"><title id="saving-100-title">Saving</title><desc id="saving-100-desc">It saves 1.2 bps.'
        '</desc><circle cx="1" cy="2" r="3.5" class="best"></circle></svg>'
    )


def test_two_widths_have_ids_of_their_own():
    both = fitted(lambda width: drawing(width, 10, "a", "b", key="k"))

    assert [svg.get("class") for svg in both] == ["broad", "narrow"]
    assert [float(svg.get("width")) for svg in both] == [BROAD, NARROW]
    identifiers = [each.get("id") for each in both.iter() if each.get("id")]
    assert len(identifiers) == len(set(identifiers)) == 4


def test_hostile_text_is_text():
    shown = html(drawing(100, 50, HOSTILE, HOSTILE, text(0, 0, HOSTILE), dot(0, 0, title=HOSTILE), key="k"))

    assert "<img" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_text_that_is_too_long_is_cut_and_kept_as_a_tooltip():
    long = "best_available_of_all_venues"
    made = text(0, 0, long, width=60)

    assert made.text.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert breadth(made.text) <= 60
    assert made.find("title").text == long
    assert text(0, 0, "short", width=60).find("title") is None


@pytest.mark.parametrize("content", ["", "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 30, "i" * 100, "W" * 100, "e\u0301" * 50])
@pytest.mark.parametrize("width", [0, 12, 100])
def test_cut_text_is_as_long_as_it_may_be(content, width):
    shown = cut(content, width)

    assert shown == content or shown.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert breadth(shown) <= max(width, breadth("\N{HORIZONTAL ELLIPSIS}"))


def test_a_bar_goes_either_way():
    assert bar(10, 20, -4, -5, "loss").attrib == {"x": "6", "y": "15", "width": "4", "height": "5", "class": "loss"}


def test_marks():
    assert interval(10, 30, 5).get("d") == "M10,5L30,5M10,1L10,9M30,1L30,9"
    assert interval(10, 30, 5, upright=True).get("d") == "M5,10L5,30M1,10L9,10M1,30L9,30"
    assert polyline([(0, 1), (2, 3.456)], "best-line").get("points") == "0,1 2,3.5"
    assert steps([(0, 1), (2, 3), (4, 3)], "best-line").get("points") == "0,1 2,1 2,3 4,3 4,3"
    assert diamond(5, 5, 1).get("points") == "5,4 6,5 5,6 4,5"


def test_an_axis_prints_its_ticks_without_overlaps():
    scale = Linear(0.0, 4_000.0, 0.0, 100.0)
    few = [each.text for each in axis_bottom(scale, 10, "shares", count=5).iter("text")]
    many = [each.text for each in axis_bottom(scale, 10, count=40).iter("text")]

    assert few == ["0", "2,000", "4,000", "shares"]
    assert len(many) < 5
    assert len(list(axis_bottom(scale, 10, count=4, top=0).iter("line"))) == 2 * 5 + 1


def test_an_axis_at_the_left_prints_what_it_is_asked_to():
    made = axis_left(Linear(0.0, 2.0, 100.0, 0.0), 50, "bps", count=2, text_of=lambda value: f"{value:+g}")

    assert [each.text for each in made.iter("text")] == ["+0", "+1", "+2", "bps"]
    assert [each.get("y") for each in made.iter("text")] == ["104", "54", "4", "-10"]
