"""How long a sweep takes and what it costs on the nodes of a cluster file."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sweep.forecast.timing import NOISE
from sweep.forecast.walk import OVERHEAD, walk_plan
from sweep.planning import ROW_BYTES

if TYPE_CHECKING:
    from sweep.forecast.cluster_file import Cluster, Node
    from sweep.forecast.prices import InstanceType, Prices
    from sweep.forecast.timing import Pace
    from sweep.planning import Plan

GIB: Final = 2**30

REDUCING: Final = 2
"""Times the bytes of the table that the driver holds while it reduces the table."""

STORE_SHARE: Final = 0.3
"""The part of a node's memory that Ray takes for its object store."""

STORE_LIMIT: Final = 200 * 10**9
"""Bytes of an object store at most by default."""

LEAST_BILLED: Final = 60.0
"""Seconds of an instance that EC2 bills at least; after that it bills by the second."""

ASSUMED: Final = (
    "a vCPU there simulates as fast as one here; speed of the instance type, in a file for --prices, says otherwise",
    "the seconds are those of the sweep, on nodes that are up and with workers= as said",
    "neither seconds nor price hold the start of nodes and Ray and the reading of the source",
    "the price is that of the instances, the head among them: disks, addresses and traffic are not in it",
)
"""Assumptions behind the figures of a cluster."""


def cluster_section(cluster: Cluster, prices: Prices, plan: Plan, pace: Pace) -> dict[str, Any]:
    """The forecast for each worker type of a cluster, with one node and with all nodes of it.

    Parameters
    ----------
    cluster : Cluster
    prices : Prices
    plan : Plan
    pace : Pace
        Of this machine.
    """
    head = prices.types.get(cluster.head.instance_type or "")
    fits = None if head is None else _table_bytes(plan) <= (1 - STORE_SHARE) * head.memory_gib * GIB
    return {
        "file": cluster.file,
        "prices": {name: getattr(prices, name) for name in ("date", "currency", "region", "source")},
        "head": {**_describe_node(cluster.head, head, prices), "result_table_fits": fits},
        "workers": [
            {
                **_describe_node(node, kind, prices),
                "object_store_fits": None if kind is None else plan.nbytes <= _store_bytes(kind),
                "estimates": [] if kind is None else _estimates(cluster, head, node, kind, plan, pace),
            }
            for node in cluster.workers
            for kind in [prices.types.get(node.instance_type or "")]
        ],
        "assumed": list(ASSUMED),
    }


def seconds_range(seconds: float, pace: Pace, busy: float = 1.0) -> dict[str, float]:
    """A prediction as it is printed: three digits, and how far it may be off.

    Parameters
    ----------
    seconds : float
        On CPUs that do nothing else.
    pace : Pace
    busy : float
        How many times as long it may take on CPUs that do.
    """
    factor = 1 + math.hypot(NOISE, pace.spread)
    return {"likely": _digits(seconds), "low": _digits(seconds / factor), "high": _digits(seconds * factor * busy)}


def reduce_seconds(plan: Plan, pace: Pace) -> float:
    """Seconds after the last chunk: of the driver for all rows, and of the sensitivity."""
    return _digits(plan.kept * pace.reduce + pace.after)


def _digits(seconds: float) -> float:
    return float(f"{seconds:.3g}")


def _table_bytes(plan: Plan) -> int:
    return plan.kept * ROW_BYTES * REDUCING


def _store_bytes(kind: InstanceType) -> float:
    return min(STORE_SHARE * kind.memory_gib * GIB, STORE_LIMIT)


def _describe_node(node: Node, kind: InstanceType | None, prices: Prices) -> dict[str, Any]:
    """What is known about a node's type, and how to supply what is not."""
    name = node.instance_type or "TYPE"
    description: dict[str, Any] = {"node_type": node.name, "instance_type": node.instance_type, "spot": node.spot}
    if kind is None:
        entry = f"{name}: {{vcpu: ..., memory_gib: ..., on_demand: ...}}"
        return {
            **description,
            "vcpu": None,
            "memory_gib": None,
            "hour": None,
            "unknown": [f"the type; give a file to --prices: date: YYYY-MM-DD, types: {{{entry}}}"],
        }
    unknown = []
    if kind.on_demand is None:
        unknown.append(f"its price in {prices.region}; give a file to --prices with types.{name}.on_demand")
    if node.spot and kind.spot is None:
        unknown.append(
            "its spot price, which changes by the hour and is at most the on-demand price; it is told by aws ec2 "
            f"describe-spot-price-history --region {prices.region} --instance-types {name} --product-descriptions "
            f"Linux/UNIX; give a file to --prices with types.{name}.spot"
        )
    return {
        **description,
        "vcpu": kind.vcpu,
        "memory_gib": kind.memory_gib,
        "speed": kind.speed,
        "hour": {"on_demand": kind.on_demand, "date": kind.date, "spot": kind.spot, "spot_date": kind.spot_date},
        "unknown": unknown,
    }


def _estimates(
    cluster: Cluster, head: InstanceType | None, node: Node, kind: InstanceType, plan: Plan, pace: Pace
) -> list[dict[str, Any]]:
    """Estimates with one node, and with the most nodes there may be."""
    head_cpus = cluster.head.cpus if cluster.head.cpus is not None else head.vcpu if head else 0
    node_cpus = kind.vcpu if node.cpus is None else node.cpus
    estimates = []
    for nodes in sorted({1, node.most}):
        workers = head_cpus + nodes * node_cpus
        if not workers:
            continue
        walk = walk_plan(replace(plan, workers=workers), pace, OVERHEAD["ray"], kind.speed)
        sweep = seconds_range(walk.seconds + pace.before / kind.speed, pace)
        reduce = reduce_seconds(plan, pace)
        node_seconds = {name: seconds + reduce for name, seconds in sweep.items()}
        rates = {"on_demand": kind.on_demand, "spot": kind.spot}
        estimates.append(
            {
                "nodes": nodes,
                "workers": workers,
                "chunks": walk.chunks,
                "chunk_size": walk.largest,
                "seconds": {"sweep": sweep, "reduce": reduce},
                "price": {name: _price(node_seconds, nodes, rate, head, 0.0) for name, rate in rates.items()},
                "price_until_idle": {
                    name: _price(node_seconds, nodes, rate, head, 60 * cluster.idle_minutes)
                    for name, rate in rates.items()
                },
            }
        )
    return estimates


def _price(
    seconds: dict[str, float], nodes: int, rate: float | None, head: InstanceType | None, idle: float
) -> dict[str, float] | None:
    """The price of all nodes and the head, which is never a spot instance, to the cent; None where one is unknown."""
    if rate is None or head is None or head.on_demand is None:
        return None
    hour = nodes * rate + head.on_demand
    return {name: round(max(duration + idle, LEAST_BILLED) / 3600 * hour, 2) for name, duration in seconds.items()}
