"""A real Apache Kafka, on loopback unless told otherwise, in KRaft mode: for the tests, and for a user by `make kafka`.

Everything it starts ends with this process, however that ends: the kernel kills the brokers when their parent is gone.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from feed.console import waiting
from tools.kafka.jars import VERSION, KafkaAbsentError, alone, folder, jars, java
from tools.kafka.ports import HOST, free_ports, listens, taken
from tools.kafka.tied import Starter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

READY_SECONDS = 90.0
TRIES = 5

OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a broker of a test lives for seconds: what counts is how soon it is there
    "-XX:-UsePerfData",  # a file per process among the temporary ones, which a kill would leave behind
    "-Djava.awt.headless=true",
)

_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n%throwable{6}
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


class BrokerError(Exception):
    """A broker did not start, or did not do as it was told; the message ends with what it logged."""


class PortTakenError(BrokerError):
    """Someone else listens on a port that was chosen or asked for."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A further way in, beside the plain one.

    Attributes
    ----------
    name : str
        Of the listener, as properties name it.
    protocol : str
        ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
    host : str
        What clients are told to connect to; the socket is on the cluster's address always.
    """

    name: str
    protocol: str
    host: str = HOST


PLAIN = Listener("PLAINTEXT", "PLAINTEXT")
CONTROLLER = Listener("CONTROLLER", "PLAINTEXT")


@dataclass(slots=True)
class Node:
    """One broker, which is a controller too: its folder, its ports by listener, its process while it runs."""

    number: int
    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it logs."""
        return self.folder / "broker.log"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def last_lines(self, lines: int = 25) -> str:
        """The end of what it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


class Cluster:
    """Brokers that live as long as this context; node 0 is the first one in every method.

    Parameters
    ----------
    folder : Path
        For configuration, logs and storage; belongs to the cluster alone, and is left to the caller to remove.
    brokers : int
        Each is broker and controller. With three, topics have replication 3 and min.insync.replicas 2.
    properties : mapping of str to str, optional
        Of every server, over those of this module.
    listeners : sequence of Listener, optional
        Beside the plain one.
    scram : sequence of str, optional
        Users made at formatting, such as ``SCRAM-SHA-256=[name=alice,password=secret]``.
    port : int
        Of the first broker's plain listener; 0 = a free one.
    host : str
        The address that they listen on.
    options : sequence of str, optional
        Of each broker's Java, beside `OPTIONS`; by default it maps the classes of `class_archive`.

    Raises
    ------
    KafkaAbsentError
        No Java, or no jars.
    PortTakenError
        The port that was asked for, or, again and again, one that was chosen.
    BrokerError
        It did not start; says what it logged.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 1,
        *,
        properties: Mapping[str, str] | None = None,
        listeners: Sequence[Listener] = (),
        scram: Sequence[str] = (),
        port: int = 0,
        host: str = HOST,
        options: Sequence[str] | None = None,
    ) -> None:
        self._java, self._jars = java(), jars()
        self._options = _sharing(make=True) if options is None else options
        self._properties, self._scram, self._port = dict(properties or {}), tuple(scram), port
        self._host, self._listeners = host, (replace(PLAIN, host=host), *listeners)
        self._identity = _new_identity()
        self._starter = Starter()
        self.nodes: list[Node] = []
        try:
            for left in reversed(range(TRIES)):
                with suppress(*() if port or not left else (PortTakenError,)):
                    self._begin(folder / f"try-{TRIES - left}", brokers)
                    break
                self._end()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill what still runs; a second call does nothing."""
        self._end()
        self._starter.close()

    @property
    def servers(self) -> str:
        """``HOST:PORT`` of every broker's plain listener, separated by commas."""
        return self.servers_of(PLAIN.name)

    def servers_of(self, listener: str) -> str:
        """``HOST:PORT`` of every broker's listener of this name, separated by commas."""
        (host,) = (each.host for each in self._listeners if each.name == listener)
        return ",".join(f"{host}:{node.ports[listener]}" for node in self.nodes)

    def address(self, topic: str, listener: str = PLAIN.name) -> str:
        """The SOURCE of a topic."""
        return f"kafka://{self.servers_of(listener)}/{topic}"

    def create_topic(self, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        """Make a topic and wait until its partitions have leaders; its SOURCE."""
        wanted = {name: {"num_partitions": partitions, "configs": dict(configs or {})}}
        with self.admin() as admin:
            admin.create_topics(wanted, wait_for_metadata=True)
        return self.address(name)

    def configure_topic(self, name: str, configs: Mapping[str, str]) -> None:
        """Change settings of a topic."""
        from_admin = import_module("kafka.admin")
        with self.admin() as admin:
            admin.alter_configs([from_admin.ConfigResource("TOPIC", name, dict(configs))])

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait until the brokers list it no more."""
        with self.admin() as admin:
            admin.delete_topics([name])
            self._until(lambda: name not in admin.list_topics(), f"topic {name} is gone")

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete what lies before an offset, by partition."""
        part = kafka_python().TopicPartition
        with self.admin() as admin:
            admin.delete_records({part(topic, partition): offset for partition, offset in before.items()})

    def leader_of(self, topic: str, partition: int = 0) -> int:
        """Which node leads a partition; waits for one while there is none."""
        leaders: list[int] = []

        def known() -> bool:
            for described in admin.describe_topics([topic]):
                leaders.extend(
                    part["leader_id"] for part in described["partitions"] if part["partition_index"] == partition
                )
            return bool(leaders) and leaders[-1] >= 1

        with self.admin() as admin:
            self._until(known, f"partition {partition} of {topic} has a leader")
        return leaders[-1] - 1

    def wait_in_sync(self, topic: str) -> None:
        """Wait until every replica of a topic is in sync, so that any one broker may go."""

        def whole() -> bool:
            (described,) = admin.describe_topics([topic])
            parts = described["partitions"]
            return bool(parts) and all(len(part["isr_nodes"]) == len(part["replica_nodes"]) for part in parts)

        with self.admin() as admin:
            self._until(whole, f"the replicas of {topic} are in sync")

    def end(self, number: int) -> None:
        """End a broker in order: SIGTERM."""
        process = self.nodes[number].process
        if process is not None:
            process.terminate()
            process.wait(timeout=READY_SECONDS)

    def kill(self, number: int) -> None:
        """Kill a broker as a crash would: SIGKILL."""
        process = self.nodes[number].process
        if process is not None:
            process.kill()
            process.wait()

    def restart(self, number: int, *, wait: bool = True) -> None:
        """Start a killed broker again, on its ports and its storage; wait until all that run are listed again."""
        if self.nodes[number].alive:
            raise BrokerError(f"broker {number} runs")
        self._launch(self.nodes[number])
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until every broker that was started listens, and the cluster lists as many.

        Raises
        ------
        BrokerError
            One ended, or they were not ready in time.
        """
        running = [node for node in self.nodes if node.process is not None and node.process.returncode is None]
        self._until(
            lambda: all(listens(node.ports[PLAIN.name], self._host) for node in running), "the brokers listen", running
        )
        self._until(lambda: self._lists(len(running)), f"{len(running)} brokers are listed", running)

    def _lists(self, count: int) -> bool:
        """Whether the cluster lists that many brokers; a broker listens before it may serve."""
        # Whoever listens may be a stranger, or a broker of another run, where ours is about to find its port taken.
        with suppress(kafka_python().errors.KafkaError, BrokerError), self.admin(seconds=2) as admin:
            described = admin.describe_cluster()
            return described["cluster_id"] == self._identity and len(described["brokers"]) == count
        return False

    @contextmanager
    def admin(self, seconds: float = 30) -> Iterator[Any]:
        """A kafka-python admin client of the brokers that run, one at least; it must answer within so many seconds."""
        servers = [f"{self._host}:{node.ports[PLAIN.name]}" for node in self.nodes if node.alive]
        if not servers:  # kafka-python would choose one of them
            raise BrokerError("no broker runs")
        client = kafka_python().KafkaAdminClient(
            bootstrap_servers=servers,
            bootstrap_timeout_ms=int(seconds * 1000),
            reconnect_backoff_max_ms=500,
            client_id="sor-sweep-tests",
        )
        try:
            yield client
        finally:
            client.close()

    def _begin(self, folder: Path, brokers: int) -> None:
        ports = iter(free_ports(brokers * (len(self._listeners) + 1), self._host))
        for number in range(brokers):
            place = folder / f"broker-{number}"
            place.mkdir(parents=True)
            names = [each.name for each in (*self._listeners, CONTROLLER)]
            self.nodes.append(Node(number, place, {name: next(ports) for name in names}))
        if self._port:
            self.nodes[0].ports[PLAIN.name] = self._port
            if taken(self._port, self._host):
                raise PortTakenError(f"{self._host}:{self._port}: cannot listen: Address already in use")
        for node in self.nodes:
            (node.folder / "server.properties").write_text(self._configuration(node))
            (node.folder / "log4j2.properties").write_text(_LOGGING)
        self._format()
        for node in self.nodes:
            self._launch(node)
        self.wait_ready()

    def _configuration(self, node: Node) -> str:
        count = len(self.nodes)
        replication, in_sync = (str(min(3, count)), "2" if count >= 3 else "1")
        ways = (*self._listeners, CONTROLLER)
        voters = (f"{each.number + 1}@{self._host}:{each.ports[CONTROLLER.name]}" for each in self.nodes)
        named = {
            "process.roles": "broker,controller",
            "node.id": str(node.number + 1),
            "log.dirs": str(node.folder / "storage"),
            "listeners": ",".join(f"{way.name}://{self._host}:{node.ports[way.name]}" for way in ways),
            "advertised.listeners": ",".join(
                f"{way.name}://{way.host}:{node.ports[way.name]}" for way in self._listeners
            ),
            "listener.security.protocol.map": ",".join(f"{way.name}:{way.protocol}" for way in ways),
            "inter.broker.listener.name": PLAIN.name,
            "controller.listener.names": CONTROLLER.name,
            "controller.quorum.voters": ",".join(voters),
            "auto.create.topics.enable": "true",
            "num.partitions": "1",
            "default.replication.factor": replication,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replication,
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": replication,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": replication,
            "share.coordinator.state.topic.min.isr": in_sync,
            "message.max.bytes": str(9 * 2**20),  # a batch that holds one message of 8 MiB
            "replica.fetch.max.bytes": str(9 * 2**20),
            "log.cleaner.dedupe.buffer.size": str(8 * 2**20),  # the default is a quarter of the heap
            "log.cleaner.backoff.ms": "300",  # how often it looks for what to compact
            "log.initial.task.delay.ms": "300",
            "log.retention.check.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "4000",  # how long a dead leader goes unnoticed
            "broker.heartbeat.interval.ms": "500",
            **self._properties,
        }
        return "".join(f"{name}={value}\n" for name, value in named.items())

    def _command(self, node: Node, options: Sequence[str], main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={node.folder / 'log4j2.properties'}"
        return [self._java, *OPTIONS, *options, logging, "-cp", f"{self._jars}/*", main, *arguments]

    def _format(self) -> None:
        """Give every broker's storage the identity of one cluster."""
        users = [word for user in self._scram for word in ("--add-scram", user)]
        for node in self.nodes:
            configuration = str(node.folder / "server.properties")
            words = ["format", "--cluster-id", self._identity, "--config", configuration, *users]
            self._spawn(node, self._command(node, _sharing(make=False), "kafka.tools.StorageTool", *words))
        for node in self.nodes:
            if node.process is None or node.process.wait(timeout=60):
                raise BrokerError(f"the storage of broker {node.number} could not be formatted:\n{node.last_lines()}")

    def _launch(self, node: Node) -> None:
        self._spawn(node, self._command(node, self._options, "kafka.Kafka", str(node.folder / "server.properties")))

    def _spawn(self, node: Node, command: list[str]) -> None:
        with node.log.open("ab") as log:
            node.process = self._starter.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def _until(self, met: Callable[[], bool], what: str, watched: Sequence[Node] = ()) -> None:
        """Wait for a condition, and no longer than the watched brokers live."""
        deadline = time.monotonic() + READY_SECONDS
        while not met():
            for node in watched:
                if not node.alive:
                    kind = PortTakenError if "Address already in use" in node.last_lines() else BrokerError
                    raise kind(f"broker {node.number} ended:\n{node.last_lines()}")
            if time.monotonic() > deadline:
                logged = "\n".join(f"broker {node.number}:\n{node.last_lines()}" for node in self.nodes)
                raise BrokerError(f"not within {READY_SECONDS:.0f} s: {what}\n{logged}")
            time.sleep(0.05)

    def _end(self) -> None:
        for node in self.nodes:
            if node.alive:
                self.kill(node.number)
        self.nodes.clear()


@cache
def class_archive() -> Path:
    """Where the classes that a broker loads are kept as Java has parsed them, for this Java and these jars."""
    banner = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    place = jars()
    return place.with_name(f"{place.name}.{hashlib.sha256(banner.encode()).hexdigest()[:8]}.jsa")


def _sharing(*, make: bool) -> tuple[str, ...]:
    """Java's option to map these classes, which halves the time that a broker takes to start, and its CPU time.

    None where they are not there, and are not to be made or cannot be.
    """
    if make:
        _made()
    place = class_archive()
    return (f"-XX:SharedArchiveFile={place}",) if place.exists() else ()


@cache
def _made() -> None:
    """Make the archive unless it is there; what prevents that is nobody's fault, and is not tried again."""
    place = class_archive()
    if not place.exists():
        with suppress(OSError, BrokerError, subprocess.TimeoutExpired), alone(place.parent):
            if not place.exists():
                _make_archive(place)


def _make_archive(place: Path) -> None:
    """Run a broker that writes its classes at its end."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".classes-") as scratch:
        written = Path(scratch, place.name)
        with Cluster(Path(scratch), options=(f"-XX:ArchiveClassesAtExit={written}",)) as cluster:
            cluster.end(0)
        written.rename(place)


def kafka_python() -> Any:
    """kafka-python, imported by way of `feed.kafka.client`, which silences what that import warns of."""
    import_module("feed.kafka.client")
    return import_module("kafka")


def _new_identity() -> str:
    """Name a cluster: a random UUID in base64, which does not look like an option."""
    name = "-"
    while name.startswith("-"):
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one broker in the foreground until ctrl-C; the exit code."""
    parser = argparse.ArgumentParser(prog="make kafka", description="A real Apache Kafka, until ctrl-C.")
    parser.add_argument("--port", type=int, default=9092, help="to listen on (default %(default)s)")
    parser.add_argument("--host", default=HOST, help="the address to listen on (default %(default)s)")
    chosen = parser.parse_args(arguments)
    port = chosen.port
    if not 1 <= port <= 65535:
        print(f"error: {port} is no port: expected 1 to 65535", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))
    try:
        _serve(port, chosen.host)
    except KeyboardInterrupt:
        return 130
    except PortTakenError as error:
        print(f"error: {str(error).splitlines()[0]}; choose another: make kafka PORT=9093", file=sys.stderr)
    except (BrokerError, KafkaAbsentError) as error:
        print(f"error: {error}", file=sys.stderr)
    return 2


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _serve(port: int, host: str) -> None:
    java()  # before a minute is spent on what it runs
    if not folder().is_dir():
        _tell(f"fetching Apache Kafka {VERSION} with Maven into {folder()}, once; it takes minutes")
        with waiting(_tell, lambda: f"Maven fetches Apache Kafka {VERSION}"):
            jars()
    with tempfile.TemporaryDirectory(prefix="sor-sweep-kafka-") as storage, ExitStack() as serving:
        _tell(f"starting Apache Kafka {VERSION}")
        with waiting(_tell, lambda: "the broker starts"):
            cluster = serving.enter_context(Cluster(Path(storage), port=port, host=host))
        print(cluster.address("quotes"), flush=True)
        _tell(f"storage in {storage}, removed at the end; ctrl-C ends it")
        (node,) = cluster.nodes
        while node.alive:
            time.sleep(0.5)
        raise BrokerError(f"the broker ended:\n{node.last_lines()}")
