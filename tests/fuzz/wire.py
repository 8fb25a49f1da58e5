"""What comes out of a topic: values in both codecs, end records, and the headers of a range's messages."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from strategies import random_tape

from feed import arrowcodec, ranges
from feed.codec import CODECS
from feed.errors import FeedCorrupt
from feed.headers import EndRecord, Listed, decode_end, encode_end, replay_digest
from feed.jsonrows import REFUSALS, JsonRows
from feed.kafka import Address
from feed.messages import Record, concatenate, refuse
from feed.options import ReadOptions
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES
from fuzz.oracles import assert_line, assert_same, assert_whole, bounded_memory, plain_json, rows_of

MIB = 2**20
SOME = random_tape(7, 12, 3)
"""What lies around the message under test."""


def values_of(codec, tape):
    """The messages of a tape, several instants in one where the codec does that."""
    with patch.object(arrowcodec, "SNAPSHOTS", 4):
        return [message.value for message in CODECS[codec].encode(tape)]


@cache
def neighbours(codec):
    """Two messages that are whole, and the rows in both."""
    first, last = values_of(codec, SOME)[:2]
    return first, last, CODECS[codec].decode([Record(0, 0, first), Record(0, 1, last)], refuse)


def check_codec(codec, value):
    """A value is refused, and nothing else happens, or gives the rows that are in it; whether it was accepted."""
    decode = CODECS[codec].decode
    first, last, around = neighbours(codec)
    told = []
    batch = [Record(4, 10 + at, each) for at, each in enumerate((first, value, last))]
    decoded = decode(batch, lambda record, reason: told.append((record.offset, reason)))
    assert len(decoded.quote_counts) == len(decoded.trade_counts) == 3
    for counts, columns, dtypes in (
        (decoded.quote_counts, decoded.quotes, QUOTE_DTYPES),
        (decoded.trade_counts, decoded.trades, TRADE_DTYPES),
    ):
        assert {name: (column.dtype, len(column)) for name, column in columns.items()} == {
            name: (np.dtype(dtype), int(counts.sum())) for name, dtype in dtypes.items()
        }
    assert_same(decoded.take(np.array([0, 2])).tape("XYZ"), around.tape("XYZ"), "the messages around it")
    alone = strictly(decode, value)
    if told:
        ((offset, reason),) = told
        assert offset == 11
        assert reason.isprintable() or codec == "json", reason  # the json codec's is escaped where it is shown
        assert isinstance(alone, FeedCorrupt), "refused among others, accepted alone"
        assert_line(alone)
        assert decoded.quote_counts[1] == decoded.trade_counts[1] == 0
        return False
    assert not isinstance(alone, FeedCorrupt), f"accepted among others, refused alone: {alone}"
    assert alone.quote_counts[0] + alone.trade_counts[0] > 0
    tape = alone.tape("XYZ")
    assert_same(decoded.take(np.array([1])).tape("XYZ"), tape, "among others and alone")
    assert_whole(tape)
    again = [Record(0, at, each) for at, each in enumerate(values_of(codec, tape))]
    assert_same(decode(again, refuse).tape("XYZ"), tape, "written again and read again")
    return alone


def strictly(decode, value):
    try:
        return decode([Record(0, 0, value)], refuse)
    except FeedCorrupt as error:
        return error


def check_json(value):
    """Both ways through the json codec agree, and with Python's own parser."""
    single = JsonRows()
    reason = None
    try:
        single.append(value)
    except REFUSALS as error:
        reason = error
    together = JsonRows()
    first, last, _ = neighbours("json")
    if together.extend([first, value, last]):
        assert reason is None, f"read in a batch, refused alone: {reason}"
        apart = JsonRows()
        for each in (first, value, last):
            apart.append(each)
        one, other = together.decoded(), apart.decoded()
        assert_same(one.tape("XYZ"), other.tape("XYZ"), "in a batch and one by one")
        assert one.quote_counts.tolist() == other.quote_counts.tolist()
        assert one.trade_counts.tolist() == other.trade_counts.tolist()
    accepted = check_codec("json", value)
    assert bool(accepted) == (reason is None)
    if not accepted:
        return False
    quotes, trades = plain_json(value)
    assert rows_of(accepted.quotes, QUOTE_DTYPES) == quotes
    assert rows_of(accepted.trades, TRADE_DTYPES) == trades
    return True


def check_arrow(value):
    """What the arrow codec accepts is what Arrow's own reader gives, and asks for no more memory than that takes."""
    with bounded_memory(256 * MIB):
        accepted = check_codec("arrow", value)
        if not accepted:
            return False
        source = pa.BufferReader(value)
        for dtypes, columns in ((QUOTE_DTYPES, accepted.quotes), (TRADE_DTYPES, accepted.trades)):
            table = pa.ipc.open_stream(source).read_all()
            assert {name: table.column(name).to_pylist() for name in dtypes} == {
                name: columns[name].tolist() for name in dtypes
            }
        assert source.tell() == len(value)
    return True


REPLAY = "20240801T140000Z-12345678"


def end_records(tape):
    """End records of one tape and of two, in one partition and in several."""
    one = tape.digest()
    for tapes, partitions in (
        ({"XYZ": one}, {0: (0, 5, 5)}),
        ({"XYZ": one, "AAPL": "0" * 64}, {0: (3, 3, 9), 2: (0, 2, 2), 11: (2**40, 7, 2**40 + 8)}),
    ):
        listed = {
            number: Listed(messages, tape.rows, 100 * messages, start, end, f"{number:064x}")
            for number, (start, messages, end) in partitions.items()
        }
        messages = sum(each.messages for each in listed.values())
        yield encode_end(EndRecord(REPLAY, "json", "1.0", messages, replay_digest(tapes), tapes, listed))


def check_end(value):
    """An end record is refused, or its table adds up and says what Python's own parser finds in it."""
    try:
        end = decode_end(Record(2, 40, value), REPLAY)
    except FeedCorrupt as error:
        assert_line(error)
        assert str(error).startswith("partition 2, offset 40: malformed message: end record: ")
        return False
    said = json.loads(value.decode(errors="replace"))  # what is not looked at need not be text
    assert end.replay == said["replay"] == REPLAY
    assert end.tapes == said["tapes"]
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in end.tapes.values())
    assert {str(number) for number in end.partitions} == set(said["partitions"])
    for number, listed in end.partitions.items():
        assert {name: getattr(listed, name) for name in Listed.__struct_fields__} == said["partitions"][str(number)]
        assert 0 <= listed.start < listed.end <= 2**62
        assert 1 <= listed.messages <= listed.end - listed.start
        assert min(listed.rows, listed.bytes) >= 0
    assert sum(listed.messages for listed in end.partitions.values()) == end.messages == said["messages"]
    lines = "".join(f"{symbol} {digest}\n" for symbol, digest in sorted(end.tapes.items()))
    expected = hashlib.sha256(lines.encode()).hexdigest() if len(end.tapes) > 1 else next(iter(end.tapes.values()))
    assert end.digest == expected
    assert decode_end(Record(2, 40, encode_end(end)), REPLAY) == end
    return True


SYMBOLS = ("AAPL", "XYZ")
PLACE = Address(("127.0.0.1:9092",), "quotes")
HEADERS = ("replay", "symbol", "schema", "codec", "seq", "pseq", "kind", "", "x")
HEADER_VALUES = (
    *(None, b"", b"0", b"1", b"2", b"00", b"-1", b" 1", b"1 ", b"1.0", b"2.0", b"9" * 18, b"9" * 19, b"9" * 5000),
    *("\u00b2".encode(), "\u0661".encode(), b"\xff", b"\x00", b"json", b"arrow", b"AAPL", b"XYZ", b"end", b"END"),
    *(REPLAY.encode(), REPLAY[:-1].encode(), b"\x1b[2J\n"),
)
GARBAGE = (None, b"", b"{}", b"\xff" * 70, b'{"snapshot":[]}')


class Choices:
    """Decisions made of bytes, the first one where they are used up."""

    def __init__(self, data):
        self._data, self._at = data, 0

    @property
    def left(self):
        return self._at < len(self._data)

    def below(self, count):
        self._at += 1
        return self._data[self._at - 1] % count if self._at <= len(self._data) else 0

    def of(self, options):
        return options[self.below(len(options))]

    def some(self, most):
        """Some bytes as they are."""
        length = self.below(most)
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken


@cache
def bank(codec):
    """Messages of an instant each and how many quotes and trades are in them."""
    found = []
    for ts in sorted(set(SOME.ts.tolist())):
        (message,) = CODECS[codec].encode(SOME.clip(ts, ts))
        found.append((message.value, CODECS[codec].decode([Record(0, 0, message.value)], refuse)))
    return found


def items_of(choices, codec, start):
    """What a partition might hold: a replay, with all that can be wrong around and in it; the next offset."""
    offset, pseq, seq = start, 0, 0
    items = []
    while choices.left and len(items) < 60:
        how = choices.below(16)
        offset += choices.below(4) if how == 9 else 0
        value = choices.of(bank(codec))[0]
        if how == 1 and pseq:  # sent again
            number = choices.below(pseq)
        else:
            pseq += choices.below(3) if how == 2 else 0  # lost
            number, pseq = pseq, pseq + 1
        seq += 1 + choices.below(2)
        headers = [
            *(("replay", REPLAY.encode()), ("symbol", choices.of(SYMBOLS).encode()), ("schema", b"1.0")),
            *(("codec", codec.encode()), ("seq", b"%d" % seq), ("pseq", b"%d" % number)),
        ]
        if how in {3, 4, 5, 6}:
            pseq -= number + 1 == pseq and choices.below(2)
            name = choices.of(HEADERS)
            its = choices.of(HEADER_VALUES) if how != 4 else choices.some(24)
            at = choices.below(len(headers) + 1)
            headers[at : at + (how == 5)] = [(name, its)]
            if how == 6:
                headers = [(known, its if known == name else text) for known, text in headers]
        elif how == 7:
            value = choices.of(GARBAGE)
        elif how == 8:
            headers = choices.of([[], [("replay", b"another")], [("replay", REPLAY.encode()), ("kind", b"end")]])
            pseq -= 1
        items.append(SimpleNamespace(partition=3, offset=offset, headers=headers, value=value))
        offset += 1
    return items, offset


def expected_of(items, codec, first, symbol):
    """What is to be found among items, worked out plainly: messages, bad offsets, how often sent again, a hole."""
    messages, bad, resent, following = [], [], 0, 0
    for item in items:
        headers = {}
        for name, value in item.headers:
            headers[name] = value
        if not headers.get("replay"):
            bad.append(item.offset)
        elif headers["replay"] == REPLAY.encode() and headers.get("kind") != b"end":
            numbers = [headers.get(name) or b"" for name in ("pseq", "seq")]
            if not all(0 < len(text) < 19 and set(text) <= set(b"0123456789") for text in numbers):
                bad.append(item.offset)
                continue
            pseq, seq = map(int, numbers)
            right = (headers.get("codec"), headers.get("schema")) == (codec.encode(), b"1.0")
            if pseq < following:
                resent += 1
            elif not right or headers.get("symbol") not in {each.encode() for each in SYMBOLS}:
                bad.append(item.offset)
            elif pseq > following and first:
                return messages, bad, resent, True
            else:
                following = pseq + 1
                rows = next((rows for value, rows in bank(codec) if value == item.value), None)
                name = headers["symbol"].decode()
                wanted = symbol in {None, name}
                messages.append((pseq, seq, item.offset, SYMBOLS.index(name), item.value or b"", rows if wanted else None))
                if wanted and rows is None:
                    bad.append(item.offset)
    return messages, bad, resent, False


def check_range(data):
    """A range gives the messages of its replay, each once, or says that there is a hole or too much that is bad."""
    choices = Choices(data)
    codec = choices.of(["json", "arrow"])
    symbol, first = choices.of([None, None, "XYZ"]), choices.below(3) > 0
    most, start = choices.of([60, 0, 1, 3]), choices.of([0, 5, 2**40])
    items, end = items_of(choices, codec, start)
    messages, bad, resent, hole = expected_of(items, codec, first, symbol)
    part = ranges.KafkaRange(
        PLACE, 3, start, end, REPLAY, codec, SYMBOLS, first=first, options=ReadOptions(symbol=symbol, max_bad=most)
    )
    given = {"open_consumer": lambda _address: nullcontext(), "records": lambda *_, **__: iter(items)}
    try:
        with patch.multiple(ranges, **given):
            block = part.read()
    except FeedCorrupt as error:
        assert_line(error)
        assert hole or len(bad) > most, f"refused without a reason: {error}"
        return False
    assert not hole, "a hole was passed over"
    assert len(bad) <= most, "more that is bad than is tolerated"
    columns = zip(*(column.tolist() for column in (block.pseq, block.seq, block.offsets, block.symbol)), strict=True)
    assert list(columns) == [message[:4] for message in messages]
    assert block.hashes.tobytes() == b"".join(hashlib.sha256(message[4]).digest() for message in messages)
    assert block.nbytes == sum(len(message[4]) for message in messages)
    assert [each.offset for each in block.bad] == sorted(bad)
    assert all(each.reason.isprintable() for each in block.bad if "header" in each.reason)
    assert (block.resent, block.empty) == (resent, end - start - len(items))
    parts = [CODECS[codec].decode([], refuse), *(rows for *_, rows in messages if rows is not None)]
    rows = concatenate(parts)
    for found, expected in ((block.rows.quotes, rows.quotes), (block.rows.trades, rows.trades)):
        assert all(np.array_equal(found[name], column) for name, column in expected.items()), "rows"
    counts = zip(block.rows.quote_counts.tolist(), block.rows.trade_counts.tolist(), strict=True)
    assert list(counts) == [
        (0, 0) if rows is None else (int(rows.quote_counts[0]), int(rows.trade_counts[0])) for *_, rows in messages
    ]
    return bool(messages)


def range_programs(tape):
    """Decisions that give whole replays, and some that do not."""
    plain = bytes([0, 0, 1, 0, 0]) + bytes([0, 3, 0, 1]) * min(tape.rows, 12)
    yield plain
    yield bytes([1, 2, 0, 1, 1]) + bytes([0, 2, 1, 0]) * 6 + bytes([1, 4, 0, 1, 1]) * 2 + bytes([0, 1, 0, 1]) * 3
    for how in range(16):
        yield plain + bytes([how, 5, 1, 1, 0, 3, 7, 2, 2]) + plain[5:]
