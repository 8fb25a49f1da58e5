"""Real Apache Kafka, by how a topic is set: what it compresses anew is read, what it would lose is not sent."""

import time

import pytest

from feed import synthetic
from feed.codecs.json_codec import encode_json
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import producer as replay_module
from feed.kafka.address import parse_address
from feed.kafka.client import open_consumer, open_producer
from feed.kafka.producer import replay
from feed.kafka.topic import Settings, partitions_of, settings_of
from feed.options import ReadOptions
from feed.source import read_source
from feed.tape import same
from tests.support.kafka.faults import begin, ended, refused, topic_of
from tests.support.kafka.handmade import tape

pytestmark = [pytest.mark.kafka, pytest.mark.command]
FOREIGN = ReadOptions(foreign=True, symbol="AAPL")


# --- compression ---


@pytest.mark.parametrize("compression", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_what_a_topic_compresses_anew_is_read(kafka_one, request, compression):
    source = kafka_one.create_topic(topic_of(request), configs={"compression.type": compression})
    for codec in CODECS:
        replay(tape(), source, codec=codec)
        assert same(read_source(source)[0], tape())


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_what_another_producer_compressed_is_read(kafka_one, request, compression):
    from confluent_kafka import Producer

    source = kafka_one.create_topic(topic_of(request))
    producer = Producer({"bootstrap.servers": kafka_one.servers, "compression.type": compression, "linger.ms": 50})
    for message in encode_json(tape()):
        producer.produce(topic_of(request), message.value, partition=0)
    assert producer.flush(30) == 0
    assert same(read_source(source, FOREIGN)[0], tape())


# --- what a topic would not take, or not keep ---


def held(source):
    """The offsets that its only partition holds."""
    address = parse_address(source)
    with open_consumer(address) as consumer:
        return partitions_of(consumer, address)[0]


@pytest.mark.parametrize(
    ("configs", "reason"),
    [
        (
            {"cleanup.policy": "compact"},
            r"compacted \(cleanup.policy=compact\): of all messages of a symbol it would keep the last one; set",
        ),
        ({"cleanup.policy": "compact,delete"}, "the topic is compacted"),
        ({"min.insync.replicas": "2"}, r"2 replicas have to be in sync \(min.insync.replicas\), and a partition has 1"),
    ],
    ids=["compact", "both", "in-sync"],
)
def test_a_topic_that_would_not_keep_a_replay_is_refused_before_the_first_message(kafka_one, request, configs, reason):
    source = kafka_one.create_topic(topic_of(request), configs=configs)
    began = time.monotonic()
    with pytest.raises(FeedUnavailable, match=reason):
        replay(tape(), source)
    assert time.monotonic() - began < 5
    assert held(source) == (0, 0)


def test_the_command_says_so_before_it_reads_the_source(kafka_one, request):
    source = kafka_one.create_topic(topic_of(request), configs={"cleanup.policy": "compact"})
    code, line = refused("replay", "no-such-file.csv", source)
    assert (code, "the topic is compacted" in line) == (2, True)


def test_small_batches_are_sent_where_a_topic_takes_no_others(kafka_one, request):
    source = kafka_one.create_topic(topic_of(request), configs={"max.message.bytes": "4000"})
    replay(tape(), source)
    assert same(read_source(source)[0], tape())


def test_a_message_that_a_topic_does_not_take_is_said(kafka_one, request):
    source = kafka_one.create_topic(topic_of(request), configs={"max.message.bytes": "200"})
    with pytest.raises(FeedUnavailable, match=r"message of .* takes \d+ bytes, and the topic 200 .*; raise it for the"):
        replay(tape(), source)
    assert held(source) == (0, 0)


def test_a_message_that_only_the_broker_finds_too_large_is_said_and_the_replay_is_none(kafka_one, request, monkeypatch):
    monkeypatch.setattr(replay_module, "check_room", lambda *_: ())
    source = kafka_one.create_topic(topic_of(request), configs={"max.message.bytes": "270"})
    with pytest.raises(FeedUnavailable, match=r"the topic does not take a message of that size, .* raise its max.mess"):
        replay(tape(), source)
    with pytest.raises(FeedCorrupt, match=r"no complete replay|incomplete|holds no message"):
        read_source(source)
    listed = settings_of(parse_address(source))
    assert (listed.largest_batch, listed.partitions, listed.number("retention.bytes", 0)) == (270, 1, -1)


def test_batches_that_only_the_broker_finds_too_large_are_said_at_once(kafka_one, request, monkeypatch):
    monkeypatch.setattr(replay_module, "made_settings_of", lambda _: Settings({}))
    source = kafka_one.create_topic(topic_of(request), configs={"max.message.bytes": "4000"})
    began = time.monotonic()
    with pytest.raises(FeedUnavailable, match=r"the topic does not take .* that many in one batch"):
        replay(synthetic.generate(), source)
    assert time.monotonic() - began < 20


# --- time ---


def test_a_replay_of_old_rows_is_kept_as_it_is_stamped_by_sending(kafka_one, request, taq_day):
    """Of 2018, into topics that keep a week, or take no time of an hour ago; stamped by its rows it is gone at once."""
    topic = topic_of(request)
    stamped, source = kafka_one.create_topic(f"{topic}-stamped"), kafka_one.create_topic(topic)
    strict = kafka_one.create_topic(f"{topic}-strict", configs={"message.timestamp.before.max.ms": "3600000"})
    old, address = read_source(str(taq_day))[0], parse_address(stamped)
    for place in (source, strict):
        replay(old, place, codec="arrow")
    with open_producer(address) as producer:
        for message in list(encode_json(old))[:50]:
            producer.send(address.topic, value=message.value, partition=0, timestamp_ms=message.ts // 10**6)
        producer.flush(timeout=20)
    deadline = time.monotonic() + 30
    while held(stamped) != (50, 50):  # retention is checked each 500 ms here
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [read_source(place)[0].digest() for place in (source, strict)] == [old.digest()] * 2


def test_a_topic_that_keeps_nothing_for_long_is_said_before_it_is_filled(kafka_one, request, l1_day):
    source = kafka_one.create_topic(topic_of(request), configs={"retention.ms": "90000"})
    with ended(begin("replay", l1_day, source, "--codec", "arrow")) as process:
        _, stderr = process.communicate(timeout=60)
    assert "warning: the topic keeps a message for 90 s only (retention.ms): its start may go first\n" in stderr
