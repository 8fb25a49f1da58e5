"""What each combination saves: a heat map of two axes, where the best combinations lie, and what scripts make of it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.charts import (
    MOST_TEXTS,
    PAGE,
    STRETCHES,
    density,
    edges,
    heat_map_spec,
    height_of,
    labelled,
    saving_heights,
    top,
)
from sweep.page.drawing import (
    BROAD,
    axis_left,
    bar,
    breadth,
    coordinate,
    diamond,
    dot,
    drawing,
    fitted,
    group,
    line,
    polyline,
    text,
)
from sweep.page.element import element
from sweep.page.lattice import MOST, first_axes, first_slice, lattice_of
from sweep.page.layout import figure, folded, section, table
from sweep.page.numbers import bps, decimal, whole
from sweep.page.scales import Band, linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweep.page.element import Element
    from sweep.page.lattice import Lattice, Slice
    from sweep.page.reading import Run

    Int64 = NDArray[np.int64]

INTERACTIVE: Final = 50_000
"""Combinations beyond which a page holds no figures for its script: some 300 kB."""

MATRIX: Final = 400
"""Cells of a table of columns and rows; of more the extremes are listed."""

EXTREMES: Final = 20
"""Best and worst cells of such a list, each."""

DOTS: Final = 120
"""Values of a single axis; of more neighbours share a dot."""

PERCENT: Final = 5
"""Which part of the combinations parallel coordinates show."""

MOST_AXES: Final = 8
"""Axes of parallel coordinates, the saving not counted."""

LACKS: Final = "\N{DAGGER}"
"""Marks what fills less than best_ask, in tables."""

DARK_FROM: Final = 4
"""Steps of colour on which text is drawn in the colour of paper."""


def landscape(run: Run) -> Element | None:
    """The combinations on their axes; None where there is one alone."""
    lattice = lattice_of(run)
    if not len(lattice.number):
        return section("landscape", "All combinations", lead="No combination has a saving, so none is drawn.")
    if not lattice.axes:
        return section(
            "landscape",
            "All combinations",
            lead=f"One combination was looked at; it saves {_saves(lattice, 0)}. There is nothing to compare it with.",
        )
    shown = first_slice(lattice, MOST if len(lattice.axes) > 1 else DOTS)
    drawn = _heat_figure(lattice, shown) if shown.y >= 0 else _dots_figure(lattice, shown)
    live = interactive(lattice)
    if live:
        drawn.set("id", "landscape-still")
    beyond = len(lattice.axes) > 1 and not live
    return section(
        "landscape",
        "All combinations",
        _legend(lattice) if shown.y >= 0 else None,
        drawn,
        _container(lattice) if live else None,
        _lacking(lattice),
        element("p", {"class": "note"}, f"All {whole(len(lattice.number))} are in combinations.parquet.")
        if beyond
        else None,
        _parallel_figure(lattice),
        lead=_lead(lattice),
    )


def interactive(lattice: Lattice) -> bool:
    """Whether a script has axes to choose from, and few enough combinations."""
    return len(lattice.axes) > 1 and len(lattice.number) <= INTERACTIVE


def landscape_figures(run: Run) -> dict[str, Any] | None:
    """What report.js reads, in the element `landscape-figures`; None where it has nothing to do.

    Positions are left out where every place has a combination, the last axis fastest, and numbers where they are 0, 1,
    2 and so on; ``inSet`` and ``enough`` have a bit for each combination, four to a hexadecimal digit, the first the
    highest; ``enough`` is null where all fill enough to be the best.
    """
    lattice = lattice_of(run)
    if not interactive(lattice):
        return None
    shown = first_slice(lattice)
    counted = bool((lattice.number == np.arange(len(lattice.number))).all())
    return {
        "axes": [
            {"name": axis.name, "title": axis.title, "labels": axis.labels, "market": axis.market}
            for axis in lattice.axes
        ],
        "saved": lattice.saved.tolist(),
        "positions": None if lattice.whole else lattice.positions.T.tolist(),
        "numbers": None if counted else lattice.number.tolist(),
        "inSet": None if lattice.in_set is None else _hexadecimal(lattice.in_set),
        "enough": None if lattice.enough is None else _hexadecimal(lattice.enough),
        "worlds": lattice.world.tolist() if len(lattice.bests) > 1 else None,
        "best": lattice.bests.tolist(),
        "against": lattice.against,
        "start": {"x": shown.x, "y": shown.y, "at": shown.at, "rest": shown.rest},
        "most": MOST,
        "texts": MOST_TEXTS,
        "matrix": MATRIX,
        "extremes": EXTREMES,
        "spec": heat_map_spec(lattice.steps, PAGE, legend=False),
    }


def _hexadecimal(bits: NDArray[np.bool_]) -> str:
    return np.packbits(bits).tobytes().hex()[: -(-len(bits) // 4)]


def _saves(lattice: Lattice, row: int) -> str:
    against = lattice.against[int(lattice.world[row])]
    return f"{bps(int(lattice.saved[row]) / 100)} bps against {against}"


def _lead(lattice: Lattice) -> str:
    """Of the first world: how many cannot be told from the best, and what there is between best and worst."""
    here = lattice.world == lattice.world[lattice.bests[0]]
    worst = int(np.flatnonzero(here)[np.argmin(lattice.saved[here])])
    of_world = "" if len(lattice.bests) == 1 else " of the first world"
    sentence = (
        f"Of {whole(int(here.sum()))} combinations{of_world} the best saves {_saves(lattice, int(lattice.bests[0]))}, "
        f"the worst {bps(int(lattice.saved[worst]) / 100)} bps; "
    )
    if lattice.in_set is None and lattice.pruned:
        pruned = f"{whole(lattice.pruned)} combinations were pruned (search.prune)"
        return f"{sentence}as {pruned}, it is not known which cannot be told from the best."
    if lattice.in_set is None:
        return f"{sentence}there are too few blocks of time to say which cannot be told from the best."
    alike = int((lattice.in_set & here).sum())
    percent = decimal(100 * alike / int(here.sum()), 1)
    if alike == 1:
        return f"{sentence}every other one can be told from the best, at the level of 90 %."
    return f"{sentence}{whole(alike)} of them ({percent} %) cannot be told from the best, at the level of 90 %."


def _lacking(lattice: Lattice) -> Element | None:
    """Of combinations that are drawn but never chosen as a best."""
    if lattice.enough is None:
        return None
    count = int((~lattice.enough).sum())
    few = "1 combination fills" if count == 1 else f"{whole(count)} combinations fill"
    words = f"{few} less than best_ask in its world and cannot be the best, whatever is saved; {LACKS} in tables."
    return element("p", {"class": "note"}, words)


def _container(lattice: Lattice) -> Element:
    """What the script fills; hidden until it has drawn."""
    caption = (
        "Saving of each combination in bps of the arrival notional, + is better; outlined: cannot be told from the "
        "best of its world; diamond: the best. Point at a cell, or move from cell to cell with the arrow keys. "
        f"{_shared(lattice)}"
    )
    return element(
        "div",
        {"id": "landscape-live", "hidden": True},
        element("div", {"class": "controls", "id": "landscape-controls"}),
        element(
            "div",
            {
                "id": "landscape-chart",
                "class": "chart",
                "tabindex": "0",
                "role": "application",
                "aria-roledescription": "heat map",
                "aria-label": "Heat map of savings; arrow keys move from cell to cell",
                "aria-describedby": "landscape-readout",
            },
        ),
        element("p", {"class": "readout", "id": "landscape-readout", "role": "status"}),
        element("p", {"class": "note"}, caption),
        folded("Table of what is shown", element("div", {"id": "landscape-table"})),
    )


def _shared(lattice: Lattice) -> str:
    if max(lattice.shape) <= MOST:
        return ""
    return f"Of an axis with more than {MOST} values neighbours share a cell, which shows the best of them."


def _label(lattice: Lattice, axis: int, span: tuple[int, int]) -> str:
    """A column or a row: a value, or the first and the last."""
    labels = lattice.axes[axis].labels
    first, last = span
    return labels[first] if first == last else f"{labels[first]} to {labels[last]}"


def _members(lattice: Lattice, shown: Slice) -> NDArray[np.bool_]:
    """(Y, X) bool: the cells whose best cannot be told from the best of all."""
    if lattice.in_set is None:
        return np.zeros(shown.best.shape, bool)
    members: NDArray[np.bool_] = (shown.best >= 0) & lattice.in_set[shown.best]
    return members


def _held(lattice: Lattice, shown: Slice) -> str:
    """What the other axes are held at, as the end of a sentence."""
    parts = [
        f"{axis.name} {axis.labels[at] if at >= 0 else 'any, the best shown'}"
        for number, (axis, at) in enumerate(zip(lattice.axes, shown.at, strict=True))
        if number not in {shown.x, shown.y}
    ]
    return f", at {', '.join(parts)}" if parts else ""


def _described(lattice: Lattice, shown: Slice) -> str:
    """The figures of a slice in words."""
    drawn = shown.best[shown.best >= 0]
    best, worst = drawn[np.argmin(lattice.rank[drawn])], drawn[np.argmin(lattice.saved[drawn])]
    words = []
    for name, row in (("best", int(best)), ("lowest", int(worst))):
        values = lattice.values(row)
        axes = [lattice.axes[axis].name for axis in (shown.x, shown.y) if axis >= 0]
        words.append(
            f"{name} {bps(int(lattice.saved[row]) / 100)} bps at {', '.join(f'{at} {values[at]}' for at in axes)}"
        )
    alike = int(_members(lattice, shown).sum())
    outlined = "" if lattice.in_set is None else f"; {alike} of {len(drawn)} cells cannot be told from the best"
    blank = shown.best.size - len(drawn)
    return "; ".join(words) + outlined + (f"; {blank} cells without a combination" if blank else "") + "."


def _heat_figure(lattice: Lattice, shown: Slice) -> Element:
    x, y = lattice.axes[shown.x], lattice.axes[shown.y]
    title = f"Saving by {x.name} and {y.name}"
    made = fitted(lambda width: _heat_map(lattice, shown, width, title))
    caption = (
        f"Saving in bps of the arrival notional by {x.title} and {y.title}{_held(lattice, shown)}; + is better. "
        f"{_shared(lattice)}"
    )
    return figure(made, caption.strip(), _table_of(lattice, shown, title))


def _heat_map(lattice: Lattice, shown: Slice, width: float, title: str) -> Element:
    """The drawing; the cells of one colour are one path, so that many take few bytes."""
    height, across = shown.best.shape
    rows = [_label(lattice, shown.y, span) for span in shown.rows]
    named = {at: rows[at] for at in labelled(height)}
    left = min(max(map(breadth, named.values())) + 12, width / 4)
    cell_height = min(max(320 / height, 9), 34)
    above, below = 22.0, 44.0
    columns = Band(across, left, width - 2, 0)
    bottom = above + height * cell_height

    def middle(row: float) -> float:
        return float(bottom - (row + 0.5) * cell_height)

    step = columns.step
    colours = _colours(lattice, shown)
    marks: list[Element | None] = []
    for colour in range(6):
        cells = "".join(
            f"M{coordinate(columns(at))},{coordinate(middle(row) - cell_height / 2)}"
            f"h{coordinate(step)}v{coordinate(cell_height)}h{coordinate(-step)}z"
            for row, at in np.argwhere(colours == colour).tolist()
        )
        marks.append(element("path", {"d": cells, "class": f"h{colour}"}) if cells else None)
    marks.append(bar(left, above, width - 2 - left, bottom - above, "axis"))
    outline = "".join(
        f"M{coordinate(columns.middle(0) + x1 * step)},{coordinate(middle(y1))}"
        f"L{coordinate(columns.middle(0) + x2 * step)},{coordinate(middle(y2))}"
        for x1, y1, x2, y2 in edges(_members(lattice, shown))
    )
    if outline:
        marks += [element("path", {"d": outline, "class": kind}) for kind in ("halo", "outline")]
    written = shown.best.size <= MOST_TEXTS and step >= 46 and cell_height >= 14
    for row, at in np.argwhere(shown.best >= 0).tolist() if written else ():
        saving = bps(int(lattice.saved[shown.best[row, at]]) / 100)
        kind = "middle paper" if colours[row, at] >= DARK_FROM else "middle"
        marks.append(text(columns.middle(at), middle(row) + 4, saving, kind))
    for row, at in np.argwhere(np.isin(shown.best, lattice.bests)).tolist():
        aside = (step / 2 - 7, cell_height / 2 - 7) if written else (0, 0)
        marks.append(diamond(columns.middle(at) + aside[0], middle(row) - aside[1], 5, "marked"))
    marks += [text(left - 6, middle(row) + 4, label, "muted end", width=left - 8) for row, label in named.items()]
    marks += _across(lattice, shown, columns, bottom)
    marks.append(text(0, 12, lattice.axes[shown.y].title, "muted"))
    marks.append(text((left + width) / 2, bottom + 36, lattice.axes[shown.x].title, "muted middle"))
    return drawing(width, bottom + below, title, _described(lattice, shown), *marks, key="landscape")


def _across(lattice: Lattice, shown: Slice, columns: Band, bottom: float) -> list[Element]:
    """The labels below the columns, as many as there is room for."""
    labels = [_label(lattice, shown.x, span) for span in shown.columns]
    every = max(1, int(np.ceil((min(max(map(breadth, labels)), 110) + 8) / columns.step)))
    return [
        text(columns.middle(at), bottom + 16, labels[at], "muted middle", width=max(columns.step * every, 20))
        for at in range(0, len(labels), every)
    ]


def _colours(lattice: Lattice, shown: Slice) -> Int64:
    """(Y, X) int64: the step of colour of each cell, -1 where there is none."""
    steps = np.array(lattice.steps)
    colours: Int64 = np.digitize(lattice.saved[shown.best] / 100, steps) + 5 - len(steps)
    colours[shown.best < 0] = -1
    return colours


def _legend(lattice: Lattice) -> Element:
    """Of both heat maps, the server-made one and the script's."""
    steps = list(lattice.steps)
    spans = [f"below {bps(steps[0])}"]
    spans += [f"{bps(low)} to {bps(high)}" for low, high in pairwise(steps)]
    spans.append(f"{bps(steps[-1])} bps or more")
    entries = [(bar(0, 0, 14, 14, f"h{5 - len(steps) + at}"), span) for at, span in enumerate(spans)]
    if lattice.in_set is not None:
        entries.append((bar(2, 2, 10, 10, "outline"), "cannot be told from the best"))
    entries.append((diamond(7, 7, 5, "marked"), "the best"))
    if not lattice.whole:
        entries.append((bar(1, 1, 12, 12, "axis"), "not looked at"))
    swatches = [
        element("li", {}, element("svg", {"viewBox": "0 0 14 14", "aria-hidden": "true"}, swatch), label)
        for swatch, label in entries
    ]
    return element("ul", {"class": "legend"}, *swatches)


def _table_of(lattice: Lattice, shown: Slice, caption: str) -> Element:
    """The cells as columns and rows, or the extremes of them."""
    members = _members(lattice, shown)
    if shown.best.size <= MATRIX and shown.y >= 0:
        columns = [f"{lattice.axes[shown.y].title} \\ {lattice.axes[shown.x].title}"]
        columns += [_label(lattice, shown.x, span) for span in shown.columns]
        rows = [
            [
                _label(lattice, shown.y, span),
                *(_cell(lattice, shown, members, row, at) for at in range(len(shown.columns))),
            ]
            for row, span in enumerate(shown.rows)
        ]
        made = table(columns, rows, f"{caption}, bps; * cannot be told from the best")
        return element("div", {}, made, element("p", {"class": "note"}, "* cannot be told from the best"))
    axes = [axis for axis in (shown.x, shown.y) if axis >= 0]
    cells = [(row, at) for row, at in np.argwhere(shown.best >= 0).tolist()]
    cells.sort(key=lambda each: int(lattice.rank[shown.best[each]]))
    listed = cells if len(cells) <= 2 * EXTREMES else [*cells[:EXTREMES], *cells[-EXTREMES:]]
    rows = []
    for row, at in listed:
        place = {
            shown.x: _label(lattice, shown.x, shown.columns[at]),
            shown.y: _label(lattice, shown.y, shown.rows[row]) if shown.y >= 0 else "",
        }
        alike = "" if lattice.in_set is None else "no" if not members[row, at] else "yes"
        rows.append([*(place[axis] for axis in axes), _printed(lattice, int(shown.best[row, at])), alike])
    columns = [*(lattice.axes[axis].title for axis in axes), "saves, bps", "cannot be told from the best"]
    made = table(columns, rows, caption, first_is_name=False)
    if len(listed) == len(cells):
        return made
    note = (
        f"The {EXTREMES} best and the {EXTREMES} worst of {whole(len(cells))} cells; all are in combinations.parquet."
    )
    return element("div", {}, made, element("p", {"class": "note"}, note))


def _cell(lattice: Lattice, shown: Slice, members: NDArray[np.bool_], row: int, at: int) -> str:
    best = int(shown.best[row, at])
    if best < 0:
        return ""
    return _printed(lattice, best) + (" *" if members[row, at] else "")


def _printed(lattice: Lattice, row: int) -> str:
    """What a combination saves, and whether it fills too little to be the best."""
    lacks = lattice.enough is not None and not lattice.enough[row]
    return bps(int(lattice.saved[row]) / 100) + (f" {LACKS}" if lacks else "")


def _dots_figure(lattice: Lattice, shown: Slice) -> Element:
    """The one axis: a dot for each value."""
    axis = lattice.axes[shown.x]
    title = f"Saving by {axis.name}"
    made = fitted(lambda width: _dots(lattice, shown, width, title))
    caption = (
        f"Saving in bps of the arrival notional by {axis.title}; + is better. Filled dots cannot be told from the "
        f"best, hollow ones can; the diamond is the best."
        if lattice.in_set is not None
        else f"Saving in bps of the arrival notional by {axis.title}; + is better. The diamond is the best."
    )
    return figure(made, caption, _table_of(lattice, shown, title))


def _dots(lattice: Lattice, shown: Slice, width: float, title: str) -> Element:
    rows = shown.best[0]
    saved = lattice.saved[rows] / 100
    above, height, left = 28.0, 220.0, 56.0
    columns = Band(len(rows), left, width - 2, 0)
    scale = linear(saved.tolist(), above + height, above, zero=True)
    members = _members(lattice, shown)[0]
    marks: list[Element | None] = [axis_left(scale, left, "saves, bps", right=width - 2, text_of=bps)]
    marks.append(line(left, scale(0), width - 2, scale(0), "zero"))
    places = [(columns.middle(at), scale(saving)) for at, saving in enumerate(saved.tolist())]
    marks.append(polyline(places, "best-line faint"))
    for at, (x, y) in enumerate(places):
        if rows[at] in lattice.bests:
            marks.append(diamond(x, y, 6, "marked"))
        else:
            marks.append(dot(x, y, 4, "best" if members[at] or lattice.in_set is None else "hollow"))
    marks += _across(lattice, shown, columns, above + height)
    marks.append(text((left + width) / 2, above + height + 36, lattice.axes[shown.x].title, "muted middle"))
    return drawing(width, above + height + 44, title, _described(lattice, shown), *marks, key="landscape")


def _parallel_figure(lattice: Lattice) -> Element | None:
    """Parallel coordinates of the first world; None with fewer than three axes, which a heat map shows whole."""
    axes = [at for at in first_axes(lattice) if not lattice.axes[at].market][:MOST_AXES]
    rows = np.flatnonzero(lattice.world == lattice.world[lattice.bests[0]])
    if len(axes) < 3 or len(rows) < 2:
        return None
    saved = lattice.saved[rows] / 100
    chosen = top(saved, PERCENT, None if lattice.enough is None else lattice.enough[rows])
    heights = np.column_stack(
        [*(height_of(lattice.positions[rows, at], lattice.shape[at]) for at in axes), saving_heights(saved)]
    )
    title = f"The best {whole(len(chosen))} of {whole(len(rows))} combinations"
    words = [f"they save {bps(float(saved[chosen].min()))} to {bps(float(saved[chosen].max()))} bps"]
    spans = []
    for at in axes:
        used = np.unique(lattice.positions[rows[chosen], at]).tolist()
        labels = [lattice.axes[at].labels[place] for place in used]
        few = ", ".join(labels) if len(labels) <= 4 else f"{labels[0]} to {labels[-1]}"
        spans.append([lattice.axes[at].title, f"{len(used)} of {lattice.shape[at]}", few])
        words.append(f"{lattice.axes[at].name} {few}")
    made = _parallel(lattice, axes, heights, chosen, saved, (title, f"{'; '.join(words)}."))
    caption = (
        f"{title} as lines over all axes, their saving in bps at the right; grey: how many of all combinations go the "
        f"same way."
    )
    listed = table(["axis", "values among these", "which"], spans, title)
    return figure(made, caption, listed, wide=True)


def _parallel(
    lattice: Lattice,
    axes: Sequence[int],
    heights: NDArray[np.float64],
    chosen: Int64,
    saved: NDArray[np.float64],
    named: tuple[str, str],
) -> Element:
    above, height = 26.0, 240.0
    count = len(axes) + 1
    gap = (BROAD - 140) / (count - 1)

    def place(axis: int, high: float) -> tuple[float, float]:
        return 30 + axis * gap, above + (1 - high) * height

    behind: dict[int, list[str]] = {}
    for left, low, high, share in density(heights, [*(lattice.shape[at] for at in axes), STRETCHES]):
        ends = "L".join(",".join(map(coordinate, place(*each))) for each in ((left, low), (left + 1, high)))
        behind.setdefault(int(np.ceil(share * 4)), []).append(f"M{ends}")
    marks: list[Element | None] = [
        element("path", {"d": "".join(lines), "class": "density", "stroke-opacity": f"{0.06 * level:.2f}"})
        for level, lines in sorted(behind.items())
    ]
    marks += [
        polyline([place(axis, high) for axis, high in enumerate(heights[row].tolist())], "best-line faint")
        for row in chosen[::-1].tolist()
    ]
    for axis in range(count):
        x = place(axis, 0)[0]
        marks.append(line(x, above, x, above + height, "axis"))
        if axis < len(axes):
            labels, name = lattice.axes[axes[axis]].labels, lattice.axes[axes[axis]].name
            shown = [((at + 0.5) / len(labels), labels[at]) for at in labelled(len(labels))]
        else:
            name = "saves, bps"
            shown = [(0.0, bps(float(saved.min()))), (1.0, bps(float(saved.max())))]
        marks.append(text(x, 12, name, "middle bold", width=gap - 4) if axis else text(0, 12, name, "bold", width=gap))
        marks += [text(x + 6, place(axis, high)[1] + 4, label, "muted haloed", width=gap - 12) for high, label in shown]
    return drawing(BROAD, above + height + 8, *named, group(*marks), key="landscape-parallel")
