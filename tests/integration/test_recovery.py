"""What is lost on Ray while its nodes stand: worker processes that are killed, and tasks that end their own."""

import base64
import json
import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from feed import synthetic
from feed.instants import format_instant
from sweep import tasks
from sweep.chunks import ATTEMPTS
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.errors import WorkersLost
from sweep.executors.contract import Lost
from sweep.executors.on_ray import health, processes
from sweep.executors.on_ray.executor import OnRay
from sweep.executors.on_ray.worker import CRASHES
from sweep.progress import Silent
from sweep.sink import COLUMNS
from sweep.tapes import session
from tests.support import ROOT
from tests.support.cluster.failing import ends_its_process, ends_when_large, name_of, pid_then_wait, raises
from tests.support.conformance import taking

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def executor(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))  # the kernels'
        patch.setenv("HOME", str(home))
        patch.setenv("PYTHONPATH", str(ROOT))
        with OnRay("local", 2) as executor:
            yield executor


def kill_first(folder, seconds=90.0):
    """Kill the process whose number is the name of the first file in a folder, and say which."""
    deadline = time.monotonic() + seconds
    while not (entries := sorted(folder.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = int(entries[0].name)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_call_whose_worker_is_killed_runs_again(executor, tmp_path):
    waiting = executor.call(pid_then_wait, tmp_path, 1.0)
    killed = kill_first(tmp_path)
    assert executor.get(waiting, timeout=90) != killed
    assert len(list(tmp_path.iterdir())) == 2


def test_an_item_whose_worker_is_killed_is_handed_back(executor, tmp_path, capfd):
    answers = []
    stream = executor.stream(ends_its_process, (), taking((n,) for n in (1, -1, 2, -1, 3)))
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
        lambda executor, folder: list(executor.stream(raises, (), taking([(folder,)]))),
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

    def take():
        return again.pop() if again else None

    done, alone = [], []
    for (first, past), answer in executor.stream(ends_when_large, (5,), take):
        if not isinstance(answer, Lost):
            done += range(first, past)
        elif past - first == 1:
            alone.append(first)
        else:
            middle = (first + past) // 2
            again.extend([(first, middle), (middle, past)])
    assert sorted(done) == [0, 1, 2, 3, 4, 6, 7]
    assert alone == [5]


def test_a_task_of_a_stream_is_called_by_its_run_and_chunk(executor):
    answers = executor.stream(name_of, (), taking([(7,)]), lambda item: f"0123456789abcdef chunk 0/0/{item[0]}")
    assert list(answers) == [((7,), "0123456789abcdef chunk 0/0/7")]


@pytest.mark.usefixtures("executor")
def test_an_instance_of_our_own_has_the_settings_that_notice_a_loss():
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in processes.descendants(os.getpid())]
    messages = [
        json.loads(base64.b64decode(word.partition(b"=")[2]))
        for words in commands
        if words[0].endswith(b"gcs_server")
        for word in words
        if word.startswith(b"--config_list=")
    ]
    assert messages
    for given in messages:
        assert {name: given[name] for name in health.SETTINGS} == health.SETTINGS


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A synthetic minute, as a file, and what is asked of it."""
    path = tmp_path_factory.mktemp("stream") / "synth.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=10.0), path)
    start, end = synthetic.window(60.0)
    window = {"start": format_instant(start), "end": format_instant(end)}
    return {"source": str(path), "window": window, "order": {"size": 2000}, "collapse": False}


class Listening(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def swept(executor, keys, monkeypatch):
    """Run a sweep of 27 combinations on the executor of this module, by another task for its chunks."""

    def sweep(run_chunk):
        with monkeypatch.context() as patch:
            patch.setattr(session, "open_executor", lambda _: nullcontext(executor))
            patch.setattr(tasks, "run_chunk", run_chunk)
            listening = Listening()
            return run(build_config(keys), listening), listening.lines

    return sweep


@pytest.fixture(scope="module")
def whole(keys):
    return run(build_config({**keys, "executor": "inline"})).table


def test_a_sweep_whose_worker_is_killed_once_has_every_row(swept, whole, tmp_path):
    original, mark = tasks.run_chunk, tmp_path / "killed"

    def killed_once(book, job, chunk):
        if chunk.first <= 5 < chunk.past and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        return original(book, job, chunk)

    result, lines = swept(killed_once)
    assert result.failures == ()
    assert result.table.tobytes() == whole.tobytes()
    assert len([line for line in lines if " lost: the worker process that ran it ended" in line]) == 1


def test_a_combination_that_kills_its_worker_is_reported_and_the_others_go_on(swept, whole):
    original = tasks.run_chunk

    def kills(book, job, chunk):
        if chunk.first <= 5 < chunk.past:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        return original(book, job, chunk)

    result, lines = swept(kills)
    ((combination, message),) = ((failure.combination, failure.message) for failure in result.failures)
    assert combination == 5
    assert message.startswith("WorkersLost: the worker process that ran it ended")
    (reported,) = result.document["failed"]
    assert reported["parameters"] == {"lambda_over": 0.0, "lambda_under": 0.03, "theta_queue": 0.02}
    assert result.table.tobytes() == whole[whole[:, COLUMNS.index("combination")] != 5].tobytes()
    assert len([line for line in lines if ", chunk 0/0/5-5 lost: " in line]) == 1 + ATTEMPTS
