"""The nodes in a Ray cluster file: their types, how many there are, and how many tasks run on each at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from feed.console import listing
from feed.yaml_text import describe_yaml_error
from sweep.config import FILE_LIMIT
from sweep.errors import ConfigError

DEFAULT_FILE: Final = "cluster.yaml"

MOST: Final = 1_000_000
"""Nodes, CPUs of a node, or minutes at most: more is a typing error."""

MERGED: Final = 10_000
"""Keys at most of a mapping that merge keys fill."""

DEFAULT_MAX_WORKERS: Final = 2
"""Ray's own default, where the file does not say how many."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node type of a cluster file.

    Attributes
    ----------
    name : str
    instance_type : str, optional
        The provider's name of the type; None where the file does not say.
    most : int
        Nodes of this type at most; 1 for the head.
    cpus : int, optional
        Tasks at once on one node, where the file overrides the CPUs of the instance type.
    spot : bool
    """

    name: str
    instance_type: str | None
    most: int
    cpus: int | None
    spot: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster file.

    Attributes
    ----------
    file : str
    head : Node
    workers : tuple of Node
    idle_minutes : float
        How long a worker without work stays.
    """

    file: str
    head: Node
    workers: tuple[Node, ...]
    idle_minutes: float


def find_cluster(file: str | None = None) -> Cluster | None:
    """Read the cluster file.

    Parameters
    ----------
    file : str, optional
        By default ``cluster.yaml`` in the working directory, if there is one.

    Returns
    -------
    Cluster, or None where no file was asked for and there is no ``cluster.yaml``

    Raises
    ------
    ConfigError
        The file cannot be read, or describes no cluster.
    """
    if file is None and not Path(DEFAULT_FILE).is_file():
        return None
    return _parse_cluster(file or DEFAULT_FILE)


def _parse_cluster(file: str) -> Cluster:
    tree = _read(file)
    types = _mapping(file, "available_node_types", tree.get("available_node_types"))
    head = tree.get("head_node_type")
    if not isinstance(head, str | int) or head not in types:
        raise ConfigError(
            f"{file}: head_node_type: expected one of available_node_types, but it had {_shown(head)}; "
            f"{listing('node types', map(str, types))}"
        )
    limit = _whole_number(file, "max_workers", tree.get("max_workers", DEFAULT_MAX_WORKERS))
    nodes = {name: _node(file, str(name), fields, limit, head=name == head) for name, fields in types.items()}
    idle = tree.get("idle_timeout_minutes", 5)
    if not isinstance(idle, int | float) or isinstance(idle, bool) or not 0 <= idle <= MOST:
        raise ConfigError(
            f"{file}: idle_timeout_minutes: expected a number of 0 or more, to {MOST:,}, but it had {_shown(idle)}"
        )
    workers = tuple(node for name, node in nodes.items() if name != head and node.most)
    return Cluster(file, nodes[head], workers, float(idle))


def _node(file: str, name: str, fields: Any, limit: int, *, head: bool) -> Node:  # noqa: ANN401 - YAML holds anything
    key = f"available_node_types.{name}"
    fields = _mapping(file, key, fields)
    config = _mapping(file, f"{key}.node_config", fields.get("node_config", {}))
    resources = _mapping(file, f"{key}.resources", fields.get("resources", {}))
    market = _mapping(file, f"{key}.node_config.InstanceMarketOptions", config.get("InstanceMarketOptions", {}))
    most = min(limit, _whole_number(file, f"{key}.max_workers", fields.get("max_workers", limit)))
    cpus = resources.get("CPU")
    instance_type = config.get("InstanceType")
    if not isinstance(instance_type, str | None):
        raise ConfigError(
            f"{file}: {key}.node_config.InstanceType: expected text, such as c7i.4xlarge, but it had "
            f"{_shown(instance_type)}"
        )
    return Node(
        name,
        instance_type,
        1 if head else most,
        None if cpus is None else _whole_number(file, f"{key}.resources.CPU", cpus),
        market.get("MarketType") == "spot",
    )


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, in which merge keys cannot turn a short text into a large mapping."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what ``<<`` names, up to `MERGED` keys."""
        super().flatten_mapping(node)
        if len(node.value) > MERGED:
            raise yaml.constructor.ConstructorError(
                None, None, f"a mapping of over {MERGED:,} keys is merged", node.start_mark
            )


def _read(file: str) -> dict[Any, Any]:
    """Read a file by PyYAML's rules, as Ray does: such files use aliases, which `feed.yaml_text` refuses."""
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(FILE_LIMIT + 1)
        if len(content) > FILE_LIMIT:
            raise ConfigError(f"{file}: is over {FILE_LIMIT:,} bytes, which no cluster file needs; check the path")
        text = content.decode()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is no text file") from None
    try:
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise ConfigError(f"{file}: no valid YAML ({describe_yaml_error(error, text)})") from None
    return _mapping(file, "the file", tree)


def _mapping(file: str, key: str, value: Any) -> dict[Any, Any]:  # noqa: ANN401 - YAML holds anything
    if not isinstance(value, dict):
        raise ConfigError(f"{file}: {key}: expected a mapping, as in a file for ray up, but it had {_shown(value)}")
    return value


def _whole_number(file: str, key: str, value: Any) -> int:  # noqa: ANN401 - YAML holds anything
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise ConfigError(f"{file}: {key}: expected a whole number of 0 to {MOST:,}, but it had {_shown(value)}")
    return value


def _shown(value: Any) -> str:  # noqa: ANN401 - YAML holds anything
    """A value for a message; without the content of lists and mappings, which aliases can make endless."""
    if isinstance(value, list | dict | set):
        return "a list" if isinstance(value, list) else "a mapping"
    return repr(value)[:60]
