"""The plan of a run: its orders, kernel, chunks and memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from allocator.runners import SHARED
from sweep.chunks import Cutter, Span
from sweep.environment import memory_bytes
from sweep.errors import ConfigError
from sweep.sink import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweep.chunks import Chunk, Measured
    from sweep.search import Classes, Grid
    from sweep.statistics import Orders
    from sweep.tapes import Facts


ROW_BYTES: Final = 8 * len(COLUMNS) + 1
"""Bytes of a result row in the driver's memory."""

ORDER_BYTES: Final = 21_000
"""Bytes of an order there, with its fills by the best combination and each baseline; measured on 20,000 at one venue.

At twelve venues it was 30,000.
"""


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


def check_memory(plan: Plan, worlds: int, *, stored: bool) -> None:
    """Refuse (ConfigError) a plan whose rows and orders cannot fit into the memory of the driver's machine.

    What only takes long is for `sweep plan` to say.

    Parameters
    ----------
    plan : Plan
    worlds : int
        In each of which the orders run by every baseline.
    stored : bool
        Whether the table is written, which has a row for each combination.
    """
    orders, groups, combinations = len(plan.orders), plan.orders.groups, len(plan.grid)
    parts = [
        (plan.kept * ROW_BYTES, f"{groups:,} groups x {len(plan.classes):,} that differ, {ROW_BYTES} bytes each"),
        (
            orders * worlds * ORDER_BYTES,
            f"{orders:,} orders{f' in {worlds:,} worlds' if worlds > 1 else ''}, {ORDER_BYTES:,} bytes each",
        ),
    ]
    if stored and len(plan.classes) < combinations:
        times = 1 if groups == 1 else 2  # the rows of each group, and then all of them as one table
        row = times * 8 * len(COLUMNS)
        parts.append((groups * combinations * row, f"{groups:,} groups x {combinations:,} to store, {row} bytes each"))
    needed, given = sum(nbytes for nbytes, _ in parts), memory_bytes()
    if needed > given:
        shown = " + ".join(f"{nbytes / 1e9:.1f} GB ({what})" for nbytes, what in parts if nbytes >= needed / 100)
        raise ConfigError(
            f"grid: {orders:,} orders x {combinations:,} combinations = {orders * combinations:,} cells, whose rows "
            f"take {shown}, and here is {given / 1e9:.1f} GB of memory; ask for fewer combinations or sizes, or split "
            "the sweep"
        )
