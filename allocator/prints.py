"""The prints of a tape as its book's snapshots see them: what traded since the snapshot before, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feed.tape import Trades

    Int64 = NDArray[np.int64]
    Int32 = NDArray[np.int32]
    Int16 = NDArray[np.int16]
    Int8 = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """M prints of the venues of a book of T snapshots, in the tape's order; read-only.

    Attributes
    ----------
    edges : (T + 1,) int64
        Of snapshot t are the prints [edges[t], edges[t + 1]): those with ts[t - 1] < ts <= ts[t] of the book.
    venue : (M,) int16
        Index into the book's venues.
    px : (M,) int64
        1e-9 $.
    sz : (M,) int32
        Shares.
    side : (M,) int8
        The aggressor: 1 buyer, -1 seller, 0 unknown.
    ts : (M,) int64
        UTC nanoseconds.
    """

    edges: Int64
    venue: Int16
    px: Int64
    sz: Int32
    side: Int8
    ts: Int64

    def __post_init__(self) -> None:
        for name in self.__slots__:
            getattr(self, name).setflags(write=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Prints, tuple(getattr(self, name) for name in self.__slots__)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, name).nbytes for name in self.__slots__)


def prints_of(trades: Trades, ts: Int64, venues: Int16) -> Prints | None:
    """Arrange trades by the snapshots of a book.

    What trades at venues without quotes, or after the last snapshot, is no queue's and left out.

    Parameters
    ----------
    trades : Trades
    ts : (T,) int64
        Of the snapshots, UTC nanoseconds, ascending.
    venues : (V,) int16
        Publisher ids, ascending.

    Returns
    -------
    Prints or None
        None where nothing is left: of a tape that shows no trade at its venues nothing is known about trades.
    """
    past = int(trades.ts.searchsorted(ts[-1], "right")) if len(ts) else 0
    at = venues.searchsorted(trades.venue[:past])
    quoted = at < len(venues)
    quoted[quoted] = venues[at[quoted]] == trades.venue[:past][quoted]
    if not quoted.any():
        return None
    taken = np.flatnonzero(quoted)
    times = trades.ts[taken]
    return Prints(
        edges=np.concatenate([np.zeros(1, np.int64), times.searchsorted(ts, "right")]),
        venue=at[taken].astype(np.int16),
        px=trades.px[taken],
        sz=trades.sz[taken],
        side=trades.side[taken],
        ts=times,
    )
