"""Where tasks run: in this process, or on Ray. One contract, so that a breakpoint works and results are the same.

An executor runs plain functions. `call` starts one and returns a handle (or several, one per element of the answer);
handles may be arguments of later calls, at top level, and stand for what they hold; `get` waits for what one holds;
`stream` runs one function over many items with a bounded number in flight and yields answers as they come.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from feed.console import Terminated
from sweep import processes
from sweep.errors import ConfigError, WorkersLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sweep.config import Config

Handle = Any


class Executor(Protocol):
    """The contract; `workers` is how many tasks run at once."""

    workers: int

    def call(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Handle:  # noqa: ANN401
        """Start a function; with returns > 1 a list of as many handles."""

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for what a handle holds; what the function raised is raised here, TimeoutError after so many seconds."""

    def stream(
        self, function: Callable[..., Any], shared: tuple[Handle, ...], items: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Yield (item, function(*shared, *item)) in any order."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...


class Inline:
    """Every task in this process, at once when it is called."""

    workers = 1

    def call(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Handle:  # noqa: ANN401
        """Run now; a handle is the answer itself."""
        answer = function(*arguments)
        return answer if returns == 1 else list(answer)

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002
        """The handle itself."""
        return handle

    def stream(
        self, function: Callable[..., Any], shared: tuple[Handle, ...], items: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """One item after the other."""
        for item in items:
            yield item, function(*shared, *item)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Nothing was started."""


class OnRay:
    """Every task on Ray: a local instance of our own, or a cluster that is up.

    Parameters
    ----------
    address : str
        ``local`` starts an instance that ends with this executor; ``auto`` or ``ray://HOST:PORT`` joins one.
    workers : int, optional
        CPUs of a local instance, or how many tasks are kept running on a cluster; all by default.
    """

    WINDOW_PER_WORKER = 4
    LEAST_ON_A_CLUSTER = 16

    def __init__(self, address: str, workers: int | None) -> None:
        self._address, self._wanted = address, workers
        self._remote: dict[tuple[Callable[..., Any], int], Any] = {}
        self.workers = workers or 1

    def __enter__(self) -> Self:
        # read when ray is imported: no report to anybody, no lines of its own on our stderr
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
        from ray.exceptions import RayError

        before = processes.descendants(os.getpid())
        on_terminate = signal.getsignal(signal.SIGTERM)
        options: dict[str, Any] = {"address": self._address, "log_to_driver": False, "logging_level": "ERROR"}
        if self._address == "local":
            options |= {"include_dashboard": False, "num_cpus": self._wanted}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what failed is said once, below
                ray.init(**options)
        except SystemExit:  # what ray's own SIGTERM handler raises until ours is back
            _end_what_started(before)
            raise Terminated from None
        except KeyboardInterrupt:
            _end_what_started(before)
            raise
        except (OSError, RayError, RuntimeError, ValueError) as error:
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise WorkersLost(
                f"address {self._address}: Ray did not start or answer ({said}); start a cluster with ray up, "
                "or use address=local or executor=inline"
            ) from None
        _keep_private(Path.home() / ".ray" / "auth_token")
        if threading.current_thread() is threading.main_thread():
            # ray's own handler ends the process with a stack dump and another exit code
            signal.signal(signal.SIGTERM, on_terminate)
        # an autoscaled cluster may have no worker yet: it starts nodes for the tasks that it sees waiting
        least = 1 if self._address == "local" else self.LEAST_ON_A_CLUSTER
        self.workers = self._wanted or max(least, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(self, *raised: object) -> None:
        """End what was started here; leave a cluster that was joined."""
        import ray

        self._remote.clear()
        ray.shutdown()

    def _task(self, function: Callable[..., Any], returns: int) -> Any:  # noqa: ANN401 - ray is untyped
        import ray

        key = function, returns
        if key not in self._remote:
            # an exception is a bug or bad data, the same on every attempt; only a lost worker is worth another
            self._remote[key] = ray.remote(function).options(
                num_cpus=1, num_returns=returns, max_retries=3, retry_exceptions=False, name=function.__name__
            )
        return self._remote[key]

    def call(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Handle:  # noqa: ANN401
        """Submit; handles among the arguments are resolved on the worker, without a copy where it is on the node."""
        return self._task(function, returns).remote(*arguments)

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for an object reference."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        try:
            return ray.get(handle, timeout=timeout)
        except GetTimeoutError as error:
            raise TimeoutError from error
        except RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from None
        except RayError as error:
            raise WorkersLost(f"a task was lost for good ({type(error).__name__}); run again") from None

    def stream(
        self, function: Callable[..., Any], shared: tuple[Handle, ...], items: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Keep four tasks per worker in flight; the rest of the items is not made before there is room."""
        import ray

        # what is no handle yet is sent once, not with every item
        shared = tuple(each if isinstance(each, ray.ObjectRef) else ray.put(each) for each in shared)
        remaining = iter(items)
        flying: dict[Any, tuple[Any, ...]] = {}
        while True:
            while len(flying) < self.WINDOW_PER_WORKER * self.workers:
                item = next(remaining, None)
                if item is None:
                    break
                flying[self.call(function, *shared, *item)] = item
            if not flying:
                return
            ready, _ = ray.wait(list(flying), num_returns=1)
            for handle in ready:
                yield flying.pop(handle), self.get(handle)


def _end_what_started(before: processes.Started) -> None:
    """End a Ray whose start was cut short: what it had begun to start may not know that it is to end."""
    import ray

    begun = {pid: at for pid, at in processes.descendants(os.getpid()).items() if before.get(pid) != at}
    ray.shutdown()
    processes.end(begun)


def _keep_private(token: Path) -> None:
    """Let nobody else read the token that opens Ray's ports; Ray writes it readable by all."""
    with suppress(OSError):
        if token.stat().st_uid == os.getuid():
            token.chmod(0o600)


EXECUTORS: dict[str, Callable[[Config], Executor]] = {
    "inline": lambda _: Inline(),
    "ray": lambda config: OnRay(config.address, config.workers),
}
"""Every executor by the name that the configuration uses."""


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
