"""Sums of fills by venue, mark-outs and completion: against the same, fill by fill, in plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.book import BookRules, build_book
from allocator.engine import execute
from allocator.errors import NoPriceError
from allocator.fills import MARK_OUTS, Fills, VenueFills, by_venue, completion, matched, stood_mids, waited
from allocator.order import Execution, Fill, Order, Parameters, Rules
from allocator.policies import Static
from allocator.shortfall import trace_fills
from tests.allocator.test_book import tape_of
from tests.allocator.test_engine import cases
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND

FAIR = Rules("persist", "sweep", 50_000_000)


def fills_of(runs):
    """The recorded fills of some executions, run after run."""
    rows = [(n, fill.snapshot, fill.venue, fill.shares, fill.price) for n, run in enumerate(runs) for fill in run.fills]
    return Fills(*np.array(rows, np.int64).reshape(-1, 5).T, passive=np.zeros(len(rows), np.bool_))


def standing_mids(book, order):
    """Twice the last mid up to each snapshot of an order, by snapshot; before the first, twice the arrival mid."""
    stood, last = {}, book.arrival(order)[1]
    first, past = book.span(order)
    for t, mid2 in enumerate(book.mid2[:past].tolist()):
        last = mid2 or last
        stood[t] = last
    return {t: stood[t] for t in range(first, past)}


def crossed(book, t):
    bids, asks = [px for px in book.bid_ticks[t] if px], [px for px in book.ask_ticks[t] if px]
    return bool(bids and asks and max(bids) > min(asks))


def plain(book, orders, fees, runs, keep=lambda _: True):
    """The rows of `by_venue`, by run and publisher id, of the fills whose number is kept."""
    rows, numbers = {}, iter(range(10**9))
    for n, (order, run) in enumerate(zip(orders, runs, strict=True)):
        stood = standing_mids(book, order)
        for fill in run.fills:
            if not keep(next(numbers)):
                continue
            row = rows.setdefault((n, int(book.venues[fill.venue])), dict.fromkeys(VenueFills.__slots__, 0))
            q, mid2, now = fill.shares, stood[fill.snapshot], int(book.ts[fill.snapshot])
            row["fills"] += 1
            row["shares"] += q
            row["notional"] += q * fill.price
            row["fees"] += q * fees[fill.venue]
            row["spread"] += order.sign * q * (2 * fill.price - mid2)
            for seconds in MARK_OUTS:
                if now + seconds * SECOND <= int(book.ts[-1]):
                    later = max(t for t in range(len(book.ts)) if book.ts[t] <= now + seconds * SECOND)
                    mids = [int(mid) for mid in book.mid2[: later + 1] if mid]
                    after = mids[-1] if mids else mid2
                    row[f"mark_out_{seconds}s"] += order.sign * q * (after - mid2)
                    row[f"marked_{seconds}s"] += q
                    row[f"marked_notional_{seconds}s"] += q * fill.price
            row["crossed"] += q * crossed(book, fill.snapshot)
            flags = book.flags_of(book.published)[: fill.snapshot + 1, fill.venue]
            row["old"] += q * (now - int(book.ts[np.flatnonzero(flags)[-1]]) > 30 * SECOND)
    return rows


@examples(80)
@given(st.lists(cases(), min_size=1, max_size=1), st.sampled_from(["touch", "mid", "best"]))
def test_sums_by_venue_are_those_of_the_fills(made, reference):
    ((book, order, rules, fees),) = made
    orders = [order, Order(order.side, 2 * order.size, order.start, order.end)]
    try:
        runs = [
            execute(book, each, rules, fees, Static(reference=reference), Parameters(0, 10 * CENT, 0), record=True)
            for each in orders
        ]
    except NoPriceError:
        return
    sums = by_venue(book, orders, fees, [7] * len(fees), fills_of(runs))
    expected = plain(book, orders, fees, runs)
    assert list(zip(sums.run.tolist(), sums.venue.tolist(), strict=True)) == sorted(expected)
    for at, key in enumerate(sorted(expected)):
        for name in VenueFills.__slots__[2:]:
            assert int(getattr(sums, name)[at]) == expected[key][name], (key, name)
    for n, run in enumerate(runs):
        assert int(sums.shares[sums.run == n].sum()) == run.filled
        bought = int(sums.notional[sums.run == n].sum() + order.sign * sums.fees[sums.run == n].sum())
        assert bought == run.cash_filled or run.overfilled
    done = completion(book, orders, fills_of(runs))
    for n, (each, run) in enumerate(zip(orders, runs, strict=True)):
        for tenth in range(1, 11):
            until = each.start + (each.end - each.start) * tenth / 10
            expected_shares = sum(f.shares for f in run.fills if int(book.ts[f.snapshot]) <= until or tenth == 10)
            assert int(done[n, tenth - 1]) == expected_shares
    assert waited(book, orders, fills_of(runs)) == [
        sum(f.shares * (int(book.ts[f.snapshot]) - each.start) for f in run.fills)
        for each, run in zip(orders, runs, strict=True)
    ]


@examples(40)
@given(st.lists(cases(), min_size=1, max_size=1), st.lists(st.booleans(), min_size=1, max_size=7))
def test_passive_fills_pay_the_makers_fee_and_are_summed_apart(made, pattern):
    ((book, order, rules, fees),) = made
    orders = [order, Order(order.side, 2 * order.size, order.start, order.end)]
    try:
        runs = [
            execute(book, each, rules, fees, Static(reference="mid"), Parameters(0, 10 * CENT, 0), record=True)
            for each in orders
        ]
    except NoPriceError:
        return
    made_at = [-2 * fee + 1 for fee in fees]

    def passive(number):
        return pattern[number % len(pattern)]

    counted, trails = iter(range(10**9)), []
    for run in runs:
        rows = [(f.snapshot, f.venue, f.shares, f.price, int(passive(next(counted)))) for f in run.fills]
        trails.append(np.array(rows, np.int64).reshape(-1, 5))
    trails = [trail if trail[:, 4].any() else trail[:, :4] for trail in trails]  # as what takes only has
    fills = Fills.of(trails)
    both, alone = by_venue(book, orders, fees, made_at, fills), by_venue(book, orders, fees, made_at, fills.passively())
    own = plain(book, orders, made_at, runs, keep=passive)
    others = plain(book, orders, fees, runs, keep=lambda number: not passive(number))
    assert list(zip(alone.run.tolist(), alone.venue.tolist(), strict=True)) == sorted(own)
    for at, key in enumerate(sorted(own)):
        for name in VenueFills.__slots__[2:]:
            assert int(getattr(alone, name)[at]) == own[key][name], (key, name)
    nothing = dict.fromkeys(VenueFills.__slots__, 0)
    keys = sorted({*own, *others})
    assert list(zip(both.run.tolist(), both.venue.tolist(), strict=True)) == keys
    for at, key in enumerate(keys):
        for name in VenueFills.__slots__[2:]:
            assert int(getattr(both, name)[at]) == own.get(key, nothing)[name] + others.get(key, nothing)[name]
    for name in ("shares", "fees", "mark_out_10s"):
        assert matched(both, alone, name).tolist() == [own.get(key, nothing)[name] for key in keys]


def test_shares_that_are_sold_back_at_several_snapshots_count_where_they_were_filled():
    stood = np.array([10, 20, 30, 40], np.int64)
    fills = tuple(Fill(t, 0, shares, 1) for t, shares in ((0, 5), (1, 4), (2, 3), (3, 2)))
    for over, mids in ((0, 50 + 80 + 90 + 80), (1, 50 + 80 + 90 + 40), (4, 50 + 80 + 30), (14, 0)):
        execution = Execution(14, 0, over, 0, 0, 0, 0, 0, fills)
        assert trace_fills(stood, execution) == (mids, 1, 4)


@given(cases())
def test_the_standing_mid_is_the_same_for_every_order(case):
    book, order, _, _ = case
    first, past = book.span(order)
    assert stood_mids(book)[first:past].tolist() == [*standing_mids(book, order).values()]


def test_a_mark_out_by_hand():
    # one venue, a row a second; the mid rises by a cent each second for 12 s
    book = build_book(tape_of(*((n, 2, 10_000 + n, 100, 10_002 + n, 100) for n in range(13))), BookRules())
    for side, sign in (("buy", 1), ("sell", -1)):
        order = Order(side, 100, OPEN, OPEN + SECOND)
        run = execute(book, order, FAIR, [0], Static(reference="touch"), Parameters(0, 0, 0), record=True)
        sums = by_venue(book, [order], [0], [7], fills_of([run]))
        assert sums.shares.tolist() == [100]
        assert sums.spread.tolist() == [100 * 2 * CENT]  # half a spread, of two cents, in half nano-dollars
        assert sums.mark_out_1s.tolist() == [sign * 100 * 2 * CENT]
        assert sums.mark_out_10s.tolist() == [sign * 100 * 20 * CENT]
        assert (sums.mark_out_60s.tolist(), sums.marked_60s.tolist()) == ([0], [0])  # the book ends before
        assert sums.marked_10s.tolist() == [100]


@pytest.mark.parametrize("shares", [1, 2**35, 2**61])
def test_shares_times_nanoseconds_are_exact_however_many(shares):
    book = build_book(tape_of((0, 2, 100, 100, 102, 100), (86_399, 2, 100, 100, 102, 100)), BookRules())
    orders = [Order("buy", shares, OPEN - day, OPEN) for day in (1, 7 * SECOND)]
    rows = [[(1, 0, shares, 1), (0, 0, 5, 1)], [(1, 0, shares - 1, 1)]]
    fills = Fills.of([np.array(each, np.int64) for each in rows])
    day = 86_399 * SECOND
    assert waited(book, orders, fills) == [shares * (day + 1) + 5, (shares - 1) * (day + 7 * SECOND)]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_no_fills_are_no_rows(side):
    book = build_book(tape_of((0, 2, 100, 100, 102, 100)), BookRules())
    empty = Fills.of([None])
    order = Order(side, 1, OPEN, OPEN)
    assert len(by_venue(book, [order], [0], [0], empty).run) == 0
    assert completion(book, [order], empty).tolist() == [[0] * 10]
    assert waited(book, [order], empty) == [0]
