"""What is made of the blocks of a source, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import sweep.tapes.materialise
from allocator.book import BookRules, book_bytes, build_book, tile_rows
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import streams
from feed.files.streams import HELD, trusted
from feed.plan import TapeSpan
from feed.provenance import Provenance
from feed.tape import DAY, Tape, join
from sweep.config import BookAsked
from sweep.config.loading import build_config
from sweep.config.question import Span
from sweep.executors.inline import Inline
from sweep.tapes.materialise import BESIDE, MAX_VENUES, TAPE_ROW, Selection, assemble, materialise

OPEN = 1_722_519_392 * 10**9

BOOKS = (BookAsked(BookRules(), 1),)


@dataclass(frozen=True)
class Plan:
    """Stands for a source: its blocks are its tapes."""

    ranges: tuple = ()
    held: int | None = None
    separate: bool = False

    def merge(self, blocks):
        return tuple((tape, Provenance("file", "here", tape.digest(), tape.snapshots, tape.rows, 0)) for tape in blocks)


def made_of(symbol="AAPL", ts=OPEN, venues=2):
    ones = np.ones(venues, np.int64)
    px = {"bid_px": ones * 10**9, "ask_px": ones * 2 * 10**9}
    return Tape.build(
        symbol, ts=ones * ts, venue=np.arange(venues), bid_sz=ones, ask_sz=ones, sequence=np.arange(venues), **px
    )


def wide(rows, venues):
    """Each row a snapshot of its own, the venues in turn."""
    at, ones = np.arange(rows), np.ones(rows, np.int64)
    px = {"bid_px": ones * 10**9, "ask_px": ones * 2 * 10**9}
    return Tape.build("AAPL", ts=OPEN + at, venue=at % venues, bid_sz=ones, ask_sz=ones, sequence=at, **px)


def ask(keys):
    """The question of a source that brings no window."""
    return build_config({"source": "day.csv", **keys}).question


def assembled(*tapes, start=None, end=None):
    return assemble(Plan(), Selection(Span(start, end), 0, BOOKS), *tapes)


def test_the_one_tape_with_quotes_in_the_window_is_taken():
    days = [made_of(ts=OPEN), made_of(ts=OPEN + DAY)]
    tape, facts, book = assembled(*days, start=OPEN + DAY - 5, end=OPEN + DAY + 5)
    assert (tape.ts == OPEN + DAY).all()
    assert (facts.symbol, facts.snapshots, len(book.ts)) == ("AAPL", 1, 1)
    with pytest.raises(FeedUnavailable, match="no quotes in the window"):
        assembled(*days, start=OPEN + 2 * DAY)


def test_of_several_tapes_the_first_is_taken_and_the_others_are_named():
    _, facts, _ = assembled(made_of("AAPL"), made_of("MSFT"), made_of("AAPL", ts=OPEN + DAY))
    day = OPEN // DAY
    assert facts.label == "AAPL 2024-08-01"
    assert [(span.symbol, span.day) for span in facts.beside] == [("MSFT", day), ("AAPL", day + 1)]
    wanted = Selection(Span(OPEN - 5, OPEN + DAY + 5), 0, BOOKS, wanted=("AAPL", day + 1))
    _, facts, _ = assemble(Plan(), wanted, made_of("AAPL"), made_of("MSFT"), made_of("AAPL", ts=OPEN + DAY))
    assert (facts.label, facts.start, facts.end) == ("AAPL 2024-08-02", OPEN + DAY, OPEN + DAY + 5)


def test_venues_are_bounded():
    assert assembled(made_of(venues=MAX_VENUES))[1].snapshots == 1
    with pytest.raises(FeedCorrupt, match=r"name 1,025 venues, more than the bound of 1,024"):
        assembled(made_of(venues=MAX_VENUES + 1))


@pytest.mark.parametrize("held", [None, 0, HELD])
def test_a_book_of_many_venues_is_refused_before_it_takes_any_memory(held, monkeypatch):
    monkeypatch.setattr(sweep.tapes.materialise, "build_book", lambda *_: pytest.fail("it was built"))
    message = (
        r"here: its 60,000 rows and their book would take 2,085,508,864 bytes, 60,000 snapshots of 512 "
        r"venues, more than the 738,197,504 that a source of its size is trusted with; .*=2085508864$"
    )
    with pytest.raises(FeedCorrupt, match=message):
        assemble(Plan(held=held), Selection(Span(None, None), 0, BOOKS), wide(60_000, 512))


def test_a_book_of_many_venues_is_built_where_it_fits_or_somebody_set_that_it_may():
    assert assembled(wide(1000, 512))[1].snapshots == 1000
    tape = wide(2000, 512)
    takes = book_bytes(2000, 512) + TAPE_ROW * 2000 + BESIDE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "HELD", 10**6)
        assert assemble(Plan(held=takes), Selection(Span(None, None), 0, BOOKS), tape)[1].snapshots == 2000
        with pytest.raises(FeedCorrupt, match=f"more than the {takes - 1:,} "):
            assemble(Plan(held=takes - 1), Selection(Span(None, None), 0, BOOKS), tape)


def test_a_day_of_twenty_venues_fits():
    """Thirty million rows, ten bytes each in a file, each a snapshot."""
    rows = 30_000_000
    assert book_bytes(rows, 20) + TAPE_ROW * rows + BESIDE < trusted(10 * rows)
    rows = 400_000  # of 4 MB
    assert 2 * book_bytes(rows, 20) + TAPE_ROW * rows + BESIDE < trusted(10 * rows)


@pytest.mark.parametrize("book", ["consolidated", "event"])
@pytest.mark.parametrize("venues", [1, 16, 65])
def test_a_book_takes_no_more_than_was_said(venues, book):
    tape = wide(3000, venues)
    made = build_book(tape, BookRules(book=book))
    unfilled = 2 * 2 * 4 * tile_rows(venues) * venues  # the last tile of either side
    assert made.nbytes <= book_bytes(3000, venues) + unfilled
    assert book == "consolidated" or made.nbytes > book_bytes(3000, venues) - unfilled


class Part:
    """Stands for a range whose reading takes seconds."""

    def __init__(self, clock):
        self._clock = clock

    def read(self):
        self._clock.now += 4
        return made_of()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("parts", "whole"), [(2, True), (3, False), (4, False)])
def test_the_deadline_holds_for_all_ranges_together(parts, whole):
    clock = Clock()

    class Joined(Plan):
        def merge(self, blocks):
            return super().merge(blocks[:1])

    def made():
        plan = Joined(tuple(Part(clock) for _ in range(parts)))
        return materialise(Inline(), plan, ask({"feed.deadline": "10s"}), here=True, clock=clock)

    if whole:
        (facts,) = made().facts
        assert facts.snapshots == 1
        return
    with pytest.raises(FeedCorrupt, match=r"the source was not read within 10 s; set feed\.deadline"):
        made()
    assert clock.now == 12  # no range is begun after that


@pytest.mark.parametrize(("here", "where"), [(True, "driver"), (False, "spread")])
def test_ranges_are_read_where_they_can_be_and_joined_anywhere(here, where):
    called = []

    class Listening(Inline):
        def call(self, function, *arguments, returns=1, where="anywhere"):
            called.append((function.__name__, where))
            return super().call(function, *arguments, returns=returns, where=where)

    @dataclass(frozen=True)
    class Part:
        venues: int

        def read(self):
            return made_of(venues=self.venues)

    materialise(Listening(), Plan((Part(2),)), ask({}), here=here)
    assert called == [("read_range", where), ("assemble", "anywhere")]


@dataclass(frozen=True)
class Day:
    """Stands for a file with rows of one date."""

    number: int
    day: int

    def read(self):
        return made_of(ts=OPEN + self.day * DAY + self.number)


class Separate(Plan):
    """Stands for a directory: the blocks of a date are joined."""

    def spans(self, block, first, last):
        return (TapeSpan(block.symbol, block.span[0] // DAY, bool(block.clip(first, last).rows)),)

    def merge(self, blocks):
        return super().merge(
            [join([block for block in blocks if block.span[0] // DAY == day]) for day in self.days(blocks)]
        )

    def days(self, blocks):
        return sorted({block.span[0] // DAY for block in blocks})


def calls_of(*ranges):
    called = []

    class Listening(Inline):
        def call(self, function, *arguments, returns=1, where="anywhere"):
            called.append(function.__name__)
            return super().call(function, *arguments, returns=returns, where=where)

    tapes = materialise(Listening(), Separate(ranges, separate=True), ask({}), here=True)
    return called, tapes


def test_files_of_one_tape_are_read_once():
    called, tapes = calls_of(Day(0, 0), Day(1, 0), Day(2, 0))
    assert called == ["survey", "survey", "survey", "assemble"]
    assert [facts.snapshots for facts in tapes.facts] == [3]


def test_of_files_of_many_tapes_each_is_joined_from_its_own():
    called, tapes = calls_of(Day(0, 0), Day(1, 1), Day(2, 0))
    assert called == ["survey"] * 3 + ["read_range", "read_range", "assemble", "read_range", "assemble"]
    assert [(facts.label, facts.snapshots) for facts in tapes.facts] == [("AAPL 2024-08-01", 2), ("AAPL 2024-08-02", 1)]
    assert not tapes._blocks
