"""The sweep: every combination of a grid, simulated on one shared tape.

run : run a configuration, in this process or on Ray.
Config : what a sweep is told.
Result : what came of it: the result table, and the document that is printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.config import Config
    from sweep.driver import run
    from sweep.result import Result

__all__ = ["Config", "Result", "run"]

_HOMES = {"run": "sweep.driver", "Config": "sweep.config", "Result": "sweep.result"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of __all__
    """Import on first use, so that ``python -m sweep --help`` loads neither ray nor numba."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
