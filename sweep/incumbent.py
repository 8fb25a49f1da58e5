"""The best combination so far while a sweep runs, and what it saves: for whoever watches; no result depends on it.

Sums are floats: they tell what leads, and the answer is reduced from the integers once every row has arrived.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from sweep.events import NullListener
from sweep.reduce import FILLED, OVERFILLED, TOTAL
from sweep.report import best_parameters
from sweep.statistics import FEWEST_BLOCKS, blocks_of, interval, notional_by_group, paid_by_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweep.chunks import Span
    from sweep.events import Finished
    from sweep.planning import Plan
    from sweep.runs import Store
    from sweep.search import Classes
    from sweep.statistics import Interval, Orders, Outcome

    Int64 = NDArray[np.int64]

BPS: Final = 1e4

MOST_ROWS: Final = 2**26
"""Rows of a run beyond which nobody looks: the states of a tape are copied, a byte for each."""

EVERY_SECONDS: Final = 2.0
"""Between two looks at least."""

SHARE: Final = 0.005
"""Of the run that looking takes at most."""


class Arrived(Protocol):
    """The rows that have arrived, as `sweep.sink.MemorySink` keeps them."""

    def on_tape(self, tape: int) -> tuple[Int64, NDArray[np.bool_]]:
        """The rows of a tape, (G, R, 8) int64, and (G, R) bool, which of them have arrived."""

    def missing(self, tape: int) -> list[Span]:
        """The spans of classes that are awaited."""


@dataclass(frozen=True, slots=True)
class Incumbent:
    """What leads.

    Attributes
    ----------
    combination : int
        The first of its class.
    saving : Interval
        Against best_ask, bps of the arrival notional, over the blocks of the groups below.
    groups : int
        Groups of orders that it is the best for.
    classes : int
        Classes that were compared.
    """

    combination: int
    saving: Interval
    groups: int
    classes: int

    @property
    def reason(self) -> str | None:
        """Why there is no interval; None where there is one."""
        if self.saving.low is not None:
            return None
        count = f"{self.saving.blocks} block{'' if self.saving.blocks == 1 else 's'} of time so far"
        return f"{count}, and an interval takes {FEWEST_BLOCKS}"


class Incumbents:
    """Finds what leads among the classes of the first world.

    It is the best over all groups of orders that every class has arrived for. While there is no such group, it is the
    best of those classes that have arrived for every group of the first tape.

    Parameters
    ----------
    classes : Classes
    orders : Orders
        On all tapes.
    ranges : sequence of (first, past)
        The classes that compete: those of one world.
    """

    def __init__(self, classes: Classes, orders: Orders, ranges: Sequence[tuple[int, int]]) -> None:
        self._classes, self._orders = classes, orders
        self._competing = np.zeros(len(classes), np.bool_)
        for first, past in ranges:
            self._competing[first:past] = True
        self._before = np.cumsum([0, *orders.groups_of]).tolist()
        self._signs = np.array(orders.signs, np.int64)
        self._block_of = blocks_of(orders).of_group
        self._filled = np.zeros(orders.groups, np.int64)
        self._paid = np.zeros(orders.groups, np.int64)
        self._notional = np.zeros(orders.groups)
        self._tapes: list[int] = []
        self._added = np.zeros(orders.groups, np.bool_)
        self._saved = np.zeros(len(classes))
        self._more = np.zeros(len(classes), np.int64)
        self._whole = self._competing.copy()

    def add(self, tape: int, best_ask: Outcome, arrivals: Sequence[int]) -> None:
        """Take what best_ask does with the orders of a tape, and twice their arrival mids."""
        own = self._orders.on_tape(tape)
        groups = slice(self._before[tape], self._before[tape + 1])
        filled = best_ask.rows[:, FILLED] - best_ask.rows[:, OVERFILLED]
        self._filled[groups] = np.add.reduceat(filled, own.edges[:-1])
        self._paid[groups] = paid_by_group(own, {"best_ask": best_ask})["best_ask"]
        self._notional[groups] = notional_by_group(own, best_ask, arrivals)
        self._tapes.append(tape)

    def look(self, arrived: Arrived) -> Incumbent | None:
        """What leads now; None where nothing can be compared yet."""
        for tape in self._tapes:
            self._add_groups(tape, arrived)
        groups = np.flatnonzero(self._added)
        if len(groups):
            return self._best(self._whole, self._saved, self._more, groups, arrived)
        for tape in self._tapes[:1]:
            groups = np.arange(self._before[tape], self._before[tape + 1])
            rows, has = arrived.on_tape(tape)
            done = self._competing & has.all(axis=0)
            saved, more = np.zeros(len(done)), np.zeros(len(done), np.int64)
            for at, group in enumerate(groups.tolist()):
                saved[done] += self._savings(rows[at], group)[done]
                more[done] += self._more_filled(rows[at], group)[done]
            return self._best(done, saved, more, groups, arrived)
        return None

    def _add_groups(self, tape: int, arrived: Arrived) -> None:
        """Add up the groups of a tape that have become complete since the last look."""
        first, past = self._before[tape], self._before[tape + 1]
        if self._added[first:past].all():
            return
        awaited = {span.order for span in arrived.missing(tape)}
        fresh = [at for at in range(past - first) if at not in awaited and not self._added[first + at]]
        if not fresh:
            return
        rows, has = arrived.on_tape(tape)
        for at in fresh:
            self._whole &= has[at]
            self._saved += self._savings(rows[at], first + at)
            self._more += self._more_filled(rows[at], first + at)
            self._added[first + at] = True

    def _savings(self, rows: Int64, group: int) -> NDArray[np.float64]:
        """What each class pays less than best_ask in a group, 1e-9 $; anything where it has no row."""
        saved: NDArray[np.float64] = (self._paid[group] - rows[:, TOTAL] * self._signs[group]).astype(np.float64)
        return saved

    def _more_filled(self, rows: Int64, group: int) -> Int64:
        """How many shares more than best_ask each class fills in a group."""
        more: Int64 = rows[:, FILLED] - rows[:, OVERFILLED] - self._filled[group]
        return more

    def _best(
        self, among: NDArray[np.bool_], saved: NDArray[np.float64], more: Int64, groups: Int64, arrived: Arrived
    ) -> Incumbent | None:
        """The class that saves most of those that fill enough, or of all if none does."""
        enough = among & (more >= 0)
        candidates = np.flatnonzero(enough if enough.any() else among)
        notional = self._by_block(groups, self._notional[groups])
        if not len(candidates) or not notional.sum() > 0:
            return None
        best = int(candidates[np.argmax(saved[candidates])])
        differences = BPS * self._by_block(groups, self._saved_by(best, groups, arrived))
        number = int(self._classes.numbers(np.array([best]))[0])
        return Incumbent(number, interval(differences, notional), len(groups), int(np.count_nonzero(among)))

    def _saved_by(self, best: int, groups: Int64, arrived: Arrived) -> NDArray[np.float64]:
        """What one class saves in some groups, ascending."""
        saved = []
        for tape in sorted(self._tapes):
            first, past = self._before[tape], self._before[tape + 1]
            own = groups[(groups >= first) & (groups < past)]
            if len(own):
                rows, _ = arrived.on_tape(tape)
                saved.append(self._paid[own] - rows[own - first, best, TOTAL] * self._signs[own])
        return np.concatenate(saved).astype(np.float64)

    def _by_block(self, groups: Int64, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) sums over each block that has any of some groups."""
        blocks, position = np.unique(self._block_of[groups], return_inverse=True)
        sums = np.zeros(len(blocks))
        np.add.at(sums, position, values)
        return sums


class Lookout(NullListener):
    """Writes into a run's log what leads, now and then; nothing where the run is not stored.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._incumbents: Incumbents | None = None
        self._stands: Incumbent | None = None
        self._next = 0.0

    def begin(self, plan: Plan, ranges: Sequence[tuple[int, int]]) -> None:
        """Get ready for a plan, which the store has begun, and the ranges of its classes that compete."""
        self._plan = plan
        looking = self._store.keeps and plan.kept <= MOST_ROWS
        self._incumbents = Incumbents(plan.classes, plan.orders, ranges) if looking else None
        self._next = time.perf_counter() + EVERY_SECONDS

    def compare(self, tape: int, best_ask: Outcome, arrivals: Sequence[int]) -> None:
        """Compare combinations on a tape, too: as `Incumbents.add`."""
        if self._incumbents is not None:
            self._incumbents.add(tape, best_ask, arrivals)

    def finished(self, event: Finished) -> None:  # noqa: ARG002
        """Look, if it is time."""
        self.look()

    def look(self, *, ended: bool = False) -> None:
        """Write what leads, if it is time, or because the plan has ended."""
        began = time.perf_counter()
        if self._incumbents is None or not (ended or began >= self._next):
            return
        leading = self._incumbents.look(self._store)
        self._next = began + max(EVERY_SECONDS, (time.perf_counter() - began) / SHARE)
        if leading is None:
            return
        # the best of a round of a search stands until a later one has a better one for all orders
        if self._stands is not None and not (ended and leading.saving.mean > self._stands.saving.mean):
            return
        if ended:
            self._stands = leading
        self._store.note(
            "incumbent",
            combination=leading.combination,
            parameters=best_parameters(self._plan.grid, leading.combination),
            mean_saving_bps=leading.saving.mean,
            low=leading.saving.low,
            high=leading.saving.high,
            level=leading.saving.level,
            blocks=leading.saving.blocks,
            reason=leading.reason,
            groups=leading.groups,
            of=self._plan.orders.groups,
        )
