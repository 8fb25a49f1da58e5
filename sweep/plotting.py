"""Charts of a result, for notebooks: the specifications are those of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.charts import heat_map, parallel, strip
from sweep.errors import ConfigError
from sweep.reduce import fill_enough
from sweep.statistics import in_bps, saved_by_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from sweep.charts import Chart


@dataclass(frozen=True, slots=True, eq=False)
class Plots:
    """The charts of a result.

    Attributes
    ----------
    combinations : callable
        Returns `sweep.result.Result.frame`.
    orders : callable
        Returns `sweep.result.Result.orders_frame`.
    axes : tuple of str
        Columns of `combinations` with several values.
    best : mapping
        The value of the best combination on each of them, as the document prints it.
    interval : mapping
        ``low`` and ``high`` of what the best saves against the strongest baseline, bps; None where there is none.
    worlds : sequence of mapping
        The document's section of each world, the first one first; of a run with one world the document.
    pruned : bool
        Combinations were left out of later tapes.
    """

    combinations: Callable[[], pd.DataFrame]
    orders: Callable[[], pd.DataFrame]
    axes: tuple[str, ...]
    best: Mapping[str, Any]
    interval: Mapping[str, float | None]
    worlds: Sequence[Mapping[str, Any]]
    pruned: bool

    def heatmap(self, x: str | None = None, y: str | None = None, **at: Any) -> Chart:  # noqa: ANN401 - values of axes
        """What each combination saves, on two axes; outlined: it cannot be told from the best of its world.

        The diamond marks the best combination, where these cells hold it.

        Parameters
        ----------
        x, y : str, optional
            Axes; the first two that have several values by default.
        **at
            The value of each other axis; that of the best combination by default.

        Raises
        ------
        ConfigError
            There are not two such axes, or no combination at these values.
        """
        x = self._axis("x", x, {y, *at})
        y = self._axis("y", y, {x, *at})
        for name in at:
            self._axis(name, name, {x, y})
        frame = self.combinations()
        enough = self._enough(frame)
        others = [name for name in self.axes if name not in {x, y}]
        for name in others:
            value = at.get(name, self.best[name])
            kept = frame[_has(frame[name], value)]
            if kept.empty:
                values = ", ".join(map(str, frame[name].drop_duplicates().head(20).tolist()))
                raise ConfigError(f"heatmap: no combination has {name}={value!r}; expected one of {values}")
            frame = kept
        held = ", ".join(f"{name} {frame[name].iloc[0]}" for name in others)
        title = "What each combination saves" + (f", {held}" if held else "")
        own = enough[frame.index.to_numpy()]
        frame = frame.reset_index(drop=True)
        is_best = np.logical_and.reduce([_has(frame[name], self.best[name]) for name in self.axes])
        best = int(np.flatnonzero(is_best)[0]) if is_best.any() else None
        unknown = "pruning left out too much" if self.pruned else "too few blocks"
        against = self._against(frame)
        return heat_map(frame, x, y, best=best, enough=own, unknown=unknown, against=against, title=title)

    def _enough(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """(K,) bool: which rows may be the best of their world."""
        fills = [world["baselines"]["best_ask"] for world in self.worlds]
        return fill_enough(frame.to_dict("series"), [each["filled"] - each["overfilled"] for each in fills])

    def _against(self, frame: pd.DataFrame) -> str:
        """The baseline of the world of some combinations."""
        names = {self.worlds[world]["statistics"]["against"] for world in frame["world"].unique().tolist()}
        return names.pop() if len(names) == 1 else "the strongest baseline of its world"

    def _axis(self, role: str, name: str | None, taken: set[str | None]) -> str:
        free = [axis for axis in self.axes if axis not in taken]
        if name is None and free:
            return free[0]
        if name is None or name not in free:
            listed = ", ".join(free) or "none"
            problem = "needs two axes with several values" if name is None else f"it had {name!r}"
            raise ConfigError(f"heatmap: {role}: expected one of the axes {listed}, but {problem}")
        return name

    def parallel(self, percent: float = 5) -> Chart:
        """The best combinations of the first world as lines over its axes, before the density of all of that world.

        Parameters
        ----------
        percent : float
            Which part of the combinations is drawn as lines, above 0 to 100.

        Raises
        ------
        ConfigError
            No axis has several values, or that is no part.
        """
        if not 0 < percent <= 100:
            raise ConfigError(f"percent: expected above 0 to 100, but it had {percent}")
        frame = self.combinations()
        here = (frame["world"] == frame["world"].min()).to_numpy(bool)
        enough, frame = self._enough(frame)[here], frame[here].reset_index(drop=True)
        axes = [name for name in self.axes if len(frame[name].drop_duplicates()) > 1]
        if not axes:
            raise ConfigError("parallel: expected an axis with several values, but the grid has none")
        return parallel(frame, axes, percent=percent, enough=enough, against=self._against(frame))

    def differences(self) -> Chart:
        """What the best saves in each order against the strongest baseline, in the order of time, first world."""
        orders = self.orders()
        if "world" in orders:
            orders = orders[orders["world"] == orders["world"].min()]
        against = self.worlds[0]["statistics"]["against"]
        saved, notional = saved_by_order(orders.to_dict("series"), against)
        own = orders[orders["strategy"] == "optimized"].reset_index(drop=True)
        frame = own[["tape", "order", "side", "size", "start", "block"]].assign(saving_bps=in_bps(saved, notional))
        low, high = self.interval.get("low"), self.interval.get("high")
        reach = None if low is None or high is None else (low, high)
        return strip(frame, interval=reach, against=against)


def _has(column: pd.Series[Any], value: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - a value of any axis
    """(K,) bool: where a column has a value; as text where the labels of an axis are of several types."""
    from pandas.api.types import is_numeric_dtype

    if value is None:
        return column.isna().to_numpy(bool)
    if is_numeric_dtype(column):
        return (column == (math.inf if value == ".inf" else value)).to_numpy(bool)
    return (column.astype("string") == str(value)).fillna(value=False).to_numpy(bool)
