"""Topics that somebody else filled: read only where asked, each message once, and said to be unproven."""

import pytest
from handmade import messages, put, tape

from feed import foreign
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.fragments import UNNAMED
from feed.jsoncodec import encode_json
from feed.options import ReadOptions
from feed.replay import replay
from feed.source import plan_source, read_source
from feed.tape import same

pytestmark = pytest.mark.kafka
ASKED = ReadOptions(foreign=True, symbol="AAPL")


def bare(stream):
    return [(message.value, []) for message in encode_json(stream)]


@pytest.mark.parametrize("offsets", [50, 2**17])
def test_each_message_is_read_once(topic, monkeypatch, offsets):
    monkeypatch.setattr(foreign, "RANGE_OFFSETS", offsets)
    stream = tape()
    items = bare(stream)
    put(topic, [*items[:200], *items[150:210], *items[200:], items[0]])
    with pytest.raises(FeedCorrupt, match="it carries no headers of a replay"):
        read_source(topic)
    got, provenance = read_source(topic, ASKED)
    assert same(got, stream)
    assert (provenance.messages, provenance.resent, provenance.replay) == (340, 61, None)
    assert provenance.notes == (foreign.NOTE,)
    assert [(part.partition, part.start, part.end) for part in provenance.partitions] == [(0, 0, 401)]
    assert len(plan_source(topic, ASKED).ranges) == (9 if offsets == 50 else 1)
    assert read_source(topic, ReadOptions(foreign=True))[0].symbol == UNNAMED


def test_replays_in_the_same_topic_are_left_out(topic):
    mine, other = tape(1), tape(2)
    done = replay(other, topic, partition="spread")
    put(topic, bare(mine))
    got, provenance = read_source(topic, ASKED)
    assert same(got, mine)
    assert provenance.notes[1] == f"{done.messages + 4} messages of replays were left out"


def test_malformed_ones_are_named_or_put_aside(topic):
    stream = tape()
    put(topic, [*bare(stream)[:9], (b"[]", []), *bare(stream)[9:]])
    with pytest.raises(FeedCorrupt, match="partition 0, offset 9: malformed message"):
        read_source(topic, ASKED)
    got, provenance = read_source(topic, ReadOptions(foreign=True, symbol="AAPL", max_bad=1))
    assert same(got, stream)
    assert [(bad.offset, bad.value) for bad in provenance.bad] == [(9, b"[]")]


def test_bytes_are_bounded_and_an_unknown_topic_is_one(topic, monkeypatch):
    put(topic, bare(tape()))
    few = ReadOptions(foreign=True, max_bytes=10_000)
    with pytest.raises(FeedCorrupt, match="more than 10000 bytes is beyond the bound"):
        read_source(topic, few)
    monkeypatch.setattr(foreign, "RANGE_OFFSETS", 10)
    with pytest.raises(FeedCorrupt, match="more than the bound of 10,000"):
        read_source(topic, few)
    with pytest.raises(FeedUnavailable, match="there is no topic"):
        read_source(topic.replace("?", "-absent?"), ASKED)


def test_messages_of_replays_are_never_foreign(topic):
    put(topic, messages(tape()))
    with pytest.raises(FeedCorrupt, match="no message without headers"):
        read_source(topic, ASKED)
