"""The launcher of a real Apache Kafka: it starts, it says why not, and nothing of it outlives who started it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from feed.console import waiting
from feed.kafka.producer import replay
from feed.source import read_source
from feed.tape import same
from tests.support import ROOT
from tests.support.kafka.handmade import tape
from tools.kafka import cluster as brokers
from tools.kafka import jars as kafkajars
from tools.kafka.ports import free_ports

pytestmark = pytest.mark.kafka


def launched(port, scratch):
    """`make kafka` without make, which leaves its own child behind where it is killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "tools.kafka", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refuses(port):
    """Whether the port closes within seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except (ConnectionResetError, TimeoutError):  # it is being closed at this very moment
            pass
        time.sleep(0.05)
    return False


@pytest.mark.command
@pytest.mark.usefixtures("kafka_runs")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_it_serves_until_its_end_and_nothing_is_left(tmp_path, number, code):
    (port,) = free_ports(1)
    process = launched(port, tmp_path)
    try:
        source = process.stdout.readline().strip()
        assert source == f"kafka://127.0.0.1:{port}/quotes", process.stderr.read()
        starting, stored = process.stderr.readline(), process.stderr.readline()
        assert starting == f"starting Apache Kafka {kafkajars.VERSION}\n"
        while stored.startswith("still waiting after "):  # on a busy machine
            stored = process.stderr.readline()
        folder = Path(stored.split()[2].rstrip(","))
        assert folder.is_dir()
        replay(tape(), source)
        assert same(read_source(source)[0], tape())
        process.send_signal(number)
        out, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, stderr) == (code, "", "")
    assert refuses(port)
    assert folder.exists() == (number == signal.SIGKILL)


@pytest.mark.command
@pytest.mark.usefixtures("kafka_runs")
def test_a_port_that_is_taken_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = launched(port, tmp_path)
        out, stderr = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    *_, last = stderr.splitlines()
    assert last == (
        f"error: 127.0.0.1:{port}: cannot listen: Address already in use; choose another: make kafka PORT=9093"
    )


@pytest.mark.parametrize("port", ["0", "65536"])
def test_what_is_no_port_is_refused(port, capsys):
    assert brokers.main(["--port", port]) == 2
    assert f"{port} is no port" in capsys.readouterr().err


@pytest.mark.usefixtures("kafka_runs")
def test_a_chosen_port_that_somebody_took_meanwhile_is_another_try(tmp_path, monkeypatch):
    first = []
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def choose(count, host):
            if first:
                return free_ports(count, host)
            first.append(taken.getsockname()[1])
            return [*first, *free_ports(count - 1, host)]

        monkeypatch.setattr(brokers, "free_ports", choose)
        with brokers.Cluster(tmp_path) as cluster:
            assert str(first[0]) not in cluster.servers
            assert same_through(cluster.address("q"))
            assert [path.name for path in sorted(tmp_path.iterdir())] == ["try-1", "try-2"]


@pytest.mark.usefixtures("kafka_runs")
def test_without_a_broker_that_runs_there_is_nobody_to_ask(tmp_path):
    with brokers.Cluster(tmp_path) as cluster:
        cluster.kill(0)
        with pytest.raises(brokers.BrokerError, match="no broker runs"), cluster.admin():
            pass


def same_through(source):
    replay(tape(), source)
    return same(read_source(source)[0], tape())


@pytest.mark.usefixtures("kafka_runs")
def test_a_broker_that_does_not_start_says_why(tmp_path):
    with pytest.raises(brokers.BrokerError, match=r"broker 0 .*\n(.*\n)*.*log.cleaner.threads"):
        brokers.Cluster(tmp_path, properties={"log.cleaner.threads": "many"})


def test_a_further_listener_has_a_port_and_a_name_of_its_own(kafka_fresh):
    inside = brokers.Listener("INSIDE", "PLAINTEXT", host="localhost")
    cluster = kafka_fresh(listeners=[inside], properties={"num.partitions": "3"})
    source = cluster.address("q", "INSIDE")
    assert source.startswith("kafka://localhost:")
    assert source != cluster.address("q")
    assert same_through(source)
    with cluster.admin() as admin:
        (described,) = admin.describe_topics(["q"])
    assert len(described["partitions"]) == 3


def test_the_storage_is_where_it_is_told_and_listens_on_loopback_only(kafka_one):
    from kafka import KafkaConsumer  # after feed.kafka.client, whose import silences what the client's own one warns of

    listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line}
    listening |= {line.split()[1] for line in Path("/proc/net/tcp6").read_text().splitlines() if " 0A " in line}
    for port in kafka_one.nodes[0].ports.values():
        (where,) = {address for address in listening if address.endswith(f":{port:04X}")}
        assert where.partition(":")[0] in {"0100007F", "0000000000000000FFFF00000100007F"}
    consumer = KafkaConsumer(bootstrap_servers=kafka_one.servers)
    assert isinstance(consumer.topics(), set)
    consumer.close()


class TestWithoutKafka:
    """What is said where it cannot be run."""

    @pytest.fixture(autouse=True)
    def _nothing_remembered(self, monkeypatch, tmp_path):
        kafkajars.java.cache_clear()
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        yield
        kafkajars.java.cache_clear()

    @staticmethod
    def program(path, script):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def test_no_java(self):
        with pytest.raises(kafkajars.KafkaAbsentError, match="no java on PATH; Java 17 or newer is needed: apt-get"):
            kafkajars.java()

    def test_an_old_java(self, tmp_path):
        self.program(tmp_path / "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
        with pytest.raises(kafkajars.KafkaAbsentError, match="is Java 11; Java 17 or newer"):
            kafkajars.java()

    def test_java_home_goes_first(self, tmp_path, monkeypatch):
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
        with pytest.raises(kafkajars.KafkaAbsentError, match="there is no java in JAVA_HOME="):
            kafkajars.java()
        self.program(tmp_path / "home" / "bin" / "java", """echo 'openjdk version "21" 2023-09-19' >&2""")
        assert kafkajars.java() == str(tmp_path / "home" / "bin" / "java")

    def test_no_maven(self):
        with pytest.raises(kafkajars.KafkaAbsentError, match="no mvn on PATH to fill it; apt-get install maven"):
            kafkajars.jars()

    def test_a_maven_that_fails_leaves_nothing(self, tmp_path):
        self.program(tmp_path / "mvn", "echo '[ERROR] it is offline'; exit 1")
        with pytest.raises(kafkajars.KafkaAbsentError, match=r"could not fetch Apache Kafka 4.*: \[ERROR\] it is off"):
            kafkajars.jars()
        assert list((tmp_path / "cache" / "sor-sweep").iterdir()) == []

    def test_a_maven_that_hangs(self, tmp_path):
        self.program(tmp_path / "mvn", f"exec {Path('/bin/sleep').resolve()} 60")
        with pytest.raises(kafkajars.KafkaAbsentError, match=r"did not fetch Apache Kafka .* within 0 s"):
            kafkajars.jars(0.2)

    def test_jars_are_put_in_place_at_once_and_whoever_comes_second_takes_them(self, tmp_path):
        place = kafkajars.folder()
        jar = f"kafka_2.13-{kafkajars.VERSION}.jar"
        # While this Maven copies, another run has finished.
        self.program(
            tmp_path / "mvn",
            f"""for word; do case $word in -DoutputDirectory=*) out=${{word#*=}}; esac; done
/bin/mkdir "$out" "{place}"; echo mine > "$out/{jar}"; echo theirs > "{place}/{jar}" """,
        )
        assert kafkajars.jars() == place
        assert (place / jar).read_text() == "theirs\n"
        assert list(place.parent.iterdir()) == [place]
        self.program(tmp_path / "mvn", "exit 1")
        assert kafkajars.jars() == place


def test_fetching_is_said_before_it_begins_and_while_it_lasts(monkeypatch, capsys, tmp_path):
    heard, tell = threading.Event(), brokers._tell

    def note(text):
        tell(text)
        if text.startswith("still waiting"):
            heard.set()

    def fetch():
        assert heard.wait(10)
        raise kafkajars.KafkaAbsentError("mvn could not fetch it")

    monkeypatch.setattr(brokers, "_tell", note)
    monkeypatch.setattr(brokers, "waiting", partial(waiting, first=0.01))
    monkeypatch.setattr(brokers, "java", lambda: "java")
    monkeypatch.setattr(brokers, "folder", lambda: tmp_path / "absent")
    monkeypatch.setattr(brokers, "jars", fetch)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        assert brokers.main([]) == 2
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGHUP), handlers, strict=True):
            signal.signal(number, handler)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"fetching Apache Kafka {kafkajars.VERSION} with Maven into {tmp_path / 'absent'}, once; it takes minutes",
        f"still waiting after 0 s: Maven fetches Apache Kafka {kafkajars.VERSION}",
        "error: mvn could not fetch it",
    ]


@pytest.mark.usefixtures("kafka_runs")
def test_a_broker_maps_the_classes_that_the_first_one_left(tmp_path):
    with brokers.Cluster(tmp_path) as cluster:
        archive = brokers.class_archive()
        written = archive.stat().st_mtime_ns
        (node,) = cluster.nodes
        assert str(archive) in Path(f"/proc/{node.process.pid}/maps").read_text()
        assert "shared" not in node.last_lines()
    with brokers.Cluster(tmp_path / "other"):
        assert archive.stat().st_mtime_ns == written


@pytest.mark.usefixtures("kafka_runs")
def test_where_no_classes_can_be_kept_a_broker_starts_without(tmp_path, monkeypatch):
    monkeypatch.setattr(brokers, "class_archive", lambda: tmp_path / "absent" / "classes.jsa")
    brokers._made.cache_clear()
    assert brokers._sharing(make=True) == brokers._sharing(make=False) == ()
