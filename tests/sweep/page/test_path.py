"""An order's path: which orders are drawn, their fills, and the lines of the book."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sweep.page.element import html
from sweep.page.paired import paired
from sweep.page.panels import panels
from sweep.page.sections.path import path, path_of
from sweep.page.shown import shown
from tests.support.paper_run import (
    FILLS,
    HOSTILE,
    document_of,
    feed_of,
    fills_frame,
    lead,
    made_run,
    orders_frame,
    paths_frame,
    tables,
    venues_frame,
    words,
)


def described(made):
    return [words(svg.find("desc")) for svg in made.iter("svg") if svg.find("desc") is not None]


def test_the_median_order_is_told_in_figures():
    # of two orders the lower one is the median: the sell
    assert lead(path(made_run())) == (
        "Order 1 sells 500 shares of XYZ 2025-03-12 from 14:31:00 to 14:31:30 UTC. The best combination fills 500 in "
        "1 fill at 1 venue by 14:31:02.000, at 99.9800 $ on average before fees, "
        "best_ask 500 in 1 fill at 1 venue by 14:31:01.000, at 99.9900 $ on average before fees. "
        "It saves -3.00 $ (-0.60 bps), fees included."
    )


def test_each_order_is_drawn_once_and_can_be_linked():
    made = path(made_run())

    assert [each.get("id") for each in made.iter("h3")] == ["path-1"]
    # inside what is folded, which a link to it opens
    assert [each.get("id") for fold in made.iter("details") for each in fold.findall("p")] == ["path-0"]
    ids = [each.get("id") for each in made.iter() if each.get("id")]
    assert len(ids) == len(set(ids))


def test_fills_by_venue_are_those_of_the_strategies():
    rows = tables(path(made_run()))["Fills of order 0 by venue"]

    assert rows == [
        ["Venue", "Shares, best combination", "Average before fees, best combination, $", "Of them passive",
         "Shares, best_ask = twap", "Average before fees, best_ask = twap, $",
         "Shares, vwap", "Average before fees, vwap, $"],
        ["XNAS (2)", "600", "100.0100", "0", "1,000", "100.0300", "0", "none"],
        ["XBOS (3)", "0", "none", "0", "0", "none", "1,000", "100.0400"],
        ["ARCX (43)", "400", "100.0200", "400", "0", "none", "0", "none"],
        ["all", "1,000", "100.0140", "400", "1,000", "100.0300", "1,000", "100.0400"],
    ]  # fmt: skip


def test_strategies_that_fill_alike_are_one_line_but_never_the_best():
    one = path_of(made_run(), 0)
    assert [fills.names for fills in one.each] == [("optimized",), ("best_ask", "twap"), ("vwap",)]

    alike = [("optimized", *each[1:]) for each in FILLS if each[0] == "best_ask"]
    alike += [each for each in FILLS if each[0] == "best_ask"]
    frames = {"fills": fills_frame(alike), "venues": venues_frame(alike), "orders": orders_frame(alike)}
    assert [fills.names for fills in path_of(made_run(**frames), 0).each][:2] == [("optimized",), ("best_ask",)]


def test_the_drawing_says_quotes_and_fills():
    says = described(path(made_run()))[-1]

    assert says == (
        "best bid from 99.9900 to 99.9900 $; best ask from 100.0100 to 100.0100 $; "
        "best combination fills 1,000 in 2 fills at 2 venues by 14:30:05.000, at 100.0140 $ on average before fees; "
        "best_ask = twap fills 1,000 in 1 fill at 1 venue by 14:30:01.000, at 100.0300 $ on average before fees; "
        "vwap fills 1,000 in 1 fill at 1 venue by 14:30:09.000, at 100.0400 $ on average before fees."
    )


def test_a_side_without_quotes_leaves_a_gap():
    made = panels(path_of(made_run(), 0), "")
    ask, bid = [each.get("d") for each in made[0].iter("path") if each.get("class") == "whisker"]

    assert (ask.count("M"), bid.count("M")) == (2, 1)


def test_lanes_count_the_shares_of_both():
    one = path_of(made_run(), 0)
    texts = [words(each) for each in panels(one, "")[0].iter("text")]

    assert one.lanes == [2, 43]
    at = texts.index("XNAS (2)")
    assert texts[at : at + 3] == ["XNAS (2)", "600", "1,000"]
    assert texts[at + 3 : at + 6] == ["ARCX (43)", "400", "0"]


def test_a_strategy_that_fills_nothing_stays_at_its_size():
    made = path(made_run())
    says = described(made)[0]  # order 1, of which vwap fills nothing

    assert "vwap fills nothing" in says


def test_nothing_filled_and_no_quotes():
    frames = {
        "fills": fills_frame([]),
        "venues": venues_frame([]),
        "orders": orders_frame([]),
        "paths": paths_frame().assign(bid=0, ask=0, bid_shares=0, ask_shares=0),
    }
    made = path(made_run(**frames))

    assert "The best combination fills nothing, best_ask nothing. It saves 0.00 $ (0.00 bps), fees included." in lead(
        made
    )
    assert "NaN" not in html(made)
    assert "nan" not in html(made)


@pytest.mark.parametrize("frame", [paths_frame().iloc[:0], pd.DataFrame()])
def test_no_path_is_one_sentence(frame):
    made = path(made_run(paths=frame))

    assert lead(made) == "The run holds the path of no order."
    assert not list(made.iter("svg"))


@pytest.mark.parametrize(
    ("savings", "kept", "expected"),
    [
        ([3, 1, 2], [0, 1, 2], {"median": 2, "best": 0, "worst": 1}),
        ([1, 1, 1, 1], [0, 1, 2, 3], {"median": 1, "best": 0}),
        ([0, 9, 5, 9], [1, 2, 3, 0], {"median": 2, "best": 1, "worst": 0}),
        ([0, 9, 5], [1], {"best": 1}),
        ([4], [0], {"median": 0}),
        ([4], [7], {}),
    ],
)
def test_which_orders_are_drawn(savings, kept, expected):
    orders = [("buy", 100)] * len(savings)
    fills = [("optimized", at, 1, 2, 100, 10000 - saved, False) for at, saved in enumerate(savings)]
    fills += [("best_ask", at, 1, 2, 100, 10000, False) for at in range(len(savings))]
    run = made_run(orders=orders_frame(fills, orders), paths=pd.DataFrame({"position": kept}))

    assert shown(run, paired(run)) == expected


def test_a_drawing_stays_small_however_many_fills_and_quotes():
    many = 2_000
    rng = np.random.default_rng(1)
    fills = [
        (name, 0, at * 30 / many, int(venue), 1, 10000 + int(cents), False)
        for name in ("optimized", "best_ask", "twap", "vwap")
        for at, (venue, cents) in enumerate(zip(rng.integers(0, 40, many), rng.integers(-20, 20, many), strict=True))
    ]
    frame = fills_frame(fills)
    quotes = pd.DataFrame(
        {
            "position": 0,
            "ts": frame["ts"][:many],
            "bid": 99_900_000_000 + rng.integers(0, 9, many) * 10**7,
            "ask": 100_000_000_000 + rng.integers(0, 9, many) * 10**7,
            "bid_shares": rng.integers(1, 900, many),
            "ask_shares": rng.integers(1, 900, many),
        }
    )
    made = path(made_run(fills=frame, paths=quotes))

    assert max(len(html(svg)) for svg in made.iter("svg")) < 40_000


def test_hostile_names_do_nothing():
    document = document_of(
        feed=feed_of(symbol=HOSTILE), baselines={HOSTILE: {}, "twap": {}}, statistics={"against": HOSTILE}
    )
    fills = [(HOSTILE if name == "best_ask" else name, *rest) for name, *rest in FILLS]
    run = made_run(document, fills=fills_frame(fills), orders=orders_frame().replace("vwap", HOSTILE))

    text = html(path(run))
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_fills_that_are_not_known_are_neither_drawn_nor_nothing():
    # vwap fills fractions of shares under the classic conventions, and no table has its fills
    made = path(made_run(fills=fills_frame([each for each in FILLS if each[0] != "vwap"])))
    head, *_ = tables(made)["Fills of order 0 by venue"]

    assert head[-1] == "Average before fees, best_ask = twap, $"
    (of_buy,) = {each for each in described(made) if "fills 1,000" in each}
    assert "vwap" not in of_buy
    assert "vwap fills nothing" in described(made)[0]  # of the other order, as orders.parquet says


def test_a_strongest_baseline_whose_fills_are_not_known():
    made = path(made_run(fills=fills_frame([each for each in FILLS if each[0] != "best_ask"])))

    assert lead(made).endswith(
        "at 99.9800 $ on average before fees; the fills of best_ask are not known. "
        "It saves -3.00 $ (-0.60 bps), fees included."
    )
