"""Drivers that are killed at any moment, fifty times: what is resumed ends with the bytes of a run left alone."""

import os
import signal
import subprocess
import sys
import time
from random import Random

import pytest

from feed import synthetic
from tests.support import ROOT

KILLS = 50
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
GRID = [
    "policy=pseudocode",
    "order.size=500000",
    "collapse=false",
    "grid.lambda_under={start: 0, stop: 0.09, num: 70}",
    "grid.theta_queue={start: 0, stop: 0.02, num: 70}",
]

pytestmark = [pytest.mark.command, pytest.mark.cluster, pytest.mark.soak]


EXECUTORS = {"inline": ["executor=inline"], "ray": ["executor=ray", "workers=2"]}
ENDED = {0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130, 143}
"""How a driver may end: done just before the signal, by it as the interpreter begins, or in order."""


def begin(environment, folder, words):
    """Start the run of a folder, or resume it where there is one."""
    manifest = manifest_in(folder)
    asked = ["resume", manifest.parent] if manifest else [*words, "--output", folder]
    command = [sys.executable, "-m", "sweep", *map(str, asked)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


def manifest_in(folder):
    return next(iter((folder / "runs").glob("*/manifest.json")), None)


def table_of(environment, folder, words):
    """Let the run of a folder end; its table."""
    process = begin(environment, folder, words)
    _, err = process.communicate(timeout=170)
    assert process.returncode == 0, err
    return manifest_in(folder).with_name("results.parquet").read_bytes()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_whenever_a_driver_dies_the_run_ends_with_the_same_bytes(executor, tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path)}  # Ray writes its token there
    file = tmp_path / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(), file)
    words = [f"source={file}", *GRID, *EXECUTORS[executor]]
    began = time.monotonic()
    whole = table_of(environment, tmp_path / "whole", words)
    longest = time.monotonic() - began
    rng = Random(11)
    killed = runs = 0
    while killed < KILLS:
        runs += 1
        folder = tmp_path / f"run-{runs}"
        for _ in range(5):
            process = begin(environment, folder, words)
            time.sleep(rng.uniform(0, longest))
            if process.poll() is None:
                process.send_signal(rng.choice(SIGNALS))
                killed += 1
            _, err = process.communicate(timeout=60)
            assert process.returncode in ENDED, err
        assert table_of(environment, folder, words) == whole, f"run {runs}, after {killed} kills"
    print(f"{executor}: {killed} kills over {runs} runs, each with the same bytes in the end")
