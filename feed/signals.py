"""ctrl-C and SIGTERM, raised as exceptions that no library swallows."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], None]

INTERRUPTED = 130
TERMINATED = 143
AGAIN_SECONDS = 0.02
"""After these a signal is tried again that came where an exception would be lost."""

_OURS = frozenset({"allocator", "feed", "sweep"})
_SWALLOWING = frozenset(
    {"__del__", "__set_name__", "_raw_object_cache_notify", "_raw_object_cache_getbuffer", "_execute_child"}
)
"""Functions that lose exceptions, their own or those of what they call: finalizers, what a class that is made calls
(Python 3.11 makes a RuntimeError of any exception), what C calls for llvmlite while numba compiles, and hooks around a
fork, which may release a lock."""


class Terminated(BaseException):
    """SIGTERM arrived; contexts close as it propagates."""


def raise_on_signals() -> None:
    """Turn SIGTERM into `Terminated` and SIGINT into KeyboardInterrupt, neither ever lost; in the main thread only."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell ignores it
            signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = _raise_again


def raising(error: Callable[[], BaseException]) -> Handler:
    """Make a signal handler that raises what `error` makes, as soon as the exception would not be lost."""

    def handle(_signal: int, frame: FrameType | None) -> None:
        if _arrives(frame):
            raised = error()
            raised.raised_by = handle  # type: ignore[attr-defined]
            raise raised
        _call_later(handle)

    return handle


def _call_later(handle: Handler) -> None:
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Raise later what a handler of ours raised and an unexpected place lost."""
    handle = getattr(lost.exc_value, "raised_by", None)
    if handle is None:
        sys.__unraisablehook__(lost)
    else:
        _call_later(handle)


terminate = raising(Terminated)
interrupt = raising(KeyboardInterrupt)


def _arrives(frame: FrameType | None) -> bool:
    """Whether an exception raised in a frame reaches the innermost frame of ours.

    C code may go on without a module whose import fails, an interrupted import may leave its package half made, and
    finalizers and functions that C calls lose every exception.
    """
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in _OURS:
            return True
        if module == "importlib._bootstrap" or frame.f_code.co_name in _SWALLOWING:
            return False
        frame = frame.f_back
    return True
