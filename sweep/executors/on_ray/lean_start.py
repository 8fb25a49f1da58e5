"""Starts Ray without servers that nobody uses, which saves a second or more of each run, and as much of each CPU.

Ray starts three programs for those who look at a cluster from outside: an API server (the dashboard's, even without a
dashboard), the autoscaler's monitor, and one that forwards the logs of workers. An instance of our own that ends with
the run has no dashboard, cannot grow and forwards no logs. No setting leaves them out, so this patches methods of Ray;
a version of Ray without these methods starts as usual.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDLESS: Final = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's Node that start one of them each; as of Ray 2.60."""


@contextmanager
def lean() -> Iterator[bool]:
    """Make a Ray that starts meanwhile leave these servers out; yields whether it will."""
    from ray._private import node

    node_class: Any = getattr(node, "Node", None)
    originals = {name: vars(node_class).get(name) for name in NEEDLESS} if node_class is not None else {}
    if not originals or not all(map(callable, originals.values())):
        yield False
        return
    for name in originals:
        setattr(node_class, name, lambda *_, **__: None)
    try:
        yield True
    finally:
        for name, original in originals.items():
            setattr(node_class, name, original)
