"""Sums over many parent orders: of money and shares, of the parts of their shortfall, and of what one saves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from allocator.order import FIELDS, SIGN, Execution, execution_of
from allocator.shortfall import Shortfall, leftover_loss, loss, shortfall
from sweep.statistics.filling import Filling, filling, rebates

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from allocator.fills import VenueFills
    from allocator.order import Order
    from allocator.placement.records import Placed
    from allocator.shortfall import Trace

FILLED, OVERFILLED, TOTAL = (FIELDS.index(name) for name in ("filled", "overfilled", "total_cash"))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How N orders filled by one strategy.

    Attributes
    ----------
    rows : (N, 8) int64
        The columns of `allocator.order.FIELDS`.
    traces : (N,) tuple of Trace
        None of a bound, which does not trade.
    venues : tuple of VenueFills
        Sums of the fills of each order that are known, as they arrived, some orders after others: of many orders they
        are most of what is held, so they are joined where they are used.
    completion : (N, 10) int64
        As of `allocator.fills.completion`; 0 of those that are not.
    waited : (N,) tuple of int
        As of `allocator.fills.waited`; None where the fills of an order are unknown: of a bound, where they are of
        parts of a share, and where they were not kept.
    passive : tuple of VenueFills
        Sums of the passive fills alone; () where there are none.
    placed : tuple of Placed
        What the policy `placement` decided and sent, some orders after others; () of any other.
    lookahead : bool
        Whether it used what nobody knows at the time.
    """

    rows: NDArray[np.int64]
    traces: tuple[Trace | None, ...]
    venues: tuple[VenueFills, ...]
    completion: NDArray[np.int64]
    waited: tuple[int | None, ...]
    passive: tuple[VenueFills, ...] = ()
    placed: tuple[Placed, ...] = ()
    lookahead: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """One strategy over all orders.

    Attributes
    ----------
    execution : Execution
        Sums, whatever the side.
    signed_cash : int
        Total cash paid less total cash received, 1e-9 $: the less the better.
    loss, leftover : int, optional
        Against the arrival mids, and the part of it that unfilled shares make, half 1e-9 $; None where an order has no
        arrival mid.
    parts : Shortfall, optional
        The same in parts; None of a bound, too, which does not trade.
    first, last : int, optional
        Instants of the first and the last fill of all, UTC nanoseconds.
    rebates : int, optional
        The part of the fees that is below 0, 1e-9 $; None where fills are unknown.
    filling : Filling, optional
        None where fills are unknown.
    lookahead : bool
        Of `Outcome`.
    """

    execution: Execution
    signed_cash: int
    loss: int | None = None
    leftover: int | None = None
    parts: Shortfall | None = None
    first: int | None = None
    last: int | None = None
    rebates: int | None = None
    filling: Filling | None = None
    lookahead: bool = False


def total(orders: Sequence[Order], outcome: Outcome, arrivals: Sequence[int]) -> Total:
    """Add up one strategy's orders.

    Parameters
    ----------
    orders : sequence of Order
    outcome : Outcome
    arrivals : sequence of int
        Twice the arrival mid of each order, 1e-9 $; 0 = none.
    """
    rows = outcome.rows.tolist()
    sums = execution_of([sum(column) for column in zip(*rows, strict=True)])
    signed_cash = sum(order.sign * row[TOTAL] for order, row in zip(orders, rows, strict=True))
    filled = filling(orders, outcome)
    without = Total(
        sums,
        signed_cash,
        first=_first(outcome.traces),
        last=_last(outcome.traces),
        rebates=None if filled is None else sum(rebates(outcome).tolist()),
        filling=filled,
        lookahead=outcome.lookahead,
    )
    if not all(arrivals):
        return without
    runs = [(order, execution_of(row), arrival2) for order, row, arrival2 in zip(orders, rows, arrivals, strict=True)]
    parts = None
    if None not in outcome.traces:
        split = [
            shortfall(order, run, trace, arrival2)
            for (order, run, arrival2), trace in zip(runs, outcome.traces, strict=True)
            if trace is not None
        ]
        parts = Shortfall(*(sum(getattr(each, name) for each in split) for name in Shortfall.__slots__))
    return replace(
        without, loss=sum(loss(*run) for run in runs), leftover=sum(leftover_loss(*run) for run in runs), parts=parts
    )


def timings(orders: Sequence[Order], outcome: Outcome, arrivals: Sequence[int]) -> list[int] | None:
    """What of each order's loss against its arrival mid is timing, half 1e-9 $; None where any part is unknown.

    Parameters
    ----------
    orders : (N,) sequence of Order
    outcome : Outcome
        How these filled.
    arrivals : (N,) sequence of int
        Twice their arrival mids, 1e-9 $; 0 = there is none.
    """
    if not all(arrivals) or None in outcome.traces:
        return None
    rows = zip(orders, outcome.rows.tolist(), outcome.traces, arrivals, strict=True)
    return [
        shortfall(order, execution_of(row), trace, arrival2).timing
        for order, row, trace, arrival2 in rows
        if trace is not None
    ]


def _first(traces: Sequence[Trace | None]) -> int | None:
    return min((trace.first for trace in traces if trace is not None and trace.first is not None), default=None)


def _last(traces: Sequence[Trace | None]) -> int | None:
    return max((trace.last for trace in traces if trace is not None and trace.last is not None), default=None)


def shares_of(outcome: Outcome) -> int:
    """Shares that a strategy fills of all orders, less those that it overfills."""
    filled: list[int] = (outcome.rows[:, FILLED] - outcome.rows[:, OVERFILLED]).tolist()
    return sum(filled)


def savings_of(
    orders: Sequence[Order], optimized: NDArray[np.int64], baseline: NDArray[np.int64]
) -> tuple[float | None, float | None]:
    """The mean over some orders of what each saves, in basis points of the baseline's cash, and its standard error.

    Parameters
    ----------
    orders : sequence of Order
    optimized, baseline : (N, 8) int64
        Their rows, the columns of `allocator.order.FIELDS`.

    Returns
    -------
    mean, standard_error : float, optional
        The standard error takes orders as independent; None of a single order. Both None where a baseline's cash is 0.
    """
    pairs = zip(orders, optimized[:, TOTAL].tolist(), baseline[:, TOTAL].tolist(), strict=True)
    savings = [1e4 * SIGN[order.side] * (base - cash) / base if base else math.nan for order, cash, base in pairs]
    if any(map(math.isnan, savings)):
        return None, None
    mean = math.fsum(savings) / len(savings)
    if len(savings) == 1:
        return mean, None
    squares = math.fsum((each - mean) ** 2 for each in savings)
    return mean, math.sqrt(squares / (len(savings) - 1) / len(savings))
