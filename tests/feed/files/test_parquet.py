"""Parquet: a tape comes back as it was, pandas reads it as integers, and what others write is read or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import parquet
from feed.files.parquet import QUOTE, SCHEMA, TRADE, read_parquet, write_parquet
from feed.files.registry import read_file
from feed.tape import PRICE_LIMIT, UNDEFINED_PRICE, UNNAMED, Tape, same
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, tapes

FEW = examples(25)

QUOTES = {
    "ts": [OPEN, OPEN + 1, OPEN + 2],
    "venue": [2, 3, 2],
    "bid_px": [100 * CENT] * 3,
    "ask_px": [101 * CENT] * 3,
    "bid_sz": [100, 200, 300],
    "ask_sz": [100, 200, 300],
    "sequence": [1, 1, 2],
}
TRADES = {
    "kind": [QUOTE, TRADE, TRADE],
    "px": [0, 100 * CENT, 101 * CENT],
    "sz": [0, 50, 60],
    "side": [0, -1, 1],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parquet")


@pytest.fixture
def read(folder):
    """Write columns as another program would, and read them."""

    def write_and_read(columns, symbol=None, **options):
        pq.write_table(pa.table(columns), folder / "day.parquet")
        return read_parquet(folder / "day.parquet", symbol, **options)

    return write_and_read


@FEW
@given(st.lists(tapes(min_rows=0), min_size=1, max_size=3), st.integers(1, 50))
def test_tapes_come_back_as_they_were(folder, written, rows):
    named = [
        type(tape)(f"S{number}", *[getattr(tape, name) for name in tape.__slots__[1:]])
        for number, tape in enumerate(written)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "BATCH", rows)
        write_parquet(named, folder / "tape.parquet")
        nonempty = [tape for tape in named if tape.rows or len(tape.trades.ts)]
        if not nonempty:
            with pytest.raises(FeedUnavailable, match="no rows"):
                read_parquet(folder / "tape.parquet")
            return
        block = read_parquet(folder / "tape.parquet")
        assert block.symbols == tuple(tape.symbol for tape in nonempty)
        for tape, fragment in zip(nonempty, block.fragments, strict=True):
            assert same(fragment.tape, tape)
            assert fragment.tape.digest() == tape.digest()
            assert (fragment.ignored, fragment.notes, fragment.named) == ({}, (), True)
            alone = read_parquet(folder / "tape.parquet", tape.symbol).fragments[0]
            assert same(alone.tape, tape)
            others = sum(each.rows + len(each.trades.ts) for each in nonempty if each is not tape)
            assert alone.ignored == ({"other_symbol": others} if others else {})


@FEW
@given(tapes())
def test_pandas_reads_the_integers(folder, tape):
    write_parquet([tape], folder / "pandas.parquet")
    frame = pd.read_parquet(folder / "pandas.parquet")
    assert list(frame.columns) == SCHEMA.names
    quotes = frame[frame.kind == QUOTE]
    assert not frame.isna().any(axis=None)
    assert str(frame.ts.dtype) == "datetime64[ns, UTC]"
    for name, column in tape.to_frame().items():
        values = quotes[name].astype("int64") if name == "ts" else quotes[name]
        assert values.tolist() == column.tolist()
    assert frame[frame.kind == TRADE].px.tolist() == tape.trades.px.tolist()


def test_columns_of_quotes_alone_are_enough(read):
    (fragment,) = read(QUOTES).fragments
    assert (fragment.tape.symbol, fragment.named) == (UNNAMED, False)
    assert fragment.tape.rows == 3
    assert "names no symbol" in fragment.notes[0]
    assert read(QUOTES, "IBM").tape.symbol == "IBM"
    assert read(QUOTES | {"symbol": ["", "", None]}, "IBM").tape.symbol == "IBM"


def test_other_types_of_the_same_integers_are_read(read):
    stamps = pa.array(QUOTES["ts"]).cast(pa.timestamp("ns", "Europe/Berlin"))
    small = {name: pa.array(QUOTES[name], pa.uint16()) for name in ("venue", "bid_sz", "ask_sz", "sequence")}
    expected = read(QUOTES | {"symbol": ["X"] * 3}).tape
    assert same(read(QUOTES | small | {"ts": stamps, "symbol": ["X"] * 3}).tape, expected)
    large = pa.array(["X"] * 3, pa.large_string())
    assert same(read(QUOTES | {"symbol": large}).tape, expected)
    coarse = [OPEN, OPEN, OPEN]
    as_ms = pa.array(coarse).cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("ms", "UTC"))
    assert read(QUOTES | {"ts": as_ms}).tape.ts.tolist() == coarse


@pytest.mark.parametrize(
    "text",
    [
        pa.string_view(),
        pa.large_string(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int64(), pa.large_string()),
    ],
    ids=str,
)
def test_every_type_of_text_is_text(read, text):
    expected = read(QUOTES | TRADES | {"symbol": ["X", "Y", "X"]})
    labels = {"symbol": ["X", "Y", "X"], "kind": TRADES["kind"]}
    columns = {name: pa.array(values).cast(text) for name, values in labels.items()}
    block = read(QUOTES | TRADES | columns)
    for one, other in zip(block.fragments, expected.fragments, strict=True):
        assert same(one.tape, other.tape)
    columns["symbol"] = pa.array(["X", None, "X"]).cast(text)
    assert read(QUOTES | TRADES | columns).symbols == (UNNAMED, "X")


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_that_are_stored_as_differences_are_texts(tmp_path, read, encoding):
    """As DuckDB writes them by the format's second version; pyarrow does not read them as codes of a dictionary."""
    labels = {"symbol": ["X", "Y", "X"], "kind": TRADES["kind"]}
    expected = read(QUOTES | TRADES | labels)
    table = pa.table(QUOTES | TRADES | labels)
    path = tmp_path / "differences.parquet"
    pq.write_table(table, path, use_dictionary=False, column_encoding=dict.fromkeys(labels, encoding))
    block = read_parquet(path)
    for one, other in zip(block.fragments, expected.fragments, strict=True):
        assert same(one.tape, other.tape)


@pytest.mark.parametrize(
    ("name", "column", "type_"),
    [
        ("bid_px", pa.array([1] * 3, pa.decimal128(20, 0)), r"decimal128\(20, 0\)"),
        ("ask_sz", pa.array([b"16"] * 3, pa.binary(2)), r"fixed_size_binary\[2\]"),
        ("bid_px", pa.array([1.5] * 3), "double"),
        ("symbol", pa.array([b"X"] * 3), "binary"),
    ],
)
def test_a_type_that_no_tape_holds_is_named_with_its_column(read, name, column, type_):
    with pytest.raises(FeedUnavailable, match=rf"{name} is {type_}, expected .*cast prices to int64 of 1e-9 \$"):
        read(QUOTES | {"symbol": ["X"] * 3} | {name: column})


@pytest.mark.parametrize("type_", [pl.Int128, pl.UInt128])
def test_columns_of_128_bits_which_pyarrow_does_not_read_are_named(folder, type_):
    frame = pl.DataFrame(QUOTES).with_columns(
        pl.col("bid_px").cast(type_), pl.lit([1]).cast(pl.List(type_)).alias("more\n"), pl.lit(b"A").alias("plain")
    )
    frame.write_parquet(folder / "wide.parquet")
    with pytest.raises(FeedUnavailable, match=r"pyarrow does not read: 'bid_px', 'more\\n' of .*128 bits; .*cast it"):
        read_parquet(folder / "wide.parquet")


def test_a_type_that_pyarrow_does_not_read_is_no_damage(folder, monkeypatch):
    pl.DataFrame(QUOTES).write_parquet(folder / "other.parquet")
    whole = pq.read_schema

    def refuse(place):
        if isinstance(place, Path):
            raise pa.ArrowNotImplementedError("not this one")
        return whole(place)

    monkeypatch.setattr(pq, "read_schema", refuse)
    with pytest.raises(FeedUnavailable, match=r"a type that pyarrow does not read: 'not this one'; leave it out"):
        read_parquet(folder / "other.parquet")


def test_a_frame_written_by_pandas_is_read(folder):
    pd.DataFrame(QUOTES | TRADES | {"symbol": "X"}).to_parquet(folder / "frame.parquet")
    tape = read_parquet(folder / "frame.parquet").tape
    assert (tape.symbol, tape.rows, tape.trades.sz.tolist()) == ("X", 1, [50, 60])


def test_what_is_nothing_is_nothing(read):
    nothing = {"bid_px": [None, UNDEFINED_PRICE, 0], "ask_sz": [None, 2**32 - 1, 0]}
    tape = read(QUOTES | nothing).tape
    assert tape.bid_px.tolist() == tape.ask_px.tolist() == [0, 0, 0]


def test_rows_left_out_are_counted(read):
    several = QUOTES | TRADES | {"symbol": ["X", "Y", None], "sz": [0, 0, 60]}
    block = read(several)
    assert [(each.tape.symbol, each.ignored) for each in block.fragments] == [
        (UNNAMED, {}),
        ("X", {}),
        ("Y", {"unusable_trade": 1}),
    ]
    assert read(several, "X").fragments[0].ignored == {"other_symbol": 2}
    assert (read(several, "IBM").fragments, read(several, "IBM").symbols) == ((), (UNNAMED, "X", "Y"))
    assert read(QUOTES | {"bid_px": [-1, 5, 5], "symbol": ["X"] * 3}).fragments[0].ignored == {"negative_numbers": 1}


@pytest.mark.parametrize("symbol", [["X"] * 3, ["X", "Y", "X"]])
def test_a_size_below_0_is_none_however_far_below(read, symbol):
    block = read(QUOTES | {"symbol": symbol, "bid_sz": [100 - 2**32, -(2**63), -1]})
    assert [each.tape.bid_sz.any() for each in block.fragments] == [False] * len(set(symbol))
    assert sum(each.ignored["negative_numbers"] for each in block.fragments) == 3


# --- files that cannot be used: exit 2 ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ts": None}, "ts is missing; expected what"),
        ({"bid_px": None, "ask_sz": None}, "bid_px is missing; ask_sz is missing"),
        ({"kind": [QUOTE] * 3}, "px is missing; sz is missing; side is missing"),
        ({"bid_px": [1.0, 2.0, 3.0]}, "bid_px is double, expected integers"),
        ({"venue": ["2", "3", "2"]}, "venue is string, expected integers"),
        ({"symbol": [1, 2, 3]}, "symbol is int64, expected text"),
        ({"ts": pa.array([1, 2, 3], pa.timestamp("ns"))}, r"ts is timestamp\[ns\], expected a timestamp with a zone"),
        ({name: pa.array([], pa.int64()) for name in QUOTES}, "no rows"),
    ],
)
def test_wrong_columns_are_named(read, change, message):
    columns = {name: values for name, values in (QUOTES | change).items() if values is not None}
    with pytest.raises(FeedUnavailable, match=message) as caught:
        read(columns)
    assert caught.value.where.endswith("day.parquet")


def test_a_column_that_is_there_twice_is_refused(folder):
    table = pa.table(QUOTES).append_column("ts", pa.array(QUOTES["ts"]))
    pq.write_table(table, folder / "twice.parquet")
    with pytest.raises(FeedUnavailable, match="ts is there more than once"):
        read_parquet(folder / "twice.parquet")


# --- files that are damaged: exit 3 ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"venue": [2, 40_000, 2]}, r"row 2, venue: 40000 \(expected 0 to 32767\)"),
        ({"ts": [OPEN, -1, OPEN]}, r"row 2, ts: -1 \(expected 0 to"),
        ({"ts": [OPEN, OPEN, None]}, "row 3, ts: empty"),
        ({"ts": [OPEN, OPEN // 10**9, OPEN]}, "row 2, ts: 1722520800 .* as seconds of 2024-08-01T14:00:00"),
        ({"ts": [OPEN // 10**6] * 3}, "row 1, ts: 1722520800000 .* as milliseconds of 2024-08-01T14:00:00"),
        ({"ts": [OPEN // 10**3] * 3}, "row 1, ts: 1722520800000000 .* as microseconds of 2024-08-01T14:00:00"),
        (
            {"ts": pa.array([OPEN // 10**9] * 3, pa.uint32())},
            r"row 1, ts: 1722520800 \(as nanoseconds it is of 1970-01-01T00:00:01",
        ),
        ({"bid_px": [1, PRICE_LIMIT, 1]}, r"row 2, bid_px: \d+ \(expected a price below 8388608 \$\)"),
        ({"ask_sz": [1, 1, 2**31]}, r"row 3, ask_sz: 2147483648 \(expected a size up to"),
        ({"sequence": pa.array([1, 2**64 - 1, 1], pa.uint64())}, r"row 2, sequence: 18446744073709551615"),
        (TRADES | {"kind": [QUOTE, TRADE, "b\x1bar"]}, r"row 3, kind: 'b\\x1bar' \(expected quote or trade\)"),
        (TRADES | {"side": [0, 1, 7]}, r"row 3, side: 7 \(expected -1 to 1\)"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_a_bad_value_is_named_with_its_row(read, change, message, rows, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH", rows)
    with pytest.raises(FeedCorrupt, match=message) as caught:
        read(QUOTES | change)
    assert "\x1b" not in str(caught.value)


def test_no_damage_goes_unnoticed(folder, tape_file):
    """Each byte changed in turn: the same tape comes back, or an error."""
    path, tape = tape_file
    raw = path.read_bytes()
    refused = 0
    for at in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[at] ^= 0xFF
        (folder / "changed.parquet").write_bytes(changed)
        try:
            assert same(read_parquet(folder / "changed.parquet").tape, tape)
        except (FeedCorrupt, FeedUnavailable):
            refused += 1
    assert refused > len(raw) / 7 / 2


@pytest.fixture
def tape_file(folder):
    rows = 200
    rng = np.random.default_rng(3)
    columns = {name: rng.integers(1, 99, rows) for name in QUOTES}
    tape = Tape.build("XYZ", **columns)
    write_parquet([tape], folder / "whole.parquet")
    return folder / "whole.parquet", tape


@pytest.mark.parametrize("cut", [1, 3, 200, 2000])
def test_a_file_cut_short_is_damaged(folder, tape_file, cut):
    path, _ = tape_file
    (folder / "cut.parquet").write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(FeedCorrupt, match="damaged"):
        read_parquet(folder / "cut.parquet")


def test_a_label_that_its_dictionary_does_not_have_is_damage(folder):
    path = folder / "trades.parquet"
    for count in (1, 2):
        kinds = [QUOTE, TRADE][-count:]
        columns = {name: values[:count] for name, values in (QUOTES | TRADES).items()} | {"kind": kinds}
        columns = {"kind": columns.pop("kind"), **columns}
        pq.write_table(pa.table(columns | {"px": [1] * count, "sz": [1] * count}), path, compression="none")
        assert read_parquet(path).tape.rows == count - 1
        raw = path.read_bytes()
        entries = b"\x4c\x15" + bytes([2 * count])  # in the header of a page that is a dictionary
        path.write_bytes(raw.replace(entries, entries[:2] + b"\x00", 1))
        with pytest.raises(FeedCorrupt, match="damaged"):
            read_parquet(path)


def test_more_than_may_be_read_is_refused(folder, tape_file):
    path, _ = tape_file
    with pytest.raises(FeedCorrupt, match="more than 9000 bytes"):
        read_parquet(path, max_bytes=9000)


BOOK = {
    "bid_px": [[100 * CENT, 99 * CENT, 97 * CENT], [100 * CENT], None],
    "ask_px": [[101 * CENT, 102 * CENT], [101 * CENT, None, 103 * CENT], []],
    "bid_sz": [[1, 2, 3], [4], None],
    "ask_sz": [[5, 6], [7, 8, 9], []],
}
"""The levels of a side of three rows: a price without a size, or the other way round, is no level."""


@pytest.mark.parametrize("type_", [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int32())])
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_lists_are_the_levels_of_a_side(folder, monkeypatch, type_, batch):
    monkeypatch.setattr(parquet, "BATCH", batch)
    columns = QUOTES | {
        name: pa.array(rows, type_ if name.endswith("sz") or pa.types.is_large_list(type_) else pa.list_(pa.int64()))
        for name, rows in BOOK.items()
    }
    pq.write_table(pa.table(columns), path := folder / "lists.parquet")
    tape = read_file(path).tape
    assert (tape.bid_px.tolist(), tape.ask_sz.tolist()) == ([100 * CENT, 100 * CENT, 0], [5, 7, 0])
    assert tape.levels.bid_px.tolist() == [[99 * CENT, 97 * CENT], [0, 0], [0, 0]]
    assert tape.levels.ask_px.tolist() == [[102 * CENT, 0], [0, 0], [0, 0]]
    assert tape.levels.ask_sz.tolist() == [[6, 0], [0, 0], [0, 0]]
    for depth in (1, 2):
        assert same(read_file(path, depth=depth).tape, tape.up_to(depth))
    assert read_file(path, depth=10).tape.depth == 3


def test_lists_of_one_length_and_longer_ones_than_a_tape_has(folder):
    ladder = {"bid": [100 * CENT - CENT * k for k in range(12)], "ask": [101 * CENT + CENT * k for k in range(12)]}
    columns = QUOTES | {f"{side}_px": pa.array([px] * 3, pa.list_(pa.int64(), 12)) for side, px in ladder.items()}
    columns |= {f"{side}_sz": pa.array([[7] * 12, None, [7] * 12], pa.list_(pa.int32(), 12)) for side in ladder}
    pq.write_table(pa.table(columns), path := folder / "fixed.parquet")
    tape = read_file(path).tape
    assert tape.depth == 10
    assert tape.levels.ask_px[0].tolist() == ladder["ask"][1:10]
    assert tape.bid_px.tolist() == [100 * CENT, 0, 100 * CENT]


def test_lists_of_one_level_are_a_tape_of_one_level(folder):
    columns = QUOTES | {name: [[each] for each in QUOTES[name]] for name in BOOK}
    pq.write_table(pa.table(QUOTES), flat := folder / "flat.parquet")
    pq.write_table(pa.table(columns), path := folder / "single.parquet")
    assert same(read_file(path).tape, read_file(flat).tape)
    assert read_file(path, depth=10).tape.depth == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ask_sz": [1, 2, 3]},
            "bid_px, ask_px, bid_sz of lists, expected all or none of bid_px, ask_px, bid_sz, ask_sz",
        ),
        ({"ask_sz": [["1"], ["2"], ["3"]]}, "ask_sz is list<element: string>, expected integers"),
        ({"venue": [[2], [3], [2]]}, "venue is list<element: int64>, expected integers"),
    ],
)
def test_wrong_lists_are_named(folder, change, message):
    pq.write_table(pa.table(QUOTES | BOOK | change), path := folder / "wrong.parquet")
    with pytest.raises(FeedUnavailable) as error:
        read_file(path)
    assert message in str(error.value)


def test_levels_of_a_list_that_no_tape_holds_are_named_with_their_row(folder):
    wrong = {"ask_px": [[101 * CENT], [101 * CENT, 2 * PRICE_LIMIT], []]}
    pq.write_table(pa.table(QUOTES | BOOK | wrong), path := folder / "wrong.parquet")
    with pytest.raises(FeedCorrupt, match="row 2, ask_px_01: "):
        read_file(path)


def test_lists_that_repeat_a_value_are_refused_before_they_are_unpacked(tmp_path):
    """Six million times the same level take a few kilobytes of a file."""
    many = {name: pa.array([[7] * 2_000_000] * 3, pa.list_(pa.int64())) for name in BOOK}
    pq.write_table(pa.table(QUOTES | many), path := tmp_path / "bomb.parquet", compression="zstd")
    assert path.stat().st_size < 20_000
    with pytest.raises(FeedCorrupt, match=r"trusted with \(3 rows, 288,000,0\d\d bytes and more\)"):
        read_file(path)
