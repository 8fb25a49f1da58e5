"""Topics that somebody else filled: read only where asked, each message once, and said to be unproven."""

import json
import re
from contextlib import ExitStack

import pytest

from feed.codecs.json_codec import encode_json
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import foreign
from feed.kafka.producer import replay
from feed.options import ReadOptions
from feed.source import plan_source, read_source, read_tapes
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, UNNAMED, Tape, same
from tests.support.kafka.faults import refused, topic_of
from tests.support.kafka.handmade import end_item, messages, put, put_with_keys, tape
from tests.support.kafka.transactions import transaction

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


@pytest.mark.parametrize("price", ["1e-999", "1e308", f"1{'0' * 400}", f"0.{'0' * 400}1"])
def test_a_price_that_no_tape_holds_is_one_line(topic, price):
    first, second, *_ = (value.decode() for value, _ in bare(tape()))
    put(topic, [(first.encode(), []), (re.sub(r'("ask_px_00":)[^,]*', rf"\g<1>{price}", second).encode(), [])])
    code, error = refused("check", topic, "feed.foreign=true", "symbol=AAPL")
    assert code == 3
    assert "partition 0, offset 1: malformed message: " in error
    assert len(error) < 400


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


def test_tombstones_are_left_out_and_counted_in_every_topic(topic):
    stream, gone = tape(), [(b"AAPL", (None, []))]
    items = [(b"AAPL", item) for item in bare(stream)]
    put_with_keys(topic, [*gone, *items[:100], *gone, *items[100:], *gone])
    got, provenance = read_source(topic, ASKED)
    assert same(got, stream)
    assert (provenance.ignored, provenance.bad) == ({"tombstone": 3}, ())
    items = [(b"AAPL", item) for item in messages(stream)]
    mine = topic.replace("?", "-mine?")
    put_with_keys(mine, gone)
    with pytest.raises(FeedCorrupt, match=r"incomplete: no end record in .*; there are no replays"):
        read_source(mine)
    end = end_item(stream, items, start=1, end=len(items) + 2)
    put_with_keys(mine, [*items[:100], *gone, *items[100:], *gone, (None, end), *gone])
    got, provenance = read_source(mine)
    assert same(got, stream)
    assert (provenance.messages, provenance.ignored) == (len(items), {"tombstone": 2})


# --- symbols ---


def named(stream, way):
    """(key, (value, headers)) of a stream whose messages name its symbol in one of three ways."""
    for message in encode_json(stream):
        value, headers, key = message.value, [], None
        if way == "row":
            parts = json.loads(value)
            for row in (*parts["snapshot"], *parts.get("trades", ())):
                row["symbol"] = stream.symbol
            value = json.dumps(parts).encode()
        elif way == "header":
            headers = [("symbol", stream.symbol.encode())]
        else:
            key = stream.symbol.encode()
        yield key, (value, headers)


def alternating(*streams):
    return [item for together in zip(*streams, strict=True) for item in together]


@pytest.mark.parametrize("way", ["row", "header", "key"])
@pytest.mark.parametrize("offsets", [50, 2**17])
def test_two_symbols_of_a_topic_are_two_tapes(topic, monkeypatch, way, offsets):
    monkeypatch.setattr(foreign, "RANGE_OFFSETS", offsets)
    one, other = tape(1), tape(1, symbol="NA")  # the same rows: only the name tells them apart
    items = alternating(named(one, way), named(other, way))
    put_with_keys(topic, [*items, *items[:9]])
    pairs = read_tapes(topic, ReadOptions(foreign=True))
    assert [(stream.symbol, same(stream, its)) for (stream, _), its in zip(pairs, (one, other), strict=True)] == [
        ("AAPL", True),
        ("NA", True),
    ]
    assert [provenance.resent for _, provenance in pairs] == [5, 4]
    with pytest.raises(
        FeedUnavailable, match="it holds 2 tapes; tapes there: AAPL 2024-08-01, NA 2024-08-01; name one"
    ):
        read_source(topic, ReadOptions(foreign=True))
    for stream in (one, other):
        got, provenance = read_source(topic, ReadOptions(foreign=True, symbol=stream.symbol))
        assert same(got, stream)
        assert provenance.ignored == {"other_symbol": len(items) // 2 + (4 if stream is one else 5)}
    with pytest.raises(FeedUnavailable, match="no message of symbol 'MSFT'; symbols there: AAPL, NA"):
        read_source(topic, ReadOptions(foreign=True, symbol="MSFT"))


def test_messages_that_name_no_symbol_beside_some_that_do_are_a_tape_of_their_own(topic):
    one, other = tape(1), tape(2)
    put_with_keys(topic, [*named(one, "key"), *((None, item) for item in bare(other))])
    assert [stream.symbol for stream, _ in read_tapes(topic, ReadOptions(foreign=True))] == ["AAPL", UNNAMED]
    got, provenance = read_source(topic, ASKED)
    assert same(got, one)
    assert provenance.ignored == {"other_symbol": len(bare(other))}
    assert same(read_source(topic, ReadOptions(foreign=True, symbol=UNNAMED))[0], Tape.build(UNNAMED, **columns(other)))


def columns(stream):
    trades = {name: getattr(stream.trades, name) for name in TRADE_DTYPES}
    return {name: getattr(stream, name) for name in QUOTE_DTYPES} | {"trades": trades}


def test_keys_that_are_all_different_are_refused(topic, monkeypatch):
    monkeypatch.setattr(foreign, "SYMBOLS", 30)
    put_with_keys(topic, [(b"id-%d" % at, item) for at, item in enumerate(bare(tape())[:40])])
    with pytest.raises(FeedUnavailable, match="name more than 30 symbols, by their rows' field symbol, header or key"):
        read_source(topic, ReadOptions(foreign=True))
    with pytest.raises(
        FeedUnavailable, match=r"no message of symbol 'AAPL'; symbols there: .*: its keys; where they are no"
    ):
        read_source(topic, ASKED)


# --- transactions ---


@pytest.mark.command
@pytest.mark.parametrize("offsets", [7, 2**17])
def test_what_was_aborted_is_no_quote_and_what_is_open_is_not_read(kafka_one, request, monkeypatch, offsets):
    monkeypatch.setattr(foreign, "RANGE_OFFSETS", offsets)
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)
    kept, wrong, late = bare(tape(1, 20)), bare(tape(2, 15)), bare(tape(3, 4))
    with ExitStack() as open_ones:
        for items, ends in ((kept[:5], "commit"), (wrong[:10], "abort"), (kept[5:12], "commit"), (wrong[10:], "abort")):
            with transaction(kafka_one, topic) as (producer, send):
                send(items)
                getattr(producer, f"{ends}_transaction")(30)
        put(source, kept[12:])
        producer, send = open_ones.enter_context(transaction(kafka_one, topic))
        send(late)
        got, provenance = read_source(source, ASKED)
        assert same(got, tape(1, 20))
        assert provenance.messages == len(kept)
        assert provenance.ignored == {"aborted": len(wrong)}
        assert provenance.empty == 4  # a control record of each transaction that has ended
        assert provenance.notes[1:] == (
            f"{len(wrong)} messages of aborted transactions were left out",
            f"{len(late)} offsets from an open transaction on were not read",
        )
        producer.abort_transaction(30)
    _, provenance = read_source(source, ASKED)
    assert provenance.ignored == {"aborted": len(wrong) + len(late)}
    assert len(provenance.notes) == 2


@pytest.mark.command
def test_a_topic_with_nothing_that_was_committed_says_so(kafka_one, request):
    topic = topic_of(request)
    source = kafka_one.create_topic(topic)
    items = bare(tape(2, 15))
    with transaction(kafka_one, topic) as (producer, send):
        send(items)
        with pytest.raises(FeedCorrupt, match=f"none of its {len(items)} offsets can be read: a transaction is open"):
            read_source(source, ASKED)
        producer.abort_transaction(30)
    with pytest.raises(FeedCorrupt, match=f"no quotes: {len(items)} messages were aborted"):
        read_source(source, ASKED)
