"""Kafka's record batches, format 2, unpacked as the client does it, but in a fraction of the time and with a bound.

kafka-python spends most of a read on turning batches into records: unused sizes, headers that are the same in every
message, one varint at a time. This module unpacks a batch in one pass and does not read headers again that begin as
those of the message before. It also bounds decompression, which the client does not, and knows all compressions, while
the client alone knows only gzip: a broker may recompress as its topic says, whatever it was sent.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError

from feed.codecs import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.codecs import Header

MAX_BATCH = 64 * 2**20
"""Decompressed bytes of one batch; our producer makes up to 8 MiB."""

_FORMAT = 2
_HEADER = 61
_OWN = 2
_LEAST = 14
"""Minimum bytes of a message of an older format after offset and size: a checksum, two bytes, two lengths."""
_CHUNK = 2**18
_XERIAL, _XERIAL_HEADER = b"\x82SNAPPY\x00", 16
"""Start of snappy in blocks, as Java writes it; others write one block without a frame."""


def unpack_lean(consumer: Any, *, aborted: bool = False) -> None:  # noqa: ANN401 - untyped client
    """Let a consumer unpack its fetches by this module: from now on it returns `feed.codecs.messages.Record`.

    Parameters
    ----------
    consumer : kafka.KafkaConsumer
    aborted : bool
        With committed reads, also return the records of aborted transactions, marked, so that they can be counted.
    """
    consumer._fetcher.PartitionRecords = _WithAborted if aborted else _LeanRecords  # noqa: SLF001 - no public way


class _LeanRecords(Fetcher.PartitionRecords):  # type: ignore[misc] # untyped client
    """Records of one partition in one fetch."""

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
            # The last record of a batch may be compacted away; the next batch begins after it all the same.
            self.next_fetch_offset = last.next_offset
        self.drain()

    def _is_aborted(self, batch: Any) -> bool:  # noqa: ANN401 - untyped client
        """Whether a batch belongs to an aborted transaction, by the list that comes with the fetch."""
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
    if batch.magic != _FORMAT:
        _decompress_older(batch)
        return (_record_of(each, partition) for each in batch)
    data = decompress(batch.compression_type, bytes(memoryview(batch._buffer)[_HEADER:]))  # noqa: SLF001 - no public way
    stamped = batch.timestamp_type == batch.LOG_APPEND_TIME
    first, step = (batch.max_timestamp, 0) if stamped else (batch.first_timestamp, 1)
    return unpack(partition, data, batch.records_count, batch.base_offset, first, step)


def _decompress_older(batch: Any) -> None:  # noqa: ANN401 - untyped client
    """Decompress a batch of an older format in place; the client then iterates over it."""
    if batch.compression_type and not batch._decompressed:  # noqa: SLF001 - there is no public way
        _, value = batch._read_key_value(batch.KEY_OFFSET_V1 if batch.magic else batch.KEY_OFFSET_V0)  # noqa: SLF001
        data = decompress(batch.compression_type, value or b"")
        at = 0
        while at < len(data):  # a negative size would make the client loop for ever
            size = int.from_bytes(data[at + 8 : at + 12], "big", signed=True)
            if size < _LEAST:
                raise CorruptRecordError(f"a message in a batch says that it is {size} bytes long")
            at += 12 + size
        batch._buffer = memoryview(data)  # noqa: SLF001
        batch._decompressed = True  # noqa: SLF001


def _record_of(item: Any, partition: int | None = None) -> Record:  # noqa: ANN401 - untyped client
    where = item.partition if partition is None else partition
    headers = tuple(item.headers or ())
    null = item.value is None
    return Record(where, item.offset, item.value or b"", item.timestamp, headers, (), item.key, tombstone=null)


def decompress(compression: int, data: bytes, limit: int = MAX_BATCH) -> bytes:
    """Decompress the part of a batch after its header.

    Parameters
    ----------
    compression : int
        As in the batch's attributes: a key of `COMPRESSIONS`, or 0 for none.
    data : bytes
    limit : int
        Maximum bytes of the result; about that much is allocated at most.

    Raises
    ------
    CorruptRecordError
        The compression is unknown, or the data is damaged, cut, or larger than the limit.
    """
    if not compression:
        return data
    if compression not in COMPRESSIONS:
        raise CorruptRecordError(f"its compression, {compression}, is none that this reader knows")
    try:
        return COMPRESSIONS[compression](data, limit)
    except (OSError, pa.ArrowException, zlib.error) as error:
        raise CorruptRecordError(f"a batch cannot be decompressed: {error}") from error


def _inflate(data: bytes, limit: int) -> bytes:
    """Decompress gzip, one member or several."""
    parts = []
    while data:
        member = zlib.decompressobj(31)
        parts.append(member.decompress(data, limit + 1))
        limit = _reduced(limit, len(parts[-1]))
        if not member.eof:
            raise CorruptRecordError("a compressed batch is cut")
        data = member.unused_data
    return b"".join(parts)


def _unsnap(data: bytes, limit: int) -> bytes:
    """Decompress snappy, in framed blocks or as one block; each block begins with its decompressed size."""
    if not data.startswith(_XERIAL):
        return _unsnap_block(data, limit)
    parts = []
    position = _XERIAL_HEADER  # its two version numbers are skipped: some write them the wrong way round
    while position < len(data):
        begin = position + 4
        position = begin + int.from_bytes(data[position:begin], "big")
        if position > len(data):
            raise CorruptRecordError("a compressed batch is cut")
        parts.append(_unsnap_block(data[begin:position], limit))
        limit -= len(parts[-1])
    return b"".join(parts)


def _unsnap_block(data: bytes, limit: int) -> bytes:
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    _reduced(limit, size)
    # Given a larger size than the block's own, pyarrow returns uninitialised memory.
    unpacked: bytes = pa.Codec("snappy").decompress(data, decompressed_size=size, asbytes=True)
    return unpacked


def _streamed(codec: str) -> Callable[[bytes, int], bytes]:
    """Make a function that decompresses frames of a codec of pyarrow's, one or several, part by part."""

    def decompress_frames(data: bytes, limit: int) -> bytes:
        parts = []
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            while part := stream.read(_CHUNK):
                parts.append(part)
                limit = _reduced(limit, len(part))
        return b"".join(parts)

    return decompress_frames


def _reduced(limit: int, size: int) -> int:
    if size > limit:
        raise CorruptRecordError("a batch decompresses to more than the bound")
    return limit - size


COMPRESSIONS: dict[int, Callable[[bytes, int], bytes]] = {
    1: _inflate,
    2: _unsnap,
    3: _streamed("lz4"),
    4: _streamed("zstd"),
}
"""Functions that decompress a batch, up to a limit in bytes, by the number in its attributes."""


def unpack(partition: int, data: bytes, count: int, base: int, first: int, step: int = 1) -> list[Record]:
    """Unpack the records of a batch.

    Parameters
    ----------
    partition : int
    data : bytes
        The part of the batch after its header, decompressed.
    count : int
        Records that the header promises.
    base : int
        Offset to which those of the records are relative.
    first : int
        Time to which those of the records are relative, milliseconds.
    step : int
        0 = all records have that time.

    Returns
    -------
    list of Record
        A null value is empty, and marked.

    Raises
    ------
    CorruptRecordError
        A wrong length, fewer or more bytes than the records take, or a header's name that is no text.
    """
    try:
        return _unpack(partition, data, count, base, first, step)
    except (IndexError, ValueError) as error:
        raise CorruptRecordError(f"a record is malformed: {error}") from error


def _unpack(partition: int, data: bytes, count: int, base: int, first: int, step: int) -> list[Record]:
    records = []
    position = 0
    prefix = b""  # the previous record's headers but the last two, with their number; `common` decoded
    common: tuple[Header, ...] = ()
    names: list[tuple[bytes, str]] = []  # the names of the last two, as bytes and decoded
    for _ in range(count):
        length, position = _varint(data, position)
        end = position + length
        if data[position] > 0x7F:  # Kafka defines none yet, and a longer varint would be misread
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
        if prefix and data.startswith(prefix, position):
            position += len(prefix)
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
            prefix = data[begin : starts[-_OWN]] if total >= _OWN else b""
            names = [
                (data[at : _after_name(data, at)], name) for at, (name, _) in zip(starts[-_OWN:], own, strict=True)
            ]
        if position != end:
            raise ValueError(f"it takes {position - end + length} bytes and says {length}")
        at, when = base + offset, first + step * time
        records.append(Record(partition, at, value, when, common, tuple(own), key, False, size < 0))  # noqa: FBT003 - fast
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
