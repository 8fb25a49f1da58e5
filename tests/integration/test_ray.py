"""The same sweep in this process and on Ray: the executor contract, and byte-identical rows."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from feed import synthetic
from feed.instants import format_instant
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep.executors.on_ray import executor as onray
from sweep.executors.on_ray import processes
from sweep.executors.on_ray.executor import OnRay
from sweep.executors.on_ray.health import AGENTS
from sweep.executors.on_ray.lean_start import IDLE_AGENT
from tests.support import ROOT
from tests.support.conformance import ExecutorContract, keep_a_copy, make_column, taking, total
from tests.support.footprint import make_book, worker_memory
from tests.support.runfiles import TABLES
from tests.support.runlogs import log_of

pytestmark = pytest.mark.cluster

STAND_IN = f"/{IDLE_AGENT.parent.name}/{IDLE_AGENT.name}".encode()
GRID = ["grid.lambda_over=[0, 0.01]", "grid.lambda_under={start: 0, stop: 0.09, num: 10}"]


@pytest.fixture(scope="module")
def environment(home):
    return {**os.environ, "HOME": str(home)}


@pytest.fixture(scope="module")
def executor(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("PYTHONPATH", str(ROOT))
        with OnRay("local", 2) as executor:
            yield executor


class TestOnRay(ExecutorContract):
    @pytest.mark.usefixtures("executor")
    def test_the_token_that_opens_its_ports_is_private(self, home):
        token = home / ".ray" / "auth_token"
        assert len(token.read_text()) >= 32
        assert token.stat().st_mode & 0o077 == 0

    def test_its_workers_are_those_asked_for(self, executor):
        assert executor.workers == 2

    def test_nothing_was_started_that_nobody_asks(self, executor):
        assert executor.workers
        started = []
        for pid in processes.descendants(os.getpid()):
            with suppress(OSError):  # it has ended meanwhile
                started.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        assert any(b"raylet" in words for words in started)
        asked_by_nobody = (b"/dashboard/dashboard.py", b"/monitor.py", b"/log_monitor.py", *AGENTS)
        for program in set(asked_by_nobody) - {STAND_IN}:
            assert not any(program in words for words in started)
        assert sum(STAND_IN in words and b"raylet" not in words for words in started) == 2

    def test_many_in_flight_are_answered_many_at_a_time(self, executor, monkeypatch):
        monkeypatch.setattr(onray, "MANY", 2)
        column = executor.call(make_column, 3)
        answers = list(executor.stream(total, (column, 100), taking((n,) for n in range(100))))
        assert sorted(answers) == [((n,), 103 + n) for n in range(100)]

    def test_what_all_items_share_is_sent_once(self, executor, monkeypatch):
        import ray

        put, original = [], ray.put

        def noting(each):
            put.append(each)
            return original(each)

        monkeypatch.setattr(ray, "put", noting)

        column = executor.call(make_column, 3)
        answers = list(executor.stream(total, (column, 100), taking((n,) for n in range(20))))
        assert sorted(answers) == [((n,), 103 + n) for n in range(20)]
        assert put == [100]


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "synth.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=10.0), path)
    return path


def sweep(environment, *words):
    """Run the command as a user would; stdout and stderr apart."""
    command = [sys.executable, "-m", "sweep", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=150, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran


MANY = ("order.side=[buy,sell]", "order.size=[500,2000]", "order.every=2s", "order.horizon=3s")


ZOOM = (*MANY, "search.kind=zoom", "grid.theta_queue={start: 0, stop: 0.02, num: 41}", "grid.reference=[touch, mid]")


PLACING = (
    *("grid.policy=[static, placement]", "grid.phi=[0, neutral]", "slice=5s"),
    *("order.side=[buy,sell]", "order.every=10s", "order.horizon=10s"),
)


def check_facts(home, executor, document):
    """Assert that a log says which node ran each chunk, that there is no dashboard, and what was best."""
    events = log_of(home)
    nodes = {event["node"] for event in events if event["event"] == "chunk"}
    node = re.escape(os.uname().nodename) if executor == "executor=inline" else r"[0-9.]+/[0-9a-f]{6}"
    assert len(nodes) == 1
    assert re.fullmatch(node, *nodes)
    (started,) = (event for event in events if event["event"] == "started")
    assert started["dashboard"] is None
    assert started["workers"] == (1 if executor == "executor=inline" else int(executor.removeprefix("workers=")))
    (*_, last) = (event for event in events if event["event"] == "incumbent")
    assert last["parameters"] == document["best_parameters"]


@pytest.mark.parametrize(("orders", "workers"), [((), (2,)), (MANY, (1, 2)), (ZOOM, (2,)), (PLACING, (2,))])
def test_rows_are_byte_identical_inline_and_on_one_and_two_workers(stream, environment, tmp_path, orders, workers):
    start, end = synthetic.window(60.0)
    words = [
        f"source={stream}",
        f"window.start={format_instant(start)}",
        f"window.end={format_instant(end)}",
        *GRID,
        *orders,
    ]
    tables, documents = [], []
    for executor in ("executor=inline", *(f"workers={count}" for count in workers)):
        ran = sweep(environment, *words, executor, "--output", tmp_path / executor)
        document = json.loads(ran.stdout)
        documents.append({key: value for key, value in document.items() if key != "run"})
        (table,) = (tmp_path / executor).glob("runs/*/results.parquet")
        names = TABLES
        tables.append([table.with_name(name).read_bytes() for name in names])
        assert table.parent.name == document["run"]["id"]
        assert [line for line in ran.stderr.splitlines() if line.startswith("wrote ")]
        assert not any(word in ran.stderr for word in ("ray", "Ray", "raylet", "WARNING"))
        check_facts(table.parent, executor, document)
    assert all(tables[0])
    assert all(each == tables[0] for each in tables[1:])
    assert all(each == documents[0] for each in documents[1:])


@pytest.fixture(scope="module")
def one_worker(executor, home):
    """A Ray of one worker; the other one of this module has ended, as a process has one at a time."""
    executor.__exit__()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("PYTHONPATH", str(ROOT))
        with OnRay("local", 1) as one:
            yield one


def test_days_of_a_directory_are_byte_identical_inline_and_on_ray(stream, environment, tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(3):
        tape = synthetic.generate(seed=day, seconds=20.0, warmup=2.0)
        columns = {name: getattr(tape, name) for name in QUOTE_DTYPES}
        synthetic.write_csv(Tape.build("SYNTH", **columns | {"ts": tape.ts + day * DAY}), folder / f"{day}.csv.gz")
    tables, documents = [], []
    for name, executor in (("inline", ["executor=inline"]), ("two", ["workers=2"])):
        ran = sweep(environment, f"source={folder}", *MANY, *executor, "--output", tmp_path / name)
        documents.append({key: value for key, value in json.loads(ran.stdout).items() if key != "run"})
        (table,) = (tmp_path / name).glob("runs/*/results.parquet")
        names = TABLES
        tables.append([table.with_name(name).read_bytes() for name in names])
    assert tables[0] == tables[1]
    assert documents[0] == documents[1]
    assert documents[0]["orders"]["days"] == 3


def test_a_worker_holds_no_copy_of_the_book(one_worker):
    small, large = (one_worker.call(make_book, nbytes) for nbytes in (10**6, 3 * 10**8))
    little, much = worker_memory(one_worker, small, large)
    assert much - little <= 10_000_000
    # arrays this large are given back when they are let go, so that the two figures differ by what is kept
    little, much = worker_memory(one_worker, small, large, keep_a_copy)
    assert much - little > 100_000_000, "a copy of the prices alone was not seen"
