"""Real producer and reader over the embedded broker: whole streams come back whole, everything else is refused."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace as changed
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from feed.access import CLIENTS, access_of
from feed.codecs.json_codec import encode_json
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import consumer, probe
from feed.kafka.address import parse_address
from feed.kafka.bounded_read import records
from feed.kafka.client import open_consumer, open_producer
from feed.kafka.consumer import plan_replay
from feed.kafka.embedded import EmbeddedBroker
from feed.kafka.headers import data_headers, replay_digest
from feed.kafka.producer import replay
from feed.options import ReadOptions
from feed.provenance import Partition
from feed.source import read_source
from feed.tape import Tape, same
from tests.support.kafka.handmade import end_item, free_port, messages, put, tape
from tests.support.waits import without_waits

pytestmark = pytest.mark.kafka


def test_round_trip(topic):
    sent = tape()
    done = replay(sent, topic)
    got, provenance = read_source(topic)
    assert same(got, sent)
    assert done.digest == provenance.digest == got.digest() == sent.digest()
    (part,) = done.partitions
    assert done.partitions == provenance.partitions == (Partition(part.partition, 0, done.messages + 1),)
    assert provenance.source == "kafka"
    assert provenance.place == topic == done.place
    assert (provenance.messages, provenance.replay, provenance.resent) == (done.messages, done.replay, 0)
    assert (provenance.snapshots, provenance.rows, provenance.trades) == (300, 900, 100)


def test_plan_is_small_and_picklable_and_a_range_can_be_read_twice(topic):
    replay(tape(), topic)
    plan = plan_replay(topic)
    wire = pickle.dumps(plan)
    assert len(wire) < 2000
    again = pickle.loads(wire)  # noqa: S301 - our own bytes
    assert again == plan
    first, second = (part.read() for part in (plan.ranges[0], again.ranges[0]))
    assert same(first.rows.tape("AAPL"), second.rows.tape("AAPL"))
    assert (first.hashes == second.hashes).all()


def test_two_replays_are_never_mixed_and_the_newest_is_read(topic):
    old, new = tape(1), tape(2)
    replay(old, topic, replay_id="zz-old")
    time.sleep(0.005)
    replay(new, topic, replay_id="aa-new")
    assert same(read_source(topic)[0], new)
    got, provenance = read_source(topic, ReadOptions(replay="zz-old"))
    assert same(got, old)
    assert provenance.replay == "zz-old"


def test_two_producers_at_once_are_two_whole_replays(topic):
    one, other = tape(1), tape(2)
    first, second = messages(one, "one"), messages(other, "other")
    mixed = [item for pair in zip(first, second, strict=False) for item in pair]
    mixed += first[len(second) :] + second[len(first) :]
    count = len(mixed)
    mixed += [
        end_item(one, first, name="one", end=count),
        end_item(other, second, name="other", end=count),
    ]
    put(topic, mixed)
    assert same(read_source(topic, ReadOptions(replay="one"))[0], one)
    assert same(read_source(topic, ReadOptions(replay="other"))[0], other)


def test_unknown_replay_lists_those_there_are(topic):
    replay(tape(), topic, replay_id="here")
    with pytest.raises(FeedUnavailable, match="there is no replay 'gone'; replays there: here"):
        plan_replay(topic, ReadOptions(replay="gone"))


def test_symbol(topic):
    replay(tape(), topic)
    assert plan_replay(topic, ReadOptions(symbol="AAPL")).symbols == ("AAPL",)
    with pytest.raises(FeedUnavailable, match="does not hold 'MSFT'; symbols there: AAPL"):
        plan_replay(topic, ReadOptions(symbol="MSFT"))


def test_a_replay_without_its_end_record_is_incomplete(topic):
    put(topic, messages(tape(), "cut"))
    with pytest.raises(FeedCorrupt, match=r"incomplete: no end record .*cut \(\d+ messages\).*replay") as caught:
        plan_replay(topic)
    assert caught.value.exit_code == 3
    with pytest.raises(FeedCorrupt, match="incomplete"):
        plan_replay(topic, ReadOptions(replay="cut"))


def test_a_complete_replay_is_read_although_a_newer_one_is_incomplete(topic, monkeypatch):
    monkeypatch.setattr(consumer, "WINDOW", 50)
    whole = tape(1)
    replay(whole, topic)
    put(topic, messages(tape(2), "cut"))
    got, provenance = read_source(topic)
    assert same(got, whole)
    assert provenance.notes == ("newer and incomplete, passed over: replays there: cut",)


def test_a_topic_without_messages(topic, broker):
    address = parse_address(topic)
    with open_producer(address) as producer:
        producer.partitions_for(address.topic)
    with pytest.raises(FeedCorrupt, match="the topic holds no message"):
        plan_replay(topic)


def test_an_unknown_topic_lists_those_there_are(topic, broker):
    replay(tape(), topic)
    with pytest.raises(FeedUnavailable, match=r"there is no topic 'gone'; topics there: .*feed replay"):
        plan_replay(broker.source("gone"))
    with pytest.raises(FeedUnavailable, match="there is no topic 'gone'") as caught:
        plan_replay(broker.source("gone"))
    assert str(caught.value).startswith(f"{broker.source('gone')}: ")
    assert str(caught.value).endswith(f"feed replay SOURCE {broker.source('gone')}")


def test_messages_without_headers(topic):
    put(topic, [(b'{"snapshot":[]}', [])])
    with pytest.raises(FeedCorrupt, match="partition 0, offset 0: malformed message: it carries no headers"):
        plan_replay(topic)


def test_a_malformed_message_is_named_with_its_offset(topic):
    items = messages(tape())
    items[17] = (b'{"snapshot":[{"ts_event":NaN}]}', items[17][1])
    put(topic, [*items, end_item(tape(), items)])
    with pytest.raises(FeedCorrupt, match=r"partition 0, offset 17: malformed message: JSON .* it begins"):
        read_source(topic)


@pytest.mark.parametrize(("header", "text"), [("pseq", "x"), ("codec", "arrow"), ("symbol", "MSFT"), ("schema", "2.0")])
def test_a_wrong_header_is_named(topic, header, text):
    items = messages(tape())
    items[3] = (items[3][0], [(name, text.encode() if name == header else value) for name, value in items[3][1]])
    put(topic, [*items, end_item(tape(), items)])
    with pytest.raises(FeedCorrupt, match=f"offset 3: malformed message: header {header} is '{text}'"):
        read_source(topic)


def test_a_table_with_more_messages_than_offsets_is_refused(topic):
    items = messages(tape())
    kept = items[:20] + items[23:]
    put(topic, [*kept, end_item(tape(), items, end=len(kept))])
    with pytest.raises(FeedCorrupt, match="more messages than offsets"):
        read_source(topic)


def test_a_hole_is_named(topic):
    items = messages(tape())
    kept = items[:20] + items[23:]
    filler = [(b"x", data_headers("other", "AAPL", "json", i, i)) for i in range(9)]
    put(topic, [*kept, *filler, end_item(tape(), items, end=len(items) + 2)])
    with pytest.raises(FeedCorrupt, match=r"a hole in replay hand: messages 20 to 22 of partition 0 .* offset 20 of"):
        read_source(topic)


def test_a_missing_tail_is_named(topic):
    items = messages(tape())
    filler = [(b"x", data_headers("other", "AAPL", "json", i, i)) for i in range(9)]
    put(topic, [*items[:-2], *filler, end_item(tape(), items)])
    last = len(items) - 1
    with pytest.raises(FeedCorrupt, match=f"a hole in replay hand: messages {last - 1} to {last} of partition 0"):
        read_source(topic)


def test_records_sent_again_are_dropped_and_counted(topic):
    items = messages(tape())
    sent = items[:20] + items[15:] + items[-3:]
    put(topic, [*sent, end_item(tape(), sent)])
    got, provenance = read_source(topic)
    assert same(got, tape())
    assert provenance.resent == 8
    assert provenance.digest == tape().digest()


def test_a_tampered_value_is_a_digest_that_differs(topic):
    items = messages(tape())
    value = items[5][0]
    items[5] = (value.replace(b'"sequence":', b'"sequence":1', 1), items[5][1])
    put(topic, [*items, end_item(tape(), items)])
    with pytest.raises(FeedCorrupt, match="partition 0: the messages' digest differs"):
        read_source(topic)


def test_an_end_record_with_another_digest(topic):
    items = messages(tape())
    put(topic, [*items, end_item(tape(), items, tapes={"AAPL": "0" * 64})])
    with pytest.raises(FeedCorrupt, match="the digest of the tape of 'AAPL' differs"):
        read_source(topic)


def test_an_end_record_that_lists_offsets_beyond_itself(topic):
    items = messages(tape())
    put(topic, [*items, end_item(tape(), items, end=10**6)])
    with pytest.raises(FeedCorrupt, match="lists offsets to 1000000 of partition 0, not there"):
        read_source(topic)


@pytest.mark.parametrize(("field", "value", "reason"), [("schema", "2.0", "schema '2.0'"), ("codec", "x", "codec 'x'")])
def test_an_end_record_of_a_later_version(topic, field, value, reason):
    items = messages(tape())
    put(topic, [*items, end_item(tape(), items, **{field: value})])
    with pytest.raises(FeedCorrupt, match=reason):
        read_source(topic)


def test_offsets_that_are_not_there_are_an_error(topic):
    replay(tape(), topic)
    part = plan_replay(topic).ranges[0]
    with pytest.raises(FeedCorrupt, match=r"offset \d+ is gone"):
        changed(part, start=10**6, end=10**6 + 5).read()


def test_an_end_beyond_the_topic_is_an_error_and_no_silent_end(topic):
    replay(tape(), topic)
    part = plan_replay(topic).ranges[0]
    with pytest.raises(FeedCorrupt, match="no progress for 1 s at offset"):
        changed(part, end=part.end + 5, stall=1.0).read()


def test_bytes_are_bounded(topic, monkeypatch):
    done = replay(tape(), topic)
    few = ReadOptions(max_bytes=10_000)
    with pytest.raises(FeedCorrupt, match=r"has [\d,]+ bytes, more than the bound of 10,000; set feed.max_bytes"):
        read_source(topic, few)
    part = changed(plan_replay(topic).ranges[0], options=few)
    with pytest.raises(FeedCorrupt, match="more than 10000 bytes is beyond the bound"):
        part.read()
    assert done.messages


@pytest.fixture
def noisy():
    """More than the 5 MiB that the embedded broker keeps, however well it is compressed."""
    rng, n = np.random.default_rng(1), 250_000
    return Tape.build(
        "AAPL",
        ts=1_722_519_392 * 10**9 + np.arange(n) // 40,
        venue=np.zeros(n, np.int64),
        bid_px=rng.integers(1, 10**12, n),
        ask_px=rng.integers(1, 10**12, n),
        bid_sz=rng.integers(1, 10**9, n),
        ask_sz=rng.integers(1, 10**9, n),
        sequence=rng.integers(0, 2**60, n),
    )


def test_a_stream_that_does_not_fit_is_refused_on_both_sides(topic, noisy):
    with pytest.raises(FeedCorrupt, match=r"the stream does not fit: the broker dropped offsets \[0, \d+\)"):
        replay(noisy, topic)
    with pytest.raises(FeedCorrupt, match=r"lost its start: offsets \[0, \d+\) of partition 1 are gone"):
        read_source(topic)


@pytest.mark.parametrize("version", ["", "?api_version=2.3"])
def test_no_broker_is_said_within_seconds(version):
    began = time.monotonic()
    with pytest.raises(FeedUnavailable, match=r"no Kafka broker answers .*refused.*python -m feed broker") as caught:
        plan_replay(f"kafka://127.0.0.1:{free_port()}/q{version}")
    assert time.monotonic() - began < 5
    assert caught.value.exit_code == 2


def test_a_port_that_never_speaks_is_said_within_seconds(monkeypatch):
    monkeypatch.setattr(probe, "GREET_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(FeedUnavailable, match=r"no Kafka broker answers .*timed out"):
            plan_replay(f"kafka://127.0.0.1:{silent.getsockname()[1]}/q")
    assert time.monotonic() - began < 5


def test_the_second_server_is_tried(broker):
    replay(tape(), broker.source("second"))
    both = f"kafka://127.0.0.1:{free_port()},{broker.server}/second?api_version=2.3"
    assert same(read_source(both)[0], tape())


def test_a_closed_broker_frees_its_port():
    with EmbeddedBroker() as running:
        host, port = running.server.split(":")
        assert host == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=2)
    running.close()


def test_a_port_that_was_asked_for_leads_to_the_broker():
    port, threads = free_port(), threading.active_count()
    for _ in range(2):  # the second one gets the port although the first one's connections have just ended
        with EmbeddedBroker(port) as running:
            assert running.server == f"127.0.0.1:{port}"
            source = running.source()
            assert source == f"kafka://127.0.0.1:{port}/quotes?api_version=2.3"
            done = replay(tape(), source)
            got, provenance = read_source(source)
            assert same(got, tape())
            assert provenance.place == done.place == source
            assert provenance.partitions == done.partitions
            assert done.partitions[0].start == 0  # each time a broker of its own
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)
        running.close()
        assert threading.active_count() == threads


def test_a_port_that_is_taken_is_said(broker):
    port = parse_port(broker.source())
    with pytest.raises(FeedUnavailable, match=f"127.0.0.1:{port}: cannot listen: Address already in use; .* --port"):
        EmbeddedBroker(port)


def test_a_broker_that_does_not_start_frees_its_port(monkeypatch):
    def broken(_self):
        raise FeedUnavailable("the embedded broker did not start")

    monkeypatch.setattr(EmbeddedBroker, "_start", broken)
    port = free_port()
    with pytest.raises(FeedUnavailable, match="did not start"):
        EmbeddedBroker(port)
    with socket.create_server(("127.0.0.1", port)):
        pass


def parse_port(source):
    return int(parse_address(source).servers[0].rpartition(":")[2])


def feed(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "feed", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.fixture
def port(request):
    """0 as by default, or the port that a test asks for."""
    return free_port() if getattr(request, "param", False) else 0


@pytest.fixture
def served(port):
    """`python -m feed broker` as a user runs it: its process and the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "feed", "broker", *(["--port", str(port)] if port else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, process.stdout.readline().strip()
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.command
@pytest.mark.parametrize("port", [False, True], indirect=True, ids=["any port", "this port"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_broker_command_serves_until_it_is_told_to_end(served, port, number, code):
    process, source = served
    assert source.startswith("kafka://127.0.0.1:")
    assert source.endswith("/quotes?api_version=2.3")
    assert not port or source == f"kafka://127.0.0.1:{port}/quotes?api_version=2.3"
    replay(tape(), source)
    assert same(read_source(source)[0], tape())
    with socket.create_connection(("127.0.0.1", parse_port(source)), timeout=5):  # a client that never goes
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in stderr
    with pytest.raises(FeedUnavailable):
        plan_replay(source)


@pytest.mark.parametrize("codec", CODECS)
def test_both_clients_send_the_same_messages(broker, codec):
    """The same keys, headers, values and offsets, but for the time at which they were sent."""
    held = []
    for client in CLIENTS:
        address = parse_address(broker.source(f"by-{client}-{codec}"), access_of({"client": client}))
        sent = [tape(symbol="A"), tape(1, symbol="B")]
        done = replay(sent, address, partition="spread", codec=codec, replay_id="same")
        assert done.digest == replay_digest({each.symbol: each.digest() for each in sent})
        with open_consumer(address) as consumer:
            records_held = [
                record._replace(timestamp=0)
                for part in done.partitions
                for record in records(consumer, address, part.partition, part.start, part.end)
            ]
        held.append((done.partitions, records_held))
    assert held[0] == held[1]
    assert len(held[0][1]) == done.messages + len(done.partitions)


@pytest.mark.command
def test_a_broker_that_dies_in_a_replay_is_one_line():
    code = """import sys, threading
from feed import cli
from feed.codecs import json_codec
from feed.kafka import client, producer, senders
from feed.kafka.embedded import EmbeddedBroker
client.DELIVERY_SECONDS, senders.ACKNOWLEDGE_SECONDS = 31, 2
producer.ACKNOWLEDGE_SECONDS, json_codec._ROWS = 2, 1
broker = EmbeddedBroker()
end = producer.paced
def dying(messages, **options):
    for number, message in enumerate(end(messages, **options)):
        if number == 50:
            broker.close()
        yield message
producer.paced = dying
sys.exit(cli.main(["replay", sys.argv[1], broker.source()]))
"""
    with EmbeddedBroker() as origin:
        replay(tape(), origin.source())
        done = subprocess.run(
            [sys.executable, "-c", code, origin.source()], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: kafka://127.0.0.1:")
    assert last.endswith("the replay is incomplete: check that the broker is up and replay again")
    assert "Traceback" not in done.stderr


@pytest.mark.command
@pytest.mark.parametrize("port", ["taken", "-1", "65536"])
def test_broker_command_without_its_port_is_one_line(broker, port):
    taken = str(parse_port(broker.source()))
    done = feed("broker", "--port", taken if port == "taken" else port)
    assert done.returncode == 2
    assert done.stdout == ""
    assert without_waits(done.stderr).startswith(
        f"error: 127.0.0.1:{taken}: cannot listen: Address already in use"
        if port == "taken"
        else f"error: {port} is no"
    )
    assert without_waits(done.stderr).count("\n") == 1


@pytest.mark.command
def test_replay_command_prints_one_json_line(topic, broker):
    sent = tape()
    replay(sent, topic)
    target = broker.source("copied")
    done = feed("replay", topic, target)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    summary = json.loads(line)
    count = len(list(encode_json(sent)))
    assert summary["topic"] == "copied"
    assert summary["digest"] == sent.digest()
    assert summary["messages"] == count
    assert [(part["start"], part["end"]) for part in summary["partitions"]] == [(0, count + 1)]
    assert f"replay: {count} messages, 100 %" in done.stderr
    assert read_source(target)[1].replay == summary["replay"]


@pytest.mark.command
def test_replay_command_cuts_to_the_window(topic, broker):
    sent = tape()
    replay(sent, topic)
    start, end = int(sent.ts[30]), int(sent.ts[600])
    done = feed("replay", topic, broker.source("cut"), "--start", str(start), "--end", str(end))
    assert json.loads(done.stdout)["digest"] == sent.clip(start, end).digest()


@pytest.mark.command
@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (("--codec", "pickle"), "unknown codec 'pickle'"),
        (("--speed", "-1"), "speed -1.0 is no speed"),
        (("--start", "2030-01-01T00:00:00Z"), "no quotes in the window"),
        (("--start", "yesterday"), "is no instant"),
    ],
)
def test_replay_command_refuses_bad_options(topic, broker, extra, reason):
    replay(tape(), topic)
    done = feed("replay", topic, broker.source("never"), *extra)
    assert done.returncode == 2
    assert done.stdout == ""
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.command
def test_replay_command_without_a_broker():
    began = time.monotonic()
    done = feed("replay", "whatever.csv", f"kafka://127.0.0.1:{free_port()}/q")
    assert time.monotonic() - began < 20
    assert done.returncode == 2
    assert without_waits(done.stderr).startswith("error: kafka://127.0.0.1:")
    assert without_waits(done.stderr).count("\n") == 1


@pytest.mark.command
def test_replay_command_interrupted_leaves_an_incomplete_replay(topic, broker):
    replay(tape(), topic)
    target = broker.source("interrupted")
    process = subprocess.Popen(
        [sys.executable, "-m", "feed", "replay", topic, target, "--speed", "0.05"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # It says something every two seconds. On a slow machine the first line may come with the first message, before
    # that is acknowledged; the second means that it is in the middle.
    lines = (line for line in iter(process.stderr.readline, "") if without_waits(line))
    first = "".join(islice(lines, 2))
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=20)
    outcome = f"exit {process.returncode}, stdout {out!r}, stderr:\n{first}{rest}"
    assert first.startswith("replay: "), outcome
    assert process.returncode == 130, outcome
    assert out == "", outcome
    assert "Traceback" not in rest, outcome
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        pass
    else:
        pytest.fail(f"its process group is still there; {outcome}")
    with pytest.raises(FeedCorrupt, match="incomplete"):
        plan_replay(target)


@pytest.mark.command
def test_a_synthetic_file_goes_through_the_broker_and_is_checked(topic, tmp_path):
    path = tmp_path / "stream.csv.gz"
    made = feed("synth", str(path), "--seed", "3", "--minutes", "0.5", "--venues", "4")
    assert made.returncode == 0, made.stderr
    assert made.stdout == ""
    sent = feed("replay", str(path), topic)
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["digest"] == read_source(str(path))[0].digest()
    checked = feed("check", topic, "--json")
    assert checked.returncode == 0, checked.stderr
    report = json.loads(checked.stdout)
    assert report["feed"]["digest"] == json.loads(sent.stdout)["digest"]
    assert report["quality"]["snapshots"] == report["feed"]["snapshots"]
    assert report["feed"]["digest"] in feed("check", topic).stdout


@pytest.mark.command
def test_a_reader_that_has_enough_is_no_error(topic):
    replay(tape(), topic)
    process = subprocess.Popen(
        [sys.executable, "-m", "feed", "check", topic], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == 0
    assert without_waits(stderr) == ""


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def redirected(redirection, *arguments, **variables):
    """Run a command as a shell starts it: with a stream that is closed, or takes nothing."""
    return subprocess.run(
        ["sh", "-c", f'"$0" -m feed "$@" {redirection}', sys.executable, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@FULL
@pytest.mark.command
@pytest.mark.parametrize(
    "arguments", [("check", "TOPIC"), ("check", "TOPIC", "--json"), ("broker",), ("--help",), ("--version",)]
)
def test_a_full_stdout_is_one_line(topic, arguments):
    replay(tape(), topic)
    words = [topic if argument == "TOPIC" else argument for argument in arguments]
    # without a buffer it is the write that fails, not the flush at the end
    done = redirected(">/dev/full", *words, PYTHONUNBUFFERED="1" if "--help" in words else "")
    assert done.returncode == 2, done.stderr
    assert without_waits(done.stderr) == "error: stdout cannot be written: No space left on device\n"


@pytest.mark.command
@pytest.mark.parametrize("stream", [pytest.param("2>/dev/full", marks=FULL), "2>&-"])
def test_a_replay_goes_on_where_nobody_can_be_told(topic, broker, stream):
    replay(tape(), topic)
    done = redirected(stream, "replay", topic, broker.source("untold"))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["digest"] == tape().digest()
    assert redirected(stream, "check", "absent.csv").returncode == 2


@pytest.mark.command
def test_a_check_without_stdout_still_has_its_code(topic):
    replay(tape(), topic)
    done = redirected(">&-", "check", topic)
    assert (done.returncode, without_waits(done.stderr)) == (0, "")


@pytest.mark.command
def test_synth_command_where_nothing_can_be_written(tmp_path):
    done = feed("synth", str(tmp_path / "no" / "where.csv.gz"), "--minutes", "0.1")
    assert done.returncode == 2
    assert without_waits(done.stderr).startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.command
@pytest.mark.parametrize(
    "extra",
    [("--venues", "0"), ("--venues", "999"), ("--minutes", "0"), ("--minutes", "x"), ("--seed", "-1"), ("--seed", "x")],
)
def test_synth_command_refuses_bad_options(tmp_path, extra):
    done = feed("synth", str(tmp_path / "out.csv.gz"), *extra)
    assert done.returncode == 2, done.stderr
    option, value = extra
    assert f"{option[2:]}: " in done.stderr
    assert value in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.command
def test_help_is_fast_and_loads_no_client():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """import sys, feed.cli
try: feed.cli.main(['--help'])
except SystemExit: pass
print({'kafka', 'confluent_kafka', 'pandas', 'ray'} & set(sys.modules))""",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "usage: python -m feed" in done.stdout
    assert done.stdout.endswith("set()\n")
