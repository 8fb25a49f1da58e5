import os
import subprocess
import sys

import pytest
import ray
from ray import _raylet
from ray._private import ray_constants, services
from ray._private.node import Node

from sweep.executors.on_ray.health import AGENTS as MARKS
from sweep.executors.on_ray.lean_start import (
    AGENTS,
    ASKS,
    IDLE_AGENT,
    NEEDLESS,
    PORTS,
    STARTER,
    UV_RUN,
    WRITER,
    lean,
    with_idle_agent,
)

RAYLET = [
    "/site-packages/ray/raylet", "--node_id=n1", "--session_dir=/tmp/ray/session=1", "--head",
    "--python_worker_command=python worker.py --node-id=n2",
    "--dashboard_agent_command=python agent.py --node-id=n1", "--runtime_env_agent_command=python main.py",
]  # fmt: skip


def test_the_hooks_are_there_in_the_version_that_is_pinned():
    assert ray.__version__ == "2.60.0", "look at what starts with this version, and at NEEDLESS"
    before = {name: vars(Node)[name] for name in NEEDLESS}
    with lean() as leaner:
        assert leaner
        for name in NEEDLESS:
            assert getattr(Node, name)(None, include_dashboard=False) is None
    assert {name: vars(Node)[name] for name in NEEDLESS} == before
    assert all(getattr(_raylet, name).endswith("port") for name in PORTS)


def started(monkeypatch, command):
    """The command that Ray's starter gets within `lean`, and the files left: (session, node, name, port) each."""
    commands, files = [], []
    monkeypatch.setattr(services, STARTER, lambda command, *_, **__: commands.append(command))
    monkeypatch.setattr(_raylet, "persist_port", lambda *file: files.append(file))
    with lean():
        getattr(services, STARTER)(command, "raylet", fate_share=True)
    return commands[0], files


def test_a_raylet_gets_agents_that_do_nothing_and_finds_their_ports(monkeypatch):
    command, files = started(monkeypatch, RAYLET)
    assert [word for word in command if word not in RAYLET] == [with_idle_agent(f"{name}=any") for name in AGENTS]
    assert len(command) == len(RAYLET)
    assert sorted(files) == sorted(("/tmp/ray/session=1", "n1", getattr(_raylet, name), -1) for name in PORTS)  # noqa: S108


@pytest.mark.parametrize("missing", RAYLET[1:3] + RAYLET[-2:])
def test_a_raylet_of_other_options_and_other_programs_start_as_they_are(monkeypatch, missing):
    command = [word for word in RAYLET if word != missing]
    assert started(monkeypatch, command) == (command, [])


def test_below_uv_run_the_workers_are_in_the_environment_of_the_driver():
    before = ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV
    with lean():
        assert ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV is False
    assert ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV is before


@pytest.mark.parametrize("name", [*ASKS, UV_RUN])
def test_where_an_environment_of_the_tasks_is_asked_for_the_agents_are_ray_s(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(ray_constants, UV_RUN, True)
    assert started(monkeypatch, RAYLET) == (RAYLET, [])
    with lean() as leaner:
        assert leaner
        assert ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV is True


@pytest.mark.command
def test_an_idle_agent_is_told_from_a_worker_and_ends_with_its_raylet():
    (word,) = {with_idle_agent(f"{name}=any").partition("=")[2] for name in AGENTS}
    assert any(mark.decode() in word for mark in MARKS)
    command = [sys.executable, "-I", "-S", str(IDLE_AGENT)]
    assert word == subprocess.list2cmdline(command)
    other = os.environ | {"RAY_RAYLET_PID": str(os.getppid())}  # not the parent that it has
    assert subprocess.run(command, env=other, timeout=30, check=False, capture_output=True).returncode == 0
    with subprocess.Popen(command, env=os.environ | {"RAY_RAYLET_PID": str(os.getpid())}) as process:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
        finally:
            process.kill()


def test_they_are_put_back_where_the_start_fails():
    before = {name: vars(Node)[name] for name in NEEDLESS}
    with pytest.raises(OSError, match="no room"), lean():
        raise OSError("no room")
    assert {name: vars(Node)[name] for name in NEEDLESS} == before


@pytest.mark.parametrize(
    ("owner", "missing"),
    [
        *((Node, name) for name in NEEDLESS),
        (services, STARTER),
        (ray_constants, UV_RUN),
        *((_raylet, name) for name in (*PORTS, WRITER)),
    ],
)
def test_a_ray_without_one_of_them_starts_as_usual(monkeypatch, owner, missing):
    monkeypatch.delattr(owner, missing)
    before = dict(vars(owner)), dict(vars(Node))
    with lean() as leaner:
        assert not leaner
        assert (dict(vars(owner)), dict(vars(Node))) == before


def test_a_ray_that_has_no_such_node_starts_as_usual(monkeypatch):
    monkeypatch.delattr("ray._private.node.Node")
    with lean() as leaner:
        assert not leaner
