"""The tape: one symbol's published quotes and trades as columns, and the proof of what it holds.

A tape keeps every published row, also several of one venue at one instant; the book (`allocator.book`) decides which of
them stands. Rows have one canonical order, so the same data has the same digest whatever path it took.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feed.levels import LEVEL_DTYPES, MOST_LEVELS, Levels, end_sides, flat_columns, join_levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    Column = NDArray[Any]
    Columns = dict[str, NDArray[Any]]


Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]
Int8 = NDArray[np.int8]

UNDEFINED_PRICE = np.iinfo(np.int64).max
"""Databento's price of a side that has no quote."""

PRICE_LIMIT = 2**23 * 10**9
"""Prices stay below this many 1e-9 $ (8,388,608 $): up to there neighbouring float64 of dollars are less than 1e-9 $
apart, so a price survives as a float."""

VENUE_LIMIT = 2**15
"""Publisher ids stay below this."""

SHARES_LIMIT = 2**31
"""Sizes stay below this many shares."""

INT64 = 2**63 - 1

BOUNDS = {
    "ts": (0, INT64),
    "venue": (0, VENUE_LIMIT - 1),
    "px": (0, PRICE_LIMIT - 1),
    "sz": (0, SHARES_LIMIT - 1),
    "side": (-1, 1),
}
"""Smallest and largest number of a tape's columns by their names without ``bid_`` and ``ask_``; any sequence is one."""

AGGRESSORS = {"B": 1, "A": -1, "N": 0}
"""`Trades.side` by the letter that Databento writes: who took, buyer, seller or nobody known."""

AGGRESSOR_LETTERS = {side: letter for letter, side in AGGRESSORS.items()}

SYMBOL_BYTES = 128
"""Maximum length of a symbol in bytes of UTF-8, from any source; Databento's have up to 70."""

DAY = 86_400 * 10**9

PASS = 2**16
"""Rows that a pass over columns looks at together: what it makes of them stays in the cache, and is no whole column."""


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Prints, ordered by (ts, venue, sequence), ties in order of arrival.

    Attributes
    ----------
    ts : (M,) int64
        UTC nanoseconds.
    venue : (M,) int16
        Databento publisher id.
    px : (M,) int64
        1e-9 $, above 0.
    sz : (M,) int32
        Shares, above 0.
    side : (M,) int8
        The aggressor: 1 buyer, -1 seller, 0 unknown.
    sequence : (M,) int64
        The venue's message number.
    """

    ts: Int64
    venue: Int16
    px: Int64
    sz: Int32
    side: Int8
    sequence: Int64


TRADE_DTYPES = {"ts": "<i8", "venue": "<i2", "px": "<i8", "sz": "<i4", "side": "<i1", "sequence": "<i8"}
QUOTE_DTYPES = {
    "ts": "<i8",
    "venue": "<i2",
    "bid_px": "<i8",
    "ask_px": "<i8",
    "bid_sz": "<i4",
    "ask_sz": "<i4",
    "sequence": "<i8",
}


def no_trades() -> Trades:
    """Empty trades."""
    return Trades(**{name: np.zeros(0, dtype) for name, dtype in TRADE_DTYPES.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """One symbol's published quotes and trades.

    Use `Tape.build`, which orders, normalises and checks; the bare constructor trusts its caller.

    Attributes
    ----------
    symbol : str
    ts : (N,) int64
        UTC nanoseconds, ascending.
    venue : (N,) int16
        Databento publisher id; ascending within one instant, then by sequence, then in order of arrival.
    bid_px, ask_px : (N,) int64
        1e-9 $; 0 = no quote on that side.
    bid_sz, ask_sz : (N,) int32
        Shares displayed; 0 exactly where the price is 0.
    sequence : (N,) int64
        The venue's message number.
    trades : Trades
    levels : Levels, optional
        What the rows show behind their first level, which the columns above hold; None where the depth is 1.
    """

    symbol: str
    ts: Int64
    venue: Int16
    bid_px: Int64
    ask_px: Int64
    bid_sz: Int32
    ask_sz: Int32
    sequence: Int64
    trades: Trades = field(default_factory=no_trades)
    levels: Levels | None = None

    @classmethod
    def build(
        cls,
        symbol: str,
        *,
        ts: NDArray[Any],
        venue: NDArray[Any],
        bid_px: NDArray[Any],
        ask_px: NDArray[Any],
        bid_sz: NDArray[Any],
        ask_sz: NDArray[Any],
        sequence: NDArray[Any],
        trades: dict[str, NDArray[Any]] | None = None,
        levels: Mapping[str, NDArray[Any]] | None = None,
        owned: bool = False,
    ) -> Tape:
        """Order, normalise and check columns given in order of arrival.

        A side whose price is not positive, or Databento's undefined price, or whose size is not positive, has no
        quote: price 0, size 0; behind it, or behind a further level without a quote, the side has no more.

        Parameters
        ----------
        symbol : str
        ts, venue, bid_px, ask_px, bid_sz, ask_sz, sequence : (N,) integers
            Units as the attributes'.
        trades : dict of (M,) integers, optional
            The columns of `Trades`.
        levels : dict of (N, D - 1) integers, optional
            The columns of `Levels`; D up to `MOST_LEVELS`.
        owned : bool
            The columns are the caller's own and given away: those of the right type are changed in place and kept.

        Raises
        ------
        ValueError
            Columns of different length, or a number beyond its column's type or the price limit; or (`LevelsError`)
            levels that are not strictly worse one after the other.
        """
        # before columns that are the caller's own are ordered in place
        behind = None if levels is None else _ordered_levels(levels, sequence, venue, ts, owned=owned)
        quotes = _columns(
            {
                "ts": ts,
                "venue": venue,
                "bid_px": bid_px,
                "ask_px": ask_px,
                "bid_sz": bid_sz,
                "ask_sz": ask_sz,
                "sequence": sequence,
            },
            QUOTE_DTYPES,
            owned=owned,
        )
        for columns in (quotes, behind or {}):
            for side in ("bid", "ask") if columns else ():
                _clear_unquoted(columns[f"{side}_px"], columns[f"{side}_sz"])
                _check_prices(columns[f"{side}_px"], f"{side}_px")
        prints = _columns(trades, TRADE_DTYPES, owned=owned) if trades else {}
        if prints:
            _check_prices(prints["px"], "px")
            if len(prints["px"]) and (prints["px"].min() <= 0 or prints["sz"].min() <= 0):
                raise ValueError("a trade's price and size must be above 0")
        return cls(
            symbol,
            **quotes,
            trades=Trades(**prints) if prints else no_trades(),
            levels=None if behind is None else end_sides(behind, quotes),
        )

    @property
    def depth(self) -> int:
        """Levels of a side."""
        return 1 if self.levels is None else self.levels.depth

    @property
    def rows(self) -> int:
        """Published rows."""
        return len(self.ts)

    @property
    def snapshots(self) -> int:
        """Instants at which at least one venue published."""
        return int(np.count_nonzero(self.ts[1:] != self.ts[:-1])) + 1 if self.rows else 0

    @property
    def span(self) -> tuple[int, int]:
        """First and last instant of quotes and trades, UTC nanoseconds; ValueError where there are neither."""
        ends = [(int(ts[0]), int(ts[-1])) for ts in (self.ts, self.trades.ts) if len(ts)]
        if not ends:
            raise ValueError("an empty tape has no span")
        return min(first for first, _ in ends), max(last for _, last in ends)

    @property
    def venues(self) -> Int16:
        """(V,) int16, the publisher ids that published, ascending."""
        return np.unique(self.venue)

    def clip(self, start: int, end: int) -> Tape:
        """Keep the rows and trades with start <= ts <= end (UTC nanoseconds). Columns are views."""
        # numpy looks for numbers beyond int64 as floats, which are hundreds of nanoseconds apart by now
        low, high = (np.int64(min(max(instant, -INT64 - 1), INT64)) for instant in (start, end))
        quotes, prints = (
            slice(int(np.searchsorted(ts, low)), int(np.searchsorted(ts, high, "right")))
            for ts in (self.ts, self.trades.ts)
        )
        return Tape(
            self.symbol,
            **{name: getattr(self, name)[quotes] for name in QUOTE_DTYPES},
            trades=Trades(**{name: getattr(self.trades, name)[prints] for name in TRADE_DTYPES}),
            levels=None if self.levels is None else self.levels.take(quotes),
        )

    def by_date(self) -> list[Tape]:
        """The parts of it on each UTC date with quotes, as views; itself if that is one, or none."""
        if not self.rows or self.span[0] // DAY == self.span[1] // DAY:
            return [self]
        return [self.clip(day * DAY, day * DAY + DAY - 1) for day in np.unique(self.ts // DAY).tolist()]

    def of_venues(self, venues: Sequence[int]) -> Tape:
        """Keep the rows and trades of some publisher ids."""
        quotes, prints = np.isin(self.venue, venues), np.isin(self.trades.venue, venues)
        return Tape(
            self.symbol,
            **{name: getattr(self, name)[quotes] for name in QUOTE_DTYPES},
            trades=Trades(**{name: getattr(self.trades, name)[prints] for name in TRADE_DTYPES}),
            levels=None if self.levels is None else self.levels.take(quotes),
        )

    def up_to(self, depth: int) -> Tape:
        """The same with so many levels of a side at most."""
        if depth >= self.depth or self.levels is None:
            return self
        return replace(self, levels=self.levels.up_to(depth))

    def shown(self) -> Tape:
        """The same without the last levels that no row shows."""
        return self if self.levels is None else self.up_to(self.levels.deepest)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the little-endian columns (`QUOTE_DTYPES`), the trades, the symbol.

        Levels (`LEVEL_DTYPES`, row after row) come between the columns and the trades.
        """
        digest = hashlib.sha256()
        parts = [(self, QUOTE_DTYPES), (self.levels, LEVEL_DTYPES), (self.trades, TRADE_DTYPES)]
        for columns, dtypes in (part for part in parts if part[0] is not None):
            for name, dtype in dtypes.items():
                digest.update(np.ascontiguousarray(getattr(columns, name), dtype).data)
        digest.update(self.symbol.encode())
        return digest.hexdigest()

    def to_frame(self) -> pd.DataFrame:
        """Quotes as a pandas frame, one row per published row, units as the attributes'."""
        import pandas as pd

        behind = {} if self.levels is None else flat_columns(self.levels)
        return pd.DataFrame({name: getattr(self, name) for name in QUOTE_DTYPES} | behind)


def _clear_unquoted(px: NDArray[Any], sz: NDArray[Any]) -> None:
    """Give what is no quote price 0 and size 0, in place; (N,) or (N, D - 1)."""
    for rows in passes(len(px), px.shape[1] if px.ndim > 1 else 1):
        unquoted = (px[rows] <= 0) | (px[rows] == UNDEFINED_PRICE) | (sz[rows] <= 0)
        px[rows][unquoted] = 0
        sz[rows][unquoted] = 0


def _ordered_levels(levels: Mapping[str, NDArray[Any]], *keys: NDArray[Any], owned: bool) -> Columns:
    """Levels in the order of the tape, none of them the caller's; keys are those of its sort, the least first.

    Own columns are ordered in place, as those of the first level are.
    """
    cast = {name: _cast(levels[name], name, dtype) for name, dtype in LEVEL_DTYPES.items()}
    shapes = {name: column.shape for name, column in cast.items()}
    if len({*shapes.values()}) > 1 or shapes["bid_px"][0] != len(keys[0]):
        raise ValueError(f"levels differ in shape: {shapes} for {len(keys[0])} rows")
    if not 1 <= shapes["bid_px"][1] < MOST_LEVELS:
        raise ValueError(f"expected 2 to {MOST_LEVELS} levels, but there were {1 + shapes['bid_px'][1]}")
    order = None if _in_order(*map(np.asarray, keys)) else np.lexsort(keys)
    return _arranged(cast, order, levels, owned=owned)


def _arranged(cast: Columns, order: Int64 | None, given: Mapping[str, NDArray[Any]], *, owned: bool) -> Columns:
    """Cast columns in order; one that is nobody else's, as it is own or was cast, is changed in place where it can."""
    for name, column in cast.items():
        kept = (owned or np.asarray(given[name]).dtype != column.dtype) and column.flags.carray
        if order is None:
            cast[name] = column if kept else column.copy()
        elif kept:
            column[:] = column[order]
        else:
            cast[name] = column[order]
    return cast


def passes(rows: int, width: int = 1) -> Iterator[slice]:
    """Cut rows, each of so many numbers, into runs of `PASS` numbers."""
    step = PASS // width or 1
    return (slice(first, first + step) for first in range(0, rows, step))


def _columns(columns: Columns, dtypes: dict[str, str], *, owned: bool) -> Columns:
    """Cast without loss, then order by (ts, venue, sequence), equal keys in order of arrival; none is the caller's.

    An own column is ordered in place, so that beside the columns there is never more than one of them once more.
    """
    lengths = {name: len(columns[name]) for name in dtypes}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}")
    cast = {name: _cast(columns[name], name, dtype) for name, dtype in dtypes.items()}
    keys = cast["sequence"], cast["venue"], cast["ts"]
    order = None if _in_order(*keys) else np.lexsort(keys)
    return _arranged(cast, order, columns, owned=owned)


def _in_order(sequence: Column, venue: Column, ts: Column) -> bool:
    """Whether rows are in the order of the (stable) sort already, as most are."""
    for rows in passes(len(ts) - 1):
        one, following = (slice(rows.start + by, min(rows.stop, len(ts) - 1) + by) for by in (0, 1))
        if (ts[following] < ts[one]).any():
            return False
        tied = ts[following] == ts[one]
        first, then = venue[one][tied], venue[following][tied]
        right = (first < then) | ((first == then) & (sequence[one][tied] <= sequence[following][tied]))
        if not right.all():
            return False
    return True


def _cast(column: NDArray[Any], name: str, dtype: str) -> NDArray[Any]:
    """Cast without loss; a column of the type is returned as it is."""
    column = np.asarray(column)
    if column.dtype == dtype:
        return column
    if column.dtype.kind not in "iu":
        raise ValueError(f"column {name}: expected integers, but it had {column.dtype}")
    info = np.iinfo(np.dtype(dtype))
    if len(column) and (int(column.min()) < info.min or int(column.max()) > info.max):
        raise ValueError(f"column {name}: {int(column.min())} to {int(column.max())} is beyond {info.dtype}")
    return column.astype(dtype)


def _check_prices(px: NDArray[Any], name: str) -> None:
    if len(px) and int(px.max()) >= PRICE_LIMIT:
        raise ValueError(
            f"column {name}: {int(px.max()) / 1e9:.2f} $ is beyond the {PRICE_LIMIT // 10**9:,} $ kept exactly"
        )


def join(tapes: Sequence[Tape]) -> Tape:
    """Join fragments of one symbol, in order of arrival, to one tape.

    Raises
    ------
    ValueError
        No fragment, or fragments of several symbols.
    """
    if len(tapes) == 1:
        return tapes[0]
    symbols = sorted({tape.symbol for tape in tapes})
    if len(symbols) != 1:
        raise ValueError(f"expected fragments of one symbol, but there were {symbols}")
    return Tape.build(
        symbols[0],
        **{name: np.concatenate([getattr(tape, name) for tape in tapes]) for name in QUOTE_DTYPES},
        trades={name: np.concatenate([getattr(tape.trades, name) for tape in tapes]) for name in TRADE_DTYPES},
        levels=join_levels([(tape.rows, tape.levels) for tape in tapes]),
        owned=True,
    )


def same(one: Tape, other: Tape) -> bool:
    """Whether two tapes hold the same symbol, rows and trades."""
    if (one.symbol, one.depth) != (other.symbol, other.depth):
        return False
    parts = [
        (one, other, QUOTE_DTYPES),
        (one.levels, other.levels, LEVEL_DTYPES),
        (one.trades, other.trades, TRADE_DTYPES),
    ]
    return all(
        np.array_equal(getattr(one_part, name), getattr(other_part, name))
        for one_part, other_part, dtypes in parts
        if one_part is not None
        for name in dtypes
    )


UNNAMED = "UNKNOWN"
"""The symbol of a file that names none; the same for every path, as the digest covers it."""


def by_label(codes: Column, count: int) -> tuple[Int64, Int64]:
    """Order rows by label, in one sort for any number of labels.

    Parameters
    ----------
    codes : (N,) integers
        0 to `count` - 1.
    count : int

    Returns
    -------
    order : (N,) int64
        The rows, label after label; within a label in order of arrival.
    ends : (count + 1,) int64
        Where the rows of each label begin in `order`, and where the last ones end.
    """
    order = np.argsort(codes, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=count))])
