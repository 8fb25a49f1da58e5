"""The arrow codec: what any Arrow library reads, whole instants, and nothing allocated that a message cannot fill."""

import random

import numpy as np
import pyarrow as pa
import pytest

from feed.codecs import arrow_codec
from feed.codecs.arrow_codec import BATCH_ROWS, MAX_ROWS, SNAPSHOTS, decode_arrow, encode_arrow
from feed.codecs.messages import Record, refuse
from feed.errors import FeedCorrupt
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape, same
from tests.support.strategies import random_tape

TS = 1_722_519_392_491_911_683
EOS = b"\xff\xff\xff\xff\x00\x00\x00\x00"
QUOTES = {"ts": [TS], "venue": [2], "bid_px": [5], "ask_px": [6], "bid_sz": [1], "ask_sz": [1], "sequence": [9]}
TRADES = {"ts": [TS], "venue": [2], "px": [5], "sz": [7], "side": [-1], "sequence": [9]}
TYPES = {"<i8": pa.int64(), "<i4": pa.int32(), "<i2": pa.int16(), "<i1": pa.int8()}


def schema_of(dtypes, **types):
    fields = {name: types.get(name, TYPES[dtype]) for name, dtype in dtypes.items()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields.items()])


QUOTE_SCHEMA, TRADE_SCHEMA = schema_of(QUOTE_DTYPES), schema_of(TRADE_DTYPES)


def stream(columns, schema, *, compression="zstd", batches=1):
    """An Arrow stream as another writer may make it."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for _ in range(batches):
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def repeated(columns, rows):
    return {name: column * rows for name, column in columns.items()}


def decode(*values):
    return decode_arrow([Record(0, offset, value) for offset, value in enumerate(values)], refuse)


def tape_at(stamps, trades=()):
    rows, prints = (np.array(list(each), np.int64) for each in (stamps, trades))
    return Tape.build(
        "AAPL",
        ts=rows,
        **{name: np.full(len(rows), QUOTES[name][0]) for name in QUOTE_DTYPES if name not in {"ts", "sequence"}},
        sequence=np.arange(len(rows)),
        trades={"ts": prints, **{name: np.full(len(prints), TRADES[name][0]) for name in TRADE_DTYPES if name != "ts"}},
    )


def test_a_value_is_two_streams_that_arrow_reads():
    tape = tape_at([TS, TS, TS + 5], [TS + 1])
    (message,) = encode_arrow(tape)
    assert (message.ts, message.rows) == (TS + 5, 4)
    source = pa.BufferReader(message.value)
    quotes, trades = (pa.ipc.open_stream(source).read_all() for _ in range(2))
    assert source.read() == b""
    assert quotes.schema == QUOTE_SCHEMA
    assert trades.schema == TRADE_SCHEMA
    assert {name: column.to_pylist() for name, column in zip(quotes.column_names, quotes.columns, strict=True)} == {
        name: getattr(tape, name).tolist() for name in QUOTE_DTYPES
    }
    assert trades["ts"].to_pylist() == [TS + 1]
    assert trades["side"].to_pylist() == [-1]


def test_another_writers_streams_are_read():
    for compression in ("zstd", None):
        value = stream(repeated(QUOTES, 3), QUOTE_SCHEMA, compression=compression) + stream(
            TRADES, TRADE_SCHEMA, compression=compression
        )
        rows = decode(value)
        assert rows.quotes["bid_px"].tolist() == [5, 5, 5]
        assert rows.trades["px"].tolist() == [5]
        assert rows.quote_counts.tolist() == [3]


def test_a_message_holds_a_thousand_instants():
    tape = tape_at([TS + at // 2 for at in range(4 * SNAPSHOTS + 2)], [TS + at for at in range(5, 50, 5)])
    messages = list(encode_arrow(tape))
    assert [message.rows for message in messages] == [2 * SNAPSHOTS + 9, 2 * SNAPSHOTS, 2]
    assert [message.ts - TS for message in messages] == [SNAPSHOTS - 1, 2 * SNAPSHOTS - 1, 2 * SNAPSHOTS]
    assert same(decode(*(message.value for message in messages)).tape("AAPL"), tape)


def test_trades_between_quotes_count_as_instants():
    tape = tape_at(range(TS, TS + 2 * SNAPSHOTS, 2), range(TS + 1, TS + 2 * SNAPSHOTS, 2))
    assert [message.rows for message in encode_arrow(tape)] == [SNAPSHOTS, SNAPSHOTS]


def test_instants_of_many_rows_fill_a_message_sooner(monkeypatch):
    monkeypatch.setattr(arrow_codec, "BATCH_ROWS", 10)
    tape = tape_at([TS] * 4 + [TS + 1] * 6 + [TS + 2] + [TS + 3] * 25 + [TS + 4])
    messages = list(encode_arrow(tape))
    assert [message.rows for message in messages] == [10, 1, 25, 1]
    assert same(decode(*(message.value for message in messages)).tape("AAPL"), tape)


def test_an_instant_beyond_the_bound_is_not_written(monkeypatch):
    monkeypatch.setattr(arrow_codec, "MAX_ROWS", 20)
    (message,) = encode_arrow(tape_at([TS] * 20))
    assert message.rows == 20
    with pytest.raises(FeedCorrupt, match=r"2024-08-01T13:36:32\.491911683Z has 21 rows, more than the 20"):
        list(encode_arrow(tape_at([TS] * 21)))
    assert BATCH_ROWS <= MAX_ROWS


def test_a_long_tape_comes_back():
    tape = random_tape(7, 2500, 5)
    messages = list(encode_arrow(tape))
    assert len(messages) == 3
    assert decode(*(message.value for message in messages)).tape("XYZ").digest() == tape.digest()


def metadata_changed(schema):
    return schema.with_metadata({"ARROW:extension:name": "x"})


TAIL = stream(TRADES, TRADE_SCHEMA)
HEAD = stream(QUOTES, QUOTE_SCHEMA)
WIDE = schema_of(QUOTE_DTYPES, bid_sz=pa.int64())
TEXTS = schema_of(QUOTE_DTYPES, sequence=pa.string())
NULLABLE = pa.schema([field.with_nullable(True) for field in QUOTE_SCHEMA])
FLOATS = schema_of(QUOTE_DTYPES, bid_px=pa.float64())
STAMPS = schema_of(QUOTE_DTYPES, ts=pa.timestamp("ns"))
UNSIGNED = schema_of(QUOTE_DTYPES, ts=pa.uint64())
DICTIONARY = schema_of(QUOTE_DTYPES, venue=pa.dictionary(pa.int8(), pa.int16()))
NESTED = schema_of(QUOTE_DTYPES, venue=pa.list_(pa.int16()))
RENAMED = pa.schema([field.with_name("price" if field.name == "bid_px" else field.name) for field in QUOTE_SCHEMA])
SHUFFLED = pa.schema([QUOTE_SCHEMA.field(name) for name in reversed(QUOTE_SCHEMA.names)])
EMPTY = [{name: [] for name in columns} for columns in (QUOTES, TRADES)]


def as_file(columns, schema):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(columns[field.name], field.type) for field in schema], schema))
    return sink.getvalue().to_pybytes()


MALFORMED = {
    "quotes alone": (HEAD, "Arrow stream"),
    "trades first": (TAIL + HEAD, "quotes: expected 7 columns"),
    "quotes twice": (HEAD + HEAD, "trades: expected 6 columns"),
    "three streams": (HEAD + TAIL + TAIL, f"{len(TAIL)} bytes follow the trades"),
    "two record batches": (stream(QUOTES, QUOTE_SCHEMA, batches=2) + TAIL, "end of the stream after one record batch"),
    "no record batch": (stream(QUOTES, QUOTE_SCHEMA, batches=0) + TAIL, "Arrow stream"),
    "no end of the stream": (HEAD[: -len(EOS)] + TAIL, "end of the stream after one record batch"),
    "neither": (stream(EMPTY[0], QUOTE_SCHEMA) + stream(EMPTY[1], TRADE_SCHEMA), "neither quotes nor trades"),
    "an Arrow file": (as_file(QUOTES, QUOTE_SCHEMA) + TAIL, ".+"),
    "an end alone": (EOS, "Arrow stream"),
    "a wider column": (stream(QUOTES, WIDE) + TAIL, "schema is not the codec's|declares 8 bytes"),
    "a wider column of many": (stream(repeated(QUOTES, 100), WIDE) + TAIL, "a column of 100 rows declares 800 bytes"),
    "a column of floats": (stream(QUOTES, FLOATS) + TAIL, "schema is not the codec's"),
    "a column of time stamps": (stream(QUOTES, STAMPS) + TAIL, "schema is not the codec's"),
    "an unsigned column": (stream(QUOTES, UNSIGNED) + TAIL, "schema is not the codec's"),
    "a column of text": (stream({**QUOTES, "sequence": ["9"]}, TEXTS) + TAIL, "expected 7 columns of 1 rows"),
    "a dictionary": (stream(QUOTES, DICTIONARY) + TAIL, "expected a record batch"),
    "a column of lists": (stream({**QUOTES, "venue": [[2]]}, NESTED) + TAIL, "expected 7 columns of 1 rows"),
    "another name": (stream({**QUOTES, "price": [5]}, RENAMED) + TAIL, "schema is not the codec's"),
    "another order": (stream(repeated(QUOTES, 100), SHUFFLED) + TAIL, "declares"),
    "a column too many": (
        stream({**QUOTES, "x": [1]}, QUOTE_SCHEMA.append(pa.field("x", pa.int64(), nullable=False))) + TAIL,
        "expected 7 columns",
    ),
    "a column too few": (stream(QUOTES, QUOTE_SCHEMA.remove(6)) + TAIL, "expected 7 columns"),
    "columns that may be null": (stream(QUOTES, NULLABLE) + TAIL, "schema is not the codec's"),
    "nulls": (stream({**QUOTES, "bid_px": [None]}, NULLABLE) + TAIL, "without nulls"),
    "metadata": (stream(QUOTES, metadata_changed(QUOTE_SCHEMA)) + TAIL, "schema is not the codec's"),
    "lz4": (stream(QUOTES, QUOTE_SCHEMA, compression="lz4") + TAIL, "expected zstd or no compression"),
    "a side that there is not": (
        HEAD + stream({**TRADES, "side": [2]}, TRADE_SCHEMA),
        "side 2 to 2 is outside -1 to 1",
    ),
}


@pytest.mark.parametrize(("value", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_message_is_named(value, reason):
    with pytest.raises(FeedCorrupt, match=f"partition 0, offset 1: malformed message: .*({reason})") as caught:
        decode(HEAD + TAIL, value)
    assert str(caught.value).isprintable()


def test_more_rows_than_a_message_may_hold_are_refused(monkeypatch):
    value = stream(repeated(QUOTES, 21), QUOTE_SCHEMA) + TAIL
    assert decode(value).quote_counts.tolist() == [21]
    monkeypatch.setattr(arrow_codec, "MAX_ROWS", 20)
    with pytest.raises(FeedCorrupt, match="quotes: 21 rows, expected at most 20"):
        decode(value)


def replaced(value, old, new):
    """Put one number in the place of another, wherever it stands as an int64."""
    return value.replace(old.to_bytes(8, "little", signed=True), new.to_bytes(8, "little", signed=True))


ROWS = 12_345


@pytest.fixture
def pool():
    """What Arrow allocates while a test runs."""
    default = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(default)
    pa.set_memory_pool(counting)
    yield counting
    pa.set_memory_pool(default)


def test_what_a_message_decompresses_to_is_seen_to_be_allocated(pool):
    assert decode(stream(repeated(QUOTES, ROWS), QUOTE_SCHEMA) + TAIL).quote_counts.tolist() == [ROWS]
    assert pool.max_memory() > 38 * ROWS


@pytest.mark.parametrize("rows", [2**62, 2**40, 2**31, MAX_ROWS + 1, -1, ROWS + 100, ROWS - 100])
def test_a_declared_number_of_rows_allocates_nothing(rows, pool):
    honest = stream(repeated(QUOTES, ROWS), QUOTE_SCHEMA) + TAIL
    value = replaced(honest, ROWS, rows)
    assert value != honest
    before = pool.max_memory()
    with pytest.raises(FeedCorrupt, match=r"quotes: (-?\d+ rows, expected at most|a column of \d+ rows declares)"):
        decode(value)
    assert pool.max_memory() == before


@pytest.mark.parametrize("length", [2**62, 2**40, 2**31, 8 * ROWS + 65, 8 * ROWS - 1, 0, -2, -(2**63)])
def test_a_declared_length_of_a_buffer_allocates_nothing(length, pool):
    honest = stream(repeated(QUOTES, ROWS), QUOTE_SCHEMA) + TAIL
    value = replaced(honest, 8 * ROWS, length)
    assert value != honest
    before = pool.max_memory()
    with pytest.raises(FeedCorrupt, match=f"quotes: a column of {ROWS} rows declares"):
        decode(value)
    assert pool.max_memory() == before


def test_a_bomb_is_refused_before_it_is_decompressed(pool):
    rows = 2**20
    columns = {name: np.full(rows, value[0], QUOTE_DTYPES[name]) for name, value in QUOTES.items()}
    value = stream(columns, QUOTE_SCHEMA) + TAIL
    assert len(value) < 38 * rows / 40
    before = pool.max_memory()
    with pytest.raises(FeedCorrupt, match=f"quotes: {rows} rows, expected at most {MAX_ROWS}"):
        decode(value)
    assert pool.max_memory() == before


def test_a_frame_that_decompresses_to_more_than_it_declares_is_refused():
    """The lengths agree with the rows, and the frame of the last column holds 64 times as much."""
    numbers = np.random.default_rng(1).integers(2**60, size=ROWS)  # no frame of these is short
    honest = stream({**repeated(QUOTES, ROWS), "sequence": numbers}, QUOTE_SCHEMA)
    frame = pa.compress(bytes(8 * ROWS * 64), "zstd", asbytes=True)
    at = honest.rindex((8 * ROWS).to_bytes(8, "little")) + 8
    assert at + len(frame) < len(honest) - len(EOS)
    with pytest.raises(FeedCorrupt, match="no Arrow record batches: ZSTD decompression failed"):
        decode(honest[:at] + frame + honest[at + len(frame) :] + TAIL)


def test_thousands_of_damaged_messages_are_read_or_refused():
    draw = random.Random(20_240_801)
    values = [message.value for message in encode_arrow(tape_at([TS + at // 3 for at in range(60)], [TS + 2, TS + 9]))]
    values += [HEAD + TAIL, stream(QUOTES, QUOTE_SCHEMA, compression=None) + TAIL]
    numbers = [
        bytes(8),
        b"\xff" * 8,
        b"\xff" * 7 + b"\x7f",
        (2**40).to_bytes(8, "little"),
        (2**31 - 1).to_bytes(8, "little"),
    ]
    read = 0
    for _ in range(4000):
        value = bytearray(draw.choice(values))
        for _ in range(draw.choice([1, 1, 1, 2, 4])):
            at = draw.randrange(len(value))
            how = draw.randrange(6)
            if how < 2:
                value[at] = draw.randrange(256)
            elif how == 2:
                value[at & ~7 : (at & ~7) + 8] = draw.choice(numbers)
            elif how == 3:
                value[at & ~3 : (at & ~3) + 4] = draw.choice(numbers)[:4]
            elif how == 4:
                del value[at : at + draw.randrange(1, 32)]
            else:
                value[at:at] = draw.randbytes(draw.randrange(1, 16))
            if not value:
                break
        refused = []
        rows = decode_arrow([Record(0, 0, bytes(value))], lambda _record, reason, to=refused: to.append(reason))
        if refused:
            assert rows.quote_counts.tolist() == rows.trade_counts.tolist() == [0]
        else:
            read += 1
            rows.tape("AAPL")
    assert 0 < read < 4000
