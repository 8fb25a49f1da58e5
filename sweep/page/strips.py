"""Drawings of quality over time: strips of one tape, or a row for each of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from feed.tape import DAY
from sweep.page.drawing import NARROW, axis_bottom, breadth, coordinate, drawing, fitted, line, text
from sweep.page.element import element
from sweep.page.numbers import decimal
from sweep.page.scales import time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.page.element import Element
    from sweep.page.scales import Time
    from sweep.page.stretches import Float64, Stretches

STRIPS: Final = {
    "snapshots": ("Snapshots", 0, "s1"),
    "crossed": ("Crossed, % of snapshots", 1, "s2"),
    "locked": ("Locked, % of snapshots", 1, "s4"),
    "one_sided": ("One-sided, % of snapshots", 1, "s5"),
    "longest_gap": ("Longest gap, s", 3, "s6"),
    "spread": ("Spread, median, $", 4, "s3"),
    "venues": ("Venues that publish", 0, "s8"),
    "traded": ("Traded, shares", 0, "s7"),
}
"""Of each column its title with the unit, its decimals, and its class."""

HEATS: Final = 6


def strips(one: Stretches, description: str) -> Element:
    """The columns of one tape, one above the other over time; what stands out is marked."""
    shown = [name for name in STRIPS if name == "snapshots" or np.nansum(one.columns[name]) > 0]

    def make(width: float) -> Element:
        tall, step = 24.0, 46.0
        across = time([int(one.start[0]), int(one.end[-1])], 1.0, width - 1)
        bottom = step * len(shown)
        marks: list[Element | None] = [axis_bottom(across, bottom, "Time, UTC", top=0)]
        for at, name in enumerate(shown):
            title, digits, kind = STRIPS[name]
            floor = step * (at + 1) - 6
            values = one.columns[name]
            most = float(np.nanmax(values)) if not np.isnan(values).all() else 0.0
            marks.append(text(1, floor - tall - 5, title, "muted", width=width * 0.6))
            marks.append(text(width - 1, floor - tall - 5, f"at most {decimal(most, digits)}", "muted end"))
            outline = _outline(one, values, across, floor, tall / (most or 1.0))
            marks.append(element("path", {"d": outline, "class": kind}))
            marks.append(line(across.start, floor, across.end, floor))
            if name in one.marked and one.marked[name].any():
                flags = _flags(one, one.marked[name], across, floor + 2)
                marks.append(element("path", {"d": flags, "class": "loss"}))
        return drawing(width, bottom + 36, "Quality of the tape over time", description, *marks, key="quality")

    return fitted(make)


def rows(each: Sequence[Stretches], names: Mapping[int, str], description: str) -> Element:
    """A row for each tape over the time of day: the darker, the more snapshots; what stands out is marked."""
    starts = [int(one.start[0]) % DAY for one in each]
    ends = [start + int(one.end[-1] - one.start[0]) for start, one in zip(starts, each, strict=True)]

    def make(width: float) -> Element:
        narrow = width <= NARROW
        left = min(0.3 * width, max(breadth(names[one.tape]) for one in each) + 8)
        across = time([*starts, *ends], left, width - 2)
        step, tall = 22.0, 13.0
        bottom = step * len(each) + 4
        marks: list[Element | None] = [axis_bottom(across, bottom, "Time of day, UTC", count=3 if narrow else None)]
        heats: dict[int, list[str]] = {}
        flags: list[str] = []
        for at, (one, start) in enumerate(zip(each, starts, strict=True)):
            y = step * at + 2
            marks.append(text(0, y + 11, names[one.tape], width=left - 6))
            shift = start - int(one.start[0])
            for level, first, last in _runs(_levels(one.columns["snapshots"])):
                x, past = across(int(one.start[first]) + shift), across(int(one.end[last]) + shift)
                cell = f"M{coordinate(x)},{y:g}H{coordinate(past)}v{tall:g}H{coordinate(x)}z"
                heats.setdefault(level, []).append(cell)
            flags.append(_flags(one, one.outstanding, across, y + tall + 2, shift))
        marks += [
            element("path", {"d": "".join(cells), "class": f"h{level}"}) for level, cells in sorted(heats.items())
        ]
        marks.append(element("path", {"d": "".join(flags), "class": "loss"}) if any(flags) else None)
        return drawing(width, bottom + 36, "Quality of tapes over time", description, *marks, key="quality")

    return fitted(make)


def _flags(one: Stretches, which: NDArray[np.bool_], across: Time, top: float, shift: int = 0) -> str:
    """Flat bars below what stands out."""
    return "".join(
        f"M{coordinate(across(int(one.start[first]) + shift))},{top:g}"
        f"H{coordinate(across(int(one.end[last]) + shift))}v3"
        f"H{coordinate(across(int(one.start[first]) + shift))}z"
        for flagged, first, last in _runs(which.astype(int).tolist())
        if flagged
    )


def _outline(one: Stretches, values: Float64, across: Time, floor: float, scale: float) -> str:
    """The outline of bars that touch; where there is no figure there is no bar."""
    strokes, height = [f"M{coordinate(across(int(one.start[0])))},{coordinate(floor)}"], 0.0
    for value, past in zip(values.tolist(), one.end.tolist(), strict=True):
        tall = round(scale * value, 1) if value == value else 0.0  # noqa: PLR0124 - NaN
        if tall != height:
            strokes.append(f"V{coordinate(floor - tall)}")
            height = tall
        strokes.append(f"H{coordinate(across(int(past)))}")
    strokes.append(f"V{coordinate(floor)}z")
    return "".join(strokes)


def _levels(values: Float64) -> list[int]:
    """(S,) from 0, for none, to 5, for as many as the fullest stretch has."""
    most = float(np.nanmax(values)) if len(values) else 0.0
    if most <= 0:
        return [0] * len(values)
    parts = np.clip(np.ceil((HEATS - 1) * values / most), 1, HEATS - 1)
    levels: list[int] = np.where(values > 0, parts, 0).astype(int).tolist()
    return levels


def _runs(levels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Neighbours of one level: the level, the first and the last of them."""
    runs: list[tuple[int, int, int]] = []
    for at, level in enumerate(levels):
        if runs and runs[-1][0] == level:
            runs[-1] = (level, runs[-1][1], at)
        else:
            runs.append((level, at, at))
    return runs
