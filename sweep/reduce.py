"""From result rows to the best combination, and how much that says (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.money import NANO, rounded
from allocator.order import FIELDS, amount
from sweep.search import MARKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.search import Axis, Classes

    Array = NDArray[Any]

FILLED, OVERFILLED, TOTAL = (FIELDS.index(name) for name in ("filled", "overfilled", "total_cash"))

UNFIT: Final = 2**80
"""More than any cash, 1e-9 $."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best combination, its sums over all orders, and the document's `objective`; by axis, which end it is at."""

    combination: int
    row: tuple[int, ...]
    objective: dict[str, Any]
    ends: dict[str, str]


def eligible(rows: NDArray[Any], filled: int) -> NDArray[np.bool_]:
    """(K,) bool: which rows fill no less than best_ask does, whose shares are given."""
    enough: NDArray[np.bool_] = rows[:, FILLED] - rows[:, OVERFILLED] >= filled
    return enough


def fill_enough(combinations: Mapping[Any, Any], filled: Sequence[int]) -> NDArray[np.bool_]:
    """(K,) bool: which of many combinations may be the best of their world, as `Reduction.ranked` has it.

    Parameters
    ----------
    combinations : mapping of str to (K,) columns
        ``filled``, ``overfilled``, ``world``, as of combinations.parquet.
    filled : (W,) sequence of int
        As of `Reduction.find_best`, of each world.
    """
    world = np.asarray(combinations["world"], np.int64)
    net = np.asarray(combinations["filled"], np.int64) - np.asarray(combinations["overfilled"], np.int64)
    enough: NDArray[np.bool_] = net >= np.asarray(filled)[world]
    none_does = np.bincount(world, enough, len(filled)) == 0
    enough |= none_does[world]
    return enough


@dataclass(frozen=True, slots=True)
class Sums:
    """One combination over all orders.

    Attributes
    ----------
    row : tuple of int
        The columns of `allocator.order.FIELDS`.
    signed_cash : int
        Total cash paid less total cash received, 1e-9 $.
    """

    row: tuple[int, ...]
    signed_cash: int


@dataclass(frozen=True, eq=False)
class Reduction:
    """The rows of all groups of orders, to be reduced for one world after the other.

    Attributes
    ----------
    classes : Classes
        Of the grid.
    simulated : (R,) int64
        The classes that have a row in each group, ascending.
    cube : (G, R, 8) int64
        These rows.
    signs : (G,) tuple of int
        1 for a group of buys, -1 for one of sells.
    """

    classes: Classes
    simulated: NDArray[np.int64]
    cube: NDArray[np.int64]
    signs: tuple[int, ...]

    @classmethod
    def of(cls, table: NDArray[np.int64], classes: Classes, signs: Sequence[int]) -> Reduction:
        """From the rows.

        Parameters
        ----------
        table : (N, 11) int64
            The columns of `sweep.sink.COLUMNS`, sorted by its keys, where a class stands for a combination: a row for
            each of the G groups of each class, except those that failed.
        classes : Classes
            Of the grid.
        signs : (G,) sequence of int
        """
        return cls(classes, *_cube(table, len(classes), len(signs)), tuple(signs))

    def sums_of(self, combination: int) -> Sums | None:
        """The sums of one combination over all groups; None where it has no row in one of them."""
        of = int(self.classes.of_numbers(np.array([combination]))[0])
        at = int(np.searchsorted(self.simulated, of))
        if at == len(self.simulated) or self.simulated[at] != of:
            return None
        rows = self.cube[:, at].tolist()
        signed = sum(sign * row[TOTAL] for sign, row in zip(self.signs, rows, strict=True))
        return Sums(tuple(map(sum, zip(*rows, strict=True))), signed)

    def within(self, ranges: Sequence[tuple[int, int]] | None = None) -> Reduction:
        """The same of a world: of the classes of some ranges, ascending; None = of all."""
        if ranges is None or [each for each in ranges if each[0] < each[1]] == [(0, len(self.classes))]:
            return self
        slices = [slice(*np.searchsorted(self.simulated, bounds).tolist()) for bounds in ranges]
        simulated = np.concatenate([self.simulated[each] for each in slices])
        return replace(self, simulated=simulated, cube=np.concatenate([self.cube[:, each] for each in slices], axis=1))

    @cached_property
    def alike(self) -> tuple[NDArray[np.int64], int]:
        """Equal numbers for classes of equal rows, as of `group`, and how many differ."""
        return group(self.cube)

    def told_apart(self) -> tuple[Reduction, NDArray[np.int64]]:
        """The first class of each set of equal rows, and of each class the position of the one that is equal to it.

        All of them where that is not half as many: the rows are copied.
        """
        numbers, distinct = self.alike
        if 2 * distinct > len(numbers):
            return self, np.arange(len(numbers))
        first = np.unique(numbers, return_index=True)[1]
        kept = np.sort(first)
        return (
            replace(self, simulated=self.simulated[kept], cube=self.cube[:, kept]),
            np.searchsorted(kept, first)[numbers],
        )

    def ranked(self, filled: int, groups: NDArray[np.int64] | None = None) -> tuple[Array, NDArray[np.int64]]:
        """What the classes cost over some groups, and which of them are best.

        Parameters
        ----------
        filled : int
            As of `find_best`.
        groups : (M,) int64, optional
            None = all.

        Returns
        -------
        paid : (R,)
            Total cash paid less total cash received, 1e-9 $, int64 or Python's integers: the less the better.
        ties : (T,) int64
            The best of those that fill enough, or of all if none does; all cost the same.
        """
        if groups is None:
            groups = np.arange(len(self.signs))
        elif 2 * len(groups) > len(self.signs):  # sooner found from all by what is missing
            but, (net, cash) = np.setdiff1d(np.arange(len(self.signs)), groups), self._all
            return _least(net.less(self._net(but)).value(), cash.less(self._cash(but)).value(), filled)
        return _least(self._net(groups).value(), self._cash(groups).value(), filled)

    @cached_property
    def _all(self) -> tuple[_Exact, _Exact]:
        every = np.arange(len(self.signs))
        return self._net(every), self._cash(every)

    def _net(self, groups: NDArray[np.int64]) -> _Exact:
        """Shares filled in some groups, less those overfilled."""
        count = len(self.simulated)
        return _Exact.of(count, (self.cube[at, :, FILLED] - self.cube[at, :, OVERFILLED] for at in groups.tolist()))

    def _cash(self, groups: NDArray[np.int64]) -> _Exact:
        """What is paid in some groups less what is received."""
        return _Exact.of(len(self.simulated), (self.cube[at, :, TOTAL] * self.signs[at] for at in groups.tolist()))

    def costs(self, filled: Sequence[int]) -> list[int | None]:
        """What each class costs a search: cash paid less cash received, 1e-9 $; None where it failed.

        Parameters
        ----------
        filled : (C,) sequence of int
            As of `find_best`, in the world of each class: one that fills less costs `UNFIT` more, so that it is only
            better than others that do.
        """
        costs: list[int | None] = [None] * len(self.classes)
        every = np.arange(len(self.signs))
        net, paid = self._net(every).value().tolist(), self._cash(every).value().tolist()
        for of, shares, cost in zip(self.simulated.tolist(), net, paid, strict=True):
            costs[of] = cost if shares >= filled[of] else cost + UNFIT
        return costs

    def find_best(self, filled: int, ranges: Sequence[tuple[int, int]] | None = None) -> Best:
        """Find the best of all combinations, or of those of a world.

        Parameters
        ----------
        filled : int
            Shares that best_ask fills, less what it overfills. A combination that fills less can only be best if all
            do.
        ranges : sequence of (first, past), optional
            The classes of the world, ascending, which share all values of the axes of the market; None = all.

        Raises
        ------
        ValueError
            No class has a row in every group.
        """
        classes, of_world = self.classes, self.within(ranges)
        simulated, cube = of_world.simulated, of_world.cube
        ranges = [(0, len(classes))] if ranges is None else [(first, past) for first, past in ranges if first < past]
        if not len(simulated):
            raise ValueError("no combination has a row")
        paid, ties = of_world.ranked(filled)
        best = int(ties[0])  # classes ascend by their first combination
        number = int(classes.numbers(simulated[[best]])[0])
        groups, distinct = of_world.alike
        tried = _Tried(classes, ranges, simulated, groups)
        inert = tried.inert(number)
        ends = {name: end for name, end in tried.ends(number).items() if name not in inert}
        span = int(paid.max()) - int(paid.min())
        return Best(
            number,
            tuple(map(sum, zip(*cube[:, best].tolist(), strict=True))),
            {
                "combinations": sum(classes.count(*bounds) for bounds in ranges),
                "distinct": distinct,
                "best_ties": int(classes.counts(simulated[ties]).sum()),
                "range": rounded(span, NANO, 2),
                "flat": distinct == 1,
                "inert": inert,
                "best_at_edge": bool(ends),
                "edges": list(ends),
            },
            ends,
        )


def _cube(table: NDArray[np.int64], classes: int, groups: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes that have a row in each group, ascending, and (G, R, 8) int64, these rows."""
    rows = table[:, -len(FIELDS) :]
    if groups == 1:
        return table[:, -len(FIELDS) - 1], rows[None]
    if len(rows) == groups * classes:
        return np.arange(classes), rows.reshape(groups, classes, -1)
    numbers = table[:, -len(FIELDS) - 1]
    whole = np.flatnonzero(np.bincount(numbers, minlength=classes) == groups)
    return whole, rows[np.isin(numbers, whole)].reshape(groups, len(whole), len(FIELDS))


def _least(net: Array, paid: Array, filled: int) -> tuple[Array, NDArray[np.int64]]:
    """As of `Reduction.ranked`, from shares and money."""
    may_be_best = np.flatnonzero(net >= filled)
    if not len(may_be_best):
        may_be_best = np.arange(len(paid))
    return paid, may_be_best[paid[may_be_best] == paid[may_be_best].min()]


@dataclass(frozen=True, slots=True, eq=False)
class _Exact:
    """(R,) sums of int64 columns whatever their size: `high` times 2^32, and `low`, of as many as 2^31 columns."""

    high: NDArray[np.int64]
    low: NDArray[np.int64]

    @classmethod
    def of(cls, count: int, columns: Iterable[NDArray[np.int64]]) -> _Exact:
        """Add up columns of a length."""
        high, low = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for column in columns:
            high += column >> 32
            low += column & _LOW
        return cls(high, low)

    def less(self, other: _Exact) -> _Exact:
        """The difference."""
        return _Exact(self.high - other.high, self.low - other.low)

    def value(self) -> Array:
        """The sums: int64 where they fit, else Python's integers."""
        high, low = self.high + (self.low >> 32), self.low & _LOW
        if max(abs(int(high.max(initial=0))), abs(int(high.min(initial=0)))) < 2**30:
            narrow: Array = (high << 32) + low
            return narrow
        wide: Array = high.astype(object) * 2**32 + low.astype(object)
        return wide


_LOW: Final = 2**32 - 1


def group(cube: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Give equal rows equal numbers; sorts one column at a time, and only columns that split a group further.

    Parameters
    ----------
    cube : (G, K, 8) int64
        The columns of `allocator.order.FIELDS`; combinations are equal whose rows are equal in each of G groups.

    Returns
    -------
    groups : (K,) int64
        0 to `distinct` - 1; equal for equal rows only.
    distinct : int
        How many rows differ.
    """
    count = cube.shape[1]
    groups, distinct = np.zeros(count, np.int64), min(count, 1)
    for field in (TOTAL, *(other for other in range(cube.shape[2]) if other != TOTAL)):
        for rows in cube:
            if distinct == count:
                return groups, distinct
            column = rows[:, field]
            member = np.empty(distinct, np.int64)
            member[groups] = np.arange(count)
            if np.array_equal(column[member][groups], column):
                continue
            values, codes = np.unique(column, return_inverse=True)
            # below distinct * values <= K^2: fits int64 at any length of a grid
            values, groups = np.unique(groups * len(values) + codes, return_inverse=True)
            distinct = len(values)
    return groups, distinct


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """Which combinations were tried, and which rows are alike.

    Attributes
    ----------
    classes : Classes
    ranges : sequence of (first, past)
        Of classes.
    simulated : (R,) int64
        Those with rows, ascending.
    groups : (R,) int64
        Equal for equal rows.
    """

    classes: Classes
    ranges: Sequence[tuple[int, int]]
    simulated: NDArray[np.int64]
    groups: NDArray[np.int64]

    def inert(self, number: int) -> list[str]:
        """The axes longer than 1 along which rows were compared and none changed; failed ones are ignored.

        The axes of the market have the values of a combination.
        """
        grid = self.classes.grid
        long = [axis for axis in grid.axes if len(axis) > 1 and axis.name not in MARKET]
        if grid.kept is not None:
            return [axis.name for axis in long if self._never_changes(axis)]
        positions = grid.positions(np.array([number]))
        at = {axis.name: int(positions[axis.name][0]) for axis in grid.axes if axis.name in MARKET}
        labels = self._labels(self.classes.cube(at))
        inert = []
        for dimension, axis in enumerate(grid.axes):
            if axis not in long:
                continue
            if labels.shape[dimension] == 1:  # it decides nothing
                inert.append(axis.name)
                continue
            has_row = labels >= 0
            highest = labels.max(axis=dimension)
            lowest = np.where(has_row, labels, np.iinfo(np.int64).max).min(axis=dimension)
            compared = has_row.sum(axis=dimension) > 1
            if bool(compared.any()) and bool((highest == lowest)[compared].all()):
                inert.append(axis.name)
        return inert

    def _labels(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The group of each of some classes; -1 where it has no row."""
        at = np.minimum(np.searchsorted(self.simulated, classes), len(self.simulated) - 1)
        labels: NDArray[np.int64] = np.where(self.simulated[at] == classes, self.groups[at], -1)
        return labels

    @property
    def _numbers(self) -> NDArray[np.int64]:
        """The combinations of a grid with conditions that were tried."""
        class_of = self.classes.of_numbers(np.arange(len(self.classes.grid)))
        inside = np.zeros(len(class_of), np.bool_)
        for first, past in self.ranges:
            inside |= (class_of >= first) & (class_of < past)
        return np.flatnonzero(inside)

    def _never_changes(self, axis: Axis) -> bool:
        """Of a grid with conditions: whether neighbours along an axis were compared, and none differed."""
        grid, numbers = self.classes.grid, self._numbers
        labels = self._labels(self.classes.of_numbers(numbers))
        numbers, labels = numbers[labels >= 0], labels[labels >= 0]
        stride = prod(len(other) for other in grid.axes[grid.axes.index(axis) + 1 :])
        places = grid.places(numbers)
        line = places // (stride * len(axis)) * stride + places % stride
        along = np.argsort(line, kind="stable")
        same_line = np.diff(line[along]) == 0
        return bool(same_line.any()) and not (np.diff(labels[along])[same_line] != 0).any()

    def ends(self, number: int) -> dict[str, str]:
        """The parameters of which a combination has the largest or the smallest value that was tried."""
        grid = self.classes.grid
        point, ends = grid.point(number), {}
        columns = None if grid.kept is None else grid.columns(self._numbers)
        for axis in grid.axes:
            if axis.labels:
                continue
            values = axis.values if columns is None else columns[axis.name]
            smallest, largest = amount(int(values.min())), amount(int(values.max()))
            if smallest != largest and point[axis.name] in (smallest, largest):
                ends[axis.name] = "largest" if point[axis.name] == largest else "smallest"
        return ends
