"""The command that asks again: what it says is read back as the same question."""

from __future__ import annotations

import math
import shlex
import subprocess

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feed.console import without_secrets
from feed.plan import MEMORY
from feed.yaml_text import parse_yaml
from sweep.config import Config, build_config, load_config
from sweep.page.command import LONGEST, asking_again, assignments, masked, shell, verifying, written
from tests.support.paper_run import ESCAPES, HOSTILE


def words_of(command):
    """What a shell makes of a command; bash, as the escapes of what cannot be printed are not POSIX."""
    shown = command.replace("python -m sweep run", "printf '%s\\0'", 1)
    run = subprocess.run(["/bin/bash", "-c", shown], capture_output=True, check=True)
    return run.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize(
    "tree",
    [
        {"source": "/data/day.csv"},
        {"source": "/data/a day's #1: [x] $HOME `id`.csv", "symbol": "007"},
        {"source": "kafka://127.0.0.1:9092/quotes", "replay": "2024", "feed": {"max_bad": 3, "wait": "60s"}},
        {"source": "d.csv", "order": {"side": ["buy", "sell"], "size": [100, 2000], "every": "30s", "horizon": "30s"}},
        {
            "source": "d.csv",
            "order": {"from": "09:35", "to": "15:50", "zone": "America/New_York", "every": "5m", "horizon": "5m"},
        },
        {
            "source": "d.csv",
            "grid": {"lambda_over": [0, 1e-05, 0.03], "theta_queue": {"start": 0, "stop": 1, "num": 3}},
        },
        {
            "source": "d.csv",
            "grid": {"fees": {"none": {"default": {"taker": 0.0}}, "usual, #2": {"9": {"taker": 0.003}}}},
        },
        {"source": "d.csv", "grid": {"latency": [0, "5ms"], "liquidity": ["persist", "refresh"]}},
        {"source": "d.csv", "fees": {"default": {"taker": 0.003, "maker": -0.002}}, "where": ["lambda_over < 1"]},
        {
            "source": "d.csv",
            "where": "lambda_over <= lambda_under",
            "latency": {"default": "1ms", "2": ["50us", "60us"]},
        },
        {"source": "d.csv", "window": {"start": 1741789800000000000, "end": "2025-03-12T15:00:00Z", "warmup": "60s"}},
        {"source": "d.csv", "uncross": False, "stub_band": None, "grid": {"max_age": ["1s", None]}},
        {
            "source": "d.csv",
            "search": {"kind": "list", "points": [{"lambda_over": 0.0, "lambda_under": 1, "theta_queue": 0.01}]},
        },
        {"source": "d.csv", "quotes": {"time": "ts", "venue": "a b", "at": 840, "symbols": {"X": "Y"}}, "depth": 2},
        {"source": ESCAPES + HOSTILE, "venues": [2, 43], "workers": 3, "validate": "folds=5"},
    ],
    ids=str,
)
def test_a_command_asks_the_same(tree):
    config = build_config(tree)
    again = load_config(assignments=words_of(asking_again(config)))

    assert again == config
    assert again.question.config_hash == config.question.config_hash


def test_an_infinite_value_is_read_back():
    config = build_config({"source": "d.csv", "grid": {"lambda_under": [0, math.inf]}})

    assert load_config(assignments=words_of(asking_again(config))) == config


def test_it_is_one_key_a_line_in_the_order_of_the_reference():
    config = build_config(
        {"source": "/data/day.csv", "order.size": 20_000, "grid.theta_queue": [0, 0.01], "output": "x"}
    )

    assert asking_again(config) == (
        "python -m sweep run \\\n    source=/data/day.csv \\\n    order.size=20000 \\\n    'grid.theta_queue=[0, 0.01]'"
    )


def test_defaults_are_left_out():
    assert list(assignments(Config())) == [("source", "embedded")]


def test_a_table_in_memory_has_no_command():
    assert asking_again(Config(source=MEMORY)) is None


def test_nor_has_what_does_not_fit_on_a_line():
    assert (
        asking_again(build_config({"source": "d.csv", "grid": {"theta_queue": [at / 1e5 for at in range(LONGEST)]}}))
        is None
    )


def test_what_may_be_a_secret_is_masked():
    config = Config(source="kafka://alice:hunter2@broker:9092/quotes")  # which loading refuses

    assert masked(config)
    assert "hunter2" not in asking_again(config)
    assert not masked(build_config({"source": "/data/day.csv"}))


def test_names_of_places_of_secrets_are_none():
    access = {"security_protocol": "SASL_SSL", "sasl_password_env": "KAFKA_PASSWORD", "sasl_mechanism": "PLAIN"}
    config = build_config({"source": "kafka://broker:9092/quotes", "kafka": access})

    assert "kafka.sasl_password_env=KAFKA_PASSWORD" in asking_again(config)
    assert not masked(config)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_read_back_from_yaml(text):
    assume(without_secrets(text) == text)
    for inside in (False, True):
        shown = written([text] if inside else {"a": text})
        assert parse_yaml(shown, "value") == ([text] if inside else {"a": text})
        assert shown.isprintable()


@given(st.floats(allow_nan=False))
def test_any_number_is_read_back_from_yaml(value):
    assert parse_yaml(written(value), "value") == value


@pytest.mark.parametrize("word", ["plain", "a b", "it's", "\x1b[1m", "a\\b\n'c'", "é\u202e", "\udcff.csv", "$x `y`"])
def test_a_shell_reads_a_word_back(word):
    assert words_of(f"python -m sweep run {shell(word)}") == [word]
    assert shell(word).isprintable()


def test_the_folder_of_a_run_is_quoted(tmp_path):
    home = tmp_path / "a b"

    assert shlex.split(verifying(home)) == ["python", "-m", "sweep", "verify", str(home)]
