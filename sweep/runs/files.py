"""Files that are whole or not there: written beside their place, forced to the disk, renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

PART = ".part"
"""Ends the name of a file that is being written."""

_AT_A_TIME = 2**20


class NotRegular(OSError):  # noqa: N818 - reads as what it says
    """A file that holds nothing of its own."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give the name to write to; put the file in its place at the end, unless something went wrong.

    Raises
    ------
    OSError
        The disk is full, or the folder went away; what was there before stands.
    """
    part = path.with_name(path.name + PART)
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)  # a rename is the folder's content
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8; it is whole or not there.

    Raises
    ------
    OSError
        As `atomic_write`.
    """
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def reason(error: OSError) -> str:
    """What the system says is wrong, without what a library puts around it."""
    if isinstance(error, NotRegular):
        return "it is no regular file"
    return os.strerror(error.errno) if error.errno else str(error)


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read it; of a pipe or a device nobody waits for a writer.

    Raises
    ------
    OSError
        It cannot be read; `NotRegular`: it is a folder, a pipe, a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise NotRegular(errno.EINVAL, "no regular file", str(path))


def sha256(path: Path) -> str:
    """The digest of a file, 64 hexadecimal digits."""
    content = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_AT_A_TIME):
            content.update(block)
    return content.hexdigest()
