"""An order that is placed slice by slice, made ready: all that any combination meets, in the form that kernels take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allocator.book import freeze
from allocator.engine import band_edge
from allocator.placement.agenda import Agenda, agenda_of, sold_back
from allocator.placement.situation import Situation, past_outflow, situation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book, Int64
    from allocator.kernels.delayed import Latency
    from allocator.kernels.slices import Moments, Supplies, Terms
    from allocator.order import Order, Rules
    from allocator.placement.policy import Placement


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
        The levels of each of these, venue * D + level, by cost.
    sold_back : (J + 1, 4) int64
        The snapshot of each of these, twice the mid there, and what `allocator.placement.agenda.sold_back` says of it.
    costs : (J + 1,) tuple of (S,) int64
        These costs, signed, 1e-9 $ per share.
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
    sold_back: Int64
    costs: tuple[Int64, ...]
    edges: tuple[int, ...]
    moments: Moments
    ends: tuple[int, ...]
    terms: Terms
    latency: Latency

    def prices(self, j: int) -> Int64:
        """(S,) int64, the signed prices of the levels of a decision, 1e-9 $, by cost."""
        venues = len(self.book.venues)
        prices: Int64 = self.supplies.price[j * venues : (j + 1) * venues].reshape(-1)[self.ascending[j]]
        return prices


def stage_of(
    book: Book, order: Order, rules: Rules, policy: Placement, fees: Sequence[int], stood: Int64 | None = None
) -> Stage:
    """Prepare an order.

    Parameters
    ----------
    book, order, rules, policy, fees
        As `allocator.simulate.run_combinations`.
    stood : (T,) int64, optional
        `allocator.fills.stood_mids` of the book, where it matters where the mid was when something filled.
    """
    from allocator.kernels import slices as kernels
    from allocator.runners import quoted_in_flight

    agenda = agenda_of(book, order, rules, policy)
    cuts, venues = agenda.slices, len(book.venues)
    decided, first = cuts.decided, agenda.first
    situations: list[Situation | None] = []
    if len(decided):
        history = past_outflow(book, order, rules, policy, fees, int(decided[-1]))
        situations = [situation(book, order, rules, policy, agenda, history, j) for j in range(len(decided))]
    stood = book.mid2 if stood is None else stood
    quotes, prices, _, latency = quoted_in_flight(book, order, rules, fees, stood)
    snapshots = np.append(decided, [cuts.past - 1] if len(decided) else []).astype(np.int64)

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
    ascending, costs, edges = [], [], []
    for j in range(len(snapshots)):
        rows = slice(j * venues, (j + 1) * venues)
        cost, shown = (supplies.price[rows].reshape(-1) + paid), supplies.shares[rows].reshape(-1) > 0
        levels = np.flatnonzero(shown)
        levels = levels[np.lexsort((-levels, cost[levels]))]
        freeze(levels)
        ascending.append(levels)
        costs.append(cost[levels])
        edges.append(_edge_at(rules, supplies.price[rows][supplies.shares[rows] > 0]))
    moments, ends = moments_of(book, order, fees, agenda, late, stood)
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
        np.stack([snapshots, stood[snapshots], *sold_back(book, order.side, fees, first, snapshots)], axis=1),
        tuple(costs), tuple(edges), moments, ends, terms, latency,
    )  # fmt: skip


def _edge_at(rules: Rules, prices: Int64) -> int:
    """The dearest signed price within the band of the leftover rule."""
    from allocator.kernels.slices import ANY

    edge = band_edge(int(prices.min()), rules) if len(prices) else None
    return ANY if edge is None else edge


def moments_of(
    book: Book, order: Order, fees: Sequence[int], agenda: Agenda, late: Int64, stood: Int64
) -> tuple[Moments, tuple[int, ...]]:
    """The moments of an agenda and of the children that take time, and how many there are before each decision.

    Parameters
    ----------
    book, order, fees
        As `allocator.simulate.run_combinations`.
    agenda : Agenda
    late : (L,) int64
        Slice * V + venue of the children that take time and arrive.
    stood : (T,) int64
        As of `stage_of`.
    """
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
        kind[by_time], snapshot, sent[by_time], before[by_time], after[by_time], stood[snapshot],
        *sold_back(book, order.side, fees, agenda.first, snapshot),
    )  # fmt: skip
    freeze(*moments)
    return moments, tuple(np.searchsorted(snapshot, agenda.slices.decided, "right").tolist())
