"""ctrl-C and SIGTERM: raised where they arrive, and not swallowed by a library."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


INTERRUPTED = 130
TERMINATED = 143
AGAIN_SECONDS = 0.02
"""After which a signal that came where an exception would be lost is tried again."""

_OURS = frozenset({"allocator", "feed", "sweep"})
_SWALLOWING = frozenset({"__del__", "_raw_object_cache_notify", "_raw_object_cache_getbuffer"})
"""Functions out of which no exception comes: finalizers, and what llvmlite has C call while numba compiles."""


class Terminated(BaseException):
    """SIGTERM arrived; contexts close on its way out."""


def raise_on_signals() -> None:
    """Turn SIGTERM into `Terminated`, SIGINT into KeyboardInterrupt, where neither is lost; only a main thread can."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
            signal.signal(signal.SIGINT, interrupt)


def raising(error: Callable[[], BaseException]) -> Callable[[int, FrameType | None], None]:
    """A handler of signals that raises what it is given the maker of, once that would arrive where it is caught."""

    def handle(_signal: int, frame: FrameType | None) -> None:
        if _arrives(frame):
            raise error()
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)

    return handle


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
