"""What comes out of a topic: values in both codecs, end records, and the headers of a range's messages."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from feed.codecs import arrow_codec
from feed.codecs.json_rows import REFUSALS, JsonRows
from feed.codecs.messages import Record, gather, refuse
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt
from feed.kafka.headers import EndRecord, Listed, decode_end, encode_end, replay_digest
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES
from tests.fuzz.oracles import (
    QUOTE_BOUNDS,
    TRADE_BOUNDS,
    assert_line,
    assert_same,
    assert_whole,
    assert_within,
    bare,
    bounded_memory,
    plain_json,
    rows_of,
)
from tests.support.strategies import random_tape

MIB = 2**20
SOME = random_tape(7, 12, 3)
"""What lies around the message under test."""


def values_of(codec, tape):
    """The messages of a tape, several instants in one where the codec does that."""
    with patch.object(arrow_codec, "SNAPSHOTS", 4):
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
    reports = []
    batch = [Record(4, 10 + at, each) for at, each in enumerate((first, value, last))]
    decoded = decode(batch, lambda record, reason: reports.append((record.offset, reason)))
    assert len(decoded.quote_counts) == len(decoded.trade_counts) == 3
    for counts, columns, dtypes in (
        (decoded.quote_counts, decoded.quotes, QUOTE_DTYPES),
        (decoded.trade_counts, decoded.trades, TRADE_DTYPES),
    ):
        assert {name: (column.dtype, len(column)) for name, column in columns.items()} == {
            name: (np.dtype(dtype), int(counts.sum())) for name, dtype in dtypes.items()
        }
    assert_same(gather([decoded], np.array([0, 2])).tape("XYZ"), around.tape("XYZ"), "the messages around it")
    alone = strictly(decode, value)
    if reports:
        ((offset, reason),) = reports
        assert offset == 11
        assert reason.isprintable() or codec == "json", reason  # the json codec's is escaped where it is shown
        assert isinstance(alone, FeedCorrupt), "refused among others, accepted alone"
        assert_line(alone)
        assert decoded.quote_counts[1] == decoded.trade_counts[1] == 0
        return False
    assert not isinstance(alone, FeedCorrupt), f"accepted among others, refused alone: {alone}"
    assert_within(alone.quotes, QUOTE_BOUNDS)
    assert_within(alone.trades, TRADE_BOUNDS)
    assert alone.quote_counts[0] + alone.trade_counts[0] > 0
    tape = alone.tape("XYZ")
    assert_same(gather([decoded], np.array([1])).tape("XYZ"), tape, "among others and alone")
    assert_whole(tape)
    again = [Record(0, at, each) for at, each in enumerate(values_of(codec, tape))]
    assert_same(decode(again, refuse).tape("XYZ"), tape, "written again and read again")
    return alone


def strictly(decode, value):
    try:
        return decode([Record(0, 0, value)], refuse)
    except FeedCorrupt as error:
        return bare(error)


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
    with bounded_memory(64 * MIB):
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
        return False
    document = json.loads(value.decode(errors="replace"))  # what is not looked at need not be text
    assert end.replay == document["replay"] == REPLAY
    assert end.tapes == document["tapes"]
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in end.tapes.values())
    table = {
        int(number): listed for number, listed in document["partitions"].items()
    }  # -0 is 0, and the last one holds
    assert set(end.partitions) == set(table)
    for number, listed in end.partitions.items():
        assert {name: getattr(listed, name) for name in Listed.__struct_fields__} == table[number]
        assert 0 <= listed.start < listed.end <= 2**62
        assert 1 <= listed.messages <= listed.end - listed.start
        assert min(listed.rows, listed.bytes) >= 0
    assert sum(listed.messages for listed in end.partitions.values()) == end.messages == document["messages"]
    lines = "".join(f"{symbol} {digest}\n" for symbol, digest in sorted(end.tapes.items()))
    expected = hashlib.sha256(lines.encode()).hexdigest() if len(end.tapes) > 1 else next(iter(end.tapes.values()))
    assert end.digest == expected
    assert decode_end(Record(2, 40, encode_end(end)), REPLAY) == end
    return True
