"""`placement` on tapes made by hand: what each rule of the fill engine does, to the cent; and nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocator.book import BookRules, build_book
from allocator.errors import AllocatorError, NoPriceError
from allocator.money import INFINITE
from allocator.order import Latency, MakerFees, Order, ParameterColumns, Parameters, Rules
from allocator.placement.agenda import agenda_of, slices_of
from allocator.placement.plain import execute_placed
from allocator.placement.policy import FEWEST_SAMPLES, Placement
from allocator.placement.situation import past_outflow, situation
from allocator.simulate import trace_combination
from feed.tape import Tape
from tests.support.resting import resting_tape
from tests.support.strategies import CENT, OPEN, SECOND

BID, ASK = 9_999, 10_001
T = 10 * SECOND
POLICY = Placement(slice=T, samples=200, adverse="none", catch_up=0)
RULES = Rules("persist", "sweep", 5 * CENT, 50_000_000, phi=0, maker_fees=MakerFees(-2_000_000))
FEE = 3_000_000
LIMITS_ONLY = Parameters(10 * CENT, 0, 0)
"""Nothing is lost by missing a share, and much by one too many: all shares rest, none is bought."""
ALL_AT_ONCE = Parameters(0, INFINITE, 0)
BEGIN = 600
"""Seconds after the open at which orders start: long enough for past windows."""


def tape_of(rows, prints=()):
    """A tape of one venue that shows 300 at 99.99 and 5,000 at 100.01 each second, until `rows` say something else.

    Rows are (second, bid size, ask size, bid, ask); prints are (second, price, shares, aggressor).
    """
    shown = {float(second): (300, 5_000, BID, ASK) for second in range(BEGIN + 1)}
    shown |= {float(second): tuple(rest) for second, *rest in rows}
    seconds = sorted(shown)
    bid_sz, ask_sz, bid, ask = np.array([shown[second] for second in seconds], np.int64).T
    ts = OPEN + np.array([int(second * 10) for second in seconds]) * (SECOND // 10)
    at, price, shares, side = np.array(prints or np.zeros((0, 4)), float).reshape(-1, 4).T
    return Tape.build(
        "XYZ", ts=ts, venue=np.full(len(ts), 2), bid_px=bid * CENT, ask_px=ask * CENT, bid_sz=bid_sz, ask_sz=ask_sz,
        sequence=np.arange(len(ts)),
        trades={
            "ts": OPEN + (at * 10).astype(np.int64) * (SECOND // 10), "venue": np.full(len(at), 2),
            "px": price.astype(np.int64) * CENT, "sz": shares.astype(np.int64), "side": side.astype(np.int64),
            "sequence": np.arange(len(at)),
        },
    )  # fmt: skip


def place(tape, order, parameters, rules=RULES, policy=POLICY):
    """Run an order compiled, and check that the plain engine agrees; its trace."""
    book = build_book(tape, BookRules())
    traced = trace_combination(book, order, rules, policy, [FEE], ParameterColumns.of([parameters]))
    assert execute_placed(book, order, rules, [FEE], policy, parameters) == traced.execution
    return traced


def order_of(size=400, seconds=20, side="buy"):
    """An order that begins after the past windows."""
    start = OPEN + BEGIN * SECOND
    return Order(side, size, start, start + seconds * SECOND)


QUIET = [(BEGIN + 5, 300, 5_000, BID, ASK), (BEGIN + 10, 300, 5_000, BID, ASK), (BEGIN + 20, 300, 5_000, BID, ASK)]


def test_what_does_not_fill_is_bought_at_the_end_by_the_leftover_rule():
    run = place(tape_of(QUIET), order_of(), LIMITS_ONLY).execution
    assert (run.filled, run.unfilled, run.cash_filled) == (400, 0, 400 * (ASK * CENT + FEE))


def test_an_order_that_nothing_may_miss_is_bought_slice_by_slice():
    traced = place(tape_of(QUIET), order_of(), ALL_AT_ONCE)
    assert traced.fills[:, [2, 4]].tolist() == [[200, 0], [200, 0]]
    assert traced.placed.decisions.market.tolist() == [200, 200]


def test_prints_beyond_the_queue_fill_a_limit_order_at_its_price_less_the_rebate():
    prints = [(BEGIN + 3, BID, 350, -1), (BEGIN + 13, BID, 100, -1), (BEGIN + 14, BID, 250, 1)]
    traced = place(tape_of(QUIET, prints), order_of(), LIMITS_ONLY)
    # 300 were ahead: 50 of the first print are ours; then 300 again, of which 100 go; a buyer's print is another side's
    assert traced.fills[:, [2, 3, 4]].tolist() == [[50, BID * CENT, 1], [350, ASK * CENT, 0]]
    passive, bought = 50 * (BID * CENT - 2_000_000), 350 * (ASK * CENT + FEE)
    assert traced.execution.cash_filled == passive + bought
    assert traced.execution.fees == -50 * 2_000_000 + 350 * FEE
    assert traced.placed.orders.filled.tolist() == [50, 0]
    assert traced.placed.orders.queue.tolist() == [300, 300]


def test_a_print_through_the_price_fills_the_whole_order():
    prints = [(BEGIN + 2, BID, 350, -1), (BEGIN + 6, BID - 1, 1, -1)]
    traced = place(tape_of(QUIET, prints), order_of(), LIMITS_ONLY)
    assert traced.fills[:2, [2, 4]].tolist() == [[50, 1], [150, 1]]
    assert traced.placed.orders.through.tolist()[0] == 150  # of which only one share is known to have traded


def test_an_ask_that_comes_to_the_price_fills_the_whole_order():
    rows = [*QUIET, (BEGIN + 4, 300, 5_000, BID - 2, BID)]
    assert place(tape_of(rows), order_of(), LIMITS_ONLY).fills[0, [2, 3, 4]].tolist() == [200, BID * CENT, 1]


def test_a_bid_that_falls_below_fills_nothing_and_leaves_nobody_ahead():
    rows = [(BEGIN + 5, 300, 5_000, BID - 1, ASK), (BEGIN + 6, 80, 5_000, BID, ASK), *QUIET[1:]]
    traced = place(tape_of(rows, [(BEGIN + 8, BID, 30, -1)]), order_of(), LIMITS_ONLY)
    assert traced.fills[0, [2, 4]].tolist() == [30, 1]


def test_a_trade_and_the_row_that_follows_it_are_one_event():
    # the print of 200 leaves 100 ahead; the row that shows 100 says the same, not that all others left as well
    rows = [(BEGIN + 4, 100, 5_000, BID, ASK), *QUIET[1:]]
    for phi in (0, 10**9):
        traced = place(
            tape_of(rows, [(BEGIN + 3, BID, 200, -1), (BEGIN + 5, BID, 150, -1)]), order_of(), LIMITS_ONLY,
            rules=replace(RULES, phi=phi),
        )  # fmt: skip
        assert traced.fills[0, [2, 4]].tolist() == [50, 1]


def test_who_cancels_is_assumed_by_phi():
    rows = [(BEGIN + 4, 100, 5_000, BID, ASK), *QUIET[1:]]
    prints = [(BEGIN + 5, BID, 290, -1)]
    # 200 of 300 leave: none of them, two in three, or all that can, were ahead of us (behind whom nobody stood)
    filled = {phi: place(tape_of(rows, prints), order_of(), LIMITS_ONLY, rules=replace(RULES, phi=phi)).fills[0, 2]
              for phi in (0, 10**9)}  # fmt: skip
    assert filled == {0: 190, 10**9: 190}


def test_without_trades_a_share_of_each_decrease_is_taken_to_trade():
    rows = [(BEGIN + 4, 100, 5_000, BID, ASK), (BEGIN + 5, 0, 5_000, BID, ASK), *QUIET[1:]]
    rules = replace(RULES, rho=10**9)
    assert place(tape_of(rows), order_of(), LIMITS_ONLY, rules=rules).fills[:, 4].tolist() == [0]
    rows = [(BEGIN + 4, 350, 5_000, BID, ASK), (BEGIN + 5, 20, 5_000, BID, ASK), *QUIET[1:]]
    assert place(tape_of(rows), order_of(), LIMITS_ONLY, rules=rules).fills[0, [2, 4]].tolist() == [30, 1]


def test_latency_delays_the_order_and_its_cancel_and_fills_during_it_count():
    late = replace(RULES, latency=Latency((2 * SECOND,)))
    rows = [(BEGIN + second, 300, 5_000, BID, ASK) for second in (2, 10, 12, 20)]
    # joins at 2 s behind 300; at 10 s the next slice cancels it, which arrives at 12 s
    prints = [(BEGIN + 1, BID, 1_000, -1), (BEGIN + 11, BID, 340, -1)]
    traced = place(tape_of(rows, prints), order_of(), LIMITS_ONLY, rules=late)
    assert traced.fills[:, [0, 2, 4]].tolist()[0][1:] == [40, 1]


def test_fills_beyond_the_order_are_sold_at_once():
    late = replace(RULES, latency=Latency((2 * SECOND,)))
    rows = [(BEGIN + second, 300, 5_000, BID, ASK) for second in (2, 10, 11, 12, 20)]
    # 200 rest until 12 s, and the second slice sends for 400 more at 10 s, as nothing has filled: then both fill
    prints = [(BEGIN + 11, BID - 1, 10, -1), (BEGIN + 13, BID - 1, 10, -1)]
    traced = place(tape_of(rows, prints), order_of(), LIMITS_ONLY, rules=late)
    run = traced.execution
    assert (run.filled, run.overfilled, run.unfilled) == (600, 200, 0)
    assert run.overfilled_value == 200 * (BID * CENT - FEE)


@pytest.mark.filterwarnings("ignore:overflow")  # of plain numpy, where kernels are not compiled
def test_fills_beyond_the_order_that_exact_money_cannot_hold_are_refused():
    late = replace(RULES, latency=Latency((2 * SECOND,)))
    rows = [(BEGIN + second, 300, 5_000, BID, ASK) for second in (2, 10, 11, 12, 20)]
    prints = [(BEGIN + 11, BID - 1, 10, -1), (BEGIN + 13, BID - 1, 10, -1)]
    # the order's own shares fit, and those half as many again that fill do not
    with pytest.raises(AllocatorError, match="60,000,000 shares filled"):
        place(tape_of(rows, prints), order_of(40_000_000), LIMITS_ONLY, rules=late)


def test_an_order_whose_maker_fees_exact_money_cannot_hold_is_refused():
    dear = replace(RULES, maker_fees=MakerFees(0, ((2, 10**12),)))
    with pytest.raises(AllocatorError, match="at most 4,1"):
        place(tape_of(QUIET), order_of(40_000_000), LIMITS_ONLY, rules=dear)


def test_what_would_take_on_arrival_is_refused():
    late = replace(RULES, latency=Latency((2 * SECOND,)))
    rows = [(BEGIN + 1, 300, 5_000, BID - 2, BID - 1), (BEGIN + 2, 300, 5_000, BID - 2, BID - 1), *QUIET[1:]]
    traced = place(tape_of(rows), order_of(), LIMITS_ONLY, rules=late)
    assert traced.placed.orders.refused.tolist() == [1, 0]
    assert traced.placed.orders.filled.tolist() == [0, 0]


def test_at_the_end_of_a_slice_what_it_misses_is_rolled_or_bought():
    buying = replace(POLICY, at_T="buy")
    market = [place(tape_of(QUIET), order_of(), LIMITS_ONLY, policy=policy).placed.decisions.market.tolist()
              for policy in (POLICY, buying)]  # fmt: skip
    assert market == [[0, 0], [0, 200]]


def test_at_the_end_of_a_slice_what_it_misses_is_bought_by_whoever_decides():
    # a tau of 0 from the mid takes nothing of its own accord; a bid that is gone leaves no mid to decide by
    early = Order("buy", 400, OPEN + 30 * SECOND, OPEN + 50 * SECOND)
    dear = replace(POLICY, reference="mid", at_T="buy")
    traced = place(tape_of(QUIET), early, Parameters(0, 0, 0), policy=dear)
    assert traced.placed.decisions.fallback.tolist() == [1, 1]
    assert traced.placed.decisions.market.tolist() == [0, 200]
    assert traced.fills[:, 2].tolist() == [200, 200]
    rows = [QUIET[0], (BEGIN + 10, 0, 5_000, 0, ASK), QUIET[2]]
    traced = place(tape_of(rows), order_of(), LIMITS_ONLY, policy=dear)
    assert traced.placed.decisions.fallback.tolist() == [0, 1]
    assert traced.placed.decisions.market.tolist() == [0, 200]


def test_too_few_past_windows_leave_the_slice_to_static():
    early = Order("buy", 400, OPEN + 30 * SECOND, OPEN + 50 * SECOND)
    traced = place(tape_of(QUIET), early, Parameters(0, CENT, 0))
    assert traced.placed.decisions.fallback.tolist() == [1, 1]
    assert traced.fills[:, [2, 4]].tolist() == [[200, 0], [200, 0]]
    nothing = place(tape_of(QUIET), early, Parameters(0, 0, 0), policy=replace(POLICY, reference="mid"))
    assert nothing.placed.decisions.market.tolist() == [0, 0]


def test_a_locked_market_gets_no_limit_orders():
    rows = [(float(BEGIN), 300, 5_000, ASK, ASK), *QUIET]
    traced = place(tape_of(rows), order_of(), LIMITS_ONLY)
    assert traced.placed.decisions.limits.tolist()[0] == 0


def test_assumptions_that_do_not_hold_are_noted():
    # missing costs nothing: A3; lambda_over below what a passive fill gains: A2
    assert place(tape_of(QUIET), order_of(), Parameters(0, 0, 0)).placed.decisions.violated.tolist() == [6, 6]
    mild = Parameters(10 * CENT, 10 * CENT, 0)
    assert place(tape_of(QUIET), order_of(), mild).placed.decisions.violated.tolist() == [0, 0]


def test_predictions_are_those_of_the_past_windows():
    # every window of the past looked the same: a print of 320 each 10 s passes the 300 ahead by 20
    prints = [(second, BID, 320, -1) for second in range(5, BEGIN + 20, 10)]
    traced = place(tape_of(QUIET, prints), order_of(40), LIMITS_ONLY)
    orders = traced.placed.orders
    assert orders.shares.tolist()[0] == 20
    assert orders.complete.tolist()[0] == orders.expected.tolist()[0] == 10**9
    assert orders.filled.tolist()[0] == 20
    decisions = traced.placed.decisions
    gain = (ASK - BID) * CENT + 2 * 2_000_000  # half 1e-9 $: the spread, and twice the rebate
    assert decisions.predicted.tolist()[0] == decisions.realised.tolist()[0] == -20 * gain


def test_penalties_that_the_solver_cuts_are_predicted_in_full():
    # 5,000 of 10,000 shares are offered, and nothing ever fills: the others will be missing
    for penalty, cost in ((INFINITE, 2**60), (10**5 * CENT, 5_000 * 2 * 10**5 * CENT)):
        decisions = place(tape_of(QUIET), order_of(20_000), Parameters(0, penalty, 0)).placed.decisions
        spread = 0 if penalty == INFINITE else 5_000 * ((ASK - BID) * CENT + 2 * FEE)
        assert decisions.predicted.tolist()[0] == decisions.realised.tolist()[0] == cost + spread


@pytest.mark.parametrize("length", [7 * SECOND, T])
def test_windows_alike_in_volume_are_those_that_began_after_as_much_had_traded(length):
    # where the spread is a tick nothing is posted inside it; what trades then is known all the same
    rows = [(second, 300, 5_000, BID, ASK - (second % 40 >= 20)) for second in range(BEGIN)]
    prints = [(second, BID, 10 + second % 40, -1) for second in range(1, BEGIN + 20)]
    policy = replace(POLICY, slice=length, posting="inside", condition="volume", samples=80)
    book = build_book(tape_of([*rows, *QUIET], prints), BookRules())
    order = order_of()
    agenda = agenda_of(book, order, RULES, policy)
    history = past_outflow(book, order, RULES, policy, [FEE], int(agenda.slices.decided[0]))
    now = situation(book, order, RULES, policy, agenda, history, 0)
    usable = np.flatnonzero(history.usable & (history.end <= order.start))[-80:]

    def traded(begin):
        """What traded in the last window that had ended by then, on the grid of windows."""
        last = np.flatnonzero(history.end <= begin)[-1]
        return sum(shares for second, _, shares, _ in prints
                   if history.start[last] < OPEN + second * SECOND <= history.end[last])  # fmt: skip

    before = np.array([traded(history.start[row]) for row in usable])
    low, high = np.sort(before)[[len(before) // 3, 2 * len(before) // 3]]
    thirds = (before >= low).astype(int) + (before >= high)
    present = traded(order.start)
    alike = usable[thirds == int(present >= low) + int(present >= high)]
    assert FEWEST_SAMPLES <= len(alike) < len(usable)
    assert now.through.tolist() == np.clip(history.xi[alike], 0, order.size).T.tolist()
    # moments that no window looks at tell nothing
    tenth = SECOND // 10
    moments = {at // tenth for row in alike for at in range(history.start[row], history.end[row], tenth)}
    assert now.effective / 10**9 == pytest.approx(len(moments) * tenth / length, rel=0.01)


def test_slices_without_a_snapshot_leave_their_shares_to_the_next():
    book = build_book(tape_of([(BEGIN + 25, 300, 5_000, BID, ASK)]), BookRules())
    cuts = slices_of(book, order_of(seconds=30), T, Latency())
    assert cuts.count == 3
    assert cuts.number.tolist() == [0, 2]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_nothing_that_comes_later_changes_what_was_decided(side):
    tape = resting_tape(5, seconds=500)
    order = Order(side, 2_000, OPEN + 200 * SECOND, OPEN + 320 * SECOND)
    changed_from = OPEN + 261 * SECOND
    rng = np.random.default_rng(0)
    later = tape.ts >= changed_from
    shuffled = rng.permutation(np.flatnonzero(later))
    columns = {name: getattr(tape, name).copy() for name in ("bid_px", "ask_px", "bid_sz", "ask_sz", "venue")}
    for column in columns.values():
        column[later] = column[shuffled]
    trades = {name: getattr(tape.trades, name) for name in ("ts", "venue", "px", "sz", "side", "sequence")}
    keeps = tape.trades.ts < changed_from
    other = Tape.build(
        "XYZ", ts=tape.ts, sequence=tape.sequence, **columns,
        trades={name: column[keeps] for name, column in trades.items()},
    )  # fmt: skip
    sent = []
    for each in (tape, other):
        book = build_book(each, BookRules())
        rules = Rules("persist", "sweep", 5 * CENT, 50_000_000)
        traced = trace_combination(
            book, order, rules, Placement(slice=T), [FEE] * 3, ParameterColumns.of([Parameters(CENT, CENT, 0)])
        )
        decisions, orders = traced.placed.decisions, traced.placed.orders
        early = book.ts[decisions.snapshot] < changed_from
        soon = book.ts[orders.snapshot] < changed_from
        assert early.sum() >= 5
        sent.append((
            *(getattr(decisions, name)[early].tolist() for name in ("size", "market", "limits", "rows", "predicted")),
            *(getattr(orders, name)[soon].tolist() for name in ("venue", "price", "shares", "queue", "complete")),
        ))  # fmt: skip
    assert sent[0] == sent[1]


@pytest.mark.parametrize("tape", [tape_of([]), tape_of([]).clip(0, 1)], ids=["nothing after the start", "nothing"])
def test_an_order_without_a_snapshot_decides_nothing(tape):
    after = Order("buy", 400, OPEN + (BEGIN + 5) * SECOND, OPEN + (BEGIN + 9) * SECOND)
    book = build_book(tape, BookRules())
    if not tape.rows:
        with pytest.raises(NoPriceError):
            trace_combination(book, after, RULES, POLICY, [], ParameterColumns.of([LIMITS_ONLY]))
        with pytest.raises(NoPriceError):
            execute_placed(book, after, RULES, [], POLICY, LIMITS_ONLY)
        return
    traced = place(tape, after, LIMITS_ONLY)
    assert traced.execution.unfilled == 400
    assert len(traced.placed.decisions.run) == 0


def test_a_price_of_later_between_two_cents_changes_nothing_before_it():
    quiet = [(BEGIN + 5, 300, 5_000, BID, ASK + 3), (BEGIN + 10, 300, 5_000, BID, ASK + 3)]
    rows = [(float(second), 300, 5_000, BID, ASK + 3) for second in range(BEGIN + 1)]
    tape, inside = tape_of([*rows, *quiet]), replace(POLICY, posting="inside")
    later = Tape.build(
        "XYZ",
        **{name: np.append(getattr(tape, name), getattr(tape, name)[-1]) for name in ("venue", "bid_sz", "ask_sz")},
        ts=np.append(tape.ts, tape.ts[-1] + SECOND),
        sequence=np.append(tape.sequence, 10**6),
        bid_px=np.append(tape.bid_px, BID * CENT + CENT // 10),
        ask_px=np.append(tape.ask_px, ASK * CENT),
    )
    for each in (tape, later):
        orders = place(each, order_of(seconds=10), LIMITS_ONLY, policy=inside).placed.orders
        assert orders.price.tolist() == [(BID + 1) * CENT]
