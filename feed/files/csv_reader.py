"""Databento CSV files, the mbp-1 and mbp-10 column sets, read exactly: .csv, .csv.gz and .csv.zst.

Numbers turn from text into integers without passing through a float. How stamps and prices are written decides, once
per file, whether stamps are ISO text or integer nanoseconds, and prices decimal dollars or integers of 1e-9 $; the
provenance says which. The size of a number decides nothing: one that is absurd in its unit is refused.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.errors import FeedError, FeedUnavailable
from feed.files.csv_fast import read_plain
from feed.files.csv_text import Rows, read_rows
from feed.files.dbn_layouts import CONSOLIDATED_QUOTE, LAYOUTS, SCHEMAS, Layout, named
from feed.files.fragments import (
    UNDEFINED_SIZE,
    FileBlock,
    Labels,
    check_symbols,
    instruments_unnamed,
    make_fragments,
    no_book_rows,
    several_instruments,
    unnamed,
)
from feed.files.kinds import check_kind
from feed.files.streams import COMPRESSIONS, check_there, limit_of_levels, open_bytes
from feed.instants import NANOS_FROM
from feed.levels import FLAT_DTYPES, MOST_LEVELS, depth_of, level_names
from feed.options import MAX_BYTES
from feed.tables import (
    are_iso,
    are_nanos,
    below_a_cent,
    beyond_nanos,
    instants,
    integers,
    prices_kept,
    whole_numbers,
)
from feed.tape import AGGRESSORS, INT64, SHARES_LIMIT, UNNAMED, VENUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.streams import Limit
    from feed.tables import Text
    from feed.tape import Int64

REQUIRED = ("ts_event", "publisher_id", "sequence", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00")
OPTIONAL = ("rtype", "action", "side", "price", "size", "symbol", "instrument_id")
LABELS = ("action", "side", "symbol")
QUOTED = ("bid_px_00", "ask_px_00")
PRICES = (*QUOTED, "price")

CONSOLIDATED = "bid_pb_00"
"""A column that the schemas have which show the best of all venues; they have no sequence."""

ORDERS = frozenset({b"order_id", b"publisher_id", b"action", b"flags"})
"""Columns that together only the schema mbo has."""

BOOK_RTYPES = tuple(rtype for rtype, layout in LAYOUTS.items() if layout.levels)
"""Databento's record types of rows that show a book."""

PLAIN_FROM = 2**26
"""Bytes from which on a file is read by the compiled reader; compressed ones count `PACKED` times."""

PACKED = 8

HEADER_BYTES = 2**16
"""Of a header that are looked at for the levels that it names."""


def read_csv(path: Path, symbol: str | None = None, max_bytes: Limit = None, depth: int = 1) -> FileBlock:
    """Read a Databento CSV file.

    Parameters
    ----------
    path : Path
        Compressed where it ends in .gz or .zst.
    symbol : str, optional
        Which symbol; all by default. A file without a symbol column holds one, named by this, or `UNNAMED`.
    max_bytes : int or Share, optional
        Decompressed bytes that may be read; by default as many as `feed.files.streams.bounds_of` says.
    depth : int
        Levels of a side that are read at most; fewer where the file has fewer.

    Raises
    ------
    FeedUnavailable
        No such file, nothing in it, missing columns, or several instruments without names.
    FeedCorrupt
        Damaged compression, a broken row, or a value that is no number; names line, column and value.
    """
    check_there(path)
    check_kind(path, ".csv")
    max_bytes = limit_of_levels(path, max_bytes, min(depth, _depth_in(_header_of(path))))
    if path.stat().st_size * (PACKED if path.suffix.lower() in COMPRESSIONS else 1) >= PLAIN_FROM:
        block = _read_plain(path, symbol, max_bytes, depth)
        if block is not None:
            return block
    return _read_text(path, symbol, max_bytes, depth)


def _header_of(path: Path) -> bytes:
    """The line of names, or what there is of it; empty where it cannot be read: whoever reads it says what is wrong."""
    try:
        with open_bytes(path, MAX_BYTES, lines=False) as stream:
            return stream.readline(HEADER_BYTES)
    except (OSError, EOFError, ValueError):
        return b""


def _depth_in(header: bytes) -> int:
    """Levels of a side that the header may name; too many rather than too few."""
    return depth_of(name for name in FLAT_DTYPES if name.encode() in header) if b"\n" in header else MOST_LEVELS


def _read_plain(path: Path, symbol: str | None, max_bytes: Limit, depth: int = 1) -> FileBlock | None:
    """Read a file in the usual form; None where `_read_text` has to read, or refuse, it."""
    try:
        with open_bytes(path, max_bytes) as stream:
            plain = read_plain(stream, depth)
    except (OSError, FeedError):
        return None
    if plain is None or (plain.symbol and symbol not in {None, plain.symbol}):
        return None
    priced, tiny = (0, 0) if plain.points else below_a_cent([plain.columns["bid_px"], plain.columns["ask_px"]])
    if 2 * tiny > priced:
        return None
    if not plain.iso and plain.columns["ts"].min() < NANOS_FROM:
        return None
    nameless = None if plain.symbol else plain.instrument
    if nameless is not None and several_instruments(plain.columns["venue"], nameless):
        return None
    tape_symbol, notes = (plain.symbol, ()) if plain.symbol else unnamed(symbol)
    notes += _forms("ts_event", iso=plain.iso, nanos=not plain.points)
    ignored = {"unusable_trade": plain.unusable} if plain.unusable else {}
    symbols = (tape_symbol,) if plain.symbol else ()
    no_codes = np.zeros(0, np.int64)  # with one symbol nobody looks at them
    row_labels = Labels((tape_symbol,), no_codes, no_codes, named=bool(symbols))
    fragments = make_fragments(row_labels, plain.columns, plain.trades, ignored, notes, plain.levels, where=str(path))
    return FileBlock(fragments, symbols)


def _read_text(path: Path, symbol: str | None, max_bytes: Limit, depth: int = 1) -> FileBlock:
    behind = level_names(depth)
    header = _header_of(path)
    if set(header.rstrip().split(b",")) >= ORDERS:
        raise FeedUnavailable("it is of the schema mbo, which is read of DBN alone", str(path), "export DBN")
    consolidated, sampled = CONSOLIDATED.encode() in header, b"action" not in header
    required = tuple(name for name in REQUIRED if not consolidated or name != "sequence")
    optional = (*OPTIONAL, *(["ts_recv"] if sampled else []), *chain.from_iterable(behind.values()))
    rows = read_rows(path, required, optional, LABELS, max_bytes)
    width = next(
        (level for level, names in enumerate(zip(*behind.values(), strict=True)) if not rows.has(*names)), depth - 1
    )
    behind = {name: names[:width] for name, names in behind.items()}
    ignored: dict[str, int] = {}
    layout = LAYOUTS[177 if consolidated else 1]
    if rows.has("rtype"):
        rtype = rows.parse("rtype", partial(integers, low=0, high=255))
        rows = _keep(rows, np.isin(rtype, BOOK_RTYPES), ignored, "other_rtype")
        if not len(rows.index):
            kinds, counts = np.unique(rtype, return_counts=True)
            others = dict(zip(kinds.tolist(), counts.tolist(), strict=True))
            raise no_book_rows(len(rtype), named(others), SCHEMAS, str(path))
        layout = _layout_of(rows, rtype, str(path))
    stamps = "ts_recv" if layout.sampled else "ts_event"
    iso = are_iso(rows.text(stamps))
    priced = [name for name in PRICES if rows.has(name)] + behind["bid_px"] + behind["ask_px"]
    nanos = are_nanos([rows.text(name) for name in priced])
    if nanos and _mostly_below_a_cent(rows):
        raise _in_which_unit(str(path))
    names = _names(rows)
    symbols = tuple(sorted(pc.unique(names).to_pylist())) if names is not None else ()
    check_symbols(symbols, symbol, str(path))
    tape_symbol, notes = ("", ()) if symbols else unnamed(symbol)
    if symbols and symbol is not None:
        if symbol not in symbols:
            return FileBlock((), symbols)
        rows = _keep(rows, pc.equal(names, symbol).to_numpy(), ignored, "other_symbol")
        names = None
        tape_symbol = symbol
    notes += (*_forms(stamps, iso=iso, nanos=nanos), *layout.notes)
    rounded = 0 if nanos else sum(beyond_nanos(rows.text(name)) for name in priced)
    if rounded:
        notes += (f"{rounded} prices with more than nine decimals were rounded half-even",)

    price = partial(prices_kept, nanos=nanos)
    columns = {
        "ts": rows.parse(stamps, partial(instants, iso=iso)),
        "venue": rows.parse("publisher_id", partial(integers, low=0, high=VENUE_LIMIT - 1)),
        "bid_px": rows.parse("bid_px_00", price),
        "ask_px": rows.parse("ask_px_00", price),
        "bid_sz": rows.parse("bid_sz_00", _sizes),
        "ask_sz": rows.parse("ask_sz_00", _sizes),
        "sequence": np.zeros(len(rows.index), np.int64)
        if layout.consolidated
        else rows.parse("sequence", partial(integers, low=0, high=INT64)),
    }
    levels = {
        name: np.stack([rows.parse(each, price if name.endswith("px") else _sizes) for each in written], axis=1)
        for name, written in behind.items()
        if written
    }
    codes = np.zeros(len(rows.index), np.int64)
    if names is not None:
        codes = pc.index_in(names, pa.array(symbols)).to_numpy()
    labels = symbols if names is not None else (tape_symbol,)
    if rows.has("instrument_id") and (not symbols or UNNAMED in labels):
        instrument = rows.parse("instrument_id", partial(integers, low=0, high=INT64))
        nameless = codes == (labels.index(UNNAMED) if symbols else 0)
        if several_instruments(columns["venue"][nameless], instrument[nameless]):
            raise instruments_unnamed(str(path))
    trades, is_trade = _trades(rows, columns, price)
    if layout.consolidated:
        columns["venue"] = np.full(len(rows.index), CONSOLIDATED_QUOTE)
    row_labels = Labels(labels, codes, codes[is_trade], named=bool(symbols))
    fragments = make_fragments(row_labels, columns, trades, ignored, notes, levels or None, where=str(path))
    return FileBlock(fragments, symbols)


def _names(rows: Rows) -> Text | None:
    """Symbols of the rows, `UNNAMED` where a row has none; None where no row has any."""
    if not rows.has("symbol"):
        return None
    names = rows.label("symbol")
    nameless = pc.equal(names, "")
    if not pc.any(nameless).as_py():
        return names
    return None if pc.all(nameless).as_py() else pc.if_else(nameless, UNNAMED, names)


def _trades(
    rows: Rows, columns: dict[str, Int64], price: Callable[[Text], Int64]
) -> tuple[dict[str, Int64] | None, NDArray[np.bool_]]:
    """Return the trades, also unusable ones, and (N,) bool: which rows hold them."""
    if not rows.has("action", "side", "price", "size"):
        return None, np.zeros(len(rows.index), np.bool_)
    is_trade = pc.equal(rows.label("action"), "T").to_numpy()
    prints = rows.keep(is_trade)
    side = prints.label("side")
    aggressor = np.zeros(len(prints.index), np.int64)
    for letter, sign in AGGRESSORS.items():
        aggressor[pc.equal(side, letter).to_numpy()] = sign
    trades = {"px": prints.parse("price", price), "sz": prints.parse("size", _sizes), "side": aggressor}
    return trades | {name: columns[name][is_trade] for name in ("ts", "venue", "sequence")}, is_trade


def _mostly_below_a_cent(rows: Rows) -> bool:
    """Whether most quotes, taken as 1e-9 $, are below a cent."""
    priced, tiny = below_a_cent([whole_numbers(rows.text(name)) for name in QUOTED])
    return 2 * tiny > priced


def _in_which_unit(where: str) -> FeedUnavailable:
    """Ask for the unit of whole numbers: dollars without decimals would become prices a billion times too low."""
    return FeedUnavailable(
        "its prices are whole numbers, and as 1e-9 $, Databento's unit, most do not reach a cent",
        where,
        "are they dollars? write decimals (222.0); if they are 1e-9 $, export decimals (pretty_px) or DBN",
    )


def _sizes(text: Text) -> Int64:
    """Parse sizes; undefined becomes 0, below 0 becomes -1: neither is a quote or a trade."""
    sizes = integers(text, low=-INT64, high=INT64, empty=0)
    sizes = np.where(sizes == UNDEFINED_SIZE, 0, np.maximum(sizes, -1))
    if len(sizes) and sizes.max() >= SHARES_LIMIT:
        raise ValueError(f"expected a size up to {SHARES_LIMIT - 1}")
    return sizes


def _keep(rows: Rows, mask: NDArray[np.bool_], ignored: dict[str, int], reason: str) -> Rows:
    if not mask.all():
        ignored[reason] = int((~mask).sum())
    return rows.keep(mask)


def _layout_of(rows: Rows, rtype: Int64, where: str) -> Layout:
    """What the rows are, which are of one family; `rtype` is that of all rows of the file."""
    kinds, firsts = np.unique(rtype[rows.index], return_index=True)
    first, *others = sorted(zip(firsts.tolist(), kinds.tolist(), strict=True))
    layout = LAYOUTS[first[1]]
    for at, kind in others:
        if LAYOUTS[kind].family != layout.family:
            raise FeedUnavailable(
                f"row {int(rows.index[at]) + 1} is of {LAYOUTS[kind].schema}, row {int(rows.index[first[0]]) + 1} of "
                f"{layout.schema}: they would show one book twice",
                where,
                "write one of these schemas to a file",
            )
    if layout.sampled and not rows.has("ts_recv"):
        raise FeedUnavailable("missing columns: ts_recv", where, f"rows of {layout.schema} show the book at that stamp")
    return layout


def _forms(stamps: str, *, iso: bool, nanos: bool) -> tuple[str, ...]:
    """Notes on how stamps and prices are read."""
    return (
        f"{stamps} is {'ISO 8601 text' if iso else 'integer nanoseconds'}",
        f"prices are {'integers of 1e-9 $' if nanos else 'decimal dollars'}",
    )
