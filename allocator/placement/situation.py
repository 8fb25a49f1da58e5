"""What a slice is decided on, whatever the parameters: past outflows, gains and costs. Money in half 1e-9 $."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.money import NANO, SUM_LIMIT
from allocator.order import SIGN
from allocator.outflow import outflow
from allocator.placement.policy import FEWEST_SAMPLES, SECOND
from allocator.posting import joinable
from allocator.queues import QueueRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.book import Book, Int64
    from allocator.order import Order, Rules
    from allocator.outflow import Outflow
    from allocator.placement.agenda import Agenda
    from allocator.placement.policy import Placement

WINDOWS_PER_SLICE: Final = 6
"""How many windows of past outflows begin within the length of one; no more than one a second."""


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """A decision's market; K venues can be joined.

    Attributes
    ----------
    venues : (K,) int64
        Indices.
    mid2 : int
        Twice the mid, signed, 1e-9 $.
    gain : (K,) int64
        What a passive fill gains beyond the mid: the distance of its price, the rebate, less adverse selection.
    through : (K, N) int64
        Shares that would have passed the front of our place in each of N past windows, at most the order's size.
    catch_up : int
        What a share that is missed costs beyond the mid at the end of a slice, as measured.
    effective : int
        1e-9 of rows: how many windows that do not overlap cover as much time as the rows do.
    terciles : (K,) int64
        Of the queue to be joined, 0 to 2, among those that past windows joined at the venue.
    """

    venues: Int64
    mid2: int
    gain: Int64
    through: Int64
    catch_up: int
    effective: int
    terciles: Int64


def stride_of(length: int) -> int:
    """Nanoseconds between the starts of past windows of a length."""
    return max(SECOND, length // WINDOWS_PER_SLICE)


def _back(length: int) -> int:
    """How many windows before one is the last that had ended when it began."""
    return -(-length // stride_of(length))


def past_outflow(book: Book, order: Order, rules: Rules, policy: Placement, fees: Sequence[int], last: int) -> Outflow:
    """The windows that any decision of an order up to a snapshot may look at.

    Parameters
    ----------
    book, order, rules, policy, fees
        As `allocator.simulate.run_combinations`.
    last : int
        The snapshot of the last decision.
    """
    stride, begin = stride_of(policy.slice), int(book.ts[0]) if len(book.ts) else order.start
    # as many as are looked at, and before them what tells how busy the market was
    before = policy.samples * _SPARE + _back(policy.slice)
    now = int(book.ts[last]) if len(book.ts) else begin
    past = max((now - policy.slice - begin) // stride + 1, 0)
    first = max((order.start - policy.slice - begin) // stride + 1 - before, 0)
    queue_rules = QueueRules(rules.phi, rules.rho)
    return outflow(
        book, order.side, fees, policy.slice, stride, policy.posting, queue_rules, min(first, past), past
    )  # fmt: skip


_SPARE: Final = 2
"""Windows in which nothing can be posted are passed over: so many times the samples are looked at for them."""


def situation(
    book: Book,
    order: Order,
    rules: Rules,
    policy: Placement,
    agenda: Agenda,
    history: Outflow,
    j: int,
) -> Situation | None:
    """What the decision j of an order is made on; None where nothing can be made of the past, or there is no mid.

    Parameters
    ----------
    book, order, rules, policy
        As `allocator.simulate.run_combinations`.
    agenda : Agenda
    history : Outflow
        `past_outflow`; windows that end after the decision play no part.
    j : int
    """
    t, sign = int(agenda.slices.decided[j]), SIGN[order.side]
    now, mid2 = int(book.ts[t]), sign * int(book.mid2[t])
    rows = np.flatnonzero(history.usable & (history.end <= now))[-policy.samples :]
    if not mid2 or len(rows) < FEWEST_SAMPLES:
        return None
    if policy.condition != "none":
        rows = _alike(book, order, policy, history, rows, t)
    venues = np.flatnonzero(agenda.price[j])
    price, queue = agenda.price[j, venues], agenda.queue[j, venues]
    out = history.xi[rows][:, venues]
    moved = sign * (history.mid2_start - history.mid2_end)[rows]
    through = np.clip(out - queue, 0, order.size)
    rebate = -np.array(rules.maker_fees.of(book.venues[venues].tolist()), np.int64)
    gain = mid2 - 2 * sign * price + 2 * rebate
    if policy.adverse == "measured":
        gain = gain - _adverse(through > 0, moved)
    nominal = -(-order.size // agenda.slices.count)
    starts = history.start[rows]
    return Situation(
        venues,
        mid2,
        gain,
        np.ascontiguousarray(through.T),
        _catch_up(through, nominal, sign, history, rows),
        _covered(starts, policy.slice) * NANO // policy.slice,
        _terciles(book, order, policy, starts, venues, queue),
    )


def _covered(starts: Int64, length: int) -> int:
    """The nanoseconds that windows of a length look at; those of several count once."""
    return int(np.minimum(np.diff(starts), length).sum()) + length


def _adverse(filled: NDArray[np.bool_], moved: Int64) -> Int64:
    """(K,) int64, the mean move of twice the mid against us in the windows in which a queue let us in; 0 or more."""
    counts = filled.sum(axis=0)
    sums = (filled * moved[:, None]).sum(axis=0)
    return np.where(counts > 0, np.maximum(sums, 0) // np.maximum(counts, 1), 0)


def _catch_up(through: Int64, nominal: int, sign: int, history: Outflow, rows: NDArray[np.intp]) -> int:
    """The mean cost of a share at the end of a window, beyond twice the mid at its start; 0 or more.

    Windows count by the shares that limit orders of a whole slice at every queue would have missed in them: where these
    fill, nobody has to catch up. Where nothing is ever missed all count alike.
    """
    cost2 = history.c2_end[rows]
    beyond = cost2 - sign * history.mid2_start[rows]
    missed = nominal - np.minimum(np.minimum(through, nominal).sum(axis=1), nominal)
    weights = np.where(cost2 != 0, missed, 0)
    if not weights.any():
        weights = (cost2 != 0).astype(np.int64)
    total = int(weights.sum())
    if not total:
        return 0
    if nominal < SUM_LIMIT // (len(rows) * max(int(np.abs(beyond).max()), 1)):
        sums = int((weights * beyond).sum())
    else:  # beyond 64 bits
        sums = sum(w * b for w, b in zip(weights.tolist(), beyond.tolist(), strict=True))
    return max(sums // total, 0)


def _alike(
    book: Book, order: Order, policy: Placement, history: Outflow, rows: NDArray[np.intp], t: int
) -> NDArray[np.intp]:
    """Those of some windows that are in the tercile of now, by queue, volume or both; all where these are too few."""
    alike = np.ones(len(rows), np.bool_)
    if policy.condition in {"queue", "both"}:
        alike &= _same_tercile(
            history.queue[rows], int(joinable(book, order.side, policy.posting, np.array([t]))[1].sum())
        )
    if policy.condition in {"volume", "both"}:
        # of the window that had ended when each one began; before the first ones nothing is known
        ended = rows - _back(policy.slice)
        known = ended >= 0
        done = np.flatnonzero(history.end <= int(book.ts[t]))
        alike &= known
        alike[known] &= _same_tercile(history.volume[ended[known]], int(history.volume[done[-1]]))
    return rows[alike] if np.count_nonzero(alike) >= FEWEST_SAMPLES else rows


def _terciles(book: Book, order: Order, policy: Placement, starts: Int64, venues: Int64, queue: Int64) -> Int64:
    """(K,) int64, in which third of the queues of past windows those of now lie."""
    began = np.maximum(book.ts.searchsorted(starts, "right") - 1, 0)
    past = joinable(book, order.side, policy.posting, began)[1][:, venues]
    of: Int64 = (past < queue).sum(axis=0) * 3 // (len(starts) + 1)
    return of


def _same_tercile(values: Int64, now: int) -> NDArray[np.bool_]:
    """(N,) bool, which values lie in the same third of them as a value of now."""
    if not len(values):
        return np.zeros(0, np.bool_)
    low, high = np.sort(values)[[len(values) // 3, 2 * len(values) // 3]]
    same: NDArray[np.bool_] = ((values >= low).astype(int) + (values >= high)) == int(now >= low) + int(now >= high)
    return same
