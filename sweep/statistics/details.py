"""A row for each order and strategy: what it filled and paid, and when, in exact integers."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.order import FIELDS, execution_of
from allocator.shortfall import leftover_loss, shortfall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.statistics.orders import Orders
    from sweep.statistics.totals import Outcome

PARTS: Final = ("timing", "spread", "fees", "leftover")


def details(
    orders: Orders, outcomes: Mapping[str, Outcome], arrivals: Sequence[int], numbers: Mapping[str, int]
) -> dict[str, NDArray[Any] | list[Any]]:
    """The columns of a table of N orders by S strategies, strategy after strategy.

    Parameters
    ----------
    orders : Orders
    outcomes : mapping of str to Outcome
        By strategy.
    arrivals : (N,) sequence of int
        Twice each arrival mid, 1e-9 $; 0 = none.
    numbers : mapping of str to int
        Of the strategies that are combinations.

    Returns
    -------
    dict of str to (N * S,) columns
        ``strategy``; ``combination``, None of a baseline; ``tape``, ``order``, ``group`` (as the column `order` of the
        result table) and the order itself; the columns of `allocator.order.FIELDS`; ``arrival_mid2``, twice the arrival
        mid in 1e-9 $; the parts of the shortfall in half 1e-9 $, None without an arrival mid, or where they need the
        time of a fill, which a bound
        has not; ``first_fill`` and ``last_fill``, UTC nanoseconds, None if nothing filled.
    """
    count, repeat = len(orders), len(outcomes)
    per_group = np.diff(orders.edges)
    tapes = np.repeat(np.repeat(np.arange(len(orders.groups_of)), orders.groups_of), per_group)
    each = np.concatenate([np.arange(size) for size in np.bincount(tapes)])
    group = np.repeat(np.concatenate([np.arange(size) for size in orders.groups_of]), per_group)
    columns: dict[str, NDArray[Any] | list[Any]] = {
        "strategy": [name for name in outcomes for _ in range(count)],
        "combination": [numbers.get(name) for name in outcomes for _ in range(count)],
        "tape": np.tile(tapes, repeat),
        "order": np.tile(each, repeat),
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
    split: list[tuple[int | None, ...]] = []
    traces = [trace for outcome in outcomes.values() for trace in outcome.traces]
    for at, (row, trace) in enumerate(zip(rows.tolist(), traces, strict=True)):
        order, run, arrival2 = orders.orders[at % count], execution_of(row), arrivals[at % count]
        if not arrival2:
            split.append((None,) * len(PARTS))
        elif trace is None:
            split.append((None, None, 2 * run.fees, leftover_loss(order, run, arrival2)))
        else:
            parts = shortfall(order, run, trace, arrival2)
            split.append(tuple(getattr(parts, name) for name in PARTS))
    columns |= {f"shortfall_{name}": list(column) for name, column in zip(PARTS, zip(*split, strict=True), strict=True)}
    columns["first_fill"] = [None if trace is None else trace.first for trace in traces]
    columns["last_fill"] = [None if trace is None else trace.last for trace in traces]
    return columns


def stacked(tables: Sequence[dict[str, NDArray[Any] | list[Any]]]) -> dict[str, NDArray[Any] | list[Any]]:
    """The columns of several worlds, one after the other, with the number of each in ``world``; of one as they are."""
    first = tables[0]
    if len(tables) == 1:
        return first
    sizes = [len(table["strategy"]) for table in tables]
    together: dict[str, NDArray[Any] | list[Any]] = {"world": np.repeat(np.arange(len(tables)), sizes)}
    for name, column in first.items():
        parts = [table[name] for table in tables]
        together[name] = [*chain(*parts)] if isinstance(column, list) else np.concatenate(parts)
    return together
