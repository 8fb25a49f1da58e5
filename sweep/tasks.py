"""What runs on the workers: pure functions of their arguments, small results."""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.errors import AllocatorError
from allocator.order import FIELDS, ParameterColumns, execution_of
from allocator.simulate import kernels_for, run_baselines, run_combinations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allocator.book import Book
    from allocator.order import Execution, Liquidity, Order
    from sweep.chunks import Chunk
    from sweep.conventions import Settings
    from sweep.grid import Grid

SMALL: Final = 64
"""A grid of so many combinations is one pass over the tape: a single kernel is not calibrated for it."""

SAMPLE: Final = 16
"""Combinations that a kernel is calibrated on: enough to tell a pass that they share from what each costs."""

SAMPLE_SECONDS: Final = 0.05
"""Where the sample would take longer, a quarter of it does, unless the grid is large beside it."""

HOPELESS: Final = 10
"""A kernel so many times slower than the best at one combination is not tried on the sample."""


@dataclass(frozen=True, slots=True)
class Job:
    """One order on one tape: all that a chunk needs beside the book.

    Attributes
    ----------
    order : Order
    settings : Settings
    grid : Grid
    kernel : str, optional
        One of `allocator.simulate.kernels_for`; None = its first.
    collapse : bool
        Simulate combinations once that provably decide alike.
    """

    order: Order
    settings: Settings
    grid: Grid
    kernel: str | None = None
    collapse: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """A combination that could not be simulated: its number, one line, the traceback."""

    combination: int
    message: str
    details: str


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRows:
    """The result of a chunk of K combinations, R of them simulated.

    Attributes
    ----------
    of : (K,) int32
        The row of each combination, in the order of their numbers; -1 where it failed.
    rows : (R, 8) int64
        The columns of `allocator.order.FIELDS`.
    failures : tuple of Failure
    seconds : float
        What the simulation took on its worker, loading the kernels left out.
    """

    of: NDArray[np.int32]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]
    seconds: float


def warm() -> None:
    """Load the kernels on a worker while the source is still being read."""
    _load_kernels()


@cache
def _load_kernels() -> None:
    """Import every module of kernels: compiled then, or read from the cache."""
    package = import_module("allocator.kernels")
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")


def run_chunk(book: Book, job: Job, chunk: Chunk) -> ChunkRows:
    """Simulate the combinations of a chunk.

    A combination that fails is reported and the others go on; an order that cannot be run at all (an AllocatorError)
    ends the sweep.
    """
    warm()  # a worker that was started late; what it costs says nothing about the next chunk
    began = time.perf_counter()
    of, rows, failures = _simulate(book, job, chunk.first, chunk.past)
    return ChunkRows(of, rows, failures, time.perf_counter() - began)


def _simulate(
    book: Book, job: Job, first: int, past: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], tuple[Failure, ...]]:
    """Simulate [first, past); where something fails, each half of it, until the combination that does is alone."""
    settings = job.settings
    try:
        outcomes = run_combinations(
            book,
            job.order,
            settings.rules,
            settings.routing,
            settings.fees.of(book),
            job.grid.parameters(first, past),
            kernel=job.kernel,
            collapse=job.collapse,
        )
    except AllocatorError:
        raise
    except Exception as error:  # noqa: BLE001 - reported with its traceback
        if past - first == 1:
            # interned: a bug that ends a million combinations has one traceback, here and in the answer
            details = sys.intern(traceback.format_exc())
            failure = Failure(first, f"{type(error).__name__}: {error}", details)
            return np.full(1, -1, np.int32), np.empty((0, len(FIELDS)), np.int64), (failure,)
    else:
        return outcomes.of, outcomes.rows, ()
    middle = (first + past) // 2
    (of, rows, failures), (more_of, more, more_failures) = (
        _simulate(book, job, first, middle),
        _simulate(book, job, middle, past),
    )
    shifted = np.where(more_of < 0, more_of, more_of + np.int32(len(rows)))
    return np.concatenate([of, shifted]), np.concatenate([rows, more]), failures + more_failures


def calibrate(book: Book, job: Job) -> dict[str, tuple[tuple[int, float], ...]]:
    """What combinations take on this worker, by kernel.

    Each kernel runs one combination; then those that are not hopeless run a sample spread over the grid, whose
    combinations share what they share in a chunk.

    Returns
    -------
    dict of str to tuple of (combinations, seconds)
        What each kernel that can run the job took for one and for the sample, a good guess first; nothing where there
        is nothing to decide.

    Raises
    ------
    AllocatorError
        The order cannot be run at all.
    """
    settings = job.settings
    names = kernels_for(book, job.order, settings.rules, settings.routing, settings.fees.of(book))
    if len(names) == 1 and len(job.grid) <= SMALL:
        return dict.fromkeys(names, ())
    warm()
    measured = {name: (_measure(book, job, name, 1),) for name in names}
    best = min(seconds for ((_, seconds),) in measured.values())
    short = best * SAMPLE > SAMPLE_SECONDS and len(job.grid) < 100 * SAMPLE
    count = min(len(job.grid), SAMPLE // 4 if short else SAMPLE)
    return {
        name: (alone, _measure(book, job, name, count)) if alone[1] < HOPELESS * best else (alone,)
        for name, (alone,) in measured.items()
    }


def _measure(book: Book, job: Job, kernel: str, count: int) -> tuple[int, float]:
    """Run so many combinations at once by one kernel: how many, and the seconds that they took."""
    settings = job.settings
    parameters = ParameterColumns(**job.grid.columns(job.grid.spread(count)))
    began = time.perf_counter()
    try:
        run_combinations(
            book,
            job.order,
            settings.rules,
            settings.routing,
            settings.fees.of(book),
            parameters,
            kernel=kernel,
            collapse=job.collapse,
        )
    except AllocatorError:
        raise
    except Exception:  # noqa: BLE001, S110 - a combination that fails is reported where it runs
        pass
    return count, time.perf_counter() - began


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
