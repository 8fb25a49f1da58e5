"""A desk's own topic, read by a mapping: no headers and no names of ours; exact, bounded, and honest about gaps."""

import json

import numpy as np
import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import foreign
from feed.kafka.foreign import NOTE
from feed.kafka.producer import replay
from feed.options import options_of
from feed.source import plan_source, read_source, read_tapes
from feed.tape import Tape, same
from tests.support.kafka.faults import checked, refused, run, topic_of
from tests.support.kafka.handmade import put, put_with_keys, tape
from tests.support.kafka.transactions import transaction

pytestmark = pytest.mark.kafka

WIDE = ("quotes.time=t", "quotes.time_unit=ns", "quotes.venue=x", "quotes.bid_px=b", "quotes.ask_px=a")
WIDE += ("quotes.bid_sz=bs", "quotes.ask_sz=as", "feed.foreign=true")
VENUES = ("XNAS", "ARCX", "XBOS")
IDS = (2, 43, 3)


def quotes(symbol="AAPL", seed=0, instants=200):
    """A tape of three venues without trades."""
    source = tape(seed, instants, symbol=symbol)
    names = ("ts", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")
    columns = {name: getattr(source, name) for name in names}
    return Tape.build(symbol, **columns, venue=np.array(IDS, np.int16)[source.venue])


def dollars(px):
    return f"{px // 10**9}.{px % 10**9:09d}" if px else "null"


def rows_of(stream, **more):
    """The rows of a tape in the desk's own names, as JSON text with exact decimals."""
    name = dict(zip(IDS, VENUES, strict=True))
    for at in range(stream.rows):
        row = {column: int(getattr(stream, column)[at]) for column in ("ts", "venue", "bid_sz", "ask_sz", "sequence")}
        fields = {"t": row["ts"], "x": f'"{name[row["venue"]]}"', "bs": row["bid_sz"], "as": row["ask_sz"]}
        fields |= {"b": dollars(int(stream.bid_px[at])), "a": dollars(int(stream.ask_px[at])), "n": row["sequence"]}
        fields |= {key: json.dumps(value) for key, value in more.items()}
        yield "{" + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}"


def bare(texts):
    return [(text.encode(), []) for text in texts]


def asked(*words, mapping=WIDE):
    return options_of([*mapping, *words])


def renumbered(stream):
    """The tape as it is where rows number nothing: by their order."""
    names = ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz")
    columns = {name: getattr(stream, name) for name in names}
    return Tape.build(stream.symbol, **columns, sequence=np.arange(stream.rows))


def test_a_row_for_each_message(topic):
    stream = quotes()
    put(topic, bare(rows_of(stream)))
    got, provenance = read_source(topic, asked("symbol=AAPL", "quotes.sequence=n"))
    assert same(got, stream)
    assert (provenance.messages, provenance.resent, provenance.trades) == (600, 0, 0)
    assert provenance.notes[0] == NOTE
    feed = checked(topic, *WIDE, "symbol=AAPL", "quotes.sequence=n")
    assert feed["digest"] == stream.digest()


@pytest.mark.parametrize("offsets", [50, 2**17])
def test_shapes_of_the_same_quotes_and_several_ranges(topic, monkeypatch, offsets):
    monkeypatch.setattr(foreign, "RANGE_OFFSETS", offsets)
    stream = quotes()
    texts = list(rows_of(stream))
    thirds = [texts[at : at + 3] for at in range(0, len(texts), 3)]
    put(topic, bare(f"[{','.join(each)}]" for each in thirds))
    nested = topic.replace("?", "-nested?")
    put(nested, bare(f'{{"kind":"q","d":{{"r":[{",".join(each)}]}}}}' for each in thirds))
    prefixed = [word.replace("=", "=d.r.", 1) if word[7:9] in {"bi", "as"} else word for word in WIDE]
    prefixed = [word.replace("=t", "=d.r.t", 1) if word == "quotes.time=t" else word for word in prefixed]
    prefixed = [word.replace("=x", "=d.r.x", 1) if word == "quotes.venue=x" else word for word in prefixed]
    assert len(plan_source(topic, asked("symbol=AAPL")).ranges) == (4 if offsets == 50 else 1)
    for place, words, sequence in ((topic, WIDE, "n"), (nested, prefixed, "d.r.n")):
        got, provenance = read_source(place, asked("symbol=AAPL", f"quotes.sequence={sequence}", mapping=words))
        assert same(got, stream)
        assert provenance.messages == 200
        got, provenance = read_source(place, asked("symbol=AAPL", mapping=words))
        assert same(got, renumbered(stream))
        assert "messages number nothing: one that was sent twice counts twice" in provenance.notes


def test_what_was_sent_twice_counts_once_only_where_messages_number_themselves(topic):
    stream = quotes()
    items = bare(rows_of(stream))
    put(topic, [*items[:400], *items[300:400], *items[400:]])
    got, provenance = read_source(topic, asked("symbol=AAPL", "quotes.sequence=n"))
    assert same(got, stream)
    assert (provenance.messages, provenance.resent) == (600, 100)
    got, provenance = read_source(topic, asked("symbol=AAPL"))
    assert (got.rows, provenance.messages, provenance.resent) == (700, 700, 0)


@pytest.mark.parametrize("by", ["s", "kafka.key", "kafka.header.sym"])
def test_symbols_by_a_field_a_key_or_a_header(topic, by):
    mine, other = quotes("AAPL", 1), quotes("MSFT", 2)
    items = [
        (stream.symbol.encode(), (text.encode(), [("sym", stream.symbol.encode())]))
        for stream in (mine, other)
        for text in rows_of(stream, s=stream.symbol)
    ]
    put_with_keys(topic, items)
    words = ("quotes.sequence=n", f"quotes.symbol={by}")
    got = read_tapes(topic, asked(*words))
    assert [each.symbol for each, _ in got] == ["AAPL", "MSFT"]
    assert all(same(each, sent) for (each, _), sent in zip(got, (mine, other), strict=True))
    one, provenance = read_source(topic, asked(*words, "symbol=MSFT"))
    assert same(one, other)
    assert provenance.ignored["other_symbol"] == 600
    with pytest.raises(FeedUnavailable, match="no message of symbol 'X'"):
        read_source(topic, asked(*words, "symbol=X"))


def test_keys_that_differ_are_asked_about(topic):
    stream = quotes()
    put_with_keys(topic, [(b"k%d" % (at % 5), item) for at, item in enumerate(bare(rows_of(stream)))])
    with pytest.raises(FeedUnavailable, match=r"several keys, such as 'k0' and 'k1', .*quotes.symbol=kafka.key"):
        read_source(topic, asked("quotes.sequence=n"))
    got, provenance = read_source(topic, asked("quotes.sequence=n", "symbol=AAPL"))
    assert same(got, stream)
    assert "its keys differ, and were not taken for symbols" in provenance.notes


def test_a_row_for_each_level_and_the_time_of_kafka(topic):
    levels = [("B", "10.00", 5), ("S", "10.02", 7), ("B", "10.01", 0), ("B", "9.99", 3)]
    texts = [json.dumps({"side": side, "px": px, "sz": sz}) for side, px, sz in levels]
    put(topic, bare(texts))
    words = ("quotes.time=kafka.timestamp", "quotes.time_unit=ms", "quotes.at=XNAS", "quotes.side=side")
    words += ("quotes.px=px", "quotes.sz=sz", "feed.foreign=true", "symbol=A")
    got, _ = read_source(topic, options_of(list(words)))
    assert got.rows >= 1
    assert (got.bid_px[-1], got.bid_sz[-1]) == (9_990_000_000, 3)
    assert (got.ask_px[-1], got.ask_sz[-1]) == (10_020_000_000, 7)


def test_malformed_ones_are_named_or_put_aside(topic):
    stream = quotes()
    items = bare(rows_of(stream))
    text = items[20][0].decode()
    bad = [
        b"no json",
        text.replace('"t":', '"t":"yesterday","u":').encode(),
        text.replace('"bs":', '"bs":-1.5,"u":').encode(),
    ]
    put(topic, [*items[:9], *((value, []) for value in bad), *items[9:]])
    words = ("symbol=AAPL", "quotes.sequence=n")
    with pytest.raises(FeedCorrupt, match="partition 0, offset 9: malformed message: JSON is malformed"):
        read_source(topic, asked(*words))
    with pytest.raises(FeedCorrupt, match=r"partition 0, offset 1[01]: malformed message: column (t|bs): "):
        read_source(topic, asked(*words, "feed.max_bad=2"))
    got, provenance = read_source(topic, asked(*words, "feed.max_bad=3"))
    assert same(got, stream)
    assert [(each.offset, each.value) for each in provenance.bad] == list(zip((9, 10, 11), bad, strict=True))
    assert provenance.bad[1].reason.startswith("column t: 'yesterday' (expected ")


def test_what_is_no_quote_a_replay_or_a_tombstone_is_left_out_and_counted(topic):
    stream = quotes()
    items = bare(rows_of(stream))
    done = replay(tape(), topic)
    put(topic, [*items[:5], (b'{"heartbeat":1}', []), *items[5:]])
    put_with_keys(topic, [(b"k", (None, []))])
    got, provenance = read_source(topic, asked("symbol=AAPL", "quotes.sequence=n"))
    assert same(got, stream)
    assert provenance.ignored == {"no_quote": 1, "tombstone": 1}
    assert f"{done.messages + 1} messages of replays were left out" in provenance.notes


def test_a_mapping_that_does_not_fit_is_one_line_each(topic):
    put(topic, bare(rows_of(quotes())))
    for words, reason in (
        (
            ("quotes.bid_px=bidd",),
            "no message so far has the field 'bidd': partition 0, offset 0; fields there: a, as, b",
        ),
        (("quotes.time=when",), "no message so far has the field 'when'"),
        (("quotes.venue=a",), "offset 0, column a: "),
        (("quotes.time_unit=ms",), "malformed message: column t: "),
        (("quotes.ask_sz=x",), "malformed message: column x: "),
    ):
        code, error = refused("check", topic, *WIDE, *words, "symbol=AAPL")
        assert reason in error
        assert code == (3 if "malformed" in reason else 2)
        assert len(error) < 500
    with pytest.raises(FeedUnavailable, match="quotes says which field"):
        read_source(topic, options_of([word for word in WIDE if word != "feed.foreign=true"]))


def test_whole_prices_ask_for_their_unit(topic):
    put(topic, [(b'{"t":1722519392000000000,"x":"XNAS","b":1000,"a":1001,"bs":1,"as":2}', [])])
    with pytest.raises(FeedUnavailable, match="its prices are whole numbers, and nothing says of what"):
        read_source(topic, asked("symbol=A"))
    got, _ = read_source(topic, asked("symbol=A", "quotes.price_unit=cents"))
    assert (got.bid_px[0], got.ask_px[0]) == (10 * 10**9, 10_010_000_000)


def test_bytes_are_bounded(topic):
    put(topic, bare(rows_of(quotes())))
    with pytest.raises(FeedCorrupt, match=r"more than 5,?000 bytes|beyond the bound"):
        read_source(topic, asked("symbol=A", "feed.max_bytes=5000"))
    crowded = topic.replace("?", "-crowded?")
    rows = ",".join(['{"b":1.5,"a":2,"bs":1,"as":2}'] * 3000)  # which take more in columns
    put(crowded, bare([f'{{"t":1722519392000000000,"x":"XNAS","r":[{rows}]}}']))
    words = [word.replace("=", "=r.", 1) if word[7:9] in {"bi", "as"} else word for word in WIDE]
    with pytest.raises(FeedCorrupt, match="rows of more than 120,000 bytes are beyond the bound"):
        read_source(crowded, asked("symbol=A", "feed.max_bytes=120000", mapping=words))
    assert read_source(crowded, asked("symbol=A", "feed.max_bytes=200000", mapping=words))[0].rows == 3000


@pytest.mark.parametrize("ending", ["abort", "open"])
def test_transactions_that_did_not_commit_are_not_read(kafka_one, request, ending):
    source = kafka_one.create_topic(topic := topic_of(request))
    stream = quotes()
    put(source, bare(rows_of(stream)))
    with transaction(kafka_one, topic) as (producer, send):
        send(bare(list(rows_of(stream))[:10]))
        if ending == "abort":
            producer.abort_transaction(30)
        got, provenance = read_source(source, asked("symbol=AAPL", "quotes.sequence=n"))
    assert same(got, stream)
    assert provenance.ignored == ({"aborted": 10} if ending == "abort" else {})
    assert any("open transaction" in note for note in provenance.notes) == (ending == "open")


@pytest.mark.command
def test_a_topic_of_a_desk_is_swept(topic):
    stream = quotes(instants=500)
    put(topic, bare(rows_of(stream)))
    words = [f"source={topic}", *WIDE, "symbol=AAPL", "quotes.sequence=n", "order.size=500", "executor=inline"]
    code, out, stderr = run(*words, package="sweep")
    assert code == 0, stderr
    document = json.loads(out)
    assert document["feed"]["digest"] == stream.digest()
    assert document["feed"]["notes"][0] == NOTE
