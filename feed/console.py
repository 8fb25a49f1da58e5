"""What both command lines share: text that a terminal cannot obey, and what is said of a long wait."""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


TELL_SECONDS = 5.0
"""After which it is said what is awaited."""

AGAIN_TOLD_SECONDS = 30.0
"""After which it is said again."""

_LISTED = 10

_KEY_SHOWN = 80

_RESEMBLING = 0.75

SENSITIVE = "passw|passphrase|pwd|secret|token|jaas"
"""A regular expression of what somebody calls a secret, whatever its case."""

_BEFORE_AT = re.compile(r"//.*@")
_OPTION = re.compile(r"([?&](?!api_version=)[^=&\s]*=)[^&\s]*")
_FRAGMENT = re.compile(r"(://[^#]*#).+")
_NAMED = re.compile(rf"([\w.-]*(?:{SENSITIVE})[\w.-]*[=:\s]+)\S+", re.IGNORECASE)
OUTSIDE: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("no room is left on the disk", "free some, or choose another place (TMPDIR for temporary files)"),
    errno.EDQUOT: ("the quota of the disk is used up", "free some, or choose another place"),
    errno.EFBIG: ("a file would be larger than the limit of files", "raise it (ulimit -f)"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs"),
    errno.ENOMEM: ("no memory is left", "give more, or read less: a window, one symbol"),
    errno.EAGAIN: ("no more threads or processes may be started", "raise the limit (ulimit -u), or end others"),
    errno.EROFS: ("the place may only be read", "choose another"),
    errno.EACCES: ("it may not be opened", "check its permissions"),
}
"""What the machine refuses, by the system's number: what is said, and what to do about it."""

MACHINE = frozenset(OUTSIDE) - {errno.EROFS, errno.EACCES}
"""Those of them that are no property of a file."""

BUGS = frozenset(
    {
        errno.EBADF,
        errno.EINVAL,
        errno.EFAULT,
        errno.ESPIPE,
        errno.ENOTSOCK,
        errno.ENOTTY,
        errno.ECHILD,
        errno.EDOM,
        None,
    }
)
"""What no machine causes: our own mistakes with a file or a process, and an error that no system call gave."""

_NO_THREAD = "can't start new thread"
_NO_MAP = "failed to map segment from shared object"


def refused(error: BaseException) -> str | None:
    """What the machine, and not a bug, says in an error: no room, no memory, a limit; None for any other error."""
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _NO_MAP in str(error)):
        return "; ".join(OUTSIDE[errno.ENOMEM])
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return "; ".join(OUTSIDE[errno.EAGAIN])
    named = isinstance(error, ConnectionError | FileNotFoundError | TimeoutError)  # libraries give these no number
    if not isinstance(error, OSError) or (error.errno in BUGS and not named):
        return None
    what, remedy = OUTSIDE.get(error.errno or 0, (error.strerror or str(error), "check the place, and TMPDIR"))
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{what}; {remedy}"


def guard_streams() -> None:
    """Open what a process was started without, stdout or stderr, to nowhere: `print` and argparse want both."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it stays open to the end
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the same


@contextmanager
def waiting(
    tell: Callable[[str], None],
    what: Callable[[], str],
    *,
    first: float = TELL_SECONDS,
    again: float = AGAIN_TOLD_SECONDS,
) -> Iterator[Callable[[], None]]:
    """Say what is awaited while that takes long: a line in the first seconds, and one now and then.

    What is entered is to be called where something came: the time begins anew.

    Parameters
    ----------
    tell : callable
        Takes a line, in another thread.
    what : callable
        Gives what is awaited, in words.
    first, again : float
        Seconds before the first line, and between two.
    """
    over, began = threading.Event(), time.monotonic()

    def came() -> None:
        nonlocal began
        began = time.monotonic()

    def watch() -> None:
        since, pause = began, first
        while not over.wait(pause):
            now = time.monotonic()
            if since != began:
                since, pause = began, max(0.0, began + first - now)
                continue
            with suppress(Exception):  # what cannot be told ends nothing
                tell(f"still waiting after {now - since:.0f} s: {what()}")
            pause = again

    watcher = threading.Thread(target=watch, name="waiting", daemon=True)
    watcher.start()
    try:
        yield came
    finally:
        over.set()
        watcher.join()


def reader_compiles() -> str:
    """What is said where a large CSV file is not read yet because its compiled reader is made first, or nothing."""
    module = sys.modules.get("feed.files.csv_kernel")
    compiling = module is not None and not hasattr(module, "read_rows")
    return "; the reader of large CSV files is compiled first, once for each version" if compiling else ""


def printable(text: str) -> str:
    """Escape what a terminal would obey: parts of a line may come from the feed or the configuration."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def listing(kind: str, names: Any) -> str:  # noqa: ANN401 - any collection of text
    """Write which names there are, the first ten of many, escaped."""
    ordered = sorted(names)
    if not ordered:
        return f"there are no {kind}"
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return f"{kind} there: {', '.join(ascii(name)[1:-1][:80] for name in ordered[:_LISTED])}{more}"


def unknown_key(key: str, valid: Iterable[str]) -> str:
    """What is said of a key that nobody knows: which of those that there are is the nearest.

    Parameters
    ----------
    key : str
        Dotted.
    valid : iterable of str
        Every key that there is, dotted.
    """
    near = nearest(key, valid)
    suggestion = f"one is {near[0]}" if len(near) == 1 else f"ones are {' and '.join(near)}"
    return f"unknown key {printable(key[:_KEY_SHOWN])}; the nearest valid {suggestion}"


def nearest(key: str, valid: Iterable[str]) -> list[str]:
    """The keys that somebody may have meant: those of the same last part, or that hold it as a word, or the most alike.

    Parameters
    ----------
    key : str
    valid : iterable of str
    """
    typed = key.lower().replace("-", "_")[:_KEY_SHOWN]
    last = typed.rpartition(".")[2]
    last_parts = {each: each.rpartition(".")[2] for each in valid}
    for fits in (lambda part: part == last, lambda part: f"_{last}_" in f"_{part}_"):
        if matches := [each for each, part in last_parts.items() if fits(part)]:
            return matches
    return [max(last_parts, key=lambda each: (max(_alike(typed, each), _alike(last, last_parts[each])), each))]


def resembles(key: str, valid: Iterable[str]) -> bool:
    """Whether a word is most likely one of these keys, mistyped or without what stands before its last part."""
    last = key.lower().rpartition(".")[2]
    return any(_alike(last, each.rpartition(".")[2]) >= _RESEMBLING for each in valid)


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def without_secrets(text: str) -> str:
    """Mask what may be a secret in text that a user typed, before it is shown.

    What stands in an address before an @, as an option that there is not or behind a #, and what follows a word such as
    password.
    """
    text = _BEFORE_AT.sub("//...@", text)
    for pattern in (_OPTION, _FRAGMENT, _NAMED):
        text = pattern.sub(r"\1...", text)
    return text


class Parser(argparse.ArgumentParser):
    """A parser whose complaints repeat no secret."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, and exit."""
        super().error(without_secrets(message))


def quoted(value: str | None) -> str:
    """Show a value from outside on one short line of plain ASCII."""
    if value is None:
        return "empty"
    return ascii(value) if len(value) <= 40 else f"{value[:40]!a}..."
