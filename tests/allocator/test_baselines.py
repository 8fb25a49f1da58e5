"""The schedules of model sections 1 and 4 on books small enough to work out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from allocator.baselines import BASELINES
from allocator.book import OFF, BookRules, build_book
from allocator.engine import execute
from allocator.order import Order, Parameters, Rules
from allocator.simulate import run_baselines
from tests.allocator.test_book import tape_of
from tests.support.strategies import CENT, OPEN, SECOND, random_tape

FAIR = Rules("persist", "sweep", 50_000_000)
FEE = 3_000_000
CLASSIC = Rules("refresh", "last_ask", 50_000_000)


def fills(book, order, rules, conventions, name):
    schedule = BASELINES[conventions][name](book, order)
    run = execute(book, order, rules, [0] * len(book.venues), schedule, Parameters(0, 0, 0), record=True)
    return [(fill.snapshot, fill.venue, fill.shares / schedule.unit) for fill in run.fills], run


def test_best_ask_takes_one_venue_a_snapshot_the_lowest_price_then_the_lowest_id():
    book = build_book(tape_of((0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 100, 10), (1, 2, 90, 1, 99, 5)), BookRules())
    order = Order("buy", 18, OPEN, OPEN + SECOND)
    filled, run = fills(book, order, FAIR, "fair", "best_ask")
    assert filled == [(0, 0, 10), (1, 1, 5)]
    assert (run.filled, run.unfilled) == (15, 3)


def test_fees_do_not_steer_best_ask():
    book = build_book(tape_of((0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 101, 10)), BookRules())
    order = Order("buy", 5, OPEN, OPEN)
    run = execute(book, order, FAIR, [5 * CENT, -CENT], BASELINES["fair"]["best_ask"](book, order), Parameters(0, 0, 0))
    assert run.cash_filled == 5 * 105 * CENT


def test_fair_twap_follows_the_clock_and_catches_up():
    rows = [(0, 1, 90, 1, 100, 3), (30, 1, 90, 1, 101, 9), (61, 1, 90, 1, 102, 9), (179, 1, 90, 1, 103, 9)]
    book = build_book(tape_of(*rows), BookRules())
    order = Order("buy", 14, OPEN, OPEN + 150 * SECOND)  # three minutes begun: targets 4, 9, 14
    assert fills(book, order, FAIR, "fair", "twap")[0] == [(0, 0, 3), (1, 0, 1), (2, 0, 5), (2, 0, 4)]
    whole = Order("buy", 14, OPEN, OPEN + 180 * SECOND)  # exactly three minutes
    assert fills(book, whole, FAIR, "fair", "twap")[0] == [(0, 0, 3), (1, 0, 1), (2, 0, 5), (3, 0, 5)]


def test_fair_vwap_follows_the_published_volume_of_the_whole_span():
    rows = [(0, 1, 90, 1, 100, 10), (1, 2, 90, 1, 101, 20), (61, 1, 90, 1, 100, 10), (125, 1, 90, 1, 100, 60)]
    book = build_book(tape_of(*rows), BookRules())
    order = Order("buy", 20, OPEN, OPEN + 130 * SECOND)  # volumes 30, 10, 60: targets 6, 8, 20
    # persist: venue 1 stays at 100 cents, so that its 10 shares are gone after 8, and 60 - 8 are there at the end
    assert fills(book, order, FAIR, "fair", "vwap")[0] == [(0, 0, 6), (2, 0, 2), (3, 0, 12)]


def test_without_volume_vwap_targets_nothing_and_the_leftover_rule_buys():
    rows = [(0, 1, 90, 1, 100, 10), (61, 1, 90, 1, 0, 0), (62, 1, 90, 1, 0, 0)]
    book = build_book(tape_of(*rows), BookRules())
    late = Order("buy", 5, OPEN + 30 * SECOND, OPEN + 62 * SECOND)
    filled, run = fills(book, late, FAIR, "fair", "vwap")
    assert filled == []
    assert run.unfilled == 5


def test_classic_twap_buys_fractional_slices_after_each_full_minute():
    rows = [(s, 1, 90, 1, 100, 50) for s in (0, 30, 60, 61, 121, 185)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order = Order("buy", 10, OPEN, OPEN + 200 * SECOND)  # three slices of 10/3
    filled, run = fills(book, order, CLASSIC, "classic", "twap")
    third = 10 / 3
    assert filled == [(0, 0, third), (3, 0, third), (4, 0, third)]
    assert (run.filled, run.cash_filled) == (10, 10 * 100 * CENT)


def test_a_part_of_a_share_that_is_due_waits_for_the_next_slice():
    rows = [(0, 1, 90, 1, 100, 3), (30, 1, 90, 1, 120, 50), (61, 1, 90, 1, 100, 50), (185, 1, 90, 1, 100, 50)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order = Order("buy", 10, OPEN, OPEN + 200 * SECOND)
    filled, _ = fills(book, order, CLASSIC, "classic", "twap")
    assert filled == [(0, 0, 3), (2, 0, 11 / 3), (3, 0, 10 / 3)]
    kernel = run_baselines(book, order, CLASSIC, [FEE], "classic")["twap"]
    assert kernel == run_baselines(book, order, CLASSIC, [FEE], "classic", engine="reference")["twap"]


def test_one_share_taken_of_a_quote_is_forgotten_when_its_price_changes_while_nothing_is_due():
    rows = [(0, 1, 90, 1, 100, 1), (30, 1, 90, 1, 101, 1), (61, 1, 90, 1, 101, 1), (119, 1, 90, 1, 105, 9)]
    book = build_book(tape_of(*rows), BookRules())
    order = Order("buy", 2, OPEN, OPEN + 120 * SECOND)  # one share a minute
    for engine in ("kernel", "reference"):
        twap = run_baselines(book, order, FAIR, [0], "fair", engine=engine)["twap"]
        assert twap.cash_filled == (100 + 101) * CENT


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
def test_the_compiled_schedules_keep_what_is_taken_of_more_venues_than_a_word_has_bits(dense, liquidity):
    tape = random_tape(3, 130, 70, dense=dense)
    dear = np.where((tape.venue <= 64) & (tape.ask_px > 0), 10 * CENT, 0)
    book = build_book(replace(tape, ask_px=tape.ask_px + dear), BookRules(uncross=False, stub_band=OFF))
    fees, rules = [FEE] * len(book.venues), replace(FAIR, liquidity=liquidity)
    assert len(book.venues) > 64
    for size in (3000, 60_000):
        order = Order("buy", size, *book.ts[[0, -1]].tolist())
        for conventions in ("fair", "classic"):
            kernel = run_baselines(book, order, rules, fees, conventions)
            assert kernel == run_baselines(book, order, rules, fees, conventions, engine="reference")


def test_a_twap_that_ends_on_half_a_share_is_run_in_whole_shares():
    rows = [(0, 1, 90, 1, 1000, 500), (120, 1, 90, 1, 1000, 1)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order, rules = Order("buy", 101, OPEN, OPEN + 120 * SECOND), replace(CLASSIC, leftover="sweep")
    for engine in ("kernel", "reference"):
        twap = run_baselines(book, order, rules, [FEE], "classic", engine=engine)["twap"]
        assert (twap.filled, twap.unfilled) == (51, 50)
        assert twap.cash_filled == 51 * (10 * 10**9 + FEE)
        assert twap.unfilled_value == 50 * (10 * 10**9 + FEE + 50_000_000)


def test_slices_of_many_minutes_do_not_lower_the_largest_order():
    rows = [(0, 1, 90, 1, 22_200, 10**9), (390 * 60, 1, 90, 1, 22_200, 10**9)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    for size in (390_000, 20_000_001):
        order = Order("buy", size, OPEN, OPEN + 390 * 60 * SECOND)
        twap = run_baselines(book, order, CLASSIC, [FEE], "classic")["twap"]
        assert (twap.filled, twap.cash_filled) == (size, size * (222 * 10**9 + FEE))


def test_classic_vwap_buys_in_the_first_snapshot_of_each_bin_only():
    rows = [(0, 1, 90, 1, 101, 5), (0, 2, 90, 1, 100, 5), (10, 1, 90, 1, 99, 90), (65, 1, 90, 1, 102, 100)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order = Order("buy", 40, OPEN, OPEN + 65 * SECOND)  # bins of 100 and 100: 20 each
    filled, run = fills(book, order, CLASSIC, "classic", "vwap")
    assert filled == [(0, 1, 5), (0, 0, 5), (2, 0, 20), (2, 0, 10)]
    assert run.filled == 40
