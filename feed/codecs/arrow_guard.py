"""What an Arrow record batch declares of itself, read before anything is allocated for it.

A compressed buffer begins with its decompressed length, and pyarrow allocates that much without a limit: a few bytes
can ask for any amount of memory. pyarrow does not show these lengths, so this module reads them by the message's
metadata, a flatbuffer (Arrow's ``Message.fbs``) that pyarrow has already verified.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

UNCOMPRESSED = -1
ZSTD = 1

_RECORD_BATCH = 3
_KIND, _HEADER = 1, 2
_LENGTH, _NODES, _BUFFERS, _COMPRESSION = 0, 1, 2, 3
_PAIR = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape that a record batch declares.

    Attributes
    ----------
    rows : int
    nodes : tuple of (int, int)
        Length and null count of each array.
    sizes : tuple of int
        Decompressed bytes of each buffer.
    codec : int
        `UNCOMPRESSED`, `ZSTD`, or another number of Arrow's ``CompressionType``.
    """

    rows: int
    nodes: tuple[tuple[int, int], ...]
    sizes: tuple[int, ...]
    codec: int


def layout_of(metadata: bytes, body: memoryview) -> Layout:
    """Read what a record batch declares.

    Parameters
    ----------
    metadata : bytes
        The message's flatbuffer.
    body : memoryview
        The message's body.

    Raises
    ------
    ValueError
        It is no record batch, or it points outside the metadata or the body.
    """
    try:
        return _layout(metadata, body)
    except (struct.error, IndexError) as error:
        raise ValueError("the metadata points outside of itself") from error


def _layout(metadata: bytes, body: memoryview) -> Layout:
    message = _Table(metadata, _unsigned(metadata, 0))
    kind = message.slot(_KIND)
    header = message.slot(_HEADER)
    if not kind or metadata[kind] != _RECORD_BATCH or not header:
        raise ValueError("expected a record batch")
    batch = _Table(metadata, header + _unsigned(metadata, header))
    length = batch.slot(_LENGTH)
    codec = UNCOMPRESSED
    compression = batch.slot(_COMPRESSION)
    if compression:
        number = _Table(metadata, compression + _unsigned(metadata, compression)).slot(0)
        codec = metadata[number] if number else 0  # the format leaves out a value that equals its default, 0
    return Layout(
        rows=struct.unpack_from("<q", metadata, length)[0] if length else 0,
        nodes=_pairs(metadata, batch.slot(_NODES)),
        sizes=tuple(
            _decompressed(body, offset, size, codec) for offset, size in _pairs(metadata, batch.slot(_BUFFERS))
        ),
        codec=codec,
    )


def _decompressed(body: memoryview, offset: int, size: int, codec: int) -> int:
    """Decompressed bytes of a buffer, from its first eight bytes; there -1 = not compressed."""
    if offset < 0 or size < 0 or offset + size > len(body):
        raise ValueError("a buffer lies outside the message")
    if codec == UNCOMPRESSED or size == 0:
        return size
    if size < 8:
        raise ValueError("a compressed buffer is shorter than its length's eight bytes")
    declared: int = struct.unpack_from("<q", body, offset)[0]
    return size - 8 if declared == -1 else declared


class _Table:
    """A table of a flatbuffer: positions of its fields."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    def slot(self, number: int) -> int:
        """Position of a field; 0 where it is left out."""
        entry = 4 + 2 * number
        if entry + 2 > self._size:
            return 0
        offset: int = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._at + offset if offset else 0


def _unsigned(data: bytes, at: int) -> int:
    number: int = struct.unpack_from("<I", data, at)[0]
    return number


def _pairs(data: bytes, field: int) -> tuple[tuple[int, int], ...]:
    """Read a vector of structs of two int64."""
    if not field:
        return ()
    at = field + _unsigned(data, field)
    numbers = struct.unpack_from(f"<{2 * _unsigned(data, at)}q", data, at + 4)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
