"""Each target of the fuzzers under atheris for some seconds, a minute in all: enough is tried, and nothing is found."""

import pytest

from tests.fuzz.targets import TARGETS
from tests.support.fuzzing import LEAST, attacked, needs_atheris

SECONDS = 60

pytestmark = [pytest.mark.command, pytest.mark.soak, needs_atheris]


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name, tmp_path):
    done = attacked(name, "--seconds", SECONDS / len(TARGETS), "--findings", tmp_path / "found", "--least", LEAST)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    assert [path.name for path in (tmp_path / "found").iterdir()] == []
    target, inputs, *_, findings = done.stdout.splitlines()[-1].split()
    assert (target, findings) == (name, "0")
    assert int(inputs) > LEAST
