"""What tests on the embedded broker share, and tests on a cluster of hosts."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import kafkajars
import pytest
from hosts import ROOT, Hosts, why_not
from raycluster import RayCluster
from watchedsweep import WatchedSweep

from feed import synthetic
from feed.broker import EmbeddedBroker
from feed.instants import format_instant


@pytest.fixture(scope="module")
def broker():
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def topic(broker, request):
    """The SOURCE of a topic of the test's own."""
    return broker.source("".join(letter if letter.isalnum() else "-" for letter in request.node.name))


@dataclass(frozen=True)
class Running:
    """A cluster, and a topic that its nodes reach.

    Attributes
    ----------
    cluster : RayCluster
    file : Path
        The stream that was replayed into the topic.
    words : list of str
        KEY=VALUE of the topic and the stream's window.
    """

    cluster: RayCluster
    file: Path
    words: list[str]

    def sweep(self, name, *words, **options):
        """Begin a sweep of the topic on the head."""
        return WatchedSweep(self.cluster, self.cluster.hosts.folder / name, *self.words, *words, **options)

    def inline(self, name, *words):
        """The bytes of the table of a sweep of the file in one process of this machine."""
        output = self.cluster.hosts.folder / name
        mine = [f"source={self.file}", *self.words[1:], *words, "executor=inline"]
        command = [sys.executable, "-m", "sweep", *mine, "--output", output]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=170)
        (path,) = output.rglob("results.parquet")
        return path.read_bytes()


@pytest.fixture(scope="module")
def running(request, kafka_runs, tmp_path_factory):
    """Three hosts that `ray up` made a cluster of, CPUS of the module each; a broker beside them with a stream."""
    if reason := why_not():
        pytest.skip(reason)
    cache = kafkajars.folder().parents[1]
    seconds = 300.0
    with Hosts(tmp_path_factory.mktemp("hosts") / "h", kept=[cache]) as hosts:
        file = hosts.folder / "stream.csv.gz"
        synthetic.write_csv(synthetic.generate(seconds=seconds, warmup=10.0), file)
        command = [sys.executable, ROOT / "tests" / "brokers.py", "--host", hosts.control.address]
        with (hosts.folder / "broker.log").open("w") as log:
            broker = hosts.control.popen(
                *command, env={"XDG_CACHE_HOME": str(cache)}, stdout=subprocess.PIPE, stderr=log, text=True
            )
        cluster = RayCluster(hosts, request.module.CPUS)
        cluster.up()
        source = broker.stdout.readline().strip()
        assert source == f"kafka://{hosts.control.address}:9092/quotes", (hosts.folder / "broker.log").read_text()
        hosts.control.run(sys.executable, "-m", "feed", "replay", file, source, cwd=ROOT)
        start, end = map(format_instant, synthetic.window(seconds))
        yield Running(cluster, file, [f"source={source}", f"window.start={start}", f"window.end={end}"])
