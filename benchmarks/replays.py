"""Replays of JSON by two checkouts side by side, such as this one and a worktree of an earlier commit.

    git worktree add ../before COMMIT
    python -m benchmarks.replays ../before [--rounds 7] [--clients]

Each round sends the same quotes by each checkout, in turns, each in a process of its own that has sent some before,
into a new topic of a real broker and of the embedded one, by wall and by the CPU time of the process that sends. What
is timed is `feed.kafka.replay`: from the settings of the topic to the check that all of it was kept. With --clients the
second is this checkout by each client.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from feed.kafka.embedded import EmbeddedBroker
from tests.support import ROOT
from tools.kafka.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES: Final = {"real": {3: 100_000, 12: 40_000}, "embedded": {3: 60_000, 12: 20_000}}
"""Messages by broker and by venues in each; the embedded broker keeps 5 MiB."""

WARM: Final = 2_000

SCRIPT: Final = """
import json, sys, time
from feed.kafka.address import parse_address
from feed.kafka.producer import replay
from tests.support.tapes import dense_tape
sizes, places, client = json.loads(sys.argv[1])
access = {}
if client:
    from feed.access import Access
    access = {"access": Access(client=client)}
tapes = [dense_tape(*size) for size in sizes]
times = []
for tape, place in zip(tapes, places):
    address = parse_address(place, **access)
    began, cpu = time.perf_counter(), time.process_time()
    digest = replay(tape, address).digest
    times.append((time.perf_counter() - began, time.process_time() - cpu))
    assert digest == tape.digest()
print(json.dumps(times[-1]))
"""


def seconds(folder: Path, client: str, messages: int, venues: int, topic: Callable[[], str]) -> tuple[float, float]:
    """Wall and CPU seconds of a checkout's replay, after a short one."""
    asked = json.dumps(([(WARM, venues), (messages, venues)], [topic(), topic()], client))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, asked], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def main() -> int:
    """Measure; print medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replays", description=__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clients", action="store_true", help="also by kafka.client=confluent")
    arguments = parser.parse_args()
    ways = [(arguments.other.resolve(), ""), (ROOT, "")]
    if arguments.clients:
        ways.append((ROOT, "confluent"))
    names = (f"replays-{number}" for number in itertools.count())
    with ExitStack() as closing:
        cluster = closing.enter_context(Cluster(Path(closing.enter_context(tempfile.TemporaryDirectory()))))
        embedded = closing.enter_context(EmbeddedBroker())
        topics: dict[str, Callable[[], str]] = {
            "real": lambda: cluster.create_topic(next(names)),
            "embedded": lambda: embedded.source(next(names)),
        }
        for broker, sizes in SIZES.items():
            for venues, messages in sizes.items():
                samples: list[list[tuple[float, float]]] = [[] for _ in ways]
                for _ in range(arguments.rounds):
                    for taken, (folder, client) in zip(samples, ways, strict=True):
                        taken.append(seconds(folder, client, messages, venues, topics[broker]))
                rates = [[messages / median(each[which] for each in taken) for which in (0, 1)] for taken in samples]
                for (_, client), (wall, cpu) in zip(ways[1:], rates[1:], strict=True):
                    before_wall, before_cpu = rates[0]
                    print(
                        f"{broker:8} {venues:2} venues {client or 'default':9} messages/s"
                        f"  wall {before_wall:9,.0f} -> {wall:9,.0f} {wall / before_wall:5.2f}x"
                        f"  CPU {before_cpu:9,.0f} -> {cpu:9,.0f} {cpu / before_cpu:5.2f}x",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
