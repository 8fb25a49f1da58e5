"""Collects result rows into a table sorted by (tape, order, combination)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from allocator.order import FIELDS
from sweep.chunks import Chunk, Span
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sweep.search import Classes
    from sweep.tasks import ChunkRows

KEYS = ("tape", "order", "combination")
COLUMNS = (*KEYS, *FIELDS)

_AWAITED, _ROW, _FAILED = 0, 1, 2

_BLOCK = 65_536
"""Rows that are read or moved at a time: there may be no room for a copy of all."""


def expand(rows: NDArray[np.int64], classes: Classes) -> NDArray[np.int64]:
    """One row for each combination, from one for each class.

    Parameters
    ----------
    rows : (N, 11) int64
        The columns of `COLUMNS`, where a class stands for the combination; a class that failed has none.
    classes : Classes
        The same of all orders.

    Returns
    -------
    (R, 11) int64
        Sorted by the keys; of combinations without a row there is none.
    """
    if len(classes) == len(classes.grid):
        return rows
    numbers = np.arange(len(classes.grid), dtype=np.int64)
    class_of = classes.of_numbers(numbers)
    edges = [0, *(np.flatnonzero(np.diff(rows[:, :2], axis=0).any(axis=1)) + 1).tolist(), len(rows)]
    parts = []
    for first, past in pairwise(edges):
        position = np.full(len(classes), -1, np.int64)
        position[rows[first:past, 2]] = np.arange(first, past)
        row_of = position[class_of]
        part: NDArray[np.int64] = rows[row_of[row_of >= 0]]
        part[:, 2] = numbers[row_of >= 0]
        parts.append(part)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class ResultSink(Protocol):
    """Takes chunks in any order, each of them once."""

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """Keep the rows of a chunk."""


class MemorySink:
    """Keeps the rows of classes in memory, each at its place: 88 bytes per class, and one for its state.

    Parameters
    ----------
    groups : sequence of int
        How many groups of orders each tape has.
    combinations : int
        How many of each; classes stand for combinations.

    Raises
    ------
    ConfigError
        There is not enough memory.
    """

    def __init__(self, groups: Sequence[int], combinations: int) -> None:
        self._groups, self._grid = tuple(groups), combinations
        self._before = np.cumsum([0, *groups])
        total = sum(groups) * combinations
        try:
            self._table = np.empty((total, len(COLUMNS)), np.int64)
            self._state = np.zeros(total, np.uint8)
        except MemoryError:
            raise ConfigError(
                f"grid: {sum(groups):,} x {combinations:,} rows need {total * 8 * len(COLUMNS) / 1e9:.1f} GB, which "
                "this machine does not give; split the grid"
            ) from None

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """Write the rows of a chunk to their place.

        Raises
        ------
        RuntimeError
            A combination of it is there already, or the chunk is incomplete: a bug.
        """
        if len(rows.of) != len(chunk):
            raise RuntimeError(f"{chunk} came with {len(rows.of)} combinations")
        for order, row_of in enumerate(np.split(rows.of, chunk.orders), chunk.order):
            places = self._place(chunk, order)
            if self._state[places].any():
                raise RuntimeError(f"{chunk} arrived twice")
            block, state = self._table[places], self._state[places]
            block[:, 0], block[:, 1] = chunk.tape, order
            block[:, 2] = np.arange(chunk.first, chunk.past)
            if rows.failures:
                has_row = row_of >= 0
                block[has_row, len(KEYS) :] = rows.rows[row_of[has_row]]
                state[:] = np.where(has_row, _ROW, _FAILED)
            else:
                block[:, len(KEYS) :] = rows.rows[row_of]
                state[:] = _ROW

    def _place(self, chunk: Chunk, order: int) -> slice:
        first = (int(self._before[chunk.tape]) + order) * self._grid + chunk.first
        return slice(first, first + chunk.past - chunk.first)

    def rows_of(self, chunk: Chunk) -> NDArray[np.int64]:
        """(R, 11) int64, the rows of a chunk that arrived, as in the table."""
        places = [self._place(chunk, order) for order in range(chunk.order, chunk.order + chunk.orders)]
        return np.concatenate([self._table[place][self._state[place] == _ROW] for place in places])

    def restore(self, chunk: Chunk, rows: NDArray[np.int64]) -> None:
        """Put back what `rows_of` returned for a chunk; its combinations without a row failed.

        Raises
        ------
        ValueError
            Rows that are not the chunk's, or a chunk that is there already or outside the grid.
        """
        tapes, orders, numbers = rows[:, 0], rows[:, 1], rows[:, 2]
        inside = (
            chunk.tape < len(self._groups)
            and chunk.order + chunk.orders <= self._groups[chunk.tape]
            and chunk.past <= self._grid
        )
        belongs = (
            (tapes == chunk.tape)
            & (orders >= chunk.order)
            & (orders < chunk.order + chunk.orders)
            & (numbers >= chunk.first)
            & (numbers < chunk.past)
        )
        if not inside or not belongs.all():
            raise ValueError(f"rows that are not those of {chunk}")
        positions = (self._before[tapes] + orders) * self._grid + numbers
        if (np.diff(positions) <= 0).any():
            raise ValueError(f"rows that are not those of {chunk}")
        for order in range(chunk.order, chunk.order + chunk.orders):
            places = self._place(chunk, order)
            if self._state[places].any():
                raise ValueError(f"{chunk} is there twice")
            self._state[places] = _FAILED
        self._state[positions], self._table[positions] = _ROW, rows

    def leave_out(self, tape: int, classes: NDArray[np.int64]) -> None:
        """Note that some classes will not run on a tape, as if they had failed there."""
        for group in range(int(self._before[tape]), int(self._before[tape + 1])):
            self._state[group * self._grid + classes] = _FAILED

    def on_tape(self, tape: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows of a tape, (G, R, 8) int64, and (G, R) bool, which of them have arrived."""
        begin, end = (int(self._before[at]) * self._grid for at in (tape, tape + 1))
        shape = self._groups[tape], self._grid
        rows = self._table[begin:end, len(KEYS) :].reshape(*shape, -1)
        return rows, (self._state[begin:end] == _ROW).reshape(shape)

    @property
    def arrived(self) -> int:
        """How many combinations have arrived, with a row or failed."""
        return int(np.count_nonzero(self._state))

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """The rows that arrived in blocks of (R, 8) int64, the columns of `allocator.order.FIELDS`."""
        for first in range(0, len(self._state), _BLOCK):
            has_row = self._state[first : first + _BLOCK] == _ROW
            yield self._table[first : first + _BLOCK][has_row, len(KEYS) :]

    def witness(self, tape: int) -> Chunk | None:
        """A combination of a tape that has a row, as a chunk."""
        begin, end = (int(self._before[at]) * self._grid for at in (tape, tape + 1))
        has_row = self._state[begin:end] == _ROW
        if not has_row.any():
            return None
        order, first = divmod(int(np.argmax(has_row)), self._grid)
        return Chunk(tape, order, first, first + 1)

    def missing(self, tape: int, *, together: bool = False) -> list[Span]:
        """The spans of combinations of a tape that have not arrived, ascending.

        Parameters
        ----------
        tape : int
        together : bool
            All orders of a tape arrive in one chunk: a span then names the first order and stands for all.
        """
        spans: list[Span] = []
        for order in range(0, self._groups[tape], self._groups[tape] if together else 1):
            group = int(self._before[tape]) + order
            awaited = self._state[group * self._grid : (group + 1) * self._grid] == _AWAITED
            edges = np.flatnonzero(np.diff(awaited, prepend=False, append=False)).tolist()
            spans += [Span(tape, order, first, past) for first, past in zip(edges[::2], edges[1::2], strict=True)]
        return spans

    def table(self) -> NDArray[np.int64]:
        """(R, 11) int64, the columns of `COLUMNS`, sorted by its keys; the sink is of no use afterwards.

        Raises
        ------
        RuntimeError
            A chunk never arrived: a bug.
        """
        if len(self._state) and not self._state.all():
            raise RuntimeError(f"{np.count_nonzero(self._state == _AWAITED):,} combinations never arrived")
        if not (self._state == _FAILED).any():
            return self._table
        positions = np.flatnonzero(self._state == _ROW)
        # in place: rows only move to the front, over rows that were read already
        for first in range(0, len(positions), _BLOCK):
            block = positions[first : first + _BLOCK]
            self._table[first : first + len(block)] = self._table[block]
        return self._table[: len(positions)]
