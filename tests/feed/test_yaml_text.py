"""Long plain YAML is read in C, as the loader in Python reads it, or not at all."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from feed import yaml_text
from feed.yaml_text import _UNREAD, _Loader, _quick, parse_yaml
from tests.support.examples import examples

WORDS = """1e-3 true false null no 13:36:32 2024-08-01 1_000 007 .5 -.inf a-b a:b x.y 1e400 +5 -"""
ENTRIES = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(WORDS.split()),
)
PIECES = ["a", "b: ", "k:", "1", "0.5", "-", " ", "  ", "\n", "- ", "[", "]", ", ", ",", ":", "null", "+", ".", "x y"]


def outcome(text):
    try:
        return repr(parse_yaml(text, "x"))
    except ValueError as error:
        return str(error)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join))
@examples(500)
def test_a_text_that_is_read_in_c_is_read_alike(text):
    quick = _quick(text)
    assert quick is _UNREAD or repr(quick) == repr(yaml.load(text, Loader=_Loader))  # noqa: S506 - a SafeLoader


@given(st.lists(ENTRIES, min_size=1, max_size=9), st.booleans(), st.integers(0, 3))
def test_a_long_list_is_read_as_a_short_one_is(entries, flow, indent):
    lines = "".join(f"\n{' ' * indent}- {each}" for each in entries)
    text = f"grid:\n  depth: 1\nlambda_over: {'[' + ', '.join(entries) + ']' if flow else lines}\n"
    short = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_text, "LONG", 0)
        assert outcome(text) == short


def test_a_list_of_very_many_numbers_is_read_in_c_and_what_is_deep_or_quoted_is_not(monkeypatch):
    monkeypatch.setattr(yaml_text, "_Loader", None)
    values = [at / 7 - 9 for at in range(2000)]
    assert parse_yaml(f"lambda_over: [{', '.join(map(repr, values))}]\n", "x") == {"lambda_over": values}
    assert parse_yaml("lambda_over:\n" + "".join(f"- {each!r}\n" for each in values), "x") == {"lambda_over": values}
    for text in ("- " * 10**5, "[" * 101, "a: 'b'", "a: *b", "a: !!str 1", "a: 1 # b", f"a:\n{' ' * 32}b: 1", "{a: 1}"):
        assert _quick(text) is _UNREAD
