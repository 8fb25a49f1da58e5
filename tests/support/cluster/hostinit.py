"""The first process of a host that `hosts` makes: it makes folders private, runs an sshd and reaps orphans.

It is process 1 of new mount, pid, uts, ipc and network namespaces, as root; nothing that it mounts is seen outside.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def mount(*words: str | Path) -> None:
    """Run mount."""
    subprocess.run(["mount", *map(str, words)], check=True, stdin=subprocess.DEVNULL)


def hide(private: dict[str, str], kept: list[str]) -> None:
    """Put a folder over each private place; what is kept and lies below one shows through, at its own path."""
    for place, folder in private.items():
        for each in map(Path, kept):
            if each.is_relative_to(place):
                through = Path(folder) / each.relative_to(place)
                through.mkdir(parents=True, exist_ok=True)
                mount("--rbind", each, through)
    for place, folder in private.items():
        mount("--rbind", folder, place)


def replace(files: dict[str, str]) -> None:
    """Show other files in place of some of /etc, which may be links into /run."""
    for name, source in files.items():
        seen = Path(name).resolve()
        if seen.is_relative_to("/run"):
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.touch()
        mount("--bind", source, seen)


def serve(command: list[str]) -> int:
    """Run a command to its end, and wait for every process that has lost its parent."""
    main = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    while True:
        pid, status = os.wait()
        if pid == main.pid:
            return os.waitstatus_to_exitcode(status)


def start(host: dict) -> int:
    """Become the host that a mapping describes, say so on stdout, and stay."""
    mount("--make-rprivate", "/")
    hide(host["private"], host["kept"])
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    mount("-t", "tmpfs", "-o", f"mode=1777,size={host['shm']}", "tmpfs", "/dev/shm")  # noqa: S108 - as every host has it
    Path("/run/sshd").mkdir()
    replace(host["files"])
    socket.sethostname(host["name"])
    print("ready", flush=True)
    return serve(host["command"])


if __name__ == "__main__":
    sys.exit(start(json.loads(Path(sys.argv[1]).read_text())))
