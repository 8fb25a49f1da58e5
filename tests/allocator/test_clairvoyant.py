"""The clairvoyant bound: by hand, never beaten by any strategy, reached by one who knows, compiled as plain."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.book import OFF, BookRules, build_book
from allocator.clairvoyant import ENDLESS, _Everything, _last_ask, clairvoyant
from allocator.engine import ChildOrder, best_other, execute
from allocator.errors import NoPriceError
from allocator.order import Order, ParameterColumns, Parameters, Rules
from allocator.policies import Pseudocode, Static
from allocator.simulate import run_baselines, run_combinations
from tests.allocator.test_book import tape_of
from tests.allocator.test_depth import BID, deep_tape_of
from tests.allocator.test_engine import GRID, SWITCHES, book_rules, fees_of, orders, outcome, rules_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, random_tape, tapes
from tests.support.tapes import with_levels

PERSIST = Rules("persist", "sweep", 50_000_000, 5_000_000)
REFRESH = replace(PERSIST, liquidity="refresh")
FEE = 3_000_000


@st.composite
def cases(draw):
    """A book of one level or of three, by any rules."""
    tape = draw(tapes(max_rows=25, trades=False))
    if draw(st.booleans()):
        tape = with_levels(tape, 3, draw(st.integers(0, 2**32 - 1)))
    book = build_book(tape, draw(book_rules))
    return book, draw(orders(tape)), draw(rules_of), fees_of(book)


def bound_of(book, size, rules=PERSIST, fees=None, side="buy", **span):
    order = replace(Order(side, size, *book.ts[[0, -1]].tolist()), **span)
    fees = [0] * len(book.venues) if fees is None else fees
    runs = [clairvoyant(book, order, rules, fees, plain=plain) for plain in (False, True)]
    assert runs[0] == runs[1]
    return runs[0]


def test_a_spell_offers_the_largest_size_that_it_displays():
    rows = [(0, 100, 5), (1, 100, 9), (2, 100, 7), (3, 101, 4), (4, 100, 2), (5, 103, 90)]
    book = build_book(tape_of(*((s, 1, 90, 1, px, size) for s, px, size in rows)), BookRules(stub_band=OFF))
    # 9 at 100 and, after the change, 2 more
    assert bound_of(book, 13).cash_filled == (11 * 100 + 2 * 101) * CENT
    assert bound_of(book, 20).cash_filled == (11 * 100 + 4 * 101 + 5 * 103) * CENT
    # each published quote by itself: 5 + 9 + 7 + 2 at 100
    assert bound_of(book, 25, REFRESH).cash_filled == (23 * 100 + 2 * 101) * CENT
    # a spell that has begun before the order does offers what it displays from then on
    late = OPEN + 2 * SECOND
    assert bound_of(book, 13, start=late).cash_filled == (9 * 100 + 4 * 101) * CENT


def test_under_refresh_a_quote_that_stands_is_offered_once():
    rows = [(0, 1, 90, 1, 100, 5), (1, 2, 90, 1, 103, 5), (2, 2, 90, 1, 104, 5)]
    book = build_book(tape_of(*rows), BookRules(stub_band=OFF))
    assert bound_of(book, 9, REFRESH).cash_filled == (5 * 100 + 4 * 103) * CENT


def test_what_is_hidden_is_no_supply():
    rows = [(0, 1, 101, 1, 102, 9), (1, 2, 90, 1, 100, 9), (2, 1, 101, 1, 102, 9)]
    book = build_book(tape_of(*rows), BookRules(stub_band=OFF))
    assert book.counts["uncrossed_quotes"]
    crossed = build_book(tape_of(*rows), BookRules(uncross=False, stub_band=OFF))
    assert bound_of(crossed, 9).cash_filled == 9 * 100 * CENT
    hidden = (book.ask_px[:, 1] == 0) & (crossed.ask_px[:, 1] > 0)
    late = int(book.ts[hidden][0])
    assert bound_of(book, 9, start=late).cash_filled == 9 * 102 * CENT


def test_costs_are_after_fees_and_of_equal_ones_the_later_venue_is_taken():
    rows = [(0, 1, 90, 1, 101, 10), (0, 2, 90, 1, 100, 10), (0, 3, 90, 1, 101, 10)]
    book = build_book(tape_of(*rows), BookRules(stub_band=OFF))
    run = bound_of(book, 15, fees=[0, CENT, -CENT])
    # 10 at 101 less a rebate of one, then 5 at 100 and a fee of one: not those at 101 without a fee
    assert (run.cash_filled, run.fees) == ((10 * 100 + 5 * 101) * CENT, -5 * CENT)


def test_what_no_supply_gives_is_valued_as_unfilled_and_so_is_what_would_cost_more():
    book = build_book(tape_of((0, 1, 90, 1, 104, 10), (1, 1, 90, 1, 100, 4)), BookRules(stub_band=OFF))
    # unfilled shares are worth half a percent above 100 cents and a penalty of five: 104 is cheaper
    run = bound_of(book, 20)
    assert (run.filled, run.unfilled, run.unfilled_value) == (14, 6, 6 * 105_500_000_0)
    # without the penalty it is not
    run = bound_of(book, 20, replace(PERSIST, unfilled_penalty=0))
    assert (run.filled, run.unfilled, run.total_cash) == (4, 16, 4 * 100 * CENT + 16 * 1_005_000_000)


def test_the_last_ask_is_a_supply_without_end():
    book = build_book(tape_of((0, 1, 90, 1, 99, 10), (1, 1, 90, 1, 101, 4), (2, 1, 90, 1, 100, 4)), BookRules())
    last = Rules("persist", "last_ask", 50_000_000)
    run = bound_of(book, 50, last, fees=[FEE])
    assert (run.filled, run.cash_filled, run.fees) == (50, 10 * 99 * CENT + 40 * 100 * CENT + 50 * FEE, 50 * FEE)
    gone = build_book(tape_of((0, 1, 90, 1, 99, 10), (1, 1, 90, 1, 0, 0)), BookRules())
    run = bound_of(gone, 50, last)
    assert (run.filled, run.unfilled_value) == (10, 40 * (99 * CENT + 50_000_000))


def test_an_order_without_a_snapshot_is_valued_by_the_standing_book_and_one_without_a_quote_has_no_value():
    book = build_book(tape_of((0, 1, 90, 1, 100, 10), (9, 1, 90, 1, 101, 10)), BookRules())
    span = {"start": OPEN + SECOND, "end": OPEN + 2 * SECOND}
    for rules in (PERSIST, Rules("refresh", "last_ask", 50_000_000)):
        run = bound_of(book, 5, replace(rules, leftover_band=None), **span)
        assert (run.unfilled, run.unfilled_value) == (5, 5 * (100 * CENT + 50_000_000))
    none = build_book(tape_of((0, 1, 90, 1, 0, 0)), BookRules())
    for plain in (False, True):
        with pytest.raises(NoPriceError):
            clairvoyant(none, Order("buy", 5, OPEN, OPEN), PERSIST, [0], plain=plain)


def test_a_price_goes_from_level_to_level_in_one_spell_until_a_row_does_not_show_it():
    rows = [
        (0, 2, BID, [(10_000, 10), (10_001, 30)]),
        (1, 2, BID, [(10_001, 40), (10_002, 10)]),
        (2, 2, BID, [(9_999, 5), (10_001, 40)]),
        (3, 2, BID, [(9_999, 7), (10_002, 1)]),
        (4, 2, BID, [(10_001, 40), (10_002, 1)]),
    ]
    book = build_book(deep_tape_of(*rows), BookRules(uncross=False, stub_band=OFF))
    # 7 at 9,999, 10 at 10,000, 40 and, shown again, 40 at 10,001; of 10,002 10, and 1 that is shown again
    for size, cash in ((17, 7 * 9_999 + 10 * 10_000), (97, 7 * 9_999 + 10 * 10_000 + 80 * 10_001)):
        assert bound_of(book, size).cash_filled == cash * CENT
    assert bound_of(book, 10**4).filled == 97 + 11
    # each row by itself: 5 + 7, 10, 30 + 40 + 40 + 40, 10 + 1 + 1
    assert bound_of(book, 10**4, REFRESH).filled == 12 + 10 + 150 + 12


@examples(150)
@given(cases())
def test_the_kernels_equal_the_reference_engine(case):
    kernel, plain = (outcome(lambda plain=plain: clairvoyant(*case, plain=plain)) for plain in (False, True))
    assert kernel == plain


@examples(40)
@given(cases())
def test_prices_beyond_32_bits_are_bounded_the_same(case):
    book, *others = case
    names = ("bid_ticks", "ask_ticks")
    wide = {name: getattr(book, name).astype(np.int64) for name in names}
    if book.levels is not None:
        levels = {name: getattr(book.levels, name).astype(np.int64) for name in names}
        wide["levels"] = replace(book.levels, **levels)
    other = replace(book, **wide, bid_tiles=None, ask_tiles=None)
    assert outcome(lambda: clairvoyant(other, *others)) == outcome(lambda: clairvoyant(book, *others))


def policies_of(*, lots_only):
    switches = {**SWITCHES, "lots_only": st.just(lots_only)}
    pseudocode = st.builds(Pseudocode, infeasible=st.sampled_from(["sweep", "wait"]), **switches)
    return st.one_of(st.builds(Static, **switches), pseudocode)


grids = st.lists(st.integers(0, 12 * CENT), min_size=1, max_size=4).map(
    lambda taus: ParameterColumns.of([Parameters(0, tau, 0) for tau in taus])
)


@examples(250)
@given(cases(), policies_of(lots_only=False), grids)
def test_no_strategy_is_ever_below_the_bound(case, policy, grid):
    book, order, rules, fees = case
    try:
        bound = clairvoyant(book, order, rules, fees)
    except NoPriceError:
        assume(False)
    totals = run_combinations(book, order, rules, policy, fees, grid).rows[:, -1].tolist()
    for conventions in ("fair", "classic"):
        for follower in ("best_ask", "best_available"):
            runs = run_baselines(book, order, rules, fees, conventions, follower=follower)
            totals += [run.total_cash for run in runs.values()]
    assert all(order.sign * (total - bound.total_cash) >= 0 for total in totals)


@examples(100)
@given(cases(), policies_of(lots_only=True))
def test_beyond_the_bound_is_only_what_an_excess_earns(case, policy):
    book, order, rules, fees = case
    try:
        bound = clairvoyant(book, order, rules, fees)
    except NoPriceError:
        assume(False)
    side, earned = book.take_side(order.side), 0
    for t in range(*book.span(order)):
        asks = [
            order.sign * px + fee for px, fee in zip(book.price_list(side.ticks[t].tolist()), fees, strict=True) if px
        ]
        other = best_other(book.price_list(side.other_ticks[t].tolist()), fees, order.sign)
        earned = max(earned, other[0] - min(asks)) if other and asks else earned
    for row in run_combinations(book, order, rules, policy, fees, GRID).rows.tolist():
        assert order.sign * (row[-1] - bound.total_cash) + row[2] * earned >= 0


@dataclass(frozen=True, slots=True)
class Knowing:
    """Takes of each venue, by cost, as many shares as it was told to."""

    wanted: Counter
    unit: int = 1

    def decide(self, view, remaining, parameters):  # noqa: ARG002
        depth = len(view.costs) // max(1, self.wanted["venues"])
        for s, (cost, shares) in enumerate(zip(view.costs, view.available, strict=True)):
            buys = min(shares, self.wanted[cost, s // depth])
            self.wanted[cost, s // depth] -= buys
            yield ChildOrder(s, buys, view.prices[s])


@examples(150)
@given(cases())
def test_one_who_knows_the_supplies_reaches_the_bound(case):
    book, order, rules, fees = case
    try:
        bound = clairvoyant(book, order, rules, fees)
        everything = execute(
            book, replace(order, size=ENDLESS), replace(rules, leftover="sweep"), fees, _Everything(),
            Parameters(0, 0, 0), record=True,
        ).fills  # fmt: skip
    except NoPriceError:
        assume(False)
    # without a band deeper levels are swept at the end that cost more than what is unfilled
    assume(rules.leftover != "sweep" or rules.leftover_band is not None or book.depth == 1 or not bound.unfilled)
    ask = _last_ask(book, order, rules)
    most = None if ask is None else ask[1] + fees[ask[0]]
    offers = sorted((order.sign * fill.price + fees[fill.venue], -fill.venue, fill.shares) for fill in everything)
    missing, wanted = bound.filled, Counter({"venues": len(book.venues)})
    for cost, venue, shares in offers:
        if most is None or cost <= most:
            wanted[cost, -venue] += min(shares, missing)
            missing -= min(shares, missing)
    run = execute(book, order, rules, fees, Knowing(wanted), Parameters(0, 0, 0))
    assert run.total_cash == bound.total_cash


def naive(book, order, fees, persist):
    """The bound of one level by spells, from the columns: no engine and no rule of its own."""
    side, offers = book.take_side(order.side), []
    resets = book.flags_of(side.moved if persist else book.published)
    first, past = book.span(order)
    for v, fee in enumerate(fees):
        spell = np.cumsum(resets[first:past, v])
        shown = zip(spell.tolist(), side.ticks[first:past, v].tolist(), side.sz[first:past, v].tolist(), strict=True)
        for _, quotes in groupby((each for each in shown if each[1]), key=lambda each: each[0]):
            ticks, sizes = zip(*((each[1], each[2]) for each in quotes), strict=True)
            assert len(set(ticks)) == 1
            offers.append((order.sign * book.price_list(ticks)[0] + fee, max(sizes)))
    cash, missing = 0, order.size
    for cost, size in sorted(offers):
        cash, missing = cash + min(size, missing) * cost, missing - min(size, missing)
    return cash, missing


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
@pytest.mark.parametrize(("snapshots", "venues", "dense"), [(3000, 3, False), (400, 70, False), (300, 2, True)])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_long_book_is_bounded_by_its_spells(liquidity, snapshots, venues, dense, side):
    book = build_book(random_tape(7, snapshots, venues, dense=dense), BookRules(max_age=40 * SECOND))
    fees = [(v % 5 - 2) * 1_000_000 for v in range(venues)]
    rules = Rules(liquidity, "sweep", 10**12)  # nothing stays unfilled that can be bought
    for size in (1, 700, 40_000, 10**6):
        order = Order(side, size, *book.ts[[5, -9]].tolist())
        cash, missing = naive(book, order, fees, liquidity == "persist")
        run = clairvoyant(book, order, rules, fees)
        assert (order.sign * run.cash_filled, run.unfilled) == (cash, missing)
