"""What fault tests share: the ways a stream goes, commands in processes of their own, what a topic really holds."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass

from feed.kafka import consumer as reader
from tests.support import ROOT
from tools.kafka.cluster import kafka_python


@dataclass(frozen=True)
class Way:
    """How a stream goes through Kafka: the options of the replay, and the partitions of its topic.

    `enough` is how many of l1_day's messages are its beginning: a fault after them falls into the middle.
    """

    codec: str = "json"
    partitions: int = 1
    words: tuple[str, ...] = ()
    enough: int = 5000

    def __str__(self):
        return f"{self.codec}-{self.partitions}"

    def options(self):
        return ["--codec", self.codec, *self.words]


SPREAD = ("--partition", "spread")
EVERY_WAY = [Way(codec, *parts) for codec in ("json", "arrow") for parts in ((1,), (4, SPREAD))]
"""How a whole day goes through Kafka."""

WAYS = [Way(), Way("arrow", 4, (*SPREAD, "--speed", "100"), enough=12)]
"""Add a codec or a partitioning here, and it goes through every fault; of few messages, each is sent on its own."""


def topic_of(request):
    """A name for the topic of a test."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)


def begin(*words, package="feed"):
    """Start a command as a user would."""
    return _open([sys.executable, "-m", package, *map(str, words)])


def _open(command):
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def ended(process):
    """See to it that a process ends with this context."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run(*words, package="feed", seconds=100):
    """Run a command to its end: exit code, stdout, stderr."""
    with ended(begin(*words, package=package)) as process:
        out, stderr = process.communicate(timeout=seconds)
        return process.returncode, out, stderr


def refused(*words, package="feed"):
    """Run a command that must end with one line of an error: its exit code and that line."""
    code, out, stderr = run(*words, package=package)
    assert out == "", stderr
    return code, only_error(stderr)


def only_error(stderr):
    """The one line of an error, which is the last one."""
    lines = stderr.splitlines()
    assert [line for line in lines if line.startswith("error:")] == lines[-1:], stderr
    assert "Traceback" not in stderr
    return lines[-1]


def replayed(*words):
    """Replay, and what it printed."""
    code, out, stderr = run("replay", *words)
    assert code == 0, stderr
    return json.loads(out)


def checked(*words):
    """`python -m feed check --json` of a feed without errors: what it says of the feed."""
    code, out, stderr = run("check", "--json", *words)
    assert code == 0, stderr
    return json.loads(out)["feed"]


# A read that stops after so many records, says so, and goes on when it is told to: what is done meanwhile falls into
# the middle of it. Small fetches, so that most of the stream is still on the broker then.
_PAUSING = """import sys
import feed.kafka.client
from kafka import KafkaConsumer
limit = int(sys.argv.pop(1))
built, polled = KafkaConsumer.__init__, KafkaConsumer.poll
small = {"fetch_max_bytes": 65536, "max_partition_fetch_bytes": 65536, "max_poll_records": 200}
seen, said = 0, []
def build(self, *arguments, **options):
    built(self, *arguments, **{**options, **small})
def tell(word):
    said.append(word)
    print(word, file=sys.stderr, flush=True)
def poll(self, *arguments, **options):
    global seen
    got = polled(self, *arguments, **options)
    seen += sum(map(len, got.values()))
    if not said and seen >= limit:
        tell("paused")
        sys.stdin.readline()
    elif len(said) == 1 and not got:
        tell("starved")
    return got
KafkaConsumer.__init__, KafkaConsumer.poll = build, poll
import feed.cli
sys.exit(feed.cli.main(sys.argv[1:]))
"""


def third_of(summary, way):
    """How many records a read has taken in once it has looked for the end record and read a third of the stream."""
    looked = min(reader.WINDOW * way.partitions, summary["messages"] + way.partitions)
    return looked + summary["messages"] // 3


class PausedRead:
    """`python -m feed check --json SOURCE`, stopped in the middle until `go`."""

    def __init__(self, source, after, *words):
        command = [sys.executable, "-c", _PAUSING, str(after), "check", "--json", source, *words]
        self.process = _open(command)
        first = self.process.stderr.readline()
        assert first == "paused\n", first + self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.kill()
        self.process.communicate()

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def wait_starved(self):
        """Wait until it has used up what it had fetched and gets no more."""
        line = self.process.stderr.readline()
        assert line == "starved\n", line + self.process.stderr.read()

    def finish(self, seconds=100):
        """Exit code, what it says of the feed where that is 0, and stderr."""
        out, stderr = self.process.communicate(timeout=seconds)
        return self.process.returncode, json.loads(out)["feed"] if out else None, stderr


def wait_for_messages(cluster, topic, count, process, partitions=1):
    """Wait until a topic holds so many records of a process that runs on; how many it holds then."""
    client = kafka_python()
    consumer = client.KafkaConsumer(bootstrap_servers=cluster.servers.split(","))
    parts = [client.TopicPartition(topic, part) for part in range(partitions)]
    deadline = time.monotonic() + 60
    try:
        while (held := sum(consumer.end_offsets(parts).values())) < count:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, f"{held} of {count} messages after a minute"
        return held
    finally:
        consumer.close()


def contents(cluster, topic, partitions=1):
    """What a topic holds: {replay: {partition: [pseq, in the order of offsets]}}, end records as -1.

    By librdkafka, which shares no code with our reader, and unpacks zstd.
    """
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    settings = {"bootstrap.servers": cluster.servers, "group.id": "none", "enable.auto.commit": False}
    consumer = Consumer(settings | {"enable.partition.eof": True})
    numbers = defaultdict(lambda: defaultdict(list))
    try:
        consumer.assign([TopicPartition(topic, part, 0) for part in range(partitions)])
        left = set(range(partitions))
        while left:
            message = consumer.poll(20)
            assert message is not None, left
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                left.discard(message.partition())
                continue
            headers = dict(message.headers())
            number = int(headers.get("pseq", b"-1"))
            numbers[headers["replay"].decode()][message.partition()].append(number)
    finally:
        consumer.close()
    return numbers


def assert_once(cluster, topic, summary, partitions=1):
    """Nothing lost, nothing twice: by partition, each number once, in order, and then one end record."""
    by_partition = contents(cluster, topic, partitions)[summary["replay"]]
    used = {part["partition"]: part for part in summary["partitions"]}
    assert set(by_partition) == set(used)
    for partition, numbers in by_partition.items():
        assert numbers == [*range(len(numbers) - 1), -1]
        assert used[partition]["end"] - used[partition]["start"] == len(numbers)
    assert sum(map(len, by_partition.values())) == summary["messages"] + len(used)
