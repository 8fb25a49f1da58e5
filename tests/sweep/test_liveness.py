import re
from pathlib import Path

import pytest
import yaml

from sweep.liveness import SETTINGS, settle

CLUSTER = Path(__file__).resolve().parents[2] / "cluster.yaml"


def test_what_the_user_has_set_stays():
    environment = {"RAY_health_check_period_ms": "250"}
    settle(environment)
    assert environment == {name: str(value) for name, value in SETTINGS.items()} | {"RAY_health_check_period_ms": "250"}


@pytest.mark.parametrize("key", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_node_of_a_cluster_is_started_with_the_drivers_settings(key):
    start = yaml.safe_load(CLUSTER.read_text())[key][-1]
    exported, _, started = start.partition("ray start ")
    assert started
    set_there = dict(re.findall(r"(RAY_\w*(?:health_check|keepalive)\w*)=(\S+?)[; ]", exported))
    assert set_there == {name: str(value) for name, value in SETTINGS.items()}


def test_a_node_without_power_is_noticed_within_ten_seconds():
    silent = SETTINGS["RAY_health_check_failure_threshold"] * (
        SETTINGS["RAY_health_check_period_ms"] + SETTINGS["RAY_health_check_timeout_ms"]
    )
    cut_off = SETTINGS["RAY_grpc_client_keepalive_time_ms"] + SETTINGS["RAY_grpc_client_keepalive_timeout_ms"]
    assert silent <= 10_000
    assert cut_off <= 10_000
