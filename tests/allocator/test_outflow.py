"""Outflow of queues in windows: worked out by hand, then compiled against plain."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.book import BookRules, build_book
from allocator.errors import AllocatorError
from allocator.money import NANO
from allocator.outflow import Outflow, outflow, outflow_plain
from allocator.posting import joinable, level_of, posted
from allocator.queues import FULL, QueueRules
from tests.allocator.test_depth import deep_tape_of
from tests.allocator.test_queues import (
    ASK,
    BARE,
    MADE,
    MIRROR,
    OPTIMISTIC,
    PARTS,
    PESSIMISTIC,
    busy_tapes,
    mirrored,
    rows_of,
)
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, deep_tapes, tapes
from tests.support.tapes import with_trades


def as_lists(measured):
    return {field.name: getattr(measured, field.name).tolist() for field in fields(Outflow)}


def measure(tape, rules=PESSIMISTIC, *, length=2, stride=1, posting="touch", windows=(0, 3), fees=None, made=BARE):
    """Outflow of a buy, compiled and plain; lengths in seconds."""
    book = build_book(tape, made)
    given_to = (fees or [0] * len(book.venues), round(length * SECOND), round(stride * SECOND), posting, rules)
    measured = outflow(book, "buy", *given_to, *windows)
    assert as_lists(outflow_plain(book, "buy", *given_to, *windows)) == as_lists(measured)
    return measured


def test_a_window_counts_what_leaves_the_queue_of_its_start_until_its_end():
    tape = rows_of([(9_000, 100)], [(9_000, 90)], [(9_000, 60)], [(9_000, 60)], [(9_000, 10)])
    tape = with_trades(
        tape, (0.5, 2, 9_000, 10, -1), (1.5, 2, 9_000, 30, 0), (1.6, 2, 9_001, 5, -1), (2, 2, 8_000, 9, 1)
    )
    # 0-2: 40 of 100; 1-3: 30 of 90; 2-4: none is ahead any more than displayed, 50 of 60
    measured = measure(tape)
    assert measured.xi[:, 0].tolist() == [FULL, FULL, 50]  # the print below
    tape = with_trades(
        tape, (0.5, 2, 9_000, 10, -1), (1.5, 2, 9_000, 30, 0), (1.6, 2, 9_001, 5, -1), (2, 2, 9_100, 9, 1)
    )
    measured = measure(tape)
    assert measured.xi[:, 0].tolist() == [40, 30, 50]
    assert measured.queue.tolist() == [100, 90, 60]
    assert measured.volume.tolist() == [45, 35, 0]
    assert ((measured.start - OPEN) // SECOND).tolist() == [0, 1, 2]
    assert ((measured.end - OPEN) // SECOND).tolist() == [2, 3, 4]
    assert measured.usable.tolist() == [True] * 3


def test_what_trades_beyond_the_queue_counts_too():
    tape = with_trades(
        rows_of([(9_000, 10)], [(9_000, 80)], [(9_000, 50)]), (0.5, 2, 9_000, 12, -1), (2, 2, 9_000, 30, -1)
    )
    assert measure(tape, windows=(0, 1)).xi.tolist() == [[42]]


def test_a_window_joins_what_stands_at_its_start_and_ends_with_the_last_row_in_it():
    tape = with_trades(rows_of([(9_000, 100)], [(9_000, 70)], [(9_000, 50)]), (0, 2, 9_000, 1, 1))
    measured = measure(tape, OPTIMISTIC, length=0.6, stride=0.7, windows=(0, 3))
    # 0-0.6 sees nothing; 0.7-1.3 the row at 1; 1.4-2 the row at 2
    assert (measured.xi[:, 0].tolist(), measured.usable.tolist()) == ([0, 30, 20], [True] * 3)
    assert measured.queue.tolist() == [100, 100, 70]


def test_windows_without_a_start_a_mid_or_an_end_are_not_usable():
    rows = [(0, 2, [(9_000, 10)], [(0, 0)]), (1, 2, [(9_000, 10)], ASK), (2, 2, [(9_000, 10)], ASK)]
    measured = measure(deep_tape_of(*rows), length=1, windows=(-1, 3))
    assert measured.usable.tolist() == [False, False, True, False]
    assert measured.mid2_start.tolist() == measured.mid2_end.tolist() == [0, 0, 18_010 * CENT, 0]
    assert measured.queue.tolist() == [0, 0, 10, 0]


def test_prices_and_costs_at_the_ends_are_those_that_stand():
    rows = [
        (0, 2, [(9_000, 10)], [(9_010, 1)]),
        (0, 43, [(8_999, 10)], [(9_009, 1)]),
        (1, 43, [(9_001, 10)], [(9_008, 1)]),
        (2, 43, [(9_001, 10)], [(0, 0)]),
    ]
    measured = measure(deep_tape_of(*rows), length=1, windows=(0, 2), fees=[-3 * CENT, CENT])
    assert (measured.mid2_start // CENT).tolist() == [18_009, 18_009]
    assert (measured.mid2_end // CENT).tolist() == [18_009, 18_011]
    assert (measured.c2_end // CENT).tolist() == [2 * 9_007, 2 * 9_007]
    assert (measured.queue).tolist() == [20, 20]


def test_without_prints_decreases_of_the_best_quotes_are_the_volume():
    bids = [[(9_000, 100)], [(9_000, 60)], [(9_000, 90)], [(8_999, 40)], [(9_000, 10)], [(0, 0)], [(9_000, 1)]]
    measured = measure(rows_of(*bids), length=1, windows=(0, 6))
    assert measured.volume.tolist() == [40, 0, 90, 0, 0, 0]
    assert measured.usable.tolist() == [True] * 5 + [False]  # nothing to join
    assert measure(rows_of(*bids), QueueRules(0, NANO // 2), length=1, windows=(0, 6)).xi[0].tolist() == [20 + 20]


# Postings


def test_postings_join_where_they_say():
    rows = [
        (0, 2, [(9_000, 10), (8_998, 20), (8_997, 5)], [(9_002, 1)]),
        (0, 43, [(8_999, 30), (8_998, 7)], [(9_003, 1)]),
        (0, 9, [(0, 0)], [(9_003, 1)]),
        (1, 2, [(9_000, 10)], [(9_002, 1)]),
    ]
    book = build_book(deep_tape_of(*rows), BARE)
    for posting, cents, queue in (
        ("touch", [9_000, 0, 8_999], 40),
        ("inside", [9_001, 0, 9_001], 0),
        ("deep:1", [8_998, 0, 8_998], 27),
        ("deep:2", [8_997, 0, 0], 5),
        ("deep:3", [0, 0, 0], 0),
    ):
        price, shares = joinable(book, "buy", posting, np.zeros(1, np.int64))
        assert ((price // CENT).tolist(), int(shares.sum())) == ([cents], queue)
        # orders go to venues at the best price only, or inside the spread to any
        sent = cents if posting == "inside" else [cents[0], 0, 0]
        assert (posted(book, "buy", posting, np.zeros(1, np.int64))[0] // CENT).tolist() == [sent]
        measured = measure(deep_tape_of(*rows), length=1, windows=(0, 1), posting=posting)
        assert (measured.queue.tolist(), measured.usable.tolist()) == ([queue], [any(cents)])


def test_inside_is_nowhere_where_the_spread_is_a_tick_or_a_side_is_empty():
    for ask in (9_001, 0):
        rows = [(second, 2, [(9_000, 10)], [(9_003 + second, 1)]) for second in range(2)]
        tape = deep_tape_of(*rows, (2, 2, [(9_000, 10)], [(ask, 1)]), (3, 2, [(9_000, 10)], [(9_003, 1)]))
        measured = measure(tape, length=1, windows=(0, 3), posting="inside")
        assert measured.usable.tolist() == [True, True, False]


def test_what_trades_is_counted_also_where_nothing_can_be_posted():
    rows = [(second, 2, [(9_000, 90 - 10 * second)], [(9_001, 1)]) for second in range(3)]
    prints = (0.5, 2, 9_000, 10, -1), (1.5, 2, 9_000, 7, 0), (1.6, 2, 9_001, 5, 1)
    for tape, volume in ((deep_tape_of(*rows), [10, 10, 0]), (with_trades(deep_tape_of(*rows), *prints), [10, 7, 0])):
        measured = measure(tape, length=1, windows=(0, 3), posting="inside")
        assert (measured.usable.tolist(), measured.volume.tolist()) == ([False] * 3, volume)


def test_a_venue_whose_own_ask_is_at_its_bid_is_not_joined():
    tape = deep_tape_of(
        (0, 2, [(9_000, 10)], [(9_000, 10)]), (0, 43, [(8_000, 5)], [(8_100, 5)]), (1, 2, [(9_000, 5)], ASK)
    )
    measured = measure(tape, length=1, windows=(0, 1))
    assert (measured.xi.tolist(), measured.queue.tolist()) == ([[0, 0]], [5])


def test_a_posting_that_is_none_is_refused():
    for bad in ("", "deep", "deep:0", "deep:-1", "deep:x", "deep:100", "middle", "touch:1", "deep:²"):
        with pytest.raises(AllocatorError, match="posting: expected touch"):
            level_of(bad)


# Any tape


@pytest.mark.parametrize("posting", ["touch", "inside", "deep:1", "deep:2"])
@examples(50)
@given(st.data(), st.sampled_from(MADE), st.integers(1, 5), st.integers(1, 5), PARTS, st.sampled_from([0, NANO // 3]))
def test_windows_are_measured_alike_on_both_sides(posting, data, made, length, stride, phi, rho):
    tape = data.draw(busy_tapes(data.draw(st.sampled_from([1, 3]))))
    book, image = build_book(tape, made), build_book(mirrored(tape), made)
    fees = [3_000_000, -CENT, 0][: len(book.venues)]
    asked = (fees, length * SECOND // 2, stride * SECOND // 2, posting, QueueRules(phi, rho), -1, 12)
    expected = as_lists(outflow_plain(book, "buy", *asked))
    assert as_lists(outflow(book, "buy", *asked)) == expected
    other = as_lists(outflow(image, "sell", *asked))
    usable = np.array(expected["usable"])
    for name in ("mid2_start", "mid2_end", "c2_end"):
        # a signed price p of the image is p less than nothing at MIRROR; an empty one is 0 on both
        shift = np.where(np.array(expected[name]) != 0, 2 * MIRROR, 0)
        other[name] = (shift - other[name] if name != "c2_end" else shift + other[name]).tolist()
    assert other == expected
    assert not np.array(expected["xi"])[~usable].any()


@examples(40)
@given(deep_tapes(max_depth=3) | tapes(), st.sampled_from(["touch", "inside", "deep:1"]), PARTS)
def test_wild_tapes_are_measured_alike(tape, posting, phi):
    book = build_book(tape, BookRules())
    for side in ("buy", "sell"):
        asked = ([0] * len(book.venues), 8 * SECOND, 3 * SECOND, posting, QueueRules(phi, NANO // 2), 0, 10)
        assert as_lists(outflow(book, side, *asked)) == as_lists(outflow_plain(book, side, *asked))


@examples(60)
@given(st.data(), PARTS)
def test_windows_do_not_know_what_comes_after_them(data, phi):
    tape = data.draw(busy_tapes())
    book = build_book(tape, BARE)
    end = OPEN + 3 * SECOND
    past = int((end - book.ts[0]) // SECOND)
    early = build_book(tape.clip(0, end + SECOND // 2), BARE)
    assume(past > 0 and len(early.venues) == len(book.venues) and early.ts[-1] >= end)
    assume((early.prints is None) == (book.prints is None))
    asked = ([0] * len(book.venues), SECOND, SECOND, "touch", QueueRules(phi, NANO // 3), 0, past)
    assert as_lists(outflow(early, "buy", *asked)) == as_lists(outflow(book, "buy", *asked))
