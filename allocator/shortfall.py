"""Implementation shortfall against the arrival mid, and its parts: what the market did, and what the router did.

For a buy of S shares that fills q shares at price p while the doubled mid is mid2, of arrival mid2_0, in half 1e-9 $:

    timing   = sum q (mid2 - mid2_0)                  what the market did while the order waited
    spread   = sum q (2p - mid2)                      what was paid beyond the mid of that moment
    fees     = 2 fees                                 rebates subtracted
    leftover = 2 unfilled_value - unfilled mid2_0

and timing + spread + fees + leftover = 2 total_cash - S mid2_0, exactly. Excess shares that are sold back count with
their sign. A sell mirrors: each part is what the order lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book, Int64
    from allocator.order import Execution, Order


@dataclass(frozen=True, slots=True)
class Trace:
    """When an order filled, and where the mid stood.

    Attributes
    ----------
    first, last : int, optional
        Instants of the first and the last fill, UTC nanoseconds; None where nothing filled.
    mids : int
        Sum over the fills of shares * twice the mid, 1e-9 $; excess shares subtracted.
    """

    first: int | None
    last: int | None
    mids: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The parts of an order's shortfall, each in half 1e-9 $, above 0 = a loss."""

    timing: int
    spread: int
    fees: int
    leftover: int

    @property
    def execution(self) -> int:
        """What the router decides at the moment it trades: all but the timing."""
        return self.spread + self.fees + self.leftover

    @property
    def total(self) -> int:
        """Against the whole order at the arrival mid."""
        return self.timing + self.execution


def standing_mids(book: Book, order: Order) -> Int64:
    """(T,) int64, twice the last mid up to each snapshot, 1e-9 $; before the first one, twice the arrival mid."""
    at = np.maximum.accumulate(np.where(book.mid2 != 0, np.arange(len(book.ts)), -1))
    return np.where(at >= 0, book.mid2[at], book.arrival(order)[1]) if len(at) else np.zeros(0, np.int64)


def trace_row(book: Book, mids: int, first: int, last: int) -> Trace:
    """Of a kernel's sum, and of one more than the snapshots of the first and the last fill, 0 = none."""
    return Trace(int(book.ts[first - 1]) if first else None, int(book.ts[last - 1]) if last else None, mids)


def trace_fills(book: Book, order: Order, execution: Execution, unit: int = 1) -> Sequence[int]:
    """What `trace_row` takes, in units, of an execution that was recorded; its fills are in units."""
    standing, fills = standing_mids(book, order).tolist(), execution.fills
    if not fills:
        return 0, 0, 0
    # what exceeds an order is sold back at the snapshot that fills it
    excess = execution.overfilled * unit * standing[fills[-1].snapshot]
    mids = sum(fill.shares * standing[fill.snapshot] for fill in fills) - excess
    return mids, fills[0].snapshot + 1, fills[-1].snapshot + 1


def shortfall(order: Order, execution: Execution, trace: Trace, arrival2: int) -> Shortfall:
    """Split what an order lost against the mid at its arrival.

    Parameters
    ----------
    order, execution, trace
        Of the same run.
    arrival2 : int
        Twice the arrival mid, 1e-9 $.
    """
    net = execution.filled - execution.overfilled
    timing = order.sign * (trace.mids - net * arrival2)
    fees = 2 * execution.fees
    leftover = order.sign * (2 * execution.unfilled_value - execution.unfilled * arrival2)
    total = order.sign * (2 * execution.total_cash - order.size * arrival2)
    return Shortfall(timing, total - timing - fees - leftover, fees, leftover)
