"""A row for each order and strategy: what it filled and paid, and when, in exact integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.order import FIELDS, execution_of
from allocator.shortfall import shortfall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.statistics.orders import Orders
    from sweep.statistics.totals import Outcome

PARTS: Final = ("timing", "spread", "fees", "leftover")


def details(
    orders: Orders, outcomes: Mapping[str, Outcome], arrivals: Sequence[int]
) -> dict[str, NDArray[Any] | list[Any]]:
    """The columns of a table of N orders by S strategies, strategy after strategy.

    Parameters
    ----------
    orders : Orders
    outcomes : mapping of str to Outcome
        By strategy.
    arrivals : (N,) sequence of int
        Twice each arrival mid, 1e-9 $; 0 = none.

    Returns
    -------
    dict of str to (N * S,) columns
        ``strategy``; ``tape``, ``order``, ``group`` (as the column `order` of the result table) and the order itself;
        the columns of `allocator.order.FIELDS`; ``arrival_mid2``, twice the arrival mid in 1e-9 $; the parts of the
        shortfall in half 1e-9 $, 0 without an arrival mid; ``first_fill`` and ``last_fill``, UTC nanoseconds, None if
        nothing filled.
    """
    count, repeat = len(orders), len(outcomes)
    group = np.repeat(np.arange(orders.groups), np.diff(orders.edges))
    columns: dict[str, NDArray[Any] | list[Any]] = {
        "strategy": [name for name in outcomes for _ in range(count)],
        "tape": np.zeros(count * repeat, np.int64),
        "order": np.tile(np.arange(count), repeat),
        "group": np.tile(group, repeat),
        "side": [order.side for order in orders.orders] * repeat,
        **{
            name: np.tile(np.array([getattr(order, name) for order in orders.orders], np.int64), repeat)
            for name in ("size", "start", "end")
        },
    }
    rows = np.concatenate([outcome.rows for outcome in outcomes.values()])
    columns |= dict(zip(FIELDS, rows.T, strict=True))
    columns["arrival_mid2"] = np.tile(np.array(arrivals, np.int64), repeat)
    split = np.zeros((count * repeat, len(PARTS)), np.int64)
    traces = [trace for outcome in outcomes.values() for trace in outcome.traces]
    for at, (row, trace) in enumerate(zip(rows.tolist(), traces, strict=True)):
        order, arrival2 = orders.orders[at % count], arrivals[at % count]
        if arrival2:
            parts = shortfall(order, execution_of(row), trace, arrival2)
            split[at] = [getattr(parts, name) for name in PARTS]
    columns |= {f"shortfall_{name}": column for name, column in zip(PARTS, split.T, strict=True)}
    columns["first_fill"] = [trace.first for trace in traces]
    columns["last_fill"] = [trace.last for trace in traces]
    return columns
