"""Folders that fill up, and Ray without its agents: one line, and what is stored is resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from feed import synthetic
from sweep.executors.on_ray import health, processes
from tests.support import ROOT
from tests.support.runlogs import log_of

GRID = [
    "policy=pseudocode", "order.size=500000", "collapse=false",
    "grid.lambda_under={start: 0, stop: 0.09, num: 150}", "grid.theta_queue={start: 0, stop: 0.02, num: 150}",
]  # fmt: skip
FULL = 'mount -t tmpfs -o size={size} tmpfs {place} && {fill} export TMPDIR={place}; exec "$@"'
SECONDS = 90
"""After which a fault may leave no command without an end."""

pytestmark = [
    pytest.mark.command,
    pytest.mark.cluster,
    pytest.mark.soak,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("unshare"), reason="a file system of its own needs root and unshare"
    ),
]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(), path)
    return path


@pytest.fixture
def started(tmp_path):
    """Start a command whose temporary folder is a file system of its own, of some size."""
    place = Path("/run") / f"sweep-{os.getpid()}"  # short: Ray has sockets in it
    place.mkdir()
    with ExitStack() as ending:

        def start(*words, size, fill=""):
            script = FULL.format(size=size, place=place, fill=fill)
            process = subprocess.Popen(
                ["unshare", "--mount", "bash", "-c", script, "bash", sys.executable, "-m", *map(str, words)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                env={**os.environ, "HOME": str(tmp_path)},
            )  # fmt: skip
            ending.callback(process.wait)
            ending.callback(process.kill)
            return process, Path(f"/proc/{process.pid}/root{place}")

        yield start
    place.rmdir()


def first_chunk(process, folder):
    """Wait until something is stored; the run."""
    deadline = time.monotonic() + 120
    while not (stored := [at.parent for at in folder.glob("runs/*/log.jsonl") if "chunk" in str(log_of(at.parent))]):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return stored[0]


def check_resumed(run, tmp_path):
    words = [sys.executable, "-m", "sweep", "resume", str(run), "executor=inline"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    ran = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["failed"] == []


def test_rays_temporary_folder_that_fills_up_in_the_middle(source, started, tmp_path):
    process, place = started("sweep", f"source={source}", *GRID, "workers=1", "--output", tmp_path, size="40m")
    run = first_chunk(process, tmp_path)
    subprocess.run(["dd", "if=/dev/zero", f"of={place / 'full'}", "bs=4k"], capture_output=True, check=False)
    began = time.monotonic()
    out, stderr = process.communicate(timeout=SECONDS)
    print(f"ended {time.monotonic() - began:.0f} s after the folder was full")
    assert (process.returncode, out) == (3, ""), stderr
    assert "Traceback" not in stderr
    (error,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert "Ray's files have no room in" in error
    assert f"combinations are stored; python -m sweep resume {run} does the rest" in stderr
    check_resumed(run, tmp_path)


@pytest.mark.parametrize("which", [0, 1])
def test_an_agent_of_ray_that_is_killed(which, source, started, tmp_path):
    """Ray's library ends this process some milliseconds later, now and then before a line of ours is written."""
    process, _ = started("sweep", f"source={source}", *GRID, "workers=1", "--output", tmp_path, size="40m")
    run = first_chunk(process, tmp_path)
    servers = health.servers(processes.descendants(process.pid))
    os.kill(sorted(pid for pid, name in servers.items() if name == "agent")[which], signal.SIGKILL)
    out, stderr = process.communicate(timeout=SECONDS)
    print(f"agent {which}: exit {process.returncode}")
    assert process.returncode in {1, 3}, stderr
    assert out == ""
    assert "Traceback" not in stderr
    if process.returncode == 3:
        assert "ended while the sweep ran" in stderr
        assert f"combinations are stored; python -m sweep resume {run} does the rest" in stderr
    check_resumed(run, tmp_path)


def test_commands_that_write_no_temporary_files_work_where_none_can_be_written(source, started, tmp_path):
    full = {"size": "64k", "fill": "head -c 65536 /dev/zero > {place}/full;"}
    full["fill"] = full["fill"].format(place=Path("/run") / f"sweep-{os.getpid()}")
    parquet = tmp_path / "day.parquet"
    for words in (
        ["sweep", f"source={source}", "executor=inline", "--output", tmp_path],
        ["sweep", "executor=inline"],
        ["feed", "check", source],
        ["feed", "convert", source, parquet],
        ["feed", "convert", parquet, tmp_path / "again.csv.zst"],
    ):
        process, _ = started(*words, **full)
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, stderr
    broker, _ = started("feed", "broker", **full)
    topic = broker.stdout.readline().strip()
    for words in (["feed", "replay", source, topic], ["feed", "check", topic]):
        process, _ = started(*words, **full)
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, stderr
