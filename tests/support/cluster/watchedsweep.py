"""A sweep that runs on the head of a cluster of hosts, watched from outside while it does."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.cluster.hosts import Host
    from tests.support.cluster.raycluster import RayCluster

DRIVER = Path(__file__).with_name("stampeddriver.py")

BUSY = "ps -eo args= | grep -v -e ray::IDLE -e Agent | grep -q '^ray::'"
"""Whether a worker of Ray runs a task: its process has the task's name then."""


class WatchedSweep:
    """`python -m sweep address=auto` on the head, begun at once.

    Parameters
    ----------
    cluster : RayCluster
    folder : Path
        Of this sweep alone, in a place that the hosts see.
    *words : str
        KEY=VALUE.
    hold : bool
        Wait before the first combination, see `holder` and `go`.
    pace : float
        Seconds that each chunk rests before it computes, until `go`.
    """

    def __init__(
        self, cluster: RayCluster, folder: Path, *words: str, hold: bool = False, pace: float | None = None
    ) -> None:
        folder.mkdir()
        self._folder = folder
        if pace is not None:
            (folder / "pace").write_text(str(pace))
        if hold:
            (folder / "hold").touch()
        command = cluster.words("python", DRIVER, folder, "address=auto", *words, "--output", folder / "output")
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = cluster.head.popen(*command, stdout=out, stderr=err)

    @property
    def _out(self) -> Path:
        return self._folder / "stdout"

    @property
    def _err(self) -> Path:
        return self._folder / "stderr"

    @property
    def stderr(self) -> str:
        """What it wrote on stderr."""
        return self._err.read_text()

    @property
    def stalled(self) -> str:
        """Where the driver was when it had made no step for seconds."""
        return (self._folder / "stalled").read_text()

    def stamps(self) -> list[tuple[float, int]]:
        """When how many combinations were done: seconds of the head's clock."""
        path = self._folder / "stamps"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(at), int(done)) for at, done in map(str.split, lines)]

    def longest_stall(self) -> float:
        """The most seconds between two steps."""
        times = [at for at, _ in self.stamps()]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def until(self, combinations: int, seconds: float = 150) -> None:
        """Wait until so many are done."""
        self._wait(lambda: any(done >= combinations for _, done in self.stamps()), seconds)

    def until_busy(self, host: Host, seconds: float = 150) -> None:
        """Wait until a host runs a chunk: on a slow machine one begins long after the other."""
        self._wait(lambda: host.run("bash", "-c", BUSY, check=False).returncode == 0, seconds)

    def until_lost(self, seconds: float = 150) -> None:
        """Wait until a chunk had to run again."""
        self._wait(self.lost, seconds)

    def lost(self) -> bool:
        """Whether a chunk had to run again."""
        return (self._folder / "again").exists()

    def holder(self, seconds: float = 150) -> str:
        """Wait until the tape and the book are there and the sweep holds; the only address that has the book."""
        self._wait((self._folder / "holder").exists, seconds)
        (address,) = (self._folder / "holder").read_text().split()
        return address

    def go(self) -> None:
        """Let it go on."""
        (self._folder / "go").touch()

    def finish(self, seconds: float = 170) -> int:
        """Wait for its end; the exit code."""
        return self._process.wait(timeout=seconds)

    def kill(self) -> None:
        """End it where it still runs."""
        self._process.kill()
        self._process.wait(timeout=10)

    def document(self) -> dict[str, Any]:
        """The JSON that it printed."""
        return json.loads(self._out.read_text())

    def home(self) -> Path:
        """The folder of its run."""
        (manifest,) = (self._folder / "output").rglob("manifest.json")
        return manifest.parent

    def results(self) -> Path:
        """The table that it wrote."""
        return self.home() / "results.parquet"

    def _wait(self, met: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not met():
            assert self._process.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.02)
