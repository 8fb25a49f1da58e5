"""The driver: source -> tape and book in the object store -> chunks -> rows -> best -> document."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep import caveats, tasks
from sweep.answering import answer_of, bests_of, check_detail, joined_market, markets_of
from sweep.asking import calibrated, in_classes, job_of, on_tape, orders_of, scales_of, tapes_of
from sweep.chunks import Suspects
from sweep.config import sampler_of, with_keys
from sweep.environment import sources_hash, versions
from sweep.errors import ConfigError, SweepError, WorkersLost
from sweep.events import Finished, NullListener, Started
from sweep.executors import Lost
from sweep.executors.on_ray import open_meters
from sweep.incumbent import Lookout
from sweep.judging import check_validation
from sweep.planning import Plan, check_memory, make_plan
from sweep.plugins import refuse_other
from sweep.progress import Silent
from sweep.pruning import Pruning, overlapping, pruned_of
from sweep.reduce import TOTAL, Reduction, eligible
from sweep.report import (
    failed_section,
    feed_section,
    order_section,
    rules_section,
    search_section,
)
from sweep.result import Result, combinations_frame
from sweep.rounds import Rounds
from sweep.runs import (
    RUNS,
    BufferedProgress,
    Store,
    config_of,
    open_store,
    plugins_of,
    quarantine,
    read_manifest,
    read_result,
    run_id,
)
from sweep.sink import expand
from sweep.statistics import shares_of
from sweep.tapes import Phases, open_session
from sweep.views import Timelines, views_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from allocator.order import Side
    from sweep.answering import Market
    from sweep.chunks import Chunk
    from sweep.config import Config, Question
    from sweep.events import Listener
    from sweep.executors import Handle
    from sweep.landscape import Landscape
    from sweep.progress import Progress
    from sweep.tapes import Session
    from sweep.tasks import Failure


CRASHES_PER_WORKER = 64
"""Per worker, how many processes may end before one chunk is done; beyond that it is not the combinations' fault."""


class AllFailed(SweepError):  # noqa: N818 - reads as what it says
    """Not one combination could be simulated."""

    exit_code = 4


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """The result of all chunks.

    Attributes
    ----------
    rows : (N, 11) int64
        The columns of `sweep.sink.COLUMNS`, a class for each combination; a class that failed has none.
    failures : tuple of Failure
        Ascending; one per class, with its first combination.
    """

    rows: NDArray[np.int64]
    failures: tuple[Failure, ...]


def run(
    config: Config | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    home: Path | None = None,
    force: bool = False,
    **keys: Any,  # noqa: ANN401 - each key has its own type
) -> Result:
    """Run a sweep: what is missing of a stored one, or nothing where the stored one is complete.

    Parameters
    ----------
    config : Config, or mapping of its keys
        ``{"order.size": 20_000}`` and ``{"order": {"size": 20_000}}`` are the same.
    progress : Progress, optional
        Told what happens; silent by default.
    home : Path, optional
        The folder of the run; by default one below `config.output` that is named by the run's id.
    force : bool
        Run anew, whatever is stored.
    **keys
        More keys, or all of them: ``run(source=frame, order={"size": 5000})``. A source may be a table in memory: a
        frame of pandas or polars, a table of pyarrow, anything of the Arrow C stream interface; `quotes` says which of
        its columns holds what, where that is in doubt.

    Returns
    -------
    Result

    Raises
    ------
    ConfigError, FeedError, AllocatorError
        The configuration cannot be run, or the feed is incomplete.
    AllFailed
        Not one combination could be simulated.

    Examples
    --------
    How much dearer than the best ask a share may be, on the stream of `make run`, with the same figures as
    in the README. Cash and fees are in 1e-9 $:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import sweep
    >>> from feed import synthetic
    >>> start, end = synthetic.window()
    >>> with TemporaryDirectory() as folder:
    ...     day = Path(folder) / "day.csv"
    ...     synthetic.write_csv(synthetic.generate(), day)
    ...     result = sweep.run(
    ...         {
    ...             "source": str(day),
    ...             "executor": "inline",
    ...             "order.size": 5000,
    ...             "window": {"start": start, "end": end},
    ...             "fees": {"default": {"taker": 0.003}, "38": {"taker": 0.0009}, "3": {"taker": -0.0014}},
    ...             "grid": {"lambda_over": 0, "lambda_under": 0, "theta_queue": [0, 0.01, 0.02, 0.03]},
    ...         }
    ...     )
    >>> result.to_frame()[["theta_queue", "filled", "fees", "total_cash"]]
       theta_queue  filled         fees       total_cash
    0         0.00    5000   5384800000  782483474800000
    1         0.01    5000  10772600000  782420752600000
    2         0.02    5000   9214300000  782434424300000
    3         0.03    5000   7874800000  782431634800000
    >>> result.document["best_parameters"]
    {'lambda_over': 0.0, 'lambda_under': 0.0, 'theta_queue': 0.01}
    >>> saved = result.document["savings_vs_baselines_bps"]
    >>> {name: saved[name] for name in ("best_ask", "twap", "vwap", "best_available")}
    {'best_ask': 0.84, 'twap': 25.01, 'vwap': 22.95, 'best_available': 0.05}
    """
    question = with_keys(config, keys).question
    config = question.config
    sampler = sampler_of(config)
    if question.searching and sampler is not None and sampler.load is not None:
        sampler.load()
    progress = BufferedProgress(progress or Silent())
    phases = Phases(progress.say, progress.detail)
    with open_session(question, progress, phases) as session:
        question, facts = question.using(session.tapes.plugins), session.tapes.facts
        put_aside(question, session, progress)
        identifier = run_id(question, facts, session.tapes.empty)
        if home is None and config.output is not None:
            home = Path(config.output) / RUNS / identifier
        with open_store(home, identifier, question, feed_section(facts), progress, force=force) as store:
            if store.finished is not None:
                progress.say(f"{home} holds the result of this run; --force runs it anew")
                caveats.tell(store.finished.document, progress)
                return store.finished
            result = _answer(question, identifier, session, store, phases, progress)
            began = time.perf_counter()
            store.finish(result)
            if home is not None:
                progress.say(f"wrote {home}: {len(result.table):,} rows in {time.perf_counter() - began:.1f} s")
            return replace(result, home=home)


def put_aside(question: Question, session: Session, progress: Progress) -> None:
    """Write the malformed messages of a topic into the quarantine file, where some are tolerated.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    feed = question.config.feed
    if feed.max_bad:
        provenance = session.tapes.facts[0].provenance
        quarantine(Path(feed.quarantine), provenance)
        progress.warn(f"{len(provenance.bad)} malformed messages put aside in {feed.quarantine}")


def run_on(session: Session, question: Question, phases: Phases, progress: Progress) -> Result:
    """Sweep tapes that are read already, and store nothing.

    Raises
    ------
    ConfigError, FeedError, AllocatorError, AllFailed
        As `run`.
    """
    question = question.using(session.tapes.plugins)
    identifier = run_id(question, session.tapes.facts, session.tapes.empty)
    return _answer(question, identifier, session, Store(), phases, BufferedProgress(progress))


def _answer(
    question: Question, identifier: str, session: Session, store: Store, phases: Phases, progress: Progress
) -> Result:
    """Sweep every tape: every combination, the baselines, the best, the document."""
    executor, facts = session.executor, session.tapes.facts
    config, plugins = question.config, question.plugins
    orders = orders_of(question, session.tapes)
    check_detail(question, len(orders))
    check_validation(orders, question.validation)
    variants = question.variants
    # what is stored of a run names its classes, whatever is asked for now
    grouped = config.collapse if store.planned is None else store.planned.collapse
    scales = scales_of(variants, facts)
    rounds = Rounds(
        question,
        orders,
        store,
        (lambda job: executor.get(executor.call(tasks.classify, job, scales))) if grouped else None,
    )
    with phases.phase("calibrate"):
        job = rounds.job()
        if job is None:
            raise ConfigError("search: not one combination is looked at; give it more time, or fewer conditions")
        if store.planned is None or job.parts:
            first, *_ = tapes_of(orders)
            books = session.tapes.fetch(first).books
            measured = calibrated(executor, variants, books, on_tape(job, orders, first))
        else:
            measured = [{store.planned.kernel: tuple(store.planned.measured)}]
    with phases.phase("sweep") as advanced:
        lookout = Lookout(store)
        listeners = (ChunkCallback(advanced), progress, lookout, *open_meters(config, identifier))
        sweeping = _Sweeping(session, identifier, store, progress, listeners)
        markets: list[list[Market]] = []
        early_warnings = _warn(caveats.left_out(orders, facts), progress) + _warn(caveats.unheeded(question), progress)

        def add_markets(number: int, books: Sequence[Handle], part: tasks.Job) -> None:
            markets.append(markets_of(executor, variants, books, part))
            around = markets[-1][0].around
            early_warnings.extend(_warn(caveats.before(question, orders, facts, number, around), progress))

        while job is not None:
            plan = make_plan(job.classes, orders, facts, executor.workers, measured)
            so_far = replace(plan, classes=rounds.classes)
            check_memory(so_far, len(variants.worlds), stored=config.output is not None)
            job = in_classes(job, plan.classes, plan.kernels)
            store.begin(plan, rounds.number, grouped=None if rounds.number is None else grouped)
            bounded = rounds.number is None or config.search.combinations is not None
            edges = plan.classes.variant_edges.tolist()
            competing = [(edges[number], edges[number + 1]) for number in variants.worlds[0].variants]
            sweeping.begin(plan, question.most * orders.groups if bounded else 0, len(facts[0].provenance.bad))
            lookout.begin(plan, competing)
            tapes = tapes_of(orders)
            for number in tapes if config.search.prune else ():  # which needs the bounds of all tapes first
                add_markets(number, session.tapes.fetch(number).books, on_tape(job, orders, number))
            pruning = Pruning(orders, tapes, variants, edges, markets) if config.search.prune else None
            for position, number in enumerate(tapes):
                books, part = session.tapes.fetch(number).books, on_tape(job, orders, number)
                if position == len(markets):  # of the first round
                    add_markets(number, books, part)
                market = markets[position][0]
                lookout.compare(number, market.baselines["best_ask"], market.around.arrivals)
                filled = shares_of(market.baselines["best_ask"])
                if pruning is not None and position:
                    store.leave_out(number, pruning.left_out(position))
                for at, book in enumerate(books):
                    ranges = variants.ranges(at, edges)
                    sweeping.sweep(number, book, part, ranges if pruning is None else pruning.ranges(ranges), filled)
                if pruning is None:
                    continue
                pruning.add(position, *store.on_tape(number))
                if position == 0:
                    best, later = pruning.incumbents(), tapes[1:]
                    alone = [(each, each + 1) for each in sorted(each for each in best if each is not None)]
                    for other in later:
                        part = on_tape(job, orders, other)
                        for at, book in enumerate(session.tapes.fetch(other).books):
                            sweeping.sweep(other, book, part, overlapping(variants.ranges(at, edges), alone), filled)
                    pruning.limit(best, map(store.on_tape, later))
            lookout.look(ended=True)
            of_worlds = [joined_market(each) for each in zip(*markets, strict=True)]
            rounds.ended(*store.ended(), [shares_of(market.baselines["best_ask"]) for market in of_worlds])
            job = rounds.job()
        for listener in listeners:
            listener.ended()
        looked = rounds.looked()
        question, grid = looked.question, looked.question.grid
        early_warnings += _warn(caveats.learned(question), progress)
        plan = replace(plan, classes=looked.classes)
        swept = Swept(looked.rows, looked.failures)
        failures = _failures_of_all(swept, plan)
    with phases.phase("reduce"):
        points = [world.point for world in variants.worlds]  # conditions may have dropped all of one
        of_worlds = [of_worlds[points.index(world.point)] for world in question.variants.worlds]
        reduction = Reduction.of(swept.rows, plan.classes, orders.signs)
        try:
            bests = bests_of(reduction, question.variants, of_worlds)
        except ValueError:
            if not swept.failures:
                raise
            cause = swept.failures[0]
            raise AllFailed(f"every combination failed, the first with {cause.message}\n{cause.details}") from None
        job = in_classes(job_of(question, orders), plan.classes, plan.kernels)
        pruned = pruned_of(reduction, len(failures)) if config.search.prune else 0
        timelines = Timelines(session, orders)
        look = timelines.look if store.keeps else None
        answer = answer_of(session, question, job, orders, bests, of_worlds, reduction, pruned, look=look)
        views: dict[str, dict[str, Any]] = {}
        if store.keeps:
            views = views_of(session, question, job, orders, answer.first, timelines)
    result_document = {
        **answer.document,
        "warnings": early_warnings + _warn(answer.warnings, progress),
        "order": order_section(orders),
        "rules": rules_section(question),
        **search_section(question, pruned),
        "failed": failed_section(grid, failures),
        "feed": feed_section(facts),
        "run": {
            "id": identifier,
            "config_hash": question.config_hash,
            "versions": versions(),
            **({"plugins": [asdict(plugin) for plugin in plugins]} if plugins else {}),
            "executor": config.executor,
            "address": config.address if config.executor == "ray" else None,
            "workers": executor.workers,
            "kernel": ", ".join(dict.fromkeys(plan.kernels)),
            "simulated": store.simulated,
            "chunks": store.chunks,
            "chunk_size": store.largest,
            "object_store_bytes": plan.nbytes,
            "seconds": phases.so_far(),
        },
    }
    return Result(
        question.config,
        result_document,
        lambda: expand(swept.rows, plan.classes),
        lambda: answer.orders,
        answer.venues,
        partial(_combinations, answer.landscape),
        views.__getitem__,
        failures,
    )


def _combinations(landscape: Landscape) -> Iterator[pd.DataFrame]:
    """The parts of `Result.frame`."""
    return (combinations_frame(columns, landscape.classes.grid) for columns in landscape.columns())


def _warn(lines: Iterable[str], progress: Progress) -> list[str]:
    """Print warnings, and return them as a list."""
    warnings = list(lines)
    for line in warnings:
        progress.warn(f"warning: {line}")
    return warnings


@dataclass(frozen=True, slots=True)
class ChunkCallback(NullListener):
    """Calls a function after each chunk."""

    call: Callable[[], None]

    def finished(self, event: Finished) -> None:  # noqa: ARG002
        """Call."""
        self.call()


class _Sweeping:
    """Runs every missing chunk, tape after tape: keeps its rows, and notifies the listeners.

    Parameters
    ----------
    session : Session
    name : str
        The run's id.
    store, progress, listeners
        Where rows go, and who is told.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        store: Store,
        progress: Progress,
        listeners: Sequence[Listener],
    ) -> None:
        self._executor, self._name, self._store = session.executor, name, store
        self._progress, self._listeners = progress, listeners
        self._crashes = 0
        self._best: int | None = None
        self._started = False

    def begin(self, plan: Plan, total: int, bad: int) -> None:
        """Get ready for a plan, which the store has begun; the run has `total` combinations, 0 = nobody knows."""
        self._plan, self._done = plan, self._store.arrived
        # of several groups no row is a combination's whole cash, and several worlds do not compare
        self._alone = plan.orders.groups == 1 and not plan.grid.further
        self._better = _better if self._alone else _unknown
        if self._started:
            return
        self._started = True
        if self._done:
            self._progress.say(f"{self._done:,} of {plan.combinations:,} combinations are stored already")
        for listener in self._listeners:
            listener.started(
                Started(total, self._done, plan.nbytes, bad, self._executor.workers, self._executor.dashboard)
            )

    def sweep(self, tape: int, book: Handle, job: tasks.Job, ranges: Sequence[tuple[int, int]], filled: int) -> None:
        """Run some ranges of classes on a book of a tape; `filled` are the shares of best_ask."""
        executor, name, store = self._executor, self._name, self._store
        cutter, side, in_a_row = store.cutter(tape, ranges), job.order.side, 0
        suspects = Suspects(cutter, store.witness(tape))
        for block in store.blocks() if self._alone else ():
            self._best = self._better(self._best, block, filled, side)

        def take() -> tuple[Chunk] | None:
            chunk = suspects.take()
            return None if chunk is None else (chunk,)

        for (chunk,), answer in executor.stream(tasks.run_chunk, (book, job), take, lambda item: f"{name} {item[0]}"):
            rows = answer
            in_a_row = in_a_row + 1 if isinstance(answer, Lost) else 0
            if isinstance(answer, Lost):
                self._crashes += 1
                self._progress.warn(f"run {name}, {chunk} lost: {answer.why}")
                runs_again = suspects.lost(chunk)
                if in_a_row > CRASHES_PER_WORKER * executor.workers or not (runs_again or suspects.witnessed):
                    raise WorkersLost(
                        f"{in_a_row} worker processes ended and no chunk was done meanwhile: {answer.why}"
                    )
                store.note("lost", chunk=str(chunk), why=answer.why, runs_again=runs_again)
                if runs_again:
                    continue
                rows = tasks.given_up(job, chunk, answer.why)
            elif not suspects.done(chunk):
                continue
            store.append(chunk, rows)
            self._done += self._plan.count(chunk)
            self._best = self._better(self._best, rows.rows, filled, side)
            event = Finished(
                chunk=str(chunk),
                combinations=self._plan.count(chunk),
                simulated=len(rows.rows),
                failed=len(rows.failures),
                width=chunk.past - chunk.first,
                seconds=rows.seconds,
                done=self._done,
                best=self._best,
                again=executor.again + self._crashes,
                workers=executor.workers,
                node=rows.node,
            )
            for listener in (cutter, *self._listeners):
                listener.finished(event)


def _better(best: int | None, rows: NDArray[np.int64], filled: int, side: Side) -> int | None:
    """The better of the best total cash so far and that of (R, 8) more rows, 1e-9 $."""
    totals = rows[eligible(rows, filled), TOTAL]
    if not len(totals):
        return best
    best_of_rows = int(totals.min() if side == "buy" else totals.max())
    return best_of_rows if best is None else (min if side == "buy" else max)(best, best_of_rows)


def _unknown(best: int | None, *_: object) -> int | None:
    """For progress that cannot know the best yet."""
    return best


def _failures_of_all(swept: Swept, plan: Plan) -> tuple[Failure, ...]:
    """The failure of each combination, ascending, from one or more for each class."""
    first_of = {failure.combination: failure for failure in reversed(swept.failures)}
    failures = tuple(first_of[number] for number in sorted(first_of))
    if not failures or len(plan.classes) == len(plan.grid):
        return failures
    failed = np.array([failure.combination for failure in failures])
    class_of = plan.classes.of_numbers(np.arange(len(plan.grid)))
    failure_of = dict(zip(plan.classes.of_numbers(failed).tolist(), failures, strict=True))
    members = np.flatnonzero(np.isin(class_of, list(failure_of)))
    return tuple(
        replace(failure_of[of], combination=number)
        for number, of in zip(members.tolist(), class_of[members].tolist(), strict=True)
    )


def resume(home: Path | str, assignments: Sequence[str] = (), progress: Progress | None = None) -> Result:
    """Finish a stored run and return its result.

    Parameters
    ----------
    home : Path or str
        Its folder.
    assignments : sequence of str
        KEY=VALUE, only of keys that say where to read and where to run.
    progress : Progress, optional
        Told what happens; silent by default.

    Raises
    ------
    ConfigError
        No run, a run of other code, a run that another process is writing, or a key that changes the question.
    FeedCorrupt
        The source holds other data than the run has used.
    """
    home, progress = Path(home), progress or Silent()
    manifest = read_manifest(home)
    config = config_of(manifest, assignments)
    if manifest.status == "complete":
        progress.say(f"{home} is complete")
        result = read_result(home, manifest)
        caveats.tell(result.document, progress)
        return result
    if manifest.sources_hash != sources_hash():
        raise ConfigError(
            f"{home}: was begun by other code, version {manifest.versions.get('sor-sweep', 'unknown')}"
            f"{f' at {manifest.revision}' if manifest.revision else ''}; go on with that, or run anew"
        )
    refuse_other(plugins_of(manifest), str(home))
    try:
        return run(config, progress, home=home)
    except BaseException as error:
        if not getattr(error, "__notes__", ()):
            error.add_note(f"what was stored in {home} stands")
        raise
