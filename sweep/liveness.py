"""How soon Ray notices a node that died or was cut off: its settings, for every process that starts or joins one.

Ray's own defaults find a node without power after 15 s, and one without a cable after a minute, while its tasks are
waited for. These are read once, when a process loads Ray: by the driver, here; by the nodes of a cluster, in the lines
of cluster.yaml that start them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SETTINGS: Final[dict[str, int]] = {
    # a node that has just joined may be lost as well; it answers as soon as it is listed
    "RAY_health_check_initial_delay_ms": 1000,
    "RAY_health_check_period_ms": 1000,
    # a check is a few bytes; what takes 2 s is a network that loses packets, or nobody there
    "RAY_health_check_timeout_ms": 2000,
    # three in a row: up to 9 s where nothing answers, 3 s where the connection is refused. One check that a pause of
    # the machine has missed says nothing. On a machine that is busy a raylet answers all the same: its workers run at
    # nice 15, and it does next to nothing itself.
    "RAY_health_check_failure_threshold": 3,
    # a cable that is out closes no connection: without these a driver waits for the answer of a task until TCP gives up
    "RAY_grpc_client_keepalive_time_ms": 5000,
    "RAY_grpc_client_keepalive_timeout_ms": 5000,
}
"""Every setting by the variable that sets it, in milliseconds or a count."""


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what the user has not set; before Ray is imported."""
    for name, value in SETTINGS.items():
        environment.setdefault(name, str(value))
