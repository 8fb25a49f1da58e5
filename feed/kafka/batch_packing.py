"""Kafka's record batches, format 2, packed byte for byte as the client packs them, but in a fraction of the time.

kafka-python spends most of a replay on each message's seven headers, which it checks, encodes and measures three times,
and on a future for each message. Here what all messages of a symbol share is encoded once, and the client is given
whole batches: it compresses and numbers them, sends them, and repeats what fails, as ever.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka.errors import IllegalStateError
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OPEN_BYTES = 16 * 2**20
"""Bound on the bytes of the batches that are not full, of all partitions together; beyond it they go as they are."""

_FORMAT = 2
_HEADER = 61


class Envelope(NamedTuple):
    """What messages share, packed: the key, the headers that are the same in all, and the names of the others."""

    key: bytes
    shared: bytes
    names: tuple[bytes, ...]


class Sent(NamedTuple):
    """A batch that the client has: `offset(seconds)` waits for its first message's offset, or raises why not."""

    partition: int
    messages: int
    nbytes: int
    future: Any

    @property
    def is_done(self) -> bool:
        """Whether it is acknowledged or has failed."""
        done: bool = self.future.is_done
        return done

    def offset(self, seconds: float) -> int:
        """Offset of the first message, once the batch is acknowledged."""
        offset: int = self.future.get(timeout=seconds).offset
        return offset


@dataclass(slots=True)
class _Open:
    """A partition's batch while it is being filled."""

    buffer: bytearray = field(default_factory=lambda: bytearray(_HEADER))
    messages: int = 0
    nbytes: int = 0
    first: int = 0
    latest: int = 0


class Packer:
    """Packs messages of a topic into batches and hands those that are full to the client.

    Parameters
    ----------
    producer : kafka.KafkaProducer
    topic : str
    clock : callable
        Seconds since 1970: the time that a message gets.

    Attributes
    ----------
    sent : deque of Sent
        Batches handed over, oldest first; whoever waits for one takes it out.
    """

    def __init__(self, producer: Any, topic: str, clock: Callable[[], float] = time.time) -> None:  # noqa: ANN401
        self._producer, self._topic, self._clock = producer, topic, clock
        self._limit: int = producer.config["batch_size"]
        # kafka-python 3.0.12 splits a batch that the topic does not take, and then gives up on both halves.
        producer._sender._can_split = lambda _batch, _error: False  # noqa: SLF001 - there is no public way
        self._open: dict[int, _Open] = {}
        self._held = 0
        self.sent: deque[Sent] = deque()

    def add(self, partition: int, envelope: Envelope, value: bytes, own: Sequence[bytes]) -> bool:
        """Append a message to its partition's batch; before, hand that over where the message would not fit.

        Parameters
        ----------
        partition : int
        envelope : Envelope
        value : bytes
        own : sequence of bytes
            Values of the headers that `envelope.names` names.

        Returns
        -------
        bool
            Whether a batch was handed over.
        """
        handed = len(self.sent)
        now = int(self._clock() * 1000)
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = _Open(first=now, latest=now)
        record = _pack(batch.messages, now - batch.first, envelope, value, own)
        if batch.messages and len(batch.buffer) + len(record) > self._limit:
            self._hand_over(partition)
            batch = self._open[partition] = _Open(first=now, latest=now)
            record = _pack(0, 0, envelope, value, own)
        batch.buffer += record
        self._held += len(record)
        batch.messages += 1
        batch.nbytes += len(value)
        batch.latest = max(batch.latest, now)
        if len(batch.buffer) >= self._limit:
            self._hand_over(partition)
        if self._held > OPEN_BYTES:
            self.flush()
        return len(self.sent) > handed

    def flush(self) -> None:
        """Hand over the batches that are not full."""
        for partition in sorted(self._open):
            self._hand_over(partition)

    def _hand_over(self, partition: int) -> None:
        batch = self._open.pop(partition)
        self._held -= len(batch.buffer) - _HEADER
        place = TopicPartition(self._topic, partition)
        waiting = ProducerBatch(place, self._filled(batch))
        future = FutureRecordMetadata(waiting.produce_future, 0, batch.first, None, -1, -1, -1)
        # The client's own `send` does the same: the topic may be gone by now, which it notices after a while.
        self._producer.partitions_for(self._topic)
        _enqueue(self._producer._accumulator, waiting)  # noqa: SLF001 - there is no public way
        self._producer._sender.wakeup()  # noqa: SLF001
        self.sent.append(Sent(partition, batch.messages, batch.nbytes, future))

    def _filled(self, batch: _Open) -> MemoryRecordsBuilder:
        """The client's builder of a batch, as it were had the messages been appended one by one."""
        compression = self._producer._accumulator.config["compression_attrs"]  # noqa: SLF001
        records = MemoryRecordsBuilder(_FORMAT, compression, self._limit)
        records._next_offset = batch.messages  # noqa: SLF001
        builder = records._builder  # noqa: SLF001
        builder._buffer = batch.buffer  # noqa: SLF001
        builder._num_records, builder._last_offset = batch.messages, batch.messages - 1  # noqa: SLF001
        builder._first_timestamp, builder._max_timestamp = batch.first, batch.latest  # noqa: SLF001
        return records


def _enqueue(accumulator: Any, batch: ProducerBatch) -> None:  # noqa: ANN401 - untyped client
    accumulator._appends_in_progress.increment()  # noqa: SLF001 - as its own `append` does
    try:
        with accumulator._tp_lock(batch.topic_partition):  # noqa: SLF001
            if accumulator._closed:  # noqa: SLF001
                raise IllegalStateError("the producer is closed")
            accumulator._batches[batch.topic_partition].append(batch)  # noqa: SLF001
            accumulator._incomplete.add(batch)  # noqa: SLF001
    finally:
        accumulator._appends_in_progress.decrement()  # noqa: SLF001


def envelope(key: bytes, shared: Sequence[tuple[str, bytes]], names: Sequence[str]) -> Envelope:
    """Pack what messages share.

    Parameters
    ----------
    key : bytes
    shared : sequence of (str, bytes)
        Headers that come first, the same in every message.
    names : sequence of str
        Those that follow, with a value of each message's own.
    """
    headers = b"".join(_sized(name.encode()) + _sized(value) for name, value in shared)
    count = _varint(len(shared) + len(names))
    return Envelope(_sized(key), count + headers, tuple(_sized(name.encode()) for name in names))


def _pack(index: int, delta: int, envelope: Envelope, value: bytes, own: Sequence[bytes]) -> bytes:
    """Pack a message: its place in the batch, milliseconds after the first, and what it carries."""
    parts = [b"\0", _varint(delta), _varint(index), envelope.key, _varint(len(value)), value, envelope.shared]
    for name, text in zip(envelope.names, own, strict=True):
        parts += (name, _varint(len(text)), text)
    body = b"".join(parts)
    return _varint(len(body)) + body


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _zigzag(number: int) -> bytes:
    """Write a number of at most 64 bits as Kafka's varint."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = tuple(map(_zigzag, range(4096)))


def _varint(number: int) -> bytes:
    return _SMALL[number] if 0 <= number < len(_SMALL) else _zigzag(number)
