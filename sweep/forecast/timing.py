"""Measures how long the chunks of a plan take, by running a few of them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep import tasks
from sweep.chunks import Chunk, fit
from sweep.reduce import TOTAL, Reduction, eligible
from sweep.search import Axis, Grid, each_alone
from sweep.sink import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.book import Book
    from sweep.chunks import Measured
    from sweep.planning import Plan

    RunChunk = Callable[[Book, tasks.Job, Chunk], tasks.ChunkRows]

BUDGET_SECONDS: Final = 2.0
"""Chunks run for about so long at most; one that would go beyond is not begun."""

ENOUGH: Final = 12
"""Chunks of the cutter's final size, spread over the grid; more of them say nothing new."""


KEPT: Final = 2**22
"""Rows at most on which taking rows in is measured: 0.4 GB, as on a virtual machine new pages may cost ten times what
others do."""

REDUCED: Final = 2**21
"""Rows at most on which the driver's work at the end is measured."""

GOLDEN: Final = (math.sqrt(5) - 1) / 2

NOISE: Final = 0.15
"""The part by which two runs differ on a machine that also does other work."""


UNTRIED: Final = 1.0
"""The spread where no chunk could be measured."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What chunks take, as measured.

    Attributes
    ----------
    points : tuple of (combinations, seconds)
        Means by size, ascending; at least one.
    spread : float
        The part by which the mean of the largest chunks may be off: they cover a few places of the grid only.
    busy : float
        Elapsed over computing time of a chunk; above 1 where other work shares this machine's CPUs.
    keep, reduce : float
        Seconds of the driver per row: to take it in as it arrives, and to find the best of all at the end.
    before, after : float
        Seconds of the baselines, which run before the chunks, and of the sensitivity, which runs after them.
    chunks, combinations : int
        How many were run to measure this.
    seconds : float
        Their computing time.
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
        """Seconds of a chunk: interpolated between measured sizes, and beyond them along the line fitted to all."""
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
    """As `sweep.tasks.run_chunk`, but its seconds are computing time, without other work of the machine."""
    began = time.thread_time()
    rows = tasks.run_chunk(book, job, chunk)
    return replace(rows, seconds=time.thread_time() - began)


def measure(
    book: Book,
    job: tasks.Job,
    plan: Plan,
    filled: int,
    within: tuple[int, int] | None = None,
    run_chunk: RunChunk = computing,
) -> Pace:
    """Run chunks of the sizes that the plan's cutter chooses, at places spread over the grid.

    Parameters
    ----------
    book : Book
    job : Job
        With the plan's kernel.
    plan : Plan
    filled : int
        Shares that best_ask fills, with which the driver compares each row.
    within : (int, int), optional
        The classes [first, past) to choose from: those of one variant of the grid; all by default.
    run_chunk : callable
        Runs one chunk.
    """
    low, high = within or (0, len(plan.classes))
    cutter = plan.cutter()
    timings: dict[int, list[tuple[int, float]]] = {}
    tried = largest = covered = 0
    spent = passed = 0.0
    largest_run: tuple[int, tasks.ChunkRows] | None = None
    while chunk := cutter.take():
        size = min(chunk.past - chunk.first, high - low)
        means = _means(timings, plan.measured)
        if means and max(spent, passed) + Pace(means).of(size) > BUDGET_SECONDS:
            break
        first = low + int(tried * GOLDEN % 1 * (high - low - size + 1))
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
        settled = [timing for points in timings.values() for timing in points if 4 * timing[0] >= 3 * largest]
        if max(spent, passed) > BUDGET_SECONDS or len(settled) >= ENOUGH:
            break
    # where all of them failed, each was searched for one by one, which is slower than anything else
    points = _means(timings, plan.measured) or ((max(covered, 1), spent),)
    busy = max(1.0, passed / spent) if spent else 1.0
    keep = reduce = 0.0
    if largest_run is not None:
        keep = _keep_seconds(plan.kept, *largest_run, filled)
        reduce = _reduce_seconds(plan, largest_run[1], filled)
    return Pace(
        points, _spread(timings, largest), busy, keep, reduce, chunks=tried, combinations=covered, seconds=spent
    )


def _means(timings: dict[int, list[tuple[int, float]]], measured: Measured) -> tuple[tuple[float, float], ...]:
    """Means by size class, ascending; for classes without a chunk, the measurements that chose the kernel."""
    classes = {size.bit_length(): [(size, seconds)] for size, seconds in measured} | timings
    return tuple(sorted((fmean(k for k, _ in points), fmean(s for _, s in points)) for points in classes.values()))


def _spread(timings: dict[int, list[tuple[int, float]]], largest: int) -> float:
    """Two standard errors of the mean of the largest chunks, relative to it."""
    if not timings:
        return UNTRIED
    unit_seconds = [
        seconds / size for points in timings.values() for size, seconds in points if 4 * size >= 3 * largest
    ]
    mean = fmean(unit_seconds) if unit_seconds else 0.0
    return 2 * stdev(unit_seconds) / math.sqrt(len(unit_seconds)) / mean if len(unit_seconds) > 1 and mean else 0.0


def _keep_seconds(total: int, count: int, rows: tasks.ChunkRows, filled: int) -> float:
    """Seconds of the driver per row to take such chunks in, into new memory."""
    copies = max(1, min(total, KEPT) // count)
    sink = MemorySink([1], copies * count)
    began = time.thread_time()
    for copy in range(copies):
        sink.append(Chunk(0, 0, copy * count, (copy + 1) * count), rows)
        totals = rows.rows[eligible(rows.rows, filled), TOTAL]
        _ = (totals.min(), totals.max()) if len(totals) else None
    return (time.thread_time() - began) / (copies * count)


def _reduce_seconds(plan: Plan, rows: tasks.ChunkRows, filled: int) -> float:
    """Seconds of the driver per row to reduce the classes, or a part of the grid, filled with the rows of a chunk."""
    classes = plan.classes if len(plan.classes) <= REDUCED else each_alone(_part(plan.grid))
    numbers = np.arange(len(classes))[:, None]
    table = np.hstack(
        [np.zeros_like(numbers), np.zeros_like(numbers), numbers, rows.rows[np.resize(rows.of, len(classes))]]
    )
    began = time.thread_time()
    Reduction.of(table, classes, plan.orders.signs[:1]).find_best(filled)
    return (time.thread_time() - began) / len(classes)


def _part(grid: Grid) -> Grid:
    """The grid of the first values of each axis, with `REDUCED` combinations at most."""
    room, axes = REDUCED, []
    for axis in reversed(grid.axes):
        part = Axis(axis.name, axis.values[: max(1, room)])
        room //= len(part)
        axes.append(part)
    return Grid(tuple(reversed(axes)))
