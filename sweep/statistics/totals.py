"""Sums over many parent orders: of money and shares, of the parts of their shortfall, and of what one saves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.order import FIELDS, SIGN, Execution, execution_of
from allocator.shortfall import Shortfall, Trace, shortfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from allocator.order import Order

FILLED, OVERFILLED, TOTAL = (FIELDS.index(name) for name in ("filled", "overfilled", "total_cash"))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How N orders filled by one strategy.

    Attributes
    ----------
    rows : (N, 8) int64
        The columns of `allocator.order.FIELDS`.
    traces : (N,) tuple of Trace
    """

    rows: NDArray[np.int64]
    traces: tuple[Trace, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """One strategy over all orders.

    Attributes
    ----------
    execution : Execution
        Sums, whatever the side.
    signed_cash : int
        Total cash paid less total cash received, 1e-9 $: the less the better.
    parts : Shortfall, optional
        None where an order has no arrival mid.
    first, last : int, optional
        Instants of the first and the last fill of all, UTC nanoseconds.
    """

    execution: Execution
    signed_cash: int
    parts: Shortfall | None
    first: int | None
    last: int | None


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
    sums = [sum(column) for column in zip(*rows, strict=True)]
    parts = None
    if all(arrivals):
        split = [
            shortfall(order, execution_of(row), trace, arrival2)
            for order, row, trace, arrival2 in zip(orders, rows, outcome.traces, arrivals, strict=True)
        ]
        parts = Shortfall(*(sum(getattr(each, name) for each in split) for name in Shortfall.__slots__))
    filled = [trace for trace in outcome.traces if trace.first is not None]
    return Total(
        execution_of(sums),
        sum(order.sign * row[TOTAL] for order, row in zip(orders, rows, strict=True)),
        parts,
        min((trace.first for trace in filled if trace.first is not None), default=None),
        max((trace.last for trace in filled if trace.last is not None), default=None),
    )


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
