"""Costs as small integers: c of every venue and snapshot, exact, in one unit relative to one origin."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from allocator.book import freeze
from allocator.order import SIGN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book, Int16, Int64
    from allocator.order import Side

SMALL = 2**30
"""Costs that span fewer units than this, and their differences, certainly fit int32."""


@dataclass(frozen=True, slots=True, eq=False)
class CostUnits:
    """How a signed cost is counted: c = origin + unit * (slope * ticks + offset[venue]), 1e-9 $.

    Attributes
    ----------
    unit : int
        1e-9 $; the greatest amount that divides the tick and every difference of fees.
    slope : int
        Units per tick, negative for a sell.
    offset : (V,) int64
        Units by which a venue's fee exceeds the lowest one.
    origin : int
        1e-9 $, signed.
    farthest : int
        No cost of the book exceeds another by more than this many units.
    """

    unit: int
    slope: int
    offset: Int64
    origin: int
    farthest: int

    @property
    def small(self) -> bool:
        """Whether every cost fits the int32 kernels."""
        return self.farthest < SMALL

    def reach(self, tau: Int64) -> Int64:
        """How many units above the best a share may cost; (K,) int64.

        Two tau of equal reach take the same shares at any snapshot: each cost is the best one plus a whole number of
        units, `farthest` at most.
        """
        reach: Int64 = np.minimum(tau // self.unit, self.farthest)
        return reach


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """What the units of a book's costs depend on; as the book's fields of these names."""

    venues: Int16
    base: int
    tick: int
    highest: int


def cost_units(book: Book | Scale, side: Side, fees: Sequence[int]) -> CostUnits:
    """The units of a book's costs under some fees.

    Parameters
    ----------
    book : Book or Scale
    side : str
        Of the order.
    fees : (V,) sequence of int
        Taker fees, 1e-9 $ per share.
    """
    sign = SIGN[side]
    lowest = min(fees, default=0)
    unit = gcd(book.tick, *(fee - lowest for fee in fees))
    offset = np.array([(fee - lowest) // unit for fee in fees], np.int64)
    freeze(offset)
    slope = book.tick // unit
    ticks = max(book.highest - book.base, 0) // book.tick
    return CostUnits(
        unit, sign * slope, offset, sign * book.base + lowest, slope * ticks + max(offset.tolist(), default=0)
    )
