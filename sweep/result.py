"""The result of a sweep: the document, the table, and the table as a frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Final

from sweep.plotting import Plots
from sweep.sink import COLUMNS, KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from sweep.config import Config
    from sweep.search import Grid
    from sweep.tasks import Failure


_MAY_LACK: Final = ("combination", "shortfall_", "first_fill", "last_fill", "waited", "filled_by_")
"""Beginnings of the names of columns of `sweep.statistics.details` that may be None."""


AXIS_COLUMN: Final = {"fees": "fee_table"}
"""The column of an axis whose name a column of `COLUMNS` has."""


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The result of a sweep.

    Attributes
    ----------
    config : Config
    document : dict
        What is printed as JSON.
    load : callable
        Returns the table, which may lie on disk.
    load_orders : callable
        Returns the columns of `sweep.statistics.details`, which may lie on disk.
    load_venues : callable
        Yields the tables of `sweep.statistics.fills_by_venue`, which may lie on disk.
    load_combinations : callable
        Yields the parts of `frame`, which may lie on disk.
    load_view : callable
        Returns the columns of one of the tables of `sweep.views.views_of`, by its name.
    failures : tuple of Failure
        Combinations without a row.
    home : Path, optional
        The folder of the run; None if it was not stored.
    """

    config: Config
    document: dict[str, Any]
    load: Callable[[], NDArray[np.int64]]
    load_orders: Callable[[], dict[str, Any]]
    load_venues: Callable[[], Iterable[dict[str, Any]]]
    load_combinations: Callable[[], Iterable[pd.DataFrame]]
    load_view: Callable[[str], dict[str, Any]]
    failures: tuple[Failure, ...]
    home: Path | None = None

    def __repr__(self) -> str:
        """One line: the best parameters, what they save, and where the rest is."""
        best = ", ".join(f"{name}={value}" for name, value in self.document["best_parameters"].items())
        saved = self.document["savings_vs_baselines_bps"].items()
        savings = ", ".join(f"{'no' if bps is None else bps} bps against {name}" for name, bps in saved)
        failed = f"; {len(self.failures):,} combinations failed" if self.failures else ""
        place = "not stored" if self.home is None else f"stored in {self.home}"
        return f"Result(best of {len(self.config.question.grid):,}: {best}; saves {savings}{failed}; {place})"

    def _repr_html_(self) -> str:
        """For a notebook: the verdict, the best parameters, and what they save against each baseline."""
        statistics = self.document["statistics"]
        best = ", ".join(f"{name} {value}" for name, value in self.best.items())
        rows = []
        for name, each in statistics["saving_bps"].items():
            low, high = each["low"], each["high"]
            reach = "" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"
            mean = "" if each["mean"] is None else f"{each['mean']:+.2f}"
            strongest = " (strongest)" if name == statistics["against"] else ""
            rows.append(f"<tr><th>{escape(name)}{strongest}</th><td>{mean}</td><td>{reach}</td></tr>")
        return (
            f"<p><b>{escape(self.verdict['kind'])}.</b> {escape(self.verdict['sentence'])}</p>"
            f"<p>Best of {len(self.config.question.grid):,} combinations: {escape(best)}</p>"
            "<table><thead><tr><th>saved against</th><th>bps</th><th>95 % interval</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
        )

    @property
    def best(self) -> dict[str, Any]:
        """The best parameters, in dollars, and the value of each further axis that has several."""
        best: dict[str, Any] = self.document["best_parameters"]
        return best

    @property
    def verdict(self) -> dict[str, Any]:
        """What may be said: ``kind``, ``winner`` (None without evidence), ``against``, ``sentence``."""
        verdict: dict[str, Any] = self.document["verdict"]
        return verdict

    @property
    def plot(self) -> Plots:
        """Charts: ``heatmap``, ``parallel`` and ``differences``."""
        statistics = self.document["statistics"]
        against = statistics["against"]
        axes = [axis.name for axis in self.config.question.grid.axes if len(axis) > 1]
        best = {AXIS_COLUMN.get(name, name): self.best[name] for name in axes}
        interval = statistics["saving_bps"][against]
        worlds = self.document.get("worlds") or [self.document]
        pruned = bool((self.document.get("search") or {}).get("pruned"))
        return Plots(self.frame, self.orders_frame, tuple(best), best, interval, worlds, pruned)

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """(R, 11) int64, all result rows; the columns of `sweep.sink.COLUMNS`, sorted by (tape, order, combination).

        Shares are whole, money is in 1e-9 $.
        """
        return self.load()

    def orders_frame(self) -> pd.DataFrame:
        """A row for each order and strategy, as `sweep.statistics.details`: the best combination is ``optimized``."""
        return _frame(self.load_orders())

    def venues_frame(self) -> pd.DataFrame:
        """A row for each strategy, order and venue that filled shares of it: `sweep.statistics.fills_by_venue`."""
        import pandas as pd

        return pd.concat([_frame(columns) for columns in self.load_venues()], ignore_index=True)

    def frame(self) -> pd.DataFrame:
        """A row for each combination that has a result for every order, ascending: what it saves, all orders together.

        Columns: ``combination``; ``world``, counted from 0; each axis, in dollars or as its labels; ``filled``,
        ``unfilled`` and ``overfilled``, shares; ``fees`` and ``saved``, 1e-9 $: what it pays less than the strongest
        honest baseline of its world; ``saving_bps``, the same of the arrival notional; ``in_set``: it cannot be told
        from the best of its world, missing where there are too few blocks to say.
        """
        import pandas as pd

        return pd.concat(list(self.load_combinations()), ignore_index=True)

    def to_frame(self, first: int = 0, past: int | None = None) -> pd.DataFrame:
        """The rows [first, past) of the table as a pandas frame, with each combination's parameters in dollars.

        An axis that is no parameter has a column of its name, too, and `AXIS_COLUMN` says which has another.
        """
        import pandas as pd

        rows = self.table[first:past]
        columns = {name: rows[:, index] for index, name in enumerate(COLUMNS)}
        keys = {name: columns.pop(name) for name in KEYS}
        return pd.DataFrame({**keys, **_axes(self.config.question.grid, keys["combination"]), **columns})


def combinations_frame(columns: dict[str, Any], grid: Grid) -> pd.DataFrame:
    """A part of `Result.frame`, from the columns of `sweep.landscape.Landscape`."""
    import pandas as pd

    numbers, world = columns["combination"], columns["world"]
    inside = pd.array(columns["in_set"] == 1, "boolean")
    inside[columns["in_set"] < 0] = pd.NA
    summed = {**columns, "in_set": inside}
    return pd.DataFrame({"combination": numbers, "world": world, **_axes(grid, numbers)} | summed)


def _axes(grid: Grid, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """A column for each axis, in dollars or as its labels, by `AXIS_COLUMN`."""
    values = grid.printed_columns(numbers)
    typed = {axis.name: _typed(values[axis.name], axis.labels) for axis in grid.further}
    return {AXIS_COLUMN.get(name, name): column for name, column in {**values, **typed}.items()}


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    """Columns of which some may hold None, or be masked."""
    import pandas as pd

    nullable = {
        name: pd.array(column if isinstance(column, list) else column.tolist(), "Int64")
        for name, column in columns.items()
        if name.startswith(_MAY_LACK)
    }
    return pd.DataFrame({**columns, **nullable})


def _typed(column: NDArray[Any], labels: tuple[Any, ...]) -> Any:  # noqa: ANN401 - an array of numpy's or of pandas'
    """A column of labels, in the type that all of them have, so that each part of a table has it."""
    import pandas as pd

    kinds = {type(label) for label in labels}
    if kinds in ({bool}, {int}):
        return column.astype(kinds.pop())
    if kinds <= {int, float}:
        return column.astype(float)
    return pd.array([None if label is None else str(label) for label in column], "string")
