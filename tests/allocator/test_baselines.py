"""The schedules of model sections 1 and 4 on books small enough to work out by hand."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator import splits
from allocator.baselines import schedules
from allocator.book import OFF, BookRules, build_book
from allocator.engine import execute
from allocator.errors import NoPriceError
from allocator.kernels import deep_walk, walk
from allocator.money import divide_half_even
from allocator.order import FIELDS, Order, ParameterColumns, Parameters, Rules
from allocator.policies import Static
from allocator.simulate import kernels_for, run_baselines, run_combinations, trace_baselines, trace_combination
from tests.allocator.test_book import tape_of
from tests.allocator.test_depth import deep_cases
from tests.allocator.test_engine import cases
from tests.allocator.traced import comparable
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, random_tape, tapes

FAIR = Rules("persist", "sweep", 50_000_000)
FEE = 3_000_000
CLASSIC = Rules("refresh", "last_ask", 50_000_000)


def fills(book, order, rules, conventions, name, follower="best_ask", fees=None):
    schedule = schedules(book, order, conventions, follower)[name]
    run = execute(book, order, rules, fees or [0] * len(book.venues), schedule, Parameters(0, 0, 0), record=True)
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
    for name in ("best_ask", "best_available"):
        schedule = schedules(book, order, "fair", "best_ask")[name]
        run = execute(book, order, FAIR, [5 * CENT, -CENT], schedule, Parameters(0, 0, 0))
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
    tape = random_tape(3, 80, 70, dense=dense)
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


def test_an_emptied_touch_is_waited_for_and_not_left_for_a_dear_venue():
    rows = [(0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 104, 90), (1, 2, 90, 1, 104, 80), (2, 1, 90, 1, 101, 90)]
    book = build_book(tape_of(*rows), BookRules())
    order = Order("buy", 40, OPEN, OPEN + 2 * SECOND)
    assert fills(book, order, FAIR, "fair", "best_ask")[0] == [(0, 0, 10), (2, 0, 30)]
    assert fills(book, order, FAIR, "fair", "best_available")[0] == [(0, 0, 10), (1, 1, 30)]
    minute = Order("buy", 40, OPEN, OPEN + 60 * SECOND)
    assert fills(book, minute, FAIR, "fair", "twap")[0] == [(0, 0, 10), (2, 0, 30)]
    assert fills(book, minute, FAIR, "fair", "twap", "best_available")[0] == [(0, 0, 10), (1, 1, 30)]


def test_a_sweep_takes_at_once_all_that_is_displayed_the_cheapest_after_fees_first():
    rows = [(0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 101, 10), (0, 3, 90, 1, 140, 10), (1, 1, 90, 1, 99, 90)]
    book = build_book(tape_of(*rows, (2, 1, 90, 1, 98, 4)), BookRules(stub_band=OFF))
    order, fees = Order("buy", 50, OPEN, OPEN + 2 * SECOND), [2 * CENT, 0, 0]
    filled, run = fills(book, order, replace(FAIR, leftover_band=0), "fair", "sweep_now", fees=fees)
    # nothing of the better quote between, and at the end what is left within the band
    assert filled == [(0, 1, 10), (0, 0, 10), (0, 2, 10), (2, 0, 4)]
    assert (run.filled, run.unfilled) == (34, 16)
    assert fills(book, replace(order, size=15), FAIR, "fair", "sweep_now", fees=fees)[0] == [(0, 1, 10), (0, 0, 5)]


def test_a_sweep_waits_for_the_first_quote():
    book = build_book(tape_of((0, 1, 90, 1, 0, 0), (1, 1, 90, 1, 100, 9), (2, 1, 90, 1, 99, 9)), BookRules())
    order = Order("buy", 5, OPEN, OPEN + 2 * SECOND)
    assert fills(book, order, FAIR, "fair", "sweep_now")[0] == [(1, 0, 5)]
    assert fills(book, replace(order, start=OPEN + SECOND), FAIR, "fair", "sweep_now")[0] == [(1, 0, 5)]


def test_pov_has_bought_a_hundredth_of_what_was_displayed_since_the_start_and_never_more():
    rows = [(0, 1, 90, 1, 100, 900), (1, 1, 90, 1, 101, 250), (2, 2, 90, 1, 100, 149), (3, 1, 90, 1, 101, 201)]
    rows += [(4, 2, 90, 1, 100, 1), (5, 1, 90, 1, 102, 800)]
    book = build_book(tape_of(*rows), BookRules())
    order = Order("buy", 7, OPEN + SECOND, OPEN + 5 * SECOND)
    # 250, 399, 600, 601 and 1,401 shares: targets 2, 3, 6, 6 and 7; the quote before the start is no volume
    assert fills(book, order, FAIR, "fair", "pov")[0] == [(1, 0, 2), (2, 1, 1), (3, 1, 3), (5, 0, 1)]


def test_pov_is_bought_as_the_baseline_that_it_follows_and_completed_by_the_leftover_rule():
    rows = [(0, 1, 90, 1, 100, 2), (0, 2, 90, 1, 104, 998), (1, 2, 90, 1, 104, 800)]
    book = build_book(tape_of(*rows), BookRules())
    order = Order("buy", 40, OPEN, OPEN + SECOND)  # targets 10 and 18
    assert fills(book, order, FAIR, "fair", "pov")[0] == [(0, 0, 2), (1, 1, 38)]
    assert fills(book, order, FAIR, "fair", "pov", "best_available")[0] == [(0, 0, 2), (1, 1, 16), (1, 1, 22)]


def test_pro_rata_splits_what_is_missing_by_the_sizes_displayed_at_the_touch():
    rows = [(0, 1, 90, 1, 100, 5), (0, 2, 90, 1, 100, 9), (0, 3, 90, 1, 100, 5), (0, 4, 90, 1, 101, 90)]
    book = build_book(tape_of(*rows, (1, 3, 90, 1, 100, 14), (2, 4, 90, 1, 102, 9)), BookRules())
    # 3.95, 7.11 and 3.95 of 15: the largest remainders get one more
    order = Order("buy", 15, OPEN, OPEN)
    assert fills(book, order, FAIR, "fair", "pro_rata")[0] == [(0, 0, 4), (0, 1, 7), (0, 2, 4)]
    # 2.11, 3.79 and 2.11 of 8; .26, .47 and .26 of 1
    assert fills(book, replace(order, size=8), FAIR, "fair", "pro_rata")[0] == [(0, 0, 2), (0, 1, 4), (0, 2, 2)]
    assert fills(book, replace(order, size=1), FAIR, "fair", "pro_rata")[0] == [(0, 1, 1)]
    # all 19; then 9 are left of the third alone, but of 6 its part is 3, and then 1 of 3; at last the leftover rule
    rest = Order("buy", 25, OPEN, OPEN + 2 * SECOND)
    filled = fills(book, rest, FAIR, "fair", "pro_rata")[0]
    assert filled == [(0, 0, 5), (0, 1, 9), (0, 2, 5), (1, 2, 3), (2, 2, 1), (2, 2, 2)]


def test_of_equal_remainders_the_lowest_publisher_is_given_the_odd_share():
    book = build_book(tape_of(*((0, venue, 90, 1, 100, 7) for venue in (1, 2, 3))), BookRules())
    assert fills(book, Order("buy", 8, OPEN, OPEN), FAIR, "fair", "pro_rata")[0] == [(0, 0, 3), (0, 1, 3), (0, 2, 2)]


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9).filter(any), st.data())
def test_shares_are_split_in_proportion_and_by_the_kernels_alike(weights, data):
    due = data.draw(st.integers(1, sum(weights)))
    split = splits.pro_rata(due, weights)
    exact = [Fraction(due * weight, sum(weights)) for weight in weights]
    assert sum(split) == due
    assert all(abs(shares - part) < 1 for shares, part in zip(split, exact, strict=True))
    rests = [(part % 1, -i) for i, part in enumerate(exact)]
    up = [rest for rest, shares, part in zip(rests, split, exact, strict=True) if shares > part]
    assert all(more > less for more in up for less in rests if less not in up)
    for kernels in (walk, deep_walk):
        given_out = np.zeros(len(weights), np.int64)
        kernels._pro_rata(due, np.array(weights, np.int64), given_out, np.zeros(len(weights), np.int64))
        assert given_out.tolist() == split


def test_touch_looks_at_fees_and_best_ask_does_not():
    rows = [(0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 101, 10), (1, 1, 90, 1, 100, 20)]
    book = build_book(tape_of(*rows), BookRules())
    order, fees = Order("buy", 30, OPEN, OPEN + SECOND), [2 * CENT, 0]
    runs = run_baselines(book, order, replace(FAIR, leftover_band=0), fees, "fair")
    assert (runs["best_ask"].filled, runs["best_ask"].cash_filled) == (20, 20 * 102 * CENT)
    assert (runs["touch"].filled, runs["touch"].cash_filled) == (30, (10 * 101 + 20 * 102) * CENT)


@examples(60)
@given(st.one_of(cases(), deep_cases()))
def test_touch_is_static_from_the_touch_with_a_tau_of_nothing(case):
    book, order, rules, fees = case
    policy, nothing = Static(reference="touch"), ParameterColumns.of([Parameters(0, 0, 0)])
    try:
        traced = trace_baselines(book, order, rules, fees, "fair")["touch"]
    except NoPriceError:
        assume(False)
    for kernel in (*kernels_for(book, order, rules, policy, fees), "reference"):
        row = run_combinations(book, order, rules, policy, fees, nothing, kernel=kernel).rows[0]
        assert row.tolist() == [getattr(traced.execution, name) for name in FIELDS]
    assert comparable(traced) == comparable(trace_combination(book, order, rules, policy, fees, nothing))


def at_the_touch(book, order, persist, waits):
    """What best_ask (or best_available) buys before an order's last snapshot, worked out from the columns alone."""
    side, bought = book.take_side(order.side), []
    resets, taken, missing = side.moved if persist else book.published, [0] * len(book.venues), order.size
    for t in range(*book.span(order)):
        taken = [0 if back else was for back, was in zip(book.flags_of(resets[t]), taken, strict=True)]
        left = [max(int(sz) - was, 0) for sz, was in zip(side.sz[t], taken, strict=True)]
        offers = [v for v, px in enumerate(side.ticks[t]) if px and (waits or left[v])]
        v = min(offers, key=lambda v: (side.sign * int(side.ticks[t, v]), v), default=0)
        if offers and (shares := min(left[v], missing)):
            bought.append((t, v, shares))
            taken[v] += shares
            missing -= shares
    return [each for each in bought if each[0] < book.span(order)[1] - 1]


@given(
    tapes(trades=False),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["persist", "refresh"]),
    st.sampled_from(["best_ask", "best_available"]),
)
def test_best_ask_and_best_available_are_what_the_model_says(tape, side, liquidity, name):
    book = build_book(tape, BookRules())
    order, rules = Order(side, 700, int(tape.ts[0]), int(tape.ts[-1])), replace(FAIR, liquidity=liquidity)
    try:
        filled, _ = fills(book, order, rules, "fair", name)
    except NoPriceError:
        assume(False)
    before = [each for each in filled if each[0] < book.span(order)[1] - 1]
    assert before == at_the_touch(book, order, liquidity == "persist", name == "best_ask")


def test_classic_vwap_goes_by_ask_and_keeps_parts_of_a_share():
    # 1/3 of 10 shares in the first bin: the lowest ask first, though its fee makes it the dearer of the two
    rows = [(0, 1, 90, 1, 100, 2), (0, 2, 90, 1, 101, 5), (65, 1, 90, 1, 102, 7), (130, 1, 90, 1, 102, 7)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order, fees = Order("buy", 10, OPEN, OPEN + 130 * SECOND), [5 * CENT, 0]
    schedule = schedules(book, order, "classic", "best_ask")["vwap"]
    run = execute(book, order, CLASSIC, fees, schedule, Parameters(0, 0, 0), record=True, acting=schedule.acting)
    assert schedule.unit == 21  # of the 21 shares displayed
    filled = [(fill.snapshot, fill.venue, fill.shares) for fill in run.fills]
    assert filled == [(0, 0, 2 * 21), (0, 1, 70 - 42), (1, 0, 70), (2, 0, 70)]
    cash = (2 * 105 * 3 + (10 - 6) * 101 + 20 * 107) * CENT  # thirds of cents
    assert (run.filled, run.cash_filled) == (10, divide_half_even(cash, 3))
    for engine in ("kernel", "reference"):
        assert run_baselines(book, order, CLASSIC, fees, "classic", engine=engine)["vwap"] == replace(run, fills=())


def test_a_classic_vwap_finer_than_64_bits_is_exact():
    rows = [(0, 1, 90, 1, 100, 2**31 - 1), (65, 1, 90, 1, 102, 2**31 - 2), (130, 1, 90, 1, 102, 2**31 - 3)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order = Order("buy", 2**31 - 1, OPEN, OPEN + 130 * SECOND)
    run = run_baselines(book, order, CLASSIC, [0], "classic")["vwap"]
    total, first = 3 * 2**31 - 6, (2**31 - 1) ** 2
    cash = Fraction(first * 100 + (order.size * total - first) * 102, total) * CENT
    assert (run.filled, run.cash_filled) == (order.size, divide_half_even(cash.numerator, cash.denominator))


@given(tapes(trades=False), st.sampled_from(["persist", "refresh"]), st.sampled_from(["sweep", "last_ask"]))
def test_snapshots_at_which_nothing_is_sent_can_be_passed_over(tape, liquidity, leftover):
    book = build_book(tape, BookRules())
    order, rules = Order("buy", 700, int(tape.ts[0]), int(tape.ts[-1])), replace(FAIR, liquidity=liquidity)
    schedule = schedules(book, order, "classic", "best_ask")["vwap"].in_whole_shares()
    arguments = (book, order, replace(rules, leftover=leftover), [FEE] * len(book.venues), schedule)
    try:
        every = execute(*arguments, Parameters(0, 0, 0), record=True)
    except NoPriceError:
        assume(False)
    assert execute(*arguments, Parameters(0, 0, 0), record=True, acting=schedule.acting) == every


def test_a_classic_vwap_finer_than_64_bits_that_nothing_completes_is_run_in_whole_shares():
    most = 2**31 - 1
    rows = [(0, 1, 90, 1, 100, 1), (1, 1, 90, 1, 100, most), (65, 1, 90, 1, 100, most), (130, 1, 90, 1, 100, 1)]
    book = build_book(tape_of(*rows), BookRules("event", uncross=False, stub_band=OFF, require="ask"))
    order, rules = Order("buy", most, OPEN, OPEN + 130 * SECOND), replace(CLASSIC, leftover="sweep")
    runs = [
        run_baselines(book, order, rules, [0], "classic", engine=engine)["vwap"] for engine in ("kernel", "reference")
    ]
    assert runs[0] == runs[1]
    assert 0 < runs[0].filled < most
