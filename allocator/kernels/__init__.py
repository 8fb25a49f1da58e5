"""Compiled specialisations of the plain code, each tested equal to it.

A kernel module is whole in itself: a jitted function calls jitted functions of its own module only, because numba's
cache does not notice a change in another one (and the cache is named by the hash of all of them, for what that rule
does not see). Signatures are fixed. What belongs together is given as a named tuple, defined beside its kernel. Its
arrays are read-only, as the object store gives them and as a book freezes its own, except those that a kernel fills.

load : import every module of kernels: then each is compiled, or read from the cache, when it is first called.
compile_all : compile every kernel, or read it from the cache; as at installation, once per version of the sources.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def load() -> None:
    """Import every module of kernels."""
    for _ in _modules():
        pass


def compile_all() -> None:
    """Import every module of kernels, and make each kernel ready."""
    from allocator.kernels.compiling import Kernel  # which imports numba

    for module in _modules():
        for each in vars(module).values():
            if isinstance(each, Kernel):
                each.prepare()


def _modules() -> Iterator[ModuleType]:
    for module in iter_modules(__path__):
        if not module.name.startswith("__"):
            yield import_module(f"{__name__}.{module.name}")
