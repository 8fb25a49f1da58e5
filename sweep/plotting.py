"""Charts of a result, for notebooks: the specifications are those of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.charts import heat_map, parallel, strip
from sweep.errors import ConfigError
from sweep.statistics import in_bps, saved_by_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

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
    against : str
        The strongest honest baseline of the first world.
    """

    combinations: Callable[[], pd.DataFrame]
    orders: Callable[[], pd.DataFrame]
    axes: tuple[str, ...]
    best: Mapping[str, Any]
    interval: Mapping[str, float | None]
    against: str

    def heatmap(self, x: str | None = None, y: str | None = None, **at: Any) -> Chart:  # noqa: ANN401 - values of axes
        """What each combination saves, on two axes; outlined: it cannot be told from the best of its world.

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
        others = [name for name in self.axes if name not in {x, y}]
        for name in others:
            value = at.get(name, self.best[name])
            column = frame[name]
            kept = frame[column.isna() if value is None else column == (math.inf if value == ".inf" else value)]
            if kept.empty:
                values = ", ".join(map(str, column.drop_duplicates().head(20).tolist()))
                raise ConfigError(f"heatmap: no combination has {name}={value!r}; expected one of {values}")
            frame = kept
        held = ", ".join(f"{name} {frame[name].iloc[0]}" for name in others)
        title = "What each combination saves" + (f", {held}" if held else "")
        return heat_map(frame.reset_index(drop=True), x, y, against=self.against, title=title)

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
        """The best combinations as lines over all axes, before the density of all.

        Parameters
        ----------
        percent : float
            Which part of the combinations is drawn as lines.

        Raises
        ------
        ConfigError
            No axis has several values.
        """
        if not self.axes:
            raise ConfigError("parallel: expected an axis with several values, but the grid has none")
        return parallel(self.combinations(), self.axes, percent=percent, against=self.against)

    def differences(self) -> Chart:
        """What the best saves in each order against the strongest baseline, in the order of time, first world."""
        orders = self.orders()
        if "world" in orders:
            orders = orders[orders["world"] == orders["world"].min()]
        saved, notional = saved_by_order(orders.to_dict("series"), self.against)
        own = orders[orders["strategy"] == "optimized"].reset_index(drop=True)
        frame = own[["tape", "order", "side", "size", "start", "block"]].assign(saving_bps=in_bps(saved, notional))
        low, high = self.interval.get("low"), self.interval.get("high")
        reach = None if low is None or high is None else (low, high)
        return strip(frame, interval=reach, against=self.against)
