"""Databento CSV files, the mbp-1 and mbp-10 column sets, read exactly: .csv, .csv.gz and .csv.zst.

Numbers arrive as text and leave as integers without passing through a float. Whether stamps are ISO text or integer
nanoseconds, and prices decimal dollars or integers of 1e-9 $, is decided once per file and said in the provenance.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from feed.columns import are_iso, are_nanos, beyond_nanos, first_bad, instants, integers, prices, quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.tape import UNDEFINED_PRICE, Provenance, Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from _typeshed import WriteableBuffer as Buffer
    from numpy.typing import NDArray

    from feed.columns import Arrow, Text
    from feed.tape import Int64

REQUIRED = ("ts_event", "publisher_id", "sequence", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00")
OPTIONAL = ("rtype", "action", "side", "price", "size", "symbol", "instrument_id")
PRICES = ("bid_px_00", "ask_px_00", "price")
LABELS = ("action", "side", "symbol")

BOOK_RTYPES = (1, 10)
"""Databento's record types of mbp-1 and mbp-10 rows."""

UNDEFINED_SIZE = 2**32 - 1
UNNAMED = "UNKNOWN"
"""The symbol of a file that names none: the same for every path, because the digest covers the symbol."""

MAX_BYTES = 16 * 2**30
"""Decompressed bytes that are read of one file."""

_NULLS = ["", "NaN", "nan", "NA", "N/A", "null", "None", str(UNDEFINED_PRICE)]
_CODECS = {".gz": "gzip", ".zst": "zstd"}
_AGGRESSOR = {"B": 1, "A": -1}
_INT16, _INT32, _INT64 = (int(np.iinfo(dtype).max) for dtype in (np.int16, np.int32, np.int64))


@dataclass(frozen=True, slots=True)
class FileBlock:
    """What a file held.

    Attributes
    ----------
    tape : Tape
    ignored : dict of str to int
        Rows left out, by reason: ``other_rtype``, ``other_symbol``, ``unusable_trade`` (only as
        trades: their quotes stay).
    notes : tuple of str
        What was decided about the format.
    """

    tape: Tape
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileRange:
    """One whole file."""

    path: Path
    symbol: str | None

    def read(self) -> FileBlock:
        """Read the file.

        Raises
        ------
        FeedUnavailable
            No such file, nothing in it, columns missing, or the symbol not settled.
        FeedCorrupt
            Damaged compression, a broken row, or a value that is no number; says line, column and value.
        """
        return read_file(self.path, self.symbol)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The plan of a Databento CSV file: one range.

    Parameters
    ----------
    path : Path
    symbol : str or None
        Which symbol to keep; may be None where the file holds one.

    Raises
    ------
    FeedUnavailable
        No such file, a directory, or an empty file.
    """

    path: Path
    symbol: str | None

    def __post_init__(self) -> None:
        _check_there(self.path)

    @property
    def ranges(self) -> tuple[FileRange, ...]:
        """The one range, the whole file."""
        return (FileRange(self.path, self.symbol),)

    def merge(self, blocks: Sequence[FileBlock]) -> tuple[Tape, Provenance]:
        """Take the one block and say where it came from."""
        (block,) = blocks
        tape = block.tape
        return tape, Provenance(
            source="file",
            place=str(self.path),
            digest=tape.digest(),
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            ignored=dict(block.ignored),
            notes=block.notes,
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a file as text, with their place in it."""

    path: Path
    table: Arrow
    index: Int64  # (N,) the row's number in the file, 0 = the first after the header, blank lines not counted

    def keep(self, mask: NDArray[np.bool_]) -> _Rows:
        return self if mask.all() else _Rows(self.path, self.table.filter(pa.array(mask)), self.index[mask])

    def has(self, *names: str) -> bool:
        return all(name in self.table.column_names for name in names)

    def text(self, name: str) -> Text:
        return self.table.column(name)

    def label(self, name: str) -> Text:
        return pc.fill_null(self.text(name).cast(pa.string()), "")

    def parse(self, name: str, parser: Callable[[Text], Int64]) -> Int64:
        """Parse a column; where a value is refused, say which."""
        text = self.text(name)
        try:
            return parser(text)
        except ValueError:
            bad = first_bad(text, parser)
        value = text[bad].as_py()
        try:
            parser(text.slice(bad, 1))
        except ValueError as reason:
            line = _line(self.path, int(self.index[bad]) + 1)
            raise FeedCorrupt(f"line {line}, column {name}: {quoted(value)} ({reason})", str(self.path)) from None
        raise AssertionError(f"{name}: a column was refused, none of its values was")  # a parser looks at each alone


def read_file(path: Path, symbol: str | None = None) -> FileBlock:
    """Read one symbol of a Databento CSV file.

    Parameters
    ----------
    path : Path
        Compressed where it ends in .gz or .zst.
    symbol : str, optional
        Which symbol, where there are several. A file without a symbol column holds one, called as asked for, or
        `UNNAMED`.

    Raises
    ------
    FeedUnavailable, FeedCorrupt
        As `FileRange.read`.
    """
    where = str(path)
    rows = _read_rows(path)
    ignored: dict[str, int] = {}
    if rows.has("rtype"):
        rtype = rows.parse("rtype", partial(integers, low=0, high=255))
        rows = _keep(rows, np.isin(rtype, BOOK_RTYPES), ignored, "other_rtype")
        if not len(rows.index):
            raise FeedUnavailable(
                f"none of its {len(rtype)} rows is a book row (rtype 1 or 10)",
                where,
                "export the schema mbp-1 or mbp-10",
            )
    rows, symbol, notes = _keep_symbol(rows, symbol, ignored)

    iso = are_iso(rows.text("ts_event"))
    notes.append(f"ts_event is {'ISO 8601 text' if iso else 'integer nanoseconds'}")
    priced = [rows.text(name) for name in PRICES if rows.has(name)]
    nanos = are_nanos(priced)
    notes.append(f"prices are {'integers of 1e-9 $' if nanos else 'decimal dollars'}")
    rounded = 0 if nanos else sum(beyond_nanos(text) for text in priced)
    if rounded:
        notes.append(f"{rounded} prices with more than nine decimals were rounded half-even")

    price = partial(prices, nanos=nanos)
    columns = {
        "ts": rows.parse("ts_event", partial(instants, iso=iso)),
        "venue": rows.parse("publisher_id", partial(integers, low=0, high=_INT16)),
        "bid_px": rows.parse("bid_px_00", price),
        "ask_px": rows.parse("ask_px_00", price),
        "bid_sz": rows.parse("bid_sz_00", _sizes),
        "ask_sz": rows.parse("ask_sz_00", _sizes),
        "sequence": rows.parse("sequence", partial(integers, low=0, high=_INT64)),
    }
    if not rows.has("symbol"):
        _refuse_several_instruments(rows, columns["venue"])
    trades = _trades(rows, columns, price, ignored)
    return FileBlock(Tape.build(symbol, **columns, trades=trades), ignored, tuple(notes))


def _trades(
    rows: _Rows, columns: dict[str, Int64], price: Callable[[Text], Int64], ignored: dict[str, int]
) -> dict[str, Int64] | None:
    if not rows.has("action", "side", "price", "size"):
        return None
    is_trade = pc.equal(rows.label("action"), "T").to_numpy()
    prints = rows.keep(is_trade)
    px = prints.parse("price", price)
    sz = prints.parse("size", _sizes)
    side = prints.label("side")
    usable = (px > 0) & (sz > 0)
    if not usable.all():
        ignored["unusable_trade"] = int((~usable).sum())
    aggressor = np.zeros(len(px), np.int64)
    for letter, sign in _AGGRESSOR.items():
        aggressor[pc.equal(side, letter).to_numpy()] = sign
    taken = {"px": px, "sz": sz, "side": aggressor}
    taken |= {name: columns[name][is_trade] for name in ("ts", "venue", "sequence")}
    return {name: column[usable] for name, column in taken.items()}


def _sizes(text: Text) -> Int64:
    """Parse sizes; a size that is undefined or not positive is 0."""
    sizes = integers(text, low=-_INT64, high=_INT64, empty=0)
    sizes = np.where((sizes < 0) | (sizes == UNDEFINED_SIZE), 0, sizes)
    if len(sizes) and sizes.max() > _INT32:
        raise ValueError(f"expected a size up to {_INT32}")
    return sizes


def _keep(rows: _Rows, mask: NDArray[np.bool_], ignored: dict[str, int], reason: str) -> _Rows:
    if not mask.all():
        ignored[reason] = int((~mask).sum())
    return rows.keep(mask)


def _keep_symbol(rows: _Rows, symbol: str | None, ignored: dict[str, int]) -> tuple[_Rows, str, list[str]]:
    """Settle which symbol is read, keep its rows, and note where the file does not name it."""
    names = rows.label("symbol") if rows.has("symbol") else None
    there = sorted(pc.unique(names).to_pylist()) if names is not None else [""]
    if there == [""]:
        called = symbol or UNNAMED
        return rows, called, [f"the file names no symbol; its rows are taken as {quoted(called)}"]
    listed = ", ".join(quoted(name) for name in there[:10])
    if len(there) > 10:
        listed += f" and {len(there) - 10} more"
    if symbol is None:
        if len(there) > 1:
            raise FeedUnavailable(
                f"the file holds {len(there)} symbols ({listed})", str(rows.path), "name one: symbol=..."
            )
        return rows, there[0], []
    if symbol not in there:
        raise FeedUnavailable(f"no rows of symbol {quoted(symbol)}", str(rows.path), f"the file holds {listed}")
    return _keep(rows, pc.equal(names, symbol).to_numpy(), ignored, "other_symbol"), symbol, []


def _refuse_several_instruments(rows: _Rows, venue: Int64) -> None:
    """Refuse two instruments of one venue: without symbols their quotes would pass for one book."""
    if not rows.has("instrument_id"):
        return
    instrument = rows.parse("instrument_id", partial(integers, low=0, high=_INT64))
    pairs = np.unique(np.stack([venue, instrument]), axis=1)
    if pairs.shape[1] > len(np.unique(pairs[0])):
        raise FeedUnavailable(
            "the file holds several instruments of one venue and no symbol column",
            str(rows.path),
            "export it with a symbol column (map_symbols), or one instrument at a time",
        )


def _check_there(path: Path) -> None:
    where = str(path)
    if path.is_dir():
        raise FeedUnavailable("it is a directory", where, "name a .csv, .csv.gz or .csv.zst file")
    if not path.is_file():
        raise FeedUnavailable("no such file", where, "check the path")
    if path.stat().st_size == 0:
        raise FeedUnavailable("the file is empty", where, "export it again")


def _read_rows(path: Path) -> _Rows:
    where = str(path)
    try:
        _check_there(path)
        names = _header(path)
        table = _read_table(path, names, threads=True)
    except PermissionError:
        raise FeedUnavailable("the file may not be read", where, "check its permissions") from None
    except (OSError, EOFError, UnicodeDecodeError) as damage:
        raise FeedCorrupt(f"the file is damaged: {quoted(str(damage))}", where, "copy or export it again") from None
    if not table.num_rows:
        raise _no_rows(path)
    return _Rows(path, table, np.arange(table.num_rows))


def _no_rows(path: Path) -> FeedUnavailable:
    return FeedUnavailable("the file holds a header and no rows", str(path), "export it again")


def _header(path: Path) -> list[str]:
    """Names of the columns that are read: the required ones, and the optional ones that are there."""
    with io.TextIOWrapper(_open(path), encoding="utf-8-sig", newline="") as lines:
        line = lines.readline(2**20)
    there = next(csv.reader([line]), [])
    missing = [name for name in REQUIRED if name not in there]
    if missing:
        raise FeedUnavailable(
            f"missing columns: {', '.join(missing)}",
            str(path),
            "expected a Databento CSV of the schema mbp-1 or mbp-10",
        )
    names = [*REQUIRED, *(name for name in OPTIONAL if name in there)]
    twice = [name for name in names if there.count(name) > 1]
    if twice:
        raise FeedUnavailable(f"columns there more than once: {', '.join(twice)}", str(path), "keep one of each")
    if not line.endswith(("\n", "\r")):
        raise _no_rows(path)
    return names


def _read_table(path: Path, names: list[str], *, threads: bool) -> Arrow:
    broken: list[pa_csv.InvalidRow] = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    label = pa.dictionary(pa.int32(), pa.string())
    try:
        with _open(path) as stream:
            return pa_csv.read_csv(
                stream,
                read_options=pa_csv.ReadOptions(use_threads=threads),
                parse_options=pa_csv.ParseOptions(invalid_row_handler=refuse),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=names,
                    column_types={name: label if name in LABELS else pa.string() for name in names},
                    null_values=_NULLS,
                    strings_can_be_null=True,
                ),
            )
    except pa.ArrowInvalid as reason:
        if threads:  # only one thread knows the number of a row
            return _read_table(path, names, threads=False)
        if not broken:
            raise FeedCorrupt(f"the file is damaged: {quoted(str(reason))}", str(path), "export it again") from None
        row = broken[-1]
        raise FeedCorrupt(
            f"line {_line(path, row.number - 1)}: {row.actual_columns} fields, expected {row.expected_columns}: "
            f"{quoted(row.text)}",
            str(path),
            "the file may be cut short; export it again",
        ) from None


def _line(path: Path, row: int) -> int:
    """Line number, from 1, of a row; row 0 is the header, blank lines are no rows."""
    with _open(path) as lines:
        filled = (number for number, line in enumerate(lines, 1) if line.strip(b"\r\n"))
        return next(islice(filled, row, None))


def _open(path: Path) -> io.BufferedReader:
    codec = _CODECS.get(path.suffix.lower())
    stream = pa.CompressedInputStream(pa.OSFile(str(path)), codec) if codec else pa.OSFile(str(path))
    return io.BufferedReader(_Bounded(stream, str(path)), 2**20)


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than `MAX_BYTES`: a small compressed file can hold any amount."""

    def __init__(self, stream: Arrow, where: str) -> None:
        self._stream, self._where, self._left = stream, where, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count: int = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise FeedCorrupt(f"more than {MAX_BYTES} bytes when decompressed", self._where, "split the file by date")
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
