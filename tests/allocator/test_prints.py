"""What traded, by the snapshots of a book."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from allocator.book import BookRules, book_bytes, build_book
from feed.tape import no_trades
from tests.allocator.test_book import tape_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, tapes
from tests.support.tapes import with_trades

ROWS = [(1, 2, 90, 1, 100, 50), (2, 43, 90, 1, 100, 50), (4, 2, 90, 1, 100, 50)]


def rows_of(prints):
    columns = (prints.venue, prints.px // CENT, prints.sz, prints.side, (prints.ts - OPEN) / SECOND)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_print_belongs_to_the_first_snapshot_at_or_after_it():
    trades = [(0.5, 2, 90, 1, -1), (1, 43, 91, 2, 1), (1.5, 2, 92, 3, 0), (2, 2, 93, 4, 1), (2.001, 43, 94, 5, 1)]
    prints = build_book(with_trades(tape_of(*ROWS), *trades), BookRules()).prints
    assert prints.edges.tolist() == [0, 2, 4, 5]
    assert rows_of(prints) == [
        (0, 90, 1, -1, 0.5),
        (1, 91, 2, 1, 1),
        (0, 92, 3, 0, 1.5),
        (0, 93, 4, 1, 2),
        (1, 94, 5, 1, 2.001),
    ]


def test_what_trades_at_other_venues_or_after_the_last_snapshot_is_left_out():
    trades = [(1, 1, 90, 1, 1), (1, 3, 90, 1, 1), (3, 43, 90, 7, 1), (4, 44, 90, 1, 1), (4.001, 2, 90, 1, 1)]
    prints = build_book(with_trades(tape_of(*ROWS), *trades), BookRules()).prints
    assert (prints.edges.tolist(), rows_of(prints)) == ([0, 0, 0, 1], [(1, 90, 7, 1, 3)])
    left_out = [each for each in trades if each[1] != 43]
    assert build_book(with_trades(tape_of(*ROWS), *left_out), BookRules()).prints is None
    assert build_book(tape_of(*ROWS), BookRules()).prints is None
    assert build_book(with_trades(tape_of(*ROWS).clip(0, 0), (1, 2, 90, 1, 1)), BookRules()).prints is None


@examples(60)
@given(tapes(max_rows=12))
def test_prints_are_the_trades_one_by_one(tape):
    book, trades = build_book(tape, BookRules()), tape.trades
    ids, ts = book.venues.tolist(), book.ts.tolist()
    expected = [
        (sum(each < now for each in ts), ids.index(venue), px, sz, side, now)
        for now, venue, px, sz, side in zip(
            *(getattr(trades, name).tolist() for name in ("ts", "venue", "px", "sz", "side")), strict=True
        )
        if venue in ids and ts and now <= ts[-1]
    ]
    if not expected:
        assert book.prints is None
        return
    steps = np.repeat(np.arange(len(ts)), np.diff(book.prints.edges))
    columns = [getattr(book.prints, name).tolist() for name in ("venue", "px", "sz", "side", "ts")]
    assert list(zip(steps.tolist(), *columns, strict=True)) == expected


def test_prints_are_counted_among_the_bytes_and_nobody_writes_to_them():
    tape = with_trades(tape_of(*ROWS), *[(each / 100, 2, 90, 1, 1) for each in range(100, 400)])
    built = build_book(tape, BookRules())
    bare = build_book(replace(tape, trades=no_trades()), BookRules())
    assert built.nbytes - bare.nbytes == 4 * 8 + 300 * (2 + 8 + 4 + 1 + 8)
    assert built.nbytes - bare.nbytes <= book_bytes(3, 2, trades=300) - book_bytes(3, 2)
    for book in (built, pickle.loads(pickle.dumps(built))):  # noqa: S301 - our own
        for name in book.prints.__slots__:
            with pytest.raises(ValueError, match="read-only"):
                getattr(book.prints, name)[...] = 0
