"""What a partition holds: record batches, and the messages of a range by their headers."""

from __future__ import annotations

import gzip
import hashlib
import struct
from contextlib import nullcontext
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

import kafka.codec
import numpy as np
import pyarrow as pa
from kafka.record.default_records import DefaultRecordBatch

from feed.codecs.messages import Record, gather, refuse
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt
from feed.kafka import ranges
from feed.kafka.address import Address
from feed.kafka.headers import data_headers
from feed.kafka.record_batch import CorruptRecordError, decompress, unpack
from feed.options import ReadOptions
from tests.fuzz.mutations import damage
from tests.fuzz.oracles import assert_line
from tests.fuzz.wire import REPLAY, SOME, values_of

BASE, FIRST = 100, 1_722_519_392_491
"""The offset and the time that the records of a batch count from."""


def varint(number):
    """A zigzag varint, as records are made of."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def text(value):
    return varint(-1) if value is None else varint(len(value)) + value


def packed_records(records, base):
    """Records as they lie in a batch: of (offset, value, headers)."""
    out = b""
    for offset, value, headers in records:
        pairs = b"".join(text(name.encode()) + text(its) for name, its in headers)
        record = b"\0" + varint(7) + varint(offset - base) + text(None) + text(value) + varint(len(headers)) + pairs
        out += varint(len(record)) + record
    return out


def batches_of(tape):
    """Batches of a tape's messages: how many records, and their bytes."""
    for codec in CODECS:
        values = values_of(codec, tape)[:6]
        headers = [data_headers(REPLAY, "XYZ", codec, at, at) for at in range(len(values))]
        for some in (headers, [[*each[:3], ("x", None)] for each in headers], [[]] * len(values)):
            records = [(BASE + at, value, its) for at, (value, its) in enumerate(zip(values, some, strict=True))]
            yield bytes([len(records)]) + packed_records(records, BASE)


def change_batch(data, rng):
    """Change the records of a batch, or its bytes."""
    if not data or rng.randrange(2) == 0:
        return damage(data, rng)
    try:
        records = [(each.offset, each.value, list(each.headers)) for each in unpack(3, data[1:], data[0], BASE, FIRST)]
    except CorruptRecordError:
        return damage(data, rng)
    for _ in range(rng.randint(1, 3)):
        if not records:
            break
        at = rng.randrange(len(records))
        offset, value, headers = records[at]
        how = rng.randrange(6)
        if how == 0:
            del records[at]
        elif how == 1 and len(records) < 60:
            records.insert(at, records[at])
        elif how == 2:
            records[at] = (offset, rng.choice([None, b"", b"x", bytes(70), bytes(200)]), headers)
        elif how == 3:
            records[at] = (BASE + rng.choice([0, 1, 63, 64, 10**6, 2**40]), value, headers)
        else:
            header = (rng.choice(HEADERS), rng.choice(HEADER_VALUES[:17]))
            place = rng.randint(0, len(headers))
            records[at] = (offset, value, [*headers[:place], header, *headers[place + rng.randrange(2) :]])
    count = len(records) + (rng.choice([-1, 1]) if rng.randrange(8) == 0 else 0)
    return bytes([count % 256]) + packed_records(records, BASE)


def without_attributes(data, count):
    """Whole records with their attributes, which nothing uses yet, set to 0: the client takes the byte for a varint."""
    changed, at = bytearray(data), 0
    for _ in range(count):
        length, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        changed[at] = 0
        at += length >> 1
    return bytes(changed)


def check_batch(data):
    """A batch is refused, or unpacked to what the client itself makes of it."""
    count, data = (data[0], data[1:]) if data else (0, data)
    try:
        records = unpack(3, data, count, BASE, FIRST)
    except CorruptRecordError:
        return False
    assert len(records) == count
    head = struct.pack(
        ">qiibIhiqqqhii", BASE, len(data) + 49, 0, 2, 0, 0, max(count - 1, 0), FIRST, FIRST, -1, -1, -1, count
    )
    its = list(DefaultRecordBatch(memoryview(head + without_attributes(data, count))))
    assert [(each.offset, each.timestamp, each.value, list(each.headers)) for each in its] == [
        (each.offset, each.timestamp, None if each.tombstone else each.value, list(each.headers)) for each in records
    ]
    assert {each.partition for each in records} <= {3}
    return count > 0


UNPACKED = 2**17
"""Bytes that a compressed batch may become."""


def compressed(number, data, block=90):
    """Data as a producer of this compression sends it; snappy in blocks where a block has a size."""
    if number == 1:
        return gzip.compress(data, 1, mtime=0)
    if number > 2 or not block:
        return pa.compress(data, codec=("snappy", "lz4", "zstd")[number - 2], asbytes=True)
    blocks = (compressed(2, data[at : at + block], 0) for at in range(0, len(data), block))
    return b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + b"".join(struct.pack(">i", len(each)) + each for each in blocks)


def compressed_batches(tape):
    """Batches compressed in each way: which, and their bytes."""
    for batch in batches_of(tape):
        for number in (1, 2, 3, 4):
            yield bytes([number - 1]) + compressed(number, batch)
        yield bytes([1]) + compressed(2, batch, 0)


def change_compressed(data, rng):
    """Change what was compressed, or its bytes."""
    if not data or rng.randrange(2) == 0:
        return damage(data, rng)
    try:
        batch = decompress(data[0] % 4 + 1, data[1:], UNPACKED)
    except CorruptRecordError:
        return damage(data, rng)
    number = rng.randint(1, 4)
    bomb = batch + bytes(rng.choice([0, 0, 0, UNPACKED - len(batch), UNPACKED]))
    return bytes([number - 1]) + compressed(number, change_batch(bomb, rng), rng.choice([0, 7, 90, 2**15]))


def unpacked_plainly(number, data):
    """What the client makes of compressed data, or the library in one piece: known to be small."""
    if number == 1:
        return gzip.decompress(data)
    if number > 2:
        return pa.CompressedInputStream(pa.BufferReader(data), ("lz4", "zstd")[number - 3]).read()
    blocks = SimpleNamespace(decompress=lambda block: decompress(2, block) if block else b"")
    with patch.object(kafka.codec, "snappy", blocks):
        return kafka.codec.snappy_decode(data) if len(data) > 16 else decompress(2, data)


def check_compressed(data):
    """A batch is refused, or decompressed to what it is, never to more than the bound; and then as any batch."""
    number, body = (data[0] % 4 + 1, data[1:]) if data else (1, data)
    try:
        batch = decompress(number, body, UNPACKED)
    except CorruptRecordError:
        return False
    assert len(batch) <= UNPACKED
    assert batch == unpacked_plainly(number, body)
    return check_batch(batch)


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
    decoded = []
    for ts in sorted(set(SOME.ts.tolist())):
        (message,) = CODECS[codec].encode(SOME.clip(ts, ts))
        decoded.append((message.value, CODECS[codec].decode([Record(0, 0, message.value)], refuse)))
    return decoded


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
            value = choices.of([value, None])
            pseq -= 1
        items.append((offset, value, headers))
        offset += 1
    return unpack(3, packed_records(items, start), len(items), start, FIRST), offset


def expected_of(items, codec, first, symbol):
    """What is to be found among items, worked out plainly: messages, bad offsets, how often sent again, a hole."""
    messages, bad, resent, following = [], [], 0, 0
    for item in items:
        headers = dict(item.headers)
        if not headers.get("replay"):
            bad += [] if item.tombstone else [item.offset]
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
                messages.append((pseq, seq, item.offset, SYMBOLS.index(name), item.value, rows if wanted else None))
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
    given = {"open_consumer": lambda *_: nullcontext(), "records": lambda *_, **__: iter(items)}
    try:
        with patch.multiple(ranges, **given):
            block = part.read()
    except FeedCorrupt as error:
        assert_line(error)
        if hole or len(bad) > most:
            return False
        raise
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
    rows = gather(parts, np.arange(sum(len(each.quote_counts) for each in parts)))
    for actual, expected in ((block.rows.quotes, rows.quotes), (block.rows.trades, rows.trades)):
        assert all(np.array_equal(actual[name], column) for name, column in expected.items()), "rows"
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
