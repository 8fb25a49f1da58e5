"""The tasks of the workers: pure functions of their arguments, with small results."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.baselines import twap_slices
from allocator.collapse import ACTING, read_by
from allocator.errors import AllocatorError
from allocator.order import FIELDS, execution_of
from allocator.runners import ONE_PASS, SHARED, prepare
from allocator.simulate import (
    kernels_for,
    kernels_for_orders,
    run_baselines,
    run_combinations,
    run_orders,
    trace_baselines,
    trace_combination,
)
from allocator.units import cost_units
from sweep.errors import WorkersLost
from sweep.executors.on_ray import describe_room
from sweep.search import PARAMETERS, Classes, each_alone, in_classes, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from allocator.book import Book
    from allocator.order import Execution, Liquidity, Order, ParameterColumns
    from allocator.shortfall import Trace
    from sweep.chunks import Chunk
    from sweep.config import Settings
    from sweep.search import Grid

SMALL: Final = 64
"""Combinations of a grid that is one pass over the tape: if only one kernel can run it, nothing is calibrated."""

SAMPLE: Final = 16
"""Combinations that a kernel is calibrated on: enough to tell the shared pass from what each one costs."""

SAMPLE_SECONDS: Final = 0.05
"""Where the sample would take longer than this, a quarter of it is used, unless the grid is much larger."""

MANY: Final = 4096
"""The sample of a kernel of `ONE_PASS`: what each of a few takes says nothing of what each of many does."""

HOPELESS: Final = 10
"""How many times slower than the best at one combination a kernel is that does not run the sample."""

_NO_ROWS: Final = np.empty((0, len(FIELDS)), np.int64)


@dataclass(frozen=True, slots=True)
class Job:
    """All that a chunk needs beside the book: the orders on one tape, and how to run them.

    Attributes
    ----------
    orders : tuple of Order
        At least one; they do not see one another.
    settings : Settings
    classes : Classes
        The combinations to run; a chunk names classes of them.
    kernel : str, optional
        One of `allocator.simulate.kernels_for_orders`; None = the first that runs orders one by one.
    """

    orders: tuple[Order, ...]
    settings: Settings
    classes: Classes
    kernel: str | None = None

    @property
    def order(self) -> Order:
        """The first order."""
        return self.orders[0]

    @property
    def grid(self) -> Grid:
        """The grid of the combinations."""
        return self.classes.grid


@dataclass(frozen=True, slots=True)
class Failure:
    """A combination that could not be simulated: its number, one line, the traceback."""

    combination: int
    message: str
    details: str


@dataclass(frozen=True, slots=True)
class Around:
    """The market at and around an order; instants are UTC nanoseconds, None where there is none.

    Attributes
    ----------
    arrival2 : int
        Twice the arrival mid, 1e-9 $; 0 where no book is two-sided.
    arrived : int, optional
        The snapshot of that mid.
    first, last : int, optional
        The first and the last snapshot, warm-up included, that shows the side the order takes from.
    slices, quoted : int
        How many slices TWAP has, and in how many of them such a quote is shown.
    """

    arrival2: int
    arrived: int | None
    first: int | None
    last: int | None
    slices: int
    quoted: int


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRows:
    """The result of a chunk of K classes.

    Attributes
    ----------
    of : (K,) int32
        The row of each class, order by order, ascending; -1 where it failed.
    rows : (R, 8) int64
        The columns of `allocator.order.FIELDS`.
    failures : tuple of Failure
        One per class, with its first combination.
    seconds : float
        What the simulation took on its worker, without loading the kernels.
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
    """Simulate the classes of a chunk, each by its first combination.

    A combination that fails is reported, the others go on. An order that cannot run at all (AllocatorError) ends the
    sweep, and so does a machine without room, which says nothing about any combination.
    """
    with _room():
        return _run_chunk(book, job, chunk)


@contextmanager
def _room() -> Iterator[None]:
    """Tell a lack of room on the machine from a failure of a combination.

    Raises
    ------
    WorkersLost
        Memory, disk space or a file was missing.
    """
    try:
        yield
    except (MemoryError, OSError) as error:
        raise WorkersLost(describe_room(error)) from None


def _run_chunk(book: Book, job: Job, chunk: Chunk) -> ChunkRows:
    if job.kernel is not None:
        prepare(job.kernel, book)  # what that costs on a worker says nothing about the next chunk
    began = time.perf_counter()
    orders = job.orders[chunk.order : chunk.order + chunk.orders]
    of, rows, failures = _simulate(book, job, orders, chunk.first, chunk.past)
    return ChunkRows(of, rows, failures, time.perf_counter() - began)


def _number(job: Job, position: int) -> int:
    """The first combination of a class."""
    return int(job.classes.numbers(np.array([position]))[0])


def given_up(job: Job, chunk: Chunk, why: str) -> ChunkRows:
    """The result of a single class that ended every process that ran it, while others ran on."""
    return ChunkRows(
        np.full(1, -1, np.int32), _NO_ROWS, (Failure(_number(job, chunk.first), f"WorkersLost: {why}", ""),), 0.0
    )


def _run(
    book: Book, job: Job, orders: tuple[Order, ...], parameters: ParameterColumns, kernel: str | None
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The row index of each order and combination, order by order, and the rows."""
    settings = job.settings
    arguments = settings.rules, settings.policy, settings.fees.of(book), parameters
    if len(orders) == 1 and kernel != SHARED:
        outcome = run_combinations(book, orders[0], *arguments, kernel=kernel, collapse=False)
        return outcome.of, outcome.rows
    outcomes = run_orders(book, orders, *arguments, kernel=kernel, collapse=False)
    offsets = np.cumsum([0, *(len(result.rows) for result in outcomes[:-1])]).astype(np.int32)
    of = np.concatenate([result.of + offset for result, offset in zip(outcomes, offsets, strict=True)])
    return of, np.concatenate([result.rows for result in outcomes])


def _simulate(
    book: Book, job: Job, orders: tuple[Order, ...], first: int, past: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], tuple[Failure, ...]]:
    """Simulate [first, past) of some orders; if that fails, each half, until the failing combination is alone."""
    try:
        of, rows = _run(book, job, orders, job.classes.parameters(first, past), job.kernel)
    except AllocatorError:
        raise
    except Exception as error:
        if past - first == len(orders) == 1:
            if isinstance(error, MemoryError | OSError):
                raise
            # interned: a bug in a million combinations has one traceback, here and in the answer
            details = sys.intern(traceback.format_exc())
            failure = Failure(_number(job, first), f"{type(error).__name__}: {error}", details)
            return np.full(1, -1, np.int32), _NO_ROWS, (failure,)
    else:
        return of, rows, ()
    half, middle = len(orders) // 2, (first + past) // 2
    parts = ((orders[:half], first, past), (orders[half:], first, past))
    if not half:
        parts = ((orders, first, middle), (orders, middle, past))
    (of, rows, failures), (second_of, second_rows, second_failures) = (_simulate(book, job, *part) for part in parts)
    shifted_of = np.where(second_of < 0, second_of, second_of + np.int32(len(rows)))
    return np.concatenate([of, shifted_of]), np.concatenate([rows, second_rows]), failures + second_failures


def classify(book: Book, job: Job) -> Classes:
    """Group the combinations of a job's grid that provably decide alike on its book."""
    policy, grid, fees = job.settings.policy, job.grid, job.settings.fees.of(book)
    if type(policy) not in ACTING:
        return each_alone(grid)
    reading = read_by(policy)
    axes = tuple(axis.name for axis in grid.axes if axis.name in reading or axis.name not in PARAMETERS)
    sides = dict.fromkeys(order.side for order in job.orders)
    places, units = Classes(grid, axes), [cost_units(book, side, fees) for side in sides]

    def columns(first: int, past: int) -> list[NDArray[np.int64]]:
        parameters = places.parameters(first, past)
        return [column for each in units for column in ACTING[type(policy)](policy, each, parameters)]

    return in_classes(grid, axes, columns)


def calibrate(book: Book, job: Job) -> dict[str, tuple[tuple[int, float], ...]]:
    """Measure the seconds of combinations on this worker, by kernel.

    Each kernel runs one combination; those that are not hopeless then run a sample spread over the grid, whose
    combinations share a pass as in a chunk. Where a pass is for any number of combinations, the sample is a large one.

    Returns
    -------
    dict of str to tuple of (combinations, seconds)
        What each kernel that can run the job took for one and for the sample, a good guess first; empty where there is
        nothing to decide. `SHARED` is measured for all orders, the others for one.

    Raises
    ------
    AllocatorError
        The order cannot run at all.
    """
    settings = job.settings
    arguments = settings.rules, settings.policy, settings.fees.of(book)
    names = kernels_for(book, job.order, *arguments)
    if len(job.orders) > 1:
        names = kernels_for_orders(book, job.orders, *arguments)
    if len(names) == 1 and len(job.classes) <= SMALL:
        return dict.fromkeys(names, ())
    for name in names:
        prepare(name, book)
    measured: dict[str, tuple[tuple[int, float], ...]] = {name: (_measure(book, job, name, 1),) for name in names}
    best = min(alone[1] for name, (alone,) in measured.items() if name != SHARED)
    short = best * SAMPLE > SAMPLE_SECONDS and len(job.classes) < 100 * SAMPLE
    count = min(len(job.classes), SAMPLE // 4 if short else SAMPLE)
    for name, (alone,) in measured.items():
        if name in ONE_PASS:
            measured[name] = alone, _measure(book, job, name, min(len(job.classes), MANY))
        elif name != SHARED and alone[1] < HOPELESS * best:
            measured[name] = alone, _measure(book, job, name, count)
    return measured


def _measure(book: Book, job: Job, kernel: str, count: int) -> tuple[int, float]:
    """Run `count` combinations at once by one kernel; returns the count and the seconds.

    Orders that share a walk run together; otherwise the one of median size stands for each of them.
    """
    parameters = job.grid.parameters_of(job.classes.numbers(spread(len(job.classes), count)))
    by_size = sorted(job.orders, key=lambda order: order.size)
    orders = job.orders if kernel == SHARED else (by_size[len(by_size) // 2],)
    began = time.thread_time()  # other processes on this CPU say nothing about the kernel
    try:
        _run(book, job, orders, parameters, kernel)
    except AllocatorError:
        raise
    except Exception:  # noqa: BLE001, S110 - a combination that fails is reported where it runs
        pass
    return count, time.thread_time() - began


def baselines(book: Book, job: Job, liquidity: Liquidity | None = None) -> dict[str, Execution]:
    """The baselines of a job's order, under its own liquidity rule or another."""
    settings = job.settings
    rules = settings.rules if liquidity is None else replace(settings.rules, liquidity=liquidity)
    fees = settings.fees.of(book)
    return run_baselines(book, job.order, rules, fees, settings.conventions, follower=settings.baseline)


def traced_baselines(book: Book, job: Job) -> dict[str, tuple[Execution, Trace]]:
    """As `baselines` under the job's own rule, each with when it filled and where the mid was."""
    settings = job.settings
    fees = settings.fees.of(book)
    return trace_baselines(book, job.order, settings.rules, fees, settings.conventions, follower=settings.baseline)


def around(book: Book, job: Job) -> Around:
    """The market at and around a job's order."""
    snapshot, arrival2 = book.arrival(job.order)
    shown = np.flatnonzero(book.take_side(job.order.side).shown.any(axis=1))
    first, last = (int(book.ts[shown[end]]) if len(shown) else None for end in (0, -1))
    standing = job.settings.book.book == "consolidated"
    slices, quoted = twap_slices(book, job.order, job.settings.conventions, standing=standing)
    return Around(arrival2, int(book.ts[snapshot]) if arrival2 else None, first, last, slices, quoted)


def trace(book: Book, job: Job, combination: int) -> Trace:
    """When one combination filled, and where the mid was; runs it once more for that."""
    settings = job.settings
    fees, parameters = settings.fees.of(book), job.grid.parameters(combination, combination + 1)
    return trace_combination(book, job.order, settings.rules, settings.policy, fees, parameters)


def under_other_liquidity(
    book: Book, job: Job, combination: int, liquidity: Liquidity
) -> tuple[Execution, dict[str, Execution]]:
    """Run one combination and the baselines once more under the other liquidity rule."""
    settings = job.settings
    rules = replace(settings.rules, liquidity=liquidity)
    parameters = job.grid.parameters(combination, combination + 1)
    row = run_combinations(book, job.order, rules, settings.policy, settings.fees.of(book), parameters).rows[0]
    return execution_of(row.tolist()), baselines(book, job, liquidity)
