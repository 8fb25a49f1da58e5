"""`python -m tests.fuzz.run` as tests call it."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.support import ROOT

LEAST = 100
"""Inputs beside the seeds: far fewer than there are, and none would be a test that does nothing."""

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python or machine"
)


def attacked(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
