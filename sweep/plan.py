"""The plan: which orders, how the grid is cut into chunks, how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.order import Order
from feed.instants import format_instant, parse_instant
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.config import Config
    from sweep.grid import Grid
    from sweep.tasks import Facts

CHUNK_SECONDS = 0.1
"""A chunk should take about this long: far above what a task costs, short enough to lose and to balance."""

CHUNKS_PER_WORKER = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """The combinations [first, past) of one order on one tape."""

    tape: int
    order: int
    first: int
    past: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run.

    Attributes
    ----------
    grid : Grid
    orders : tuple of Order
    tapes : int
    chunk_size : int
        Combinations per chunk at most; no result depends on it.
    nbytes : int
        Of tapes and books in the object store of each node.
    """

    grid: Grid
    orders: tuple[Order, ...]
    tapes: int
    chunk_size: int
    nbytes: int

    @property
    def combinations(self) -> int:
        """Result rows: tapes x orders x combinations of the grid."""
        return self.tapes * len(self.orders) * len(self.grid)

    def chunks(self) -> Iterator[Chunk]:
        """Every chunk once, made when asked for."""
        for tape in range(self.tapes):
            for order in range(len(self.orders)):
                for first in range(0, len(self.grid), self.chunk_size):
                    yield Chunk(tape, order, first, min(first + self.chunk_size, len(self.grid)))


def make_plan(
    grid: Grid, orders: tuple[Order, ...], facts: tuple[Facts, ...], workers: int, seconds_per_combination: float
) -> Plan:
    """Cut the work.

    Parameters
    ----------
    grid, orders, facts
        What is to run, on which tapes.
    workers : int
        Of the executor.
    seconds_per_combination : float
        As measured; only the size of chunks depends on it.
    """
    by_time = int(CHUNK_SECONDS / max(seconds_per_combination, 1e-9))
    by_workers = -(-len(grid) // (CHUNKS_PER_WORKER * workers))
    return Plan(
        grid=grid,
        orders=orders,
        tapes=len(facts),
        chunk_size=max(1, min(by_time, by_workers)),
        nbytes=sum(each.nbytes for each in facts),
    )


def make_order(config: Config, facts: Facts) -> Order:
    """The parent order of a configuration.

    Raises
    ------
    ConfigError
        It lies outside the window.
    """
    spec = config.order
    start = facts.start if spec.start is None else parse_instant(spec.start)
    end = facts.end if spec.end is None else parse_instant(spec.end)
    if not facts.start <= start <= end <= facts.end:
        raise ConfigError(
            f"order: {format_instant(start)} to {format_instant(end)} is not inside the window, "
            f"{format_instant(facts.start)} to {format_instant(facts.end)}; no order acts on warm-up"
        )
    return Order(spec.side, spec.size, start, end)
