"""Fields of JSON of any shape: by paths, with the digits as they are written, a row for each object."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.codecs.json_fields import Fields, MissingField, names_in
from feed.codecs.json_rows import REFUSALS
from tests.support.examples import examples


def rows(names, value, quoted=()):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Fields(names, quoted).rows(text)


def test_numbers_keep_the_digits_they_are_written_with():
    value = b'{"a":0.1000,"b":1e-9,"c":12345678901234567.25,"d":18446744073709551615,"e":"0.30","f":-0.0}'
    assert rows("abcdef", value) == [["0.1000", "1e-9", "12345678901234567.25", "18446744073709551615", "0.30", "-0.0"]]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=0, max_value=10**7))
def test_every_decimal_comes_back(number):
    ((text,),) = rows(["px"], f'{{"px":{number:f}}}'.encode())
    assert Decimal(text) == number


def test_null_and_what_is_missing_are_none_and_flags_are_text():
    assert rows("abcd", {"a": None, "c": True, "d": False}) == [[None, None, "true", "false"]]


def test_a_list_of_objects_is_a_row_each():
    assert rows("ab", [{"a": 1, "b": "x"}, {"a": 2}]) == [["1", "x"], ["2", None]]
    assert rows("a", []) == []


def test_dots_are_a_path_and_numbers_in_it_an_index():
    message = {"q": {"bids": [["10.5", 3], ["10.4", 9]], "at": {"ms": 7}}, "q.x": 1}
    assert rows(["q.bids.0.0", "q.bids.1.1", "q.bids.2.0", "q.at.ms", "q.x"], message) == [
        ["10.5", "9", None, "7", "1"]
    ]


def test_a_path_into_a_list_makes_a_row_of_each_element_and_the_rest_repeats():
    message = {"sym": "A", "book": {"ts": 5, "rows": [{"px": 1}, {"px": 2, "sz": 3}]}}
    assert rows(["sym", "book.ts", "book.rows.px", "book.rows.sz"], message) == [
        ["A", "5", "1", None],
        ["A", "5", "2", "3"],
    ]
    assert rows(["sym", "book.rows.px"], {"sym": "A", "book": {"rows": []}}) == []


@pytest.mark.parametrize(
    ("names", "value", "reason"),
    [
        (["a"], b"{", "truncated"),
        (["a"], b"5", "object"),
        (["a"], b"[5]", "object"),
        (["a"], {"a": {}}, "a: expected a value, but it is an object"),
        (["a"], {"a": [1]}, "a: expected a value, but it is a list"),
        (["a.b"], {"a": 5}, "a.b: '5' stands where 'b' is looked for"),
        (["a.b", "c.d"], {"a": [{"b": 1}], "c": [{"d": 1}]}, "several lists"),
        (["a.b.c"], {"a": [{"b": [{"c": 1}]}]}, "a.b.c: expected a value, but it is a list"),
        (["a"], {"a": "x" * 257}, "a: a text of more than 256 bytes"),
        (["a"], {"a": 2**70}, "beyond 64 bits"),
        (["a"], b'{"a":NaN}', "malformed"),
        (["a"], b'{"b":' + b"[" * 100_000, "recursion"),
    ],
)
def test_what_is_no_such_message_is_refused(names, value, reason):
    with pytest.raises(REFUSALS, match=reason):
        rows(names, value)


def test_a_row_without_a_price_is_no_quote_and_one_that_lacks_a_side_is_malformed():
    fields = Fields(["t", "bid", "ask"], {"bid", "ask"})
    assert fields.rows(b'{"t":1,"status":"open"}') == []
    assert (fields.others, fields.present) == (1, set())
    assert fields.rows(b'{"t":1,"bid":2,"ask":null}') == [["1", "2", None]]
    assert fields.present == {"t", "bid", "ask"}
    with pytest.raises(MissingField, match="ask: it is missing; null would say that there is none") as caught:
        fields.rows(b'{"t":1,"bid":2}')
    assert caught.value.name == "ask"


def test_a_level_beyond_the_end_of_its_list_is_none_and_not_missing():
    assert rows(["bids.0", "bids.1"], {"bids": [5]}, {"bids.0", "bids.1"}) == [["5", None]]
    assert rows(["bids.0"], {"bids": []}, {"bids.0"}) == [[None]]


def test_the_names_of_a_message_are_those_of_its_leaves():
    assert names_in(b'{"a":{"b":1,"c":[{"d":1},{"e":1}]},"f":[]}') == ["a.b", "a.c.d", "f"]
    assert names_in(b'[{"a":1}]') == ["a"]
    assert names_in(b"no") == []


MISSING = object()


class Written(str):
    """A number as it is written."""

    __slots__ = ()


def plain_rows(names, quoted, value):
    """The same by the json module, one path at a time; None where it is refused."""
    message = json.loads(value, parse_float=Written, parse_int=Written)
    items = message if isinstance(message, list) else [message]
    if not all(isinstance(item, dict) for item in items):
        return None
    try:
        return [row for item in items for row in plain_item(names, quoted, item)]
    except ValueError:
        return None


def plain_item(names, quoted, item):
    values = [item[name] if name in item else plain_walk(item, name.split(".")) for name in names]
    each = [value for value in values if isinstance(value, tuple)]
    if any(value[0] is not each[0][0] for value in each):
        raise ValueError
    for element in each[0][0] if each else [None]:
        row = [plain_walk(element, value[1]) if isinstance(value, tuple) else value for value in values]
        lacking = [name for name, value in zip(names, row, strict=True) if name in quoted and value is MISSING]
        if len(lacking) < len(quoted) or not quoted:
            if lacking:
                raise ValueError
            yield list(map(plain_text, row))


def plain_walk(value, parts):
    for at, part in enumerate(parts):
        if value is MISSING or value is None:
            break
        if not isinstance(value, dict | list):
            raise ValueError(part)  # noqa: TRY004 - what is refused
        if isinstance(value, dict):
            value = value.get(part, MISSING)
        elif part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return value, parts[at:]
    return value


def plain_text(value):
    if value is MISSING or value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str) or len(value.encode()) > 256:
        raise ValueError
    if isinstance(value, Written) and value.lstrip("-").isdigit():
        if not -(2**63) <= int(value) < 2**64:
            raise ValueError
        return str(int(value))
    return str(value)


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=3),
        st.sampled_from([2**63, 2**64, -(2**63) - 1, "x" * 256, "\u00e9" * 128, "\u00e9" * 129, "1.50"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "0", "a.b"]), inner, max_size=3)
    ),
    max_leaves=8,
)
paths = st.lists(
    st.sampled_from(["a", "b", "a.b", "b.0", "a.b.0", "a.a", "b.a.b"]), min_size=1, max_size=4, unique=True
)


@examples(400)
@given(paths, st.data(), st.one_of(values, st.dictionaries(st.sampled_from("ab"), values, min_size=1)))
def test_rows_are_those_of_a_plain_reading(names, data, value):
    quoted = data.draw(st.sets(st.sampled_from(names)))
    text = json.dumps(value).encode()
    try:
        made = rows(names, text, quoted)
    except REFUSALS:
        made = None
    assert made == plain_rows(names, quoted, text)
