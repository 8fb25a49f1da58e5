import json
import shlex
import subprocess
from contextlib import ExitStack

import pytest
import yaml

from sweep.executors.on_ray.health import PATIENCE, SETTINGS, Standstill, system_config, watched
from sweep.executors.on_ray.losses import LOGS
from tests.support import ROOT

CLUSTER = yaml.safe_load((ROOT / "cluster.yaml").read_text())


def test_what_the_user_has_set_stays():
    assert system_config({}) == SETTINGS
    left = system_config({"RAY_health_check_period_ms": "250"})
    assert left == {name: value for name, value in SETTINGS.items() if name != "health_check_period_ms"}


def test_the_head_of_a_cluster_is_started_with_these_settings():
    words = shlex.split(CLUSTER["head_start_ray_commands"][-1])
    (config,) = (word.removeprefix("--system-config=") for word in words if word.startswith("--system-config="))
    assert json.loads(config) == SETTINGS


def test_no_node_sets_them_in_its_environment_alone():
    for command in (*CLUSTER["head_start_ray_commands"], *CLUSTER["worker_start_ray_commands"]):
        assert not any(f"RAY_{name}" in command for name in SETTINGS)


def test_a_node_that_is_silent_is_given_up_within_ten_seconds():
    silent = SETTINGS["health_check_failure_threshold"] * (
        SETTINGS["health_check_period_ms"] + SETTINGS["health_check_timeout_ms"]
    )
    cut_off = SETTINGS["grpc_client_keepalive_time_ms"] + SETTINGS["grpc_client_keepalive_timeout_ms"]
    assert silent <= 10_000
    assert cut_off <= 10_000


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def watch(standstill, clock, looks, running=1, *, memory=False, lives=True, every=1.0):
    """Look each second while another process ends each time: what is said at last, and after how many seconds."""
    began, ended = clock.now, {}
    for number in range(looks):
        ended[f"worker {number}"] = memory
        if why := standstill.look(ended, running, lives=lives):
            return why, clock.now - began
        clock.now += every
    return None, clock.now - began


def test_processes_that_end_while_nothing_is_done_are_the_end_within_a_minute(clock):
    why, seconds = watch(Standstill(clock), clock, 300)
    assert PATIENCE <= seconds < 60
    assert why.startswith(f"46 worker processes ended within {PATIENCE:.0f} s and nothing was done meanwhile: ")
    assert why.endswith(f": killed, out of memory, or a crash inside a library; {LOGS}")


def test_where_ray_ends_them_for_memory_that_is_said_and_where_the_logs_are(clock):
    why, seconds = watch(Standstill(clock), clock, 30, memory=True, every=4.0)
    assert seconds < 60
    assert "their node is short of memory" in why
    assert LOGS in why


def test_whatever_is_done_begins_the_time_anew(clock):
    standstill = Standstill(clock)
    for _ in range(10):
        assert watch(standstill, clock, 44) == (None, 44.0)
        standstill.done()


def test_what_ended_while_things_were_done_says_nothing_of_the_silence_that_follows(clock):
    standstill = Standstill(clock)
    before = {f"old {number}": True for number in range(1000)}
    for _ in range(300):
        assert standstill.look(before, 1, lives=True) is None
        clock.now += 1.0


def test_a_long_chunk_has_all_its_time_while_a_few_processes_end_by_chance(clock):
    standstill = Standstill(clock)
    ended = {}
    for hour in range(5):
        for _ in range(60):
            assert standstill.look(ended, 1, lives=True) is None
            clock.now += 60.0
        ended[f"chance {hour}"] = True


def test_as_many_may_end_as_tasks_are_to_run(clock):
    assert watch(Standstill(clock), clock, 100, running=64) == (None, 100.0)


def test_processes_that_are_ended_before_ray_knows_them_are_a_standstill_too(clock):
    standstill = Standstill(clock)
    while (why := standstill.look({}, 2, lives=False)) is None:
        clock.now += 1.0
    assert clock.now == 100.0 + PATIENCE
    assert why.startswith("each worker process ended as it began within 45 s and nothing was done meanwhile")


def test_one_that_lives_is_no_standstill(clock):
    standstill = Standstill(clock)
    for number in range(300):
        assert standstill.look({}, 2, lives=number % 40 == 0) is None
        clock.now += 1.0


@pytest.mark.command
def test_of_the_first_server_that_ends_it_is_told_and_the_others_end_too():
    fallen = []
    with ExitStack() as ending:
        started = [ending.enter_context(subprocess.Popen(["sleep", "60"])) for _ in range(2)]
        with watched({started[0].pid: "raylet", started[1].pid: "GCS"}, fallen.append):
            started[0].kill()
            assert started[1].wait(10) == -9
        assert fallen == ["raylet"]
        with watched({}, fallen.append):
            pass
        assert fallen == ["raylet"]
