"""Ray that ends, or whose workers only end: told within seconds here, within a minute by default, and resumable."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from feed import synthetic
from feed.instants import format_instant
from sweep.errors import WorkersLost
from sweep.executors.contract import Lost
from sweep.executors.on_ray import health, processes
from sweep.executors.on_ray.executor import OnRay
from sweep.executors.on_ray.losses import LOGS
from tests.support import ROOT
from tests.support.cluster.failing import waits
from tests.support.conformance import taking
from tests.support.runlogs import log_of

pytestmark = pytest.mark.cluster

START, END = map(format_instant, synthetic.window(60.0))


@pytest.fixture
def impatient(home, monkeypatch):
    """A Ray of one worker that is given up after five seconds."""
    monkeypatch.setattr(health, "PATIENCE", 5.0)
    monkeypatch.setattr(health, "DEATHS", 1)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return OnRay("local", 1)


def test_tasks_that_ray_ends_for_memory_before_their_first_line_are_told_of(impatient, monkeypatch):
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")  # as where other processes of the host hold the memory
    with impatient as executor:
        with pytest.raises(WorkersLost, match=r"ended within .* s .*: their node is short of memory") as error:
            executor.get(executor.call(waits, 60), timeout=50)
        assert str(error.value).endswith(LOGS)
        assert error.value.exit_code == 3
        monkeypatch.setattr(health, "PATIENCE", 60.0)  # an item's own loss is told of however slow the machine is
        (_, lost) = next(executor.stream(waits, (), taking([(60,)])))
        assert isinstance(lost, Lost)
        assert lost.why.startswith("its node was short of memory")


def test_workers_that_something_ends_each_time_as_they_begin_are_a_standstill(impatient):
    ending = threading.Event()

    def kill(workers):
        while not ending.wait(0.15):
            for pid in workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    with impatient as executor:
        killing = threading.Thread(target=kill, args=(executor._processes._now,))
        killing.start()
        try:
            with pytest.raises(WorkersLost, match="and nothing was done meanwhile"):
                list(executor.stream(waits, (), taking((60,) for _ in range(100))))
        finally:
            ending.set()
            killing.join()


def run(home, *words):
    command = [sys.executable, "-m", "sweep", *map(str, words)]
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


SMALL = {
    "mount -t tmpfs -o size=64k tmpfs {place} && head -c 65536 /dev/zero > {place}/full; export TMPDIR={place}; ": (
        "error: address local: Ray's files have no room in {place} (0 KB are left); "
    ),
    "mount -t tmpfs tmpfs /sys/fs/cgroup && echo 419430400 > /sys/fs/cgroup/memory.max; ": (
        "error: address local: Ray's servers, a worker and this process take about 500 MB of memory, and here are "
        "400 MB; "
    ),
    "ulimit -v 3000000; ": "error: address local: a process may have 2929 MB of addresses here, ",
}
"""What makes a machine too small for Ray, and what is said then; a container has the memory of its control group."""


@pytest.mark.parametrize("small", SMALL)
def test_a_machine_without_room_for_ray_is_one_line_at_once(small, home, tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a file system of its own needs root and unshare")
    place = tmp_path / "place"
    place.mkdir()
    path = tmp_path / "minute.csv"
    synthetic.write_csv(synthetic.generate(seconds=1.0, warmup=1.0), path)
    words = [sys.executable, "-m", "sweep", f"source={path}", "--output", tmp_path / "out"]
    script = small.format(place=place) + 'exec "$@"'
    ran = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, "bash", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home)},
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    (error,) = ran.stderr.splitlines()
    assert error.startswith(SMALL[small].format(place=place))
    assert error.endswith("or use executor=inline")


@pytest.mark.parametrize("server", ["raylet", "GCS"])
def test_a_server_of_ray_that_is_killed_is_one_line_and_the_run_is_resumed(server, home, tmp_path):
    path = tmp_path / "minute.csv"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=10.0), path)
    words = [
        f"source={path}", f"window.start={START}", f"window.end={END}", "policy=pseudocode", "order.size=500000",
        "collapse=false", "grid.lambda_under={start: 0, stop: 0.09, num: 40}",
        "grid.theta_queue={start: 0, stop: 0.02, num: 30}",
    ]  # fmt: skip
    with run(home, *words, "workers=1", "--output", tmp_path) as process:
        deadline = time.monotonic() + 60
        while not (
            stored := [at.parent for at in tmp_path.glob("runs/*/log.jsonl") if "chunk" in str(log_of(at.parent))]
        ):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        servers = health.servers(processes.descendants(process.pid))
        os.kill(next(pid for pid, name in servers.items() if name == server), signal.SIGKILL)
        killed = time.monotonic()
        out, stderr = process.communicate(timeout=60)
    assert time.monotonic() - killed < 40
    assert (process.returncode, out) == (3, ""), stderr
    assert "Traceback" not in stderr
    *_, error, note = stderr.splitlines()
    assert error.startswith(f"error: Ray's {server} ended while the sweep ran")
    assert f"combinations are stored; python -m sweep resume {stored[0]} does the rest" in note
    with run(home, "resume", stored[0], "executor=inline") as process:
        out, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert json.loads(out)["failed"] == []
