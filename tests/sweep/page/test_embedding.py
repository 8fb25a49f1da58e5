"""Figures in a page are JSON that cannot end the element that holds them."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.page import embedding
from sweep.page.embedding import data_script, safe_json, script_hash

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_as_it_was(value):
    text = safe_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


@pytest.mark.parametrize("text", ["</script><img src=x onerror=alert(1)>", "<!--<script>", "a\u2028b", "&lt;"])
def test_element_holds_no_markup(text):
    made = data_script("figures", {text: [text]})
    assert made.startswith('<script type="application/json" id="figures">')
    inside = made.removeprefix('<script type="application/json" id="figures">').removesuffix("</script>")
    assert "<" not in inside
    assert json.loads(inside) == {text: [text]}


def test_lone_surrogate_becomes_a_question_mark():
    assert json.loads(safe_json("a\ud800b")) == "a?b"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_of_json_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        safe_json([value])


def test_policy_names_a_script_by_its_digest():
    digest = base64.b64encode(hashlib.sha256(b"1 + 1").digest()).decode()
    assert script_hash("1 + 1") == f"'sha256-{digest}'"


def test_without_the_bundle_there_are_no_scripts(monkeypatch, tmp_path):
    (tmp_path / "report.js").write_text("1")
    monkeypatch.setattr(embedding.resources, "files", lambda _: tmp_path)
    assert embedding.scripts.__wrapped__() == ()
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "charts.js").write_text("2")
    assert embedding.scripts.__wrapped__() == ("2", "1")
