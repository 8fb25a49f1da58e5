"""Quotes as stretches of the snapshots at which they stand, to find the best without a cell for each venue."""

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
"""Snapshots of the carried book in one chunk: bounds memory, changes no count."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Quotes that stand during a chunk of C snapshots.

    Attributes
    ----------
    row : (N,) int64
        Index into the rows of the book.
    start, end : (N,) int64
        Snapshots [start, end) of the chunk at which the quote stands, at least one.
    fresh : (N,) bool
        Published at `start`; the others stand from before the chunk.
    snapshots : int
        C.
    """

    row: Int64
    start: Int64
    end: Int64
    fresh: Flags
    snapshots: int


def carried(tape: Tape, rows: Int64) -> Iterator[Stretches]:
    """Yield the carried book in chunks of snapshots, without a cell for each snapshot and venue.

    Parameters
    ----------
    tape : Tape
    rows : (N,) int64
        Rows that are the last of their venue at their instant.
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
        row = row[np.argsort(column[row], kind="stable")]  # by venue, each in order of arrival
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
    """Find, for each place, the highest value of the stretches that cover it.

    Two stretches of the largest power of two that fits cover each stretch, and two halves cover each power.

    Parameters
    ----------
    value, start, end : (N,) int64
        Value over the places [start, end), at least one.
    size : int
        Number of places.
    nothing : int
        Result where no stretch covers a place.
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
    """Find, for each of (N,) stretches, the highest of the values at [start, end); `nothing` for an empty one."""
    highest = np.full(len(start), nothing, np.int64)
    power = np.where(start < end, _power(np.maximum(end - start, 1)), -1)
    for exponent in range(int(power.max(initial=-1)) + 1):
        if exponent:  # from here on, the highest of 2**exponent neighbours
            half = 1 << (exponent - 1)
            values = np.maximum(values[:-half], values[half:])
        chosen = power == exponent
        highest[chosen] = np.maximum(values[start[chosen]], values[end[chosen] - (1 << exponent)])
    return highest


def _power(length: Int64) -> Int64:
    """Exponent of the largest power of two up to a length; lengths are 1 to 2^52."""
    return np.frexp(length)[1].astype(np.int64) - 1
