"""What a record batch declares, as pyarrow wrote it."""

import contextlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.codecs.arrow_guard import UNCOMPRESSED, ZSTD, Layout, layout_of
from tests.support.examples import examples

LZ4 = 0


def message_of(rows, compression):
    batch = pa.record_batch({"a": np.arange(rows, dtype=np.int64), "b": np.full(rows, 7, np.int16)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as stream:
        stream.write_batch(batch)
    source = pa.BufferReader(sink.getvalue())
    return [pa.ipc.read_message(source) for _ in range(2)]


def parts_of(message):
    return message.metadata.to_pybytes(), memoryview(message.body)


@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
@pytest.mark.parametrize(("compression", "codec"), [(None, UNCOMPRESSED), ("zstd", ZSTD), ("lz4", LZ4)])
def test_the_shape_of_a_batch(rows, compression, codec):
    layout = layout_of(*parts_of(message_of(rows, compression)[1]))
    assert layout == Layout(rows, ((rows, 0), (rows, 0)), (0, 8 * rows, 0, 2 * rows), codec)


def test_a_schema_is_no_record_batch():
    schema, _ = message_of(3, None)
    with pytest.raises(ValueError, match="expected a record batch"):
        layout_of(schema.metadata.to_pybytes(), memoryview(b""))


def test_a_buffer_outside_of_the_body_is_refused():
    metadata, body = parts_of(message_of(3, None)[1])
    with pytest.raises(ValueError, match="outside the message"):
        layout_of(metadata, body[:-8])


def test_a_compressed_buffer_needs_its_length():
    metadata, body = parts_of(message_of(1000, "zstd")[1])
    reasons = set()
    for at in range(0, len(metadata) - 8, 4):  # one of them is where the length of a buffer stands
        try:
            layout_of(metadata[:at] + (5).to_bytes(8, "little") + metadata[at + 8 :], body)
        except ValueError as error:
            reasons.add(str(error))
    assert "a compressed buffer is shorter than its length's eight bytes" in reasons


@examples(150)
@given(st.binary(max_size=200), st.binary(max_size=16))
def test_no_metadata_does_anything_but_be_read_or_refused(metadata, body):
    with contextlib.suppress(ValueError):
        layout_of(metadata, memoryview(body))


@examples(200)
@given(st.integers(0, 400), st.sampled_from([b"\xff", b"\xff" * 4, b"\x00" * 4, b"\xff\xff\xff\x7f", b"\x01"]))
def test_no_damage_to_metadata_does_anything_but_be_read_or_refused(at, put):
    metadata, body = parts_of(message_of(20, "zstd")[1])
    damaged = metadata[:at] + put + metadata[at + len(put) :]
    with contextlib.suppress(ValueError):
        layout_of(damaged, body)
