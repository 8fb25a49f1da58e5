"""Kafka's record batches, format 2, packed byte for byte as the client packs them, but many messages at a time.

kafka-python spends most of a replay on each message's seven headers, which it checks, encodes and measures three times,
and on a future for each message. Here what all messages of a symbol share is encoded once, messages are packed as
columns, and the client is given whole batches: it numbers them, sends them, and repeats what fails, as ever.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from kafka.errors import IllegalStateError
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import TopicPartition

from feed.kafka.compression import COMPRESSORS, DENSE, ZSTD, zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feed.codecs import Messages
    from feed.tape import Int64

OPEN_BYTES = 16 * 2**20
"""Bound on the bytes of the batches that are not full, of all partitions together; beyond it they go as they are."""

_FORMAT = 2
_HEADER = 61
_BINARY = pa.large_binary()
_NOTHING = pa.scalar(b"", _BINARY)
_WIDER = np.array([2 ** (7 * width - 1) for width in range(1, 5)])
"""The first numbers that take two bytes, three, four and five."""


class Envelope(NamedTuple):
    """What messages share, packed: the key, the headers that are the same in all, and the names of the others."""

    key: bytes
    shared: bytes
    names: tuple[bytes, ...]


class Sent(NamedTuple):
    """A batch that the client has."""

    partition: int
    messages: int
    nbytes: int
    future: Any

    @property
    def is_done(self) -> bool:
        """Whether it is acknowledged or has failed."""
        done: bool = self.future.is_done
        return done

    def offsets(self, seconds: float) -> tuple[int, int]:
        """The offsets [start, end) that its messages have, once they are acknowledged; raises why they are not."""
        offset: int = self.future.get(timeout=seconds).offset
        return offset, offset + self.messages


@dataclass(slots=True)
class _Open:
    """A partition's batch while it is being filled."""

    first: int
    buffer: bytearray = field(default_factory=lambda: bytearray(_HEADER))
    messages: int = 0
    nbytes: int = 0
    latest: int = 0


class Packer:
    """Packs messages of a topic into batches and hands those that are full to the client.

    Parameters
    ----------
    producer : kafka.KafkaProducer
        It compresses nothing itself.
    topic : str
    envelopes : sequence of Envelope
        What the messages of each tape share; all name the same own headers.
    compression : int
        A key of `feed.kafka.compression.COMPRESSORS`; 0 = none.
    dense_from : int, optional
        Compressed bytes of a partition from which on its batches are packed as densely as can be, for a broker that
        keeps little. The first ones are not: most replays are small, and that takes many times as long.
    clock : callable
        Seconds since 1970: the time that messages get.

    Attributes
    ----------
    sent : deque of Sent
        Batches handed over, oldest first; whoever waits for one takes it out.
    """

    def __init__(
        self,
        producer: Any,  # noqa: ANN401 - untyped client
        topic: str,
        envelopes: Sequence[Envelope],
        *,
        compression: int = 0,
        dense_from: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._producer, self._topic, self._envelopes, self._clock = producer, topic, envelopes, clock
        self._compression, self._dense_from = compression, dense_from
        self._limit: int = producer.config["batch_size"]
        # kafka-python 3.0.12 splits a batch that the topic does not take, and then gives up on both halves.
        producer._sender._can_split = lambda _batch, _error: False  # noqa: SLF001 - there is no public way
        self._open: dict[int, _Open] = {}
        self._held = 0
        self._compressed: dict[int, int] = {}
        self.sent: deque[Sent] = deque()

    def add(self, partition: int, messages: Messages, own: Sequence[Int64]) -> None:
        """Append messages to their partition's batch; before one that would not fit, hand that over.

        Parameters
        ----------
        partition : int
        messages : Messages
        own : sequence of (K,) int64
            Values of the headers that the envelopes name, not negative: they are written as digits.
        """
        now = int(self._clock() * 1000)
        bodies = self._bodies(messages, own)
        sizes, value_sizes = _sizes(bodies), _sizes(messages.values)
        least = int(sizes.min(initial=2**62))
        at = 0
        while at < len(messages):
            batch = self._open.get(partition)
            if batch is None:
                batch = self._open[partition] = _Open(first=now, latest=now)
            room = self._limit - len(batch.buffer)
            lead = b"\0" + _zigzag(now - batch.first)
            ahead = min(len(messages), at + max(room, 0) // least + 1)
            index = np.arange(batch.messages, batch.messages + ahead - at)
            whole = len(lead) + _widths(index) + sizes[at:ahead]
            count = int(np.searchsorted(np.cumsum(whole + _widths(whole)), room, "right"))
            if not batch.messages:
                count = max(count, 1)
            end = at + count
            if count:
                records = _joined(_varints(whole[:count]), lead, _varints(index[:count]), bodies[at:end])
                before = len(batch.buffer)
                batch.buffer += _flat(records)
                self._held += len(batch.buffer) - before
                batch.messages += count
                batch.nbytes += int(value_sizes[at:end].sum())
                batch.latest = max(batch.latest, now)
            if end < len(messages) or len(batch.buffer) >= self._limit:
                self._hand_over(partition)
            at = end
        if self._held > OPEN_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over the batches that are not full."""
        for partition in sorted(self._open):
            self._hand_over(partition)

    def _bodies(self, messages: Messages, own: Sequence[Int64]) -> pa.Array:
        """What follows a message's place in its batch."""
        names = self._envelopes[0].names
        parts: list[Any] = [_varints(_sizes(messages.values)), messages.values]
        parts += [self._of_tape("shared", messages.tapes)]
        for name, numbers in zip(names, own, strict=True):
            digits = pa.array(numbers).cast(pa.large_string()).cast(_BINARY)
            parts += [name, _varints(_sizes(digits)), digits]
        return _joined(self._of_tape("key", messages.tapes), *parts)

    def _of_tape(self, part: str, tapes: Int64) -> Any:  # noqa: ANN401 - one for all, or a column
        values = [getattr(envelope, part) for envelope in self._envelopes]
        return values[0] if len(values) == 1 else pa.array(values, _BINARY).take(pa.array(tapes))

    def _hand_over(self, partition: int) -> None:
        batch = self._open.pop(partition)
        self._held -= len(batch.buffer) - _HEADER
        place = TopicPartition(self._topic, partition)
        waiting = ProducerBatch(place, self._filled(partition, batch))
        future = FutureRecordMetadata(waiting.produce_future, 0, batch.first, None, -1, -1, -1)
        # The client's own `send` does the same: the topic may be gone by now, which it notices after a while.
        self._producer.partitions_for(self._topic)
        _enqueue(self._producer._accumulator, waiting)  # noqa: SLF001 - there is no public way
        self._producer._sender.wakeup()  # noqa: SLF001
        self.sent.append(Sent(partition, batch.messages, batch.nbytes, future))

    def _filled(self, partition: int, batch: _Open) -> MemoryRecordsBuilder:
        """The client's builder of a batch, as it were had the messages been appended one by one."""
        records = MemoryRecordsBuilder(_FORMAT, self._compression, self._limit)
        records._next_offset = batch.messages  # noqa: SLF001
        builder = records._builder = _Builder(  # noqa: SLF001
            magic=_FORMAT,
            compression_type=self._compression,
            is_transactional=False,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=self._limit,
        )
        builder.compress = lambda data: self._compress(partition, data)
        builder._buffer = batch.buffer  # noqa: SLF001
        builder._num_records, builder._last_offset = batch.messages, batch.messages - 1  # noqa: SLF001
        builder._first_timestamp, builder._max_timestamp = batch.first, batch.latest  # noqa: SLF001
        return records

    def _compress(self, partition: int, data: bytes) -> bytes:
        """Compress a batch; only the client's thread does, when it sends one."""
        before = self._compressed.get(partition, 0)
        sparing = self._dense_from is not None and self._compression == ZSTD and before >= self._dense_from
        packed = zstd(data, DENSE) if sparing else COMPRESSORS[self._compression](data)
        self._compressed[partition] = before + len(packed)
        return packed


class _Builder(DefaultRecordBatchBuilder):  # type: ignore[misc] # untyped client
    """The client's builder, which compresses our way: its gzip is slow, and for zstd it needs another library."""

    _buffer: bytearray
    compress: Callable[[bytes], bytes]

    def _maybe_compress(self) -> bool:
        if not self._compression_type:
            return False
        data = bytes(memoryview(self._buffer)[_HEADER:])
        packed = self.compress(data)
        if len(packed) >= len(data):
            return False
        self._buffer = self._buffer[:_HEADER] + packed
        return True


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
    count = _zigzag(len(shared) + len(names))
    return Envelope(_sized(key), count + headers, tuple(_sized(name.encode()) for name in names))


def _sized(data: bytes) -> bytes:
    return _zigzag(len(data)) + data


def _zigzag(number: int) -> bytes:
    """Write a number of at most 64 bits as Kafka's varint."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@cache
def _small() -> pa.Array:
    """The varints of the numbers that are written most."""
    return _spelled(np.arange(2**13))


def _varints(numbers: Int64) -> pa.Array:
    """Write numbers from 0 on, below 2^34, as Kafka's varints."""
    if int(numbers.max(initial=0)) < len(_small()):
        return _small().take(pa.array(numbers))
    return _spelled(numbers)


def _spelled(numbers: Int64) -> pa.Array:
    widths, places = _widths(numbers)[:, None], np.arange(len(_WIDER) + 1)
    groups = 2 * numbers[:, None] >> 7 * places & 0x7F | np.where(places < widths - 1, 0x80, 0)
    ends = pa.py_buffer(np.append(0, np.cumsum(widths)))
    written = pa.py_buffer(groups[places < widths].astype(np.uint8))
    return pa.Array.from_buffers(_BINARY, len(numbers), [None, ends, written])


def _widths(numbers: Int64) -> Int64:
    """Bytes that each takes as a varint."""
    widths: Int64 = np.searchsorted(_WIDER, numbers, "right") + 1
    return widths


def _sizes(values: pa.Array) -> Int64:
    sizes: Int64 = pc.binary_length(values).to_numpy()
    return sizes


def _joined(*parts: pa.Array | bytes) -> pa.Array:
    """Columns of bytes and bytes, joined."""
    return pc.binary_join_element_wise(
        *(pa.scalar(part, _BINARY) if isinstance(part, bytes) else part for part in parts), _NOTHING
    )


def _flat(values: pa.Array) -> memoryview:
    """The bytes of all values, one after the other."""
    _, offsets, data = values.buffers()
    first, last = np.frombuffer(offsets, np.int64)[[values.offset, values.offset + len(values)]].tolist()
    return memoryview(data)[first:last]
