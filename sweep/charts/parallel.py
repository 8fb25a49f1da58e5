"""Parallel coordinates: the best part of all combinations, before the density of all."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.charts.chart import SCHEMA, Chart
from sweep.charts.labels import lacking, positions_in, signed, texts, values_of
from sweep.charts.theme import LIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from sweep.charts.theme import Theme

STRETCHES = 12
"""Of an axis, in which combinations are counted."""

MOST_LINES = 200
"""Lines that are drawn at most."""


FEWEST_LINES = 10
"""Lines that are drawn at least, where there are as many combinations."""


def top(saved: NDArray[np.float64], percent: float, enough: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """The positions of the best combinations, the best first: a part of those with a saving, `FEWEST_LINES` at least.

    Parameters
    ----------
    saved : (K,) float64
        Bps; NaN is left out.
    percent : float
        Of all with a saving; `MOST_LINES` at most.
    enough : (K,) bool, optional
        Those that fill enough to be the best: they come first.
    """
    known = np.flatnonzero(~np.isnan(saved))
    few = np.zeros(len(saved), bool) if enough is None else ~enough
    count = min(max(round(len(known) * percent / 100), FEWEST_LINES), MOST_LINES, len(known))
    chosen: NDArray[np.int64] = known[np.lexsort((-saved[known], few[known]))[:count]]
    return chosen


def density(heights: NDArray[np.float64], values: Sequence[int]) -> list[tuple[int, float, float, float]]:
    """Between neighbouring axes how many combinations go from where to where.

    Parameters
    ----------
    heights : (K, A) float64
        Of each combination on each axis, 0 to 1.
    values : (A,) sequence of int
        Of each axis; it is counted in so many stretches, `STRETCHES` at most.

    Returns
    -------
    list of (int, float, float, float)
        Axis on the left; height on it and on the next, each the middle of a stretch; and how many, as a share of the
        most between these two axes.
    """
    bins = [min(count, STRETCHES) for count in values]
    lines = []
    for left, (here, across) in enumerate(pairwise(bins)):
        start, end = (
            np.minimum((heights[:, left + at] * count).astype(np.int64), count - 1)
            for at, count in enumerate((here, across))
        )
        counts = np.bincount(start * across + end, minlength=here * across)
        for place in np.flatnonzero(counts).tolist():
            low, high = divmod(place, across)
            lines.append((left, (low + 0.5) / here, (high + 0.5) / across, float(counts[place] / counts.max())))
    return lines


def height_of(positions: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """(K,) float64, 0 to 1: values evenly spaced along an axis of `count` values."""
    heights: NDArray[np.float64] = (positions + 0.5) / count
    return heights


def saving_heights(saved: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) float64, 0 to 1: the worst at the bottom, the best at the top."""
    low, high = np.nanmin(saved), np.nanmax(saved)
    heights: NDArray[np.float64] = (saved - low) / (high - low) if high > low else np.full(len(saved), 0.5)
    return heights


def parallel(
    frame: pd.DataFrame,
    axes: Sequence[str],
    *,
    percent: float = 5,
    enough: NDArray[np.bool_] | None = None,
    against: str = "the strongest baseline",
    theme: Theme = LIGHT,
    title: str = "Where the best combinations lie",
) -> Chart:
    """The best combinations as lines over all axes, before the density of all combinations.

    Parameters
    ----------
    frame : DataFrame
        The axes and ``saving_bps``, as in combinations.parquet.
    axes : sequence of str
        Columns, from left to right; the saving is the last.
    percent : float
        Which part of the combinations is drawn as lines.
    enough : (K,) bool, optional
        Rows that fill enough to be the best; all by default.
    against : str
        What savings are measured against.
    theme : Theme
    title : str

    Raises
    ------
    ValueError
        There is no combination with a saving.
    """
    has_saving = frame["saving_bps"].notna().to_numpy(bool)
    known = frame[has_saving].reset_index(drop=True)
    enough = None if enough is None else enough[has_saving]
    if known.empty:
        raise ValueError("parallel coordinates: expected a combination with a saving, but none has one")
    saved = known["saving_bps"].to_numpy(float)
    values = {name: values_of(known[name]) for name in axes}
    of_axes = [height_of(positions_in(known[name], values[name]), len(values[name])) for name in axes]
    heights = np.column_stack([*of_axes, saving_heights(saved)])
    chosen = top(saved, percent, enough)
    names = [*axes, "saves, bps"]
    lines = [
        {"line": int(row), "axis": at, "height": float(heights[row, at]), "saving": round(float(saved[row]), 2)}
        for row in chosen
        for at in range(len(names))
    ]
    labels = [
        {"axis": at, "height": (position + 0.5) / len(values[name]), "text": text}
        for at, name in enumerate(axes)
        for position, text in enumerate(texts(values[name]))
        if position % -(-len(values[name]) // STRETCHES) == 0
    ]
    labels += [
        {"axis": len(axes), "height": height, "text": signed(value)}
        for height, value in ((0.0, saved.min()), (1.0, saved.max()))
    ]
    behind = [
        {"axis": at, "height": y, "axis2": at + 1, "height2": y2, "share": share}
        for at, y, y2, share in density(heights, [*map(len, values.values()), STRETCHES])
    ]
    x: dict[str, Any] = {
        "field": "axis",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [-0.3, len(names) - 0.6], "nice": False, "zero": False},
        "axis": {
            "values": list(range(len(names))),
            "labelExpr": "names[datum.value]",
            "orient": "top",
            "grid": True,
            "ticks": False,
            "domain": False,
            "labelColor": theme.ink,
            "labelLimit": 120,
        },
    }
    y: dict[str, Any] = {"field": "height", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1]}}
    spec = {
        "$schema": SCHEMA,
        "title": title,
        "width": 110 * len(names),
        "height": 300,
        "params": [{"name": "names", "value": names}],
        "config": {**theme.config(), "view": {"stroke": None}},
        "datasets": {"lines": lines, "labels": labels, "density": behind},
        "layer": [
            {
                "data": {"name": "density"},
                "mark": {"type": "rule", "color": theme.muted, "strokeWidth": 3},
                "encoding": {
                    "x": x,
                    "y": y,
                    "x2": {"field": "axis2"},
                    "y2": {"field": "height2"},
                    "opacity": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1], "range": [0.03, 0.3]},
                        "legend": None,
                    },
                },
            },
            {
                "data": {"name": "lines"},
                "mark": {"type": "line", "color": theme.best, "strokeWidth": 1.5, "opacity": 0.7},
                "encoding": {
                    "x": x,
                    "y": y,
                    "detail": {"field": "line", "type": "nominal"},
                    "tooltip": {"field": "saving", "type": "quantitative", "format": "+.2f", "title": "saves, bps"},
                },
            },
            {
                "data": {"name": "labels"},
                "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 11, "color": theme.ink},
                "encoding": {"x": x, "y": y, "text": {"field": "text"}},
            },
        ],
    }
    drawn = known.iloc[chosen].reset_index(drop=True)
    words = (
        f"the best {len(chosen):,} of {len(known):,} combinations save {signed(saved[chosen].min())} to "
        f"{signed(saved[chosen].max())} bps against {against}; "
        + "; ".join(f"{name} {_span(drawn[name])}" for name in axes)
        + lacking(enough)
    )
    return Chart(spec, drawn, title, words)


def _span(column: pd.Series[Any]) -> str:
    """The values that a column has, in words."""
    each = texts(values_of(column))
    if len(each) <= 3:
        return " or ".join(each)
    return (
        f"{each[0]} to {each[-1]}" if all(isinstance(value, int | float) for value in column) else f"{len(each)} values"
    )
