"""How a topic is set, as a broker tells it or does not: what is refused, what is said, before anything is sent."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from feed import topic
from feed.errors import FeedUnavailable
from feed.kafka import Address, errors
from feed.topic import UNTOLD, Settings, check_fit, made_settings_of, settings_of

ADDRESS = Address(("there:9092",), "q")
PLAIN = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "1",
    "retention.ms": "604800000",
}


class Admin:
    """A client whose broker tells these settings, or fails."""

    def __init__(self, values=None, *, code=0, replicas=(1,), fails=None):
        self.values, self.code, self.replicas, self.fails = values, code, replicas, fails

    def describe_configs(self, asked, config_filter):
        assert config_filter == "all"
        assert (asked[0].name, asked[0].configs) == ("q", list(topic.ASKED))
        if self.fails:
            raise self.fails
        return {"topic": {"q": {name: {"value": text} for name, text in (self.values or {}).items()}}}

    def describe_topics(self, _names):
        parts = [{"replica_nodes": list(range(count))} for count in self.replicas]
        return [{"error_code": self.code, "partitions": parts}]


@pytest.fixture
def broker(monkeypatch):
    """Let brokers answer, one after the other."""

    def answer(*admins):
        rest = list(admins)

        @contextmanager
        def opened(_address):
            yield rest.pop(0)

        monkeypatch.setattr(topic, "_open_admin", opened)
        return rest

    return answer


def test_settings_are_those_of_the_topic(broker):
    broker(Admin({**PLAIN, "compression.type": "zstd"}, replicas=(3, 2)))
    found = settings_of(ADDRESS)
    assert found == Settings(PLAIN, 2)
    assert found.largest_batch == 1048588
    assert check_fit(found, ADDRESS) == ()


@pytest.mark.parametrize(
    ("admin", "said"),
    [
        (Admin(code=29), "TopicAuthorizationFailedError"),
        (Admin(), "TopicAuthorizationFailedError"),
        (Admin(fails=errors.ClusterAuthorizationFailedError()), "ClusterAuthorizationFailedError"),
        (Admin(fails=errors.UnsupportedVersionError()), "UnsupportedVersionError"),
    ],
)
def test_where_a_broker_does_not_tell_it_is_said_and_gone_on_with(broker, admin, said):
    broker(admin)
    (note,) = check_fit(settings_of(ADDRESS), ADDRESS)
    assert note == f"the broker does not say how the topic is set ({said}): it may not keep a whole replay"


def test_a_broker_that_hangs_up_on_the_question_is_the_embedded_one(broker):
    broker(Admin(fails=errors.KafkaConnectionError("socket disconnected")))
    assert settings_of(ADDRESS) is UNTOLD
    assert check_fit(UNTOLD, ADDRESS) == ()
    assert UNTOLD.largest_batch is None


def test_a_topic_that_is_not_there_is_made_and_then_asked_about(broker, monkeypatch):
    made, waited = [], []

    @contextmanager
    def producer(_address):
        yield SimpleNamespace(partitions_for=made.append)

    monkeypatch.setattr(topic, "open_producer", producer)
    monkeypatch.setattr(topic.time, "sleep", waited.append)
    rest = broker(Admin(code=3), Admin(code=3), Admin(PLAIN))
    assert made_settings_of(ADDRESS) == Settings(PLAIN, 1)
    assert (made, len(waited), rest) == (["q"], 1, [])


@pytest.mark.parametrize(
    ("values", "replicas", "reason"),
    [
        ({"cleanup.policy": "compact"}, 1, r"compacted \(cleanup.policy=compact\).*; set cleanup.policy=delete for it"),
        ({"cleanup.policy": "delete,compact"}, 1, r"compacted \(cleanup.policy=delete,compact\)"),
        ({"min.insync.replicas": "3"}, 2, r"3 replicas have to be in sync .* a partition has 2; lower"),
    ],
)
def test_what_would_not_keep_a_replay_is_refused(values, replicas, reason):
    with pytest.raises(FeedUnavailable, match=reason) as caught:
        check_fit(Settings({**PLAIN, **values}, replicas), ADDRESS)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("kept", "seconds", "said"),
    [
        ("-1", 1e6, ()),
        ("600000", 600, ()),
        ("599000", 0, ("the topic keeps a message for 599 s only (retention.ms): its start may go first",)),
        ("3600000", 3601, ("for 3600 s only (retention.ms), and the replay takes 3601 s: its start may go first",)),
    ],
)
def test_what_is_not_kept_for_long_is_said(kept, seconds, said):
    notes = check_fit(Settings({**PLAIN, "retention.ms": kept}, 1), ADDRESS, seconds)
    assert len(notes) == len(said)
    assert all(end in note for note, end in zip(notes, said, strict=True))


@pytest.mark.parametrize("text", ["many", "", "-", "\u00b2", "9" * 5000])
def test_a_setting_that_is_no_number_is_none(text):
    assert Settings({"max.message.bytes": text}).largest_batch is None
