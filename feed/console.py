"""What both command lines share: text that a terminal cannot obey, and how a signal ends a process."""

from __future__ import annotations

import signal
import threading

INTERRUPTED = 130
TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM arrived; contexts close on its way out."""


def raise_on_sigterm() -> None:
    """Turn SIGTERM into `Terminated`; only a main thread can."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(_signal: int, _frame: object) -> None:
    raise Terminated


def printable(text: str) -> str:
    """Escape what a terminal would obey: parts of a line may come from the feed or the configuration."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
