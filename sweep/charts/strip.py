"""The strip of paired differences: what each order, or block, saves against a baseline, and their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sweep.charts.chart import SCHEMA, Chart
from sweep.charts.labels import signed
from sweep.charts.theme import LIGHT

if TYPE_CHECKING:
    import pandas as pd

    from sweep.charts.theme import Theme

DAY: Final = 86_400 * 10**9
"""Nanoseconds."""


def strip(
    frame: pd.DataFrame,
    *,
    interval: tuple[float, float] | None = None,
    against: str = "the strongest baseline",
    theme: Theme = LIGHT,
    title: str = "What each order saves",
) -> Chart:
    """The differences of each order side by side, in the order of time, and the interval of their mean.

    Parameters
    ----------
    frame : DataFrame
        A row for each order or block: ``start`` (UTC ns) and ``saving_bps``; NaN where an order has no notional.
    interval : (float, float), optional
        Of the mean, bps.
    against : str
        What savings are measured against.
    theme : Theme
    title : str

    Raises
    ------
    ValueError
        No row has a saving.
    """
    known = frame.dropna(subset="saving_bps").sort_values("start", kind="stable").reset_index(drop=True)
    if known.empty:
        raise ValueError("strip: expected an order with a saving, but none has one")
    rows = [
        {"start": int(start) // 1_000_000, "saving": round(float(saving), 2)}
        for start, saving in zip(known["start"], known["saving_bps"], strict=True)
    ]
    y: dict[str, Any] = {"field": "saving", "type": "quantitative", "title": f"saves against {against}, bps"}
    alone: dict[str, Any] = {"values": [{}]}
    one_day = int(known["start"].max()) // DAY == int(known["start"].min()) // DAY
    clock = "%H:%M" if one_day else "%m-%d %H:%M"
    colour = {"condition": {"test": "datum.saving < 0", "value": theme.loss}, "value": theme.gain}
    layers: list[dict[str, Any]] = [
        {
            "data": {"name": "orders"},
            "mark": {"type": "tick", "thickness": 2, "opacity": 0.7, "orient": "horizontal", "bandSize": 10},
            "encoding": {
                "x": {
                    "field": "start",
                    "type": "temporal",
                    "scale": {"type": "utc"},
                    "axis": {"title": "start, UTC", "format": clock, "grid": False},
                },
                "y": y,
                "color": colour,
                "tooltip": [
                    {"field": "start", "type": "temporal", "format": "%Y-%m-%d %H:%M:%S", "title": "start"},
                    {"field": "saving", "type": "quantitative", "format": "+.2f", "title": "saves, bps"},
                ],
            },
        },
        {
            "data": alone,
            "mark": {"type": "rule", "color": theme.ink},
            "encoding": {"y": {"datum": 0, "type": "quantitative"}},
        },
    ]
    words = _in_words(known, against)
    if interval is not None:
        low, high = interval
        ends = {"y": {"datum": low, "type": "quantitative"}, "y2": {"datum": high}}
        layers.insert(
            0, {"data": alone, "mark": {"type": "rect", "color": theme.best, "opacity": 0.25}, "encoding": ends}
        )
        words += f"; 95 % interval of the mean {signed(low)} to {signed(high)} bps"
    spec = {
        "$schema": SCHEMA,
        "title": title,
        "width": 640,
        "height": 260,
        "config": theme.config(),
        "datasets": {"orders": rows},
        "layer": layers,
    }
    return Chart(spec, known, title, words)


def _in_words(known: pd.DataFrame, against: str) -> str:
    saved = known["saving_bps"]
    return (
        f"{len(known):,} orders save {signed(saved.min())} to {signed(saved.max())} bps against {against}, half "
        f"of them {signed(saved.median())} or more; {int((saved > 0).sum()):,} save, {int((saved < 0).sum()):,} lose"
    )
