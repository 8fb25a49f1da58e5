"""Databento CSV files: exact numbers, formats decided once, and every bad file refused with what, where and why."""

from __future__ import annotations

import gzip
import os
import sys
from contextlib import nullcontext
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import csv_reader, csv_text, plan
from feed.files.csv_reader import read_csv
from feed.files.registry import WRITERS
from feed.files.streams import COMPRESSIONS
from feed.instants import parse_instant
from feed.tables.parsing import integers, prices
from feed.tape import PRICE_LIMIT, UNDEFINED_PRICE, UNNAMED, same
from tests.support.csvrow import ROW

NANO = {"price": "222810000000", "bid_px_00": "222810000000", "ask_px_00": "222830000000"}


def text_of(*rows, drop=()):
    names = [name for name in ROW if name not in drop]
    lines = [",".join((ROW | row)[name] for name in names) for row in rows or ({},)]
    return "\n".join([",".join(names), *lines]) + "\n"


@pytest.fixture
def read(tmp_path):
    """Write rows (changes to `ROW`), or a text, to a file, and read it: the fragment of its one symbol."""

    def write_and_read(*rows, symbol=None, drop=(), name="day.csv"):
        text = rows[0] if rows and isinstance(rows[0], str) else text_of(*rows, drop=drop)
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        block = read_csv(path, symbol)
        return block.fragments[0] if len(block.fragments) == 1 else block

    return write_and_read


def test_a_row_is_read_exactly(read):
    block = read()
    tape = block.tape
    assert tape.symbol == "AAPL"
    assert tape.ts.tolist() == [1722519392491911683]
    assert (tape.venue.tolist(), tape.sequence.tolist()) == ([2], [46542624])
    assert (tape.bid_px.tolist(), tape.ask_px.tolist()) == ([222_810_000_000], [222_830_000_000])
    assert (tape.bid_sz.tolist(), tape.ask_sz.tolist()) == ([421], [36])
    assert block.ignored == {}
    assert block.notes == ("ts_event is ISO 8601 text", "prices are decimal dollars")


def test_integer_stamps_and_prices_give_the_same_tape(read):
    block = read(NANO | {"ts_event": "1722519392491911683"})
    assert same(block.tape, read().tape)
    assert block.notes == ("ts_event is integer nanoseconds", "prices are integers of 1e-9 $")


SMALLEST = {"price": "", "bid_px_00": "9000000", "ask_px_00": "10000000"}


@pytest.mark.parametrize(
    ("change", "prices_are", "bid"),
    [
        (SMALLEST, "integers of 1e-9 $", 9_000_000),
        ({"price": "7", "bid_px_00": "100000", "ask_px_00": str(10**12)}, "integers of 1e-9 $", 100_000),
        ({"price": "10000000", "bid_px_00": "0", "ask_px_00": ""}, "integers of 1e-9 $", 0),
        ({"price": "1e2", "bid_px_00": "100", "ask_px_00": "101"}, "decimal dollars", 100 * 10**9),
        ({"price": "100", "bid_px_00": "100", "ask_px_00": "101.0"}, "decimal dollars", 100 * 10**9),
        ({"price": "", "bid_px_00": "0.0001", "ask_px_00": "0.0002"}, "decimal dollars", 100_000),
    ],
)
def test_prices_without_a_point_are_nanos_however_large(read, change, prices_are, bid):
    block = read(change)
    assert block.notes[1] == f"prices are {prices_are}"
    assert block.tape.bid_px.tolist() == [bid]


@pytest.mark.parametrize(
    "rows",
    [
        [{"price": "223", "bid_px_00": "222", "ask_px_00": "223"}],  # dollars, most likely
        [{"price": "", "bid_px_00": "4000000", "ask_px_00": "4100000"}],  # a share of 0.4 cents, or of 4 million $
        [{"price": "", "bid_px_00": "5", "ask_px_00": str(UNDEFINED_PRICE)}],
        [{"price": str(10**12), "bid_px_00": "222", "ask_px_00": ""}],
        # what some write where there is no quote
        [{"price": "222", "bid_px_00": "222", "ask_px_00": "223"}, {"bid_px_00": "222", "ask_px_00": "2147483647"}],
    ],
)
def test_whole_numbers_mostly_below_a_cent_are_refused_with_the_question(read, rows):
    for symbol in (None, "AAPL"):
        with pytest.raises(FeedUnavailable, match=r"most do not reach a cent; are they dollars\? write decimals"):
            read(*[{"price": ""} | row for row in rows], symbol=symbol)


def test_a_share_below_a_cent_reads_the_same_with_decimals_as_dbn_writes_it(read, tmp_path):
    dollars = {"price": "", "bid_px_00": "0.004", "ask_px_00": "0.0041"}
    tape = read(dollars, dollars | {"sequence": "46542625"}).tape
    WRITERS[".dbn"](tape, tmp_path / "day.dbn")
    assert tape.ask_px.tolist() == [4_100_000] * 2
    assert same(plan.read_file(tmp_path / "day.dbn").tape, tape)


@pytest.mark.parametrize(
    ("stamp", "hint"),
    [
        ("1722519392", "as seconds of 2024-08-01T13:36:32"),
        ("920000000", "as seconds of 1999-02-26"),
        ("1722519392491", r"as milliseconds of 2024-08-01T13:36:32\.491000000Z"),
        ("1722519392491911", r"as microseconds of 2024-08-01T13:36:32\.491911000Z"),
        ("48992491911683", "as nanoseconds it is of 1970-01-01T13:36:32.491911683Z; write"),  # since midnight
        ("0", "as nanoseconds it is of 1970-01-01T00:00:00.000000000Z; write"),
        ("99999999999999999", "as nanoseconds it is of 1973-03-03"),
    ],
)
def test_stamps_in_another_unit_are_refused_and_the_unit_is_named(read, stamp, hint):
    for rows, line in (([{"ts_event": stamp}] * 2, 2), ([{"ts_event": str(10**17)}, {"ts_event": stamp}], 3)):
        with pytest.raises(FeedCorrupt, match=f"line {line}, column ts_event: '{stamp}' .*{hint}"):
            read(*rows)


@pytest.mark.parametrize(
    "change",
    [
        {"ask_px_00": ""},
        {"ask_px_00": "NaN"},
        {"ask_px_00": "nan"},
        {"ask_px_00": "0"},
        {"ask_px_00": "-1.5"},
        {"ask_px_00": str(UNDEFINED_PRICE)},
        {"ask_px_00": "9223372036.854775807"},
        {"ask_sz_00": ""},
        {"ask_sz_00": "0"},
        {"ask_sz_00": "-100"},
        {"ask_sz_00": str(2**32 - 1)},
    ],
)
def test_no_price_or_size_is_no_quote_and_the_row_stays(read, change):
    tape = read(change).tape
    assert (tape.ask_px.tolist(), tape.ask_sz.tolist()) == ([0], [0])
    assert (tape.bid_px.tolist(), tape.bid_sz.tolist()) == ([222_810_000_000], [421])


def test_rows_with_a_negative_number_are_counted_and_stay(read):
    bad = {"bid_px_00": "-1", "ask_px_00": "-2.5"}, {"ask_sz_00": "-100"}, {"bid_sz_00": str(-(2**40))}
    block = read({}, *bad, {"ask_sz_00": "0", "bid_px_00": "0", "bid_sz_00": str(2**32 - 1)})
    assert block.ignored == {"negative_numbers": 3, "zero_size": 1}
    nothing = (
        {"bid_px_00": "", "ask_px_00": ""},
        {"ask_sz_00": ""},
        {"bid_sz_00": ""},
        {"bid_px_00": "", "ask_sz_00": ""},
    )
    assert same(block.tape, read({}, *nothing).tape)
    assert "negative_numbers" not in read().ignored


def plain_counts(rows):
    """The counts of published rows in a loop, without arrays."""
    counts = dict.fromkeys(("negative_numbers", "zero_size", "out_of_order"), 0)
    for at, row in enumerate(rows):
        sides = [[int(row[f"{side}_{what}_00"] or 0) for what in ("px", "sz")] for side in ("bid", "ask")]
        counts["negative_numbers"] += any(number < 0 for side in sides for number in side)
        counts["zero_size"] += any(px > 0 and sz in {0, 2**32 - 1} for px, sz in sides)
        counts["out_of_order"] += at > 0 and int(row["ts_event"]) < int(rows[at - 1]["ts_event"])
    return {reason: count for reason, count in counts.items() if count}


_published = st.fixed_dictionaries(
    {
        "ts_event": st.integers(10**18, 10**18 + 3).map(str),
        "bid_px_00": st.sampled_from(["", "0", "-10000000", "10000000", "20000000"]),
        "ask_px_00": st.sampled_from(["0", "20000000"]),
        "bid_sz_00": st.sampled_from(["", "0", "-5", "7", str(2**32 - 1)]),
        "ask_sz_00": st.sampled_from(["0", "9"]),
    }
)


@given(rows=st.lists(_published, min_size=1, max_size=12), compiled=st.booleans())
def test_what_is_counted_of_the_rows_as_published_equals_a_plain_loop(rows, compiled, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "published.csv"
    path.write_text(text_of(*(NANO | row for row in rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "PLAIN_FROM", 0 if compiled else 2**40)
        (fragment,) = read_csv(path).fragments
    assert fragment.ignored == plain_counts(rows)
    assert fragment.tape.rows == len(rows)


def test_more_than_nine_decimals_are_rounded_half_even_and_said(read):
    block = read({"bid_px_00": "1.0000000005", "ask_px_00": "1.0000000015"}, {"bid_px_00": "1.50000000000"})
    assert block.tape.bid_px.tolist() == [1_000_000_000, 1_500_000_000]
    assert block.tape.ask_px.tolist() == [1_000_000_002, 222_830_000_000]
    assert block.notes[-1] == "2 prices with more than nine decimals were rounded half-even"


@given(st.lists(st.decimals(-(10**6), 10**6, allow_nan=False, places=9).map(str), min_size=1, max_size=20))
@example(["1E-9", "12.5e1", ".5", "5.", "+2"])
@example(["0.1234567895", "1E-30", "8388607.99999999"])
def test_prices_are_exact(texts):
    expected = [int(Decimal(text).scaleb(9).to_integral_value(ROUND_HALF_EVEN)) for text in texts]
    assert prices(pa.array(texts), nanos=False).tolist() == expected
    chunked = pa.chunked_array([texts[:1], texts[1:]], pa.string())
    assert prices(chunked, nanos=False).tolist() == expected
    assert prices(pa.array(["x", *texts]).slice(1), nanos=False).tolist() == expected


@given(st.lists(st.integers(-(2**62), PRICE_LIMIT - 1), max_size=20))
def test_nano_prices_are_exact(numbers):
    texts = pa.array([str(number) for number in numbers], pa.string())
    assert prices(texts, nanos=True).tolist() == numbers
    assert integers(texts, -(2**62), 2**62).tolist() == numbers


def test_sizes_may_be_written_as_floats(read):
    assert read({"bid_sz_00": "421.0", "ask_sz_00": "3.6e1"}).tape.bid_sz.tolist() == [421]


@pytest.mark.parametrize("value", ["1e-10", "421.0000000001", f"0.{'0' * 40}1", "1e-400", "0x10", "0X1F", "-0x1"])
@pytest.mark.parametrize("column", ["bid_sz_00", "sequence", "publisher_id"])
def test_what_is_no_whole_number_is_not_rounded_to_one(read, column, value):
    expected = "number" if "x" in value.lower() else "whole number"
    with pytest.raises(FeedCorrupt, match=f"line 2, column {column}: .*expected a {expected}"):
        read({column: value})


def test_hexadecimal_prices_are_refused(read):
    with pytest.raises(FeedCorrupt, match="line 3, column bid_px_00: '0x33dfd3ac80'"):
        read(NANO, NANO | {"bid_px_00": "0x33dfd3ac80"})


@pytest.mark.parametrize("rtype", ["1", "10"])
def test_both_schemas_are_read_and_other_rows_counted(read, rtype):
    block = read({"rtype": rtype}, {"rtype": "19", "bid_px_00": "rubbish"}, {"rtype": rtype})
    assert block.tape.rows == 2
    assert block.ignored == {"other_rtype": 1}


def test_optional_columns_may_be_missing(read):
    names = ("ts_recv", "rtype", "instrument_id", "action", "side", "depth", "price", "size", "flags", "symbol")
    block = read({}, drop=names)
    assert block.tape.symbol == UNNAMED
    assert len(block.tape.trades.ts) == 0
    assert "names no symbol" in block.notes[0]
    assert read({}, drop=names, symbol="IBM", name="other.csv").tape.symbol == "IBM"
    assert read({}, drop=names, name="third.csv").tape.digest() == block.tape.digest()


def test_rows_stay_as_they_came_several_of_one_venue_at_one_instant(read):
    tape = read(*({"bid_sz_00": str(size)} for size in (5, 3, 9))).tape
    assert tape.bid_sz.tolist() == [5, 3, 9]


def test_trades_are_read_and_their_rows_stay_quotes(read):
    trade = {"action": "T"}
    block = read(
        {},
        trade | {"side": "A"},
        trade | {"side": "B", "price": "222.83", "sequence": "46542625"},
        trade | {"side": "N", "sequence": "46542626", "size": "7"},
        trade | {"size": "0"},
        trade | {"price": ""},
        {"action": "F"},
    )
    trades = block.tape.trades
    assert block.tape.rows == 7
    assert trades.side.tolist() == [-1, 1, 0]
    assert trades.px.tolist() == [222_810_000_000, 222_830_000_000, 222_810_000_000]
    assert trades.sz.tolist() == [190, 190, 7]
    assert trades.sequence.tolist() == [46542624, 46542625, 46542626]
    assert set(trades.venue.tolist()) == {2}
    assert block.ignored == {"unusable_trade": 2}


def test_several_symbols_are_a_fragment_each(read):
    trade = {"action": "T", "side": "A"}
    rows = ({}, trade | {"symbol": "MSFT", "bid_sz_00": "-1"}, trade | {"size": "0"}, {"rtype": "19"})
    block = read(*rows)
    assert block.symbols == ("AAPL", "MSFT")
    one, other = block.fragments
    assert (one.tape.symbol, one.tape.rows, one.ignored) == ("AAPL", 2, {"other_rtype": 1, "unusable_trade": 1})
    assert (other.tape.symbol, other.tape.rows, other.ignored) == ("MSFT", 1, {"other_rtype": 1, "negative_numbers": 1})
    assert (len(one.tape.trades.ts), len(other.tape.trades.ts)) == (0, 1)
    for fragment in block.fragments:
        alone = read(*rows, symbol=fragment.tape.symbol)
        assert same(alone.tape, fragment.tape)
        assert alone.ignored.pop("other_symbol") == 3 - fragment.tape.rows
        assert alone.ignored == fragment.ignored
    assert read(*rows, symbol="IBM").fragments == ()


@pytest.mark.parametrize("mark", ["", '"'])
@pytest.mark.parametrize("name", ["NA", "None", "null", "nan", "NaN", "N/A", "NULL", "9223372036854775807"])
def test_only_an_empty_field_names_no_symbol(read, name, mark):
    named = {"symbol": f"{mark}{name}{mark}", "bid_px_00": "NA"}
    block = read(named, {}, {"symbol": mark * 2})
    assert [(each.tape.symbol, each.tape.rows) for each in block.fragments] == sorted(
        [("AAPL", 1), (name, 1), (UNNAMED, 1)]
    )
    alone = read(named, named)
    assert (alone.tape.symbol, alone.named, alone.tape.rows) == (name, True, 2)
    assert alone.tape.bid_px.tolist() == [0, 0]  # of a number, the word still says that there is none
    assert same(read(named, {}, {}, symbol=name).tape, read(named, name="one.csv").tape)


def test_rows_that_name_no_symbol_beside_some_that_do_are_a_fragment_of_their_own(read):
    block = read({}, {"symbol": ""}, {"symbol": "", "publisher_id": "3", "instrument_id": "12"})
    assert [(each.tape.symbol, each.tape.rows) for each in block.fragments] == [("AAPL", 1), (UNNAMED, 2)]
    with pytest.raises(FeedUnavailable, match="several instruments"):
        read({}, {"symbol": ""}, {"symbol": "", "instrument_id": "39"})


def test_two_instruments_of_one_venue_without_symbols_are_refused(read):
    venues = ({}, {"publisher_id": "3", "instrument_id": "12"})
    assert read(*venues, drop=("symbol",)).tape.rows == 2
    with pytest.raises(FeedUnavailable, match="several instruments"):
        read(*venues, {"instrument_id": "39"}, drop=("symbol",))
    assert read(*venues, {"instrument_id": "39"}).tape.rows == 3


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst", ".CSV.GZ"])
def test_compressed_files_read_the_same(tmp_path, ending):
    path = tmp_path / f"day{ending}"
    raw = text_of({}, {"sequence": "46542625"}).encode()
    codec = {"gz": "gzip", "zst": "zstd"}.get(ending.lower().rpartition(".")[2])
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, codec) if codec else file as stream:
        stream.write(raw)
    assert read_csv(path).tape.rows == 2


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_windows_lines_are_fine(read, change):
    assert same(read(change(text_of())).tape, read().tape)


# --- files that cannot be used: exit 2 ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n", "missing columns: ts_event"),
        (text_of().splitlines()[0] + "\n", "no rows"),
        (text_of().splitlines()[0], "no rows"),
        ("a,b\n1,2\n", "missing columns: ts_event, publisher_id, sequence, bid_px_00"),
        (text_of({"rtype": "19"}), "none of its 1 rows is a book row"),
        (text_of().replace("ask_ct_00", "ask_px_00"), "columns there more than once: ask_px_00"),
    ],
)
def test_nothing_usable_is_unavailable(read, text, message):
    with pytest.raises(FeedUnavailable, match=message) as caught:
        read(text)
    assert caught.value.exit_code == 2
    assert "day.csv" in caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize("missing", csv_reader.REQUIRED)
def test_a_missing_column_is_named(read, missing):
    with pytest.raises(FeedUnavailable, match=f"missing columns: {missing};"):
        read({}, drop=(missing,))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\n\n" + text_of(), "; the first line is blank; expected"),
        (
            text_of().replace(",", ";"),
            "; the header there begins 'ts_recv;ts_event;rtype;publisher_id;instrument_id;action;sid'; expected",
        ),
        ("a\x1b[31m,b\n1,2\n", r"; the header there begins 'a\x1b[31m,b'; expected"),
        ("\x1b" * 99 + "\n", r"; the header there begins '" + r"\x1b" * 15 + "'; expected"),
    ],
)
def test_what_stands_in_place_of_a_header_is_shown(read, text, shown):
    with pytest.raises(FeedUnavailable) as caught:
        read(text)
    assert shown in str(caught.value)


def test_a_missing_file_and_a_directory_are_unavailable(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path, message in (
        (tmp_path / "absent.csv", "no such file"),
        (tmp_path, "directory"),
        (tmp_path / "pipe.csv", "not a regular file"),
        (Path(os.devnull), "not a regular file"),
    ):
        with pytest.raises(FeedUnavailable, match=message):
            read_csv(path)


# --- files that are damaged: exit 3 ---


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("ts_event", "yesterday", "'yesterday'"),
        ("ts_event", "2024-08-01T13:36:32", "'2024-08-01T13:36:32'"),
        ("ts_event", "2024-08-01T13:36:32.1234567891Z", "'2024-08-01T13:36:32.1234567891Z'"),
        ("ts_event", "1900-01-01T00:00:00Z", "'1900-01-01T00:00:00Z'"),
        ("ts_event", "1722519392491911683", "'1722519392491911683'"),
        ("ts_event", "", "empty"),
        ("publisher_id", "two", "'two'"),
        ("publisher_id", "40000", "'40000'"),
        ("publisher_id", "", "empty"),
        ("sequence", "1.5", "'1.5'"),
        ("sequence", "-1", "'-1'"),
        ("bid_px_00", "222.8.1", "'222.8.1'"),
        ("bid_px_00", "1e999", "'1e999'"),
        ("bid_px_00", "1e999999999", "'1e999999999'"),
        ("bid_px_00", "inf", "'inf'"),
        ("ask_px_00", "8388608.000000000", "'8388608.000000000'"),
        ("ask_px_00", "1_0", "'1_0'"),
        ("ask_px_00", "1" * 60, f"'{'1' * 40}'\\.\\.\\."),
        ("ask_px_00", "\x1b[31m", r"'\\x1b\[31m'"),
        ("ask_sz_00", "many", "'many'"),
        ("ask_sz_00", "3000000000", "'3000000000'"),
        ("ask_sz_00", "0.5", "'0.5'"),
        ("rtype", "x", "'x'"),
    ],
)
@pytest.mark.parametrize("at", [1, 5])
def test_a_bad_value_is_named_with_its_line_and_column(read, column, value, shown, at):
    rows = [{}] * 9
    rows[at] = {column: value}
    with pytest.raises(FeedCorrupt, match=f"line {at + 2}, column {column}: {shown} ") as caught:
        read(*rows)
    assert caught.value.exit_code == 3
    assert "\x1b" not in str(caught.value)


def test_a_decimal_price_in_a_file_of_integers_is_found(read):
    with pytest.raises(FeedCorrupt, match="line 2, column bid_px_00: '222810000000'"):
        read(NANO, NANO | {"bid_px_00": "222.81"})
    with pytest.raises(FeedCorrupt, match="line 3, column bid_px_00: 'x'"):
        read(NANO, NANO | {"bid_px_00": "x"})


def test_the_line_is_right_after_rows_left_out_and_blank_lines(read):
    text = text_of({"rtype": "19"}, {}, {"symbol": "MSFT"}, {"sequence": "x"})
    lines = text.splitlines()
    with pytest.raises(FeedCorrupt, match="line 5, column sequence: 'x'"):
        read(text, symbol="AAPL")
    with pytest.raises(FeedCorrupt, match="line 7, column sequence: 'x'"):
        read("\n".join([*lines[:2], "", "", *lines[2:]]), symbol="AAPL", name="day.csv.gz")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_is_right_however_lines_end(tmp_path, end):
    path = tmp_path / "day.csv"
    lines = text_of({}, {}, {"sequence": "x"}).splitlines()
    path.write_bytes(end.join([*lines[:2], "", *lines[2:], ""]).encode())
    with pytest.raises(FeedCorrupt, match="line 5, column sequence: 'x'"):
        read_csv(path)
    path.write_bytes(end.join([*lines[:2], "", "2024,2"]).encode())
    with pytest.raises(FeedCorrupt, match="line 4: 2 fields, expected 20"):
        read_csv(path)


def test_a_row_cut_short_is_named(read):
    text = text_of({}, {}, {})
    with pytest.raises(FeedCorrupt, match="line 4: 5 fields, expected 20"):
        read(",".join(text.splitlines()[-1].split(",")[:5]).join([text.rsplit("\n", 2)[0] + "\n", ""]))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_row_of_another_length_that_is_no_text_is_named_and_nothing_printed(tmp_path, monkeypatch, mark):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    path = tmp_path / "day.csv"
    path.write_bytes(mark + text_of({}, {}).encode() + b"2024-08-01T13:36:32.49\xff\xfe,\xcc,1\n")
    with pytest.raises(FeedCorrupt, match=r"line 4: 3 fields, expected 20: '2024-08-01T13:36:32.49\\ufffd\\ufffd,"):
        read_csv(path)
    assert printed == []


@pytest.mark.parametrize(
    ("codec", "damage"),
    [
        ("gzip", "cut"),
        ("gzip", "flipped"),  # a zstd stream may carry no checksum, and then a flipped bit cannot be known
        ("gzip", "other"),
        ("zstd", "cut"),
        ("zstd", "other"),
    ],
)
def test_damaged_compression_is_corrupt(tmp_path, codec, damage):
    raw = text_of(*({"sequence": str(number * 7919)} for number in range(3000))).encode()
    packed = bytearray(pa.compress(raw, codec, asbytes=True))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed = bytearray(b"this is no compressed file at all")
    path = tmp_path / f"day.csv.{'gz' if codec == 'gzip' else 'zst'}"
    path.write_bytes(packed)
    with pytest.raises(FeedCorrupt) as caught:
        read_csv(path)
    assert caught.value.where == str(path)


def test_bytes_that_are_no_text_are_corrupt(tmp_path):
    path = tmp_path / "day.csv"
    path.write_bytes(text_of({"symbol": "X"}).encode().replace(b",X", b",\xff\xfe"))
    with pytest.raises(FeedCorrupt, match="damaged"):
        read_csv(path)
    path.write_bytes(b"\xff\x80\x00\n1\n")
    with pytest.raises(FeedCorrupt, match="damaged"):
        read_csv(path)


def test_a_file_that_grows_beyond_bounds_is_refused(tmp_path):
    path = tmp_path / "day.csv.gz"
    path.write_bytes(gzip.compress(text_of(*[{}] * 100).encode()))
    with pytest.raises(FeedCorrupt, match="more than 10000 bytes"):
        read_csv(path, max_bytes=10_000)


# --- blocks of lines ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("room", [9, 150, 2**24])
def test_a_file_is_the_same_however_many_blocks_it_is_read_in(tmp_path, monkeypatch, end, mark, room):
    rows = [{"sequence": str(number), "symbol": "AM"[number % 2], "side": "BAN"[number % 3]} for number in range(40)]
    text = text_of(*rows)
    (tmp_path / "day.csv").write_text(text)
    expected = read_csv(tmp_path / "day.csv")
    monkeypatch.setattr(csv_text, "BLOCK", text.index("\n") + room)
    (tmp_path / "day.csv").write_bytes((mark + text.rstrip("\n").replace("\n", end)).encode())
    for one, other in zip(read_csv(tmp_path / "day.csv").fragments, expected.fragments, strict=True):
        assert same(one.tape, other.tape)
    (tmp_path / "day.csv").write_bytes((mark + (text + "1,2\n" + text).replace("\n", end)).encode())
    with pytest.raises(FeedCorrupt, match="line 42: 2 fields, expected 20: '1,2'"):
        read_csv(tmp_path / "day.csv")


def test_a_line_without_an_end_is_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_text, "BLOCK", 2**10)
    (tmp_path / "day.csv").write_text(text_of() + "x" * 2**14)
    with pytest.raises(FeedCorrupt, match="a line of more than 1024 bytes"):
        read_csv(tmp_path / "day.csv")


@pytest.mark.parametrize("name", ["day.csv", "day.csv.gz", "day.csv.zst"])
def test_no_thread_of_pyarrow_is_given_an_object_of_python(tmp_path, monkeypatch, name):
    ours = []

    def checked(source, *arguments, **options):
        assert isinstance(source, pa.BufferReader), "a stream of Python's"
        ours.append(source.read_buffer().parent.is_mutable)  # what pyarrow allocated is, bytes of Python's are not
        source.seek(0)
        return pa_csv.read_csv(source, *arguments, **options)

    monkeypatch.setattr(csv_text, "pa_csv", SimpleNamespace(**vars(pa_csv) | {"read_csv": checked}))
    for text, broken in ((text_of({"symbol": ""}, {}), False), (text_of({}) + "1,2\n", True)):
        codec = COMPRESSIONS.get(name[7:])
        (tmp_path / name).write_bytes(pa.compress(text.encode(), codec, asbytes=True) if codec else text.encode())
        with pytest.raises(FeedCorrupt, match="line 3: 2 fields") if broken else nullcontext():
            read_csv(tmp_path / name)
    assert ours == [True] * 4


# --- real days ---


def test_the_published_days_snapshots(l1_day):
    (block,) = read_csv(l1_day).fragments
    tape = block.tape
    inside = tape.clip(parse_instant("2024-08-01T13:36:32Z"), parse_instant("2024-08-01T13:45:14Z"))
    assert len(np.unique(inside.ts[inside.ask_px > 0])) == 54_305
    assert (tape.symbol, tape.rows, block.ignored) == ("AAPL", 59_999, {})
    assert len(tape.trades.ts) > 0


def test_the_day_of_twelve_venues(taq_day):
    tape = read_csv(taq_day).tape
    assert (tape.symbol, tape.rows, len(tape.venues)) == ("XXX", 66_693, 12)


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ("1e308", r"'1e308' \(expected a smaller number\)"),
        ("9" * 400, r"'9{40}'\.\.\. \(expected a smaller number\)"),
        ("-" + "9" * 400, r"'-9{39}'\.\.\. \(expected a smaller number\)"),
        ("9" * 39 + ".5", r"'9{39}\.'\.\.\. \(expected a smaller number\)"),
        ("1e-10", r"'1e-10' \(it rounds to 0; the smallest price is 1e-9 \$\)"),
        ("0.0000000004", r"'0\.0000000004' \(it rounds to 0"),
        ("0." + "0" * 400 + "1", r"'0\.0{38}'\.\.\. \(it rounds to 0"),
    ],
)
def test_a_price_that_no_tape_holds_is_named_and_shortened(tmp_path, price, message):
    lines = ["ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00"]
    lines += [f"2024-08-01T13:36:32Z,2,7,{bid},222.2,100,100" for bid in ("222.1", price)]
    (path := tmp_path / "day.csv").write_text("\n".join(lines))
    with pytest.raises(FeedCorrupt, match=rf"day\.csv: line 3, column bid_px_00: {message}"):
        read_csv(path)
