"""What every codec must do: any tape survives the round trip, anything malformed is named, or put aside."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.codecs import arrow_codec
from feed.codecs.json_codec import decode_json
from feed.codecs.json_rows import FLOAT_EXACT
from feed.codecs.messages import Record, gather, quote_bytes, refuse
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt
from feed.instants import LAST_INSTANT
from feed.levels import LEVEL_DTYPES
from feed.tape import PRICE_LIMIT, QUOTE_DTYPES, TRADE_DTYPES, Tape, Trades, join, no_trades, same
from tests.support.examples import examples
from tests.support.strategies import deep_tapes, tapes

TS = 1_722_519_392_491_911_683
QUOTE = {"ts": TS, "venue": 2, "bid_px": 222_830_000_000, "ask_px": 222_840_000_000, "bid_sz": 36, "ask_sz": 100}
TRADE = {"ts": TS, "venue": 2, "px": 222_840_000_000, "sz": 5, "side": 1, "sequence": 10}


@pytest.fixture(params=CODECS)
def codec(request):
    return CODECS[request.param]


@pytest.fixture(autouse=True, scope="module")
def _small_messages():
    """Several messages in a small tape, where a codec puts several instants into one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_codec, "SNAPSHOTS", 3)
        patch.setattr(arrow_codec, "BATCH_ROWS", 5)
        yield


def build(quotes, trades=()):
    """Rows, as dicts or as tuples in the order of the tape's columns."""
    rows, prints = [
        {name: [row[name] if isinstance(row, dict) else row[i] for row in listed] for i, name in enumerate(dtypes)}
        for listed, dtypes in ((quotes, QUOTE_DTYPES), (trades, TRADE_DTYPES))
    ]
    return Tape.build(
        "AAPL",
        **{name: np.array(column, np.int64) for name, column in rows.items()},
        trades={name: np.array(column, np.int64) for name, column in prints.items()},
    )


def records_of(messages, partition=0):
    return [Record(partition, offset, message.value) for offset, message in enumerate(messages)]


instants = st.one_of(st.integers(TS, TS + 3), st.integers(0, LAST_INSTANT))
prices = st.one_of(
    st.integers(1, 500 * 10**9),
    st.integers(0, PRICE_LIMIT - 1),
    st.integers(PRICE_LIMIT - 2000, PRICE_LIMIT - 1),
    st.integers(int(FLOAT_EXACT * 1e9) - 1000, int(FLOAT_EXACT * 1e9) + 1000),
)
sizes = st.integers(0, 2**31 - 1)
venues = st.integers(0, 2**15 - 1)
sequences = st.integers(-(2**63), 2**63 - 1)
quotes = st.lists(st.tuples(instants, venues, prices, prices, sizes, sizes, sequences), max_size=12)
trades = st.lists(
    st.tuples(instants, venues, prices.filter(bool), st.integers(1, 2**31 - 1), st.sampled_from([-1, 0, 1]), sequences),
    max_size=6,
)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@examples(100)
@given(quotes=quotes, trades=trades)
def test_any_tape_survives_the_round_trip(codec, quotes, trades):
    tape = build(quotes, trades)
    messages = list(codec.encode(tape))
    again = codec.decode(records_of(messages), refuse).tape("AAPL")
    assert same(again, tape)
    assert again.digest() == tape.digest()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@examples(60)
@given(deep_tapes(max_depth=10, max_rows=12))
def test_any_tape_of_several_levels_survives_the_round_trip(codec, tape):
    again = codec.decode(records_of(codec.encode(tape)), refuse).tape(tape.symbol)
    assert same(again, tape)
    assert again.digest() == tape.digest()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(deep_tapes(max_rows=6, trades=False), tapes(max_rows=6, trades=False), st.booleans())
def test_tapes_of_different_depth_in_one_topic(codec, deep, flat, deep_first):
    """As after a feed was changed; those of less depth are filled up, also where parts of a read are joined."""
    sent = [deep, flat] if deep_first else [flat, deep]
    values = [list(records_of(codec.encode(tape))) for tape in sent]
    together = codec.decode([record for part in values for record in part], refuse).tape("XYZ")
    assert same(together, join(sent))
    parts = [codec.decode(part, refuse) for part in values]
    messages = np.arange(sum(len(part.quote_counts) for part in parts))
    assert same(gather(parts, messages).tape("XYZ"), together)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(deep_tapes(max_rows=6, trades=False), tapes(max_rows=6, trades=False), st.booleans())
def test_each_symbol_has_the_depth_of_its_own_messages(codec, deep, flat, together):
    values = [list(records_of(codec.encode(tape))) for tape in (deep, flat)]
    parts = [[*values[0], *values[1]]] if together else values
    rows = gather([codec.decode(part, refuse) for part in parts], np.arange(sum(map(len, values))))
    read = [part.tape("XYZ") for part in rows.cut(list(map(len, values)))]
    assert [tape.digest() for tape in read] == [deep.digest(), flat.digest()]
    assert same(read[0], deep)
    assert same(read[1], flat)


def test_a_bound_counts_what_levels_take(codec):
    first = {**QUOTE, "bid_px": 99, "ask_px": 100}
    rows = {name: np.full(100, number) for name, number in first.items()} | {"sequence": np.arange(100)}
    levels = {
        name: np.tile(np.arange(1, 10) * way + at, (100, 1))
        for name, way, at in (("bid_px", -1, 99), ("ask_px", 1, 100))
    }
    levels |= {f"{side}_sz": np.ones((100, 9), np.int64) for side in ("bid", "ask")}
    tape = Tape.build("AAPL", **rows, levels=levels)
    values = records_of(codec.encode(tape))
    held = 100 * quote_bytes(10)
    assert same(codec.decode(values, refuse, held).tape("AAPL"), tape)
    with pytest.raises(FeedCorrupt, match="are beyond the bound"):
        codec.decode(values, refuse, held - 1)


def test_who_asks_for_one_level_reads_messages_whose_levels_are_wrong():
    value = b"".join(record.value for record in records_of(CODECS["json"].encode(build([{**QUOTE, "sequence": 9}]))))
    for text in (b"-1", b'"222.2"', b"9223372036.854775807", b"222.0"):
        wrong = [Record(0, 0, value.replace(b'"sequence"', b'"ask_px_01":' + text + b',"ask_sz_01":5,"sequence"'))]
        assert decode_json(wrong, refuse, depth=1).tape("AAPL").rows == 1
        with pytest.raises(FeedCorrupt):
            decode_json(wrong, refuse)


def test_levels_out_of_order_are_malformed(codec):
    one = [np.array([[number]]) for number in (1, 101, 5, 5)]
    first = {name: np.array([number]) for name, number in {**QUOTE, "bid_px": 99, "ask_px": 100, "sequence": 9}.items()}
    tape = Tape.build("AAPL", **first, levels=dict(zip(LEVEL_DTYPES, (one[0] + 97, one[1], *one[2:]), strict=True)))
    wrong = replace(tape, levels=replace(tape.levels, ask_px=np.array([[100]])))
    fine, other = (records_of(codec.encode(each)) for each in (tape, wrong))
    assert same(codec.decode(fine, refuse).tape("AAPL"), tape)
    with pytest.raises(FeedCorrupt, match="levels are not strictly worse one after the other"):
        codec.decode(other, refuse)
    put_aside = []
    assert codec.decode(other, lambda record, reason: put_aside.append((record, reason))).quote_counts.tolist() == [0]
    assert len(put_aside) == 1


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(quotes=quotes, trades=trades)
def test_messages_ascend_and_none_shares_an_instant(codec, quotes, trades):
    tape = build(quotes, trades)
    messages = list(codec.encode(tape))
    decoded = codec.decode(records_of(messages), refuse)
    counts = decoded.quote_counts, decoded.trade_counts
    assert (counts[0] + counts[1]).tolist() == [message.rows for message in messages]
    stamps = [
        np.split(columns["ts"], np.cumsum(count)[:-1]) if len(count) else []
        for columns, count in zip((decoded.quotes, decoded.trades), counts, strict=True)
    ]
    before = -1
    for message, *parts in zip(messages, *stamps, strict=True):
        within = np.concatenate(parts)
        assert before < within.min()
        assert within.max() == message.ts
        before = message.ts


WHOLE = {
    "a tape without a row": ([], []),
    "one quote": ([{**QUOTE, "sequence": 9}], []),
    "one trade": ([], [TRADE]),
    "a quote and a trade": ([{**QUOTE, "sequence": 9}], [TRADE]),
    "no bid": ([{**QUOTE, "bid_px": 0, "bid_sz": 0, "sequence": 9}], []),
    "no quote on either side": ([(TS, 2, 0, 0, 0, 0, 9)], []),
    "rows of one venue at one instant": ([(TS, 2, px, px + 1, 1, 1, 7) for px in (30, 10, 20, 40, 5, 1)], []),
    "trades between quotes": ([(TS + at, 2, 5, 6, 1, 1, at) for at in range(0, 20, 2)], [{**TRADE, "ts": TS + 7}]),
    "trades before and after": (
        [(TS + at, 2, 5, 6, 1, 1, at) for at in range(5)],
        [{**TRADE, "ts": ts} for ts in (0, TS - 1, TS + 99, LAST_INSTANT)],
    ),
    "the least": ([(0, 0, 0, 0, 0, 0, -(2**63))], [(0, 0, 1, 1, -1, -(2**63))]),
    "the most": (
        [(LAST_INSTANT, 2**15 - 1, PRICE_LIMIT - 1, PRICE_LIMIT - 1, 2**31 - 1, 2**31 - 1, 2**63 - 1)],
        [(LAST_INSTANT, 2**15 - 1, PRICE_LIMIT - 1, 2**31 - 1, 1, 2**63 - 1)],
    ),
}


@pytest.mark.parametrize(("quotes", "trades"), WHOLE.values(), ids=WHOLE)
def test_a_tape_comes_back(codec, quotes, trades):
    tape = build(quotes, trades)
    messages = list(codec.encode(tape))
    assert sum(message.rows for message in messages) == len(quotes) + len(trades)
    assert same(codec.decode(records_of(messages), refuse).tape("AAPL"), tape)


def test_rows_of_equal_keys_keep_their_order(codec):
    tape = build([(TS + i // 4, 2, px, 99, 1, 1, 7) for i, px in enumerate((30, 10, 20, 40, 5, 1, 8, 2))])
    again = codec.decode(records_of(codec.encode(tape)), refuse).tape("AAPL")
    assert again.bid_px.tolist() == [30, 10, 20, 40, 5, 1, 8, 2]


def test_the_columns_have_the_tapes_types(codec):
    decoded = codec.decode(records_of(codec.encode(build([{**QUOTE, "sequence": 9}], [TRADE]))), refuse)
    assert {name: column.dtype.str for name, column in decoded.quotes.items()} == QUOTE_DTYPES
    dtypes = {name: np.dtype(dtype) for name, dtype in TRADE_DTYPES.items()}
    assert {name: column.dtype for name, column in decoded.trades.items()} == dtypes
    nothing = codec.decode([], refuse)
    assert nothing.quote_counts.dtype == nothing.trade_counts.dtype == np.int64
    assert {name: column.dtype.str for name, column in nothing.quotes.items()} == QUOTE_DTYPES


def unchecked(quote=None, trade=None):
    """A tape of one quote and one trade on which nothing was checked: what a faulty writer might send."""
    columns = {**QUOTE, "sequence": 9, **(quote or {})}
    prints = {**TRADE, **(trade or {})}
    return Tape(
        "AAPL",
        **{name: np.array([columns[name]], dtype) for name, dtype in QUOTE_DTYPES.items()},
        trades=no_trades()
        if trade is None
        else Trades(**{name: np.array([prints[name]], dtype) for name, dtype in TRADE_DTYPES.items()}),
    )


def cut(value):
    return value[: len(value) // 2]


MALFORMED = {
    "nothing": (lambda _: b""),
    "text": (lambda _: b"hello"),
    "zeros": (lambda value: bytes(len(value))),
    "ones": (lambda value: b"\xff" * len(value)),
    "cut": cut,
    "cut by a byte": (lambda value: value[:-1]),
    "cut at the front": (lambda value: value[1:]),
    "twice": (lambda value: value + value),
    "another byte": (lambda value: value + b"\x00"),
    "deep": (lambda _: b"[" * 100_000),
}
WRONG = {
    "an instant before 1970": unchecked({"ts": -1}),
    "a venue below 0": unchecked({"venue": -1}),
    "a bid below 0": unchecked({"bid_px": -1}),
    "an ask below 0": unchecked({"ask_px": -(10**9)}),
    "a bid beyond the limit": unchecked({"bid_px": PRICE_LIMIT}),
    "an ask far beyond the limit": unchecked({"ask_px": 2**63 - 1}),
    "a bid's size below 0": unchecked({"bid_sz": -1}),
    "an ask's size below 0": unchecked({"ask_sz": -(2**31)}),
    "a trade before 1970": unchecked({"ts": -1}, {"ts": -1}),
    "a trade's venue below 0": unchecked(trade={"venue": -5}),
    "a trade without price": unchecked(trade={"px": 0}),
    "a trade of a price below 0": unchecked(trade={"px": -1}),
    "a trade beyond the limit": unchecked(trade={"px": PRICE_LIMIT}),
    "a trade without size": unchecked(trade={"sz": 0}),
    "a trade of a size below 0": unchecked(trade={"sz": -1}),
}
GOOD = build([(TS + at, 2, 5, 6, 1, 1, at) for at in range(8)], [{**TRADE, "ts": TS + 3}])


def malformed_values(codec):
    (value,) = [message.value for message in codec.encode(unchecked(trade={}))]
    yield from ((name, change(value)) for name, change in MALFORMED.items())
    for name, tape in WRONG.items():
        (value,) = [message.value for message in codec.encode(tape)]
        yield name, value


CASES = [
    pytest.param(codec, value, id=f"{name}, {how}")
    for name, codec in CODECS.items()
    for how, value in malformed_values(codec)
]


@pytest.mark.parametrize(("codec", "value"), CASES)
def test_a_malformed_message_is_named(codec, value):
    good = [message.value for message in codec.encode(GOOD)]
    records = [Record(3, 40 + at, each) for at, each in enumerate([*good, value, b"worse"])]
    with pytest.raises(FeedCorrupt, match=f"^partition 3, offset {40 + len(good)}: malformed message: .+") as caught:
        codec.decode(records, refuse)
    assert caught.value.exit_code == 3
    head = repr(value[:60])[1:]
    assert f"; it begins {head}" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("codec", "value"), CASES)
def test_a_malformed_message_that_is_tolerated_counts_no_rows(codec, value):
    good = [message.value for message in codec.encode(GOOD)]
    values = [value, *good[:1], value, value, *good[1:], value]
    reports = []
    decoded = codec.decode(
        [Record(3, 40 + at, each) for at, each in enumerate(values)],
        lambda record, reason: reports.append((record.offset, record.value, bool(reason))),
    )
    bad = [0, 2, 3, len(values) - 1]
    assert reports == [(40 + at, value, True) for at in bad]
    assert (decoded.quote_counts[bad] == 0).all()
    assert (decoded.trade_counts[bad] == 0).all()
    assert len(decoded.quote_counts) == len(decoded.trade_counts) == len(values)
    assert same(decoded.tape("AAPL"), GOOD)


def test_only_malformed_messages_leave_empty_columns(codec):
    decoded = codec.decode([Record(0, 0, b"x"), Record(0, 1, b"")], lambda _record, _reason: None)
    assert decoded.quote_counts.tolist() == decoded.trade_counts.tolist() == [0, 0]
    assert same(decoded.tape("AAPL"), build([]))


def test_the_first_bytes_are_escaped(codec):
    with pytest.raises(FeedCorrupt) as caught:
        codec.decode([Record(0, 0, b"\x1b[2J\n<script>")], refuse)
    assert r"it begins '\x1b[2J\n<script>'" in str(caught.value)


def test_a_source_that_fails_is_heard_after_the_messages_before_it(codec):
    good = [message.value for message in codec.encode(GOOD)]

    def source(*values):
        yield from (Record(0, offset, value) for offset, value in enumerate(values))
        raise FeedCorrupt("no more")

    with pytest.raises(FeedCorrupt, match="no more"):
        codec.decode(source(*good), refuse)
    with pytest.raises(FeedCorrupt, match="offset 1: malformed"):
        codec.decode(source(good[0], b""), refuse)


def test_rows_beyond_the_bound_of_bytes_are_refused(codec):
    records = records_of(codec.encode(GOOD))
    rows = codec.decode(records, refuse)
    size = sum(column.nbytes for column in (*rows.quotes.values(), *rows.trades.values()))
    assert same(codec.decode(records, refuse, size).tape("AAPL"), GOOD)
    with pytest.raises(
        FeedCorrupt, match=f"partition 0, offset {len(records) - 1}: rows of more than {size - 1} bytes"
    ):
        codec.decode(records, refuse, size - 1)


@st.composite
def damaged(draw):
    """A codec's name and messages of a small tape, some bytes of one of them changed."""
    name = draw(st.sampled_from(sorted(CODECS)))
    values = [message.value for message in CODECS[name].encode(build(draw(quotes), draw(trades)))] or [b""]
    at = draw(st.integers(0, len(values) - 1))
    value = bytearray(values[at])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(value)))
        how = draw(st.sampled_from(["byte", "bytes", "cut", "insert", "zero"]))
        if how == "byte":
            value[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif how == "bytes":
            value[place : place + 8] = draw(st.sampled_from([b"\xff" * 8, b"\xff" * 7 + b"\x7f", bytes(8)]))
        elif how == "cut":
            del value[place : place + draw(st.integers(1, 40))]
        elif how == "insert":
            value[place:place] = draw(st.binary(max_size=12))
        else:
            value[place : place + 1] = b"\x00"
    return name, [*values[:at], bytes(value), *values[at + 1 :]]


@examples(80)
@given(damaged())
def test_a_damaged_message_is_read_or_refused(case):
    name, values = case
    with contextlib.suppress(FeedCorrupt):
        CODECS[name].decode([Record(0, offset, value) for offset, value in enumerate(values)], refuse).tape("AAPL")


@examples(100)
@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=60))
def test_no_value_does_anything_but_decode_or_be_refused(name, value):
    with contextlib.suppress(FeedCorrupt):
        CODECS[name].decode([Record(0, 0, value)], refuse)


def test_there_is_one_table_of_codecs():
    assert list(CODECS) == ["json", "arrow"]
