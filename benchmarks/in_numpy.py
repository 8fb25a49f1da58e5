"""The walk over ten levels in whole arrays of numpy, by row and by snapshot: `static`, touch, endless orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.book import Book

    Sums = list[tuple[int, int]]

FAR = 2**62
"""Dearer than any cost, 1e-9 $."""


@dataclass(frozen=True, slots=True)
class DeepArrays:
    """A book of several levels for numpy: published rows, ascending in time, and where they stand.

    Attributes
    ----------
    first : (T, V) int64
        The cost of each venue's first level, 1e-9 $, `FAR` = none.
    stands : list of ((N,) int, (N,) int)
        Of each venue: its rows, and the snapshots from which they stand, until the next one does.
    cost, size : (R, D) int64
        Of each level of a row, `FAR` and 0 = none, or the row never stood.
    last : (V,) int
        The rows that stand at the last snapshot.
    """

    first: NDArray[np.int64]
    stands: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    cost: NDArray[np.int64]
    size: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, book: Book, fees: Sequence[int]) -> DeepArrays:
        """What a book displays, and what it costs."""
        levels = book.levels
        assert levels is not None
        offsets, stands = np.array(fees), []
        fee, size = np.zeros((len(levels.ask_sz), 1), np.int64), np.zeros(levels.ask_sz.shape, np.int64)
        for v, offset in enumerate(fees):
            row = levels.rows[:, v]
            since = np.flatnonzero(np.diff(row, prepend=-1))
            stands.append((row[since], since))
            fee[row[since]], size[row[since]] = offset, levels.ask_sz[row[since]]
        cost = np.where(size > 0, book.base + book.tick * levels.ask_ticks.astype(np.int64) + fee, FAR)
        first = np.where(book.ask_px > 0, book.ask_px + offsets, FAR)
        return cls(first, stands, cost, size, levels.rows[-1][levels.rows[-1] >= 0])

    def beyond_touch(self) -> NDArray[np.int64]:
        """(R, D): how far above the touch a level lies when that is highest while its row stands.

        No take moves the touch, so a level is taken if tau reaches as far. The leftover rule takes all at the last
        snapshot.
        """
        touch = self.first.min(axis=1)
        touch[touch == FAR] = -FAR
        highest = np.full(len(self.size), -FAR)
        for row, since in self.stands:
            highest[row] = np.maximum.reduceat(touch, since)
        highest[self.last] = FAR
        return np.where(self.size > 0, self.cost - highest[:, None], FAR)

    def lives(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Levels, flat, by venue and price and in time; where among them a price is new that its venue did not show."""
        venue, number = (np.zeros(len(self.size), np.int64) for _ in range(2))
        for v, (row, _) in enumerate(self.stands):
            venue[row], number[row] = v, np.arange(len(row))
        levels = np.flatnonzero(self.size > 0)
        row, price = levels // self.size.shape[1], self.cost.ravel()[levels]
        order = np.lexsort((number[row], price, venue[row]))
        venue, price, number = venue[row[order]], price[order], number[row[order]]
        new = (np.diff(venue) != 0) | (np.diff(price) != 0) | (np.diff(number) != 1)
        return levels[order], np.concatenate([[0], 1 + np.flatnonzero(new)])


def by_row(book: Book, fees: Sequence[int], liquidity: str, thresholds: Sequence[int]) -> Sums:
    """Shares and cash of endless orders, whole arrays at a time.

    Under `refresh` each row offers its levels anew. Under `persist` what is taken of a price in its life is the largest
    size that it showed while it was near enough.
    """
    arrays, sums = DeepArrays.of(book, fees), []
    beyond, cost, size = arrays.beyond_touch().ravel(), arrays.cost.ravel(), arrays.size.ravel()
    if liquidity == "persist":
        levels, begins = arrays.lives()
        beyond, size, cost = beyond[levels], size[levels], cost[levels[begins]]
    for tau in thresholds:
        if liquidity == "persist":
            shares = np.maximum.reduceat(np.where(beyond <= tau, size, 0), begins)
            sums.append((int(shares.sum()), int((shares * cost).sum())))
        else:
            near = np.flatnonzero(beyond <= tau)
            sums.append((int(size[near].sum()), int((size[near] * cost[near]).sum())))
    return sums


def by_snapshot(book: Book, fees: Sequence[int], thresholds: Sequence[int]) -> Sums:
    """The same under `refresh`: cubes of T x V x D, as one would write the walk down."""
    levels = book.levels
    assert levels is not None
    stand, t = levels.rows, np.arange(len(book.ts), dtype=np.int32)
    row = np.maximum(stand, 0)
    size = np.where(stand[:, :, None] >= 0, levels.ask_sz[row], 0).astype(np.int64)
    px = book.base + book.tick * levels.ask_ticks[row].astype(np.int64)
    cost = np.where(size > 0, px + np.array(fees)[:, None], FAR)
    touch = cost[:, :, 0].min(axis=1)
    since = np.maximum.accumulate(np.where(np.diff(stand, axis=0, prepend=-1) != 0, t[:, None], -1), axis=0)
    sums = []
    for tau in thresholds:
        limit = np.where(touch < FAR, touch + tau, -FAR)
        limit[-1] = FAR - 1  # the leftover rule takes all
        near = cost <= limit[:, None, None]
        latest = np.maximum.accumulate(np.where(near, t[:, None, None], np.int32(-1)), axis=0)
        taken = np.zeros_like(near)
        taken[1:] = latest[:-1] >= since[1:, :, None]
        takes = near & ~taken
        sums.append((int(size[takes].sum()), int((size[takes] * cost[takes]).sum())))
    return sums
