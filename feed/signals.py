"""ctrl-C and SIGTERM: raised where they arrive, and not swallowed by a library."""

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
"""After which a signal that came where an exception would be lost is tried again."""

_OURS = frozenset({"allocator", "feed", "sweep"})
_SWALLOWING = frozenset({"__del__", "_raw_object_cache_notify", "_raw_object_cache_getbuffer", "_execute_child"})
"""Functions out of which no exception comes, or out of what they call: finalizers, what llvmlite has C call while numba
compiles, and hooks around a fork, which may give back a lock."""


class Terminated(BaseException):
    """SIGTERM arrived; contexts close on its way out."""


def raise_on_signals() -> None:
    """Turn SIGTERM into `Terminated`, SIGINT into KeyboardInterrupt, where neither is lost; only a main thread can."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
            signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = _raise_again


def raising(error: Callable[[], BaseException]) -> Handler:
    """A handler of signals that raises what it is given the maker of, once that would arrive where it is caught."""

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
    """Raise later what a handler of ours raised in a place that nobody thought of, and that was lost there."""
    handle = getattr(lost.exc_value, "raised_by", None)
    if handle is None:
        sys.__unraisablehook__(lost)
    else:
        _call_later(handle)


terminate = raising(Terminated)
interrupt = raising(KeyboardInterrupt)


def _arrives(frame: FrameType | None) -> bool:
    """Whether what is raised in a frame arrives at the innermost frame of ours.

    C code that imports a module may go on without it, an import that is cut short may leave its package half made, and
    out of a finalizer or a function that C calls nothing is raised at all.
    """
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in _OURS:
            return True
        if module == "importlib._bootstrap" or frame.f_code.co_name in _SWALLOWING:
            return False
        frame = frame.f_back
    return True
