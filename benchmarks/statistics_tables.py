"""How often statistics hold the truth where it is known, as Markdown tables.

Run by ``make bench-stats``; options by ``make bench-stats ARGS='--trials 200'``.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sweep.statistics import selection
from sweep.statistics.inference import undercoverage
from tests.support.truths import BLOCKS, RHOS, TRUTHS, World, coverage, kept, rejections, skewed, winners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

COLUMNS = (1, 30, 1_000)
SIGMAS = (0.2, 0.5, 0.75, 1.0, 1.25)
WORLDS = tuple(
    World(blocks, columns, alike, gain)
    for blocks in BLOCKS
    for columns, alike, gain in (
        (1, 0, 0),
        (2, 0, 0),
        (30, 0, 0),
        (30, 0.9, 0),
        (300, 0.9, 0),
        (30, 0.9, 0.5),
        (30, 0, 2),
    )
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1_000, metavar="N", help="of each cell; 1,000 by default")
    trials = parser.parse_args(argv).trials
    selection.MANY = 0  # compiled, however few columns: it counts the same, faster
    for title, head, rows in tables(trials):
        print(f"\n{title}, {trials:,} trials a cell\n")
        print_table(head, rows)
    return 0


def tables(trials: int) -> Iterator[tuple[str, Sequence[str], Iterator[Sequence[str]]]]:
    """Each table: what it is, its head, and its rows as they are made."""
    rhos = [f"rho {rho:g}" for rho in RHOS]
    yield (
        "Coverage of intervals of 95 %",
        ["blocks", "n", *rhos],
        (
            [kind, str(blocks), *(f"{coverage(kind, blocks, rho, trials):.3f}" for rho in RHOS)]
            for kind in TRUTHS
            for blocks in BLOCKS
        ),
    )
    yield (
        "What skewness takes from it, lognormal blocks",
        ["n", "sigma", "skewness, median", "too few", "as reported"],
        (skewness_row(blocks, sigma, trials) for blocks in BLOCKS for sigma in SIGMAS),
    )
    yield (
        "Claims at 5 % that the best beats the baseline where none does, normal",
        ["n", "columns", *rhos],
        (
            [str(blocks), f"{columns:,}", *(f"{rejections(blocks, columns, rho, trials):.3f}" for rho in RHOS)]
            for blocks in BLOCKS
            for columns in COLUMNS
        ),
    )
    yield (
        "The same where savings are lognormal, sigma 1, less their mean",
        ["n", "columns", "skewed to the left", "to the right"],
        (
            [
                str(blocks),
                str(columns),
                *(f"{rejections(blocks, columns, 0, trials, kind='lognormal', sign=sign):.3f}" for sign in (-1, 1)),
            ]
            for blocks in BLOCKS
            for columns in COLUMNS[:2]
        ),
    )
    yield (
        "Confidence sets of 90 % that hold the best in truth",
        [*WORLD, "hold it", "columns in it"],
        (
            [*described(world), *(f"{each:.3g}" for each in kept(world, trials))]
            for world in WORLDS
            if world.columns > 1
        ),
    )
    yield (
        "The winner's saving less the truth, in standard deviations of a block (standard error)",
        [*WORLD, "observed", "corrected", "less chance", "corrected above the truth", "intervals of 95 % that hold it"],
        (winner_row(world, trials) for world in WORLDS),
    )


WORLD = ("n", "columns", "correlation of neighbours", "gain of one")


def described(world: World) -> list[str]:
    return [f"{each:g}" for each in (world.blocks, world.columns, world.alike, world.gain)]


def skewness_row(blocks: int, sigma: float, trials: int) -> list[str]:
    skewness, part = skewed(blocks, sigma, trials)
    return [
        str(blocks), f"{sigma:g}", f"{skewness:.2f}", f"{0.95 - part:.3f}", f"{undercoverage(blocks, skewness):.3f}"
    ]  # fmt: skip


def winner_row(world: World, trials: int) -> list[str]:
    errors = winners(world, trials)
    means = (f"{mean:+.3f} ({error:.3f})" for mean, error in (errors.observed, errors.corrected, errors.less_chance))
    return [*described(world), *means, f"{errors.above:.3f}", f"{errors.covered:.3f}"]


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a row when it is made."""
    for row in (head, ["---"] * len(head)):
        print(f"| {' | '.join(row)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
