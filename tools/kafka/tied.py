"""Processes that the kernel kills when this one ends, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIED = """import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class Starter:
    """Starts processes that end with this one; in sessions of their own, so that ctrl-C is ours."""

    def __init__(self) -> None:
        # the kernel's signal comes with the end of the thread that started the process: so one thread, kept
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sor-sweep-starter")

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a process; options are those of subprocess.Popen."""
        tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
        return self._thread.submit(subprocess.Popen, tied, start_new_session=True, **options).result()

    def close(self) -> None:
        """End the thread, and with it what still runs."""
        self._thread.shutdown()
