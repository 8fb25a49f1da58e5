"""Options as words of a command line."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from feed import cli
from feed.access import access_of
from feed.errors import FeedUnavailable
from feed.files.csv_writer import write_csv
from feed.options import DEFAULTS, WORDS, ReadOptions, options_of
from feed.synthetic import generate


def test_every_option_has_a_word_and_the_last_repeat_wins():
    assert {key.removeprefix("feed.") for key in WORDS} | {"access", "quotes", "sized"} == {
        each.name for each in fields(ReadOptions)
    }
    assert options_of([]) == DEFAULTS
    words = ["symbol=AAPL", "replay=x=1", "feed.max_bad=3", "feed.wait=60s", "feed.deadline=2h", "feed.max_bytes=9"]
    access = access_of({"api_version": "2.3"})
    options = options_of(["symbol=MSFT", *words, "feed.foreign=true", "venues=43,2"], access)
    assert options == ReadOptions(
        "AAPL", "x=1", 3, 60.0, 7200.0, 9, foreign=True, venues=(2, 43), access=access, sized=False
    )


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("feed.patience=5", "unknown key feed.patience; the nearest valid one is feed."),
        ("feed.wait=5", "feed.wait: '5' is no duration"),
        ("feed.max_bad=-1", "feed.max_bad: expected a whole number, such as 5000, 5k or 5e3, but it had '-1'"),
        ("feed.max_bytes=1.5", "feed.max_bytes: expected a size in bytes, such as 16GiB or 500MB, but it had '1.5'"),
        ("feed.max_bytes=0", "feed.max_bytes: expected a whole number, 1 to 1,125,899,906,842,623, but it had '0'"),
        (
            "simbol=AAPL",
            "unknown key simbol; the nearest valid one is symbol; there are symbol, replay, venues, depth, feed.",
        ),
        ("feed.foreign=yes", "feed.foreign: expected true or false, but it had 'yes'"),
    ],
)
def test_what_is_no_option_is_one_line(word, says):
    with pytest.raises(FeedUnavailable) as caught:
        options_of([word])
    assert says in str(caught.value)


def test_sizes_and_counts_are_read_as_they_are_written():
    options = options_of(["feed.max_bytes=16GiB", "feed.max_bad=5e3"])
    assert (options.max_bytes, options.max_bad) == (2**34, 5000)


@pytest.mark.parametrize("word", ["simbol=AAPL", "max_bytes=1e3", "feed.wiat=5s"])
def test_a_key_that_is_mistyped_is_taken_for_no_path(word, capsys):
    assert cli.main(["check", word, "day.csv"]) == 2
    assert capsys.readouterr().err.startswith(f"error: unknown key {word.partition('=')[0]}; the nearest valid one is ")


def test_a_path_with_an_equals_sign_is_a_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simbol=AAPL").mkdir()
    for path in ("date=2024-08-01/day.csv", "day=1.csv", "simbol=AAPL"):
        assert cli.main(["check", path]) == 2
        assert path.partition("/")[0] in capsys.readouterr().err
        assert "unknown key" not in capsys.readouterr().err


HIVE = ("venue=2/*.csv", "symbols=AAPL/*.csv", "symbol=AAPL/*.csv", "symbol=AAPL/a.csv", "venue=2.csv", "venue=?.csv")


@pytest.mark.parametrize(
    "place", [*HIVE, "venue=2/", "symbol=AAPL/", "venues=2/date=2024-08-01/*", "replay=a/a.csv.gz", "venue=2/a"]
)
def test_what_names_files_is_a_path_and_no_setting(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", place]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith(f"error: {place.rstrip('/')}: no "), stderr
    name = place.replace("*", "a.csv").replace("?", "2")
    path = tmp_path / (name + "a.csv" if name.endswith("/") else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(generate(seconds=2, warmup=0), path)
    assert cli.main(["check", place, "venues=2", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["quality"]["venues"]) == ["2"]


@pytest.mark.parametrize(
    "word", ["symbol=BRK/B", "symbol=BTC/USD", "symbol=X.csv", "replay=a/b", "kafka.ssl_cafile=/x/*.csv"]
)
def test_a_setting_may_hold_what_paths_do(word):
    assert cli._split(["check", "a.csv", word]) == (["check", "a.csv"], [word])


def test_a_replay_whose_end_is_before_its_start_is_refused_in_words(capsys):
    at = ["--start", "2024-08-01T13:40:00Z", "--end", "2024-08-01T13:36:00Z"]
    assert cli.main(["replay", "day.csv", "kafka://127.0.0.1:1/q", *at]) == 2
    assert "--start is after --end: 2024-08-01T13:40:00.000000000Z and 2024-08-01T13:36:00" in capsys.readouterr().err
