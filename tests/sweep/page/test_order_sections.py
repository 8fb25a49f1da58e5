"""Shortfall, paired differences and cells: what they say of orders that are written down by hand."""

import numpy as np
import pytest

from sweep.page.element import html
from sweep.page.paired import paired
from sweep.page.sections.cells import FEW, Cell, cells, panels_of
from sweep.page.sections.differences import columns_of, differences, ends_of
from sweep.page.sections.waterfall import difference, losses_of, waterfall
from tests.support.made_runs import (
    HOSTILE,
    cells_of,
    descriptions,
    document,
    interval,
    lead_of,
    made_run,
    statistics,
    words,
)

MINUS = "\N{MINUS SIGN}"
NAMES = ("shortfall", "timing", "spread", "fees", "rebates", "leftover")


def loss(*dollars):
    return dict(zip(NAMES, dollars, strict=True))


def shortfall(**more):
    """Of 1,000 $ of notional: 1 bps is 0.1 $."""
    return {
        "optimized": loss(0.5, 0.1, 0.3, 0.2, -0.1, 0.0),
        "baselines": {
            "best_ask": loss(0.8, 0.2, 0.4, 0.2, 0.0, 0.0),
            "vwap": loss(0.1, 0.0, 0.1, 0.0, 0.0, 0.0),
            **more,
        },
    }


BOUND = {"clairvoyant": loss(-0.2, None, None, 0.2, None, 0.0)}


def broad(made, at=0):
    return [each for each in made.iter("svg") if each.get("class") == "broad"][at]


def test_shortfall_in_bps_of_the_notional():
    best, base, ahead = losses_of(made_run(document(shortfall=shortfall())))

    assert best.total == pytest.approx(5)
    assert best.parts == pytest.approx({"spread": 3, "timing": 1, "fees": 2, "rebates": -1, "leftover": 0})
    assert (base.ahead, ahead.ahead) == (False, True)
    saved = difference(best, base)
    assert saved.total == pytest.approx(3)
    assert saved.parts == pytest.approx({"spread": 1, "timing": 1, "fees": 0, "rebates": 1, "leftover": 0})


def test_the_shortfall_says_which_part_is_saved():
    made = waterfall(made_run(document(shortfall=shortfall(best_ask=loss(0.9, 0.2, 0.5, 0.2, 0.0, 0.0)))))

    assert lead_of(made) == (
        "The best combination loses 5.00 bps (0.50 $) against the arrival mid, best_ask loses 9.00 bps (0.90 $); of "
        "the difference of +4.00 bps the largest part is spread, +2.00 bps."
    )
    assert descriptions(made)[0] == (
        "bps: spread +2.00, timing +1.00, fees 0.00, rebates +1.00, leftover 0.00, saving +4.00."
    )
    heading, *rows = cells_of(made)
    assert heading[:3] == ["Strategy", "Shortfall, bps", "Shortfall, $"]
    assert rows[0] == ["best combination", "5.00", "0.50", "3.00", "1.00", "2.00", f"{MINUS}1.00", "0.00", ""]
    assert rows[1][0::8] == ["best_ask", "strongest"]
    assert rows[2][0] == "vwap (looks ahead)"


def test_steps_of_the_waterfall_join():
    made = waterfall(made_run(document(shortfall=shortfall())))
    bars = list(broad(made).iter("rect"))
    tops = [float(each.get("y")) for each in bars]
    bottoms = [top + float(each.get("height")) for top, each in zip(tops, bars, strict=True)]

    assert [each.get("class") for each in bars] == ["gain", "gain", "ink", "gain", "ink", "ink"]
    assert bottoms[1] == pytest.approx(tops[0], abs=0.2)  # timing begins where spread ends
    assert bottoms[3] == pytest.approx(tops[1], abs=0.2)
    assert tops[5] == pytest.approx(tops[3], abs=0.2)  # and the sum reaches as far as the last part
    assert bottoms[5] == pytest.approx(bottoms[0], abs=0.2)


def test_bars_are_as_long_as_their_parts():
    made = broad(waterfall(made_run(document(shortfall=shortfall()))), 1)
    ticks = {each.text: float(each.get("x")) for each in made.iter("text") if each.get("class") == "muted middle"}
    one = ticks["2"] / 2 - ticks["0"] / 2
    bars = [(each.get("class"), float(each.get("x")), float(each.get("width"))) for each in made.iter("rect")][:4]

    assert [kind for kind, _, _ in bars] == ["s1", "s2", "s4", "s3"]
    assert [width for _, _, width in bars] == pytest.approx([3 * one, one, 2 * one, one], abs=0.3)
    assert bars[0][1] == pytest.approx(ticks["0"], abs=0.2)
    assert bars[3][1] == pytest.approx(ticks["0"] - one, abs=0.2)  # a rebate lies left of 0


def test_a_bound_has_no_parts_and_says_why():
    made = waterfall(made_run(document(shortfall=shortfall(**BOUND), baselines={"clairvoyant": {"lookahead": True}})))

    assert "a bound does not trade, so it has no spread and no timing" in words(made)
    assert cells_of(made)[-1] == [
        "clairvoyant (looks ahead)",
        f"{MINUS}2.00",
        f"{MINUS}0.20",
        "\N{EN DASH}",
        "\N{EN DASH}",
        "2.00",
        "\N{EN DASH}",
        "0.00",
        "",
    ]


def test_a_strongest_baseline_whose_parts_are_unknown():
    unknown = loss(0.8, None, None, 0.2, None, 0.0)
    made = waterfall(made_run(document(shortfall={**shortfall(), "baselines": {"best_ask": unknown}})))

    assert lead_of(made).endswith("; how much of the difference is which part is unknown.")
    assert len(list(made.iter("figure"))) == 1


def test_what_gains_and_what_is_alike():
    same = loss(-0.5, -0.5, 0.0, 0.0, 0.0, 0.0)
    made = waterfall(made_run(document(shortfall={"optimized": same, "baselines": {"best_ask": same}})))

    assert lead_of(made) == (
        "The best combination gains 5.00 bps (0.50 $) against the arrival mid, best_ask gains 5.00 bps (0.50 $); the "
        "two do not differ in any part."
    )


@pytest.mark.parametrize("dollars", [1e12, -1e12])
def test_a_row_that_is_far_longer_is_cut_and_marked(dollars):
    made = waterfall(made_run(document(shortfall=shortfall(sweep_now=loss(dollars, 0.0, dollars, 0.0, 0.0, 0.0)))))
    drawn = broad(made, 1)
    paper = [each for each in drawn.iter("polygon") if each.get("class") == "paper"]
    ends = [float(each.get("x")) + float(each.get("width")) for each in drawn.iter("rect")]

    assert len(paper) == 3 + 2  # round the sums of the three that lead, and the strokes
    assert max(ends) <= 760
    assert f"{abs(dollars) * 10:,.2f}" in words(drawn)


def test_without_an_arrival_mid_there_is_no_shortfall():
    assert lead_of(waterfall(made_run())) == (
        "No book is two-sided when orders arrive, so there is no arrival mid to measure a shortfall against."
    )


def many(count, saved=lambda _: 0.0, step=60, per_block=2):
    """Buys of 1,000 $, each of which saves so many bps."""
    orders = [("buy", 100, 52_200 + step * number, number // per_block, 10.0) for number in range(count)]
    cash = {"optimized": [1000 - saved(number) / 10 for number in range(count)], "best_ask": [1000.0] * count}
    of_many = document(statistics=statistics(saving_bps={"best_ask": interval(0.0, -1.0, 1.0)}))
    return made_run(of_many, orders, cash)


def test_differences_are_counted():
    made = differences(many(4, lambda number: (2.0, 0.0, -1.0, 3.0)[number]))

    assert lead_of(made) == (
        "Of 4 orders 2 save, 1 costs more and 1 costs the same; the median is +1.00 bps, the mean weighted by "
        f"notional 0.00 ({MINUS}1.00 to +1.00) bps."
    )
    assert cells_of(made)[1:] == [
        ["1970-01-01 14:30", "2", "+1.00", "0.00", "+2.00"],
        ["1970-01-01 14:32", "2", "+1.00", f"{MINUS}1.00", "+3.00"],
    ]
    assert descriptions(made)[0] == (
        "Blocks of time from 1970-01-01T14:30 to 1970-01-01T14:32 UTC save from +1.00 to +1.00 bps; the middle half "
        f"of the orders from {MINUS}0.25 to +2.25 bps."
    )


def test_an_order_is_one_dot():
    drawn = broad(differences(many(4, lambda number: number - 1.0)))
    scatter = next(each for each in drawn.iter("path") if each.get("class") == "dots").get("d")
    heights = [float(each.split(",")[1].removesuffix("h0")) for each in scatter.split("M")[1:]]
    zero = next(float(each.get("y1")) for each in drawn.iter("line") if each.get("class") == "zero")
    gaps = -np.diff(heights)

    assert len(heights) == 4
    assert heights[1] == pytest.approx(zero, abs=0.1)
    assert gaps == pytest.approx([gaps[0]] * 3, abs=0.2)
    assert gaps[0] > 0


def test_neighbouring_blocks_share_a_column_where_there_are_many():
    each = paired(many(400, lambda number: float(number // 2 % 2)))
    columns = columns_of(each, 96)

    assert columns.together == 3
    assert len(columns.saved) == 67
    assert columns.saved[:2] == pytest.approx([1 / 3, 2 / 3])
    assert columns_of(each, 200).saved[:3] == pytest.approx([0, 1, 0])
    assert np.bincount(columns.of_order).tolist() == [6] * 66 + [4]


def no_mid(count, per_block=2, without=()):
    """Buys that save 1, 2, 3, ... bps; those of the blocks `without` have no arrival mid and cost nothing."""
    lacks = [number // per_block in without for number in range(count)]
    orders = [("buy", 100, 52_200 + 60 * at, at // per_block, 0.0 if lack else 10.0) for at, lack in enumerate(lacks)]
    cash = {
        "optimized": [0.0 if lack else 1000 - (at + 1) / 10 for at, lack in enumerate(lacks)],
        "best_ask": [0.0 if lack else 1000.0 for lack in lacks],
    }
    return made_run(orders=orders, cash=cash)


def test_blocks_without_notional_have_no_column_and_no_figure():
    run = no_mid(8, without={0, 2})
    columns = columns_of(paired(run), 96)
    made = differences(run)

    assert columns.saved == pytest.approx([3.5, 7.5])
    assert columns.of_order.tolist() == [-1, -1, 0, 0, -1, -1, 1, 1]
    assert columns.first.tolist() == [52_320 * 10**9, 52_560 * 10**9]
    assert [row[2:] for row in cells_of(made)[1:]] == [
        ["\N{EN DASH}"] * 3,
        ["+3.50", "+3.00", "+4.00"],
        ["\N{EN DASH}"] * 3,
        ["+7.50", "+7.00", "+8.00"],
    ]
    assert "save from +3.50 to +7.50 bps" in descriptions(made)[0]
    assert not any(bad in html(made) for bad in ("nan", "NaN", "inf"))


def test_an_order_without_notional_leaves_its_block_a_lowest_and_a_highest():
    run = no_mid(4, per_block=2)
    run.orders.loc[0, "arrival_mid2"] = 0
    run.orders.loc[run.orders["order"] == 0, "total_cash"] = 0

    assert cells_of(differences(run))[1][3:] == ["+2.00", "+2.00"]


def test_blocks_without_notional_are_not_among_the_extremes():
    rows = cells_of(differences(no_mid(100, without=set(range(0, 50, 7)))))[1:]

    assert len(rows) == 40
    assert not any("\N{EN DASH}" in row for row in rows)


def test_thousands_of_orders_are_thinned_and_it_is_said():
    run = many(5000, lambda number: float(number % 7), step=1)
    made = differences(run)
    dots = next(each for each in broad(made).iter("path") if each.get("class") == "dots").get("d")

    assert dots.count("M") == 834
    assert "One order in 6 is drawn, by time, and those beyond the axis; lines and bars count all." in words(made)
    assert len(html(made)) < 40_000
    assert html(differences(run)) == html(made)
    assert len(cells_of(made)) == 41
    assert "orders.parquet has every order" in words(made)


def test_few_extremes_do_not_squeeze_the_others():
    run = many(1000, lambda number: 5000.0 if number == 3 else float(number % 5))
    each = paired(run)
    low, high = ends_of(each, None)
    made = differences(run)
    edge = next(each for each in broad(made).iter("path") if each.get("class") == "edge-dots")

    assert low == 0
    assert 5004 / 12 < high < 500  # of six blocks of two orders together
    assert edge.get("d").count("M") == 1
    assert "1 lies beyond the axis, drawn red at its edge; orders reach from 0.00 to +5,000.00 bps." in words(made)


def test_ties_are_drawn():
    made = differences(many(60))

    assert lead_of(made).startswith("Of 60 orders 0 save, 0 cost more and 60 cost the same; the median is 0.00 bps")
    assert "nan" not in html(made)


@pytest.mark.parametrize(
    ("orders", "cash", "reason"),
    [
        ((("buy", 100, 0, 0, 10.0),), None, "There is one order, so there are no differences to compare."),
        (
            (("buy", 100, 0, 0, 0.0), ("sell", 100, 0, 0, 0.0)),
            {"optimized": [0.0, 0.0], "best_ask": [0.0, 0.0]},
            "Orders have no notional, so there are no differences in bps to compare.",
        ),
    ],
)
def test_where_nothing_can_be_compared(orders, cash, reason):
    assert lead_of(differences(made_run(orders=orders, cash=cash))) == reason


def test_days_are_named_where_there_are_several():
    drawn = broad(differences(many(6, step=86_400)))
    labels = [each.text for each in drawn.iter("text") if (each.text or "").startswith("1970")]

    assert labels == ["1970-01-01", "1970-01-03", "1970-01-05"]


def test_cells_are_means_of_orders():
    # 14:30 to 14:37, so cells of a minute; the first six at 14:30, the others at 14:37
    orders = [("buy", 100, 52_200 + 420 * (number > 5), 0, 10.0) for number in range(8)]
    cash = {"optimized": [1000 - bps / 10 for bps in (1, 2, 3, 1, 2, 3, 5, 7)], "best_ask": [1000.0] * 8}
    run = made_run(orders=orders, cash=cash)
    times, (panel,) = panels_of(paired(run))
    first, *between, last = panel.by_time

    assert (times[0], times[-1], len(times)) == ("14:30", "14:37", 8)
    assert (panel.name, panel.whole.orders, panel.whole.mean) == ("buy 100", 8, pytest.approx(3))
    assert (first.orders, first.mean) == (6, pytest.approx(2))
    assert first.error == pytest.approx((4 / 5 / 6) ** 0.5)  # squares 4, by n - 1 and n
    assert (first.judged, first.apart) == (True, True)
    assert (last.orders, last.mean, last.error, last.judged) == (2, pytest.approx(6), pytest.approx(1), False)
    assert all(cell.orders == 0 and str(cell) == "\N{EN DASH}" for cell in between)
    made = cells(run)
    assert lead_of(made) == (
        "Means reach from +2.00 bps (buy 100 from 14:30) to +2.00 bps (buy 100 from 14:30); 1 of 1 cells with 5 "
        "orders or more have a 95 % interval without 0, and about 0.1 would be by chance alone if nothing were "
        "there. Cells describe; they are not tests."
    )
    assert cells_of(made)[1][:3] == ["buy 100", "+3.00 ± 0.73 (n 8)", "+2.00 ± 0.37 (n 6)"]
    assert "Hollow diamonds: fewer than 5 orders, not judged" in words(made)
    assert len(list(broad(made).iter("polygon"))) == 1


@pytest.mark.parametrize(("orders", "quantile"), [(5, 2.776445), (6, 2.570582), (1000, 1.962341)])
def test_a_cell_is_apart_by_the_t_distribution(orders, quantile):
    # published quantiles of Student's t at 97.5 %, of 4, 5 and 999 degrees of freedom
    at, beyond = (Cell(orders, -(quantile + step), 1.0) for step in (-1e-5, 1e-5))

    assert at.reach == pytest.approx(quantile, abs=1e-6)
    assert (at.apart, beyond.apart) == (False, True)


def test_as_many_cells_are_apart_by_chance_as_the_lead_says():
    draws = np.random.default_rng(1).normal(size=(20_000, FEW))
    errors = draws.std(axis=1, ddof=1) / FEW**0.5
    apart = [Cell(FEW, *each).apart for each in zip(draws.mean(axis=1).tolist(), errors.tolist(), strict=True)]

    assert np.mean(apart) == pytest.approx(0.05, abs=0.005)


def test_whiskers_are_as_long_as_the_interval():
    orders = [("buy", 100, 52_200, 0, 10.0)] * FEW
    cash = {"optimized": [1000 - bps / 10 for bps in (1, 2, 3, 4, 5)], "best_ask": [1000.0] * FEW}
    drawn = broad(cells(made_run(orders=orders, cash=cash)))
    (whisker,) = [each.get("d") for each in drawn.iter("path") if each.get("class") == "whisker"]
    ends = [float(each.split(",")[1]) for each in whisker.split("M")[1].split("L")]
    axis = [each for each in drawn.iter("text") if each.get("class") == "muted end"]
    ticks = {float(each.text): float(each.get("y")) for each in axis if each.text in {"0", "2", "4"}}
    one = abs(ticks[2] - ticks[0]) / 2

    assert abs(ends[1] - ends[0]) == pytest.approx(2 * 2.776 * 0.5**0.5 * one, abs=0.4)


def test_cells_of_few_orders():
    assert lead_of(cells(made_run())) == "1 order is too few to compare cells."
    spread_out = [("buy", size, 52_200, 0, 10.0) for size in (1, 2, 3, 4, 5, 6)]
    assert lead_of(cells(made_run(orders=spread_out))) == "No cell has 5 orders or more, so none is judged."


def test_sides_stand_beside_each_other_by_size():
    orders = [(side, size, 52_200, 0, 10.0) for size in (5000, 100) for side in ("sell", "buy") for _ in range(5)]
    _, panels = panels_of(paired(made_run(orders=orders)))

    assert [panel.name for panel in panels] == ["buy 100", "sell 100", "buy 5,000", "sell 5,000"]


def test_many_sizes_end_in_the_table():
    orders = [("buy", size, 52_200, 0, 10.0) for size in range(1, 51) for _ in range(5)]
    made = cells(made_run(orders=orders))

    assert "42 more sizes and sides are in the table alone." in words(made)
    assert len(cells_of(made)) == 41
    assert len(html(made)) < 40_000


@pytest.mark.parametrize("make", [waterfall, differences, cells], ids=lambda make: make.__name__)
def test_hostile_names_are_text(make):
    orders = [("buy", 100, 52_200, 0, 10.0)] * 6
    cash = {"optimized": [999.0] * 6, "best_ask": [1000.0] * 6, HOSTILE: [1000.0] * 6}
    split = {
        "optimized": loss(0.5, 0.1, 0.3, 0.2, -0.1, 0.0),
        "baselines": {HOSTILE: loss(0.8, 0.2, 0.4, 0.2, 0.0, 0.0)},
    }
    shown = html(make(made_run(document(HOSTILE, shortfall=split, baselines={HOSTILE: {}}), orders, cash)))

    assert "&lt;img" in shown
    assert not any(bad in shown for bad in ("<img", "\x1b", "\u202e", "</script"))
