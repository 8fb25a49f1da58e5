"""From result rows to the best combination, and how much that says (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.money import NANO, rounded
from allocator.order import FIELDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allocator.order import Execution, Side
    from sweep.search import Classes

FILLED, OVERFILLED, TOTAL = (FIELDS.index(name) for name in ("filled", "overfilled", "total_cash"))


@dataclass(frozen=True, slots=True)
class Best:
    """The best combination, and the document's `objective`."""

    combination: int
    row: tuple[int, ...]
    objective: dict[str, Any]


def eligible(rows: NDArray[np.int64], best_ask: Execution) -> NDArray[np.bool_]:
    """(K,) bool: which rows fill no less than best_ask does."""
    filled: NDArray[np.bool_] = rows[:, FILLED] - rows[:, OVERFILLED] >= best_ask.filled - best_ask.overfilled
    return filled


def find_best(
    simulated: NDArray[np.int64], rows: NDArray[np.int64], classes: Classes, side: Side, best_ask: Execution
) -> Best:
    """Reduce the rows of one order on one tape.

    Parameters
    ----------
    simulated : (N,) int64
        The classes with a row, ascending; all except those that failed.
    rows : (N, 8) int64
        Their rows, the columns of `allocator.order.FIELDS`.
    classes : Classes
        Of the grid.
    side : str
    best_ask : Execution
        A combination that fills less than this baseline can only be best if all do.

    Raises
    ------
    ValueError
        No rows.
    """
    if not len(rows):
        raise ValueError("no combination has a row")
    may_be_best = np.flatnonzero(eligible(rows, best_ask))
    if not len(may_be_best):
        may_be_best = np.arange(len(rows))
    totals = rows[may_be_best, TOTAL]
    best_total = totals.min() if side == "buy" else totals.max()
    ties = may_be_best[totals == best_total]
    best = int(ties[0])  # classes ascend by their first combination
    number = int(classes.numbers(simulated[[best]])[0])
    groups, distinct = group(rows)
    grid, inert = classes.grid, _inert(simulated, groups, classes)
    point = grid.point(number)
    edges = [
        axis.name
        for axis in grid.axes
        if len(axis) > 1 and axis.name not in inert and point[axis.name] in axis.extremes
    ]
    span = int(rows[:, TOTAL].max()) - int(rows[:, TOTAL].min())
    return Best(
        number,
        tuple(rows[best].tolist()),
        {
            "combinations": len(grid),
            "distinct": distinct,
            "best_ties": int(classes.counts(simulated[ties]).sum()),
            "range": rounded(span, NANO, 2),
            "flat": distinct == 1,
            "inert": inert,
            "best_at_edge": bool(edges),
            "edges": edges,
        },
    )


def group(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Give equal rows equal numbers; sorts one column at a time, and only columns that split a group further.

    Parameters
    ----------
    rows : (K, 8) int64
        The columns of `allocator.order.FIELDS`.

    Returns
    -------
    groups : (K,) int64
        0 to `distinct` - 1; equal for equal rows only.
    distinct : int
        How many rows differ.
    """
    count = len(rows)
    groups, distinct = np.zeros(count, np.int64), min(count, 1)
    for field in (TOTAL, *(other for other in range(rows.shape[1]) if other != TOTAL)):
        if distinct == count:
            break
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
    cube = classes.cube(labels)  # of length 1 along an axis that decides nothing: nothing changes there
    inert = []
    for dimension, axis in enumerate(classes.grid.axes):
        has_row = cube >= 0
        highest = cube.max(axis=dimension)
        lowest = np.where(has_row, cube, np.iinfo(np.int64).max).min(axis=dimension)
        if len(axis) > 1 and bool(((highest == lowest) | (highest < 0)).all()):
            inert.append(axis.name)
    return inert
