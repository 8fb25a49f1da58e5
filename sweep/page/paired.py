"""What each order saves against the strongest honest baseline: the paired differences that the statistics rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.statistics import in_bps, saved_by_order

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sweep.page.reading import Run

BPS: Final = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """N orders of the first world.

    Attributes
    ----------
    orders : (N,) DataFrame
        Rows of ``optimized`` in `Run.orders`: ``tape``, ``order``, ``side``, ``size``, ``start``, ``end``, ``block``.
    saved : (N,) int64
        What the best combination pays less than the baseline, or receives more, 1e-9 $.
    notional : (N,) float64
        Size x arrival mid, 1e-9 $; the cash of best_ask where there is no arrival mid.
    """

    orders: pd.DataFrame
    saved: NDArray[np.int64]
    notional: NDArray[np.float64]

    @property
    def bps(self) -> NDArray[np.float64]:
        """(N,) saved, bps of the notional; NaN where that is 0."""
        return in_bps(self.saved, self.notional)

    def by_block(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """(n,) each: blocks that have orders, ascending; what is saved in each and its notional, 1e-9 $."""
        blocks, position = np.unique(self.orders["block"].to_numpy(np.int64), return_inverse=True)
        sums = (np.bincount(position, each).astype(np.float64) for each in (self.saved, self.notional))
        return blocks.astype(np.int64), next(sums), next(sums)


def paired(run: Run, against: str | None = None) -> Paired:
    """The paired differences of the first world, by the rules of the statistics.

    Parameters
    ----------
    run : Run
    against : str, optional
        A baseline; the strongest honest one by default.
    """
    best = run.orders[run.orders["strategy"] == "optimized"].reset_index(drop=True)
    saved, notional = saved_by_order(run.orders.to_dict("series"), against or run.against)
    return Paired(best, saved, notional)
