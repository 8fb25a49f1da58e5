"""The combinations of a run on its axes, and slices of them: what a heat map of two axes shows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.charts import bins_of, texts, thresholds, titled
from sweep.reduce import fill_enough
from sweep.search import MARKET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.page.reading import Run

    Int64 = NDArray[np.int64]

MOST: Final = 30
"""Columns and rows of a heat map; of more values neighbours share one, which shows the best of them."""

THIN: Final = 0.5
"""Share of cells with a combination below which a slice is shown with the best over the other axes instead."""


@dataclass(frozen=True, slots=True)
class Varied:
    """An axis with several values.

    Attributes
    ----------
    name : str
    title : str
        With its unit.
    labels : tuple of str
        Its values as they are printed.
    market : bool
        What the router cannot choose: savings of two of its values have baselines of their own.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    market: bool


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """The K combinations of a run that have a result, on its A axes with several values.

    Attributes
    ----------
    axes : (A,) tuple of Varied
    number : (K,) int64
        Of the combination, ascending.
    positions : (K, A) int64
        On each axis, counted from 0.
    saved : (K,) int64
        1/100 bps of the arrival notional, against the strongest honest baseline of its world.
    in_set : (K,) bool, optional
        It cannot be told from the best of its world; None where there are too few blocks to say, or some were pruned.
    world : (K,) int64
    bests : (W,) int64
        Of each world the best, as a row of the above.
    against : (W,) tuple of str
        Of each world the baseline.
    whole : bool
        Every place of the lattice has a combination.
    steps : tuple of float
        As of `sweep.charts.thresholds`.
    rank : (K,) int64
        As of `rank_of`.
    enough : (K,) bool, optional
        It fills no less than best_ask, so that it may be the best of its world; None where all may.
    pruned : int
        Combinations that were left out of later tapes.
    """

    axes: tuple[Varied, ...]
    number: Int64
    positions: Int64
    saved: Int64
    in_set: NDArray[np.bool_] | None
    world: Int64
    bests: Int64
    against: tuple[str, ...]
    whole: bool
    steps: tuple[float, ...]
    rank: Int64
    enough: NDArray[np.bool_] | None = None
    pruned: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Values per axis."""
        return tuple(len(axis.labels) for axis in self.axes)

    def values(self, row: int) -> dict[str, str]:
        """The values of a combination as they are printed, by axis."""
        return {axis.name: axis.labels[at] for axis, at in zip(self.axes, self.positions[row].tolist(), strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A heat map's cells.

    Attributes
    ----------
    x, y : int
        Axes; y = -1: there is one row.
    at : tuple of int
        Of each axis the value that it is held at; -1: any, and of x and y.
    rest : tuple of int
        The same, with what x and y would be held at.
    columns, rows : tuple of (int, int)
        The first and last position of each on its axis.
    best : (Y, X) int64
        The best combination of each cell, a row of the lattice; -1: none was looked at.
    count : (Y, X) int64
        Combinations of each cell.
    """

    x: int
    y: int
    at: tuple[int, ...]
    rest: tuple[int, ...]
    columns: tuple[tuple[int, int], ...]
    rows: tuple[tuple[int, int], ...]
    best: Int64
    count: Int64


def lattice_of(run: Run) -> Lattice:
    """The combinations of a run that have a saving; of each axis the values that one of them has."""
    grid, frame = run.config.question.grid, run.combinations
    frame = frame[frame["saving_bps"].notna()]
    number = frame["combination"].to_numpy(np.int64)
    axes, columns, points = [], [], {}
    for axis in grid.axes:
        used, column = np.unique(grid.positions(number)[axis.name], return_inverse=True)
        if len(used) > 1:
            printed = [axis.printed(at) for at in used.tolist()]
            axes.append(Varied(axis.name, titled(axis.name), tuple(texts(printed)), axis.name in MARKET))
            columns.append(column.astype(np.int64))
            points[axis.name] = printed
    positions = np.column_stack(columns) if columns else np.zeros((len(number), 0), np.int64)
    of_world = run.worlds
    fills = [each["baselines"]["best_ask"] for each in of_world]
    enough = fill_enough(frame.to_dict("series"), [each["filled"] - each["overfilled"] for each in fills])
    saved = np.round(100 * frame["saving_bps"].round(2).to_numpy(float)).astype(np.int64)
    bests = [_row_of({**each.get("market", {}), **each["best_parameters"]}, points, positions) for each in of_world]
    return Lattice(
        tuple(axes),
        number,
        positions,
        saved,
        None if frame["in_set"].isna().any() else frame["in_set"].to_numpy(bool),
        frame["world"].to_numpy(np.int64),
        np.array(bests, np.int64),
        tuple(each["statistics"]["against"] for each in of_world),
        len(number) == prod(len(axis.labels) for axis in axes),
        tuple(thresholds(saved / 100)),
        rank_of(saved, bests, enough),
        None if enough.all() else enough,
        run.pruned,
    )


def rank_of(saved: Int64, bests: Sequence[int], enough: NDArray[np.bool_] | None = None) -> Int64:
    """(K,) int64, the smaller the better: what fills enough, then by what is saved as printed.

    Of equal ones the best of a world is first, then the one of the smallest number.
    """
    enough = np.ones(len(saved), bool) if enough is None else enough
    is_best = np.zeros(len(saved), bool)
    is_best[list(bests)] = True
    rank = np.empty(len(saved), np.int64)
    rank[np.lexsort((np.arange(len(saved)), ~is_best, -saved, ~enough))] = np.arange(len(saved))
    return rank


def _row_of(point: Mapping[str, Any], points: Mapping[str, Sequence[Any]], positions: Int64) -> int:
    """Which row has the values of a combination of the document."""
    same = np.ones(len(positions), bool)
    for column, (name, printed) in enumerate(points.items()):
        same &= positions[:, column] == printed.index(point[name])
    return int(np.flatnonzero(same)[0])


def first_axes(lattice: Lattice) -> list[int]:
    """The axes in the order in which a heat map takes them: what the router chooses first."""
    return sorted(range(len(lattice.axes)), key=lambda at: lattice.axes[at].market)


def first_slice(lattice: Lattice, most: int = MOST) -> Slice:
    """The slice of the first two axes through the best combination of the first world.

    Where fewer than `THIN` of its cells have a combination, as of a search that looked at few places, the other axes
    are any, but those of the market.
    """
    x, *others = first_axes(lattice)
    y = others[0] if others else -1
    through = lattice.positions[lattice.bests[0]].tolist()
    made = slice_of(lattice, x, y, through, most)
    if (made.best >= 0).mean() >= THIN:
        return made
    free = [at if axis.market else -1 for axis, at in zip(lattice.axes, through, strict=True)]
    return slice_of(lattice, x, y, free, most)


def slice_of(lattice: Lattice, x: int, y: int, at: Sequence[int], most: int = MOST) -> Slice:
    """The cells of two axes, the others held or any.

    Parameters
    ----------
    lattice : Lattice
    x, y : int
        Axes; y = -1: none.
    at : (A,) sequence of int
        The position that each axis is held at, but x and y; -1 = any.
    most : int
        Columns and rows.
    """
    held = tuple(-1 if axis in {x, y} else place for axis, place in enumerate(at))
    kept = np.ones(len(lattice.number), bool)
    for axis, place in enumerate(held):
        if place >= 0:
            kept &= lattice.positions[:, axis] == place
    rows = np.flatnonzero(kept)
    columns = bins_of(lattice.shape[x], most)
    lines = bins_of(lattice.shape[y], most) if y >= 0 else ((0, 0),)
    across = _bin(lattice.positions[rows, x], lattice.shape[x], len(columns))
    down = _bin(lattice.positions[rows, y], lattice.shape[y], len(lines)) if y >= 0 else np.zeros(len(rows), np.int64)
    cell = down * len(columns) + across
    shape = (len(lines), len(columns))
    best = np.full(shape, -1, np.int64)
    worst_first = np.argsort(-lattice.rank[rows], kind="stable")
    best.ravel()[cell[worst_first]] = rows[worst_first]  # the last one written, the best, stays
    count = np.bincount(cell, minlength=best.size).reshape(shape)
    return Slice(x, y, held, tuple(at), columns, lines, best, count)


def _bin(positions: Int64, count: int, bins: int) -> Int64:
    return positions * bins // count
