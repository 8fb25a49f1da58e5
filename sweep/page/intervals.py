"""A mean and its interval: as text, in a row of a drawing, and in the cell of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sweep.page.drawing import (
    NARROW,
    axis_bottom,
    bar,
    breadth,
    diamond,
    dot,
    drawing,
    fitted,
    interval,
    line,
    sketch,
    text,
)
from sweep.page.numbers import NONE, bps
from sweep.page.scales import linear

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.scales import Linear

SKETCH: Final = (150.0, 18.0)
"""Width and height, px, of an interval in the cell of a table."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A mean and its 95 % interval, bps; None where there are too few blocks."""

    mean: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """As it is printed."""
        return bps(self.mean) if self.low is None else f"{bps(self.mean)} ({self.between})"

    @property
    def between(self) -> str:
        """The interval as it is printed."""
        return NONE if self.low is None else f"{bps(self.low)} to {bps(self.high)}"


def reach_of(section: Mapping[str, float | None] | None) -> Reach | None:
    """What a document says of one figure, as of `sweep.report.judgement.interval_section`; None of nothing."""
    if section is None or section["mean"] is None:
        return None
    low, high = section["low"], section["high"]
    return Reach(section["mean"], *((None, None) if low is None or high is None else (low, high)))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `intervals_drawn`; the one that is to be read first is `bold`."""

    label: str
    reach: Reach
    bold: bool = False


def intervals_drawn(
    rows: Sequence[Row], key: str, title: str, description: str, axis: str, band: float | None = None
) -> Element:
    """Intervals one below the other, over one axis with 0.

    Parameters
    ----------
    rows : (R,) sequence of Row
    key, title, description
        As of `drawing`.
    axis : str
        What the axis shows, with units.
    band : float, optional
        Effects smaller than this in size cannot be seen: shaded.
    """

    def make(width: float) -> Element:
        narrow = width <= NARROW
        printed = max(breadth(str(row.reach)) for row in rows)
        label = max(breadth(row.label) for row in rows)
        left, right = (8.0, width - 8.0) if narrow else (min(label, 200.0) + 20, width - min(printed, 300.0) - 20)
        top, step = (26.0 if band else 8.0), (42.0 if narrow else 28.0)
        bottom = top + step * len(rows) + 4
        scale = linear([*_ends(row.reach for row in rows), *([-band, band] if band else [])], left, right, zero=True)
        marks: list[Element | None] = []
        if band:
            marks.append(bar(scale(-band), top, scale(band) - scale(-band), bottom - top, "band"))
            within = f"below {band:,.2f} bps: too small to see"
            half = breadth(within) / 2
            middle = min(max(scale(0), left + half), max(right - half, left + half))
            marks.append(text(middle, top - 8, within, "muted middle"))
        marks.append(axis_bottom(scale, bottom, axis, top=top))
        marks.append(line(scale(0), top, scale(0), bottom, "zero"))
        for at, row in enumerate(rows):
            y = top + step * at + (28 if narrow else 16)
            weight = "bold over" if row.bold else "over"
            if narrow:
                marks.append(text(0, y - 11, row.label, weight, width=width - min(printed, 0.7 * width) - 8))
                marks.append(text(width, y - 11, str(row.reach), f"end {weight}"))
            else:
                marks.append(text(0, y + 4, row.label, weight, width=200))
                marks.append(text(width, y + 4, str(row.reach), f"end {weight}"))
            marks.extend(marked(scale, row.reach, y, bold=row.bold))
        return drawing(width, bottom + 38, title, description, *marks, key=key)

    return fitted(make)


def marked(scale: Linear, reach: Reach, y: float, *, bold: bool = False) -> list[Element]:
    """The marks of one interval at height `y`."""
    marks: list[Element] = []
    if reach.low is not None and reach.high is not None:
        marks.append(interval(scale(reach.low), scale(reach.high), y, "interval" if bold else "whisker"))
    if reach.mean is not None:
        shape = dot if bold else diamond
        marks.append(shape(scale(reach.mean), y, 4.5, "best" if bold else "ink", f"{reach} bps"))
    return marks


def sketched(reach: Reach | None, scale: Linear) -> Element | str:
    """An interval for the cell of a table; the cells of a column share `scale`, from 0 to the width of `SKETCH`."""
    if reach is None:
        return ""
    width, height = SKETCH
    return sketch(
        width, height, line(scale(0), 0, scale(0), height, "axis"), *marked(scale, reach, height / 2, bold=True)
    )


def sketch_scale(reaches: Iterable[Reach | None]) -> Linear:
    """The scale that the cells of a column share."""
    return linear(_ends(reach for reach in reaches if reach is not None), 5, SKETCH[0] - 5, zero=True)


def _ends(reaches: Iterable[Reach]) -> list[float | None]:
    return [end for reach in reaches for end in (reach.mean, reach.low, reach.high)]
