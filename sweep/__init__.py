"""The sweep: every combination of a grid, simulated on one shared tape.

run : run a configuration (a `Config` or a mapping of its keys) in this process or on Ray.
plan : predict what a run takes: chunks, bytes, seconds and the price of a cluster; nothing is started.
resume : finish a stored run.
verify : read a stored run's source again, and recompute its answer and some of its rows.
compare : what one stored run pays less than another for the same orders.
export : what a stored run found, as a router.
monitor : run a router on new days, and judge all days so far.
write_report : write a stored run as one HTML file.
Config : the configuration of a sweep.
Result : its result: the table of all rows, and the document that is printed.

    import sweep
    result = sweep.run({"source": "day.csv.gz", "order.size": 20_000, "executor": "inline"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.comparison import compare
    from sweep.config import Config
    from sweep.driver import resume, run
    from sweep.forecast import forecast as plan
    from sweep.monitoring import monitor
    from sweep.page import write_report
    from sweep.result import Result
    from sweep.router import export
    from sweep.verification import verify

__all__ = ["Config", "Result", "compare", "export", "monitor", "plan", "resume", "run", "verify", "write_report"]

_HOMES = {
    "Config": ("sweep.config", "Config"),
    "Result": ("sweep.result", "Result"),
    "compare": ("sweep.comparison", "compare"),
    "export": ("sweep.router", "export"),
    "monitor": ("sweep.monitoring", "monitor"),
    "plan": ("sweep.forecast", "forecast"),
    "resume": ("sweep.driver", "resume"),
    "run": ("sweep.driver", "run"),
    "verify": ("sweep.verification", "verify"),
    "write_report": ("sweep.page", "write_report"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of __all__, or the version
    """Import on first use, so that ``python -m sweep --help`` loads neither ray nor numba."""
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("sor-sweep")
    if name not in _HOMES:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
