"""An instance of Ray without the servers that nobody asks: a second or more of each run, and as much of each CPU.

Ray starts three programs for whoever looks at a cluster from outside: an API server (the dashboard's, even without a
dashboard), the autoscaler's monitor, and one that forwards the logs of workers. An instance of our own that ends with
the run has no dashboard, cannot grow and forwards no logs. No setting leaves them out, so this takes hooks inside Ray:
where a version of Ray has them not, everything starts as usual.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDLESS: Final = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's Node, each of which starts one of them; as of Ray 2.60."""


@contextmanager
def lean() -> Iterator[bool]:
    """Let a Ray that starts meanwhile leave out what is needless; whether it will."""
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
