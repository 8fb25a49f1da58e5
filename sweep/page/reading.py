"""What a report is made of: a complete stored run, its document and its tables, read once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import ConfigError
from sweep.runs import (
    MALFORMED,
    ORDERS,
    VENUES,
    VIEWS,
    config_of,
    describe_malformed,
    read_columns,
    read_combinations,
    read_complete,
    read_document,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        each axis, dollars or labels as in results.parquet (``fee_table`` for the axis ``fees``); over all orders
        ``filled``, ``unfilled`` and ``overfilled``
        (shares), ``fees`` and ``saved`` (int64, 1e-9 $; what it pays less than the strongest honest baseline of its
        world); ``saving_bps`` (float64, of the arrival notional: the mean that the statistics print); ``in_set``
        (nullable bool: it cannot be told from the best of its world; null where there are too few blocks to say, or
        combinations were pruned); ``world`` (int64, counted from 0; 0 of a run with one world).
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
        timeline.parquet: of each tape that has orders, from its first to its last quote of the window, in at most 96
        even stretches: ``tape``, and the columns of `feed.quality.over_time`; ``spread`` is -1 where there is none.
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
    def worlds(self) -> Sequence[dict[str, Any]]:
        """The section of each world, the first one first; of a run with one world the document."""
        return self.document.get("worlds") or [self.document]

    @property
    def pruned(self) -> int:
        """Combinations that were left out of later tapes, so that nothing is known of single blocks."""
        pruned: int = (self.document.get("search") or {}).get("pruned", 0)
        return pruned

    @property
    def strategies(self) -> list[str]:
        """``optimized``, then the baselines in the document's order."""
        return ["optimized", *self.document["baselines"]]


def read_run(home: Path | str) -> Run:
    """Read a complete run.

    Raises
    ------
    ConfigError
        It is not complete, a file of it is missing or damaged, or an earlier version wrote it.
    """
    home = Path(home)
    manifest = read_complete(home)
    if lacking := [name for name in VIEWS.values() if name not in manifest.files]:
        raise ConfigError(
            f"{home}: has no {lacking[0]}, as earlier versions wrote none; start the run anew with --force"
        )
    document = read_document(home, manifest)
    try:
        return Run(
            home,
            manifest,
            config_of(manifest),
            document,
            read_combinations(home, manifest),
            *(_first_world(read_columns(home, manifest, name)) for name in (ORDERS, VENUES)),
            *(_frame(read_columns(home, manifest, VIEWS[name])) for name in ("fills", "paths", "timeline")),
        )
    except MALFORMED as error:
        raise ConfigError(
            f"{home}: is damaged ({describe_malformed(error)}); start the run anew with --force"
        ) from None


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    """The columns of a stored table; integers of which some are missing are nullable."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.array(column, "Int64") if isinstance(column, list) and not _names(column) else column
            for name, column in columns.items()
        }
    )


def _names(column: list[Any]) -> bool:
    return any(isinstance(each, str) for each in column)


def _first_world(columns: dict[str, Any]) -> pd.DataFrame:
    """The rows of the first world that has an answer, without its number."""
    frame = _frame(columns)
    if "world" not in frame:
        return frame
    first: pd.DataFrame = frame[frame["world"] == frame["world"].min()]
    return first.drop(columns="world").reset_index(drop=True)
