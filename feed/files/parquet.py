"""Tapes in Parquet: one file holds quotes, trades and symbols, in the units of the tape, and gives the same tape back.

A row is a quote or a trade, as `kind` says. No column holds nulls: the columns of the other kind are 0, so a frame made
of the file keeps its integers. Files of others are read too if they have the columns of quotes as integers, or prices
and sizes as lists of integers, the levels of a side, best first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.files.fragments import (
    FileBlock,
    Labels,
    check_symbols,
    defined,
    make_fragments,
    narrowed,
    out_of_bounds,
    unnamed,
)
from feed.files.kinds import check_kind
from feed.files.parquet_pages import page_bytes
from feed.files.streams import Bounds, bounds_of, check_there, damage_reported, limit_of_levels
from feed.growing import GrowingColumns
from feed.instants import NANOS_FROM, no_nanoseconds
from feed.levels import LEVEL_DTYPES, flat_columns, level_names, stacked_columns
from feed.tables import below_a_cent
from feed.tape import QUOTE_DTYPES, SYMBOL_BYTES, TRADE_DTYPES, UNNAMED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.fragments import Columns
    from feed.files.streams import Limit
    from feed.tables import Arrow
    from feed.tape import Int64, Tape

    Codes = NDArray[np.int32]

QUOTE, TRADE = "quote", "trade"

LABEL = pa.dictionary(pa.int32(), pa.string())
STAMP = pa.timestamp("ns", "UTC")
SCHEMA = pa.schema(
    {
        "kind": LABEL,
        "symbol": LABEL,
        "ts": STAMP,
        "venue": pa.int16(),
        "sequence": pa.int64(),
        "bid_px": pa.int64(),
        "ask_px": pa.int64(),
        "bid_sz": pa.int32(),
        "ask_sz": pa.int32(),
        "px": pa.int64(),
        "sz": pa.int32(),
        "side": pa.int8(),
    }
)
"""What is written; in a file to read, the columns of trades, `kind` and `symbol` may be missing."""

LABELS = ("kind", "symbol")
TRADES_ONLY = ("px", "sz", "side")
ROWS = 2**20
"""Rows of a group."""

BATCH = 2**18
"""Rows that are decoded together."""

_REMEDY = "expected what python -m feed convert writes: cast prices to int64 of 1e-9 $, ts to ns and UTC"
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_ROW_BYTES = sum(np.dtype(dtype).itemsize for dtype in QUOTE_DTYPES.values())
_LABELS, _LABEL = 2**24, 2 * SYMBOL_BYTES
"""Bytes that the labels of a group of rows may take in any case, and bytes for each row."""

_TAIL = 8
"""Bytes after the footer: its length, and the mark of the format."""

_LISTED = 24
"""Bytes that a value of a list takes while it is read: repeated, it takes none in the file."""

_NO_CODES = np.zeros(0, np.int32)
"""Labels of rows that are all of one symbol: nobody looks at them."""

_WIDE = str(pa.binary(16))
_EXPECTED = {"ts": "a timestamp with a zone, or integer nanoseconds"}
_NULLABLE = ("bid_px", "ask_px", "bid_sz", "ask_sz", *TRADES_ONLY)


def write_parquet(tapes: Sequence[Tape], path: Path) -> None:
    """Write tapes into one file, zstd, with checksums: the quotes, then the trades, of each.

    Parameters
    ----------
    tapes : sequence of Tape
    path : Path
    """
    import pyarrow.parquet as pq

    schema = _schema(max((tape.depth for tape in tapes), default=1))
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for tape in tapes:
            for kind, part, columns in ((QUOTE, tape, QUOTE_DTYPES), (TRADE, tape.trades, TRADE_DTYPES)):
                for start in range(0, len(part.ts), ROWS):
                    rows = slice(start, start + ROWS)
                    chunk = {name: getattr(part, name)[rows] for name in columns}
                    if kind == QUOTE and tape.levels is not None:
                        chunk |= flat_columns(tape.levels.take(rows))
                    writer.write_table(_table(schema, kind, tape.symbol, chunk), row_group_size=ROWS)


def _schema(depth: int) -> Arrow:
    """`SCHEMA` with the columns of the levels behind the first, level by level."""
    types = {name: SCHEMA.field(name).type for name in LEVEL_DTYPES}
    behind = level_names(depth)
    fields = [pa.field(names[at], types[name]) for at in range(depth - 1) for name, names in behind.items()]
    return pa.schema([*SCHEMA, *fields])


def _table(schema: Arrow, kind: str, symbol: str, columns: Columns) -> Arrow:
    zeros = pa.array(np.zeros(len(columns["ts"]), np.int32))
    labels = {"kind": kind, "symbol": symbol}
    arrays = []
    for each in schema:
        if each.name in labels:
            arrays.append(pa.DictionaryArray.from_arrays(zeros, [labels[each.name]]))
        elif each.name == "ts":
            arrays.append(pa.array(columns["ts"]).view(STAMP))
        else:
            arrays.append(pa.array(columns.get(each.name, np.zeros(len(zeros), np.int8))).cast(each.type))
    return pa.table(arrays, schema=schema)


@dataclass(slots=True)
class _Taken:
    """Columns of the batches taken so far."""

    codes: dict[str, int] = field(default_factory=dict)  # symbol -> code; empty for rows without one
    quotes: GrowingColumns = field(default_factory=partial(GrowingColumns, QUOTE_DTYPES))
    trades: GrowingColumns = field(default_factory=partial(GrowingColumns, TRADE_DTYPES))
    levels: GrowingColumns | None = None
    longest: int = 1  # of the lists that hold the levels of a side
    quote_codes: list[Codes] = field(default_factory=list)
    trade_codes: list[Codes] = field(default_factory=list)
    rows: int = 0
    nbytes: int = 0
    other_symbol: int = 0


def read_parquet(path: Path, symbol: str | None = None, max_bytes: Limit = None, depth: int = 1) -> FileBlock:
    """Read a Parquet file.

    Parameters
    ----------
    path : Path
    symbol : str, optional
        Which symbol; all by default. A file that names none holds one, named by this, or `feed.tape.UNNAMED`.
    max_bytes : int or Share, optional
        Bytes of decoded columns that may be read; by default as many as `feed.files.streams.bounds_of` says.
    depth : int
        Levels of a side that are read at most; fewer where the file has fewer.

    Raises
    ------
    FeedUnavailable
        No such file, no rows, columns that are missing or of another type.
    FeedCorrupt
        Damaged, a null where none may be, or a number that no tape holds; names row and column.
    """
    import pyarrow.parquet as pq

    check_there(path)
    check_kind(path, ".parquet")
    where = str(path)
    taken = _Taken()
    with damage_reported(path):
        try:
            names, depth, lists = _columns_of(pq.read_schema(path), where, depth)
            bounds = bounds_of(path, limit_of_levels(path, max_bytes, depth))
            if depth > 1 and not lists:
                taken.levels = _no_levels(depth)
            footer = pq.read_metadata(path)
            _check_declared(path, footer, names, bounds, whole=symbol is None)
            with pq.ParquetFile(
                path,
                read_dictionary=by_code(footer, [name for name in LABELS if name in names]),
                page_checksum_verification=True,
            ) as file:
                for batch in file.iter_batches(BATCH, columns=names):
                    taken.nbytes += sum(map(_bytes_of, batch.columns))
                    _take(batch, where, symbol, depth if lists else None, taken)
                    bounds.check(taken.nbytes, 0)
                    bounds.check(0, taken.rows - taken.other_symbol)
        except MemoryError:  # pyarrow's own is an ArrowException too
            raise
        except pa.ArrowNotImplementedError as reason:  # also of a column that is not read
            raise FeedUnavailable(
                f"it holds a type that pyarrow does not read: {_of_128_bits(path) or quoted(str(reason))}",
                where,
                "leave it out, or cast it to 64 bits",
            ) from None
        except pa.ArrowException as damage:
            raise FeedCorrupt(f"the file is damaged: {quoted(str(damage))}", where, "copy or export it again") from None
    if not taken.rows:
        raise NoRows("the file holds no rows", where, "export it again")
    quotes, trades = taken.quotes.arrays(), taken.trades.arrays()
    depth = min(depth, taken.longest) if lists else depth
    levels = None if taken.levels is None else stacked_columns(taken.levels.arrays(), depth)
    if not lists and "kind" not in names:  # of others: what is converted by us is in our unit, whatever it is worth
        priced, tiny = below_a_cent([quotes["bid_px"], quotes["ask_px"]])
        if 2 * tiny > priced:
            raise FeedUnavailable(
                "its prices are integers, and as 1e-9 $ most do not reach a cent",
                where,
                "say their unit: python -m feed map FILE proposes how it is read",
            )
    check_symbols(taken.codes, symbol, where)
    if set(taken.codes) <= {""}:
        tape_symbol, notes = unnamed(symbol)
        row_labels = Labels([tape_symbol], _NO_CODES, _NO_CODES, named=False)
        return FileBlock(make_fragments(row_labels, quotes, trades, {}, notes, levels, where=where))
    symbols = sorted({name or UNNAMED for name in taken.codes})
    position = {name: at for at, name in enumerate(symbols)}
    code = np.array([position[name or UNNAMED] for name in taken.codes], np.int32)
    quote_codes, trade_codes = (
        np.concatenate([_NO_CODES, *(code[codes] for codes in parts)]) if len(symbols) > 1 else _NO_CODES
        for parts in (taken.quote_codes, taken.trade_codes)
    )
    other = taken.other_symbol
    if symbol is not None and symbol in symbols:  # rows without a symbol were taken too, in case no row has one
        other += sum(int((codes != position[symbol]).sum()) for codes in (quote_codes, trade_codes))
    ignored = {"other_symbol": other} if other else {}
    row_labels = Labels(symbols, quote_codes, trade_codes)
    fragments = make_fragments(row_labels, quotes, trades, ignored, (), levels, where=where)
    return FileBlock(tuple(each for each in fragments if symbol in {None, each.tape.symbol}), tuple(symbols))


def _no_levels(depth: int) -> GrowingColumns:
    return GrowingColumns({each: LEVEL_DTYPES[name] for name, flat in level_names(depth).items() for each in flat})


def _columns_of(schema: Arrow, where: str, depth: int) -> tuple[list[str], int, bool]:
    """Names of the columns to read, the levels of a side that may be there, up to `depth`, and whether lists hold them.

    FeedUnavailable where a column is missing, repeated, or of another type.
    """
    present = schema.names
    needed = [*QUOTE_DTYPES, *(TRADES_ONLY if "kind" in present else ())]
    wrong = [f"{name} is missing" for name in needed if name not in present]
    behind = list(zip(*level_names(depth).values(), strict=True))
    lists = [name for name in LEVEL_DTYPES if present.count(name) == 1 and _is_list(schema.field(name).type)]
    if lists and len(lists) < len(LEVEL_DTYPES):
        wrong.append(f"{', '.join(lists)} of lists, expected all or none of {', '.join(LEVEL_DTYPES)}")
    width = next((at for at, level in enumerate(behind) if lists or not {*level} <= {*present}), depth - 1)
    names = [name for name in SCHEMA.names if name in {*needed, *LABELS} and name in present]
    names += [name for level in behind[:width] for name in level]
    for name in names:
        if present.count(name) > 1:
            wrong.append(f"{name} is there more than once")
        elif not _fits(name, arrow_type := schema.field(name).type):
            wrong.append(
                f"{name} is {arrow_type}, expected {'text' if name in LABELS else _EXPECTED.get(name, 'integers')}"
            )
    if wrong:
        raise FeedUnavailable(f"columns: {'; '.join(wrong)}", where, _REMEDY)
    return names, depth if lists else 1 + width, bool(lists)


def _of_128_bits(path: Path) -> str:
    """Name the columns of 128-bit integers, as polars writes them; empty where there are none.

    pyarrow refuses them, without a name, by the schema that the writer added to the footer; without that schema they
    are columns of 16 bytes.
    """
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        file.seek(-_TAIL, os.SEEK_END)
        file.seek(-_TAIL - int.from_bytes(file.read(4), "little"), os.SEEK_END)
        footer = file.read().replace(b"ARROW:schema", b"other:schema")
    schema = pq.read_schema(pa.BufferReader(b"PAR1" + footer))
    wide = [quoted(each.name) for each in schema if _WIDE in str(each.type)]
    return f"{', '.join(wide)} of integers of 128 bits" if wide else ""


def by_code(footer: Arrow, labels: Sequence[str]) -> list[str]:
    """Name those of some columns of text that pyarrow can read as dictionary codes: those not stored as differences."""
    columns = [
        chunks.column(at)
        for chunks in map(footer.row_group, range(footer.num_row_groups))
        for at in range(chunks.num_columns)
    ]
    delta_coded = {each.path_in_schema for each in columns if any(code.startswith("DELTA") for code in each.encodings)}
    return [name for name in labels if name not in delta_coded]


def _check_declared(path: Path, footer: Arrow, names: Sequence[str], bounds: Bounds, *, whole: bool) -> None:
    """Refuse (FeedCorrupt) a file that declares too much, before any of it is unpacked.

    Rows count only where all are kept; those of one symbol are counted as they are read.
    """
    nbytes = rows = 0
    for number in range(footer.num_row_groups):
        rows += footer.row_group(number).num_rows
        bounds.check(_ROW_BYTES * rows, rows if whole else 0)
    # by the pages: nothing checks the sizes in the footer
    leaves = [footer.schema.column(at).path for at in range(footer.num_columns)]
    nested = [each for each in leaves if each not in names and each.partition(".")[0] in {*names} & {*LEVEL_DTYPES}]
    for number, name, size, values in page_bytes(path, footer, [*names, *nested]):
        group_rows = footer.row_group(number).num_rows
        if name in LABELS and bounds.held is not None and size > max(_LABELS, _LABEL * group_rows):
            raise FeedCorrupt(
                f"{name} takes {size:,} bytes of {group_rows:,} rows, expected up to {SYMBOL_BYTES} a symbol",
                bounds.where,
                "the file may be damaged; export it again",
            )
        nbytes += size if name in names else max(size, _LISTED * values)
        bounds.check(max(nbytes, _ROW_BYTES * rows), rows if whole else 0)


def _fits(name: str, arrow_type: Arrow) -> bool:
    """Whether a column's type can be read without loss."""
    if name in LABELS:
        text = arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type
        return any(is_text(text) for is_text in _TEXT)
    if name == "ts" and pa.types.is_timestamp(arrow_type):
        return arrow_type.tz is not None
    if name in LEVEL_DTYPES and _is_list(arrow_type):
        arrow_type = arrow_type.value_type
    return bool(pa.types.is_integer(arrow_type))


def _is_list(arrow_type: Arrow) -> bool:
    return any(is_one(arrow_type) for is_one in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _take(batch: Arrow, where: str, symbol: str | None, depth: int | None, taken: _Taken) -> None:
    """Take the columns of a batch, quotes and trades apart; up to a depth where they are lists."""
    listed = {} if depth is None else _listed(batch, depth, taken)
    columns = {
        name: _numbers(batch, name, where, taken) for name in batch.schema.names if name not in {*LABELS, *listed}
    }
    columns |= listed
    kinds, kind = _labels(batch, "kind", QUOTE)
    unknown = ~np.isin(kinds, (QUOTE, TRADE))[kind]
    if unknown.any():
        at = int(np.argmax(unknown))
        raise FeedCorrupt(f"{_place(taken, at)}, kind: {quoted(kinds[kind[at]])} (expected {QUOTE} or {TRADE})", where)
    symbols, which = _labels(batch, "symbol", "")
    used = np.bincount(which, minlength=len(symbols)) > 0  # a dictionary may hold unused values
    codes = np.array(
        [
            taken.codes.setdefault(name, len(taken.codes)) if in_use else -1
            for name, in_use in zip(symbols, used, strict=True)
        ],
        np.int32,
    )[which]
    one = int(codes[0]) if np.count_nonzero(used) == 1 else None
    keep = np.ones(batch.num_rows, np.bool_)
    if symbol is not None:
        keep = np.isin(codes, [taken.codes[name] for name in (symbol, "", UNNAMED) if name in taken.codes])
        taken.other_symbol += batch.num_rows - int(keep.sum())
    is_trade = np.array([each == TRADE for each in kinds], np.bool_)[kind]
    for mask, dtypes, grown, part_codes in (
        (keep & ~is_trade, QUOTE_DTYPES, taken.quotes, taken.quote_codes),
        (keep & is_trade, TRADE_DTYPES, taken.trades, taken.trade_codes),
    ):
        rows = int(np.count_nonzero(mask))
        if not rows:  # and a file of quotes alone has no columns of trades
            continue
        selected = defined({name: columns[name][mask] for name in dtypes})
        bad = out_of_bounds(selected)
        if bad is not None:
            name, row, expected = bad
            at = int(np.flatnonzero(mask)[row])
            raise FeedCorrupt(f"{_place(taken, at)}, {name}: {columns[name][at]} ({expected})", where)
        grown.extend(narrowed(selected, dtypes))
        if grown is taken.quotes and taken.levels is not None:
            taken.levels.extend(_taken_levels(columns, mask, where, taken))
        part_codes.append(codes[mask] if one is None else np.broadcast_to(np.int32(one), rows))
    taken.rows += batch.num_rows


def _listed(batch: Arrow, depth: int, taken: _Taken) -> Columns:
    """The columns that are lists as those of each level up to a depth, those of the first by the names of a tape's."""
    columns: Columns = {}
    lengths = {name: _values(pc.list_value_length(batch.column(name))).astype(np.int64) for name in LEVEL_DTYPES}
    taken.longest = max(taken.longest, *(int(each.max(initial=0)) for each in lengths.values()))
    if min(depth, taken.longest) > 1 and taken.levels is None:
        taken.levels = _no_levels(depth)
        before = np.zeros(len(taken.quotes), np.int64)
        taken.levels.extend({each: before for flat in level_names(depth).values() for each in flat})
    behind = level_names(1 if taken.levels is None else depth)
    for name, length in lengths.items():
        values, starts = _values(batch.column(name).flatten()), np.cumsum(length) - length
        for level, each in enumerate((name, *behind[name])):
            columns[each] = np.zeros(batch.num_rows, values.dtype)
            longer = length > level
            columns[each][longer] = values[starts[longer] + level]
    return columns


def _taken_levels(columns: Columns, mask: NDArray[np.bool_], where: str, taken: _Taken) -> Columns:
    """The columns of the levels behind the first, level by level, of some rows of a batch."""
    levels = {}
    for each in columns:
        name, _, number = each.rpartition("_")
        if number.isdigit():
            selected = defined({name: columns[each][mask]})
            bad = out_of_bounds(selected)
            if bad is not None:
                _, row, expected = bad
                at = int(np.flatnonzero(mask)[row])
                raise FeedCorrupt(f"{_place(taken, at)}, {each}: {columns[each][at]} ({expected})", where)
            levels[each] = narrowed(selected, LEVEL_DTYPES)[name]
    return levels


def _numbers(batch: Arrow, name: str, where: str, taken: _Taken) -> NDArray[Any]:
    """Take a column of integers; null becomes 0 where it may be null."""
    column = batch.column(name)
    if column.null_count and name not in _NULLABLE and not name[-1].isdigit():
        at = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise FeedCorrupt(f"{_place(taken, at)}, {name}: empty", where)
    if pa.types.is_timestamp(column.type):
        column = column.cast(STAMP).view(pa.int64())
        return _values(column)
    numbers = _values(column)
    if name == "ts" and ((numbers >= 0) & (numbers < NANOS_FROM)).any():
        at = int(np.argmax((numbers >= 0) & (numbers < NANOS_FROM)))
        raise FeedCorrupt(f"{_place(taken, at)}, {name}: {numbers[at]} ({no_nanoseconds(int(numbers[at]))})", where)
    return numbers


def _values(column: Arrow) -> NDArray[Any]:
    """Numbers of a column, 0 for null."""
    values: NDArray[Any] = column.fill_null(0).to_numpy(zero_copy_only=False)
    return values


def _labels(batch: Arrow, name: str, default: str) -> tuple[list[str], Int64]:
    """Texts of a column, and (N,) int64: index of each row's text; `default` for null and for a missing column."""
    if name not in batch.schema.names:
        return [default], np.zeros(batch.num_rows, np.int64)
    column = batch.column(name)
    column.validate(full=True)  # pyarrow passes on indices beyond a damaged dictionary
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = [default if text is None else text for text in column.dictionary.to_pylist()]
    which = column.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int64)
    return [*texts, default], which


def _bytes_of(column: Arrow) -> int:
    """Bytes of a column of a batch; the dictionary, which many batches share, was counted by its pages."""
    return int((column.indices if pa.types.is_dictionary(column.type) else column).nbytes)


def _place(taken: _Taken, at: int) -> str:
    return f"row {taken.rows + at + 1}"
