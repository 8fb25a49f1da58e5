"""Kafka's record batches, format 2, unpacked: what the client does itself, for a fraction of its time and bounded.

kafka-python spends most of a read on turning batches into records: sizes that nobody asks for, headers that are the
same in every message, a varint at a time. Here a batch is unpacked in one pass; headers that begin as those of the
message before are not read again. And a batch is never decompressed beyond a bound, where the client has none.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError

from feed.messages import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from feed.messages import Header

MAX_BATCH = 64 * 2**20
"""Bytes of one batch once decompressed; a producer of ours makes one of 8 MiB at most."""

_FORMAT = 2
_NONE, _GZIP = 0, 1
_HEADER = 61
_OWN = 2


def unpack_lean(consumer: Any, *, aborted: bool = False) -> None:  # noqa: ANN401 - untyped client
    """Let a consumer unpack what it fetches by this module: it hands out `feed.messages.Record` from now on.

    Parameters
    ----------
    consumer : kafka.KafkaConsumer
    aborted : bool
        One of committed records hands out those of aborted transactions too, marked, so that they can be counted.
    """
    consumer._fetcher.PartitionRecords = _WithAborted if aborted else _LeanRecords  # noqa: SLF001 - no public way


class _LeanRecords(Fetcher.PartitionRecords):  # type: ignore[misc] # untyped client
    """What one fetch brought of one partition."""

    aborted_too = False

    def _unpack_records(
        self,
        tp: Any,  # noqa: ANN401
        records: Any,  # noqa: ANN401
        key_deserializer: Any,  # noqa: ANN401, ARG002 - the client gives it
        value_deserializer: Any,  # noqa: ANN401, ARG002 - the same
    ) -> Iterator[Record]:
        committed = self.isolation_level == IsolationLevel.READ_COMMITTED
        last = None
        while (batch := records.next_batch()) is not None:
            last, aborted = batch, False
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"the checksum of the batch at offset {batch.base_offset} differs")
            if batch.magic == _FORMAT:
                self.leader_epoch = batch.leader_epoch
                aborted = committed and self._is_aborted(batch)
                if batch.is_control_batch:
                    self.next_fetch_offset = batch.next_offset
                    continue
                if aborted and not self.aborted_too:
                    self.next_fetch_offset = batch.next_offset
                    continue
            self.bytes_read += batch.size_in_bytes
            for record in _records_of(tp.partition, batch):
                self.records_read += 1
                self.next_fetch_offset = record.offset + 1
                yield record._replace(aborted=True) if aborted else record
        if last is not None and last.magic == _FORMAT:
            # The last record of a batch may have been compacted away; what follows begins after it all the same.
            self.next_fetch_offset = last.next_offset
        self.drain()

    def _is_aborted(self, batch: Any) -> bool:  # noqa: ANN401 - untyped client
        """Whether a batch is of a transaction that was aborted, by the list that came with the fetch."""
        if not batch.has_producer_id():
            return False
        self._consume_aborted_transactions_up_to(batch.last_offset)
        if self._contains_abort_marker(batch):
            self.aborted_producer_ids.discard(batch.producer_id)
        return bool(self._is_batch_aborted(batch))


class _WithAborted(_LeanRecords):
    """The same, with the records of aborted transactions, marked."""

    aborted_too = True


def _records_of(partition: int, batch: Any) -> Iterable[Record]:  # noqa: ANN401 - untyped client
    if batch.magic != _FORMAT or batch.compression_type not in {_NONE, _GZIP}:
        return (_record_of(each, partition) for each in batch)
    data = bytes(memoryview(batch._buffer)[_HEADER:])  # noqa: SLF001 - there is no public way
    if batch.compression_type == _GZIP:
        data = inflate(data)
    stamped = batch.timestamp_type == batch.LOG_APPEND_TIME
    first, step = (batch.max_timestamp, 0) if stamped else (batch.first_timestamp, 1)
    return unpack(partition, data, batch.records_count, batch.base_offset, first, step)


def _record_of(item: Any, partition: int | None = None) -> Record:  # noqa: ANN401 - untyped client
    where = item.partition if partition is None else partition
    return Record(where, item.offset, item.value or b"", item.timestamp, tuple(item.headers or ()), (), item.key)


def inflate(data: bytes, limit: int = MAX_BATCH) -> bytes:
    """Decompress gzip, one member or several.

    Parameters
    ----------
    data : bytes
    limit : int
        Bytes that it may become.

    Raises
    ------
    CorruptRecordError
        It is no gzip, cut, or becomes more than that.
    """
    parts = []
    while data:
        member = zlib.decompressobj(31)
        try:
            parts.append(member.decompress(data, limit + 1))
        except zlib.error as error:
            raise CorruptRecordError(f"a batch cannot be decompressed: {error}") from error
        limit -= len(parts[-1])
        if limit < 0:
            raise CorruptRecordError("a batch decompresses to more than the bound")
        if not member.eof:
            raise CorruptRecordError("a compressed batch is cut")
        data = member.unused_data
    return b"".join(parts)


def unpack(partition: int, data: bytes, count: int, base: int, first: int, step: int = 1) -> list[Record]:
    """Unpack the records of a batch.

    Parameters
    ----------
    partition : int
    data : bytes
        What follows the batch's header, decompressed.
    count : int
        Records that the header promises.
    base : int
        Offset from which the records' count.
    first : int
        Time from which the records' count, milliseconds.
    step : int
        0 = all have that time.

    Returns
    -------
    list of Record
        A value that is null is empty.

    Raises
    ------
    CorruptRecordError
        A length that is not kept, fewer or more bytes than the records take, a header's name that is no text.
    """
    try:
        return _unpack(partition, data, count, base, first, step)
    except (IndexError, ValueError) as error:
        raise CorruptRecordError(f"a record is malformed: {error}") from error


def _unpack(partition: int, data: bytes, count: int, base: int, first: int, step: int) -> list[Record]:
    records = []
    position = 0
    begins = b""  # the headers of the record before, but the last two: as bytes, with how many there are, and read
    common: tuple[Header, ...] = ()
    names: list[tuple[bytes, str]] = []  # of the last two, the names likewise
    for _ in range(count):
        length, position = _varint(data, position)
        end = position + length
        if data[position] > 0x7F:  # Kafka has none yet, and the client would take the next bytes for more of them
            raise ValueError(f"attributes {data[position]:#x}")
        time, position = _varint(data, position + 1)
        offset, position = _varint(data, position)
        key, position = _nullable(data, position)
        size, position = _varint(data, position)
        value = b""
        if size > 0:
            value = data[position : position + size]
            position += size
        own: list[Header] = []
        if begins and data.startswith(begins, position):
            position += len(begins)
            for start, name in names:
                if data.startswith(start, position):
                    position += len(start)
                    text, position = _nullable(data, position)
                    own.append((name, text))
                else:
                    header, position = _header(data, position)
                    own.append(header)
        else:
            begin = position
            total, position = _varint(data, position)
            if total < 0:
                raise ValueError("fewer headers than none")
            starts = []
            for _ in range(total):
                starts.append(position)
                header, position = _header(data, position)
                own.append(header)
            common, own = tuple(own[:-_OWN]), own[-_OWN:]
            begins = data[begin : starts[-_OWN]] if total >= _OWN else b""
            names = [
                (data[at : _after_name(data, at)], name) for at, (name, _) in zip(starts[-_OWN:], own, strict=True)
            ]
        if position != end:
            raise ValueError(f"it takes {position - end + length} bytes and says {length}")
        records.append(Record(partition, base + offset, value, first + step * time, common, tuple(own), key))
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes follow the last one")
    return records


def _header(data: bytes, position: int) -> tuple[Header, int]:
    after = _after_name(data, position)
    name = data[_varint(data, position)[1] : after].decode()
    text, position = _nullable(data, after)
    return (name, text), position


def _after_name(data: bytes, position: int) -> int:
    size, position = _varint(data, position)
    if size < 0:
        raise ValueError("a header has no name")
    return position + size


def _nullable(data: bytes, position: int) -> tuple[bytes | None, int]:
    size = data[position]
    if size & 0x81:
        size, position = _varint(data, position)
        if size < 0:
            return None, position
    else:
        size, position = size >> 1, position + 1
    return data[position : position + size], position + size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a zigzag varint of at most 64 bits; the number and the position after it."""
    byte = data[position]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position + 1
    number, shift = byte & 0x7F, 7
    while byte & 0x80:
        if shift > 63:
            raise ValueError("a number is beyond 64 bits")
        position += 1
        byte = data[position]
        number |= (byte & 0x7F) << shift
        shift += 7
    return (number >> 1) ^ -(number & 1), position + 1
