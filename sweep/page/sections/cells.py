"""Cells: what orders save by size, side and time of day; a description, not a test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from feed.instants import format_instant
from feed.tape import DAY
from sweep.page.drawing import NARROW, axis_left, diamond, dots, drawing, fitted, interval, line, text
from sweep.page.layout import figure, section, table
from sweep.page.numbers import NONE, bps, decimal, whole
from sweep.page.paired import paired
from sweep.page.scales import Band, linear, time_step
from sweep.statistics import t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweep.page.element import Element
    from sweep.page.paired import Paired
    from sweep.page.reading import Run
    from sweep.page.scales import Linear

FEW: Final = 5
"""Orders; a cell with fewer is not judged."""

TIMES: Final = 8
"""Times of day at most, but for one more where the first is not whole."""

PANELS: Final = 8
"""Sides and sizes that are drawn."""

ROWS: Final = 40
"""In the table."""

MINUTE: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Cell:
    """Some orders.

    Attributes
    ----------
    orders : int
    mean, error : float, optional
        Of what each saves, bps of its notional, each counting the same, and the standard error, which takes orders as
        independent; None without, or of one.
    """

    orders: int
    mean: float | None
    error: float | None

    @property
    def judged(self) -> bool:
        """Whether there are enough orders to look at."""
        return self.orders >= FEW and self.mean is not None

    @property
    def reach(self) -> float:
        """How far the 95 % interval reaches to either side: by Student's t, as the error is estimated."""
        return t_quantile(0.975, self.orders - 1) * self.error if self.error else 0.0

    @property
    def apart(self) -> bool:
        """Whether 0 is outside the 95 % interval."""
        return self.judged and self.error is not None and abs(self.mean or 0.0) > self.reach

    def __str__(self) -> str:
        """As it is printed."""
        if not self.orders:
            return NONE
        error = "" if self.error is None else f" ± {decimal(self.error)}"
        return f"{bps(self.mean)}{error} (n {whole(self.orders)})"


@dataclass(frozen=True, slots=True)
class Panel:
    """The orders of one side and size: all of them, and by time of day."""

    name: str
    whole: Cell
    by_time: tuple[Cell, ...]


def cells(run: Run) -> Element:
    """Mean saving by size, side and time of day."""
    title = "By size, side and time of day"
    each = paired(run)
    if len(each.orders) < FEW:
        few = f"{whole(len(each.orders))} {'order is' if len(each.orders) == 1 else 'orders are'}"
        lead = f"{few} too few to compare cells."
        return section("cells", title, lead=lead)
    times, panels = panels_of(each)
    return section(
        "cells",
        title,
        figure(_drawn(panels, times, run.against), _caption(panels), _table(panels, times)),
        lead=_lead(panels, times),
    )


def panels_of(each: Paired) -> tuple[list[str], list[Panel]]:
    """The times of day at which cells begin, UTC, and a panel for each size and side."""
    clock = each.orders["start"].to_numpy(np.int64) % DAY
    step = time_step(max((int(clock.max()) - int(clock.min())) / TIMES, MINUTE))
    at = clock // step
    times = range(int(at.min()), int(at.max()) + 1)
    sides, sizes = each.orders["side"].to_numpy(str), each.orders["size"].to_numpy(np.int64)
    panels = []
    for size in np.unique(sizes).tolist():
        for side in sorted(set(sides.tolist())):
            own = (sizes == size) & (sides == side)
            if own.any():
                by_time = tuple(_cell(each.bps[own & (at == when)]) for when in times)
                panels.append(Panel(f"{side} {whole(size)}", _cell(each.bps[own]), by_time))
    return [format_instant(when * step)[11:16] for when in times], panels


def _cell(values: NDArray[np.float64]) -> Cell:
    known = values[np.isfinite(values)].tolist()
    if not known:
        return Cell(0, None, None)
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return Cell(1, mean, None)
    squares = math.fsum((value - mean) ** 2 for value in known)
    return Cell(len(known), mean, math.sqrt(squares / (len(known) - 1) / len(known)))


def _lead(panels: Sequence[Panel], times: Sequence[str]) -> str:
    judged = [
        (cell.mean or 0.0, f"{panel.name} from {when}")
        for panel in panels
        for when, cell in zip(times, panel.by_time, strict=True)
        if cell.judged
    ]
    if not judged:
        return f"No cell has {FEW} orders or more, so none is judged."
    (low, lowest), (high, highest) = min(judged), max(judged)
    apart = sum(cell.apart for panel in panels for cell in panel.by_time)
    count = len(judged)
    by_chance = f"about {decimal(0.05 * count, 1)} would be by chance alone if nothing were there"
    return (
        f"Means reach from {bps(low)} bps ({lowest}) to {bps(high)} bps ({highest}); {whole(apart)} of {whole(count)} "
        f"cells with {FEW} orders or more have a 95 % interval without 0, and {by_chance}. Cells describe; they are "
        "not tests."
    )


def _drawn(panels: Sequence[Panel], times: Sequence[str], against: str) -> Element:
    shown = panels[:PANELS]

    def make(width: float) -> Element:
        columns = 1 if width <= NARROW else 2
        wide, high = (width - 24.0 * (columns - 1)) / columns, 156.0
        ends = [
            end
            for panel in shown
            for cell in panel.by_time
            if cell.judged
            for end in ((cell.mean or 0) - cell.reach, (cell.mean or 0) + cell.reach)
        ]
        marks: list[Element | None] = []
        for at, panel in enumerate(shown):
            left, top = (at % columns) * (wide + 24), (at // columns) * high
            marks.extend(_panel(panel, times, left, top, wide, linear(ends, top + 108, top + 36, zero=True)))
        height = high * -(-len(shown) // columns) + 4
        listed = "; ".join(f"{panel.name} {panel.whole}" for panel in shown)
        title = f"Mean saving against {against} by size, side and time of day"
        return drawing(width, height, title, f"bps ± standard error (n orders): {listed}.", *marks, key="cells")

    return fitted(make)


def _panel(panel: Panel, times: Sequence[str], left: float, top: float, wide: float, scale: Linear) -> list[Element]:
    band = Band(len(times), left + 44, left + wide, 0.2)
    marks = [
        text(left, top + 12, panel.name, "bold", width=wide * 0.45),
        text(left + wide, top + 12, f"all day {panel.whole}", "muted end"),
        axis_left(scale, left + 44, "bps", right=left + wide, count=4),
        line(left + 44, scale(0), left + wide, scale(0), "zero"),
    ]
    points = []
    for at, cell in enumerate(panel.by_time):
        x = band.middle(at)
        marks.append(text(x, top + 123, times[at], "muted middle"))
        marks.append(text(x, top + 136, whole(cell.orders), "muted middle"))
        if cell.mean is None:
            continue
        if not cell.judged:
            marks.append(diamond(x, scale.held(cell.mean), 4, "hollow faint", f"{cell}: too few"))
            continue
        if cell.error:
            ends = (cell.mean - cell.reach, cell.mean + cell.reach)
            marks.append(interval(scale(ends[0]), scale(ends[1]), x, "whisker", upright=True))
        points.append((x, scale(cell.mean)))
    marks.append(dots(points, "solid-dots"))
    marks.append(text(left + 38, top + 136, "n", "muted end"))
    return marks


def _caption(panels: Sequence[Panel]) -> str:
    caption = (
        "Mean of what each order saves, bps of its arrival notional, each counting the same; lines are 95 % intervals "
        "by Student's t with n - 1 degrees of freedom, as if orders were independent. Times of day are UTC, of the "
        "start; n is the number of orders."
    )
    if any(cell.orders and not cell.judged for panel in panels for cell in panel.by_time):
        caption += f" Hollow diamonds: fewer than {FEW} orders, not judged; they may lie beyond the axis."
    left = len(panels) - PANELS
    return caption if left <= 0 else f"{caption} {whole(left)} more sizes and sides are in the table alone."


def _table(panels: Sequence[Panel], times: Sequence[str]) -> Element:
    rows = [(panel.name, str(panel.whole), *map(str, panel.by_time)) for panel in panels[:ROWS]]
    caption = "Mean saving, bps, ± standard error (n orders), by side and size and by time of day, UTC"
    if len(panels) > ROWS:
        caption += f"; {whole(len(panels) - ROWS)} more: orders.parquet"
    return table(("Orders", "All day, bps", *(f"{when}, bps" for when in times)), rows, caption)
