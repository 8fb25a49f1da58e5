"""Figures of `sweep`: the 27 combinations of the default grid, and the command as a whole process."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from allocator.book import build_book
from allocator.order import Order
from allocator.simulate import run_baselines, run_combinations
from benchmarks.frame import Case, Duel, Scale, Side
from feed import synthetic
from sweep import tasks
from sweep.chunks import Chunk
from sweep.config import Config
from sweep.conventions import resolve
from sweep.executors import Inline
from sweep.grid import build_grid

ROOT = Path(__file__).resolve().parent.parent
PLACE_AND_TIME = {"run", "feed"}
"""What two runs of the same question may differ in."""


def _sweep(_scale: Scale) -> Duel:
    config = Config()
    settings = resolve(config, {str(venue): fee for venue, fee in synthetic.FEES.items()})
    start, end = synthetic.WINDOW
    book = build_book(synthetic.generate().clip(start - settings.warmup, end), settings.book)
    order, grid = Order(config.order.side, config.order.size, start, end), build_grid(config.grid)
    job = tasks.Job(order, settings, grid)
    fees, parameters = settings.fees.of(book), grid.parameters(0, len(grid))

    def inline():
        executor = Inline()
        baselines = executor.call(tasks.baselines, book, job)
        (answer,) = executor.stream(tasks.run_chunk, (book, job), [(Chunk(0, 0, 0, len(grid)),)])
        return answer[1].rows[answer[1].of], baselines

    def reference():
        rows = run_combinations(
            book, order, settings.rules, settings.routing, fees, parameters, kernel="reference"
        ).table
        return rows, run_baselines(book, order, settings.rules, fees, settings.conventions, engine="reference")

    def guard():
        (rows, baselines), (their_rows, their_baselines) = inline(), reference()
        assert np.array_equal(rows, their_rows), "the combinations' rows differ"
        assert baselines == their_baselines, "the baselines differ"

    sizes = f"{len(grid)} combinations and 3 baselines, {order.size:,} shares, T={len(book.ts):,} V={len(book.venues)}"
    return Duel(Side(inline), Side(reference), guard, sizes)


def _process(*arguments: str) -> str:
    """What a fresh interpreter prints, or a failure with what it said."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}"
    return done.stdout


def _document(*words: str) -> dict:
    return json.loads(_process("-m", "sweep", *words))


def _default_run(scale: Scale) -> Duel:
    expected = _document("executor=inline")

    def checked(*words):
        document = _document(*words)
        assert _answer(document) == _answer(expected), "the answers differ"
        return document

    def guard():
        # the first run, which loads from a cold disk; a quick run leaves it out, as each timed run is checked as well
        if not scale.quick:
            checked()

    return Duel(
        Side(checked),
        Side(partial(checked, "executor=inline")),
        guard,
        f"python -m sweep, whole process, {'' if scale.quick else 'second run, '}"
        f"{expected['feed']['snapshots']:,} snapshots through the embedded broker, all CPUs",
        lambda document: document["run"]["seconds"],
    )


def _answer(document: dict) -> dict:
    """What every run of the same question has in common: all but place and time, and the data's digest."""
    return {key: part for key, part in document.items() if key not in PLACE_AND_TIME} | {
        "digest": document["feed"]["digest"]
    }


def _help(_scale: Scale) -> Duel:
    show = partial(_process, "-m", "sweep", "--help")

    def guard():
        assert show().startswith("usage: python -m sweep")
        assert not _process("-c", "pass")

    return Duel(Side(show), Side(partial(_process, "-c", "pass")), guard, "python -m sweep --help, whole process")


CASES = (
    Case("sweep_27", "ms", "the plain-Python reference engine", _sweep, rounds=5),
    Case("default_run", "s", "the same with executor=inline", _default_run, target=20.0, rounds=3, quick_rounds=1),
    Case("help", "s", "python -c pass", _help, target=0.5, rounds=15, quick_rounds=5),
)
