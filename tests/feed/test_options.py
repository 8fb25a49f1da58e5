"""Options as words of a command line."""

from __future__ import annotations

from dataclasses import fields

import pytest

from feed.access import access_of
from feed.errors import FeedUnavailable
from feed.options import DEFAULTS, WORDS, ReadOptions, options_of


def test_every_option_has_a_word_and_the_last_repeat_wins():
    assert {key.removeprefix("feed.") for key in WORDS} | {"access", "sized"} == {
        each.name for each in fields(ReadOptions)
    }
    assert options_of([]) == DEFAULTS
    words = ["symbol=AAPL", "replay=x=1", "feed.max_bad=3", "feed.wait=60s", "feed.deadline=2h", "feed.max_bytes=9"]
    access = access_of({"api_version": "2.3"})
    found = options_of(["symbol=MSFT", *words, "feed.foreign=true"], access)
    assert found == ReadOptions("AAPL", "x=1", 3, 60.0, 7200.0, 9, foreign=True, access=access)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("feed.patience=5", "feed.patience: unknown option; there are symbol, replay, feed.max_bad"),
        ("feed.wait=5", "feed.wait: '5' is no duration"),
        ("feed.max_bad=-1", "feed.max_bad: expected a whole number, but it had '-1'"),
        ("feed.max_bytes=1e3", "feed.max_bytes: expected a whole number"),
        ("feed.foreign=yes", "feed.foreign: expected true or false, but it had 'yes'"),
    ],
)
def test_what_is_no_option_is_one_line(word, says):
    with pytest.raises(FeedUnavailable) as caught:
        options_of([word])
    assert says in str(caught.value)
