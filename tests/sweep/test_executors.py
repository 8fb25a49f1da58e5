import warnings

import pytest
import ray
from conformance import ExecutorContract

from sweep.config import build_config
from sweep.errors import ConfigError, WorkersLost
from sweep.executors import EXECUTORS, Inline, OnRay, open_executor


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self):
        with Inline() as executor:
            yield executor


def test_every_executor_of_the_configuration_is_in_the_table():
    assert isinstance(open_executor(build_config({"executor": "inline"})), Inline)
    assert isinstance(open_executor(build_config({})), OnRay)
    assert set(EXECUTORS) == {"inline", "ray"}


def test_no_cluster_at_the_address_is_one_line_with_a_remedy(monkeypatch):
    def nobody(**options):
        assert options["address"] == "auto"
        warnings.warn("Ray's own words", stacklevel=1)
        raise ConnectionError("Could not find any running Ray instance.\nAnd more.")

    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(WorkersLost) as error, OnRay("auto", None):
        pass
    assert error.value.exit_code == 2
    assert str(error.value) == (
        "address auto: Ray did not start or answer (Could not find any running Ray instance.); start a cluster with "
        "ray up, or use address=local or executor=inline"
    )


def test_inline_has_one_worker():
    with pytest.raises(ConfigError, match="the inline executor has one"):
        open_executor(build_config({"executor": "inline", "workers": 2}))
    open_executor(build_config({"executor": "inline", "workers": 1}))
