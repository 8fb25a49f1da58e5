"""Several partitions, several ranges, several symbols: one replay, the same tapes."""

import json
from dataclasses import replace as changed
from hashlib import sha256

import pytest

from feed.codecs.messages import gather
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import consumer, merge
from feed.kafka.consumer import plan_replay
from feed.kafka.headers import Listed
from feed.kafka.producer import replay
from feed.options import ReadOptions
from feed.source import read_source, read_tapes
from feed.tape import same
from tests.support.kafka.faults import run
from tests.support.kafka.handmade import end_item, messages, put, tape

pytestmark = pytest.mark.kafka


@pytest.fixture
def small_ranges(monkeypatch):
    monkeypatch.setattr(consumer, "RANGE_ROWS", 100)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("partition", ["symbol", "spread"])
def test_the_tape_is_the_same_however_it_was_spread(topic, codec, partition, small_ranges):
    sent = tape(instants=3000 if codec == "arrow" else 300)
    done = replay(sent, topic, partition=partition, codec=codec)
    plan = plan_replay(topic)
    assert len(done.partitions) == (4 if partition == "spread" else 1)
    assert len(plan.ranges) > len(done.partitions)
    got, provenance = read_source(topic)
    assert same(got, sent)
    assert provenance.digest == sent.digest() == done.digest
    assert provenance.partitions == done.partitions
    assert (provenance.resent, provenance.empty) == (0, 0)


@pytest.mark.parametrize("partition", ["symbol", "spread"])
def test_several_symbols_make_several_tapes(topic, partition, monkeypatch):
    monkeypatch.setattr(consumer, "RANGE_ROWS", 400)
    sent = [tape(seed, symbol=symbol) for seed, symbol in enumerate(["MSFT", "AAPL", "X"])]
    done = replay(sent, topic, partition=partition)
    assert done.symbols == ("AAPL", "MSFT", "X")
    got = read_tapes(topic)
    assert [each.symbol for each, _ in got] == ["AAPL", "MSFT", "X"]
    assert all(same(each, next(one for one in sent if one.symbol == each.symbol)) for each, _ in got)
    assert [provenance.digest for _, provenance in got] == [each.digest() for each, _ in got]
    one, provenance = read_source(topic, ReadOptions(symbol="MSFT"))
    assert same(one, sent[0])
    assert provenance.messages == done.messages
    with pytest.raises(FeedUnavailable, match=r"it holds 3 tapes; tapes there: AAPL 2024-08-01, MSFT .*symbol="):
        read_source(topic)


def test_rows_of_several_symbols_are_shared_out_in_one_pass(topic, monkeypatch):
    walked = []

    def counted(parts, messages):
        walked.append(len(messages))
        return gather(parts, messages)

    sent = [tape(at, symbol=f"S{at}") for at in range(4)]
    done = replay(sent, topic)
    monkeypatch.setattr(merge, "gather", counted)
    assert all(same(one, other) for (one, _), other in zip(read_tapes(topic), sent, strict=True))
    assert walked == [done.messages]


def test_tapes_of_one_symbol_are_one(topic):
    whole = tape()
    middle = int(whole.ts[450])
    replay([whole.clip(middle, 2**62), whole.clip(0, middle - 1)], topic)
    assert same(read_source(topic)[0], whole)


@pytest.mark.parametrize("at", [100, 150, 199])
def test_records_sent_again_over_the_bound_of_two_ranges_are_dropped(topic, small_ranges, monkeypatch, at):
    stream = tape()
    items = messages(stream)
    again = [*items[:at], *items[at - 60 : at - 20], items[at - 3], *items[at:]]
    put(topic, [*again, end_item(stream, again)])
    for rows in (100, 450, 10**6):
        monkeypatch.setattr(consumer, "RANGE_ROWS", rows)
        got, provenance = read_source(topic)
        assert same(got, stream)
        assert provenance.resent == 41


@pytest.mark.parametrize("gone", [[0], [120], [299], [33, 34, 35, 36]])
@pytest.mark.parametrize("rows", [100, 10**6])
def test_a_message_that_never_came_is_missed_whatever_the_ranges(topic, monkeypatch, gone, rows):
    stream = tape()
    items = messages(stream)
    count = len(items)
    items = [item for i, item in enumerate(items) if i not in gone]
    items += [items[5]] * len(gone)  # so that the offsets are enough for what is promised
    put(topic, [*items, end_item(stream, items)])
    monkeypatch.setattr(consumer, "RANGE_ROWS", rows)
    with pytest.raises(FeedCorrupt, match=rf"messages {gone[0]} to {gone[-1]} of partition 0 are missing.*never came"):
        read_source(topic)
    assert count == 340


def test_malformed_messages_are_tolerated_up_to_a_number(topic):
    stream = tape()
    items = messages(stream)
    items = [*items[:7], (b"\x1b{", items[7][1]), *items[8:], (b"bare", [])]
    put(topic, [*items, end_item(stream, items)])
    with pytest.raises(FeedCorrupt, match=r"partition 0, offset 7: malformed message: .*\\x1b{"):
        read_source(topic)
    with pytest.raises(FeedCorrupt, match=r"partition 0, offset (7|340): malformed message: "):
        read_source(topic, ReadOptions(max_bad=1))
    # what stands at offset 7 is not what was promised, and no tolerance makes it so
    with pytest.raises(FeedCorrupt, match="the messages' digest differs"):
        read_source(topic, ReadOptions(max_bad=2))


@pytest.mark.command
@pytest.mark.parametrize("rows", [100, 10**6])
def test_a_message_that_was_malformed_when_it_was_sent(topic, monkeypatch, rows):
    stream = tape()
    items = messages(stream)
    items[7] = (b"{}", items[7][1])
    each = b"".join(sha256(value).digest() for value, _ in items)
    listed = Listed(len(items), 1000, 10**5, 0, len(items) + 1, sha256(each).hexdigest())
    sent = [*items, (b"bare", []), end_item(stream, items, partitions={0: listed})]
    put(topic, sent)
    monkeypatch.setattr(consumer, "RANGE_ROWS", rows)
    with pytest.raises(FeedCorrupt, match="malformed message"):
        read_source(topic, ReadOptions(max_bad=1))
    got, provenance = read_source(topic, ReadOptions(max_bad=2))
    assert got.rows + len(got.trades.ts) < stream.rows + len(stream.trades.ts)
    assert provenance.digest == got.digest() != stream.digest()
    assert [(bad.partition, bad.offset, bad.size, bad.value) for bad in provenance.bad] == [
        (0, 7, 2, b"{}"),
        (0, len(items), 4, b"bare"),
    ]
    assert "2 malformed messages were put aside" in provenance.notes[-1]
    code, out, stderr = run("check", "--json", topic, "feed.max_bad=2", "symbol=AAPL")
    assert code == 0, stderr
    put_aside = [(bad["offset"], bad["size"], bad["reason"]) for bad in json.loads(out)["feed"]["bad"]]
    assert put_aside == [
        (7, 2, "it holds neither quotes nor trades"),
        (len(items), 4, "it carries no headers of a replay"),
    ]
    code, out, stderr = run("check", topic, "feed.max_bad=2")
    assert "partition 0, offset 7: it holds neither quotes nor trades" in out, stderr


def test_a_deadline_is_an_error_and_no_end(topic):
    replay(tape(), topic)
    part = plan_replay(topic).ranges[0]
    with pytest.raises(FeedCorrupt, match=r"not read within 0 s: at offset 0 of \[0, \d+\); set feed.deadline"):
        changed(part, options=ReadOptions(deadline=0.0)).read()
