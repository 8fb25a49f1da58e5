"""A cluster as `ray up` makes one, of processes on this machine: a head without CPUs, and workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.executors.on_ray import health
from tests.support import ROOT
from tools.kafka.ports import free_ports


class Started:
    """A head, workers that are added to it, and what they are called."""

    def __init__(self, client_port):
        from ray.cluster_utils import Cluster

        self.client = f"ray://127.0.0.1:{client_port}"
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": True,
                "dashboard_host": "127.0.0.1",
                "dashboard_port": free_ports(1)[0],
                "ray_client_server_port": client_port,
                "_system_config": {**health.SETTINGS, "metrics_report_interval_ms": 500},
            },
        )
        self.head, self.address = self._cluster.head_node, self._cluster.address
        self.dashboard = f"http://{self.head.webui_url}"

    def add(self, **options):
        return self._cluster.add_node(num_cpus=1, include_dashboard=False, **options)

    def remove(self, node):
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self):
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))  # the kernels'
        patch.setenv("HOME", str(home))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        started = Started(free_ports(1)[0])
        patch.setenv("RAY_ADDRESS", started.address)
        try:
            started.add()
            yield started
        finally:
            started.shutdown()
