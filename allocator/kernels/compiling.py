"""How kernels are compiled: for one signature, when they are first needed, and kept where they cannot go stale.

numba caches code per function and checks that function's own file only; a function whose callee has changed in another
file would run the old one. So the folder is named by the hash of all kernel sources: any edit starts a new one.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsInt, get_type_hints

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic, overload

from allocator.flight import mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT_VARIABLE = "SOR_SWEEP_CACHE_DIR"


def sources_hash() -> str:
    """16 hexadecimal digits of the kernel sources, by name and content."""
    content = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content.update(path.name.encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def cache_folder() -> Path | None:
    """The folder of machine code: the first of these places that can be written; None where there is none.

    ``$SOR_SWEEP_CACHE_DIR``, ``$NUMBA_CACHE_DIR``, the user's cache folder, a private folder among the temporary files.
    The files there are unpickled, so a folder that others can write to, or can replace, is not used; whether others can
    replace a folder below a place that a variable names is the user's choice.
    """
    chosen = [Path(os.environ[name]) for name in (ROOT_VARIABLE, "NUMBA_CACHE_DIR") if os.environ.get(name)]
    for root in chosen[:1] or _own_places():
        folder = root / f"kernels-{sources_hash()}"
        with suppress(OSError):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_private(folder) and (chosen or _is_private(root)):
                tempfile.TemporaryFile(dir=folder).close()
                return folder
    return None


def _own_places() -> Iterator[Path]:
    home = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):  # a user without a home
        yield (Path(home) if home else Path("~/.cache").expanduser()) / "sor-sweep"
    yield Path(tempfile.gettempdir()) / f"sor-sweep-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    """Whether a folder, and the link to it if any, is this user's, and nobody else can write to it."""
    owner = folder.stat()
    return {owner.st_uid, folder.lstat().st_uid} == {os.getuid()} and not owner.st_mode & 0o022


_FOLDER = None if config.DISABLE_JIT else cache_folder()

_SETTING = threading.Lock()
"""Held while numba's cache setting is changed: two threads may import two modules of kernels."""

_COMPILING = threading.RLock()
"""Held while a kernel is made ready, and those that it calls."""


class Kernel:
    """A function that is compiled, or loaded as it was compiled before, when it is first needed.

    A process runs a few of all the kernels, and what is loaded holds the code of the kernels that it calls: they are
    asked for, by their types, only where the caller is compiled.

    Parameters
    ----------
    dispatcher : Dispatcher
        numba's, which has not compiled anything.
    signatures : tuple of Signature
        The only ones; arguments are converted to one of them.
    """

    def __init__(self, dispatcher: Any, signatures: tuple[Any, ...]) -> None:
        self._dispatcher, self._signatures, self._ready = dispatcher, signatures, False
        functools.update_wrapper(self, dispatcher.py_func)

    def __call__(self, *arguments: Any) -> Any:
        """Call it; prepared first, where it is not."""
        if not self._ready:
            self.prepare()
        return self._dispatcher(*arguments)

    def prepare(self) -> None:
        """Compile or load it; again, that does nothing."""
        with _COMPILING:
            if not self._ready:
                for signature in self._signatures:
                    self._dispatcher.compile(signature)
                self._dispatcher.disable_compile()  # other types are converted, not compiled for
                self._ready = True

    @property
    def _numba_type_(self) -> Any:
        """What numba asks for where another kernel calls this one."""
        self.prepare()
        return types.Dispatcher(self._dispatcher)


def kernel(*signatures: Any, inline: bool = False, counts: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """Make a kernel of a function; without numba's compiler the function stays as it is.

    Parameters
    ----------
    *signatures : numba signatures
    inline : bool
        Put its code where it is called: a call that passes tuples of arrays costs more than a small function does.
        LLVM decides by size otherwise, and a line more may make a walk ten times as slow. Its references are not
        counted, either.
    counts : bool
        Count the references to arrays. A function that makes no array, not even by assigning a slice to another, can do
        without, and should where tuples of arrays are given to it: counting made a walk five times as slow.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        if config.DISABLE_JIT:
            return function
        with _SETTING:
            before, config.CACHE_DIR = config.CACHE_DIR, "" if _FOLDER is None else str(_FOLDER)
            try:
                options = {
                    "cache": _FOLDER is not None,
                    "error_model": "numpy",
                    "forceinline": inline,
                    "_nrt": counts and not inline,
                }
                return Kernel(njit(**options)(function), signatures)
            finally:
                config.CACHE_DIR = before

    return compiled


def record(definition: type[tuple[Any, ...]], **others: Any) -> Any:
    """The numba type of a named tuple, from its annotations.

    A field is an int, a bool, or an array, annotated with its numba type. Arrays that a kernel only
    reads are of a read-only type, and given as such: numba makes a writable array read-only where it is an argument by
    itself, but not where it lies in a tuple.

    Parameters
    ----------
    definition : type
        The named tuple.
    others : numba types
        Of the fields that have several.
    """
    plain = {int: types.int64, bool: types.boolean}
    fields = {**get_type_hints(definition, include_extras=True), **others}
    return types.BaseTuple.from_types(
        [getattr(each, "__metadata__", (plain.get(each, each),))[0] for each in fields.values()], definition
    )


def lowest(bits: SupportsInt) -> int:
    """The position of the lowest set bit; bits is not 0."""
    number = int(bits)
    return (number & -number).bit_length() - 1


@intrinsic
def _count_trailing_zeros(_context, _bits):
    from llvmlite import ir

    def generate(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@overload(lowest, inline="always")
def _lowest(bits):  # noqa: ARG001 - a type; numba wants the name of the argument
    return lambda bits: _count_trailing_zeros(bits)  # noqa: PLW0108 - numba wants a function of that argument


def ones(bits: SupportsInt) -> int:
    """How many bits are set."""
    return int(bits).bit_count()


@intrinsic
def _count_ones(_context, _bits):
    def generate(_context, builder, _signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@overload(ones, inline="always")
def _ones(bits):  # noqa: ARG001 - a type, as above
    return lambda bits: _count_ones(bits)  # noqa: PLW0108 - numba wants a function of that argument


@overload(mixed)
def _mixed(number):  # noqa: ARG001 - a type, as above
    def compiled(number):
        number = np.uint64(number) + np.uint64(0x9E3779B97F4A7C15)
        number = (number ^ number >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        number = (number ^ number >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return number ^ number >> np.uint64(31)

    return compiled
