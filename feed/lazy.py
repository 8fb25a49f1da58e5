"""Exports of a package that are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def exports(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose modules are too slow to import all at once.

    Type checkers do not follow it: the package says where its exports come from a second time, under
    ``if TYPE_CHECKING``, and hides this one from them, or any name would be one of it.

    Parameters
    ----------
    package : str
        Its name.
    homes : mapping
        The names that each module of the package exports.
    """
    home_of = {name: f"{package}.{module}" for module, names in homes.items() for name in names}

    # Nothing is kept in the package: a name that is replaced in its module is replaced here too.
    def look_up(name: str) -> Any:  # noqa: ANN401 - any of the exports
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name]), name)

    return look_up
