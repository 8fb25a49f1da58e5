"""What one strategy pays less than another for each order, from the table of all orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BPS: Final = 1e4


def saved_by_order(
    columns: Mapping[Any, Any], against: str, strategy: str = "optimized"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What a strategy pays less than a baseline, or receives more, and what that is measured by.

    Parameters
    ----------
    columns : mapping
        Of one world, as `sweep.statistics.details`.
    against, strategy : str

    Returns
    -------
    saved : (N,) int64
        By order, 1e-9 $.
    notional : (N,) float64
        Of the orders at their arrival mids, 1e-9 $; at the cash of best_ask where one has none, as
        `sweep.statistics.notional_by_group`.
    """
    strategies = np.asarray(columns["strategy"])
    own, base, plain = (np.flatnonzero(strategies == name) for name in (strategy, against, "best_ask"))
    cash, mid2 = np.asarray(columns["total_cash"]), np.asarray(columns["arrival_mid2"])[own]
    saved = np.where(np.asarray(columns["side"])[own] == "buy", 1, -1) * (cash[base] - cash[own])
    return saved, np.where(mid2 > 0, np.asarray(columns["size"])[own] * (mid2 / 2), cash[plain].astype(np.float64))


def in_bps(saved: NDArray[np.int64], notional: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) float64, the same in basis points; NaN where there is no notional."""
    bps: NDArray[np.float64] = np.full(len(saved), np.nan)
    np.divide(BPS * saved, notional, out=bps, where=notional != 0)
    return bps
