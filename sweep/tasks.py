"""What runs on the workers: pure functions of their arguments, small results."""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.book import build_book
from allocator.errors import AllocatorError
from allocator.order import FIELDS, ParameterColumns, execution_of
from allocator.simulate import run_baselines, run_combinations
from feed.check import check
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from feed.source import select
from feed.tape import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allocator.book import Book, BookRules
    from allocator.order import Execution, Liquidity, Order
    from feed.source import Block, Plan, Range
    from feed.tape import Provenance, Tape
    from sweep.conventions import Settings
    from sweep.grid import Grid
    from sweep.plan import Chunk


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
        The counts of `feed.check` and of the book's derivation.
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
class Job:
    """One order on one tape: all that a chunk needs beside the book."""

    order: Order
    settings: Settings
    grid: Grid


@dataclass(frozen=True, slots=True)
class Failure:
    """A combination that could not be simulated: its number, one line, the traceback."""

    combination: int
    message: str
    details: str


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRows:
    """The result of a chunk.

    Attributes
    ----------
    combinations : (K,) int64
        Numbers of the combinations that have a row, ascending.
    rows : (K, 8) int64
        The columns of `allocator.order.FIELDS`.
    failures : tuple of Failure
    """

    combinations: NDArray[np.int64]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]


def warm() -> None:
    """Load the kernels on a worker while the source is still being read."""
    from allocator.kernels import standing, walk  # noqa: F401 - compiled or read from the cache on import


def read_range(part: Range) -> Block:
    """Read one range of a source: a pure function of the range, so that a lost block is read again."""
    return part.read()


def assemble(plan: Plan, selection: Selection, *blocks: Block) -> tuple[Tape, Book, Facts]:
    """Join the blocks of a source, cut the window, derive the book.

    Raises
    ------
    FeedError
        Blocks that are not whole; a window without quotes.
    AllocatorError
        Rules of the book out of range.
    """
    whole, provenance = plan.merge(blocks)
    start, end = selection.start, selection.end
    # quotes are not carried over a date: a warm-up that reaches over midnight begins there
    earliest = None if start is None else max(start - selection.warmup, start // DAY * DAY)
    tape, provenance = select(whole, provenance, earliest, end)
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
    book = build_book(tape, selection.book)
    if not len(book.ts) or book.ts[-1] < start:
        first, last = whole.span
        raise FeedUnavailable(
            "no quotes in the window",
            provenance.place,
            f"the data there spans {format_instant(first)} to {format_instant(last)}",
        )
    columns = [getattr(part, name) for part in (tape, tape.trades) for name in part.__slots__]
    columns = [column for column in columns if isinstance(column, np.ndarray)]
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
            nbytes=book.nbytes + sum(column.nbytes for column in columns),
        ),
    )


def run_chunk(book: Book, job: Job, chunk: Chunk) -> ChunkRows:
    """Simulate the combinations of a chunk.

    A combination that fails is reported and the others go on; an order that cannot be run at all (an AllocatorError)
    ends the sweep.
    """
    settings = job.settings
    fees = settings.fees.of(book)

    def rows_of(first: int, past: int) -> NDArray[np.int64]:
        parameters = job.grid.parameters(first, past)
        return run_combinations(book, job.order, settings.rules, settings.routing, fees, parameters).table

    try:
        numbers = np.arange(chunk.first, chunk.past, dtype=np.int64)
        return ChunkRows(numbers, rows_of(chunk.first, chunk.past), ())
    except AllocatorError:
        raise
    except Exception:  # noqa: BLE001 - found again one by one below, with its number
        kept, rows, failures = [], [], []
        for number in range(chunk.first, chunk.past):
            try:
                rows.append(rows_of(number, number + 1)[0])
                kept.append(number)
            except Exception as error:  # noqa: BLE001 - reported with its traceback
                failures.append(Failure(number, f"{type(error).__name__}: {error}", traceback.format_exc()))
        table = np.array(rows, np.int64).reshape(-1, len(FIELDS))
        return ChunkRows(np.array(kept, np.int64), table, tuple(failures))


def seconds_per_combination(book: Book, job: Job) -> float:
    """What a combination takes on this worker: the mean of up to eight, spread over the grid."""
    count = min(len(job.grid), 8)
    settings = job.settings
    fees = settings.fees.of(book)
    numbers = [k * len(job.grid) // count for k in range(count)]
    spent = 0.0
    for _ in range(2):  # the first round loads the kernel
        began = time.perf_counter()
        parameters = ParameterColumns(**job.grid.columns(np.array(numbers)))
        with suppress(Exception):  # a combination that fails is reported where it runs
            run_combinations(book, job.order, settings.rules, settings.routing, fees, parameters)
        spent = time.perf_counter() - began
    return spent / count


def baselines(book: Book, job: Job, liquidity: Liquidity | None = None) -> dict[str, Execution]:
    """best_ask, twap and vwap of a job's order, under its own liquidity rule or another."""
    settings = job.settings
    rules = settings.rules if liquidity is None else replace(settings.rules, liquidity=liquidity)
    return run_baselines(book, job.order, rules, settings.fees.of(book), settings.conventions)


def under_other_liquidity(
    book: Book, job: Job, combination: int, liquidity: Liquidity
) -> tuple[Execution, dict[str, Execution]]:
    """One combination and the baselines, run once more under the other liquidity rule."""
    settings = job.settings
    rules = replace(settings.rules, liquidity=liquidity)
    parameters = job.grid.parameters(combination, combination + 1)
    row = run_combinations(book, job.order, rules, settings.routing, settings.fees.of(book), parameters).rows[0]
    return execution_of(row.tolist()), baselines(book, job, liquidity)
