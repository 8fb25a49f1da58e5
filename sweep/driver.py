"""The driver: source -> tape and book in the object store -> chunks -> rows -> best -> document."""

from __future__ import annotations

import platform
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from allocator.baselines import MINUTE
from allocator.order import execution_of
from sweep import document, tasks
from sweep.config import config_hash
from sweep.conventions import OTHER_LIQUIDITY, resolve
from sweep.errors import ConfigError, SweepError, WorkersLost
from sweep.executors import Lost, open_executor
from sweep.grid import build_grid, in_dollars
from sweep.identity import run_id
from sweep.materialise import materialise
from sweep.metrics import open_meter
from sweep.origin import open_origin, read_options
from sweep.output import quarantine
from sweep.plan import Plan, make_order, make_plan
from sweep.progress import Silent
from sweep.reduce import TOTAL, Best, eligible, find_best
from sweep.result import Result
from sweep.sink import KEYS, MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from allocator.order import Execution, Order
    from sweep.config import Config
    from sweep.executors import Executor, Handle
    from sweep.materialise import Facts
    from sweep.metrics import Meter
    from sweep.origin import Origin
    from sweep.progress import Progress
    from sweep.tasks import Failure

Entered = TypeVar("Entered")

VERSIONED = ("sor-sweep", "ray", "numpy", "numba", "pandas", "pyarrow", "kafka-python", "msgspec")

CRASHES_PER_WORKER = 64
"""Worker processes that may end, for each worker, without one chunk being done: then it is not the combinations."""


class AllFailed(SweepError):  # noqa: N818 - reads as what it says
    """Not one combination could be simulated."""

    exit_code = 4


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """What came of the chunks.

    Attributes
    ----------
    table : (R, 11) int64
        As in `Result`.
    failures : tuple of Failure
        Ascending.
    simulated : int
        Rows that were simulated; fewer than combinations where some provably decide alike.
    chunks, chunk_size : int
        How many, and the combinations of the largest.
    """

    table: NDArray[np.int64]
    failures: tuple[Failure, ...]
    simulated: int
    chunks: int
    chunk_size: int


@dataclass(slots=True)
class Phases:
    """Seconds per phase, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - began, 3)

    @contextmanager
    def entering(self, name: str, context: AbstractContextManager[Entered]) -> Iterator[Entered]:
        """Time how long it takes to enter a context."""
        with ExitStack() as stack:
            with self.phase(name):
                entered = stack.enter_context(context)
            yield entered


def run(config: Config, progress: Progress | None = None) -> Result:
    """Run a sweep.

    Parameters
    ----------
    config : Config
    progress : Progress, optional
        Told what happens; silent by default.

    Returns
    -------
    Result

    Raises
    ------
    ConfigError, FeedError, AllocatorError
        What was asked for cannot be run, or the feed is not whole.
    AllFailed
        Not one combination could be simulated.
    """
    progress = progress or Silent()
    phases = Phases()
    grid = build_grid(config.grid)
    with phases.phase("total"), phases.entering("origin", open_origin(config, progress)) as origin:
        settings = resolve(config, origin.fees)
        _check_window(origin)
        with phases.entering("executor", open_executor(config)) as executor:
            # one worker is left to read at once; it loads the kernels when it runs the first of them
            for _ in range(executor.workers - 1):
                executor.call(tasks.warm)
            with phases.phase("source"):
                source_plan = origin.plan()
            with phases.phase("materialise"):
                tapes = materialise(executor, source_plan, origin, settings, read_options(config).deadline)
            facts = tapes[0].facts
            if config.feed.max_bad:
                quarantine(Path(config.feed.quarantine), facts.provenance)
                progress.say(f"{len(facts.provenance.bad)} malformed messages put aside in {config.feed.quarantine}")
            for note in facts.provenance.notes:
                progress.say(f"{facts.provenance.place}: {note}")
            progress.say(
                f"{facts.provenance.rows:,} rows, {facts.provenance.snapshots:,} snapshots, "
                f"{len(facts.venues)} venues, digest {facts.provenance.digest[:12]}"
            )
            for level in ("error", "warning"):
                for finding in facts.quality[f"{level}s"]:
                    progress.say(f"{level} in the quotes: {finding} {facts.quality['counts'][finding]:,}")
            job = tasks.Job((make_order(config, facts),), settings, grid.packed(), collapse=config.collapse)
            for said in _around(job.order, facts):
                progress.say(said)
            with phases.phase("calibrate"):
                calibrated = executor.get(executor.call(tasks.calibrate, tapes[0].book, job))
            plan = make_plan(grid, job.orders, tuple(t.facts for t in tapes), executor.workers, calibrated)
            job = replace(job, kernel=plan.kernel)
            with phases.phase("sweep"):
                baselines = executor.get(executor.call(tasks.baselines, tapes[0].book, job))
                name = run_id(config, facts.provenance.digest)
                meter = open_meter(config, name)
                meter.start(plan.nbytes, len(facts.provenance.bad))
                swept = _sweep(executor, tapes[0].book, plan, job, baselines["best_ask"], progress, name, meter)
            with phases.phase("reduce"):
                best = _reduce(swept, plan, baselines["best_ask"])
                sensitivity = _sensitivity(executor, tapes[0].book, job, best.combination)
    order, optimized = plan.orders[0], execution_of(best.row)
    found = {
        "best_parameters": document.best_parameters(grid, best.combination),
        **document.strategies(optimized, baselines, order.side),
        "objective": best.objective,
        "sensitivity": sensitivity,
        "order": document.order_section(order),
        "rules": document.rules_section(settings),
        "failed": [
            {
                "combination": each.combination,
                "parameters": {name: in_dollars(value) for name, value in grid.point(each.combination).items()},
                "error": each.message,
            }
            for each in swept.failures
        ],
        "feed": document.feed_section(facts),
        "run": {
            "id": name,
            "config_hash": config_hash(config),
            "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONED},
            "executor": config.executor,
            "address": config.address if config.executor == "ray" else None,
            "workers": executor.workers,
            "kernel": plan.kernel,
            "simulated": swept.simulated,
            "chunks": swept.chunks,
            "chunk_size": swept.chunk_size,
            "object_store_bytes": plan.nbytes,
            "seconds": phases.seconds,
        },
    }
    return Result(config, found, swept.table, swept.failures)


def _around(order: Order, facts: Facts) -> Iterator[str]:
    """Say where an order's clock runs without quotes: schedules pile up on the first, or end early."""
    if order.start < facts.first - MINUTE:
        yield f"warning: the order starts {(facts.first - order.start) / 1e9:,.0f} s before the first quote"
    if order.end > facts.last + MINUTE:
        yield f"warning: the order ends {(order.end - facts.last) / 1e9:,.0f} s after the last quote"


def _check_window(origin: Origin) -> None:
    if origin.start is not None and origin.end is not None and origin.start > origin.end:
        raise ConfigError("window.start is after window.end")


def _sweep(
    executor: Executor,
    book: Handle,
    plan: Plan,
    job: tasks.Job,
    best_ask: Execution,
    progress: Progress,
    name: str,
    meter: Meter,
) -> Swept:
    """Run every chunk; how the next ones are cut follows what the finished ones took."""
    sink = MemorySink(plan.tapes, len(plan.orders), len(plan.grid))
    cutter = plan.cutter()
    failures: list[Failure] = []
    done = simulated = chunks = largest = crashes = in_a_row = 0
    best_so_far = None
    pick = min if job.order.side == "buy" else max
    progress.start(plan.combinations)
    # not a generator: what is lost goes back into the cutter, after it may have run out
    items = zip(cutter, strict=False)
    for (chunk,), answer in executor.stream(tasks.run_chunk, (book, job), items, lambda item: f"{name} {item[0]}"):
        rows = answer
        in_a_row = in_a_row + 1 if isinstance(answer, Lost) else 0
        if isinstance(answer, Lost):
            crashes += 1
            if in_a_row > CRASHES_PER_WORKER * executor.workers:
                raise WorkersLost(f"{in_a_row} worker processes ended and no chunk was done meanwhile: {answer.why}")
            progress.say(f"run {name}, {chunk} lost: {answer.why}")
            if cutter.lost(chunk):
                continue
            rows = tasks.given_up(chunk, answer.why)
        sink.append(chunk, rows)
        failures += rows.failures
        if not rows.failures:  # the search for what failed says nothing about the next chunk
            cutter.finished(chunk.past - chunk.first, rows.seconds)
        done, simulated, chunks, largest = (
            done + len(chunk),
            simulated + len(rows.rows),
            chunks + 1,
            max(largest, len(chunk)),
        )
        totals = rows.rows[eligible(rows.rows, best_ask), TOTAL]
        if len(totals):
            ends = [int(totals.min()), int(totals.max())]
            best_so_far = pick(ends if best_so_far is None else [best_so_far, *ends])
        progress.advance(done, best_so_far)
        cutter.workers = executor.workers
        meter.advance(done, executor.again + crashes)
    meter.close()
    failures.sort(key=lambda each: each.combination)
    return Swept(sink.table(), tuple(failures), simulated, chunks, largest)


def _reduce(swept: Swept, plan: Plan, best_ask: Execution) -> Best:
    table, failures = swept.table, swept.failures
    if not len(table):
        raise AllFailed(f"every combination failed, the first with {failures[0].message}\n{failures[0].details}")
    return find_best(table[:, 2], table[:, len(KEYS) :], plan.grid, plan.orders[0].side, best_ask)


def _sensitivity(executor: Executor, book: Handle, job: tasks.Job, best: int) -> dict[str, Any] | None:
    """Under fair, the winner and the baselines once more under the other liquidity rule."""
    if job.settings.conventions != "fair":
        return None
    other = OTHER_LIQUIDITY[job.settings.rules.liquidity]
    optimized, baselines = executor.get(executor.call(tasks.under_other_liquidity, book, job, best, other))
    return {other: document.strategies(optimized, baselines, job.order.side)}
