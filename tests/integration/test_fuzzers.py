"""Each target of the fuzzers under atheris for some seconds, a minute in all: enough is tried, and nothing is found."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
LEAST = 100
"""Inputs beside the seeds: far fewer than there are, and none would be a test that does nothing."""

pytestmark = [
    pytest.mark.command,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python or machine"
    ),
]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fuzz.run", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "tests", "tests/feed"])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name, tmp_path):
    done = run(name, "--seconds", SECONDS / len(TARGETS), "--findings", tmp_path / "found", "--least", LEAST)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    assert [path.name for path in (tmp_path / "found").iterdir()] == []
    target, inputs, *_, findings = done.stdout.splitlines()[-1].split()
    assert (target, findings) == (name, "0")
    assert int(inputs) > LEAST


def test_too_few_inputs_are_a_failure(tmp_path):
    done = run("end", "--seconds", 1, "--findings", tmp_path, "--least", 10**9)
    assert done.returncode == 1
    assert "end: too little was tried" in done.stdout
