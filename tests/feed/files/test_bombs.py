"""Small files that would unpack to a great deal: refused before that, told in one line, and what is honest is read."""

from __future__ import annotations

import subprocess
import sys
from itertools import repeat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import dbn_stream, fragments, parquet, streams
from feed.files.conversion import convert
from feed.files.dbn_symbols import Names
from feed.files.fragments import SYMBOLS, Labels, check_symbols, make_fragments
from feed.files.plan import plan_files
from feed.files.registry import read_file
from feed.files.streams import HELD, HELD_ROW, HELD_TIMES, SMALL, Bounds, Share, bounds_of, limits_of, trusted
from feed.options import DEFAULTS, MAX_BYTES, ReadOptions, options_of
from feed.tape import QUOTE_DTYPES, SYMBOL_BYTES, Tape, by_label
from tests.support import dbnfile
from tests.support.waits import without_waits

TS = 1722519392491911683
HEADER = b"ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol\n"
ROW = b"2024-08-01T13:36:32.491911683Z,2,7,222.1,222.2,100,100,"
MEBIBYTE = 2**20


def quotes(rows, symbols=None):
    """Rows that are all alike, as Parquet keeps in next to nothing."""
    columns = {
        "ts": np.full(rows, TS),
        "venue": np.full(rows, 2, np.int16),
        "bid_px": np.full(rows, 222 * 10**9),
        "ask_px": np.full(rows, 223 * 10**9),
        "bid_sz": np.full(rows, 100, np.int32),
        "ask_sz": np.full(rows, 100, np.int32),
        "sequence": np.full(rows, 7),
    }
    return pa.table(columns if symbols is None else columns | {"symbol": symbols})


def packed(path, head, part, times):
    """Write a part over and over into a compressed file."""
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "gzip" if path.suffix == ".gz" else "zstd") as out:
        out.write(head)
        for _ in range(times):
            out.write(part)


def columns_of_nothing(path):
    """Ten million rows, in groups of a million that are all the same; a hundred million take 3 MB."""
    group = quotes(MEBIBYTE)
    with pq.ParquetWriter(path, group.schema, compression="zstd") as out:
        for _ in range(10):
            out.write_table(group, row_group_size=MEBIBYTE)


def one_long_symbol(path):
    pq.write_table(quotes(1000, ["A" * 40 * MEBIBYTE, *repeat("A", 999)]), path, compression="zstd")


def forged_footer(path):
    """A footer that says 1,000 bytes of a page of 300 MiB."""
    pq.write_table(quotes(1000, ["A" * 300 * MEBIBYTE, *repeat("A", 999)]), path, compression="zstd")
    whole = path.read_bytes()
    size = pq.read_metadata(path).row_group(0).column(len(QUOTE_DTYPES)).total_uncompressed_size
    path.write_bytes(whole.replace(varint(2 * size), varint(2000, len(varint(2 * size)))))
    assert pq.read_metadata(path).row_group(0).column(len(QUOTE_DTYPES)).total_uncompressed_size == 1000


def varint(number, width=1):
    """A number as Thrift packs it, seven bits a byte; as wide as is asked for, if need be by bits that are 0."""
    parts = [number >> shift & 127 for shift in range(0, 63, 7)]
    wide = max(width, max(at for at, part in enumerate(parts) if part) + 1)
    return bytes(part | 128 for part in parts[: wide - 1]) + bytes(parts[wide - 1 : wide])


def rows_alike(path):
    packed(path, HEADER, (ROW + b"AAPL\n") * 15_000, 250)


def dbn_alike(path):
    packed(path, dbnfile.metadata(dbnfile.AAPL), dbnfile.record() * 10_000, 400)


LEVELS = [name for level in range(1, 10) for name in (f"bid_px_{level:02}", f"ask_px_{level:02}")]


def levels_of_nothing(path):
    """As `columns_of_nothing`, with ten levels of a side."""
    table = quotes(MEBIBYTE)
    for at, name in enumerate(LEVELS):
        table = table.append_column(name, [np.full(MEBIBYTE, (222 - at if name[0] == "b" else 222 + at) * 10**9)])
        table = table.append_column(name.replace("px", "sz"), [np.full(MEBIBYTE, 100, np.int32)])
    with pq.ParquetWriter(path, table.schema, compression="zstd") as out:
        for _ in range(3):
            out.write_table(table, row_group_size=MEBIBYTE)


def lists_alike(path):
    """The same levels as lists, in rows that are all alike."""
    px = {side: [222 * 10**9 + sign * at * 10**7 for at in range(10)] for side, sign in (("bid", -1), ("ask", 1))}
    columns = {f"{side}_px": np.tile(prices, MEBIBYTE // 4) for side, prices in px.items()}
    columns |= {f"{side}_sz": np.full(10 * MEBIBYTE // 4, 100, np.int32) for side in px}
    offsets = np.arange(0, 10 * MEBIBYTE // 4 + 1, 10, dtype=np.int32)
    table = quotes(MEBIBYTE // 4)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.ListArray.from_arrays(offsets, values))
    pq.write_table(table, path, compression="zstd")


def deep_rows_alike(path):
    names = [each for name in LEVELS for each in (name, name.replace("px", "sz"))]
    values = [f"{222 - at if name[0] == 'b' else 223 + at}.0,1" for at, name in enumerate(LEVELS)]
    head = HEADER.replace(b"symbol", f"{','.join(names)},symbol".encode())
    packed(path, head, (ROW + f"{','.join(values)},AAPL\n".encode()) * 5_000, 250)


BOMBS = {
    "deep.parquet": (levels_of_nothing, 3, "unpacks to more than a file of its size is trusted with"),
    "deep.csv.gz": (deep_rows_alike, 3, "unpacks to more than a file of its size is trusted with"),
    "lists.parquet": (lists_alike, 3, "unpacks to more than a file of its size is trusted with"),
    "rows.parquet": (columns_of_nothing, 3, "unpacks to more than a file of its size is trusted with"),
    "symbol.parquet": (one_long_symbol, 3, "symbol takes 41,9"),
    "page.parquet": (forged_footer, 3, "symbol takes 314,5"),
    "rows.csv.zst": (rows_alike, 3, "unpacks to more than a file of its size is trusted with"),
    "rows.csv.gz": (rows_alike, 3, "unpacks to more than a file of its size is trusted with"),
    "blank.csv.zst": (lambda path: packed(path, HEADER, b"\n" * MEBIBYTE, 1300), 3, "unpacks to more than a file"),
    "header.csv.zst": (lambda path: packed(path, b"", b"A" * MEBIBYTE, 1300), 2, "missing columns"),
    "line.csv.zst": (lambda path: packed(path, HEADER, b"A" * MEBIBYTE, 1300), 3, ""),
    "rows.dbn.zst": (dbn_alike, 3, "unpacks to more than a file of its size is trusted with"),
}
"""Each of at most 4 MB, what makes it, how it ends, and what is said."""


MEASURED = """\
import resource, subprocess, sys
ran = subprocess.run([sys.executable, "-m", *sys.argv[1:]], check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(ran.returncode)
"""


def measured(*words):
    """Run a module, and give its peak of memory: from a small process, as a new one inherits the peak of its parent."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=False, timeout=90
    )
    return ran, int(ran.stdout.splitlines()[-1])


@pytest.mark.command
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_takes_no_gigabyte(tmp_path, name):
    make, code, message = BOMBS[name]
    make(path := tmp_path / name)
    assert path.stat().st_size <= 4 * 10**6
    ran, kibibytes = measured("feed", "check", path)
    assert ran.returncode == code, ran.stderr
    assert without_waits(ran.stderr).count("\n") == 1
    assert message in ran.stderr
    assert kibibytes < 10**9 // 2**10


MANY_NAMES = {
    "in the metadata": dbnfile.metadata(
        *(dbnfile.mapping(f"S{at}", (dbnfile.FIRST, dbnfile.PAST, at)) for at in range(1000))
    ),
    "in records": dbnfile.live_metadata() + b"".join(dbnfile.mapping_record(at, f"S{at}") for at in range(1000)),
}


@pytest.mark.parametrize("names", MANY_NAMES)
def test_symbol_mappings_of_dbn_count_by_what_they_take(tmp_path, monkeypatch, names):
    (path := tmp_path / "day.dbn").write_bytes(MANY_NAMES[names] + dbnfile.record(instrument_id=7))
    assert read_file(path).tape.symbol == "S7"
    monkeypatch.setattr(streams, "HELD", 768_000)
    monkeypatch.setattr(streams, "HELD_TIMES", 1)
    with pytest.raises(FeedCorrupt, match=r"trusted with \(.* bytes of symbol mappings and more\)"):
        read_file(path)


def test_mapping_records_are_sorted_where_a_record_is_looked_up_only(tmp_path, monkeypatch):
    mapping_records = b"".join(dbnfile.mapping_record(at % 50, f"S{at % 50}") for at in range(3000))
    (path := tmp_path / "day.dbn").write_bytes(
        dbnfile.live_metadata() + mapping_records + dbnfile.record(instrument_id=7) * 20
    )
    monkeypatch.setattr(dbn_stream, "BLOCK", 1000)
    sorts = []
    monkeypatch.setattr(Names, "_sorted", lambda self, its=Names._sorted: sorts.append(1) or its(self))
    assert read_file(path).tape.symbol == "S7"
    assert len(sorts) <= 2


def test_what_a_file_may_unpack_to_grows_with_it(tmp_path):
    (path := tmp_path / "day.csv").write_bytes(b"x" * 1000)
    assert bounds_of(path, None) == Bounds(str(path), MAX_BYTES, HELD)
    assert bounds_of(path, 10**9) == Bounds(str(path), 10**9, None)
    assert bounds_of(path, Share(5)) == Bounds(str(path), MAX_BYTES, 5)
    with path.open("ab") as file:
        file.truncate(100 * 10**6)
    assert bounds_of(path, None).held == 100 * 10**6 * HELD_TIMES
    with path.open("ab") as file:
        file.truncate(SMALL)
    assert bounds_of(path, None).held == HELD < 10**9 < HELD_TIMES * SMALL


@pytest.mark.parametrize("sizes", [[1], [1000, 3 * 10**6], [40_000] * 100, [10**6] * 5, [2, 10**9]])
def test_the_files_of_a_directory_take_together_what_one_of_their_size_may(sizes):
    limits, held = limits_of(sizes, None)
    assert held == trusted(sum(sizes))
    assert held - len(sizes) < sum(limit.nbytes for limit in limits) <= held
    times = HELD_TIMES if sum(sizes) > SMALL else HELD // SMALL
    assert all(limit.nbytes >= times * size for limit, size in zip(limits, sizes, strict=True))
    assert limits_of(sizes, 5) == ([5] * len(sizes), held)
    assert limits_of(sizes, 10**15) == ([10**15] * len(sizes), 10**15)


def test_a_directory_of_small_files_is_refused_where_they_are_too_much_together(tmp_path):
    pq.write_table(quotes(500_000), tmp_path / "a.parquet", compression="zstd")
    for name in "bcd":
        (tmp_path / f"{name}.parquet").write_bytes((tmp_path / "a.parquet").read_bytes())
    assert read_file(tmp_path / "a.parquet").tape.rows == 500_000
    ranges = plan_files(str(tmp_path), DEFAULTS).ranges
    assert len(ranges) == 4
    for part in ranges:
        with pytest.raises(FeedCorrupt, match=r"[abcd].parquet: it unpacks to more .* trusted with"):
            part.read()
    plan = plan_files(str(tmp_path), options_of(["feed.max_bytes=17179869184"]))
    assert plan.ranges[0].read().tape.rows == 500_000
    assert plan.held == MAX_BYTES


def test_bytes_and_rows_count():
    bounds = Bounds("day.csv", 10_000, 9000)
    bounds.check(9000 - 10 * HELD_ROW, 10)
    with pytest.raises(
        FeedCorrupt, match=r"day.csv: it unpacks to more .* \(11 rows, 5,160 bytes and more\); if it is"
    ):
        bounds.check(9000 - 10 * HELD_ROW, 11)
    with pytest.raises(FeedCorrupt, match="more than 10000 bytes when decompressed"):
        bounds.check(10_001, 0)
    Bounds("day.csv", 10_000, None).check(10_000, 10**9)


def test_a_bound_that_was_set_is_the_only_one(tmp_path):
    assert DEFAULTS.of_file is None
    assert ReadOptions(max_bytes=5).of_file == 5
    assert options_of(["symbol=A"]).of_file is None
    assert options_of([f"feed.max_bytes={MAX_BYTES}"]).of_file == MAX_BYTES
    pq.write_table(quotes(3_000_000), path := tmp_path / "day.parquet", compression="zstd")
    (part,) = plan_files(str(path), DEFAULTS).ranges
    with pytest.raises(FeedCorrupt, match=r"set feed\.max_bytes"):
        part.read()
    (part,) = plan_files(str(path), options_of([f"feed.max_bytes={MAX_BYTES}"])).ranges
    assert part.max_bytes == MAX_BYTES


def test_a_file_that_packs_five_hundred_times_is_read(tmp_path):
    pq.write_table(quotes(500_000), path := tmp_path / "day.parquet", compression="zstd")
    assert 500 * path.stat().st_size < 500_000 * 42
    assert read_file(path).tape.rows == 500_000


@pytest.fixture
def seconds(tmp_path):
    """A trading day's quotes of every second, of twelve names that change once a minute: 2.5 bytes a row."""
    random, rows, path = np.random.default_rng(1), 23_400, tmp_path / "day.parquet"
    parts = []
    for name in range(12):
        changes = random.random(rows) < 1 / 60
        since = np.maximum.accumulate(np.where(changes, np.arange(rows), 0))
        bid = (2000 + np.cumsum(np.where(changes, random.integers(-2, 3, rows), 0))) * 10**7
        sizes = {side: (random.integers(1, 20, rows) * 100)[since].astype(np.int32) for side in ("bid_sz", "ask_sz")}
        ask = bid + random.integers(1, 6, rows)[since] * 10**7
        columns = {"ts": TS + 10**9 * np.arange(rows), "bid_px": bid, "ask_px": ask, **sizes}
        columns |= {"venue": np.full(rows, 2, np.int16), "sequence": np.zeros(rows, np.int64)}
        parts.append(pa.table(columns | {"symbol": [f"S{name}"] * rows}))
    pq.write_table(pa.concat_tables(parts), path, compression="zstd")
    assert 2 < path.stat().st_size / 280_800 < 3
    return path


def test_seconds_of_names_that_rarely_change_are_read_where_the_file_is_no_small_one(seconds, monkeypatch):
    monkeypatch.setattr(streams, "HELD", 10**6)
    with pytest.raises(FeedCorrupt, match=r"set feed\.max_bytes"):
        read_file(seconds)
    monkeypatch.setattr(streams, "SMALL", 5 * 10**5)
    assert sum(each.tape.rows for each in read_file(seconds).fragments) == 280_800


def test_rows_of_other_symbols_are_not_held(seconds, monkeypatch):
    monkeypatch.setattr(streams, "HELD", 20 * 10**6)
    with pytest.raises(FeedCorrupt, match=r"280,800 rows"):
        read_file(seconds)
    block = read_file(seconds, "S3")
    assert (block.tape.rows, block.fragments[0].ignored) == (23_400, {"other_symbol": 257_400})
    pq.write_table(quotes(200_000, ["S3"] * 200_000), seconds, compression="zstd")
    with pytest.raises(FeedCorrupt, match=r"200,000 rows"):
        read_file(seconds, "S3")


def test_nothing_is_unpacked_of_what_declares_too_much(tmp_path, monkeypatch):
    pq.write_table(quotes(3_000_000), path := tmp_path / "day.parquet", compression="zstd")
    monkeypatch.setattr(parquet, "_take", lambda *_: pytest.fail("it was unpacked"))
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(FeedCorrupt, match="2,097,152 rows"):
        parquet.read_parquet(path)
    with pytest.raises(FeedCorrupt, match="more than 1000000 bytes"):
        parquet.read_parquet(path, max_bytes=10**6)


LONG = "É" * (SYMBOL_BYTES // 2 + 1)


@pytest.mark.parametrize("symbol", ["A" * SYMBOL_BYTES, LONG[1:]])
def test_a_symbol_of_the_longest_is_one(tmp_path, symbol):
    (path := tmp_path / "day.csv").write_bytes(HEADER + ROW + symbol.encode() + b"\n")
    assert read_file(path).tape.symbol == symbol
    pq.write_table(quotes(2, [symbol] * 2), path := tmp_path / "day.parquet")
    assert read_file(path).tape.symbol == symbol


def test_what_is_longer_is_no_symbol(tmp_path):
    (path := tmp_path / "day.csv").write_bytes(HEADER + ROW + LONG.encode() + b"\n" + ROW + b"B\n")
    message = r"symbol '.xc9.*'\.\.\. takes 130 bytes, expected up to 128"
    with pytest.raises(FeedCorrupt, match=message):
        read_file(path)
    pq.write_table(quotes(2, [LONG, "B"]), path := tmp_path / "day.parquet")
    with pytest.raises(FeedCorrupt, match=message):
        read_file(path)


def test_more_symbols_than_can_be_tapes():
    many = [f"S{number}" for number in range(SYMBOLS + 1)]
    check_symbols(many, "S7", "day.csv")
    check_symbols(many[1:], None, "day.csv")
    with pytest.raises(FeedUnavailable, match=r"day.csv: it holds 32,769 symbols, more than the 32,768 .*name one"):
        check_symbols(many, None, "day.csv")


class Counted(np.ndarray):
    """A column that counts how many of its numbers were taken out."""

    taken = 0

    def __getitem__(self, rows):
        chosen = super().__getitem__(rows)
        Counted.taken += np.size(chosen) if isinstance(rows, np.ndarray) else 0
        return chosen


@pytest.mark.parametrize("symbols", [20, 2000])
def test_rows_are_shared_out_in_one_pass_however_many_symbols_there_are(symbols, monkeypatch):
    rows = 4000
    codes = np.arange(rows) % symbols
    columns = {name: np.arange(rows, dtype=np.int64).view(Counted) for name in QUOTE_DTYPES}
    Counted.taken = 0
    built = []
    monkeypatch.setattr(fragments, "_built", lambda symbol, quotes, *_: built.append((symbol, quotes["ts"].tolist())))
    names = [f"S{number}" for number in range(symbols)]
    make_fragments(Labels(names, codes, codes[:0]), columns, None, {}, ())
    assert sorted(built) == sorted((name, list(range(at, rows, symbols))) for at, name in enumerate(names))
    assert Counted.taken == rows * len(QUOTE_DTYPES)


def test_rows_by_label_keep_their_order():
    order, starts = by_label(np.array([2, 0, 2, 0, 4]), 5)
    assert order.tolist() == [1, 3, 0, 2, 4]
    assert starts.tolist() == [0, 2, 2, 4, 4, 5]


def test_what_was_converted_is_read_back_however_small_it_is(tmp_path):
    rows = HELD // HELD_ROW + 1
    columns = {name: quotes(1).column(name).to_numpy().repeat(rows) for name in QUOTE_DTYPES}
    (written,) = convert([Tape.build("A", **columns)], str(tmp_path / "day.parquet"))
    assert written["rows"] == rows
    with pytest.raises(FeedCorrupt, match=r"set feed\.max_bytes"):
        read_file(tmp_path / "day.parquet")
