"""Databento's binary encoding (DBN), the schemas mbp-1, tbbo and mbp-10: .dbn and .dbn.zst.

The library databento-dbn decodes the metadata; records are read in bulk, as views of their bytes. They hold what the
CSV of the same data holds, and the same rules read them, so both give the same tape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.files.dbn_symbols import LOW, MAPPING, Mapping, Names, keys_of, mapping_of, received, spans_of
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
from feed.files.streams import bounds_of, check_there, damage_reported, limit_of_levels, open_bytes
from feed.levels import LEVEL_DTYPES, MOST_LEVELS, Levels, join_levels, level_names
from feed.tape import AGGRESSORS, QUOTE_DTYPES, TRADE_DTYPES, UNNAMED, by_label

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.fragments import Columns
    from feed.files.streams import Limit
    from feed.tape import Int64

METADATA_TIMES = 8
"""Memory of the metadata once its mappings are in use, in multiples of its bytes."""

HELD_MAPPING = 768
"""Bytes of memory that a mapping record takes."""

BLOCK = 2**22
"""Bytes of records that are read together."""

VERSIONS = (1, 2, 3)
"""Versions of the encoding; the records of these schemas are the same in all."""

RECORD_BYTES = {1: 80, 10: 368}
"""Minimum bytes of a record of mbp-1 (and tbbo) and of mbp-10, by rtype; a stamp may follow."""

RECORD_FIELDS = {
    "length": ("u1", 0),  # in words of four bytes
    "rtype": ("u1", 1),
    "publisher_id": ("<u2", 2),
    "instrument_id": ("<u4", 4),
    "ts_event": ("<u8", 8),
    "price": ("<i8", 16),
    "size": ("<u4", 24),
    "action": ("S1", 28),
    "side": ("S1", 29),
    "ts_recv": ("<u8", 32),
    "sequence": ("<u4", 44),
    "bid_px_00": ("<i8", 48),
    "ask_px_00": ("<i8", 56),
    "bid_sz_00": ("<u4", 64),
    "ask_sz_00": ("<u4", 68),
}
"""Type and offset of the fields that are read of a book record."""

LEVEL_FIELDS = {
    f"{name}_{level:02}": (kind, 48 + 32 * level + offset)
    for level in range(1, MOST_LEVELS)
    for name, kind, offset in (("bid_px", "<i8", 0), ("ask_px", "<i8", 8), ("bid_sz", "<u4", 16), ("ask_sz", "<u4", 20))
}
"""The same of the levels behind the first, which a record of mbp-10 has."""

_HEADER = 16
_METADATA_LEAST, _METADATA = 104, 2**26
_QUOTES = {
    "ts": "ts_event",
    "venue": "publisher_id",
    "bid_px": "bid_px_00",
    "ask_px": "ask_px_00",
    "bid_sz": "bid_sz_00",
    "ask_sz": "ask_sz_00",
    "sequence": "sequence",
}


@dataclass(slots=True)
class _Taken:
    """Columns of the records taken so far."""

    quotes: list[Columns] = field(default_factory=list)
    trades: list[Columns] = field(default_factory=list)
    codes: list[Int64] = field(default_factory=list)
    trade_codes: list[Int64] = field(default_factory=list)
    keys: list[Int64] = field(default_factory=list)
    depth: int = 1
    levels: list[tuple[int, Levels | None]] = field(default_factory=list)  # of so many records
    deep: bool = False
    records: int = 0
    books: int = 0
    other_rtype: int = 0
    other_symbol: int = 0


@dataclass(slots=True)
class _Block:
    """Book records, each with its first byte in the file and its number among all records; mapping records."""

    first_byte: Int64
    number: Int64
    mappings: list[Mapping]
    records: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def place(self, at: int) -> str:
        """Place of a record, for a message."""
        return f"record {self.number[at]} (byte {self.first_byte[at]})"


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
    with damage_reported(path), open_bytes(path, max_bytes, lines=False) as stream:
        names, version, note, start = _metadata(stream, where)
        taken = _Taken(depth=depth)
        for block in _blocks(stream, version, start, where, taken):
            _take(block, where, names, symbol, taken)
            held_names = METADATA_TIMES * start + HELD_MAPPING * names.mappings
            (of_levels if taken.deep else bounds).check(0, sum(map(len, taken.codes)), held_names)
    if not taken.records:
        raise NoRows("the file holds no records", where, "export it again")
    if not taken.books:
        raise no_book_rows(taken.records, where)
    codes, trade_codes = _joined(taken.codes), _joined(taken.trade_codes)
    quotes = {name: _joined([part[name] for part in taken.quotes]) for name in QUOTE_DTYPES}
    trades = {name: _joined([part[name] for part in taken.trades]) for name in TRADE_DTYPES}
    levels = join_levels(taken.levels)
    if not names.named:
        tape_symbol, notes = unnamed(symbol)
        if several_instruments(quotes["venue"], _joined(taken.keys) & LOW):
            raise instruments_unnamed(where)
        labels = Labels([tape_symbol], codes, trade_codes, named=False)
        return FileBlock(make_fragments(labels, quotes, trades, _ignored(taken), (*notes, note), levels, where=where))
    symbols = tuple(sorted(names.codes))
    check_symbols(symbols, symbol, where)
    keys, in_doubt = _joined(taken.keys), names.in_doubt()
    order, starts = by_label(codes, len(names.codes))
    for code, name in enumerate(names.codes):
        if (name == UNNAMED or code in in_doubt) and symbol in {None, name}:
            rows = order[starts[code] : starts[code + 1]]
            venue_and_day = quotes["venue"][rows] + (0 if name == UNNAMED else (keys[rows] >> 32) << 16)
            if several_instruments(venue_and_day, keys[rows] & LOW):
                raise instruments_unnamed(where) if name == UNNAMED else _ambiguous(name, where)
    if symbol is not None:  # unnamed rows were taken too, until one was named
        taken.other_symbol += int((codes != names.codes.get(symbol, -1)).sum())
    labels = Labels(list(names.codes), codes, trade_codes)
    fragments = make_fragments(labels, quotes, trades, _ignored(taken), (*names.notes, note), levels, where=where)
    return FileBlock(tuple(each for each in fragments if symbol in {None, each.tape.symbol}), symbols)


def _ignored(taken: _Taken) -> dict[str, int]:
    counts = {"other_rtype": taken.other_rtype, "other_symbol": taken.other_symbol}
    return {reason: count for reason, count in counts.items() if count}


def _ambiguous(name: str, where: str) -> FeedUnavailable:
    return FeedUnavailable(
        f"symbol {quoted(name)} stands for several instruments of one venue on one day, which are no one book",
        where,
        "export it by raw symbols (stype_in raw_symbol)",
    )


def library(where: str) -> Any:  # noqa: ANN401 - it brings types of its own, and may be absent
    """Import databento-dbn, or say how to install it (FeedUnavailable)."""
    try:
        import databento_dbn
    except ImportError:
        raise FeedUnavailable(
            "DBN needs the library databento-dbn, which is not installed", where, "pip install 'sor-sweep[dbn]'"
        ) from None
    return databento_dbn


def _metadata(stream: io.BufferedReader, where: str) -> tuple[Names, int, str, int]:
    """Read the metadata: symbols, version, a note on the format, and its length in bytes."""
    dbn = library(where)
    head = stream.read(8)
    if not b"DBN".startswith(head[:3]):
        raise FeedCorrupt(f"it does not begin as DBN: {head!r}", where, "name a DBN file with its metadata")
    if len(head) < 8:
        raise _cut_short(where, f"inside its metadata, at byte {len(head)}")
    version, length = head[3], int.from_bytes(head[4:], "little")
    if version not in VERSIONS:
        raise FeedUnavailable(f"DBN version {version}, this reader knows {VERSIONS[0]} to {VERSIONS[-1]}", where)
    if not _METADATA_LEAST <= length <= _METADATA:  # the library panics on some that are too short
        raise FeedCorrupt(f"{length} bytes of metadata, expected {_METADATA_LEAST} to {_METADATA}", where)
    body = stream.read(length)
    if len(body) < length:
        raise _cut_short(where, f"inside its metadata, at byte {len(head) + len(body)}")
    try:
        metadata = dbn.Metadata.decode(head + body)
        spans = spans_of(metadata, dbn.SType.INSTRUMENT_ID)
    except (dbn.DBNError, ValueError) as error:
        raise FeedCorrupt(f"its metadata is damaged: {quoted(str(error))}", where, "download it again") from None
    note = f"DBN version {version}, schema {metadata.schema or 'mixed'}"
    return Names(spans), version, note, len(head) + length


def _blocks(stream: io.BufferedReader, version: int, start: int, where: str, taken: _Taken) -> Iterator[_Block]:
    """Yield the book and mapping records, block of bytes after block, and count all records."""
    rest = b""
    while chunk := stream.read(BLOCK):
        data = rest + chunk
        size = 4 * data[0]
        whole = len(data) // size if size >= _HEADER else 0
        values = np.frombuffer(data, np.uint8)
        # if each step of that size meets the same length, all whole records have it
        alike = whole and bool((values[: whole * size : size] == size // 4).all())
        offsets = np.arange(whole) * size if alike else np.zeros(0, np.int64)
        tail = _walk(data, whole * size if alike else 0, start, where, taken.records + len(offsets))
        if len(tail):
            offsets, alike = np.concatenate([offsets, tail]), False
        end = int(offsets[-1]) + 4 * data[offsets[-1]] if len(offsets) else 0
        book = np.isin(values[offsets + 1], list(RECORD_BYTES))
        mapping_rows = np.flatnonzero(values[offsets + 1] == MAPPING)
        mappings = [
            mapping_of(data[at : at + 4 * data[at]], version, number, f"record {number} (byte {at + start})", where)
            for at, number in zip(
                offsets[mapping_rows].tolist(), (mapping_rows + taken.records + 1).tolist(), strict=True
            )
        ]
        block = _Block(offsets[book] + start, np.flatnonzero(book) + taken.records + 1, mappings)
        for rtype, least in RECORD_BYTES.items():
            short = (values[offsets[book] + 1] == rtype) & (values[offsets[book]] < least // 4)
            if short.any():
                at = int(np.argmax(short))
                raise FeedCorrupt(
                    f"{block.place(at)}: {4 * data[offsets[book][at]]} bytes, expected {least} of rtype {rtype}",
                    where,
                    "the file is damaged; download it again",
                )
        if alike and book.all():
            block.records = np.ndarray(whole, record_dtype(size), data)
        else:
            block.records = _gathered(values, offsets[book], taken.depth)
        taken.records += len(offsets)
        taken.books += len(block.records)
        taken.other_rtype += len(offsets) - len(block.records) - len(mappings)
        yield block
        start += end
        rest = data[end:]
    if rest:
        raise _cut_short(where, f"inside record {taken.records + 1} (byte {start})")


def _walk(data: bytes, at: int, start: int, where: str, before: int) -> Int64:
    """Go from record to record; return the first byte of each whole one."""
    starts: list[int] = []
    while at < len(data):
        size = 4 * data[at]
        if size < _HEADER:
            raise FeedCorrupt(
                f"record {before + len(starts) + 1} (byte {start + at}) says it takes {size} bytes, less than a header",
                where,
                "the file is damaged; download it again",
            )
        if at + size > len(data):
            break
        starts.append(at)
        at += size
    return np.array(starts, np.int64)


def _gathered(values: NDArray[np.uint8], offsets: Int64, depth: int) -> NDArray[Any]:
    """Copy book records out of bytes that hold others too; of mbp-1 what lies behind its end is 0, no level."""
    deep = depth > 1 and bool((values[offsets + 1] == 10).any())
    size = RECORD_BYTES[10 if deep else 1]
    copied = np.zeros((len(offsets), size), np.uint8)
    for rtype, least in RECORD_BYTES.items():
        of_type = values[offsets + 1] == rtype
        width = min(least, size)
        copied[of_type, :width] = values[offsets[of_type][:, None] + np.arange(width)]
    return copied.view(record_dtype(size)).reshape(-1)


def record_dtype(size: int) -> np.dtype[Any]:
    """The fields of a book record of some bytes; with the levels behind the first where there is room for them."""
    fields = RECORD_FIELDS | (LEVEL_FIELDS if size >= RECORD_BYTES[10] else {})
    formats, offsets = zip(*fields.values(), strict=True)
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": size})


def _levels_of(block: _Block, records: NDArray[Any], at: Int64, where: str, depth: int) -> Levels | None:
    """The levels behind the first of records; 0 of those that have no more, and None where none has."""
    deep = records["rtype"] == 10
    if depth == 1 or not deep.any():
        return None
    levels = {
        name: np.stack([defined({name: np.where(deep, records[each], 0)})[name] for each in names], axis=1)
        for name, names in level_names(depth).items()
    }
    for level in range(depth - 1):
        bad = out_of_bounds({name: column[:, level] for name, column in levels.items()})
        if bad is not None:
            name, row, expected = bad
            value = levels[name][row, level]
            raise FeedCorrupt(f"{block.place(int(at[row]))}, {name}_{level + 1:02}: {value} ({expected})", where)
    return Levels(**{name: column.astype(LEVEL_DTYPES[name]) for name, column in levels.items()})


def _take(block: _Block, where: str, names: Names, symbol: str | None, taken: _Taken) -> None:
    """Take the columns of a block's book records."""
    records, stamps = block.records, received(block.records)
    mapped = names.mapped_codes(block.mappings, records["instrument_id"], block.number, stamps)
    keys = keys_of(records, stamps)
    codes, at = names.label(keys, mapped, symbol, where)
    if symbol is not None:
        taken.other_symbol += len(records) - len(at)
    if len(at) != len(records):
        records, keys = records[at], keys[at]
    quotes = defined({name: records[column] for name, column in _QUOTES.items()})
    is_trade = records["action"] == b"T"
    prints = records[is_trade]
    side = np.zeros(len(prints), np.int64)
    for letter, sign in AGGRESSORS.items():
        side[prints["side"] == letter.encode()] = sign
    trades = defined({"px": prints["price"], "sz": prints["size"]})
    trades |= {name: quotes[name][is_trade] for name in ("ts", "venue", "sequence")} | {"side": side}
    for columns, places in ((quotes, at), (trades, at[is_trade])):
        bad = out_of_bounds(columns)
        if bad is not None:
            name, row, expected = bad
            raise FeedCorrupt(f"{block.place(int(places[row]))}, {name}: {columns[name][row]} ({expected})", where)
    levels = _levels_of(block, records, at, where, taken.depth)
    taken.levels.append((len(records), levels))
    taken.deep |= levels is not None
    taken.quotes.append({name: column.astype(QUOTE_DTYPES[name]) for name, column in quotes.items()})
    taken.trades.append({name: column.astype(TRADE_DTYPES[name]) for name, column in trades.items()})
    taken.codes.append(codes)
    taken.trade_codes.append(codes[is_trade])
    taken.keys.append(keys)


def _cut_short(where: str, place: str) -> FeedCorrupt:
    return FeedCorrupt(f"the file is cut short {place}", where, "download it again")


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts)
