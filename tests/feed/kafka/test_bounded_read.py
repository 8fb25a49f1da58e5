"""Bounded reads of a partition: where they end, and how they fail."""

import itertools
import zlib
from types import SimpleNamespace

import pytest

from feed.errors import FeedCorrupt
from feed.kafka.address import Address
from feed.kafka.bounded_read import records
from feed.kafka.client import MAX_MESSAGE, TopicPartition, errors

ADDRESS = Address(("nowhere:1",), "q")


class Consumer:
    """Stands for kafka-python's: each poll hands out records, moves to a position, or raises."""

    def __init__(self, *polls, first=0):
        self.polls, self.at, self.first = list(polls), 0, first

    def assign(self, parts):
        (self.part,) = parts

    def seek(self, _part, offset):
        self.at = offset

    def poll(self, **_options):
        step = self.polls.pop(0) if self.polls else ([], self.at)
        if isinstance(step, Exception):
            raise step
        batch, self.at = step
        return {self.part: [SimpleNamespace(offset=offset, value=value) for offset, value in batch]}

    def position(self, _part, **_options):
        return self.at

    def beginning_offsets(self, parts, **_options):
        return dict.fromkeys(parts, self.first)


def read(consumer, start, end, *, deleted=lambda _address: False, **options):
    return [record.offset for record in records(consumer, ADDRESS, 0, start, end, deleted=deleted, **options)]


def test_reading_stops_at_the_end_and_not_beyond():
    assert read(Consumer(([(3, b"a"), (4, b"b"), (5, b"c")], 6)), 3, 5) == [3, 4]


def test_offsets_without_records_are_passed():
    assert read(Consumer(([(3, b"a")], 4), ([], 9)), 3, 9) == [3]


def test_no_progress_is_an_error_and_no_end():
    ticks = itertools.count()
    with pytest.raises(FeedCorrupt, match=r"no progress for 60 s at offset 4 of \[3, 9\)"):
        read(Consumer(([(3, b"a")], 4)), 3, 9, clock=lambda: float(next(ticks)))


def test_a_topic_that_was_deleted_is_said_long_before():
    ticks, asked = itertools.count(), []

    def deleted(address):
        asked.append(next(ticks))
        return address == ADDRESS and len(asked) == 3

    with pytest.raises(FeedCorrupt, match=r"the topic was deleted while it was read: offsets \[4, 9\) of partition 0"):
        read(Consumer(([(3, b"a")], 4)), 3, 9, clock=lambda: float(next(ticks)), deleted=deleted)
    assert len(asked) == 3
    assert asked[-1] < 60


def test_a_topic_is_not_asked_for_while_there_is_progress():
    ticks = itertools.count()
    polls = [([(at, b"a")], at + 1) for at in range(50)]

    def deleted(_address):
        raise AssertionError("asked")

    assert read(Consumer(*polls), 0, 50, clock=lambda: float(next(ticks)), deleted=deleted) == list(range(50))


@pytest.mark.parametrize(("first", "gone"), [(7, r"\[4, 7\)"), (20, r"\[4, 9\)")])
def test_offsets_that_went_ahead_of_the_reader_are_named(first, gone):
    error = errors.OffsetOutOfRangeError({TopicPartition("q", 0): 4})
    with pytest.raises(FeedCorrupt, match=f"offsets {gone} of partition 0 are gone: retention or a deletion took them"):
        read(Consumer(([(3, b"a")], 4), error, first=first), 3, 9)


def test_an_offset_beyond_the_topic_is_no_deletion():
    error = errors.OffsetOutOfRangeError({TopicPartition("q", 0): 4})
    with pytest.raises(errors.OffsetOutOfRangeError):
        read(Consumer(([(3, b"a")], 4), error, first=1), 3, 9)


@pytest.mark.parametrize(
    "error",
    [zlib.error("bad data"), EOFError("cut"), ValueError("x"), IndexError("y"), errors.CorruptRecordError("crc")],
)
def test_a_batch_that_cannot_be_unpacked_is_named(error):
    with pytest.raises(FeedCorrupt, match=r"q, partition 0, offset 4: a batch cannot be unpacked: .*replay the source"):
        read(Consumer(([(3, b"a")], 4), error), 3, 9)


def test_a_message_beyond_the_bound_is_refused():
    with pytest.raises(FeedCorrupt, match="offset 3: a message of 8388609 bytes is beyond the bound"):
        read(Consumer(([(3, b"x" * (MAX_MESSAGE + 1))], 4)), 3, 9)
