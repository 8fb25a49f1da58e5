"""The list of what a topic holds."""

import json
import sys

import pytest

from feed.files.registry import WRITERS
from feed.kafka.embedded import EmbeddedBroker
from feed.kafka.inventory import ListedReplay, list_replays, render
from feed.kafka.producer import replay
from tests.support.kafka.faults import run
from tests.support.kafka.handmade import messages, put, tape
from tests.support.terminal import CONTROL, on_terminal

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def source():
    with EmbeddedBroker() as running:
        yield running.source("many")


@pytest.fixture(scope="module")
def sent(source):
    done = replay([tape(1), tape(2, symbol="MSFT")], source, partition="spread", replay_id="both")
    put(source, [*messages(tape(), "cut")[:100], (b"bare", [])])
    return done


def test_each_is_there_with_its_state(source, sent):
    replays, bare = list_replays(source)
    assert bare == 1
    assert [(each.replay, each.state, each.messages, each.promised) for each in replays] == [
        ("both", "whole", sent.messages, sent.messages),
        ("cut", "incomplete", 100, None),
    ]
    assert (replays[0].symbols, replays[0].codec, replays[0].partitions) == (["AAPL", "MSFT"], "json", [0, 1, 2, 3])
    assert (replays[1].symbols, replays[1].partitions) == (["AAPL"], [0])
    assert 0 < replays[0].first <= replays[0].last <= replays[1].last


@pytest.mark.command
def test_the_command_prints_a_table_or_json(source, sent):
    code, out, stderr = run("replays", source)
    assert (code, stderr) == (0, "")
    lines = out.splitlines()
    assert lines[1].split()[:4] == ["both", "whole", f"{sent.messages:,}", "json"]
    assert lines[1].endswith("AAPL, MSFT")
    assert lines[-1] == "1 messages without headers of a replay"
    code, out, _ = run("replays", source, "--json")
    assert [each["state"] for each in json.loads(out)["replays"]] == ["whole", "incomplete"]
    code, out, stderr = run("replays", source.replace("many", "none"))
    assert (code, out) == (2, "")
    assert "there is no topic 'none'" in stderr


@pytest.mark.command
@pytest.mark.parametrize(
    ("words", "key", "message"), [("replays --json", "replays", ""), ("replay '{file}'", "digest", "messages")]
)
def test_what_is_asked_for_on_a_terminal_arrives_in_a_file(source, sent, tmp_path, words, key, message):
    WRITERS[".parquet"](tape(), tmp_path / "day.parquet")
    topic = source if key == "replays" else source.replace("many", "typed")
    out = tmp_path / "out.json"
    command = f"'{sys.executable}' -m feed {words.format(file=tmp_path / 'day.parquet')} '{topic}' > '{out}'"
    code, shown = on_terminal(command, 60)
    assert code == 0, shown
    assert key in json.loads(out.read_text())
    assert message in CONTROL.sub("", shown)


def test_names_from_a_topic_cannot_command_a_terminal():
    text = render([ListedReplay("\x1b[2J", 5, 9, ["\x07"], "json", [0], 0, 0)], 0)
    assert "short" in text
    assert text.replace("\n", "").isprintable()
    assert render([], 0) == "no replays"
