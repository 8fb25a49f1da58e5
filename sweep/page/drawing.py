"""Drawings in SVG: a frame that says in words what it shows, and marks; coordinates are px of the frame, 0.1 exact.

A drawing is never magnified, so its text has the size of the page's. `fitted` draws twice, for a desk and for a phone.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from sweep.page.element import clean, element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sweep.page.element import Element
    from sweep.page.scales import Linear, Log, Time

BROAD: Final = 760.0
NARROW: Final = 330.0
"""Widths, px, of a drawing on a desk or on paper, and on a phone."""

FONT: Final = 12.0
"""Size of text, px, as in style.css."""

_SLIM: Final = frozenset("iljtfrI.,:;'|!()[]/ -")
_STOUT: Final = frozenset("mwMW@%")


def drawing(width: float, height: float, title: str, description: str, *marks: Element | None, key: str) -> Element:
    """A drawing.

    Parameters
    ----------
    width, height : float
        px; it shrinks where there is less room, and is not magnified.
    title : str
        What is drawn.
    description : str
        What it says, figures in it: what who does not see it has instead.
    *marks : Element or None
        From back to front.
    key : str
        Of this drawing alone in the page, in kebab case. Two drawings of different widths may share one.

    Returns
    -------
    Element
        <svg>.
    """
    named, described = (f"{key}-{coordinate(width)}-{part}" for part in ("title", "desc"))
    return element(
        "svg",
        {
            "viewBox": f"0 0 {coordinate(width)} {coordinate(height)}",
            "width": coordinate(width),
            "height": coordinate(height),
            "role": "img",
            "aria-labelledby": f"{named} {described}",
        },
        element("title", {"id": named}, title),
        element("desc", {"id": described}, description),
        *marks,
    )


def sketch(width: float, height: float, *marks: Element | None) -> Element:
    """A small drawing beside the figures that it shows, which is therefore not read aloud."""
    size = {"width": coordinate(width), "height": coordinate(height)}
    viewed = f"0 0 {coordinate(width)} {coordinate(height)}"
    return element("svg", {"viewBox": viewed, **size, "class": "sketch", "aria-hidden": "true"}, *marks)


def fitted(make: Callable[[float], Element], broad: float = BROAD, narrow: float = NARROW) -> Element:
    """One drawing in two widths, of which the page shows the one that fits.

    Parameters
    ----------
    make : callable
        Gives the drawing of a width, px.
    """
    both = []
    for width, kind in ((broad, "broad"), (narrow, "narrow")):
        made = make(width)
        made.set("class", kind)
        both.append(made)
    return element("div", {"class": "fitted"}, *both)


def coordinate(value: float) -> str:
    """A coordinate to 0.1, without zeros that say nothing.

    Raises
    ------
    ValueError
        It is no finite number.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value}: expected a finite coordinate")
    return f"{round(float(value), 1) + 0.0:.1f}".removesuffix(".0")


def group(*marks: Element | None, kind: str | None = None) -> Element:
    """Marks with a class in common."""
    return element("g", {"class": kind}, *marks)


def text(x: float, y: float, content: str, kind: str = "", *, width: float | None = None) -> Element:
    """Text whose base line starts at (x, y); with the class ``end`` or ``middle`` it ends or is centred there.

    Parameters
    ----------
    width : float, optional
        px; longer text is cut with an ellipsis, and is a tooltip in full.
    """
    shown = content if width is None else cut(content, width)
    attributes = {"x": coordinate(x), "y": coordinate(y), "class": kind or None}
    return element("text", attributes, shown, None if shown == content else element("title", {}, content))


def cut(content: str, width: float) -> str:
    """Text no wider than `width` px, as near as can be known without its font; what is cut ends in an ellipsis."""
    content = clean(content)
    if breadth(content) <= width:
        return content
    room, kept = width - breadth("\N{HORIZONTAL ELLIPSIS}"), 0
    for at, character in enumerate(content):
        room -= breadth(character)
        if room < 0:
            break
        kept = at + 1
    return content[:kept].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def breadth(content: str) -> float:
    """About how wide text is, px: generous, as fonts differ."""
    return FONT * sum(_advance(character) for character in content)


def _advance(character: str) -> float:
    """Width of a character, em."""
    if unicodedata.east_asian_width(character) in "WF" or character in _STOUT:
        return 1.0
    if unicodedata.combining(character):
        return 0.0
    if character in _SLIM:
        return 0.4
    return 0.7 if character.isupper() else 0.62


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> Element:
    """A straight line."""
    ends = {name: coordinate(value) for name, value in (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2))}
    return element("line", {**ends, "class": kind})


def bar(x: float, y: float, width: float, height: float, kind: str, title: str | None = None) -> Element:
    """A rectangle; one of a negative width or height goes the other way. `title` is a tooltip."""
    shape = {
        "x": coordinate(min(x, x + width)),
        "y": coordinate(min(y, y + height)),
        "width": coordinate(abs(width)),
        "height": coordinate(abs(height)),
        "class": kind,
    }
    return element("rect", shape, _tooltip(title))


def dot(x: float, y: float, radius: float = 3.5, kind: str = "best", title: str | None = None) -> Element:
    """A filled circle."""
    shape = {"cx": coordinate(x), "cy": coordinate(y), "r": coordinate(radius), "class": kind}
    return element("circle", shape, _tooltip(title))


def dots(points: Iterable[tuple[float, float]], kind: str = "dots") -> Element:
    """Many dots as one path: a few bytes each; their size is that of the stroke of `kind`, a class with round caps."""
    return element("path", {"d": "".join(f"M{coordinate(x)},{coordinate(y)}h0" for x, y in points), "class": kind})


def diamond(x: float, y: float, radius: float = 4.5, kind: str = "base", title: str | None = None) -> Element:
    """A filled rhombus: another thing than a dot, also where colours are not seen."""
    return polygon([(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)], kind, title)


def polygon(points: Iterable[tuple[float, float]], kind: str, title: str | None = None) -> Element:
    """A filled polygon."""
    return element("polygon", {"points": _points(points), "class": kind}, _tooltip(title))


def polyline(points: Iterable[tuple[float, float]], kind: str, title: str | None = None) -> Element:
    """A line through points."""
    return element("polyline", {"points": _points(points), "class": kind}, _tooltip(title))


def steps(points: Sequence[tuple[float, float]], kind: str, title: str | None = None) -> Element:
    """A line that keeps the height of each point until the next one."""
    corners = []
    for at, (x, y) in enumerate(points):
        if at:
            corners.append((x, points[at - 1][1]))
        corners.append((x, y))
    return polyline(corners, kind, title)


def interval(low: float, high: float, across: float, kind: str = "interval", *, upright: bool = False) -> Element:
    """A line from `low` to `high` with caps, at height `across`; `upright`: from bottom to top, at x = `across`."""
    strokes = []
    for start, end in (((low, 0), (high, 0)), ((low, -4), (low, 4)), ((high, -4), (high, 4))):
        ends = [(along, across + off) for along, off in (start, end)]
        strokes.append("L".join(",".join(map(coordinate, (y, x) if upright else (x, y))) for x, y in ends))
    return element("path", {"d": "".join(f"M{stroke}" for stroke in strokes), "class": kind})


def axis_bottom(
    scale: Linear | Log | Time,
    y: float,
    title: str | None = None,
    *,
    top: float | None = None,
    count: int | None = None,
    text_of: Callable[[Any], str] | None = None,
) -> Element:
    """A horizontal axis with its ticks.

    Parameters
    ----------
    scale : Linear, Log or Time
    y : float
        Its height, px.
    title : str, optional
        What it shows, with units, in a line of its own below the ticks (its base line is at `y` + 33).
    top : float, optional
        Rules run from the axis up to here.
    count : int, optional
        About how many ticks; by default one every 80 px.
    text_of : callable, optional
        How ticks are printed, instead of by the scale.
    """
    left, right = min(scale.start, scale.end), max(scale.start, scale.end)
    ticks, printed = scale.ticks(count or max(2, round((right - left) / 80)))
    marks: list[Element | None] = []
    ends = -math.inf
    for value, shown in sorted(zip(ticks, printed, strict=True), key=lambda each: scale(each[0])):
        at, label = scale(value), shown if text_of is None else text_of(value)
        if top is not None:
            marks.append(line(at, top, at, y))
        marks.append(line(at, y, at, y + 4, "axis"))
        half = breadth(label) / 2
        if at - half >= ends:
            marks.append(text(at, y + 16, label, "muted middle"))
            ends = at + half + 4
    marks.append(line(left, y, right, y, "axis"))
    if title:
        marks.append(text((left + right) / 2, y + 33, title, "muted middle", width=right - left + 40))
    return group(*marks)


def axis_left(
    scale: Linear | Log,
    x: float,
    title: str | None = None,
    *,
    right: float | None = None,
    count: int | None = None,
    text_of: Callable[[Any], str] | None = None,
) -> Element:
    """A vertical axis with its ticks at its left; `title` stands above it, rules run to `right`; else `axis_bottom`."""
    low, high = min(scale.start, scale.end), max(scale.start, scale.end)
    ticks, printed = scale.ticks(count or max(2, round((high - low) / 45)))
    marks: list[Element | None] = []
    for value, shown in zip(ticks, printed, strict=True):
        at = scale(value)
        if right is not None:
            marks.append(line(x, at, right, at))
        marks.append(text(x - 7, at + 4, shown if text_of is None else text_of(value), "muted end"))
    marks.append(line(x, low, x, high, "axis"))
    if title:
        marks.append(text(max(0.0, x - 40), low - 10, title, "muted"))
    return group(*marks)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)


def _tooltip(title: str | None) -> Element | None:
    return None if title is None else element("title", {}, title)
