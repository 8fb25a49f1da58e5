"""The report of a real run of many orders in a browser: opened from disk, with scripts and without, on every screen."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from itertools import product
from math import prod

import numpy as np
import pandas as pd
import pytest

from feed import synthetic
from feed.instants import format_instant
from sweep.charts import heat_map, parallel, strip, thresholds
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.page.document import page
from sweep.page.element import html
from sweep.page.embedding import data_script, scripts
from sweep.page.lattice import Lattice, Varied, first_slice, rank_of, slice_of
from sweep.page.reading import read_run
from tests.support.browser import browser, bundle, install, opened

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=alert(1)>"
TOPIC = "\x1b[31m[bold red]day[/bold red]\x1b]0;owned\x07</title><script>alert(2)</script>\u202e"
READOUT = re.compile(r"^(.*): saves ([+\u2212]?[\d,.]+) bps against (\w+)(?:; .*)? \(combination (\d+)\)\.$")


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A run of 120 orders in 96 combinations and two worlds, one of a hostile name, and its page."""
    bundle()
    folder = tmp_path_factory.mktemp("reported")
    stream = folder / "day.csv"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=10.0, levels=1), stream)
    stream.write_text(stream.read_text().replace(",SYNTH\n", f",{HOSTILE}\n"))
    start, end = map(format_instant, synthetic.window(60.0))
    tables = {"today": {"default": {"taker": 0.003}}, HOSTILE: {"default": {"taker": 0.001}}}
    config = {
        "source": f"file:{stream}",
        "executor": "inline",
        "window": {"start": start, "end": end},
        "order": {"size": [300, 1000], "every": "1s", "horizon": "1s"},
        "grid": {
            "fees": tables,
            "lambda_over": [0, 0.01, 0.05, float("inf")],
            "lambda_under": [0, 0.02, 0.03, 0.09],
            "theta_queue": [0, 0.01, 0.02],
        },
        "output": str(folder),
    }
    home = run(build_config(config)).home
    path = folder / "report.html"
    path.write_text(page(read_run(home)), "utf-8")
    return path, home


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def combinations(reported):
    """combinations.parquet, held against the sums of results.parquet: what each world's best baseline paid more."""
    _, home = reported
    table = pd.read_parquet(home / "combinations.parquet").set_index("combination")
    paid = pd.read_parquet(home / "results.parquet").groupby("combination")["total_cash"].sum()
    orders = pd.read_parquet(home / "orders.parquet")
    document = read_run(home).document
    for world, answer in enumerate(document["worlds"]):
        base = orders[(orders["world"] == world) & (orders["strategy"] == answer["statistics"]["against"])]
        here = table[table["world"] == world]
        saved = base["total_cash"].sum() - paid.loc[here.index]
        pd.testing.assert_series_equal(saved, here["saved"], check_names=False)
        notional = (base["size"] * base["arrival_mid2"]).sum() / 2
        np.testing.assert_allclose(here["saving_bps"], 1e4 * saved / notional, rtol=1e-12)
    assert table["in_set"].notna().all()
    assert 0 < table["in_set"].sum() < len(table)
    return table


def printed(value):
    text = f"{round(value, 2) + 0.0:,.2f}".replace("-", "\u2212")
    return f"+{text}" if round(value, 2) > 0 else text


def checked(shown, combinations, **held):
    """The combination that the line below the heat map names; what it says is what the table holds."""
    text = shown.page.inner_text("#landscape-readout")
    values, saving, _, number = READOUT.match(text).groups()
    row = combinations.loc[int(number)]
    assert saving == printed(row["saving_bps"])
    axes = {
        "fee_table": "fees",
        "lambda_over": "lambda_over",
        "lambda_under": "lambda_under",
        "theta_queue": "theta_queue",
    }
    texts = {column: row[column] if isinstance(row[column], str) else f"{row[column]:g}" for column in axes}
    expected = ", ".join(
        f"{name} {'.inf' if texts[column] == 'inf' else texts[column]}" for column, name in axes.items()
    )
    assert values == expected
    assert ("; cannot be told from the best" in text or "; the best combination" in text) == bool(row["in_set"])
    assert {name: row[name] for name in held} == held
    return int(number)


def walked(shown, combinations, columns, rows, **held):
    """Every cell, by the arrow keys: the combinations that are named."""
    shown.page.focus("#landscape-chart")
    for _ in range(rows):
        shown.page.keyboard.press("ArrowDown")
    for _ in range(columns):
        shown.page.keyboard.press("ArrowLeft")
    numbers = []
    for row in range(rows):
        for column in range(columns):
            numbers.append(checked(shown, combinations, **held))
            if column < columns - 1:
                shown.page.keyboard.press("ArrowRight" if row % 2 == 0 else "ArrowLeft")
        shown.page.keyboard.press("ArrowUp")
    return numbers


def test_heat_map_sliders_and_hover_say_what_the_table_holds(reported, chromium, combinations):
    path, home = reported
    best = read_run(home).document["best_parameters"]["theta_queue"]
    with opened(chromium, path) as shown:
        before = shown.drawn()
        assert shown.page.is_hidden("#landscape-still")
        first = walked(shown, combinations, 4, 4, fee_table="today", theta_queue=best)
        assert len(set(first)) == 16

        shown.page.focus("#landscape-at-3")
        shown.page.keyboard.press("End")
        shown.redrawn(before)
        before = shown.drawn()
        second = walked(shown, combinations, 4, 4, fee_table="today", theta_queue=0.02)
        assert len(set(second)) == 16

        shown.page.focus("#landscape-at-0")
        shown.page.keyboard.press("ArrowRight")
        shown.redrawn(before)
        before = shown.drawn()
        third = walked(shown, combinations, 4, 4, fee_table=HOSTILE, theta_queue=0.02)
        assert not set(second) & set(third)

        shown.page.select_option("#landscape-x", label="theta_queue")
        shown.redrawn(before)
        walked(shown, combinations, 3, 4, fee_table=HOSTILE)

        cells = shown.page.locator("#landscape-chart svg .layer_0_marks path")
        assert cells.count() == 12
        hovered = set()
        for at in range(12):
            box = cells.nth(at).bounding_box()
            shown.page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
            hovered.add(checked(shown, combinations, fee_table=HOSTILE))
        assert len(hovered) == 12
        assert (shown.messages, shown.violations, shown.requests) == ([], [], [])


def test_any_value_of_an_axis_shows_the_best_over_it(reported, chromium, combinations):
    with opened(chromium, reported[0]) as shown:
        before = shown.drawn()
        shown.page.focus("#landscape-at-3")
        shown.page.keyboard.press("Home")
        shown.redrawn(before)
        numbers = walked(shown, combinations, 4, 4, fee_table="today")
        today = combinations[combinations["fee_table"] == "today"].copy()
        today["printed"] = today["saving_bps"].round(2)
        best = today.groupby(["lambda_over", "lambda_under"])["printed"].max()
        for number in numbers:
            row = today.loc[number]
            assert row["printed"] == best[row["lambda_over"], row["lambda_under"]]


def test_table_of_what_is_shown_follows_the_sliders(reported, chromium, combinations):
    with opened(chromium, reported[0]) as shown:
        before = shown.drawn()
        shown.page.click("#landscape-live summary")
        shown.page.focus("#landscape-at-3")
        shown.page.keyboard.press("End")
        shown.redrawn(before)
        assert shown.page.is_visible("#landscape-table table")
        rows = shown.page.locator("#landscape-table tbody tr")
        cells = [rows.nth(at).locator("td").all_inner_texts() for at in range(rows.count())]
        here = combinations[(combinations["fee_table"] == "today") & (combinations["theta_queue"] == 0.02)]
        expected = here.pivot_table(index="lambda_under", columns="lambda_over", values=["saving_bps", "in_set"])
        for (at, under), (column, over) in product(
            enumerate(expected.index), enumerate(sorted(set(here["lambda_over"])))
        ):
            row = here[(here["lambda_under"] == under) & (here["lambda_over"] == over)].iloc[0]
            assert cells[at][column] == printed(row["saving_bps"]) + (" *" if row["in_set"] else "")


def test_drawing_without_scripts_has_the_same_figures(reported, chromium, combinations):
    path, home = reported
    with opened(chromium, path, java_script_enabled=False) as shown:
        assert shown.page.is_visible("#landscape-still")
        assert shown.page.is_hidden("#landscape-live")
        texts = shown.page.locator("#landscape-still svg.broad text").all_text_contents()
        best = read_run(home).document["best_parameters"]
        here = combinations[
            (combinations["fee_table"] == "today") & (combinations["theta_queue"] == best["theta_queue"])
        ]
        savings = sorted(printed(saving) for saving in here["saving_bps"])
        assert (
            sorted(text for text in texts if re.fullmatch(r"[+\u2212]?\d+\.\d\d", text) and text in savings) == savings
        )
        document = read_run(home).document
        body = shown.page.inner_text("body")
        assert document["verdict"]["sentence"][:60] in body
        interval = document["statistics"]["saving_bps"][document["statistics"]["against"]]
        assert printed(interval["low"]) in body or f"{interval['low']:.2f}".replace("-", "\u2212") in body
        assert shown.page.locator("main svg[role=img]:visible").count() >= 5


COLOURS = """
() => ["body", "#landscape-chart .layer_0_marks path"].flatMap((each) =>
  [...document.querySelectorAll(each)].map((one) => getComputedStyle(one))
    .map((style) => (each === "body" ? style.backgroundColor : style.fill)))
"""


def test_dark_follows_the_system_without_another_drawing(reported, chromium):
    with opened(chromium, reported[0], color_scheme="light") as shown:
        drawn, light = shown.drawn(), shown.page.evaluate(COLOURS)
        shown.page.emulate_media(color_scheme="dark")
        dark = shown.page.evaluate(COLOURS)
        assert len(light) == 17
        assert all(one != other for one, other in zip(light, dark, strict=True))
        assert shown.drawn() == drawn


def test_phone_scrolls_down_only(reported, chromium):
    with opened(chromium, reported[0], width=360) as shown:
        shown.drawn()
        widths = shown.page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
        assert widths == [360, 360]
        shown.page.set_viewport_size({"width": 1000, "height": 800})
        shown.page.wait_for_function("() => document.querySelector('#landscape-chart svg').clientWidth > 600")
        assert (shown.messages, shown.violations, shown.requests) == ([], [], [])


def test_print_shows_what_is_folded(reported, chromium, tmp_path):
    with opened(chromium, reported[0]) as shown:
        shown.drawn()
        shown.page.wait_for_selector("#landscape-table table", state="attached")
        shown.page.emulate_media(media="print")
        folded = shown.page.evaluate(
            "() => [...document.querySelectorAll('main details:not([hidden] *)')].filter((each) =>"
            " !each.lastElementChild.checkVisibility() || each.lastElementChild.getBoundingClientRect().height < 5)"
            ".map((each) => each.closest('section').id + ': ' + each.querySelector('summary').textContent)"
        )
        assert folded == []
        content = shown.page.pdf()
        assert content.startswith(b"%PDF")
        assert len(content) > 20_000
        assert (shown.messages, shown.violations, shown.requests) == ([], [], [])


LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""Rules of axe that depend on colours and on the width."""


@pytest.mark.parametrize(("scheme", "width", "rules"), [("light", 1200, None), ("dark", 360, LOOKS)])
def test_axe_finds_nothing(reported, chromium, scheme, width, rules):
    axe = (install() / "axe.min.js").read_text("utf-8")
    with opened(chromium, reported[0], width, color_scheme=scheme, bypass_csp=True) as shown:
        shown.drawn()
        shown.page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        shown.page.evaluate(axe)
        problems = shown.page.evaluate(
            "async (rules) => (await axe.run(document, rules ? { runOnly: rules } : {})).violations.map((each) =>"
            " [each.id, each.nodes.map((node) => node.html).slice(0, 3)])",
            rules,
        )
        assert problems == []


def test_hostile_names_are_text(reported, chromium, tmp_path):
    stored = read_run(reported[1])
    document = {**stored.document, "feed": {**stored.document["feed"], "topic": TOPIC, "place": TOPIC}}
    path = tmp_path / "hostile.html"
    path.write_text(page(replace(stored, document=document)), "utf-8")
    with opened(chromium, path) as shown:
        dialogs = []
        shown.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        shown.drawn()
        shown.page.focus("#landscape-at-0")
        shown.page.keyboard.press("ArrowRight")
        shown.page.select_option("#landscape-x", label="fees")
        shown.page.wait_for_timeout(300)
        assert HOSTILE in shown.page.title()
        assert HOSTILE in shown.page.inner_text("main")
        assert HOSTILE[:15] in shown.page.locator("#landscape-chart svg").text_content()
        assert (
            shown.page.evaluate("() => document.images.length + document.querySelectorAll('main script').length") == 0
        )
        text = shown.page.evaluate("() => document.documentElement.textContent")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", shown.page.inner_text("body"))
        assert "[bold red]day[/bold red]" in text
        assert (dialogs, shown.messages, shown.violations, shown.requests) == ([], [], [], [])


DRAW = """
async (spec) => {
  const library = loadCharts();
  const warnings = [];
  const keep = (...parts) => { warnings.push(parts.join(" ")); return logger; };
  const logger = { level: () => logger, error: keep, warn: keep, info: () => logger, debug: () => logger };
  const compiled = library.compile(spec, { logger }).spec;
  const runtime = library.parse(compiled, null, { ast: true, logger });
  const view = new library.View(runtime, { expr: library.expressionInterpreter, renderer: "none", logger });
  return [warnings, await view.runAsync().then(() => view.toSVG())];
}
"""


def test_charts_of_notebooks_are_drawn_by_the_same_bundle(reported, chromium, combinations):
    here = combinations[(combinations["fee_table"] == "today") & (combinations["theta_queue"] == 0.02)].reset_index()
    orders = pd.read_parquet(reported[1] / "orders.parquet", columns=["strategy", "start", "total_cash"])
    orders = orders[orders["strategy"] == "optimized"].assign(saving_bps=lambda each: each["total_cash"] % 7 - 3.0)
    charts = {
        "heat_map": heat_map(here, "lambda_over", "lambda_under", against="best_ask"),
        "parallel": parallel(combinations.reset_index(), ["fee_table", "lambda_over", "lambda_under", "theta_queue"]),
        "strip": strip(orders, interval=(-0.5, 0.7)),
    }
    drawings = {}
    with opened(chromium, reported[0]) as shown:
        for name, chart in charts.items():
            warnings, drawings[name] = shown.page.evaluate(DRAW, chart.spec)
            assert warnings == [], name
            assert chart.title in drawings[name]
    for saving in here["saving_bps"]:
        assert f">{printed(saving)}<" in drawings["heat_map"]
    assert drawings["parallel"].count("saves, bps") == 1
    assert drawings["parallel"].count(">.inf<") == 1
    assert "saves against the strongest baseline, bps" in drawings["strip"]
    for layer in ("mark-rect role-mark layer_0_marks", "mark-rule role-mark layer_2_marks"):  # the interval, and 0
        assert len(re.findall(f"{layer}[^>]*><(?:path|line)", drawings["strip"])) == 1


CELLS = """
() => [...document.querySelectorAll("#landscape-chart .layer_0_marks path")].map((each) => each.__data__.datum)
  .map(({ x, y, saving, best }) => [x, y, Math.round(saving * 100), best])
"""


@pytest.mark.parametrize("whole", [True, False])
def test_script_shows_the_slices_that_python_makes(chromium, tmp_path, monkeypatch, whole):
    bundle()
    rng = np.random.default_rng(7)
    shape = (100, 47, 4) if whole else (60, 41, 9)
    count = prod(shape)
    places = np.arange(count) if whole else np.sort(rng.choice(count, 900, replace=False))
    saved = rng.integers(-300, 300, len(places))
    enough = None if whole else rng.random(len(places)) < 0.5
    best = int(np.argmax(saved if enough is None else np.where(enough, saved, -301)))
    made = Lattice(
        tuple(
            Varied(f"axis_{at}", f"axis_{at}", tuple(map(str, range(n))), market=False) for at, n in enumerate(shape)
        ),
        places,
        np.column_stack(np.unravel_index(places, shape)).astype(np.int64),
        saved,
        saved > 250,
        np.zeros(len(places), np.int64),
        np.array([best]),
        ("best_ask",),
        whole,
        tuple(thresholds(saved / 100)),
        rank_of(saved, [best], enough),
        enough,
    )
    section = import_module("sweep.page.sections.landscape")
    monkeypatch.setattr(section, "lattice_of", lambda _: made)
    parts = [f"<script>{each}</script>" for each in scripts()]
    figures = data_script("landscape-figures", section.landscape_figures(None))
    path = tmp_path / "section.html"
    path.write_text(f"<!doctype html><html><body>{html(section.landscape(None))}{figures}{''.join(parts)}", "utf-8")

    def expected(x, y, at):
        shown = slice_of(made, x, y, at)
        rows = [(column, row, int(shown.best[row, column])) for row, column in np.argwhere(shown.best >= 0).tolist()]
        return sorted([column, row, int(saved[best]), best in made.bests] for column, row, best in rows)

    first = first_slice(made)
    with opened(chromium, path) as shown:
        before = shown.drawn()
        assert sorted(shown.page.evaluate(CELLS)) == expected(0, 1, first.rest)
        shown.page.focus("#landscape-at-2")
        shown.page.keyboard.press("End")
        shown.redrawn(before)
        before = shown.drawn()
        last = [*first.rest[:2], shape[2] - 1]
        assert sorted(shown.page.evaluate(CELLS)) == expected(0, 1, last)
        shown.page.select_option("#landscape-x", label="axis_2")
        shown.redrawn(before)
        assert sorted(shown.page.evaluate(CELLS)) == expected(2, 1, first.rest)
        assert shown.messages == []
