"""The producer without a broker: when messages are due, what they carry, what happens when a send fails."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest

from feed.codecs.json_codec import encode_json
from feed.codecs.messages import Messages
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import producer as replay_module
from feed.kafka.address import Address
from feed.kafka.client import MAX_MESSAGE
from feed.kafka.headers import OWN, EndRecord, Listed, replay_digest, shared_headers
from feed.kafka.producer import PARTITIONERS, hash_of, new_replay_id, paced, replay
from feed.kafka.senders import Covered, PythonSender
from feed.provenance import Partition
from feed.tape import Tape
from tests.support.kafka.accumulating import AccumulatingProducer

ADDRESS = Address(("nowhere:1",), "q")


class Clock:
    def __init__(self, oversleep=0.0):
        self.now, self.slept, self.oversleep = 100.0, [], oversleep

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds + self.oversleep


def due_at(*stamps):
    """Messages without content, due at these nanoseconds."""
    ts = np.array(stamps, np.int64)
    zeros = np.zeros(len(ts), np.int64)
    return Messages(ts, zeros, pa.array([b""] * len(ts), pa.large_binary()), zeros)


def schedule(stamps, speed, *, clock, cost=0.0, together=4):
    out = []
    nanos = [int(ts * 1e9) for ts in stamps]
    stream = (due_at(*nanos[at : at + together]) for at in range(0, len(nanos), together))
    for messages in paced(stream, speed=speed, clock=clock, sleep=clock.sleep):
        out += [(ts / 1e9, clock.now - 100.0) for ts in messages.ts.tolist()]
        clock.now += cost
    return out


@pytest.mark.parametrize("together", [1, 3, 4])
def test_speed_keeps_recorded_gaps_divided_by_it(together):
    assert schedule([5, 6, 6.5, 9], 1, clock=Clock(), together=together) == [(5, 0), (6, 1), (6.5, 1.5), (9, 4)]
    assert schedule([5, 6, 6.5, 9], 10, clock=Clock(), together=together) == [
        (5, pytest.approx(0)),
        (6, pytest.approx(0.1)),
        (6.5, pytest.approx(0.15)),
        (9, pytest.approx(0.4)),
    ]


def test_speed_zero_never_waits():
    clock = Clock()
    assert [sent for _, sent in schedule([0, 1, 1000], 0, clock=clock)] == [0, 0, 0]
    assert clock.slept == []


def test_delays_do_not_add_up():
    clock = Clock(oversleep=0.003)
    sent = schedule([i * 0.01 for i in range(1001)], 1, clock=clock, cost=0.002)
    assert sent[-1][1] == pytest.approx(10.0, abs=0.006)


def test_a_late_replay_catches_up_without_waiting():
    clock = Clock()
    stream = paced([due_at(*(second * 10**9 for second in (0, 1, 2, 10)))], speed=1, clock=clock, sleep=clock.sleep)
    assert next(stream).ts.tolist() == [0]
    clock.now += 5
    assert next(stream).ts.tolist() == [10**9, 2 * 10**9]
    assert clock.slept == []
    assert next(stream).ts.tolist() == [10 * 10**9]
    assert clock.slept == [5.0]


def test_what_is_batched_is_sent_before_a_wait():
    clock, flushes = Clock(), []
    list(
        paced(
            [due_at(0, 0), due_at(10**9)],
            speed=1,
            clock=clock,
            sleep=clock.sleep,
            before_wait=lambda: flushes.append(clock.now),
        )
    )
    assert flushes == [100.0]


def tape(symbol="AAPL"):
    n = 4
    ones = np.ones(n, np.int64)
    return Tape.build(
        symbol,
        ts=np.arange(n) // 2,
        venue=ones,
        bid_px=ones * 10**9,
        ask_px=ones * 2 * 10**9,
        bid_sz=ones,
        ask_sz=ones,
        sequence=np.arange(n),
    )


def fill(producer, tapes, *, numbers=(0,), partition="symbol", codec="json", on_progress=None):
    producer.partitions_for = lambda _topic: set(numbers)
    hashes = np.array([hash_of(each.symbol) for each in tapes])
    covers = [Covered(each.symbol.encode(), shared_headers("r", each.symbol, codec)) for each in tapes]
    sender = PythonSender(producer, ADDRESS, covers, OWN)
    filled = replay_module._Fill(
        sender, ADDRESS, lambda count, codes, seqs: PARTITIONERS[partition](count, hashes[codes], seqs)
    )
    filled.send(CODECS[codec].stream(tapes), on_progress)
    return filled.lanes


@pytest.mark.parametrize("codec", CODECS)
def test_spread_takes_partitions_in_turn_and_symbol_keeps_one_for_each(codec):
    tapes = [tape("A"), tape("B")]
    messages = sum(len(list(CODECS[codec].encode(each))) for each in tapes)
    producer = AccumulatingProducer()
    lanes = fill(producer, tapes, numbers=(3, 4, 8), partition="spread", codec=codec)
    by_number = sorted((int(headers["seq"]), partition) for partition, _, headers, _ in producer.sent)
    assert by_number == [(i, (3, 4, 8)[i % 3]) for i in range(messages)]
    assert sum(lane.rows for lane in lanes.values()) == 8
    # Kafka's own client hashes these keys to these 32-bit numbers, and takes the lower 31 bits of them.
    hashes = {b"21": -973932308, b"foobar": -790332482}
    producer = AccumulatingProducer()
    fill(producer, [tape(key.decode()) for key in hashes], numbers=(3, 4, 8), codec=codec)
    assert {headers["symbol"]: partition for partition, _, headers, _ in producer.sent} == {
        key: (3, 4, 8)[(number & 0x7FFFFFFF) % 3] for key, number in hashes.items()
    }


def test_the_digest_of_several_tapes_names_each():
    one, two = {"A": "a" * 64, "B": "b" * 64}, {"A": "b" * 64, "B": "a" * 64}
    assert replay_digest({"A": "a" * 64}) == "a" * 64
    assert replay_digest(one) == replay_digest(dict(reversed(one.items()))) != replay_digest(two)


def test_headers_number_the_messages_and_the_table_proves_them():
    producer, progress = AccumulatingProducer(), []
    messages = list(encode_json(tape()))
    lanes = fill(producer, [tape()], on_progress=lambda sent, ts: progress.append((sent, ts)))
    assert [headers["seq"] for _, _, headers, _ in producer.sent] == [b"0", b"1"]
    assert [headers["pseq"] for _, _, headers, _ in producer.sent] == [b"0", b"1"]
    assert {partition for partition, _, _, _ in producer.sent} == {0}
    assert progress == [(2, 1)]
    lane = lanes[0]
    assert (lane.messages, lane.rows, lane.start, lane.end) == (2, 4, 70, 72)
    assert lane.nbytes == sum(len(message.value) for message in messages)
    assert [key for _, _, _, key in producer.sent] == [b"AAPL"] * 2
    each = b"".join(hashlib.sha256(message.value).digest() for message in messages)
    assert lane.hashes.hexdigest() == hashlib.sha256(each).hexdigest()


def test_every_used_partition_gets_an_end_record_with_the_whole_table():
    producer = AccumulatingProducer(first=9)
    listed = {part: Listed(2, 2, 9, 5, 8, "a" * 64) for part in (0, 2)}
    end = EndRecord("r", "json", "1.0", 4, "b" * 64, {"AAPL": "b" * 64}, listed)
    sender = PythonSender(producer, ADDRESS, [Covered(b"AAPL", [])], OWN)
    assert replay_module._finish(sender, ADDRESS, end) == (Partition(0, 5, 10), Partition(2, 5, 10))
    assert [partition for partition, _, _, _ in producer.sent] == [0, 2]
    for _, value, headers, _ in producer.sent:
        assert headers["kind"] == b"end"
        assert set(json.loads(value)["partitions"]) == {"0", "2"}


def test_a_send_that_fails_is_one_line():
    with pytest.raises(FeedUnavailable, match=r"batch expired.*the replay is incomplete"):
        fill(AccumulatingProducer(fail_at=0), [tape()])


def test_an_acknowledgement_without_an_offset_is_noticed_of_the_first_batch_too():
    with pytest.raises(FeedCorrupt, match="put offset -1"):
        fill(AccumulatingProducer(first=-1), [tape()])


def test_a_message_beyond_the_bound_is_named():
    sizes = np.array([MAX_MESSAGE, MAX_MESSAGE + 1])
    with pytest.raises(FeedCorrupt, match=r"message of 1970-01-01T00:00:00.000000000Z has 8388609 bytes"):
        replay_module._check_size(due_at(5, 0), sizes, ADDRESS)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"codec": "pickle"}, "unknown codec 'pickle'"),
        ({"partition": "random"}, "unknown partitioner 'random'; partitioners there: spread, symbol"),
        ({"speed": -1.0}, "is no speed"),
        ({"speed": float("nan")}, "is no speed"),
        ({"replay_id": "a b"}, "replay id 'a b'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_opened(options, reason):
    with pytest.raises(FeedUnavailable, match=reason):
        replay(tape(), ADDRESS, **options)


def test_an_empty_tape_is_refused():
    with pytest.raises(FeedUnavailable, match="the tape is empty"):
        replay(tape().clip(5, 6), ADDRESS)


def test_replay_ids_differ():
    assert new_replay_id() != new_replay_id()
