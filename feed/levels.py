"""What rows show behind their first level: the further levels of each side, and what they must keep to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.instants import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Column = NDArray[Any]

LEVEL_DTYPES = {"bid_px": "<i8", "ask_px": "<i8", "bid_sz": "<i4", "ask_sz": "<i4"}

_PASS = 2**12
"""Rows whose levels are looked at together: they stay in the cache."""

MOST_LEVELS = 10
"""Levels of a side at most, the first included: as many as Databento's mbp-10 has."""


def level_names(depth: int) -> dict[str, list[str]]:
    """Databento's names of the columns of the levels behind the first, by the names of `LEVEL_DTYPES`, best first."""
    return {name: [f"{name}_{level:02}" for level in range(1, depth)] for name in LEVEL_DTYPES}


class LevelsError(ValueError):
    """A row's levels are not strictly worse one after the other; the message names venue, instant and prices."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The levels 2 to D of N rows, best first.

    A side ends at its first level without a quote: price 0 and size 0 there and behind. Prices are strictly worse level
    after level.

    Attributes
    ----------
    bid_px, ask_px : (N, D - 1) int64
        1e-9 $.
    bid_sz, ask_sz : (N, D - 1) int32
        Shares displayed.
    """

    bid_px: NDArray[np.int64]
    ask_px: NDArray[np.int64]
    bid_sz: NDArray[np.int32]
    ask_sz: NDArray[np.int32]

    @property
    def columns(self) -> dict[str, Column]:
        """The columns by name."""
        return {name: getattr(self, name) for name in LEVEL_DTYPES}

    @property
    def depth(self) -> int:
        """D: levels of a side, the first included."""
        return 1 + int(self.bid_px.shape[1])

    @property
    def deepest(self) -> int:
        """The most levels of a side that any row shows, 1 to D."""
        depth = self.depth
        while depth > 1 and not (self.bid_px[:, depth - 2].any() or self.ask_px[:, depth - 2].any()):
            depth -= 1
        return depth

    @property
    def counts(self) -> Column:
        """(D - 1,) int64, how many rows show each level on either side, the second one first."""
        shown = [self.bid_px[:, at] | self.ask_px[:, at] for at in range(self.depth - 1)]
        return np.array([np.count_nonzero(each) for each in shown], np.int64)

    def take(self, rows: slice | Column) -> Levels:
        """Some of the rows."""
        return Levels(**{name: column[rows] for name, column in self.columns.items()})

    def up_to(self, depth: int) -> Levels | None:
        """The levels up to a depth; None for depth 1."""
        if depth == 1:
            return None
        return Levels(**{name: column[:, : depth - 1] for name, column in self.columns.items()})


FLAT_DTYPES = {f"{name}_{level:02}": dtype for level in range(1, MOST_LEVELS) for name, dtype in LEVEL_DTYPES.items()}
"""Types of the columns of each level behind the first, level by level."""


def depth_of(names: Iterable[str]) -> int:
    """Levels of a side that columns by these names hold: all four of each level up to it are there."""
    present = set(names)
    behind = zip(*level_names(MOST_LEVELS).values(), strict=True)
    return 1 + next((at for at, level in enumerate(behind) if not {*level} <= present), MOST_LEVELS - 1)


def in_order(columns: Mapping[str, Column]) -> bool:
    """Whether levels are strictly worse one after the other, up to the first without a quote.

    Parameters
    ----------
    columns : mapping of str to (N,) integers
        Of the first level as in a tape, of the others by Databento's names; a price or a size of 0 or less is no quote.
    """
    for side, sign in (("bid", -1), ("ask", 1)):
        before, quoted = columns[f"{side}_px"], columns[f"{side}_sz"] > 0
        quoted &= before > 0
        for level in range(1, depth_of(columns)):
            px = columns[f"{side}_px_{level:02}"]
            quoted &= (px > 0) & (columns[f"{side}_sz_{level:02}"] > 0)
            if (quoted & (sign * (px - before) <= 0)).any():
                return False
            before = px
    return True


def flat_columns(levels: Levels) -> dict[str, Column]:
    """The columns (N,) of each level behind the first, by Databento's names."""
    columns, names = levels.columns, level_names(levels.depth)
    return {names[name][at]: columns[name][:, at] for at in range(levels.depth - 1) for name in names}


def stacked_columns(flat: Mapping[str, Column], depth: int) -> dict[str, Column]:
    """The columns (N, D - 1) of `Levels` out of those of each level."""
    return {name: np.stack([flat[each] for each in names], axis=1) for name, names in level_names(depth).items()}


def end_sides(levels: Mapping[str, Column], first: Mapping[str, Column]) -> Levels:
    """End each side at its first level without a quote, in place, and check the order of the others.

    Parameters
    ----------
    levels : mapping of str to (N, D - 1) integers
        The columns of `Levels`; what is no quote has price 0 and size 0 already.
    first : mapping of str to (N,) integers
        ts, venue, and bid_px and ask_px of the first level, likewise.

    Raises
    ------
    LevelsError
    """
    for start in range(0, len(first["ts"]), _PASS):
        rows = slice(start, start + _PASS)
        for side, sign in (("bid", -1), ("ask", 1)):
            px, sz, best = levels[f"{side}_px"][rows], levels[f"{side}_sz"][rows], first[f"{side}_px"][rows]
            if not _astray(px, best, sign):
                continue
            before = np.concatenate([best[:, None], px[:, :-1]], axis=1)
            gone = (px == 0) | (before == 0)
            np.logical_or.accumulate(gone, axis=1, out=gone)
            px[gone] = 0
            sz[gone] = 0
            wrong = (px >= before) if sign < 0 else (px <= before)
            wrong &= ~gone
            if wrong.any():
                level = int(np.argmax(wrong.any(axis=0)))  # the first level, and in it the first row
                row = int(np.argmax(wrong[:, level]))
                raise LevelsError(
                    f"levels of venue {int(first['venue'][start + row])} at "
                    f"{format_instant(int(first['ts'][start + row]))} are out of order: {side} {level + 2} is "
                    f"{px[row, level] / 1e9} $ behind {before[row, level] / 1e9} $"
                )
    return Levels(**levels)


def _astray(px: Column, best: Column, sign: int) -> bool:
    """Whether a level is not strictly worse than that before it, or stands behind none."""
    for here, before in ((px[:, 0], best), (px[:, 1:], px[:, :-1])):
        wrong = here >= before if sign < 0 else (here <= before) | (before == 0)
        wrong &= here > 0
        if wrong.any():
            return True
    return False


def join_levels(parts: Sequence[tuple[int, Levels | None]]) -> dict[str, Column] | None:
    """Join the levels of parts, those of less depth filled up with 0.

    Parameters
    ----------
    parts : sequence of (int, Levels, optional)
        Rows, and their levels.
    """
    width = max((levels.depth - 1 for _, levels in parts if levels is not None), default=0)
    if not width:
        return None
    joined = {name: np.zeros((sum(rows for rows, _ in parts), width), dtype) for name, dtype in LEVEL_DTYPES.items()}
    start = 0
    for rows, levels in parts:
        if levels is not None:
            for name, column in levels.columns.items():
                joined[name][start : start + rows, : levels.depth - 1] = column
        start += rows
    return joined
