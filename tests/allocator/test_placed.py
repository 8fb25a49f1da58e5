"""The engine of `placement`: compiled equal to plain, and what any order's account adds up to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from allocator.book import BookRules, build_book
from allocator.engine import as_row
from allocator.money import INFINITE
from allocator.order import Latency, MakerFees, NEUTRAL, Order, ParameterColumns, Parameters, Rules
from allocator.placement.plain import execute_placed
from allocator.placement.policy import Placement
from allocator.runners import RUNNERS, Task
from tests.support.resting import resting_tape
from tests.support.strategies import CENT, OPEN, SECOND

GRID = [
    Parameters(over, under, theta)
    for over, under, theta in ((0, 0, 0), (0, 5 * CENT, 0), (5 * CENT, 3 * CENT, CENT // 10), (INFINITE, INFINITE, 0))
]
RULES = Rules("persist", "sweep", 5 * CENT, 50_000_000, maker_fees=MakerFees(-2_000_000, ((1, 1_000_000),)))
POLICY = Placement(slice=10 * SECOND, samples=40)
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


@pytest.mark.parametrize(("case", "side", "seed"), [*product(range(len(CASES)), ("buy", "sell"), range(2))])
def test_the_compiled_engine_gives_the_rows_of_the_plain_one(case, side, seed):
    rules, policy, depth = CASES[case]
    tape = resting_tape(seed + 10 * case, depth=depth, trades=(case + seed) % 3 != 0)
    book = build_book(tape, BookRules())
    fees = [3_000_000, -1_000_000, 2_500_000][: len(book.venues)]
    for start, size in ((300, 3_000), (350, 120), (60, 901)):
        order = Order(side, size, OPEN + start * SECOND, OPEN + (start + 95) * SECOND)
        plain, compiled = both(book, order, rules, policy, fees)
        np.testing.assert_array_equal(compiled, plain)
        filled, unfilled, over = compiled[:, 0], compiled[:, 1], compiled[:, 2]
        assert (filled + unfilled - over == size).all()
