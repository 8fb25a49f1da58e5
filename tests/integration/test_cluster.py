"""A cluster as `ray up` makes one, on this machine: a head without CPUs, which the driver is on, and workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import count

import pytest

from feed.signals import Terminated, terminate
from sweep.environment import stamp
from sweep.errors import WorkersLost
from sweep.executors.contract import Lost
from sweep.executors.on_ray import executor as onray
from sweep.executors.on_ray import health, processes
from sweep.executors.on_ray.executor import OnRay
from sweep.executors.on_ray.versions import NodeDiffers
from tests.support.cluster.failing import ends_when_large, held_total, node_of, nothing, waits
from tests.support.cluster.raylets import cluster
from tests.support.conformance import ExecutorContract, double, make_column, taking

pytestmark = pytest.mark.cluster

__all__ = ["cluster"]


@pytest.fixture
def joined(cluster):
    assert cluster.address == os.environ["RAY_ADDRESS"]
    with OnRay("auto", None) as executor:
        yield executor


@pytest.fixture(scope="class", params=["on the head", "from outside"])
def executor(cluster, request):
    """A driver on the head, and one that is on no node, as on a laptop."""
    with OnRay("auto" if request.param == "on the head" else cluster.client, None) as executor:
        yield executor


class TestJoined(ExecutorContract):
    pass


def test_a_client_whose_process_on_the_cluster_crashed_at_its_start_asks_again(cluster, monkeypatch):
    import ray
    from ray.util.client import worker as client

    asked, original = [], ray.init

    def crashing(**options):
        asked.append(options)
        if len(asked) < 3:
            raise ConnectionAbortedError("Initialization failure from server:\nStarting Ray client server failed.")
        return original(**options)

    monkeypatch.setattr(ray, "init", crashing)
    with OnRay(cluster.client, None) as executor:
        assert executor.get(executor.call(double, 21)) == 42
    monkeypatch.setattr(onray, "CLIENT_ATTEMPTS", 2)
    asked.clear()
    with pytest.raises(WorkersLost, match="Starting Ray client server failed"), OnRay(cluster.client, None):
        pass
    monkeypatch.undo()
    # Ray's client waits 5, 10 and 15 s
    for seconds in ("INITIAL_TIMEOUT_SEC", "MAX_TIMEOUT_SEC"):
        monkeypatch.setattr(client, seconds, 1)
    with pytest.raises(WorkersLost, match="did not start or answer"), OnRay("ray://127.0.0.1:9", None):
        pass
    with OnRay("auto", None) as executor:
        assert executor.get(executor.call(double, 21)) == 42


def test_where_a_call_runs(joined, cluster):
    other = cluster.add()
    try:
        on_the_head = {joined.get(joined.call(node_of, 0.0, where="driver"), timeout=60) for _ in range(3)}
        assert on_the_head == {cluster.head.node_id}
        spread = [joined.call(node_of, 1.0, where="spread") for _ in range(2)]
        assert len({joined.get(each, timeout=60) for each in spread} - on_the_head) == 2
    finally:
        cluster.remove(other)


def test_no_more_run_on_the_drivers_node_than_it_has_cpus(joined):
    began = time.monotonic()
    waiting = [joined.call(waits, 0.5, where="driver") for _ in range(4 * os.cpu_count())]
    for each in waiting:
        joined.get(each, timeout=60)
    assert time.monotonic() - began > 4 * 0.5


def test_the_window_and_the_chunks_follow_the_cluster(joined, monkeypatch):
    """What waits is what an autoscaler sees."""
    import ray

    assert joined.workers == OnRay.LEAST_ON_A_CLUSTER, "for as long as there are fewer"
    made, cpus = [], {"CPU": 1.0}
    monkeypatch.setattr(ray, "cluster_resources", lambda: cpus)
    stream = joined.stream(nothing, (), taking((made.append(n) or n,) for n in count()))
    next(stream)
    assert len(made) <= 4 * OnRay.LEAST_ON_A_CLUSTER + 1
    cpus["CPU"] = 100.0
    deadline = time.monotonic() + 60
    answered = 1
    while len(made) - answered < 4 * 100 - 1:
        assert time.monotonic() < deadline
        next(stream)
        answered += 1
    assert joined.workers == 100
    stream.close()


@pytest.fixture
def other(cluster, joined):
    """One more worker, and a place of calls that is this worker's for as long as it is there."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = cluster.add()
    joined._places["other"] = {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.node_id, soft=True)}
    yield node
    if node.any_processes_alive():
        cluster.remove(node)


def run_all(executor, column, folder, node, lose):
    """Sum the column with each of twelve numbers, lose a node that runs one: answers, seconds since."""
    answers, lost_at = [], None
    for (number, _), answer in executor.stream(held_total, (column,), taking((n, folder) for n in range(12))):
        answers.append((number, answer))
        if len(answers) == 2:
            deadline = time.monotonic() + 60
            while node.node_id not in {each.read_text() for each in folder.glob("[0-9]*")}:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            lose()
            lost_at = time.monotonic()
            (folder / "go").touch()
    return sorted(answers), time.monotonic() - lost_at


def test_a_node_that_is_lost_costs_neither_an_item_nor_an_attempt(joined, cluster, other, tmp_path):
    """What ran on it runs again, and the column that it alone held is made again."""
    column = joined.call(make_column, 200_000, where="other")
    assert joined.get(joined.call(node_of, 0.0, where="other"), timeout=60) == other.node_id
    answers, _ = run_all(joined, column, tmp_path, other, lambda: cluster.remove(other))
    assert answers == [(n, sum(range(200_000)) + n) for n in range(12)]
    assert joined.again >= 1


STRANGER = """
import ray

ray.init(address="auto", log_to_driver=False, logging_level="ERROR")

@ray.remote(max_retries=0)
def crash():
    import os

    os._exit(1)

for _ in range(3):
    try:
        ray.get(crash.remote())
    except ray.exceptions.WorkerCrashedError:
        pass
"""


def test_worker_processes_that_another_job_ends_are_not_ours(joined):
    seen = health.Workers(None)
    before = seen.ended()
    subprocess.run([sys.executable, "-c", STRANGER], check=True, capture_output=True, timeout=100)
    assert seen.ended() == before
    deadline = time.monotonic() + 90
    while not seen.ended().keys() - before.keys():  # ours, once the other job is some seconds ago
        assert time.monotonic() < deadline
        ((_, lost),) = joined.stream(ends_when_large, (), taking([(1, 0, 2)]))
        assert isinstance(lost, Lost)


def test_a_node_that_is_silent_is_given_up_within_seconds(joined, other, tmp_path):
    """Stopped, it answers as little as one without power or cable; its connections stay."""
    column = joined.call(make_column, 200_000, where="other")
    joined.get(joined.call(node_of, 0.0, where="other"), timeout=60)
    raylet = other.all_processes["raylet"][0].process.pid

    stopped = []

    def stop():
        stopped.extend(processes.descendants(raylet))
        for pid in (raylet, *stopped):
            os.kill(pid, signal.SIGSTOP)

    try:
        answers, seconds = run_all(joined, column, tmp_path, other, stop)
    finally:
        for pid in stopped:  # they would not see the raylet's end
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert answers == [(n, sum(range(200_000)) + n) for n in range(12)]
    assert joined.again >= 1
    assert seconds < 45  # by Ray's own settings, until somebody lets it go on


def test_a_task_longer_than_a_sign_of_life_is_awaited_by_a_driver_that_set_nothing(joined):
    """Keepalive settings that are not the same on both sides would end the connection after some 20 s."""
    assert not [name for name in os.environ if name.startswith(("RAY_health_check", "RAY_grpc_client"))]
    assert list(joined.stream(waits, (), taking([(25.0,)]))) == [((25.0,), None)]


@pytest.mark.usefixtures("cluster")
def test_a_worker_of_another_version_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(onray, "stamp", lambda: {**stamp(), "numpy": "1.0"})
    with OnRay("auto", None) as executor:
        for start in (
            lambda: executor.get(executor.call(double, 1)),
            lambda: list(executor.stream(double, (), taking([(1,)]))),
        ):
            with pytest.raises(NodeDiffers, match=r"^node [\d.]+ differs from the driver: numpy \S+ instead of 1\.0;"):
                start()


DRIVER = """
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from sweep.executors.on_ray.executor import OnRay
from sweep.tasks import warm

with OnRay("auto", None) as executor:
    executor._places["other"] = {"scheduling_strategy": NodeAffinitySchedulingStrategy("NODE", soft=False)}
    executor.get(executor.call(warm, where="other"), timeout=60)
"""


def test_a_worker_that_cannot_import_the_project_is_refused_by_name(cluster, tmp_path, monkeypatch):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "__init__.py").write_text("raise ImportError('an older layout')\n")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        node = cluster.add()
    try:
        # a driver in a folder of its own: Ray puts the driver's before the paths of a worker
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        driver = elsewhere / "driver.py"
        driver.write_text(DRIVER.replace("NODE", node.node_id))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ran = subprocess.run(
            [sys.executable, driver],
            capture_output=True,
            text=True,
            env=environment,
            cwd=elsewhere,
            timeout=100,
            check=False,
        )
    finally:
        cluster.remove(node)
    assert ran.returncode == 1, ran.stdout
    last_line = ran.stderr.splitlines()[-1]
    assert last_line.startswith("sweep.executors.on_ray.versions.NodeDiffers: node "), ran.stderr
    assert "sor-sweep that cannot be imported (an older layout) instead of 0.1.0 (sources " in last_line


@pytest.mark.parametrize(
    "wait",
    [lambda ray: list(ray.stream(waits, (), taking([(60.0,)]))), lambda ray: ray.get(ray.call(waits, 60.0))],
    ids=["stream", "get"],
)
@pytest.mark.usefixtures("cluster")
def test_a_sigterm_while_ray_waits_is_a_sigterm(wait):
    before = signal.signal(signal.SIGTERM, terminate)
    later = threading.Timer(2.5, os.kill, (os.getpid(), signal.SIGTERM))
    try:
        with pytest.raises(Terminated) as error, OnRay("auto", None) as executor:  # noqa: PT012 - it waits inside
            later.start()
            try:
                wait(executor)
            except BaseException as inner:
                inner.add_note("what is stored")
                raise
        assert error.value.__notes__ == ["what is stored"]
        assert signal.getsignal(signal.SIGTERM) is terminate
    finally:
        later.cancel()
        signal.signal(signal.SIGTERM, before)
