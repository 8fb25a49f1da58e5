"""The stamp of an installation, which tells whether two machines run the same, and facts about this machine."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Stamp = dict[str, str]
"""The versions of an installation by name; where they are equal, the same tasks give the same bytes."""

HOME = Path(__file__).resolve().parent.parent
"""The folder of the packages."""

MEASURED = ("ray", "numpy", "numba")
"""Packages whose version decides what a task does, or whether it runs at all."""


@cache
def stamp() -> Stamp:
    """The stamp of this process."""
    return {
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in MEASURED},
        "sor-sweep": f"{metadata.version('sor-sweep')} (sources {sources_hash()[:12]})",
    }


@cache
def sources_hash() -> str:
    """SHA-256 of the three packages' modules, by name."""
    content = hashlib.sha256()
    for package in ("allocator", "feed", "sweep"):
        for path in sorted((HOME / package).rglob("*.py")):
            content.update(path.relative_to(HOME).as_posix().encode())
            content.update(path.read_bytes())
    return content.hexdigest()


_node: ContextVar[Callable[[], str]] = ContextVar("node", default=platform.node)


def node_name() -> str:
    """What reports call the machine that runs this: as an executor names it, by default its host name."""
    return _node.get()()


@contextmanager
def named_node(name: Callable[[], str]) -> Iterator[None]:
    """Let a function name the machine that runs this; an executor does, which knows it by an address."""
    token = _node.set(name)
    try:
        yield
    finally:
        _node.reset(token)


VERSIONED: Final = ("sor-sweep", "ray", "numpy", "numba", "pandas", "pyarrow", "kafka-python", "msgspec")


@cache
def _version(name: str) -> str:
    return metadata.version(name)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results may depend on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in VERSIONED}


def cpu_name() -> str:
    """The processor's name, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    model_names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(model_names, platform.processor() or "unknown")


def memory_bytes(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory that this process may take at most: those of the machine, or of its control groups."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = (proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return total
    limits = [total]
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        own = PurePosixPath(path.lstrip("/"))
        if controllers == "":  # version 2
            top, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        for folder in (own, *own.parents):  # in a container the path may be that outside, and the limit at the top
            with suppress(OSError, ValueError):  # no such file, or "max"
                limits.append(int((top / folder / name).read_text(encoding="utf-8")))
    return min(limits)


def revision() -> str | None:
    """The commit of the checkout with the packages, ``+`` if they are changed; None without a checkout or git."""
    git = shutil.which("git")
    if git is None or not (HOME / ".git").exists():
        return None

    def ask(*words: str) -> str:
        command = [git, "-C", str(HOME), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        changed = ask("status", "--porcelain", "--", "allocator", "feed", "sweep")
        return ask("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None
