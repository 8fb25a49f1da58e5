import pytest
from conformance import ExecutorContract

from sweep.config import build_config
from sweep.errors import ConfigError
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


def test_inline_has_one_worker():
    with pytest.raises(ConfigError, match="the inline executor has one"):
        open_executor(build_config({"executor": "inline", "workers": 2}))
    open_executor(build_config({"executor": "inline", "workers": 1}))
