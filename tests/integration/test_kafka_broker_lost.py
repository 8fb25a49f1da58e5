"""Real Apache Kafka: brokers die in the middle, by SIGKILL, and nothing is lost and nothing comes twice."""

import json

import pytest

from feed.access import CLIENTS
from feed.kafka.producer import replay
from feed.source import read_source
from tests.support.kafka.faults import (
    WAYS,
    PausedRead,
    assert_once,
    begin,
    checked,
    ended,
    replayed,
    third_of,
    topic_of,
    wait_for_messages,
)
from tests.support.kafka.handmade import tape
from tools.kafka.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.command]


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
def day(touch):
    """The day's path and digest."""
    return touch, read_source(str(touch))[0].digest()


def killed_in_the_replay(cluster, topic, way, path, number, client):
    """Begin a replay, and kill a broker while it sends: its process, still running, and the messages there then."""
    process = begin("replay", path, cluster.address(topic), *way.options(), f"kafka.client={client}")
    held = wait_for_messages(cluster, topic, way.enough, process, way.partitions)
    cluster.kill(number)
    assert process.poll() is None, process.stderr.read()
    return process, held


def finish(process):
    out, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    return json.loads(out)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", WAYS[:1], ids=str)
def test_a_broker_that_dies_in_a_replay_and_comes_back(one, request, day, way, client):
    path, digest = day
    topic = topic_of(request)
    source = one.create_topic(topic, way.partitions)
    process, held = killed_in_the_replay(one, topic, way, path, 0, client)
    with ended(process):
        one.restart(0)
        summary = finish(process)
    assert way.enough <= held < 0.8 * summary["messages"]
    assert_once(one, topic, summary, way.partitions)
    got = checked(source)
    assert got["digest"] == summary["digest"] == digest
    assert (got["replay"], got["messages"], got["resent"]) == (summary["replay"], summary["messages"], 0)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", WAYS[1:], ids=str)
def test_the_leader_dies_in_a_replay_and_the_others_go_on(three, request, day, way, client):
    path, digest = day
    topic = topic_of(request)
    source = three.create_topic(topic, way.partitions)
    three.wait_in_sync(topic)
    leader = three.leader_of(topic)
    process, held = killed_in_the_replay(three, topic, way, path, leader, client)
    with ended(process):
        summary = finish(process)
    assert way.enough <= held < 0.8 * summary["messages"]
    assert not three.nodes[leader].alive
    assert three.leader_of(topic) != leader
    assert_once(three, topic, summary, way.partitions)
    got = checked(source)
    assert got["digest"] == summary["digest"] == digest
    assert (got["replay"], got["messages"], got["resent"]) == (summary["replay"], summary["messages"], 0)


@pytest.mark.parametrize("way", WAYS[1:], ids=str)
def test_a_broker_that_dies_in_a_read_and_comes_back(one, request, day, way):
    path, digest = day
    source = one.create_topic(topic_of(request), way.partitions)
    summary = replayed(path, source, *way.options())
    with PausedRead(source, third_of(summary, way)) as reading:
        one.kill(0)
        reading.go()
        reading.wait_starved()
        one.restart(0)
        code, got, stderr = reading.finish()
    assert code == 0, stderr
    assert got["digest"] == digest
    assert (got["messages"], got["resent"]) == (summary["messages"], 0)


@pytest.mark.parametrize("way", WAYS[:1], ids=str)
def test_the_leader_dies_in_a_read_and_the_others_go_on(three, request, day, way):
    path, digest = day
    topic = topic_of(request)
    source = three.create_topic(topic, way.partitions)
    summary = replayed(path, source, *way.options())
    three.wait_in_sync(topic)
    leader = three.leader_of(topic)
    with PausedRead(source, third_of(summary, way)) as reading:
        three.kill(leader)
        reading.go()
        code, got, stderr = reading.finish()
    assert code == 0, stderr
    assert not three.nodes[leader].alive
    assert got["digest"] == digest
    assert (got["messages"], got["resent"]) == (summary["messages"], 0)


def test_a_broker_that_dies_between_two_ranges_and_comes_back(one, request):
    topic, few = topic_of(request), tape(instants=100)
    source = one.create_topic(topic, 4)
    done = replay(few, source, partition="spread")
    assert len(done.partitions) == 4
    # A partition is fetched whole: with the first one read, the next thing the reader needs is a connection.
    looked = done.messages + 4
    with PausedRead(source, looked + done.messages // 5) as reading:
        one.kill(0)
        reading.go()
        one.restart(0)
        code, got, stderr = reading.finish()
    assert code == 0, stderr
    assert got["digest"] == few.digest()
