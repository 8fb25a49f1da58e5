"""The drawing of an order's path: price, depth, shares still to fill and venues, over one axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.page.drawing import NARROW, axis_bottom, axis_left, coordinate, drawing, fitted, group, line, sketch, text
from sweep.page.element import element
from sweep.page.names import plural, strategy, venue
from sweep.page.numbers import whole
from sweep.page.scales import Linear, Time, linear, time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sweep.page.element import Element

    Int64 = NDArray[np.int64]
    Places = Iterable[tuple[float, float]]

DOT: Final = "h0"

LOOKS: Final = (
    ("best-line", "best-dots", "", DOT),
    ("base-line", "base-line", "", "m0-4l4 4-4 4-4-4z"),
    ("s5-line", "s5-line", "5 3", "m0-4l4 7h-8z"),
    ("s3-line", "s3-line", "1.5 3", "m-3-3h6v6h-6z"),
)
"""Of each strategy: the classes of its line and of its marks, the dashes of its line, and its mark around a point: a
dot, a rhombus, a triangle, a square."""

LANES: Final = 12
"""Venues with a lane of their own."""

LANE: Final = 15.0
"""Px of a lane."""

GRAIN: Final = 3
"""Px within which two marks of one strategy are one; twice as many, and again, where there are over `MOST`."""

MOST: Final = 240
"""Marks, or columns of px of a line, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """F fills of an order by one strategy, in the order of time.

    Attributes
    ----------
    names : tuple of str
        Of the strategy, and of others that fill exactly alike.
    ts : (F,) int64
        UTC ns.
    venue, shares, price : (F,) int64
        Publisher ids, shares, 1e-9 $ before fees.
    passive : (F,) bool
    """

    names: tuple[str, ...]
    ts: Int64
    venue: Int64
    shares: Int64
    price: Int64
    passive: NDArray[np.bool_]

    @property
    def label(self) -> str:
        """All of its names."""
        return " = ".join(map(strategy, self.names))

    @property
    def filled(self) -> int:
        """Shares in all."""
        return sum(self.shares.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """An order's path.

    Attributes
    ----------
    position, size, start, end : int
        The order; instants in UTC ns.
    side : str
    ts, bid, ask, shares : (M,) int64
        The market: UTC ns, 1e-9 $ (0 = none), and what is displayed on the side that the order takes.
    each : tuple of Fills
        Of the best combination first, then of the strongest baseline.
    """

    position: int
    side: str
    size: int
    start: int
    end: int
    ts: Int64
    bid: Int64
    ask: Int64
    shares: Int64
    each: tuple[Fills, ...]

    @property
    def lanes(self) -> list[int]:
        """Venues at which the first two strategies fill, that of the most shares first."""
        totals: dict[int, int] = {}
        for fills in self.each[:2]:
            for number, shares in zip(fills.venue.tolist(), fills.shares.tolist(), strict=True):
                totals[number] = totals.get(number, 0) + shares
        return sorted(totals, key=lambda number: (-totals[number], number))


def panels(path: Path, description: str) -> Element:
    """The panels in two widths.

    Parameters
    ----------
    path : Path
    description : str
        What they show, in words.
    """
    lanes = path.lanes
    apart = lanes if len(lanes) <= LANES else lanes[: LANES - 1]
    rows = [(venue(number), [number]) for number in apart]
    if len(apart) < len(lanes):
        rows.append((plural(len(lanes) - len(apart), "other"), lanes[len(apart) :]))

    def make(width: float) -> Element:
        narrow = width <= NARROW
        left, right = (62.0 if narrow else 76.0), width - (84.0 if narrow else 120.0)
        instants = [path.start, path.end, *(int(ts) for fills in path.each for ts in [*fills.ts[:1], *fills.ts[-1:]])]
        across = time(instants, left, right)
        tops, bottom = [24.0, 226.0, 324.0, 442.0], 442.0 + LANE * max(len(rows), 1) + 4
        marks = [
            axis_bottom(across, bottom, "Time, UTC", top=tops[0]),
            _prices(path, across, tops[0], tops[0] + 164),
            _depth(path, across, tops[1], tops[1] + 60),
            _remaining(path, across, tops[2], tops[2] + 80),
            _venues(path, across, tops[3], rows, width),
        ]
        title = f"Path of order {path.position} through the book"
        return drawing(width, bottom + 38, title, description, *marks, key=f"path-{path.position}")

    return fitted(make)


def _prices(path: Path, across: Time, top: float, bottom: float) -> Element:
    """Best bid and ask, and the fills at their prices."""
    known = [int(price) / 1e9 for price in [*path.bid, *path.ask] if price > 0]
    known += [int(price) / 1e9 for fills in path.each for price in fills.price]
    scale = linear(known, bottom, top)
    marks: list[Element | None] = [axis_left(scale, across.start, "Price, $", right=across.end, count=6)]
    ends: list[float] = []
    for name, prices in (("ask", path.ask), ("bid", path.bid)):
        shown = prices > 0
        marks.append(_stroke(_stepped(path.ts, prices / 1e9, shown, across, scale), "whisker"))
        if shown.any():
            at = scale(float(prices[shown][-1]) / 1e9) + 4
            at = max(at, ends[-1] + 12) if ends else at - 3
            ends.append(at)
            marks.append(text(across.end + 6, at, f"best {name}", "muted"))
    for at, fills in reversed([*enumerate(path.each)]):
        places = [(across(ts), scale(price / 1e9)) for ts, price in zip(fills.ts, fills.price, strict=True)]
        marks.append(_stroke(_marked(places, LOOKS[at][3]), LOOKS[at][1]))
        if at == 0 and fills.passive.any():
            rested = [place for place, passive in zip(places, fills.passive, strict=True) if passive]
            marks.append(_stroke(_marked(rested, DOT), "paper-dots"))
    return group(*marks)


def _depth(path: Path, across: Time, top: float, bottom: float) -> Element:
    """What is displayed on the side that the order takes."""
    scale = linear([0, *path.shares.tolist()], bottom, top, zero=True)
    side = "ask" if path.side == "buy" else "bid"
    outline = _stepped(path.ts, path.shares.astype(float), np.ones(len(path.ts), np.bool_), across, scale)
    area = (
        f"{outline}H{coordinate(across.end)}V{coordinate(bottom)}H{coordinate(across(int(path.ts[0])))}z"
        if outline
        else ""
    )
    return group(
        element("path", {"d": area, "class": "h1"}) if area else None,
        axis_left(scale, across.start, f"Displayed at the {side}, shares", right=across.end, count=2),
    )


def _remaining(path: Path, across: Time, top: float, bottom: float) -> Element:
    """Shares still to fill, by strategy."""
    lines = [path.size - np.cumsum(fills.shares) for fills in path.each]
    scale = linear([0, path.size, *(int(rest.min(initial=0)) for rest in lines)], bottom, top, zero=True)
    marks: list[Element | None] = [axis_left(scale, across.start, "Still to fill, shares", right=across.end, count=3)]
    for at, (fills, rest) in reversed([*enumerate(zip(path.each, lines, strict=True))]):
        ts = np.concatenate([[path.start], fills.ts])
        left = np.concatenate([[path.size], rest]).astype(float)
        stroke = _stepped(ts, left, np.ones(len(ts), np.bool_), across, scale) + f"H{coordinate(across.end)}"
        marks.append(_stroke(stroke, LOOKS[at][0], LOOKS[at][2]))
    return group(*marks)


def _venues(path: Path, across: Time, top: float, rows: Sequence[tuple[str, Sequence[int]]], width: float) -> Element:
    """A lane for each venue: fills of the best combination above its line, of the strongest baseline below."""
    two = path.each[:2]
    apart = 44.0 if width <= NARROW else 62.0
    columns = [width - apart if len(two) > 1 else width, width]
    marks: list[Element | None] = [text(max(0.0, across.start - 40), top - 10, "Fills by venue", "muted")]
    for fills, x in zip(two, columns, strict=False):
        name = "best" if fills is two[0] else fills.names[0]
        marks.append(text(x, top - 10, name, "muted end", width=apart - 4))
    for at, (name, numbers) in enumerate(rows):
        y = top + LANE * at + LANE / 2
        marks += [text(across.start - 7, y + 4, name, "muted end"), line(across.start, y, across.end, y)]
        for fills, x in zip(two, columns, strict=False):
            own = np.isin(fills.venue, numbers)
            marks.append(text(x, y + 4, whole(sum(fills.shares[own].tolist())), "muted end"))
    for at, fills in enumerate(two):
        row_of = {number: row for row, (_, numbers) in enumerate(rows) for number in numbers}
        places = [
            (across(ts), float(row_of[number])) for ts, number in zip(fills.ts, fills.venue.tolist(), strict=True)
        ]
        marks.append(_stroke(_ticks(places, top + LANE / 2, -6 if at == 0 else 6), LOOKS[at][0]))
    return group(*marks)


def _ticks(places: Places, top: float, tall: int) -> str:
    """An upright stroke at each place, (px, lane); in one lane those that a reader could not tell apart once."""
    places, grain = list(places), 1
    while len(apart := dict.fromkeys((round(x / grain) * grain, lane) for x, lane in places)) > 2 * MOST:
        grain *= 2
    return "".join(f"M{x},{coordinate(top + LANE * lane)}v{tall}" for x, lane in apart)


def looks(path: Path) -> list[tuple[Element, str]]:
    """The line and the mark of each strategy, and its name."""
    samples = []
    for (kind, marks, dashes, shape), fills in zip(LOOKS, path.each, strict=False):
        drawn = sketch(30, 12, _stroke("M0,6h30", kind, dashes), _stroke(f"M15,6{shape}", marks))
        drawn.set("class", "sketch long")
        samples.append((drawn, fills.label))
    return samples


def _stroke(path: str, kind: str, dashes: str = "") -> Element | None:
    return element("path", {"d": path, "class": kind, "stroke-dasharray": dashes or None}) if path else None


def _marked(places: Places, shape: str) -> str:
    """A shape at each place; those that a reader could not tell apart once."""
    places, grain = list(places), 1 if shape == DOT else GRAIN
    while len(apart := dict.fromkeys((round(x / grain) * grain, round(y / grain) * grain) for x, y in places)) > MOST:
        grain *= 2
    return "".join(f"M{x},{y}{shape}" for x, y in apart)


def _stepped(ts: Int64, values: NDArray[np.float64], shown: NDArray[np.bool_], across: Time, scale: Linear) -> str:
    """The path of a line that keeps each value until the next; of each column of px what is seen."""
    places = [
        (across(int(at)), scale(float(value))) if each else None
        for at, value, each in zip(ts, values, shown, strict=True)
    ]
    wide = 1
    while len(kept := _thinned(places, wide)) > 4 * MOST:
        wide *= 2
    strokes: list[str] = []
    x = y = 0
    for before, place in pairwise([None, *kept]):
        if place is None:
            continue
        column_of, height = round(place[0]), round(place[1])
        if before is None:
            strokes.append(f"M{column_of},{height}")
        elif height == y:
            continue
        else:  # whole px, from the last one: a few bytes each
            strokes.append(f"h{column_of - x}v{height - y}" if column_of != x else f"v{height - y}")
        x, y = column_of, height
    return "".join(strokes)


def _thinned(places: Sequence[tuple[float, float] | None], wide: int) -> list[tuple[float, float] | None]:
    """What is seen of places in columns of so many px; None where a line breaks."""
    kept: list[tuple[float, float] | None] = []
    column: list[tuple[float, float]] = []
    for place in [*places, None]:
        if column and (place is None or place[0] // wide != column[0][0] // wide):
            kept += _extremes(column)
            column = []
        if place is not None:
            column.append(place)
        elif kept and kept[-1] is not None:
            kept.append(None)
    return kept


def _extremes(column: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of the places in one column of px the first, the lowest, the highest and the last, in their order."""
    heights = [y for _, y in column]
    wanted = {0, heights.index(min(heights)), heights.index(max(heights)), len(column) - 1}
    return [column[at] for at in sorted(wanted)]
