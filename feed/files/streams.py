"""Files as streams of decompressed bytes: checked to be readable, and bounded in size."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from feed.console import MACHINE, quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.options import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from _typeshed import WriteableBuffer as Buffer

    from feed.tables import Arrow

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Compression by the ending of a file's name."""

_GZIP = 16 + zlib.MAX_WBITS
_PACKED = 2**15
HELD = 704 * 2**20
"""Bytes of memory that reading a file of up to `SMALL` may take; with them no command takes 1 GB."""

SMALL = 4 * 10**6
HELD_TIMES = 320
"""Memory that a larger file may take, in multiples of its size. Quotes of every second, of symbols that rarely change,
pack a row into 2 bytes and take 210 times their size; one row repeated over and over takes thousands."""

HELD_ROW = 384
"""Bytes of memory that a row takes, beside its text, in all that is made of it: tape, book, and columns in between."""

HELD_LEVEL = 128
"""The same for each level behind the first that is read."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on what a file may unpack to.

    Attributes
    ----------
    where : str
    nbytes : int
        Decompressed bytes.
    held : int, optional
        Decompressed bytes plus `HELD_ROW` for each row; None where the user set `max_bytes`.
    """

    where: str
    nbytes: int
    held: int | None

    def check(self, nbytes: int, rows: int, mapped: int = 0, orders: int = 0) -> None:
        """Refuse (FeedCorrupt) more than that; symbol mappings take another `mapped` bytes, resting orders `orders`."""
        if nbytes > self.nbytes:
            raise too_large(self.where, self.nbytes)
        if self.held is not None and nbytes + mapped + orders + HELD_ROW * rows > self.held:
            amount = f"{rows:,} rows" + (f", {nbytes:,} bytes" if nbytes else "")
            amount += f", {mapped:,} bytes of symbol mappings" if mapped else ""
            amount += f", {orders:,} bytes of orders" if orders else ""
            raise FeedCorrupt(
                f"it unpacks to more than a file of its size is trusted with ({amount} and more)",
                self.where,
                "if it is meant to, set feed.max_bytes, such as 17179869184: it is then the only bound",
            )


@dataclass(frozen=True, slots=True)
class Share:
    """A file's share of the bound of its source: a directory may take no more than a single file of the same size.

    Attributes
    ----------
    nbytes : int
        As `Bounds.held`.
    """

    nbytes: int


Limit = int | Share | None
"""Bound for a reader of files: decompressed bytes, then the only bound; a share; or None, the file's own size."""


def trusted(nbytes: int) -> int:
    """Bytes of memory that a source of `nbytes` bytes may take."""
    return HELD_TIMES * nbytes if nbytes > SMALL else HELD


def limits_of(sizes: Sequence[int], max_bytes: int | None) -> tuple[list[Limit], int]:
    """Share the bound of a source among its files: by their sizes, and the rest of `HELD` evenly.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of each file; at least one file.
    max_bytes : int, optional
        As `ReadOptions.of_file`: what each file may then unpack to.

    Returns
    -------
    limits : list
        One for each file.
    held : int
        Bytes of memory that the whole source may take.
    """
    total = trusted(sum(sizes))
    if max_bytes is not None:
        return [max_bytes] * len(sizes), max(total, max_bytes)
    times = HELD_TIMES if sum(sizes) > SMALL else HELD // SMALL
    extra = (total - times * sum(sizes)) // len(sizes)
    return [Share(times * size + extra) for size in sizes], total


def bounds_of(path: Path, limit: Limit) -> Bounds:
    """Bound what a file may unpack to: by a number alone, or by `MAX_BYTES` and its share or its size."""
    if isinstance(limit, int):
        return Bounds(str(path), limit, None)
    return Bounds(str(path), MAX_BYTES, limit.nbytes if limit else trusted(path.stat().st_size))


def limit_of_levels(path: Path, limit: Limit, depth: int) -> Limit:
    """Share less of the bound where rows of several levels are read, each of which takes more memory."""
    if depth == 1 or isinstance(limit, int):
        return limit
    held = bounds_of(path, limit).held or 0
    return Share(held * HELD_ROW // (HELD_ROW + HELD_LEVEL * (depth - 1)))


def check_there(path: Path) -> None:
    """Refuse (FeedUnavailable) what is no file, is empty, or lies in a folder that may not be looked into."""
    where = str(path)
    with unreadable_reported(where):
        if path.is_dir():
            raise FeedUnavailable("it is a directory", where, "name a file")
        if not path.exists():
            raise FeedUnavailable("no such file", where, "check the path")
        if not path.is_file():  # its size is needed, and errors read it a second time
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
    """Open a file for its decompressed bytes, bounded by `bounds_of`, and with `lines` by rows (FeedCorrupt)."""
    stream = open_packed(path, COMPRESSIONS.get(path.suffix.lower()))
    return io.BufferedReader(_Bounded(stream, bounds_of(path, max_bytes), lines=lines), 2**20)


def open_member(path: Path, member: zipfile.ZipInfo, max_bytes: Limit) -> io.BufferedReader:
    """Open a file in a ZIP archive for its bytes, bounded by the size of the archive and by rows (FeedCorrupt)."""
    return io.BufferedReader(_Bounded(_Member(path, member), bounds_of(path, max_bytes), lines=True), 2**20)


def open_packed(path: Path, codec: str | None) -> Arrow | io.RawIOBase:
    """Open a file for its decompressed bytes, unbounded; `codec` is a value of `COMPRESSIONS`, or None."""
    return _OPENERS[codec](path)


def too_large(where: str, max_bytes: int) -> FeedCorrupt:
    """Say that a file holds more than one may read."""
    return FeedCorrupt(f"more than {max_bytes} bytes when decompressed", where, "split the file by date")


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn errors of the system and the decompressor into one line of ours."""
    try:
        yield
    except PermissionError:
        raise FeedUnavailable("the file may not be read", str(path), "check its permissions") from None
    except (OSError, EOFError, UnicodeDecodeError) as damage:
        if isinstance(damage, OSError) and damage.errno in MACHINE:
            raise  # the file may be intact
        raise FeedCorrupt(f"the file is damaged: {quoted(str(damage))}", str(path), "copy or export it again") from None


class _Bounded(io.RawIOBase):
    """A stream that enforces bounds: a small compressed file can hold any amount."""

    def __init__(self, stream: Arrow | io.RawIOBase, bounds: Bounds, *, lines: bool) -> None:
        self._stream, self._bounds, self._bytes_read = stream, bounds, 0
        self._counts_lines, self._line_ends = lines, [0, 0]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count: int = self._stream.readinto(buffer)
        self._bytes_read += count
        if self._counts_lines and self._bounds.held is not None:
            data = np.frombuffer(memoryview(buffer)[:count], np.uint8)
            # bytes.count looks at one byte after the other
            self._line_ends = [
                before + int(np.count_nonzero(data == ord(end)))
                for before, end in zip(self._line_ends, "\n\r", strict=True)
            ]
        self._bounds.check(self._bytes_read, max(self._line_ends))
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Member(io.RawIOBase):
    """Content of a file in a ZIP archive, whose damage is an error of the system here as in other files."""

    def __init__(self, path: Path, member: zipfile.ZipInfo) -> None:
        self._archive = zipfile.ZipFile(path)
        try:
            self._stream = self._archive.open(member)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as damage:  # encrypted, or of another kind
            self._archive.close()
            raise OSError(str(damage)) from None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        try:
            plain = self._stream.read(len(room))
        except (zipfile.BadZipFile, zlib.error) as damage:
            raise OSError(str(damage)) from None
        room[: len(plain)] = plain
        return len(plain)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._archive.close()
        super().close()


class _Members(io.RawIOBase):
    """Content of a gzip file, member after member; NULs may follow a member, and nothing else."""

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
