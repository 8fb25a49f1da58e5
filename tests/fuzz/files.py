"""What comes out of files: CSV both ways, compressed CSV, DBN, Parquet."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
import zlib
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from databento_dbn import DBNError, Metadata, Schema

from feed.errors import FeedCorrupt, FeedError
from feed.files import csv_fast, csv_reader, dbn_reader, parquet
from feed.files.csv_writer import write_csv
from feed.files.dbn_layouts import mbo_dtype
from feed.files.dbn_writer import write_dbn
from feed.files.fragments import FileBlock
from feed.files.parquet import write_parquet
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape, same
from tests.fuzz.mutations import packed, unpacked
from tests.fuzz.oracles import (
    UnsureError,
    assert_line,
    assert_same,
    assert_whole,
    bare,
    bounded_memory,
    built,
    plain_csv,
)
from tests.support.dbnfile import (
    AAPL,
    TS,
    consolidated_record,
    csv_of,
    live_metadata,
    mapping_record,
    metadata,
    order_record,
    record,
    sampled_record,
    trade_record,
)
from tests.support.plain_orders import plain_rows

MIB = 2**20
SMALL = 4 * MIB
"""Decompressed bytes that a read may take in."""


@cache
def folder():
    """A folder of this process, in memory where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - a place to write, made new and removed
    made = Path(tempfile.mkdtemp(prefix="sor-sweep-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def put(data, ending):
    path = folder() / f"day{ending}"
    path.write_bytes(data)
    return path


def outcome(read, *arguments):
    """What a reader gives, or the error that it says."""
    try:
        return read(*arguments)
    except FeedError as error:
        assert_line(error)
        return bare(error)


def carried(tape):
    """The same quotes with trades that rows carry, as Databento's files have them."""
    trades = {name: getattr(tape.trades, name) for name in TRADE_DTYPES}
    rows = np.linspace(0, tape.rows - 1, min(tape.rows, len(tape.trades.ts))).astype(int)
    rows = np.unique(rows)
    prints = {name: trades[name][: len(rows)] for name in ("px", "sz", "side")}
    prints |= {name: getattr(tape, name)[rows] for name in ("ts", "venue", "sequence")}
    return Tape.build(tape.symbol, **{name: getattr(tape, name) for name in QUOTE_DTYPES}, trades=prints)


def written(write, tape, ending):
    path = folder() / f"again{ending}"
    write(tape, path)
    return path.read_bytes()


def csv_files(tape):
    """A tape as CSV: as it is written, with stamps and prices as integers, and without all that is optional."""
    text = written(write_csv, carried(tape), ".csv")
    yield text
    lines = [line.split(b",") for line in text.splitlines()]
    header = lines[0]
    needed = [at for at, name in enumerate(header) if name.decode() in csv_reader.REQUIRED]
    yield b"".join(b",".join(line[at] for at in needed) + b"\n" for line in lines)
    stamps = [header.index(name) for name in (b"ts_recv", b"ts_event")]
    priced = [at for at, name in enumerate(header) if name.decode() in csv_reader.PRICES]
    for row, ts in zip(lines[1:], tape.ts.tolist(), strict=True):
        for at in stamps:
            row[at] = str(ts).encode()
        for at in priced:
            row[at] = row[at].replace(b".", b"").lstrip(b"0") or b"9223372036854775807"
    yield b"\n".join(b",".join(line) for line in lines)


def check_plain(data):
    """Where the compiled reader takes a file, the other one reads the same; whether it took it."""
    path = put(data, ".csv")
    with patch.object(csv_fast, "BLOCK", 1024):
        plain = csv_reader._read_plain(path, None, SMALL)
    if plain is None:
        return False
    text = outcome(csv_reader._read_text, path, None, SMALL)
    assert isinstance(text, FileBlock), f"it takes what the other one refuses: {text}"
    assert_same(plain.tape, text.tape, "compiled and text")
    assert plain.symbols == text.symbols
    (one,), (other,) = plain.fragments, text.fragments
    assert (one.ignored, one.notes, one.named) == (other.ignored, other.notes, other.named)
    return True


def check_csv(data, ending=".csv"):
    """What is read is what a plain second reading gives, and no other way to ask gives another tape."""
    path = put(data, ending)
    text = outcome(csv_reader._read_text, path, None, SMALL)
    if not isinstance(text, FileBlock):
        return False
    check_block(text)
    if ending == ".csv":
        try:
            expected = plain_csv(data)
        except UnsureError:
            expected = None
        if expected is not None:
            assert_same_tapes(text, expected, "read plainly")
        assert isinstance(outcome(csv_reader._read_text, path, None, len(data) - 1), FeedCorrupt), "the bound of bytes"
    for symbol in text.symbols[:2]:
        chosen = outcome(csv_reader._read_text, path, symbol, SMALL)
        of_all = [each.tape for each in text.fragments if each.tape.symbol == symbol]
        assert [each.tape for each in chosen.fragments] == of_all or all(
            same(one, other) for one, other in zip([each.tape for each in chosen.fragments], of_all, strict=True)
        ), f"symbol {symbol!r} asked for"
    return True


def assert_same_tapes(block, expected, what):
    decoded = {each.tape.symbol: each.tape for each in block.fragments}
    assert set(decoded) == set(expected), f"{what}: symbols {sorted(expected)}"
    for symbol, tape in expected.items():
        assert_same(decoded[symbol], tape, what)


def check_block(block):
    """Every fragment is whole, and comes back from what it is written to."""
    names = [each.tape.symbol for each in block.fragments]
    assert names == sorted(set(names))
    for fragment in block.fragments:
        tape = fragment.tape
        assert_whole(tape)
        assert tape.rows or len(tape.trades.ts) or fragment.ignored
        assert all(count > 0 for count in fragment.ignored.values())
        assert all(note.isprintable() for note in fragment.notes)
    filled = [each.tape for each in block.shown().fragments if each.tape.rows or len(each.tape.trades.ts)]
    if 0 < len(filled) <= 3 and zlib.crc32(filled[0].ts.tobytes()) % 4 == 0:  # it takes its time
        path = folder() / "again.parquet"
        write_parquet(filled, path)
        again = parquet.read_parquet(path, depth=max(each.depth for each in filled)).shown()
        for one, other in zip(filled, again.fragments, strict=True):
            assert_same(one.shown(), other.tape.shown(), "through Parquet")


def packed_files(codec):
    """CSV, compressed."""
    return lambda tape: (packed(text, codec) for text in csv_files(tape))


def check_gzip(data):
    """What is read of a .gz is what zlib finds in it, all of it."""
    return check_packed(data, ".csv.gz", plain_gzip(data))


def plain_gzip(data):
    """Members one after the other; None where one is damaged, or cut short."""
    plain, rest = b"", data
    try:
        while rest:
            member = zlib.decompressobj(31)
            plain += member.decompress(rest, SMALL)
            if not member.eof:
                return None
            rest = member.unused_data.lstrip(b"\0")  # padding
    except zlib.error:
        return None
    return plain


def check_zstd(data):
    """What is read of a .zst is what Arrow finds in it at once, all of it."""
    return check_packed(data, ".csv.zst", unpacked(data, "zstd", SMALL))


def check_packed(data, ending, plain):
    """A compressed file gives the tape of what is in it; one that is cut short gives none."""
    with bounded_memory(64 * MIB):
        if not check_csv(data, ending):
            return False
    path = folder() / f"day{ending}"
    block = csv_reader.read_csv(path, None, SMALL)
    assert plain is not None, "read although it is damaged or cut short"
    assert_same_tapes(
        csv_reader.read_csv(put(plain, ".csv"), None, SMALL),
        {each.tape.symbol: each.tape for each in block.fragments},
        "decompressed before",
    )
    for cut in (1, 4, 8, len(data) // 3):
        short = outcome(csv_reader.read_csv, put(data[:-cut], ending), None, SMALL)
        if isinstance(short, FileBlock):  # what was cut off held nothing
            assert [each.tape.digest() for each in short.fragments] == [
                each.tape.digest() for each in block.fragments
            ], f"cut short by {cut} bytes"
    return True


def dbn_files(tape):
    """A tape as DBN, and what the library makes of a few records of both schemas."""
    yield written(write_dbn, carried(tape), ".dbn")
    rows = [record(1, action="T"), record(1, side="N"), record(1, sequence=1, ts_event=TS + 5)]
    yield metadata(AAPL) + b"".join(rows)
    yield metadata(version=1) + b"".join(rows)
    yield metadata(AAPL, version=2) + record(10) + trade_record() + record(10, bid_px=0)
    for version in (1, 3):
        remapped = mapping_record(38, "AAPL", "AAPL", version), rows[0], mapping_record(38, "MSFT", "MSFT", version)
        yield live_metadata(version) + b"".join([*remapped, *rows])


def schema_files(tape):
    """A few of a tape's rows as records that show the best bid and ask now and then, or over all venues."""
    for schema, make in (
        (Schema.BBO_1S, lambda **row: sampled_record(195, **row)),
        (Schema.BBO_1M, lambda **row: sampled_record(196, **row)),
        (Schema.CBBO_1S, lambda **row: consolidated_record(192, **row)),
        (Schema.CMBP_1, consolidated_record),
        (Schema.TCBBO, lambda **row: consolidated_record(194, **row)),
    ):
        records = [make(**row) for row in rows_of_dbn(tape)] or [make()]
        yield metadata(AAPL, schema=schema) + b"".join(records)
        yield live_metadata() + mapping_record(38, "AAPL") + records[0] + mapping_record(38, "MSFT") + records[-1]


def rows_of_dbn(tape):
    """Rows of a tape as the fields of records."""
    for at in range(min(tape.rows, 8)):
        sides = {
            f"{side}_{part}": int(getattr(tape, f"{side}_{part}")[at])
            for side in ("bid", "ask")
            for part in ("px", "sz")
        }
        yield sides | {"ts_event": int(tape.ts[at]), "publisher_id": int(tape.venue[at]) % 2**15, "ts_recv": TS + at}


def order_files(tape):
    """A tape's quotes as orders: each replaces the one before it, at times by a cancel and an add."""
    records = [{"action": "R", "side": "N"}]
    for at, row in enumerate(rows_of_dbn(tape)):
        where = {name: row[name] for name in ("ts_event", "publisher_id", "ts_recv")}
        for number, (side, letter) in enumerate((("bid", "B"), ("ask", "A"))):
            order = where | {"order_id": number + at // 3, "side": letter, "flags": 128 * number}
            order |= {"price": row[f"{side}_px"], "size": row[f"{side}_sz"]}
            records += [order | {"action": action} for action in ("A", "M", "TC")[at % 3]]
    yield metadata(AAPL, schema=Schema.MBO) + b"".join(order_record(**each) for each in records)
    snapshot = [order_record(**each | {"flags": 32 + each.get("flags", 0)}) for each in records[:9]]
    yield live_metadata(1) + mapping_record(38, "AAPL", "AAPL", 1) + b"".join(snapshot) + order_record(action="C")


def check_orders(data):
    """What is read of orders is what a dict of them, added up anew after each event, shows."""
    with bounded_memory(64 * MIB):
        block = outcome(dbn_reader.read_dbn, put(data, ".dbn"), None, SMALL, 3)
        if not isinstance(block, FileBlock):
            return False
        check_block(block)
    start = 8 + int.from_bytes(data[4:8], "little")
    body = data[start:]
    if len(body) % 56 or set(body[::56]) != {14} or set(body[1::56]) != {160}:
        return bool(block.fragments)
    records = [dict(zip(mbo_dtype(56).names, row, strict=True)) for row in np.frombuffer(body, mbo_dtype(56)).tolist()]
    for each in records:
        each["action"], each["side"] = chr(each["action"]), chr(each["side"])
    rows, counts = plain_rows(records, 3)
    if sum(each.tape.rows for each in block.fragments) > len(rows):
        return True  # of several names of an instrument each is a tape
    expected = []
    for at, sides in rows:
        record = records[at]
        stamp = record["ts_recv" if record["flags"] & 32 else "ts_event"]
        expected.append((stamp, record["publisher_id"], record["sequence"], *map(ended, sides)))
    seen = [row for fragment in block.fragments for row in shown_rows(fragment.tape)]
    assert sorted(seen) == sorted(expected), "a dict of orders shows other levels"
    for fragment in block.fragments:
        assert fragment.ignored.get("unknown_order", 0) == counts["unknown_order"]
        assert fragment.ignored.get("unusable_order", 0) == counts["unusable_order"]
    return True


def ended(levels):
    """Levels up to the first that is no quote."""
    quoted = [price > 0 and size > 0 for price, size in levels]
    count = quoted.index(False) if False in quoted else len(quoted)
    return tuple(levels[:count])


def shown_rows(tape):
    """Rows of a tape: instant, venue, sequence, and the levels of each side."""
    columns = [getattr(tape, name).tolist() for name in ("ts", "venue", "sequence")]
    sides = []
    for side in ("bid", "ask"):
        parts = [
            np.column_stack(
                [getattr(tape, f"{side}_{part}"), *([getattr(tape.levels, f"{side}_{part}")] if tape.levels else [])]
            )
            for part in ("px", "sz")
        ]
        pairs = (zip(px, sz, strict=True) for px, sz in zip(*(part.tolist() for part in parts), strict=True))
        sides.append([ended(list(each)) for each in pairs])
    return list(zip(*columns, *sides, strict=True))


def check_dbn(data, ending=".dbn"):
    """What is read of DBN is what the library finds in it."""
    with bounded_memory(64 * MIB):
        path = put(data, ending)
        block = outcome(dbn_reader.read_dbn, path, None, SMALL)
        if not isinstance(block, FileBlock):
            return False
        check_block(block)
    if ending == ".dbn":
        assert isinstance(outcome(dbn_reader.read_dbn, path, None, len(data) - 1), FeedCorrupt), "the bound of bytes"
        check_against_library(data, block)
    for symbol in block.symbols[:2]:
        chosen = outcome(dbn_reader.read_dbn, path, symbol, SMALL)
        of_all = [each.tape for each in block.fragments if each.tape.symbol == symbol]
        its = [each.tape for each in chosen.fragments] if isinstance(chosen, FileBlock) else []
        assert [each.digest() for each in its] == [each.digest() for each in of_all], f"symbol {symbol!r} asked for"
    return True


def check_against_library(data, block):
    """Where the library makes a CSV of all records, that CSV is the same."""
    start = 8 + int.from_bytes(data[4:8], "little")
    body = data[start:]
    header = Metadata.decode(data[:start])
    if len(body) % 80 or set(body[::80]) != {20} or len(set(body[1::80])) != 1 or header.ts_out:
        return  # it gives up at records of another schema, and at stamps that are promised and not there
    if header.stype_in == header.stype_out:
        return  # it takes the mapping's keys for names all the same; here nothing is named then
    if b"\xff" * 8 in {body[at + 32 : at + 40] for at in range(0, len(body), 80)}:
        return  # without ts_recv it gives a record no symbol; here ts_event says the day
    if sum(each.tape.rows for each in block.fragments) > len(body) // 80:
        return  # of several names of an instrument it takes one; here each is a tape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = csv_of(data, has_metadata=True, map_symbols=True)
    except (DBNError, ValueError, OSError):
        return
    its = outcome(csv_reader._read_text, put(text, ".csv"), None, 64 * MIB)
    if isinstance(its, FileBlock):
        assert_same_tapes(block, {each.tape.symbol: each.tape for each in its.fragments}, "as the library reads it")


def parquet_files(tape):
    """A tape as Parquet; quotes alone; two symbols."""
    path = folder() / "again.parquet"
    other = Tape("AAPL", **{name: getattr(tape, name) for name in QUOTE_DTYPES}, trades=tape.clip(0, 0).trades)
    for tapes in ([tape], [other], [tape, other]):
        write_parquet(tapes, path)
        yield path.read_bytes()
    pq.write_table(pa.table({name: getattr(tape, name) for name in QUOTE_DTYPES}), path)
    yield path.read_bytes()


def check_parquet(data):
    """What is read of Parquet is what the rows say, one by one."""
    path = put(data, ".parquet")
    with bounded_memory(64 * MIB):
        block = outcome(parquet.read_parquet, path, None, SMALL)
        if not isinstance(block, FileBlock):
            return False
        check_block(block)
    with pq.ParquetFile(path) as file:
        columns = file.schema_arrow.names
        names = parquet.SCHEMA.names if "kind" in columns else [*QUOTE_DTYPES, "symbol"]  # else px, sz, side are unused
        table = file.read([name for name in columns if name in names])
    if pa.types.is_timestamp(table.schema.field("ts").type):  # in UTC, whatever zone it is to be shown in
        ts = table.column("ts").cast(parquet.STAMP).cast(pa.int64())
        table = table.set_column(table.schema.names.index("ts"), "ts", ts)
    rows = table.to_pylist()
    named = any(row.get("symbol") for row in rows)
    by_symbol = {}
    for row in rows:
        symbol = row.get("symbol") or "UNKNOWN" if named else "UNKNOWN"
        quotes, trades = by_symbol.setdefault(symbol, ([], []))
        trade = row.get("kind") == "trade"
        values = [defined(name, row[name]) for name in (TRADE_DTYPES if trade else QUOTE_DTYPES)]
        if not trade:
            quotes.append(values)
        elif values[2] > 0 and values[3] > 0:
            trades.append(values)
    assert_same_tapes(block, {symbol: built(symbol, *parts) for symbol, parts in by_symbol.items()}, "row by row")
    return True


def defined(name, number):
    """A number as the tape has it; nothing and what stands for nothing are 0."""
    if number is None or (name.endswith("px") and number == 2**63 - 1) or (name.endswith("sz") and number == 2**32 - 1):
        return 0
    return max(number, -1) if name.endswith("sz") else number
