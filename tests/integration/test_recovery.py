"""What is lost on Ray while its nodes stand: worker processes that are killed, and tasks that end their own."""

import os
import signal
import time
from pathlib import Path

import pytest
from failing import ends_its_process, ends_when_large, pid_then_wait, raises

from sweep.errors import WorkersLost
from sweep.executors import Lost
from sweep.onray import OnRay
from sweep.onworker import CRASHES

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "integration")])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A HOME of our own: Ray writes its token there."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def executor(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("PYTHONPATH", PATHS)
        with OnRay("local", 2) as executor:
            yield executor


def kill_first(folder, seconds=30.0):
    """Kill the process whose number is the name of the first file in a folder, and say which."""
    deadline = time.monotonic() + seconds
    while not (found := sorted(folder.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = int(found[0].name)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_call_whose_worker_is_killed_runs_again(executor, tmp_path):
    waiting = executor.call(pid_then_wait, tmp_path, 1.0)
    killed = kill_first(tmp_path)
    assert executor.get(waiting, timeout=30) != killed
    assert len(list(tmp_path.iterdir())) == 2


def test_an_item_whose_worker_is_killed_is_handed_back(executor, tmp_path, capfd):
    answers = []
    stream = executor.stream(ends_its_process, (), [(n,) for n in (1, -1, 2, -1, 3)])
    answers = [(number, answer) for (number,), answer in stream]
    assert sorted(answer for number, answer in answers if number > 0) == [1, 2, 3]
    lost = [answer for number, answer in answers if number < 0]
    assert len(lost) == 2
    assert all(isinstance(each, Lost) and "the worker process that ran it ended" in each.why for each in lost)
    time.sleep(1.0)  # Ray tells of it a moment later
    assert capfd.readouterr() == ("", "")


def test_a_call_that_ends_every_process_is_given_up(executor):
    with pytest.raises(WorkersLost, match=rf"^ends_its_process ended {CRASHES} worker processes of node [\d.]+, one"):
        executor.get(executor.call(ends_its_process, -1), timeout=60)


@pytest.mark.parametrize(
    "run",
    [
        lambda executor, folder: executor.get(executor.call(raises, folder)),
        lambda executor, folder: list(executor.stream(raises, (), [(folder,)])),
    ],
    ids=["call", "stream"],
)
def test_what_raises_runs_once(executor, tmp_path, run):
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(executor, tmp_path)
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_lost_item_is_made_of_can_be_put_back(executor):
    """As the driver does: halves, until what ends its process is alone."""
    again = [(0, 8)]

    class Items:
        def __iter__(self):
            return self

        def __next__(self):
            if not again:
                raise StopIteration
            return again.pop()

    done, alone = [], []
    for (first, past), answer in executor.stream(ends_when_large, (5,), Items()):
        if not isinstance(answer, Lost):
            done += range(first, past)
        elif past - first == 1:
            alone.append(first)
        else:
            middle = (first + past) // 2
            again.extend([(first, middle), (middle, past)])
    assert sorted(done) == [0, 1, 2, 3, 4, 6, 7]
    assert alone == [5]
