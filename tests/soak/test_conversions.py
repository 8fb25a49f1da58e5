"""A thousand conversions on a busy machine: each ends with 0, none is aborted after its last line."""

import subprocess
import sys

import pytest

from tests.support import ROOT

pytestmark = [pytest.mark.command, pytest.mark.soak]


def test_a_thousand_conversions_end_well():
    command = [sys.executable, "-m", "tests.support.conversions", "--runs", "1000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
