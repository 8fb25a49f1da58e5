"""How well `sweep.forecast` predicts: jobs that differ, forecast and then run, by the same kernel.

    python -m benchmarks.forecasts [--executor inline|ray] [WORD ...]

A WORD picks the jobs whose name holds it. `computed` is what this process computed in the phase of the sweep, so with
executor=inline it is what the sweep takes on a machine without other work; `passed` is what went by. `off` is the
one of them that the executor makes comparable, over what was likely.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from feed import synthetic
from sweep import driver
from sweep.config.loading import build_config
from sweep.forecast import forecast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.planning import Plan


def grid(over: int, under: int, theta: int) -> dict[str, Any]:
    """So many values of each axis."""
    ends = {"lambda_over": (over, 0.05), "lambda_under": (under, 0.09), "theta_queue": (theta, 0.05)}
    return {name: {"start": 0, "stop": stop, "num": count} if count > 1 else 0 for name, (count, stop) in ends.items()}


NEVER_FILLED = {"size": 3_000_000}
EACH = {"collapse": False, "order": NEVER_FILLED}

JOBS: dict[str, dict[str, Any]] = {
    "the default grid": {},
    "few, each": EACH | {"grid": grid(2, 2, 2)},
    "persist, each": EACH | {"grid": grid(1, 200, 100)},
    "refresh, each": EACH | {"liquidity": "refresh", "grid": grid(10, 300, 100)},
    "early fill, each": {"collapse": False, "grid": grid(10, 300, 100)},
    "mid, each": EACH | {"reference": "mid", "grid": grid(1, 200, 100)},
    "many, collapsed": {"order": NEVER_FILLED, "grid": grid(50, 500, 200)},
    "pseudocode, each": EACH | {"policy": "pseudocode", "grid": grid(3, 30, 10)},
    "lots": {"order": {"size": 500_000}, "lots_only": True, "grid": grid(5, 40, 20)},
    "classic, each": EACH | {"conventions": "classic", "grid": grid(10, 300, 100)},
    "classic pseudocode, each": EACH | {"conventions": "classic", "policy": "pseudocode", "grid": grid(5, 20, 20)},
}


class Phases(driver.Phases):
    """Knows what this process computed in each phase, too."""

    computed: ClassVar[dict[str, float]] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase."""
        began = time.process_time()
        with super().phase(name):
            yield
        self.computed[name] = time.process_time() - began


def compare(name: str, source: Path, executor: str) -> None:
    """Forecast a job, run it, and print both."""
    config = build_config({"source": str(source), "executor": executor, **JOBS[name]})
    estimate = forecast(config)
    make_plan = driver.make_plan

    def by_the_same_kernel(*arguments: Any) -> Plan:
        plan, calibrated = make_plan(*arguments), arguments[-1]
        return replace(plan, kernels=(estimate["kernel"],), measured=calibrated[0][estimate["kernel"]])

    driver.make_plan, phases, driver.Phases = by_the_same_kernel, driver.Phases, Phases
    try:
        ran = driver.run(config).document["run"]
    finally:
        driver.make_plan, driver.Phases = make_plan, phases
    computed, passed = Phases.computed["sweep"], ran["seconds"]["sweep"]
    sweep, reduce = estimate["here"]["seconds"]["sweep"], estimate["here"]["seconds"]["reduce"]
    off = (computed if executor == "inline" else passed) / sweep["likely"]
    print(
        f"{name:25} {estimate['combinations']:>9,} {estimate['kernel']:7} "
        f"chunks {estimate['chunks']:>4} ran {ran['chunks']:>4}  "
        f"likely {sweep['likely']:<7.3g} {sweep['low']:.3g} - {sweep['high']:<7.3g} computed {computed:<7.3g} "
        f"passed {passed:<7.3g} off {off:<5.2f} reduce {reduce:<7.3g} ran {ran['seconds']['reduce']:<6.3g} "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Compare the jobs that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--executor", choices=("inline", "ray"), default="inline")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "hour.csv.gz"
        synthetic.write_csv(synthetic.generate(seconds=3600.0, venues=6, levels=1), source)
        for name in JOBS:
            if not arguments.words or any(word in name for word in arguments.words):
                compare(name, source, arguments.executor)


if __name__ == "__main__":
    main()
