"""A bounded read of the offsets [start, end) of a partition: it reaches the end or raises, and never stops silently."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from feed.errors import FeedCorrupt, FeedError, FeedUnavailable
from feed.kafka.client import CONNECT_SECONDS, MAX_MESSAGE, TopicPartition, errors, open_consumer, within
from feed.kafka.topic import beginnings
from feed.options import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from feed.codecs import Record
    from feed.kafka.address import Address

STALL_SECONDS = 60.0
"""A read without progress for this long is an error, never an end."""

ASK_SECONDS = 3.0
"""After each such time without progress the broker is asked whether it still has the topic."""


def records(
    consumer: Any,  # noqa: ANN401 - untyped client
    address: Address,
    partition: int,
    start: int,
    end: int,
    *,
    stall: float = STALL_SECONDS,
    deadline: float = math.inf,
    max_bytes: int = MAX_BYTES,
    clock: Callable[[], float] = time.monotonic,
    deleted: Callable[[Address], bool] | None = None,
) -> Iterator[Record]:
    """Read the offsets [start, end) of a partition, to the end or to an error.

    Parameters
    ----------
    consumer : kafka.KafkaConsumer
    address : Address
    partition, start, end : int
    stall : float
        Seconds without progress after which to give up.
    deadline : float
        Seconds after which to give up, progress or not.
    max_bytes : int
        Decompressed bytes of all values.
    clock : callable
        Seconds, monotonic.
    deleted : callable, optional
        Whether a broker answers and has no such topic; by default `topic_deleted`.

    Yields
    ------
    Record

    Raises
    ------
    FeedCorrupt
        No progress, too late, lost offsets, a deleted topic, a batch that cannot be unpacked, or too many bytes.
    """
    deleted = deleted or topic_deleted
    part = TopicPartition(address.topic, partition)
    consumer.assign([part])
    consumer.seek(part, start)
    began = since = last_asked = clock()
    position, nbytes = start, 0
    while position < end:
        if clock() - began > deadline:
            raise FeedCorrupt(
                f"not read within {deadline:.0f} s: at offset {position} of [{start}, {end})",
                f"{address.place}, partition {partition}",
                "set feed.deadline",
            )
        try:
            batch = consumer.poll(timeout_ms=200).get(part, [])
            reached = consumer.position(part, timeout_ms=200)
        except errors.CorruptRecordError as error:
            raise _unreadable(address, partition, position, str(error)) from error
        except errors.OffsetOutOfRangeError as error:
            first = beginnings(consumer, address, [partition])[partition]
            if first <= position:
                raise
            raise FeedCorrupt(
                f"offsets [{position}, {min(first, end)}) of partition {partition} are gone: retention or a deletion "
                "took them while they were read",
                address.place,
                "replay again, or keep the topic longer",
            ) from error
        except (errors.KafkaError, FeedError):
            raise
        except Exception as error:  # any error of the client's parsers, which unpack bytes from the wire
            raise _unreadable(address, partition, position, f"{type(error).__name__}: {error}") from error
        for record in batch:
            if record.offset >= end:
                return
            size = len(record.value)
            nbytes += size
            if size > MAX_MESSAGE or nbytes > max_bytes:
                limit = f"a message of {size} bytes" if size > MAX_MESSAGE else f"more than {max_bytes} bytes"
                raise FeedCorrupt(
                    f"{limit} is beyond the bound", f"{address.place}, partition {partition}, offset {record.offset}"
                )
            yield record
        if reached is not None and reached > position:
            position = reached
            since = last_asked = clock()
        elif clock() - since > stall:
            raise FeedCorrupt(
                f"no progress for {stall:.0f} s at offset {position} of [{start}, {end})",
                f"{address.place}, partition {partition}",
                "check that the broker is up, then repeat",
            )
        elif clock() - last_asked > ASK_SECONDS:
            if deleted(address):
                raise FeedCorrupt(
                    f"the topic was deleted while it was read: offsets [{position}, {end}) of partition {partition} "
                    "are gone",
                    address.place,
                    "replay the source again",
                )
            last_asked = clock()


def topic_deleted(address: Address) -> bool:
    """Whether a broker answers and has no such topic; False where none answers, as it may come back.

    Parameters
    ----------
    address : Address
    """
    try:
        # With a client of its own: the reader's cannot be used while one of its calls hangs.
        with open_consumer(address) as consumer:
            return address.topic not in within(CONNECT_SECONDS, address, consumer.topics)
    except FeedUnavailable:
        return False


def _unreadable(address: Address, partition: int, position: int, reason: str) -> FeedCorrupt:
    return FeedCorrupt(
        f"a batch cannot be unpacked: {' '.join(reason.split())[:200]}",
        f"{address.place}, partition {partition}, offset {position}",
        "replay the source again into a new topic",
    )
