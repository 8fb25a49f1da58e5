"""What every simulating command needs first: a source, an executor, and the tape in its object store."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from feed.console import reader_compiles, waiting
from sweep import tasks
from sweep.executors import open_executor, surplus_workers_warning
from sweep.tapes.materialise import materialise
from sweep.tapes.origin import open_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sweep.config import Question
    from sweep.executors import Executor
    from sweep.progress import Progress
    from sweep.tapes.materialise import Facts, Tapes

Entered = TypeVar("Entered")


AWAITED = {
    "executor": "the workers start, or the cluster answers",
    "source": "the synthetic stream is replayed",
    "materialise": "the source is read, and its book derived",
    "calibrate": "the kernels are loaded and measured",
    "sweep": "the baselines, or the next combinations, are simulated",
    "reduce": "the best is found, and simulated once more",
}
"""What a phase waits for, in words; for the phase ``origin``, `open_origin` says it."""

COMPILING = frozenset({"materialise", "calibrate"})
"""Phases that begin by compiling kernels, unless they are compiled already."""


@dataclass(slots=True)
class Phases:
    """Seconds per phase, in order; says what a long phase waits for, and in detail what each took."""

    say: Callable[[str], None]
    detail: Callable[[str], None] = lambda _: None
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def so_far(self) -> dict[str, float]:
        """The seconds of the phases that ended, and in total since the first began."""
        return {**self.seconds, "total": round(time.perf_counter() - self.began, 3)}

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[], None]]:
        """Time a phase; yields a function to call whenever the phase advanced and said so itself."""
        began = time.perf_counter()
        try:
            with (
                waiting(self.say, lambda: self._awaited(name))
                if name in AWAITED
                else nullcontext(_do_nothing) as advanced
            ):
                yield advanced
        finally:
            self.seconds[name] = round(time.perf_counter() - began, 3)
            self.detail(f"phase {name}: {self.seconds[name]:.3f} s")

    def _awaited(self, name: str) -> str:
        since = time.time() - (time.perf_counter() - self.began)
        return f"{AWAITED[name]}{reader_compiles()}{kernels_compile(since) if name in COMPILING else ''}"

    @contextmanager
    def entering(self, name: str, context: AbstractContextManager[Entered]) -> Iterator[Entered]:
        """Time how long it takes to enter a context."""
        with ExitStack() as stack:
            with self.phase(name):
                entered = stack.enter_context(context)
            yield entered


def _do_nothing() -> None:
    """For a phase that does not say what it waits for."""


def kernels_compile(since: float) -> str:
    """A note where this machine's kernels are being compiled, or nothing.

    Parameters
    ----------
    since : float
        When the command began, seconds since 1970: older machine code was there already.
    """
    from allocator.kernels.compiling import cache_folder  # imports numba: only if somebody waits

    folder = cache_folder()
    if folder is None:
        return "; kernels are compiled in every process: no folder to keep them can be written, set SOR_SWEEP_CACHE_DIR"
    modified = []
    with suppress(OSError):  # a file that is renamed meanwhile
        modified = [path.stat().st_mtime for path in folder.rglob("*.nbi")]
    if any(instant < since for instant in modified):
        return ""
    return f"; kernels are compiled first, once for each version, which takes minutes: {len(modified)} functions so far"


@dataclass(frozen=True, slots=True)
class Session:
    """An executor and the tapes that it reads.

    Attributes
    ----------
    executor : Executor
    tapes : Tapes
    """

    executor: Executor
    tapes: Tapes


@contextmanager
def open_session(
    question: Question, progress: Progress, phases: Phases, executor: AbstractContextManager[Executor] | None = None
) -> Iterator[Session]:
    """Read the source of a question into its executor's object store, once; clean up at the end.

    Parameters
    ----------
    question : Question
    progress : Progress
    phases : Phases
        Times ``origin``, ``executor``, ``source`` and ``materialise``.
    executor : context manager of Executor, optional
        Instead of the one that is asked for, which is then not started; a nullcontext of one leaves it open.

    Raises
    ------
    ConfigError, FeedError, AllocatorError
        The configuration cannot be run, or the feed is incomplete.
    """
    config = question.config
    if executor is None and (warning := surplus_workers_warning(config)) is not None:
        progress.warn(warning)
    with (
        phases.entering("origin", open_origin(question, progress)) as origin,
        phases.entering("executor", executor or open_executor(config)) as entered,
    ):
        # one worker stays free to read at once; it loads the kernels when it first runs one
        for _ in range(entered.workers - 1):
            entered.call(tasks.warm)
        with phases.phase("source"):
            source_plan = origin.plan()
        with phases.phase("materialise"):
            tapes = materialise(entered, source_plan, question, here=origin.here)
        noted: set[str] = set()
        for facts in tapes.facts:
            notes = [note for note in facts.provenance.notes if note not in noted]
            noted.update(notes)
            _report_facts(facts, notes, progress, f"{facts.label}: " if len(tapes) > 1 else "")
        yield Session(entered, tapes)


def _report_facts(facts: Facts, notes: Sequence[str], progress: Progress, label: str) -> None:
    """Report what was read, and what is odd about it."""
    provenance = facts.provenance
    for note in notes:
        progress.say(f"{provenance.place}: {note}")
    progress.say(
        f"{label}{provenance.rows:,} rows, {provenance.snapshots:,} snapshots, "
        f"{len(facts.venues)} venues, digest {provenance.digest[:12]}"
    )
    for level in ("error", "warning"):
        for finding in facts.quality[f"{level}s"]:
            detail, count = facts.quality["details"].get(finding, ""), facts.quality["counts"][finding]
            progress.warn(f"{label}{level} in the quotes: {finding} {count:,}{detail and f': {detail}'}")
