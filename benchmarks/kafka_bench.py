"""Figures of `feed` on a real Kafka broker: reading and sending against bare loops of the client, memory of a reader.

A case is left out, and the reason printed, where there is no Java or the broker's files cannot be had.
"""

from __future__ import annotations

import atexit
import itertools
import subprocess
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame import Absent, Case, Duel, Scale, Side
from feed.codecs.registry import CODECS
from feed.kafka import client
from feed.kafka.address import parse_address
from feed.kafka.client import TopicPartition, open_consumer
from feed.kafka.consumer import plan_replay
from feed.kafka.headers import data_headers
from feed.kafka.producer import replay
from feed.tape import Tape, same
from tests.support.tapes import dense_tape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.kafka.ranges import KafkaRange

ROOT = Path(__file__).resolve().parent.parent
VENUES = 3
LARGE_VENUES = 12


@cache
def _cluster() -> Any:
    """One broker for all cases, until this process ends."""
    from tools.kafka.cluster import Cluster
    from tools.kafka.jars import KafkaAbsentError

    folder = tempfile.TemporaryDirectory(prefix="sor-sweep-bench-")
    try:
        cluster = Cluster(Path(folder.name))
    except KafkaAbsentError as error:
        folder.cleanup()
        raise Absent(str(error)) from error
    atexit.register(folder.cleanup)
    atexit.register(cluster.close)  # runs first
    return cluster


_names = (f"bench-{number}" for number in itertools.count())


def _topic(**configs: str) -> str:
    """A new topic of one partition: its SOURCE."""
    return _cluster().create_topic(
        next(_names), configs={name.replace("_", "."): value for name, value in configs.items()}
    )


@cache
def _filled(codec: str, snapshots: int) -> tuple[Tape, str]:
    """A tape of three venues, and a topic that holds it, gzipped by the broker: kafka-python alone reads no zstd."""
    tape, place = dense_tape(snapshots, VENUES), _topic(compression_type="gzip")
    replay(tape, place, codec=codec)
    return tape, place


def read_all(ranges: Sequence[KafkaRange]) -> list[Any]:
    """What a reader does: every range, decoded."""
    return [each.read() for each in ranges]


def poll_all(ranges: Sequence[KafkaRange]) -> int:
    """The least that kafka-python can do: poll the same offsets with the same settings, and count; the messages."""
    count = 0
    lean, client.unpack_lean = client.unpack_lean, lambda _consumer, **_options: None
    try:
        for each in ranges:
            part = TopicPartition(each.address.topic, each.partition)
            with open_consumer(each.address) as consumer:
                consumer.assign([part])
                consumer.seek(part, each.start)
                at = each.start
                while at < each.end:
                    records = consumer.poll(timeout_ms=200).get(part, ())
                    count += len(records)
                    at = records[-1].offset + 1 if records else at
    finally:
        client.unpack_lean = lean
    return count


def _read_json(scale: Scale) -> Duel:
    tape, place = _filled("json", scale.pick(200_000, 20_000))
    plan = plan_replay(place)

    def guard():
        ((read, _),) = plan.merge(read_all(plan.ranges))
        assert same(read, tape), "the tape did not come back"
        assert poll_all(plan.ranges) >= tape.snapshots, "the bare loop lost messages"

    return Duel(
        Side(lambda: read_all(plan.ranges), tape.snapshots),
        Side(lambda: poll_all(plan.ranges), tape.snapshots),
        guard,
        f"{tape.snapshots:,} snapshots of {VENUES} venues, {len(plan.ranges)} ranges one after the other",
    )


def _read_arrow(scale: Scale) -> Duel:
    tape, place = _filled("json", scale.pick(200_000, 20_000))
    longer, arrow = _filled("arrow", scale.pick(1_000_000, 200_000))
    plans = plan_replay(arrow), plan_replay(place)

    def guard():
        for plan, sent in zip(plans, (longer, tape), strict=True):
            ((read, _),) = plan.merge(read_all(plan.ranges))
            assert same(read, sent), "the tape did not come back"

    return Duel(
        Side(lambda: read_all(plans[0].ranges), longer.snapshots),
        Side(lambda: read_all(plans[1].ranges), tape.snapshots),
        guard,
        f"{longer.snapshots:,} snapshots of {VENUES} venues against {tape.snapshots:,}",
    )


def send_all(place: str, prebuilt: Sequence[tuple[bytes, list[tuple[str, bytes]]]]) -> None:
    """The least that kafka-python can do: send what is built already, in its own batches with gzip."""
    from kafka import KafkaProducer

    address = parse_address(place)
    producer = KafkaProducer(
        **client.client_settings(address, address.servers[0]),
        acks="all",
        enable_idempotence=True,
        compression_type="gzip",
        linger_ms=20,
        batch_size=client.BATCH_BYTES,
        max_request_size=client.MAX_MESSAGE,
    )
    sent = [
        producer.send(address.topic, value=value, key=b"SYNTH", headers=headers, partition=0)
        for value, headers in prebuilt
    ]
    producer.flush()
    for each in sent:
        each.get(timeout=60)
    producer.close()


def _send(scale: Scale, venues: int, snapshots: int) -> Duel:
    tape = dense_tape(snapshots // scale.pick(1, 5), venues)
    prebuilt = [
        (message.value, data_headers("20240801T133632Z-01234567", tape.symbol, "json", seq, seq))
        for seq, message in enumerate(CODECS["json"].encode(tape))
    ]

    def guard():
        place = _topic()
        replay(tape, place)
        plan = plan_replay(place)
        ((read, _),) = plan.merge(read_all(plan.ranges))
        assert same(read, tape), "the tape did not come back"

    return Duel(
        Side(lambda: replay(tape, _topic()), tape.snapshots),
        Side(lambda: send_all(_topic(), prebuilt), tape.snapshots),
        guard,
        f"{tape.snapshots:,} messages of {venues} venues, a new topic each time",
    )


_READER = """
import re, sys
from feed.kafka.consumer import plan_replay
plan = plan_replay(sys.argv[1])
block = plan.ranges[len(plan.ranges) // 2].read()
peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())  # not ru_maxrss, which begins with the parent's
print(1024 * int(peak[1]), len(plan.ranges), block.nbytes)
"""


def _peak_of_a_reader(place: str) -> tuple[int, int, int]:
    """Peak memory of a new process that reads one range, the ranges there are, the bytes of values in that one."""
    done = subprocess.run(
        [sys.executable, "-c", _READER, place], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    peak, ranges, nbytes = map(int, done.stdout.split())
    return peak, ranges, nbytes


def _reader_memory(scale: Scale) -> Duel:
    large, small = _topic(), _topic()
    for place, snapshots in ((large, scale.pick(600_000, 100_000)), (small, 35_000)):
        replay(dense_tape(snapshots, LARGE_VENUES), place)
    _, ranges, nbytes = _peak_of_a_reader(large)
    _, few, all_of_it = _peak_of_a_reader(small)

    def guard():
        assert few == 1 < ranges, "the small topic is to be one range, the large one several"

    return Duel(
        Side(lambda: _peak_of_a_reader(large)[0]),
        Side(lambda: _peak_of_a_reader(small)[0]),
        guard,
        f"one of {ranges} ranges of {nbytes * ranges / 1e9:.2f} GB of values against all of {all_of_it / 1e9:.2f} GB",
    )


CASES = (
    Case(
        "kafka_read_json",
        "snapshots/s",
        "a poll loop of kafka-python over the same offsets, same settings, which decodes nothing",
        _read_json,
        least_ratio=0.9,
        rounds=7,
    ),
    Case("kafka_read_arrow", "snapshots/s", "the same reader on the json codec", _read_arrow, least_ratio=10, rounds=7),
    *(
        Case(
            name,
            "snapshots/s",
            "a send loop of kafka-python with gzip, of values and headers that are there already",
            partial(_send, venues=venues, snapshots=snapshots),
            least_ratio=3,
            rounds=5,
        )
        for name, venues, snapshots in (
            ("kafka_send_json", VENUES, 100_000),
            ("kafka_send_json_12", LARGE_VENUES, 40_000),
        )
    ),
    Case(
        "kafka_reader_memory",
        "MB",
        "a process that reads a small topic",
        _reader_memory,
        target=300,
        rounds=3,
        quick_rounds=1,
    ),
)
