"""What a sweep says of its best combination and of the baselines, tape after tape: for the driver, and for verify."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feed.tape import DAY
from sweep import caveats, tasks
from sweep.config import OTHER_LIQUIDITY
from sweep.errors import ConfigError
from sweep.report import answer_section, orders_section, shortfall_section, strategies
from sweep.search import each_alone
from sweep.statistics import Outcome, details, joined, no_orders, orders_on, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from allocator.order import Liquidity
    from sweep.config import Question
    from sweep.executors import Executor, Handle
    from sweep.reduce import Best
    from sweep.statistics import Orders
    from sweep.tapes import Facts, Session

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


def orders_of(question: Question, facts: Sequence[Facts]) -> Orders:
    """The parent orders on all tapes.

    Raises
    ------
    ConfigError
        As `sweep.statistics.orders_on`; of several tapes it names the one.
    """
    each, parents = [], question.orders
    for tape in facts:
        own = parents
        if len(facts) > 1 and parents.starts:  # each date has its own
            own = replace(parents, starts=tuple(start for start in parents.starts if start // DAY == tape.start // DAY))
        try:
            if parents.starts and not own.starts:
                each.append(no_orders(parents))
            else:
                each.append(orders_on(own, tape.start, tape.end, len(question.grid) * len(facts)))
        except ConfigError as error:
            raise error if len(facts) == 1 else ConfigError(f"{error} ({tape.label})") from None
    orders = joined(each)
    if not orders.orders:
        raise ConfigError("order.start: no tape is of the date of any of them; see the dates of the source")
    return orders


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
