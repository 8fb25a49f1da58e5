"""Simulates the schedule of a sweep: the chunks of a plan on its workers, and when the last is done."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.book import Book
    from sweep import tasks
    from sweep.chunks import Chunk
    from sweep.forecast.timing import Pace
    from sweep.planning import Plan

    RunChunk = Callable[[Book, tasks.Job, Chunk], tasks.ChunkRows]


LEARNING: Final = 500
"""Finished chunks that a walk's cutter learns from; after them only from larger ones, as equal ones say the same."""

LONGEST_WALK: Final = 200_000
"""Chunks that are walked through one by one; the rest is taken to go on like the last of them."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What an executor costs beside the simulation.

    Attributes
    ----------
    window : int
        Chunks in flight for each worker.
    task : float
        Seconds of a worker between one chunk and the next.
    driver : float
        Seconds of the driver per chunk.
    start : float
        Seconds until the first chunk runs.
    """

    window: int
    task: float
    driver: float
    start: float = 0.0


OVERHEAD: Final = {
    "inline": Overhead(window=1, task=0.0, driver=0.0),
    # measured with empty tasks: 0.8 to 1.0 ms from one to the next, of which the driver computes 0.5 to 0.6, and a
    # start of 0.05 s where there is next to nothing to compute
    "ray": Overhead(window=4, task=0.001, driver=0.0006, start=0.05),
}
"""By the name of the executor."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How the chunks of a plan run.

    Attributes
    ----------
    chunks, largest : int
        How many, and the combinations of the largest.
    seconds : float
        From the first chunk to the last.
    work, driver : float
        Computing seconds of all workers together, and of the driver.
    """

    chunks: int
    largest: int
    seconds: float
    work: float
    driver: float


def walk_plan(plan: Plan, pace: Pace, overhead: Overhead, speed: float = 1.0) -> Walk:
    """Walk through a plan's chunks: workers take them in turn, the driver takes in the answers.

    Parameters
    ----------
    plan : Plan
    pace : Pace
    overhead : Overhead
    speed : float
        How many times as fast as here a worker computes.
    """
    cutter, workers, remaining = plan.cutter(), plan.workers, plan.kept
    # each chunk takes one worker: there is no use for more workers than chunks
    free_at = [overhead.start] * min(workers, LONGEST_WALK)
    in_flight: list[tuple[float, int, Chunk]] = []
    now, work, driver, seconds = overhead.start, 0.0, 0.0, 0.0
    chunks = largest = finished = learned = 0
    while True:
        while chunks < LONGEST_WALK and len(in_flight) < overhead.window * workers and (next_chunk := cutter.take()):
            chunk = next_chunk
            seconds = pace.of(chunk.past - chunk.first) / speed
            chunks, largest = chunks + 1, max(largest, len(chunk))
            remaining, work = remaining - len(chunk), work + seconds
            ends = max(free_at[0], now) + overhead.task + seconds
            heapq.heapreplace(free_at, ends)
            heapq.heappush(in_flight, (ends, chunks, chunk))
        if not in_flight:
            break
        ended, _, chunk = heapq.heappop(in_flight)
        took = overhead.driver + pace.keep * len(chunk)
        now, driver = max(now, ended) + took, driver + took
        finished += 1
        if finished <= LEARNING or chunk.past - chunk.first > learned:
            learned = max(learned, chunk.past - chunk.first)
            cutter.learn(chunk.past - chunk.first, pace.of(chunk.past - chunk.first) / speed)
    if remaining:
        chunks_left = -(-remaining // len(chunk))
        simulate, keep = seconds * remaining / len(chunk), overhead.driver * chunks_left + pace.keep * remaining
        now += max((simulate + overhead.task * chunks_left) / workers, keep)
        chunks, work, driver = chunks + chunks_left, work + simulate, driver + keep
    return Walk(chunks, largest, now, work, driver)
