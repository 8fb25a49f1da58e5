"""Data quality: which stretches stand out, what the feed lost, what checks count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feed.quality import CHECKS
from feed.tape import DAY
from sweep.page.element import html
from sweep.page.sections.quality import quality
from sweep.page.stretches import stretches_of, usual
from tests.support.paper_run import (
    CENT,
    ESCAPES,
    HOSTILE,
    SECOND,
    document_of,
    feed_of,
    lead,
    made_run,
    quality_of,
    tables,
    timeline_frame,
    words,
)


@pytest.mark.parametrize(
    ("values", "weights", "expected"),
    [
        ([1, 2, 3], [1, 1, 1], 2),
        ([1, 2], [1, 1], 1),
        ([9, 1], [1, 5], 1),
        ([9, 1], [5, 1], 9),
        ([np.nan, 4], [100, 1], 4),
        ([5, 6], [0, 1], 6),
    ],
)
def test_the_usual_value_is_a_median_by_weight(values, weights, expected):
    assert usual(np.array(values, float), np.array(weights, float)) == expected


@pytest.mark.parametrize("values", [[], [np.nan], [1.0]])
def test_without_weight_nothing_is_usual(values):
    assert np.isnan(usual(np.array(values, float), np.zeros(len(values))))


@pytest.mark.parametrize(
    ("column", "value", "marked"),
    [
        ("longest_gap", 4 * SECOND // 10, False),
        ("longest_gap", 4 * SECOND // 10 + 1, True),
        ("spread", 8 * CENT, False),
        ("spread", 8 * CENT + 1, True),
        ("crossed", 50, False),
        ("crossed", 51, True),
        ("one_sided", 51, True),
        ("locked", 51, True),
        ("venues", 2, False),
        ("venues", 1, True),
        ("snapshots", 1, False),
        ("snapshots", 0, True),
    ],
)
def test_a_stretch_stands_out_by_the_rule_that_is_printed(column, value, marked):
    values = timeline_frame()[column].to_numpy().copy()
    values[2] = value
    (one,) = stretches_of(timeline_frame(**{column: values}))

    assert one.outstanding.tolist() == [False, False, marked, False]
    assert one.marked[column].tolist() == one.outstanding.tolist()


@pytest.mark.parametrize("missing", [pd.array([None, 20_000_000, None, 20_000_000], "Int64"), [-1, CENT, -1, CENT]])
def test_a_spread_that_is_not_there_is_no_figure(missing):
    (one,) = stretches_of(timeline_frame(spread=missing))

    assert np.isnan(one.columns["spread"]).tolist() == [True, False, True, False]
    assert not one.marked["spread"].any()


def test_shares_are_of_the_snapshots_that_were_looked_at():
    (one,) = stretches_of(timeline_frame(looked_at=np.array([50, 50, 50, 0]), crossed=np.array([10, 10, 10, 0])))

    assert one.columns["crossed"][:3].tolist() == [20, 20, 20]
    assert one.share("crossed") == 20


def test_one_tape_in_figures():
    gaps = np.array([1, 1, 30, 1]) * SECOND // 10
    made = quality(made_run(timeline=timeline_frame(longest_gap=gaps)))

    assert lead(made) == (
        "No check gives an error or a warning; 1 of 4 stretches of time stands out, with 25.0 % of the snapshots."
    )
    assert tables(made)["Quality by tape"][1] == [
        "XYZ 2025-03-12", "400", "10.00", "0.00", "0.00", "3.000", "0.0200", "3 to 3", "1 of 4",
    ]  # fmt: skip
    assert tables(made)["Stretches that stand out"][1] == [
        "XYZ 2025-03-12", "14:30:20.000", "14:30:30.000", "longest gap, s: 3.000",
    ]  # fmt: skip
    assert "No snapshot is locked or one-sided." in words(made)


def test_strips_are_at_their_height():
    made = quality(made_run(timeline=timeline_frame(snapshots=np.array([100, 50, 0, 100]))))
    broad = next(svg for svg in made.iter("svg") if svg.get("class") == "broad")
    strip, flag = [each.get("d") for each in broad.iter("path")][:2]

    # 24 px for the most, which is 100, upwards from y = 40; four stretches of 189.5 px
    assert strip == "M1,40V16H190.5V28H380V40H569.5V16H759V40z"
    assert flag == "M380,42H569.5v3H380z"


def many_tapes(count):
    each = [timeline_frame().assign(tape=number) for number in range(count)]
    for number, frame in enumerate(each):
        frame[["start", "end"]] += number * DAY
        frame.loc[: number % 4, "one_sided"] = 60
    feeds = [feed_of(quality=quality_of(dead_venues=number % 2)) for number in range(count)]
    for number, feed in enumerate(feeds):
        feed["window"] = {"start": f"2025-03-{12 + number:02}T14:30:00.000000000Z", "end": ""}
    return made_run(document_of(feed=feed_of(tapes=feeds, quality=None)), timeline=pd.concat(each))


def test_several_tapes_are_rows():
    made = quality(many_tapes(3))
    broad = next(svg for svg in made.iter("svg") if svg.get("class") == "broad")

    assert lead(made).startswith("The checks give 1 warning (dead_venues); 6 of 12 stretches of time stand out")
    assert [words(each) for each in broad.iter("text")][-3:] == [f"XYZ 2025-03-{12 + at}" for at in range(3)]
    # one run of equal stretches in each row; below it its first, its first two, its first three
    heat = next(each for each in broad.iter("path") if each.get("class") == "h5")
    assert heat.get("d").count("M") == 3
    assert len(tables(made)["Quality by tape"]) == 1 + 3
    check = tables(made)["Checks that count something"]
    assert check[1][:4] == ["dead_venues", "warning", "1", "1"]


def test_many_tapes_are_drawn_in_part():
    run = many_tapes(60)
    made = quality(run)

    # fifteen tapes each have 1, 2, 3 and 4 such stretches, 150 in all; drawn are fifteen of 4 and five of 3
    assert "Not drawn: 40 tapes with 75 such stretches, no more each." in words(made)
    assert tables(made)["Quality by tape"][-1][0] == "20 more, in timeline.parquet"
    assert "110 more: in timeline.parquet." in words(made)
    assert len(html(made)) < 80_000


def test_counts_of_a_topic():
    feed = feed_of(messages=1000, bad=2, resent=3, empty=4, ignored={"rtype 160": 5}, quality=quality_of(time_gaps=6))
    feed["quality"]["dead_venues"] = [43]
    rows = tables(quality(made_run(document_of(feed=feed))))

    assert rows["Counts of the feed"][1:] == [
        ["messages", "1,000"],
        ["malformed messages put aside", "2"],
        ["messages sent twice and dropped", "3"],
        ["offsets without a message", "4"],
        ["left out: rtype 160", "5"],
        ["pauses of over 10 s between snapshots", "6"],
        ["longest pause, s", "0.100"],
        ["venues silent at the end: ARCX (43)", "1"],
    ]
    assert rows["Counts of the simulated book, added up over its snapshots"][1:] == [
        ["snapshots with the best bid above the best ask, before anything is hidden", "7"],
        ["quotes hidden: a later one of another venue crosses them", "9"],
    ]


def test_checks_come_by_level_with_their_definition():
    counted = quality_of(time_gaps=2, twin_venues=1, no_quotes=1)
    counted["details"] = {"twin_venues": "venues 2 and 52 are both XNAS: choose, such as venues=[2]"}
    made = quality(made_run(document_of(feed=feed_of(quality=counted))))

    assert tables(made)["Checks that count something"][1:] == [
        [name, CHECKS[name][0], count, CHECKS[name][1]]
        for name, count in (("no_quotes", "1"), ("twin_venues", "1"), ("time_gaps", "2"))
    ]
    assert len(tables(made)["Checks that count nothing"]) == 1 + len(CHECKS) - 3
    assert "twin_venues: venues 2 and 52 are both XNAS: choose, such as venues=[2]" in words(made)
    assert lead(made).startswith("The checks give 1 error (no_quotes) and 1 warning (twin_venues); no stretch")


def test_an_old_document_without_checks():
    feed = feed_of()
    del feed["quality"]
    made = quality(made_run(document_of(feed=feed), timeline=pd.DataFrame()))

    assert lead(made) == "The document holds no checks of quality."
    assert "The run holds no quality over time." in words(made)


def test_what_feeds_name_is_escaped():
    counted = quality_of()
    counted["details"] = {"twin_venues": HOSTILE}
    feed = feed_of(symbol=HOSTILE, ignored={ESCAPES: 1}, quality=counted)
    text = html(quality(made_run(document_of(feed=feed))))

    assert "<img" not in text
    assert not set("\x1b\x07\u202e") & set(text)
