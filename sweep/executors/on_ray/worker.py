"""Wraps each task on a worker of Ray: checks versions, and counts the worker processes that the task ends."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sweep.environment import named_node, stamp
from sweep.errors import WorkersLost
from sweep.executors.on_ray.losses import LOGS
from sweep.executors.on_ray.versions import refuse_other
from sweep.plugins import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from feed.plugins import Plugin
    from sweep.environment import Stamp

CRASHES: Final = 5
"""Worker processes of one node that one task may end. Ray waits 1, 2, 4, 8 s between those that it ends for lack of
memory, in which other tasks on the node may finish."""


def wrap_task(
    function: Callable[..., Any], expected: Stamp, *, counted: bool, plugins: tuple[Plugin, ...] = ()
) -> Callable[..., Any]:
    """Wrap a function into a task.

    Parameters
    ----------
    function : callable
    expected : dict
        The driver's stamp.
    counted : bool
        Bound how many worker processes it ends on a node; for tasks that Ray itself retries without a bound.
    plugins : tuple of Plugin
        Those that the stamp is about, too.
    """

    def task(*arguments: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
        own_stamp = stamp() | stamp_of(plugins) if plugins else stamp()
        if own_stamp != expected:
            refuse_other(expected, own_stamp, _node_address())
        with named_node(_node_label), _count_crashes(_mark_file(), function.__name__) if counted else nullcontext():
            return function(*arguments)

    task.__name__ = task.__qualname__ = function.__name__
    return task


def _node_address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())


@cache
def _node_label() -> str:
    """The address of this node and the first digits of its id in Ray: a machine that comes back is another node."""
    import ray

    return f"{_node_address()}/{ray.get_runtime_context().get_node_id()[:6]}"


def _mark_file() -> Path:
    """The file in which the running task counts its starts: in the folder of this node's Ray, and gone with it."""
    import ray

    context = ray.get_runtime_context()
    return Path(context.get_temp_dir(), context.get_session_name(), "sor-sweep", context.get_task_id())


@contextmanager
def _count_crashes(marks: Path, name: str) -> Iterator[None]:
    """Count the start of a task; forget its starts when it ends in any way other than with its process.

    Raises
    ------
    WorkersLost
        It has ended `CRASHES` processes of this node already.
    """
    marks.parent.mkdir(exist_ok=True)
    try:
        with marks.open("ab") as file:
            crashes = file.tell()
            file.write(b".")
        if crashes >= CRASHES:
            raise WorkersLost(
                f"{name} ended {crashes} worker processes of node {_node_address()}, one after the other: out of "
                f"memory, or a crash inside a library; {LOGS}"
            )
        yield
    finally:
        marks.unlink(missing_ok=True)
