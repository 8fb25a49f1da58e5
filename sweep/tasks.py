"""The tasks of the workers: pure functions of their arguments, with small results."""

from __future__ import annotations

import sys
import time
import traceback
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.baselines import twap_slices
from allocator.collapse import ACTING, read_by
from allocator.engine import as_row
from allocator.errors import AllocatorError, IllegalOrderError
from allocator.fills import Fills, by_venue, completion, stood_mids, waited
from allocator.order import FIELDS, ParameterColumns
from allocator.placement.records import placed_of
from allocator.runners import ONE_PASS, SHARED, check_sums, prepare
from allocator.simulate import (
    add_orders,
    kernels_for,
    kernels_for_orders,
    run_combinations,
    run_orders,
    trace_baselines,
    trace_combination,
)
from allocator.units import Scale, cost_units
from feed.console import MACHINE
from sweep.chunks import Chunk
from sweep.environment import node_name
from sweep.errors import WorkersLost
from sweep.executors.on_ray import describe_room
from sweep.search import PARAMETERS, Classes, each_alone, in_classes, spread
from sweep.statistics import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from allocator.baselines import Make
    from allocator.book import Book
    from allocator.order import Liquidity, Order, Rules
    from allocator.simulate import Traced
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
class Part:
    """The classes of one variant of a grid, and how these run.

    Attributes
    ----------
    past : int
        The class after its last.
    settings : Settings
    kernel : str, optional
        As of `Job`.
    """

    past: int
    settings: Settings
    kernel: str | None = None


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
    edges : tuple of int
        As `sweep.statistics.Orders.edges`; () = each order is a group of its own.
    parts : tuple of Part
        Of a grid of several variants: settings and kernel of each, instead of the above. A chunk lies in one of them.
    baselines : tuple of (str, callable)
        Those of plug-ins by name, as `allocator.simulate.trace_baselines` takes them.
    """

    orders: tuple[Order, ...]
    settings: Settings
    classes: Classes
    kernel: str | None = None
    edges: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    baselines: tuple[tuple[str, Make], ...] = ()

    def at(self, number: int) -> Job:
        """The job of the variant that a class lies in."""
        if not self.parts:
            return self
        part = self.parts[bisect_right([part.past for part in self.parts], number)]
        return replace(self, settings=part.settings, kernel=part.kernel)

    @property
    def order(self) -> Order:
        """The first order."""
        return self.orders[0]

    @property
    def grid(self) -> Grid:
        """The grid of the combinations."""
        return self.classes.grid

    @property
    def groups(self) -> int:
        """How many groups of orders there are."""
        return len(self.edges) - 1 if self.edges else len(self.orders)

    def groups_of(self, chunk: Chunk) -> tuple[tuple[Order, ...], ...]:
        """The orders of a chunk's groups."""
        edges = self.edges[chunk.order : chunk.order + chunk.orders + 1] or range(
            chunk.order, chunk.order + chunk.orders + 1
        )
        return tuple(self.orders[first:past] for first, past in pairwise(edges))


@dataclass(frozen=True, slots=True)
class Failure:
    """A combination that could not be simulated: its number, one line, the traceback."""

    combination: int
    message: str
    details: str


@dataclass(frozen=True, slots=True)
class Around:
    """The market at and around N orders; instants are UTC nanoseconds, None where there is none.

    Attributes
    ----------
    arrivals : (N,) tuple of int
        Twice each arrival mid, 1e-9 $; 0 where no book is two-sided.
    arrived : int, optional
        The snapshot of the first order's arrival mid.
    first, last : int, optional
        The first and the last snapshot, warm-up included, that shows the side an order takes from.
    slices, quoted : int
        How many slices TWAP has in all orders, and in how many of them such a quote is shown.
    """

    arrivals: tuple[int, ...]
    arrived: int | None
    first: int | None
    last: int | None
    slices: int
    quoted: int

    @property
    def arrival2(self) -> int:
        """Twice the first order's arrival mid, 1e-9 $; 0 where there is none."""
        return self.arrivals[0]


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRows:
    """The result of a chunk of K classes.

    Attributes
    ----------
    of : (K,) int32
        The row of each class, group by group, ascending; -1 where it failed.
    rows : (R, 8) int64
        The columns of `allocator.order.FIELDS`, summed over the orders of a group.
    failures : tuple of Failure
        One per class, with its first combination.
    seconds : float
        What the simulation took on its worker, without loading the kernels.
    node : str
        The node that ran it; nothing but reports depends on it.
    """

    of: NDArray[np.int32]
    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]
    seconds: float
    node: str = ""


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
        return replace(_run_chunk(book, job.at(chunk.first), chunk), node=node_name())


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
    groups = job.groups_of(chunk)
    if (kernel := _kernel_on(book, tuple(chain(*groups)), job.settings, job.kernel)) is not None:
        prepare(kernel, book)  # what that costs on a worker says nothing about the next chunk
    began = time.perf_counter()
    if all(len(group) == 1 for group in groups):
        of, rows, failures = _simulate(book, job, tuple(chain(*groups)), chunk.first, chunk.past)
        return ChunkRows(of, rows, failures, time.perf_counter() - began)
    sums = _Sums(len(groups), chunk.past - chunk.first)
    if job.kernel == SHARED:  # orders that share a walk need all their rows at once
        group_of = [number for number, group in enumerate(groups) for _ in group]
        sums.add(group_of, *_simulate(book, job, tuple(chain(*groups)), chunk.first, chunk.past))
    else:
        parameters = job.classes.parameters(chunk.first, chunk.past)
        for number, group in enumerate(groups):
            if not sums.run(number, book, job, group, parameters):
                for order in group:
                    sums.add([number], *_simulate(book, job, (order,), chunk.first, chunk.past))
    return ChunkRows(*sums.rows(), time.perf_counter() - began)


def _is_of_the_question(error: BaseException) -> bool:
    """Whether no combination of these orders could run; what a policy does wrong is of the combination alone."""
    return isinstance(error, AllocatorError) and not isinstance(error, IllegalOrderError)


def check_groups(book: Book, job: Job) -> None:
    """Refuse a job of which the orders of a group could together leave int64.

    Raises
    ------
    AllocatorError
        Names how many they are.
    """
    for group in job.groups_of(Chunk(0, 0, 0, 1, job.groups)):
        size = sum(order.size for order in group)
        try:
            check_sums(book, replace(group[0], size=size), job.settings.rules, job.settings.fees.of(book))
        except AllocatorError as error:
            together = (
                f" (the {len(group):,} orders of one side, size and block of time together)" if len(group) > 1 else ""
            )
            raise AllocatorError(f"{error}{together}") from None


class _Sums:
    """Adds up the rows of K combinations over the orders of G groups."""

    def __init__(self, groups: int, combinations: int) -> None:
        self._sums = np.zeros((groups, combinations, len(FIELDS)), np.int64)
        self._failed = np.zeros((groups, combinations), np.bool_)
        self._failures: dict[int, Failure] = {}

    def run(self, group: int, book: Book, job: Job, orders: tuple[Order, ...], parameters: ParameterColumns) -> bool:
        """Run a group at once; False, and nothing is added, where any combination fails."""
        settings = job.settings
        rows = np.zeros_like(self._sums[group])
        kernel = _kernel_on(book, orders[:1], settings, job.kernel)
        try:
            add_orders(
                book, orders, settings.rules, settings.policy, settings.fees.of(book), parameters, rows, kernel=kernel
            )
        except (Exception, SystemExit) as error:
            if _is_of_the_question(error):
                raise
            return False  # each combination is run by itself then, and says which fails and why
        self._sums[group] += rows
        return True

    def add(
        self, groups: Sequence[int], of: NDArray[np.int32], rows: NDArray[np.int64], failures: tuple[Failure, ...]
    ) -> None:
        """Add orders, each of a group: the row of each order and combination, order by order, as of `_simulate`."""
        for group, row_of in zip(groups, of.reshape(len(groups), -1), strict=True):
            self._failed[group] |= row_of < 0
            self._sums[group] += rows[row_of] if len(rows) else 0
        for failure in failures:
            self._failures.setdefault(failure.combination, failure)

    def rows(self) -> tuple[NDArray[np.int32], NDArray[np.int64], tuple[Failure, ...]]:
        """As of `_simulate`, a row for each group and combination; -1 where any order of it failed."""
        has_row = ~self._failed.reshape(-1)
        numbers = np.where(has_row, np.cumsum(has_row) - 1, -1).astype(np.int32)
        failures = tuple(self._failures[number] for number in sorted(self._failures))
        return numbers, self._sums.reshape(-1, len(FIELDS))[has_row], failures


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
    kernel = _kernel_on(book, orders, settings, kernel)
    if len(orders) == 1 and kernel != SHARED:
        outcome = run_combinations(book, orders[0], *arguments, kernel=kernel, collapse=False)
        return outcome.of, outcome.rows
    outcomes = run_orders(book, orders, *arguments, kernel=kernel, collapse=False)
    offsets = np.cumsum([0, *(len(result.rows) for result in outcomes[:-1])]).astype(np.int32)
    of = np.concatenate([result.of + offset for result, offset in zip(outcomes, offsets, strict=True)])
    return of, np.concatenate([result.rows for result in outcomes])


def _kernel_on(book: Book, orders: tuple[Order, ...], settings: Settings, kernel: str | None) -> str | None:
    """A kernel, or where it was chosen on another book and cannot run this one, the first that can."""
    if kernel is None or kernel in ANY_BOOK:
        return kernel
    arguments = settings.rules, settings.policy, settings.fees.of(book)
    names = (
        kernels_for_orders(book, orders, *arguments) if kernel == SHARED else kernels_for(book, orders[0], *arguments)
    )
    return kernel if kernel in names else next(name for name in names if name != SHARED)


ANY_BOOK: Final = ("reference", "walk")
"""The kernels that run any book."""


def _simulate(
    book: Book, job: Job, orders: tuple[Order, ...], first: int, past: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], tuple[Failure, ...]]:
    """Simulate [first, past) of some orders; if that fails, each half, until the failing combination is alone."""
    try:
        of, rows = _run(book, job, orders, job.classes.parameters(first, past), job.kernel)
    except (Exception, SystemExit) as error:
        if _is_of_the_question(error):
            raise
        if past - first == len(orders) == 1:
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in MACHINE):
                raise  # the machine's fault, and not the combination's
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


def classify(job: Job, books: Sequence[Sequence[Book | Scale]]) -> Classes:
    """Group the combinations of a job's grid that provably decide alike.

    Parameters
    ----------
    job : Job
    books : sequence of sequence of Book or Scale
        For each variant of the grid those that it runs on.
    """
    grid, sides = job.grid, dict.fromkeys(order.side for order in job.orders)
    variants = [part.settings for part in job.parts] or [job.settings]
    if any(type(settings.policy) not in ACTING for settings in variants):
        return each_alone(grid)
    reading = {name for settings in variants for name in read_by(settings.policy)}
    axes = tuple(axis.name for axis in grid.axes if axis.name in reading or axis.name not in PARAMETERS)
    if grid.kept is not None:
        axes = tuple(axis.name for axis in grid.axes)
    places, edges = Classes(grid, axes), grid.variant_edges
    units = [
        [cost_units(book, side, settings.fees.of(book)) for book in own for side in sides]
        for settings, own in zip(variants, books, strict=True)
    ]

    def of_variant(variant: int, parameters: ParameterColumns) -> list[NDArray[np.int64]]:
        policy = variants[variant].policy
        return [column for each in units[variant] for column in ACTING[type(policy)](policy, each, parameters)]

    nothing = ParameterColumns(*(np.empty(0, np.int64) for _ in PARAMETERS))
    most = max(len(of_variant(variant, nothing)) for variant in range(len(variants)))

    def columns(first: int, past: int) -> list[NDArray[np.int64]]:
        if len(variants) == 1:
            return of_variant(0, places.parameters(first, past))
        numbers = places.numbers(np.arange(first, past))
        variant_of = np.searchsorted(edges, numbers, "right") - 1
        block = np.zeros((1 + most, past - first), np.int64)
        block[0] = variant_of
        for variant in np.unique(variant_of).tolist():
            at = np.flatnonzero(variant_of == variant)
            for row, column in enumerate(of_variant(variant, grid.parameters_of(numbers[at])), 1):
                block[row, at] = column
        return list(block)

    return in_classes(grid, axes, columns)


def candidates(book: Book, job: Job) -> tuple[str, ...]:
    """The kernels worth a measurement, a good guess first."""
    settings = job.settings
    arguments = settings.rules, settings.policy, settings.fees.of(book)
    if len(job.orders) == 1 or job.parts:
        return kernels_for(book, job.order, *arguments)
    return kernels_for_orders(book, job.orders, *arguments)


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
    names = candidates(book, job)
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

    Orders that share a walk run together; otherwise the one of median size stands for each of them. What a combination
    is beside its parameters plays no part.
    """
    parameters = job.grid.parameters_of(job.classes.numbers(spread(len(job.classes), count)))
    by_size = sorted(job.orders, key=lambda order: order.size)
    orders = job.orders if kernel == SHARED else (by_size[len(by_size) // 2],)
    began = time.thread_time()  # other processes on this CPU say nothing about the kernel
    try:
        _run(book, job, orders, parameters, kernel)
    except (Exception, SystemExit) as error:
        if _is_of_the_question(error):
            raise  # a combination that fails is reported where it runs
    return count, time.thread_time() - began


def around(book: Book, job: Job) -> Around:
    """The market at and around a job's orders; AllocatorError as `check_groups`."""
    check_groups(book, job)
    arrivals = [book.arrival(order) for order in job.orders]
    snapshot, arrival2 = arrivals[0]
    shown = [
        np.flatnonzero(book.take_side(side).shown.any(axis=1)) for side in {order.side: None for order in job.orders}
    ]
    firsts, lasts = ([int(book.ts[where[end]]) for where in shown if len(where)] for end in (0, -1))
    standing = job.settings.book.book == "consolidated"
    slices = [twap_slices(book, order, job.settings.conventions, standing=standing) for order in job.orders]
    return Around(
        tuple(arrival for _, arrival in arrivals),
        int(book.ts[snapshot]) if arrival2 else None,
        min(firsts, default=None),
        max(lasts, default=None),
        sum(all_slices for all_slices, _ in slices),
        sum(quoted for _, quoted in slices),
    )


def _rules(job: Job, liquidity: Liquidity | None) -> Rules:
    """A job's rules of fills, under its own liquidity rule or another."""
    return job.settings.rules if liquidity is None else replace(job.settings.rules, liquidity=liquidity)


def baselines(book: Book, job: Job, first: int, past: int, liquidity: Liquidity | None = None) -> dict[str, Outcome]:
    """Every baseline of the orders [first, past) of a job; under the job's own rule of liquidity with its fills."""
    settings, rules, fees, orders = job.settings, _rules(job, liquidity), job.settings.fees.of(book), job.orders
    stood, record = stood_mids(book), liquidity is None
    return _together(
        book,
        orders[first:past],
        settings,
        stood,
        (
            trace_baselines(
                book,
                order,
                rules,
                fees,
                settings.conventions,
                follower=settings.baseline,
                stood=stood,
                record=record,
                more=dict(job.baselines),
            )
            for order in orders[first:past]
        ),
    )


def traced(
    book: Book, job: Job, parameters: ParameterColumns, first: int, past: int, liquidity: Liquidity | None = None
) -> dict[str, Outcome]:
    """One combination of the orders [first, past) of a job, run once more to say when it filled, as ``optimized``.

    Under the job's own rule of liquidity with its fills.
    """
    settings, rules, fees, orders = job.settings, _rules(job, liquidity), job.settings.fees.of(book), job.orders
    stood, record = stood_mids(book), liquidity is None
    arguments = settings.policy, fees, parameters
    return _together(
        book,
        orders[first:past],
        settings,
        stood,
        (
            {"optimized": trace_combination(book, order, rules, *arguments, stood=stood, record=record)}
            for order in orders[first:past]
        ),
    )


def _together(
    book: Book,
    orders: Sequence[Order],
    settings: Settings,
    stood: NDArray[np.int64],
    runs: Iterable[Mapping[str, Traced]],
) -> dict[str, Outcome]:
    """The runs of each strategy, order after order, the sums of their fills, and what they placed."""
    each = list(runs)
    count, names = len(orders), list(each[0])
    traced = [run[name] for name in names for run in each]
    every, fills = [*orders] * len(names), Fills.of([run.fills for run in traced])
    charged = settings.fees.of(book), settings.rules.maker_fees.of(book.venues.tolist())
    venues, done, waits = (
        by_venue(book, every, *charged, fills, stood),
        completion(book, every, fills),
        waited(book, every, fills),
    )
    passive = by_venue(book, every, *charged, fills.passively(), stood) if fills.passive.any() else None
    outcomes = {}
    for at, name in enumerate(names):
        first, past = count * at, count * (at + 1)
        own = traced[first:past]
        placed = [run.placed.after(number) for number, run in enumerate(own) if run.placed and run.fills is not None]
        outcomes[name] = Outcome(
            np.array([as_row(run.execution) for run in own], np.int64),
            tuple(run.trace for run in own),
            (venues.of_runs(first, past),),
            done[first:past],
            tuple(
                None if run.fills is None else shares_waited
                for run, shares_waited in zip(own, waits[first:past], strict=True)
            ),
            () if passive is None else (passive.of_runs(first, past),),
            (placed_of(placed),) if placed else (),
            any(run.lookahead for run in own),
        )
    return outcomes
