"""What a search looks at: samplers that are asked for places and told their costs, by name.

A sampler knows numbers only: a lattice, places on it, costs. It runs nothing. Who drives it asks, runs what it is
given, tells what that cost, and asks again:

>>> from sweep.search.samplers import Space, make_sampler
>>> sampler = make_sampler("random", Space((3, 2), (True, True)), seed=1)
>>> places = sampler.ask(4)
>>> sampler.tell(places, [int(place) ** 2 for place in places])
>>> sorted([*places.tolist(), *sampler.ask(10).tolist()])
[0, 1, 2, 3, 4, 5]
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from sweep.search.optuna_sampler import OptunaSampler, load_optuna
from sweep.search.sequences import BITS, fresh, permuted, sobol_places
from sweep.search.zoom import ZoomSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Space:
    """A lattice.

    Attributes
    ----------
    shape : tuple of int
        Values of each axis; places count row-major, the last axis fastest.
    ordered : tuple of bool
        Whether the values of each axis ascend or descend, so that neighbours are alike; those of others are names.
    """

    shape: tuple[int, ...]
    ordered: tuple[bool, ...]

    @property
    def places(self) -> int:
        """How many there are."""
        return prod(self.shape)


class Sampler(Protocol):
    """Chooses places on a lattice: the same ones for the same seed and the same costs, on any machine.

    It never returns a place twice, nor one that it was told of; `tell` may name places that it did not ask for.
    """

    def ask(self, count: int) -> Int64:
        """(N,) int64, N <= `count` places to look at next; none where nothing is left to look at.

        RuntimeError where it has to be told about the last ones before.
        """

    def tell(self, places: Int64, costs: Sequence[int | None]) -> None:
        """What some places cost, the less the better; None where a place has no cost, and cannot be the best."""


class RandomSampler:
    """Every place once, in a random order."""

    def __init__(self, space: Space, seed: int, budget: int | None) -> None:  # noqa: ARG002 - as every sampler
        self._space, self._seed = space, seed
        self._next = 0
        self._seen = np.empty(0, np.int64)

    def ask(self, count: int) -> Int64:
        """As `Sampler.ask`."""
        parts, missing = [np.empty(0, np.int64)], count
        while missing and self._next < self._space.places:
            past = min(self._next + missing, self._space.places)
            drawn = permuted(self._space.places, self._next, past, self._seed)
            parts.append(drawn[~np.isin(drawn, self._seen)])
            missing, self._next = missing - len(parts[-1]), past
        return np.concatenate(parts)

    def tell(self, places: Int64, costs: Sequence[int | None]) -> None:  # noqa: ARG002 - whatever they cost
        """As `Sampler.tell`."""
        self._seen = np.sort(np.concatenate([self._seen, fresh(places, self._seen)]))


WORN: Final = 64
"""A Sobol' sequence ends once so many times as many points were drawn as there are places seen, and `FEW` more."""

FEW: Final = 2**16


class SobolSampler:
    """The places of a Sobol' sequence, each once: more even than random ones.

    Most places of a lattice that is nearly used up come again; there it ends, before the lattice does.
    """

    def __init__(self, space: Space, seed: int, budget: int | None) -> None:  # noqa: ARG002 - as every sampler
        self._space, self._seed = space, seed
        self._next = 0
        self._seen = np.empty(0, np.int64)

    def ask(self, count: int) -> Int64:
        """As `Sampler.ask`."""
        if count >= self._space.places - len(self._seen):
            places = np.arange(self._space.places) if count else self._seen
            return self._keep(places, count)
        parts, missing = [np.empty(0, np.int64)], count
        while missing and self._next < min(WORN * len(self._seen) + FEW, 2**BITS):
            past = min(self._next + max(missing, 64), 2**BITS)
            drawn = sobol_places(self._space.shape, self._next, past, self._seed)
            parts.append(self._keep(drawn, missing))
            # what was drawn beyond the last one that was asked for is drawn again
            last = len(drawn) if len(parts[-1]) < missing else int(np.flatnonzero(drawn == parts[-1][-1])[0]) + 1
            missing, self._next = missing - len(parts[-1]), self._next + last
        return np.concatenate(parts)

    def _keep(self, drawn: Int64, count: int) -> Int64:
        """The first `count` that are new."""
        places = fresh(drawn, self._seen)[:count]
        self._seen = np.sort(np.concatenate([self._seen, places]))
        return places

    def tell(self, places: Int64, costs: Sequence[int | None]) -> None:  # noqa: ARG002 - whatever they cost
        """As `Sampler.tell`."""
        self._seen = np.sort(np.concatenate([self._seen, fresh(places, self._seen)]))


@dataclass(frozen=True, slots=True)
class SamplerKind:
    """A sampler by name.

    Attributes
    ----------
    make : callable
        Takes a `Space`, a seed, and how many places will be looked at, None where nobody knows.
    learns : bool
        Whether costs decide what it asks for next.
    ends : bool
        Whether it knows by itself when it is done, long before everything is looked at.
    load : callable, optional
        Imports the library that it needs, or refuses (ConfigError).
    """

    make: Callable[[Space, int, int | None], Sampler]
    learns: bool
    ends: bool = False
    load: Callable[[], object] | None = None


SAMPLERS: Final[dict[str, SamplerKind]] = {
    "random": SamplerKind(RandomSampler, learns=False),
    "sobol": SamplerKind(SobolSampler, learns=False),
    "zoom": SamplerKind(ZoomSampler, learns=True, ends=True),
    "optuna": SamplerKind(OptunaSampler, learns=True, load=load_optuna),
}
"""Every sampler by the name that `search.kind` takes."""


def make_sampler(kind: str, space: Space, seed: int = 0, budget: int | None = None) -> Sampler:
    """A sampler by name."""
    return SAMPLERS[kind].make(space, seed, budget)
