"""Ray against a pool of processes: the same chunks on as many workers, both started, warmed and holding the book.

Ray's workers read one copy of it; each process of the pool has its own.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.book import BookRules, build_book
from allocator.order import FIELDS, Order
from allocator.simulate import run_combinations
from benchmarks.frame import Duel, Side
from sweep import tasks
from sweep.chunks import Chunk, Cutter
from sweep.config.loading import build_config
from sweep.executors.on_ray.executor import OnRay
from sweep.search.classes import each_alone
from tests.support.tapes import long_tape

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.pool import Pool

    from numpy.typing import NDArray

    from allocator.book import Book
    from benchmarks.frame import Scale

SNAPSHOTS, VENUES = 40_000, 8
ENDLESS = 50_000_000
"""Shares: more than the tape offers, so that every combination walks all of it."""


def make_book() -> Book:
    """The book of both sides, made by a task for Ray."""
    return build_book(long_tape(SNAPSHOTS, VENUES), build_config({}).question.settings.book)


def make_job(book: Book) -> tasks.Job:
    """Combinations that all differ in tau; each is simulated, by the kernel that walks once for each."""
    config = build_config({"grid": {"lambda_over": 0, "lambda_under": {"start": 0, "stop": 0.1, "num": 100_001}}})
    order = Order("buy", ENDLESS, int(book.ts[0]), int(book.ts[-1]))
    return tasks.Job((order,), config.question.settings, each_alone(config.question.grid), kernel="walk")


_held: list[Any] = []
"""In a process of the pool: the book and the job."""


def _hold(book: Book, job: tasks.Job) -> None:
    tasks.warm()
    _held[:] = [book, job]


def _run(chunk: Chunk) -> tasks.ChunkRows:
    return tasks.run_chunk(*_held, chunk)


@dataclass(frozen=True, slots=True)
class Contenders:
    """Both, started."""

    ray: OnRay
    book: Any
    job: tasks.Job
    pool: Pool
    per_second: float

    def on_ray(self, chunks: Iterable[Chunk]) -> list[tuple[Chunk, tasks.ChunkRows]]:
        """Through the executor, as the driver does."""
        stream = self.ray.stream(
            tasks.run_chunk, (self.book, self.job), partial(next, ((chunk,) for chunk in chunks), None)
        )
        return [(chunk, rows) for (chunk,), rows in stream]

    def in_pool(self, chunks: Iterable[Chunk]) -> list[tasks.ChunkRows]:
        """As a script would: one task per chunk, answers as they come."""
        return list(self.pool.imap_unordered(_run, chunks))


@cache
def start() -> Contenders:
    """Start both once for all cases; they end with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    workers = len(os.sched_getaffinity(0))
    ray = stack.enter_context(OnRay("local", workers))
    book = make_book()
    job = make_job(book)
    pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(workers, _hold, (book, job)))
    both = Contenders(ray, ray.call(make_book), job, pool, 1.0)
    few = [Chunk(0, 0, 8 * at, 8 * at + 8) for at in range(8 * workers)]
    for run in (both.on_ray, both.in_pool):  # every process is up and has its kernels before the next line
        run(few)
    return replace(both, per_second=max(len(rows.of) / rows.seconds for rows in both.in_pool(few)))


def endless_grid(scale: Scale) -> Duel:
    """Many combinations over the whole of a long tape, on Ray as the driver cuts it, and on one core by the kernel."""
    snapshots, count, few = scale.pick(1_000_000, 50_000), scale.pick(10_000, 1_000), 256
    spec = {"lambda_over": 0, "lambda_under": {"start": 0, "stop": 0.12, "num": count}, "theta_queue": 0}
    config = build_config({"grid": spec, "liquidity": "refresh"})
    book, grid, settings = _endless_book(snapshots), config.question.grid, config.question.settings
    order = Order("buy", ENDLESS, int(book.ts[0]), int(book.ts[-1]))
    job = tasks.Job((order,), settings, each_alone(grid), kernel="wide")
    ray = start().ray
    held = ray.call(_endless_book, snapshots)
    alone = partial(
        run_combinations, book, order, settings.rules, settings.policy, settings.fees.of(book),
        kernel="wide", collapse=False,
    )  # fmt: skip
    numbers = np.arange(0, count, -(-count // few))
    parameters = grid.parameters_of(numbers)

    def on_ray() -> NDArray[np.int64]:
        cutter, table = Cutter(1, 1, count, ray.workers), np.zeros((count, 8), np.int64)
        take = partial(next, ((each,) for each in iter(cutter.take, None)), None)
        for (chunk,), rows in ray.stream(tasks.run_chunk, (held, job), take):
            cutter.learn(len(chunk), rows.seconds)
            table[chunk.first : chunk.past] = rows.rows[rows.of]
        return table

    def guard() -> None:
        rows = on_ray()
        assert np.array_equal(rows[numbers], alone(parameters).table), "the rows differ"
        assert rows[:, FIELDS.index("unfilled")].min() > 0, "a walk ended before the tape did"

    return Duel(
        Side(on_ray, count),
        Side(partial(alone, parameters), len(numbers) * ray.workers),
        guard,
        f"{count:,} combinations over T={snapshots:,} V={VENUES}, quotes stand, refresh, collapse off, {ray.workers} "
        f"workers (baseline {len(numbers)} combinations on one core, times {ray.workers})",
    )


def _endless_book(snapshots: int) -> Book:
    return build_book(long_tape(snapshots, VENUES), BookRules())


def prepare(seconds: float, chunks: int) -> Duel:
    """Chunks of so many seconds on one core, on Ray and in the pool."""
    both = start()
    size = max(1, round(seconds * both.per_second))
    cuts = [Chunk(0, 0, at * size, (at + 1) * size) for at in range(chunks)]

    def guard() -> None:
        few = cuts[: both.ray.workers]
        mine = sorted(rows.rows.tobytes() for _, rows in both.on_ray(few))
        assert mine == sorted(rows.rows.tobytes() for rows in both.in_pool(few)), "the rows differ"

    return Duel(
        Side(lambda: both.on_ray(cuts), chunks),
        Side(lambda: both.in_pool(cuts), chunks),
        guard,
        f"{chunks} chunks of {size} combinations, {SNAPSHOTS:,} snapshots x {VENUES} venues each, about {seconds} s on "
        f"one core; {both.ray.workers} workers on each side",
    )
