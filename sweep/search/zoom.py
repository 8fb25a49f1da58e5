"""Zooming in: a coarse lattice with both ends, then finer and finer steps around what is best so far."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweep.search.samplers import Space

    Int64 = NDArray[np.int64]

COARSE: Final = 5
"""Points of an axis at first, at most; as many as the lattice of all axes has room for."""


@dataclass(slots=True)
class _Zoom:
    """The search with one value of each axis of names.

    Attributes
    ----------
    steps : list of int
        Positions from one point to the next, by axis.
    best : int or None
        The place of the least cost so far, the first that had it.
    cost : int
    """

    steps: list[int]
    best: int | None = None
    cost: int = 0


class ZoomSampler:
    """Each combination of names is searched by itself, on the lattice of the axes whose values ascend.

    At first a lattice of up to `COARSE` points an axis, both ends among them. Then the neighbours of the best place, a
    step away on some axes or all; as long as one of them is better, its neighbours; else half the step, down to one
    position. It ends where no neighbour of any best place is better: at the best place of all where costs fall towards
    it, and else at a place that is best among its neighbours.
    """

    def __init__(self, space: Space, seed: int, budget: int | None) -> None:  # noqa: ARG002 - nothing is drawn
        self._space = space
        self._ascending = [at for at, ordered in enumerate(space.ordered) if ordered]
        self._names = [at for at, ordered in enumerate(space.ordered) if not ordered]
        lengths = [space.shape[at] for at in self._ascending]
        zooms = prod(space.shape[at] for at in self._names)
        for points in range(COARSE, 1, -1):
            steps = [_step(length, points) for length in lengths]
            lattice = [_coarse(length, step) for length, step in zip(lengths, steps, strict=True)]
            if budget is None or zooms * prod(map(len, lattice)) <= budget:
                break
        self._zooms: dict[tuple[int, ...], _Zoom] = {}
        queue: list[int] = []
        for names in product(*(range(space.shape[at]) for at in self._names)):
            self._zooms[names] = _Zoom(list(steps))
            queue += [self._place(names, at) for at in product(*lattice)]
        queue.sort()
        if budget is not None and len(queue) > budget:  # an even part of it
            queue = [queue[number * len(queue) // budget] for number in range(budget)]
        self._queue = queue[::-1]
        self._seen: set[int] = set()
        self._awaited: set[int] = set()

    def ask(self, count: int) -> Int64:
        """As `Sampler.ask`."""
        if count and not self._queue:
            if self._awaited:
                raise RuntimeError(f"the costs of {len(self._awaited):,} places are awaited; tell them first")
            self._queue = sorted({place for zoom in self._zooms for place in self._next(zoom)}, reverse=True)
        places: list[int] = []
        while self._queue and len(places) < count:
            place = self._queue.pop()
            if place not in self._seen:
                places.append(place)
        self._seen.update(places)
        self._awaited.update(places)
        return np.array(places, np.int64)

    def tell(self, places: Int64, costs: Sequence[int | None]) -> None:
        """As `Sampler.tell`."""
        for place, cost in sorted(zip(places.tolist(), costs, strict=True), key=lambda each: each[0]):
            self._seen.add(place)
            self._awaited.discard(place)
            at = np.unravel_index(place, self._space.shape)
            zoom = self._zooms[tuple(int(at[axis]) for axis in self._names)]
            if cost is not None and (zoom.best is None or cost < zoom.cost):
                zoom.best, zoom.cost = place, cost

    def _next(self, names: tuple[int, ...]) -> list[int]:
        """The neighbours of a best place that were not looked at, at the largest step that has any."""
        zoom = self._zooms[names]
        if zoom.best is None:
            return []
        position = np.unravel_index(zoom.best, self._space.shape)
        while True:
            around = [
                sorted({min(max(int(position[at]) + move, 0), self._space.shape[at] - 1) for move in (-step, 0, step)})
                for at, step in zip(self._ascending, zoom.steps, strict=True)
            ]
            places = [place for at in product(*around) if (place := self._place(names, at)) not in self._seen]
            if places or max(zoom.steps, default=1) == 1:
                return places
            zoom.steps = [max(1, step // 2) for step in zoom.steps]

    def _place(self, names: Sequence[int], ascending: Sequence[int]) -> int:
        """The place with these positions on the axes of names and on the others."""
        at = dict(zip([*self._names, *self._ascending], [*names, *ascending], strict=True))
        place = 0
        for axis, length in enumerate(self._space.shape):
            place = place * length + at[axis]
        return place


def _step(length: int, points: int) -> int:
    """The least power of two by which an axis of some length has no more than some points, its ends included."""
    step = 1
    while -(-(length - 1) // step) + 1 > points:
        step *= 2
    return step


def _coarse(length: int, step: int) -> list[int]:
    """Positions a step apart from the first on, and the last."""
    return sorted({*range(0, length, step), length - 1})
