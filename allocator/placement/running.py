"""Runs an order slice by slice for many combinations at once, compiled; the rows equal `allocator.placement.plain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.book import freeze
from allocator.engine import band_edge
from allocator.money import NANO
from allocator.order import UNBOUNDED
from allocator.placement.agenda import Agenda, agenda_of
from allocator.placement.records import A1, A2, A3, Decisions, LimitOrders, Placed
from allocator.placement.situation import Situation, past_outflow, situation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allocator.book import Book, Int64
    from allocator.kernels.slices import Accounts, Moments, Supplies, Terms
    from allocator.order import Order, ParameterColumns, Rules
    from allocator.placement.policy import Placement

BLOCK: Final = 64
"""Combinations that are run together: their accounts fit a second-level cache."""

RECORDS: Final = 64
"""Levels of which a combination can have taken shares, at first."""

TRAIL: Final = 4096
"""Fills that there is room for at first."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """An order, and all that it meets, made once for all combinations.

    Attributes
    ----------
    book, order, rules, policy
        As `allocator.simulate.run_combinations`.
    fees : (V,) tuple of int
    agenda : Agenda
    situations : (J,) tuple of Situation, optional
        Of each decision; None = `static` decides.
    supplies : Supplies
        Of each decision, and then of the order's last snapshot, and venue.
    met : Supplies
        Of each slice and venue, where a child that takes time meets it; without rows where none does.
    ascending : (J + 1,) tuple of (S,) int64
        The levels of each of these by cost.
    edges : (J + 1,) tuple of int
        The dearest signed price that each takes.
    moments : Moments
    ends : (J,) tuple of int
        How many moments there are before each decision.
    terms : Terms
    latency : allocator.kernels.delayed.Latency
    """

    book: Book
    order: Order
    rules: Rules
    policy: Placement
    fees: tuple[int, ...]
    agenda: Agenda
    situations: tuple[Situation | None, ...]
    supplies: Supplies
    met: Supplies
    ascending: tuple[Int64, ...]
    edges: tuple[int, ...]
    moments: Moments
    ends: tuple[int, ...]
    terms: Terms
    latency: Any


def stage_of(
    book: Book, order: Order, rules: Rules, policy: Placement, fees: Sequence[int], stood: Int64 | None = None
) -> Stage:
    """Prepare an order."""
    from allocator.kernels import slices as kernels
    from allocator.runners import quoted_in_flight

    agenda = agenda_of(book, order, rules, policy, fees, stood)
    cuts, venues = agenda.slices, len(book.venues)
    decided, first = cuts.decided, agenda.first
    situations: list[Situation | None] = []
    if len(decided):
        history = past_outflow(book, order, rules, policy, fees, int(decided[-1]))
        situations = [situation(book, order, rules, policy, agenda, history, j) for j in range(len(decided))]
    quotes, prices, _, latency = quoted_in_flight(book, order, rules, fees, agenda.stood)
    snapshots = np.append(decided, [cuts.past - 1] if len(decided) else [])

    def look(at: Int64, which: Int64) -> Supplies:
        by_time = np.argsort(at, kind="stable")
        tables = [np.zeros((len(at), book.depth), np.int64) for _ in range(3)]
        if len(at):
            made = [np.zeros_like(each) for each in tables]
            asked = np.ascontiguousarray(at[by_time]), np.ascontiguousarray(which[by_time])
            freeze(*asked)
            kernels.look(quotes, prices.sign, prices.base, prices.tick, first, *asked, *made)
            for table, each in zip(tables, made, strict=True):
                table[by_time] = each
        freeze(*tables)
        return kernels.Supplies(*tables)

    every = np.tile(np.arange(venues), len(snapshots))
    supplies = look(np.repeat(snapshots, venues).astype(np.int64), every)
    arrivals = cuts.arrivals.reshape(-1)
    late = np.flatnonzero((arrivals > np.repeat(decided, venues)) & (arrivals < cuts.past))
    met = look(np.minimum(arrivals, cuts.past - 1), every[: len(arrivals)]) if len(late) else look(every[:0], every[:0])
    paid = np.repeat(np.array(fees, np.int64), book.depth)
    ascending, edges = [], []
    for j, t in enumerate(snapshots.tolist()):
        rows = slice(j * venues, (j + 1) * venues)
        cost, shown = (supplies.price[rows].reshape(-1) + paid), supplies.shares[rows].reshape(-1) > 0
        levels = np.flatnonzero(shown)
        levels = levels[np.lexsort((-levels, cost[levels]))]
        freeze(levels)
        ascending.append(levels)
        edges.append(_edge_at(book, order, rules, supplies.price[rows][supplies.shares[rows] > 0]))
    moments, ends = _moments(agenda, late, venues)
    terms = kernels.Terms(
        order.sign,
        order.size,
        np.ascontiguousarray(order.sign * agenda.price.reshape(-1)),
        np.array(fees, np.int64),
        np.array(rules.maker_fees.of(book.venues.tolist()), np.int64),
    )
    freeze(terms.price, terms.taker, terms.maker)
    return Stage(
        book, order, rules, policy, tuple(fees), agenda, tuple(situations), supplies, met, tuple(ascending),
        tuple(edges), moments, ends, terms, latency,
    )  # fmt: skip


def _edge_at(book: Book, order: Order, rules: Rules, prices: Int64) -> int:
    """The dearest signed price within the band of the leftover rule."""
    from allocator.kernels.slices import ANY

    edge = band_edge(int(prices.min()), rules) if len(prices) else None
    return ANY if edge is None else edge


def _moments(agenda: Agenda, late: Int64, venues: int) -> tuple[Moments, tuple[int, ...]]:
    """The moments of an agenda and of the children that take time, and how many there are before each decision."""
    from allocator.kernels import slices as kernels

    arrivals = agenda.slices.arrivals.reshape(-1)[late]
    snapshot, sent, before, after = agenda.passed.T
    kind = np.repeat([kernels.PASSED, kernels.ARRIVES], [len(sent), len(late)])
    snapshot, sent = np.concatenate([snapshot, arrivals]), np.concatenate([sent, late])
    nothing = np.zeros(len(late), np.int64)
    before, after = np.concatenate([before, nothing]), np.concatenate([after, nothing])
    by_time = np.lexsort((sent, kind, snapshot))
    snapshot = snapshot[by_time]
    moments = kernels.Moments(
        kind[by_time], snapshot, sent[by_time], before[by_time], after[by_time], agenda.stood[snapshot],
        agenda.other[snapshot - agenda.first], agenda.other_fee[snapshot - agenda.first],
    )  # fmt: skip
    freeze(*moments)
    return moments, tuple(np.searchsorted(snapshot, agenda.slices.decided, "right").tolist())


def run(stage: Stage, parameters: ParameterColumns) -> Int64:
    """Run K combinations; (K, 8) int64, as the output of `allocator.kernels.walk.walk`."""
    out = np.empty((len(parameters), 8), np.int64)
    for begin in range(0, len(parameters), BLOCK):
        block = parameters.take(np.arange(begin, min(begin + BLOCK, len(parameters))))
        out[begin : begin + BLOCK] = _run_block(stage, block, 0)[0].sums
    return out


def run_recorded(stage: Stage, parameters: ParameterColumns) -> tuple[Int64, Int64, Placed]:
    """Run one combination: its sums, (8,) int64; its fills, (F, 5) int64 as `Accounts.trail`; its records."""
    accounts, notes = _run_block(stage, parameters.take(np.arange(1)), TRAIL)
    return accounts.sums[0], accounts.trail[: accounts.tally[0]].copy(), _placed(stage, accounts, notes)


def _run_block(stage: Stage, parameters: ParameterColumns, trail: int) -> tuple[Accounts, list[_Note]]:
    """Run combinations together, once more where there was no room for what they took."""
    room = RECORDS
    while True:
        accounts, notes = _run_with(stage, parameters, room, trail)
        fills, lacked = accounts.tally.tolist()
        if not lacked and (not trail or fills <= trail):
            return accounts, notes
        room, trail = room * (1 + lacked), max(trail, fills) if trail else 0


def _run_with(stage: Stage, parameters: ParameterColumns, room: int, trail: int) -> tuple[Accounts, list[_Note]]:
    from allocator.kernels import slices as kernels

    count, venues = len(parameters), len(stage.book.venues)
    cuts, agenda, size = stage.agenda.slices, stage.agenda, stage.order.size
    sent = len(cuts.decided) * venues
    accounts = kernels.Accounts(
        sums=np.zeros((count, 8), np.int64),
        flying=np.zeros(count, np.int64),
        passive=np.zeros(count, np.int64),
        done=np.full(count, kernels.NONE, np.int64),
        cutoff=np.zeros((count, venues), np.int64),
        limits=np.zeros((count, sent), np.int64),
        children=np.zeros((count, sent), np.int64),
        worst=np.zeros((count, sent), np.int64),
        records=np.zeros((count, room, 4), np.int64),
        held=np.zeros(count, np.int64),
        trail=np.zeros((trail, 5), np.int64),
        tally=np.zeros(2, np.int64),
    )
    notes: list[_Note] = []
    advanced = 0
    for j, t in enumerate(cuts.decided.tolist()):
        kernels.advance(stage.moments, advanced, stage.ends[j], stage.terms, stage.latency, stage.met, accounts)
        advanced = stage.ends[j]
        sent_for = accounts.sums[:, kernels.FILLED] - accounts.sums[:, kernels.OVER] + accounts.flying
        number = int(cuts.number[j])
        need = np.where(accounts.done == kernels.NONE, np.maximum(size * (number + 1) // cuts.count - sent_for, 0), 0)
        forced = np.zeros(count, np.int64)
        if stage.policy.at_T == "buy":
            forced = np.minimum(np.maximum(size * number // cuts.count - sent_for, 0), need)
        situation = stage.situations[j]
        shares = np.zeros((count, len(stage.ascending[j])), np.int64)
        edge = kernels.ANY if situation is None else stage.edges[j]
        kernels.offer(stage.supplies, j * venues, stage.ascending[j], edge, stage.terms, accounts, shares)
        if situation is None:
            wanted = need
            shares[~_within_tau(stage, j, shares, parameters)] = 0
        else:
            placed = _place(stage, j, situation, need, forced, shares, parameters)
            wanted = placed.market
            accounts.limits[:, j * venues + situation.venues] = placed.limits
            if trail and need[0]:
                notes.append(_noted(stage, j, situation, parameters, need, shares, placed))
        if situation is None and trail and need[0]:
            notes.append(_Note(j, int(need[0]), int(min(shares[0].sum(), need[0]))))
        _send(stage, j, t, shares, wanted, j * venues, accounts)
        arrivals = np.ascontiguousarray(cuts.arrivals[j])
        freeze(arrivals)
        kernels.post(t, stage.terms, stage.latency, arrivals, accounts)
    moments = len(stage.moments.kind)
    kernels.advance(stage.moments, advanced, moments, stage.terms, stage.latency, stage.met, accounts)
    if len(cuts.decided):
        _complete(stage, accounts)
    return accounts, notes


def _send(
    stage: Stage, j: int, t: int, shares: Int64, wanted: Int64, first_sent: int, accounts: Accounts
) -> None:  # fmt: skip
    from allocator.kernels import slices as kernels

    agenda, venues = stage.agenda, len(stage.book.venues)
    at = t - agenda.first
    market = np.array([t, agenda.stood[t], agenda.other[at], agenda.other_fee[at]], np.int64)
    arrivals = np.full(venues, t) if first_sent == kernels.NONE else np.ascontiguousarray(agenda.slices.arrivals[j])
    freeze(shares, wanted, market, arrivals)
    kernels.send(
        stage.supplies, j * venues, stage.ascending[j], shares, wanted, market, first_sent, arrivals, stage.terms,
        accounts,
    )  # fmt: skip


def _complete(stage: Stage, accounts: Accounts) -> None:
    """Buy what is missing by the leftover rule, which takes no time, whatever is still on its way."""
    from allocator.kernels import slices as kernels

    j, t = len(stage.agenda.slices.decided), stage.agenda.slices.past - 1
    wanted = np.maximum(stage.order.size - accounts.sums[:, kernels.FILLED] + accounts.sums[:, kernels.OVER], 0)
    shares = np.zeros((len(wanted), len(stage.ascending[j])), np.int64)
    if stage.rules.leftover == "sweep":
        kernels.offer(stage.supplies, j * len(stage.book.venues), stage.ascending[j], stage.edges[j], stage.terms, accounts, shares)
    elif shares.shape[1]:  # at the best quote, whatever size it shows
        prices = stage.supplies.price[j * len(stage.book.venues) :].reshape(-1)[stage.ascending[j]]
        levels = stage.ascending[j]
        best = np.lexsort((levels, prices))[0]
        shares[:, best] = wanted
    _send(stage, j, t, shares, wanted, kernels.NONE, accounts)


def _within_tau(stage: Stage, j: int, shares: Int64, parameters: ParameterColumns) -> Any:
    """(K, S) bool, which levels `static` takes of at a decision."""
    levels, depth, t = stage.ascending[j], stage.book.depth, int(stage.agenda.slices.decided[j])
    rows = stage.supplies.price[j * len(stage.book.venues) :].reshape(-1)
    cost2 = 2 * (rows[levels] + np.array(stage.fees, np.int64)[levels // depth])
    sign, count = stage.order.sign, len(shares)
    reference2 = np.zeros(count, np.int64)
    known = np.ones(count, np.bool_)
    arrival_at, arrival2 = stage.book.arrival(stage.order)
    match stage.policy.reference:
        case "touch":
            reference2[:] = cost2[0] if len(cost2) else 0
        case "best":
            known = (shares > 0).any(axis=1)
            reference2 = cost2[(shares > 0).argmax(axis=1)] if len(cost2) else reference2
        case "mid":
            reference2[:], known[:] = sign * stage.book.mid2[t], stage.book.mid2[t] != 0
        case _:
            reference2[:], known[:] = sign * arrival2, t >= arrival_at
    return known[:, None] & (cost2[None] - reference2[:, None] <= 2 * parameters.tau[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class _Placements:
    """What K combinations decide: shares to be bought at once, (K,); limit orders, (K, venues); their least sum of costs, and what
    of the shares has to be bought, (K,)."""

    market: Int64
    limits: Int64
    cost: Int64
    forced: Int64


def _place(
    stage: Stage, j: int, now: Situation, need: Int64, forced: Int64, shares: Int64, parameters: ParameterColumns
) -> _Placements:
    """Solve each combination's problem."""
    from allocator.kernels import placement as solver

    count, joined = len(need), len(now.venues)
    limits, market, cost = np.zeros((count, joined), np.int64), need.copy(), np.zeros(count, np.int64)
    # what has to be bought is taken first, the cheapest of it
    before = np.minimum(np.cumsum(shares, axis=1), forced[:, None])
    left = shares - np.diff(before, axis=1, prepend=0)
    size = need - before[:, -1] if shares.shape[1] else need
    levels, depth = stage.ascending[j], stage.book.depth
    prices = stage.supplies.price[j * len(stage.book.venues) :].reshape(-1)[levels]
    costs = 2 * (prices + np.array(stage.fees, np.int64)[levels // depth]) - now.mid2
    rows = now.through.shape[1]
    terms = 2 * joined + 6
    for k in np.flatnonzero(size > 0).tolist():
        wanted = int(size[k])
        unit = max(1, -(-rows * wanted * terms * LEAST_CAP // LIMIT))
        cap = LIMIT // (rows * -(-wanted // unit) * terms)
        under = int(parameters.lambda_under[k])
        under = UNBOUNDED if under >= UNBOUNDED else 2 * under + stage.policy.catch_up * now.catch_up // NANO
        x = np.full(joined + 1, -1, np.int64)
        given = np.minimum(now.through, wanted) // unit, left[k] // unit, np.minimum(costs, cap), np.clip(now.gain, -cap, cap)
        freeze(*given)
        over, theta = (min(2 * int(each[k]), cap) for each in (parameters.lambda_over, parameters.theta_queue))
        cost[k] = unit * solver.best(-(-wanted // unit), *given, theta, min(under, cap), over, x)
        bought = min(int(x[0]) * unit, wanted)
        limits[k] = np.minimum(x[1:] * unit, wanted - bought)
        market[k] = before[k, -1] + bought
    return _Placements(market, limits, cost, before[:, -1] if shares.shape[1] else cost)


LIMIT: Final = 2**61
LEAST_CAP: Final = 2**32
"""Costs of a share are cut at this many half 1e-9 $ (2.15 $) or more, so that sums over all samples fit 64 bits; where
an order is too large for that, shares are counted in larger units while it is decided."""


@dataclass(frozen=True, slots=True, eq=False)
class _Note:
    """A decision of the first combination, and what says later what came of it; `now` is None where `static` decided."""

    j: int
    size: int
    market: int
    now: Situation | None = None
    cost: int = 0
    bought2: int = 0
    size_left: int = 0
    market_left: int = 0
    under: int = 0
    over: int = 0
    theta: int = 0
    violated: int = 0


def _noted(
    stage: Stage, j: int, now: Situation, parameters: ParameterColumns, need: Int64, shares: Int64, made: _Placements
) -> _Note:
    """Note what the first combination decides."""
    levels, depth = stage.ascending[j], stage.book.depth
    prices = stage.supplies.price[j * len(stage.book.venues) :].reshape(-1)[levels]
    costs = 2 * (prices + np.array(stage.fees, np.int64)[levels // depth]) - now.mid2
    forced = int(made.forced[0])
    size, bought = int(need[0]) - forced, int(made.market[0]) - forced
    left = shares[0] - np.diff(np.minimum(np.cumsum(shares[0]), forced), prepend=0)
    taken = np.diff(np.minimum(np.cumsum(left), bought), prepend=0)
    under, over, theta = _penalties(stage, now, parameters)
    violated = 0
    if len(now.venues):
        least = int(costs[0]) if len(costs) else 0
        gains = now.gain.tolist()
        violated = A1 * (min(gains) <= 0) + A2 * (over <= max(gains)) + A3 * (under <= least)
    return _Note(
        j, int(need[0]), int(made.market[0]), now, int(made.cost[0]), int((taken * costs).sum()), size, bought, under,
        over, theta, violated,
    )  # fmt: skip


def _penalties(stage: Stage, now: Situation, parameters: ParameterColumns) -> tuple[int, int, int]:
    """lambda_under, with what catching up costs, lambda_over and theta of the first combination, half 1e-9 $."""
    point = parameters.take(np.arange(1))
    under, over, theta = (
        int(each[0]) for each in (point.lambda_under, point.lambda_over, point.theta_queue)
    )
    if under < UNBOUNDED:
        under = 2 * under + stage.policy.catch_up * now.catch_up // NANO
    return under, 2 * over, 2 * theta


def _placed(stage: Stage, accounts: Accounts, notes: Sequence[_Note]) -> Placed:
    """What came of the decisions of the first combination."""
    venues, moments = len(stage.book.venues), stage.moments
    agenda, cuts = stage.agenda, stage.agenda.slices
    filled = np.zeros(accounts.limits.shape[1], np.int64)
    counts = moments.kind == 0
    if accounts.done[0] >= 0:
        counts &= moments.snapshot <= accounts.cutoff[0][moments.sent % max(venues, 1)]
    np.maximum.at(filled, moments.sent[counts], moments.after[counts])
    filled = np.minimum(filled, accounts.limits[0])
    refused = np.zeros(len(filled), np.bool_)
    refused[agenda.joined[agenda.refused]] = True
    decisions, orders = [], []
    for note in notes:
        t, now = int(cuts.decided[note.j]), note.now
        if now is None:
            decisions.append([0, t, note.size, note.market, 0, 0, 0, 1, 0, 0, 0])
            continue
        sent = note.j * venues + now.venues
        limits, done = accounts.limits[0, sent], filled[sent]
        reached = note.market_left + int(done.sum())
        missed, beyond = max(note.size_left - reached, 0), max(reached - note.size_left, 0)
        realised = note.bought2 - sum(g * d for g, d in zip(now.gain.tolist(), done.tolist(), strict=True))
        realised += note.theta * (note.market_left + int(limits.sum()) + missed)
        realised += note.under * missed + note.over * beyond
        rows = now.through.shape[1]
        decisions.append(
            [0, t, note.size, note.market, int(limits.sum()), rows, now.effective, 0, note.violated,
             note.cost // rows, realised if realised < UNBOUNDED else UNBOUNDED]
        )  # fmt: skip
        for at, (v, n, shares) in enumerate(zip(now.venues.tolist(), sent.tolist(), limits.tolist(), strict=True)):
            if shares:
                expected = int(np.minimum(now.through[at], shares).sum()) * NANO // (rows * shares)
                complete = int(np.count_nonzero(now.through[at] >= shares)) * NANO // rows
                orders.append(
                    [0, t, int(stage.book.venues[v]), int(agenda.price[note.j, v]), shares,
                     int(agenda.queue[note.j, v]), expected, complete, int(filled[n]), int(refused[n]),
                     int(now.terciles[at])]
                )  # fmt: skip
    return Placed(Decisions.of(decisions), LimitOrders.of(orders))
