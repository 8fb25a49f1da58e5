"""A thousand conversions on a busy machine: each ends with 0, none is aborted after its last line."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.command, pytest.mark.soak]


def test_a_thousand_conversions_end_well():
    script = Path(__file__).with_name("conversions.py")
    done = subprocess.run(
        [sys.executable, script, "--runs", "1000"], capture_output=True, text=True, timeout=3500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
