"""Vendors' layouts by the names and first bytes of their files; light, as every file that is read is looked at."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from feed.files.streams import COMPRESSIONS, open_packed

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (".csv", ".csv.gz", ".csv.zst")
TARDIS = b"exchange,symbol,timestamp,local_timestamp,"
"""What the header of each of tardis.dev's tables begins with."""

_HEAD = 512

LOBSTER = re.compile(
    r"(?P<symbol>.+)_(?P<date>\d{4}-\d{2}-\d{2})_(?P<span>\d+_\d+)_(?P<kind>message|orderbook)_(?P<levels>\d{1,4})"
    r"(?P<ending>\.csv(?:\.gz|\.zst)?)"
)
"""One of a pair of LOBSTER's."""


def is_lobster(name: str) -> bool:
    """Whether a file is called like one of a pair."""
    return LOBSTER.fullmatch(name) is not None


def other_of_pair(match: re.Match[str]) -> str:
    """The name of the other file of a pair."""
    start, end = match.span("kind")
    other = "orderbook" if match["kind"] == "message" else "message"
    return f"{match.string[:start]}{other}{match.string[end:]}"


def book_of_messages(name: str) -> str | None:
    """The order book that a file of messages is read with; None of any other file."""
    match = LOBSTER.fullmatch(name)
    return other_of_pair(match) if match is not None and match["kind"] == "message" else None


def first_bytes(path: Path) -> bytes:
    """The first decompressed bytes of a file; empty where they cannot be read."""
    with suppress(OSError, EOFError, ValueError), open_packed(path, COMPRESSIONS.get(path.suffix.lower())) as stream:
        return bytes(stream.read(_HEAD))
    return b""


def is_tardis(path: Path) -> bool:
    """Whether a file's header is one of tardis.dev's tables."""
    return path.name.lower().endswith(TEXT) and first_bytes(path).removeprefix(b"\xef\xbb\xbf").startswith(TARDIS)
