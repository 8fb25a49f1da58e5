"""Where tasks run: in this process, or on Ray. One contract, so that a breakpoint works and results are the same.

An executor runs plain functions. `call` starts one and returns a handle (or several, one per element of the answer);
handles may be arguments of later calls, at top level, and stand for what they hold; `get` waits for what one holds;
`stream` runs one function over many items with a bounded number in flight and yields answers as they come.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sweep.config import Config

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
        items: Iterable[Item],
        name: Callable[[Item], str] | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield (item, function(*shared, *item)) in any order, or (item, Lost).

        An iterator of items that has ended is asked again after each answer, so that what was lost can be put back
        into it. `name` is what a task is called where tasks are shown.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...


class Inline:
    """Every task in this process, at once when it is called."""

    workers = 1
    again = 0

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401
        returns: int = 1,
        where: Where = "anywhere",  # noqa: ARG002
    ) -> Handle:
        """Run now; a handle is the answer itself."""
        answer = function(*arguments)
        return answer if returns == 1 else list(answer)

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002
        """The handle itself."""
        return handle

    def stream(
        self,
        function: Callable[..., Any],
        shared: tuple[Handle, ...],
        items: Iterable[Item],
        name: Callable[[Item], str] | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[Item, Any]]:
        """One item after the other."""
        remaining = iter(items)
        while (item := next(remaining, None)) is not None:
            yield item, function(*shared, *item)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Nothing was started."""


def _on_ray(config: Config) -> Executor:
    from sweep.onray import OnRay

    return OnRay(config.address, workers_of(config))


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def workers_of(config: Config) -> int | None:
    """How many tasks run at once: those asked for, but on this machine no more than it has CPUs; None = all there are.

    Each worker is a process that loads the kernels: beyond the CPUs they take memory, and minutes until the last is up.
    """
    here = config.executor == "ray" and config.address == "local"
    return min(config.workers, cpus()) if here and config.workers is not None else config.workers


def too_many(config: Config) -> str | None:
    """What is said where more workers are asked for than there will be."""
    count = workers_of(config)
    if count == config.workers:
        return None
    return (
        f"warning: workers={config.workers} is more than the {count} CPUs here, so {count} are started; no result "
        "depends on how many there are"
    )


EXECUTORS: dict[str, Callable[[Config], Executor]] = {"inline": lambda _: Inline(), "ray": _on_ray}
"""Every executor by the name that the configuration uses."""


def from_outside(config: Config) -> bool:
    """Whether a configuration joins a cluster that this host is no node of, by Ray's client."""
    address = os.environ.get("RAY_ADDRESS", config.address) if config.address == "auto" else config.address
    return config.executor == "ray" and address.startswith("ray://")


def open_executor(config: Config) -> Executor:
    """The executor of a configuration, to be used in a with statement.

    Raises
    ------
    ConfigError
        Workers for an executor that has one.
    """
    if config.executor == "inline" and (config.workers or 1) > 1:
        raise ConfigError(f"workers: the inline executor has one, but it had {config.workers}; use executor=ray")
    return EXECUTORS[config.executor](config)
