"""What each order saves against the strongest honest baseline: the paired differences that the statistics rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.order import FIELDS, Order
from sweep.statistics import Orders, Outcome, notional_by_group, paid_by_group

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
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.notional != 0, BPS * self.saved / self.notional, np.nan)

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
    best = _rows(run.orders, "optimized")
    made = [
        Order(side, size, start, end)
        for side, size, start, end in zip(
            *(best[name].tolist() for name in ("side", "size", "start", "end")), strict=True
        )
    ]
    each = Orders(tuple(made), tuple(dict.fromkeys((o.side, o.size) for o in made)), tuple(range(len(made) + 1)))
    names = dict.fromkeys(("optimized", against or run.against, "best_ask"))
    outcomes = {name: _outcome(_rows(run.orders, name)) for name in names}
    paid = paid_by_group(each, outcomes)
    notional = notional_by_group(each, outcomes["best_ask"], best["arrival_mid2"].tolist())
    return Paired(best, paid[against or run.against] - paid["optimized"], notional)


def _rows(orders: pd.DataFrame, strategy: str) -> pd.DataFrame:
    return orders[orders["strategy"] == strategy].reset_index(drop=True)


def _outcome(rows: pd.DataFrame) -> Outcome:
    """Of the fields of fills alone."""
    return Outcome(rows[list(FIELDS)].to_numpy(np.int64), (), (), np.empty((len(rows), 0), np.int64), ())
