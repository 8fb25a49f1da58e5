"""How long the chunks of a plan take: a few of them are run, and the whole walk is played through in numbers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep import tasks
from sweep.chunks import Chunk, fit
from sweep.reduce import TOTAL, eligible, find_best
from sweep.search.grid import Axis, Grid
from sweep.sink import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.book import Book
    from allocator.order import Execution
    from sweep.chunks import Measured
    from sweep.planning import Plan

    RunChunk = Callable[[Book, tasks.Job, Chunk], tasks.ChunkRows]

BUDGET_SECONDS: Final = 2.0
"""Chunks are run for at most about so long; one that would go beyond is not begun."""

ENOUGH: Final = 12
"""Chunks of the size that the cutter settles at, spread over the grid; more of them say nothing new."""


KEPT: Final = 2**22
"""Rows at most that taking them in is tried on: 0.4 GB, for on a virtual machine pages that are new may cost ten times
what others do."""

REDUCED: Final = 2**21
"""Rows at most that the driver's work at the end is tried on."""

GOLDEN: Final = (math.sqrt(5) - 1) / 2

NOISE: Final = 0.15
"""By so much one run differs from the next on a machine that does something else, too."""


UNTRIED: Final = 1.0
"""The spread where not one chunk could be run for it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What chunks take, as far as it was measured.

    Attributes
    ----------
    points : tuple of (combinations, seconds)
        Means by size, ascending; one at least.
    spread : float
        By which part of it the mean of the largest chunks may be off: they lie on a few places of the grid only.
    busy : float
        How many times as long as it computed a chunk took; above 1 where other work has this machine's CPUs, too.
    keep, reduce : float
        Seconds of the driver for each row: to take it in as it comes, and to find the best of all at the end.
    before, after : float
        Seconds of what runs before the chunks, the baselines, and after them, the sensitivity.
    chunks, combinations : int
        That were run to find out.
    seconds : float
        That they computed.
    """

    points: tuple[tuple[float, float], ...]
    spread: float = 0.0
    busy: float = 1.0
    keep: float = 0.0
    reduce: float = 0.0
    before: float = 0.0
    after: float = 0.0
    chunks: int = 0
    combinations: int = 0
    seconds: float = 0.0

    def of(self, combinations: int) -> float:
        """Seconds of a chunk: between two measured sizes on a line, beyond them on the line fitted to all."""
        if combinations <= self.points[0][0]:
            return self._along(self.points[0], combinations)
        for below, above in zip(self.points, self.points[1:], strict=False):
            if combinations <= above[0]:
                part = (combinations - below[0]) / (above[0] - below[0])
                return below[1] + part * (above[1] - below[1])
        return self._along(self.points[-1], combinations)

    def _along(self, point: tuple[float, float], combinations: int) -> float:
        start, per_combination = fit(list(self.points))
        fitted = start + per_combination * point[0]
        return point[1] * (start + per_combination * combinations) / fitted if fitted else 0.0


def computing(book: Book, job: tasks.Job, chunk: Chunk) -> tasks.ChunkRows:
    """As `sweep.tasks.run_chunk`, with the seconds that it computed: what else the machine does is not in them."""
    began = time.thread_time()
    rows = tasks.run_chunk(book, job, chunk)
    return replace(rows, seconds=time.thread_time() - began)


def measure(book: Book, job: tasks.Job, plan: Plan, best_ask: Execution, run_chunk: RunChunk = computing) -> Pace:
    """Run chunks of the sizes that the plan's cutter asks for, on places spread over the grid.

    Parameters
    ----------
    book : Book
    job : Job
        With the plan's kernel.
    plan : Plan
    best_ask : Execution
        The baseline, which the driver holds each row against.
    run_chunk : callable
        Runs one chunk.
    """
    cutter = plan.cutter()
    timings: dict[int, list[tuple[int, float]]] = {}
    tried = largest = covered = 0
    spent = passed = 0.0
    largest_run: tuple[int, tasks.ChunkRows] | None = None
    while chunk := cutter.take():
        size = chunk.past - chunk.first
        means = _means(timings, plan.measured)
        if means and max(spent, passed) + Pace(means).of(size) > BUDGET_SECONDS:
            break
        first = int(tried * GOLDEN % 1 * (len(plan.grid) - size + 1))
        began = time.perf_counter()
        rows = run_chunk(book, job, replace(chunk, first=first, past=first + size))
        passed += time.perf_counter() - began
        tried, spent, covered = tried + 1, spent + rows.seconds, covered + size
        if not rows.failures:
            cutter.learn(size, rows.seconds)
            timings.setdefault(size.bit_length(), []).append((size, rows.seconds))
            if size >= largest:
                largest_run = size * chunk.orders, rows
        largest = max(largest, size)
        settled = [each for points in timings.values() for each in points if 4 * each[0] >= 3 * largest]
        if max(spent, passed) > BUDGET_SECONDS or len(settled) >= ENOUGH:
            break
    # where every combination that was tried failed, each was looked for one by one: slower than any other
    points = _means(timings, plan.measured) or ((max(covered, 1), spent),)
    busy = max(1.0, passed / spent) if spent else 1.0
    keep = reduce = 0.0
    if largest_run is not None:
        keep = _keep_seconds(plan.combinations, *largest_run, best_ask)
        reduce = _reduce_seconds(plan, largest_run[1], best_ask)
    return Pace(
        points, _spread(timings, largest), busy, keep, reduce, chunks=tried, combinations=covered, seconds=spent
    )


def _means(timings: dict[int, list[tuple[int, float]]], measured: Measured) -> tuple[tuple[float, float], ...]:
    """Means by size class, ascending; of classes of which no chunk was run, what the kernel was chosen by."""
    classes = {size.bit_length(): [(size, seconds)] for size, seconds in measured} | timings
    return tuple(sorted((fmean(k for k, _ in points), fmean(s for _, s in points)) for points in classes.values()))


def _spread(timings: dict[int, list[tuple[int, float]]], largest: int) -> float:
    """Two standard errors of the mean of the largest chunks, as a part of it."""
    if not timings:
        return UNTRIED
    each = [seconds / size for points in timings.values() for size, seconds in points if 4 * size >= 3 * largest]
    mean = fmean(each) if each else 0.0
    return 2 * stdev(each) / math.sqrt(len(each)) / mean if len(each) > 1 and mean else 0.0


def _keep_seconds(total: int, count: int, rows: tasks.ChunkRows, best_ask: Execution) -> float:
    """Seconds in which the driver takes in each row of such chunks, into memory that nobody used before."""
    copies = max(1, min(total, KEPT) // count)
    sink = MemorySink(1, 1, copies * count)
    began = time.thread_time()
    for at in range(copies):
        sink.append(Chunk(0, 0, at * count, (at + 1) * count), rows)
        totals = rows.rows[eligible(rows.rows, best_ask), TOTAL]
        _ = (totals.min(), totals.max()) if len(totals) else None
    return (time.thread_time() - began) / (copies * count)


def _reduce_seconds(plan: Plan, rows: tasks.ChunkRows, best_ask: Execution) -> float:
    """Seconds in which the driver reduces each row, from a part of the grid filled with rows as they came."""
    part = _part(plan.grid)
    table = rows.rows[np.resize(rows.of, len(part))]
    began = time.thread_time()
    find_best(np.arange(len(part)), table, part, plan.orders[0].side, best_ask)
    return (time.thread_time() - began) / len(part)


def _part(grid: Grid) -> Grid:
    """The first values of each axis, so many that `REDUCED` combinations are left."""
    room, axes = REDUCED, []
    for axis in reversed(grid.axes):
        values = axis.values[: max(1, room)]
        room //= len(values)
        axes.append(Axis(axis.name, values))
    return Grid(tuple(reversed(axes)))
