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

TAQ = re.compile(
    r"(?:.*/)?(?:EQY|SPLITS)_US_ALL_BBO(?:_[A-Z])?_\d{8}(?:\.(?:csv|txt|psv))?(?:\.gz|\.zst)?", re.IGNORECASE
)
"""A day of NYSE's Daily TAQ quotes, whole or of the symbols of one letter."""

DATED = re.compile(r"(?<!\d)(?:\d{8}|\d{4}-\d{2}-\d{2})(?!\d)")
"""The date in a file's name."""

LEAN = re.compile(r"(?:.*/)?(?P<date>\d{8})_(?P<what>quote|trade)\.zip", re.IGNORECASE)
"""A day of one equity in QuantConnect's Lean."""

_TAQ, _WRDS = b"TIME|EXCHANGE|SYMBOL|BID_PRICE", (b"TIME_M", b"SYM_ROOT", b"BID", b"ASK")
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


def is_taq_name(name: str) -> bool:
    """Whether a file is called like a day of NYSE's Daily TAQ quotes."""
    return TAQ.fullmatch(name) is not None


def is_taq(path: Path) -> bool:
    """Whether a file is called so, or its header is that of NYSE's or of WRDS's TAQ quotes."""
    if is_taq_name(path.name):
        return True
    header = first_bytes(path).partition(b"\n")[0].upper().replace(b'"', b"")
    return header.startswith(_TAQ) or all(name in header.split(b",") for name in _WRDS)


def is_lean(name: str) -> bool:
    """Whether a file is called like a day of one equity in Lean."""
    return LEAN.fullmatch(name) is not None


def is_lean_listed(path: str) -> bool:
    """Whether a file of a directory is a day of quotes in Lean, or of trades tick by tick; bars hold no trades."""
    match = LEAN.fullmatch(path)
    return match is not None and (match["what"].lower() == "quote" or "tick" in path.lower().split("/")[:-1])
