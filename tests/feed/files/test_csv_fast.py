"""The compiled reader of plain files gives what the text path gives, or leaves the file to it."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feed.errors import FeedError
from feed.files import csv_fast, csv_kernel, csv_reader
from feed.files.csv_reader import read_csv
from feed.files.fragments import FileBlock
from feed.instants import format_instant, parse_instant
from feed.options import MAX_BYTES
from feed.tape import PRICE_LIMIT, UNDEFINED_PRICE, Tape, same
from tests.support import csvrow
from tests.support.examples import examples
from tests.support.strategies import tapes

ROW = {name: value for name, value in csvrow.ROW.items() if name != "symbol"} | {
    "bid_px_01": "222.8",
    "ask_px_01": "222.84",
    "note": "a longer text that is not looked at but for its commas",
    "symbol": "AAPL",
}
NAMES = tuple(ROW)
TRADE = {"action": "T"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plain")


@pytest.fixture(autouse=True, scope="module")
def _small():
    """Small files are read as large ones are, in many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "PLAIN_FROM", 0)
        patch.setattr(csv_fast, "BLOCK", 1024)
        yield


def text_of(*rows, names=NAMES):
    lines = [",".join((ROW | row)[name] for name in names) for row in rows or ({},)]
    return "\n".join([",".join(names), *lines]) + "\n"


SIXTY = text_of(*[TRADE] * 60).encode()


def outcome(read, *arguments):
    try:
        return read(*arguments)
    except FeedError as error:
        return str(error)


def agree(folder, text, symbol=None, max_bytes=MAX_BYTES):
    """Hold the compiled reader, where it takes a text, against the other, which reads all else; whether it did."""
    path = folder / "day.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    plain = csv_reader._read_plain(path, symbol, max_bytes)
    if plain is not None:
        text_path = outcome(csv_reader._read_text, path, symbol, max_bytes)
        assert isinstance(text_path, FileBlock), text_path
        assert_same(plain, text_path)
    return plain is not None


def assert_same(one, other):
    assert same(one.tape, other.tape)
    assert [column.dtype for column in vars_of(one.tape)] == [column.dtype for column in vars_of(other.tape)]
    assert one.symbols == other.symbols
    for fragment, its in zip(one.fragments, other.fragments, strict=True):
        assert (fragment.ignored, fragment.notes, fragment.named) == (its.ignored, its.notes, its.named)


def vars_of(tape):
    return [getattr(tape, name) for name in ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")]


def rows_of(tape, *, iso, points):
    """A tape's rows and trades as rows of a file; what has no quote is empty."""

    def dollars(px):
        if px <= 0:
            return ""
        return f"{px // 10**9}.{px % 10**9:09d}" if points else str(px)

    rows = [
        {
            "ts_event": format_instant(ts) if iso else str(ts),
            "publisher_id": str(venue),
            "bid_px_00": dollars(bid),
            "ask_px_00": dollars(ask),
            "bid_sz_00": str(bid_sz),
            "ask_sz_00": str(ask_sz),
            "sequence": str(sequence),
            "price": dollars(222 * 10**9),
        }
        for ts, venue, bid, ask, bid_sz, ask_sz, sequence in zip(*(c.tolist() for c in vars_of(tape)), strict=True)
    ]
    prints = tape.trades
    return rows + [
        {
            "ts_event": format_instant(ts) if iso else str(ts),
            "publisher_id": str(venue),
            "bid_px_00": "",
            "ask_px_00": dollars(px),
            "action": "T",
            "price": dollars(px),
            "size": str(size),
            "side": {1: "B", -1: "A", 0: "N"}[side],
        }
        for ts, venue, px, size, side in zip(
            *(getattr(prints, name).tolist() for name in ("ts", "venue", "px", "sz", "side")), strict=True
        )
    ]


class TestUsualFiles:
    @given(tape=tapes(), iso=st.booleans(), points=st.booleans(), order=st.permutations(NAMES))
    @examples(75)
    def test_a_tape_is_read_the_same_whatever_the_order_of_columns(self, folder, tape, iso, points, order):
        rows = rows_of(tape, iso=iso, points=points)
        priced = any(row["bid_px_00"] or row["ask_px_00"] or row["price"] for row in rows)
        for names in (NAMES, order):
            assert agree(folder, text_of(*rows, names=names)) is priced

    @pytest.mark.parametrize("size", [520, 528, 600, 1000, 2**21])
    def test_blocks_may_end_anywhere(self, folder, monkeypatch, size):
        monkeypatch.setattr(csv_fast, "BLOCK", size)
        rows = [{"sequence": str(7**number), "note": "x" * (number % 9)} for number in range(20)]
        assert agree(folder, text_of(*rows, TRADE, {"price": ""}))
        assert agree(folder, text_of(*rows)[:-1])

    def test_a_line_longer_than_a_block_is_left(self, folder):
        assert not agree(folder, text_of({}, {"note": "x" * 2000}, {}))
        assert not agree(folder, text_of({}, {}, {"note": "x" * 2000}))

    def test_trades_are_read_and_the_others_counted(self, folder):
        rows = (TRADE, TRADE | {"price": ""}, TRADE | {"size": "0"}, TRADE | {"side": "A"}, TRADE | {"side": "N"})
        assert agree(folder, text_of({}, *rows))

    @pytest.mark.parametrize(
        "missing",
        [
            ("symbol",),
            ("action", "ts_recv"),
            ("price", "size"),
            ("side",),
            ("rtype", "symbol", "instrument_id"),
            ("note", "symbol"),
        ],
    )
    def test_optional_columns_may_be_missing(self, folder, missing):
        names = [name for name in NAMES if name not in missing]
        assert agree(folder, text_of({}, TRADE, names=names))
        assert agree(folder, text_of({}, TRADE, names=names), "AAPL")

    def test_a_venue_has_one_instrument_where_no_symbol_tells(self, folder):
        names = [name for name in NAMES if name != "symbol"]
        other = {"publisher_id": "3", "instrument_id": "12"}
        assert agree(folder, text_of({}, other, names=names))
        assert not agree(folder, text_of({}, other, {"instrument_id": "12"}, names=names))
        assert agree(folder, text_of({}, other, {"instrument_id": "12"}))

    def test_the_symbol_asked_for_must_be_the_files(self, folder):
        assert agree(folder, text_of(), "AAPL")
        assert not agree(folder, text_of(), "AAP")

    def test_whole_dollars_are_left(self, folder):
        row = {"bid_px_00": "222", "ask_px_00": "223", "price": "223"}
        assert not agree(folder, text_of(row))
        assert not agree(folder, text_of(row | {"price": "10000000"}))
        assert agree(folder, text_of(row | {"bid_px_00": "10000000", "ask_px_00": "10000001"}))

    @pytest.mark.parametrize("stamp", ["1722519392", "1722519392491", "1722519392491911", "0"])
    def test_stamps_in_another_unit_are_left(self, folder, stamp):
        late = {"ts_event": str(10**17)}
        assert agree(folder, text_of(late, late))
        assert not agree(folder, text_of(late, late | {"ts_event": stamp}))

    @pytest.mark.parametrize("name", ["NA", "None", "null", "nan", "N/A"])
    def test_a_symbol_may_read_as_nothing(self, folder, name):
        assert agree(folder, text_of({"symbol": name}, {"symbol": name}))
        assert not agree(folder, text_of({"symbol": ""}, {"symbol": ""}))

    @pytest.mark.parametrize("ending", ["gz", "zst"])
    def test_compressed_files_are_read_the_same(self, folder, ending):
        path = folder / f"day.csv.{ending}"
        raw = text_of(*({"sequence": str(number)} for number in range(100))).encode()
        path.write_bytes(gzip.compress(raw) if ending == "gz" else pa.compress(raw, "zstd", asbytes=True))
        plain = csv_reader._read_plain(path, None, MAX_BYTES)
        assert plain.tape.sequence.tolist() == list(range(100))
        assert_same(plain, csv_reader._read_text(path, None, MAX_BYTES))
        path.write_bytes(path.read_bytes()[:-20])
        assert csv_reader._read_plain(path, None, MAX_BYTES) is None

    def test_small_files_are_not_worth_a_compiler(self, folder, monkeypatch):
        path = folder / "small.csv"
        path.write_text(text_of())
        monkeypatch.setattr(csv_reader, "_read_plain", lambda *_: pytest.fail("it was tried"))
        monkeypatch.setattr(csv_reader, "PLAIN_FROM", path.stat().st_size + 1)
        assert read_csv(path).tape.rows == 1

    def test_other_files_are_read_all_the_same(self, folder):
        path = folder / "quoted.csv"
        path.write_text(text_of({}, {"symbol": '"AAPL"'}))
        assert csv_reader._read_plain(path, None, MAX_BYTES) is None
        assert_same(read_csv(path), csv_reader._read_text(path, None, MAX_BYTES))

    def test_what_may_be_a_sample_is_left_to_the_other_reader(self, folder):
        names = [name for name in NAMES if name != "action"]
        header, *rows = text_of({}, names=names).splitlines()
        twice = "\n".join([f"{header},ts_recv,ts_recv", *(f"{row},," for row in rows)]) + "\n"
        assert not agree(folder, twice)
        assert "columns there more than once: ts_recv" in outcome(read_csv, folder / "day.csv")

    def test_more_than_may_be_read_is_refused(self, folder):
        assert not agree(folder, text_of(*[{}] * 100), max_bytes=3000)


VALUES = [
    *(
        "",
        "0",
        "00",
        "007",
        "5",
        "-1",
        "+5",
        "1e2",
        "1.0",
        ".5",
        "5.",
        "222.8.1",
        "1_0",
        " 7",
        "7 ",
        "NaN",
        "nan",
        "NA",
    ),
    *(
        "null",
        "None",
        "inf",
        "x",
        "T",
        "B",
        "TT",
        "t",
        "AAPL",
        "AAP",
        "AAPLE",
        "XAAPL",
        "18446744074.000000000",
        "18446744073.9",
        "MSFT",
        '"',
        '""',
        '"7"',
        '"7',
        "\r",
        "\0",
    ),
    *("1", "10", "19", "255", "256", "32767", "32768", "2147483647", "2147483648", "4294967295", "4294967296"),
    *(
        "9999999",
        "10000000",
        "8388607.999999999",
        "8388608",
        "8388608.000000000",
        "8388607999999999",
        "8388608000000000",
    ),
    *("1.123456789", "1.1234567891", "1.1234567890", "0.0", "0.000000000", "12345678.5", "0000001.5", "00000001.5"),
    *(
        str(UNDEFINED_PRICE),
        str(UNDEFINED_PRICE - 1),
        str(UNDEFINED_PRICE + 1),
        "9" * 19,
        "1" * 20,
        "18446744073709551617",
    ),
    *("2024-08-01T13:36:32.491911683Z", "2024-08-01 13:36:32.491911683Z", "2024-08-01T13:36:32.49191168Z", "\u0665"),
    *("2024-02-29T00:00:00.000000000Z", "2023-02-29T00:00:00.000000000Z", "2100-02-29T00:00:00.000000000Z", "\ufeff"),
    *("2024-13-01T00:00:00.000000000Z", "2024-00-01T00:00:00.000000000Z", "0000-00-00T00:00:00.000000000Z"),
    *("2024-08-01T24:00:00.000000000Z", "2024-08-01T23:60:00.000000000Z", "2024-08-01T23:59:60.000000000Z"),
    *("1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00.000000000Z", "2262-04-11T23:47:16.854775807Z"),
    *("2262-04-11T23:47:16.854775808Z", "2261-12-31T23:59:59.999999999Z", "9999-08-01T13:36:32.491911683Z"),
    *(
        "2024-08-01T13:36:32.491911683+",
        "2024-08-01T13:36:32,491911683Z",
        "2024-08-01T13:36:32.4919-1683Z",
        "1,2",
        "a\nb",
    ),
]
NANO = {"price": "222810000000", "bid_px_00": "222810000000", "ask_px_00": "222830000000"}
FORMS = {
    "iso, dollars": {},
    "integers": NANO | {"ts_event": "1722519392491911683"},
}


class TestUnusualValues:
    @pytest.mark.parametrize(("number", "column"), list(enumerate([*csv_fast.ROLES, "note"])))
    def test_a_value_is_read_or_refused_the_same(self, folder, number, column):
        """Each value in each column; both in each form."""
        for at, value in enumerate(VALUES, number):
            form = list(FORMS.values())[at % len(FORMS)]
            agree(folder, text_of(form, form | TRADE | {column: value}, form))

    @pytest.mark.parametrize("column", ["ts_event", "price", "bid_px_00", "symbol", "action"])
    def test_a_value_of_the_first_row_is_read_or_refused_the_same(self, folder, column):
        for value in VALUES:
            agree(folder, text_of({column: value}, {}))
            agree(folder, text_of({column: value}, {column: value}))

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace("AAPL\n", "AAPL\r\n"),
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text.replace("\n", "\r"),
            lambda text: text.replace("AAPL\n", "AAPL\n\n", 2),
            lambda text: text + "\n",
            lambda text: text + ",",
            lambda text: text + "x\n",
            lambda text: text.replace(",AAPL\n", "\n", 1),
            lambda text: text.replace(",AAPL\n", ",,AAPL\n", 1),
            lambda text: text.replace("AAPL", "MSFT", 1),
            lambda text: text.replace("AAPL", "NA"),
            lambda text: text.replace("AAPL", ""),
            lambda text: text.replace("AAPL", "M\u00fcnchen"),
            lambda text: text.replace("AAPL", "A\rB"),
            lambda text: text.replace("AAPL", '"A,B"'),
            lambda text: text.replace("symbol", '"symbol"'),
            lambda text: text.replace("note", "sym\u00fcol"),
            lambda text: text.replace("note", "sequence"),
            lambda text: text.replace("bid_px_00", "bid_px"),
            lambda text: "\ufeff" + text,
            lambda text: text.split("\n")[0],
            lambda text: text.split("\n")[0] + "\n",
            lambda text: text[:-30],
            lambda text: text[:-1],
            lambda text: "\n" + text,
        ],
    )
    def test_a_file_of_another_form_is_read_or_refused_the_same(self, folder, change):
        text = text_of({}, TRADE, {}, {"note": "y" * 70})
        agree(folder, change(text))
        agree(folder, change(text), "AAPL")

    @given(data=st.data(), form=st.sampled_from(list(FORMS.values())))
    @examples(100)
    def test_bytes_changed_anywhere_are_read_or_refused_the_same(self, folder, data, form):
        text = bytearray(text_of(form, form | TRADE, form, form | TRADE).encode())
        for _ in range(data.draw(st.integers(1, 2))):
            at = data.draw(st.integers(0, len(text) - 1))
            letters = st.one_of(st.sampled_from(b'0,\n\r".-TZ \x00'), st.integers(0, 127))
            how = data.draw(st.sampled_from(["put", "put", "insert", "cut"]))
            if how == "put":
                text[at] = data.draw(letters)
            elif how == "insert":
                text[at:at] = bytes([data.draw(letters)])
            else:
                del text[at : at + data.draw(st.integers(1, 40))]
        agree(folder, bytes(text))

    @given(st.integers(128, 255), st.integers(0, len(SIXTY) - 1))
    @example(128, 8154)  # behind the last whole line of 8 KiB, in a column that is not looked at
    def test_a_byte_that_is_no_text_is_read_or_refused_the_same(self, folder, byte, at):
        text = bytearray(SIXTY)
        text[at] = byte
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_fast, "BLOCK", 2**13)
            agree(folder, bytes(text))


class TestKernel:
    @given(st.integers(0, parse_instant("2262-01-01T00:00:00Z") - 1))
    @example(parse_instant("2000-02-29T12:00:00Z"))
    @example(parse_instant("2100-03-01T00:00:00Z"))
    def test_a_stamp_is_the_instant(self, instant):
        text = np.frombuffer(format_instant(instant).encode(), np.uint8)
        parsed, date, days = csv_kernel.stamp_of(text, 0, -1, -1)
        assert parsed == instant
        assert csv_kernel.stamp_of(text, 0, date, days) == (parsed, date, days)

    @given(st.integers(0, 10**10 - 1).map(lambda number: f"{number:010d}"))
    def test_a_day_is_there_or_is_refused(self, digits):
        stamp = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:00:00.000000000Z"
        try:
            instant = parse_instant(stamp)
        except ValueError:
            instant = csv_kernel.UNUSUAL
        parsed, _, _ = csv_kernel.stamp_of(np.frombuffer(stamp.encode(), np.uint8), 0, -1, -1)
        assert parsed in {instant, csv_kernel.UNUSUAL}
        assert parsed == instant or digits[:4] == "2262"

    @given(st.integers(0, PRICE_LIMIT - 1), st.integers(1, 9))
    def test_a_price_is_exact(self, px, decimals):
        px -= px % 10 ** (9 - decimals)
        text = f"{px // 10**9}.{px % 10**9:09d}"[: decimals - 9 or None] + ","
        letters = np.frombuffer(text.encode(), np.uint8)
        assert csv_kernel.price_of(letters, 0, True) == (px, len(text) - 1)

    @given(st.text(",xy", max_size=200), st.integers(0, 20), st.sampled_from(["", "", '"', "\r"]), st.data())
    def test_the_rest_of_a_line_is_counted(self, line, start, strange, data):
        at = data.draw(st.integers(0, len(line)))
        line = line[:at] + strange + line[at:]
        text = ("," * start + line + '\n,\n"' + " " * 80).encode()
        words = np.frombuffer(text[: len(text) // 8 * 8], np.uint64)
        end, commas = csv_kernel.rest_of_line(words, start)
        if strange:
            assert commas == csv_kernel.UNUSUAL
        elif commas != csv_kernel.UNUSUAL:  # what follows within eight bytes may be what is refused
            assert (end, commas) == (start + len(line), line.count(","))

    @given(st.text("xy", max_size=50), st.integers(0, 20), st.sampled_from(',\n\r"'), st.text(',\n\r"x', max_size=9))
    def test_the_next_comma_is_found(self, before, start, letter, after):
        text = (',\n"\r' * 5)[:start] + before + letter + after + " " * 16
        words = np.frombuffer(text.encode()[: len(text) // 8 * 8], np.uint64)
        comma = csv_kernel.next_comma(words, start)
        assert comma == (start + len(before) if letter == "," else csv_kernel.UNUSUAL)


class TestBlocks:
    @given(st.lists(st.integers(0, 60), max_size=30), st.booleans())
    def test_every_line_is_in_one_block(self, lengths, ends):
        text = b"".join(b"x" * length + b"\n" for length in lengths) + (b"" if ends else b"y")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_fast, "BLOCK", 64)
            blocks = csv_fast._Blocks(io.BufferedReader(io.BytesIO(text)), 64)
            parts = []
            for buffer, end in blocks:
                parts.append(bytes(buffer[:end]))
                blocks.free.append(buffer)
        assert b"".join(parts) == (text if ends else text + b"\n")
        assert all(part.endswith(b"\n") for part in parts)
        assert len(blocks.free) <= 1 or not text


@given(tapes(max_rows=12), st.randoms())
def test_rows_in_order_are_not_sorted_and_others_are(tape, random):
    columns = {
        name: getattr(tape, name) for name in ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")
    }
    assert same(Tape.build("XYZ", **columns), replace(tape, trades=Tape.build("XYZ", **columns).trades))
    order = list(range(tape.rows))
    random.shuffle(order)
    again = Tape.build("XYZ", **{name: column[order] for name, column in columns.items()})
    keys = list(zip(again.ts.tolist(), again.venue.tolist(), again.sequence.tolist(), strict=True))
    assert keys == sorted(keys)
