"""What is kept of a complete run, as arrays: the orders, and what a combination and every baseline pays for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.order import FIELDS, Order
from sweep.config import WHERE_ONLY
from sweep.errors import ConfigError
from sweep.runs import (
    MALFORMED,
    ORDERS,
    config_of,
    describe_malformed,
    read_columns,
    read_complete,
    read_document,
    read_table,
)
from sweep.sink import KEYS
from sweep.statistics import Orders

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sweep.config import Config
    from sweep.runs import Manifest

    Float64 = NDArray[np.float64]
    Int64 = NDArray[np.int64]

TOTAL = len(KEYS) + FIELDS.index("total_cash")
"""The column of a stored row that holds the cash."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A combination of a stored run.

    Attributes
    ----------
    home : Path
    manifest : Manifest
    config : Config
    document : dict
    combination : int
    parameters : dict
        Each axis's value, as it is printed.
    market : dict
        The world that it is of, where the run has several.
    keys, rules : dict
        What the run asks, and the rules that this makes.
    labels, digests : tuple of str
        Of each tape.
    orders : Orders
        In the run's own order.
    tapes : (G,) int64
        The tape of each group.
    paid : (G,) int64
        What the combination pays in each group of orders less what it receives, 1e-9 $.
    baselines : dict of str to (G,) int64
        The same of each baseline.
    arrivals : (N,) tuple of int
        Twice each order's arrival mid, 1e-9 $; 0 = there is none.
    notional : (G,) float64
        Of the orders at these, 1e-9 $; at the cash of best_ask where one has none.
    timing : (G,) int64, optional
        The part of the loss that is timing, half 1e-9 $; None where it is not stored.
    """

    home: Path
    manifest: Manifest
    config: Config
    document: dict[str, Any]
    combination: int
    parameters: dict[str, Any]
    market: dict[str, Any]
    keys: dict[str, Any]
    rules: dict[str, Any]
    labels: tuple[str, ...]
    digests: tuple[str, ...]
    orders: Orders
    tapes: Int64
    paid: Int64
    baselines: dict[str, Int64]
    arrivals: tuple[int, ...]
    notional: Float64
    timing: Int64 | None


def read_stored(home: Path, combination: int | None = None) -> Stored:
    """Read a combination of a complete run, by default the best of its first world.

    Raises
    ------
    ConfigError
        The run is not complete or damaged, or the combination has no result.
    """
    manifest = read_complete(home)
    if ORDERS not in manifest.files:
        raise ConfigError(f"{home}: has no {ORDERS}, as earlier versions wrote none; start the run anew with --force")
    document = read_document(home, manifest)
    columns = read_columns(home, manifest, ORDERS)
    try:
        return _stored(home, manifest, document, columns, combination)
    except MALFORMED as error:
        raise ConfigError(
            f"{home}: is damaged ({describe_malformed(error)}); start the run anew with --force"
        ) from None


def _stored(
    home: Path, manifest: Manifest, document: dict[str, Any], columns: dict[str, Any], combination: int | None
) -> Stored:
    config = config_of(manifest)
    question = config.question
    grid, worlds = question.grid, document.get("worlds") or []
    columns = {name: np.asarray(column) for name, column in columns.items()}
    in_world = columns.get("world", np.zeros(len(columns["strategy"]), np.int64))
    if combination is None:
        first = (columns["strategy"] == "optimized") & (in_world == 0)
        combination = int(columns["combination"][first][0])
    if not 0 <= combination < len(grid):
        raise ConfigError(f"{home}: {combination:,} is no combination; they are numbered from 0 to {len(grid) - 1:,}")
    market: dict[str, Any] = {}
    world = 0
    if worlds:
        variant = grid.variant_of(combination)
        market = next(each.point for each in question.variants.worlds if variant in each.variants)
        world = next((at for at, each in enumerate(worlds) if each["market"] == json.loads(json.dumps(market))), -1)
    rows = read_table(home, manifest, combination)
    strategies = {
        name: (columns["strategy"] == name) & (in_world == world)
        for name in dict.fromkeys(columns["strategy"].tolist())
    }
    if "best_ask" not in strategies or not strategies["best_ask"].any():
        raise ConfigError(f"{home}: combination {combination:,} is of a world without an answer")
    of_orders = {name: column[strategies["best_ask"]] for name, column in columns.items()}
    groups = np.column_stack([of_orders["tape"], of_orders["group"]]).astype(np.int64)
    first_of = [0, *(np.flatnonzero(np.diff(groups, axis=0).any(axis=1)) + 1).tolist()]
    if not np.array_equal(rows[:, :2], groups[first_of]):
        raise ConfigError(f"{home}: combination {combination:,} failed for some of the orders, so it has no result")
    names = ("side", "size", "start", "end")
    orders = tuple(Order(*each) for each in zip(*(of_orders[name].tolist() for name in names), strict=True))
    signs = np.array([orders[at].sign for at in first_of], np.int64)

    def by_group(column: NDArray[Any]) -> Int64:
        return np.add.reduceat(column.astype(np.int64), first_of)

    arrivals = of_orders["arrival_mid2"].astype(np.int64).tolist()
    notional = [
        order.size * mid2 / 2 if mid2 else float(paid)
        for order, mid2, paid in zip(orders, arrivals, of_orders["total_cash"].tolist(), strict=True)
    ]
    timing = None
    for strategy in ("optimized", f"combination {combination}"):
        own = strategies.get(strategy, np.zeros(0, np.bool_))
        if own.any() and columns["combination"][own][0] == combination:
            each = columns["shortfall_timing"][own]
            timing = None if None in each.tolist() else by_group(each)
    return Stored(
        home=home,
        manifest=manifest,
        config=config,
        document=document,
        combination=combination,
        parameters=grid.printed(combination),
        market=market,
        keys={name: value for name, value in manifest.config.items() if name not in WHERE_ONLY},
        rules=document["rules"],
        labels=tuple(f"{tape['symbol']} {tape['window']['start'][:10]}" for tape in _tapes(document)),
        digests=tuple(tape["digest"] for tape in _tapes(document)),
        orders=Orders(
            orders, tuple(dict.fromkeys((each.side, each.size) for each in orders)), (*first_of, len(orders))
        ),
        tapes=groups[first_of, 0],
        paid=rows[:, TOTAL] * signs,
        baselines={
            name: by_group(columns["total_cash"][own]) * signs
            for name, own in strategies.items()
            if own.any() and name != "optimized" and not name.startswith("combination ")
        },
        arrivals=tuple(arrivals),
        notional=np.add.reduceat(np.array(notional), first_of),
        timing=timing,
    )


def _tapes(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document["feed"].get("tapes") or [document["feed"]]
