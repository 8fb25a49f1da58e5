"""What a command says, but for what it waits for on a busy machine."""

from __future__ import annotations


def without_waits(stderr: str) -> str:
    """The lines of stderr, but for those that say what takes long."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.startswith("still waiting"))
