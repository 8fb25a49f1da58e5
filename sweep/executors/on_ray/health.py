"""The health of Ray: whether it can start, how fast it notices losses, whether its servers live and work gets done.

`SETTINGS` are for an instance of our own and for cluster.yaml.

With Ray's own defaults a node without power is noticed after 15 s, and one without a cable after a minute, while the
driver waits for its tasks.

They are given to the head alone, which passes them to every other process of the cluster, the driver too. Set in the
environment, they would have to be the same everywhere: a process that is asked for a sign of life more often than it
expects ends the connection, and with it a task that takes longer than 20 s.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import threading
import time
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sweep.executors.on_ray import processes
from sweep.executors.on_ray.losses import LOGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sweep.executors.on_ray.processes import Started

SETTINGS: Final[dict[str, int]] = {
    # a node that has just joined may be lost as well; it answers as soon as it is listed
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    # a check is a few bytes; where it takes 1.5 s, the network loses packets or nobody is there
    "health_check_timeout_ms": 1500,
    # three in a row: up to 6 s where nothing answers, 1.5 s where the connection is refused. That leaves 4 s of 10 to
    # read a source again whose only copy was there. One check that was missed in a pause of the machine says nothing. A
    # raylet answers on a busy machine too: its workers run at nice 15, and it does little itself.
    "health_check_failure_threshold": 3,
    # a cable that is out closes no connection: without these a driver waits for the answer of a task until TCP gives up
    "grpc_client_keepalive_time_ms": 5000,
    "grpc_client_keepalive_timeout_ms": 5000,
}
"""Every setting by Ray's name for it, in milliseconds or a count."""


def system_config(environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """The settings of an instance that is started here, except those that the user sets by their variables."""
    return {name: value for name, value in SETTINGS.items() if f"RAY_{name}" not in environment}


PATIENCE: Final = 45.0
"""Seconds after which, if nothing gets done while worker processes end, nothing will."""

DEATHS: Final = 5
"""Worker processes that may end meanwhile for each task that should run. Ray waits 1, 2, 4, 8 s between those that it
ends for lack of memory, so it ends as many in half a minute."""

SETTLED: Final = 5.0
"""Seconds after which a worker process counts as alive: one that ends sooner has done nothing."""

BESIDE_MS: Final = 5000
"""How far the clocks of hosts may differ, and how long a worker process may outlive its job."""

LEAST_ROOM: Final = 2**20
"""Free bytes that Ray's temporary folder needs at least; a short sweep takes 140 KB."""

LEAST_MEMORY: Final = 600 * 2**20
"""Bytes that this machine or container needs at least: Ray's servers, one worker and the driver take 470 MB for a file
of a minute; with less the system ends one of them after the other."""

SERVERS: Final = {b"/raylet": "raylet", b"/gcs_server": "GCS"}
"""Processes without which Ray does not work, by the ends of their programs' names."""

AGENTS: Final = (
    *(b"ray::DashboardAgent", b"ray::RuntimeEnvAgent", b"/dashboard/agent.py", b"/runtime_env/agent/main.py"),
    b"/on_ray/idle_agent.py",
)
"""In the command lines of processes whose end a raylet does not survive: Ray's two, the first names once they have
started, and what stands in for them."""


class Standstill:
    """Tells whether work still gets done while worker processes end; it is updated once a second or so.

    It starts anew whenever something is done, and a long chunk on a worker that lives has all the time it takes.

    Parameters
    ----------
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.done()

    def done(self) -> None:
        """Start anew: something was done."""
        self._known_ended: set[str] | None = None
        self._ended = self._for_memory = 0
        self._first: float | None = None
        self._lifeless: float | None = None

    def look(self, ended: Mapping[str, bool], running: int, *, lives: bool) -> str | None:
        """Update with the current state.

        Parameters
        ----------
        ended : mapping of str to bool
            Every worker process that has ended, by a unique name, and whether for lack of memory.
        running : int
            Tasks that should run.
        lives : bool
            Whether a worker process has lived for longer than `SETTLED`, or that is not known.

        Returns
        -------
        str or None
            Why nothing more will be done, in one line.
        """
        now = self._clock()
        if self._known_ended is None:  # those that ended while work got done say nothing
            self._known_ended, self._lifeless = set(ended), now
        new = set(ended) - self._known_ended
        self._known_ended |= new
        self._ended += len(new)
        self._for_memory += sum(ended[name] for name in new)
        self._first = now if new and self._first is None else self._first
        self._lifeless = None if lives else now if self._lifeless is None else self._lifeless
        dying = self._first is not None and now - self._first >= PATIENCE and self._ended > DEATHS * running
        lifeless = self._lifeless is not None and now - self._lifeless >= PATIENCE
        if not (dying or lifeless):
            return None
        since = min(instant for instant in (self._first, self._lifeless) if instant is not None)
        why = "killed, out of memory, or a crash inside a library"
        if self._for_memory:
            why = "their node is short of memory, so Ray ends them; make room there, or use fewer workers"
        deaths = f"{self._ended} worker processes ended" if self._ended else "each worker process ended as it began"
        return f"{deaths} within {now - since:.0f} s and nothing was done meanwhile: {why}; {LOGS}"


class Workers:
    """The worker processes of the Ray that this process has joined.

    Parameters
    ----------
    raylet : int, optional
        The raylet of our own instance, whose processes are seen before they have joined it.
    """

    def __init__(self, raylet: int | None) -> None:
        self._raylet = raylet
        self._seen: Started = {}

    def ended(self) -> dict[str, bool]:
        """Worker processes that crashed or were killed on nodes that live; and whether for lack of memory.

        A cluster does not say whose a worker process was: those that ended while other jobs ran are left out.
        """
        import ray
        from ray._private.state import state
        from ray.core.generated import common_pb2, gcs_pb2

        standing = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        orderly = {common_pb2.INTENDED_SYSTEM_EXIT, common_pb2.INTENDED_USER_EXIT}
        rows = map(gcs_pb2.WorkerTableData.FromString, state._connect_and_get_accessor().get_worker_table())  # noqa: SLF001
        dead = [row for row in rows if not row.is_alive and row.worker_address.node_id.hex() in standing]
        if self._raylet is None:
            spans = _other_jobs()
            dead = [row for row in dead if not any(start <= row.end_time_ms <= end for start, end in spans)]
        ended = {
            f"{row.worker_address.node_id.hex()} {row.pid}": row.exit_type == common_pb2.NODE_OUT_OF_MEMORY
            for row in dead
            if row.exit_type not in orderly
        }
        if self._raylet is not None:
            exited_orderly = {row.pid for row in dead if row.exit_type in orderly}
            (node,) = standing or {""}
            vanished = self._seen.keys() - self._now().keys() - exited_orderly
            ended = {f"{node} {pid}": False for pid in vanished} | ended
        return ended

    def live(self) -> bool:
        """Whether one has lived for longer than `SETTLED`; True also where none can be seen."""
        return self._raylet is None or any(processes.age(pid) > SETTLED for pid in self._now())

    def _now(self) -> Started:
        if self._raylet is None:
            return {}
        now = processes.descendants(self._raylet)
        now = {pid: start_time for pid, start_time in now.items() if _is_worker(pid)}
        self._seen |= now
        return now


def _other_jobs() -> list[tuple[float, float]]:
    """When jobs other than this one and those of Ray's own servers used the cluster; ms since 1970."""
    import ray
    from ray._private.state import state
    from ray.core.generated import gcs_pb2

    rows = state._connect_and_get_accessor().get_job_table(  # noqa: SLF001
        skip_submission_job_info_field=True, skip_is_running_tasks_field=True
    )
    own_job = ray.get_runtime_context().get_job_id()
    return [
        (job.start_time - BESIDE_MS, job.end_time + BESIDE_MS if job.is_dead else inf)
        for job in map(gcs_pb2.JobTableData.FromString, rows)
        if job.job_id.hex() != own_job and not job.config.ray_namespace.startswith("_ray_internal")
    ]


def _command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _is_worker(pid: int) -> bool:
    """Until it sets its own title, a worker process shows its script."""
    command_line = _command_line(pid)
    return b"default_worker.py" in command_line or (
        command_line.startswith(b"ray::") and not command_line.startswith(AGENTS)
    )


def servers(started: Started) -> dict[int, str]:
    """Which of some processes are Ray's servers, with their names."""
    kinds = {}
    for pid in started:
        command_line = _command_line(pid)
        program = command_line.partition(b"\0")[0]
        kind = next((name for end, name in SERVERS.items() if program.endswith(end)), None)
        if kind is None and any(agent in command_line for agent in AGENTS):
            kind = "agent"
        if kind is not None:
            kinds[pid] = kind
    return kinds


def lacking(*, memory: int | None = None, space: int | None = None, room: int | None = None) -> str | None:
    """Say in one line what this machine lacks for a Ray of our own; None where it has enough, or that is not known.

    Ray itself would try for a minute, or run until the system ends one process after the other.

    Parameters
    ----------
    memory : int, optional
        Bytes, instead of those of this machine or container.
    space : int, optional
        Bytes of address space, instead of the limit of a process.
    room : int, optional
        Free bytes, instead of those in Ray's temporary folder.
    """
    try:
        from ray._common.utils import get_default_system_temp_dir, get_system_memory
    except ImportError:  # internals of Ray, which other versions have elsewhere
        return None
    memory = get_system_memory() if memory is None else memory
    if memory < LEAST_MEMORY:
        return (
            f"Ray's servers, a worker and this process take about 500 MB of memory, and here are {memory >> 20} MB; "
            "give this machine or container more memory, or use executor=inline"
        )
    space = resource.getrlimit(resource.RLIMIT_AS)[0] if space is None else space
    if 0 <= space < memory // 2:  # -1 is no limit; the raylet maps its object store, 30 % of the memory, twice
        return (
            f"a process may have {space >> 20} MB of addresses here, and Ray's object store needs {memory >> 21} MB; "
            "raise the limit of memory (ulimit -v unlimited), or use executor=inline"
        )
    folder = get_default_system_temp_dir()
    with suppress(OSError):  # Ray makes the folder, or says why not
        room = shutil.disk_usage(folder).free if room is None else room
        if room < LEAST_ROOM:
            return (
                f"Ray's files have no room in {folder} ({room >> 10} KB are left); free some, set RAY_TMPDIR to "
                "another folder, or use executor=inline"
            )
    return None


def refused(address: str, error: Exception) -> str:
    """Say in one line why Ray did not start, or did not let us join."""
    if address == "local" and (why := lacking()) is not None:
        return f"address {address}: {why}"
    if "Version mismatch" in str(error):
        message = " ".join(str(error).split())
        return f"address {address}: {message}; install the same Ray and Python here and there (constraints.txt)"
    if isinstance(error, OSError) and not os.access(Path.home(), os.W_OK):
        return (
            f"address {address}: Ray keeps the token of its ports in HOME, which cannot be written or is not there "
            f"({Path.home()}); set HOME to a folder of yours, or use executor=inline"
        )
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    message = f"{first} {rest[0]}" if first.endswith(":") and rest else first
    remedy = "end what else keeps this machine busy" if address == "local" else "start a cluster with ray up"
    alternative = "" if address == "local" else "address=local or "
    return f"address {address}: Ray did not start or answer ({message}); {remedy}, or use {alternative}executor=inline"


def describe(server: str) -> str:
    """One line about a server that ended."""
    return f"Ray's {server} ended while the sweep ran: killed, out of memory, or no room for its files; {LOGS}"


@contextmanager
def watched(pids: Mapping[int, str], ended: Callable[[str], None]) -> Iterator[None]:
    """Report, at once and from another thread, the first of some processes that ends, and end the others.

    Ray's GCS would tell this process a second later that a raylet ended; Ray's library then writes to the object store
    that went with it, and ends the process.
    """
    stop, end = os.pipe()
    poller, names = select.poll(), {}
    poller.register(stop, select.POLLIN)
    for pid, name in pids.items():
        with suppress(OSError):
            names[os.pidfd_open(pid)] = name
    for descriptor in names:
        poller.register(descriptor, select.POLLIN)

    def wait() -> None:
        hung_up = [descriptor for descriptor, _ in poller.poll() if descriptor in names]
        if hung_up:
            for descriptor in names:
                with suppress(OSError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            ended(names[hung_up[0]])

    thread = threading.Thread(target=wait, name="ray-servers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(end)
        thread.join()
        for descriptor in (stop, *names):
            os.close(descriptor)
