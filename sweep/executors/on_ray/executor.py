"""Runs every task on Ray: on an instance of our own on this machine, or on a running cluster.

What is lost with a node runs again, however often. For calls Ray does that, as their references are kept: it also
recomputes lost results. For items of a stream it is done here, as Ray counts a lost node like a crashed process.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
import warnings
from collections import deque
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from feed.signals import Terminated, raising, terminate
from sweep.environment import stamp
from sweep.errors import NotStarted, SweepError, WorkersLost, with_notes
from sweep.executors import Lost
from sweep.executors.on_ray import health as liveness
from sweep.executors.on_ray import processes
from sweep.executors.on_ray.lean_start import lean
from sweep.executors.on_ray.losses import LOGS, Loss, describe, describe_room, judge
from sweep.executors.on_ray.versions import NodeDiffers, refuse_different_nodes
from sweep.executors.on_ray.worker import wrap_task
from sweep.plugins import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from feed.plugins import Plugin
    from sweep.executors import Handle, Item, Where

WAIT_SECONDS: Final = 0.2
"""How long a wait for answers lasts at most: until it ends, nodes that joined meanwhile have nothing to do, and the end
of a server is not reported, while Ray is about to end this process too."""

LOOK_SECONDS: Final = 1.0
"""How often Ray is asked how many CPUs it has, and which of its workers ended."""

MANY: Final = 1000
"""Tasks in flight from which on all answers that are ready are taken at once. Waiting for one takes 0.1 ms
among 640 tasks, 0.8 ms among 6,400 and 25 ms among 64,000; taking all that are ready, 0.4, 2.3 and 47 ms more."""

CLIENT_ATTEMPTS: Final = 3
"""How often a cluster is asked to start the process that serves a client; a crash of it costs half a minute."""

PACKAGES: Final = {"allocator", "feed", "sweep"}
"""Packages whose exceptions are shown as they are."""


class OnRay:
    """An executor on Ray.

    Parameters
    ----------
    address : str
        ``local`` starts an instance that ends with this executor; ``auto`` or ``ray://HOST:PORT`` joins one.
    workers : int, optional
        CPUs of a local instance, or how many tasks are kept running on a cluster; all by default.
    plugins : sequence of Plugin
        Those that every node needs, as they are here.
    """

    WINDOW_PER_WORKER = 4
    LEAST_ON_A_CLUSTER = 16
    WANTED_PER_CPU = 64
    """Workers per CPU at most, whatever is asked for: the driver holds the waiting tasks of each."""

    def __init__(self, address: str, workers: int | None, plugins: Sequence[Plugin] = ()) -> None:
        self._address, self._requested, self._plugins = address, workers, tuple(plugins)
        self._remote: dict[tuple[Callable[..., Any], bool], Any] = {}
        self._places: dict[str, dict[str, Any]] = {"spread": {"scheduling_strategy": "SPREAD"}}
        self._ending = ExitStack()
        self._watching = ExitStack()
        self._terminated = self._interrupts = False
        self._processes: liveness.Workers | None = None
        self._ended_server: str | None = None
        self._begun: processes.Started = {}
        self._standstill = liveness.Standstill()
        self._calls: list[Any] = []
        self._checked_at = 0.0
        self._workers, self._counted_at = workers or 1, 0.0
        self.again = 0
        self.dashboard: str | None = None

    def __enter__(self) -> Self:
        # read when ray is imported: no usage reports, no lines of its own on our stderr
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        before = processes.descendants(os.getpid())
        previous_handler = signal.getsignal(signal.SIGTERM)
        options: dict[str, Any] = {"address": self._address, "log_to_driver": False, "logging_level": "ERROR"}
        if self._address == "local":
            if (why := liveness.lacking()) is not None:
                raise NotStarted(f"address {self._address}: {why}")
            options |= {"include_dashboard": False, "num_cpus": self._requested}
            options["_system_config"] = liveness.system_config()
        try:
            with ExitStack() as starting, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a failure is reported once, below
                starting.enter_context(_muted())
                with lean() if self._address == "local" else nullcontext():
                    self.dashboard = _join(options)
                self._ending = starting.pop_all()
        except SystemExit:  # raised by ray's own SIGTERM handler until ours is back
            _end_what_started(before)
            raise Terminated from None
        except KeyboardInterrupt:
            _end_what_started(before)
            raise
        except Exception as error:
            from ray.exceptions import RayError

            # where its servers take too long, Ray raises a bare Exception
            if type(error) is not Exception and not isinstance(error, OSError | RayError | RuntimeError | ValueError):
                raise
            processes.end(processes.begun(before))
            raise NotStarted(liveness.refused(self._address, error)) from None
        _keep_private(Path.home() / ".ray" / "auth_token")
        self._interrupts = threading.current_thread() is threading.main_thread()
        if self._interrupts:
            # ray's own handler ends the process with a stack dump and another exit code
            handler_is_ours = previous_handler is terminate
            signal.signal(signal.SIGTERM, raising(self._terminate) if handler_is_ours else previous_handler)
            self._ending.callback(signal.signal, signal.SIGTERM, previous_handler)
        with ExitStack() as entering:
            entering.push(self.__exit__)  # a server that ends by now is reported as one that ends later
            if self._address == "auto":
                self._places["driver"] = _pinned()
            self._watch(before)
            self._count()
            entering.pop_all()
        return self

    def _watch(self, before: processes.Started) -> None:
        """Watch the servers and processes of our own instance, or the workers of a cluster."""
        raylet = None
        if self._address == "local":
            self._begun = processes.begun(before)
            servers = liveness.servers(self._begun)
            raylet = next((pid for pid, name in servers.items() if name == "raylet"), None)
            self._watching.enter_context(liveness.watched(servers, self._note_ended_server))
        self._processes = None if self._address.startswith("ray://") else liveness.Workers(raylet)

    def _note_ended_server(self, server: str) -> None:
        """Note that a server ended, and interrupt what waits for it: Ray would end this process without a word."""
        self._ended_server = server
        if self._interrupts:
            _thread.interrupt_main()

    def _done(self) -> None:
        """Note that something was done; there is nothing to check for a while."""
        self._standstill.done()
        self._checked_at = time.monotonic()

    def _check(self, running: int) -> None:
        """Check, once a second at most, whether running tasks will end.

        Raises
        ------
        WorkersLost
            A server of Ray's ended, or only worker processes end and no tasks.
        """
        if self._ended_server:
            raise WorkersLost(liveness.describe(self._ended_server))
        if self._processes is None or time.monotonic() - self._checked_at < LOOK_SECONDS:
            return
        self._checked_at = time.monotonic()
        ended = self._processes.ended()
        if why := self._standstill.look(ended, min(running, self.workers), lives=self._processes.live()):
            lacking = liveness.lacking() if self._address == "local" else None
            raise WorkersLost(f"{why}; {lacking}" if lacking else why)

    def __exit__(self, *raised: object) -> None:
        """End the instance that was started here, or leave the cluster that was joined."""
        import ray

        try:
            self._watching.close()
            self._remote.clear()
            self._calls.clear()
            if not self._ended_server:
                ray.shutdown()
        except KeyboardInterrupt:
            if not (self._terminated or self._ended_server):
                raise
        finally:
            if self._ended_server:  # a Ray that is half gone does not shut down in order, and this process may be next
                processes.end(self._begun)
            self._ending.close()
        if self._terminated:
            raise with_notes(Terminated(), raised[1]) from None
        if self._ended_server and raised[1] is not None and not isinstance(raised[1], SweepError):
            raise with_notes(WorkersLost(liveness.describe(self._ended_server)), raised[1])

    def _terminate(self) -> KeyboardInterrupt:
        """Note SIGTERM, and return the one exception of a signal handler that Ray lets through while it waits."""
        self._terminated = True
        return KeyboardInterrupt()

    @property
    def workers(self) -> int:
        """The CPUs that Ray has now, or the workers asked for."""
        if self._address != "local" and time.monotonic() - self._counted_at > LOOK_SECONDS:
            self._count()
        return self._workers

    def _count(self) -> None:
        import ray

        # an autoscaled cluster may have no worker yet: it starts nodes for tasks that wait
        least = 1 if self._address == "local" else self.LEAST_ON_A_CLUSTER
        cpus = max(least, int(ray.cluster_resources().get("CPU", 1)))
        self._workers = min(self._requested or cpus, self.WANTED_PER_CPU * cpus)
        self._counted_at = time.monotonic()

    def _task(self, function: Callable[..., Any], *, counted: bool, **options: Any) -> Any:  # noqa: ANN401 - ray's
        import ray

        key = function, counted
        if key not in self._remote:
            self._remote[key] = ray.remote(
                wrap_task(function, stamp() | stamp_of(self._plugins), counted=counted, plugins=self._plugins)
            )
        # an exception is a bug or bad data, the same on every attempt: only lost tasks are worth another
        return self._remote[key].options(**{"num_cpus": 1, "retry_exceptions": False, **options})

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401
        returns: int = 1,
        where: Where = "anywhere",
    ) -> Handle:
        """Submit a task; handles among the arguments are resolved on the worker, without a copy on the same node."""
        options = {"num_returns": returns, "max_retries": -1, "name": function.__name__}
        handles = self._task(function, counted=True, **options, **self._places.get(where, {})).remote(*arguments)
        self._calls.append(handles if returns == 1 else handles[0])
        return handles

    def get(self, handle: Handle, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for an object reference."""
        import ray
        from ray.exceptions import GetTimeoutError

        deadline = None if timeout is None else time.monotonic() + timeout
        self._done()
        while True:
            seconds_left = WAIT_SECONDS if deadline is None else max(deadline - time.monotonic(), 0.0)
            try:
                value = ray.get(handle, timeout=min(seconds_left, WAIT_SECONDS))
                self._calls.clear()  # the calls it was made from are done too, and need not be held
                return value  # noqa: TRY300 - beside what is raised
            except GetTimeoutError as error:
                self._look_at_calls()
                if seconds_left <= WAIT_SECONDS and deadline is not None:
                    raise TimeoutError from error
            except Exception as error:  # noqa: BLE001 - translated, and raised again
                raise self._translate(error) from None

    def _look_at_calls(self) -> None:
        """Release calls that are done; raise WorkersLost where none of the others will be."""
        import ray

        if self._calls and self._processes:
            done, self._calls = ray.wait(self._calls, num_returns=len(self._calls), timeout=0, fetch_local=False)
            if done:
                self._done()
        self._check(max(len(self._calls), 1))

    def stream(
        self,
        function: Callable[..., Any],
        shared: tuple[Handle, ...],
        take: Callable[[], Item | None],
        name: Callable[[Item], str] | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Keep four tasks per worker in flight; an item is not taken before there is room for it."""
        import ray

        # values that are no handles are sent once, not with every item
        shared = tuple(argument if isinstance(argument, ray.ObjectRef) else ray.put(argument) for argument in shared)
        self._calls.clear()
        self._done()
        lost: deque[Item] = deque()
        in_flight: dict[Any, Item] = {}
        while True:
            while len(in_flight) < self.WINDOW_PER_WORKER * self.workers:
                item = lost.popleft() if lost else take()
                if item is None:
                    break
                task_name = name(item) if name else function.__name__
                task = self._task(function, counted=False, max_retries=0, name=task_name)
                in_flight[task.remote(*shared, *item)] = item
            if not in_flight:
                return
            ready, _ = ray.wait(list(in_flight), num_returns=1, timeout=WAIT_SECONDS)
            if len(in_flight) >= MANY:
                # Ray scans all tasks in flight for one answer as for all: so each scan has to bring many
                ready, _ = ray.wait(list(in_flight), num_returns=len(in_flight), timeout=0)
            for handle in ready:
                item = in_flight.pop(handle)
                try:
                    answer = ray.get(handle)
                except Exception as error:  # noqa: BLE001 - sorted, and most raised again
                    loss = judge(error)
                    if loss is Loss.FINAL:
                        raise self._translate(error) from None
                    if loss is Loss.AGAIN:
                        lost.append(item)
                        self.again += 1
                        continue
                    answer = Lost(describe(error))
                else:
                    self._done()
                yield item, answer
            self._check(len(in_flight) or 1)

    def _translate(self, error: Exception) -> Exception:
        """Turn an exception of `ray.get` into the one that the user sees."""
        from ray.exceptions import RayError, RayTaskError

        if self._ended_server:
            return WorkersLost(liveness.describe(self._ended_server))
        cause = error.cause if isinstance(error, RayTaskError) else error
        if type(cause).__module__.partition(".")[0] in PACKAGES:
            return cause
        if self._address != "local":
            # a task that another version cannot unpickle or import fails before its stamp is checked
            try:
                refuse_different_nodes(self._plugins)
            except NodeDiffers as differs:
                return differs
        if isinstance(cause, OSError | MemoryError):
            return WorkersLost(describe_room(cause))
        if isinstance(cause, RayError):
            return WorkersLost(f"a task was lost for good ({type(cause).__name__}); {LOGS}")
        return cause if isinstance(cause, Exception) else error


def _join(options: dict[str, Any]) -> str | None:
    """Start or join Ray, and return its dashboard's address; retry if a cluster's process for a client crashes early.

    That process is forked while gRPC runs in other threads, which it does not always survive.
    """
    import ray
    from ray.util.client import ray as client

    outside = options["address"].startswith("ray://")
    for attempts_left in reversed(range(CLIENT_ATTEMPTS)):
        try:
            context = ray.init(**options)
        except BaseException as error:
            if outside:
                client.disconnect()  # or Ray would take this process for a client for good
            if not (outside and attempts_left and isinstance(error, ConnectionAbortedError)):
                raise
        else:
            address = getattr(context, "dashboard_url", None)
            return f"http://{address}" if address else None
    return None


def _pinned() -> dict[str, Any]:
    """The options of a task that runs on the driver's node, which may have no CPUs for Ray.

    Each takes a share of the node's own resource instead, so that not more of them run at once than there are CPUs.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node_id = ray.get_runtime_context().get_node_id()
    (node,) = (candidate for candidate in ray.nodes() if candidate["NodeID"] == node_id)
    share = 1 / (os.cpu_count() or 1)
    return {
        "num_cpus": 0,
        "resources": {f"node:{node['NodeManagerAddress']}": share},
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
    }


@contextmanager
def _muted() -> Iterator[None]:
    """Keep Ray's messages about ended processes off stdout, where they would land in the middle of the document.

    No setting does that; the answer says what matters of them, and Ray's logs say all.
    """
    from ray._private import worker

    original = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = original


def _end_what_started(before: processes.Started) -> None:
    """End a Ray whose start was cut short: processes that were just starting may not know that they have to end."""
    import ray

    begun = processes.begun(before)
    ray.shutdown()
    processes.end(begun)


def _keep_private(token: Path) -> None:
    """Make the token of Ray's ports private; Ray writes it readable by all."""
    with suppress(OSError):
        if token.stat().st_uid == os.getuid():
            token.chmod(0o600)
