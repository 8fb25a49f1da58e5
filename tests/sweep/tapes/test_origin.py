"""Where a sweep reads: what is wrong with it is found before anything starts."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from feed.console import waiting
from feed.errors import FeedUnavailable
from sweep.config.loading import build_config
from sweep.errors import ConfigError
from sweep.progress import Silent
from sweep.tapes import origin
from sweep.tapes.origin import on_this_host, open_origin


@pytest.mark.parametrize("source", ["embedded", "kafka://localhost:9/quotes", "day.csv"])
def test_a_wrong_setting_is_found_whatever_the_source(source):
    # A broker would open a socket, which no unit test may.
    config = build_config({"source": source, "kafka": {"security_protocol": "TLS"}})
    with (
        pytest.raises(FeedUnavailable, match=r"kafka\.security_protocol: expected one of"),
        open_origin(config.question, Silent()),
    ):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("source", "here"),
    [
        ("embedded", True),
        ("day.csv.gz", True),
        ("file:/data/*.parquet", True),
        ("kafka://127.0.0.1:9092/quotes?api_version=2.3", True),
        ("kafka://LocalHost:9092,[::1]:9093,127.8.0.1:9094/quotes", True),
        ("kafka://broker.localhost:9092/quotes", True),
        ("kafka://127.0.0.1:9092,10.0.0.7:9092/quotes", False),
        ("kafka://b-1.example.com:9092/quotes", False),
        ("kafka://[fd00::7]:9092/quotes", False),
        ("s3://bucket/day.parquet", False),
    ],
)
def test_what_only_this_host_can_read(source, here):
    assert on_this_host(source) is here


@pytest.mark.parametrize("source", ["embedded", "day.csv", "kafka://localhost:9/quotes"])
@pytest.mark.parametrize("address", ["ray://head:10001", "auto"])
def test_a_cluster_joined_from_outside_cannot_read_here(monkeypatch, source, address):
    # ray takes this address for auto, as it is set where a shell was told of a cluster
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    config = build_config({"source": source, "address": address})
    with pytest.raises(ConfigError) as error, open_origin(config.question, Silent()):
        pytest.fail("it was opened")
    assert error.value.exit_code == 2
    assert str(error.value).startswith(f"source: {source} can be read on this host only, ")
    assert "s3://" in str(error.value)
    assert "address=auto" in str(error.value)


def test_a_source_that_is_waited_for_is_named_while_it_is(monkeypatch, tmp_path):
    lines, heard = [], threading.Event()

    class Telling(Silent):
        def say(self, text):
            lines.append(text)
            if text.startswith("still"):
                heard.set()

    def plan(*_):
        assert heard.wait(10)
        raise FeedUnavailable("nothing came")

    monkeypatch.setattr(origin, "waiting", partial(waiting, first=0.01, again=60.0))
    monkeypatch.setattr(origin, "plan_source", plan)
    source = "kafka://user:secret@127.0.0.1:1/q"
    for wait, reason in (
        ("10m", "a complete replay at kafka://...@127.0.0.1:1/q"),
        ("0s", "kafka://...@127.0.0.1:1/q is l"),
    ):
        heard.clear()
        config = build_config({"source": source, "feed.wait": wait})
        with pytest.raises(FeedUnavailable), open_origin(config.question, Telling()):
            pass
        assert lines[-1].startswith(f"still waiting after 0 s: {reason}")
