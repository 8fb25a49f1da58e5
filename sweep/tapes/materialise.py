"""From a source to one tape and one book in the object store: reads ranges, joins them, cuts the window, derives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.book import book_bytes, build_book
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from feed.quality import check
from feed.source import inside, only, select
from feed.tape import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.book import Book, BookRules
    from feed.plan import Block, Range, SourcePlan
    from feed.provenance import Provenance
    from feed.tape import Tape
    from sweep.config import Question, Span
    from sweep.executors import Executor, Handle


MAX_VENUES = 1024
"""Publishers of a tape at most: the book has a column for each, and broken ids would make it very wide."""


TAPE_ROW = 168
"""Bytes per row of a tape, beside its book, in the process that reads the tape and derives the book."""

LEVEL_ROW = 3 * 24
"""The same for each level behind the first: while a tape is built there are up to three of it."""

BESIDE = 2**26
"""Bytes that a simulation takes beside tape and book."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a source becomes the tape, and how the tape becomes a book.

    Attributes
    ----------
    window : Span
        Where it does not say, the data's own.
    warmup : int
        Nanoseconds before its start that only build the book.
    book : BookRules
    depth : int
        Levels of a side.
    """

    window: Span
    warmup: int
    book: BookRules
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What the driver needs to know about a tape that it never holds.

    Attributes
    ----------
    provenance : Provenance
    quality : dict
        The counts of `feed.quality.check` and of the book's derivation.
    symbol : str
    start, end : int
        The window, UTC nanoseconds.
    first, last : int
        First and last instant of the tape, warm-up included.
    venues : tuple of int
        Publisher ids of the book, ascending.
    depth : tuple of int
        The most levels of a side that each of these venues shows.
    snapshots : int
        T of the book, warm-up included.
    nbytes : int
        Bytes of tape and book in the object store.
    """

    provenance: Provenance
    quality: dict[str, Any]
    symbol: str
    start: int
    end: int
    first: int
    last: int
    venues: tuple[int, ...]
    depth: tuple[int, ...]
    snapshots: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Materialised:
    """One tape in the object store: the handles that the driver keeps, and the facts about it."""

    tape: Handle
    book: Handle
    facts: Facts


def materialise(
    executor: Executor,
    plan: SourcePlan,
    question: Question,
    *,
    here: bool,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Materialised, ...]:
    """Read a source into the object store, once.

    The ranges are read side by side; one more task joins them and derives the book. The driver keeps the references,
    so that data lost with a node is read again from the same offsets; it holds no column itself.

    Parameters
    ----------
    executor : Executor
    plan : SourcePlan
    question : Question
        Its deadline counts from now.
    here : bool
        Whether only this host can read the source.
    clock : callable
        Seconds, monotonic.

    Raises
    ------
    FeedError
        As `feed.source` and `assemble`; FeedCorrupt after the deadline.
    """
    began, deadline = clock(), question.reading.deadline
    blocks: list[Handle] = []
    for part in plan.ranges:  # the inline executor reads each range here
        blocks.append(executor.call(read_range, part, where="driver" if here else "spread"))
        _check_time(clock() - began, deadline)
    settings, depth = question.settings, question.reading.depth
    selection = Selection(question.window, settings.warmup, settings.book, depth)
    tape, book, facts_handle = executor.call(assemble, plan, selection, *blocks, returns=3)
    try:
        facts = executor.get(facts_handle, timeout=max(deadline - (clock() - began), 0.0))
    except TimeoutError:
        raise _too_late(deadline) from None
    return (Materialised(tape, book, facts),)


def _check_time(passed: float, deadline: float) -> None:
    if passed > deadline:
        raise _too_late(deadline)


def _too_late(deadline: float) -> FeedCorrupt:
    return FeedCorrupt(f"the source was not read within {deadline:.0f} s", remedy="set feed.deadline")


def read_range(part: Range) -> Block:
    """Read one range of a source; a pure function of the range, so that a lost block can be read again."""
    return part.read()


def assemble(plan: SourcePlan, selection: Selection, *blocks: Block) -> tuple[Tape, Book, Facts]:
    """Join the blocks of a source, cut the window, derive the book.

    Raises
    ------
    FeedError
        Incomplete blocks; a window without quotes.
    AllocatorError
        Rules of the book are out of range.
    """
    start, end = selection.window.start, selection.window.end
    full_tape, provenance = only(inside(plan.merge(blocks), start, end))
    # quotes are not carried over to the next date: a warm-up does not reach back beyond midnight
    earliest = None if start is None else max(start - selection.warmup, start // DAY * DAY)
    tape, provenance = select(full_tape, provenance, earliest, end)
    first, last = tape.span
    start = first if start is None else start
    end = last if end is None else end
    if end > start // DAY * DAY + DAY:
        raise FeedUnavailable(
            f"the window, {format_instant(start)} to {format_instant(end)}, is longer than one UTC date",
            provenance.place,
            "set window.start and window.end within the date of the quotes",
        )
    if tape.depth < selection.depth:
        raise FeedUnavailable(
            f"depth: {selection.depth} levels of a side are asked for, and the quotes have {tape.depth}",
            provenance.place,
            f"set depth={tape.depth}",
        )
    quality = check(tape, beside_kernels=True)  # the book is next
    if quality.errors:
        raise FeedCorrupt(
            f"the quotes cannot be used: {', '.join(quality.errors)}",
            provenance.place,
            "see python -m feed check SOURCE",
        )
    venues = len(tape.venues)
    if venues > MAX_VENUES:
        raise FeedCorrupt(
            f"the quotes name {venues:,} venues, more than the bound of {MAX_VENUES:,}",
            provenance.place,
            "check the publisher ids of the source",
        )
    _check_room(tape, venues, plan.held, provenance.place)
    book = build_book(tape, selection.book)
    if not len(book.ts) or book.ts[-1] < start:
        first, last = full_tape.span
        raise FeedUnavailable(
            "no quotes in the window",
            provenance.place,
            f"the data there spans {format_instant(first)} to {format_instant(last)}",
        )
    return (
        tape,
        book,
        Facts(
            provenance=provenance,
            quality={**quality.to_dict(), "book": book.counts},
            symbol=tape.symbol,
            start=start,
            end=end,
            first=first,
            last=last,
            venues=tuple(book.venues.tolist()),
            depth=tuple(_deepest(tape, venue) for venue in book.venues.tolist()),
            snapshots=len(book.ts),
            nbytes=book.nbytes + _bytes_of(tape),
        ),
    )


def _check_room(tape: Tape, venues: int, held: int | None, place: str) -> None:
    """Refuse (FeedCorrupt) a book that takes more memory than its source is trusted with, before allocating any.

    A book has a cell for each snapshot and venue, published or not: that of a small file with hundreds of publisher ids
    takes gigabytes.
    """
    from feed.files import trusted

    bound = trusted(_bytes_of(tape)) if held is None else max(trusted(0), held)
    # on Ray the object store holds a second one, which a small source does not justify
    books = 1 if bound > trusted(0) else 2
    takes = book_bytes(tape.snapshots, venues, tape.rows, tape.depth)
    nbytes = books * takes + (TAPE_ROW + LEVEL_ROW * (tape.depth - 1)) * tape.rows + BESIDE
    if nbytes > bound:
        raise FeedCorrupt(
            f"its {tape.rows:,} rows and their book would take {nbytes:,} bytes, {tape.snapshots:,} snapshots of "
            f"{venues:,} venues, more than the {bound:,} that a source of its size is trusted with",
            place,
            f"choose venues=..., or a narrower window; if it is meant to, set feed.max_bytes={nbytes}",
        )


def _deepest(tape: Tape, venue: int) -> int:
    """The most levels of a side that a venue shows; 1 where it shows none."""
    if tape.levels is None:
        return 1
    levels = tape.levels.take(np.flatnonzero(tape.venue == venue))
    return 1 + max(int((px > 0).sum(axis=1).max(initial=0)) for px in (levels.bid_px, levels.ask_px))


def _bytes_of(tape: Tape) -> int:
    """Bytes of a tape's columns, levels and trades included."""
    parts = [part for part in (tape, tape.levels, tape.trades) if part is not None]
    columns = [getattr(part, name) for part in parts for name in part.__slots__]
    return sum(column.nbytes for column in columns if isinstance(column, np.ndarray))
