"""Where tasks run: in this process, or on Ray. One contract, so that a breakpoint works and results are the same.

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
"""On which node a call runs: any that has room; the nodes in turn, for what each can do as well and all better; the
driver's own, for what no other node can reach."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The answer for an item whose process ended while it ran, on a node that stands: why, in one line."""

    why: str


class Executor(Protocol):
    """The contract."""

    @property
    def workers(self) -> int:
        """How many tasks run at once, now: a cluster grows and shrinks."""

    @property
    def again(self) -> int:
        """How many items of its streams ran again because a node was lost."""

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401
        returns: int = 1,
        where: Where = "anywhere",
    ) -> Handle:
        """Start a function; with returns > 1 a list of as many handles."""

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for what a handle holds; what the function raised is raised here, TimeoutError after so many seconds."""

    def stream(
        self,
        function: Callable[..., Any],
        shared: tuple[Handle, ...],
        take: Callable[[], Item | None],
        name: Callable[[Item], str] | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield (item, function(*shared, *item)) in any order, or (item, Lost).

        `take` gives the next item, or None where there is none now: it is asked again after each answer, so that what
        was lost can be given once more. `name` is what a task is called where tasks are shown.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...
