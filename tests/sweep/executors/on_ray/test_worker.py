"""What surrounds a task, without Ray: its places are made up."""

import platform

import pytest

from sweep.environment import node_name, stamp
from sweep.errors import WorkersLost
from sweep.executors.on_ray import worker
from sweep.executors.on_ray.versions import NodeDiffers
from sweep.executors.on_ray.worker import CRASHES, wrap_task


@pytest.fixture
def marks(tmp_path, monkeypatch):
    path = tmp_path / "sor-sweep" / "task"
    monkeypatch.setattr(worker, "_mark_file", lambda: path)
    monkeypatch.setattr(worker, "_node_address", lambda: "10.0.0.5")
    return path


def double(number):
    return 2 * number


def test_a_task_is_called_as_its_function_and_does_what_it_does(marks):
    for counted in (False, True):
        task = wrap_task(double, stamp(), counted=counted)
        assert (task.__name__, task(21)) == ("double", 42)
    assert not marks.exists()


def test_a_task_knows_what_its_node_is_called_and_nothing_after_it_does(marks, monkeypatch):
    monkeypatch.setattr(worker, "_node_label", lambda: "10.0.0.5/abcdef")
    for counted in (False, True):
        assert wrap_task(node_name, stamp(), counted=counted)() == "10.0.0.5/abcdef"
    assert node_name() == platform.node()


def test_nothing_runs_on_a_node_that_differs(marks):
    ran = []
    task = wrap_task(ran.append, {**stamp(), "numpy": "1.0"}, counted=False)
    with pytest.raises(NodeDiffers, match=r"node 10\.0\.0\.5 differs from the driver: numpy .* instead of 1\.0;"):
        task(1)
    assert ran == []


def test_a_task_that_ended_so_many_processes_does_not_run_again(marks):
    marks.parent.mkdir()
    marks.write_bytes(b"." * CRASHES)
    ran = []

    def grows(number):
        ran.append(number)

    task = wrap_task(grows, stamp(), counted=True)
    with pytest.raises(WorkersLost, match=rf"^grows ended {CRASHES} worker processes of node 10\.0\.0\.5, one after"):
        task(1)
    assert (ran, marks.exists()) == ([], False)
    task(2)
    assert ran == [2], "its count begins anew"


def test_the_mark_is_there_while_a_task_runs_and_gone_when_it_raises(marks):
    seen = []

    def raises():
        seen.append(marks.read_bytes())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wrap_task(raises, stamp(), counted=True)()
    assert seen == [b"."]
    assert not marks.exists()
