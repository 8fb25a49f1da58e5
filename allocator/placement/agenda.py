"""What happens to an order that is placed slice by slice, whatever its parameters: one agenda for all combinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.flight import drawn
from allocator.posting import posted
from allocator.queues import Joins, QueueRules, cleared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.book import Book, Int64
    from allocator.order import Latency, Order, Rules, Side
    from allocator.placement.policy import Placement

NOWHERE: Final = -(2**62)
"""In place of proceeds where no quote ever stood on the other side."""


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """When an order is decided on, J times, and when what is sent meets each of V venues.

    Attributes
    ----------
    number : (J,) int64
        Of the slice, counted from 0; of slices that begin at one snapshot only the last one decides.
    count : int
        Slices of the order, those that do not decide included.
    decided : (J,) int64
        The snapshot of each decision.
    arrivals : (J, V) int64
        The first snapshot that a message meets which is sent there; messages to a venue keep their order.
    past : int
        The snapshot after the order's last one.
    """

    number: Int64
    count: int
    decided: Int64
    arrivals: Int64
    past: int


def slices_of(book: Book, order: Order, length: int, latency: Latency) -> Slices:
    """Cut an order's span into slices of some nanoseconds."""
    first, past = book.span(order)
    count = max(1, -(-(order.end - order.start) // length))
    if first == past:
        none = np.empty(0, np.int64)
        return Slices(none, count, none, np.empty((0, len(book.venues)), np.int64), past)
    starts = order.start + length * np.arange(count)
    at = book.ts.searchsorted(starts)
    # a slice without a snapshot leaves its shares to the next one
    number = np.flatnonzero((at < past) & np.append(at[1:] != at[:-1], [True]))
    decided = at[number]
    arrivals = np.maximum.accumulate(_arrivals(book, decided, latency), axis=0)
    return Slices(number, count, decided, arrivals, past)


def _arrivals(book: Book, snapshots: Int64, latency: Latency) -> Int64:
    """(N, V) int64, the first snapshot that a message meets; as `allocator.flight.Flight.arrival`."""
    choices = latency.of(book.venues.tolist())
    if not latency.delays:
        return np.repeat(snapshots[:, None], len(choices), axis=1)
    ids, waits = book.venues.tolist(), np.zeros((len(snapshots), len(choices)), np.int64)
    for row, ts in zip(waits, book.ts[snapshots].tolist(), strict=True):
        row[:] = [each[drawn(latency.seed, ts, v, len(each))] for v, each in zip(ids, choices, strict=True)]
    later: Int64 = book.ts.searchsorted(book.ts[snapshots][:, None] + waits)
    return np.where(waits == 0, snapshots[:, None], later)


@dataclass(frozen=True, slots=True, eq=False)
class Agenda:
    """All that happens to an order, whatever its combination.

    Attributes
    ----------
    slices : Slices
    price, queue : (J, V) int64
        Of the limit order that a slice may send to a venue: its price in 1e-9 $, 0 = none can be sent; the shares that
        are displayed there at the decision.
    joined : (N,) int64
        Slice * V + venue of the limit orders that arrive, and of which some may rest.
    refused : (N,) bool
        Which of them would have taken at once, and are not posted.
    passed : (E, 4) int64
        Snapshot, slice * V + venue, shares that passed the queue of this limit order before, and with this moment;
        ascending.
    first : int
        The order's first snapshot.
    """

    slices: Slices
    price: Int64
    queue: Int64
    joined: Int64
    refused: NDArray[np.bool_]
    passed: Int64
    first: int


def agenda_of(book: Book, order: Order, rules: Rules, policy: Placement) -> Agenda:
    """Look at all that an order meets.

    Parameters
    ----------
    book, order, rules, policy
        As `allocator.simulate.run_combinations`.
    """
    slices = slices_of(book, order, policy.slice, rules.latency)
    venues = len(book.venues)
    price, queue = posted(book, order.side, policy.posting, slices.decided)
    ends = np.append(slices.arrivals[1:], np.full((min(1, len(price)), venues), slices.past - 1), axis=0) + 1
    sent = np.flatnonzero((price != 0) & (slices.arrivals < np.minimum(ends, slices.past)))
    joins = Joins(
        venue=sent % max(venues, 1),
        joined=slices.arrivals.reshape(-1)[sent],
        past=np.minimum(ends, slices.past).reshape(-1)[sent],
        price=price.reshape(-1)[sent],
        ahead=queue.reshape(-1)[sent],
    )
    done = cleared(book, order.side, joins, QueueRules(rules.phi, rules.rho))
    # what passed a queue before each moment is what had passed it with the moment before
    by_order = np.lexsort((done.snapshot, done.order))
    own, through = done.order[by_order], done.through[by_order]
    before = np.zeros_like(through)
    before[1:] = np.where(own[1:] == own[:-1], through[:-1], 0)
    back = np.empty_like(by_order)
    back[by_order] = np.arange(len(by_order))
    passed = np.stack([done.snapshot, sent[done.order], before[back], done.through], axis=1).reshape(-1, 4)
    return Agenda(slices, price, queue, sent, done.refused, passed, book.span(order)[0])


def sold_back(book: Book, side: Side, fees: Sequence[int], first: int, snapshots: Int64) -> tuple[Int64, Int64]:
    """What a share fetches that is sold back at some snapshots, of which none is before the first.

    Returns
    -------
    proceeds : (N,) int64
        Signed, after the fee, at the best quote that last stood on the other side since the first snapshot, 1e-9 $;
        `NOWHERE` where none did.
    fee : (N,) int64
        1e-9 $.
    """
    taken, paid = book.take_side(side), np.array(fees, np.int64)
    if not len(snapshots) or not len(paid):
        return np.full(len(snapshots), NOWHERE), np.zeros(len(snapshots), np.int64)
    at = snapshots
    if not (taken.other_ticks[at] != 0).any(axis=1).all():
        shown = (taken.other_ticks[first : int(at.max()) + 1] != 0).any(axis=1)
        last = np.maximum.accumulate(np.where(shown, np.arange(len(shown)), -1))
        at = first + np.maximum(last[at - first], 0)
    ticks = taken.other_ticks[at]
    signed = np.where(ticks != 0, taken.sign * (book.base + book.tick * ticks.astype(np.int64)), NOWHERE)
    best = signed.argmax(axis=1)  # the first of equals has the lowest id
    top, fee = signed[np.arange(len(best)), best], paid[best]
    return np.where(top == NOWHERE, NOWHERE, top - fee), np.where(top == NOWHERE, 0, fee)
