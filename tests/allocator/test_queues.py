"""Queues of resting orders: every rule worked out by hand, then the kernel against the plain functions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.book import OFF, BookRules, build_book
from allocator.errors import AllocatorError
from allocator.money import NANO
from allocator.order import NEUTRAL
from allocator.queues import EVENTS, FULL, Joins, QueueRules, cleared, cleared_plain
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape
from tests.allocator.test_depth import deep_tape_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, deep_tapes, restless_tape, tapes
from tests.support.tapes import with_levels, with_trades

BARE = BookRules(uncross=False, stub_band=OFF)
PESSIMISTIC, OPTIMISTIC = QueueRules(0, 0), QueueRules(NANO, 0)
RULES = {"pessimistic": PESSIMISTIC, "neutral": QueueRules(NEUTRAL, 0), "optimistic": OPTIMISTIC}
MIRROR = 20_000 * CENT
"""Prices p of a tape are this less p in its mirror image."""


def joins_of(*rows):
    """Orders of (venue, joined, past, cents, shares assumed ahead)."""
    columns = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    columns[3] *= CENT
    return Joins(*columns)


def mirrored(tape):
    """The same with the sides exchanged; a side without a quote has none."""

    def negated(px):
        return np.where(px > 0, MIRROR - px, 0)

    columns = {name: getattr(tape, name) for name in QUOTE_DTYPES}
    trades = {name: getattr(tape.trades, name) for name in TRADE_DTYPES}
    exchanged = {"bid_px": negated(tape.ask_px), "ask_px": negated(tape.bid_px)}
    exchanged |= {"bid_sz": tape.ask_sz, "ask_sz": tape.bid_sz}
    levels = tape.levels and {
        "bid_px": negated(tape.levels.ask_px),
        "ask_px": negated(tape.levels.bid_px),
        "bid_sz": tape.levels.ask_sz,
        "ask_sz": tape.levels.bid_sz,
    }
    trades |= {"px": MIRROR - trades["px"], "side": -trades["side"]}
    return Tape.build(tape.symbol, **columns | exchanged, trades=trades, levels=levels)


def mirrored_joins(joins):
    return replace(joins, price=MIRROR - joins.price)


def as_lists(cleared):
    """Queues, refusals, what is ahead in the end, and events (order, snapshot, shares)."""
    events = zip(cleared.order.tolist(), cleared.snapshot.tolist(), cleared.through.tolist(), strict=True)
    return cleared.queue.tolist(), cleared.refused.tolist(), cleared.ahead.tolist(), list(events)


def run(tape, joins, rules, made=BARE):
    """What becomes of orders, compiled and plain, of both sides in their mirror images."""
    book, image = build_book(tape, made), build_book(mirrored(tape), made)
    done = as_lists(cleared_plain(book, "buy", joins, rules))
    assert as_lists(cleared(book, "buy", joins, rules)) == done
    for clearing in (cleared_plain, cleared):
        assert as_lists(clearing(image, "sell", mirrored_joins(joins), rules)) == done
    return done


ASK = [(9_010, 100)]


def rows_of(*bids, ask=ASK):
    """A tape of one venue, a row a second, each showing bids of (cents, shares)."""
    return deep_tape_of(*((second, 2, each, ask) for second, each in enumerate(bids)))


def one(tape, rules=PESSIMISTIC, *, price=9_000, joined=0, assumed=0, made=BARE):
    """The queue joined, what is ahead in the end, and (snapshot, shares through) of a single order of the venue 2."""
    past = len(build_book(tape, made).ts)
    queue, refused, ahead, events = run(tape, joins_of((0, joined, past, price, assumed)), rules, made)
    assert refused == [False]
    return queue[0], ahead[0], [(snapshot, through) for _, snapshot, through in events]


def same_for_all(tape, expected, **keys):
    for rules in RULES.values():
        assert one(tape, rules, **keys) == expected


# Prints


def test_prints_take_what_is_ahead_and_then_pass():
    tape = rows_of([(9_000, 100)], [(9_000, 40)], [(9_000, 30)], [(9_000, 30)])
    trades = [(0.5, 2, 9_000, 60, -1), (1.5, 2, 9_000, 30, -1), (1.6, 2, 9_000, 25, -1), (2.5, 2, 9_000, 7, -1)]
    same_for_all(with_trades(tape, *trades), (100, 0, [(2, 15), (3, 22)]))


def test_a_print_of_an_unknown_aggressor_counts_and_one_of_a_buyer_does_not():
    tape = rows_of([(9_000, 10)], [(9_000, 10)], [(9_000, 10)])
    assert one(with_trades(tape, (0.5, 2, 9_000, 15, 0))) == (10, 0, [(1, 5)])
    assert one(with_trades(tape, (0.5, 2, 9_000, 15, 1))) == (10, 10, [])


def test_a_print_below_fills_all_whoever_took_and_one_above_nothing():
    tape = rows_of([(9_000, 10)], [(9_000, 10)], [(9_000, 10)])
    for side in (-1, 0, 1):
        trades = [(0.5, 2, 9_001, 99, side), (1.5, 2, 8_999, 1, side), (1.6, 2, 9_000, 99, -1)]
        same_for_all(with_trades(tape, *trades), (10, 0, [(2, FULL)]))


def test_what_traded_by_the_snapshot_joined_or_after_the_last_one_is_not_seen():
    tape = with_trades(rows_of(*[[(9_000, 10)]] * 4), *((each, 2, 9_000, 15, -1) for each in (0.5, 1, 2.5, 3)))
    assert run(tape, joins_of((0, 1, 3, 9_000, 0)), PESSIMISTIC) == ([10], [False], [10], [])
    assert run(tape, joins_of((0, 1, 4, 9_000, 0)), PESSIMISTIC) == ([10], [False], [0], [(0, 3, 20)])


def test_prints_of_another_venue_pass_nobody_here():
    rows = [(second, venue, [(9_000, 10)], ASK) for second in range(3) for venue in (2, 43)]
    tape = with_trades(deep_tape_of(*rows), (0.5, 43, 9_000, 15, -1), (1.5, 43, 8_999, 15, -1))
    done = run(tape, joins_of((0, 0, 3, 9_000, 0), (1, 0, 3, 9_000, 0)), PESSIMISTIC)
    assert done == ([10, 10], [False] * 2, [10, 0], [(1, 1, 5), (1, 2, FULL)])


# A trade and its row are one event


def test_the_row_after_a_print_does_not_count_as_a_cancel():
    # the row shows the trade's 60 shares less, and 10 fewer: these alone were cancelled
    tape = with_trades(rows_of([(9_000, 100)], [(9_000, 30)]), (0.5, 2, 9_000, 60, -1))
    assert [one(tape, rules)[1] for rules in (PESSIMISTIC, OPTIMISTIC)] == [30, 30]
    tape = with_trades(rows_of([(9_000, 100)], [(9_000, 130)], [(9_000, 60)]), (1.5, 2, 9_000, 60, -1))
    assert [one(tape, rules)[1] for rules in RULES.values()] == [40, 40 - 10 * 40 // 70, 30]


def test_a_row_of_the_prints_own_stamp_may_show_the_book_before_it():
    # as Databento's rows of action T: at 1 s two trades of 40 and 20, the last row before the second of them
    tape = rows_of([(9_000, 100)], [(9_000, 60)], [(9_000, 40)], [(9_000, 30)])
    tape = with_trades(tape, (1, 2, 9_000, 40, -1), (1, 2, 9_000, 20, -1))
    assert [one(tape, rules)[1] for rules in (PESSIMISTIC, OPTIMISTIC)] == [30, 30]
    tape = rows_of([(9_000, 100)], [(9_000, 160)], [(9_000, 140)], [(9_000, 120)])
    tape = with_trades(tape, (1, 2, 9_000, 40, -1))
    # 20 of the 40 are seen at 2 s; a row later than the print shows all there is of it: what goes at 3 s is cancelled
    assert [one(tape, rules)[1] for rules in RULES.values()] == [60, 60 - 20 * 60 // 140, 40]


def test_a_print_that_the_next_row_does_not_show_is_forgotten():
    tape = rows_of([(9_000, 100)], [(9_000, 100)], [(9_000, 70)])  # of a hidden order, it seems
    tape = with_trades(tape, (0.5, 2, 9_000, 30, -1))
    assert [one(tape, rules)[1] for rules in (PESSIMISTIC, OPTIMISTIC)] == [70, 40]


def test_a_print_waits_for_its_venues_row_while_others_publish():
    rows = [(0, 2, [(9_000, 100)], ASK), (1, 43, [(8_000, 1)], ASK), (2, 43, [(8_000, 1)], ASK)]
    tape = with_trades(deep_tape_of(*rows, (3, 2, [(9_000, 70)], ASK)), (1, 2, 9_000, 30, -1))
    assert [one(tape, rules)[1] for rules in (PESSIMISTIC, OPTIMISTIC)] == [70, 70]


def test_a_print_is_absorbed_where_the_price_leaves_and_comes_back():
    tape = rows_of([(9_000, 50)], [(8_999, 10)], [(9_000, 80)], [(9_000, 50)])
    tape = with_trades(tape, (1, 2, 9_000, 30, -1))
    # nobody is ahead from 1 s on, so that cancels take nothing
    same_for_all(tape, (50, 0, []))


# Cancels and increases


def test_cancels_fall_on_those_ahead_by_phi():
    tape = with_trades(rows_of([(9_000, 100)], [(9_000, 200)], [(9_000, 120)]), (0, 2, 9_000, 1, 1))
    expected = {0: 100, NANO // 4: 80, NANO // 2: 60, NANO: 20, NEUTRAL: 60}
    assert {phi: one(tape, QueueRules(phi))[1] for phi in expected} == expected
    # of 7 cancelled two thirds round down
    tape = with_trades(rows_of([(9_000, 20)], [(9_000, 30)], [(9_000, 23)]), (0, 2, 9_000, 1, 1))
    assert one(tape, QueueRules(NEUTRAL))[1] == 20 - 7 * 20 // 30
    assert one(tape, QueueRules(2 * NANO // 3))[1] == 20 - 4


def test_no_more_is_ahead_than_displayed():
    tape = with_trades(rows_of([(9_000, 100)], [(9_000, 30)], [(9_000, 90)]), (0, 2, 9_000, 1, 1))
    same_for_all(tape, (100, 30, []))


def test_increases_join_behind():
    tape = rows_of([(9_000, 10)], [(9_000, 500)])
    same_for_all(with_trades(tape, (0.5, 2, 9_000, 12, -1)), (10, 0, [(1, 2)]))


# Without prints


def test_a_part_of_a_decrease_trades_where_the_tape_has_no_prints():
    tape = rows_of([(9_000, 100)], [(9_000, 60)], [(9_000, 90)], [(9_000, 10)])
    for rho, expected in {
        0: (100, 10, []),
        NANO: (100, 0, [(3, 20)]),
        NANO // 2: (100, 0 + 10, []),  # 20, then 40: 80 less 40 are more than the 10 displayed
    }.items():
        assert one(tape, QueueRules(0, rho)) == expected
    assert one(tape, QueueRules(NANO, NANO // 2))[1] == 0
    # with prints rho plays no part
    assert one(with_trades(tape, (0, 2, 9_000, 1, 1)), QueueRules(0, NANO)) == (100, 10, [])


def test_a_price_that_leaves_fills_nobody():
    same_for_all(rows_of([(9_000, 100)], [(8_999, 60)], [(9_000, 50)]), (100, 0, []))
    assert one(rows_of([(9_000, 100)], [(8_999, 60)], [(9_000, 50)]), QueueRules(0, NANO)) == (100, 0, [])
    # nor by those who had joined behind
    tape = rows_of([(9_000, 100)], [(9_000, 250)], [(8_999, 60)])
    assert one(tape, QueueRules(0, NANO)) == (100, 0, [])
    # we are the first of those who come back
    tape = rows_of([(9_000, 100)], [(8_999, 60)], [(9_000, 50)], [(9_000, 45)])
    assert one(tape, QueueRules(0, NANO)) == (100, 0, [(3, 5)])


# The price moves


def test_an_ask_that_comes_to_our_price_fills_all():
    for ask in (9_000, 8_999):
        tape = deep_tape_of((0, 2, [(9_000, 10)], ASK), (1, 2, [(8_990, 10)], [(ask, 10)]))
        same_for_all(tape, (10, 0, [(1, FULL)]))
    tape = deep_tape_of((0, 2, [(9_000, 10)], ASK), (1, 2, [(8_990, 10)], [(9_001, 10)]))
    same_for_all(tape, (10, 0, []))


def test_the_place_is_kept_while_the_bid_is_above():
    tape = rows_of([(9_000, 100)], [(9_001, 7)], [(9_001, 9)], [(9_000, 60)])
    assert [one(tape, rules)[1] for rules in RULES.values()] == [60, 60, 60]
    tape = rows_of([(9_000, 100)], [(9_001, 7)], [(9_000, 300)], [(9_000, 250)])
    assert [one(tape, rules)[1] for rules in RULES.values()] == [100, 100 - 50 * 100 // 300, 50]


def test_the_depth_shows_a_queue_behind_a_better_bid():
    tape = rows_of(
        [(9_000, 100), (8_999, 50)],
        [(9_001, 7), (9_000, 110)],
        [(9_001, 7), (9_000, 80)],
        [(9_002, 1), (9_001, 7)],
    )
    assert [one(tape, rules)[1] for rules in RULES.values()] == [80, 100 - 30 * 100 // 110, 70]
    # between two levels nobody rests: those who come later are behind
    tape = rows_of([(9_000, 100), (8_999, 50)], [(9_001, 7), (8_999, 50)], [(9_001, 7), (9_000, 50)])
    same_for_all(tape, (100, 0, []))


def test_a_hidden_or_withdrawn_bid_changes_nothing():
    tape = rows_of([(9_000, 100)], [(0, 0)], [(9_000, 250)], [(9_000, 200)])
    assert [one(tape, rules)[1] for rules in RULES.values()] == [100, 100 - 50 * 100 // 250, 50]
    # the newer ask of the other venue crosses the bid, which is hidden until that ask goes; its row in between as well
    rows = [
        (0, 2, [(9_000, 100)], ASK),
        (1, 43, [(8_000, 1)], [(8_990, 1)]),
        (2, 43, [(8_000, 1)], ASK),
        (3, 2, [(9_000, 60)], ASK),
    ]
    tape = with_trades(deep_tape_of(*rows), (1, 2, 9_000, 30, -1))
    book = build_book(tape, BookRules())
    assert book.bid_sz[:, 0].tolist() == [100, 0, 100, 60]
    # what shows at 2 s is the row of before the trade, which still waits for its own
    assert [one(tape, rules, made=BookRules())[1] for rules in RULES.values()] == [60, 70 - 10 * 70 // 70, 60]


# Joining


def test_an_order_joins_behind_what_its_snapshot_shows():
    tape = rows_of([(9_002, 100), (9_000, 50)], [(9_002, 100), (9_000, 50)])
    queues = {price: one(tape, price=price, assumed=77)[0] for price in (9_003, 9_002, 9_001, 9_000, 8_999)}
    assert queues == {9_003: 0, 9_002: 100, 9_001: 0, 9_000: 50, 8_999: 77}
    assert one(rows_of([(9_002, 100)], [(9_000, 60)]), OPTIMISTIC, assumed=77) == (77, 60, [])
    assert one(rows_of([(0, 0)], [(9_000, 60)]), assumed=77) == (0, 0, [])


def test_an_order_that_would_trade_at_once_is_refused():
    tape = with_trades(rows_of([(9_000, 10)], [(9_000, 10)]), (0.5, 2, 9_000, 50, -1))
    for price, refused in ((9_009, False), (9_010, True), (9_011, True)):
        done = run(tape, joins_of((0, 0, 2, price, 3)), PESSIMISTIC)
        assert done == ([0], [refused], [0], [] if refused else [(0, 1, FULL)])


def test_orders_that_join_at_other_times_have_other_places():
    tape = with_trades(rows_of([(9_000, 10)], [(9_000, 60)], [(9_000, 25)]), (1.5, 2, 9_000, 35, -1))
    done = run(tape, joins_of((0, 1, 3, 9_000, 0), (0, 0, 3, 9_000, 0), (0, 2, 3, 9_000, 0)), PESSIMISTIC)
    assert done == ([60, 10, 25], [False] * 3, [25, 0, 25], [(1, 2, 25)])


def test_nothing_to_join_is_nothing():
    assert run(rows_of([(9_000, 10)]), joins_of(), PESSIMISTIC) == ([], [], [], [])
    assert run(rows_of([(9_000, 10)]), joins_of((0, 0, 0, 9_000, 0)), PESSIMISTIC) == ([10], [False], [10], [])


@pytest.mark.parametrize("bad", [{"phi": -2}, {"phi": NANO + 1}, {"rho": -1}, {"rho": NANO + 1}])
def test_parts_are_parts(bad):
    with pytest.raises(AllocatorError, match="expected 0 to 1"):
        QueueRules(**bad)


@pytest.mark.parametrize("bad", [(1, 0, 1), (-1, 0, 1), (0, 2, 2), (0, -1, 1), (0, 0, 3), (0, 0, 1, 9_000, -1)])
@pytest.mark.parametrize("clearing", [cleared, cleared_plain])
def test_orders_that_the_book_does_not_know_are_refused(clearing, bad):
    book = build_book(rows_of([(9_000, 10)], [(9_000, 10)]), BARE)
    with pytest.raises(AllocatorError, match=r"joins\.(venue|joined|past|ahead): expected 0 to "):
        clearing(book, "buy", joins_of((*bad, 9_000, 0)[:5]), PESSIMISTIC)


# Any tape


STEPS = np.array([0, 0, SECOND // 2, SECOND])


@st.composite
def busy_tapes(draw, depth=1):
    """Quotes of up to three venues that hardly move, and prints at their stamps and between them: queues live long."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    venues, rows = draw(st.integers(1, 3)), draw(st.integers(1, 25))
    ts = OPEN + np.cumsum(rng.choice(STEPS, rows))
    bid = 10_000 + rng.choice([0, 0, 0, 1, -1], rows)
    ask = bid + rng.choice([1, 2, 2, 3, 0, -1], rows)
    bid_sz, ask_sz = rng.choice([0, 1, 7, 30, 60, 100, 100], (2, rows))
    count = draw(st.integers(0, 12))
    trades = {
        "ts": np.sort(rng.choice([*ts, *ts + SECOND // 4], count)),
        "venue": 1 + rng.integers(0, venues, count),
        "px": (10_000 + rng.choice([0, 0, 0, 1, 1, -1, 2], count)) * CENT,
        "sz": rng.choice([1, 5, 20, 60, 150], count),
        "side": rng.integers(-1, 2, count),
        "sequence": np.arange(count),
    }
    tape = Tape.build(
        "XYZ",
        ts=ts,
        venue=1 + rng.integers(0, venues, rows),
        bid_px=bid * CENT,
        ask_px=ask * CENT,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        sequence=np.arange(rows),
        trades=trades,
    )
    return with_levels(tape, depth, draw(st.integers(0, 2**32 - 1))) if depth > 1 else tape


def some_joins(book, seed, count=6):
    """Orders anywhere in a book, most of them at a price that a venue displays or near it."""
    rng = np.random.default_rng(seed)
    venue, joined = rng.integers(0, len(book.venues), count), rng.integers(0, len(book.ts), count)
    price = 9_998 + rng.integers(0, 5, count)
    return Joins(
        venue,
        joined,
        np.minimum(joined + rng.integers(0, 1 + len(book.ts), count), len(book.ts)),
        price * CENT,
        rng.integers(0, 90, count),
    )


MADE = [BARE, BookRules(), BookRules(max_age=SECOND), BookRules("event")]
SEEDS = st.integers(0, 2**32 - 1)
PARTS = st.sampled_from([NEUTRAL, 0, 1, NANO // 3, NANO])


@pytest.mark.parametrize("depth", [1, 3])
@examples(200)
@given(st.data(), st.sampled_from(MADE), SEEDS, PARTS, st.sampled_from([0, NANO // 3, NANO]))
def test_the_kernel_is_the_plain_function_on_both_sides(depth, data, made, seed, phi, rho):
    tape = data.draw(busy_tapes(depth))
    joins = some_joins(build_book(tape, made), seed)
    done = as_lists(cleared_plain(build_book(tape, made), "buy", joins, QueueRules(phi, rho)))
    assert as_lists(cleared(build_book(tape, made), "buy", joins, QueueRules(phi, rho))) == done
    image, joins = build_book(mirrored(tape), made), mirrored_joins(joins)
    assert as_lists(cleared(image, "sell", joins, QueueRules(phi, rho))) == done
    assert as_lists(cleared_plain(image, "sell", joins, QueueRules(phi, rho))) == done


@examples(60)
@given(deep_tapes(max_depth=3) | tapes(), st.sampled_from(MADE), SEEDS, PARTS)
def test_wild_tapes_are_cleared_alike(tape, made, seed, phi):
    book = build_book(tape, made)
    joins = some_joins(book, seed)
    for side in ("buy", "sell"):
        done = as_lists(cleared_plain(book, side, joins, QueueRules(phi, NANO // 2)))
        assert as_lists(cleared(book, side, joins, QueueRules(phi, NANO // 2))) == done


def test_a_wide_book_is_cleared_alike_with_more_events_than_there_is_room_for():
    book = build_book(restless_tape(3, 300, 70), BARE)
    best = book.bid_px[60]
    at = np.flatnonzero(best)
    joins = Joins(at, np.full(len(at), 60), np.full(len(at), len(book.ts)), best[at], np.zeros(len(at), np.int64))
    for rules in (QueueRules(NANO, NANO), QueueRules(NEUTRAL, NANO)):
        done = cleared_plain(book, "buy", joins, rules)
        assert len(done.order) > 70
        assert as_lists(cleared(book, "buy", joins, rules)) == as_lists(done)
    # a hundred prints pass an order without a queue, one at each snapshot
    tape = with_trades(rows_of(*[[(8_990, 1)]] * 101), *((at + 0.5, 2, 9_000, 1, -1) for at in range(100)))
    queue, ahead, events = one(tape, OPTIMISTIC)
    assert (queue, ahead, events) == (0, 0, [(at + 1, at + 1) for at in range(100)])
    assert len(events) > EVENTS


@examples(100)
@given(st.data(), st.sampled_from([1, 3]), SEEDS, st.sampled_from([0, NANO // 2, NANO]))
def test_more_passes_at_each_snapshot_the_more_cancels_are_ahead(data, depth, seed, rho):
    book = build_book(data.draw(busy_tapes(depth)), BookRules())
    joins = some_joins(book, seed)
    runs = [cleared(book, "buy", joins, QueueRules(phi, rho)) for phi in (0, NANO // 3, NANO)]
    runs.insert(3, cleared(book, "buy", joins, QueueRules(NEUTRAL, rho)))

    def course(run):
        """(N, T) shares passed by the end of each snapshot."""
        passed = np.zeros((len(joins.venue), len(book.ts)), np.int64)
        passed[run.order, run.snapshot] = run.through
        return np.maximum.accumulate(passed, axis=1)

    pessimistic, third, optimistic, neutral = map(course, runs)
    assert (pessimistic <= third).all()
    assert (third <= optimistic).all()
    assert (pessimistic <= neutral).all()
    assert (neutral <= optimistic).all()


@examples(100)
@given(st.data(), SEEDS, PARTS)
def test_what_comes_later_changes_nothing(data, seed, phi):
    tape = data.draw(busy_tapes())
    book = build_book(tape, BARE)
    joins = some_joins(book, seed)
    past = int(book.ts[max(joins.past.max() - 1, joins.joined.max())])
    rng = np.random.default_rng(seed)
    late, late_trades = tape.ts > past, tape.trades.ts > past
    other = {name: getattr(tape, name).copy() for name in QUOTE_DTYPES}
    trades = {name: getattr(tape.trades, name).copy() for name in TRADE_DTYPES}
    for name in ("bid_px", "ask_px", "bid_sz", "ask_sz"):
        other[name][late] = rng.permutation(other[name][late]) * 2
    trades["px"][late_trades] //= 2
    changed = build_book(Tape.build("XYZ", **other, trades=trades), BARE)
    assume((book.prints is None) == (changed.prints is None))
    for clearing in (cleared, cleared_plain):
        expected = as_lists(clearing(book, "buy", joins, QueueRules(phi, NANO // 3)))
        assert as_lists(clearing(changed, "buy", joins, QueueRules(phi, NANO // 3))) == expected
