"""What a question asks of a source: its parent orders on each tape, and the job of every combination on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from feed.errors import FeedUnavailable
from feed.instants import format_instant
from feed.tape import DAY
from sweep import tasks
from sweep.config import in_rounds
from sweep.errors import ConfigError
from sweep.plugins import baselines_named
from sweep.search import Grid, each_alone
from sweep.statistics import MOST_ROWS, NoOrder, joined, no_orders, orders_on

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from allocator.units import Scale
    from sweep.chunks import Measured
    from sweep.config import ParentOrders, Question, Settings, Variants
    from sweep.executors import Executor, Handle
    from sweep.search import Classes
    from sweep.statistics import Orders
    from sweep.tapes import Facts, Tapes

NAMED: Final = 5
"""Dates and tapes that a message names."""

SKIPS: Final = "tapes.skip_empty=true leaves that out"
"""What can be done about a tape or a date on which nothing can be bought or sold."""


def orders_of(question: Question, tapes: Tapes) -> Orders:
    """The parent orders on all tapes.

    Where there are so many that blocks may have to be merged, the combinations that differ count, whatever `collapse`
    says: rows are kept of these.

    Raises
    ------
    ConfigError
        As `sweep.statistics.orders_on`; of several tapes it names the one. Or an order starts on a date without a tape.
    FeedUnavailable
        One of several tapes has no quote while its orders last.
    """
    orders = _orders_of(question, tapes, 1)
    if orders.groups * question.most <= MOST_ROWS:
        return orders
    if in_rounds(question.config):  # which of them differ is only known at the end
        return _orders_of(question, tapes, question.most)
    classes = tasks.classify(job_of(question, orders), scales_of(question.variants, tapes.facts))
    return _orders_of(question, tapes, len(classes))


def _orders_of(question: Question, tapes: Tapes, combinations: int) -> Orders:
    """The same, with blocks for so many combinations."""
    facts, skip = tapes.facts, question.config.tapes.skip_empty
    skipped = [f"{label}: left out, as it has no quotes" for label in tapes.empty]
    parents, lacking = _of_dates(question.orders, {tape.start // DAY for tape in facts})
    if lacking and not skip:
        raise ConfigError(f"order.start: no tape is of {', '.join(lacking[:NAMED])}, the date of some of them; {SKIPS}")
    skipped += [f"{date}: left out with the orders that start then, as there is no tape of it" for date in lacking]
    each = []
    for tape in facts:
        own = parents
        if len(facts) > 1 and parents.starts:  # each date has its own
            own = replace(parents, starts=tuple(start for start in parents.starts if start // DAY == tape.start // DAY))
        if parents.starts and not own.starts:
            each.append(no_orders(parents))
            continue
        try:
            orders = orders_on(own, tape.start, tape.end, combinations * len(facts))
        except NoOrder as error:
            if len(facts) == 1:
                raise
            if not skip:
                raise ConfigError(f"{error} ({tape.label}); {SKIPS}") from None
            skipped.append(f"{tape.label}: left out, as no order lies inside its window")
            each.append(no_orders(parents))
            continue
        except ConfigError as error:
            raise error if len(facts) == 1 else ConfigError(f"{error} ({tape.label})") from None
        several = len(facts) > 1 or tapes.empty or "no_quotes" in tape.quality["errors"]
        if several and (silence := _silence(orders, tape)):
            if not skip:
                raise FeedUnavailable(f"{tape.label} {silence}", tape.provenance.place, SKIPS)
            skipped.append(f"{tape.label}: left out, as it {silence}")
            orders = no_orders(parents)
        each.append(orders)
    orders = replace(joined(each), skipped=tuple(skipped))
    if not orders.orders:
        if len(skipped) == len(tapes.empty):
            raise ConfigError("order.start: no tape is of the date of any of them; see the dates of the source")
        raise ConfigError(f"order: no tape has any: {'; '.join(skipped[:NAMED])}")
    return orders


def _of_dates(parents: ParentOrders, days: Collection[int]) -> tuple[ParentOrders, list[str]]:
    """Parent orders without the starts on dates, in days since 1970, of which there is no tape; and these dates."""
    kept = tuple(start for start in parents.starts if start // DAY in days)
    if not kept:  # none was listed; or what is made of them says why
        return parents, []
    lacking = {format_instant(start)[:10]: None for start in parents.starts if start // DAY not in days}
    return replace(parents, starts=kept), list(lacking)


def _silence(orders: Orders, tape: Facts) -> str:
    """Why nothing can be bought or sold on a tape that has orders; "" if it can."""
    if tape.quoted is None:
        return "has rows but no quote: each is withdrawn or hidden"
    first, last = min(order.start for order in orders.orders), max(order.end for order in orders.orders)
    if tape.quoted[1] < first or tape.quoted[0] > last:
        return f"has no quotes while its orders last, {format_instant(first)} to {format_instant(last)}"
    return ""


def job_of(question: Question, orders: Orders) -> tasks.Job:
    """A job of every combination of a question, none of them collapsed."""
    grid, each = question.grid, question.variants.each
    parts: tuple[tasks.Part, ...] = ()
    if len(each) > 1:
        pasts = grid.variant_edges[1:].tolist()
        parts = tuple(tasks.Part(past, variant.settings) for past, variant in zip(pasts, each, strict=True))
    baselines = tuple(baselines_named(question.config.baselines).items())
    return tasks.Job(orders.orders, question.settings, each_alone(grid), parts=parts, baselines=baselines)


def in_classes(job: tasks.Job, classes: Classes, kernels: Sequence[str] = ()) -> tasks.Job:
    """A job of some classes, by a kernel for each variant, or by any."""
    edges = classes.variant_edges[1:].tolist()
    parts = (
        tuple(
            replace(part, past=past, kernel=kernels[number] if kernels else None)
            for number, (part, past) in enumerate(zip(job.parts, edges, strict=True))
        )
        if job.parts
        else ()
    )
    return replace(job, classes=classes, kernel=kernels[0] if kernels else None, parts=parts)


def scales_of(variants: Variants, facts: Sequence[Facts]) -> list[tuple[Scale, ...]]:
    """The prices of the books that each variant runs on, tape by tape; of one that a condition drops none."""
    return [() if variant.book < 0 else tuple(tape.scales[variant.book] for tape in facts) for variant in variants.each]


def calibrated(
    executor: Executor, variants: Variants, books: Sequence[Handle], job: tasks.Job
) -> list[Mapping[str, Measured]]:
    """Measure the kernels of each variant; variants that differ in nothing that kernels look at share what is measured.

    Parameters
    ----------
    executor : Executor
    variants : Variants
    books : sequence of Handle
        Of the tape that is measured.
    job : Job
        On that tape.
    """
    measured: dict[Any, Mapping[str, Measured]] = {}
    of_variants: list[Mapping[str, Measured]] = []
    for variant in variants.each:
        settings = variant.settings
        kind = variant.book, settings.policy, settings.rules.liquidity, settings.rules.delayed
        if variant.book < 0:  # a condition drops it; the first one that there is stands for it
            of_variants.append({})
            continue
        if kind not in measured:
            own = replace(job, settings=settings)
            measured[kind] = executor.get(executor.call(tasks.calibrate, books[variant.book], own))
        of_variants.append(measured[kind])
    return [each or next(filter(None, of_variants)) for each in of_variants]


def tapes_of(orders: Orders) -> list[int]:
    """The tapes that have orders."""
    return [tape for tape, groups in enumerate(orders.groups_of) if groups]


def on_tape(job: tasks.Job, orders: Orders, tape: int) -> tasks.Job:
    """The part of a job that one tape has."""
    part = orders.on_tape(tape)
    return replace(job, orders=part.orders, edges=part.edges)


def by_itself(job: tasks.Job, settings: Settings) -> tasks.Job:
    """A job of one variant without its combinations, which nothing looks at; they may be many."""
    return replace(job, settings=settings, classes=each_alone(Grid(())), parts=())
