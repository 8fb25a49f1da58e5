"""From a source to one tape and one book in the object store: reads ranges, joins them, cuts the window, derives."""

from __future__ import annotations

import time
from collections import deque
from copy import copy
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.book import book_bytes, build_book
from allocator.units import Scale
from feed.console import printable, without_secrets
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.instants import LAST_INSTANT, format_instant
from feed.plan import TapeSpan, plugins_of
from feed.quality import check
from feed.source import select
from feed.tape import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocator.book import Book
    from feed.plan import Block, Range, SourcePlan
    from feed.provenance import Provenance
    from feed.tape import Tape
    from sweep.config import BookAsked, Question, Span
    from sweep.executors import Executor, Handle, Where


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
    """Which part of a source becomes the tape, and how the tape becomes books.

    Attributes
    ----------
    window : Span
        Where it does not say, the data's own.
    warmup : int
        Nanoseconds before its start that only build the book.
    books : tuple of BookAsked
        Those to derive.
    depth : int, optional
        Levels of a side of the tape; None = as many as it has.
    wanted : (str, int), optional
        Symbol and date of the tape, days since 1970; None = the first with quotes in the window.
    """

    window: Span
    warmup: int
    books: tuple[BookAsked, ...]
    depth: int | None = None
    wanted: tuple[str, int] | None = None


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
        Bytes of tape and books in the object store.
    scales : tuple of Scale
        Of each book's prices.
    quoted : (int, int), optional
        First and last instant in the window at which the first book shows a quote; None where there is none.
    printed : bool
        Whether trades of its venues are known.
    beside : tuple of TapeSpan
        Further tapes with quotes in the window, in what this one was taken from.
    empty : tuple of str
        What else there is, without a quote in the window though of a date of it.
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
    scales: tuple[Scale, ...]
    quoted: tuple[int, int] | None
    printed: bool
    beside: tuple[TapeSpan, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The symbol and the date."""
        return _labelled(self.symbol, self.first)


def _labelled(symbol: str, instant: int) -> str:
    return f"{symbol} {format_instant(instant)[:10]}"


@dataclass(frozen=True, slots=True)
class Materialised:
    """One tape in the object store: the handles that the driver keeps, and the facts about it.

    Attributes
    ----------
    tape : Handle
    books : tuple of Handle
        By the numbers of `sweep.config.variants.Variants.books`.
    facts : Facts
    """

    tape: Handle
    books: tuple[Handle, ...]
    facts: Facts


def materialise(
    executor: Executor,
    plan: SourcePlan,
    question: Question,
    *,
    here: bool,
    clock: Callable[[], float] = time.monotonic,
) -> Tapes:
    """Read a source into the object store, tape by tape.

    The ranges are read side by side; one more task for each tape joins what it needs and derives the book. The driver
    keeps the references, so that data lost with a node is read again from the same offsets; it holds no column itself.

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
    return Tapes(executor, plan, question, here=here, clock=clock)


class Tapes:
    """The tapes of a source: the facts of each, and each itself while it is used.

    Tapes stay in the object store up to `KEPT_BYTES` of them; what goes beyond is read again when it is needed, and
    has to have the digest that it had. So a year of days takes the memory of a few.

    Attributes
    ----------
    facts : tuple of Facts
        By symbol and date.
    empty : tuple of str
        What the source holds beside them without a quote in the window: symbols and dates, and files without a row. It
        is refused unless `tapes.skip_empty` is set.
    plugins : tuple of Plugin
        Whose codecs or readers it takes.
    """

    def __init__(
        self,
        executor: Executor,
        plan: SourcePlan,
        question: Question,
        *,
        here: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor, self._plan, self.plugins = executor, plan, plugins_of(plan)
        self._where: Where = "driver" if here else "spread"
        self._clock, self._began, self._deadline = clock, clock(), question.reading.deadline
        books, depth = question.variants.books, question.reading.depth
        self._selection = Selection(question.window, question.settings.warmup, books, depth)
        self._blocks: dict[int, Handle] = {}
        self._kept: dict[int, Materialised] = {}
        self._kept_bytes = 0
        self._ranges_of: dict[tuple[str, int] | None, list[int]] = {}
        self._wanted: list[tuple[str, int] | None] = [None]
        self.empty: tuple[str, ...] = ()
        if plan.separate and len(plan.ranges) > 1:
            self._wanted, self.empty = self._survey(question)
            _refuse_empty(self.empty, question)
        facts: list[Facts] = []
        begun: deque[tuple[Handle, ...]] = deque()
        while len(facts) < len(self._wanted):
            while len(begun) < executor.workers and len(facts) + len(begun) < len(self._wanted):
                begun.append(self._begin(len(facts) + len(begun)))
            tape = self._finished(begun.popleft())
            facts.append(tape.facts)
            if self._wanted == [None]:
                self._wanted += [(span.symbol, span.day) for span in tape.facts.beside]
                self.empty += tape.facts.empty
                _refuse_empty(self.empty, question)
            self._keep(len(facts) - 1, tape)
        self.facts = tuple(facts)
        self._check_venues(question)
        self._blocks.clear()  # what was made of them stands

    def __len__(self) -> int:
        return len(self.facts)

    def only(self, numbers: Sequence[int]) -> Tapes:
        """Some of the tapes, numbered anew; what was left out as empty is not theirs."""
        part = copy(self)
        part.__dict__ |= {
            "facts": tuple(self.facts[number] for number in numbers),
            "empty": (),
            "_wanted": [self._wanted[number] for number in numbers],
            "_kept": {at: self._kept[number] for at, number in enumerate(numbers) if number in self._kept},
        }
        return part

    def _check_venues(self, question: Question) -> None:
        """Refuse (FeedUnavailable) a venue that no tape has; on some it may be missing."""
        present = {venue for facts in self.facts for venue in facts.venues}
        if missing := sorted(set(question.reading.venues or ()) - present):
            raise FeedUnavailable(
                f"no rows of venue {', '.join(map(str, missing))} on any date",
                self.facts[0].provenance.place,
                "see python -m feed check SOURCE",
            )

    def fetch(self, number: int) -> Materialised:
        """A tape, read again if it was let go.

        Raises
        ------
        FeedCorrupt
            The source holds other data than before; or as `materialise`.
        """
        if number in self._kept:
            return self._kept[number]
        self._began = self._clock()
        tape, facts = self._finished(self._begin(number)), self.facts[number]
        if tape.facts.provenance.digest != facts.provenance.digest:
            raise FeedCorrupt(
                f"the quotes of {facts.label} are not those that were read before",
                facts.provenance.place,
                "run it again, on a source that does not change",
            )
        return tape

    def _keep(self, number: int, tape: Materialised) -> None:
        if number and self._kept_bytes + tape.facts.nbytes > KEPT_BYTES:
            return
        self._kept[number] = tape
        self._kept_bytes += tape.facts.nbytes

    def _survey(self, question: Question) -> tuple[list[tuple[str, int] | None], tuple[str, ...]]:
        """The tapes with quotes in the window, by symbol and date, and the ranges of each; all if none has.

        And what has none, though the window is of its date.
        """
        ranges_of: dict[tuple[str, int] | None, list[int]] = {}
        inside: set[tuple[str, int]] = set()
        files: list[str] = []
        low, high = _bounds(question.window)
        begun: deque[list[Handle]] = deque()
        for number in range(len(self._plan.ranges)):
            while len(begun) < self._executor.workers and number + len(begun) < len(self._plan.ranges):
                part = self._plan.ranges[number + len(begun)]
                begun.append(
                    self._executor.call(survey, self._plan, part, question.window, returns=2, where=self._where)
                )
            block, spans = begun.popleft()
            surveyed = self._wait(spans)
            if isinstance(surveyed, str):
                files.append(f"{_within(surveyed, question.config.source)} (no rows)")
                continue
            for span in surveyed:
                ranges_of.setdefault((span.symbol, span.day), []).append(number)
                if span.inside:
                    inside.add((span.symbol, span.day))
            _check_time(self._clock() - self._began, self._deadline)
            self._blocks[number] = block
            if len(inside) > 1:  # of one tape all are needed at once; of many, none but those of the next
                self._blocks.clear()
        if not inside:  # what is there says why
            return [None], ()
        self._ranges_of = ranges_of
        blank = sorted(key for key in ranges_of if key not in inside and key is not None and _touch(key[1], low, high))
        empty = tuple(_labelled(symbol, day * DAY) + _why(question.window, day) for symbol, day in blank) + tuple(files)
        return ([*sorted(inside)] if len(ranges_of) > 1 or files else [None]), empty

    def _begin(self, number: int) -> tuple[Handle, ...]:
        """Begin to read a tape; the handles of its columns, its book and its facts."""
        wanted = self._wanted[number]
        blocks = [self._block(at) for at in self._ranges_of.get(wanted, range(len(self._plan.ranges)))]
        selection = replace(self._selection, wanted=wanted)
        return tuple(self._executor.call(assemble, self._plan, selection, *blocks, returns=2 + len(selection.books)))

    def _finished(self, handles: tuple[Handle, ...]) -> Materialised:
        tape, facts, *books = handles
        return Materialised(tape, tuple(books), self._wait(facts))

    def _block(self, number: int) -> Handle:
        """One range, read; where tapes share ranges, only once."""
        if number in self._blocks:
            return self._blocks[number]
        block = self._executor.call(read_range, self._plan.ranges[number], where=self._where)
        _check_time(self._clock() - self._began, self._deadline)
        if not self._plan.separate:
            self._blocks[number] = block
        return block

    def _wait(self, handle: Handle) -> Any:  # noqa: ANN401 - what the task returned
        try:
            return self._executor.get(handle, timeout=max(self._deadline - (self._clock() - self._began), 0.0))
        except TimeoutError:
            raise _too_late(self._deadline) from None


KEPT_BYTES: Final = 2**30
"""Tapes and books that stay in the object store while others are swept; the first always does."""


def survey(plan: SourcePlan, part: Range, window: Span) -> tuple[Block, tuple[TapeSpan, ...] | str]:
    """Read a range, and say of what it holds rows, and of what any in a window; if it holds no row, where it is."""
    try:
        block = part.read()
    except NoRows as error:
        return None, error.where
    spans = plan.spans(block, *_bounds(window))
    if not window.by_session:
        return block, spans
    inside = set()
    for day in sorted({span.day for span in spans if span.inside}):
        if (own := _window_on(window, day)) is not None:
            inside |= {
                (each.symbol, day) for each in plan.spans(block, *_bounds(own)) if each.inside and each.day == day
            }
    return block, tuple(span._replace(inside=(span.symbol, span.day) in inside) for span in spans)


def _window_on(window: Span, day: int) -> Span | None:
    """A window on a date; None where it is of a session and there is none."""
    try:
        return window.on(day)
    except ValueError:
        return None


def _why(window: Span, day: int) -> str:
    """Why a date has no window, in brackets; "" where it has one."""
    try:
        window.on(day)
    except ValueError as error:
        return f" ({error})"
    return ""


def _bounds(window: Span) -> tuple[int, int]:
    """A window as two instants."""
    return window.start or 0, LAST_INSTANT if window.end is None else window.end


def _touch(day: int, low: int, high: int) -> bool:
    """Whether a window holds a part of a date, which is given in days since 1970."""
    return low // DAY <= day <= high // DAY


def _within(path: str, source: str) -> str:
    """A file's path, from the folder that a SOURCE names: the same wherever that lies."""
    place = source.removeprefix("file:")
    wild = min((place.find(letter) for letter in "*?[" if letter in place), default=-1)
    folder = place if wild < 0 else place[:wild].rpartition("/")[0]
    relative = PurePath(path).is_relative_to(folder)
    return printable(str(PurePath(path).relative_to(folder)) if relative else path)


NAMED: Final = 5
"""Empty tapes that a message names."""


def _refuse_empty(empty: Sequence[str], question: Question) -> None:
    """Refuse (FeedUnavailable) tapes and files without quotes, unless they are to be left out."""
    if not empty or question.config.tapes.skip_empty:
        return
    more = f" and {len(empty) - NAMED:,} more" if len(empty) > NAMED else ""
    whole = question.window.start is None and question.window.end is None and not question.window.by_session
    window = "" if whole else " in the window"
    venues = "" if question.reading.venues is None else " of the chosen venues"
    raise FeedUnavailable(
        f"no quotes{venues}{window}: {', '.join(empty[:NAMED])}{more}",
        without_secrets(question.config.source),
        "set tapes.skip_empty=true to leave that out, or narrow the source",
    )


def _check_time(passed: float, deadline: float) -> None:
    if passed > deadline:
        raise _too_late(deadline)


def _too_late(deadline: float) -> FeedCorrupt:
    return FeedCorrupt(f"the source was not read within {deadline:.0f} s", remedy="set feed.deadline")


def read_range(part: Range) -> Block:
    """Read one range of a source; a pure function of the range, so that a lost block can be read again."""
    return part.read()


def assemble(plan: SourcePlan, selection: Selection, *blocks: Block) -> tuple[Tape | Facts | Book, ...]:
    """Join the blocks of a source, cut the window, derive the books: a tape, the facts, each book.

    Raises
    ------
    FeedError
        Incomplete blocks; a window without quotes.
    AllocatorError
        Rules of the book are out of range.
    """
    start, end = selection.window.start, selection.window.end
    merged = plan.merge(blocks)
    dated = [(part, provenance) for tape, provenance in merged for part in tape.by_date()]
    beside: tuple[TapeSpan, ...] = ()
    empty: tuple[str, ...] = ()
    if selection.wanted is None:
        pairs = [pair for pair in dated if _reaches_into(pair[0], selection.window)]
        # where nothing is inside, `select` says where all of it is
        (full_tape, provenance), *others = pairs or merged[:1]
        beside = tuple(TapeSpan(tape.symbol, tape.span[0] // DAY) for tape, _ in others)
        with_quotes = {id(tape) for tape, _ in pairs}
        blank = (_blank(tape, selection.window) for tape, _ in dated if id(tape) not in with_quotes)
        empty = tuple(label for label in blank if label)
    else:
        full_tape, provenance = next(pair for pair in dated if _key(pair[0]) == selection.wanted)
    if all(full_tape is not tape for tape, _ in merged):  # a date of it
        if selection.depth is None:
            full_tape = full_tape.shown()
        provenance = replace(
            provenance,
            digest=full_tape.digest(),
            snapshots=full_tape.snapshots,
            rows=full_tape.rows,
            trades=len(full_tape.trades.ts),
        )
    if selection.window.by_session and full_tape.rows:
        try:
            own = selection.window.on(full_tape.span[0] // DAY)
        except ValueError as error:
            raise FeedUnavailable(
                f"window: {error}", provenance.place, "choose other dates, or the calendar of its exchange"
            ) from None
        start, end = own.start, own.end
    if selection.wanted is not None or beside:
        # of several dates each has the part of the window that lies on it
        day = full_tape.span[0] // DAY
        start = None if start is None or start // DAY < day else start
        end = None if end is None or end // DAY > day else end
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
    deepest = max((asked.depth or 1 for asked in selection.books), default=1)
    if tape.depth < deepest:
        raise FeedUnavailable(
            f"depth: {deepest} levels of a side are asked for, and the quotes have {tape.depth}",
            provenance.place,
            f"set depth={tape.depth}",
        )
    quality = check(tape, beside_kernels=True)  # the book is next
    several = selection.wanted is not None or bool(beside)
    # one of several tapes without a quote may be left out: the driver, which knows the orders, says so
    if errors := [name for name in quality.errors if not (several and name == "no_quotes")]:
        label = f" of {_labelled(tape.symbol, first)}" if several else ""
        raise FeedCorrupt(
            f"the quotes{label} cannot be used: {', '.join(errors)}",
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
    _check_room(tape, venues, [asked.depth or tape.depth for asked in selection.books], plan.held, provenance.place)
    books = [build_book(tape.up_to(asked.depth or tape.depth), asked.rules) for asked in selection.books]
    book = books[0]
    if not len(book.ts) or book.ts[-1] < start:
        first, last = full_tape.span
        raise FeedUnavailable(
            "no quotes in the window",
            provenance.place,
            f"the data there spans {format_instant(first)} to {format_instant(last)}",
        )
    return (
        tape,
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
            nbytes=sum(each.nbytes for each in books) + _bytes_of(tape),
            scales=tuple(Scale(each.venues, each.base, each.tick, each.highest) for each in books),
            quoted=_quoted(book, start),
            printed=book.prints is not None,
            beside=beside,
            empty=empty,
        ),
        *books,
    )


def _reaches_into(tape: Tape, window: Span) -> bool:
    """Whether a tape of one date has rows in a window."""
    own = window if not tape.rows else _window_on(window, tape.span[0] // DAY)
    return own is not None and bool(tape.clip(*_bounds(own)).rows)


def _blank(tape: Tape, window: Span) -> str:
    """The name of a tape without quotes in a window; "" if the window holds no part of its dates."""
    ts = np.concatenate([tape.ts, tape.trades.ts])
    if not len(ts):
        return tape.symbol
    low, high = _bounds(window)
    first, last = int(ts.min()), int(ts.max())
    touches = low // DAY <= last // DAY and first // DAY <= high // DAY
    return _labelled(tape.symbol, first) + _why(window, first // DAY) if touches else ""


def _quoted(book: Book, start: int) -> tuple[int, int] | None:
    """The first and the last instant from `start` on at which a book shows a quote."""
    shown = (book.bid_shown != 0).any(axis=1) | (book.ask_shown != 0).any(axis=1)
    at = book.ts[shown & (book.ts >= start)]
    return (int(at[0]), int(at[-1])) if len(at) else None


def _key(tape: Tape) -> tuple[str, int] | None:
    return (tape.symbol, tape.span[0] // DAY) if tape.rows else None


def _check_room(tape: Tape, venues: int, depths: Sequence[int], held: int | None, place: str) -> None:
    """Refuse (FeedCorrupt) books that take more memory than their source is trusted with, before allocating any.

    A book has a cell for each snapshot and venue, published or not: that of a small file with hundreds of publisher ids
    takes gigabytes.
    """
    from feed.files import trusted

    bound = trusted(_bytes_of(tape)) if held is None else max(trusted(0), held)
    # on Ray the object store holds a second one, which a small source does not justify
    books = 1 if bound > trusted(0) else 2
    trades = len(tape.trades.ts)
    takes = sum(book_bytes(tape.snapshots, venues, tape.rows, depth, trades) for depth in depths)
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
