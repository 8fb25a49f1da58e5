"""Predicts what a sweep takes: chunks, bytes, seconds here and on a cluster's nodes, and their price.

It reads the source and derives the book as a run does, in this process, and simulates a few chunks for a moment. It
neither starts Ray nor requests nodes, and stores nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sweep import caveats, tasks
from sweep.answering import Market, joined_market, outcomes_of
from sweep.asking import calibrated, in_classes, job_of, on_tape, orders_of, scales_of, tapes_of
from sweep.config import like, with_keys
from sweep.executors import Inline, cpus, open_executor, surplus_workers_warning, workers_of
from sweep.forecast.cluster_file import find_cluster
from sweep.forecast.cost import REDUCING, cluster_section, reduce_seconds, seconds_range
from sweep.forecast.prices import load_prices
from sweep.forecast.timing import measure
from sweep.forecast.walk import OVERHEAD, walk_plan
from sweep.judging import check_validation
from sweep.planning import ROW_BYTES, check_memory, make_plan
from sweep.progress import Silent
from sweep.report import feed_section, power_section
from sweep.statistics import FEWEST_BLOCKS, blocks_of, joined, powers, shares_of
from sweep.tapes import Phases, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.chunks import Measured
    from sweep.config import Config, Question
    from sweep.forecast.walk import Walk
    from sweep.progress import Progress
    from sweep.statistics import Orders, Power
    from sweep.tapes import Session


LOOKED_AT = 2_000
"""Orders from which on no further tape is looked at for what can be shown."""

SAMPLE_ORDERS = 8
"""Orders at most on which the baselines are timed."""

TELLING = 1.3
"""Elapsed over computing time of chunks above which a machine counts as busy."""


def forecast(
    config: Config | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    prices: str | None = None,
    cluster: str | None = None,
    **keys: Any,  # noqa: ANN401 - each key has its own type
) -> dict[str, Any]:
    """Predict what a sweep takes.

    Parameters
    ----------
    config : Config, or mapping of its keys
    progress : Progress, optional
        Told what happens; silent by default.
    prices : str, optional
        A file that overrides prices of the package; see `sweep.forecast.prices.load_prices`.
    cluster : str, optional
        A cluster file; by default ``cluster.yaml`` in the working directory, if there is one.
    **keys
        More keys, or all of them, as of `sweep.driver.run`.

    Returns
    -------
    dict
        What can be written as JSON. Seconds are {likely, low, high}.

    Raises
    ------
    ConfigError, FeedError, AllocatorError
        A file of prices or of a cluster cannot be used; or as `sweep.driver.run`.
    """
    question, progress = with_keys(config, keys).question, progress or Silent()
    if question.searching:
        if question.config.search.combinations is None:
            progress.warn(
                f"warning: nobody knows how many combinations are looked at; {question.most:,} are planned for"
            )
        question = like(question)
    config, settings, grid = question.config, question.settings, question.grid
    price_table, cluster_nodes = load_prices(prices), find_cluster(cluster)
    if (warning := surplus_workers_warning(config)) is not None:
        progress.warn(warning)
    open_executor(config)  # refuses what a run refuses; as it is not entered, nothing starts
    phases = Phases(progress.say, progress.detail)
    with open_session(question, progress, phases, Inline()) as session:
        tapes = session.tapes.facts
        orders = orders_of(question, session.tapes)
        check_validation(orders, question.validation)
        first, *_ = tapes_of(orders)
        books = session.tapes.fetch(first).books
        book, variants = books[0], question.variants
        reading = phases.seconds["source"] + phases.seconds["materialise"]
        job = on_tape(job_of(question, orders), orders, first)
        early = caveats.before(question, orders, tapes, first, tasks.around(book, job))
        for line in (*caveats.left_out(orders, tapes), *caveats.unheeded(question), *early):
            progress.warn(f"warning: {line}")
        with phases.phase("calibrate"):
            if config.collapse:
                job = in_classes(job, tasks.classify(job, scales_of(variants, tapes)))
            measured = calibrated(session.executor, variants, books, job)
        plan = make_plan(job.classes, orders, tapes, _workers(config), measured)
        check_memory(plan, len(variants.worlds), stored=config.output is not None)
        with phases.phase("baselines"):
            power = _powers(session, question, orders, progress)
    job = in_classes(job, plan.classes, plan.kernels)
    began = time.thread_time()
    few = min(len(job.orders), SAMPLE_ORDERS)
    filled = shares_of(tasks.baselines(book, job, 0, few)["best_ask"])
    baseline_seconds = (time.thread_time() - began) * len(orders) / few
    again = settings.conventions == "fair" and "liquidity" not in config.grid
    edges, one = plan.classes.variant_edges.tolist(), variants.worlds[0].variants[0]
    pace = measure(book, job.at(edges[one]), plan, filled, (edges[one], edges[one + 1]))
    slower = _against(one, measured, plan.kernels, edges)
    pace = replace(
        pace,
        points=tuple((count, slower * seconds) for count, seconds in pace.points),
        before=baseline_seconds * len(variants.worlds),
        after=baseline_seconds if again else 0.0,
    )
    progress.say(f"{pace.combinations:,} combinations in {pace.chunks} chunks computed for {pace.seconds:.2f} s")
    if pace.seconds and pace.busy > TELLING:
        progress.warn(
            f"warning: this machine does other work; they took {pace.busy:.1f} times as long as they computed"
        )
    walk, section = walk_plan(plan, pace, OVERHEAD[config.executor]), feed_section(tapes)
    return {
        "combinations": len(grid),
        "orders": len(orders),
        "blocks": len(blocks_of(orders)),
        "result_rows": plan.combinations,
        "simulations": plan.simulations,
        "chunks": walk.chunks,
        "chunk_size": walk.largest,
        "kernel": plan.kernel,
        "power": [power_section(each) for each in power],
        "bytes": {
            "object_store_per_node": plan.nbytes,
            "result_table": plan.combinations * ROW_BYTES,
            "while_reduced": plan.kept * ROW_BYTES * REDUCING,
        },
        "feed": {
            "tapes": len(tapes),
            **{name: section[name] for name in ("source", "symbol", "rows")},
            "snapshots": sum(tape.snapshots for tape in tapes),
            "venues": len(section["depth"]),
            "digest": section["digest"],
        },
        "calibration": {
            "chunks": pace.chunks,
            "combinations": pace.combinations,
            "seconds": round(pace.seconds, 3),
            "busy": round(pace.busy, 2),
        },
        "here": {
            "executor": config.executor,
            "workers": plan.workers,
            "seconds": {
                "source": round(reading, 3),
                "sweep": seconds_range(_local_seconds(walk, plan.workers) + pace.before, pace, pace.busy),
                "reduce": reduce_seconds(plan, pace),
            },
        },
        "cluster": None if cluster_nodes is None else cluster_section(cluster_nodes, price_table, plan, pace),
    }


def _powers(session: Session, question: Question, orders: Orders, progress: Progress) -> list[Power]:
    """What can be shown, from the baselines on the first tapes: on as few as have blocks enough, or all."""
    variant, job = question.variants.of_world(0), job_of(question, orders)
    looked_at: list[int] = []
    parts: list[Market] = []
    for number in tapes_of(orders):
        own = replace(on_tape(job, orders, number), settings=variant.settings, parts=())
        books = session.tapes.fetch(number).books
        parts.append(
            Market(
                tasks.around(books[variant.book], own),
                outcomes_of(session.executor, books[variant.book], own, tasks.baselines),
            )
        )
        looked_at.append(number)
        some = joined([orders.on_tape(each) for each in looked_at])
        if len(blocks_of(some)) >= FEWEST_BLOCKS or len(some) >= LOOKED_AT:
            break
    market = joined_market(parts)
    each = powers(some, market.baselines, market.around.arrivals)
    for line in _in_words(each):
        progress.say(line)
    return each


def _in_words(each: Sequence[Power]) -> Iterator[str]:
    """A line for each part of the orders."""
    for power in each:
        size = None if power.size is None else f"{power.size:,}"
        label = " ".join(filter(None, (power.side, size))) or "all"
        known = {name: bps for name, bps in power.detectable.items() if bps is not None}
        if known:
            least, most = (pick(known, key=known.__getitem__) for pick in (min, max))
            yield (
                f"{label}: {power.blocks:,} blocks would show a saving of {known[least]:,.2f} bps (if savings vary as "
                f"those of {least} do) to {known[most]:,.2f} bps ({most}), with 80 % power"
            )
        elif power.blocks < FEWEST_BLOCKS:
            yield f"{label}: {power.blocks:,} blocks are too few for an interval, which needs {FEWEST_BLOCKS}"


def _against(
    one: int, measured: Sequence[Mapping[str, Measured]], kernels: Sequence[str], edges: Sequence[int]
) -> float:
    """How many times as long a class takes on average as one of variant `one`, by what the kernels took."""
    costs = [
        min((seconds / count for count, seconds in of_kernel[kernel]), default=0.0)
        for of_kernel, kernel in zip(measured, kernels, strict=True)
    ]
    if not costs[one]:
        return 1.0
    return sum(cost * (past - first) for cost, (first, past) in zip(costs, pairwise(edges), strict=True)) / (
        costs[one] * edges[-1]
    )


def _workers(config: Config) -> int:
    """How many tasks a run has at once on this machine."""
    return 1 if config.executor == "inline" else workers_of(config) or os.cpu_count() or 1


def _local_seconds(walk: Walk, workers: int) -> float:
    """Seconds of a walk where the driver shares the workers' CPUs."""
    return max(walk.seconds, (walk.work + walk.driver) / max(1, min(workers, cpus())))
