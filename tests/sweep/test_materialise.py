"""What is made of the blocks of a source, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from allocator.book import BookRules
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.tape import DAY, Provenance, Tape
from sweep.config import build_config
from sweep.conventions import resolve
from sweep.executors import Inline
from sweep.materialise import MAX_VENUES, Selection, assemble, materialise
from sweep.origin import Origin

OPEN = 1_722_519_392 * 10**9


@dataclass(frozen=True)
class Plan:
    """Stands for a source: its blocks are its tapes."""

    ranges: tuple = ()

    def merge(self, blocks):
        return tuple((tape, Provenance("file", "here", tape.digest(), tape.snapshots, tape.rows, 0)) for tape in blocks)


def made_of(symbol="AAPL", ts=OPEN, venues=2):
    ones = np.ones(venues, np.int64)
    px = {"bid_px": ones * 10**9, "ask_px": ones * 2 * 10**9}
    return Tape.build(
        symbol, ts=ones * ts, venue=np.arange(venues), bid_sz=ones, ask_sz=ones, sequence=np.arange(venues), **px
    )


def assembled(*tapes, start=None, end=None):
    return assemble(Plan(), Selection(start, end, 0, BookRules()), *tapes)


def test_the_one_tape_with_quotes_in_the_window_is_taken():
    days = [made_of(ts=OPEN), made_of(ts=OPEN + DAY)]
    tape, book, facts = assembled(*days, start=OPEN + DAY - 5, end=OPEN + DAY + 5)
    assert (tape.ts == OPEN + DAY).all()
    assert (facts.symbol, facts.snapshots, len(book.ts)) == ("AAPL", 1, 1)
    with pytest.raises(
        FeedUnavailable, match="it holds 2 tapes; tapes there: AAPL 2024-08-01, AAPL 2024-08-02; name one"
    ):
        assembled(*days)
    with pytest.raises(FeedUnavailable, match="no quotes in the window"):
        assembled(*days, start=OPEN + 2 * DAY)


def test_a_symbol_has_to_be_named():
    with pytest.raises(FeedUnavailable, match="tapes there: AAPL 2024-08-01, MSFT 2024-08-01; name one: symbol="):
        assembled(made_of("AAPL"), made_of("MSFT"))


def test_venues_are_bounded():
    assert assembled(made_of(venues=MAX_VENUES))[2].snapshots == 1
    with pytest.raises(FeedCorrupt, match=r"name 1,025 venues, more than the bound of 1,024"):
        assembled(made_of(venues=MAX_VENUES + 1))


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
        settings = resolve(build_config({"executor": "inline"}), {})
        return materialise(Inline(), plan, Origin(lambda: plan, None, None, {}), settings, 10.0, clock)

    if whole:
        ((_, _, facts),) = ((each.tape, each.book, each.facts) for each in made())
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

    plan = Plan((Part(2),))
    origin = Origin(lambda: plan, None, None, {}, here)
    materialise(Listening(), plan, origin, resolve(build_config({}), {}), 60.0)
    assert called == [("read_range", where), ("assemble", "anywhere")]
