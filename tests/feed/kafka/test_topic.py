"""How a topic is set, as a broker tells it or does not: what is refused, what is said, before anything is sent."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

from feed.codecs.registry import CODECS
from feed.errors import FeedUnavailable
from feed.kafka import topic
from feed.kafka.address import Address
from feed.kafka.client import errors
from feed.kafka.producer import PARTITIONERS, hash_of
from feed.kafka.topic import UNTOLD, Settings, check_fit, check_room, made_settings_of, settings_of
from feed.tape import QUOTE_DTYPES, Tape
from tests.support.examples import examples
from tests.support.strategies import tapes

ADDRESS = Address(("there:9092",), "q")
PLAIN = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "1",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
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
    topic_settings = settings_of(ADDRESS)
    assert topic_settings == Settings(PLAIN, 2, partitions=2)
    assert topic_settings.largest_batch == 1048588
    assert check_fit(topic_settings, ADDRESS) == ()


@pytest.mark.parametrize(
    ("admin", "reason"),
    [
        (Admin(code=29), "TopicAuthorizationFailedError"),
        (Admin(), "TopicAuthorizationFailedError"),
        (Admin(fails=errors.ClusterAuthorizationFailedError()), "ClusterAuthorizationFailedError"),
        (Admin(fails=errors.UnsupportedVersionError()), "UnsupportedVersionError"),
    ],
)
def test_where_a_broker_does_not_tell_it_is_said_and_gone_on_with(broker, admin, reason):
    broker(admin)
    (note,) = check_fit(settings_of(ADDRESS), ADDRESS)
    assert note == f"the broker does not say how the topic is set ({reason}): it may not keep a whole replay"


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
    assert made_settings_of(ADDRESS) == Settings(PLAIN, 1, partitions=1)
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
    ("kept", "seconds", "endings"),
    [
        ("-1", 1e6, ()),
        ("600000", 600, ()),
        ("599000", 0, ("the topic keeps a message for 599 s only (retention.ms): its start may go first",)),
        ("3600000", 3601, ("for 3600 s only (retention.ms), and the replay takes 3601 s: its start may go first",)),
    ],
)
def test_what_is_not_kept_for_long_is_said(kept, seconds, endings):
    notes = check_fit(Settings({**PLAIN, "retention.ms": kept}, 1), ADDRESS, seconds)
    assert len(notes) == len(endings)
    assert all(end in note for note, end in zip(notes, endings, strict=True))


@pytest.mark.parametrize("text", ["many", "", "-", "\u00b2", "9" * 5000])
def test_a_setting_that_is_no_number_is_none(text):
    assert Settings({"max.message.bytes": text}).largest_batch is None


# --- what a topic has room for ---


def burst(rows, quiet=3):
    """A tape of single rows, and of so many at its last instant, no two alike."""
    count = quiet + rows
    numbers = np.random.default_rng(7).integers(1, 2**30, (len(QUOTE_DTYPES), count))
    columns = dict(zip(QUOTE_DTYPES, numbers, strict=True))
    ts = np.minimum(np.arange(count), quiet)
    return Tape.build("AAPL", **columns | {"ts": ts, "venue": np.ones(count, np.int64)})


def room(tape, codec, partitions=1, partition="symbol", **values):
    values = {name.replace("_", "."): str(value) for name, value in values.items()}
    settings = Settings({**PLAIN, **values}, 1, partitions=partitions)
    return check_room(settings, ADDRESS, [tape], CODECS[codec], partitions_by(partition))


def partitions_by(partition):
    hashes = np.array([hash_of("AAPL")])
    return lambda count, numbers, seqs: PARTITIONERS[partition](count, hashes[numbers], seqs)


@pytest.mark.parametrize("codec", CODECS)
def test_a_message_that_is_too_large_is_refused_before_any_is_sent(codec):
    tape = burst(4000)
    with pytest.raises(
        FeedUnavailable, match=r"000003Z takes [\d,]+ bytes, and the topic 40,000 .*; raise it"
    ) as caught:
        room(tape, codec, max_message_bytes=40_000)
    assert caught.value.exit_code == 2
    assert room(tape, codec, max_message_bytes=400_000) == ()


def test_a_message_that_is_small_when_compressed_is_taken():
    tape = burst(1)
    repeated = Tape.build("AAPL", **{name: np.repeat(getattr(tape, name)[:1], 4000) for name in QUOTE_DTYPES})
    assert max(len(message.value) for message in CODECS["json"].encode(repeated)) > 400_000
    assert room(repeated, "json", max_message_bytes=40_000) == ()


def test_messages_are_not_made_twice_where_none_can_be_too_large(monkeypatch):
    monkeypatch.setattr(topic, "_packed", lambda value, _codec: len(value))
    codec = SimpleNamespace(instants=1, row_bytes=224, level_bytes=128, compressed=True)  # has nothing to encode with
    settings = Settings(PLAIN, 1, partitions=1)
    assert check_room(settings, ADDRESS, [burst(4000)], codec, partitions_by("symbol")) == ()
    assert check_room(UNTOLD, ADDRESS, [burst(4000)], codec, partitions_by("symbol")) == ()


@examples(40)
@given(tapes())
def test_no_message_takes_more_than_its_bound(tape):
    for codec in CODECS.values():
        if tape.rows or len(tape.trades.ts):
            assert max(len(message.value) for message in codec.encode(tape)) <= topic._most_bytes(tape, codec)


@pytest.mark.parametrize("codec", CODECS)
def test_what_would_not_fit_is_said(codec):
    tape = burst(1, quiet=5000)
    whole = sum(topic._packed(message.value, CODECS[codec]) for message in CODECS[codec].encode(tape))
    (note,) = room(tape, codec, retention_bytes=10_000)
    assert note.startswith("the topic keeps 10,000 bytes of a partition only (retention.bytes), and the replay has")
    needed = int(note.split("about ")[1].split()[0].replace(",", ""))
    assert whole / 8 < needed <= whole
    assert room(tape, codec, retention_bytes=needed) == room(tape, codec, retention_bytes=-1) == ()
    assert room(tape, codec, partitions=4, retention_bytes=needed - 1) != ()
    assert room(tape, codec, partitions=4, partition="spread", retention_bytes=needed - 1) == ()
