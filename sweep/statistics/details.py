"""A row for each order and strategy: what it filled and paid, and when, in exact integers."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.fills import COLUMNS, MARK_OUTS, TENTHS, joined, matched
from allocator.money import divide_half_even
from allocator.order import FIELDS, execution_of
from allocator.shortfall import leftover_loss, shortfall
from sweep.statistics.blocks import blocks_of
from sweep.statistics.filling import rebates, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.statistics.orders import Orders
    from sweep.statistics.totals import Outcome

PARTS: Final = ("timing", "spread", "fees", "rebates", "leftover")

SPAN_PERCENT: Final = tuple(100 * (tenth + 1) // TENTHS for tenth in range(TENTHS))
"""Of an order's span, where its completion is counted."""


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
        result table), ``block`` (of time, as `sweep.statistics.blocks`) and the order itself; the columns of
         `allocator.order.FIELDS`; ``arrival_mid2``, twice the arrival
        mid in 1e-9 $; the parts of the shortfall in half 1e-9 $, None without an arrival mid, or where they need the
        time of a fill, which a bound
        has not; where rebates are None ``shortfall_fees`` are less rebates; ``first_fill`` and ``last_fill``, UTC
        nanoseconds, None if nothing filled; ``waited``, the mean over the shares filled of nanoseconds since the start,
        half-even, None if nothing filled; ``filled_by_10`` to ``filled_by_100``, the shares filled by so many percent
        of the order's span. What needs each fill is masked where these are unknown.
    """
    count, repeat = len(orders), len(outcomes)
    per_group = np.diff(orders.edges)
    tapes, each = _places(orders)
    group = np.repeat(np.concatenate([np.arange(size) for size in orders.groups_of]), per_group)
    columns: dict[str, NDArray[Any] | list[Any]] = {
        "strategy": [name for name in outcomes for _ in range(count)],
        "combination": [numbers.get(name) for name in outcomes for _ in range(count)],
        "tape": np.tile(tapes, repeat),
        "order": np.tile(each, repeat),
        "group": np.tile(group, repeat),
        "block": np.tile(np.repeat(blocks_of(orders).of_group, per_group), repeat),
        "side": [order.side for order in orders.orders] * repeat,
        **{
            name: np.tile(np.array([getattr(order, name) for order in orders.orders], np.int64), repeat)
            for name in ("size", "start", "end")
        },
    }
    rows = np.concatenate([outcome.rows for outcome in outcomes.values()])
    columns |= dict(zip(FIELDS, rows.T, strict=True))
    columns["arrival_mid2"] = np.tile(np.array(arrivals, np.int64), repeat)
    traces = [trace for outcome in outcomes.values() for trace in outcome.traces]
    split = {name: np.zeros(len(rows), np.int64) for name in (*PARTS, "first", "last", "waited")}
    lacking = {name: np.ones(len(rows), np.bool_) for name in split}

    def put(at: int, **values: int | None) -> None:
        for name, value in values.items():
            if value is not None:
                split[name][at], lacking[name][at] = value, False

    waited = chain.from_iterable(outcome.waited for outcome in outcomes.values())
    rebated = chain.from_iterable(rebates(outcome).tolist() for outcome in outcomes.values())
    for at, (row, trace, rebate, shares_waited) in enumerate(zip(rows.tolist(), traces, rebated, waited, strict=True)):
        order, run, arrival2 = orders.orders[at % count], execution_of(row), arrivals[at % count]
        if arrival2:
            put(at, fees=2 * (run.fees - (rebate or 0)), rebates=None if rebate is None else 2 * rebate)
            if trace is None:
                put(at, leftover=leftover_loss(order, run, arrival2))
            else:
                parts = shortfall(order, run, trace, arrival2)
                put(at, timing=parts.timing, spread=parts.spread, leftover=parts.leftover)
        if trace is not None:
            put(at, first=trace.first, last=trace.last)
        if shares_waited is not None and run.filled:
            put(at, waited=divide_half_even(shares_waited, run.filled))
    named = {"first": "first_fill", "last": "last_fill", "waited": "waited"}
    columns |= {
        named.get(name, f"shortfall_{name}"): np.ma.masked_array(column, mask=lacking[name])
        for name, column in split.items()
    }
    missing = np.concatenate([unknown(outcome) for outcome in outcomes.values()])
    done = np.concatenate([outcome.completion for outcome in outcomes.values()])
    return columns | {
        f"filled_by_{percent}": np.ma.masked_array(column, mask=missing)
        for percent, column in zip(SPAN_PERCENT, done.T, strict=True)
    }


def _places(orders: Orders) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) int64 each, the tape of every order, and its number there."""
    tapes = np.repeat(np.repeat(np.arange(len(orders.groups_of)), orders.groups_of), np.diff(orders.edges))
    return tapes, np.concatenate([np.arange(size) for size in np.bincount(tapes)])


PASSIVE: Final = {
    "passive": "shares",
    "passive_fees": "fees",
    **{f"passive_{name}_{seconds}s": f"{name}_{seconds}s" for name in ("mark_out", "marked") for seconds in MARK_OUTS},
}
"""Columns of the passive fills alone, by those of `allocator.fills.VenueFills` that they are."""


def fills_by_venue(
    orders: Orders, outcomes: Mapping[str, Outcome], numbers: Mapping[str, int], *, placing: bool = False
) -> Iterator[dict[str, NDArray[Any] | list[Any]]]:
    """A table with a row for each strategy, order and venue that filled shares of it, strategy by strategy.

    Of many orders it is the largest table of all, so no more than a strategy of it is held at once.

    Parameters
    ----------
    orders, outcomes, numbers
        As of `details`.
    placing : bool
        Whether any combination of the sweep places limit orders.

    Yields
    ------
    dict of str to (M,) columns
        ``strategy``, ``combination``, ``tape``, ``order``, ``side`` and ``size``, as in the table of `details`, and the
        columns of `allocator.fills.VenueFills` but for ``run``, with `placing` those of `PASSIVE`, too. Nothing of
        orders whose fills are unknown; a strategy without rows is left out, but for the last where none has any.
    """
    tapes, each = _places(orders)
    sides, sizes = [order.side for order in orders.orders], np.array([order.size for order in orders.orders], np.int64)
    filled = [name for name, outcome in outcomes.items() if any(len(sums.run) for sums in outcome.venues)]
    for name in filled or [*outcomes][-1:]:
        sums = joined(outcomes[name].venues)
        count = len(sums.run)
        columns: dict[str, NDArray[Any] | list[Any]] = {
            "strategy": [name] * count,
            "combination": [numbers.get(name)] * count,
            "tape": tapes[sums.run],
            "order": each[sums.run],
            "side": [sides[run] for run in sums.run.tolist()],
            "size": sizes[sums.run],
        }
        columns |= {name: getattr(sums, name) for name in COLUMNS if name != "run"}
        if placing:
            passive = joined(outcomes[name].passive)
            columns |= {column: matched(sums, passive, each) for column, each in PASSIVE.items()}
        yield columns


def stacked(tables: Sequence[dict[str, NDArray[Any] | list[Any]]]) -> dict[str, NDArray[Any] | list[Any]]:
    """The columns of several worlds, one after the other, with the number of each in ``world``; of one as they are."""
    first = tables[0]
    if len(tables) == 1:
        return first
    sizes = [len(table["strategy"]) for table in tables]
    together: dict[str, NDArray[Any] | list[Any]] = {"world": np.repeat(np.arange(len(tables)), sizes)}
    for name, column in first.items():
        parts = [table[name] for table in tables]
        masked = isinstance(column, np.ma.MaskedArray)
        join = np.ma.concatenate if masked else np.concatenate
        together[name] = [*chain(*parts)] if isinstance(column, list) else join(parts)
    return together
