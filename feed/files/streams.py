"""Files as streams of bytes: there, readable, decompressed, and never more of them than allowed."""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from feed.console import MACHINE, quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.options import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from _typeshed import WriteableBuffer as Buffer

    from feed.files.csv_columns import Arrow

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Compression by the ending of a file's name."""

_GZIP = 16 + zlib.MAX_WBITS
_PACKED = 2**15
HELD = 704 * 2**20
"""Bytes that a file of up to `SMALL` may take in memory while it is read, with which no command takes 1 GB."""

SMALL = 4 * 10**6
HELD_TIMES = 320
"""Of its own bytes, what a larger file may take. Quotes of every second, of names that rarely change, pack a row into 2
bytes and take 210 times; a file of one row over and over takes thousands."""

HELD_ROW = 384
"""What a row takes, beside its text, in whatever is made of it: tape, book, and columns while they are put together."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may unpack to.

    Attributes
    ----------
    where : str
    nbytes : int
        Decompressed bytes.
    held : int, optional
        The same and `HELD_ROW` for each row; None where somebody set how many bytes there may be.
    """

    where: str
    nbytes: int
    held: int | None

    def check(self, nbytes: int, rows: int, mapped: int = 0) -> None:
        """Refuse (FeedCorrupt) more than that, symbol mappings included, which take `mapped` bytes."""
        if nbytes > self.nbytes:
            raise too_large(self.where, self.nbytes)
        if self.held is not None and nbytes + mapped + HELD_ROW * rows > self.held:
            amount = f"{rows:,} rows" + (f", {nbytes:,} bytes" if nbytes else "")
            amount += f", {mapped:,} bytes of symbol mappings" if mapped else ""
            raise FeedCorrupt(
                f"it unpacks to more than a file of its size is trusted with ({amount} and more)",
                self.where,
                "if it is meant to, set feed.max_bytes, such as 17179869184: it is then the only bound",
            )


@dataclass(frozen=True, slots=True)
class Share:
    """What a file may take of what its source may: those of a directory take no more together than one of their size.

    Attributes
    ----------
    nbytes : int
        As `Bounds.held`.
    """

    nbytes: int


Limit = int | Share | None
"""What a reader of files is told: decompressed bytes, which are then the only bound; a share; or nothing."""


def trusted(nbytes: int) -> int:
    """Bytes of memory that a source of so many bytes may take."""
    return HELD_TIMES * nbytes if nbytes > SMALL else HELD


def limits_of(sizes: Sequence[int], max_bytes: int | None) -> tuple[list[Limit], int]:
    """Share out what the files of a source may take: by their bytes, and evenly what is left of `HELD`.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of the files, one at least.
    max_bytes : int, optional
        As `ReadOptions.of_file`: then each file may unpack to so many.

    Returns
    -------
    limits : list
        One for each file.
    held : int
        Bytes that all that is made of the source may take.
    """
    total = trusted(sum(sizes))
    if max_bytes is not None:
        return [max_bytes] * len(sizes), max(total, max_bytes)
    times = HELD_TIMES if sum(sizes) > SMALL else HELD // SMALL
    extra = (total - times * sum(sizes)) // len(sizes)
    return [Share(times * size + extra) for size in sizes], total


def bounds_of(path: Path, limit: Limit) -> Bounds:
    """Bound what a file may unpack to: by a number alone, or by `MAX_BYTES` and its share, or its own size."""
    if isinstance(limit, int):
        return Bounds(str(path), limit, None)
    return Bounds(str(path), MAX_BYTES, limit.nbytes if limit else trusted(path.stat().st_size))


def check_there(path: Path) -> None:
    """Refuse (FeedUnavailable) what is no file, or an empty one, or is in a folder that may not be looked into."""
    where = str(path)
    with unreadable_reported(where):
        if path.is_dir():
            raise FeedUnavailable("it is a directory", where, "name a file")
        if not path.exists():
            raise FeedUnavailable("no such file", where, "check the path")
        if not path.is_file():  # a plan asks for the size, and a line that is named is read a second time
            raise FeedUnavailable("it is not a regular file", where, "write it to a file first")
        if path.stat().st_size == 0:
            raise FeedUnavailable("the file is empty", where, "export it again")


@contextmanager
def unreadable_reported(place: str) -> Iterator[None]:
    """Say in one line why a place cannot be looked at, before any file there is opened."""
    try:
        yield
    except PermissionError as error:
        remedy = "check its permissions, and those of its folders"
        raise FeedUnavailable("it may not be read", str(error.filename or place), remedy) from None
    except OSError as error:
        raise FeedUnavailable(f"it cannot be read: {error.strerror or error}", place[:200], "check the path") from None


def open_bytes(path: Path, max_bytes: Limit, *, lines: bool = True) -> io.BufferedReader:
    """Open a file for its decompressed bytes, no more of them, or of `lines`, than `bounds_of` says (FeedCorrupt)."""
    stream = open_packed(path, COMPRESSIONS.get(path.suffix.lower()))
    return io.BufferedReader(_Bounded(stream, bounds_of(path, max_bytes), lines=lines), 2**20)


def open_packed(path: Path, codec: str | None) -> Arrow | io.RawIOBase:
    """Open a file for its decompressed bytes, however many; `codec` is of `CODECS`, or None."""
    return _OPENERS[codec](path)


def too_large(where: str, max_bytes: int) -> FeedCorrupt:
    """Say that a file holds more than may be read."""
    return FeedCorrupt(f"more than {max_bytes} bytes when decompressed", where, "split the file by date")


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn what the system and the decompressor say into one line of ours."""
    try:
        yield
    except PermissionError:
        raise FeedUnavailable("the file may not be read", str(path), "check its permissions") from None
    except (OSError, EOFError, UnicodeDecodeError) as damage:
        if isinstance(damage, OSError) and damage.errno in MACHINE:
            raise  # the file may be whole
        raise FeedCorrupt(f"the file is damaged: {quoted(str(damage))}", str(path), "copy or export it again") from None


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than it may: a small compressed file can hold any amount."""

    def __init__(self, stream: Arrow | io.RawIOBase, bounds: Bounds, *, lines: bool) -> None:
        self._stream, self._bounds, self._bytes_read = stream, bounds, 0
        self._counts_lines, self._line_ends = lines, [0, 0]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count: int = self._stream.readinto(buffer)
        self._bytes_read += count
        if self._counts_lines and self._bounds.held is not None:
            data = bytes(memoryview(buffer)[:count])
            self._line_ends = [
                before + data.count(end) for before, end in zip(self._line_ends, (b"\n", b"\r"), strict=True)
            ]
        self._bounds.check(self._bytes_read, max(self._line_ends))
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Members(io.RawIOBase):
    """What the members of a gzip file hold, one after the other; NULs may pad each, nothing else may follow."""

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
                    self._packed = packed.lstrip(b"\0")
                    continue
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

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


_OPENERS: dict[str | None, Callable[[Path], Arrow | io.RawIOBase]] = {
    None: lambda path: pa.OSFile(str(path)),
    "gzip": _Members,  # pyarrow takes padding for damage
    "zstd": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
}
