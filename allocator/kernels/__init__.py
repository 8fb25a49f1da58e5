"""Compiled specialisations of the plain code, each tested equal to it.

A kernel module is whole in itself: a jitted function calls jitted functions of its own module only, because numba's
cache does not notice a change in another one (and the cache is named by the hash of all of them, for what that rule
does not see). Signatures are fixed. What belongs together is given as a named tuple, defined beside its kernel. Its
arrays are read-only, as the object store gives them and as a book freezes its own, except those that a kernel fills.

load : import every module of kernels: then each is compiled, or read from the cache, when it is first called.
compile_all : compile every kernel, or read it from the cache.
python -m allocator.kernels : the same in several processes; as at installation, once per version of the sources.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def load() -> None:
    """Import every module of kernels."""
    for name in names():
        import_module(name)


def compile_all() -> None:
    """Make each kernel of each module ready."""
    for name in names():
        compile_module(name)


def compile_module(name: str) -> None:
    """Make the kernels of one module ready; a kernel of another is compiled, too, where one of these calls it."""
    from allocator.kernels.compiling import Kernel  # which imports numba

    for each in vars(import_module(name)).values():
        if isinstance(each, Kernel) and each.__module__ == name:
            each.prepare()


def names() -> list[str]:
    """The names of the modules of kernels, in order."""
    return [module.name for module in iter_modules(__path__, f"{__name__}.") if not module.name.endswith("__main__")]
