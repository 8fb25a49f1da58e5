"""A book of price levels that updates are folded into, block after block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.levels import MOST_LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feed.tape import Int64

    Columns = dict[str, NDArray[Any]]

ROOM = 1024
"""Levels of a side that there is room for at first."""

UPDATES = {"stamp": "<i8", "ts": "<i8", "number": "<i8", "snapshot": "i1", "side": "i1", "px": "<i8", "sz": "<i8"}
"""The columns of updates."""


@dataclass(slots=True)
class PriceBook:
    """The levels of one instrument of a venue, and what of them was shown last.

    A snapshot that begins takes away all that was there. What comes before the first one is passed over: it changes a
    book that nobody knows.
    """

    keys: Int64 = field(default_factory=lambda: np.zeros((2, ROOM), np.int64))
    sizes: Int64 = field(default_factory=lambda: np.zeros((2, ROOM), np.int64))
    counts: Int64 = field(default_factory=lambda: np.zeros(2, np.int64))
    state: Int64 = field(default_factory=lambda: np.zeros(8, np.int64))
    shown: Int64 = field(default_factory=lambda: np.zeros((2, 2, MOST_LEVELS), np.int64))

    @property
    def skipped(self) -> int:
        """Updates before the first snapshot."""
        from feed.files.price_book_kernel import SKIPPED

        return int(self.state[SKIPPED])

    def fold(self, updates: Columns, *, over: bool = False) -> tuple[Int64, Int64]:
        """Apply updates in their order.

        Parameters
        ----------
        updates : dict of (N,) integers
            `UPDATES`: stamp, what the rows of one message have in common; ts, number; snapshot and side (0 bid, 1 ask);
            px, and sz, 0 where the level is taken away.
        over : bool
            The last message ends here; otherwise it may go on in what comes next.

        Returns
        -------
        out : (2, M) int64
            Instant and number of the last update of each message that changed the best levels.
        levels : (M, 2, 2, D) int64
            Price and size, of bids and asks, best first, 0 where there is no more.
        """
        from feed.files.price_book_kernel import fold

        rows = len(updates["stamp"])
        room = int(self.counts.max()) + rows
        if room > self.keys.shape[1]:
            for name in ("keys", "sizes"):
                wider = np.zeros((2, 2 * room), np.int64)
                before = getattr(self, name)
                wider[:, : before.shape[1]] = before
                setattr(self, name, wider)
        out, levels = np.empty((2, rows + 1), np.int64), np.empty((rows + 1, *self.shown.shape), np.int64)
        columns = (updates[name] for name in UPDATES)
        book = self.keys, self.sizes, self.counts, self.state, self.shown
        made = int(fold(*columns, int(over), *book, out, levels))
        return out[:, :made], levels[:made]
