"""Real Apache Kafka: brokers die in the middle, by SIGKILL, and nothing is lost and nothing comes twice."""

import json

import pytest
from brokers import Cluster
from faults import (
    WAYS,
    PausedRead,
    assert_once,
    begin,
    checked,
    ended,
    replayed,
    topic_of,
    wait_for_messages,
)

from feed.source import read_source

pytestmark = [pytest.mark.kafka, pytest.mark.command]

ENOUGH = 5000
"""Messages of some 50,000 after which a broker dies."""


@pytest.fixture(scope="module")
def mortal(kafka_runs, tmp_path_factory):
    """One broker that the tests of this module kill; each leaves it running."""
    with Cluster(tmp_path_factory.mktemp("mortal")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def mortal_three(kafka_runs, tmp_path_factory):
    """Three of them."""
    with Cluster(tmp_path_factory.mktemp("mortal-three"), 3) as cluster:
        yield cluster


@pytest.fixture
def one(mortal):
    yield mortal
    raise_the_dead(mortal)


@pytest.fixture
def three(mortal_three):
    yield mortal_three
    raise_the_dead(mortal_three)


def raise_the_dead(cluster):
    for node in cluster.nodes:
        if not node.alive:
            cluster.restart(node.number)


@pytest.fixture(scope="module")
def day(l1_day):
    """The day's path and digest."""
    return l1_day, read_source(str(l1_day))[0].digest()


def killed_in_the_replay(cluster, topic, way, path, number):
    """Begin a replay, and kill a broker while it sends: its process, still running."""
    process = begin("replay", path, cluster.address(topic), *way.options())
    held = wait_for_messages(cluster, topic, ENOUGH, process, way.partitions)
    cluster.kill(number)
    # It cannot end well without this broker, or, with others, had most of the stream still to send.
    assert process.poll() is None, process.stderr.read()
    assert held < 5 * ENOUGH, "the broker was killed too late for the middle"
    return process


def finish(process):
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    return json.loads(out)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_broker_that_dies_in_a_replay_and_comes_back(one, request, day, way):
    path, digest = day
    topic = topic_of(request)
    source = one.create_topic(topic, way.partitions)
    with ended(killed_in_the_replay(one, topic, way, path, 0)) as process:
        one.restart(0)
        said = finish(process)
    assert_once(one, topic, said, way.partitions)
    got = checked(source)
    assert got["digest"] == said["digest"] == digest
    assert (got["replay"], got["messages"], got["resent"]) == (said["replay"], said["messages"], 0)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_leader_dies_in_a_replay_and_the_others_go_on(three, request, day, way):
    path, digest = day
    topic = topic_of(request)
    source = three.create_topic(topic, way.partitions)
    three.wait_in_sync(topic)
    leader = three.leader_of(topic)
    with ended(killed_in_the_replay(three, topic, way, path, leader)) as process:
        said = finish(process)
    assert not three.nodes[leader].alive
    assert three.leader_of(topic) != leader
    assert_once(three, topic, said, way.partitions)
    got = checked(source)
    assert got["digest"] == said["digest"] == digest
    assert (got["replay"], got["messages"], got["resent"]) == (said["replay"], said["messages"], 0)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_broker_that_dies_in_a_read_and_comes_back(one, request, day, way):
    path, digest = day
    source = one.create_topic(topic_of(request), way.partitions)
    said = replayed(path, source, *way.options())
    with PausedRead(source, said["messages"] // 3) as reading:
        one.kill(0)
        reading.go()
        reading.wait_starved()
        one.restart(0)
        code, got, stderr = reading.finish()
    assert code == 0, stderr
    assert got["digest"] == digest
    assert (got["messages"], got["resent"]) == (said["messages"], 0)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_leader_dies_in_a_read_and_the_others_go_on(three, request, day, way):
    path, digest = day
    topic = topic_of(request)
    source = three.create_topic(topic, way.partitions)
    said = replayed(path, source, *way.options())
    three.wait_in_sync(topic)
    leader = three.leader_of(topic)
    with PausedRead(source, said["messages"] // 3) as reading:
        three.kill(leader)
        reading.go()
        code, got, stderr = reading.finish()
    assert code == 0, stderr
    assert not three.nodes[leader].alive
    assert got["digest"] == digest
    assert (got["messages"], got["resent"]) == (said["messages"], 0)
