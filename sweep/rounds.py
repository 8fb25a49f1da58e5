"""A search in rounds: asks samplers what to look at, and tells them what it cost; what was looked at is a grid at last.

A sweep of a grid that is known is one round. In each round of a search only such classes of combinations run as did
not run in one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from time import monotonic
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.asking import in_classes, job_of
from sweep.config import ROUNDS_LIMIT, sampler_of
from sweep.reduce import Reduction
from sweep.runs import Asked
from sweep.search import (
    Grid,
    each_alone,
    fulfilling,
    kept_of,
    router_axes,
    space_of,
    spanned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from sweep import tasks
    from sweep.config import Question
    from sweep.runs import Store
    from sweep.search import Classes, Sampler
    from sweep.statistics import Orders
    from sweep.tasks import Failure

    Int64 = NDArray[np.int64]

FIRST: Final = 64
"""Points of the first round of a search by the clock whose costs decide nothing."""

GROWTH: Final = 4
"""How many times as large as the one before a later one is at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """All that was looked at.

    Attributes
    ----------
    question : Question
        About these combinations.
    classes : Classes
        Of them.
    rows : (N, 11) int64
        The columns of `sweep.sink.COLUMNS`, a class for each combination; a class that failed has none.
    failures : tuple of Failure
        Ascending; one or more per class.
    """

    question: Question
    classes: Classes
    rows: Int64
    failures: tuple[Failure, ...]


class Rounds:
    """What runs, round by round.

    Parameters
    ----------
    question : Question
    orders : Orders
    store : Store
        Keeps what each round of a search was asked for.
    group : callable, optional
        Puts the combinations of a job into classes that decide alike; None = each is one of its own.
    """

    def __init__(
        self, question: Question, orders: Orders, store: Store, group: Callable[[tasks.Job], Classes] | None
    ) -> None:
        self._question, self._orders, self._store, self._group = question, orders, store, group
        self._searching = _Searching(question) if question.searching else None
        self._number = 0
        self._kept = np.empty(0, np.int64)
        self._ran: list[Int64] = []
        self._costs: list[int | None] = []
        self._rows: list[Int64] = []
        self._failures: list[Failure] = []
        self._spent, self._began = 0.0, 0.0

    @property
    def number(self) -> int | None:
        """Of the round of a search, from 0 on; None where there is nothing to search."""
        return None if self._searching is None else self._number - 1

    def job(self) -> tasks.Job | None:
        """What runs next; None where the search has ended.

        Raises
        ------
        ConfigError
            The stored rounds are not those of this search.
        """
        if self._searching is None:
            if self._number:
                return None
            self._number += 1
            self._classes = self._classes_of(self._question.grid)
            return in_classes(self._job(self._question.grid), self._classes)
        while True:
            places = self._ask(self._searching)
            if not len(places):
                return None
            self._kept = np.sort(np.concatenate([self._kept, places]))
            self._classes = self._classes_of(kept_of(self._question.grid, self._kept))
            fresh = np.setdiff1d(np.arange(len(self._classes)), self._classes_that_ran)
            self._ran.append(self._kept[self._classes.numbers(fresh)])
            self._number += 1
            if len(fresh):
                grid = kept_of(self._question.grid, self._ran[-1])
                return in_classes(self._job(grid), each_alone(grid))
            self._tell(self._searching)

    def _ask(self, searching: _Searching) -> Int64:
        """The places of the next round: as stored, where it is."""
        now = monotonic()
        stored = self._store.asked(self._number)
        if stored is not None:
            self._spent = stored.seconds
        elif self._number:
            self._spent += now - self._began
        self._began = now
        count = searching.count(self._spent) if stored is None else stored.count
        places = searching.ask(count)
        if len(places):
            self._store.keep_asked(self._number, Asked(count, places.tolist(), self._spent))
        return places

    def _job(self, grid: Grid) -> tasks.Job:
        return job_of(replace(self._question, grid=grid), self._orders)

    def _classes_of(self, grid: Grid) -> Classes:
        return each_alone(grid) if self._group is None else self._group(self._job(grid))

    @property
    def classes(self) -> Classes:
        """Of all that was looked at so far, what is about to run included."""
        return self._classes

    @property
    def _classes_that_ran(self) -> Int64:
        """(R,) int64, in the order in which they ran."""
        return self._class_of(np.concatenate([np.empty(0, np.int64), *self._ran]))

    def _class_of(self, places: Int64) -> Int64:
        """(N,) int64, the class of each of some places that were looked at."""
        return self._classes.of_numbers(np.searchsorted(self._kept, places))

    def ended(self, rows: Int64, failures: tuple[Failure, ...], filled: Sequence[int]) -> None:
        """Take the rows of the round that ran.

        Parameters
        ----------
        rows, failures
            As `sweep.runs.Store.ended`.
        filled : sequence of int
            Shares that best_ask fills in each world.
        """
        if self._searching is None:
            self._rows.append(rows)
            self._failures += failures
            return
        ran = self._ran[-1]
        grid = kept_of(self._question.grid, ran)
        variants = np.searchsorted(grid.variant_edges, np.arange(len(grid)), "right") - 1
        worlds = [self._question.variants.each[variant].world for variant in variants.tolist()]
        costs = Reduction.of(rows, each_alone(grid), self._orders.signs).costs([filled[world] for world in worlds])
        # from now on a place stands for the number of a combination, as the numbers change from round to round;
        # of a copy, as the store is still writing them
        rows = rows.copy()
        rows[:, 2] = ran[rows[:, 2]]
        self._rows.append(rows)
        self._failures += (replace(each, combination=int(ran[each.combination])) for each in failures)
        self._costs += costs
        self._tell(self._searching)

    def _tell(self, searching: _Searching) -> None:
        """Tell the samplers what the places of a round cost, those that decide as one did before included."""
        ran, asked = self._classes_that_ran, searching.asked
        at = np.zeros(len(self._classes), np.int64)
        at[ran] = np.arange(len(ran))
        costs = (self._costs[number] for number in at[self._class_of(asked)].tolist())
        searching.tell(dict(zip(asked.tolist(), costs, strict=True)))

    def looked(self) -> Looked:
        """All that was looked at; every round has ended."""
        if self._searching is None:
            return Looked(self._question, self._classes, self._rows[0], tuple(self._failures))
        config = self._question.config.having(self._kept)
        rows = np.concatenate(self._rows)
        rows[:, 2] = self._class_of(rows[:, 2])
        rows = rows[np.lexsort(rows[:, [2, 1, 0]].T)]
        failures = sorted(self._failures, key=lambda failure: failure.combination)
        return Looked(
            config.question,
            self._classes,
            rows,
            tuple(replace(each, combination=int(np.searchsorted(self._kept, each.combination))) for each in failures),
        )


class _Searching:
    """The samplers of a question: one for each world, as what is best is found in each, where costs decide.

    What one of them asks for runs in every world, so that these compare the same routers.
    """

    def __init__(self, question: Question) -> None:
        config, self._lattice = question.config, question.grid
        self._search = config.search
        self._where = (config.where,) if isinstance(config.where, str) else config.where
        self._names = router_axes(self._lattice)
        space = space_of(self._lattice)
        self._worlds = prod(self._lattice.shape) // space.places
        self._left = ROUNDS_LIMIT if self._search.combinations is None else self._search.combinations
        kind = sampler_of(config)
        if kind is None:
            raise AssertionError("a search in rounds without a sampler")
        self._learns = kind.learns
        budget = None if self._search.combinations is None else self._left // self._worlds
        self._samplers: list[Sampler] = [
            kind.make(space, self._search.seed, budget) for _ in range(self._worlds if kind.learns else 1)
        ]
        self._before = 0

    def count(self, spent: float) -> int:
        """How many points the next round may have, after so many seconds."""
        most = self._left // self._worlds
        if self._search.seconds is None or (spent < self._search.seconds and self._learns):
            return most
        if spent >= self._search.seconds:
            return 0
        if not self._before:
            return min(most, FIRST)
        per_second = self._before / max(spent, 1e-3)
        rest = max(1, int(per_second * (self._search.seconds - spent)))
        return min(most, rest, GROWTH * self._before)

    def ask(self, count: int) -> Int64:
        """(K,) int64, places on the lattice of up to `count` points, ascending; none where the search has ended."""
        while True:
            points, missing = np.empty(0, np.int64), count
            for sampler in self._samplers:
                asked = sampler.ask(missing)
                points = np.union1d(points, asked)
                missing = count - len(points)
            if not len(points):
                return points
            self._points = points
            self._places = spanned(self._lattice, self._names, points)
            self._fulfil = fulfilling(self._lattice, self._where, self._places)
            places: Int64 = np.sort(self.asked)
            if len(places):
                self._left -= len(places)
                self._before += len(points)
                return places
            self.tell({})

    @property
    def asked(self) -> Int64:
        """(K,) int64, the places that were asked for last."""
        return self._places[self._fulfil]

    def tell(self, cost_of: Mapping[int, int | None]) -> None:
        """Tell what the places cost that were asked for last; one without a cost cannot be the best."""
        for world, sampler in enumerate(self._samplers):
            sampler.tell(self._points, [cost_of.get(place) for place in self._places[:, world].tolist()])
