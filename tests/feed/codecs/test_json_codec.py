"""The json codec: the published wire format, prices to the last decimal, every malformed field named."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.codecs import json_codec
from feed.codecs.json_codec import decode_json, encode_json, stream_json
from feed.codecs.messages import Record, refuse
from feed.errors import FeedCorrupt
from feed.tape import AGGRESSOR_LETTERS, PRICE_LIMIT, QUOTE_DTYPES, TRADE_DTYPES, Tape
from tests.support.examples import examples
from tests.support.strategies import deep_tapes, tapes

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


@examples(100)
@given(st.integers(0, PRICE_LIMIT - 1))
def test_the_decimal_text_of_a_price_is_exact(px):
    (message,) = encode_json(build([(TS, 1, px, px, 1, 1, 0)]))
    text = message.value.decode().split('"ask_px_00":')[1].split(",")[0]
    whole, _, fraction = text.partition(".")
    assert int(whole) * 10**9 + int(fraction.ljust(9, "0")) == px
    assert len(fraction) <= 9


def plain_dollars(px):
    return f"{px // 10**9}.{f'{px % 10**9:09d}'.rstrip('0') or '0'}"


def plain_messages(tape):
    """(instant, value, rows) of each message, written row by row."""
    parts = {}
    for row in range(tape.rows):
        levels = "".join(
            f'"{side}_px_{level + 1:02}":{plain_dollars(int(getattr(tape.levels, f"{side}_px")[row, level]))},'
            f'"{side}_sz_{level + 1:02}":{getattr(tape.levels, f"{side}_sz")[row, level]},'
            for level in range(tape.depth - 1)
            for side in ("ask", "bid")
        )
        quote = {name: int(getattr(tape, name)[row]) for name in QUOTE_DTYPES}
        text = (
            f'{{"ts_event":"{np.datetime64(quote["ts"], "ns")}Z","publisher_id":{quote["venue"]},'
            f'"ask_px_00":{plain_dollars(quote["ask_px"])},"ask_sz_00":{quote["ask_sz"]},'
            f'"bid_px_00":{plain_dollars(quote["bid_px"])},"bid_sz_00":{quote["bid_sz"]},'
            f'{levels}"sequence":{quote["sequence"]}}}'
        )
        parts.setdefault(quote["ts"], ([], []))[0].append(text)
    for row in range(len(tape.trades.ts)):
        trade = {name: int(getattr(tape.trades, name)[row]) for name in TRADE_DTYPES}
        text = (
            f'{{"ts_event":"{np.datetime64(trade["ts"], "ns")}Z","publisher_id":{trade["venue"]},'
            f'"price":{plain_dollars(trade["px"])},"size":{trade["sz"]},"side":"{AGGRESSOR_LETTERS[trade["side"]]}",'
            f'"sequence":{trade["sequence"]}}}'
        )
        parts.setdefault(trade["ts"], ([], []))[1].append(text)
    for ts, (quotes, trades) in sorted(parts.items()):
        more = f',"trades":[{",".join(trades)}]' if trades else ""
        yield ts, f'{{"snapshot":[{",".join(quotes)}]{more}}}'.encode(), len(quotes) + len(trades)


@given(st.one_of(tapes(max_rows=20), deep_tapes()))
def test_messages_are_the_bytes_that_writing_row_by_row_gives(tape):
    assert [tuple(message) for message in encode_json(tape)] == list(plain_messages(tape))


@given(st.lists(st.one_of(tapes(max_rows=8), deep_tapes()), max_size=4), st.sampled_from([1, 3, 2**14]))
def test_messages_of_several_tapes_come_by_time_and_at_one_instant_by_tape(listed, together):
    expected = sorted(
        ((ts, number, value, rows) for number, tape in enumerate(listed) for ts, value, rows in plain_messages(tape)),
        key=lambda each: each[:2],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_codec, "_ROWS", together)
        streamed = list(stream_json(listed))
    columns = [
        (each.ts.tolist(), each.tapes.tolist(), each.values.to_pylist(), each.rows.tolist()) for each in streamed
    ]
    assert [row for each in columns for row in zip(*each, strict=True)] == expected
    for each in streamed:
        assert len(each) == 1 or each.rows.sum() <= together * len(listed)


@examples(100)
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
        decode_json([Record(0, 0, value)], refuse)


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


def test_a_price_of_more_than_nine_decimals_is_refused():
    def nano(text):
        value = json.dumps({"snapshot": [QUOTE]}).replace("222.84", text).encode()
        return decode_json([Record(0, 0, value)], refuse).quotes["ask_px"][0]

    assert nano("1.234567891") == 1_234_567_891
    assert nano("8388607.123456789") == 8_388_607_123_456_789
    assert nano("223") == 223 * 10**9
    for text in ("1.2345678914", "8388607.1234567885", "0.0000000001"):
        with pytest.raises(FeedCorrupt, match="more than nine decimals"):
            nano(text)


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
        decode_json([Record(3, 41, good), Record(3, 42, value)], refuse)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
