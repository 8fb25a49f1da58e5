"""A command on a terminal of its own, as a person has it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DRAWN = re.compile(r"\x1b\[[0-9;]*m")
"""Colours and the like: what a terminal that can do nothing must not be sent."""


def on_terminal(command, columns, **environment):
    """Run a shell's command whose streams are a terminal of so many columns: exit code, and what came out there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        ["bash", "-c", f"set -o pipefail; {command}"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    shown = bytearray()
    with suppress(OSError):  # Linux ends a terminal whose last user has gone by an error
        while data := os.read(ours, 65536):
            shown += data
    os.close(ours)
    return process.wait(60), shown.decode()
