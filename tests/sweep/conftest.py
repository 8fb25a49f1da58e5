"""What tests of a whole sweep share: a small stream."""

import pytest

from feed import synthetic


@pytest.fixture(scope="session")
def stream(tmp_path_factory):
    """A synthetic minute, as a file."""
    path = tmp_path_factory.mktemp("stream") / "synth.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=10.0, levels=3), path)
    return path
