"""A shortfall and its parts: by hand, against recorded fills, and on a market that only drifts."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.baselines import twap_slices
from allocator.book import BookRules, build_book
from allocator.engine import execute
from allocator.errors import NoPriceError
from allocator.fills import stood_mids
from allocator.order import Order, ParameterColumns, Parameters, Rules, execution_of
from allocator.policies import Static
from allocator.shortfall import Shortfall, shortfall, trace_fills, trace_row
from allocator.simulate import run_combinations, trace_baselines, trace_combination
from tests.allocator.test_book import tape_of
from tests.allocator.test_engine import GRID, cases, outcome, policies
from tests.allocator.traced import comparable, rows_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND

FAIR = Rules("persist", "sweep", 50_000_000)
FEE = 3_000_000


@examples(60)
@given(cases(), st.sampled_from(["fair", "classic"]))
def test_the_compiled_schedules_fill_when_the_reference_engine_does(case, conventions):
    book, order, rules, fees = case
    kernel, reference = (
        outcome(lambda engine=engine: comparable(trace_baselines(book, order, rules, fees, conventions, engine=engine)))
        for engine in ("kernel", "reference")
    )
    assert kernel == reference


@examples(60)
@given(cases(), policies)
def test_a_combination_fills_when_the_reference_engine_does_and_its_parts_are_those_of_its_fills(case, policy):
    book, order, rules, fees = case
    arrival2 = book.arrival(order)[1]
    stood = stood_mids(book)
    for parameters in GRID:
        try:
            run = execute(book, order, rules, fees, policy, parameters, record=True)
        except NoPriceError:
            assume(False)
        again = trace_combination(book, order, rules, policy, fees, ParameterColumns.of([parameters]))
        trace = trace_row(book, *trace_fills(stood, run))
        assert comparable(again) == (replace(run, fills=()), trace, rows_of(run))
        assert trace.first == (int(book.ts[run.fills[0].snapshot]) if run.fills else None)
        assert trace.last == (int(book.ts[run.fills[-1].snapshot]) if run.fills else None)
        parts = shortfall(order, run, trace, arrival2)
        assert parts.timing + parts.execution == order.sign * (2 * run.total_cash - order.size * arrival2)
        if not run.overfilled:
            paid = sum(fill.shares * (2 * fill.price - int(stood[fill.snapshot])) for fill in run.fills)
            assert parts.spread == order.sign * paid


def test_the_parts_of_an_order_by_hand():
    # a mid of 100 that rises to 110, a cent of half spread, 30 shares at each of two snapshots, 40 left
    book = build_book(tape_of((0, 1, 9_999, 30, 10_001, 30), (60, 1, 10_999, 30, 11_001, 30)), BookRules())
    order = Order("buy", 100, OPEN, OPEN + 60 * SECOND)
    traced = trace_baselines(book, order, FAIR, [FEE], "fair")["best_ask"]
    run, trace = traced.execution, traced.trace
    assert traced.fills.tolist() == [[0, 0, 30, 10_001 * CENT], [1, 0, 30, 11_001 * CENT]]
    assert (trace.first, trace.last) == (OPEN, OPEN + 60 * SECOND)
    assert shortfall(order, run, trace, 20_000 * CENT) == Shortfall(
        timing=30 * 2 * 1_000 * CENT,
        spread=60 * 2 * CENT,
        fees=60 * 2 * FEE,
        leftover=40 * (2 * (11_001 * CENT + FEE + 50_000_000) - 20_000 * CENT),
    )


def test_excess_that_is_sold_back_is_a_fill_of_the_other_sign():
    book = build_book(tape_of((0, 1, 9_999, 500, 10_001, 500)), BookRules())
    order, policy = Order("buy", 130, OPEN, OPEN), Static(lots_only=True)
    parameters = ParameterColumns.of([Parameters(0, 10**9, 0)])
    row = run_combinations(book, order, FAIR, policy, [FEE], parameters).rows[0]
    run = execution_of(row.tolist())
    assert (run.filled, run.overfilled) == (200, 70)
    again = trace_combination(book, order, FAIR, policy, [FEE], parameters)
    assert again.execution == run
    assert again.fills.tolist() == [[0, 0, 200, 10_001 * CENT]]  # what is sold back is no fill
    parts = shortfall(order, run, again.trace, 20_000 * CENT)
    assert parts == Shortfall(timing=0, spread=270 * 2 * CENT, fees=270 * 2 * FEE, leftover=0)


@pytest.mark.parametrize("step", [1, -1])
def test_on_a_market_that_only_drifts_a_buy_and_a_sell_save_opposite_sums_and_all_of_it_is_timing(step):
    rows = [(60 * k, 1, 9_999 + k * step, 100, 10_001 + k * step, 100) for k in range(11)]
    book = build_book(tape_of(*rows), BookRules())
    saved = {}
    for side in ("buy", "sell"):
        order = Order(side, 100, OPEN, OPEN + 600 * SECOND)
        runs = trace_baselines(book, order, FAIR, [FEE], "fair")
        at_once, spread_out = (
            shortfall(order, runs[name].execution, runs[name].trace, book.arrival(order)[1])
            for name in ("best_ask", "twap")
        )
        assert spread_out.execution == at_once.execution
        saved[side] = spread_out.timing - at_once.timing
        assert (
            2 * (runs["twap"].execution.total_cash - runs["best_ask"].execution.total_cash) * order.sign == saved[side]
        )
    # 10 shares a minute, k cents later each
    assert saved == {"buy": 2 * step * 10 * 45 * CENT, "sell": -2 * step * 10 * 45 * CENT}


@pytest.mark.parametrize("standing", [False, True])
def test_slices_without_quotes_are_those_in_which_none_is_shown(standing):
    rows = [(0, 1, 99, 1, 101, 1), (130, 1, 99, 1, 101, 1), (200, 1, 99, 1, 0, 0)]
    book = build_book(tape_of(*rows), BookRules())
    ten = OPEN, OPEN + 600 * SECOND
    assert twap_slices(book, Order("buy", 9, *ten), "fair", standing=standing) == (10, 2 + standing)
    assert twap_slices(book, Order("sell", 9, *ten), "fair", standing=standing) == (10, 3 + standing)
    assert twap_slices(book, Order("buy", 9, *ten), "classic", standing=standing) == (3, 2 + standing)
    late = Order("buy", 9, OPEN + 300 * SECOND, OPEN + 600 * SECOND)
    assert twap_slices(book, late, "fair", standing=standing) == (5, 0)


def test_a_thin_stock_is_quoted_in_the_minutes_between_its_updates():
    book = build_book(tape_of(*((400 * k, 1, 99, 1, 101, 1) for k in range(10))), BookRules())
    order = Order("buy", 9, OPEN + 100 * SECOND, OPEN + 3_600 * SECOND)
    assert twap_slices(book, order, "fair", standing=True) == (59, 59)
    assert twap_slices(book, order, "fair", standing=False) == (59, 9)
    early = Order("buy", 9, OPEN - 600 * SECOND, OPEN + 3_600 * SECOND)
    assert twap_slices(book, early, "fair", standing=True) == (70, 60)
