"""A cluster of hosts beside a broker that holds a synthetic stream: all that a sweep on a cluster needs."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from feed import synthetic
from feed.instants import format_instant
from tests.support.cluster.hosts import ROOT, Hosts
from tests.support.cluster.raycluster import RayCluster
from tests.support.cluster.watchedsweep import WatchedSweep
from tools.kafka import jars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WARMUP_SECONDS = 10.0
"""Of the stream, before its window."""


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

    def sweep(self, name: str, *words: str, **options: Any) -> WatchedSweep:
        """Begin a sweep of the topic on the head."""
        return WatchedSweep(self.cluster, self.cluster.hosts.folder / name, *self.words, *words, **options)

    def inline(self, name: str, *words: str) -> bytes:
        """The bytes of the table of a sweep of the file in one process of this machine."""
        return (self.inline_home(name, *words) / "results.parquet").read_bytes()

    def inline_home(self, name: str, *words: str) -> Path:
        """The folder of the run of such a sweep."""
        output = self.cluster.hosts.folder / name
        mine = [f"source={self.file}", *self.words[1:], *words, "executor=inline"]
        command = [sys.executable, "-m", "sweep", *mine, "--output", output]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=170)
        (path,) = output.rglob("results.parquet")
        return path.parent

    def streaming(self, folder: Path, topic: str) -> Running:
        """The same cluster, and another topic of its broker, into which the files of a folder are replayed."""
        source = f"{self.words[0].removeprefix('source=').rpartition('/')[0]}/{topic}"
        self.cluster.hosts.control.run(sys.executable, "-m", "feed", "replay", folder, source, cwd=ROOT)
        return replace(self, file=folder, words=[f"source={source}"])


@contextmanager
def run_cluster(folder: Path, cpus: tuple[int, int], count: int = 3, seconds: float = 300.0) -> Iterator[Running]:
    """Bring up hosts, a broker with a stream of so many seconds, and by `ray up` a cluster; end them all.

    Parameters
    ----------
    folder : Path
        As of `Hosts`.
    cpus : (int, int)
        Of the head, and of each worker.
    count : int
        Hosts, the head among them.
    seconds : float
        Of the stream's window.
    """
    cache = jars.folder().parents[1]
    with Hosts(folder, count, kept=[cache]) as hosts:
        file = hosts.folder / "stream.csv.gz"
        synthetic.write_csv(synthetic.generate(seconds=seconds, warmup=WARMUP_SECONDS), file)
        command = [sys.executable, "-m", "tools.kafka", "--host", hosts.control.address]
        with (hosts.folder / "broker.log").open("w") as log:
            broker = hosts.control.popen(
                *command, cwd=ROOT, env={"XDG_CACHE_HOME": str(cache)}, stdout=subprocess.PIPE, stderr=log, text=True
            )
        cluster = RayCluster(hosts, cpus)
        cluster.up()
        source = broker.stdout.readline().strip()
        assert source == f"kafka://{hosts.control.address}:9092/quotes", (hosts.folder / "broker.log").read_text()
        hosts.control.run(sys.executable, "-m", "feed", "replay", file, source, cwd=ROOT)
        start, end = map(format_instant, synthetic.window(seconds))
        yield Running(cluster, file, [f"source={source}", f"window.start={start}", f"window.end={end}"])
