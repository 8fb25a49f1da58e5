"""Where result rows go, and the table they make, sorted by (tape, order, combination)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from allocator.order import FIELDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.plan import Chunk
    from sweep.tasks import ChunkRows

KEYS = ("tape", "order", "combination")
COLUMNS = (*KEYS, *FIELDS)


class ResultSink(Protocol):
    """Takes chunks in any order, each once."""

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """Keep the rows of a chunk."""


class MemorySink:
    """Keeps rows in memory: 88 bytes a combination."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.int64]] = []

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """Keep the rows of a chunk."""
        block = np.empty((len(rows.combinations), len(COLUMNS)), np.int64)
        block[:, 0], block[:, 1], block[:, 2] = chunk.tape, chunk.order, rows.combinations
        block[:, 3:] = rows.rows
        self._blocks.append(block)

    def table(self) -> NDArray[np.int64]:
        """(R, 11) int64, the columns of `COLUMNS`, sorted by its keys."""
        blocks = self._blocks or [np.empty((0, len(COLUMNS)), np.int64)]
        table = np.concatenate(blocks)
        return table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
