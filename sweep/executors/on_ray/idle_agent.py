"""Stands in for one of a raylet's agents: sleeps until the raylet that started it has ended.

A raylet does not start without its two agents, and ends when one of them does. Nothing asks those of an instance of
our own, whose tasks all run in our own environment. A program rather than a module: `sweep.executors.on_ray.lean_start`
runs it by its path, without site-packages, so that it costs some hundredths of a second.
"""

import os
import time

LOOK_SECONDS = 0.5


def main() -> None:
    """Sleep while this process has the parent that it began with, or the raylet that the environment names."""
    raylet = int(os.environ.get("RAY_RAYLET_PID", os.getppid()))
    while os.getppid() == raylet:
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
