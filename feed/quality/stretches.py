"""Quotes as the stretches of snapshots over which they stand: what the best one is, without a cell for each venue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from feed.tape import Int64, Tape

    Flags = NDArray[np.bool_]

CHUNK = 2**19
"""Snapshots of the carried book that are looked at together: bounds memory, changes no count."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """The quotes that stand during a chunk of C snapshots.

    Attributes
    ----------
    row : (N,) int64
        Index into the rows of the book.
    start, end : (N,) int64
        The snapshots of the chunk, [start, end), over which it stands: one at least.
    fresh : (N,) bool
        It was published at `start`; the others stood before the chunk.
    snapshots : int
        C.
    """

    row: Int64
    start: Int64
    end: Int64
    fresh: Flags
    snapshots: int


def carried(tape: Tape, rows: Int64) -> Iterator[Stretches]:
    """Give the carried book in chunks of snapshots, none of which has a cell for each snapshot and venue.

    Parameters
    ----------
    tape : Tape
    rows : (N,) int64
        Its rows that are the last of their venue at their instant.
    """
    ts = tape.ts[rows]
    venues, column = np.unique(tape.venue[rows], return_inverse=True)
    snapshot = np.cumsum(np.diff(ts, prepend=ts[:1]) != 0)
    total = int(snapshot[-1]) + 1 if len(rows) else 0
    standing = np.full(len(venues), -1, np.int64)
    for first in range(0, total, CHUNK):
        size = min(CHUNK, total - first)
        low, high = np.searchsorted(snapshot, [first, first + size])
        before = standing[standing >= 0]
        row = np.concatenate([before, np.arange(low, high)])
        row = row[np.argsort(column[row], kind="stable")]  # of a venue, as they came
        fresh = row >= low
        start, end = np.where(fresh, snapshot[row] - first, 0), np.full(len(row), size)
        follows = column[row[1:]] == column[row[:-1]]
        end[:-1][follows] = start[1:][follows]
        last = np.ones(len(row), np.bool_)
        last[:-1] = ~follows
        standing[column[row[last]]] = row[last]
        shown = start < end
        yield Stretches(row[shown], start[shown], end[shown], fresh[shown], size)


def highest_over(value: Int64, start: Int64, end: Int64, size: int, nothing: int) -> Int64:
    """The highest value at each place, of those that cover it.

    Each stretch is two of the largest power of two that it holds; what a power covers, its two halves do.

    Parameters
    ----------
    value, start, end : (N,) int64
        Of places [start, end), one at least.
    size : int
        How many places there are.
    nothing : int
        Where none covers a place.
    """
    power = _power(end - start)
    highest = np.full(size, nothing, np.int64)
    for exponent in range(int(power.max(initial=0)), -1, -1):
        chosen = power == exponent
        for at in (start[chosen], end[chosen] - (1 << exponent)):
            np.maximum.at(highest, at, value[chosen])
        half = (1 << exponent) >> 1
        if half:
            halves = highest.copy()
            np.maximum(halves[half:], highest[:-half], out=halves[half:])
            highest = halves
    return highest


def highest_within(values: Int64, start: Int64, end: Int64, nothing: int) -> Int64:
    """The highest of the values at places [start, end), for each of (N,) stretches; `nothing` of an empty one."""
    highest = np.full(len(start), nothing, np.int64)
    power = np.where(start < end, _power(np.maximum(end - start, 1)), -1)
    for exponent in range(int(power.max(initial=-1)) + 1):
        if exponent:  # of the power of two below, from here on
            half = 1 << (exponent - 1)
            values = np.maximum(values[:-half], values[half:])
        chosen = power == exponent
        highest[chosen] = np.maximum(values[start[chosen]], values[end[chosen] - (1 << exponent)])
    return highest


def _power(length: Int64) -> Int64:
    """The largest power of two that is at most a length, as its exponent; lengths are 1 to 2^52."""
    return np.frexp(length)[1].astype(np.int64) - 1
