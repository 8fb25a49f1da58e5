"""What a log says of its run: progress, rate, nodes, losses; and that no line of anybody's does harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.watched import LINE_BYTES, MOST_NODES, OTHERS, Lines, Watched

BEGAN = {"event": "began", "arrived": 0, "combinations": 100}
STARTED = {"event": "started", "combinations": 100, "stored": 0, "bad_messages": 2, "workers": 4, "dashboard": None}
LEADS = {
    "event": "incumbent",
    "combination": 3,
    "parameters": {"theta_queue": 0.01, "reference": "mid", "uncross": True},
    "mean_saving_bps": 1.25,
    "low": 0.5,
    "high": 2.0,
    "level": 0.95,
    "blocks": 30,
    "reason": None,
    "groups": 30,
    "of": 60,
}


def line(event, time=0.0):
    return json.dumps({"time": time, "run": "id", **event}).encode()


def chunk(combinations, node="a", seconds=0.5, **facts):
    return {"event": "chunk", "chunk": "0/0-9", "combinations": combinations, "seconds": seconds, "node": node, **facts}


def watched_of(*events):
    watched = Watched()
    for time, event in enumerate(events):
        watched.add(line(event, float(time)))
    return watched


def test_a_run_that_goes_on():
    watched = watched_of(BEGAN, STARTED, chunk(10), chunk(20, "b", again=1, workers=3, failed=2), LEADS, chunk(30))
    assert (watched.status, watched.total, watched.done, watched.failed) == ("running", 100, 60, 2)
    assert (watched.bad_messages, watched.workers, watched.dashboard, watched.reports) == (2, 3, None, True)
    assert watched.rate == 60 / 4
    assert watched.seconds_left == 40 / 15
    assert {name: (node.chunks, node.combinations) for name, node in watched.nodes.items()} == {
        "a": (2, 40),
        "b": (1, 20),
    }
    assert watched.nodes["a"].load == 1.0 / 3.5
    assert watched.leading.parameters == {"theta_queue": 0.01, "reference": "mid", "uncross": True}
    assert (watched.leading.mean_saving_bps, watched.leading.low, watched.leading.groups) == (1.25, 0.5, 30)
    assert not watched.over
    assert watched.passed_over == 0


def test_the_rate_is_that_of_the_last_half_minute_and_of_all_in_the_end():
    watched = Watched()
    watched.add(line(STARTED, 0.0))
    for second in range(1, 101):
        watched.add(line(chunk(1 if second <= 50 else 2), float(second)))
    assert watched.rate == 2.0
    watched.add(line({"event": "complete", "failed": 0}, 200.0))
    assert (watched.status, watched.rate) == ("complete", 1.5)


def test_what_was_lost_is_counted_and_the_last_ones_are_named():
    lost = [{"event": "lost", "chunk": f"0/{n}-{n}", "why": "out of memory", "runs_again": n < 4} for n in range(5)]
    watched = watched_of(BEGAN, STARTED, *lost, chunk(10, again=7))
    assert (watched.lost, watched.again) == (5, 7)
    assert [*watched.losses] == ["0/2-2: out of memory", "0/3-3: out of memory", "0/4-4: out of memory; given up"]


def test_a_run_that_is_cut_short_and_resumed():
    watched = watched_of(BEGAN, STARTED, chunk(10), {"event": "ended", "error": "KeyboardInterrupt"})
    assert (watched.status, watched.error, watched.over) == ("cut short", "KeyboardInterrupt", True)
    watched.add(line({"event": "resumed", "arrived": 8, "combinations": 100}, 50.0))
    watched.add(line({**STARTED, "stored": 8, "dashboard": "http://10.0.0.1:8265"}, 51.0))
    assert (watched.status, watched.error, watched.done, watched.dashboard) == (
        "running",
        None,
        8,
        "http://10.0.0.1:8265",
    )
    watched.add(line(chunk(12), 53.0))
    assert (watched.done, watched.rate) == (20, 6.0)
    watched.add(line(BEGAN, 60.0))  # --force
    assert (watched.done, watched.nodes, watched.reports) == (0, {}, False)


def test_a_log_of_before_these_facts():
    old = {"event": "chunk", "chunk": "0/0-9", "combinations": 10, "simulated": 10, "failed": 1, "seconds": 0.5}
    watched = watched_of({"event": "said", "text": "1 row"}, BEGAN, old, {"event": "complete", "failed": 1})
    assert (watched.status, watched.total, watched.done, watched.failed) == ("complete", 100, 10, 1)
    assert (watched.reports, watched.leading, watched.passed_over) == (False, None, 0)
    assert [*watched.nodes] == [""]


def test_rounds_of_a_search_go_on_counting_where_nobody_knows_how_many_there_are():
    watched = watched_of(
        BEGAN, {**STARTED, "combinations": 0}, chunk(100), {"event": "round", "arrived": 100}, chunk(5)
    )
    assert (watched.total, watched.done, watched.seconds_left) == (0, 105, None)


HOSTILE = [
    b"",
    b"{",
    b"[" * 30_000,
    b"\xff\xfe",
    b"null",
    b'{"time": 1e999, "event": "chunk", "combinations": 1, "seconds": 1}',
    b'{"time": -1, "event": "complete"}',
    b'{"time": 1, "event": "chunk", "combinations": -5, "seconds": 0}',
    b'{"time": 1, "event": "chunk", "combinations": 1' + b"0" * 400 + b', "seconds": 0}',
    b'{"time": 1, "event": "chunk", "combinations": "5", "seconds": 0}',
    b'{"time": 1, "event": "chunk", "combinations": 5, "seconds": NaN}',
    b'{"time": 1, "event": "began"}',
    b'{"time": 1, "event": "another"}',
    b'{"time": 1, "event": ["chunk"]}',
    line({**LEADS, "parameters": {"x": "y" * 3000}}),
    line({**LEADS, "parameters": {str(n): n for n in range(100)}}),
    line({**LEADS, "parameters": {"x": {"y": 1}}}),
    line({"event": "lost", "chunk": "c" * 5000, "why": "w", "runs_again": True}),
]


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_that_does_not_fit_is_counted_and_changes_nothing(bad):
    watched, other = watched_of(BEGAN, STARTED, chunk(10)), watched_of(BEGAN, STARTED, chunk(10))
    watched.add(bad)
    assert watched.passed_over == 1
    other.passed_over = 1
    assert watched == other


@given(st.lists(st.binary(max_size=60) | st.sampled_from([line(BEGAN), line(chunk(3)), line(STARTED)]), max_size=20))
def test_whatever_the_lines_are_the_state_can_be_asked(lines):
    watched = Watched()
    for each in lines:
        watched.add(each)
    assert watched.rate is None or watched.rate >= 0
    assert watched.seconds_left is None or watched.seconds_left >= 0


def test_nodes_without_end_are_kept_up_to_a_bound():
    watched = watched_of(STARTED, *(chunk(1, f"node {n}") for n in range(MOST_NODES + 50)))
    assert len(watched.nodes) == MOST_NODES + 1
    assert watched.nodes[OTHERS].combinations == 50
    assert watched.done == MOST_NODES + 50


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_lines_are_cut_alike_however_they_arrive(size):
    wanted = [b"one", b"two", b"x" * LINE_BYTES, b"last"]
    content = b"one\n\ntwo\n" + b"y" * (LINE_BYTES + 1) + b"\n" + wanted[2] + b"\nlast\nhalf"
    lines, cut = Lines(), []
    for at in range(0, len(content), size):
        cut += lines.whole(content[at : at + size])
    assert cut == wanted
    assert lines.passed_over == 1


def test_a_line_without_an_end_takes_no_memory():
    lines = Lines()
    for _ in range(100):
        assert [*lines.whole(b"z" * 2**16)] == []
    assert len(lines._begun) <= LINE_BYTES
    assert [*lines.whole(b"\nwhole\n")] == [b"whole"]
