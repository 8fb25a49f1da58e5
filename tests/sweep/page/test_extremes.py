"""Best and worst orders: which they are, and their figures."""

from __future__ import annotations

import pandas as pd
import pytest

from sweep.page.element import html
from sweep.page.paired import paired
from sweep.page.sections.extremes import by_saving, extremes
from tests.support.paper_run import (
    FILLS,
    HOSTILE,
    document_of,
    feed_of,
    lead,
    made_run,
    orders_frame,
    tables,
    venues_frame,
    words,
)


def many(savings):
    """A run of orders of 100 shares, each of which saves so many cents a share."""
    orders = [("buy", 100)] * len(savings)
    fills = [
        each
        for at, saved in enumerate(savings)
        for each in (("optimized", at, 1, 2, 100, 10000 - saved, False), ("best_ask", at, 1, 2, 100, 10000, False))
    ]
    return made_run(
        orders=orders_frame(fills, orders), venues=venues_frame(fills), paths=pd.DataFrame({"position": [0]}).iloc[:0]
    )


def test_few_orders_are_all_shown_once():
    made = extremes(made_run())

    assert tables(made) == {
        "All orders, the largest saving first": [
            ["Order", "Start, UTC", "Side", "Shares", "Arrival mid, $", "Average, best combination, $",
             "Average, best_ask, $", "Saved, $", "Saved, bps", "Fills, best combination", "Fills, best_ask"],
            ["0", "14:30:00", "buy", "1,000", "100.0000", "100.0154", "100.0330", "+17.60", "+1.76", "2", "1"],
            ["1", "14:31:00", "sell", "500", "100.0000", "99.9810", "99.9870", "-3.00", "-0.60", "1", "1"],
        ]
    }  # fmt: skip


def test_the_lead_sums_them_up():
    # 17.60 - 3.00 of 150,000 $
    assert lead(extremes(made_run())) == "The 2 orders save 14.60 $ (+0.97 bps) together, from -0.60 to +1.76 bps each."


def test_one_order():
    orders = [("buy", 1000)]
    own = [each for each in FILLS if each[1] == 0]
    made = extremes(made_run(orders=orders_frame(own, orders), venues=venues_frame(own)))

    assert lead(made) == "The order saves 17.60 $ (+1.76 bps)."


def test_what_fills_nothing_has_no_price():
    own = [each for each in FILLS if each[0] != "optimized"]
    made = extremes(made_run(orders=orders_frame(own), venues=venues_frame(own)))
    _, *rows = tables(made)["All orders, the largest saving first"]

    assert [row[5] for row in rows] == ["none", "none"]
    assert [row[9] for row in rows] == ["0", "0"]


def test_ten_at_each_end_and_the_rest_in_words():
    made = extremes(many(list(range(25))))
    best, worst = tables(made).values()

    assert [row[0] for row in best[1:]] == [str(at) for at in range(24, 14, -1)]
    assert [row[0] for row in worst[1:]] == [str(at) for at in range(10)]
    # 10 to 14 cents a share on 100 shares each: 60 $ of 50,000 $
    assert lead(made).endswith("without the ten best and the ten worst, the other 5 save 60.00 $ (+12.00 bps).")


@pytest.mark.parametrize(
    ("savings", "best", "inner", "worst"),
    [
        ([0] * 21, list(range(10)), [20], list(range(10, 20))),
        ([0] * 20, list(range(20)), [], []),
        ([1] + [0] * 21, [0, *range(1, 10)], [20, 21], list(range(10, 20))),
    ],
)
def test_ties_go_by_position_and_no_order_is_shown_twice(savings, best, inner, worst):
    assert by_saving(paired(many(savings))) == (best, inner, worst)


def test_orders_whose_path_is_drawn_are_links():
    links = [(words(link), link.get("href")) for link in extremes(made_run()).iter("a")]

    assert links == [("0", "#path-0"), ("1", "#path-1")]


def test_several_tapes_are_named_and_escaped():
    each = [feed_of(symbol=HOSTILE), feed_of()]
    made = extremes(made_run(document_of(feed=feed_of(tapes=each))))

    assert tables(made)["All orders, the largest saving first"][1][1] == f"{HOSTILE} 2025-03-12"
    assert "<img" not in html(made)


def test_fills_that_are_not_known_are_not_counted():
    made = extremes(made_run(venues=venues_frame([each for each in FILLS if each[0] != "best_ask"])))
    _, *rows = tables(made)["All orders, the largest saving first"]

    assert [row[-2:] for row in rows] == [["2", "none"], ["1", "none"]]


@pytest.mark.filterwarnings("error")
def test_orders_without_notional_have_no_bps():
    orders = orders_frame([], mid=0)

    assert lead(extremes(made_run(orders=orders))) == "The 2 orders save 0.00 $ together."
