"""`python -m sweep config`: what is in effect, from where; read back it is the same run's configuration."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.yaml_text import parse_yaml
from sweep import cli
from sweep.config import load_config
from sweep.config.effective import _flow, as_json, as_yaml, effective
from sweep.config.keys import keys_of
from sweep.config.schema import Config
from sweep.search import PARAMETERS

FILE = """\
source: day.csv.gz
order: {size: [1000, 5k], every: 5s,
  horizon: 5s}
window: session
grid.theta_queue: {start: 0, stop: 1e-2, num: 3}
grid:
  latency: {a: 1ms, "b: #": 2ms}
fees: {XNAS: {taker: 0.003}}
where: ["lambda_over <= lambda_under"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "day.yaml"
    path.write_text(FILE)
    return str(path)


def read_back(text, tmp_path):
    again = tmp_path / "again.yaml"
    again.write_text(text)
    return load_config(str(again))


QUOTES = (
    *(
        "quotes.time=ts",
        "quotes.venue=ex",
        "quotes.venues={ARCA: ARCX}",
        "quotes.bid_px=[b1, b2]",
        "quotes.ask_px=[a1, a2]",
    ),
    *("quotes.bid_sz=[c1, c2]", "quotes.ask_sz=[d1, d2]", "quotes.price_unit=1e-4"),
)
ASKED = {
    "nothing": [],
    "classic": ["conventions=classic", "order.side=sell", "max_age=60s"],
    "placement": ["policy=placement", "window.warmup=600s"],
    "points": ["search.kind=list", "search.points=[{lambda_over: 0, lambda_under: .inf, theta_queue: 1e-6}]"],
    "named": ["grid.fees=[us-2018, us-2026-cap30]", "grid.max_age=[60s, null]", "grid.uncross=[true, false]"],
    "quotes": ["source=desk.csv", *QUOTES],
    "names": [
        "source=a b#c: d.csv",
        "output=out \U0001f600 \x07",
        "symbol='null'",
        "replay='1e5'",
        "address=ray://h:1",
    ],
    "kafka": ["kafka.sasl_mechanism=PLAIN", "kafka.sasl_username=alice", "kafka.sasl_password_env=PATH"],
}


@pytest.mark.parametrize("words", ASKED.values(), ids=ASKED)
def test_it_is_read_back_as_the_same_configuration(words, tmp_path):
    config = load_config(assignments=words)
    text = as_yaml(effective(assignments=words))
    again = read_back(text, tmp_path)
    assert again == config
    assert again.question.config_hash == config.question.config_hash
    assert all(letter.isprintable() for line in text.splitlines() for letter in line)


def test_a_file_and_words_have_their_origins(file, tmp_path):
    words = ["order.side=sell", "grid.theta_queue.num=5", "grid.lambda_over=0"]
    values = {value.key: value for value in effective(file, words)}
    assert {key: values[key].origin for key in ("source", "order.size", "order.horizon", "window.start", "where")} == {
        "source": f"{file}:1",
        "order.size": f"{file}:2",
        "order.horizon": f"{file}:3",
        "window.start": f"{file}:4",
        "where": f"{file}:9",
    }
    assert values["order.side"].origin == values["grid.lambda_over"].origin == "command line"
    assert values["grid.theta_queue"].origin == f"{file}:5, command line"
    assert values["grid.theta_queue"].value == {"start": 0, "stop": 0.01, "num": 5}
    assert values["step"].origin == values["order.from"].origin == "default"
    assert (values["liquidity"].value, values["liquidity"].origin) == ("persist", "conventions=fair")
    assert values["grid.lambda_under"].follows
    again = read_back(as_yaml(values.values()), tmp_path)
    assert again == load_config(file, words)
    assert again.question.config_hash == load_config(file, words).question.config_hash


def test_a_word_that_replaces_a_section_leaves_nothing_of_the_file(file):
    values = {value.key: value for value in effective(file, ["order={size: 7}"])}
    assert (values["order.size"].value, values["order.size"].origin) == (7, "command line")
    assert (values["order.every"].value, values["order.every"].origin) == (None, "default")


def test_every_key_is_there():
    values = {value.key for value in effective()}
    axes = {f"grid.{name}" for name in PARAMETERS}
    wanted = {key for key in keys_of(Config) if not key.startswith(("quotes.", "grid."))} | axes
    assert values == wanted


def test_what_may_be_a_secret_is_not_shown(capsys):
    word = "source=s3://bucket/day.parquet?signature=hunter2"
    assert cli.main(["config", word]) == 0
    text = capsys.readouterr().out
    assert "hunter2" not in text
    assert "# source: set, not shown; command line" in text
    assert cli.main(["config", word, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["source"] == {"set": True, "shown": False, "origin": "command line"}
    assert cli.main(["config", "kafka.sasl_password=hunter2"]) == 2
    assert "hunter2" not in "".join(capsys.readouterr())


def test_the_command_prints_both_forms_and_refuses_as_everywhere(file, capsys):
    assert cli.main(["config", "--config", file, "--output", "out"]) == 0
    assert "\noutput: out  # command line\n" in capsys.readouterr().out
    assert cli.main(["config", "--config", file, "--json", "grid.lambda_under=[.inf]"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["order.every"] == {"value": "5s", "origin": f"{file}:2"}
    assert shown["grid.lambda_under"]["value"] == [".inf"]
    assert shown == as_json(effective(file, ["grid.lambda_under=[.inf]"]))
    assert cli.main(["config", "gird=1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: unknown key gird; the nearest valid one is ")
    assert err.endswith(" (command line)\n")


def test_origins_are_no_lines_of_their_own(tmp_path):
    name = tmp_path / "day\n\x1b[2J: [red].yaml"
    name.write_text("step: 5\n")
    text = as_yaml(effective(str(name)))
    assert "\x1b" not in text
    assert read_back(text, tmp_path).step == 5


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@given(TREES)
def test_whatever_a_value_is_yaml_gives_it_back(tree):
    text = _flow(tree)
    assert all(letter.isprintable() for letter in text)
    again = parse_yaml(f"key: {text}  # comment\n", "test")["key"]
    assert again == tree
    assert type(again) is type(tree)
    assert not isinstance(tree, float) or math.copysign(1, tree) == math.copysign(1, again)
