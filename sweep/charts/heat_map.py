"""The heat map of two axes: what each combination saves, the set that cannot be told from the best, and the best."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.charts.chart import SCHEMA, Chart
from sweep.charts.labels import lacking, positions_in, signed, text_of, texts, titled, values_of
from sweep.charts.theme import LIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from sweep.charts.theme import Theme

SIDES: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Of a cell: left, right, below, above."""

MOST_LABELS: Final = 12
"""Labels along an axis; of more values each second, third, ... has one."""


MOST_TEXTS: Final = 144
"""Cells in which the saving stands as text; more would not be legible."""


def thresholds(saved: NDArray[np.float64]) -> list[float]:
    """At most five savings in bps, to two decimals, that part the six steps of colour.

    The steps are even between the 5th percentile and the best: a few combinations that lose much would otherwise take
    all colours but one. What is worse has the first step's colour.

    Parameters
    ----------
    saved : (K,) float64
        Bps; NaN is left out.
    """
    known = saved[~np.isnan(saved)]
    if not len(known):
        return [0.0]
    low, high = np.percentile(known, 5), known.max()
    if high - low < 0.06:
        low = known.min()
    steps = np.round(np.linspace(low, high, 7)[1:-1], 2) + 0.0
    return list(dict.fromkeys(steps.tolist()))


def labelled(count: int) -> list[int]:
    """The positions along an axis that have a label: evenly spaced, the first among them."""
    step = -(-count // MOST_LABELS)
    return list(range(0, count, step))


def bins_of(count: int, most: int) -> tuple[tuple[int, int], ...]:
    """The first and last of `count` values in each of `most` bins at most: value v is in bin v * bins // count."""
    bins = min(count, most)
    starts = [-(-at * count // bins) for at in range(bins + 1)]
    return tuple((start, end - 1) for start, end in pairwise(starts))


def edges(members: NDArray[np.bool_]) -> list[tuple[float, float, float, float]]:
    """What outlines a set of cells: (x, y, x2, y2) of each side between a member and what is none.

    Parameters
    ----------
    members : (Y, X) bool
        Cell (y, x) is the square around (x, y), one wide.
    """
    height, width = members.shape
    wider = np.zeros((height + 2, width + 2), bool)
    wider[1:-1, 1:-1] = members
    sides = []
    for right, up in SIDES:
        open_ = members & ~wider[1 + up : 1 + up + height, 1 + right : 1 + right + width]
        for y, x in np.argwhere(open_).tolist():
            corners = (x + right / 2, y - 0.5, x + right / 2, y + 0.5)
            sides.append(corners if right else (x - 0.5, y + up / 2, x + 0.5, y + up / 2))
    return sides


def heat_map_spec(
    steps: Sequence[float],
    theme: Theme = LIGHT,
    *,
    width: int | str = "container",
    height: int = 360,
    legend: bool = True,
) -> dict[str, Any]:
    """The specification without its data: datasets ``cells``, ``edges`` and ``cursor``, and the labels of both axes.

    Parameters
    ----------
    steps : sequence of float
        As of `thresholds`.
    theme : Theme
    width : int or str
        Pixels, or ``container``.
    height : int
        Pixels.
    legend : bool
        Whether the steps of colour are explained.
    """
    span: dict[str, Any] = {
        "x": {"field": "x0", "type": "quantitative"},
        "x2": {"field": "x1"},
        "y": {"field": "y0", "type": "quantitative"},
        "y2": {"field": "y1"},
    }
    line = {
        "x": {"field": "x", "type": "quantitative"},
        "x2": {"field": "x2"},
        "y": {"field": "y", "type": "quantitative"},
        "y2": {"field": "y2"},
    }
    centre = {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}}
    still = {"grid": False, "ticks": True}
    across = {"values": [], "labelExpr": "x_labels[datum.value]", "labelOverlap": "greedy", **still}
    upward = {"values": [], "labelExpr": "y_labels[datum.value]", **still}
    fitted = {"domain": [-0.5, 0.5], "nice": False, "zero": False}
    colour = {
        "field": "saving",
        "type": "quantitative",
        "title": "saves, bps",
        "scale": {"type": "threshold", "domain": list(steps), "range": list(theme.heat[-len(steps) - 1 :])},
        "legend": {"orient": "right", "format": "+.2f", "type": "symbol", "symbolType": "square"} if legend else None,
    }
    dark = f"datum.saving >= {steps[-2]}" if len(steps) > 1 else "true"
    on_dark = {"test": dark, "value": theme.paper}
    named = {name: {"name": name} for name in ("cells", "edges", "cursor")}
    return {
        "$schema": SCHEMA,
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "params": [{"name": "x_labels", "value": []}, {"name": "y_labels", "value": []}],
        "config": theme.config(),
        "layer": [
            {
                "data": named["cells"],
                "mark": {"type": "rect"},
                "encoding": {
                    **span,
                    "x": {**span["x"], "axis": across, "scale": dict(fitted)},
                    "y": {**span["y"], "axis": upward, "scale": dict(fitted)},
                    "color": colour,
                },
            },
            {
                "data": named["cells"],
                "transform": [{"filter": "datum.text"}],
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {
                    **centre,
                    "text": {"field": "text"},
                    "color": {"condition": on_dark, "value": theme.ink},
                },
            },
            _rule(named["edges"], line, theme.paper, 4),
            _rule(named["edges"], line, theme.ink, 2),
            {
                "data": named["cells"],
                "transform": [
                    {"filter": "datum.best"},
                    {"calculate": "datum.x + (datum.text ? 0.34 : 0)", "as": "x_best"},
                    {"calculate": "datum.y + (datum.text ? 0.3 : 0)", "as": "y_best"},
                ],
                "mark": {
                    "type": "point",
                    "shape": "diamond",
                    "size": 90,
                    "filled": True,
                    "fill": theme.paper,
                    "stroke": theme.ink,
                    "strokeWidth": 2,
                    "opacity": 1,
                },
                "encoding": {
                    "x": {"field": "x_best", "type": "quantitative"},
                    "y": {"field": "y_best", "type": "quantitative"},
                },
            },
            {
                "data": named["cursor"],
                "mark": {"type": "rect", "fill": None, "stroke": theme.best, "strokeWidth": 3},
                "encoding": span,
            },
        ],
    }


def heat_map(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    best: int | None = None,
    enough: NDArray[np.bool_] | None = None,
    unknown: str = "too few blocks",
    against: str = "the strongest baseline",
    theme: Theme = LIGHT,
    title: str = "What each combination saves",
) -> Chart:
    """The heat map of a frame, one row for each cell.

    Parameters
    ----------
    frame : DataFrame
        Of the columns of combinations.parquet the two axes and ``saving_bps``, and ``in_set`` where it is known.
    x, y : str
        Columns.
    best : int, optional
        The row of the best of all combinations, which is marked; none where the frame does not hold it.
    enough : (K,) bool, optional
        Rows that fill enough to be the best; all by default.
    unknown : str
        Why it is not known what can be told from the best, where ``in_set`` is missing.
    against : str
        What savings are measured against.
    theme : Theme
    title : str

    Raises
    ------
    ValueError
        A column is missing; or two rows have one cell, so that another axis has to be fixed first.
    """
    import pandas as pd

    if missing := {x, y, "saving_bps"} - set(frame.columns):
        raise ValueError(
            f"heat map: expected columns {x}, {y} and saving_bps, but {', '.join(sorted(missing))} is missing"
        )
    if frame.duplicated([x, y]).any():
        raise ValueError(f"heat map: two rows have the same {x} and {y}; fix the other axes first")
    columns, rows = values_of(frame[x]), values_of(frame[y])
    cells = pd.DataFrame(
        {
            "x": positions_in(frame[x], columns),
            "y": positions_in(frame[y], rows),
            "saving": frame["saving_bps"].round(2).to_numpy(),
        }
    )
    cells["in_set"] = frame["in_set"].fillna(value=False).to_numpy(bool) if "in_set" in frame else False
    cells["best"] = np.arange(len(frame)) == (-1 if best is None else best)
    for axis in ("x", "y"):
        cells[f"{axis}0"], cells[f"{axis}1"] = cells[axis] - 0.5, cells[axis] + 0.5
    cells[x], cells[y] = (
        [names[at] for at in cells[axis]] for names, axis in ((texts(columns), "x"), (texts(rows), "y"))
    )
    small = len(cells) <= MOST_TEXTS
    cells["text"] = [signed(saving) if small else "" for saving in cells["saving"].tolist()]
    members = np.zeros((len(rows), len(columns)), bool)
    members[cells["y"], cells["x"]] = cells["in_set"]

    spec = heat_map_spec(thresholds(frame["saving_bps"].to_numpy(float)), theme, width=560)
    spec["title"] = title
    spec["params"] = [{"name": "x_labels", "value": texts(columns)}, {"name": "y_labels", "value": texts(rows)}]
    encoding = spec["layer"][0]["encoding"]
    for channel, name, values in (("x", x, columns), ("y", y, rows)):
        encoding[channel]["title"] = titled(name)
        encoding[channel]["axis"]["values"] = labelled(len(values))
        encoding[channel]["scale"]["domain"] = [-0.5, len(values) - 0.5]
    encoding["tooltip"] = [
        {"field": x, "type": "nominal", "title": titled(x)},
        {"field": y, "type": "nominal", "title": titled(y)},
        {"field": "saving", "type": "quantitative", "format": "+.2f", "title": f"saves against {against}, bps"},
        {"field": "in_set", "type": "nominal", "title": "cannot be told from the best"},
    ]
    outline = [dict(zip(("x", "y", "x2", "y2"), side, strict=True)) for side in edges(members)]
    spec["datasets"] = {"cells": cells.to_dict("records"), "edges": outline, "cursor": []}
    words = f"no combination of {x} and {y} has a saving"
    if frame["saving_bps"].notna().any():
        words = _in_words(frame, x, y, best, against) + lacking(enough) + _alike(frame, unknown)
    return Chart(spec, frame, title, words)


def _in_words(frame: pd.DataFrame, x: str, y: str, best: int | None, against: str) -> str:
    known = frame.dropna(subset="saving_bps")
    first = known.iloc[int(known["saving_bps"].argmax())] if best is None else frame.iloc[best]
    kind = "one that saves most" if best is None else "best"
    return (
        f"of {len(known):,} combinations of {x} and {y} the {kind}, {x} {text_of(first[x])} and {y} "
        f"{text_of(first[y])}, saves {signed(first['saving_bps'])} bps against {against}, the worst "
        f"{signed(known['saving_bps'].min())} bps"
    )


def _alike(frame: pd.DataFrame, unknown: str) -> str:
    if "in_set" not in frame or frame["in_set"].isna().all():
        return f"; {unknown} to say which cannot be told from the best"
    return f"; {int(frame['in_set'].sum()):,} cannot be told from the best of all"


def _rule(dataset: dict[str, Any], line: dict[str, Any], colour: str, width: int) -> dict[str, Any]:
    mark = {"type": "rule", "color": colour, "strokeWidth": width, "strokeCap": "square"}
    return {"data": dataset, "mark": mark, "encoding": line}
