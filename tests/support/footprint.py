"""Memory of processes: what a worker has for itself beside the book that all share, what a driver grows by."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allocator.book import Book, build_book
from allocator.order import Order
from feed import synthetic
from sweep import tasks
from sweep.chunks import Chunk
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.search.classes import each_alone
from sweep.search.grid import build_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.executors.contract import Handle
    from sweep.executors.on_ray.executor import OnRay

ENDLESS = 1_000_000
"""Shares: more than the stream's first minute offers, so that the walk touches the whole book."""


def own_bytes() -> int:
    """USS: bytes in memory that this process shares with no other."""
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()]
    return 1024 * sum(int(words[1]) for words in lines if words[0] in {"Private_Clean:", "Private_Dirty:"})


def columns_of(book: Book) -> dict[str, np.ndarray]:
    """Every array of a book whose quotes stand, by name."""
    return {name: each for name in book.__slots__ if isinstance(each := getattr(book, name), np.ndarray)}


def make_book(nbytes: int) -> Book:
    """A book of about so many bytes: a synthetic minute, laid end to end."""
    book = build_book(synthetic.generate(seconds=60.0, warmup=0.0, levels=1), build_config({}).question.settings.book)
    copies = max(1, round(nbytes / book.nbytes))
    columns = {name: each for name, each in columns_of(book).items() if name != "venues"}
    tiled = {name: np.tile(each, (copies, 1) if each.ndim == 2 else copies) for name, each in columns.items()}
    tiled["ts"] += np.repeat(np.arange(copies) * (book.ts[-1] - book.ts[0] + 1), len(book.ts))
    return replace(book, **tiled)


def simulate_and_measure(book: Book) -> tuple[int, int]:
    """A chunk over the whole book, then this process's id and USS."""
    config = build_config({"order": {"size": ENDLESS}})
    job = tasks.Job(
        (Order("buy", ENDLESS, int(book.ts[0]), int(book.ts[-1])),),
        config.question.settings,
        each_alone(build_grid({})),
    )
    tasks.run_chunk(book, job, Chunk(0, 0, 0, 2))
    return os.getpid(), own_bytes()


def touch(book: Book) -> int:
    """Look at every page; a page that a second process has mapped is nobody's own."""
    return sum(int(column.view(np.uint8).ravel()[::4096].sum()) for column in columns_of(book).values())


def worker_memory(
    executor: OnRay, small: Handle, large: Handle, task: Callable[[Book], tuple[int, int]] = simulate_and_measure
) -> tuple[int, int]:
    """USS of one worker after a task on either book, bytes: (small, large).

    The driver has both books mapped too, as every other worker would; the task runs some times on each, so that what a
    worker allocates once (code, arenas) is in both figures.

    Raises
    ------
    AssertionError
        Not one worker ran it all.
    """
    for book in (small, large):
        touch(executor.get(book))
    answers = {
        name: [executor.get(executor.call(task, book)) for _ in range(3)]
        for name, book in (("warm", large), ("small", small), ("large", large))
    }
    pids = {pid for each in answers.values() for pid, _ in each}
    assert len(pids) == 1, f"several workers ran the task: {pids}"
    return answers["small"][-1][1], answers["large"][-1][1]


def peak_bytes() -> int:
    """The highest RSS of this process since it began, or since it was last set back."""
    (line,) = [line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in line]
    return 1024 * int(line.split()[1])


AXES = ("lambda_over", "lambda_under", "theta_queue")


def axis(side: int) -> dict[str, float]:
    """So many values, 0 to 9.9 cents: with three such axes, side^3 combinations."""
    return {"start": 0, "stop": 0.099, "num": side}


def driver_growth(source: str, side: int, executor: str) -> dict[str, int]:
    """Run a sweep of side^3 combinations after a tiny one in this process: by how many bytes the driver grew.

    Growth is the peak of RSS during the run over RSS before it; pages of shared memory that the driver maps count.
    """
    keys = {"source": source, "executor": executor}
    run(build_config(keys))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak back to what is there now
    before = peak_bytes()
    result = run(build_config(keys | {"grid": dict.fromkeys(AXES, axis(side))}))
    return {"grown": peak_bytes() - before, "rows": len(result.table), "table": result.table.nbytes}


def orders_peak(source: str, every: str) -> dict[str, int]:
    """Run 10,000 combinations for orders of two minutes, each simulated, on two workers: the peak RSS of the driver."""
    grid = {"lambda_over": axis(10), "lambda_under": axis(25), "theta_queue": axis(40)}
    order = {"size": 2000, "every": every, "horizon": "2m"}
    keys = {"source": source, "executor": "ray", "workers": 2, "collapse": False, "depth": 1}
    result = run(build_config({**keys, "grid": grid, "order": order}))
    orders = result.document["orders"]
    return {"peak": peak_bytes(), "orders": orders["count"], "blocks": orders["blocks"], "rows": len(result.table)}


def days_peak(folder: str, every: str) -> dict[str, int]:
    """Sweep the tapes of a folder in this process, none of them kept beside the first: the peak RSS."""
    import_module("sweep.tapes.materialise").KEPT_BYTES = 0
    order = {"side": ["buy", "sell"], "size": [500, 2000], "every": every, "horizon": "30s"}
    result = run(build_config({"source": folder, "executor": "inline", "order": order}))
    orders = result.document["orders"]
    return {"peak": peak_bytes(), "tapes": orders["days"] * orders["symbols"], "orders": orders["count"]}


if __name__ == "__main__":
    if sys.argv[1] == "orders":
        print(json.dumps(orders_peak(*sys.argv[2:])))
    elif sys.argv[1] == "days":
        print(json.dumps(days_peak(*sys.argv[2:])))
    else:
        print(json.dumps(driver_growth(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
