"""Standard input as a file: copied once, to a temporary file whose name says what its first bytes are."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from feed.errors import FeedUnavailable
from feed.files.kinds import ending_seen

STDIN = "-"
"""The SOURCE that means standard input."""

_CHUNK = 2**20
_FOLDERS: list[TemporaryDirectory[str]] = []
"""Kept until the process ends, which removes them."""


@cache
def spooled(max_bytes: int) -> Path:
    """Copy standard input to a file, which is removed when the process ends; the same one at every call.

    Parameters
    ----------
    max_bytes : int
        That are taken.

    Raises
    ------
    FeedUnavailable
        It is a terminal, holds nothing, or more than that.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise FeedUnavailable("standard input is a terminal", STDIN, "pipe quotes into it, or name a file")
    folder = TemporaryDirectory(prefix="sor-sweep-")
    _FOLDERS.append(folder)
    path, copied = Path(folder.name, "stdin"), 0
    with path.open("wb") as file:
        while chunk := sys.stdin.buffer.read(_CHUNK):
            copied += file.write(chunk)
            if copied > max_bytes:
                raise FeedUnavailable(
                    f"standard input holds more than {max_bytes:,} bytes", STDIN, "set feed.max_bytes"
                )
    if not copied:
        raise FeedUnavailable("standard input holds nothing", STDIN, "pipe quotes into it")
    return path.rename(path.with_suffix(ending_seen(path)))
