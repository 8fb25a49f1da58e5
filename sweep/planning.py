"""The plan of a run: its orders, kernel, chunks and memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from allocator.runners import SHARED
from sweep.chunks import Cutter, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweep.chunks import Chunk, Measured
    from sweep.search import Classes, Grid
    from sweep.statistics import Orders
    from sweep.tapes import Facts


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run.

    Attributes
    ----------
    classes : Classes
        Of the grid's combinations; a chunk names classes.
    orders : Orders
        On all tapes.
    workers : int
        Of the executor.
    kernels : tuple of str
        The kernel that simulates each variant of the grid; no result depends on it.
    measured : tuple of (combinations, seconds)
        What the first one took in the calibration; only the size of the first chunks depends on it.
    nbytes : int
        Of tapes and books in the object store of each node.
    """

    classes: Classes
    orders: Orders
    workers: int
    kernels: tuple[str, ...]
    measured: Measured
    nbytes: int

    @property
    def combinations(self) -> int:
        """Result rows: groups of orders x combinations of the grid."""
        return self.orders.groups * len(self.grid)

    @property
    def simulations(self) -> int:
        """Rows to simulate: orders x classes."""
        return len(self.orders) * len(self.classes)

    @property
    def kept(self) -> int:
        """Rows that the driver keeps: groups of orders x classes."""
        return self.orders.groups * len(self.classes)

    @property
    def grid(self) -> Grid:
        """The grid of the combinations."""
        return self.classes.grid

    def count(self, chunk: Chunk) -> int:
        """Result rows of a chunk."""
        return chunk.orders * self.classes.count(chunk.first, chunk.past)

    @property
    def kernel(self) -> str:
        """The kernel of the first variant."""
        return self.kernels[0]

    @property
    def together(self) -> bool:
        """Whether a chunk holds all groups of a tape."""
        return self.kernel == SHARED

    def cutter(self, tape: int = 0, spans: Iterable[Span] | None = None) -> Cutter:
        """A cutter of some spans of a tape, or of all of it."""
        groups = self.orders.groups_of[tape]
        step = groups if self.together else 1
        if spans is None:
            spans = [Span(tape, order, 0, len(self.classes)) for order in range(0, groups, step)]
        # one order was measured, and a chunk runs all of a group
        times = 1 if self.together else len(self.orders) / self.orders.groups
        measured = [(count, seconds * times) for count, seconds in self.measured]
        sizes = 1, groups, len(self.classes), self.workers, measured
        return Cutter(*sizes, together=self.together, spans=spans)


def make_plan(
    classes: Classes,
    orders: Orders,
    facts: tuple[Facts, ...],
    workers: int,
    calibrated: Sequence[Mapping[str, Measured]],
) -> Plan:
    """Choose the kernel, and plan the run.

    Parameters
    ----------
    classes, orders, facts
        What to run, on which tapes.
    workers : int
        Of the executor.
    calibrated : sequence of mapping of str to (combinations, seconds)
        Of each variant of the grid by kernel, from `sweep.tasks.calibrate`; the least per order and combination wins,
        the first of equals.
    """

    def least(measured: Mapping[str, Measured], name: str) -> float:
        sharing = len(orders) if name == SHARED else 1
        return min((seconds / count / sharing for count, seconds in measured[name]), default=0.0)

    kernels = tuple(min(measured, key=partial(least, measured)) for measured in calibrated)
    return Plan(
        classes=classes,
        orders=orders,
        workers=workers,
        kernels=kernels,
        measured=calibrated[0][kernels[0]],
        nbytes=sum(tape.nbytes for tape in facts),
    )
