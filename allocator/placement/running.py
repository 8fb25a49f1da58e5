"""Runs an order slice by slice for many combinations at once, compiled; the rows equal `allocator.placement.plain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.book import freeze
from allocator.money import NANO
from allocator.order import UNBOUNDED
from allocator.placement.aftermath import Note, Penalties, aftermath

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allocator.book import Int64
    from allocator.kernels.slices import Accounts
    from allocator.order import ParameterColumns
    from allocator.placement.records import Placed
    from allocator.placement.situation import Situation
    from allocator.placement.stage import Stage

BLOCK: Final = 64
"""Combinations that are run together: their accounts fit a second-level cache."""

RECORDS: Final = 64
"""Levels of which a combination can have taken shares, at first."""

TRAIL: Final = 4096
"""Fills that there is room for at first."""


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
    return accounts.sums[0], accounts.trail[: accounts.tally[0]].copy(), aftermath(stage, accounts, notes)


def _run_block(stage: Stage, parameters: ParameterColumns, trail: int) -> tuple[Accounts, list[Note]]:
    """Run combinations together, once more where there was no room for what they took."""
    room = RECORDS
    while True:
        accounts, notes = _run_with(stage, parameters, room, trail)
        fills, lacked = accounts.tally.tolist()
        if not lacked and (not trail or fills <= trail):
            return accounts, notes
        room, trail = room * (1 + lacked), max(trail, fills) if trail else 0


def _run_with(stage: Stage, parameters: ParameterColumns, room: int, trail: int) -> tuple[Accounts, list[Note]]:
    from allocator.kernels import slices as kernels
    from allocator.kernels import walk

    count, venues = len(parameters), len(stage.book.venues)
    cuts, size = stage.agenda.slices, stage.order.size
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
    notes: list[Note] = []
    advanced = 0
    for j, t in enumerate(cuts.decided.tolist()):
        kernels.advance(stage.moments, advanced, stage.ends[j], stage.terms, stage.latency, stage.met, accounts)
        advanced = stage.ends[j]
        sent_for = accounts.sums[:, walk.FILLED] - accounts.sums[:, walk.OVER] + accounts.flying
        number = int(cuts.number[j])
        need = np.where(accounts.done == kernels.NONE, np.maximum(size * (number + 1) // cuts.count - sent_for, 0), 0)
        forced = np.zeros(count, np.int64)
        if stage.policy.at_T == "buy":
            forced = np.minimum(np.maximum(size * number // cuts.count - sent_for, 0), need)
        situation = stage.situations[j]
        shares = np.zeros((count, len(stage.ascending[j])), np.int64)
        edge = kernels.ANY if situation is None else stage.edges[j]
        kernels.offer(stage.supplies, j * venues, stage.ascending[j], edge, accounts, shares)
        if situation is None:
            wanted = need
            shares = _as_static(stage, j, need, forced, shares, parameters)
        else:
            placed = _place(stage, j, situation, need, forced, shares, parameters)
            wanted = placed.market
            accounts.limits[:, j * venues + situation.venues] = placed.limits
            if trail and need[0]:
                bound, bought = int(placed.forced[0]), int((placed.market - placed.forced)[0])
                notes.append(Note(j, int(need[0]), bound, bought, situation, shares[0].copy(), placed.of_first))
        if situation is None and trail and need[0]:
            notes.append(Note(j, int(need[0]), 0, int(shares[0].sum())))
        _send(stage, j, shares, wanted, j * venues, accounts)
        arrivals = np.ascontiguousarray(cuts.arrivals[j])
        freeze(arrivals)
        kernels.post(t, stage.terms, stage.latency, arrivals, accounts)
    moments = len(stage.moments.kind)
    kernels.advance(stage.moments, advanced, moments, stage.terms, stage.latency, stage.met, accounts)
    if len(cuts.decided):
        _complete(stage, accounts)
    return accounts, notes


def _send(
    stage: Stage, j: int, shares: Int64, wanted: Int64, first_sent: int, accounts: Accounts
) -> None:  # fmt: skip
    from allocator.kernels import slices as kernels

    venues, market = len(stage.book.venues), np.ascontiguousarray(stage.sold_back[j])
    to = stage.agenda.slices.arrivals
    arrivals = np.full(venues, market[0]) if first_sent == kernels.NONE else np.ascontiguousarray(to[j])
    freeze(shares, wanted, market, arrivals)
    kernels.send(
        stage.supplies, j * venues, stage.ascending[j], shares, wanted, market, first_sent, arrivals, stage.terms,
        accounts,
    )  # fmt: skip


def _complete(stage: Stage, accounts: Accounts) -> None:
    """Buy what is missing by the leftover rule, which takes no time, whatever is still on its way."""
    from allocator.kernels import slices as kernels
    from allocator.kernels import walk

    j = len(stage.agenda.slices.decided)
    wanted = np.maximum(stage.order.size - accounts.sums[:, walk.FILLED] + accounts.sums[:, walk.OVER], 0)
    shares = np.zeros((len(wanted), len(stage.ascending[j])), np.int64)
    if stage.rules.leftover == "sweep":
        kernels.offer(
            stage.supplies, j * len(stage.book.venues), stage.ascending[j], stage.edges[j], accounts, shares
        )  # fmt: skip
    elif shares.shape[1]:  # at the best quote, whatever size it shows
        best = np.lexsort((stage.ascending[j], stage.prices(j)))[0]
        shares[:, best] = wanted
    _send(stage, j, shares, wanted, kernels.NONE, accounts)


def _as_static(
    stage: Stage, j: int, need: Int64, forced: Int64, shares: Int64, parameters: ParameterColumns
) -> Int64:  # fmt: skip
    """(K, S) int64, what is bought of each level where `static` decides, and the rest of what has to be bought."""
    if not shares.shape[1]:
        return shares
    within = np.where(_within_tau(stage, j, shares, parameters), shares, 0)
    wanted = _cheapest(within, need)
    left = np.where(stage.prices(j) <= stage.edges[j], shares - wanted, 0)
    return wanted + _cheapest(left, np.maximum(forced - wanted.sum(axis=1), 0))


def _cheapest(shares: Int64, wanted: Int64) -> Int64:
    """(K, S) int64, what (K,) shares wanted take of the levels that come first."""
    return np.diff(np.minimum(np.cumsum(shares, axis=1), wanted[:, None]), axis=1, prepend=0)


def _within_tau(stage: Stage, j: int, shares: Int64, parameters: ParameterColumns) -> NDArray[np.bool_]:
    """(K, S) bool, which levels `static` takes of at a decision."""
    t, cost2 = int(stage.agenda.slices.decided[j]), 2 * stage.costs[j]
    sign, count = stage.order.sign, len(shares)
    reference2, known = np.zeros(count, np.int64), np.ones(count, np.bool_)
    arrival_at, arrival2 = stage.book.arrival(stage.order)
    match stage.policy.reference:
        case "touch":
            reference2[:] = cost2[0] if len(cost2) else 0
        case "best":
            known[:] = (shares > 0).any(axis=1)
            reference2[:] = cost2[(shares > 0).argmax(axis=1)] if len(cost2) else 0
        case "mid":
            reference2[:], known[:] = sign * stage.book.mid2[t], stage.book.mid2[t] != 0
        case _:
            reference2[:], known[:] = sign * arrival2, t >= arrival_at
    return known[:, None] & (cost2[None] - reference2[:, None] <= 2 * parameters.tau[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class _Placements:
    """What K combinations decide.

    Attributes
    ----------
    market : (K,) int64
        Shares to be bought at once.
    limits : (K, venues) int64
        Shares of the limit orders.
    forced : (K,) int64
        Shares that have to be bought, whatever is decided.
    of_first : Penalties
        Of the first combination.
    """

    market: Int64
    limits: Int64
    forced: Int64
    of_first: Penalties


def _place(
    stage: Stage, j: int, now: Situation, need: Int64, forced: Int64, shares: Int64, parameters: ParameterColumns
) -> _Placements:
    """Solve each combination's problem."""
    from allocator.kernels import placement as solver

    count, joined = len(need), len(now.venues)
    # what has to be bought is taken first, the cheapest of it
    first = _cheapest(shares, forced)
    left, size = shares - first, need - first.sum(axis=1)
    costs = 2 * stage.costs[j] - now.mid2
    under, over, theta = penalties = _penalties(stage, now, parameters)
    x = np.full((count, joined + 1), -1, np.int64)
    given = size, now.through, left, costs, now.gain, theta, under, over
    freeze(*given)
    solver.best_each(*given, x)
    forced = need - size
    return _Placements(forced + x[:, 0], x[:, 1:], forced, Penalties(*(int(each[0]) for each in penalties)))


def _penalties(stage: Stage, now: Situation, parameters: ParameterColumns) -> tuple[Int64, Int64, Int64]:
    """(K,) int64 each: lambda_under and what catching up costs beside it, lambda_over, theta; half 1e-9 $."""
    under = 2 * parameters.lambda_under + stage.policy.catch_up * now.catch_up // NANO
    under = np.where(parameters.lambda_under >= UNBOUNDED, UNBOUNDED, under)
    return under, 2 * parameters.lambda_over, 2 * parameters.theta_queue
