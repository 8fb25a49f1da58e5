"""What comes out of tables by a mapping, which their header chooses: two readers, and a plain reading of each row."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from unittest.mock import patch

import numpy as np

from feed.files import fields, table_reader
from feed.files.fragments import FileBlock
from feed.instants import format_instant
from feed.markets import venue_of
from feed.tables import parse_mapping
from feed.tape import UNNAMED, Tape
from tests.fuzz.files import SMALL, assert_same_tapes, check_block, outcome, put
from tests.fuzz.oracles import UnsureError, number, price, size, stamp

TIMES = {
    b"ts_iso": {},
    b"ts_ny": {"zone": "America/New_York"},
    b"ts_us": {"time_unit": "us"},
    b"ts_clock": {"date": "2024-08-01", "zone": "UTC", "time_unit": "clock"},
}
"""How a column of times is read, by its name."""

NEVER = 2**62


def mapping_of(data):
    """The mapping that a header asks for; None where it asks for none."""
    header = data.partition(b"\n")[0].rstrip(b"\r").removeprefix("\ufeff".encode()).split(b",")
    time = next((name for name in TIMES if name in header), None)
    if time is None:
        return None
    quotes = {"time": time.decode(), "venue": "venue", **TIMES[time]}
    if b"symbol" in header:
        quotes["symbol"] = "symbol"
    if b"sequence" in header:
        quotes["sequence"] = "sequence"
    names = ("side", "px", "sz") if b"side" in header else ("bid_px", "ask_px", "bid_sz", "ask_sz")
    quotes |= {name: f"{name}_" if name in {"px", "sz"} else name for name in names}
    if b"level" in header:
        quotes["level"] = "level"
    try:
        return parse_mapping(quotes | {"price_unit": "dollars"})
    except ValueError:  # a level of rows of both sides
        return None


def table_files(tape):
    """A tape as tables: rows of both sides, with stamps of each kind, and rows of one side."""
    clocks = [format_instant(ts) for ts in tape.ts.tolist()]
    times = {
        "ts_iso": clocks,
        "ts_ny": [each.rstrip("Z") for each in clocks],
        "ts_us": [ts // 1000 for ts in tape.ts.tolist()],
        "ts_clock": [each[11:].rstrip("Z") for each in clocks],
    }
    sides = {
        name: [format(Decimal(each).scaleb(-9), "f") if each else "" for each in getattr(tape, name).tolist()]
        for name in ("bid_px", "ask_px")
    }
    for name, written in times.items():
        columns = {
            name: written,
            "venue": tape.venue.tolist(),
            **sides,
            "bid_sz": tape.bid_sz.tolist(),
            "ask_sz": tape.ask_sz.tolist(),
            "sequence": tape.sequence.tolist(),
            "symbol": ["XYZ"] * tape.rows,
        }
        yield text_of(columns)
    columns = {
        "ts_iso": clocks,
        "venue": ["XNAS"] * tape.rows,
        "side": ["B" if ts % 2 else "ask" for ts in tape.ts.tolist()],
        "level": [ts % 3 for ts in tape.ts.tolist()],
        "px_": [each or "1.00" for each in sides["bid_px"]],
        "sz_": tape.bid_sz.tolist(),
    }
    yield text_of(columns)


def text_of(columns):
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows), ""]).encode()


def check_table(data):
    """Compiled code reads what the other reader reads, or leaves it; and a plain reading of the rows gives the same."""
    quotes = mapping_of(data)
    if quotes is None:
        return False
    path = put(data, ".csv")
    with patch.object(table_reader, "COMPILED_FROM", NEVER):
        block = outcome(table_reader.read_mapped, path, quotes, None, SMALL, 10)
    with patch.object(table_reader, "COMPILED_FROM", 0), patch.object(fields, "BLOCK", 1024):
        compiled = outcome(table_reader.read_mapped, path, quotes, None, SMALL, 10)
    if not isinstance(block, FileBlock):
        assert str(compiled) == str(block), "refused, and read by compiled code"
        return False
    check_block(block)
    assert_same_tapes(compiled, {each.tape.symbol: each.tape for each in block.fragments}, "compiled")
    for one, other in zip(block.fragments, compiled.fragments, strict=True):
        assert (one.ignored, one.notes, one.named) == (other.ignored, other.notes, other.named)
    if quotes.side is None and quotes.date is None:
        try:
            expected = plain_table(data, quotes)
        except UnsureError:
            expected = None
        if expected is not None:
            assert_same_tapes(block, expected, "read plainly")
    return True


def plain_table(data, quotes):
    """Tapes by symbol of a table of rows of both sides, row by row."""
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnsureError from error
    header, *rows = [line for line in lines if line]
    by_symbol = {}
    first = None
    for at, row in enumerate(dict(zip(header, line, strict=True)) for line in rows):
        text = row[quotes.time]
        if quotes.zone == "America/New_York":
            raise UnsureError
        ts = number(text) * 1000 if quotes.time_unit == "us" else stamp(text)
        first = ts if first is None else first
        try:
            venue = venue_of(row["venue"], "any", format_instant(min(first, ts))[:10])
        except ValueError as error:
            raise UnsureError from error
        sequence = number(row["sequence"]) if quotes.sequence else at
        sides = [price(row[f"{side}_px"], 10**9) for side in ("bid", "ask")]
        sizes = [size(row[f"{side}_sz"]) for side in ("bid", "ask")]
        symbol = (row.get("symbol") or UNNAMED) if quotes.symbol else UNNAMED
        by_symbol.setdefault(symbol, []).append((ts, venue, *sides, *sizes, sequence))
    names = ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")
    return {
        symbol: Tape.build(
            symbol, **{name: np.array([row[at] for row in listed], np.int64) for at, name in enumerate(names)}
        )
        for symbol, listed in by_symbol.items()
    }
