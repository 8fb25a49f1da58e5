"""From result rows to the best combination, and how much that says (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.money import NANO, rounded
from allocator.order import FIELDS
from sweep.search import MARKET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweep.search import Classes

FILLED, OVERFILLED, TOTAL = (FIELDS.index(name) for name in ("filled", "overfilled", "total_cash"))


@dataclass(frozen=True, slots=True)
class Best:
    """The best combination, its sums over all orders, and the document's `objective`."""

    combination: int
    row: tuple[int, ...]
    objective: dict[str, Any]


def eligible(rows: NDArray[Any], filled: int) -> NDArray[np.bool_]:
    """(K,) bool: which rows fill no less than best_ask does, whose shares are given."""
    enough: NDArray[np.bool_] = rows[:, FILLED] - rows[:, OVERFILLED] >= filled
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


def sums_of(table: NDArray[np.int64], classes: Classes, signs: Sequence[int], combination: int) -> Sums | None:
    """The sums of one combination; None where it has no row in a group. Parameters as of `find_best`."""
    of = int(classes.of_numbers(np.array([combination]))[0])
    rows = table[table[:, -len(FIELDS) - 1] == of, -len(FIELDS) :].tolist()
    if len(rows) != len(signs):
        return None
    signed = sum(sign * row[TOTAL] for sign, row in zip(signs, rows, strict=True))
    return Sums(tuple(map(sum, zip(*rows, strict=True))), signed)


def find_best(
    table: NDArray[np.int64],
    classes: Classes,
    signs: Sequence[int],
    filled: int,
    members: NDArray[np.bool_] | None = None,
) -> Best:
    """Reduce the rows of all groups of orders.

    Parameters
    ----------
    table : (N, 11) int64
        The columns of `sweep.sink.COLUMNS`, sorted by its keys, where a class stands for a combination: a row for each
        of the G groups of each of the R classes, except those that failed.
    classes : Classes
        Of the grid.
    signs : (G,) sequence of int
        1 for a group of buys, -1 for one of sells.
    filled : int
        Shares that best_ask fills, less what it overfills. A combination that fills less can only be best if all do.
    members : (R,) bool, optional
        The classes of one world, which alone are looked at; None = all.

    Raises
    ------
    ValueError
        No class has a row in every group.
    """
    simulated, cube = _cube(table, len(classes), len(signs))
    if members is not None:
        simulated, cube = simulated[members[simulated]], cube[:, members[simulated]]
    if not len(simulated):
        raise ValueError("no combination has a row")
    sums = _exact_sums(cube)
    paid = sums[:, TOTAL] * signs[0] if len({*signs}) == 1 else _exact_sums(cube[:, :, TOTAL:] * _column(signs))[:, 0]
    may_be_best = np.flatnonzero(eligible(sums, filled))
    if not len(may_be_best):
        may_be_best = np.arange(len(sums))
    ties = may_be_best[paid[may_be_best] == paid[may_be_best].min()]
    best = int(ties[0])  # classes ascend by their first combination
    number = int(classes.numbers(simulated[[best]])[0])
    groups, distinct = group(cube)
    grid, inert = classes.grid, _inert(simulated, groups, classes)
    point = grid.point(number)
    edges = [
        axis.name
        for axis in grid.axes
        if len(axis) > 1 and not axis.labels and axis.name not in inert and point[axis.name] in axis.extremes
    ]
    span = int(paid.max()) - int(paid.min())
    return Best(
        number,
        tuple(int(value) for value in sums[best]),
        {
            "combinations": len(grid) if members is None else int(classes.counts(np.flatnonzero(members)).sum()),
            "distinct": distinct,
            "best_ties": int(classes.counts(simulated[ties]).sum()),
            "range": rounded(span, NANO, 2),
            "flat": distinct == 1,
            "inert": inert,
            "best_at_edge": bool(edges),
            "edges": edges,
        },
    )


def _column(signs: Sequence[int]) -> NDArray[np.int64]:
    return np.array(signs, np.int64)[:, None, None]


def _cube(table: NDArray[np.int64], classes: int, groups: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes that have a row in each group, ascending, and (G, R, 8) int64, these rows."""
    rows = table[:, -len(FIELDS) :]
    if groups == 1:
        return table[:, -len(FIELDS) - 1], rows[None]
    if len(rows) == groups * classes:
        return np.arange(classes), rows.reshape(groups, classes, -1)
    numbers = table[:, -len(FIELDS) - 1]
    whole = np.flatnonzero(np.bincount(numbers, minlength=classes) == groups)
    return whole, rows[np.isin(numbers, whole)].reshape(groups, len(whole), -1)


def _exact_sums(cube: NDArray[np.int64]) -> NDArray[Any]:
    """(R, F), sums over the groups of (G, R, F): int64 where they fit, else Python's integers."""
    if len(cube) == 1:
        only: NDArray[Any] = cube[0]
        return only
    high, low = np.zeros(cube.shape[1:], np.int64), np.zeros(cube.shape[1:], np.int64)
    for rows in cube:
        high += rows >> 32
        low += rows & _LOW
    high, low = high + (low >> 32), low & _LOW
    if max(abs(int(high.max(initial=0))), abs(int(high.min(initial=0)))) < 2**30:
        narrow: NDArray[Any] = (high << 32) + low
        return narrow
    wide: NDArray[Any] = high.astype(object) * 2**32 + low.astype(object)
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


def _inert(simulated: NDArray[np.int64], groups: NDArray[np.int64], classes: Classes) -> list[str]:
    """The axes longer than 1 along which no row changes; failed combinations are ignored."""
    labels = np.full(len(classes), -1, np.int64)
    labels[simulated] = groups
    cube = classes.cube(labels, -1)  # of length 1 along an axis that decides nothing: nothing changes there
    inert = []
    for dimension, axis in enumerate(classes.grid.axes):
        has_row = cube >= 0
        highest = cube.max(axis=dimension)
        lowest = np.where(has_row, cube, np.iinfo(np.int64).max).min(axis=dimension)
        if len(axis) > 1 and axis.name not in MARKET and bool(((highest == lowest) | (highest < 0)).all()):
            inert.append(axis.name)
    return inert
