"""Real Apache Kafka: what is not whole is never read as if it were, and says what is there and how to go on."""

import json
import time

import pytest

from feed.kafka.producer import replay
from feed.source import read_source
from feed.tape import same
from tests.support.kafka.faults import (
    WAYS,
    PausedRead,
    begin,
    checked,
    contents,
    ended,
    only_error,
    refused,
    replayed,
    run,
    third_of,
    topic_of,
    wait_for_messages,
)
from tests.support.kafka.handmade import tape

pytestmark = [pytest.mark.kafka, pytest.mark.command]


def killed(cluster, topic, way, path, after):
    """Begin a replay into a topic and kill its process once so many records are there; the replay's id."""
    before = set(contents(cluster, topic, way.partitions))
    with ended(begin("replay", path, cluster.address(topic), *way.options())) as process:
        wait_for_messages(cluster, topic, after, process, way.partitions)
        process.kill()
        out, _ = process.communicate()
    assert (process.returncode, out) == (-9, "")
    (name,) = set(contents(cluster, topic, way.partitions)) - before
    return name


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_producer_killed_half_way_leaves_an_incomplete_replay(kafka_one, request, touch, way):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic, way.partitions)
    name = killed(kafka_one, topic, way, touch, way.enough)
    by_partition = contents(kafka_one, topic, way.partitions)[name]
    sent = sum(map(len, by_partition.values()))
    assert way.enough <= sent
    assert all(-1 not in numbers for numbers in by_partition.values())
    for words, package in ((["check", source], "feed"), ([f"source={source}", "executor=inline"], "sweep")):
        code, line = refused(*words, package=package)
        assert code == 3
        ranges = ", ".join(f"partition {part} [0, {len(numbers)})" for part, numbers in sorted(by_partition.items()))
        assert line.startswith(f"error: {source}: incomplete: no end record in {ranges}")
        assert f"replays there: {name} ({sent} messages)" in line
        assert line.endswith(f"replay the source again: python -m feed replay SOURCE {source}")
    # Doing as it says heals it.
    again = replayed(touch, source, *way.options())
    assert sent < 0.8 * again["messages"]
    assert again["digest"] == checked(source)["digest"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_older_complete_replay_is_read_although_a_newer_producer_was_killed(kafka_one, request, touch, way):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic, way.partitions)
    older = replay(tape(), source, codec=way.codec)
    name = killed(kafka_one, topic, way, touch, older.messages + way.partitions + way.enough)
    got, provenance = read_source(source)
    assert same(got, tape())
    assert provenance.replay == older.replay
    assert provenance.notes == (f"newer and incomplete, passed over: replays there: {name}",)
    code, out, stderr = run(f"source={source}", "executor=inline", f"replay={older.replay}", package="sweep")
    assert code == 0, stderr
    assert json.loads(out)["feed"]["digest"] == tape().digest()
    code, line = refused(f"source={source}", "executor=inline", f"replay={name}", package="sweep")
    assert (code, "incomplete: no end record" in line, f"replays there: {name} (" in line) == (3, True, True)


def test_a_start_that_a_deletion_took_is_named(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)
    replay(tape(), source)
    kafka_one.delete_records(topic, {0: 123})
    code, line = refused("check", source)
    assert code == 3
    assert "lost its start: offsets [0, 123) of partition 0 are gone, retention or a deletion took them" in line
    assert line.endswith(f"python -m feed replay SOURCE {source}, or keep the topic longer")


def test_a_start_that_retention_took_is_named(kafka_one, request, touch):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic, configs={"segment.bytes": str(2**20)})
    replayed(touch, source)
    kafka_one.configure_topic(topic, {"retention.bytes": "1"})
    held = wait_for_loss(kafka_one, topic)
    code, line = refused("check", source)
    assert code == 3
    assert f"lost its start: offsets [0, {held}) of partition 0 are gone, retention or a deletion took them" in line


def wait_for_loss(cluster, topic):
    """Wait until retention has taken the start, and no more of it goes: the first offset that is held."""
    from tools.kafka.cluster import kafka_python

    client = kafka_python()
    part = client.TopicPartition(topic, 0)
    consumer = client.KafkaConsumer(bootstrap_servers=cluster.servers)
    deadline, first, since = time.monotonic() + 60, 0, time.monotonic()
    try:
        while not first or time.monotonic() - since < 3:
            assert time.monotonic() < deadline, "retention took nothing"
            if (now := consumer.beginning_offsets([part])[part]) != first:
                first, since = now, time.monotonic()
            time.sleep(0.1)
    finally:
        consumer.close()
    return first


def test_a_topic_whose_records_are_all_gone(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)
    done = replay(tape(), source)
    kafka_one.delete_records(topic, {0: done.messages + 1})
    code, line = refused("check", source)
    assert (code, f"the topic is empty: retention took all before offset {done.messages + 1}" in line) == (3, True)


@pytest.fixture
def reading(kafka_one, request, touch):
    """A read in the middle, with most of the topic still to come."""
    source = kafka_one.create_topic(topic_of(request))
    summary = replayed(touch, source)
    with PausedRead(source, third_of(summary, WAYS[0])) as reading:
        yield reading, topic_of(request), summary


def test_records_deleted_ahead_of_a_reader_are_named(kafka_one, reading):
    read, topic, summary = reading
    kafka_one.delete_records(topic, {0: summary["messages"] - 10})
    read.go()
    code, _, stderr = read.finish()
    assert code == 3, stderr
    line = only_error(stderr)
    assert f", {summary['messages'] - 10}) of partition 0 are gone: retention or a deletion took them" in line
    assert line.endswith("replay again, or keep the topic longer")


def test_a_topic_deleted_while_it_is_read_is_said_soon(kafka_one, reading):
    read, topic, _ = reading
    kafka_one.delete_topic(topic)
    began = time.monotonic()
    read.go()
    code, _, stderr = read.finish()
    assert code == 3, stderr
    assert "the topic was deleted while it was read: offsets [" in only_error(stderr)
    assert time.monotonic() - began < 20
    with kafka_one.admin() as admin:
        assert topic not in admin.list_topics()  # and no reader made it anew


def test_a_topic_made_anew_while_it_is_read_is_not_mixed_with_the_old_one(kafka_one, reading, touch):
    read, topic, summary = reading
    kafka_one.delete_topic(topic)
    source = kafka_one.create_topic(topic)
    again = replayed(touch, source)
    assert again["partitions"] == summary["partitions"]
    began = time.monotonic()
    read.go()
    code, _, stderr = read.finish()
    assert code == 3, stderr
    line = only_error(stderr)
    # By the broker's word, or by the replay that is there now, whichever comes first.
    assert (
        "the topic was made anew, or its log was cut back" in line or f"a hole in replay {summary['replay']}: " in line
    )
    assert time.monotonic() - began < 30
