"""The producer without a broker: when messages are due, what they carry, what happens when a send fails."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from feed import replay as replay_module
from feed.codec import EndRecord, Listed, Message, encode_json
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import MAX_MESSAGE, Address, errors
from feed.replay import new_replay_id, paced, replay
from feed.tape import Partition, Tape

ADDRESS = Address(("nowhere:1",), "q")


class Clock:
    def __init__(self, oversleep=0.0):
        self.now, self.slept, self.oversleep = 100.0, [], oversleep

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds + self.oversleep


def schedule(stamps, speed, *, clock, cost=0.0):
    out = []
    messages = (Message(int(ts * 1e9), b"") for ts in stamps)
    for message in paced(messages, speed=speed, clock=clock, sleep=clock.sleep):
        out.append((message.ts / 1e9, clock.now - 100.0))
        clock.now += cost
    return out


def test_speed_keeps_recorded_gaps_divided_by_it():
    assert schedule([5, 6, 6.5, 9], 1, clock=Clock()) == [(5, 0), (6, 1), (6.5, 1.5), (9, 4)]
    assert schedule([5, 6, 6.5, 9], 10, clock=Clock()) == [
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
    stream = paced((Message(int(ts * 1e9), b"") for ts in (0, 1, 2, 10)), speed=1, clock=clock, sleep=clock.sleep)
    next(stream)
    clock.now += 5
    next(stream), next(stream)
    assert clock.slept == []
    next(stream)
    assert clock.slept == [5.0]


def test_what_is_batched_is_sent_before_a_wait():
    clock, flushes = Clock(), []
    messages = [Message(0, b""), Message(0, b""), Message(10**9, b"")]
    list(paced(messages, speed=1, clock=clock, sleep=clock.sleep, before_wait=lambda: flushes.append(clock.now)))
    assert flushes == [100.0]


class Producer:
    """Stands for kafka-python's: acknowledges at once, or fails where told."""

    def __init__(self, *, first=70, fail_at=None):
        self.sent, self.first, self.fail_at = [], first, fail_at

    def send(self, _topic, *, value, headers, partition):
        self.sent.append((partition, value, dict(headers)))
        offset = self.first + len(self.sent) - 1
        failing = self.fail_at == len(self.sent) - 1

        def get(timeout):
            if failing:
                raise errors.KafkaTimeoutError("batch expired")
            return SimpleNamespace(partition=partition, offset=offset)

        return SimpleNamespace(is_done=True, get=get)

    def flush(self, timeout=None):
        pass


def tape():
    n = 4
    ones = np.ones(n, np.int64)
    return Tape.build(
        "AAPL",
        ts=np.arange(n) // 2,
        venue=ones,
        bid_px=ones * 10**9,
        ask_px=ones * 2 * 10**9,
        bid_sz=ones,
        ask_sz=ones,
        sequence=np.arange(n),
    )


def test_headers_number_the_messages_and_the_table_proves_them():
    producer, progress = Producer(), []
    messages = list(encode_json(tape()))
    lanes = replay_module._send(
        producer, ADDRESS, "r", "AAPL", "json", messages, lambda sent, ts: progress.append((sent, ts))
    )
    assert [headers["seq"] for _, _, headers in producer.sent] == [b"0", b"1"]
    assert [headers["pseq"] for _, _, headers in producer.sent] == [b"0", b"1"]
    assert {partition for partition, _, _ in producer.sent} == {0}
    assert progress == [(1, 0), (2, 1)]
    lane = lanes[0]
    assert (lane.messages, lane.start, lane.end) == (2, 70, 72)
    each = b"".join(hashlib.sha256(message.value).digest() for message in messages)
    assert lane.hashes.hexdigest() == hashlib.sha256(each).hexdigest()


def test_every_used_partition_gets_an_end_record_with_the_whole_table():
    producer = Producer(first=9)
    listed = {part: Listed(2, 5, 8, "a" * 64) for part in (0, 2)}
    end = EndRecord("r", ("AAPL",), "json", "1.0", 4, "b" * 64, listed)
    assert replay_module._finish(producer, ADDRESS, end) == (Partition(0, 5, 10), Partition(2, 5, 11))
    assert [partition for partition, _, _ in producer.sent] == [0, 2]
    for _, value, headers in producer.sent:
        assert headers["kind"] == b"end"
        assert set(json.loads(value)["partitions"]) == {"0", "2"}


def test_a_send_that_fails_is_one_line():
    with pytest.raises(FeedUnavailable, match=r"batch expired.*the replay is incomplete"):
        replay_module._send(Producer(fail_at=1), ADDRESS, "r", "AAPL", "json", encode_json(tape()), None)


def test_a_message_beyond_the_bound_is_named():
    messages = [Message(0, b"x" * (MAX_MESSAGE + 1))]
    with pytest.raises(FeedCorrupt, match=r"message of 1970-01-01T00:00:00.000000000Z has 8388609 bytes"):
        replay_module._send(Producer(), ADDRESS, "r", "AAPL", "json", messages, None)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"codec": "pickle"}, "unknown codec 'pickle'"),
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
