"""A bounded read: the offsets [start, end) of a partition, to the end or to an error, and never to a silent end."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from feed.errors import FeedCorrupt, FeedError
from feed.kafka import MAX_MESSAGE, Address, TopicPartition, errors
from feed.options import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STALL_SECONDS = 60.0
"""A read without any progress for this long is an error, never an end."""


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
) -> Iterator[Any]:
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

    Yields
    ------
    kafka.consumer.fetcher.ConsumerRecord

    Raises
    ------
    FeedCorrupt
        No progress, too late, offsets that are gone, a batch that cannot be unpacked, too many bytes.
    """
    part = TopicPartition(address.topic, partition)
    consumer.assign([part])
    consumer.seek(part, start)
    began = since = clock()
    position, seen = start, 0
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
        except (errors.KafkaError, FeedError):
            raise
        except Exception as error:  # the client unpacks what came over the wire: any error of its parsers
            raise _unreadable(address, partition, position, f"{type(error).__name__}: {error}") from error
        for record in batch:
            if record.offset >= end:
                return
            size = len(record.value or b"")
            seen += size
            if size > MAX_MESSAGE or seen > max_bytes:
                limit = f"a message of {size} bytes" if size > MAX_MESSAGE else f"more than {max_bytes} bytes"
                raise FeedCorrupt(
                    f"{limit} is beyond the bound", f"{address.place}, partition {partition}, offset {record.offset}"
                )
            yield record
        if reached is not None and reached > position:
            position, since = reached, clock()
        elif clock() - since > stall:
            raise FeedCorrupt(
                f"no progress for {stall:.0f} s at offset {position} of [{start}, {end})",
                f"{address.place}, partition {partition}",
                "check that the broker is up and the topic still there, then repeat",
            )


def _unreadable(address: Address, partition: int, position: int, reason: str) -> FeedCorrupt:
    return FeedCorrupt(
        f"a batch cannot be unpacked: {' '.join(reason.split())[:200]}",
        f"{address.place}, partition {partition}, offset {position}",
        "replay the source again into a new topic",
    )
