"""What a file holds, symbol by symbol, once its numbers are integers: the last step of every file reader."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.levels import LEVEL_DTYPES, LevelsError
from feed.tape import (
    BOUNDS,
    INT64,
    PRICE_LIMIT,
    QUOTE_DTYPES,
    SYMBOL_BYTES,
    TRADE_DTYPES,
    UNDEFINED_PRICE,
    UNNAMED,
    Tape,
    by_label,
    passes,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from feed.tape import Int64

    Column = NDArray[Any]
    Columns = dict[str, NDArray[Any]]


UNDEFINED_SIZE = 2**32 - 1

SYMBOLS = 2**15
"""Symbols that one read takes of a file: each becomes a tape, which takes more memory than a row."""

READABLE = BOUNDS | {
    "sequence": (0, INT64),
    **{name: (-INT64 - 1, BOUNDS[name][1]) for name in ("px", "sz")},  # below 0 there is no quote
}
"""Smallest and largest number that a file may hold, in the tape's units."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a file holds of one symbol.

    Attributes
    ----------
    tape : Tape
    ignored : dict of str to int
        Rows left out, by reason: ``other_rtype``, ``other_symbol``; ``unusable_trade`` (the trade only, its quotes
        stay); ``negative_numbers``, a price or size below 0, and ``zero_size``, a price without a size (only that
        side's quote, the row stays); ``out_of_order``, rows earlier than their predecessor, which are sorted in; and of
        orders ``unknown_order``, cancels of what was never shown, and ``unusable_order``, those that lack something.
    notes : tuple of str
        How the format is read.
    named : bool
        Whether the file names the symbol.
    below_0 : int
        Prices below 0, of those that ``negative_numbers`` counts.
    """

    tape: Tape
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    named: bool = True
    below_0: int = 0


@dataclass(frozen=True, slots=True)
class FileBlock:
    """What was read of a file.

    Attributes
    ----------
    fragments : tuple of Fragment
        One for each symbol, ascending; none where the file lacks the one asked for.
    symbols : tuple of str
        All symbols that the file names, ascending.
    """

    fragments: tuple[Fragment, ...]
    symbols: tuple[str, ...] = ()

    @property
    def tape(self) -> Tape:
        """The tape of the only symbol; ValueError where there is not exactly one."""
        (fragment,) = self.fragments
        return fragment.tape

    def shown(self) -> FileBlock:
        """The same without the levels that no row of a symbol shows."""
        if all(each.tape.levels is None for each in self.fragments):
            return self
        return replace(self, fragments=tuple(replace(each, tape=each.tape.shown()) for each in self.fragments))


@dataclass(frozen=True, slots=True)
class Labels:
    """Which symbol each row is of.

    Attributes
    ----------
    names : sequence of str
    quotes, trades : (N,), (M,) integers
        Index into `names` of each row, of each trade.
    named : bool
        Whether the file names them.
    """

    names: Sequence[str]
    quotes: Column
    trades: Column
    named: bool = True


def unnamed(symbol: str | None) -> tuple[str, tuple[str, ...]]:
    """Symbol of a file that names none, and a note about it."""
    tape_symbol = symbol or UNNAMED
    return tape_symbol, (f"the file names no symbol; its rows are taken as {quoted(tape_symbol)}",)


def check_symbols(names: Collection[str], asked: str | None, where: str) -> None:
    """Refuse a symbol that is too long, or more symbols than one read takes.

    Parameters
    ----------
    names : collection of str
        All symbols that the file names, each once.
    asked : str, optional
        The only one that becomes a tape.
    where : str

    Raises
    ------
    FeedCorrupt
        One is longer than `feed.tape.SYMBOL_BYTES`.
    FeedUnavailable
        There are more than `SYMBOLS` and none is asked for.
    """
    for name in names:
        if (size := len(name.encode())) > SYMBOL_BYTES:
            raise FeedCorrupt(
                f"symbol {quoted(name)} takes {size:,} bytes, expected up to {SYMBOL_BYTES}", where, "export it again"
            )
    if asked is None and len(names) > SYMBOLS:
        raise FeedUnavailable(
            f"it holds {len(names):,} symbols, more than the {SYMBOLS:,} that are read at once",
            where,
            "name one: symbol=...",
        )


def several_instruments(venue: Column, instrument: Column) -> bool:
    """Whether a venue has several instruments, whose quotes would mix in one book.

    Parameters
    ----------
    venue, instrument : (N,) integers
    """
    if not len(instrument) or (instrument == instrument[0]).all():
        return False
    pairs = np.unique(np.stack([venue, instrument]), axis=1)
    return bool(pairs.shape[1] > len(np.unique(pairs[0])))


def instruments_unnamed(where: str) -> FeedUnavailable:
    """Say that a file does not name its several instruments, whose quotes would mix in one book."""
    return FeedUnavailable(
        "the file holds several instruments of one venue that it names no symbols of",
        where,
        "export it with symbols (map_symbols), or one instrument at a time",
    )


def no_book_rows(rows: int, others: str, schemas: str, where: str) -> FeedUnavailable:
    """Say that a file holds only rows of other schemas, which those are, and which schemas are read."""
    return FeedUnavailable(
        f"none of its {rows} rows is a book row{f': they are of {others}' if others else ''}",
        where,
        f"export one of the schemas {schemas}",
    )


def defined(columns: Columns) -> Columns:
    """Turn undefined prices and sizes into 0: no quote and no trade."""
    return columns | {
        name: np.where(column == (UNDEFINED_PRICE if name.endswith("px") else UNDEFINED_SIZE), 0, column)
        for name, column in columns.items()
        if name.endswith(("px", "sz"))
    }


def out_of_bounds(columns: Columns) -> tuple[str, int, str] | None:
    """Find the first number that no tape holds.

    Parameters
    ----------
    columns : dict of str to (N,) integers
        Of quotes or of trades, with 0 for undefined numbers.

    Returns
    -------
    tuple of (str, int, str), optional
        Column, row and what was expected.
    """
    for name, column in columns.items():
        low, high = READABLE[name.removeprefix("bid_").removeprefix("ask_")]
        if len(column) and (int(column.max()) > high or int(column.min()) < low):
            at = int(np.argmax((column > high) | (column < low)))
            if name.endswith("px"):
                return name, at, f"expected a price below {PRICE_LIMIT // 10**9} $"
            return name, at, f"expected {low} to {high}" if low > -INT64 else f"expected a size up to {high}"
    return None


def narrowed(columns: Columns, dtypes: dict[str, str]) -> Columns:
    """Cast columns within `READABLE` to a tape's types; any size below 0 becomes -1, which is no size.

    A column that is right already is not copied.
    """
    return {name: _narrowed(name, column).astype(dtypes[name], copy=False) for name, column in columns.items()}


def _narrowed(name: str, column: Column) -> Column:
    below = name.endswith("sz") and len(column) and int(column.min()) < -1
    return np.maximum(column, -1) if below else column


def make_fragments(
    labels: Labels,
    quotes: Columns,
    trades: Columns | None,
    ignored: dict[str, int],
    notes: tuple[str, ...],
    levels: Columns | None = None,
    *,
    where: str = "",
) -> tuple[Fragment, ...]:
    """Make a fragment for each symbol.

    Parameters
    ----------
    labels : Labels
    quotes : dict of str to (N,) integers
        The quotes' columns of `feed.tape.Tape`, in order of arrival and within `READABLE`. They are given away: changed
        in place, kept, or, so that they are not held beside their copies, taken out of the dict.
    trades : dict of str to (M,) integers, optional
        The columns of `feed.tape.Trades`, likewise, unusable ones included.
    ignored : dict of str to int
        Rows of the whole file that are left out already.
    notes : tuple of str
    levels : dict of (N, D - 1) integers, optional
        The columns of `feed.levels.Levels`, in the order of the quotes; given away likewise.
    where : str
        The file, for a message.

    Raises
    ------
    FeedCorrupt
        Levels of a row that are not strictly worse one after the other.
    """
    fragments = []
    several = len(labels.names) > 1
    if several:
        count = len(labels.names)
        if levels is not None:
            levels, _ = _group_by_label(levels, LEVEL_DTYPES, labels.quotes, count)
        quotes, starts = _group_by_label(quotes, QUOTE_DTYPES, labels.quotes, count)
        trade_starts = starts
        if trades is not None:
            trades, trade_starts = _group_by_label(trades, TRADE_DTYPES, labels.trades, count)
    for code, name in sorted(enumerate(labels.names), key=lambda pair: pair[1]):
        own_quotes, own_trades, own_levels = quotes, trades, levels
        if several:
            own_quotes = _take_rows(quotes, slice(*starts[code : code + 2]))
            own_levels = None if levels is None else _take_rows(levels, slice(*starts[code : code + 2]))
            own_trades = None if trades is None else _take_rows(trades, slice(*trade_starts[code : code + 2]))
        if len(own_quotes["ts"]) or (own_trades is not None and len(own_trades["ts"])):
            left_out = dict(ignored)
            below_0 = sum(int(np.count_nonzero(own_quotes[px] < 0)) for px in ("bid_px", "ask_px"))
            tape = _built(name, own_quotes, own_trades, own_levels, left_out, where)
            fragments.append(Fragment(tape, left_out, notes, labels.named, below_0))
    return tuple(fragments)


def _group_by_label(columns: Columns, dtypes: dict[str, str], codes: Column, count: int) -> tuple[Columns, Int64]:
    """Take columns out of a dict and group their rows by label; return where each label's rows begin."""
    order, starts = by_label(codes, count)
    return {name: narrowed({name: columns.pop(name)}, dtypes)[name][order] for name in dtypes}, starts


def _take_rows(columns: Columns, rows: NDArray[np.bool_] | slice) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _built(
    symbol: str,
    quotes: Columns,
    trades: Columns | None,
    levels: Columns | None,
    ignored: dict[str, int],
    where: str,
) -> Tape:
    """Make the tape, and count what is left out or sorted in."""
    counts: dict[str, int] = {}
    for rows in passes(len(quotes["ts"])):
        bid_px, ask_px, bid_sz, ask_sz = (quotes[name][rows] for name in ("bid_px", "ask_px", "bid_sz", "ask_sz"))
        ts = quotes["ts"][max(rows.start - 1, 0) : rows.stop]
        masks = {
            "negative_numbers": (bid_px < 0) | (ask_px < 0) | (bid_sz < 0) | (ask_sz < 0),
            "zero_size": ((bid_px > 0) & (bid_sz == 0)) | ((ask_px > 0) & (ask_sz == 0)),
            "out_of_order": ts[1:] < ts[:-1],
        }
        for reason, mask in masks.items():
            counts[reason] = counts.get(reason, 0) + int(np.count_nonzero(mask))
    ignored |= {reason: count for reason, count in counts.items() if count}
    if trades is not None:
        usable = (trades["px"] > 0) & (trades["sz"] > 0)
        if not usable.all():
            ignored["unusable_trade"] = int((~usable).sum())
            trades = _take_rows(trades, usable)
    try:
        return Tape.build(symbol, **quotes, trades=trades, levels=levels, owned=True)
    except LevelsError as error:
        raise FeedCorrupt(str(error), where, "export it again, or read less: depth=1") from None
