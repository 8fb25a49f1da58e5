"""The json codec: any tape survives the round trip, anything malformed is named."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed.codec import (
    CODECS,
    EndRecord,
    Listed,
    Record,
    data_headers,
    decode_end,
    decode_json,
    encode_end,
    encode_json,
    end_headers,
)
from feed.errors import FeedCorrupt
from feed.jsonrows import FLOAT_EXACT
from feed.tape import PRICE_LIMIT, Tape, same

TS = 1_722_519_392_491_911_683
STAMP = "2024-08-01T13:36:32.491911683Z"
QUOTE = {
    "ts_event": STAMP,
    "publisher_id": 2,
    "ask_px_00": 222.84,
    "ask_sz_00": 100,
    "bid_px_00": 222.83,
    "bid_sz_00": 36,
    "sequence": 9,
}
TRADE = {"ts_event": STAMP, "publisher_id": 2, "price": 222.84, "size": 5, "side": "B", "sequence": 10}


def build(quotes, trades=()):
    names = ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")
    prints = ("ts", "venue", "px", "sz", "side", "sequence")
    return Tape.build(
        "AAPL",
        **{name: np.array([row[i] for row in quotes], np.int64) for i, name in enumerate(names)},
        trades={name: np.array([row[i] for row in trades], np.int64) for i, name in enumerate(prints)},
    )


def back(messages, symbol="AAPL"):
    return decode_json(symbol, (Record(0, offset, message.value) for offset, message in enumerate(messages)))


instants = st.one_of(st.integers(TS, TS + 3), st.integers(0, 2**63 - 1))
prices = st.one_of(
    st.integers(1, 500 * 10**9),
    st.integers(0, PRICE_LIMIT - 1),
    st.integers(PRICE_LIMIT - 2000, PRICE_LIMIT - 1),
    st.integers(int(FLOAT_EXACT * 1e9) - 1000, int(FLOAT_EXACT * 1e9) + 1000),
)
sizes = st.integers(0, 2**31 - 1)
venues = st.integers(-(2**15), 2**15 - 1)
sequences = st.integers(-(2**63), 2**63 - 1)
quotes = st.lists(st.tuples(instants, venues, prices, prices, sizes, sizes, sequences), max_size=12)
trades = st.lists(
    st.tuples(instants, venues, prices.filter(bool), st.integers(1, 2**31 - 1), st.sampled_from([-1, 0, 1]), sequences),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(quotes, trades)
def test_any_tape_survives_the_round_trip(quotes, trades):
    tape = build(quotes, trades)
    messages = list(encode_json(tape))
    stamps = [message.ts for message in messages]
    assert stamps == sorted({*tape.ts.tolist(), *tape.trades.ts.tolist()})
    again = back(messages)
    assert same(again, tape)
    assert again.digest() == tape.digest()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, PRICE_LIMIT - 1))
def test_the_decimal_text_of_a_price_is_exact(px):
    (message,) = encode_json(build([(TS, 1, px, px, 1, 1, 0)]))
    text = message.value.decode().split('"ask_px_00":')[1].split(",")[0]
    whole, _, fraction = text.partition(".")
    assert int(whole) * 10**9 + int(fraction.ljust(9, "0")) == px
    assert len(fraction) <= 9


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(["snapshot", "trades", "ts_event", "price", "x"]), inner, max_size=3),
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_value_does_anything_but_decode_or_be_refused(value):
    with contextlib.suppress(FeedCorrupt):
        decode_json("AAPL", [Record(0, 0, value)])


def test_message_is_the_published_wire_format():
    tape = build([(TS, 2, 222_830_000_000, 222_840_000_000, 36, 100, 9)], [(TS, 2, 222_840_000_000, 5, 1, 10)])
    (message,) = encode_json(tape)
    assert message.ts == TS
    assert json.loads(message.value) == {"snapshot": [QUOTE], "trades": [TRADE]}


def test_trades_alone_have_an_empty_snapshot_and_quotes_alone_no_trades():
    tape = build([(TS, 2, 1, 2, 3, 4, 9)], [(TS + 1, 2, 5, 5, -1, 10)])
    first, second = (json.loads(message.value) for message in encode_json(tape))
    assert "trades" not in first
    assert second["snapshot"] == []
    assert second["trades"][0]["side"] == "A"


def test_several_rows_of_one_venue_at_one_instant_are_all_kept_in_order():
    tape = build([(TS, 2, px, px + 1, 1, 1, 7) for px in (30, 10, 20)])
    (message,) = encode_json(tape)
    assert back([message]).bid_px.tolist() == [30, 10, 20]


def test_more_than_nine_decimals_round_half_even():
    def nano(text):
        value = json.dumps({"snapshot": [QUOTE]}).replace("222.84", text).encode()
        return decode_json("AAPL", [Record(0, 0, value)]).ask_px[0]

    assert nano("1.2345678914") == 1_234_567_891
    assert nano("8388607.1234567885") == 8_388_607_123_456_788
    assert nano("8388607.1234567895") == 8_388_607_123_456_790
    assert nano("223") == 223 * 10**9


def changed(row, **fields):
    return {**row, **fields}


MALFORMED = {
    "not json": (b"hello", "JSON is malformed"),
    "nothing": (b"", "truncated"),
    "cut": (json.dumps({"snapshot": [QUOTE]})[:-9].encode(), "truncated"),
    "not utf-8": (b'{"snapshot":[{"ts_event":"\xff"}]}', "utf-8"),
    "a list": (b"[]", "Expected `object`"),
    "deep": (b"[" * 100_000, "Expected `object`"),
    "deep in an unknown key": (b'{"x":' + b"[" * 100_000, "recursion"),
    "neither": (b"{}", "neither quotes nor trades"),
    "a missing field": (b'{"snapshot":[{"ts_event":"x"}]}', "missing required field"),
    "NaN": (json.dumps({"snapshot": [changed(QUOTE, ask_px_00=float("nan"))]}).encode(), "JSON is malformed"),
    "infinity": (json.dumps({"snapshot": [QUOTE]}).replace("222.84", "1e999").encode(), "out of range"),
    "text price": (json.dumps({"snapshot": [changed(QUOTE, ask_px_00="1")]}).encode(), "Expected `float`"),
    "no price": (json.dumps({"snapshot": [changed(QUOTE, ask_px_00=None)]}).encode(), "Expected `float`"),
    "negative price": (json.dumps({"snapshot": [changed(QUOTE, bid_px_00=-1.0)]}).encode(), "outside 0 to"),
    "price beyond": (json.dumps({"snapshot": [changed(QUOTE, bid_px_00=9007199.3)]}).encode(), "outside 0 to"),
    "price far beyond": (json.dumps({"snapshot": [changed(QUOTE, bid_px_00=1e300)]}).encode(), "outside 0 to"),
    "negative size": (json.dumps({"snapshot": [changed(QUOTE, bid_sz_00=-1)]}).encode(), ">= 0"),
    "size beyond": (json.dumps({"snapshot": [changed(QUOTE, bid_sz_00=2**31)]}).encode(), "< 2147483648|<= 2147483647"),
    "fractional size": (json.dumps({"snapshot": [changed(QUOTE, bid_sz_00=1.5)]}).encode(), "Expected `int`"),
    "venue beyond": (json.dumps({"snapshot": [changed(QUOTE, publisher_id=40_000)]}).encode(), "32767|32768"),
    "sequence beyond": (json.dumps({"snapshot": [changed(QUOTE, sequence=2**70)]}).encode(), "int"),
    "stamp": (json.dumps({"snapshot": [changed(QUOTE, ts_event="yesterday")]}).encode(), "stamp 'yesterday'"),
    "stamp without fraction": (json.dumps({"snapshot": [changed(QUOTE, ts_event=STAMP[:19])]}).encode(), "nine digits"),
    "no such day": (
        json.dumps({"snapshot": [changed(QUOTE, ts_event="2024-02-31T00:00:00.000000000Z")]}).encode(),
        "is no instant",
    ),
    "before 1970": (
        json.dumps({"snapshot": [changed(QUOTE, ts_event="1969-12-31T00:00:00.000000000Z")]}).encode(),
        "outside 1970",
    ),
    "after 2262": (
        json.dumps({"snapshot": [changed(QUOTE, ts_event="2262-04-11T23:47:16.999999999Z")]}).encode(),
        "outside 1970",
    ),
    "two instants": (
        json.dumps({"snapshot": [QUOTE, changed(QUOTE, ts_event="2024-08-01T13:36:33.000000000Z")]}).encode(),
        "several instants",
    ),
    "side": (json.dumps({"trades": [changed(TRADE, side="X")]}).encode(), "Invalid enum value"),
    "trade without price": (json.dumps({"trades": [changed(TRADE, price=0.0)]}).encode(), "above 0"),
    "trade without size": (json.dumps({"trades": [changed(TRADE, size=0)]}).encode(), "above 0"),
}


@pytest.mark.parametrize(("value", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_message_is_named(value, reason):
    good = json.dumps({"snapshot": [QUOTE]}).encode()
    with pytest.raises(FeedCorrupt, match=f"(?i)partition 3, offset 42: malformed message: .*({reason})") as caught:
        decode_json("AAPL", [Record(3, 41, good), Record(3, 42, value)])
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_the_first_bytes_are_escaped():
    with pytest.raises(FeedCorrupt) as caught:
        decode_json("AAPL", [Record(0, 0, b"\x1b[2J\n<script>")])
    assert r"it begins '\x1b[2J\n<script>'" in str(caught.value)


def test_there_is_one_table_of_codecs():
    assert set(CODECS) == {"json"}


def end_record(**fields):
    listed = Listed(2, 5, 8, "a" * 64)
    base = {
        "replay": "r",
        "symbols": ("AAPL",),
        "codec": "json",
        "schema": "1.0",
        "messages": 2,
        "digest": "b" * 64,
        "partitions": {0: listed},
    }
    return EndRecord(**{**base, **fields})


def test_end_record_survives_the_round_trip():
    end = end_record()
    value = encode_end(end)
    assert json.loads(value)["partitions"] == {"0": {"messages": 2, "start": 5, "end": 8, "digest": "a" * 64}}
    assert decode_end(Record(0, 8, value), "r") == end


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{}", "missing required field"),
        (b"x", "malformed"),
        (encode_end(end_record(messages=3)), "do not add up"),
        (encode_end(end_record(messages=4, partitions={0: Listed(4, 5, 8, "a" * 64)})), "more messages than offsets"),
        (encode_end(end_record(digest="z")), "matching regex"),
        (encode_end(end_record(partitions={})), "length"),
        (encode_end(end_record(replay="other")), "different replays"),
    ],
)
def test_a_malformed_end_record_is_named(value, reason):
    with pytest.raises(FeedCorrupt, match=f"partition 0, offset 8: malformed message: end record: .*{reason}"):
        decode_end(Record(0, 8, value), "r")


def test_headers():
    assert data_headers("r", "AAPL", "json", 7, 3) == [
        ("replay", b"r"),
        ("symbol", b"AAPL"),
        ("schema", b"1.0"),
        ("codec", b"json"),
        ("seq", b"7"),
        ("pseq", b"3"),
    ]
    assert dict(end_headers("r", "json"))["kind"] == b"end"
