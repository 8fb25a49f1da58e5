"""What a sweep says of its best combination and of the baselines, tape after tape: for the driver, and for verify."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feed.errors import FeedUnavailable
from feed.instants import format_instant
from feed.tape import DAY
from sweep import caveats, tasks
from sweep.config import OTHER_LIQUIDITY
from sweep.errors import ConfigError
from sweep.report import answer_section, orders_section, shortfall_section, strategies
from sweep.search import each_alone
from sweep.statistics import NoOrder, Outcome, details, joined, no_orders, orders_on, total

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from allocator.order import Liquidity
    from sweep.config import ParentOrders, Question
    from sweep.executors import Executor, Handle
    from sweep.reduce import Best
    from sweep.statistics import Orders
    from sweep.tapes import Facts, Session, Tapes

NAMED: Final = 5
"""Dates and tapes that a message names."""

PIECE: Final = 16
"""Orders of a task that runs one strategy, or the baselines, for each of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Orders by every baseline, and the market around them.

    Attributes
    ----------
    around : Around
    baselines : dict of str to Outcome
    """

    around: tasks.Around
    baselines: dict[str, Outcome]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a sweep says.

    Attributes
    ----------
    document : dict
        The document's answer.
    warnings : list of str
        About it.
    orders : dict of str to columns
        As `sweep.statistics.details`.
    """

    document: dict[str, Any]
    warnings: list[str]
    orders: dict[str, Any]


SKIPS: Final = "tapes.skip_empty=true leaves that out"
"""What can be done about a tape or a date on which nothing can be bought or sold."""


def orders_of(question: Question, tapes: Tapes) -> Orders:
    """The parent orders on all tapes.

    Raises
    ------
    ConfigError
        As `sweep.statistics.orders_on`; of several tapes it names the one. Or an order starts on a date without a tape.
    FeedUnavailable
        One of several tapes has no quote while its orders last.
    """
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
            orders = orders_on(own, tape.start, tape.end, len(question.grid) * len(facts))
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


def tapes_of(orders: Orders) -> list[int]:
    """The tapes that have orders."""
    return [tape for tape, groups in enumerate(orders.groups_of) if groups]


def on_tape(job: tasks.Job, orders: Orders, tape: int) -> tasks.Job:
    """The part of a job that one tape has."""
    part = orders.on_tape(tape)
    return replace(job, orders=part.orders, edges=part.edges)


def market_of(executor: Executor, book: Handle, job: tasks.Job) -> Market:
    """Run the baselines of one tape's orders, and look at the market around these."""
    around = executor.call(tasks.around, book, replace(job, classes=each_alone(job.grid)))
    return Market(executor.get(around), outcomes_of(executor, book, job, tasks.baselines))


def joined_market(each: Sequence[Market]) -> Market:
    """The same of all tapes."""
    first, *_ = around = [market.around for market in each]
    return Market(
        tasks.Around(
            tuple(arrival for part in around for arrival in part.arrivals),
            first.arrived,
            min((part.first for part in around if part.first is not None), default=None),
            max((part.last for part in around if part.last is not None), default=None),
            sum(part.slices for part in around),
            sum(part.quoted for part in around),
        ),
        _joined([market.baselines for market in each]),
    )


def outcomes_of(
    executor: Executor,
    book: Handle,
    job: tasks.Job,
    function: Callable[..., dict[str, Outcome]],
    *arguments: object,
    liquidity: Liquidity | None = None,
) -> dict[str, Outcome]:
    """How all orders of a job fill by some strategies, from a function that takes a part of the orders."""
    job = replace(job, classes=each_alone(job.grid), edges=())  # classes may be many, and nothing here looks at them
    begun: deque[Handle] = deque()
    parts: list[dict[str, Outcome]] = []
    for first in range(0, len(job.orders), PIECE):
        piece = replace(job, orders=job.orders[first : first + PIECE])
        begun.append(executor.call(function, book, piece, *arguments, 0, len(piece.orders), liquidity))
        if len(begun) > 2 * executor.workers:
            parts.append(executor.get(begun.popleft()))
    return _joined([*parts, *(executor.get(handle) for handle in begun)])


def _joined(parts: Sequence[Mapping[str, Outcome]]) -> dict[str, Outcome]:
    return {
        name: Outcome(
            np.concatenate([part[name].rows for part in parts]),
            tuple(trace for part in parts for trace in part[name].traces),
        )
        for name in parts[0]
    }


def answer_of(session: Session, job: tasks.Job, orders: Orders, best: Best, market: Market) -> Answer:
    """Run the best combination once more, and say what it saves; the market is that of all tapes."""
    other = OTHER_LIQUIDITY[job.settings.rules.liquidity] if job.settings.conventions == "fair" else None
    traced, under_other = [], []
    for number in tapes_of(orders):
        book, part = session.tapes.fetch(number).book, on_tape(job, orders, number)
        traced.append(outcomes_of(session.executor, book, part, tasks.traced, best.combination))
        if other is not None:
            under_other.append(
                outcomes_of(session.executor, book, part, tasks.traced, best.combination, liquidity=other)
                | outcomes_of(session.executor, book, part, tasks.baselines, liquidity=other)
            )
    around = market.around

    def totals_of(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
        return {name: total(orders.orders, outcome, around.arrivals) for name, outcome in outcomes.items()}

    outcomes = _joined(traced) | market.baselines
    totals = totals_of(outcomes)
    parts = shortfall_section(totals, around, twap_acted=caveats.could_act(around))
    sensitivity: dict[str, Any] | None = None if other is None else {other: strategies(totals_of(_joined(under_other)))}
    document = {
        **answer_section(job.grid, best, totals, sensitivity),
        "orders": orders_section(orders, outcomes, [session.tapes.facts[n].label for n in tapes_of(orders)]),
        "shortfall": parts,
    }
    warnings = list(caveats.after(orders, job.grid, best, totals, parts, around))
    return Answer(document, warnings, details(orders, outcomes, around.arrivals))
