#!/usr/bin/env bash
# What has to be there before ray.init returns? A worker process for each core of the machine that it was given, whether
# or not anything will run. (The first guess was a worker for each of num_cpus, also beyond the cores; it is not.)
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
mkdir "$scratch/home"
cd "$scratch"
HOME="$scratch/home" RAY_USAGE_STATS_ENABLED=0 RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0 "$scratch/venv/bin/python" - <<'PYTHON'
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import ray

print("guess:     ray.init returns once the node is up; worker processes start when there are tasks")


def idle_below(pid):
    """Worker processes without a task among the descendants of a process."""
    parents, commands = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(entry.name)] = (entry / "cmdline").read_bytes()
        except OSError:
            continue
    below = {pid}
    while found := {child for child, parent in parents.items() if parent in below} - below:
        below |= found
    return sum(commands[each].startswith(b"ray::IDLE") for each in below)


def start(cpus):
    """Seconds of a start, and the workers that are there when it returns."""
    began = time.perf_counter()
    ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=os.getcwd())
    taken, workers = time.perf_counter() - began, idle_below(os.getpid())
    ray.shutdown()
    return taken, workers


start(1)  # files are read for the first time
one, many = start(1), start(8)
cores = len(os.sched_getaffinity(0))
print("behaviour: it returns when a worker for each CPU given, up to the cores there are, has started; no task was submitted")
print(f"output:    num_cpus=1: {one[1]} worker, {one[0]:.1f} s; num_cpus=8: {many[1]} workers, {many[0]:.1f} s "
      f"({cores} cores here)")
same = one[1] == 1 and many[1] >= min(8, cores)
print(f"versions:  ray {version('ray')}")
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: it does not wait for them now")
print("for us:    name the workers that a short sweep needs; a CPU that has nothing to do costs its start all the same")
PYTHON
