"""The blocks of time that many orders make: what goes together in differences, resampling and splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feed.tape import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.statistics.orders import Orders

    Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of time, ascending; orders of all sides, sizes and symbols that share the time are in one.

    Attributes
    ----------
    first, last : (n,) int64
        When the first order of a block starts and its last one ends, UTC nanoseconds.
    day : (n,) int64
        The UTC date, days since 1970.
    of_group : (G,) int64
        The block of each group of orders.
    """

    first: Int64
    last: Int64
    day: Int64
    of_group: Int64

    def __len__(self) -> int:
        return len(self.first)

    @property
    def days(self) -> int:
        """How many dates there are."""
        return len(np.unique(self.day))


def blocks_of(orders: Orders) -> Blocks:
    """Put the groups of orders of each date into blocks of time.

    The tape with the most groups of a cell says where the blocks of its date begin; a group of another tape is of the
    block whose beginning is nearest to its own, so that symbols whose first quotes are a moment apart share their time.
    """
    groups = orders.groups
    first, last = np.empty(groups, np.int64), np.empty(groups, np.int64)
    for group in range(groups):
        own = orders.orders[orders.edges[group] : orders.edges[group + 1]]
        first[group], last[group] = min(order.start for order in own), max(order.end for order in own)
    tape = np.repeat(np.arange(len(orders.groups_of)), orders.groups_of)
    day = first // DAY
    of_group, begins = np.empty(groups, np.int64), 0
    for date in np.unique(day):
        on_date = np.flatnonzero(day == date)
        tapes = np.unique(tape[on_date])
        starts = [np.unique(first[on_date][tape[on_date] == number]) for number in tapes]
        longest = max(starts, key=len)
        halfway = longest[1:] - (longest[1:] - longest[:-1]) // 2
        of_group[on_date] = begins + np.searchsorted(halfway, first[on_date], "right")
        begins += len(longest)
    block_first = np.full(begins, np.iinfo(np.int64).max)
    block_last = np.full(begins, np.iinfo(np.int64).min)
    np.minimum.at(block_first, of_group, first)
    np.maximum.at(block_last, of_group, last)
    return Blocks(block_first, block_last, block_first // DAY, of_group)
