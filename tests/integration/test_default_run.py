"""`python -m sweep` as a user runs it: the embedded broker, the real producer and reader, Ray, the document; ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from feed.codecs.arrow_codec import SNAPSHOTS
from tests.support import ROOT
from tests.support.waits import without_waits

pytestmark = [pytest.mark.kafka, pytest.mark.cluster, pytest.mark.command]

LONG = [f"grid.{name}={{start: 0, stop: 0.2, num: 100}}" for name in ("lambda_over", "lambda_under", "theta_queue")]


@pytest.fixture
def marked(tmp_path):
    """An environment with a HOME of its own, and a mark by which its processes are found."""
    return {**os.environ, "HOME": str(tmp_path), "SWEEP_TEST_MARK": uuid.uuid4().hex}


def living(environment):
    """The processes that carry the mark."""
    mark = f"SWEEP_TEST_MARK={environment['SWEEP_TEST_MARK']}".encode()
    commands = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                commands.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100])
        except OSError:
            continue
    return commands


def nothing_lives_on(environment):
    for _ in range(300):
        if not living(environment):
            return
        time.sleep(0.1)
    pytest.fail(f"left behind: {living(environment)}")


def run(environment, *words):
    command = [sys.executable, "-m", "sweep", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=150, check=False)


def test_the_default_run_and_one_in_one_process_say_the_same_of_a_stream_read_from_kafka(marked):
    documents = []
    for words in ((), ("executor=inline",)):
        ran = run(marked, *words)
        assert ran.returncode == 0, ran.stderr
        documents.append(json.loads(ran.stdout))
        nothing_lives_on(marked)
    one, other = documents
    feed = one["feed"]
    assert feed["source"] == "kafka"
    ((partition, start, end),) = ((p["partition"], p["start"], p["end"]) for p in feed["partitions"])
    assert (start, end) == (0, feed["messages"] + 1), partition  # the end record is the last
    assert feed["messages"] == -(-feed["snapshots"] // SNAPSHOTS)
    assert feed["depth"] == dict.fromkeys(feed["depth"], 10)
    assert len(feed["digest"]) == 64
    assert one["objective"]["flat"] is False
    assert one["run"]["executor"] == "ray"
    place = {"place", "replay"}
    assert {k: v for k, v in one.items() if k not in {"run", "feed"}} == {
        k: v for k, v in other.items() if k not in {"run", "feed"}
    }
    assert {k: v for k, v in feed.items() if k not in place} == {
        k: v for k, v in other["feed"].items() if k not in place
    }
    assert one["run"]["id"] == other["run"]["id"]
    shown = (ROOT / "README.md").read_text()
    for figure in (
        feed["digest"],
        *(f'"total_cash": {one["baselines"][name]["total_cash"]}' for name in one["baselines"]),
        f'"total_cash": {one["optimized"]["total_cash"]}',
        f'"savings_vs_baselines_bps": {json.dumps(one["savings_vs_baselines_bps"])}',
        f'"distinct": {one["objective"]["distinct"]}, "best_ties": {one["objective"]["best_ties"]}',
        f'"best_parameters": {json.dumps(one["best_parameters"])}',
        *(f"warning: {line}\n" for line in one["warnings"]),
    ):
        assert figure in shown


# Also by soak: ctrl-C to the command alone, and before anything was replayed.
@pytest.mark.parametrize(
    ("number", "code", "group", "until", "later"),
    [
        pytest.param(signal.SIGINT, 130, False, "combinations,", 0, marks=pytest.mark.soak),
        pytest.param(signal.SIGINT, 130, True, "embedded broker", 0, marks=pytest.mark.soak),
        (signal.SIGINT, 130, True, "combinations,", 0),
        (signal.SIGINT, 130, True, "replayed", 0),
        (signal.SIGTERM, 143, False, "combinations,", 0),
        (signal.SIGTERM, 143, False, "embedded broker", 3.0),  # while Ray starts
    ],
)
def test_an_interrupt_ends_everything_that_was_started(marked, number, code, group, until, later):
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", *LONG],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=marked,
        cwd=ROOT,
        start_new_session=True,
    )
    lines = []
    for line in process.stderr:
        lines.append(line)
        if until in line:
            break
    time.sleep(later)
    (os.killpg if group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, "".join(lines) + err
    assert out == ""
    assert "Traceback" not in err
    assert "nothing was stored" in err
    nothing_lives_on(marked)


def test_below_uv_run_workers_run_in_the_environment_of_the_driver(marked, tmp_path):
    """Ray knows `uv run` by the words of a process above it, and would copy the driver's folder for its workers."""
    sweep = f"cd {ROOT} && {sys.executable} -m sweep order.size=100 workers=1"
    (tmp_path / "run").write_text(f"{sweep}\nexit $?\n")
    ran = subprocess.run(
        ["bash", "-c", "exec -a uv sh run"],
        capture_output=True,
        text=True,
        env=marked,
        cwd=tmp_path,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["run"]["executor"] == "ray"
    nothing_lives_on(marked)


def test_no_broker_at_the_address_is_said_within_seconds(marked):
    began = time.monotonic()
    ran = run(marked, "source=kafka://127.0.0.1:9/quotes")
    assert time.monotonic() - began < 20  # loading modules above all; test_embedded_broker times the answer itself
    assert ran.returncode == 2
    assert "python -m feed broker" in ran.stderr
    assert ran.stdout == ""
    assert without_waits(ran.stderr).count("\n") == 1
