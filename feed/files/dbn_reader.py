"""Databento's binary encoding (DBN): .dbn and .dbn.zst, of the schemas of `feed.files.dbn_layouts.LAYOUTS`.

The library databento-dbn decodes the metadata; records are read in bulk, as views of their bytes. They hold what the
CSV of the same data holds, and the same rules read them, so both give the same tape.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.files.dbn_layouts import CONSOLIDATED_QUOTE, LAYOUTS, MBO, SCHEMAS, SNAPSHOT, named
from feed.files.dbn_stream import Seen, blocks, read_metadata
from feed.files.dbn_symbols import LOW, keys_of, received
from feed.files.fragments import (
    FileBlock,
    Labels,
    check_symbols,
    defined,
    instruments_unnamed,
    make_fragments,
    no_book_rows,
    out_of_bounds,
    several_instruments,
    unnamed,
)
from feed.files.kinds import check_kind
from feed.files.mbo import Fold, UnfitError
from feed.files.streams import bounds_of, check_there, damage_reported, limit_of_levels, open_bytes
from feed.growing import GrowingColumns
from feed.levels import LEVEL_DTYPES
from feed.tape import AGGRESSORS, PRICE_LIMIT, QUOTE_DTYPES, TRADE_DTYPES, UNNAMED, by_label

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.dbn_stream import Block
    from feed.files.dbn_symbols import Names
    from feed.files.fragments import Columns
    from feed.files.streams import Limit
    from feed.tape import Int64

METADATA_TIMES = 8
"""Memory of the metadata once its mappings are in use, in multiples of its bytes."""

HELD_MAPPING = 768
"""Bytes of memory that a mapping record takes."""

_QUOTED = {"bid_px": "bid_px_00", "ask_px": "ask_px_00", "bid_sz": "bid_sz_00", "ask_sz": "ask_sz_00"}
_SIGNED = {"<u2": "<i2", "<u4": "<i4", "<u8": "<i8"}
_TRADE = ord("T")
_SIDES = np.zeros(256, np.int8)
_SIDES[[ord(letter) for letter in AGGRESSORS]] = list(AGGRESSORS.values())


@dataclass(slots=True)
class _Taken:
    """Columns of the rows taken so far."""

    depth: int
    quotes: GrowingColumns = field(default_factory=lambda: GrowingColumns(QUOTE_DTYPES))
    trades: GrowingColumns = field(default_factory=lambda: GrowingColumns(TRADE_DTYPES))
    levels: GrowingColumns | None = None
    codes: list[Int64] = field(default_factory=list)
    trade_codes: list[Int64] = field(default_factory=list)
    keys: list[Int64] = field(default_factory=list)
    rows: int = 0
    other_symbol: int = 0
    fold: Fold | None = None

    def extend(self, quotes: Columns, levels: Columns | None, keys: Int64, codes: Int64) -> None:
        """Add rows; levels where they, or the rows before, have any."""
        if levels is not None and self.levels is None:
            self.levels = GrowingColumns(LEVEL_DTYPES)
            self._extend_levels(self.levels, None, self.rows)
        self.quotes.extend(quotes)
        if self.levels is not None:
            self._extend_levels(self.levels, levels, len(codes))
        self.keys.append(keys)
        self.codes.append(codes)
        self.rows += len(codes)

    def _extend_levels(self, columns: GrowingColumns, levels: Columns | None, rows: int) -> None:
        nothing = (self.depth - 1) * rows
        levels = levels or {name: np.zeros(nothing, dtype) for name, dtype in LEVEL_DTYPES.items()}
        columns.extend({name: column.reshape(-1) for name, column in levels.items()})


def read_dbn(path: Path, symbol: str | None = None, max_bytes: Limit = None, depth: int = 1) -> FileBlock:
    """Read a DBN file.

    Parameters
    ----------
    path : Path
        Compressed where it ends in .zst.
    symbol : str, optional
        Which symbol; all by default. A file that maps no instrument, neither in its metadata nor in its records, holds
        one, named by this, or `feed.tape.UNNAMED`.
    max_bytes : int or Share, optional
        Decompressed bytes that may be read; by default as many as `feed.files.streams.bounds_of` says.
    depth : int
        Levels of a side that are read at most; fewer where the file has fewer.

    Raises
    ------
    FeedUnavailable
        No such file, no book record in it, an unknown version, or the library is not installed.
    FeedCorrupt
        Damaged, cut short, or a number that no tape holds; names record and byte.
    """
    check_there(path)
    check_kind(path, ".dbn")
    where = str(path)
    bounds, of_levels = bounds_of(path, max_bytes), bounds_of(path, limit_of_levels(path, max_bytes, depth))
    taken, seen = _Taken(depth), Seen()
    with damage_reported(path), open_bytes(path, max_bytes, lines=False) as stream:
        names, version, note, start = read_metadata(stream, where)
        with closing(blocks(stream, version, start, where, seen)) as parts:
            for block in parts:
                (_take_orders if block.rtype == MBO else _take)(block, where, names, symbol, taken)
                held_names = METADATA_TIMES * start + HELD_MAPPING * names.mappings
                held_orders = 0 if taken.fold is None else taken.fold.nbytes
                (bounds if taken.levels is None else of_levels).check(0, taken.rows, held_names, held_orders)
    if not seen.records:
        raise NoRows("the file holds no records", where, "export it again")
    if not seen.books:
        raise no_book_rows(seen.records, named(seen.others), SCHEMAS, where)
    notes = (note, *next(each.notes for each in LAYOUTS.values() if each.family == seen.family))
    ignored = {"other_rtype": sum(seen.others.values()), "other_symbol": taken.other_symbol}
    if taken.fold is not None:
        if not taken.rows and not len(taken.trades) and not taken.other_symbol:
            raise NoRows(
                f"none of its {seen.books} records of mbo ends an event (F_LAST) that leaves a quote; "
                f"{taken.fold.counts()['unknown_order']} cancel orders that it does not hold",
                where,
                "export it from the start of a day",
            )
        ignored |= {name: taken.fold.counts()[name] for name in ("unknown_order", "unusable_order")}
        notes += _notes_on_orders(taken.fold, depth)
    quotes, trades = taken.quotes.arrays(), taken.trades.arrays()
    levels = None
    if taken.levels is not None:
        levels = {name: each.reshape(-1, depth - 1) for name, each in taken.levels.arrays().items()}
    if not names.named:
        tape_symbol, unnamed_notes = unnamed(symbol)
        if several_instruments(quotes["venue"], _joined(taken.keys) & LOW):
            raise instruments_unnamed(where)
        no_codes = np.zeros(0, np.int64)  # with one symbol nobody looks at them
        labels = Labels([tape_symbol], no_codes, no_codes, named=False)
        return FileBlock(
            make_fragments(labels, quotes, trades, _counted(ignored), (*unnamed_notes, *notes), levels, where=where)
        )
    symbols = tuple(sorted(names.codes))
    check_symbols(symbols, symbol, where)
    _check_doubts(names, symbol, quotes["venue"], taken, where)
    code = _only([*taken.codes, *taken.trade_codes])
    if code is not None:
        no_codes = np.zeros(0, np.int64)
        labels = Labels([list(names.codes)[code]], no_codes, no_codes)
        if symbol is not None and code != names.codes.get(symbol):
            ignored["other_symbol"] += taken.rows  # unnamed rows were taken too, until one was named
    else:
        labels = Labels(list(names.codes), _joined(taken.codes), _joined(taken.trade_codes))
        if symbol is not None:
            ignored["other_symbol"] += int((labels.quotes != names.codes.get(symbol, -1)).sum())
    fragments = make_fragments(labels, quotes, trades, _counted(ignored), (*names.notes, *notes), levels, where=where)
    return FileBlock(tuple(each for each in fragments if symbol in {None, each.tape.symbol}), symbols)


def _only(parts: list[Int64]) -> int | None:
    """The only code of all rows, where all are of one: nothing has to be grouped then."""
    parts = [part for part in parts if len(part)]
    codes = {int(part[0]) for part in parts}
    return codes.pop() if len(codes) == 1 and all(part.strides == (0,) for part in parts) else None


def _counted(ignored: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in ignored.items() if count}


def _notes_on_orders(fold: Fold, depth: int) -> tuple[str, ...]:
    """Notes on how orders were folded, and on what they leave in doubt."""
    counts = fold.counts()
    doubts = {
        f"{counts['late']} of {counts['books']} books begin with neither a clear nor a snapshot: what stood before is "
        "not known": counts["late"],
        f"{counts['new_by_modify']} modifies of unknown orders are taken as adds": counts["new_by_modify"],
        f"{counts['repeated']} adds of known orders replace them": counts["repeated"],
        f"{counts['more_than_left']} cancels are of more shares than were left": counts["more_than_left"],
        f"{counts['doubted']} records are flagged F_MAYBE_BAD_BOOK, behind a gap in the feed": counts["doubted"],
        f"{fold.unfinished} books changed after the last event that ends (F_LAST)": fold.unfinished,
    }
    how = f"orders are folded into {depth} levels of a side: a row is the book after an event that changed them"
    return (how, *(text for text, count in doubts.items() if count))


def _check_doubts(names: Names, symbol: str | None, venue: NDArray[Any], taken: _Taken, where: str) -> None:
    """Refuse what stands for several instruments of one venue."""
    in_doubt = names.in_doubt()
    doubted = [
        (code, name)
        for code, name in enumerate(names.codes)
        if (name == UNNAMED or code in in_doubt) and symbol in {None, name}
    ]
    if not doubted:
        return
    keys, (order, starts) = _joined(taken.keys), by_label(_joined(taken.codes), len(names.codes))
    for code, name in doubted:
        rows = order[starts[code] : starts[code + 1]]
        venue_and_day = venue[rows] + (0 if name == UNNAMED else (keys[rows] >> 32) << 16)
        if several_instruments(venue_and_day, keys[rows] & LOW):
            raise instruments_unnamed(where) if name == UNNAMED else _ambiguous(name, where)


def _ambiguous(name: str, where: str) -> FeedUnavailable:
    return FeedUnavailable(
        f"symbol {quoted(name)} stands for several instruments of one venue on one day, which are no one book",
        where,
        "export it by raw symbols (stype_in raw_symbol)",
    )


def _take(block: Block, where: str, names: Names, symbol: str | None, taken: _Taken) -> None:
    """Take the columns of a block's book records."""
    records, stamps = block.records, received(block.records)
    mapped = names.mapped_codes(block.mappings, records["instrument_id"], lambda: block.number, stamps)
    if not len(records):
        return
    keys = keys_of(records, stamps)
    codes, at = names.label(keys, mapped, symbol, where)
    taken.other_symbol += len(records) - len(codes) if symbol is not None else 0
    if at is not None:
        records, keys = records[at], keys[at]
    place = _Place(block, at, where)
    layout = LAYOUTS[block.rtype]
    quotes = _quotes(records, block.rtype, place)
    prints = np.zeros(0, np.int64) if layout.sampled else np.flatnonzero(records["action"] == _TRADE)
    trades = {
        "ts": quotes["ts"][prints],
        "venue": _column("venue", records["publisher_id"][prints], place, prints),
        "px": _column("px", records["price"][prints], place, prints),
        "sz": _column("sz", records["size"][prints], place, prints),
        "side": _SIDES[records["side"][prints]],
        "sequence": quotes["sequence"][prints],
    }
    deep = layout.levels > 1 and taken.depth > 1
    levels = _levels(records["behind"][:, : taken.depth - 1], place) if deep else None
    taken.trades.extend(trades)
    taken.trade_codes.append(_of(codes, prints))
    taken.extend(quotes, levels, keys, codes)


def _take_orders(block: Block, where: str, names: Names, symbol: str | None, taken: _Taken) -> None:
    """Fold a block's orders, and take the rows and the trades that come of it."""
    records = block.records
    if taken.fold is None:
        taken.fold = Fold(taken.depth)
    try:
        shown = taken.fold.rows(records)
    except UnfitError as error:
        raise FeedCorrupt(f"{block.place(error.at)}, {error.what}", where) from None
    chosen = np.concatenate([shown.at, np.flatnonzero(records["action"] == _TRADE)])
    picked = records[chosen]
    stamps = received(picked)
    mapped = names.mapped_codes(block.mappings, picked["instrument_id"], lambda: block.number[chosen], stamps)
    if not len(chosen):
        return
    keys = keys_of(picked, stamps)
    codes, at = names.label(keys, mapped, symbol, where)
    taken.other_symbol += len(chosen) - len(codes) if symbol is not None else 0
    at = np.arange(len(chosen)) if at is None else at
    quoted_rows = int(np.searchsorted(at, len(shown.at)))
    rows, prints = at[:quoted_rows], at[quoted_rows:]
    place = _Place(block, chosen, where)
    quotes = _of_orders(picked, rows, place)
    px, sz = shown.px[rows], shown.sz[rows]
    sides: Columns = {"bid_px": px[:, 0], "ask_px": px[:, 1], "bid_sz": sz[:, 0], "ask_sz": sz[:, 1]}
    levels = {name: each[:, 1:] for name, each in sides.items()} if taken.depth > 1 else None
    trades = _of_orders(picked, prints, place) | {
        "px": _column("px", picked["price"][prints], place, prints),
        "sz": _column("sz", picked["size"][prints], place, prints),
        "side": _SIDES[picked["side"][prints]],
    }
    taken.trades.extend(trades)
    taken.trade_codes.append(codes[quoted_rows:])
    taken.extend(quotes | {name: each[:, 0] for name, each in sides.items()}, levels, keys[rows], codes[:quoted_rows])


def _of_orders(records: NDArray[Any], rows: Int64, place: _Place) -> Columns:
    """Instant, venue and sequence; of a snapshot, whose orders came at any time before, the instant it was taken."""
    records = records[rows]
    stamps = np.where(records["flags"] & SNAPSHOT, records["ts_recv"], records["ts_event"])
    return {
        "ts": _column("ts", stamps, place, rows),
        "venue": _column("venue", records["publisher_id"], place, rows),
        "sequence": records["sequence"].astype(np.int64),
    }


def _of(codes: Int64, rows: Int64) -> Int64:
    """Codes of some rows; where all are the same, again a view that takes no memory."""
    return np.broadcast_to(codes[:1], len(rows)) if codes.strides == (0,) and len(codes) else codes[rows]


@dataclass(frozen=True, slots=True)
class _Place:
    """Names the record of a row, for a message."""

    block: Block
    at: Int64 | None
    where: str

    def error(self, row: int, what: str) -> FeedCorrupt:
        return FeedCorrupt(f"{self.block.place(row if self.at is None else int(self.at[row]))}, {what}", self.where)


def _quotes(records: NDArray[Any], rtype: int, place: _Place) -> Columns:
    """The columns of quotes."""
    layout = LAYOUTS[rtype]
    venue = records["publisher_id"]
    if layout.consolidated:
        venue, sequence = np.full(len(records), CONSOLIDATED_QUOTE, "<i2"), np.zeros(len(records), np.int64)
    else:
        sequence = records["sequence"].astype(np.int64)
    columns = {"ts": records["ts_recv" if layout.sampled else "ts_event"], "venue": venue}
    columns |= {name: records[each] for name, each in _QUOTED.items()}
    return {name: _column(name, column, place) for name, column in columns.items()} | {"sequence": sequence}


def _column(name: str, written: NDArray[Any], place: _Place, rows: Int64 | None = None) -> NDArray[Any]:
    """A column in the tape's type, with 0 for what is undefined; `rows` are those of the block where not all.

    What is undefined, or too large for a tape, is beyond half of its type's range, or of prices beyond their limit; so
    most columns need one look.
    """
    column = np.ascontiguousarray(written)
    signed = column.view(_SIGNED.get(column.dtype.str, column.dtype))
    if not len(column) or (int(signed.max()) < PRICE_LIMIT if name.endswith("px") else int(signed.min()) >= 0):
        return signed
    column = defined({name: column})[name]
    bad = out_of_bounds({name: column})
    if bad is not None:
        _, row, expected = bad
        raise place.error(row if rows is None else int(rows[row]), f"{name}: {column[row]} ({expected})")
    return column.astype(signed.dtype)


def _levels(behind: NDArray[Any], place: _Place) -> Columns:
    """The columns of the levels behind the first, (N, D - 1) each."""
    columns = {}
    for name, dtype in LEVEL_DTYPES.items():
        column = np.ascontiguousarray(behind[name])
        signed = column.view(_SIGNED.get(column.dtype.str, column.dtype))
        if int(signed.max()) >= PRICE_LIMIT if name.endswith("px") else int(signed.min()) < 0:
            column = defined({name: column})[name]
            for level in range(column.shape[1]):
                bad = out_of_bounds({name: column[:, level]})
                if bad is not None:
                    _, row, expected = bad
                    raise place.error(row, f"{name}_{level + 1:02}: {column[row, level]} ({expected})")
            signed = column
        columns[name] = signed.astype(dtype, copy=False)
    return columns


def _joined(parts: list[Int64]) -> Int64:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
