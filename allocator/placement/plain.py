"""The engine of `placement` in plain Python, one snapshot at a time: the compiled one is tested equal to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from allocator.engine import (
    Account,
    AllLevels,
    FirstLevels,
    Offer,
    band_edge,
    best_other,
    leftover_orders,
    settle,
    unfilled_price,
)
from allocator.flight import Child, Flight
from allocator.money import NANO
from allocator.order import UNBOUNDED, Fill, bounded, execution_of
from allocator.placement.agenda import agenda_of
from allocator.placement.situation import past_outflow, situation
from allocator.queues import Joins, QueueRules, cleared_plain
from allocator.splits import by_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book
    from allocator.order import Execution, Order, Parameters, Rules
    from allocator.placement.agenda import Agenda
    from allocator.placement.policy import Placement
    from allocator.placement.situation import Situation


@dataclass(slots=True)
class _Resting:
    """A limit order in its queue."""

    slice: int
    venue: int
    price: int
    shares: int
    through: dict[int, int]
    filled: int = 0


@dataclass(slots=True)
class _Venue:
    """Messages to a venue that have not arrived: the snapshot, and the limit order that then replaces what rests."""

    messages: list[tuple[int, int, int, int]] = field(default_factory=list)
    newest: int = 0
    closes: int | None = None


def execute_placed(
    book: Book,
    order: Order,
    rules: Rules,
    fees: Sequence[int],
    policy: Placement,
    parameters: Parameters,
    *,
    record: bool = False,
) -> Execution:
    """Run one order through the book, with limit orders.

    At each snapshot limit orders fill by what has passed their queues since the one before, and children arrive; where
    a slice begins the policy then decides on what is neither bought nor on its way; then limit orders arrive that were
    sent before, each in place of what rests at its venue. At the last snapshot the leftover rule buys the rest. Once
    the order is complete every limit order is cancelled, and what fills beyond it is sold at once.

    Parameters
    ----------
    book, order, rules, fees, policy, parameters, record
        As `allocator.engine.execute`.

    Raises
    ------
    NoPriceError
        As there.
    """
    side, sign = book.take_side(order.side), order.sign
    first, past = book.span(order)
    shown = FirstLevels(book, side, rules) if side.levels is None else AllLevels(book, side.levels, rules)
    paying = [fee for fee in fees for _ in range(book.depth)]
    makers = rules.maker_fees.of(book.venues.tolist())
    account, flight = Account(order.size, shown, paying), Flight(book, rules.latency)
    count = max(1, -(-(order.end - order.start) // policy.slice))
    agenda = agenda_of(book, order, rules, policy)
    resting: dict[int, _Resting] = {}
    venues = [_Venue() for _ in book.venues]
    passive: list[tuple[int, int, int, int]] = []
    last_slice, decisions = -1, 0
    other: tuple[int, int] | None = None
    complete = False
    history = past_outflow(book, order, rules, policy, fees, max(past - 1, 0))
    shown.begin(first)

    def cancel_all(t: int) -> None:
        nonlocal complete
        if not complete and account.missing <= 0:
            complete = True
            for v, venue in enumerate(venues):
                venue.closes = max(flight.arrival(t, v), venue.newest)

    for t in range(first, past):
        displayed, sizes, taken = shown.look(t)
        prices = [sign * px for px in displayed]
        costs = [px + fee for px, fee in zip(prices, paying, strict=True)]
        left = [max(sz - shares, 0) if px else 0 for px, sz, shares in zip(displayed, sizes, taken, strict=True)]
        other = best_other(book.price_list(side.other_ticks[t].tolist()), fees, sign) or other
        offer = Offer(t, displayed, costs, left, other)

        for v in sorted(resting, key=lambda v: (resting[v].slice, v)):
            own = resting[v]
            filled = min(own.shares, own.through.get(t, own.filled))
            shares, own.filled = filled - own.filled, filled
            if shares > 0:
                account.filled += shares
                account.cash += shares * (sign * own.price + makers[v])
                account.paid += shares * makers[v]
                passive.append((t, v, shares, own.price))
                account.sell_back(offer)
                cancel_all(t)
        for arrived in flight.arriving(t):
            within = arrived if other else replace(arrived, shares=min(arrived.shares, account.missing))
            for s, shares in within.takes(prices, left, book.depth):
                account.buy(offer, s, shares)
            account.sell_back(offer)
            cancel_all(t)

        number = min((int(book.ts[t]) - order.start) // policy.slice, count - 1)
        if number > last_slice:
            last_slice = number
            bought = account.bought + flight.shares
            need = 0 if complete else max(order.size * (number + 1) // count - bought, 0)
            forced = min(max(order.size * number // count - bought, 0), need) if policy.at_T == "buy" else 0
            now = situation(book, order, rules, policy, agenda, history, decisions)
            limits: dict[int, int] = {}
            if now is None:
                market = _static(book, order, policy, parameters, t, costs, displayed, left, need)
                near = _within_band(rules, displayed, prices, left)
                for s in by_cost(costs, near):  # and the rest of what has to be bought
                    more = min(near[s] - market.get(s, 0), forced - sum(market.values()))
                    market[s] = market.get(s, 0) + max(more, 0)
            else:
                market, limits = _split(rules, policy, parameters, now, displayed, prices, costs, left, need, forced)
            for v in range(len(venues)):
                at = max(flight.arrival(t, v), venues[v].newest)
                sent = {s: market[s] for s in range(v * book.depth, (v + 1) * book.depth) if market.get(s)}
                if at == t:
                    continue
                if sent:
                    flight.send(Child(v, sum(sent.values()), max(prices[s] for s in sent)), at)
            for s, shares in market.items():
                v = s // book.depth
                if max(flight.arrival(t, v), venues[v].newest) == t:
                    account.buy(offer, s, shares)
            account.sell_back(offer)
            for v, venue in enumerate(venues):
                if not complete:
                    venue.newest = max(flight.arrival(t, v), venue.newest)
                    venue.messages.append((venue.newest, number, limits.get(v, 0), int(agenda.price[decisions, v])))
            cancel_all(t)
            decisions += 1

        for v, venue in enumerate(venues):
            for message in [each for each in venue.messages if each[0] == t]:
                venue.messages.remove(message)
                resting.pop(v, None)
                _, number, shares, price = message
                if shares:
                    join = Joins(
                        *(
                            np.array([each])
                            for each in (v, t, past, price, int(agenda.queue[_index(agenda, number), v]))
                        )
                    )
                    done = cleared_plain(book, order.side, join, QueueRules(rules.phi, rules.rho))
                    through = dict(zip(done.snapshot.tolist(), done.through.tolist(), strict=True))
                    resting[v] = _Resting(number, v, price, shares, through)
            if venue.closes == t:
                resting.pop(v, None)
                venue.messages.clear()
        if t == past - 1 and account.missing > 0:
            for s, shares in leftover_orders(prices, costs, left, account.missing, rules):
                account.buy(offer, s, shares)

    sums = account.filled, account.over, account.cash, account.paid, account.over_cash
    row = settle(order, rules, unfilled_price(book, order, rules, fees), *sums)
    fills = [(t, s // book.depth, shares, px) for t, s, shares, px in account.fills] + passive
    return replace(execution_of(row), fills=tuple(Fill(*each) for each in sorted(fills)) if record else ())


def _index(agenda: Agenda, number: int) -> int:
    """The decision of a slice."""
    return int(np.flatnonzero(agenda.slices.number == number)[0])


def _static(
    book: Book, order: Order, policy: Placement, parameters: Parameters, t: int, costs: Sequence[int],
    displayed: Sequence[int], left: Sequence[int], need: int,
) -> dict[int, int]:  # fmt: skip
    """What `static` takes, once; by supply."""
    arrival_at, arrival2 = book.arrival(order)
    view2: dict[str, int | None] = {
        "touch": min((2 * c for c, px in zip(costs, displayed, strict=True) if px), default=None),
        "best": min((2 * c for c, shares in zip(costs, left, strict=True) if shares), default=None),
        "mid": order.sign * int(book.mid2[t]) or None,
        "arrival": order.sign * arrival2 if t >= arrival_at else None,
    }
    reference2 = view2[policy.reference]
    if reference2 is None:
        return {}
    market = {}
    for s in by_cost(costs, left):
        if 2 * costs[s] - reference2 > 2 * parameters.tau or not need:
            break
        market[s] = min(left[s], need)
        need -= market[s]
    return market


def _within_band(rules: Rules, displayed: Sequence[int], prices: Sequence[int], left: Sequence[int]) -> list[int]:
    """What is left of each supply that the leftover rule would take of."""
    edge = band_edge(min((px for px, d in zip(prices, displayed, strict=True) if d), default=0), rules)
    return [shares if edge is None or px <= edge else 0 for px, shares in zip(prices, left, strict=True)]


def _split(
    rules: Rules, policy: Placement, parameters: Parameters, now: Situation, displayed: Sequence[int],
    prices: Sequence[int], costs: Sequence[int], left: Sequence[int], need: int, forced: int,
) -> tuple[dict[int, int], dict[int, int]]:  # fmt: skip
    """What the model decides: shares to be bought by supply, limit orders by venue."""
    from allocator.kernels import placement as solver

    within = _within_band(rules, displayed, prices, left)
    rest, market = list(within), {}
    ascending = by_cost(costs, within)
    for s in ascending:
        market[s] = min(rest[s], forced)
        rest[s] -= market[s]
        forced -= market[s]
    size = need - sum(market.values())
    limits = {}
    if size > 0:
        joined = len(now.venues)
        unit, cap = solver.unit_and_cap(size, now.through.shape[1], joined)
        wanted = -(-size // unit)
        under, over, theta = (
            bounded(each) for each in (parameters.lambda_under, parameters.lambda_over, parameters.theta_queue)
        )
        if under < UNBOUNDED:
            under = 2 * under + policy.catch_up * now.catch_up // NANO
        x = np.full(joined + 1, -1, np.int64)
        ladder = [s for s in ascending if rest[s]]
        up_to = np.cumsum([0, *(rest[s] for s in ladder)]) // unit
        columns = [
            np.minimum(now.through, size) // unit,
            np.diff(up_to),
            np.array([min(2 * costs[s] - now.mid2, cap) for s in ladder], np.int64),
            np.clip(now.gain, -cap, cap),
        ]
        for column in columns:
            column.setflags(write=False)
        solver.best(wanted, *columns, min(2 * theta, cap), min(under, cap), min(2 * over, cap), x)
        bought = min(int(x[0]) * unit, size)
        limits = {int(v): min(int(shares) * unit, size - bought) for v, shares in zip(now.venues, x[1:], strict=True)}
        for s in ladder:
            shares = min(rest[s], bought)
            market[s] = market.get(s, 0) + shares
            bought -= shares
    return {s: shares for s, shares in market.items() if shares}, limits
