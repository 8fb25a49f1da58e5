"""Atomic files, complete or absent: written beside their place, flushed to disk, renamed."""

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
"""The suffix of a file that is being written."""

_AT_A_TIME = 2**20


class NotRegular(OSError):  # noqa: N818 - reads as what it says
    """A folder, a pipe or a device where a regular file is expected."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield the path to write to; move the file to its place at the end, unless something goes wrong.

    Raises
    ------
    OSError
        The disk is full, or the folder is gone; the file that was there before stays.
    """
    part = path.with_name(path.name + PART)
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)  # the rename is part of the folder's content
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
    """Write a text file in UTF-8, atomically.

    Raises
    ------
    OSError
        As `atomic_write`.
    """
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def reason(error: OSError) -> str:
    """The system's message of an error, without what a library adds to it."""
    if isinstance(error, NotRegular):
        return "it is no regular file"
    return os.strerror(error.errno) if error.errno else str(error)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; does not block on a pipe or a device.

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
