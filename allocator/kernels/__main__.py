"""``python -m allocator.kernels`` compiles every kernel now, so that no run has to; a process for each CPU."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from allocator.kernels import compile_module, names


def main() -> None:
    """Compile the modules beside each other, the longest first; the first failure is raised."""
    longest_first = sorted(names(), key=lambda name: -_source(name).stat().st_size)
    processes = min(len(os.sched_getaffinity(0)), len(longest_first))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(compile_module, longest_first):
            pass


def _source(name: str) -> Path:
    return Path(__file__).with_name(f"{name.rpartition('.')[2]}.py")


if __name__ == "__main__":
    main()
