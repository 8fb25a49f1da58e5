"""Worlds whose truth is known, drawn many times: how often statistics hold it, and how far off they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sweep.statistics.inference import estimates, t_quantile
from sweep.statistics.selection import best_of, confidence_set, corrected

BLOCKS = (20, 38, 120)
RHOS = (0.0, 0.2, 0.4)
TRUTHS = {"normal": 0.0, "t(3)": 0.0, "lognormal": math.exp(0.5)}
"""Kinds of blocks, and their means."""

SETTLING = 20
"""Steps of a process before its first block: .4^20 is nothing."""


@dataclass(frozen=True)
class World:
    """Columns of blocks that are as good as the baseline, all but one of them.

    Attributes
    ----------
    blocks, columns : int
    alike : float
        Correlation of a column with its neighbour, as on a grid.
    gain : float
        What the column in the middle saves, in standard deviations of a block.
    """

    blocks: int
    columns: int
    alike: float = 0.0
    gain: float = 0.0

    def draw(self, generator):
        """(n, N), and the place of the column that saves something."""
        noise = generator.standard_normal((self.blocks, self.columns))
        if self.alike:
            for column in range(1, self.columns):
                noise[:, column] = self.alike * noise[:, column - 1] + math.sqrt(1 - self.alike**2) * noise[:, column]
        better = self.columns // 2
        noise[:, better] += self.gain
        return noise, better


def in_time(generator, kind, blocks, columns, rho):
    """(n, N) of independent columns, each a process AR(1) in time; lognormal: the exponential of a normal one."""
    shape = (SETTLING + blocks, columns)
    steps = generator.standard_t(3, shape) if kind == "t(3)" else generator.standard_normal(shape)
    if rho:
        for at in range(1, len(steps)):
            steps[at] += rho * steps[at - 1]
    values = steps[SETTLING:]
    return np.exp(values * math.sqrt(1 - rho * rho)) if kind == "lognormal" else values


def coverage(kind, blocks, rho, trials, seed=1):
    """How many of the intervals of 95 % hold the mean, as a part."""
    known = estimates(in_time(np.random.default_rng(seed), kind, blocks, trials, rho))
    reach = t_quantile(0.975, known.degrees) * known.standard_errors
    return float(np.mean(np.abs(known.means - TRUTHS[kind]) <= reach))


def skewed(blocks, sigma, trials, seed=1):
    """The median skewness of as many lognormal blocks of a sigma, and how many intervals hold their mean."""
    values = np.exp(sigma * np.random.default_rng(seed).standard_normal((blocks, trials)))
    known = estimates(values)
    reach = t_quantile(0.975, known.degrees) * known.standard_errors
    apart = values - values.mean(axis=0)
    skews = (apart**3).mean(axis=0) / (apart**2).mean(axis=0) ** 1.5
    return float(np.median(skews)), float(np.mean(np.abs(known.means - math.exp(sigma**2 / 2)) <= reach))


def rejections(blocks, columns, rho, trials, seed=1, kind="normal", sign=1):
    """In what part of worlds without a saving the best is claimed to beat the baseline at 5 %."""
    generator = np.random.default_rng(seed)
    count = 0
    for _ in range(trials):
        differences = sign * (in_time(generator, kind, blocks, columns, rho) - TRUTHS[kind])
        count += bool((best_of(differences).adjusted <= 0.05).any())
    return count / trials


def kept(world, trials, seed=1):
    """In what part of worlds the column in the middle is in the confidence set of 90 %, and how many columns are."""
    generator = np.random.default_rng(seed)
    inside, sizes = 0, 0
    for _ in range(trials):
        differences, better = world.draw(generator)
        chosen = confidence_set(differences)
        inside, sizes = inside + bool(chosen[better]), sizes + int(chosen.sum())
    return inside / trials, sizes / trials


@dataclass(frozen=True)
class Errors:
    """How far estimates of the winner's saving are off, over many worlds.

    Attributes
    ----------
    observed, corrected, less_chance : (mean, its standard error)
        Of the mean as observed, of the hybrid, and of the mean less what the best saves by chance.
    above : float
        How many of the hybrid are above the truth, as a part.
    covered : float
        How many of its intervals of 95 % hold the truth.
    """

    observed: tuple[float, float]
    corrected: tuple[float, float]
    less_chance: tuple[float, float]
    above: float
    covered: float


def winners(world, trials, seed=1):
    """What is claimed of the winner, less what it saves in truth."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(trials):
        differences, better = world.draw(generator)
        known = corrected(differences)
        truth = world.gain if known.best == better else 0.0
        chance = best_of(differences, best=known.best).by_chance
        rows.append(
            [each - truth for each in (known.mean, known.corrected, known.mean - chance, known.low, known.high)]
        )
    table = np.array(rows)
    observed, hybrid, less_chance = (
        (float(column.mean()), float(column.std(ddof=1)) / math.sqrt(trials)) for column in table.T[:3]
    )
    covered = (table[:, 3] <= 0) & (table[:, 4] >= 0)
    return Errors(observed, hybrid, less_chance, float((table[:, 1] > 0).mean()), float(covered.mean()))
