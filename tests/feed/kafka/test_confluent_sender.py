"""librdkafka as the sender, without a broker: what it is told, what its answers mean, what it is given of secrets."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from feed.access import CONFLUENT, access_of
from feed.codecs.messages import Messages
from feed.errors import FeedUnavailable
from feed.kafka import confluent_sender
from feed.kafka.address import Address
from feed.kafka.client import errors, translated
from feed.kafka.confluent_sender import ConfluentSender, confluent_settings
from feed.kafka.senders import Covered

ADDRESS = Address(("nowhere:1", "nowhere:2"), "q")
COVERS = [Covered(b"A", [("symbol", b"A")]), Covered(b"B", [("symbol", b"B")])]


class Calls:
    """Stands for confluent_kafka.Producer: notes what it is told and answers when it is polled."""

    def __init__(self, *, full=0, offsets=None, error_at=None, error=None):
        self.sent, self.waiting, self.full, self.next = [], [], full, {}
        self.offsets, self.error_at, self.error = offsets, error_at, error

    def produce(self, topic, value, key, partition, answer, headers):
        if self.full and len(self.waiting) == self.full:
            raise BufferError
        self.waiting.append((len(self.sent), partition, answer))
        self.sent.append((topic, partition, key, value, headers))

    def poll(self, seconds):
        if seconds:
            for number, partition, answer in self.waiting:
                offset = self.next.setdefault(partition, 70)
                self.next[partition] += 1
                if self.offsets:
                    offset = self.offsets[number]
                failure = self.error if number == self.error_at else None
                answer(failure, SimpleNamespace(offset=lambda offset=offset: offset))
            self.waiting.clear()

    def flush(self, seconds):
        self.poll(seconds)


def messages(*listed):
    tapes, values = zip(*listed, strict=True)
    ones = np.ones(len(listed), np.int64)
    return Messages(ones, np.array(tapes), pa.array(values, pa.large_binary()), ones)


def given(producer, *listed, partition=3):
    sender = ConfluentSender(producer, ADDRESS, COVERS, ("seq", "pseq"))
    numbers = np.arange(len(listed))
    sender.add(partition, messages(*listed), (numbers + 10, numbers))
    return sender


def test_a_message_carries_what_the_other_client_sends():
    producer = Calls()
    sender = given(producer, (0, b"x"), (1, b"y"))
    assert producer.sent == [
        ("q", 3, b"A", b"x", [("symbol", b"A"), ("seq", b"10"), ("pseq", b"0")]),
        ("q", 3, b"B", b"y", [("symbol", b"B"), ("seq", b"11"), ("pseq", b"1")]),
    ]
    (handed,) = sender.sent
    assert (handed.partition, handed.messages, handed.nbytes, handed.is_done) == (3, 2, 2, False)
    assert handed.offsets(1) == (70, 72)
    assert handed.is_done


def test_a_full_queue_is_waited_for():
    producer = Calls(full=2)
    sender = given(producer, *((0, b"%d" % at) for at in range(7)))
    assert [value for _, _, _, value, _ in producer.sent] == [b"%d" % at for at in range(7)]
    assert sender.sent[0].offsets(1) == (70, 77)


def test_an_end_record_has_no_key_and_its_own_offset():
    producer = Calls()
    sender = given(producer, (0, b"x"))
    assert sender.finish([3, 4], b"end", [("kind", b"end")]) == [71, 70]
    assert producer.sent[1:] == [("q", 3, None, b"end", [("kind", b"end")]), ("q", 4, None, b"end", [("kind", b"end")])]


def test_offsets_that_do_not_ascend_are_noticed():
    sender = given(Calls(offsets=[7, 8, 8]), *[(0, b"x")] * 3)
    with pytest.raises(errors.UnknownError, match="offset 8 came after 8"):
        sender.sent[0].offsets(1)


def test_a_client_that_never_answers_is_given_up(monkeypatch):
    clock = iter([0.0, 5.0, 11.0])
    monkeypatch.setattr(confluent_sender.time, "monotonic", lambda: next(clock))
    producer = Calls()
    producer.poll = lambda _seconds: None
    sender = given(producer, (0, b"x"))
    with pytest.raises(errors.KafkaTimeoutError, match="no answer within 10 s"):
        sender.sent[0].offsets(10)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (10, errors.MessageSizeTooLargeError),
        (29, errors.TopicAuthorizationFailedError),
        (87, errors.InvalidRecordError),
        (-169, errors.SaslAuthenticationFailedError),
        (-192, errors.KafkaTimeoutError),
        (-195, errors.KafkaConnectionError),
        (-150, errors.KafkaError),
    ],
)
def test_an_error_is_the_one_of_the_other_client(code, kind):
    from confluent_kafka import KafkaError

    sender = given(Calls(error_at=1, error=KafkaError(code)), *[(0, b"x")] * 3)
    with pytest.raises(kind) as caught:
        sender.sent[0].offsets(1)
    assert type(caught.value) is kind
    with pytest.raises(FeedUnavailable), translated(ADDRESS):
        sender.sent[0].offsets(1)


def test_settings_promise_what_the_other_client_promises():
    settings = confluent_settings(ADDRESS, 40_000, compressed=False)
    assert settings["bootstrap.servers"] == "nowhere:1,nowhere:2"
    assert (settings["acks"], settings["enable.idempotence"], settings["batch.size"]) == ("all", True, 40_000)
    assert confluent_settings(ADDRESS, None, compressed=True)["compression.type"] == "none"


def test_a_password_is_read_when_it_connects_and_certificates_are_checked(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    named = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "alice", "sasl_password_env": "KAFKA_PASSWORD"}
    access = access_of({"security_protocol": "SASL_SSL", "client": CONFLUENT, **named})
    address = Address(("nowhere:1",), "q", access=access)
    assert "hunter2" not in repr(address)
    settings = confluent_settings(address, None, compressed=False)
    assert settings["sasl.password"] == "hunter2"
    assert settings["ssl.endpoint.identification.algorithm"] == "https"
    assert "enable.ssl.certificate.verification" not in settings  # on by default
    monkeypatch.setenv("KAFKA_PASSWORD", "another")
    assert confluent_settings(address, None, compressed=False)["sasl.password"] == "another"


def test_another_client_is_refused():
    with pytest.raises(FeedUnavailable, match=r"kafka.client: expected kafka-python or confluent, but it had 'java'"):
        access_of({"client": "java"})
