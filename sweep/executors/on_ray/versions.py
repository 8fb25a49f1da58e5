"""Checks that the nodes of a cluster run the same versions as the driver."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final

from sweep.environment import stamp
from sweep.errors import SweepError
from sweep.plugins import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from feed.plugins import Plugin


PROBE_SECONDS: Final = 10.0
"""Seconds that the nodes have to tell what is installed on them, once a task has failed."""


class NodeDiffers(SweepError):  # noqa: N818 - reads as what it says
    """A node of the cluster runs other versions than the driver."""

    exit_code = 2


def refuse_other(expected: Mapping[str, str], actual: Mapping[str, str], node: str) -> None:
    """Refuse a node whose stamp differs, as far as it has one.

    Raises
    ------
    NodeDiffers
        Names the node, what differs, and both values.
    """
    differing = [
        f"{name} {actual[name]} instead of {value}"
        for name, value in expected.items()
        if actual.get(name, value) != value
    ]
    if differing:
        remedy = "ray up again from the driver's checkout, or pip install -c constraints.txt -e . there"
        if all(actual.get(name, value) == value for name, value in expected.items() if name in stamp()):
            remedy = "pip install there what is installed here"
        raise NodeDiffers(
            f"node {node} differs from the driver: {', '.join(differing)}; bring both to the same: {remedy}"
        )


def make_probe(plugins: Sequence[Plugin] = ()) -> Callable[[], Any]:
    """Make a function that returns the stamp, also of some plug-ins, even where the project cannot be imported.

    Ray sends a nested function as its code, and any other by name.
    """
    named = [astuple(plugin) for plugin in plugins]

    def probe() -> dict[str, str]:
        import platform

        try:
            from feed.plugins import Plugin
            from sweep.environment import stamp
            from sweep.plugins import stamp_of
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
            return {"Python": platform.python_version(), "sor-sweep": f"that cannot be imported ({error})"}
        return stamp() | stamp_of(Plugin(*each) for each in named)

    return probe


def refuse_different_nodes(plugins: Sequence[Plugin] = ()) -> None:
    """Ask each node of the joined cluster for its stamp, and refuse the first that differs.

    Raises
    ------
    NodeDiffers
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe, expected = ray.remote(make_probe(plugins)), stamp() | stamp_of(plugins)
    node_of = {}
    for node in ray.nodes():
        if node["Alive"]:
            on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            node_of[probe.options(num_cpus=0, max_retries=0, scheduling_strategy=on_node).remote()] = node
    ready, _ = ray.wait(list(node_of), num_returns=len(node_of), timeout=PROBE_SECONDS)
    for handle in ready:
        with suppress(RayError):  # a node that does not even answer has another problem
            refuse_other(expected, ray.get(handle), node_of[handle]["NodeManagerAddress"])
