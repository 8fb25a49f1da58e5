"""Plug-ins: what other distributions bring, found by name among the entry points of a group.

Nothing is looked up before a name is asked for that is not built in, and nothing is imported but what is asked for.
"""

from __future__ import annotations

import hashlib
import re
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feed.console import printable
from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from importlib.metadata import EntryPoint

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a plug-in may be called: it stands in configurations, headers of messages and names of files."""


class PluginError(ValueError):
    """A plug-in is missing, or cannot be used; one line says which, why, and what to do about it."""


class UnknownNameError(PluginError):
    """A name is neither built in nor that of a plug-in that is installed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of plug-in.

    Attributes
    ----------
    noun : str
    group : str
        Of entry points.
    built_in : collection of str
        Names that no plug-in may take.
    fault : callable
        Takes what an entry point refers to; returns why that is none of the kind, or None.
    """

    noun: str
    group: str
    built_in: Collection[str]
    fault: Callable[[Any], str | None]

    @property
    def plural(self) -> str:
        """The noun of several."""
        return f"{self.noun[:-1]}ies" if self.noun.endswith("y") else f"{self.noun}s"


@dataclass(frozen=True, slots=True, order=True)
class Plugin:
    """Which code a plug-in is: where two are equal, they give the same bytes.

    Attributes
    ----------
    kind : str
        `Kind.noun`.
    name, distribution, version : str
    sources : str
        SHA-256 of the Python sources of the module, or of the whole package, that the entry point refers to.
    """

    kind: str
    name: str
    distribution: str
    version: str
    sources: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of {self.distribution} {self.version} (sources {self.sources[:12]})"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plug-in, and what its entry point refers to."""

    plugin: Plugin
    target: Any


def installed(kind: Kind) -> tuple[str, ...]:
    """The names of all plug-ins of a kind, ascending; none of them is imported.

    Raises
    ------
    PluginError
        One has no usable name, or that of what is built in.
    """
    return tuple(sorted({entry.name for entry in _entries(kind)}))


def choices(kind: Kind) -> str:
    """The names that there are, built in and installed, for a message."""
    brought = [f"{entry.name} ({_source(entry)})" for entry in _entries(kind)]
    return ", ".join([*kind.built_in, *sorted(brought)])


def load(kind: Kind, name: str) -> Loaded:
    """Import a plug-in.

    Raises
    ------
    PluginError
        No distribution brings it (`UnknownNameError`), or several do; it cannot be imported, or is not of the kind.
    """
    return _load(kind, name, tuple(sys.path))


def plugin_of(kind: Kind, name: str) -> Plugin | None:
    """Which plug-in a name stands for; None for what is built in; PluginError as `load`."""
    return None if name in kind.built_in else load(kind, name).plugin


def check_same(kind: Kind, expected: Plugin) -> None:
    """Refuse a process in which a plug-in is missing, or other code than where the work was planned.

    Raises
    ------
    PluginError
        Names the node, the plug-in, and both.
    """
    try:
        own = load(kind, expected.name).plugin
    except PluginError as error:
        raise PluginError(f"node {socket.gethostname()} lacks {expected}: {error}") from None
    if own != expected:
        raise PluginError(
            f"node {socket.gethostname()} has {own}, and not {expected}; install the same version on every node"
        )


@contextmanager
def refusing(place: str) -> Iterator[None]:
    """Raise FeedUnavailable of a place where a plug-in that it needs cannot be used."""
    try:
        yield
    except PluginError as error:
        raise FeedUnavailable(str(error), place) from None


def _entries(kind: Kind) -> tuple[EntryPoint, ...]:
    """The entry points of a kind; PluginError as `installed`."""
    entries = _found(kind.group, tuple(sys.path))
    for entry in entries:
        if not NAME.fullmatch(entry.name):
            why = "its name may have letters, digits and . _ -, 64 at most"
        elif entry.name in kind.built_in:
            why = f"that {kind.noun} is built in, and no plug-in may take its name"
        else:
            continue
        raise PluginError(f"{_described(kind, entry)}: {why}; uninstall {_distribution(entry)}")
    return entries


@cache
def _found(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001 - what was found depends on it
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


@cache
def _load(kind: Kind, name: str, path: tuple[str, ...]) -> Loaded:  # noqa: ARG001 - the same
    entries = [entry for entry in _entries(kind) if entry.name == name]
    if not entries:
        raise UnknownNameError(f"expected one of {choices(kind)}, but it had {printable(repr(name)[:80])}")
    if len(entries) > 1:
        sources = " and ".join(sorted(map(_source, entries)))
        raise PluginError(f"{kind.noun} {name} is brought by {sources}; uninstall all but one")
    (entry,) = entries
    described = _described(kind, entry)
    try:
        target = entry.load()
        sources = _hash_of(entry.module, *_home_of(target))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign module does
        why = printable(" ".join(f"{type(error).__name__}: {error}".split())[:300])
        raise PluginError(
            f"{described}: cannot be imported ({why}); mend it, or uninstall {_distribution(entry)}"
        ) from None
    if (fault := kind.fault(target)) is not None:
        raise PluginError(f"{described}: is no {kind.noun}: {fault}")
    return Loaded(Plugin(kind.noun, name, _distribution(entry), _version(entry), sources), target)


def _distribution(entry: EntryPoint) -> str:
    return "an unnamed distribution" if entry.dist is None else printable(entry.dist.name)


def _version(entry: EntryPoint) -> str:
    return "0" if entry.dist is None else printable(entry.dist.version)


def _source(entry: EntryPoint) -> str:
    return f"{_distribution(entry)} {_version(entry)}"


def _described(kind: Kind, entry: EntryPoint) -> str:
    return f"{kind.noun} {printable(entry.name)} of {_source(entry)} ({printable(entry.value)})"


def _home_of(target: object) -> list[str]:
    """The module that defines what an entry point names, if that may have imported it from another's package."""
    home = str(getattr(target, "__module__", None) or type(target).__module__)
    return [] if home.partition(".")[0] in _KNOWN else [home]


_KNOWN: Final = sys.stdlib_module_names | {"allocator", "feed", "sweep"}
"""Packages that count elsewhere: by the version of Python, and by the hash of our own sources."""


def _hash_of(*modules: str) -> str:
    """SHA-256 of the sources of the outermost packages that some modules lie in, or of the modules themselves.

    By their names inside the package and their bytes, compiled extensions among them: however it is installed, the same
    sources have the same hash. A namespace, which several distributions may fill, is no package.
    """
    files: dict[str, Path] = {}
    for module in dict.fromkeys(modules):
        files |= _files_of(module)
    return _hash(files.items())


def _files_of(module: str) -> dict[str, Path]:
    """The files of the outermost package of a module, or of the module, by their names in it."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        spec = find_spec(".".join(parts[:count]))
        if spec is None:
            break
        if spec.origin is None:
            continue
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            return {origin.name: origin}
        folder = origin.parent
        return {
            path.relative_to(folder.parent).as_posix(): path
            for path in folder.rglob("*")
            if path.name.endswith(_CODE) and path.is_file()
        }
    raise ImportError(f"the sources of {module} are in no file")


_CODE: Final = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)


def _hash(files: Iterable[tuple[str, Path]]) -> str:
    content = hashlib.sha256()
    for name, path in sorted(files):
        data = path.read_bytes()
        content.update(f"{name}\0{len(data)}\0".encode())
        content.update(data)
    return content.hexdigest()
