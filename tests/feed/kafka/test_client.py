"""Addresses of topics, and what a user reads when one is wrong."""

import pickle
import threading
from types import SimpleNamespace

import pytest

from feed.console import listing
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import client
from feed.kafka.address import Address, parse_address
from feed.kafka.client import TopicPartition, errors, translated, within

ADDRESS = Address(("nowhere:1",), "q")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kafka://localhost:9092/quotes", Address(("localhost:9092",), "quotes")),
        ("kafka://a:1,b.c:2/q.r_s-t?api_version=2.3", Address(("a:1", "b.c:2"), "q.r_s-t", (2, 3))),
        ("kafka://[::1]:9092/q?api_version=4.1.0", Address(("[::1]:9092",), "q", (4, 1, 0))),
    ],
)
def test_an_address_is_parsed(text, address):
    assert parse_address(text) == address
    assert pickle.loads(pickle.dumps(address)) == address  # noqa: S301 - our own bytes
    assert address.place == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:9092/quotes", "no Kafka address"),
        ("http://localhost:9092/quotes", "no Kafka address"),
        ("kafka://localhost/quotes", "'localhost' is no HOST:PORT"),
        ("kafka://localhost:0/quotes", "no HOST:PORT"),
        ("kafka://localhost:70000/quotes", "no HOST:PORT"),
        ("kafka://a:1,,b:2/quotes", "'' is no HOST:PORT"),
        ("kafka:///quotes", "no HOST:PORT"),
        ("kafka://localhost:9092", "names no topic"),
        ("kafka://localhost:9092/", "names no topic"),
        ("kafka://localhost:9092/a/b", "'a/b' is no topic"),
        ("kafka://localhost:9092/..", "is no topic"),
        ("kafka://localhost:9092/" + "x" * 250, "is no topic"),
        ("kafka://localhost:9092/q?version=2", "unknown option 'version'"),
        ("kafka://localhost:9092/q?api_version=new", "api_version 'new' is no version"),
        ("kafka://localhost:9092/q?api_version=", "is no version"),
        ("kafka://[::1/q", "no Kafka address"),
    ],
)
def test_what_is_no_address_is_said(text, reason):
    with pytest.raises(FeedUnavailable, match=reason) as caught:
        parse_address(text)
    assert caught.value.exit_code == 2
    assert "write kafka://HOST:PORT" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(FeedUnavailable, match="no user and no password") as caught:
        parse_address("kafka://me:hunter2@localhost:9092/q")
    assert "hunter2" not in str(caught.value)


def test_listings_are_bounded_and_escaped():
    assert listing("topics", []) == "there are no topics"
    assert listing("topics", ["b", "a\x1b", "Börse"]) == r"topics there: Börse, a\x1b, b"
    assert listing("topics", [f"t{i:02}" for i in range(12)]).endswith("t09 and 2 more")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (errors.MessageSizeTooLargeError, r"does not take a message of that size, .*; raise its max.message.bytes"),
        (errors.RecordListTooLargeError, r"does not take that many messages in one batch .*; raise its segment.bytes"),
        (
            errors.InvalidRecordError,
            r"does not take such a message \(.*without key\); set cleanup.policy=delete for it",
        ),
        (errors.InvalidTimestampError, r"does not take the time of this machine's clock .*; check the clocks of both"),
    ],
)
def test_what_a_topic_refuses_of_a_message_comes_with_its_remedy(kind, message):
    with pytest.raises(FeedUnavailable, match=message), translated(ADDRESS):
        raise kind("Compacted topic cannot\naccept message without key")


def test_the_clients_errors_become_one_line():
    with pytest.raises(FeedUnavailable, match=r"the Kafka client gave up: .*two lines.*check that the broker"):  # noqa: SIM117
        with translated(ADDRESS):
            raise errors.KafkaTimeoutError("two\nlines")
    with pytest.raises(FeedCorrupt, match="partition 1, offset 7 is gone"):  # noqa: SIM117
        with translated(ADDRESS):
            raise errors.OffsetOutOfRangeError({TopicPartition("q", 1): 7})
    with pytest.raises(FeedCorrupt, match="the topic was made anew, or its log was cut back; replay the source"):  # noqa: SIM117
        with translated(ADDRESS):
            raise errors.LogTruncationError({TopicPartition("q", 1): None})


def test_a_call_without_a_limit_gets_one():
    assert within(5, ADDRESS, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, ADDRESS, lambda: 1 / 0)
    forever = threading.Event()
    with pytest.raises(FeedUnavailable, match="did not answer within 0 s"):
        within(0.01, ADDRESS, forever.wait)
    forever.set()


@pytest.mark.parametrize(("patience", "tries"), [(0.0, 1), (3.0, 5)])
def test_a_broker_that_was_there_is_waited_for(monkeypatch, patience, tries):
    asked, now = [], [0.0]

    def probe(address):
        asked.append(now[0])
        now[0] += 0.25
        raise FeedUnavailable("no Kafka broker answers", address.place)

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr(client, "probe", probe)
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with pytest.raises(FeedUnavailable, match="no Kafka broker answers"), client.open_consumer(ADDRESS, patience):
        pytest.fail("nobody is there")
    assert len(asked) == tries
    assert asked == sorted(asked)
