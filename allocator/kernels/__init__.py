"""Compiled specialisations of the plain code, each tested equal to it.

A kernel module is self-contained: a jitted function calls jitted functions of its own module only, because numba's
cache does not notice a change in another one (for what that rule misses, the cache is named by the hash of all kernel
sources). Signatures are eager and take read-only arrays, as the object store gives them.

load : import every kernel, which compiles it once per version of the sources, or reads it from the cache.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def load() -> None:
    """Import every module of kernels."""
    for module in iter_modules(__path__):
        if not module.name.startswith("__"):
            import_module(f"{__name__}.{module.name}")
