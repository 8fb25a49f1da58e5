"""Batches are packed byte for byte as the client's own builder packs them, and cut where it would cut them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feed.kafka import batch_packing
from feed.kafka.batch_packing import Packer, envelope
from feed.kafka.client import errors
from feed.kafka.record_batch import decompress
from tests.support.kafka.accumulating import AccumulatingProducer

names = st.lists(st.text(max_size=70), max_size=3)
sizes = st.one_of(st.integers(0, 70), st.sampled_from([8191, 8192, 2**20]))
small = st.binary(max_size=130)


@st.composite
def streams(draw):
    """What messages share, and (milliseconds, bytes of the value, own headers) of each."""
    own = draw(names)
    shared = draw(st.lists(st.tuples(st.text(max_size=5), small), max_size=5))
    each = st.tuples(st.integers(0, 2**45), sizes, st.tuples(*[small] * len(own)))
    return draw(small), shared, own, draw(st.lists(each, min_size=1, max_size=8))


def unpacked(raw):
    """A batch but for its checksum, decompressed: what gzip writes holds the second at which it does."""
    return raw[:17] + raw[21:61] + decompress(raw[22] & 7, raw[61:])


def as_the_client(key, shared, own, messages, limit, compression):
    """Batches as the client's own accumulator makes them of single messages."""
    from kafka.record.memory_records import MemoryRecordsBuilder

    builders = []
    for seconds, value, texts in messages:
        millis, pairs = int(seconds * 1000), [*shared, *zip(own, texts, strict=True)]
        if not builders or builders[-1].append(millis, key, value, pairs) is None:
            builders.append(MemoryRecordsBuilder(2, compression, limit))
            assert builders[-1].append(millis, key, value, pairs) is not None
    for builder in builders:
        builder.close()
    return [(unpacked(bytes(builder.buffer())), builder.next_offset()) for builder in builders]


def packed(key, shared, own, messages, limit, compression):
    producer = AccumulatingProducer(batch_size=limit, compression=compression)
    clock = iter([seconds for seconds, _, _ in messages])
    packer = Packer(producer, "q", clock=lambda: next(clock))
    cover = envelope(key, shared, own)
    for _, value, texts in messages:
        before = len(packer.sent)
        assert packer.add(3, cover, value, texts) == (len(packer.sent) > before)
    packer.flush()
    producer.flush()
    return [(unpacked(batch.raw), batch.messages) for batch in producer.batches], packer


@given(streams(), st.sampled_from([100, 1000, 2**20]), st.sampled_from([0, 1]))
@example((b"", [], [], [(5, 0, ())]), 100, 0)
@example((b"k", [], ["a"], [(2**44, 1, (b"",)), (0, 2, (b"",)), (2**45, 3, (b"",))]), 2**20, 0)
def test_batches_are_those_of_the_client(stream, limit, compression):
    key, shared, own, drawn = stream
    messages = [(millis / 1000, b"x" * size, texts) for millis, size, texts in drawn]
    batches, packer = packed(key, shared, own, messages, limit, compression)
    assert batches == as_the_client(key, shared, own, messages, limit, compression)
    assert [(sent.partition, sent.messages) for sent in packer.sent] == [(3, count) for _, count in batches]
    assert sum(sent.nbytes for sent in packer.sent) == sum(len(value) for _, value, _ in messages)


def test_many_partitions_hold_no_more_than_a_bound_of_what_is_not_full(monkeypatch):
    monkeypatch.setattr(batch_packing, "OPEN_BYTES", 1000)
    producer = AccumulatingProducer()
    packer = Packer(producer, "q")
    handed = [packer.add(at % 50, envelope(b"k", [], []), b"%060d" % at, ()) for at in range(200)]
    assert [at for at, over in enumerate(handed) if over] == [14, 29, 44, 59, 74, 89, 104, 119, 134, 149, 164, 179, 194]
    packer.flush()
    producer.flush()
    assert sorted(value for _, value, _, _ in producer.sent) == [b"%060d" % at for at in range(200)]


def test_the_offset_of_a_batch_is_that_of_its_first_message():
    producer = AccumulatingProducer(batch_size=100, first=70)
    packer = Packer(producer, "q")
    for at in range(5):
        packer.add(at % 2, envelope(b"k", [], []), b"x" * 30, ())
    packer.flush()
    assert not any(sent.is_done for sent in packer.sent)
    producer.flush()
    assert [(sent.partition, sent.messages, sent.offset(0)) for sent in packer.sent] == [
        (0, 1, 70),
        (1, 1, 70),
        (0, 1, 71),
        (0, 1, 72),
        (1, 1, 71),
    ]


def test_what_the_broker_refuses_is_raised_where_the_offset_is_asked_for():
    producer = AccumulatingProducer(fail_at=0)
    packer = Packer(producer, "q")
    packer.add(0, envelope(b"k", [], []), b"x", ())
    packer.flush()
    producer.flush()
    with pytest.raises(errors.KafkaTimeoutError, match="batch expired"):
        packer.sent[0].offset(0)


def test_nothing_is_handed_to_a_client_that_is_closed():
    producer = AccumulatingProducer()
    packer = Packer(producer, "q")
    packer.add(0, envelope(b"k", [], []), b"x", ())
    producer._accumulator.close()
    with pytest.raises(errors.IllegalStateError, match="closed"):
        packer.flush()
