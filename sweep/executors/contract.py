"""The contract of executors: in this process, where a breakpoint works, or on Ray; results are the same.

An executor runs plain functions. `call` starts one and returns a handle (or several, one per element of the answer);
handles may be arguments of later calls, at top level, and stand for what they hold; `get` waits for what one holds;
`stream` runs one function over many items with a bounded number in flight and yields answers as they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Handle = Any
Item = tuple[Any, ...]

Where = Literal["anywhere", "spread", "driver"]
"""On which node a call runs: any that has room; the nodes in turn, to share the work; the driver's own, for what no
other node can reach."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The answer for an item whose process ended while its node lives: why, in one line."""

    why: str


class Executor(Protocol):
    """Runs functions as tasks; see the module."""

    @property
    def workers(self) -> int:
        """How many tasks run at once now: a cluster grows and shrinks."""

    @property
    def dashboard(self) -> str | None:
        """The address of Ray's dashboard; None where there is none."""

    @property
    def again(self) -> int:
        """How many items of streams ran again because a node was lost."""

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401
        returns: int = 1,
        where: Where = "anywhere",
    ) -> Handle:
        """Start a function; returns its handle, or a list of handles where returns > 1."""

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for the value of a handle; raises what the function raised, or TimeoutError after `timeout` seconds."""

    def stream(
        self,
        function: Callable[..., Any],
        shared: tuple[Handle, ...],
        take: Callable[[], Item | None],
        name: Callable[[Item], str] | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield (item, function(*shared, *item)) in any order, or (item, Lost).

        `take` returns the next item, or None if there is none now; it is called again after each answer, so that it can
        repeat lost items. `name` names a task where tasks are shown.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...
