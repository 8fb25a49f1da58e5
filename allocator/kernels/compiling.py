"""How kernels are compiled: eager signatures, and machine code kept where it cannot go stale.

numba keeps code per function and looks at that function's own file only; a function whose callee has changed in
another file would run the old one. So the folder is named by the hash of all kernel sources: any edit starts afresh.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsInt

from numba import config, njit, types
from numba.extending import intrinsic, overload

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT_VARIABLE = "SOR_SWEEP_CACHE_DIR"


def sources_hash() -> str:
    """16 hexadecimal digits of the kernel sources, by name and content."""
    content = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content.update(path.name.encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Where machine code is kept: the first of these places that can be written; None where there is none.

    ``$SOR_SWEEP_CACHE_DIR``, ``$NUMBA_CACHE_DIR``, the user's cache folder, a private folder among the temporary files.
    What is there is unpickled, so a folder that others can write to is not used.
    """
    chosen = [Path(os.environ[name]) for name in (ROOT_VARIABLE, "NUMBA_CACHE_DIR") if os.environ.get(name)]
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    temporary = Path(tempfile.gettempdir()) / f"sor-sweep-{os.getuid()}"
    for root in chosen[:1] or (Path(home) / "sor-sweep", temporary):
        folder = root / f"kernels-{sources_hash()}"
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = folder.stat()
            if owner.st_uid == os.getuid() and not owner.st_mode & 0o022:
                tempfile.TemporaryFile(dir=folder).close()
                return folder
    return None


_FOLDER = None if config.DISABLE_JIT else cache_folder()


def kernel(*signatures: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for these signatures when its module is imported, or load what was compiled before."""

    def compiled(function: Callable[..., Any]) -> Any:
        before, config.CACHE_DIR = config.CACHE_DIR, "" if _FOLDER is None else str(_FOLDER)
        try:
            return njit(list(signatures), cache=_FOLDER is not None, error_model="numpy")(function)
        finally:
            config.CACHE_DIR = before

    return compiled


def lowest(bits: SupportsInt) -> int:
    """The position of the lowest bit that is set; bits is not 0."""
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
