"""Out of sample: which blocks train and which are tested, and what is the best of the training part alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

KINDS: Final = ("none", "folds", "rolling", "anchored", "leave_one_day_out")

TRAINED_SHARE: Final = 3
"""Rolling and anchored train on a third of the days, or of the blocks of one day, before the first that is tested."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How blocks are split for out of sample.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    folds : int
        Of the kind `folds`; else 0.
    """

    kind: str
    folds: int = 0

    def __str__(self) -> str:
        return f"folds={self.folds}" if self.kind == "folds" else self.kind


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of time.

    Attributes
    ----------
    first : (n,) int64
        Start of the first order of each, UTC nanoseconds; ascending.
    last : (n,) int64
        End of its last order, UTC nanoseconds.
    day : (n,) int64
        Its date, days since 1970-01-01; ascending.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    day: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


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


@dataclass(frozen=True, slots=True, eq=False)
class OutOfSample:
    """What is the best of the training part of each fold.

    Attributes
    ----------
    winners : (F,) int64
        A column for each fold.
    chosen : (n,) int64
        The column that is reported for each block, the winner of the fold that tests it; -1 where none does.
    """

    winners: NDArray[np.int64]
    chosen: NDArray[np.int64]


def parse_validation(text: str) -> Validation:
    """Parse `validate` of the configuration.

    Raises
    ------
    ConfigError
        It is none of none, folds=K with K of 2 or more, rolling, anchored, leave_one_day_out.
    """
    if text in KINDS and text != "folds":
        return Validation(text)
    number = re.fullmatch(r"folds=([0-9]{1,9})", text)
    if number is None:
        raise ConfigError(
            f"validate: expected none, folds=5, rolling, anchored or leave_one_day_out, but it had {text!r}"[:200]
        )
    folds = int(number[1])
    if folds < 2:
        raise ConfigError(f"validate: expected 2 folds or more, but it had {folds}; folds=5 is usual")
    return Validation("folds", folds)


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
        In order of time; no block is tested twice. () for none.

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
    else:
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


def out_of_sample(
    costs: NDArray[np.int64], folds: Sequence[Fold], allowed: NDArray[np.bool_] | None = None
) -> OutOfSample:
    """Pick the best of each fold's training part: the least sum, the first of several such.

    Sums are exact whatever their size. The work is that of the columns by the blocks in which the training parts of
    successive folds differ.

    Parameters
    ----------
    costs : (n, N) int64
        What each column pays in each block, the less the better; in any unit.
    folds : sequence of Fold
    allowed : (F, N) or (N,) bool, optional
        Which columns may be picked, by fold; all may where none may.

    Raises
    ------
    ValueError
        A shape does not fit.
    """
    blocks, count = costs.shape
    if not count or any(len(fold.train) != blocks or len(fold.test) != blocks for fold in folds):
        raise ValueError(f"folds: expected those of {blocks} blocks, and one column or more of {count}")
    may: NDArray[Any] | None = None if allowed is None else np.broadcast_to(allowed, (len(folds), count))
    any_may = [] if may is None else [bool(row.any()) for row in may]
    best: list[tuple[int, int] | None] = [None] * len(folds)
    for first in range(0, count, _PIECE):
        piece = slice(first, first + _PIECE)
        for number, (high, low) in enumerate(_sums(costs[:, piece], folds)):
            columns: NDArray[Any] = np.arange(len(high))
            if may is not None and any_may[number]:
                columns = np.flatnonzero(may[number, piece])
                if not len(columns):
                    continue
            columns = columns[high[columns] == high[columns].min()]
            column = int(columns[low[columns].argmin()])
            least = ((int(high[column]) << 32) + int(low[column]), first + column)
            best[number] = min(best[number] or least, least)
    winners = np.array([column for _, column in filter(None, best)], np.int64)
    chosen = np.full(blocks, -1, np.int64)
    for winner, fold in zip(winners, folds, strict=True):
        chosen[fold.test] = winner
    return OutOfSample(winners, chosen)


_PIECE: Final = 2**14
"""Columns that are added up together: their sums stay in a processor's cache."""

_LOW: Final = 2**32 - 1


def _sums(costs: NDArray[np.int64], folds: Sequence[Fold]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The sums over each fold's training part, as 2^32 of one array and 0 to 2^32 - 1 of another."""
    high, low = np.zeros(costs.shape[1], np.int64), np.zeros(costs.shape[1], np.int64)
    before = np.zeros(len(costs), np.bool_)
    for fold in folds:
        for block in np.flatnonzero(fold.train & ~before):
            high += costs[block] >> 32
            low += costs[block] & _LOW
        for block in np.flatnonzero(before & ~fold.train):
            high -= costs[block] >> 32
            low -= costs[block] & _LOW
        before = fold.train
        yield high + (low >> 32), low & _LOW
