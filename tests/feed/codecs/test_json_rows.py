"""Batches of JSON messages are read as messages one by one are: the same tape, or the same error."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feed.codecs import messages
from feed.codecs.json_codec import decode_json, encode_json
from feed.codecs.json_rows import REFUSALS, JsonRows
from feed.codecs.messages import Record, malformed, quote_dtypes, refuse
from feed.errors import FeedCorrupt
from feed.tape import same
from tests.support.examples import examples
from tests.support.strategies import tapes

STAMP = "2024-08-01T13:36:32.491911683Z"
GOOD = (
    b'{"snapshot":[{"ts_event":"2024-08-01T13:36:32.491911683Z","publisher_id":2,"ask_px_00":222.84,"ask_sz_00":100,'
    b'"bid_px_00":222.83,"bid_sz_00":36,"sequence":9}],"trades":[{"ts_event":"2024-08-01T13:36:32.491911683Z",'
    b'"publisher_id":2,"price":222.84,"size":5,"side":"B","sequence":10}]}'
)


def one_by_one(values):
    """The plain reading: each message alone."""
    rows = JsonRows()
    for offset, value in enumerate(values):
        try:
            rows.append(value)
        except REFUSALS as error:
            raise malformed(Record(0, offset, value), str(error)) from error
    return rows.decoded().tape("XYZ")


def in_batches(values):
    return decode_json((Record(0, offset, value) for offset, value in enumerate(values)), refuse).tape("XYZ")


def outcome(read, values):
    """A tape, or the text of the error."""
    try:
        return read(values)
    except FeedCorrupt as error:
        return str(error)


def assert_agree(values):
    ours, plain = outcome(in_batches, values), outcome(one_by_one, values)
    assert ours == plain if isinstance(plain, str) else same(ours, plain)


@pytest.fixture(autouse=True, scope="module")
def _small_batches():
    """Several batches in a small tape."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "BATCH", 4)
        yield


@given(tapes(max_rows=30))
def test_a_tape_is_read_the_same(tape):
    values = [message.value for message in encode_json(tape)]
    assert same(in_batches(values), tape)
    assert same(one_by_one(values), tape)


def test_an_ordinary_batch_is_taken_whole():
    assert JsonRows().extend([GOOD] * 3)


EDGES = """
    0 -0 -0.0 0.0 0e-5 -1e-10 -4.9e-10 -6e-10 1e-10 5e-10 1.5e-9 2.5e-9 1e-400 -1E-400
    1e-999 1e-9999999 0.1234567895 2251799.813685247 2228300000000000000001e-19
    2251799.813685248 2251799.8136852485 8388607.9999999995 8388608 1e300 1e999 -1 -1e300 223 1e2 32767 32768 -32768
    2147483647 2147483648 9223372036854775807 9223372036854775808 -9223372036854775809 null true NaN
"""
numbers = st.one_of(
    st.sampled_from(EDGES.split()),
    st.floats(0, 3e6, allow_nan=False).map(repr),
    st.integers(-5, 2**40).map(str),
)
stamps = st.sampled_from(
    [
        STAMP.replace("T", " "),
        STAMP.replace("Z", "z"),
        STAMP.replace(".", ","),
        STAMP.replace("683Z", "68Z"),
        STAMP.replace("683Z", "6833Z"),
        STAMP.replace("683Z", "+83Z"),
        STAMP.replace("683Z", "6_3Z"),
        STAMP.replace("683Z", "68 Z"),
        STAMP.replace("683Z", "68\N{SUPERSCRIPT TWO}Z"),
        STAMP.replace("683Z", "68\N{ARABIC-INDIC DIGIT TWO}Z"),
        STAMP.replace("2024", "\N{ARABIC-INDIC DIGIT TWO}024"),
        STAMP.replace("13:36", "24:00"),
        STAMP.replace("36:32", "36:60"),
        STAMP.replace("08-01", "02-30"),
        STAMP.replace("08-01", "02-29"),
        STAMP.replace("2024-08-01", "2023-02-29"),
        STAMP.replace("2024-08-01", "2100-02-29"),
        STAMP.replace("08-01", "12-31"),
        STAMP.replace("08-01", "00-10"),
        STAMP.replace("08-01", "13-01"),
        STAMP.replace("08-01", "08-00"),
        STAMP.replace("08-01", "08-32"),
        STAMP.replace("2024", "0000"),
        STAMP.replace("2024", "9999"),
        STAMP.replace("2024", "2261"),
        STAMP.replace("2024", "2262"),
        STAMP.replace("13:36", "23:59"),
        STAMP.replace("13:36", "13:60"),
        STAMP.replace("-", "/"),
        STAMP.replace(":", "0"),
        STAMP.replace("683Z", "684Z"),
        STAMP.replace("2024", "1969"),
        "1970-01-01T00:00:00.000000000Z",
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-11T23:47:16.854775808Z",
        "2262-04-11T23:47:15.999999999Z",
        "2262-04-12T00:00:00.000000000Z",
        "",
        "Z" * 30,
        "yesterday",
    ]
)
stamps = st.one_of(
    stamps,
    st.from_regex(r"[0-2]\d{3}-[01]\d-[0-3]\d[T ][0-2]\d:[0-6]\d:[0-6]\d\.\d{9}Z", fullmatch=True),
    st.datetimes(datetime(1970, 1, 1), datetime(2262, 4, 11)).map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}123Z"),  # noqa: DTZ001 - the text says it
)
FIELD = re.compile(rb'("(?:publisher_id|ask_px_00|bid_px_00|ask_sz_00|bid_sz_00|price|size|sequence)":)([^,}]*)')
STAMPED = re.compile(rb'("ts_event":")([^"]*)')


@st.composite
def mutated(draw):
    """Messages of a small tape, one or two of them changed in a way that may matter."""
    values = [message.value for message in encode_json(draw(tapes(max_rows=12)))]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(values) - 1))
        value = values[at]
        how = draw(
            st.sampled_from(["number", "number", "stamp", "all stamps", "cut", "byte", "other", "junk", "twice"])
        )
        if how in {"number", "stamp"}:
            places = list((FIELD if how == "number" else STAMPED).finditer(value))
            if places:
                place = draw(st.sampled_from(places))
                text = draw(numbers if how == "number" else stamps)
                values[at] = value[: place.start(2)] + text.encode() + value[place.end(2) :]
        elif how == "all stamps":
            stamp = draw(stamps).encode()
            values[at] = STAMPED.sub(rb"\g<1>" + stamp.replace(b"\\", rb"\\"), value)
        elif how == "cut":
            values[at] = value[: draw(st.integers(0, len(value)))]
        elif how == "byte":
            changed = bytearray(value)
            if changed:
                changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
            values[at] = bytes(changed)
        elif how == "other":
            values[at] = draw(st.sampled_from([b"{}", b"[]", b"", b"null", b"{},{}", b'{"snapshot":[],"trades":[]}']))
        elif how == "junk":
            values[at] = value + draw(st.sampled_from([b",", b"{}", b" ", b"\x00", b"]", b"," + value]))
        else:
            values[at] = value[:-1] + b"," + value[1:]
    return values


@examples(80)
@given(mutated())
@example([GOOD, GOOD.replace(b'"size":5', b'"size":0')])
@example([GOOD.replace(b"222.84", b"0")])
@example([GOOD.replace(b'"side":"B"', b'"side":"X"'), b""])
@example([GOOD.replace(b'Z","publisher_id":2,"price"', b'Z ","publisher_id":2,"price"')])
def test_a_changed_message_is_read_or_refused_the_same(values):
    assert_agree(values)


@pytest.mark.parametrize("text", EDGES.split())
@pytest.mark.parametrize("number", [b"222.83", b"222.84", b"36", b"9"])
def test_a_number_at_an_edge_is_the_same_alone_and_among_others(number, text):
    assert_agree([GOOD, GOOD.replace(number, text.encode()), GOOD])


TINY = ["1e-999", "1E-400", "-1e-999", "1e-9999999", f"1e-{'9' * 30}", f"0.{'0' * 330}1", f"1{'0' * 50}e-999"]


@pytest.mark.parametrize("text", TINY)
@pytest.mark.parametrize("number", [b"222.84", b"222.83"])
def test_a_price_that_is_0_as_a_float_alone_is_no_missing_quote(number, text):
    value = GOOD.replace(number, text.encode(), 1)
    for values in ([value], [GOOD, value, GOOD]):
        for read in (in_batches, one_by_one):
            with pytest.raises(FeedCorrupt, match=r"more than nine decimals|is outside 0|Invalid decimal"):
                read(values)


@pytest.mark.parametrize("text", ["0", "0.0", "0e-5", f"0.{'0' * 400}", "0E-999"])
def test_a_price_of_0_is_no_quote_however_it_is_written(text):
    for read in (in_batches, one_by_one):
        assert read([GOOD.replace(b"222.83", text.encode())]).bid_px.tolist() == [0]


@given(st.lists(numbers, min_size=1, max_size=9))
def test_every_price_is_the_same_alone_and_among_others(texts):
    assert_agree([GOOD.replace(b"222.83", text.encode()) for text in texts])


@given(st.lists(stamps, min_size=1, max_size=5))
@example([STAMP + STAMP, ""])
@example([STAMP[:10], STAMP[10:] + STAMP])
def test_every_stamp_is_the_same_alone_and_among_others(texts):
    assert_agree([GOOD.replace(STAMP.encode(), text.encode()) for text in texts])


def test_the_first_of_several_malformed_messages_is_named():
    values = [GOOD] * 9
    values[5], values[6] = b"{}", b"["
    with pytest.raises(FeedCorrupt, match="offset 5: malformed message: it holds neither"):
        in_batches(values)


def test_rows_that_share_the_text_of_their_stamps_are_of_several_instants():
    quote = json.loads(GOOD)["snapshot"][0]
    shifted = [{**quote, "ts_event": text} for text in (STAMP, STAMP[:10], STAMP[10:] + STAMP)]
    with pytest.raises(FeedCorrupt, match="several instants"):
        in_batches([json.dumps({"snapshot": shifted}).encode()])


@pytest.mark.parametrize("price", ["1e308", "-1e308", "-0.5", "8388608", f"{'9' * 300}.5", f"0.{'0' * 60}1"])
def test_a_price_beyond_any_is_shown_short(price):
    row = (
        '{"ts_event": "2024-08-01T13:36:32.000000000Z", "publisher_id": 2, "ask_px_00": %s, "ask_sz_00": 9, '
        '"bid_px_00": 100.0, "bid_sz_00": 7, "sequence": 0}'
    )
    value = ('{"snapshot": [' + row % price + "]}").encode()
    assert not JsonRows().extend([value])
    with pytest.raises(ValueError, match=r"^price \S{1,40} (is outside 0 to 8388608 \$|has more than nine decimals)$"):
        JsonRows().append(value)


TEXTS = [
    *(
        "null",
        "0",
        "0.0",
        "1e-12",
        "0." + "0" * 400 + "1",
        "4000000.000000001",
        "8388607.999999999",
        "8388608.0",
        "1.0000000001",
    ),
    *("-1.0", '"x"', "100", "1e2", "100.03", "99.99", "1" * 400),
]


@pytest.mark.parametrize("field", ["ask_px_01", "bid_px_02", "ask_sz_01", "bid_sz_02"])
@pytest.mark.parametrize("text", TEXTS)
def test_levels_are_read_alike_as_a_batch_and_one_by_one(field, text):
    side = {"ask": "100.01 100.02 100.03", "bid": "100.0 99.99 99.98"}
    quote = {"ts_event": "2024-08-01T13:36:32.491911683Z", "publisher_id": 2, "sequence": 9}
    quote |= {f"{name}_px_{at:02}": float(px) for name in side for at, px in enumerate(side[name].split())}
    quote |= {f"{name}_sz_{at:02}": 7 for name in side for at in range(3)}
    value = json.dumps({"snapshot": [quote]})
    changed = re.sub(rf'("{field}": )[^,}}]+', rf"\g<1>{text}", value)
    assert changed != value or text == "100.03"
    plain = json.dumps({"snapshot": [{name: each for name, each in quote.items() if name[-1] not in "12"}]})
    values = [each.encode() for each in (plain, value, changed, plain)]
    assert_agree(values)
    batch = JsonRows()
    if batch.extend(values):
        assert sorted(batch.decoded().quotes) == sorted(quote_dtypes(3))
