"""Figures of the report of 10,000 combinations and 400 orders: its size, first paint and slider, beside plotly's.

The run is a real one, inline: 400 orders of a synthetic tape. The page of plotly holds the same heat map, its figures
for the slider and its table, and nothing else of the report; it is laid out as plotly's own ``to_html`` lays it out.
"""

from __future__ import annotations

import atexit
import json
import tempfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame import Absent, Case, Duel, Scale, Side
from feed import synthetic
from feed.instants import format_instant
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.page.document import page
from sweep.page.embedding import safe_json, scripts
from sweep.page.reading import read_run
from sweep.page.sections import landscape_figures
from tests.support.browser import CHROMIUM, PACKAGES, browser, opened

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 220
ORDERS = 400

PAINTED = "() => performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime)[0]"

MOVED = """
async (position) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  await frame();
  const began = performance.now();
  await move(position);
  await frame();
  return performance.now() - began;
}
"""
"""Milliseconds from the slider's input until what it changes is drawn and a frame has passed."""

OURS = """
(position) => new Promise((done) => {
  const chart = document.getElementById("landscape-chart");
  const watcher = new MutationObserver(() => { watcher.disconnect(); done(); });
  watcher.observe(chart, { attributes: true, attributeFilter: ["data-drawn"] });
  const slider = document.querySelector("#landscape-controls input");
  slider.value = String(position);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})
"""

THEIRS = """
const figures = JSON.parse(document.getElementById("figures").textContent);
const [rows, columns, held] = figures.shape;
const slice = (at) => Array.from({ length: columns }, (_, y) => Array.from({ length: rows }, (_, x) =>
  figures.saved[(x * columns + y) * held + at] / 100));
const table = (z) => [figures.y, ...z[0].map((_, x) => z.map((row) => row[x].toFixed(2)))];
const move = (at) => {
  const z = slice(at);
  const restyled = [[{ z: [z] }, [0]], [{ "cells.values": [table(z)] }, [1]]];
  return Promise.all(restyled.map(([changes, traces]) => Plotly.restyle("plot", changes, traces)));
};
const z = slice(figures.at);
Plotly.newPlot("plot", [
  { type: "heatmap", x: figures.x, y: figures.y, z },
  { type: "table", domain: { y: [0, 0.4] }, header: { values: ["", ...figures.x] }, cells: { values: table(z) } },
], { yaxis: { domain: [0.5, 1], type: "category" }, xaxis: { type: "category" }, height: 900 }, { responsive: true });
"""


@dataclass(frozen=True)
class Pages:
    """Both pages, of one run.

    Attributes
    ----------
    ours, theirs : Path
    sizes : str
        Of the run.
    positions : int
        Of the slider.
    """

    ours: Path
    theirs: Path
    sizes: str
    positions: int


@cache
def pages(quick: bool) -> Pages:
    """Sweep once, and write both pages; removed when Python ends."""
    plotly = PACKAGES / "plotly.js-dist-min" / "plotly.min.js"
    if CHROMIUM is None:
        raise Absent("Chromium is missing")
    if not scripts() or not plotly.is_file():
        raise Absent("tools/charts is not installed: make charts, and npm ci --ignore-scripts in tools/charts")
    scratch = tempfile.TemporaryDirectory(prefix="sor-sweep-report-")
    atexit.register(scratch.cleanup)
    folder = Path(scratch.name)
    stream = folder / "tape.csv"
    synthetic.write_csv(synthetic.generate(seconds=SECONDS, warmup=10.0, levels=1), stream)
    start, _ = synthetic.window(float(SECONDS))
    shape = (5, 5, 4) if quick else (20, 25, 20)
    lengths = dict(zip(("lambda_over", "lambda_under", "theta_queue"), shape, strict=True))
    config = {
        "source": f"file:{stream}",
        "executor": "inline",
        "window": {"start": format_instant(start), "end": format_instant(start + ORDERS // 2 * 10**9)},
        "order": {"size": [300, 1000], "every": "1s", "horizon": "1s"},
        "grid": {name: {"start": 0, "stop": 0.06, "num": count} for name, count in lengths.items()},
        "output": str(folder),
    }
    result = run(build_config(config))
    orders = result.document["orders"]["count"]
    assert quick or (len(result.config.question.grid), orders) == (10_000, ORDERS)
    stored = read_run(result.home)
    ours, theirs = folder / "report.html", folder / "plotly.html"
    ours.write_text(page(stored), "utf-8")
    figures = landscape_figures(stored)
    assert figures is not None
    x, y, held = figures["axes"]
    data = {
        "saved": figures["saved"],
        "shape": shape,
        "x": x["labels"],
        "y": y["labels"],
        "at": figures["start"]["at"][2],
    }
    theirs.write_text(
        '<html><head><meta charset="utf-8" /></head><body><div>'
        f"<script>{plotly.read_text('utf-8')}</script>"
        f'<div id="plot"></div><script type="application/json" id="figures">{safe_json(data)}</script>'
        f"<script>{THEIRS}</script></div></body></html>",
        "utf-8",
    )
    sizes = f"{len(result.config.question.grid):,} combinations x {orders} orders, inline run"
    return Pages(ours, theirs, sizes, len(held["labels"]))


def _size(scale: Scale) -> Duel:
    both = pages(scale.quick)

    def guard() -> None:
        _same_figures(scale, both)

    return Duel(
        Side(lambda: both.ours.stat().st_size),
        Side(lambda: both.theirs.stat().st_size),
        guard,
        f"{both.sizes}; ours with all its sections",
    )


def _same_figures(scale: Scale, both: Pages) -> None:
    """Both draw the same cells, before the slider is moved and after."""
    chromium = scale.closing.enter_context(browser())
    with opened(chromium, both.ours) as ours, opened(chromium, both.theirs) as theirs:
        ours.drawn()
        theirs.page.wait_for_function("() => document.querySelector('.plot-container')")
        for position in (None, 0, both.positions - 1):
            if position is not None:
                ours.page.evaluate(f"({OURS})({position})")
                theirs.page.evaluate(f"move({position})")
            ours.page.evaluate("() => { document.querySelector('#landscape-live details').open = true; }")
            ours.page.wait_for_selector("#landscape-table td, #landscape-table table")
            shown = ours.page.evaluate(
                "() => [...document.querySelectorAll('#landscape-chart .layer_0_marks path')].map((each) =>"
                " each.__data__.datum.saving)"
            )
            z = theirs.page.evaluate("() => document.getElementById('plot').data[0].z")
            assert shown == [each for line in z for each in line]


def _painted(chromium: Any, path: Path) -> float:
    with opened(chromium, path) as shown:
        shown.page.wait_for_function(PAINTED)
        return float(shown.page.evaluate(PAINTED)) / 1e3


def _first_paint(scale: Scale) -> Duel:
    both = pages(scale.quick)
    chromium = scale.closing.enter_context(browser())

    def guard() -> None:
        assert _painted(chromium, both.ours) > 0
        assert _painted(chromium, both.theirs) > 0

    sides = (Side(partial(_painted, chromium, path), elsewhere=True) for path in (both.ours, both.theirs))
    return Duel(*sides, guard, f"{both.sizes}; first contentful paint, opened from disk")


def _interaction(scale: Scale) -> Duel:
    both = pages(scale.quick)
    chromium = scale.closing.enter_context(browser())
    ours = scale.closing.enter_context(opened(chromium, both.ours)).page
    theirs = scale.closing.enter_context(opened(chromium, both.theirs)).page
    ours.wait_for_selector("#landscape-chart[data-drawn]")
    theirs.wait_for_function("() => document.querySelector('.plot-container')")
    ours.evaluate(f"() => {{ window.move = {OURS}; }}")
    turns = iter(range(10**6))

    def moved(shown: Any) -> Callable[[], float]:
        return lambda: float(shown.evaluate(MOVED, next(turns) % both.positions)) / 1e3

    def guard() -> None:
        for shown in (ours, theirs):
            for _ in range(3):
                moved(shown)()

    return Duel(
        Side(moved(ours), elsewhere=True),
        Side(moved(theirs), elsewhere=True),
        guard,
        f"{both.sizes}; slider to drawn, {json.dumps(both.positions)} positions",
    )


CASES = (
    Case("report_size", "MB", "plotly page", _size, target=2.0, rounds=1, quick_rounds=1, least_ratio=3),
    Case("report_first_paint", "ms", "plotly page", _first_paint, target=1000, rounds=5, least_ratio=2),
    Case("report_interaction", "ms", "plotly page", _interaction, target=100, rounds=5),
)
