"""Three hosts, a real `ray up` and a real Kafka: the same bytes as in one process, computed by all three."""

import pytest
from hosts import HOME

pytestmark = [pytest.mark.cluster, pytest.mark.kafka, pytest.mark.timeout(300)]

CPUS = (1, 1)
"""Of the head and of each worker, so that all three compute."""

GRID = (
    "policy=pseudocode",
    "order.size=5000000",
    "grid.lambda_over=[0, 0.01]",
    "grid.lambda_under={start: 0, stop: 0.09, num: 100}",
    "grid.theta_queue={start: 0, stop: 0.05, num: 40}",
)

ASK = """import sys
from ray._raylet import GcsClient
print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=10)))
"""


def test_every_node_has_the_project_that_was_shipped(running):
    shipped = f"{HOME}/sor-sweep/sweep/__init__.py\n"
    for host in running.cluster.hosts.all:
        found = host.run(*running.cluster.words("python", "-c", "import sweep; print(sweep.__file__)")).stdout
        assert found == shipped
        assert not (host.home / "sor-sweep" / "tests").exists()


def test_all_three_hosts_compute_what_one_process_does(running):
    cluster = running.cluster
    sweep = running.sweep("all", *GRID, "collapse=false", pace=0.3)
    for host in cluster.hosts.all:
        sweep.until_busy(host)
    sweep.go()
    assert sweep.finish() == 0, sweep.said
    assert sweep.results().read_bytes() == running.inline("inline", *GRID)
    document = sweep.document()
    assert document["run"]["simulated"] == 8_000
    assert document["feed"]["source"] == "kafka"
    chunks = [task for task in cluster.tasks() if "run_chunk" in task["function"]]
    assert len(chunks) == document["run"]["chunks"]
    assert {task["address"] for task in chunks} == {host.address for host in cluster.hosts.all}


def test_nobody_without_the_token_is_let_in(running):
    cluster = running.cluster
    address = f"{cluster.head.address}:6379"

    def ask(**changed):
        environment = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", **changed}
        return cluster.hosts.control.run("python", "-c", ASK, address, env=environment, check=False)

    assert ask().stdout == "3\n"
    for stranger in (ask(RAY_AUTH_TOKEN="0" * 64), ask(RAY_AUTH_MODE="disabled")):
        assert stranger.returncode
        assert "Unauthenticated" in stranger.stderr


def test_ray_down_stops_the_head(running):
    cluster = running.cluster
    assert "ray::" in cluster.head.run("ps", "-eo", "args").stdout
    cluster.down()
    left = cluster.head.run("ps", "-eo", "args").stdout
    assert not any(name in left for name in ("ray::", "raylet", "gcs_server", "ray/dashboard"))
    # Ray leaves the workers of given addresses to their owner; these end with their hosts
