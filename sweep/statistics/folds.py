"""Out of sample: which blocks train and which are tested."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sweep.config import Validation
    from sweep.statistics.blocks import Blocks

TRAINED_SHARE: Final = 3
"""Rolling and anchored train on a third of the days, or of the blocks of one day, before the first that is tested."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One split of n blocks.

    Attributes
    ----------
    train, test : (n,) bool
        No block is both; those that are neither are purged, or not used.
    """

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def make_folds(validation: Validation, blocks: Blocks, horizon: int) -> tuple[Fold, ...]:
    """Split blocks into training and test.

    `folds=K` tests K contiguous runs of blocks that differ by one block at most, the longer ones first, each by the
    best of all others. `leave_one_day_out` does so day by day. `rolling` and `anchored` go from day to day, or from
    block to block where all are of one day: each is tested by the best of the third of the days (or blocks; one at
    least) right before it, or of all before it; the first third is not tested.

    A block is purged from the training part where its span comes within one horizon of the span of a tested block:
    orders in both would live on the same minutes.

    Parameters
    ----------
    validation : Validation
    blocks : Blocks
        In order of time; they may overlap, as those of several symbols do.
    horizon : int
        Of the orders, nanoseconds.

    Returns
    -------
    tuple of Fold
        In order of time; no block is tested twice.

    Raises
    ------
    ConfigError
        There are too few blocks or days.
    ValueError
        The blocks are in no order of time, or the horizon is below 0.
    """
    count = len(blocks)
    if horizon < 0 or (blocks.last < blocks.first).any():
        raise ValueError("blocks and the horizon: expected spans of 0 or more nanoseconds")
    if (np.diff(blocks.first) < 0).any() or (np.diff(blocks.day) < 0).any():
        raise ValueError("blocks: expected them in order of time")
    folds = tuple(
        Fold(_purged(blocks, slice(*train), test, horizon), _inside(count, test))
        for train, test in _runs(validation, blocks)
    )
    for number, fold in enumerate(folds, 1):
        if not fold.train.any():
            raise ConfigError(
                f"validate: {validation} leaves fold {number} of {len(folds)} no block to train on, as blocks within "
                f"one horizon of a tested one do not count; {count} blocks are too few: ask for more orders or days"
            )
    return folds


def _runs(validation: Validation, blocks: Blocks) -> Iterator[tuple[tuple[int, int], slice]]:
    """The (first, past) of the blocks to train on, the tested ones with them where they lie inside, and the tested."""
    count, kind = len(blocks), validation.kind
    days = np.flatnonzero(np.diff(blocks.day, prepend=blocks.day[:1] - 1)).tolist()
    if kind == "folds":
        if count < validation.folds:
            raise ConfigError(
                f"validate: {validation} needs as many blocks, but there are {count}; ask for fewer folds"
            )
        shortest, longer = divmod(count, validation.folds)
        edges = [fold * shortest + min(fold, longer) for fold in range(validation.folds + 1)]
    elif kind == "leave_one_day_out":
        if len(days) < 2:
            raise ConfigError(
                "validate: leave_one_day_out needs two days or more, and all blocks are of one; folds=5 splits a day"
            )
        edges = [*days, count]
    elif kind in {"rolling", "anchored"}:
        edges = [*days, count] if len(days) > 1 else list(range(count + 1))
        units = len(edges) - 1
        if units < 2:
            raise ConfigError(f"validate: {kind} needs two blocks or more, but there are {count}; ask for more orders")
        trained = max(1, units // TRAINED_SHARE)
        for unit in range(trained, units):
            first = 0 if kind == "anchored" else edges[unit - trained]
            yield (first, edges[unit]), slice(edges[unit], edges[unit + 1])
        return
    for first, past in pairwise(edges):
        yield (0, count), slice(first, past)


def _inside(count: int, run: slice) -> NDArray[np.bool_]:
    mask = np.zeros(count, np.bool_)
    mask[run] = True
    return mask


def _purged(blocks: Blocks, train: slice, test: slice, horizon: int) -> NDArray[np.bool_]:
    """Which blocks of a run are no closer to the tested ones than a horizon; starts ascend."""
    kept = _inside(len(blocks), train)
    kept[: test.start] &= blocks.first[test.start] - blocks.last[: test.start] > horizon
    kept[test] = False
    kept[test.stop :] &= blocks.first[test.stop :] - blocks.last[test].max() > horizon
    return kept
