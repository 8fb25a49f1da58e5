"""Batches are packed byte for byte as the client's own builder packs them, and cut where it would cut them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feed.codecs.messages import Messages
from feed.kafka import batch_packing
from feed.kafka.batch_packing import Packer, envelope
from feed.kafka.client import errors
from feed.kafka.compression import DENSE, GZIP, ZSTD, gzip, zstd
from feed.kafka.record_batch import decompress
from tests.support.kafka.accumulating import AccumulatingProducer

names = st.lists(st.text(max_size=70), max_size=3)
sizes = st.one_of(st.integers(0, 70), st.sampled_from([8191, 8192, 2**20]))
small = st.binary(max_size=130)


@st.composite
def streams(draw):
    """What the messages of each tape share, and groups of messages: milliseconds, (tape, size, own headers) of each."""
    own = draw(names)
    shared = st.lists(st.tuples(st.text(max_size=5), small), max_size=5)
    covers = draw(st.lists(st.tuples(small, shared), min_size=1, max_size=3))
    numbers = st.integers(0, 2**62)
    each = st.tuples(st.integers(0, len(covers) - 1), sizes, st.tuples(*[numbers] * len(own)))
    group = st.tuples(st.integers(0, 2**45), st.lists(each, min_size=1, max_size=5))
    return covers, own, draw(st.lists(group, min_size=1, max_size=4))


def unpacked(raw):
    """A batch but for its checksum, size and compression, decompressed."""
    return raw[:8] + raw[12:17] + raw[23:61] + decompress(raw[22] & 7, raw[61:])


def messages_of(listed):
    """(tape, value) of each as columns."""
    tapes, values = zip(*listed, strict=True)
    ones = np.ones(len(listed), np.int64)
    return Messages(ones, np.array(tapes), pa.array(values, pa.large_binary()), ones)


def added(packer, partition, *values):
    packer.add(partition, messages_of([(0, value) for value in values]), ())


def as_the_client(covers, own, groups, limit):
    """Batches as the client's own accumulator makes them of single messages."""
    from kafka.record.memory_records import MemoryRecordsBuilder

    builders = []
    for millis, group in groups:
        for tape, size, numbers in group:
            key, shared = covers[tape]
            pairs = [*shared, *((name, b"%d" % number) for name, number in zip(own, numbers, strict=True))]
            if not builders or builders[-1].append(millis, key, b"x" * size, pairs) is None:
                builders.append(MemoryRecordsBuilder(2, 0, limit))
                assert builders[-1].append(millis, key, b"x" * size, pairs) is not None
    for builder in builders:
        builder.close()
    return [(unpacked(bytes(builder.buffer())), builder.next_offset()) for builder in builders]


@given(streams(), st.sampled_from([100, 1000, 2**20]), st.sampled_from([0, GZIP, ZSTD]))
@example(([(b"", [])], [], [(5, [(0, 0, ())])]), 100, 0)
@example(([(b"k", [])], ["a"], [(2**44, [(0, 1, (0,))]), (0, [(0, 2, (1,))]), (2**45, [(0, 3, (9,))])]), 2**20, 0)
@example(([(b"k", [])], [], [(5, [(0, 0, ())] * 9000)]), 2**20, 0)
def test_batches_are_those_of_the_client(stream, limit, compression):
    covers, own, groups = stream
    producer = AccumulatingProducer(batch_size=limit)
    clock = iter([millis / 1000 for millis, _ in groups])
    envelopes = [envelope(key, shared, own) for key, shared in covers]
    packer = Packer(producer, "q", envelopes, compression=compression, clock=lambda: next(clock))
    for _, group in groups:
        numbers = [np.array(column, np.int64) for column in zip(*(each[2] for each in group), strict=True)]
        packer.add(3, messages_of([(tape, b"x" * size) for tape, size, _ in group]), numbers)
    packer.flush()
    producer.flush()
    batches = [(unpacked(batch.raw), batch.messages) for batch in producer.batches]
    expected = as_the_client(covers, own, [(int(millis / 1000 * 1000), group) for millis, group in groups], limit)
    assert batches == expected
    assert [(sent.partition, sent.messages) for sent in packer.sent] == [(3, count) for _, count in batches]
    assert sum(sent.nbytes for sent in packer.sent) == sum(size for _, group in groups for _, size, _ in group)


@pytest.mark.parametrize("number", [0, 1, 63, 64, 8191, 8192, 2**20 - 1, 2**20, 2**27 - 1, 2**27, 2**33])
def test_varints_of_every_width(number):
    numbers = np.array([number, 0, number])
    assert batch_packing._varints(numbers).to_pylist() == [batch_packing._zigzag(each) for each in numbers.tolist()]
    assert batch_packing._widths(numbers)[0] == len(batch_packing._zigzag(number))


def test_what_is_not_made_smaller_is_sent_as_it_is():
    producer = AccumulatingProducer()
    packer = Packer(producer, "q", [envelope(b"k", [], [])], compression=ZSTD)
    added(packer, 0, b"x")
    packer.flush()
    added(packer, 0, b"x" * 1000)
    packer.flush()
    producer.flush()
    assert [batch.raw[22] & 7 for batch in producer.batches] == [0, ZSTD]


def test_a_broker_that_keeps_little_gets_dense_batches_once_it_has_some():
    values = [b"%d" % (at * 7919 % 100_003) * 10 for at in range(4000)]
    producer = AccumulatingProducer(batch_size=20_000)
    packer = Packer(producer, "q", [envelope(b"k", [], [])], compression=ZSTD, dense_from=30_000)
    for partition in (0, 1):
        added(packer, partition, *values)
    packer.flush()
    producer.flush()
    for partition in (0, 1):
        sizes = 0
        levels = []
        for batch in producer.batches:
            if batch.partition == partition:
                data = decompress(ZSTD, batch.raw[61:])
                levels.append(batch.raw[61:] == zstd(data, DENSE))
                assert levels[-1] == (sizes >= 30_000)
                sizes += len(batch.raw) - 61
        assert set(levels) == {False, True}


def test_gzip_holds_no_time():
    assert gzip(b"abc" * 100) == gzip(b"abc" * 100)
    assert gzip(b"")[4:8] == bytes(4)


def test_many_partitions_hold_no_more_than_a_bound_of_what_is_not_full(monkeypatch):
    monkeypatch.setattr(batch_packing, "OPEN_BYTES", 1000)
    producer = AccumulatingProducer()
    packer = Packer(producer, "q", [envelope(b"k", [], [])])
    handed = []
    for at in range(200):
        before = len(packer.sent)
        added(packer, at % 50, b"%060d" % at)
        handed += [at] * (len(packer.sent) > before)
    assert handed == [14, 29, 44, 59, 74, 89, 104, 119, 134, 149, 164, 179, 194]
    packer.flush()
    producer.flush()
    assert sorted(value for _, value, _, _ in producer.sent) == [b"%060d" % at for at in range(200)]


def test_the_offsets_of_a_batch_are_those_of_its_messages():
    producer = AccumulatingProducer(batch_size=100, first=70)
    packer = Packer(producer, "q", [envelope(b"k", [], [])])
    for at in range(5):
        added(packer, at % 2, b"x" * 30)
    packer.flush()
    assert not any(sent.is_done for sent in packer.sent)
    producer.flush()
    assert [(sent.partition, sent.messages, sent.offsets(0)) for sent in packer.sent] == [
        (0, 1, (70, 71)),
        (1, 1, (70, 71)),
        (0, 1, (71, 72)),
        (0, 1, (72, 73)),
        (1, 1, (71, 72)),
    ]


def test_what_the_broker_refuses_is_raised_where_the_offset_is_asked_for():
    producer = AccumulatingProducer(fail_at=0)
    packer = Packer(producer, "q", [envelope(b"k", [], [])])
    added(packer, 0, b"x")
    packer.flush()
    producer.flush()
    with pytest.raises(errors.KafkaTimeoutError, match="batch expired"):
        packer.sent[0].offsets(0)


def test_nothing_is_handed_to_a_client_that_is_closed():
    producer = AccumulatingProducer()
    packer = Packer(producer, "q", [envelope(b"k", [], [])])
    added(packer, 0, b"x")
    producer._accumulator.close()
    with pytest.raises(errors.IllegalStateError, match="closed"):
        packer.flush()
