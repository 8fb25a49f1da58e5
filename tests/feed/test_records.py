"""Bounded reads of a partition: where they end, and how they fail."""

import itertools
import zlib
from types import SimpleNamespace

import pytest

from feed.errors import FeedCorrupt
from feed.kafka import MAX_MESSAGE, Address, errors
from feed.records import records

ADDRESS = Address(("nowhere:1",), "q")


class Consumer:
    """Stands for kafka-python's: each poll hands out records, moves to a position, or raises."""

    def __init__(self, *polls):
        self.polls, self.at = list(polls), 0

    def assign(self, parts):
        (self.part,) = parts

    def seek(self, _part, offset):
        self.at = offset

    def poll(self, **_options):
        step = self.polls.pop(0) if self.polls else ([], self.at)
        if isinstance(step, Exception):
            raise step
        found, self.at = step
        return {self.part: [SimpleNamespace(offset=offset, value=value) for offset, value in found]}

    def position(self, _part, **_options):
        return self.at


def read(consumer, start, end, **options):
    return [record.offset for record in records(consumer, ADDRESS, 0, start, end, **options)]


def test_reading_stops_at_the_end_and_not_beyond():
    assert read(Consumer(([(3, b"a"), (4, b"b"), (5, b"c")], 6)), 3, 5) == [3, 4]


def test_offsets_without_records_are_passed():
    assert read(Consumer(([(3, b"a")], 4), ([], 9)), 3, 9) == [3]


def test_no_progress_is_an_error_and_no_end():
    ticks = itertools.count()
    with pytest.raises(FeedCorrupt, match=r"no progress for 60 s at offset 4 of \[3, 9\)"):
        read(Consumer(([(3, b"a")], 4)), 3, 9, clock=lambda: float(next(ticks)))


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
