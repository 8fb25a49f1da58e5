"""A program that runs every kernel on small books and prints a digest of all rows: the same however it is compiled."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace

import numpy as np

from allocator.book import BookRules, build_book
from allocator.engine import as_row
from allocator.money import INFINITE, NANO
from allocator.order import Latency, Order, ParameterColumns, Parameters, Rules
from allocator.placement.policy import Placement
from allocator.placement.solver import solve
from allocator.placement.stochastic import stochastic_approximation
from allocator.policies import Static
from allocator.runners import RUNNERS, Task, runners_for
from allocator.simulate import run_baselines, run_combinations
from tests.support.placings import random_placing
from tests.support.resting import resting_tape
from tests.support.strategies import CENT, OPEN, SECOND, random_tape
from tests.support.tapes import with_levels

GRID = ParameterColumns.of([Parameters(0, tau, 0) for tau in (0, CENT, 2 * CENT + 1, INFINITE)])

LATE = Latency((0, SECOND, 5 * SECOND), ((2, (3 * SECOND,)),), seed=5)

CHOICES = list(
    itertools.product(
        ("buy", "sell"),
        ("persist", "refresh"),
        (("sweep", None), ("sweep", 1_000_000), ("last_ask", None)),
        ("touch", "best", "mid", "arrival"),
        (400, 10**6),
    )
)
PAIRWISE = CHOICES[1::5]
"""Any two parts of a choice meet in one; without the compiler a run takes seconds."""


def digest() -> str:
    """SHA-256 of the rows of every runner, rule and reference on four books, and of the baselines."""
    content, used = hashlib.sha256(), set()
    for dense, venues, depth in ((False, 3, 1), (True, 2, 1), (True, 65, 1), (False, 2, 3)):
        made = BookRules("event", uncross=False) if dense else BookRules(max_age=40 * 10**9)
        tape = random_tape(venues, 8 if venues > 64 else 40, venues, dense=dense)
        book = build_book(tape if depth == 1 else with_levels(tape, depth, venues), made)
        fees = [3_000_000, 0, -2_000_000, 500_000][: len(book.venues)] or []
        fees += [0] * (len(book.venues) - len(fees))
        for side, liquidity, (leftover, band), reference, size in PAIRWISE:
            order = Order(side, size, int(book.ts[1]), int(book.ts[-1]))
            rules, policy = Rules(liquidity, leftover, 50_000_000, band), Static(reference=reference)
            for kernel in (*runners_for(Task.of(book, order, rules, policy, fees)), "walk"):
                used.add(kernel)
                content.update(run_combinations(book, order, rules, policy, fees, GRID, kernel=kernel).table.tobytes())
            for conventions in ("fair", "classic"):
                baselines = run_baselines(book, order, rules, fees, conventions)
                content.update(np.array([as_row(run) for run in baselines.values()], np.int64).tobytes())
            late, capped = replace(rules, latency=LATE), replace(policy, participation=NANO // 3)
            for kernel in runners_for(Task.of(book, order, late, capped, fees)):
                used.add(kernel)
                content.update(run_combinations(book, order, late, capped, fees, GRID, kernel=kernel).table.tobytes())
            baselines = run_baselines(book, order, late, fees, "fair")
            content.update(np.array([as_row(run) for run in baselines.values()], np.int64).tobytes())
    for depth, posting in ((1, "touch"), (3, "deep:1"), (3, "inside")):
        book = build_book(resting_tape(depth, seconds=200, depth=depth), BookRules())
        order = Order("buy", 2_000, OPEN + 120 * SECOND, OPEN + 150 * SECOND)
        policy = Placement(slice=10 * SECOND, samples=30, posting=posting)
        for rules in (late, replace(late, latency=Latency(), liquidity="refresh", phi=0)):
            for kernel in runners_for(Task.of(book, order, rules, policy, fees)):
                used.add(kernel)
                outcome = run_combinations(book, order, rules, policy, [0, -CENT // 5, CENT // 3], GRID, kernel=kernel)
                content.update(outcome.table.tobytes())
    assert used == set(RUNNERS) - {"reference"}, used
    for number in range(6):
        placing = random_placing(np.random.default_rng(number), 1 + number % 3, 10)
        done = solve(placing.costs, placing.size, placing.through, bound=True)
        nearby = solve(placing.costs, placing.size, placing.through, start=[0] * placing.orders)
        paper = stochastic_approximation(placing, 200)
        content.update(np.array([*done.x, done.value, done.bound, *nearby.x, nearby.value, *paper], np.int64).tobytes())
    return content.hexdigest()


if __name__ == "__main__":
    print(digest())
