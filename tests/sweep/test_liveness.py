import json
import shlex
from pathlib import Path

import yaml

from sweep.liveness import SETTINGS, system_config

CLUSTER = yaml.safe_load((Path(__file__).resolve().parents[2] / "cluster.yaml").read_text())


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
