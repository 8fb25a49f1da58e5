"""What both command lines share: text that is safe to print, and messages about long waits."""

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

    from _typeshed import SupportsWrite


TELL_SECONDS = 5.0
"""Seconds of waiting before the first line about it."""

AGAIN_TOLD_SECONDS = 30.0
"""Seconds between two such lines."""

_LISTED = 10

_KEY_SHOWN = 80

_RESEMBLING = 0.75

SENSITIVE = "passw|passphrase|pwd|secret|token|jaas"
"""A regular expression for names of secrets, in any case."""

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
"""What the machine refuses, by errno: the message and the remedy."""

MACHINE = frozenset(OUTSIDE) - {errno.EROFS, errno.EACCES}
"""Those that are not about one file."""

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
"""Errors that are bugs: our own misuse of a file or a process, and errors without a system call's number."""

_NO_THREAD = "can't start new thread"
_NO_MAP = "failed to map segment from shared object"


def refused(error: BaseException) -> str | None:
    """Explain an error of the machine (no room, no memory, a limit); None for any other error, such as a bug."""
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
    """Open stdout or stderr to nowhere if the process started without it: `print` and argparse need both."""
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
    """Report a long wait: one line after the first seconds, then one now and then.

    Call what the context gives when something arrives: the time starts again.

    Parameters
    ----------
    tell : callable
        Takes a line; called in another thread.
    what : callable
        Says in words what is awaited.
    first, again : float
        Seconds before the first line, and between lines.
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
            with suppress(Exception):  # a failed report ends nothing
                tell(f"still waiting after {now - since:.0f} s: {what()}")
            pause = again

    watcher = threading.Thread(target=watch, name="waiting", daemon=True)
    watcher.start()
    try:
        yield came
    finally:
        over.set()
        watcher.join()


_COMPILED = {
    "feed.files.csv_kernel": ("read_rows", "the reader of large CSV files"),
    "feed.files.fields_kernel": ("read_fields", "the reader of vendors' files"),
    "feed.files.price_book_kernel": ("fold", "what folds updates to books"),
    "feed.files.mbo_kernel": ("fold", "what folds orders into levels"),
    "feed.quality.tally_kernel": ("tally", "what counts large tapes"),
}
"""Modules that compile when they are imported: what each then has, and how it is called."""


def reader_compiles() -> str:
    """Say what is being compiled that reads or counts large files; empty where nothing is."""
    for name, (attribute, words) in _COMPILED.items():
        module = sys.modules.get(name)
        if module is not None and not hasattr(module, attribute):
            return f"; {words} is compiled first, once for each version"
    return ""


def printable(text: str) -> str:
    """Escape control characters: parts of a line may come from the feed or the configuration."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def listing(kind: str, names: Any) -> str:  # noqa: ANN401 - any collection of text
    """List the names there are, at most ten; control characters escaped, so that others can be typed as they stand."""
    ordered = sorted(names)
    if not ordered:
        return f"there are no {kind}"
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return f"{kind} there: {', '.join(printable(str(name))[:80] for name in ordered[:_LISTED])}{more}"


def unknown_key(key: str, valid: Iterable[str]) -> str:
    """Say that a key is unknown, and which valid ones are nearest.

    Parameters
    ----------
    key : str
        Dotted.
    valid : iterable of str
        All valid keys, dotted.
    """
    near = nearest(key, valid)
    suggestion = f"one is {near[0]}" if len(near) == 1 else f"ones are {' and '.join(near)}"
    return f"unknown key {printable(key[:_KEY_SHOWN])}; the nearest valid {suggestion}"


def nearest(key: str, valid: Iterable[str]) -> list[str]:
    """Find the keys that may be meant: those that end in its last part, else hold it as a word, else the most similar.

    Of a section that exists, the most similar of its own.

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
    section = typed.rpartition(".")[0]
    inside = {each: part for each, part in last_parts.items() if section and each.startswith(f"{section}.")}
    last_parts = inside or last_parts
    return [
        max(last_parts, key=lambda each: (max(_similarity(typed, each), _similarity(last, last_parts[each])), each))
    ]


def resembles(key: str, valid: Iterable[str]) -> bool:
    """Whether a word is most likely one of these keys, mistyped or without its first parts."""
    last = key.lower().rpartition(".")[2]
    return any(_similarity(last, each.rpartition(".")[2]) >= _RESEMBLING for each in valid)


def _similarity(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def without_secrets(text: str) -> str:
    """Mask possible secrets in text that a user typed, before it is shown.

    They are: in an address, what stands before an @, in an unknown option or after a #; and what follows a word such as
    password.
    """
    text = _BEFORE_AT.sub("//...@", text)
    for pattern in (_OPTION, _FRAGMENT, _NAMED):
        text = pattern.sub(r"\1...", text)
    return text


def mask_secrets(value: Any) -> Any:  # noqa: ANN401 - what YAML or JSON holds
    """The same with possible secrets masked in each text, and whatever a key such as ``password`` names."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list | tuple):
        return type(value)(mask_secrets(each) for each in value)
    if isinstance(value, dict):
        return {
            name: "..." if _names_secret(name) and isinstance(each, str | int | float) else mask_secrets(each)
            for name, each in value.items()
        }
    return value


def _names_secret(name: object) -> bool:
    """Whether a key names a secret, and not the file or the variable that holds one."""
    held = re.search(SENSITIVE, text := str(name), re.IGNORECASE) is not None
    return held and not text.lower().endswith(("_file", "_env", "_path"))


class Parser(argparse.ArgumentParser):
    """A parser whose error messages repeat no secret."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, and exit."""
        super().error(without_secrets(message))

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Raise where stdout cannot be written: some versions of argparse go on as if it were, others raise for stderr.

        Raises
        ------
        OSError
            A page of help or the version has nowhere to go.
        """
        stream = file or sys.stderr
        try:
            stream.write(message)
        except OSError:
            if stream is not sys.stderr:
                raise


def quoted(value: str | None) -> str:
    """Show a value from outside on one short line of plain ASCII."""
    if value is None:
        return "empty"
    return ascii(value) if len(value) <= 40 else f"{value[:40]!a}..."
