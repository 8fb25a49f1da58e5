"""What came of the decisions of an order: its limit orders and its costs beside what was predicted of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocator.money import NANO
from allocator.order import UNBOUNDED
from allocator.placement.cost import unmet
from allocator.placement.records import BITS, Decisions, LimitOrders, Placed
from allocator.queues import FULL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Int64
    from allocator.kernels.slices import Accounts
    from allocator.placement.situation import Situation
    from allocator.placement.stage import Stage


class Penalties(NamedTuple):
    """Of a share missed, of one too many, and of one sent; half 1e-9 $, `UNBOUNDED` or more where infinite."""

    under: int
    over: int
    theta: int


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """A decision of one combination.

    Attributes
    ----------
    j : int
    size : int
        Shares to be placed.
    forced, bought : int
        Shares of the market order: those that had to be bought, and the others.
    now : Situation, optional
        None = `static` decided.
    shares : (S,) int64, optional
        What could be bought of each level, the cheapest first.
    penalties : Penalties, optional
    """

    j: int
    size: int
    forced: int
    bought: int
    now: Situation | None = None
    shares: Int64 | None = None
    penalties: Penalties | None = None


def aftermath(stage: Stage, accounts: Accounts, notes: Sequence[Note]) -> Placed:
    """What came of the decisions of the first combination of a block.

    Parameters
    ----------
    stage : Stage
    accounts : Accounts
        At the order's end.
    notes : sequence of Note
    """
    venues, moments = len(stage.book.venues), stage.moments
    agenda, cuts = stage.agenda, stage.agenda.slices
    filled = np.zeros(accounts.limits.shape[1], np.int64)
    counts = moments.kind == 0
    if accounts.done[0] >= 0:
        counts &= moments.snapshot <= accounts.cutoff[0][moments.sent % max(venues, 1)]
    np.maximum.at(filled, moments.sent[counts], moments.after[counts])
    filled = np.minimum(filled, accounts.limits[0])
    whole, through = counts & (moments.after == FULL), np.zeros_like(filled)
    of = moments.sent[whole]
    through[of] = filled[of] - np.minimum(moments.before[whole], accounts.limits[0, of])
    refused = np.zeros(len(filled), np.bool_)
    refused[agenda.joined[agenda.refused]] = True
    decisions, orders = [], []
    for note in notes:
        t, now = int(cuts.decided[note.j]), note.now
        market = note.forced + note.bought
        if now is None or note.shares is None or note.penalties is None:
            decisions.append([0, t, note.size, market, 0, 0, 0, 1, 0, 0, 0])
            continue
        sent, costs = note.j * venues + now.venues, 2 * stage.costs[note.j] - now.mid2
        limits, done = accounts.limits[0, sent], filled[sent]
        left = note.shares - np.diff(np.minimum(np.cumsum(note.shares), note.forced), prepend=0)
        taken = np.diff(np.minimum(np.cumsum(left), note.bought), prepend=0)
        market_cost = sum(c * shares for c, shares in zip(costs.tolist(), taken.tolist(), strict=True))
        predicted, realised = (
            _mean_cost(note, note.penalties, now.gain, market_cost, limits, fills)
            for fills in (np.minimum(now.through, limits[:, None]), done[:, None])
        )
        under, over, _ = note.penalties
        taking = int(costs[0]) if len(costs) else None
        names = unmet(now.gain.tolist(), taking, under, over) if len(now.venues) else ()
        violated = sum(BITS[name] for name in names)
        rows = now.through.shape[1]
        decisions.append(
            [0, t, note.size, market, int(limits.sum()), rows, now.effective, 0, violated,
             predicted, realised]
        )  # fmt: skip
        for at, (v, n, shares) in enumerate(zip(now.venues.tolist(), sent.tolist(), limits.tolist(), strict=True)):
            if shares:
                expected = int(np.minimum(now.through[at], shares).sum()) * NANO // (rows * shares)
                complete = int(np.count_nonzero(now.through[at] >= shares)) * NANO // rows
                orders.append(
                    [0, t, int(stage.book.venues[v]), int(agenda.price[note.j, v]), shares,
                     int(agenda.queue[note.j, v]), expected, complete, int(filled[n]), int(refused[n]),
                     int(now.terciles[at]), int(through[n])]
                )  # fmt: skip
    return Placed(Decisions.of(decisions), LimitOrders.of(orders))


def _mean_cost(
    note: Note, penalties: Penalties, gain: Int64, market_cost: int, limits: Int64, fills: Int64
) -> int:  # fmt: skip
    """The mean of v over N samples of what K limit orders fill, rounded down, `UNBOUNDED` at most; half 1e-9 $.

    Penalties count in full: a solver that has to keep to 64 bits may cut them.

    Parameters
    ----------
    note, penalties
        Of the decision.
    gain : (K,) int64
        Half 1e-9 $ per share filled.
    market_cost : int
        Of the shares bought beside those that had to be.
    limits : (K,) int64
    fills : (K, N) int64
    """
    samples, size = fills.shape[1], note.size - note.forced
    reached = note.bought + fills.sum(axis=0)
    missed, beyond = int(np.maximum(size - reached, 0).sum()), int(np.maximum(reached - size, 0).sum())
    total = samples * (market_cost + penalties.theta * (note.bought + int(limits.sum())))
    total += (penalties.theta + penalties.under) * missed + penalties.over * beyond
    total -= sum(g * shares for g, shares in zip(gain.tolist(), fills.sum(axis=1).tolist(), strict=True))
    mean: int = total // samples
    return min(mean, UNBOUNDED)
