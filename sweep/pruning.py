"""Exact pruning: a class of combinations runs on no further tape once it is proven that it cannot be the best.

Tape after tape. What is best of the first one, the incumbent, runs on all of them at once. A class is left out where
what it has paid so far and the least that anybody could pay for all orders that are left (`allocator.clairvoyant`)
exceed what the incumbent pays for all. So it costs more than the incumbent, which fills enough to be the best, and it
neither wins nor ties. Only what costs strictly more is left out, so that of equals the first is still the best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.reduce import FILLED, OVERFILLED, TOTAL
from sweep.statistics import shares_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sweep.answering import Market
    from sweep.config import Variants
    from sweep.reduce import Reduction
    from sweep.statistics import Orders

    Int64 = NDArray[np.int64]
    Ranges = list[tuple[int, int]]


class Pruning:
    """Which classes need not run on.

    Parameters
    ----------
    orders : Orders
        On all tapes.
    tapes : sequence of int
        Those that have any.
    variants : Variants
    edges : sequence of int
        As `Classes.variant_edges`.
    markets : sequence of sequence of Market
        Of each tape in each world.
    """

    def __init__(
        self,
        orders: Orders,
        tapes: Sequence[int],
        variants: Variants,
        edges: Sequence[int],
        markets: Sequence[Sequence[Market]],
    ) -> None:
        self._orders, self._tapes = orders, tapes
        count = edges[-1]
        self._world = np.full(count, -1, np.int64)
        for number, variant in enumerate(variants.each):
            self._world[edges[number] : edges[number + 1]] = variant.world
        # Python's integers: exact whatever the number of orders
        self._rest = [
            [bound(orders, tape, market) for market in each] for tape, each in zip(tapes, markets, strict=True)
        ]
        self._enough = [[shares_of(market.baselines["best_ask"]) for market in each] for each in markets]
        self._paid = np.zeros(count, object)
        self._net = np.zeros(count, object)
        self._whole = np.ones(count, np.bool_)
        self._dead = np.zeros(count, np.bool_)
        self._limits: list[int | None] = []

    def add(self, position: int, rows: Int64, has_row: NDArray[np.bool_]) -> None:
        """Take the rows of a tape.

        Parameters
        ----------
        position : int
            Of the tape.
        rows : (G, R, 8) int64
            Of each group of its orders and each class, the columns of `allocator.order.FIELDS`.
        has_row : (G, R) bool
            False where a class failed, or was left out.
        """
        paid, net, whole = self._sums(position, rows, has_row)
        self._paid, self._net = self._paid + paid, self._net + net
        self._whole &= whole | self._dead

    def _sums(
        self, position: int, rows: Int64, has_row: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        signs = self._orders.on_tape(self._tapes[position]).signs
        paid, net = np.zeros(rows.shape[1], object), np.zeros(rows.shape[1], object)
        for sign, of_group, known in zip(signs, rows, has_row, strict=True):
            paid += np.where(known, sign * of_group[:, TOTAL], 0).astype(object)
            net += np.where(known, of_group[:, FILLED] - of_group[:, OVERFILLED], 0).astype(object)
        return paid, net, np.all(has_row, axis=0)

    def incumbents(self) -> list[int | None]:
        """The best class of the first tape in each world; None where none fills enough there."""
        best: list[int | None] = []
        for world, enough in enumerate(self._enough[0]):
            classes = [
                number
                for number in np.flatnonzero((self._world == world) & self._whole).tolist()
                if self._net[number] >= enough
            ]
            best.append(min(classes, key=lambda number: self._paid[number], default=None))
        return best

    def limit(self, incumbents: Sequence[int | None], later: Iterable[tuple[Int64, NDArray[np.bool_]]]) -> None:
        """Set what a class may cost in each world: what the incumbent does on all tapes, if it fills enough there.

        Parameters
        ----------
        incumbents : sequence of int or None
        later : iterable of (rows, has_row)
            As of `add`, of every tape but the first, on which the incumbents have run.
        """
        sums = [self._sums(position, *each) for position, each in enumerate(later, 1)]
        for world, number in enumerate(incumbents):
            if number is None or not all(whole[number] for _, _, whole in sums):
                self._limits.append(None)
                continue
            net = self._net[number] + sum(net[number] for _, net, _ in sums)
            enough = net >= sum(of_tape[world] for of_tape in self._enough)
            paid = int(self._paid[number] + sum(paid[number] for paid, _, _ in sums))
            self._limits.append(paid if enough else None)

    def left_out(self, position: int) -> Int64:
        """(M,) int64, the classes that need not run on a tape, ascending; those before have been added."""
        for world, limit in enumerate(self._limits):
            if limit is not None:
                rest = sum(of_tape[world] for of_tape in self._rest[position:])
                self._dead |= (self._world == world) & self._whole & (self._paid + rest > limit).astype(np.bool_)
        return np.flatnonzero(self._dead)

    def ranges(self, ranges: Ranges) -> Ranges:
        """The parts of some ranges of classes that run on."""
        edges = np.flatnonzero(np.diff(~self._dead, prepend=False, append=False)).tolist()
        return overlapping(ranges, list(zip(edges[::2], edges[1::2], strict=True)))


def pruned_of(reduction: Reduction, failed: int) -> int:
    """How many combinations have no row in some group, but for those that failed."""
    return len(reduction.classes.grid) - int(reduction.classes.counts(reduction.simulated).sum()) - failed


def overlapping(ranges: Ranges, others: Ranges) -> Ranges:
    """What is in some ranges and in others, both ascending."""
    return [
        (max(first, begin), min(past, end))
        for first, past in ranges
        for begin, end in others
        if max(first, begin) < min(past, end)
    ]


def bound(orders: Orders, tape: int, market: Market) -> int:
    """The least that the orders of a tape could have cost anybody, less what the sells among them bring at most."""
    signs = [order.sign for order in orders.on_tape(tape).orders]
    cash = market.baselines["clairvoyant"].rows[:, TOTAL].tolist()
    return sum(sign * each for sign, each in zip(signs, cash, strict=True))
