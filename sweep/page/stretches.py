"""Quality over time: which stretches of a tape stand out from the others of it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

TIMES: Final = 4
"""A gap or a spread of over so many times the usual one stands out."""

MOST: Final = 50.0
"""So does a share of over so many percent."""

FEWER: Final = 2
"""And a stretch in which under one in so many of the usual venues publish."""

RULE: Final = (
    f"A stretch stands out where its longest gap or its spread is over {TIMES} times the usual one, where over half of "
    "its snapshots are crossed, locked or one-sided, where under half of the usual number of venues publish, or where "
    "it has no snapshot. Usual is the median over the stretches of its tape, each counted as often as it has snapshots."
)
"""The same in words."""

SHARES: Final = ("crossed", "locked", "one_sided")


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """The S stretches of one tape.

    Attributes
    ----------
    tape : int
    start, end : (S,) int64
        UTC ns.
    columns : dict of str to (S,) float64
        ``snapshots``, ``crossed``, ``locked`` and ``one_sided`` (% of the snapshots that were looked at),
        ``longest_gap`` (s), ``spread`` ($), ``venues`` and ``traded`` (shares); NaN where there is no figure.
    marked : dict of str to (S,) bool
        By column, where it stands out.
    looked_at : (S,) int64
        Snapshots whose book was looked at.
    counts : dict of str to int
        Of these, in all stretches: ``crossed``, ``locked`` and ``one_sided``.
    """

    tape: int
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    columns: dict[str, Float64]
    marked: dict[str, NDArray[np.bool_]]
    looked_at: NDArray[np.int64]
    counts: dict[str, int]

    @property
    def outstanding(self) -> NDArray[np.bool_]:
        """(S,) bool, where any column stands out."""
        out: NDArray[np.bool_] = np.any(list(self.marked.values()), axis=0)
        return out

    def share(self, name: str) -> float | None:
        """Which of the snapshots that were looked at are crossed, locked or one-sided, %."""
        looked = int(self.looked_at.sum())
        return 100 * self.counts[name] / looked if looked else None


def stretches_of(timeline: pd.DataFrame) -> list[Stretches]:
    """Of each tape, in order; none of an empty timeline."""
    if not len(timeline):
        return []
    return [_of_tape(int(number), timeline[timeline["tape"] == number]) for number in timeline["tape"].unique()]


def _of_tape(number: int, rows: pd.DataFrame) -> Stretches:
    columns = {name: _floats(rows, name) for name in ("snapshots", "venues", "traded")}
    columns["longest_gap"] = _floats(rows, "longest_gap") / 1e9
    spread = _floats(rows, "spread")
    columns["spread"] = np.where(spread >= 0, spread, np.nan) / 1e9
    looked = _floats(rows, "looked_at" if "looked_at" in rows else "snapshots")
    counts = {name: int(_floats(rows, name).sum()) for name in SHARES}
    for name in SHARES:
        columns[name] = np.full(len(rows), np.nan)
        np.divide(100 * _floats(rows, name), looked, out=columns[name], where=looked > 0)
    columns["longest_gap"][columns["snapshots"] == 0] = np.nan
    marked = {"snapshots": columns["snapshots"] == 0}
    for name in ("longest_gap", "spread"):
        marked[name] = _above(columns[name], TIMES * usual(columns[name], columns["snapshots"]))
    for name in SHARES:
        marked[name] = _above(columns[name], MOST)
    few = _above(-FEWER * columns["venues"], -usual(columns["venues"], columns["snapshots"]))
    marked["venues"] = few & ~marked["snapshots"]
    return Stretches(
        number,
        rows["start"].to_numpy(np.int64),
        rows["end"].to_numpy(np.int64),
        columns,
        marked,
        looked.astype(np.int64),
        counts,
    )


def _floats(rows: pd.DataFrame, name: str) -> Float64:
    return rows[name].to_numpy(np.float64, na_value=np.nan)


def usual(values: Float64, weights: Float64) -> float:
    """The lower median of values, each counted as often as its weight; NaN where nothing counts."""
    known = ~np.isnan(values) & (weights > 0)
    order = np.argsort(values[known], kind="stable")
    reached = np.cumsum(weights[known][order])
    return float(values[known][order][np.searchsorted(2 * reached, reached[-1])]) if len(order) else np.nan


def _above(values: Float64, limit: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        above: NDArray[np.bool_] = values > limit
    return above
