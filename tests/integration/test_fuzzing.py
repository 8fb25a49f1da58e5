"""The fuzzers run: a target of the readers' Python, one of a compiled reader. `make soak` runs each for longer."""

import pytest

from tests.support.fuzzing import LEAST, attacked, needs_atheris

pytestmark = [pytest.mark.command, needs_atheris]


@pytest.mark.parametrize(("name", "least_seconds"), [("json", 1), ("plain", 8)])
def test_nothing_is_found_in_seconds(name, least_seconds, tmp_path):
    for seconds in (least_seconds, 60):  # as many as a busy machine needs for enough inputs
        done = attacked(name, "--seconds", seconds, "--findings", tmp_path / f"found-{seconds}", "--least", LEAST)
        if f"{name}: too little was tried" not in done.stdout:
            break
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    target, inputs, *_, findings = done.stdout.splitlines()[-1].split()
    assert (target, findings) == (name, "0")
    assert int(inputs) > LEAST


def test_too_few_inputs_are_a_failure(tmp_path):
    done = attacked("end", "--seconds", 1, "--findings", tmp_path, "--least", 10**9)
    assert done.returncode == 1
    assert "end: too little was tried" in done.stdout
