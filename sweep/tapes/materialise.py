"""From a source to one tape and one book in the object store: read in ranges, join, cut the window, derive."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.book import book_bytes, build_book
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from feed.quality.check import check
from feed.source import inside, only, select
from feed.tape import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.book import Book, BookRules
    from feed.plan import Block, Range, SourcePlan
    from feed.provenance import Provenance
    from feed.tape import Tape
    from sweep.config.conventions import Settings
    from sweep.executors.contract import Executor, Handle
    from sweep.tapes.origin import Origin


MAX_VENUES = 1024
"""Publishers of a tape: the book has a column for each, and broken ids would make it as wide as there are of them."""


TAPE_ROW = 168
"""Bytes that a row of a tape takes, beside its book, in the process that reads it and derives one."""

BESIDE = 2**26
"""Bytes that simulating takes beside tape and book."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a source makes the tape, and how it becomes a book.

    Attributes
    ----------
    start, end : int, optional
        The window, UTC nanoseconds, both included; None = where the data ends.
    warmup : int
        Nanoseconds before start that only build the book.
    book : BookRules
    """

    start: int | None
    end: int | None
    warmup: int
    book: BookRules


@dataclass(frozen=True, slots=True)
class Facts:
    """What the driver needs to know of a tape that it never holds.

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
    snapshots: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Materialised:
    """One tape in the object store: handles that the driver keeps, and what it knows of them."""

    tape: Handle
    book: Handle
    facts: Facts


def materialise(
    executor: Executor,
    plan: SourcePlan,
    origin: Origin,
    settings: Settings,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Materialised, ...]:
    """Read a source into the object store, once.

    The ranges are read side by side; one more task joins them and derives the book. The driver keeps the references,
    so that what is lost with a node is read again from the same offsets, and holds no column itself.

    Parameters
    ----------
    executor : Executor
    plan : Plan
    origin : Origin
    settings : Settings
    deadline : float
        Seconds from now after which a source that is still read is an error.
    clock : callable
        Seconds, monotonic.

    Raises
    ------
    FeedError
        As `feed.source` and `assemble`; FeedCorrupt after the deadline.
    """
    began = clock()
    blocks: list[Handle] = []
    for part in plan.ranges:  # an executor without workers of its own reads each of them here
        blocks.append(executor.call(read_range, part, where="driver" if origin.here else "spread"))
        _check_time(clock() - began, deadline)
    selection = Selection(origin.start, origin.end, settings.warmup, settings.book)
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
    """Read one range of a source: a pure function of the range, so that a lost block is read again."""
    return part.read()


def assemble(plan: SourcePlan, selection: Selection, *blocks: Block) -> tuple[Tape, Book, Facts]:
    """Join the blocks of a source, cut the window, derive the book.

    Raises
    ------
    FeedError
        Blocks that are not whole; a window without quotes.
    AllocatorError
        Rules of the book out of range.
    """
    start, end = selection.start, selection.end
    full_tape, provenance = only(inside(plan.merge(blocks), start, end))
    # quotes are not carried over a date: a warm-up that reaches over midnight begins there
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
    quality = check(tape)
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
            snapshots=len(book.ts),
            nbytes=book.nbytes + _bytes_of(tape),
        ),
    )


def _check_room(tape: Tape, venues: int, held: int | None, place: str) -> None:
    """Refuse (FeedCorrupt) a book that takes more memory than its source is trusted with, before any is taken.

    It has a cell for each snapshot and venue, published or not: a small file of hundreds of publisher ids takes
    gigabytes.
    """
    from feed.files.streams import trusted

    bound = trusted(_bytes_of(tape)) if held is None else max(trusted(0), held)
    # on Ray the object store holds another one, for which nobody vouches where the source is small
    books = 1 if bound > trusted(0) else 2
    nbytes = books * book_bytes(tape.snapshots, venues) + TAPE_ROW * tape.rows + BESIDE
    if nbytes > bound:
        raise FeedCorrupt(
            f"its {tape.rows:,} rows and their book would take {nbytes:,} bytes, {tape.snapshots:,} snapshots of "
            f"{venues:,} venues, more than the {bound:,} that a source of its size is trusted with",
            place,
            f"choose venues=..., or a narrower window; if it is meant to, set feed.max_bytes={nbytes}",
        )


def _bytes_of(tape: Tape) -> int:
    """Bytes of a tape's columns, trades included."""
    columns = [getattr(part, name) for part in (tape, tape.trades) for name in part.__slots__]
    return sum(column.nbytes for column in columns if isinstance(column, np.ndarray))
