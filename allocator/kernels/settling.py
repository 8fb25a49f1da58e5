"""Turns sums of walks in units into money, and adds them up over orders: `allocator.engine.settle`, compiled."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, record

Positions = Annotated[NDArray[np.int64], types.int64[::1]]


class Terms(NamedTuple):
    """What a share of an order is worth; 1e-9 $.

    Attributes
    ----------
    sign : int64
        1 for a buy, -1 for a sell.
    size : int64
        Shares of the order.
    unit, origin : int64
        A share costs origin + unit * its units, signed.
    lowest : int64
        The lowest fee, from which fees in units are counted.
    unfilled : int64
        What an unfilled share is worth, signed, the penalty included.
    """

    sign: int
    size: int
    unit: int
    origin: int
    lowest: int
    unfilled: int


@kernel(types.void(types.int64[:, ::1], types.int64[::1], record(Terms), types.int64[:, ::1]))
def add(sums, at, terms, out):
    """Add the rows of an order's K combinations to those of a group.

    Parameters
    ----------
    sums : (K, 3) int64
        Shares, cost and fees in units, as the walks count them.
    at : (K,) int64
        The row of each in `out`.
    terms : Terms
    out : (K, 8) int64, output
        The columns of `allocator.order.FIELDS`.
    """
    for k in range(len(sums)):
        shares, row = sums[k, 0], at[k]
        unfilled = terms.size - shares
        cash = terms.sign * (shares * terms.origin + sums[k, 1] * terms.unit)
        value = terms.sign * unfilled * terms.unfilled
        out[row, 0] += shares
        out[row, 1] += unfilled
        out[row, 3] += cash
        out[row, 4] += shares * terms.lowest + sums[k, 2] * terms.unit
        out[row, 5] += value
        out[row, 7] += cash + value
