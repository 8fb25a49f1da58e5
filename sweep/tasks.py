"""What runs on the workers: pure functions of their arguments, small results."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.baselines import twap_slices
from allocator.errors import AllocatorError
from allocator.order import FIELDS, ParameterColumns, execution_of
from allocator.runners import prepare
from allocator.simulate import (
    SHARED,
    kernels_for,
    kernels_for_orders,
    run_baselines,
    run_combinations,
    run_orders,
    trace_baselines,
    trace_combination,
)
from sweep.errors import WorkersLost
from sweep.executors.on_ray.losses import describe_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from allocator.book import Book
    from allocator.order import Execution, Liquidity, Order
    from allocator.shortfall import Trace
    from sweep.chunks import Chunk
    from sweep.config.conventions import Settings
    from sweep.search.grid import Grid

SMALL: Final = 64
"""A grid of so many combinations is one pass over the tape: a single kernel is not calibrated for it."""

SAMPLE: Final = 16
"""Combinations that a kernel is calibrated on: enough to tell a pass that they share from what each costs."""

SAMPLE_SECONDS: Final = 0.05
"""Where the sample would take longer, a quarter of it does, unless the grid is large beside it."""

HOPELESS: Final = 10
"""A kernel so many times slower than the best at one combination is not tried on the sample."""

_NO_ROWS: Final = np.empty((0, len(FIELDS)), np.int64)


@dataclass(frozen=True, slots=True)
class Job:
    """The orders on one tape: all that a chunk needs beside the book.

    Attributes
    ----------
    orders : tuple of Order
        One at least; they do not see one another.
    settings : Settings
    grid : Grid
    kernel : str, optional
        One of `allocator.simulate.kernels_for_orders`; None = the first that runs orders one by one.
    collapse : bool
        Simulate combinations once that provably decide alike.
    """

    orders: tuple[Order, ...]
    settings: Settings
    grid: Grid
    kernel: str | None = None
    collapse: bool = True

    @property
    def order(self) -> Order:
        """The first order."""
        return self.orders[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """A combination that could not be simulated: its number, one line, the traceback."""

    combination: int
    message: str
    details: str


@dataclass(frozen=True, slots=True)
class Around:
    """The market that an order comes into; instants are UTC nanoseconds, None where there is none.

    Attributes
    ----------
    arrival2 : int
        Twice the arrival mid, 1e-9 $; 0 where no book is two-sided.
    arrived : int, optional
        The snapshot of that mid.
    first, last : int, optional
        The first and the last snapshot, warm-up included, that shows the side the order takes from.
    slices, quoted : int
        Of TWAP, and in how many of them such a quote is shown.
    """

    arrival2: int
    arrived: int | None
    first: int | None
    last: int | None
    slices: int
    quoted: int


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRows:
    """The result of a chunk of K combinations, R of them simulated.

    Attributes
    ----------
    of : (K,) int32
        The row of each combination, order by order, in the order of their numbers; -1 where it failed.
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
    """Load numba and the kernels' modules on a worker while the source is still being read; again, it costs nothing."""
    from allocator.kernels import load

    load()


def run_chunk(book: Book, job: Job, chunk: Chunk) -> ChunkRows:
    """Simulate the combinations of a chunk.

    A combination that fails is reported and the others go on; an order that cannot be run at all (an AllocatorError)
    ends the sweep, and so does a machine without room, which says nothing about any combination.
    """
    with _room():
        return _run_chunk(book, job, chunk)


@contextmanager
def _room() -> Iterator[None]:
    """Tell what the machine did not give from what a combination did wrong.

    Raises
    ------
    WorkersLost
        Memory, a disk or a file that was not there.
    """
    try:
        yield
    except (MemoryError, OSError) as error:
        raise WorkersLost(describe_room(error)) from None


def _run_chunk(book: Book, job: Job, chunk: Chunk) -> ChunkRows:
    if job.kernel is not None:
        prepare(job.kernel)  # what that costs on a worker says nothing about the next chunk
    began = time.perf_counter()
    orders = job.orders[chunk.order : chunk.order + chunk.orders]
    of, rows, failures = _simulate(book, job, orders, chunk.first, chunk.past)
    return ChunkRows(of, rows, failures, time.perf_counter() - began)


def given_up(chunk: Chunk, why: str) -> ChunkRows:
    """The result of a chunk of one combination that ended every process that ran it, and others ran on."""
    return ChunkRows(np.full(1, -1, np.int32), _NO_ROWS, (Failure(chunk.first, f"WorkersLost: {why}", ""),), 0.0)


def _run(
    book: Book, job: Job, orders: tuple[Order, ...], parameters: ParameterColumns, kernel: str | None
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Which row each order and combination has, order by order, and the rows."""
    settings = job.settings
    rest = settings.rules, settings.routing, settings.fees.of(book), parameters
    if len(orders) == 1 and kernel != SHARED:
        one = run_combinations(book, orders[0], *rest, kernel=kernel, collapse=job.collapse)
        return one.of, one.rows
    many = run_orders(book, orders, *rest, kernel=kernel, collapse=job.collapse)
    before = np.cumsum([0, *(len(each.rows) for each in many[:-1])]).astype(np.int32)
    of = np.concatenate([each.of + at for each, at in zip(many, before, strict=True)])
    return of, np.concatenate([each.rows for each in many])


def _simulate(
    book: Book, job: Job, orders: tuple[Order, ...], first: int, past: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], tuple[Failure, ...]]:
    """Simulate [first, past) of some orders; where something fails, each half, until what does is alone."""
    try:
        of, rows = _run(book, job, orders, job.grid.parameters(first, past), job.kernel)
    except AllocatorError:
        raise
    except Exception as error:
        if past - first == len(orders) == 1:
            if isinstance(error, MemoryError | OSError):
                raise
            # interned: a bug that ends a million combinations has one traceback, here and in the answer
            details = sys.intern(traceback.format_exc())
            failure = Failure(first, f"{type(error).__name__}: {error}", details)
            return np.full(1, -1, np.int32), _NO_ROWS, (failure,)
    else:
        return of, rows, ()
    half, middle = len(orders) // 2, (first + past) // 2
    parts = ((orders[:half], first, past), (orders[half:], first, past))
    if not half:
        parts = ((orders, first, middle), (orders, middle, past))
    (of, rows, failures), (more_of, more, more_failures) = (_simulate(book, job, *part) for part in parts)
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
        is nothing to decide. For one order, but for `SHARED`: that is for all of them.

    Raises
    ------
    AllocatorError
        The order cannot be run at all.
    """
    settings = job.settings
    about = settings.rules, settings.routing, settings.fees.of(book)
    names = kernels_for(book, job.order, *about)
    if len(job.orders) > 1:
        names = kernels_for_orders(book, job.orders, *about)
    if len(names) == 1 and len(job.grid) <= SMALL:
        return dict.fromkeys(names, ())
    for name in names:
        prepare(name)
    measured = {name: (_measure(book, job, name, 1),) for name in names}
    best = min(seconds for name, ((_, seconds),) in measured.items() if name != SHARED)
    short = best * SAMPLE > SAMPLE_SECONDS and len(job.grid) < 100 * SAMPLE
    count = min(len(job.grid), SAMPLE // 4 if short else SAMPLE)
    return {
        name: (alone, _measure(book, job, name, count)) if name != SHARED and alone[1] < HOPELESS * best else (alone,)
        for name, (alone,) in measured.items()
    }


def _measure(book: Book, job: Job, kernel: str, count: int) -> tuple[int, float]:
    """Run so many combinations at once by one kernel: how many, and the seconds that they took.

    Orders that share a walk run all together; otherwise one of middling size stands for each of them.
    """
    parameters = ParameterColumns(**job.grid.columns(job.grid.spread(count)))
    by_size = sorted(job.orders, key=lambda order: order.size)
    orders = job.orders if kernel == SHARED else (by_size[len(by_size) // 2],)
    began = time.thread_time()  # the others that want this CPU say nothing about the kernel
    try:
        _run(book, job, orders, parameters, kernel)
    except AllocatorError:
        raise
    except Exception:  # noqa: BLE001, S110 - a combination that fails is reported where it runs
        pass
    return count, time.thread_time() - began


def baselines(book: Book, job: Job, liquidity: Liquidity | None = None) -> dict[str, Execution]:
    """best_ask, twap and vwap of a job's order, under its own liquidity rule or another."""
    settings = job.settings
    rules = settings.rules if liquidity is None else replace(settings.rules, liquidity=liquidity)
    return run_baselines(book, job.order, rules, settings.fees.of(book), settings.conventions)


def around(book: Book, job: Job) -> Around:
    """The market that a job's order comes into."""
    at, arrival2 = book.arrival(job.order)
    shown = np.flatnonzero(book.take_side(job.order.side).shown.any(axis=1))
    first, last = (int(book.ts[shown[end]]) if len(shown) else None for end in (0, -1))
    standing = job.settings.book.book == "consolidated"
    slices, quoted = twap_slices(book, job.order, job.settings.conventions, standing=standing)
    return Around(arrival2, int(book.ts[at]) if arrival2 else None, first, last, slices, quoted)


def traces(book: Book, job: Job, combination: int) -> tuple[Trace, dict[str, Trace]]:
    """When one combination and the baselines filled, and where the mid stood; they are run once more for that."""
    settings = job.settings
    fees, parameters = settings.fees.of(book), job.grid.parameters(combination, combination + 1)
    found = trace_combination(book, job.order, settings.rules, settings.routing, fees, parameters)
    runs = trace_baselines(book, job.order, settings.rules, fees, settings.conventions)
    return found, {name: trace for name, (_, trace) in runs.items()}


def under_other_liquidity(
    book: Book, job: Job, combination: int, liquidity: Liquidity
) -> tuple[Execution, dict[str, Execution]]:
    """One combination and the baselines, run once more under the other liquidity rule."""
    settings = job.settings
    rules = replace(settings.rules, liquidity=liquidity)
    parameters = job.grid.parameters(combination, combination + 1)
    row = run_combinations(book, job.order, rules, settings.routing, settings.fees.of(book), parameters).rows[0]
    return execution_of(row.tolist()), baselines(book, job, liquidity)
