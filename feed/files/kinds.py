"""What a file is, by its first bytes: a file of another kind than its name says is not called damaged."""

from __future__ import annotations

import codecs
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from feed.errors import FeedUnavailable
from feed.files.streams import COMPRESSIONS, damage_reported, open_packed

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 512
_UNPACK = "unpack it, and name what is in it"
_EXPORT = "export CSV, DBN or Parquet"
_UTF8 = "write it as UTF-8 (iconv -t UTF-8)"


class Kind(NamedTuple):
    """A kind of file: its name, the bytes that identify it and where they stand, and the remedy."""

    what: str
    magic: bytes
    at: int = 0
    remedy: str = ""


PACKED = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
"""First bytes of the compressions that are read."""

READ = {".parquet": Kind("Parquet", b"PAR1"), ".dbn": Kind("DBN", b"DBN")}
"""What is read, beside text, by its ending."""

KINDS = (
    Kind("an Excel workbook", b"[Content_Types].xml", 30, "save it as CSV"),
    Kind("a ZIP archive", b"PK\x03\x04", 0, _UNPACK),
    Kind("a ZIP archive without files", b"PK\x05\x06", 0, "export it again"),
    Kind("a 7z archive", b"7z\xbc\xaf\x27\x1c", 0, _UNPACK),
    Kind("a RAR archive", b"Rar!\x1a\x07", 0, _UNPACK),
    Kind("a tar archive", b"ustar", 257, _UNPACK),
    Kind("compressed by gzip", PACKED["gzip"], 0, "unpack it once"),
    Kind("compressed by zstd", PACKED["zstd"], 0, "unpack it once"),
    Kind("compressed by bzip2", b"1AY&SY", 4, "unpack it (bunzip2)"),
    Kind("compressed by xz", b"\xfd7zXZ\x00", 0, "unpack it (unxz)"),
    Kind("compressed by lz4", b"\x04\x22\x4d\x18", 0, "unpack it (unlz4)"),
    Kind("compressed by snappy", b"\xff\x06\x00\x00sNaPpY", 0, "unpack it"),
    Kind("a DBZ file, which DBN has replaced", b"DBZ", 8, "turn it into DBN (dbn --dbn), or download it again"),
    Kind("an Arrow IPC (Feather) file", b"ARROW1", 0, "write it as Parquet"),
    Kind("a Feather file", b"FEA1", 0, "write it as Parquet"),
    Kind("an encrypted Parquet file", b"PARE", 0, "write it without encryption"),
    Kind("an ORC file", b"ORC", 0, "write it as Parquet"),
    Kind("an Avro file", b"Obj\x01", 0, "write it as Parquet"),
    Kind("an HDF5 file", b"\x89HDF\r\n\x1a\n", 0, _EXPORT),
    Kind("a SQLite data base", b"SQLite format 3\x00", 0, _EXPORT),
    Kind("a NumPy array", b"\x93NUMPY", 0, _EXPORT),
    Kind("an old Excel workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "save it as CSV"),
    Kind("a PDF document", b"%PDF-", 0, _EXPORT),
    Kind("text in UTF-32", b"\xff\xfe\x00\x00", 0, _UTF8),
    Kind("text in UTF-32", b"\x00\x00\xfe\xff", 0, _UTF8),
    Kind("text in UTF-16", b"\xff\xfe", 0, _UTF8),
    Kind("text in UTF-16", b"\xfe\xff", 0, _UTF8),
)
"""What is not read; the first match counts."""

NAMES = {
    ".frag": ("a fragment of DBN, records without their metadata", "put its metadata before it"),
    ".dbz": ("a DBZ file, which DBN has replaced", "turn it into DBN (dbn --dbn), or download it again"),
}
"""What its first bytes do not identify, by the ending of its name."""


def check_kind(path: Path, ending: str) -> None:
    """Refuse a file of another kind than its name says, or of a kind that is not read.

    Parameters
    ----------
    path : Path
        An existing file.
    ending : str
        What it is taken for: .csv, .dbn or .parquet. Its name says how it is compressed.

    Raises
    ------
    FeedUnavailable
        Its first bytes show another kind; says which, and what to do about it.
    """
    where = str(path)
    codec = COMPRESSIONS.get(path.suffix.lower()) if ending != ".parquet" else None
    with damage_reported(path), path.open("rb") as file:
        head = file.read(_HEAD)
    packed = next((name for name, magic in PACKED.items() if head.startswith(magic)), None)
    if packed:
        head = _unpacked(path, packed)
    inside = f" inside {packed}" if packed else ""
    real = ".csv" if is_text(head) else next((name for name, each in READ.items() if head.startswith(each.magic)), None)
    if real is None:
        _refuse_unread(path, head, inside)
    if real is None and packed in {None, codec}:
        return  # damaged, cut short, or text in an old encoding: the reader says so
    if (real or ending, packed) != (ending, codec):
        real = real or ending
        name = real + {"gzip": ".gz", "zstd": ".zst", None: ""}[packed]
        readable = packed is None or real == ".csv" or (real, packed) == (".dbn", "zstd")
        raise FeedUnavailable(
            f"it is {_described(real, packed)}, not {_described(ending, codec)}",
            where,
            f"rename it to {name}" if readable else f"unpack it, and name it {real}",
        )


def ending_seen(path: Path) -> str:
    """The ending that a file's first bytes ask for: .csv, .dbn or .parquet, and how it is compressed."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    packed = next((name for name, magic in PACKED.items() if head.startswith(magic)), None)
    inside = _unpacked(path, packed) if packed else head
    real = next((name for name, each in READ.items() if inside.startswith(each.magic)), ".csv")
    return real + next((ending for ending, codec in COMPRESSIONS.items() if codec == packed), "")


def _refuse_unread(path: Path, head: bytes, inside: str) -> None:
    """Refuse what no reader reads, by its first bytes or its name."""
    where = str(path)
    if match := next((kind for kind in KINDS if head.startswith(kind.magic, kind.at)), None):
        raise FeedUnavailable(f"it is {match.what}{inside}", where, match.remedy)
    if _wide(head):
        raise FeedUnavailable(f"it is text in UTF-16{inside}", where, _UTF8)
    for ending, (what, remedy) in NAMES.items():
        if path.name.lower().removesuffix(".zst").endswith(ending):
            raise FeedUnavailable(f"it is {what}", where, remedy)


def is_text(head: bytes) -> bool:
    """Whether bytes begin like a CSV in UTF-8: printable, with a comma."""
    with suppress(UnicodeDecodeError):
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
        return "," in text and all(letter.isprintable() or letter in "\r\n\t" for letter in text)
    return False


def _described(ending: str, codec: str | None) -> str:
    what = READ[ending].what if ending in READ else "text"
    return f"{what} inside {codec}" if codec else what


def _wide(head: bytes) -> bool:
    """Whether bytes are letters of two bytes each, without a byte order mark."""
    first = head[:32]
    return len(first) == 32 and any(
        not first[zero::2].strip(b"\0") and 0 not in first[1 - zero :: 2] for zero in (0, 1)
    )


def _unpacked(path: Path, codec: str) -> bytes:
    """Decompress the first bytes; empty where they are damaged."""
    with suppress(OSError, EOFError, pa.ArrowException), open_packed(path, codec) as stream:
        return bytes(stream.read(_HEAD))
    return b""
