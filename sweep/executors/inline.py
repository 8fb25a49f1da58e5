"""Every task in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sweep.executors.contract import Handle, Item, Where


class Inline:
    """Runs every task in this process, as soon as it is called."""

    workers = 1
    again = 0
    dashboard = None

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401
        returns: int = 1,
        where: Where = "anywhere",  # noqa: ARG002
    ) -> Handle:
        """Run now; the handle is the answer itself."""
        answer = function(*arguments)
        return answer if returns == 1 else list(answer)

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002
        """The handle itself."""
        return handle

    def stream(
        self,
        function: Callable[..., Any],
        shared: tuple[Handle, ...],
        take: Callable[[], Item | None],
        name: Callable[[Item], str] | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[Item, Any]]:
        """Run one item after the other."""
        while (item := take()) is not None:
            yield item, function(*shared, *item)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Nothing was started."""
