"""The engine of `placement`: compiled equal to plain, and what any order's account adds up to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.book import BookRules, build_book
from allocator.engine import as_row
from allocator.errors import NoPriceError
from allocator.money import INFINITE
from allocator.order import Latency, MakerFees, Order, ParameterColumns, Parameters, Rules
from allocator.placement.plain import execute_placed
from allocator.placement.policy import Placement
from allocator.runners import RUNNERS, Task
from feed.tape import Tape
from tests.support.resting import resting_tape
from tests.support.strategies import CENT, OPEN, SECOND, tapes

GRID = [
    Parameters(over, under, theta)
    for over, under, theta in ((0, 0, 0), (0, 5 * CENT, 0), (5 * CENT, 3 * CENT, CENT // 10), (INFINITE, INFINITE, 0))
]
RULES = Rules("persist", "sweep", 5 * CENT, 50_000_000, maker_fees=MakerFees(-2_000_000, ((1, 1_000_000),)))
POLICY = Placement(slice=5 * SECOND, samples=30)
LATE = Latency((0, SECOND // 4, 3 * SECOND), ((2, (SECOND,)),), seed=3)


def both(book, order, rules, policy, fees):
    """The rows of the plain engine and of the compiled one, for the grid."""
    task = Task.of(book, order, rules, policy, fees)
    plain = np.array([as_row(execute_placed(book, order, rules, fees, policy, point)) for point in GRID])
    return plain, RUNNERS["placed"](task, ParameterColumns.of(GRID))


CASES = [
    (RULES, POLICY, 1),
    (replace(RULES, liquidity="refresh"), replace(POLICY, at_T="buy"), 1),
    (replace(RULES, phi=0, latency=LATE), POLICY, 1),
    (replace(RULES, phi=10**9, latency=LATE), replace(POLICY, at_T="buy", adverse="none"), 3),
    (replace(RULES, leftover_band=None), replace(POLICY, posting="inside", condition="both"), 3),
    (replace(RULES, leftover="last_ask", leftover_band=None), replace(POLICY, posting="deep:1", condition="queue"), 3),
    (RULES, replace(POLICY, slice=25 * SECOND, reference="mid", catch_up=0, condition="volume"), 3),
]


def check(book, order, rules, policy):
    """Both engines agree, and the account adds up; the rows."""
    fees = [3_000_000, -1_000_000, 2_500_000, 0][: len(book.venues)]
    plain, compiled = both(book, order, rules, policy, fees)
    np.testing.assert_array_equal(compiled, plain)
    filled, unfilled, over = compiled[:, 0], compiled[:, 1], compiled[:, 2]
    assert (filled + unfilled - over == order.size).all()
    return compiled


@pytest.mark.parametrize(("case", "side"), [*product(range(len(CASES)), ("buy", "sell"))])
def test_the_compiled_engine_gives_the_rows_of_the_plain_one(case, side):
    rules, policy, depth = CASES[case]
    tape = resting_tape(10 * case + (side == "buy"), seconds=200, rate=3, depth=depth, trades=case % 3 != 0)
    book = build_book(tape, BookRules())
    for start, seconds, size in ((90, 35, 3_000), (25, 28, 901)):
        check(book, Order(side, size, OPEN + start * SECOND, OPEN + (start + seconds) * SECOND), rules, policy)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("latency", [Latency(), LATE])
def test_fills_beyond_the_order_are_booked_alike(side, latency):
    tape = resting_tape(0, seconds=200, rate=4, thin=True, venues=4)
    book = build_book(tape if side == "buy" else mirrored(tape), BookRules())
    rules, policy = replace(RULES, latency=latency), replace(POLICY, catch_up=0, adverse="none")
    order = Order(side, 60, OPEN + 80 * SECOND, OPEN + 85 * SECOND)
    assert (check(book, order, rules, policy)[:, 2] > 0).any()


@settings(max_examples=40)
@given(
    tapes(min_rows=10, max_rows=60),
    st.sampled_from(CASES),
    st.sampled_from(["buy", "sell"]),
    st.integers(0, 120),
    st.integers(1, 90),
    st.sampled_from([1, 99, 1_000]),
)
def test_odd_books_are_traded_alike(tape, case, side, start, seconds, size):
    rules, policy, _ = case
    book = build_book(tape, BookRules())
    begin = int(book.ts[0]) + start * SECOND
    order = Order(side, size, begin, begin + seconds * SECOND)
    try:
        check(book, order, rules, policy)
    except NoPriceError:  # which both engines raise
        with pytest.raises(NoPriceError):
            RUNNERS["placed"](Task.of(book, order, rules, policy, [0] * len(book.venues)), ParameterColumns.of(GRID))


def mirrored(tape):
    """Prices p become C - p, bids become asks, and buyers sellers."""
    constant = 20_000 * CENT

    def turned(px):
        return np.where(px > 0, constant - px, 0)

    trades = tape.trades
    return Tape.build(
        "XYZ", ts=tape.ts, venue=tape.venue, bid_px=turned(tape.ask_px), ask_px=turned(tape.bid_px),
        bid_sz=tape.ask_sz, ask_sz=tape.bid_sz, sequence=tape.sequence,
        trades={
            "ts": trades.ts, "venue": trades.venue, "px": turned(trades.px), "sz": trades.sz, "side": -trades.side,
            "sequence": trades.sequence,
        },
    )  # fmt: skip


@pytest.mark.parametrize("posting", ["touch", "inside"])
def test_a_sell_is_a_mirrored_buy(posting):
    tape, constant = resting_tape(8, seconds=200), 20_000 * CENT
    rules = replace(RULES, leftover_band=None, latency=LATE)
    span = OPEN + 90 * SECOND, OPEN + 130 * SECOND
    rows = []
    for each, side in ((tape, "buy"), (mirrored(tape), "sell")):
        book = build_book(each, BookRules(stub_band=-1))
        rows.append(check(book, Order(side, 2_000, *span), rules, replace(POLICY, posting=posting)))
    bought, sold = rows
    np.testing.assert_array_equal(sold[:, :3], bought[:, :3])
    np.testing.assert_array_equal(sold[:, 4], bought[:, 4])  # fees
    np.testing.assert_array_equal(sold[:, 3], bought[:, 0] * constant - bought[:, 3])
