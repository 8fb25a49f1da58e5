"""The combinations of a grid in classes that provably decide alike: one simulation stands for each class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from allocator.order import ParameterColumns
    from sweep.search.grid import Grid

    Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Classes:
    """R classes of the K combinations of a grid, ascending by their first combination.

    Combinations that differ on other axes only are of one class, so a class is a set of places on the axes that decide:
    what is held grows with these places, L of them, and not with K. Of a grid of which conditions keep a part, all axes
    decide, and the places are its K combinations.

    Attributes
    ----------
    grid : Grid
    axes : tuple of str
        Names of the axes that decide, in the order of the grid: all of one with conditions.
    of : (L,) int32, optional
        The class of each place on these axes, row-major; None = each place is a class of its own.
    first : (R,) int64, optional
        The first place of each class, ascending; None as above.
    """

    grid: Grid
    axes: tuple[str, ...]
    of: NDArray[np.int32] | None = None
    first: Int64 | None = None

    @property
    def places(self) -> int:
        """L, how many places there are."""
        if self.grid.kept is not None:
            return len(self.grid)
        return prod(len(axis) for axis in self.grid.axes if axis.name in self.axes)

    def __len__(self) -> int:
        return self.places if self.first is None else len(self.first)

    @cached_property
    def _before(self) -> Int64 | None:
        """(R + 1,) int64, combinations of all classes before each; None where all have equally many."""
        return None if self.of is None else np.cumsum([0, *np.bincount(self.of)]) * self._elsewhere

    @property
    def _elsewhere(self) -> int:
        """Combinations of each place."""
        return len(self.grid) // self.places

    def count(self, first: int, past: int) -> int:
        """How many combinations the classes [first, past) have."""
        if self._before is None:
            return (past - first) * self._elsewhere
        return int(self._before[past] - self._before[first])

    def counts(self, classes: Int64) -> Int64:
        """(N,) int64, how many combinations each of N classes has."""
        if self._before is None:
            return np.full(len(classes), self._elsewhere)
        counts: Int64 = self._before[classes + 1] - self._before[classes]
        return counts

    def numbers(self, classes: Int64) -> Int64:
        """(N,) int64, the first combination of each of N classes."""
        places = classes if self.first is None else self.first[classes]
        if self.grid.kept is not None:
            return places
        numbers = np.zeros(len(places), np.int64)
        weight = 1
        for axis in reversed(self.grid.axes):
            if axis.name in self.axes:
                places, position = np.divmod(places, len(axis))
                numbers += weight * position
            weight *= len(axis)
        return numbers

    def of_numbers(self, numbers: Int64) -> Int64:
        """(N,) int64, the class of each of N combinations."""
        if self.grid.kept is not None:
            places = numbers
        else:
            positions = self.grid.positions(numbers)
            places = np.zeros(len(numbers), np.int64)
            for axis in self.grid.axes:
                if axis.name in self.axes:
                    places = places * len(axis) + positions[axis.name]
        return places if self.of is None else self.of[places].astype(np.int64)

    def cube(self, at: Mapping[str, int]) -> Int64:
        """The class of each combination as an array of the grid's axes, those that do not decide of length 1.

        Of a grid without conditions.

        Parameters
        ----------
        at : mapping of str to int
            Positions on some of the axes, which all decide; these axes have length 1 then.
        """
        shape, parts = [], []
        for axis in self.grid.axes:
            if axis.name in self.axes:
                shape.append(len(axis))
                part = np.array([at[axis.name]]) if axis.name in at else np.arange(len(axis))
            else:
                shape.append(1)
                part = np.zeros(1, np.int64)
            parts.append(part)
        places = np.zeros([1] * len(parts), np.int64)
        for dimension, part in enumerate(parts):
            places = places * shape[dimension] + part.reshape([-1 if n == dimension else 1 for n in range(len(parts))])
        return places if self.of is None else self.of[places].astype(np.int64)

    @property
    def variant_edges(self) -> Int64:
        """(V + 1,) int64: the combinations of variant v of the grid are in the classes [edges[v], edges[v + 1])."""
        edges = self.grid.variant_edges
        if len(edges) == 2:
            return np.array([0, len(self)])
        return np.searchsorted(self.numbers(np.arange(len(self))), edges)

    def parameters(self, first: int, past: int) -> ParameterColumns:
        """The router's parameters of the classes [first, past), each by its first combination."""
        return self.grid.parameters_of(self.numbers(np.arange(first, past, dtype=np.int64)))


def each_alone(grid: Grid) -> Classes:
    """Classes of one combination each."""
    return Classes(grid, tuple(axis.name for axis in grid.axes))


def in_classes(grid: Grid, axes: tuple[str, ...], columns: Callable[[int, int], Sequence[Int64]]) -> Classes:
    """Classes of combinations for which all of some columns are equal.

    Parameters
    ----------
    grid : Grid
    axes : tuple of str
        The axes that decide, in the order of the grid.
    columns : callable
        Takes first and past, and returns columns of the places [first, past) on these axes, (past - first,) int64 each.
    """
    count = Classes(grid, axes).places
    blocks = [(first, min(first + _BLOCK, count)) for first in range(0, count, _BLOCK)]
    distinct = [np.unique(column) for column in columns(*blocks[0])]
    for block in blocks[1:]:
        distinct = [np.union1d(values, column) for values, column in zip(distinct, columns(*block), strict=True)]

    of, start, classes, begin = np.zeros(count, np.int32), np.zeros(1, np.int64), 1, 0
    while True:
        # as many columns as one code of 64 bits holds, beside the classes by the columns before
        room, end = _CODES // classes, begin
        while end < len(distinct) and len(distinct[end]) <= room:
            room, end = room // len(distinct[end]), end + 1

        def codes(first: int, past: int) -> Int64:
            code = of[first:past].astype(np.int64)
            for values, column in zip(distinct[begin:end], columns(first, past)[begin:end], strict=True):  # noqa: B023
                code = code * len(values) + np.searchsorted(values, column)
            return code

        seen, start = np.empty(0, np.int64), np.empty(0, np.int64)
        for block in blocks:
            fresh, at = np.unique(codes(*block), return_index=True)
            # the first of equal ones stays: that of an earlier block
            seen, kept = np.unique(np.concatenate([seen, fresh]), return_index=True)
            start = np.concatenate([start, at + block[0]])[kept]
        rank = np.empty(len(seen), np.int32)
        rank[np.argsort(start)] = np.arange(len(seen), dtype=np.int32)
        for first, past in blocks:
            of[first:past] = rank[np.searchsorted(seen, codes(first, past))]
        classes, begin = len(seen), end
        if end == len(distinct):
            return Classes(grid, axes, of, np.sort(start))


_CODES: Final = 2**62
"""Codes of places are below this; the distinct values of a column, and classes, are at most as many as places."""

_BLOCK: Final = 2**20
"""Places that are looked at together: there may be a hundred million, and no room for several columns of them."""
