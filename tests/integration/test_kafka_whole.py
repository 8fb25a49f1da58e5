"""Real Apache Kafka: what goes in comes out, whoever else writes into the topic, and whatever lies between."""

import hashlib
import json
import time

import numpy as np
import pytest

from feed.kafka.headers import Listed, data_headers
from feed.kafka.producer import replay
from feed.options import ReadOptions
from feed.source import read_source
from feed.tape import same
from tests.support.kafka.faults import (
    EVERY_WAY,
    WAYS,
    assert_once,
    begin,
    checked,
    contents,
    ended,
    refused,
    replayed,
    topic_of,
)
from tests.support.kafka.handmade import end_item, messages, put, put_with_keys, tape
from tests.support.kafka.transactions import transaction

pytestmark = [pytest.mark.kafka, pytest.mark.command]


@pytest.fixture(params=["one", "three"])
def cluster(request):
    return request.getfixturevalue(f"kafka_{request.param}")


JSON_1, JSON_4, ARROW_1, ARROW_4 = EVERY_WAY
PAIRS = [
    ("one", JSON_1, "l1_day"),
    ("three", JSON_4, "taq_day"),
    ("three", ARROW_1, "taq_day"),
    ("one", ARROW_4, "taq_day"),
    ("three", ARROW_4, "l1_day"),
]
"""Any two of cluster, codec, partitions and day meet."""


def test_three_brokers_keep_three_replicas_of_which_two_must_acknowledge(kafka_three):
    name = "replicated"
    kafka_three.create_topic(name)
    kafka_three.wait_in_sync(name)
    with kafka_three.admin() as admin:
        (described,) = admin.describe_topics([name])
    (part,) = described["partitions"]
    assert sorted(part["replica_nodes"]) == [1, 2, 3]
    assert kafka_three.leader_of(name) == part["leader_id"] - 1


@pytest.mark.parametrize(("cluster", "way", "day"), PAIRS, indirect=["cluster"], ids=str)
def test_a_day_through_kafka_is_the_day_of_the_file(cluster, request, way, day):
    path, topic = request.getfixturevalue(day), topic_of(request)
    source = cluster.create_topic(topic, way.partitions)
    stream, _ = read_source(str(path))
    summary = replayed(path, source, *way.options())
    got = checked(source)
    assert summary["digest"] == got["digest"] == stream.digest()
    assert (got["rows"], got["snapshots"], got["trades"]) == (stream.rows, stream.snapshots, len(stream.trades.ts))
    assert (got["resent"], got["messages"], got["partitions"]) == (0, summary["messages"], summary["partitions"])
    assert len(got["partitions"]) == way.partitions
    assert_once(cluster, topic, summary, way.partitions)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_two_producers_at_once_are_two_whole_replays(kafka_one, request, l1_day, way):
    stream, _ = read_source(str(l1_day))
    first, last = stream.span
    middle = (first + last) // 2
    for speed in (100, 20, 4):  # each takes over two seconds, and longer where they did not meet
        topic = f"{topic_of(request)}-{speed}"
        source = kafka_one.create_topic(topic, way.partitions)
        slowly = ["--speed", speed, *way.options()]
        with (
            ended(begin("replay", l1_day, source, "--end", middle, *slowly)) as earlier,
            ended(begin("replay", l1_day, source, "--start", middle + 1, *slowly)) as later,
        ):
            halves = [(process, *process.communicate(timeout=100)) for process in (earlier, later)]
        for process, _, stderr in halves:
            assert process.returncode == 0, stderr
        one, other = (json.loads(out) for _, out, _ in halves)
        begins, ends = ([each["partitions"][0][end] for each in (one, other)] for end in ("start", "end"))
        if max(begins) < min(ends):
            break
    assert max(begins) < min(ends)
    expected = {one["replay"]: stream.clip(first, middle), other["replay"]: stream.clip(middle + 1, last)}
    for summary in (one, other):
        got, provenance = read_source(source, ReadOptions(replay=summary["replay"]))
        assert got.digest() == expected[summary["replay"]].digest() == summary["digest"]
        assert (provenance.messages, provenance.resent) == (summary["messages"], 0)
    assert sum(map(len, contents(kafka_one, topic, way.partitions)[one["replay"]].values())) == (
        one["messages"] + way.partitions
    )
    assert checked(source)["replay"] in expected


def test_a_topic_is_made_by_the_replay_that_fills_it(cluster, request):
    source = cluster.address(topic_of(request))
    code, line = refused("check", source)
    assert (code, "there is no topic" in line) == (2, True)
    replay(tape(), source)
    assert same(read_source(source)[0], tape())


def test_the_newest_replay_is_read_or_the_one_that_is_asked_for(cluster, request):
    source = cluster.address(topic_of(request))
    replay(tape(1), source, replay_id="zz-old")
    time.sleep(0.005)
    replay(tape(2), source, replay_id="aa-new")
    assert same(read_source(source)[0], tape(2))
    assert same(read_source(source, ReadOptions(replay="zz-old"))[0], tape(1))


def test_a_message_of_eight_mebibytes_passes(cluster, request):
    source = cluster.create_topic(topic_of(request))
    stream = tape()
    items = messages(stream)
    # White space before a value is JSON too. What another sends cannot be compressed: it is as large on the wire.
    padding = b" " * (8 * 2**20 - len(items[7][0]))
    other = np.random.default_rng(1).bytes(8 * 2**20), data_headers("another", "AAPL", "arrow", 0, 0)
    items[7] = (padding + items[7][0], items[7][1])
    digest = hashlib.sha256(b"".join(hashlib.sha256(value).digest() for value, _ in items)).hexdigest()
    listed = {0: Listed(len(items), 1000, sum(len(value) for value, _ in items), 0, len(items), digest)}
    put(source, [*items, other, end_item(stream, items, partitions=listed)])
    assert same(read_source(source)[0], stream)


def of_another(many):
    return [(b"x", data_headers("another", "AAPL", "json", i, i)) for i in range(many)]


def test_transactions_of_others_are_no_loss_whether_committed_or_aborted(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)

    def of_others():
        for end in ("abort_transaction", "commit_transaction"):
            with transaction(kafka_one, topic) as (producer, send):
                send(of_another(20))
                getattr(producer, end)(30)

    items = messages(tape())
    middle = len(items) // 2
    of_others()
    first = put(source, items[:middle])
    of_others()
    last = put(source, items[middle:])
    of_others()
    put(source, [end_item(tape(), items, start=first[0], end=last[-1] + 1)])
    of_others()
    assert last[-1] + 1 - first[0] == len(items) + 42  # two transactions of 20, and a control record of each
    got, provenance = read_source(source)
    assert same(got, tape())
    assert (provenance.messages, provenance.resent) == (len(items), 0)


def test_a_range_may_end_with_a_control_record(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)
    items = messages(tape())
    with transaction(kafka_one, topic) as (producer, send):
        send(items)
        producer.commit_transaction(30)
    # The end record lists the control record as one of the replay's offsets: it is none of its messages.
    (offset,) = put(source, [end_item(tape(), items, end=len(items) + 1)])
    assert offset == len(items) + 1
    assert same(read_source(source)[0], tape())


def test_a_transaction_that_hangs_keeps_nobody_from_reading(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)
    with transaction(kafka_one, topic) as (producer, send):
        send(of_another(20))
        replay(tape(), source)
        began = time.monotonic()
        assert same(read_source(source)[0], tape())
        assert time.monotonic() - began < 10
        producer.abort_transaction(30)


COMPACTED = {"cleanup.policy": "compact", "segment.ms": "50", "min.cleanable.dirty.ratio": "0.001"}


def compact(cluster, topic, source, done):
    """Wait until the broker has compacted what there is."""
    deadline = time.monotonic() + 60
    while not done(contents(cluster, topic)):
        assert time.monotonic() < deadline, contents(cluster, topic)
        # The active segment is left alone: one more record ends it.
        put_with_keys(source, [(b"last", of_another(1)[0])])
        time.sleep(0.1)


def test_holes_that_compaction_left_between_messages_are_no_loss(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic, configs=COMPACTED)
    items = messages(tape())
    # The topic's other writer has one key only, so that what is left of it is its last message.
    mixed = [
        pair for number, item in enumerate(items) for pair in ((b"other", of_another(1)[0]), (b"%d" % number, item))
    ]
    put_with_keys(source, [*mixed, (b"end", end_item(tape(), items, end=len(mixed)))])
    compact(kafka_one, topic, source, lambda replays: len(replays["another"][0]) < 10)
    assert same(read_source(source)[0], tape())


def test_messages_that_compaction_took_are_a_loss(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic, configs=COMPACTED)
    items = messages(tape())
    put_with_keys(source, [(b"AAPL", item) for item in items])
    put_with_keys(source, [(b"end", end_item(tape(), items))])
    compact(kafka_one, topic, source, lambda replays: len(replays["hand"][0]) == 2)
    code, line = refused("check", source)
    last = len(items) - 1
    assert code == 3
    assert f"a hole in replay hand: messages 0 to {last - 1} of partition 0 are missing before offset {last} of" in line
    assert line.endswith(f"replay the source again: python -m feed replay SOURCE {source}")
