import sys
import warnings

import pytest
import ray
from ray.exceptions import RayTaskError

from feed.signals import Terminated
from sweep.config.loading import build_config
from sweep.errors import ConfigError, NotStarted, WorkersLost
from sweep.executors import registry
from sweep.executors.inline import Inline
from sweep.executors.on_ray import health
from sweep.executors.on_ray.executor import OnRay
from sweep.executors.registry import EXECUTORS, open_executor, surplus_workers_warning, workers_of
from tests.support.conformance import ExecutorContract


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


def test_a_cluster_of_another_version_is_one_line_with_both_versions_and_a_remedy(monkeypatch):
    def refuses(**_):
        raise RuntimeError(
            "Version mismatch: The cluster was started with:\n    Ray: 2.59.0\n    Python: 3.11.9\nThis process on "
            "10.0.0.5 was started with:\n    Ray: 2.60.0\n    Python: 3.11.9\n"
        )

    monkeypatch.setattr(ray, "init", refuses)
    with pytest.raises(WorkersLost) as error, OnRay("auto", None):
        pass
    assert error.value.exit_code == 2
    assert str(error.value) == (
        "address auto: Version mismatch: The cluster was started with: Ray: 2.59.0 Python: 3.11.9 This process on "
        "10.0.0.5 was started with: Ray: 2.60.0 Python: 3.11.9; install the same Ray and Python here and there "
        "(constraints.txt)"
    )


def test_servers_that_took_too_long_are_one_line(monkeypatch):
    def late(**_):
        raise Exception("The current node timed out during startup. This could happen because...")  # noqa: TRY002

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(NotStarted, match=r"did not start or answer \(The current node .*or use executor=inline"):
        OnRay("local", 1).__enter__()


def test_what_is_a_bug_stays_one(monkeypatch):
    def broken(**_):
        raise KeyError("x")

    monkeypatch.setattr(ray, "init", broken)
    with pytest.raises(KeyError):
        OnRay("local", 1).__enter__()


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file", "/proc/.ray"), OSError(30, "Read-only file system")]
)
def test_a_home_that_cannot_be_written_is_one_line(monkeypatch, error):
    def fails(**_):
        raise error

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(WorkersLost, match="Ray did not start"), OnRay("local", 1):
        pass


@pytest.fixture
def enough(monkeypatch):
    """A machine with memory and disk for a Ray of our own, whatever this one has."""
    monkeypatch.setattr(health, "lacking", lambda: None)


def test_a_node_that_does_not_start_in_time_is_one_line(enough, monkeypatch):
    def late(**_):
        raise Exception("The current node timed out during startup. This could happen because")  # noqa: TRY002 - Ray's

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(NotStarted, match=r"address local: Ray did not start or answer \(The current node") as error:
        OnRay("local", 1).__enter__()
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({"memory": 400 * 2**20, "room": 2**30}, "of memory, and here are 400 MB; give this machine or container more"),
        (
            {"memory": 2**34, "space": 2**30, "room": 2**30},
            "may have 1024 MB of addresses here, and Ray's object store",
        ),
        (
            {"memory": 2**34, "space": -1, "room": 40 * 2**10},
            "(40 KB are left); free some, set RAY_TMPDIR to another folder",
        ),
    ],
)
def test_a_machine_that_is_too_small_for_ray_is_told_of_before_it_is_tried(machine, message, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("it was tried"))
    why = health.lacking(**machine)
    assert message in why
    assert why.endswith("or use executor=inline")
    monkeypatch.setattr(health, "lacking", lambda: why)
    with pytest.raises(NotStarted) as error:
        OnRay("local", 1).__enter__()
    assert str(error.value) == f"address local: {why}"
    assert error.value.exit_code == 2


def test_of_a_ray_that_does_not_say_what_there_is_nothing_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray._common.utils", None)
    assert health.lacking(memory=1, space=1, room=1) is None


def test_a_machine_that_fills_up_while_ray_starts_is_told_of(monkeypatch):
    reasons = iter([None, "Ray's files have no room"])

    def late(**_):
        raise RuntimeError("Timed out waiting for file")

    monkeypatch.setattr(health, "lacking", lambda: next(reasons))
    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(NotStarted, match=r"^address local: Ray's files have no room$"):
        OnRay("local", 1).__enter__()


def test_where_nothing_is_done_because_a_disk_is_full_that_is_said(monkeypatch):
    class Dying:
        def ended(self):
            return {}

        def live(self):
            return False

    executor = OnRay("local", 1)
    executor._processes = Dying()
    monkeypatch.setattr(health, "PATIENCE", 0.0)
    monkeypatch.setattr(health, "lacking", lambda: "Ray's files have no room")
    with pytest.raises(WorkersLost, match=r"and nothing was done meanwhile: .*; Ray's files have no room$"):
        executor._check(1)


@pytest.mark.parametrize(
    ("wanted", "cpus", "workers"), [(10**9, 2, 1024), (10**9, 40, 2560), (100, 2, 100), (None, 40, 40)]
)
def test_workers_on_a_cluster_have_a_bound_that_grows_with_it(wanted, cpus, workers, monkeypatch):
    executor = OnRay("auto", wanted)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(cpus)})
    executor._count()
    assert executor.workers == workers


def test_a_server_that_ends_as_soon_as_ray_has_started_is_one_line(enough, monkeypatch):
    """The interrupt that tells of it comes before the with statement is entered."""
    executor = OnRay("local", 1)

    def falls(_):
        executor._ended_server = "agent"
        raise KeyboardInterrupt

    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(executor, "_watch", falls)
    with pytest.raises(WorkersLost, match="Ray's agent ended while the sweep ran") as error:
        executor.__enter__()
    assert error.value.exit_code == 3


def test_a_sigterm_while_ray_starts_is_a_sigterm(monkeypatch):
    def exits(**_):
        raise SystemExit(15)  # what ray's own handler does

    monkeypatch.setattr(ray, "init", exits)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(Terminated), OnRay("local", 1):
        pass


def test_inline_has_one_worker():
    with pytest.raises(ConfigError, match="the inline executor has one"):
        open_executor(build_config({"executor": "inline", "workers": 2}))
    open_executor(build_config({"executor": "inline", "workers": 1}))


def test_more_workers_than_this_machine_has_cpus_are_not_started_and_said(monkeypatch):
    monkeypatch.setattr(registry, "cpus", lambda: 2)
    asked = build_config({"workers": 64})
    assert open_executor(asked).workers == 2
    assert surplus_workers_warning(asked) == (
        "warning: workers=64 is more than the 2 CPUs here, so 2 are started; no result depends on how many there are"
    )
    for enough in ({"workers": 2}, {}, {"workers": 64, "address": "auto"}, {"executor": "inline", "workers": 1}):
        config = build_config(enough)
        assert surplus_workers_warning(config) is None
        assert workers_of(config) == enough.get("workers")


def test_a_home_that_is_not_there_is_named(monkeypatch):
    def fails(**_):
        raise FileNotFoundError(2, "No such file or directory", "/proc/nowhere")

    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setattr("ray.init", fails)
    with pytest.raises(NotStarted, match=r"token of its ports in HOME.*\(/proc/nowhere\); set HOME to") as error:
        OnRay("local", 1).__enter__()
    assert error.value.exit_code == 2


@pytest.mark.parametrize("cause", [OSError(28, "No space left on device"), MemoryError()])
def test_a_task_for_which_its_machine_has_no_room_is_no_bug(cause):
    meant = OnRay("local", 1)._translate(RayTaskError("run_chunk", "traceback", cause))
    assert isinstance(meant, WorkersLost)
    assert str(meant).startswith(f"the machine that ran a task has no room for it ({type(cause).__name__}")
