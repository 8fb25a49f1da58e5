"""The driver: source -> tape and book in the object store -> chunks -> rows -> best -> document."""

from __future__ import annotations

import hashlib
import platform
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from allocator.baselines import MINUTE
from allocator.order import execution_of
from sweep import document, tasks
from sweep.config import config_hash
from sweep.conventions import OTHER_LIQUIDITY, resolve
from sweep.errors import ConfigError, SweepError
from sweep.executors import open_executor
from sweep.grid import build_grid, in_dollars
from sweep.origin import open_origin
from sweep.plan import Plan, make_order, make_plan
from sweep.progress import Silent
from sweep.reduce import TOTAL, Best, eligible, find_best
from sweep.sink import COLUMNS, KEYS, MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from allocator.order import Execution, Order
    from feed.source import Plan as SourcePlan
    from sweep.config import Config
    from sweep.conventions import Settings
    from sweep.executors import Executor, Handle
    from sweep.origin import Origin
    from sweep.progress import Progress
    from sweep.tasks import Facts, Failure

Entered = TypeVar("Entered")

VERSIONED = ("sor-sweep", "ray", "numpy", "numba", "pandas", "pyarrow", "kafka-python", "msgspec")


class AllFailed(SweepError):  # noqa: N818 - reads as what it says
    """Not one combination could be simulated."""

    exit_code = 4


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came of a sweep.

    Attributes
    ----------
    config : Config
    document : dict
        What is printed as JSON.
    table : (R, 11) int64
        Every result row; the columns of `sweep.sink.COLUMNS`, sorted by (tape, order, combination); shares, and money
        in 1e-9 $.
    failures : tuple of Failure
        Combinations without a row.
    """

    config: Config
    document: dict[str, Any]
    table: NDArray[np.int64]
    failures: tuple[Failure, ...]

    def to_frame(self) -> pd.DataFrame:
        """The table as a pandas frame, with each combination's parameters in dollars."""
        import pandas as pd

        grid = build_grid(self.config.grid)
        frame = pd.DataFrame(self.table, columns=list(COLUMNS))
        points = [grid.point(number) for number in frame["combination"].tolist()]
        for at, axis in enumerate(grid.axes):
            values = [float("inf") if in_dollars(p[axis.name]) == ".inf" else in_dollars(p[axis.name]) for p in points]
            frame.insert(len(KEYS) + at, axis.name, values)
        return frame


@dataclass(frozen=True, slots=True)
class Materialised:
    """One tape in the object store: handles that the driver keeps, and what it knows of them."""

    tape: Handle
    book: Handle
    facts: Facts


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
            for _ in range(executor.workers if config.executor == "ray" else 0):
                executor.call(tasks.warm)
            with phases.phase("source"):
                source_plan = origin.plan()
            with phases.phase("materialise"):
                tapes = materialise(executor, source_plan, origin, settings)
            facts = tapes[0].facts
            for note in facts.provenance.notes:
                progress.say(f"{facts.provenance.place}: {note}")
            progress.say(
                f"{facts.provenance.rows:,} rows, {facts.provenance.snapshots:,} snapshots, "
                f"{len(facts.venues)} venues, digest {facts.provenance.digest[:12]}"
            )
            for level in ("error", "warning"):
                for finding in facts.quality[f"{level}s"]:
                    progress.say(f"{level} in the quotes: {finding} {facts.quality['counts'][finding]:,}")
            job = tasks.Job(make_order(config, facts), settings, grid)
            for said in _around(job.order, facts):
                progress.say(said)
            with phases.phase("calibrate"):
                spent = executor.get(executor.call(tasks.seconds_per_combination, tapes[0].book, job))
            plan = make_plan(grid, (job.order,), tuple(t.facts for t in tapes), executor.workers, spent)
            answer = _sweep(executor, tapes, plan, job, progress, phases)
    table, best, baselines, sensitivity, failures = answer
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
            for each in failures
        ],
        "feed": document.feed_section(facts),
        "run": {
            "id": run_id(config, facts.provenance.digest),
            "config_hash": config_hash(config),
            "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONED},
            "executor": config.executor,
            "address": config.address if config.executor == "ray" else None,
            "workers": executor.workers,
            "kernel": "walk",
            "simulated": len(table),
            "chunk_size": plan.chunk_size,
            "object_store_bytes": plan.nbytes,
            "seconds": phases.seconds,
        },
    }
    return Result(config, found, table, failures)


def _around(order: Order, facts: Facts) -> Iterator[str]:
    """Say where an order's clock runs without quotes: schedules pile up on the first, or end early."""
    if order.start < facts.first - MINUTE:
        yield f"warning: the order starts {(facts.first - order.start) / 1e9:,.0f} s before the first quote"
    if order.end > facts.last + MINUTE:
        yield f"warning: the order ends {(order.end - facts.last) / 1e9:,.0f} s after the last quote"


def _check_window(origin: Origin) -> None:
    if origin.start is not None and origin.end is not None and origin.start > origin.end:
        raise ConfigError("window.start is after window.end")


def materialise(
    executor: Executor,
    plan: SourcePlan,
    origin: Origin,
    settings: Settings,
) -> tuple[Materialised, ...]:
    """Read a source into the object store, once.

    The ranges are read side by side; one more task joins them and derives the book. The driver keeps the references,
    so that what is lost with a node is read again from the same offsets, and holds no column itself.

    Raises
    ------
    FeedError
        As `feed.source` and `tasks.assemble`.
    """
    blocks = [executor.call(tasks.read_range, part) for part in plan.ranges]
    selection = tasks.Selection(origin.start, origin.end, settings.warmup, settings.book)
    tape, book, facts = executor.call(tasks.assemble, plan, selection, *blocks, returns=3)
    return (Materialised(tape, book, executor.get(facts)),)


def _sweep(
    executor: Executor,
    tapes: tuple[Materialised, ...],
    plan: Plan,
    job: tasks.Job,
    progress: Progress,
    phases: Phases,
) -> tuple[NDArray[np.int64], Best, dict[str, Execution], dict[str, Any] | None, tuple[Failure, ...]]:
    """Run the chunks, reduce them, and run the winner once more under the other liquidity rule."""
    order, settings = job.order, job.settings
    book = tapes[0].book
    sink, failures = MemorySink(), []
    with phases.phase("sweep"):
        baselines = executor.get(executor.call(tasks.baselines, book, job))
        progress.start(plan.combinations)
        done, best_so_far = 0, None
        pick = min if order.side == "buy" else max
        for (chunk,), rows in executor.stream(tasks.run_chunk, (book, job), ((each,) for each in plan.chunks())):
            sink.append(chunk, rows)
            failures += rows.failures
            done += chunk.past - chunk.first
            totals = rows.rows[eligible(rows.rows, baselines["best_ask"]), TOTAL]
            if len(totals):
                ends = [int(totals.min()), int(totals.max())]
                best_so_far = pick(ends if best_so_far is None else [best_so_far, *ends])
            progress.advance(done, best_so_far)
    with phases.phase("reduce"):
        table = sink.table()
        failures.sort(key=lambda each: each.combination)
        if not len(table):
            raise AllFailed(f"every combination failed, the first with {failures[0].message}\n{failures[0].details}")
        best = find_best(table[:, 2], table[:, len(KEYS) :], plan.grid, order.side, baselines["best_ask"])
        sensitivity = None
        if settings.conventions == "fair":
            other = OTHER_LIQUIDITY[settings.rules.liquidity]
            handle = executor.call(tasks.under_other_liquidity, book, job, best.combination, other)
            optimized, others = executor.get(handle)
            sensitivity = {other: document.strategies(optimized, others, order.side)}
    return table, best, baselines, sensitivity, tuple(failures)


def run_id(config: Config, digest: str) -> str:
    """16 hexadecimal digits: the same for the same question, data and code, wherever it runs and reads."""
    content = hashlib.sha256()
    for part in (config_hash(config), digest, metadata.version("sor-sweep"), _sources_hash()):
        content.update(part.encode())
    return content.hexdigest()[:16]


def _sources_hash() -> str:
    """SHA-256 of the three packages' modules, by name."""
    content = hashlib.sha256()
    home = Path(__file__).resolve().parent.parent
    for package in ("allocator", "feed", "sweep"):
        for path in sorted((home / package).rglob("*.py")):
            content.update(path.relative_to(home).as_posix().encode())
            content.update(path.read_bytes())
    return content.hexdigest()
