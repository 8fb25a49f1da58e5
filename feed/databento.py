"""Databento CSV files, the mbp-1 and mbp-10 column sets, read exactly: .csv, .csv.gz and .csv.zst.

Numbers arrive as text and leave as integers without passing through a float. Whether stamps are ISO text or integer
nanoseconds, and prices decimal dollars or integers of 1e-9 $, is decided once per file and said in the provenance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from feed.columns import NANO_PRICES_FROM, are_iso, are_nanos, beyond_nanos, instants, integers, prices, quoted
from feed.csvrows import CODECS, NULLS, Rows, check_there, open_text, read_rows
from feed.errors import FeedError, FeedUnavailable
from feed.plaincsv import read_plain
from feed.tape import Provenance, Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.columns import Text
    from feed.tape import Int64

REQUIRED = ("ts_event", "publisher_id", "sequence", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00")
OPTIONAL = ("rtype", "action", "side", "price", "size", "symbol", "instrument_id")
LABELS = ("action", "side", "symbol")
PRICES = ("bid_px_00", "ask_px_00", "price")

BOOK_RTYPES = (1, 10)
"""Databento's record types of mbp-1 and mbp-10 rows."""

PLAIN_FROM = 2**26
"""Bytes from which on a file is worth the start of a compiled reader; compressed ones count `PACKED` times."""

PACKED = 8

UNDEFINED_SIZE = 2**32 - 1
UNNAMED = "UNKNOWN"
"""The symbol of a file that names none: the same for every path, because the digest covers the symbol."""

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
        trades: their quotes stay), ``negative_numbers`` (only that side's quote, of a price or a
        size below 0: the rows stay).
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
        check_there(self.path)

    @property
    def ranges(self) -> tuple[FileRange, ...]:
        """The one range, the whole file."""
        return (FileRange(self.path, self.symbol),)

    def merge(self, blocks: Sequence[FileBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Take the one block and say where it came from."""
        (block,) = blocks
        tape = block.tape
        provenance = Provenance(
            source="file",
            place=str(self.path),
            digest=tape.digest(),
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            ignored=dict(block.ignored),
            notes=block.notes,
        )
        return ((tape, provenance),)


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
    check_there(path)
    if path.stat().st_size * (PACKED if path.suffix.lower() in CODECS else 1) >= PLAIN_FROM:
        block = _read_plain(path, symbol)
        if block is not None:
            return block
    return _read_text(path, symbol)


def _read_plain(path: Path, symbol: str | None) -> FileBlock | None:
    """Read a file in the usual form; None where `_read_text` has to read, or refuse, it."""
    try:
        with open_text(path) as stream:
            plain = read_plain(stream, NULLS)
    except (OSError, FeedError):
        return None
    if plain is None or (plain.symbol and symbol not in {None, plain.symbol}):
        return None
    if not plain.points and plain.largest < NANO_PRICES_FROM:
        return None
    if plain.instrument is not None and not plain.symbol and _several(plain.columns["venue"], plain.instrument):
        return None
    called, notes = (plain.symbol, []) if plain.symbol else _unnamed(symbol)
    notes += _forms(iso=plain.iso, nanos=not plain.points)
    ignored = {"unusable_trade": plain.unusable} if plain.unusable else {}
    return FileBlock(Tape.build(called, **plain.columns, trades=plain.trades), ignored, tuple(notes))


def _read_text(path: Path, symbol: str | None) -> FileBlock:
    where = str(path)
    rows = read_rows(path, REQUIRED, OPTIONAL, LABELS)
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
    priced = [rows.text(name) for name in PRICES if rows.has(name)]
    nanos = are_nanos(priced)
    notes += _forms(iso=iso, nanos=nanos)
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
    negative = np.any([columns[name] < 0 for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")], axis=0)
    if negative.any():
        ignored["negative_numbers"] = int(negative.sum())
    if not rows.has("symbol"):
        _refuse_several_instruments(rows, columns["venue"])
    trades = _trades(rows, columns, price, ignored)
    return FileBlock(Tape.build(symbol, **columns, trades=trades), ignored, tuple(notes))


def _trades(
    rows: Rows, columns: dict[str, Int64], price: Callable[[Text], Int64], ignored: dict[str, int]
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
    """Parse sizes; an undefined one is 0, one below 0 is -1: neither is a quote or a trade."""
    sizes = integers(text, low=-_INT64, high=_INT64, empty=0)
    sizes = np.where(sizes == UNDEFINED_SIZE, 0, np.maximum(sizes, -1))
    if len(sizes) and sizes.max() > _INT32:
        raise ValueError(f"expected a size up to {_INT32}")
    return sizes


def _keep(rows: Rows, mask: NDArray[np.bool_], ignored: dict[str, int], reason: str) -> Rows:
    if not mask.all():
        ignored[reason] = int((~mask).sum())
    return rows.keep(mask)


def _keep_symbol(rows: Rows, symbol: str | None, ignored: dict[str, int]) -> tuple[Rows, str, list[str]]:
    """Settle which symbol is read, keep its rows, and note where the file does not name it."""
    names = rows.label("symbol") if rows.has("symbol") else None
    there = sorted(pc.unique(names).to_pylist()) if names is not None else [""]
    if there == [""]:
        return rows, *_unnamed(symbol)
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


def _unnamed(symbol: str | None) -> tuple[str, list[str]]:
    """What the symbol of a file that names none is called, and the note of it."""
    called = symbol or UNNAMED
    return called, [f"the file names no symbol; its rows are taken as {quoted(called)}"]


def _forms(*, iso: bool, nanos: bool) -> list[str]:
    """Notes of what was decided about stamps and prices."""
    return [
        f"ts_event is {'ISO 8601 text' if iso else 'integer nanoseconds'}",
        f"prices are {'integers of 1e-9 $' if nanos else 'decimal dollars'}",
    ]


def _refuse_several_instruments(rows: Rows, venue: Int64) -> None:
    """Refuse two instruments of one venue: without symbols their quotes would pass for one book."""
    if not rows.has("instrument_id"):
        return
    if _several(venue, rows.parse("instrument_id", partial(integers, low=0, high=_INT64))):
        raise FeedUnavailable(
            "the file holds several instruments of one venue and no symbol column",
            str(rows.path),
            "export it with a symbol column (map_symbols), or one instrument at a time",
        )


def _several(venue: NDArray[Any], instrument: Int64) -> bool:
    """Whether a venue has several instruments."""
    if (instrument == instrument[0]).all():
        return False
    pairs = np.unique(np.stack([venue, instrument]), axis=1)
    return bool(pairs.shape[1] > len(np.unique(pairs[0])))
