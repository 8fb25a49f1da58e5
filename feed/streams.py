"""Files as streams of bytes: there, readable, decompressed, and never more of them than allowed."""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from feed.columns import quoted
from feed.errors import FeedCorrupt, FeedUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer as Buffer

    from feed.columns import Arrow

CODECS = {".gz": "gzip", ".zst": "zstd"}
"""Compression by the ending of a file's name."""

_GZIP = 16 + zlib.MAX_WBITS
_PACKED = 2**15


def check_there(path: Path) -> None:
    """Refuse (FeedUnavailable) what is no file, or an empty one, or is in a folder that may not be looked into."""
    where = str(path)
    with unreadable_told(where):
        if path.is_dir():
            raise FeedUnavailable("it is a directory", where, "name a file")
        if not path.exists():
            raise FeedUnavailable("no such file", where, "check the path")
        if not path.is_file():  # a plan asks for the size, and a line that is named is read a second time
            raise FeedUnavailable("it is not a regular file", where, "write it to a file first")
        if path.stat().st_size == 0:
            raise FeedUnavailable("the file is empty", where, "export it again")


@contextmanager
def unreadable_told(place: str) -> Iterator[None]:
    """Say in one line why a place cannot be looked at, before any file there is opened."""
    try:
        yield
    except PermissionError as error:
        remedy = "check its permissions, and those of its folders"
        raise FeedUnavailable("it may not be read", str(error.filename or place), remedy) from None
    except OSError as error:
        raise FeedUnavailable(f"it cannot be read: {error.strerror or error}", place[:200], "check the path") from None


def open_bytes(path: Path, max_bytes: int) -> io.BufferedReader:
    """Open a file for its decompressed bytes, of which at most `max_bytes` are given (FeedCorrupt)."""
    stream = open_packed(path, CODECS.get(path.suffix.lower()))
    return io.BufferedReader(_Bounded(stream, str(path), max_bytes), 2**20)


def open_packed(path: Path, codec: str | None) -> Arrow | io.RawIOBase:
    """Open a file for its decompressed bytes, however many; `codec` is of `CODECS`, or None."""
    return _OPENERS[codec](path)


def too_large(where: str, max_bytes: int) -> FeedCorrupt:
    """Say that a file holds more than may be read."""
    return FeedCorrupt(f"more than {max_bytes} bytes when decompressed", where, "split the file by date")


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what the system and the decompressor say into one line of ours."""
    try:
        yield
    except PermissionError:
        raise FeedUnavailable("the file may not be read", str(path), "check its permissions") from None
    except (OSError, EOFError, UnicodeDecodeError) as damage:
        raise FeedCorrupt(f"the file is damaged: {quoted(str(damage))}", str(path), "copy or export it again") from None


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than it may: a small compressed file can hold any amount."""

    def __init__(self, stream: Arrow | io.RawIOBase, where: str, max_bytes: int) -> None:
        self._stream, self._where, self._max, self._left = stream, where, max_bytes, max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count: int = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise too_large(self._where, self._max)
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Members(io.RawIOBase):
    """What the members of a gzip file hold, one after the other; NULs may pad the file, nothing else may follow."""

    def __init__(self, path: Path) -> None:
        self._file, self._packed, self._members = path.open("rb"), b"", 0
        self._member: zlib._Decompress | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        while packed := self._packed or self._file.read(_PACKED):
            if self._member is None:
                if self._members and packed[0] == 0:
                    return self._pass_padding(packed)
                self._member, self._members = zlib.decompressobj(_GZIP), self._members + 1
            try:
                plain = self._member.decompress(packed, len(room))
            except zlib.error as damage:
                raise OSError(str(damage)) from None
            self._packed = self._member.unconsumed_tail
            if self._member.eof:
                self._packed, self._member = self._member.unused_data, None
            if plain:
                room[: len(plain)] = plain
                return len(plain)
        if self._member is not None:
            raise EOFError("it ends in the middle of what is compressed")
        return 0

    def _pass_padding(self, packed: bytes) -> int:
        self._packed = b""
        while packed:
            if packed.strip(b"\0"):
                raise OSError("bytes follow the NULs behind what is compressed")
            packed = self._file.read(_PACKED)
        return 0

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


_OPENERS: dict[str | None, Callable[[Path], Arrow | io.RawIOBase]] = {
    None: lambda path: pa.OSFile(str(path)),
    "gzip": _Members,  # pyarrow takes padding for damage
    "zstd": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
}
