"""Which executor a configuration asks for, and with how many workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sweep.errors import ConfigError
from sweep.executors.inline import Inline

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.config import Config
    from sweep.executors.contract import Executor


def _on_ray(config: Config) -> Executor:
    from sweep.executors.on_ray import OnRay

    return OnRay(config.address, workers_of(config), config.question.plugins)


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def workers_of(config: Config) -> int | None:
    """How many tasks run at once: `workers`, but on this machine at most one per CPU; None = as many as there are.

    Each worker is a process that loads the kernels; more of them than CPUs take memory, and minutes to start.
    """
    on_this_machine = config.executor == "ray" and config.address == "local"
    return min(config.workers, cpus()) if on_this_machine and config.workers is not None else config.workers


def surplus_workers_warning(config: Config) -> str | None:
    """The warning where more workers are asked for than are started, or None."""
    count = workers_of(config)
    if count == config.workers:
        return None
    return (
        f"warning: workers={config.workers} is more than the {count} CPUs here, so {count} are started; no result "
        "depends on how many there are"
    )


EXECUTORS: dict[str, Callable[[Config], Executor]] = {"inline": lambda _: Inline(), "ray": _on_ray}
"""Every executor by its name in the configuration."""


def from_outside(config: Config) -> bool:
    """Whether a configuration joins, by Ray's client, a cluster of which this host is no node."""
    address = os.environ.get("RAY_ADDRESS", config.address) if config.address == "auto" else config.address
    return config.executor == "ray" and address.startswith("ray://")


def open_executor(config: Config) -> Executor:
    """The executor of a configuration, to be used in a with statement.

    Raises
    ------
    ConfigError
        More than one worker for the inline executor.
    """
    if config.executor == "inline" and (config.workers or 1) > 1:
        raise ConfigError(f"workers: the inline executor has one, but it had {config.workers}; use executor=ray")
    return EXECUTORS[config.executor](config)
