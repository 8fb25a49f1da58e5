"""Compares two stored runs: what a combination of each pays for the same orders on the same quotes, block by block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.instants import format_instant
from sweep.errors import ConfigError
from sweep.statistics import Orders, blocks_of, interval, parts_of
from sweep.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.order import Side
    from sweep.statistics import Interval
    from sweep.stored import Stored

    Float64 = NDArray[np.float64]
    Int64 = NDArray[np.int64]

BPS = 1e4

OF_THE_TAPE = ("symbol", "window", "venues", "depth")
"""Keys of the configuration that decide what of a source is read."""

SAME = {"symbol", "window", "order", "tapes"}
"""Keys that may be spelled otherwise, where quotes and orders are the same."""


@dataclass(frozen=True, slots=True)
class Differing:
    """What the first pays less than the second for some orders, bps of their arrival notional.

    Attributes
    ----------
    side, size : optional
        None = of all.
    orders : int
    total : Interval
    execution : Interval, optional
        The part that is not timing; None where the timing of one of the two is not stored, or their arrival mids
        differ.
    """

    side: Side | None
    size: int | None
    orders: int
    total: Interval
    execution: Interval | None


@dataclass(frozen=True, slots=True)
class BaselineApart:
    """A baseline that pays otherwise in the two runs.

    Attributes
    ----------
    difference : Interval
        What it pays less in the first, bps.
    beyond : Interval
        What the first's combination saves against it, less what the second's saves against it there.
    """

    difference: Interval
    beyond: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two stored runs, compared.

    Attributes
    ----------
    first, second : Stored
    days : int
    whole : Differing
    parts : tuple of Differing
        Each size of both sides, each side and size: those that are not the whole.
    baselines : dict of str to BaselineApart, optional
        Of those that both have; None = it pays the same in every group.
    same_arrivals : bool
        Whether all arrival mids are the same.
    differs : dict of str to (value, value)
        Keys and rules that differ, by dotted name.
    """

    first: Stored
    second: Stored
    days: int
    whole: Differing
    parts: tuple[Differing, ...]
    baselines: dict[str, BaselineApart | None]
    same_arrivals: bool
    differs: dict[str, tuple[Any, Any]]


def compare(first: Path | str, second: Path | str, combinations: Sequence[int | None] = (None, None)) -> Comparison:
    """Compare two complete runs, from their files alone.

    Parameters
    ----------
    first, second : Path or str
        Their folders; the same one twice compares two of its combinations.
    combinations : (2,) sequence of int, optional
        Of each; None = the best of its first world.

    Raises
    ------
    ConfigError
        A run is not complete or damaged, a combination has no result, or the runs are of other quotes or other orders.
    """
    one, other = (
        _in_order(read_stored(Path(home), number)) for home, number in zip((first, second), combinations, strict=True)
    )
    _check_same_tapes(one, other)
    _check_same_orders(one, other)
    return compared(one, other)


def compared(one: Stored, other: Stored) -> Comparison:
    """Compare two combinations of the same orders."""
    orders, blocks = one.orders, blocks_of(one.orders)
    notional = (one.notional + other.notional) / 2
    same_arrivals = one.arrivals == other.arrivals
    counts = np.diff(orders.edges)

    def of(groups: Int64, saved: NDArray[Any]) -> Interval:
        """What is saved in some groups, as a mean over the blocks that have any of them."""
        present, position = np.unique(blocks.of_group[groups], return_inverse=True)
        sums = np.zeros((2, len(present)))
        for row, values in zip(sums, (saved[groups], notional[groups]), strict=True):
            np.add.at(row, position, values)
        return interval(*sums)

    saved = BPS * (other.paid - one.paid)
    waited = None
    if same_arrivals and one.timing is not None and other.timing is not None:
        waited = saved - (BPS / 2) * (other.timing - one.timing)
    whole, *parts = (
        Differing(
            part.side,
            part.size,
            int(counts[part.groups].sum()),
            of(part.groups, saved),
            None if waited is None else of(part.groups, waited),
        )
        for part in parts_of(orders)
    )
    every = np.arange(orders.groups)
    baselines: dict[str, BaselineApart | None] = {}
    for name in one.baselines:
        if name not in other.baselines:
            continue
        apart = BPS * (other.baselines[name] - one.baselines[name])
        baselines[name] = BaselineApart(of(every, apart), of(every, saved - apart)) if apart.any() else None
    return Comparison(
        one, other, blocks.days, whole, tuple(parts), baselines, same_arrivals, dict(_differences(one, other))
    )


def _check_same_tapes(one: Stored, other: Stored) -> None:
    if one.digests == other.digests:
        return
    differing = [name for name in OF_THE_TAPE if one.keys.get(name) != other.keys.get(name)]
    asked = f"; they differ in {', '.join(differing)}" if differing else ""
    if len(one.digests) != len(other.digests):
        how = f"{one.home} has {len(one.digests):,} tapes and {other.home} has {len(other.digests):,}"
    else:
        at = next(n for n, pair in enumerate(zip(one.digests, other.digests, strict=True)) if pair[0] != pair[1])
        how = (
            f"{one.home} read {one.labels[at]} with digest {one.digests[at][:12]}, and {other.home} read "
            f"{other.labels[at]} with {other.digests[at][:12]}"
        )
    raise ConfigError(f"{how}: only runs of the same quotes are compared{asked}")


def _check_same_orders(one: Stored, other: Stored) -> None:
    if _placed(one) != _placed(other):
        counts = f"{one.home} has {len(one.orders):,} orders and {other.home} has {len(other.orders):,}"
        raise ConfigError(f"{counts}: only runs of the same orders are compared{_only_in(one, other)}")
    if one.orders.edges != other.orders.edges:
        raise ConfigError(
            f"{one.home} has {one.orders.groups:,} groups of orders and {other.home} has {other.orders.groups:,}: "
            "blocks were merged in the one with more combinations; sweep fewer there"
        )


def _only_in(one: Stored, other: Stored) -> str:
    """The first order that one of two runs has and the other has not, in words."""
    for run, beside in ((one, other), (other, one)):
        if only := sorted({*_placed(run)} - {*_placed(beside)}):
            _, side, size, start, end = only[0]
            span = f"{format_instant(start)} to {format_instant(end)}"
            return f"; {run.home} has {side} {size:,} from {span}, and {beside.home} has not"
    return ""


def _placed(run: Stored) -> list[tuple[int, str, int, int, int]]:
    """The tape of each order, and the order."""
    tapes = np.repeat(run.tapes, np.diff(run.orders.edges)).tolist()
    return [
        (tape, each.side, each.size, each.start, each.end) for tape, each in zip(tapes, run.orders.orders, strict=True)
    ]


def _differences(one: Stored, other: Stored) -> list[tuple[str, tuple[Any, Any]]]:
    """Keys and rules that differ; of a rule that a key of its name sets, the rule."""
    rules = [(name, pair) for name, pair in _unequal(one.rules, other.rules)]
    named = {*SAME, *one.rules, *other.rules}
    keys = [(name, pair) for name, pair in _unequal(one.keys, other.keys) if name.partition(".")[0] not in named]
    market = [(f"market.{name}", pair) for name, pair in _unequal(one.market, other.market)]
    return [*rules, *keys, *market]


def _unequal(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> list[tuple[str, tuple[Any, Any]]]:
    unequal: list[tuple[str, tuple[Any, Any]]] = []
    for name in dict.fromkeys([*one, *other]):
        own, others = one.get(name), other.get(name)
        if isinstance(own, dict) and isinstance(others, dict):
            unequal += _unequal(own, others, f"{prefix}{name}.")
        elif own != others:
            unequal.append((f"{prefix}{name}", (own, others)))
    return unequal


def _in_order(run: Stored) -> Stored:
    """A run with its groups by tape, side, size and time, as sides and sizes may be listed in any order."""
    edges, orders = run.orders.edges, run.orders.orders
    of_group = [orders[first:past] for first, past in pairwise(edges)]
    keys = [
        (tape, own[0].side, own[0].size, own[0].start) for tape, own in zip(run.tapes.tolist(), of_group, strict=True)
    ]
    places = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    moved = [of_group[at] for at in places.tolist()]
    position = [n for at in places.tolist() for n in range(edges[at], edges[at + 1])]
    tapes = run.tapes[places]
    counts = {tape: len(list(own)) for tape, own in groupby(tapes.tolist())}
    return replace(
        run,
        orders=Orders(
            tuple(order for own in moved for order in own),
            tuple(dict.fromkeys((own[0].side, own[0].size) for own in moved)),
            (0, *np.cumsum([len(own) for own in moved]).tolist()),
            tapes=tuple(counts.get(tape, 0) for tape in range(len(run.digests))),
        ),
        tapes=tapes,
        paid=run.paid[places],
        baselines={name: paid[places] for name, paid in run.baselines.items()},
        arrivals=tuple(run.arrivals[at] for at in position),
        notional=run.notional[places],
        timing=None if run.timing is None else run.timing[places],
    )
