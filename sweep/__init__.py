"""The sweep: every combination of a grid, simulated on one shared tape.

run : run a configuration, a `Config` or a mapping of its keys, in this process or on Ray.
plan : what that would take: chunks, bytes, seconds, and the price of a cluster; nothing is started.
resume : finish a stored run.
verify : read a stored run's source again, and compute its answer and some of its rows again.
Config : what a sweep is told.
Result : what came of it: the result table, and the document that is printed.

    import sweep
    result = sweep.run({"source": "day.csv.gz", "order.size": 20_000, "executor": "inline"})

plan, resume and verify are the modules that hold these commands, too: ``from sweep import verify`` gives what can be
called, and ``sweep.verify.SAMPLE`` stays where it is.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep import plan, resume, verify
    from sweep.config import Config
    from sweep.driver import run
    from sweep.result import Result

__all__ = ["Config", "Result", "plan", "resume", "run", "verify"]

_HOMES = {"run": "sweep.driver", "Config": "sweep.config", "Result": "sweep.result"}
_COMMANDS = frozenset({"plan", "resume", "verify"})


class Command(ModuleType):
    """A module that is called as its `command`: importing it would hide a function of its name in the package."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the command's own
        """Do the command."""
        return self.command(*arguments, **options)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of __all__, or the version
    """Import on first use, so that ``python -m sweep --help`` loads neither ray nor numba."""
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("sor-sweep")
    if name in _COMMANDS:
        return import_module(f"sweep.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
