"""Starts Ray without servers that nobody uses, which saves seconds of each run, and as much of its CPU time.

Ray starts three programs for those who look at a cluster from outside: an API server (the dashboard's, even without a
dashboard), the autoscaler's monitor, and one that forwards the logs of workers; and two agents beside each raylet, one
that collects metrics and one that makes the environments that tasks ask for. An instance of our own that ends with the
run has no dashboard, cannot grow, forwards no logs, and its tasks run in the environment of the driver. No setting
leaves them out, so this patches functions of Ray; a version of Ray without these functions starts as usual.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEEDLESS: Final = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's Node that start one of these programs each; as of Ray 2.60."""

AGENTS: Final = ("--dashboard_agent_command", "--runtime_env_agent_command")
"""Options of a raylet that say how its agents are started; as of Ray 2.60."""

SESSION, NODE = "--session_dir", "--node_id"
"""Options of a raylet that say where it looks for the ports of its agents; as of Ray 2.60."""

PORTS: Final = (
    "METRICS_AGENT_PORT_NAME",
    "METRICS_EXPORT_PORT_NAME",
    "DASHBOARD_AGENT_LISTEN_PORT_NAME",
    "RUNTIME_ENV_AGENT_PORT_NAME",
)
"""The ports that the agents of a raylet leave in files, which it waits for; names of `ray._raylet`, as of Ray 2.60."""

NO_PORT: Final = -1
"""What an agent leaves that does not listen; a raylet then asks nothing of it."""

WRITER: Final = "persist_port"
"""The function of `ray._raylet` that writes such a file; as of Ray 2.60."""

STARTER: Final = "start_ray_process"
"""The function of Ray's that starts each of its programs; as of Ray 2.60."""

ASKS: Final = ("RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_RUNTIME_ENV_HOOK")
"""Variables by which somebody asks for an environment of the tasks: one who submits a job, or a hook."""

UV_RUN: Final = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
"""The variable and the setting of `ray._private.ray_constants` by which, below ``uv run``, Ray copies the driver's
folder and runs ``uv`` anew for each worker; on by default. Workers on the driver's machine need no copy; as of Ray
2.60."""

IDLE_AGENT: Final = Path(__file__).with_name("idle_agent.py")


@contextmanager
def lean() -> Iterator[bool]:
    """Make a Ray that starts meanwhile leave these programs out; yields whether it will.

    Where an environment of the tasks is asked for, the agents that make it are started all the same.
    """
    from ray import _raylet
    from ray._private import node, ray_constants, services

    node_class: Any = getattr(node, "Node", None)
    replacements: list[tuple[Any, str, Any]] = [(node_class, name, _start_nothing) for name in NEEDLESS]
    start = getattr(services, STARTER, None)
    if not _asked_for_an_environment():
        replacements += [(services, STARTER, _with_idle_agents(start)), (ray_constants, UV_RUN, False)]
    originals = [(owner, name, getattr(owner, name, None)) for owner, name, _ in replacements]
    if any(original is None for *_, original in originals) or not all(
        hasattr(_raylet, name) for name in (*PORTS, WRITER)
    ):
        yield False
        return
    for replacement in replacements:
        setattr(*replacement)
    try:
        yield True
    finally:
        for original in originals:
            setattr(*original)


def _asked_for_an_environment() -> bool:
    """Whether the tasks are to run in another environment than the driver's."""
    from ray._private import ray_constants

    return any(name in os.environ for name in ASKS) or (UV_RUN in os.environ and getattr(ray_constants, UV_RUN, False))


def _start_nothing(*_: object, **__: object) -> None:
    """In place of a method that starts a program."""


def _with_idle_agents(start: Any) -> Callable[..., Any]:  # noqa: ANN401 - ray's
    """Wrap Ray's function that starts a program: a raylet gets agents that do nothing."""

    def start_with_idle_agents(command: list[str], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - ray's
        options_of = dict(word.split("=", 1) for word in command if word.startswith("--") and "=" in word)
        if options_of.keys() >= {*AGENTS, SESSION, NODE}:
            _leave_ports(options_of[SESSION], options_of[NODE])
            command = [with_idle_agent(word) for word in command]
        return start(command, *arguments, **options)

    return start_with_idle_agents


def _leave_ports(session: str, node: str) -> None:
    """Write the files that a raylet waits for, in the folder of a session, as agents do that do not listen."""
    from ray import _raylet

    write = getattr(_raylet, WRITER)
    for name in PORTS:
        write(session, node, getattr(_raylet, name), NO_PORT)


def with_idle_agent(word: str) -> str:
    """A word of a raylet's command; where it says how an agent is started, `IDLE_AGENT` in its place."""
    name, _, _ = word.partition("=")
    if name not in AGENTS:
        return word
    return f"{name}={subprocess.list2cmdline([sys.executable, '-I', '-S', str(IDLE_AGENT)])}"
