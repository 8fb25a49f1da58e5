import json
import subprocess
import sys

import pytest

from tests.support import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.kafka, pytest.mark.cluster]


def test_every_benchmark_runs_and_its_guard_holds():
    """Quickly, for what it calls changes under it; results.json is that of the last run."""
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((ROOT / "benchmarks" / "results.json").read_text())
