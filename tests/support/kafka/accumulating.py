"""A producer whose batches are the client's own, in its own accumulator, but which sends them nowhere."""

from types import SimpleNamespace
from typing import NamedTuple

from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.memory_records import MemoryRecords

from feed.kafka.client import TopicPartition, errors
from feed.kafka.record_batch import decompress


def plain(raw):
    """A batch, decompressed: its size and compression changed accordingly, its checksum left as it was."""
    compression, records = raw[22] & 7, raw[61:]
    records = decompress(compression, records)
    size = (49 + len(records)).to_bytes(4, "big")
    return raw[:8] + size + raw[12:22] + bytes([raw[22] & ~7]) + raw[23:61] + records


class Batch(NamedTuple):
    """A batch as it would have been sent."""

    partition: int
    raw: bytes
    messages: int

    def records(self):
        """The client's own reading of it, but for zstd, which it cannot unpack."""
        return [record for batch in MemoryRecords(plain(self.raw)) for record in batch]


class AccumulatingProducer:
    """Stands for kafka-python's: acknowledges what it is given when it is flushed, or fails where told.

    The offsets of each partition begin at `first`; `fail_at` is the number of a batch.
    """

    def __init__(self, *, first=70, fail_at=None, batch_size=2**19):
        self.config = {"batch_size": batch_size}
        self._accumulator = RecordAccumulator(batch_size=batch_size)
        self._sender = SimpleNamespace(wakeup=lambda: None)
        self.batches, self.next, self.first, self.fail_at = [], {}, first, fail_at

    @property
    def sent(self):
        """(partition, value, headers, key) of each message."""
        return [
            (batch.partition, record.value, dict(record.headers), record.key)
            for batch in self.batches
            for record in batch.records()
        ]

    def partitions_for(self, _topic):
        return {0}

    def send(self, _topic, *, value, headers, partition, key=None):
        return self._accumulator.append(TopicPartition("q", partition), None, key, value, headers)[0]

    def flush(self, timeout=30.0):
        assert timeout > 0
        for place, waiting in self._accumulator._batches.items():
            while waiting:
                self._acknowledge(place.partition, waiting.popleft())

    def _acknowledge(self, partition, batch):
        batch.records.close()
        messages = batch.records.next_offset()
        offset = self.next.setdefault(partition, self.first)
        self.next[partition] += messages
        if self.fail_at == len(self.batches):
            failure = errors.KafkaTimeoutError("batch expired")
            batch.complete_exceptionally(failure, lambda _index: failure)
        else:
            batch.complete(offset, -1)
        self.batches.append(Batch(partition, bytes(batch.records.buffer()), messages))
