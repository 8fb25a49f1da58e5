"""What docs/messages.md shows: its message, its fields, and its producers, which run as they stand there."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml

from feed.codecs.json_codec import decode_json, encode_json
from feed.codecs.messages import Record, refuse
from feed.kafka.consumer import plan_replay
from feed.kafka.embedded import API_VERSION
from feed.kafka.headers import data_headers, encode_end, end_headers
from feed.kafka.producer import replay
from feed.options import ReadOptions, options_of
from feed.source import read_source
from feed.tables import parse_mapping
from feed.tape import Tape, same
from tests.support import ROOT
from tests.support.kafka.faults import checked, topic_of
from tests.support.kafka.handmade import put, tape
from tests.support.pages import FENCE
from tools.kafka.jars import jars, java

PAGE = (ROOT / "docs" / "messages.md").read_text()
TS = 1_722_519_392_491_911_683


def example(language):
    """The first block of a language."""
    return next(match[2] for match in FENCE.finditer(PAGE) if match[0].startswith(f"```{language}\n"))


def names_in(text):
    """The names in the first column of its tables."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def shown():
    return Tape.build(
        "AAPL",
        ts=np.array([TS, TS]),
        venue=np.array([2, 43]),
        ask_px=np.array([222_840_000_000, 0]),
        ask_sz=np.array([100, 0]),
        bid_px=np.array([222_830_000_000, 222_820_000_000]),
        bid_sz=np.array([36, 200]),
        sequence=np.array([901, 77]),
        trades={
            name: np.array([value])
            for name, value in {
                "ts": TS,
                "venue": 2,
                "px": 222_840_000_000,
                "sz": 5,
                "side": 1,
                "sequence": 902,
            }.items()
        },
    )


def test_the_message_is_the_one_that_is_written_and_read():
    (message,) = encode_json(shown())
    assert message.value.decode() == example("json").strip()
    assert same(decode_json([Record(0, 0, message.value)], refuse).tape("AAPL"), shown())


def test_every_field_that_is_written_is_named():
    document = json.loads(example("json"))
    named = names_in(PAGE)
    assert {*document, *document["snapshot"][0], *document["trades"][0]} <= named
    assert {name for name, _ in data_headers("r", "AAPL", "json", 0, 0)} <= named
    assert {name for name, _ in end_headers("r", "json")} <= {*named, "kind"}


def expected():
    at = np.arange(100)
    return Tape.build(
        "AAPL",
        ts=1_722_519_360_000_000_000 + at * 100_000_000,
        venue=np.full(100, 2),
        ask_px=np.full(100, 222_840_000_000),
        ask_sz=np.full(100, 200),
        bid_px=np.full(100, 222_830_000_000),
        bid_sz=100 + at,
        sequence=at,
    )


@pytest.mark.kafka
def test_the_end_record_has_these_fields(broker):
    done = replay([tape(symbol="A"), tape(symbol="B")], broker.source("ended"))
    document = json.loads(encode_end(plan_replay(broker.source("ended")).end))
    assert document["messages"] == done.messages
    section = PAGE.split("## The end record")[1].split("## ")[0]
    assert names_in(section) == {*document, *(f"partitions.*.{name}" for name in document["partitions"]["0"])}


@pytest.mark.kafka
@pytest.mark.command
def test_the_producer_in_python_runs_and_is_read(broker, tmp_path):
    (tmp_path / "producer.py").write_text(example("python"))
    assert len([line for line in example("python").splitlines() if line]) <= 10
    server = broker.server
    subprocess.run([sys.executable, "producer.py", server, "bare"], cwd=tmp_path, check=True, timeout=60)
    source = f"kafka://{server}/bare?api_version={API_VERSION}"
    got, provenance = read_source(source, ReadOptions(foreign=True))
    assert same(got, expected())
    assert "nothing proves that none is missing" in provenance.notes[0]
    feed = checked(source, "feed.foreign=true")
    assert (feed["snapshots"], feed["messages"], feed["digest"]) == (100, 100, expected().digest())


@pytest.mark.kafka
@pytest.mark.command
def test_the_producer_in_java_compiles_and_runs_and_is_read(kafka_one, request, tmp_path):
    (tmp_path / "Producer.java").write_text(example("java"))
    source = kafka_one.create_topic(topic := topic_of(request), 3)
    command = [java(), "-cp", f"{jars()}/*", "Producer.java", kafka_one.servers, topic]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    got, provenance = read_source(source, ReadOptions(foreign=True))
    assert same(got, expected())
    assert provenance.messages == 100


@pytest.mark.kafka
def test_a_message_of_another_shape_is_read_by_its_mapping(topic):
    section = PAGE.split("## Messages of another shape")[1]
    message, mapping = (match[2] for match in list(FENCE.finditer(section))[:2])
    put(topic, [(message.strip().encode(), [])])
    tree = yaml.safe_load(mapping)
    options = replace(options_of(["feed.foreign=true", f"depth={tree['depth']}"]), quotes=parse_mapping(tree["quotes"]))
    got, _ = read_source(topic, options)
    assert (got.symbol, got.depth, got.venue.tolist()) == ("AAPL", 2, [2])
    assert (got.bid_px.tolist(), got.bid_sz.tolist()) == ([222_830_000_000], [36])
    assert (got.levels.bid_px.tolist(), got.levels.bid_sz.tolist()) == ([[222_820_000_000]], [[200]])
    assert (got.levels.ask_px.tolist(), got.levels.ask_sz.tolist()) == ([[0]], [[0]])
