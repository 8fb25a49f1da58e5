"""Implementation shortfall against the arrival mid, and its parts: those of the market and those of the router.

For a buy of S shares that fills q shares at price p while the doubled mid is mid2, of arrival mid2_0, in half 1e-9 $:

    timing   = sum q (mid2 - mid2_0)                  the move of the market while the order waited
    spread   = sum q (2p - mid2)                      paid beyond the mid at the time of the fill
    fees     = 2 fees                                 less rebates
    leftover = 2 unfilled_value - unfilled mid2_0

and timing + spread + fees + leftover = 2 total_cash - S mid2_0, exactly. Excess shares that are sold back count with
their sign. A sell is mirrored: each part is a loss of the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book, Int64
    from allocator.order import Execution, Order


@dataclass(frozen=True, slots=True)
class Trace:
    """When an order filled, and where the mid was.

    Attributes
    ----------
    first, last : int, optional
        Instants of the first and the last fill, UTC nanoseconds; None where nothing filled.
    mids : int
        Sum over the fills of shares * twice the mid, 1e-9 $, less excess shares.
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
        """The part that the router decides when it trades: all but the timing."""
        return self.spread + self.fees + self.leftover

    @property
    def total(self) -> int:
        """Against the whole order at the arrival mid."""
        return self.timing + self.execution


def trace_row(book: Book, mids: int, first: int, last: int) -> Trace:
    """Make a trace from a kernel's sum, and 1 + the snapshots of the first and the last fill, 0 = none."""
    return Trace(int(book.ts[first - 1]) if first else None, int(book.ts[last - 1]) if last else None, mids)


def trace_fills(stood: Int64, execution: Execution, unit: int = 1) -> Sequence[int]:
    """The arguments of `trace_row`, in units, from a recorded execution; its fills, taken or passive, are in units.

    Shares beyond the order, which are the last to be filled, are sold back at once.

    Parameters
    ----------
    stood : (T,) int64
        `allocator.fills.stood_mids` of the book.
    execution : Execution
    unit : int
        Units per share.
    """
    fills = execution.fills
    if not fills:
        return 0, 0, 0
    standing = stood[[fill.snapshot for fill in fills]].tolist()
    mids, excess = 0, execution.overfilled * unit
    for fill, mid2 in zip(reversed(fills), reversed(standing), strict=True):
        sold_back = min(excess, fill.shares)  # at the snapshot that filled them
        mids += (fill.shares - sold_back) * mid2
        excess -= sold_back
    return mids, fills[0].snapshot + 1, fills[-1].snapshot + 1


def loss(order: Order, execution: Execution, arrival2: int) -> int:
    """What an order lost against its arrival mid, half 1e-9 $: the sum of the parts of `shortfall`."""
    return order.sign * (2 * execution.total_cash - order.size * arrival2)


def leftover_loss(order: Order, execution: Execution, arrival2: int) -> int:
    """The part of it that shares make which stayed unfilled."""
    return order.sign * (2 * execution.unfilled_value - execution.unfilled * arrival2)


def shortfall(order: Order, execution: Execution, trace: Trace, arrival2: int) -> Shortfall:
    """Split an order's loss against its arrival mid.

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
    leftover = leftover_loss(order, execution, arrival2)
    spread = loss(order, execution, arrival2) - timing - fees - leftover
    return Shortfall(timing, spread, fees, leftover)
