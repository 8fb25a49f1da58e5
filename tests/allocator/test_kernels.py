"""Every runner gives the reference engine's rows: small books against it, long ones against the compiled engine."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator import runners
from allocator.book import OFF, BookRules, build_book
from allocator.errors import AllocatorError, NoPriceError
from allocator.money import INFINITE
from allocator.order import Order, ParameterColumns, Parameters, Rules
from allocator.policies import Pseudocode, Static
from allocator.runners import RUNNERS, SHARED, Task, runners_for
from allocator.simulate import KERNELS, add_orders, kernels_for, kernels_for_orders, run_combinations, run_orders
from feed.tape import Tape
from tests.allocator.test_engine import FAIR, FEE, GRID, book_rules, cases, fees_of, orders, outcome, policies, rules_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, random_tape, restless_tape, tapes

EVENT = BookRules("event", uncross=False)
REFRESH = Rules("refresh", "sweep", 50_000_000)
FAST = ("rows", "lanes", "wide", "stairs", "columns", "ladder")
STATEFUL = FAST[:4]
THRESHOLDS = (
    *(0, 1, CENT - 1, CENT, CENT + 1, 2 * CENT, 3 * CENT, 5 * CENT, 40 * CENT, 4000 * CENT, INFINITE),
    *(CENT // 2, CENT // 2 + FEE, CENT + FEE),
)
LADDER = ParameterColumns.of([Parameters(0, tau, 0) for tau in THRESHOLDS])
"""Thresholds on, just below and just above differences of prices in cents, and of a cost and a mid on half a cent."""
PLAIN = st.builds(Static, reference=st.sampled_from(["touch", "best", "mid", "arrival"]))
"""What has a runner of its own."""


def rows(book, order, rules, policy, fees, kernel, parameters=LADDER, *, collapse=False):
    def run():
        done = run_combinations(book, order, rules, policy, fees, parameters, kernel=kernel, collapse=collapse)
        return done.table.tolist()

    return outcome(run)


@st.composite
def dense_tapes(draw):
    """Every venue publishes at each snapshot, so that no quote outlives one."""
    venues, snapshots = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    cells = venues * snapshots
    ticks = st.lists(st.integers(0, 6), min_size=cells, max_size=cells)
    sizes = st.lists(st.sampled_from([0, 1, 40, 100, 300, 1000]), min_size=cells, max_size=cells)
    above = np.array(draw(ticks), np.int64)
    return Tape.build(
        "XYZ",
        ts=np.repeat(OPEN + np.arange(snapshots) * SECOND, venues),
        venue=np.tile(np.arange(venues) + 1, snapshots),
        bid_px=(9_990 + np.array(draw(ticks), np.int64)) * CENT,
        ask_px=(10_000 + above) * CENT * (above != 6),
        bid_sz=np.array(draw(sizes), np.int64),
        ask_sz=np.array(draw(sizes), np.int64),
        sequence=np.arange(cells),
    )


def any_fees(book):
    """Fees as `fees_of`, or all equal, or a nano-dollar apart, or farther apart than prices are."""
    wide = [(0, -2 * 10**9, 10**9, 40 * CENT, 0)[v] for v in range(len(book.venues))]
    close = [FEE + v % 2 for v in range(len(book.venues))]
    return st.sampled_from([fees_of(book), fees_of(book), [FEE] * len(book.venues), close, wide])


@examples(90)
@given(st.data(), book_rules, rules_of, st.one_of(PLAIN, policies))
def test_every_runner_equals_the_reference_engine(data, made, rules, policy):
    tape = data.draw(st.one_of(tapes(max_rows=25, trades=False), dense_tapes()))
    book, order = build_book(tape, made), data.draw(orders(tape))
    fees = data.draw(any_fees(book))
    expected = rows(book, order, rules, policy, fees, "reference")
    for kernel in {*kernels_for(book, order, rules, policy, fees), "walk"}:
        assert rows(book, order, rules, policy, fees, kernel) == expected, kernel


@examples(70)
@given(
    st.data(),
    st.sampled_from([1, 40, 137, 500, 2500, 10**6]),
    st.sampled_from(["buy", "sell"]),
    st.builds(Static, reference=st.sampled_from(["touch", "best"])),
)
def test_walks_over_columns_equal_the_reference_engine(data, size, side, policy):
    tape = data.draw(dense_tapes())
    book = build_book(tape, EVENT)
    order = Order(side, size, *tape.span)
    fees = data.draw(any_fees(book))
    taus = data.draw(st.one_of(st.just(THRESHOLDS), st.lists(st.sampled_from(THRESHOLDS), max_size=4)))
    parameters = ParameterColumns.of([Parameters(0, tau, 0) for tau in taus])
    kernels = kernels_for(book, order, REFRESH, policy, fees)
    prices = {*tape.bid_px.tolist(), *tape.ask_px.tolist()} - {0}
    assert kernels == FAST or len(prices) < 2  # of one price the fees alone make the unit, and may not be small in it
    expected = rows(book, order, REFRESH, policy, fees, "reference", parameters)
    for kernel in kernels:
        assert rows(book, order, REFRESH, policy, fees, kernel, parameters) == expected, kernel


@examples(70)
@given(st.data(), book_rules, rules_of, policies)
def test_combinations_that_are_collapsed_decide_alike(data, made, rules, policy):
    tape = data.draw(st.one_of(tapes(max_rows=25, trades=False), dense_tapes()))
    book, order = build_book(tape, made), data.draw(orders(tape))
    fees = fees_of(book)
    amounts = st.sampled_from(THRESHOLDS)
    points = data.draw(st.lists(st.builds(Parameters, amounts, amounts, amounts), min_size=1, max_size=12))
    parameters = ParameterColumns.of(points)
    expected = rows(book, order, rules, policy, fees, "walk", parameters)
    assert rows(book, order, rules, policy, fees, "walk", parameters, collapse=True) == expected
    assume(expected != "no price")
    done = run_combinations(book, order, rules, policy, fees, parameters)
    assert done.table.tolist() == expected
    assert len(done.rows) == len(set(done.of.tolist())) <= len(points)


def test_what_is_collapsed():
    book = build_book(random_tape(1, 50, 3), BookRules())
    order, fees = Order("buy", 500, *span(book)), [FEE] * 3
    counts = {
        # 0, 1, 2, 3, 5 cents and what is farther than the book spans: prices lie on whole cents
        Static(): 6,
        Static(reference="mid"): len(THRESHOLDS),
        Static(lots_only=True): len(THRESHOLDS),
        Pseudocode(infeasible="wait"): 1,
        Pseudocode(): 6,
    }
    for policy, count in counts.items():
        for rules in (FAIR, REFRESH):
            done = run_combinations(book, order, rules, policy, fees, LADDER)
            assert (len(done.rows), len(done.of)) == (count, len(THRESHOLDS)), policy
            plain = run_combinations(book, order, rules, policy, fees, LADDER, collapse=False)
            assert len(plain.rows) == len(THRESHOLDS)
            assert np.array_equal(plain.table, done.table)
    cent_fees = run_combinations(book, order, FAIR, Static(), [FEE, FEE + 1, FEE], LADDER)
    assert len(cent_fees.rows) == len(THRESHOLDS) - 2  # a fee one nano-dollar off tells all apart that the book spans


def test_in_whole_lots_the_penalty_of_a_share_too_many_tells_combinations_apart():
    book = build_book(random_tape(1, 50, 3), BookRules())
    order, policy = Order("buy", 530, *span(book)), Static(lots_only=True)
    parameters = ParameterColumns.of([Parameters(over, CENT, 0) for over in (0, INFINITE)])
    expected = rows(book, order, FAIR, policy, [FEE] * 3, "walk", parameters)
    assert expected[0] != expected[1]
    assert rows(book, order, FAIR, policy, [FEE] * 3, "walk", parameters, collapse=True) == expected


def span(book):
    return int(book.ts[0]), int(book.ts[-1])


def uneven(book):
    return [(FEE, 0, -2_000_000, 500_000, CENT)[v % 5] for v in range(len(book.venues))]


@pytest.mark.parametrize("venues", [1, 2, 8, 64, 65, 130])
@pytest.mark.parametrize(("rules", "made"), [(FAIR, BookRules()), (REFRESH, BookRules()), (REFRESH, EVENT)])
def test_long_walks_over_blocks_and_tiles(venues, rules, made):
    """Across the blocks of the lanes and the tiles of the columns, at sizes that end anywhere in them."""
    snapshots = 2500 if venues < 64 else 700 if venues == 64 else 160
    book = build_book(random_tape(venues, snapshots, venues, dense=made is EVENT), made)
    everything = int(book.ask_sz.sum(dtype=np.int64))
    rng = np.random.default_rng(venues)
    count = 150 if venues < 64 else 50  # the walk that they are held against takes long where venues are many
    around = np.maximum(rng.integers(0, 8, count) * CENT + rng.choice([-1, 0, 1, CENT // 3], count), 0)
    many = ParameterColumns.of([Parameters(0, tau, 0) for tau in around.tolist()])
    close = [FEE + v % 2 for v in range(len(book.venues))]  # costs in 1e-9 $, so that a reach is beyond any table
    for fees in ([FEE] * len(book.venues), uneven(book), *([close] if 1 < venues < 64 else [])):
        for size in (1, everything // 50, everything // 3, min(everything + 1, 45_000_000)):
            late = int(book.ts[rng.integers(snapshots // 2)])
            order = Order("buy", size, late, int(book.ts[-1]))
            expected = rows(book, order, rules, Static(), fees, "walk", many)
            kernels = kernels_for(book, order, rules, Static(), fees)
            assert kernels == (
                ("walk",) if len(book.venues) > 64 else FAST if book.ask_tiles and rules is REFRESH else STATEFUL
            )
            for kernel in kernels:
                assert rows(book, order, rules, Static(), fees, kernel, many) == expected, (kernel, size)


@pytest.mark.parametrize("reference", ["touch", "mid", "arrival"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("rules", [FAIR, REFRESH, Rules("persist", "last_ask", 0)])
def test_long_walks_measured_from_a_mid(reference, side, rules):
    book = build_book(random_tape(5, 1500, 5), BookRules())
    for size, fees in itertools.product((300, 100_000, 10**7), ([FEE] * 5, uneven(book))):
        order = Order(side, size, int(book.ts[40]), int(book.ts[-3]))
        policy = Static(reference=reference)
        expected = rows(book, order, rules, policy, fees, "walk")
        for kernel in STATEFUL:
            assert rows(book, order, rules, policy, fees, kernel) == expected, (kernel, size)


@pytest.mark.parametrize("reference", ["touch", "mid", "arrival"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("fee", [5 * CENT, -5 * CENT, 5 * 10**9, -5 * 10**9])
@pytest.mark.parametrize("tick", [CENT, 1])
def test_a_fee_may_lie_farther_from_the_mid_than_all_prices_span(reference, side, fee, tick):
    """No fee is added to a mid, so that a cost may be farther from it than costs are from each other."""
    book = build_book(
        Tape.build(
            "XYZ",
            ts=OPEN + np.arange(3) * SECOND,
            venue=np.ones(3, np.int64),
            bid_px=10**10 - tick * np.array([1, 2, 1]),
            ask_px=10**10 + tick * np.array([1, 2, 1]),
            bid_sz=np.array([100, 200, 300]),
            ask_sz=np.array([100, 200, 300]),
            sequence=np.arange(3),
        ),
        BookRules(),
    )
    order, policy = Order(side, 500, *span(book)), Static(reference=reference)
    around = (fee + tick * step for step in (-1, 0, 1, 2, 3) if fee + tick * step >= 0)
    parameters = ParameterColumns.of([Parameters(0, tau, 0) for tau in (0, *around, INFINITE)])
    expected = rows(book, order, FAIR, policy, [fee], "reference", parameters)
    for kernel in ("walk", *STATEFUL):
        assert rows(book, order, FAIR, policy, [fee], kernel, parameters) == expected, kernel


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("reference", ["mid", "arrival"])
@pytest.mark.parametrize("mid_at", range(5))
def test_measured_from_a_mid_nothing_is_taken_before_there_was_one(side, reference, mid_at):
    """One-sided up to a snapshot, or to the end: at 4."""
    dark = np.arange(4) < mid_at
    bid, ask = 9_999 * CENT + np.arange(4) * CENT, 10_001 * CENT + np.arange(4) * CENT
    bid, ask = np.where(dark & (side == "buy"), 0, bid), np.where(dark & (side == "sell"), 0, ask)
    further = CENT * np.repeat([0, 1], 4)
    tape = Tape.build(
        "XYZ",
        ts=OPEN + np.tile(np.arange(4), 2) * SECOND,
        venue=np.repeat([1, 2], 4),
        bid_px=np.tile(bid, 2) - further,
        ask_px=np.where(np.tile(ask, 2) > 0, np.tile(ask, 2) + further, 0),
        bid_sz=np.full(8, 100),
        ask_sz=np.full(8, 100),
        sequence=np.arange(8),
    )
    book, policy = build_book(tape, BookRules()), Static(reference=reference)
    for liquidity, leftover in (("persist", "sweep"), ("refresh", "last_ask")):
        for size, past in ((250, 4), (1000, 4), (1000, 2)):
            order = Order(side, size, OPEN - SECOND, int(book.ts[past - 1]))
            rules = Rules(liquidity, leftover, 0)
            expected = rows(book, order, rules, policy, [FEE] * 2, "reference")
            for kernel in ("walk", *STATEFUL):
                assert rows(book, order, rules, policy, [FEE] * 2, kernel) == expected, (kernel, size)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_costs_that_span_almost_what_int32_holds(side):
    """Fees one nano-dollar apart make a unit of 1e-9 $, of which prices may span 2^30."""
    cents = 2**30 // CENT
    tape = random_tape(11, 80, 3, dense=True)
    away = np.random.default_rng(11).choice([0, 1, cents // 2, cents - 3, cents - 2], (2, tape.rows)) * CENT
    spread = Tape.build(
        tape.symbol,
        ts=tape.ts,
        venue=tape.venue,
        bid_px=np.where(np.arange(tape.rows) == 0, 10**10, 10**10 + away[0]),
        ask_px=np.where(np.arange(tape.rows) == 1, 10**10 + CENT * (cents - 1), 10**10 + away[1]),
        bid_sz=tape.bid_sz + 1,
        ask_sz=tape.ask_sz + 1,
        sequence=tape.sequence,
    )
    book = build_book(spread, BookRules("event", uncross=False, stub_band=OFF))
    wider = build_book(
        replace(spread, ask_px=np.where(np.arange(tape.rows) == 1, 10**10 + CENT * cents, spread.ask_px)),
        BookRules("event", uncross=False, stub_band=OFF),
    )
    fees = [FEE, FEE + 1, FEE]
    far = ParameterColumns.of([Parameters(0, tau, 0) for tau in (0, 1, CENT, cents * CENT, 2**30 - 1, 2**30, INFINITE)])
    for size in (500, 10_000, 10**6):
        order = Order(side, size, *span(book))
        assert kernels_for(wider, order, REFRESH, Static(), fees) == ("walk", "stairs")
        for reference in ("touch", "best", "mid"):
            policy = Static(reference=reference)
            expected = rows(book, order, REFRESH, policy, fees, "walk", far)
            kernels = kernels_for(book, order, REFRESH, policy, fees)
            assert kernels == (STATEFUL if reference == "mid" else FAST)
            for kernel in kernels:
                assert rows(book, order, REFRESH, policy, fees, kernel, far) == expected, (kernel, size)


def test_prices_that_fit_no_int32_ticks_are_int64():
    tape = random_tape(3, 60, 3)
    odd = Tape.build(
        tape.symbol,
        ts=tape.ts,
        venue=tape.venue,
        bid_px=np.where(tape.bid_px > 0, tape.bid_px + np.arange(tape.rows), 0),
        ask_px=np.where(tape.ask_px > 0, tape.ask_px + 3 * np.arange(tape.rows), 0),
        bid_sz=tape.bid_sz,
        ask_sz=tape.ask_sz,
        sequence=tape.sequence,
    )
    stretched = replace(odd, ask_px=np.where(odd.venue == 1, odd.ask_px + 2 * 10**9, odd.ask_px))
    narrow, wide = build_book(odd, BookRules()), build_book(stretched, BookRules(stub_band=-1))
    assert (narrow.ask_ticks.dtype, narrow.tick, wide.ask_ticks.dtype, wide.tick) == (np.int32, 1, np.int64, 1)
    assert wide.ask_px.max() > wide.ask_px[wide.ask_px > 0].min() + 2**30
    for book in (narrow, wide):
        order, fees = Order("buy", 2_000, *span(book)), uneven(book)
        assert kernels_for(book, order, FAIR, Static(), fees) == (("walk", "stairs") if book is wide else STATEFUL)
        for rules in (FAIR, REFRESH):
            expected = rows(book, order, rules, Static(), fees, "reference")
            for kernel in kernels_for(book, order, rules, Static(), fees):
                assert rows(book, order, rules, Static(), fees, kernel) == expected


@pytest.mark.parametrize("rules", [FAIR, REFRESH])
@pytest.mark.parametrize("made", [BookRules(), EVENT])
def test_int32_ticks_and_int64_prices_give_the_same_rows(rules, made):
    book = build_book(random_tape(4, 300, 4, dense=made is EVENT), made)
    wide = replace(book, base=0, tick=1, bid_ticks=book.bid_px, ask_ticks=book.ask_px, bid_tiles=None, ask_tiles=None)
    for side in ("buy", "sell"):
        order, fees = Order(side, 20_000, *span(book)), uneven(book)
        expected = rows(wide, order, rules, Static(), fees, "walk")
        for kernel in (*kernels_for(book, order, rules, Static(), fees), "walk", "reference"):
            assert rows(book, order, rules, Static(), fees, kernel) == expected, kernel


def test_a_tape_of_one_snapshot_and_one_without_a_quote():
    one = build_book(random_tape(9, 1, 4, dense=True), EVENT)
    dead = build_book(
        Tape.build(
            "XYZ",
            **{name: np.zeros(3, np.int64) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")},
            ts=OPEN + np.arange(3) * SECOND,
            venue=np.array([1, 2, 1]),
            sequence=np.arange(3),
        ),
        BookRules(),
    )
    assert not dead.ask_ticks.any()
    for book in (one, dead):
        for rules in (FAIR, REFRESH):
            order, fees = Order("buy", 700, *span(book)), fees_of(book)
            expected = rows(book, order, rules, Static(), fees, "reference")
            assert (expected == "no price") == (book is dead)
            for kernel in kernels_for(book, order, rules, Static(), fees):
                assert rows(book, order, rules, Static(), fees, kernel) == expected


def test_sizes_near_the_limit_of_int32_do_not_wrap():
    size = 2**31 - 1
    tape = random_tape(2, 40, 3, dense=True)
    cheap = Tape.build(
        "XYZ",
        ts=tape.ts,
        venue=tape.venue,
        bid_px=np.full(tape.rows, 10**5),
        ask_px=2 * 10**5 + tape.ask_px % (7 * CENT) // 10_000,  # fractions of a cent: a share costs next to nothing
        bid_sz=np.full(tape.rows, size),
        ask_sz=np.full(tape.rows, size),
        sequence=tape.sequence,
    )
    for made in (BookRules(), EVENT):
        book = build_book(cheap, made)
        for rules in (FAIR, REFRESH):
            order = Order("buy", 60 * size, *span(book))
            mild = replace(rules, unfilled_penalty=0)
            expected = rows(book, order, mild, Static(), [0] * 3, "reference")
            assert expected[-1][0] > 2**31
            for kernel in kernels_for(book, order, mild, Static(), [0] * 3):
                assert rows(book, order, mild, Static(), [0] * 3, kernel) == expected, kernel
            with pytest.raises(AllocatorError, match=r"order\.size"):
                run_combinations(book, replace(order, size=2**55), mild, Static(), [0] * 3, LADDER)


@pytest.mark.parametrize("ticks", [2, 2**9, 2**18])
@pytest.mark.parametrize("most", [2**8, 2**12, 2**19, 2**22, 2**30])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_sums_that_fit_int32_and_sums_that_do_not(side, most, ticks):
    rng, snapshots, venues = np.random.default_rng([most, ticks]), 1_100, 2
    count = snapshots * venues
    ask = 10**6 + rng.integers(0, ticks, count)  # 1e-9 $
    tape = Tape.build(
        "XYZ",
        ts=OPEN + np.repeat(np.arange(snapshots), venues) * SECOND,
        venue=np.tile([1, 2], snapshots),
        bid_px=ask - ticks - rng.integers(0, ticks, count),
        ask_px=ask,
        bid_sz=rng.integers(most // 2, most, count),
        ask_sz=rng.integers(most // 2, most, count),
        sequence=np.arange(count),
    )
    mild = replace(REFRESH, unfilled_penalty=0)
    reaches = ParameterColumns.of([Parameters(0, tau, 0) for tau in (0, 1, ticks // 2, ticks, 2 * ticks)])
    for made in (EVENT, BookRules(uncross=False, stub_band=OFF)):
        book = build_book(tape, made)
        for fees in ([0, 0], [5, 0]):
            order = Order(side, int(tape.ask_sz.sum()) + int(tape.bid_sz.sum()), *span(book))
            kernels = kernels_for(book, order, mild, Static(), fees)
            assert kernels == FAST
            expected = rows(book, order, mild, Static(), fees, "walk", reaches)
            for kernel in kernels:
                assert rows(book, order, mild, Static(), fees, kernel, reaches) == expected, kernel


def test_a_bound_that_would_itself_leave_int64():
    at, count, size = [3, 500, 1_000], 1_100, 2**30
    ask, sizes = np.zeros(count, np.int64), np.zeros(count, np.int64)
    ask[at], sizes[at] = [10, 11, 10 + 2**29 + 2**23], size
    tape = Tape.build(
        "XYZ",
        ts=OPEN + np.arange(count) * SECOND,
        venue=np.ones(count, np.int64),
        bid_px=np.zeros(count, np.int64),
        ask_px=ask,
        bid_sz=np.zeros(count, np.int64),
        ask_sz=sizes,
        sequence=np.arange(count),
    )
    book, mild = build_book(tape, EVENT), replace(REFRESH, unfilled_penalty=0)
    order = Order("buy", 3 * size + 1, *span(book))
    expected = rows(book, order, mild, Static(), [0], "walk")
    for kernel in kernels_for(book, order, mild, Static(), [0]):
        assert rows(book, order, mild, Static(), [0], kernel) == expected, kernel


class Mine(Static):
    """A policy that no kernel knows."""


def test_a_policy_without_a_kernel_runs_on_the_reference_engine_and_is_not_collapsed():
    book = build_book(random_tape(1, 20, 2), BookRules())
    order, fees = Order("buy", 500, *span(book)), [FEE] * 2
    task = Task.of(book, order, FAIR, Mine(), fees)
    assert runners_for(task) == ("reference",)
    done = run_combinations(book, order, FAIR, Mine(), fees, LADDER)
    assert len(done.rows) == len(LADDER)
    assert done.table.tolist() == rows(book, order, FAIR, Static(), fees, "walk")
    assert set(RUNNERS) == {"reference", "walk", "delayed", "placed", *FAST}


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64, 65, 200])
def test_any_number_of_combinations_fills_the_lanes(count):
    book = build_book(random_tape(6, 300, 4, dense=True), EVENT)
    order, fees = Order("buy", 30_000, *span(book)), uneven(book)
    rng = np.random.default_rng(count)
    parameters = ParameterColumns.of([Parameters(0, int(tau), 0) for tau in rng.integers(0, 9 * CENT, count)])
    expected = rows(book, order, REFRESH, Static(), fees, "walk", parameters)
    for kernel in FAST:
        assert rows(book, order, REFRESH, Static(), fees, kernel, parameters) == expected, kernel


@pytest.mark.parametrize("reference", ["touch", "best", "mid", "arrival"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("max_age", [OFF, 4 * SECOND])
def test_stairs_of_many_steps(reference, side, max_age):
    book = build_book(restless_tape(3, 900, 6), BookRules(max_age=max_age))
    fees = [(FEE, 0, -2_000_000, 500_000, CENT // 3)[v % 5] for v in range(len(book.venues))]
    rng = np.random.default_rng(4)
    tau = np.concatenate([rng.integers(0, 4 * CENT, 150), rng.integers(0, 9, 40) * (CENT // 3), [INFINITE, INFINITE]])
    parameters = ParameterColumns.of([Parameters(0, each, 0) for each in rng.permutation(tau).tolist()])
    volume = int((book.ask_volume if side == "buy" else book.bid_volume).sum())
    for size, leftover in itertools.product((volume // 90, volume // 9, volume), ("sweep", "last_ask")):
        order, policy = Order(side, size, *book.ts[[60, -1]].tolist()), Static(reference=reference)
        for rules in (Rules("persist", leftover, 0, 100_000 if leftover == "sweep" else None), REFRESH):
            expected = rows(book, order, rules, policy, fees, "walk", parameters)
            assert rows(book, order, rules, policy, fees, "stairs", parameters) == expected, (size, rules)
            assert len({tuple(row) for row in expected}) > 2


@pytest.mark.parametrize("seed", range(12))
def test_a_mid_on_half_a_nano_dollar_is_compared_as_it_is(seed):
    rng = np.random.default_rng(seed)
    venues, snapshots = 3, 30
    cells = venues * snapshots
    tape = Tape.build(
        "XYZ",
        ts=np.repeat(OPEN + np.arange(snapshots) * SECOND, venues),
        venue=np.tile(np.arange(venues) + 1, snapshots),
        bid_px=10**10 - rng.integers(0, 9, cells),
        ask_px=10**10 + rng.integers(0, 9, cells),
        bid_sz=rng.integers(1, 9, cells),
        ask_sz=rng.integers(1, 9, cells),
        sequence=np.arange(cells),
    )
    book = build_book(tape, BookRules(uncross=False))
    assert (book.mid2 % 2).any()
    parameters = ParameterColumns.of([Parameters(0, tau, 0) for tau in range(12)])
    for reference, side, size, rules in itertools.product(
        ("mid", "arrival"), ("buy", "sell"), (7, 60, 10_000), (FAIR, REFRESH)
    ):
        order, policy = Order(side, size, *book.ts[[2, -1]].tolist()), Static(reference=reference)
        expected = rows(book, order, rules, policy, [0, 1, 2], "walk", parameters)
        for kernel in kernels_for(book, order, rules, policy, [0, 1, 2]):
            assert rows(book, order, rules, policy, [0, 1, 2], kernel, parameters) == expected, (reference, kernel)


@examples(70)
@given(st.data(), book_rules, rules_of, st.sampled_from(["touch", "best", "mid"]), st.integers(1, 9))
def test_orders_that_share_a_walk_fill_as_each_alone(data, made, rules, reference, every):
    tape = data.draw(st.one_of(tapes(max_rows=30, trades=False), dense_tapes()))
    book = build_book(tape, made)
    side = data.draw(st.sampled_from(["buy", "sell"]))
    some = [replace(data.draw(orders(tape)), side=side) for _ in range(data.draw(st.integers(1, 5)))]
    fees, policy = fees_of(book), Static(reference=reference)
    kernels = kernels_for_orders(book, some, rules, policy, fees)
    assume(SHARED in kernels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runners, "MARKS_EVERY", every)
        shared, alone = (
            outcome(
                lambda kernel=kernel: [
                    each.table.tolist() for each in run_orders(book, some, rules, policy, fees, LADDER, kernel=kernel)
                ]
            )
            for kernel in (SHARED, "walk")
        )
    assert shared == alone


@pytest.mark.parametrize(("rules", "made"), [(FAIR, BookRules()), (REFRESH, BookRules()), (REFRESH, EVENT)])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_long_orders_join_the_walk_that_they_share(rules, made, side):
    book = build_book(random_tape(7, 3000, 4, dense=made is EVENT), made)
    rng, fees = np.random.default_rng(8), uneven(book)
    ends = np.sort(rng.integers(0, 3000, (40, 2)), axis=1)
    sizes = rng.choice([50, 5_000, 100_000, 40_000_000], 40)
    many = [Order(side, int(n), *book.ts[end].tolist()) for n, end in zip(sizes, ends, strict=True)]
    for reference in ("touch", "best", "mid"):
        policy = Static(reference=reference)
        shared = run_orders(book, many, rules, policy, fees, LADDER, kernel=SHARED)
        alone = run_orders(book, many, rules, policy, fees, LADDER, kernel="walk")
        assert [each.table.tolist() for each in shared] == [each.table.tolist() for each in alone]


def test_which_orders_can_share_a_walk():
    book = build_book(random_tape(1, 50, 3), BookRules())
    buy, fees = Order("buy", 500, *span(book)), [FEE] * 3
    assert kernels_for_orders(book, [buy, buy], FAIR, Static(), fees)[0] == SHARED
    refused = [
        ([buy, replace(buy, side="sell")], Static()),
        ([buy, buy], Static(reference="arrival")),
        ([buy, buy], Static(lots_only=True)),
    ]
    for some, policy in refused:
        assert SHARED not in kernels_for_orders(book, some, FAIR, policy, fees)
        with pytest.raises(ValueError, match="cannot share"):
            run_orders(book, some, FAIR, policy, fees, LADDER, kernel=SHARED)


@examples(40)
@given(cases(), st.sampled_from(KERNELS))
def test_rows_of_orders_add_up_as_each_by_itself(case, kernel):
    book, order, rules, fees = case
    half = (order.end - order.start) // 2
    other = replace(order, side={"buy": "sell", "sell": "buy"}[order.side])
    later, earlier = replace(order, start=order.start + half), replace(order, end=order.start + half)
    orders = [order, replace(order, size=3 * order.size), other, later, earlier]
    policy = Static(reference="touch" if order.size % 2 else "mid")
    parameters = ParameterColumns.of(GRID)
    if kernel not in kernels_for(book, order, rules, policy, fees):
        return
    sums = np.ones((len(GRID), 8), np.int64)
    try:
        each = [run_combinations(book, one, rules, policy, fees, parameters, collapse=False).table for one in orders]
    except NoPriceError:
        with pytest.raises(NoPriceError):
            add_orders(book, orders, rules, policy, fees, parameters, sums, kernel=kernel)
        return
    add_orders(book, orders, rules, policy, fees, parameters, sums, kernel=kernel)
    assert (sums == 1 + np.sum(each, axis=0)).all()
