"""What a report is made of: a complete stored run, its document and its tables, read once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from sweep.config import Config
    from sweep.runs import Manifest


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A complete stored run.

    Attributes
    ----------
    home : Path
    manifest : Manifest
    config : Config
    document : dict
        What the run printed (result.json).
    combinations : DataFrame
        combinations.parquet, a row for each combination that has a result, ascending: ``combination``; a column for
        each axis, dollars or labels as in results.parquet; over all orders ``filled``, ``unfilled`` and ``overfilled``
        (shares), ``fees`` and ``saved`` (int64, 1e-9 $; what it pays less than the strongest honest baseline of its
        world); ``saving_bps`` (float64, of the arrival notional: the mean that the statistics print); ``in_set``
        (nullable bool: it cannot be told from the best of its world; null where there are too few blocks to say);
        ``world`` (int64, counted from 0; 0 of a run with one world).
    orders : DataFrame
        orders.parquet of the first world: a row for each strategy and order, as `sweep.statistics.details`, and
        ``block``, the block of time. Strategies are ``optimized``, the baselines, and ``combination N``.
    venues : DataFrame
        venues.parquet of the first world, as `sweep.statistics.fills_by_venue`.
    fills : DataFrame
        fills.parquet: of the orders that `paths` shows each fill of ``optimized`` and of every baseline: ``strategy``,
        ``position`` (of the order, as rows of one strategy in `orders`), ``ts`` (UTC ns), ``venue`` (publisher id),
        ``shares``, ``price`` (1e-9 $, before fees), ``passive`` (bool).
    paths : DataFrame
        paths.parquet: the market while these orders ran, at even times and at the fills: ``position``, ``ts``,
        ``bid`` and ``ask`` (best displayed, 1e-9 $; 0 = none), ``bid_shares`` and ``ask_shares`` (displayed first
        levels of all venues). Shown are the ten orders with the largest and the ten with the smallest saving against
        the strongest baseline, and the median one.
    timeline : DataFrame
        timeline.parquet: of each tape in at most 96 even stretches of its window: ``tape``, ``start``, ``end`` (UTC
        ns), ``snapshots``, ``crossed``, ``locked``, ``one_sided`` (snapshots of the book as the simulation sees it),
        ``venues`` (most that display a quote at once), ``longest_gap`` (ns between snapshots), ``spread`` (median of
        ask - bid of two-sided, uncrossed snapshots, 1e-9 $; null if none), ``traded`` (shares; 0 without trades).
    """

    home: Path
    manifest: Manifest
    config: Config
    document: dict[str, Any]
    combinations: pd.DataFrame
    orders: pd.DataFrame
    venues: pd.DataFrame
    fills: pd.DataFrame
    paths: pd.DataFrame
    timeline: pd.DataFrame

    @property
    def against(self) -> str:
        """The strongest honest baseline, which savings are measured against."""
        name: str = self.document["statistics"]["against"]
        return name

    @property
    def strategies(self) -> list[str]:
        """``optimized``, then the baselines in the document's order."""
        return ["optimized", *self.document["baselines"]]
