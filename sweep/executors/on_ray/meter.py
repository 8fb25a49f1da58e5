"""Metrics of a running sweep, for the dashboard of a cluster and whatever scrapes its nodes; none elsewhere.

Ray puts ``ray_`` before each name, and adds the node and the session to the tag ``run``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sweep.executors import from_outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.config import Config
    from sweep.events import Finished, Listener, Started


COUNTERS: Final = {
    "sor_sweep_combinations_total": "Combinations that were done, failed ones included; not what a resumed run had.",
    "sor_sweep_bad_messages_total": "Malformed messages that were put aside.",
    "sor_sweep_retries_total": "Chunks that were run again after a node or a worker process was lost.",
}
GAUGES: Final = {
    "sor_sweep_combinations_per_second": "Combinations per second since the last report.",
    "sor_sweep_object_store_bytes": "Bytes of tape and book in the object store of each node.",
}

REPORT_SECONDS: Final = 1.0
"""Seconds between two reports; Ray itself collects every ten seconds."""


class RayMeter:
    """Reports the metrics to Ray.

    Parameters
    ----------
    run : str
        The tag of every metric.
    make : callable
        Takes kind, name and description, and returns a metric; Ray's by default.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        run: str,
        make: Callable[[str, str, str], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        make = make or _make
        self._clock = clock
        self._counters = {name: make("Counter", name, description) for name, description in COUNTERS.items()}
        self._gauges = {name: make("Gauge", name, description) for name, description in GAUGES.items()}
        for metric in (*self._counters.values(), *self._gauges.values()):
            metric.set_default_tags({"run": run})
        self._reported = clock()
        self._before = self._latest = (0, 0)

    def started(self, event: Started) -> None:
        """Report bytes and messages at once; combinations are counted from here on."""
        self._gauges["sor_sweep_object_store_bytes"].set(event.object_store_bytes)
        self._count("sor_sweep_bad_messages_total", event.bad_messages)
        self._reported = self._clock()
        self._before = self._latest = (event.stored, 0)

    def finished(self, event: Finished) -> None:
        """Report what is new, once a second."""
        self._latest = event.done, event.again
        if self._clock() - self._reported >= REPORT_SECONDS:
            self.ended()

    def ended(self) -> None:
        """Report what is new."""
        now = self._clock()
        done, retries = (new - old for new, old in zip(self._latest, self._before, strict=True))
        self._gauges["sor_sweep_combinations_per_second"].set(done / max(now - self._reported, 1e-3))
        self._count("sor_sweep_combinations_total", done)
        self._count("sor_sweep_retries_total", retries)
        self._reported, self._before = now, self._latest

    def _count(self, name: str, more: int) -> None:
        if more:  # a counter of Ray's takes no 0
            self._counters[name].inc(more)


def _make(kind: str, name: str, description: str) -> Any:  # noqa: ANN401 - ray is untyped
    from ray.util import metrics

    return getattr(metrics, kind)(name, description=description, tag_keys=("run",))


def open_meters(config: Config, run: str) -> tuple[Listener, ...]:
    """The meter of a run: Ray's where the driver is on a node of a cluster, else none."""
    if config.executor != "ray" or config.address == "local" or from_outside(config):
        return ()
    return (RayMeter(run),)
