"""How good predictions of fills were: by hand, and against the same in fractions, order by order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.fills import COLUMNS, VenueFills
from allocator.money import NANO
from allocator.order import UNBOUNDED, Rules
from allocator.placement.records import Decisions, LimitOrders, Placed
from sweep import caveats
from sweep.report import placement_section
from sweep.report.placement import sentence
from sweep.statistics import Outcome, placing
from sweep.statistics.calibration import Reliability, calibration, reliability
from tests.support.examples import examples

RULES = Rules("persist", "sweep", 0, phi=NANO // 4, rho=NANO // 10)


def limit_orders(*rows):
    """Of (run, venue, shares, expected, complete, filled, refused, tercile), probabilities in percent.

    Of each order a tenth of the shares filled are filled as the price goes through theirs.
    """
    return LimitOrders.of(
        [
            (
                *(
                    run,
                    0,
                    venue,
                    1,
                    shares,
                    9,
                    expected * NANO // 100,
                    complete * NANO // 100,
                    filled,
                    refused,
                    tercile,
                ),
                filled // 10,
            )
            for run, venue, shares, expected, complete, filled, refused, tercile in rows
        ]
    )


def sums_of(**columns):
    """`VenueFills` with these columns, the others 0."""
    size = len(columns["run"])
    return VenueFills(**{name: np.array(columns.get(name, [0] * size), np.int64) for name in COLUMNS})


def outcome_of(placed, venues=(), passive=()):
    nothing = np.zeros((2, 8), np.int64)
    return Outcome(nothing, (None,) * 2, venues, np.zeros((2, 10), np.int64), (0, 0), passive, placed)


ORDERS = limit_orders(
    (0, 2, 100, 80, 70, 100, 0, 0),
    (0, 43, 100, 50, 30, 20, 0, 1),
    (1, 2, 200, 60, 50, 250, 0, 2),
    (1, 2, 50, 10, 0, 0, 1, 2),
    (1, 8, 10, 100, 100, 0, 0, 0),
)
DECISIONS = Decisions.of(
    [
        (0, 5, 300, 100, 200, 200, 40 * NANO, 0, 0, 2 * NANO, -4 * NANO),
        (1, 5, 300, 0, 250, 100, 21 * NANO, 0, 1 + 4, -NANO, 8 * NANO),
        (1, 9, 90, 90, 0, 0, 0, 1, 0, 0, 0),
        (1, 9, 90, 80, 10, 60, 10 * NANO, 0, 2 + 4, 0, 0),
    ]
)
FILLED = sums_of(run=[0, 0, 1, 1], venue=[2, 43, 2, 11], shares=[150, 20, 260, 5])
PASSIVE = sums_of(
    run=[0, 0, 1],
    venue=[2, 43, 2],
    shares=[100, 20, 250],
    fees=[-200_000_000, 3_000_000, -500_000_000],
    mark_out_1s=[-(10**9), 10**8, -(5 * 10**9)],
    marked_1s=[100, 20, 250],
    mark_out_10s=[-(4 * 10**9), 0, 0],
    marked_10s=[100, 0, 0],
)


def figures():
    placed = Placed(DECISIONS, ORDERS)
    return placing(outcome_of((placed.of_runs(0, 1), placed.of_runs(1, 2).after(1)), (FILLED,), (PASSIVE,)))


def test_reliability_by_hand():
    whole = reliability(ORDERS)
    assert (whole.orders, whole.complete) == (5, 2)
    assert whole.predicted == Fraction("2.5") * NANO
    # errors .3, .3, .5, 0 and 1
    assert whole.squares == Fraction("1.43") * NANO**2
    assert whole.no_better  # .286 against .4 * .6
    made = calibration(ORDERS)
    assert [each.orders for each in made.bins] == [1, 0, 0, 1, 0, 1, 0, 1, 0, 1]
    assert [each.complete for each in made.bins] == [0, 0, 0, 0, 0, 1, 0, 1, 0, 0]
    assert {venue: (each.orders, each.complete) for venue, each in made.venues.items()} == {
        2: (3, 2),
        8: (1, 0),
        43: (1, 0),
    }
    assert [(each.orders, each.complete) for each in made.terciles] == [(2, 1), (1, 0), (2, 1)]
    assert not made.venues[2].no_better  # (.09 + .25 + 0) / 3 against 2/9


@examples(200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, NANO) | st.sampled_from([0, NANO // 10, NANO // 10 - 1, NANO]),
            st.integers(1, 2**31),
            st.integers(0, 2**32),
            st.sampled_from([2, 43, 8]),
            st.integers(0, 2),
        ),
        max_size=30,
    )
)
def test_reliability_is_that_of_fractions(rows):
    orders = LimitOrders.of(
        [(0, 0, venue, 1, shares, 9, 0, p, got, 0, third, 0) for p, shares, got, venue, third in rows]
    )

    def plain(keep):
        kept = [(Fraction(row[0], NANO), int(row[2] >= row[1])) for row in rows if keep(row)]
        return (
            len(kept),
            sum(y for _, y in kept),
            sum((p for p, _ in kept), Fraction(0)),
            sum(((p - y) ** 2 for p, y in kept), Fraction(0)),
        )

    def shown(each):
        return each.orders, each.complete, Fraction(each.predicted, NANO), Fraction(each.squares, NANO**2)

    made = calibration(orders)
    assert shown(made.whole) == plain(lambda _: True)
    for at, each in enumerate(made.bins):
        assert shown(each) == plain(lambda row, at=at: 10 * row[0] // NANO == at or (at == 9 and row[0] == NANO))
    assert {venue: shown(each) for venue, each in made.venues.items()} == {
        venue: plain(lambda row, venue=venue: row[3] == venue) for venue in {row[3] for row in rows}
    }
    assert [shown(each) for each in made.terciles] == [plain(lambda row, at=at: row[4] == at) for at in range(3)]
    count, hits, _, squares = plain(lambda _: True)
    if count:
        assert made.whole.no_better == (squares / count >= Fraction(hits, count) * (1 - Fraction(hits, count)))


def test_figures_of_all_orders_by_hand():
    made = figures()
    assert (made.slices, made.fallback, made.decided) == (4, 1, 3)
    assert made.violated == {"A1": 1, "A2": 1, "A3": 2}
    assert (made.rows, made.effective) == (360, 71 * NANO)
    assert (made.predicted, made.realised, made.bounded) == (NANO, 4 * NANO, True)
    assert list(made.venues) == [2, 8, 43]
    two, whole = made.venues[2], made.whole
    assert (two.sent, two.refused, two.shares, two.filled, two.all_filled) == (3, 1, 350, 350, 410)
    assert two.expected == (80 + 120 + 5) * NANO
    assert two.mark_outs[1] == (-6 * 10**9, 350)
    assert two.mark_outs[60] == (0, 0)
    assert (whole.sent, whole.shares, whole.filled, whole.all_filled) == (5, 460, 370, 435)
    assert whole.fees == -697_000_000
    assert placing(outcome_of(())) is None


def test_runs_are_counted_on_and_apart():
    placed = Placed(DECISIONS, ORDERS)
    again = placed.of_runs(1, 2)
    assert again.decisions.run.tolist() == [0, 0, 0]
    assert again.orders.venue.tolist() == [2, 2, 8]
    assert again.after(7).orders.run.tolist() == [7, 7, 7]


def test_the_section_is_of_exact_figures():
    section = placement_section(figures(), RULES, printed=False)
    assert section["queues"] == {"phi": 0.25, "rho": 0.1}
    assert section["decisions"] == {"slices": 4, "fallback": 1, "rows": 120.0, "effective_rows": 23.67}
    assert section["violations"] == {"A1": 1, "A2": 1, "A3": 2}
    assert section["cost"] == {"predicted": 0.5, "realised": 2.0}
    assert section["venues"]["2"] == {
        "sent": 3,
        "refused": 1,
        "shares": 350,
        "expected": 205.0,
        "filled": 350,
        "through_percent": 10.0,
        "fill_rate_percent": 100.0,
        "passive_percent": 85.37,
        "fees": -0.7,
        "fees_per_share": -0.002,
        "mark_out_per_share": {"1s": -0.0086, "10s": -0.02, "60s": None},
    }
    nothing = section["venues"]["8"]
    assert (nothing["filled"], nothing["fees_per_share"], nothing["passive_percent"]) == (0, None, None)
    assert section["calibration"]["brier"] == 0.286
    assert section["calibration"]["brier_of_base_rate"] == 0.24
    assert section["calibration"]["bins"][7] == {
        "from": 0.7,
        "to": 0.8,
        "orders": 1,
        "predicted": 0.7,
        "realised": 1.0,
    }
    assert section["calibration"]["bins"][1]["predicted"] is None
    assert placement_section(figures(), RULES, printed=True)["queues"]["rho"] is None
    neutral = placement_section(figures(), Rules("persist", "sweep", 0), printed=True)
    assert neutral["queues"]["phi"] == "neutral"


def test_a_cost_with_an_infinite_penalty_is_none():
    decisions = Decisions.of([(0, 0, 1, 0, 1, 50, NANO, 0, 0, 5, UNBOUNDED)])
    made = placing(outcome_of((Placed(decisions, ORDERS),)))
    assert placement_section(made, RULES, printed=True)["cost"] == {"predicted": None, "realised": None}


def test_a_policy_that_decided_nothing_has_a_section():
    made = placing(outcome_of((Placed(Decisions.of([]), LimitOrders.of([])),)))
    section = placement_section(made, RULES, printed=True)
    assert section["decisions"]["effective_rows"] is None
    assert section["limit_orders"]["sent"] == 0
    assert section["calibration"]["brier"] is None
    assert section["calibration"]["no_better"] is False
    assert [*caveats.placed(section)] == []


@pytest.mark.parametrize(
    ("whole", "says"),
    [
        (Reliability(0, 0, 0, 0), "no limit order was sent, so that no prediction of a fill can be judged"),
        (
            Reliability(1, 1, 0, 0),
            "each of 1 limit order was filled wholly, so that predictions of fills cannot be told",
        ),
        (Reliability(3, 0, 0, 5), "none of 3 limit orders was filled wholly, so that predictions"),
        (
            Reliability(4, 1, 0, NANO**2),
            "predictions of fills are no better than their base rate of 25.00 % (Brier score 0.2500 against 0.1875, 4",
        ),
        (
            Reliability(1000, 500, 0, 100 * NANO**2),
            "predictions of fills are better than their base rate of 50.00 % (Brier score 0.1000 against 0.2500, 1,",
        ),
    ],
)
def test_one_sentence_says_whether_predictions_are_any_good(whole, says):
    assert sentence(whole).startswith(says)


def test_what_speaks_against_decisions_is_warned_of():
    lines = [*caveats.placed(placement_section(figures(), RULES, printed=False))]
    starts = [
        "a tape shows no trades of these venues: of each decrease of a queue there, rho=0.1 is taken",
        "placement: 1 of 4 slices were decided as static does",
        "placement: A1 does not hold in 1 of 3 decisions (a passive fill costs more than the mid",
        "placement: A2 does not hold in 1 of 3 decisions (shares too many are cheap",
        "placement: A3 does not hold in 2 of 3 decisions (shares missing are cheap",
        "placement: predictions of fills are no better than their base rate of 40.00 % (Brier score 0.2860",
    ]
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)
    assert [*caveats.placed(None)] == []
