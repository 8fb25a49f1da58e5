"""What a sweep says of its best combination and of the baselines, tape after tape: for the driver, and for verify."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep import caveats, tasks
from sweep.asking import by_itself, on_tape, tapes_of
from sweep.config import OTHER_LIQUIDITY
from sweep.errors import ConfigError
from sweep.judging import ground_of, judge
from sweep.landscape import landscape_of
from sweep.report import (
    answer_section,
    fills_section,
    judged_document,
    orders_section,
    placement_section,
    shortfall_section,
    strategies,
    worlds_section,
)
from sweep.statistics import Outcome, details, fills_by_venue, parts_of, placing, shares_of, stacked, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from allocator.order import Liquidity
    from sweep.config import Question, Settings, Validation, Variants, World
    from sweep.executors import Executor, Handle
    from sweep.judging import Ground, Judged
    from sweep.landscape import Landscape
    from sweep.reduce import Best, Reduction
    from sweep.statistics import Orders, Part, Total
    from sweep.tapes import Session

PIECE: Final = 16
"""Orders of a task that runs one strategy, or the baselines, for each of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Orders by every baseline in one world, and the market around them.

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
    venues : callable
        Yields the tables of `sweep.statistics.fills_by_venue`, of several worlds with the number of each in ``world``.
    landscape : Landscape
        What each combination saves.
    first : FirstWorld
        Of which the document's answer is.
    """

    document: dict[str, Any]
    warnings: list[str]
    orders: dict[str, Any]
    venues: Callable[[], Iterator[dict[str, Any]]]
    landscape: Landscape
    first: FirstWorld


@dataclass(frozen=True, slots=True, eq=False)
class FirstWorld:
    """The first world that has an answer: its best combination, as `details` its orders, its strongest baseline."""

    best: int
    orders: dict[str, Any]
    against: str


def markets_of(executor: Executor, variants: Variants, books: Sequence[Handle], job: tasks.Job) -> list[Market]:
    """Run the baselines of one tape's orders in each world, and look at the market around these."""
    markets = []
    for world in range(len(variants.worlds)):
        variant = variants.of_world(world)
        own, book = by_itself(job, variant.settings), books[variant.book]
        around = executor.call(tasks.around, book, own)
        markets.append(Market(executor.get(around), outcomes_of(executor, book, own, tasks.baselines)))
    return markets


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
    job = replace(job, edges=())
    begun: deque[Handle] = deque()
    parts: list[dict[str, Outcome]] = []
    for first in range(0, len(job.orders), PIECE):
        piece = replace(job, orders=job.orders[first : first + PIECE])
        begun.append(executor.call(function, book, piece, *arguments, 0, len(piece.orders), liquidity))
        if len(begun) > 2 * executor.workers:
            parts.append(executor.get(begun.popleft()))
    return _joined([*parts, *(executor.get(handle) for handle in begun)])


def _joined(parts: Sequence[Mapping[str, Outcome]]) -> dict[str, Outcome]:
    return {name: _one([part[name] for part in parts]) for name in parts[0]}


def _one(parts: Sequence[Outcome]) -> Outcome:
    """The orders of several parts, part after part."""
    before = np.cumsum([0, *(len(part.rows) for part in parts)]).tolist()
    counted = [*zip(parts, before, strict=False)]
    return Outcome(
        np.concatenate([part.rows for part in parts]),
        tuple(trace for part in parts for trace in part.traces),
        tuple(sums.after(orders) for part, orders in counted for sums in part.venues),
        np.concatenate([part.completion for part in parts]),
        tuple(waited for part in parts for waited in part.waited),
        tuple(sums.after(orders) for part, orders in counted for sums in part.passive),
        tuple(placed.after(orders) for part, orders in counted for placed in part.placed),
        any(part.lookahead for part in parts),
    )


def bests_of(reduction: Reduction, variants: Variants, markets: Sequence[Market]) -> list[Best | None]:
    """What is best in each world; None where every combination of it failed.

    Raises
    ------
    ValueError
        Every combination of every world failed.
    """
    edges = reduction.classes.variant_edges.tolist()
    bests: list[Best | None] = []
    for world, market in zip(variants.worlds, markets, strict=True):
        ranges = [(edges[number], edges[number + 1]) for number in world.variants]
        try:
            bests.append(reduction.find_best(shares_of(market.baselines["best_ask"]), ranges))
        except ValueError:
            bests.append(None)
    if not any(bests):
        raise ValueError("no combination has a row")
    return bests


def answer_of(
    session: Session,
    question: Question,
    job: tasks.Job,
    orders: Orders,
    bests: Sequence[Best | None],
    markets: Sequence[Market],
    reduction: Reduction,
    pruned: int = 0,
    *,
    look: Callable[[int], None] | None = None,
) -> Answer:
    """Run what is best in each world once more, and say what it saves.

    Parameters
    ----------
    session, question, job, orders
        As everywhere.
    bests : sequence of Best, optional
        Of each world; of one in which every combination failed nothing is answered.
    markets : sequence of Market
        The same, of all tapes.
    reduction : Reduction
        All rows.
    pruned : int
        Combinations that did not run on all tapes: only all orders together are judged then, as for some of them
        another one may be the best.
    look : callable, optional
        Given the number of each tape that has orders while it is fetched.
    """
    grid = question.grid
    answered = [at for at, best in enumerate(bests) if best is not None]
    lost = [world.point for world, best in zip(question.variants.worlds, bests, strict=True) if best is None]
    worlds = [question.variants.worlds[at] for at in answered]
    chosen, markets = [best for best in bests if best is not None], [markets[at] for at in answered]
    runs: list[list[dict[str, Outcome]]] = [[] for _ in worlds]
    under_other: list[dict[str, Outcome]] = []
    other_of_first: Liquidity | None = None
    more: list[list[dict[str, Outcome]]] = [[] for _ in worlds]
    numbers = [_in_detail(question, world, best.combination) for world, best in zip(worlds, chosen, strict=True)]
    grounds = [_ground(orders, reduction, world, market) for world, market in zip(worlds, markets, strict=True)]
    parts = parts_of(orders)[: 1 if pruned else None]
    leaders = [[ground.best_in(part.groups) for part in parts] for ground in grounds]
    apart = [_apart(orders, parts, each) for each in leaders]
    of_leaders: list[dict[int, list[Outcome]]] = [{at: [] for at in each} for each in apart]
    for number in tapes_of(orders):
        books = session.tapes.fetch(number).books
        if look is not None:
            look(number)
        for world, best in enumerate(chosen):
            variant = question.variants.each[grid.variant_of(best.combination)]
            own = by_itself(on_tape(job, orders, number), variant.settings)
            parameters = grid.parameters_of(np.array([best.combination]))
            run = partial(outcomes_of, session.executor, books[variant.book], own)
            runs[world].append(run(tasks.traced, parameters))
            more[world].append(_traced(session.executor, question, books, own, numbers[world]))
            span = orders.span_of(number)
            for at, positions in apart[world].items():
                inside = [position - span.start for position in positions if position in span]
                if inside:
                    few = replace(own, orders=tuple(own.orders[position] for position in inside))
                    leader = grounds[world].number(at)
                    outcome = _traced(session.executor, question, books, few, [leader])[_name(leader)]
                    of_leaders[world][at].append(outcome)
            other = _other_liquidity(question, variant.settings)
            if world == 0 and other is not None:
                other_of_first = other
                under_other.append(
                    run(tasks.traced, parameters, liquidity=other) | run(tasks.baselines, liquidity=other)
                )
    labels = [session.tapes.facts[number].label for number in tapes_of(orders)]
    printed = all(session.tapes.facts[number].printed for number in tapes_of(orders))
    answers: list[tuple[dict[str, Any], dict[str, Total]]] = []
    wholes: list[Judged] = []
    tables, venues, warnings = [], [], []
    for world, (run_of, more_of, asked, best, market) in enumerate(
        zip(runs, more, numbers, chosen, markets, strict=True)
    ):
        outcomes = _joined(run_of) | market.baselines
        arrivals = market.around.arrivals
        totals = {name: total(orders.orders, outcome, arrivals) for name, outcome in outcomes.items()}
        losses = shortfall_section(totals, market.around, twap_acted=caveats.could_act(market.around))
        sensitivity: dict[str, Any] | None = None
        if under_other and not answers:
            swapped = {name: total(orders.orders, run, arrivals) for name, run in _joined(under_other).items()}
            sensitivity = {str(other_of_first): strategies(swapped)}
        document = {
            **answer_section(grid, best, totals, sensitivity),
            "orders": orders_section(orders, outcomes, labels),
            "shortfall": losses,
            "fills": fills_section(totals),
        }
        if question.variants.placing:
            rules = question.variants.each[grid.variant_of(best.combination)].settings.rules
            figures = placing(outcomes["optimized"])
            document["placement"] = None if figures is None else placement_section(figures, rules, printed=printed)
        judged = _judged(
            grounds[world],
            parts,
            leaders[world],
            outcomes,
            {at: (apart[world][at], _one(outcome)) for at, outcome in of_leaders[world].items()},
            arrivals,
            question.validation,
            pruned,
        )
        wholes.append(judged[0])
        document = judged_document(document, judged, grid, held_out=question.validation is not None)
        if not answers:
            warnings = list(caveats.after(orders, grid, best, totals, losses, market.around))
            several = worlds[world].point if len(worlds) > 1 else None
            warnings += caveats.placed(document.get("placement"), several)
        answers.append((document, totals))
        combinations = {_name(number): number for number in asked} | {"optimized": best.combination}
        every = outcomes | _joined(more_of)
        tables.append(details(orders, every, arrivals, combinations))
        venues.append(partial(fills_by_venue, orders, every, combinations, placing=question.variants.placing))
    document = answers[0][0]
    landscape = landscape_of(grounds, wholes)
    if len(worlds) > 1:
        section = worlds_section(worlds, grid, chosen, answers, reduction.sums_of)
        document, warnings = {**document, "worlds": section}, [*warnings, *caveats.across(section)]
    warnings += [f"every combination failed with {caveats.named(point)}; it is left out" for point in lost]
    first = FirstWorld(chosen[0].combination, tables[0], wholes[0].against)
    return Answer(document, warnings, stacked(tables), partial(_numbered, venues), landscape, first)


def _ground(orders: Orders, reduction: Reduction, world: World, market: Market) -> Ground:
    """What there is to judge in a world."""
    edges = reduction.classes.variant_edges.tolist()
    ranges = [(edges[number], edges[number + 1]) for number in world.variants]
    looked_at = sum(reduction.classes.count(*bounds) for bounds in ranges)
    return ground_of(orders, reduction.within(ranges), looked_at, market.baselines, market.around.arrivals)


def _apart(orders: Orders, parts: Sequence[Part], leaders: Sequence[int]) -> dict[int, list[int]]:
    """The orders of which a class is best, if it is not the best of all: their positions, ascending."""
    positions: dict[int, set[int]] = {}
    for part, leader in zip(parts, leaders, strict=True):
        if leader != leaders[0]:
            own = positions.setdefault(leader, set())
            for group in part.groups.tolist():
                own.update(range(orders.edges[group], orders.edges[group + 1]))
    return {leader: sorted(own) for leader, own in positions.items()}


def _judged(
    ground: Ground,
    parts: Sequence[Part],
    leaders: Sequence[int],
    outcomes: Mapping[str, Outcome],
    of_leaders: Mapping[int, tuple[list[int], Outcome]],
    arrivals: Sequence[int],
    validation: Validation | None,
    pruned: int,
) -> list[Judged]:
    """Each part of the orders, judged with the timing of its own best."""
    everyone = range(len(ground.orders))
    timing = {name: ground.timing(everyone, outcome, arrivals) for name, outcome in outcomes.items()}
    judged = []
    for part, leader in zip(parts, leaders, strict=True):
        own = timing["optimized"] if leader == leaders[0] else ground.timing(*of_leaders[leader], arrivals)
        judged.append(judge(ground, part, leader, timing | {"optimized": own}, validation, pruned))
    return judged


def _numbered(venues: Sequence[Callable[[], Iterator[dict[str, Any]]]]) -> Iterator[dict[str, Any]]:
    """The tables of each world, with its number where there are several."""
    for world, tables in enumerate(venues):
        for columns in tables():
            rows = len(columns["strategy"])
            yield {"world": np.full(rows, world), **columns} if len(venues) > 1 else columns


DETAILED: Final = 1_000_000
"""Orders of combinations beside the best that are run once more, at most."""


def check_detail(question: Question, orders: int) -> None:
    """Refuse (ConfigError) more detail than can be run once more."""
    detail = question.config.detail
    count = {"best": 0, "all": question.most}[detail] if isinstance(detail, str) else len(detail)
    if count * orders > DETAILED:
        raise ConfigError(
            f"detail: {count:,} combinations x {orders:,} orders are {count * orders:,} runs, more than {DETAILED:,}; "
            "name fewer combinations"
        )


def _in_detail(question: Question, world: World, best: int) -> list[int]:
    """The combinations of a world beside its best of which every order is asked for."""
    detail, edges = question.config.detail, question.grid.variant_edges.tolist()
    of_world = [range(edges[number], edges[number + 1]) for number in world.variants]
    if detail == "best":
        return []
    wanted = (number for numbers in of_world for number in numbers)
    return [number for number in wanted if number != best and (detail == "all" or number in detail)]


def _name(number: int) -> str:
    """The strategy that a combination is called in a table of orders."""
    return f"combination {number}"


def _traced(
    executor: Executor, question: Question, books: Sequence[Handle], job: tasks.Job, numbers: Sequence[int]
) -> dict[str, Outcome]:
    """How all orders of a job fill by some combinations."""
    outcomes = {}
    for number in numbers:
        variant = question.variants.each[question.grid.variant_of(number)]
        own = by_itself(job, variant.settings)
        outcome = outcomes_of(
            executor, books[variant.book], own, tasks.traced, question.grid.parameters_of(np.array([number]))
        )["optimized"]
        outcomes[_name(number)] = replace(outcome, placed=())  # only the best's is looked at
    return outcomes


def _other_liquidity(question: Question, settings: Settings) -> Liquidity | None:
    """The rule under which the answer is given once more; None where that is no question, or there are worlds of it."""
    rules = {
        question.variants.of_world(world).settings.rules.liquidity for world in range(len(question.variants.worlds))
    }
    if settings.conventions != "fair" or len(rules) > 1:
        return None
    return OTHER_LIQUIDITY[settings.rules.liquidity]
