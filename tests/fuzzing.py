"""`python -m fuzz.run` as tests call it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEAST = 100
"""Inputs beside the seeds: far fewer than there are, and none would be a test that does nothing."""

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python or machine"
)


def attacked(*arguments):
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
