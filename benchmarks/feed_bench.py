"""Figures of `feed`: a Databento file into a tape, a tape into JSON messages and back, the quality of a tape."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from allocator.book import OFF, BookRules, build_book
from benchmarks.frame import Case, Duel, Scale, Side, fastest
from feed.codecs.json_codec import decode_json, encode_json
from feed.codecs.messages import Record, refuse
from feed.files.csv_reader import PLAIN_FROM, REQUIRED, read_csv
from feed.files.parquet import write_parquet
from feed.quality.checks import tally_any
from feed.quality.tally import tally
from feed.tape import Tape, same
from tests.support import ROOT
from tests.support.reading import write_lines
from tests.support.tapes import dense_tape, first_rows, long_tape

LEVELS = 10
TICK = 10**7
TRADE_EVERY = 12


def write_mbp10(tape: Tape, path) -> int:
    """Write a tape as Databento's mbp-10: 74 columns, deeper levels made up. Returns the rows that are trades."""
    rows = tape.rows
    ones, zeros = np.ones(rows, np.int64), np.zeros(rows, np.int64)
    trade = (np.arange(rows) % TRADE_EVERY == 0) & (tape.ask_px > 0)
    stamps = np.char.add(np.datetime_as_string(tape.ts.astype("datetime64[ns]"), unit="ns"), "Z")
    table = {
        "ts_recv": stamps,
        "ts_event": stamps,
        "rtype": 10 * ones,
        "publisher_id": tape.venue,
        "instrument_id": ones,
        "action": np.where(trade, "T", "A"),
        "side": np.where(trade, "B", "N"),
        "depth": zeros,
        "price": _dollars(np.where(trade, tape.ask_px, 0)),
        "size": np.where(trade, tape.ask_sz, 0),
        "flags": zeros,
        "ts_in_delta": zeros,
        "sequence": tape.sequence,
    }
    for level in range(LEVELS):
        away = level * TICK
        table |= {
            f"bid_px_{level:02}": _dollars(np.where(tape.bid_px > 0, tape.bid_px - away, 0)),
            f"ask_px_{level:02}": _dollars(np.where(tape.ask_px > 0, tape.ask_px + away, 0)),
            f"bid_sz_{level:02}": tape.bid_sz * (level + 1),
            f"ask_sz_{level:02}": tape.ask_sz * (level + 1),
            f"bid_ct_{level:02}": (tape.bid_px > 0) * ones,
            f"ask_ct_{level:02}": (tape.ask_px > 0) * ones,
        }
    table["symbol"] = [tape.symbol] * rows
    assert len(table) == 74
    with pa.OSFile(str(path), "wb") as stream:
        stream.write(f"{','.join(table)}\n".encode())
        pa_csv.write_csv(pa.table(table), stream, pa_csv.WriteOptions(include_header=False, quoting_style="none"))
    return int(trade.sum())


def _dollars(px):
    """Prices as Databento writes them, nine decimals; nothing where there is no quote."""
    distinct, of = np.unique(px, return_inverse=True)
    texts = [f"{each // 10**9}.{each % 10**9:09d}" if each else None for each in distinct.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(of))


def other_readers(path):
    """Readers of the same 7 columns, by name; each makes its own table, stamps as text, prices as floats."""
    names, where = list(REQUIRED), str(path)
    return {
        "pandas": lambda: pd.read_csv(where, usecols=names),
        "pandas, pyarrow engine": lambda: pd.read_csv(where, usecols=names, engine="pyarrow"),
        "pyarrow": lambda: pa_csv.read_csv(where, convert_options=pa_csv.ConvertOptions(include_columns=names)),
        "polars.read_csv": lambda: pl.read_csv(where, columns=names),
        "polars.scan_csv": lambda: pl.scan_csv(where).select(names).collect(),
    }


def numbers_of(table):
    """Columns of a tape out of any of those tables."""
    frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
    return {
        "ts": pd.to_datetime(frame["ts_event"]).dt.as_unit("ns").astype("int64"),
        "venue": frame["publisher_id"],
        "sequence": frame["sequence"],
        **{f"{side}_px": (frame[f"{side}_px_00"].fillna(0) * 1e9).round() for side in ("bid", "ask")},
        **{f"{side}_sz": frame[f"{side}_sz_00"] for side in ("bid", "ask")},
    }


def _csv(scale: Scale) -> Duel:
    rows = scale.pick(600_000, 160_000)
    tape = first_rows(long_tape(rows, 5), rows)
    path = scale.scratch / "mbp-10.csv"
    trades = write_mbp10(tape, path)
    assert path.stat().st_size >= PLAIN_FROM, "too small for the reader that is to be measured"
    others = other_readers(path)
    name, listed = fastest({name: Side(run, rows) for name, run in others.items()})

    def guard():
        ours = read_csv(path).tape
        assert same(first_rows(ours, rows), tape), "the file did not come back"
        assert len(ours.trades.ts) == trades, "trades were lost"
        for column, values in numbers_of(others[name]()).items():
            assert np.array_equal(getattr(ours, column), values.to_numpy()), f"column {column} differs"

    return Duel(
        Side(partial(read_csv, path), rows),
        Side(others[name], rows),
        guard,
        f"{rows:,} rows x 74 columns, {path.stat().st_size / 2**20:,.0f} MiB, uncompressed; {listed}",
    )


def _messages(scale: Scale) -> tuple[Tape, str]:
    """A tape on which three venues publish at each instant, without trades."""
    snapshots, venues = scale.pick(20_000, 5_000), 3
    book = build_book(long_tape(snapshots, venues), BookRules(uncross=False, stub_band=OFF))
    tape = Tape.build(
        "SYNTH",
        ts=np.repeat(book.ts, venues),
        venue=np.tile(book.venues, snapshots),
        **{name: getattr(book, name).ravel() for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")},
        sequence=np.arange(snapshots * venues),
    )
    return tape, f"{snapshots:,} messages of {venues} venues"


NAMES = ("ts_event", "publisher_id", "ask_px_00", "ask_sz_00", "bid_px_00", "bid_sz_00", "sequence")


def plain_encode(tape: Tape) -> list[bytes]:
    """The same messages by the json module."""
    stamps = np.char.add(np.datetime_as_string(tape.ts.astype("datetime64[ns]"), unit="ns"), "Z").tolist()
    ask, bid = (tape.ask_px / 1e9).tolist(), (tape.bid_px / 1e9).tolist()
    columns = tape.venue.tolist(), ask, tape.ask_sz.tolist(), bid, tape.bid_sz.tolist(), tape.sequence.tolist()
    rows = zip(stamps, *columns, strict=True)
    return [
        json.dumps({"snapshot": [dict(zip(NAMES, row, strict=True)) for row in group]}, separators=(",", ":")).encode()
        for _, group in groupby(rows, key=itemgetter(0))
    ]


def plain_decode(values: list[bytes]) -> Tape:
    """The same columns by the json module, nothing checked."""
    columns = {name: [] for name in NAMES}
    for value in values:
        for row in json.loads(value)["snapshot"]:
            for name, column in columns.items():
                column.append(row[name])
    listed = {name: np.array(column) for name, column in columns.items() if name != "ts_event"}
    return Tape.build(
        "SYNTH",
        ts=np.array([stamp[:-1] for stamp in columns["ts_event"]], "datetime64[ns]").astype(np.int64),
        venue=listed["publisher_id"],
        ask_px=np.rint(listed["ask_px_00"] * 1e9).astype(np.int64),
        ask_sz=listed["ask_sz_00"],
        bid_px=np.rint(listed["bid_px_00"] * 1e9).astype(np.int64),
        bid_sz=listed["bid_sz_00"],
        sequence=listed["sequence"],
    )


def _encode(scale: Scale) -> Duel:
    tape, sizes = _messages(scale)

    def ours():
        return [message.value for message in encode_json(tape)]

    def guard():
        one, other = ours(), plain_encode(tape)
        assert len(one) == tape.snapshots
        assert list(map(json.loads, one)) == list(map(json.loads, other)), "the messages differ"

    return Duel(Side(ours, tape.snapshots), Side(partial(plain_encode, tape), tape.snapshots), guard, sizes)


def _decode(scale: Scale) -> Duel:
    tape, sizes = _messages(scale)
    values = [message.value for message in encode_json(tape)]
    records = [Record(0, offset, value) for offset, value in enumerate(values)]

    def guard():
        assert same(decode_json(records, refuse).tape("SYNTH"), tape), "the messages did not come back"
        assert same(plain_decode(values), tape), "the json module's columns differ"

    return Duel(
        Side(partial(decode_json, records, refuse), len(values)),
        Side(partial(plain_decode, values), len(values)),
        guard,
        sizes,
    )


def _memory(kind: str, scale: Scale) -> Duel:
    """What a process that reads a tape grows by, against the bytes of that tape."""
    tape = dense_tape(scale.pick(600_000, 60_000), 12)
    file = scale.scratch / f"memory.{kind}"
    if kind == "lines":
        write_lines(tape, file)
    else:
        write_parquet([tape], file)

    @cache
    def reading() -> dict[str, Any]:
        command = [sys.executable, "-m", "tests.support.reading", str(file)]
        measured = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout)
        assert measured["digest"] == tape.digest(), "the tape differs"
        return measured

    return Duel(
        Side(lambda: reading()["grown"]),
        Side(lambda: reading()["tape"]),
        lambda: None,
        f"{tape.snapshots:,} snapshots of 12 venues, {tape.rows:,} rows; peak RSS over RSS before",
    )


def _quality(scale: Scale) -> Duel:
    rows, venues = scale.pick(1_270_000, 100_000), 12
    tape = first_rows(long_tape(rows, venues), rows)

    compiled = partial(tally, tape, beside_kernels=True)

    def guard():
        assert compiled() == tally_any(tape), "the counts differ"

    sizes = f"{rows:,} rows of {venues} venues at {tape.snapshots:,} instants"
    return Duel(Side(compiled, rows), Side(partial(tally_any, tape), rows), guard, sizes)


CASES = (
    Case(
        "csv",
        "rows/s",
        "the fastest of pandas, pyarrow and polars on the same 7 columns (stamps stay text, prices floats)",
        _csv,
        rounds=7,
        least_ratio=0.8,
    ),
    Case("json_encode", "messages/s", "the json module", _encode),
    Case("json_decode", "messages/s", "the json module, nothing checked", _decode, target=250_000, least_ratio=2.5),
    *(
        Case(f"{name}_memory", "MB", "the tape's bytes", partial(_memory, kind), target=756, rounds=1, quick_rounds=1)
        for name, kind in (("parquet", "parquet"), ("json", "lines"))
    ),
    Case("quality", "rows/s", "the same counts by numpy, as of short tapes", _quality, least_ratio=5),
)
