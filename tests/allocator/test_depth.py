"""Books of several levels: the plain engine by hand, the kernels against it, one level against books without levels."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator import AllocatorError, allocate, venues_of_levels
from allocator.book import OFF, BookRules, build_book
from allocator.engine import execute
from allocator.errors import NoPriceError
from allocator.money import INFINITE
from allocator.order import FIELDS, Order, ParameterColumns, Parameters, Rules
from allocator.policies import Static
from allocator.simulate import kernels_for, run_baselines, run_combinations, trace_baselines, trace_combination
from feed.tape import QUOTE_DTYPES, Tape, same
from tests.allocator.test_engine import GRID, book_rules, fees_of, orders, outcome, policies, rules_of
from tests.allocator.traced import comparable, rows_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, deep_tapes, random_tape, restless_tape, tapes
from tests.support.tapes import with_levels

PERSIST = Rules("persist", "sweep", 50_000_000)
REFRESH = Rules("refresh", "sweep", 50_000_000)


def deep_tape_of(*rows):
    """A tape of (seconds, venue, bids, asks), each side (cents, shares) level after level."""
    depth = max(len(side) for row in rows for side in row[2:])
    columns = {name: np.zeros((len(rows), depth), np.int64) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    for at, (_, _, bids, asks) in enumerate(rows):
        for side, levels in (("bid", bids), ("ask", asks)):
            for level, (cents, shares) in enumerate(levels):
                columns[f"{side}_px"][at, level], columns[f"{side}_sz"][at, level] = cents * CENT, shares
    return Tape.build(
        "XYZ",
        ts=np.array([OPEN + int(row[0] * SECOND) for row in rows]),
        venue=np.array([row[1] for row in rows]),
        sequence=np.arange(len(rows)),
        **{name: column[:, 0] for name, column in columns.items()},
        levels={name: column[:, 1:] for name, column in columns.items()} if depth > 1 else None,
    )


BID = [(9_000, 10)]


def fills(tape, rules, tau, size, *, reference="touch", bare=True, fees=None):
    """(snapshot, venue, shares, cents) of every fill of a combination, and how it ends."""
    book = build_book(tape, BookRules(uncross=not bare, stub_band=OFF if bare else 10**8))
    order = Order("buy", size, *book.ts[[0, -1]].tolist())
    point = Parameters(0, tau * CENT, 0)
    run = execute(book, order, rules, fees or [0] * len(book.venues), Static(reference=reference), point, record=True)
    return [(fill.snapshot, fill.venue, fill.shares, fill.price // CENT) for fill in run.fills], run


def test_levels_are_taken_up_to_tau_from_the_touch_cheapest_first_over_the_venues():
    tape = deep_tape_of(
        (0, 2, BID, [(10_000, 10), (10_002, 10), (10_005, 10)]), (0, 43, BID, [(10_001, 10), (10_002, 5)])
    )
    filled, run = fills(tape, replace(PERSIST, leftover_band=0), 2, 27)
    # of equal costs the later venue's comes first
    assert filled == [(0, 0, 10, 10_000), (0, 0, 2, 10_002), (0, 1, 10, 10_001), (0, 1, 5, 10_002)]
    filled, run = fills(tape, replace(PERSIST, leftover_band=0), 2, 100)
    assert (run.filled, run.unfilled) == (35, 65)


def test_what_is_taken_goes_with_its_price_from_level_to_level_until_a_row_does_not_show_it():
    rows = [
        (0, 2, BID, [(10_000, 10), (10_001, 30)]),
        (1, 2, BID, [(10_001, 40), (10_002, 10)]),  # the second level is the first now: 30 of its 40 are taken
        (2, 2, BID, [(9_999, 5), (10_001, 40)]),  # and the second again: nothing is left of it
        (3, 2, BID, [(9_999, 7), (10_002, 1)]),  # 10,001 is shown no more, of 9,999 2 are left
        (4, 2, BID, [(10_001, 40), (10_002, 1)]),  # it is forgotten
    ]
    filled, _ = fills(deep_tape_of(*rows), replace(PERSIST, leftover_band=0), 1, 1000)
    assert filled == [
        (0, 0, 10, 10_000),
        (0, 0, 30, 10_001),
        (1, 0, 10, 10_001),
        (1, 0, 10, 10_002),
        (2, 0, 5, 9_999),
        (3, 0, 2, 9_999),
        (4, 0, 40, 10_001),
        (4, 0, 1, 10_002),
    ]
    refreshed, _ = fills(deep_tape_of(*rows), replace(REFRESH, leftover_band=0), 1, 1000)
    assert refreshed[2:4] == [(1, 0, 40, 10_001), (1, 0, 10, 10_002)]


def test_a_level_that_is_hidden_for_a_while_keeps_what_was_taken_of_it():
    # the newer bid of the other venue crosses the ask, which is hidden until that bid goes
    rows = [
        (0, 2, BID, [(10_000, 10), (10_001, 30)]),
        (1, 43, [(10_003, 10)], [(10_004, 10)]),
        (2, 43, BID, [(10_004, 10)]),
    ]
    filled, _ = fills(deep_tape_of(*rows), replace(PERSIST, leftover_band=0), 1, 35, bare=False)
    assert filled == [(0, 0, 10, 10_000), (0, 0, 25, 10_001)]
    filled, _ = fills(deep_tape_of(*rows), replace(PERSIST, leftover_band=0), 1, 60, bare=False)
    assert filled == [(0, 0, 10, 10_000), (0, 0, 30, 10_001), (1, 1, 10, 10_004)]


def test_a_level_beyond_the_band_is_a_stub_whatever_stands_before_it():
    tape = deep_tape_of((0, 2, BID, [(10_000, 10), (10_900, 10), (11_001, 10)]))
    book = build_book(tape, BookRules())
    assert book.levels.ask_count.tolist() == [[2]]
    assert book.highest == 10_900 * CENT


def test_best_ask_takes_the_touch_alone_and_best_available_one_price_at_a_time():
    rows = [(second, 2, BID, [(10_000, 10), (10_001, 30)]) for second in range(3)]
    book = build_book(deep_tape_of(*rows), BookRules())
    order, rules = Order("buy", 100, *book.ts[[0, -1]].tolist()), replace(PERSIST, leftover_band=0)
    runs = run_baselines(book, order, rules, [0], "fair")
    assert runs["best_ask"].filled == 10
    assert (runs["best_available"].filled, runs["best_available"].cash_filled) == (
        40,
        (10 * 10_000 + 30 * 10_001) * CENT,
    )


@examples(60)
@given(deep_tapes(max_rows=6, trades=False), st.integers(1, 900), st.integers(0, 4), st.booleans())
def test_a_snapshot_is_allocated_as_its_levels_are_taken(tape, size, tau, lots_only):
    book = build_book(tape, BookRules(uncross=False, stub_band=OFF))
    last = len(book.ts) - 1
    levels, fees = book.take_side("buy").levels, [0.0, 0.01, 0.003, -0.002][: len(book.venues)]
    supplies, of = [], []
    for v, (row, count) in enumerate(zip(levels.rows[last].tolist(), levels.count[last].tolist(), strict=True)):
        prices = book.price_list(levels.ticks[row, :count].tolist())
        asks = list(zip([px / 1e9 for px in prices], levels.sz[row, :count].tolist(), strict=True))
        supplies += venues_of_levels(asks, fee=fees[v])
        of += [(v, px // CENT) for px in prices]
    order = Order("buy", size, int(book.ts[last]), int(book.ts[last]))
    # with nowhere to sell an excess none is sent, which a split by itself does not know
    assume(not lots_only or any(book.take_side("buy").other_ticks[last]))
    policy = Static(reference="best", lots_only=lots_only)
    rules = replace(PERSIST, leftover_band=0)
    try:
        run = execute(
            book, order, rules, [round(fee * 1e9) for fee in fees], policy, Parameters(0, tau * CENT, 0), record=True
        )
    except NoPriceError:
        assume(False)
    split = allocate(size, supplies, 0, tau / 100, 0, lots_only=lots_only).split
    expected = [(*place, shares) for place, shares in zip(of, split, strict=True) if shares]
    filled = [(fill.venue, fill.price // CENT, fill.shares) for fill in run.fills]
    assert filled[: len(expected)] == expected


def test_levels_as_venues_end_where_there_is_none_and_rise():
    assert [each.ask for each in venues_of_levels([(100.0, 5), (100.5, 5), (0, 0), (101, 5)], fee=0.003)] == [
        100.0,
        100.5,
    ]
    with pytest.raises(AllocatorError, match=r"asks: level 3 is 100.5 \$ behind 100.5 \$; levels rise in price"):
        venues_of_levels([(100.0, 5), (100.5, 5), (100.5, 5)])


@st.composite
def deep_cases(draw):
    tape = draw(deep_tapes(max_rows=20, trades=False))
    book = build_book(tape, draw(book_rules))
    return book, draw(orders(tape)), draw(rules_of), fees_of(book)


@examples(120)
@given(deep_cases(), policies)
def test_every_runner_equals_the_reference_engine(case, policy):
    book, order, rules, fees = case
    expected, *others = (
        outcome(
            lambda name=name: run_combinations(
                book, order, rules, policy, fees, GRID, kernel=name, collapse=False
            ).table.tolist()
        )
        for name in ("reference", "walk", *kernels_for(book, order, rules, policy, fees))
    )
    for other in others:
        assert other == expected


@pytest.mark.parametrize("reference", ["touch", "best", "mid", "arrival"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("max_age", [OFF, 4 * SECOND])
def test_stairs_over_many_rows(reference, side, max_age):
    """Sizes that change at prices that stay: what is taken goes with its price, and differs among the combinations."""
    tape = with_levels(restless_tape(5, 700, 4), 5, 7)
    book = build_book(tape, BookRules(max_age=max_age))
    fees, rng = fees_of(book), np.random.default_rng(6)
    tau = np.concatenate([rng.integers(0, 6 * CENT, 100), rng.integers(0, 9, 40) * (CENT // 2), [INFINITE]])
    parameters = ParameterColumns.of([Parameters(0, each, 0) for each in rng.permutation(tau).tolist()])
    levels, policy = book.take_side(side).levels, Static(reference=reference)
    volume = int(levels.sz.sum())
    for size, leftover, band in (
        (volume // 90, "sweep", 100_000),
        (volume // 9, "last_ask", None),
        (volume, "sweep", 0),
    ):
        order = Order(side, size, *book.ts[[60, -1]].tolist())
        for liquidity in ("persist", "refresh"):
            rules = Rules(liquidity, leftover, 0, band)
            assert kernels_for(book, order, rules, policy, fees) == ("walk", "stairs")
            tables = [
                run_combinations(book, order, rules, policy, fees, parameters, kernel=kernel, collapse=False).table
                for kernel in ("walk", "stairs")
            ]
            assert np.array_equal(*tables), (size, rules)
            assert len(np.unique(tables[0], axis=0)) > 2


@examples(80)
@given(deep_cases(), st.sampled_from(["fair", "classic"]), st.sampled_from(["best_ask", "best_available"]))
def test_the_compiled_schedules_equal_the_reference_engine(case, conventions, follower):
    book, order, rules, fees = case
    kernel, reference = (
        outcome(
            lambda engine=engine: comparable(
                trace_baselines(book, order, rules, fees, conventions, follower=follower, engine=engine)
            )
        )
        for engine in ("kernel", "reference")
    )
    assert kernel == reference


@examples(60)
@given(deep_cases(), policies)
def test_the_identities_hold_and_combinations_that_are_collapsed_do_decide_alike(case, policy):
    book, order, rules, fees = case
    try:
        rows = run_combinations(book, order, rules, policy, fees, GRID).table
    except NoPriceError:
        assume(False)
    for filled, unfilled, over, cash, _, unfilled_value, over_value, total in rows.tolist():
        assert filled + unfilled - over == order.size
        assert total == cash + unfilled_value - over_value
        assert min(filled, unfilled, over) >= 0
    assert rows.tolist() == run_combinations(book, order, rules, policy, fees, GRID, collapse=False).table.tolist()
    done = execute(book, order, rules, fees, policy, GRID[0], record=True)
    assert comparable(trace_combination(book, order, rules, policy, fees, GRID))[2] == rows_of(done)


@examples(80)
@given(tapes(max_rows=20, trades=False), st.data(), policies, rules_of, book_rules)
def test_levels_that_hold_nothing_change_nothing(tape, data, policy, rules, made):
    """The rule by venue and price is, for one level, that by change of price."""
    empty = {name: np.zeros((tape.rows, 2), np.int64) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    deep = Tape.build(tape.symbol, **{name: getattr(tape, name) for name in QUOTE_DTYPES}, levels=empty)
    order = data.draw(orders(tape))
    books = [build_book(each, made) for each in (tape, deep)]
    assert (books[0].depth, books[1].depth) == (1, 3)
    results = [
        outcome(
            lambda book=book: (
                run_combinations(book, order, rules, policy, fees_of(book), GRID, kernel="walk").table.tolist(),
                [
                    [getattr(run, name) for name in FIELDS]
                    for conventions in ("fair", "classic")
                    for run in run_baselines(book, order, rules, fees_of(book), conventions).values()
                ],
            )
        )
        for book in books
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
def test_more_depth_never_buys_less_at_once(liquidity):
    rng = np.random.default_rng(5)
    asks = [[(10_000 + int(k), int(rng.integers(1, 300))) for k in rng.integers(1, 4, 5).cumsum()] for _ in range(40)]
    tape = deep_tape_of(*((second, 2, BID, levels) for second, levels in enumerate(asks)))
    bought = []
    for depth in range(1, 6):
        book = build_book(tape.up_to(depth), BookRules())
        order, rules = Order("buy", 10**6, *book.ts[[0, 20]].tolist()), replace(PERSIST, liquidity=liquidity)
        grid = ParameterColumns.of([Parameters(0, 10**12, 0)])
        bought.append(int(run_combinations(book, order, rules, Static(reference="touch"), [0], grid).rows[0, 0]))
    assert bought == sorted(bought)
    assert bought[0] < bought[-1]


def test_books_and_tapes_of_several_levels_are_pickled_whole_and_stay_frozen():
    tape = with_levels(random_tape(3, 40, 2), 4, 3).up_to(3)
    book = build_book(tape, BookRules())
    again, sent = pickle.loads(pickle.dumps((book, tape)))  # noqa: S301 - our own
    assert same(sent, tape)
    assert sent.digest() == tape.digest()
    for name in book.levels.__slots__:
        column = getattr(again.levels, name)
        assert np.array_equal(column, getattr(book.levels, name))
        assert not column.flags.writeable


@examples(40)
@given(deep_cases(), policies)
def test_prices_beyond_32_bits_are_walked_the_same(case, policy):
    """A quote of a fraction of a cent makes the ticks so fine that they need 64 bits."""
    book, order, rules, fees = case
    assume(len(book.ts))
    wide = {name: getattr(book, name).astype(np.int64) for name in ("bid_ticks", "ask_ticks")}
    levels = replace(book.levels, **{name: getattr(book.levels, name).astype(np.int64) for name in wide})
    other = replace(book, **wide, levels=levels, bid_tiles=None, ask_tiles=None)
    rows = [
        outcome(
            lambda each=each, kernel=kernel: run_combinations(
                each, order, rules, policy, fees, GRID, kernel=kernel
            ).table.tolist()
        )
        for each in (book, other)
        for kernel in kernels_for(other, order, rules, policy, fees)
    ]
    assert all(each == rows[0] for each in rows[1:])
