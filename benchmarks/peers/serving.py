"""A line of standard input names a command, a line of standard output is what it returned."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SAMPLE_SECONDS = 0.05
"""As `benchmarks.frame`: what is shorter is repeated."""


def serve(package: str, commands: Mapping[str, Callable[[], Any]]) -> None:
    """Answer until the asker has gone; `version` is that of the package."""
    known = {"version": lambda: f"{package} {version(package)}", **commands}
    for line in sys.stdin:
        print(json.dumps(known[line.strip()]()), flush=True)


def took(run: Callable[[], Any]) -> float:
    """Seconds of one run."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def per_run(timed: Callable[[], float]) -> float:
    """Seconds of a run that times itself, the mean of as many as make a sample."""
    seconds = [timed()]
    while sum(seconds) < SAMPLE_SECONDS:
        seconds.append(timed())
    return sum(seconds) / len(seconds)
