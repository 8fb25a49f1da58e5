"""The folder of a run: its files, its lock, and its removal."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from sweep.errors import ConfigError
from sweep.runs.files import PART, reason
from sweep.runs.manifest import NAME as MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator


RUNS: Final = "runs"
DOCUMENT: Final = "result.json"
TABLE: Final = "results.parquet"
ORDERS: Final = "orders.parquet"
VENUES: Final = "venues.parquet"
COMBINATIONS: Final = "combinations.parquet"
VIEWS: Final = {"fills": "fills.parquet", "paths": "paths.parquet", "timeline": "timeline.parquet"}
"""What a report shows beside the results, by the names of `sweep.views.views_of`."""
PARTS: Final = "parts"
ASKED: Final = "asked.json"
"""Beside the parts of a round of a search: what it asked for."""
LOCK: Final = "lock"

_ATTEMPTS: Final = 5_000
"""To lock a folder: whoever watches a run shares its lock for a few microseconds; others run between two attempts."""


def unwritable(home: Path, error: OSError) -> NoReturn:
    """Raise a ConfigError: a run's folder cannot be written."""
    raise ConfigError(f"output: {home} cannot be written ({reason(error)}); make room there or choose another folder")


@contextmanager
def locked(home: Path, *, make: bool = False) -> Iterator[None]:
    """Lock a run's folder, which one process at a time may hold.

    Raises
    ------
    ConfigError
        It cannot be made or written, or another process holds it.
    """
    try:
        if make:
            home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        unwritable(home, error)
    try:
        if not any(_locks(descriptor, fcntl.LOCK_EX) or _yield() for _ in range(_ATTEMPTS)):
            raise ConfigError(f"{home}: another process is writing this run; wait for it to end")
        yield
    finally:
        os.close(descriptor)


def _yield() -> bool:
    os.sched_yield()
    return False


def _locks(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(home: Path) -> bool | None:
    """Whether a process holds a run's folder, as far as this machine can see; None where locks cannot be seen.

    It shares the lock for an instant, for which `locked` tries again.
    """
    try:
        descriptor = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        return not _locks(descriptor, fcntl.LOCK_SH)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def discard(home: Path) -> None:
    """Remove the files of a run, the manifest last, as it says whose they are; the log stays."""
    try:
        for name in (PARTS, TABLE, ORDERS, VENUES, COMBINATIONS, *VIEWS.values(), DOCUMENT, MANIFEST):
            remove(home / name)
    except OSError as error:
        unwritable(home, error)


def remove(path: Path) -> None:
    """Remove a file, or a folder with its content."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def tidy(home: Path) -> None:
    """Remove what a driver left behind that ended between its last two steps."""
    with suppress(OSError):
        for path in (home / PARTS, *home.glob(f"*{PART}")):
            remove(path)


def open_output(name: str) -> Path:
    """Make the folder of all runs, before anything runs.

    Raises
    ------
    ConfigError
        It cannot be made or written to.
    """
    folder = Path(name) / RUNS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output: {name} cannot be made ({reason(error)}); choose another folder") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"output: {name} cannot be written to; choose another folder")
    return folder
