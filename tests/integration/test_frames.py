"""A frame, and a desk's table by its mapping, on Ray: the bytes that one process gives."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

import sweep
from feed.synthetic import generate
from tests.support import ROOT
from tests.support.desk import write_desk

pytestmark = pytest.mark.cluster

ASKED = {
    "order": {"size": 500},
    "grid": {"lambda_under": 0.02, "theta_queue": [0, 0.01]},
    "quotes": {"zone": "America/New_York"},
}


def answer(result):
    """The document without how the run went."""
    return json.dumps({name: each for name, each in result.document.items() if name != "run"}, sort_keys=True)


def test_a_frame_is_swept_on_ray_as_in_one_process(tmp_path, home, monkeypatch):
    # the home of the other tests that start Ray in this process, which keeps the token that it has read first
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_desk(generate(seed=1, seconds=60, venues=3, levels=1), tmp_path / "desk.csv")
    frame = pd.read_csv(tmp_path / "desk.csv")
    inline = sweep.run(source=frame, executor="inline", **ASKED)
    on_ray = sweep.run(source=frame, executor="ray", workers=1, **ASKED)
    assert on_ray.document["run"]["executor"] == "ray"
    assert answer(on_ray) == answer(inline)
