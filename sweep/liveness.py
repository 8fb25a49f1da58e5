"""How soon Ray notices a node that died or was cut off: its settings, for an instance of our own and for cluster.yaml.

Ray's own defaults find a node without power after 15 s, and one without a cable after a minute, while its tasks are
waited for.

They are given to the head alone, by whom every other process of the cluster is told, the driver too. Set in the
environment, they would have to be the same everywhere: who is asked for a sign of life more often than it expects ends
the connection, and a task that takes longer than 20 s with it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS: Final[dict[str, int]] = {
    # a node that has just joined may be lost as well; it answers as soon as it is listed
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    # a check is a few bytes; what takes 1.5 s is a network that loses packets, or nobody there
    "health_check_timeout_ms": 1500,
    # three in a row: up to 6 s where nothing answers, 1.5 s where the connection is refused. That leaves 4 s of 10 to
    # read a source again whose only copy was there. One check that a pause of the machine has missed says nothing. On a
    # machine that is busy a raylet answers all the same: its workers run at nice 15, and it does little itself.
    "health_check_failure_threshold": 3,
    # a cable that is out closes no connection: without these a driver waits for the answer of a task until TCP gives up
    "grpc_client_keepalive_time_ms": 5000,
    "grpc_client_keepalive_timeout_ms": 5000,
}
"""Every setting by Ray's name for it, in milliseconds or a count."""


def system_config(environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """The settings of an instance that is started here, but for those that the user has set by their variables."""
    return {name: value for name, value in SETTINGS.items() if f"RAY_{name}" not in environment}
