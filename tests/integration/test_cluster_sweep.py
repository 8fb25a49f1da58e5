"""The command on a cluster: from the head, as a job that is submitted, as a job that is stopped."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from feed import synthetic
from feed.instants import format_instant
from sweep.config.loading import load_config
from sweep.driver import run
from sweep.tapes import origin
from tests.support.cluster.raylets import ROOT, cluster
from tests.support.runlogs import log_of
from tests.support.waits import without_waits

pytestmark = pytest.mark.cluster

__all__ = ["cluster"]

SECONDS = 60.0
SIZE = "order.size=200000"
ENDLESS = ["collapse=false", SIZE, "grid.theta_queue={start: 0, stop: 1, num: 600000}"]
"""What a test interrupts long before its end, on any machine."""


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A source on the driver's host, and its window."""
    path = tmp_path_factory.mktemp("stream") / "synth.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=SECONDS, warmup=10.0), path)
    start, end = synthetic.window(SECONDS)
    return [f"source={path}", f"window.start={format_instant(start)}", f"window.end={format_instant(end)}"]


def command(*words):
    return [sys.executable, "-m", "sweep", *map(str, words)]


def ended(*words):
    """Run the command to its end, stdout and stderr apart."""
    ran = subprocess.run(command(*words), capture_output=True, text=True, cwd=ROOT, timeout=150, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran


def rows(folder):
    (table,) = folder.rglob("results.parquet")
    return table.read_bytes()


@pytest.mark.usefixtures("cluster")
def test_rows_are_those_of_one_process(words, tmp_path):
    inline = ended(*words, "executor=inline", "--output", tmp_path / "inline")
    joined = ended(*words, "address=auto", "--output", tmp_path / "joined")
    assert rows(tmp_path / "joined") == rows(tmp_path / "inline")
    one, other = (json.loads(ran.stdout) for ran in (inline, joined))
    assert {name: value for name, value in one.items() if name != "run"} == {
        name: value for name, value in other.items() if name != "run"
    }
    assert not any(word in joined.stderr for word in ("ray", "Ray", "WARNING"))


def test_a_driver_outside_the_cluster_gets_the_same_rows(cluster, words, monkeypatch):
    """The nodes reach this file, as they would an object of S3."""
    monkeypatch.setattr(origin, "on_this_host", lambda _: False)
    inline, outside = (
        run(load_config(None, [*words, *keys])) for keys in (["executor=inline"], [f"address={cluster.client}"])
    )
    assert outside.table.tobytes() == inline.table.tobytes()
    assert outside.document["feed"] == inline.document["feed"]


def test_a_source_of_the_drivers_host_is_refused_outside_the_cluster(cluster, words):
    ran = subprocess.run(
        command(*words, f"address={cluster.client}"), capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert without_waits(ran.stderr).startswith("error: source: ")
    assert len(without_waits(ran.stderr).splitlines()) == 1


def figures(url):
    """Ours among what Ray exports at an address, by name and run."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own, on loopback
        lines = [line for line in answer.read().decode().splitlines() if line.startswith("ray_sor_sweep_")]
    return {
        (line.partition("{")[0], line.partition('run="')[2].partition('"')[0]): float(line.rpartition(" ")[2])
        for line in lines
    }


def test_figures_of_a_run_are_where_ray_exports_them(cluster, words):
    """Ray exports nothing of a driver in its first seconds: this sweep goes on until its figures were seen."""
    url = f"http://127.0.0.1:{cluster.head.metrics_export_port}/metrics"
    short = json.loads(ended(*words, SIZE, "address=auto").stdout)["run"]
    done, rates, stored = [], [], set()
    with subprocess.Popen(
        command(*words, *ENDLESS, "address=auto"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as sweep:
        while sweep.poll() is None and not (len(set(done)) > 1 and max(rates, default=0) > 0):
            seen = {name: value for (name, run), value in figures(url).items() if run != short["id"]}
            done += [value for name, value in seen.items() if name == "ray_sor_sweep_combinations_total"]
            rates += [value for name, value in seen.items() if name == "ray_sor_sweep_combinations_per_second"]
            stored |= {value for name, value in seen.items() if name == "ray_sor_sweep_object_store_bytes"}
            time.sleep(0.25)
        sweep.send_signal(signal.SIGINT)
        _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, err.decode()
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] <= 9 * 600_000
    assert stored == {short["object_store_bytes"]}


@pytest.fixture(scope="module")
def jobs(cluster):
    from ray.job_submission import JobSubmissionClient

    return JobSubmissionClient(cluster.dashboard)


def submitted(jobs, entry, seconds=100.0):
    """Submit a job; on a busy machine Ray says for a while that no agent is there to take it, and to try again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return jobs.submit_job(entrypoint=entry)
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(1)


def wait_for(jobs, job, states, text="", seconds=100.0):
    """Wait until a job is in one of some states and has said a text; what it said."""
    deadline = time.monotonic() + seconds
    while jobs.get_job_status(job).value not in states or text not in jobs.get_job_logs(job):
        assert time.monotonic() < deadline, jobs.get_job_logs(job)
        time.sleep(0.2)
    return jobs.get_job_logs(job)


def test_a_job_that_is_submitted_finds_its_cluster(cluster, jobs, words, tmp_path):
    entry = " ".join(map(repr, command(*words, "address=auto", "--output", tmp_path / "job")))
    job = submitted(jobs, f"cd {ROOT} && {entry}")
    log = wait_for(jobs, job, {"SUCCEEDED", "FAILED"})
    assert jobs.get_job_status(job).value == "SUCCEEDED", log
    ended(*words, "executor=inline", "--output", tmp_path / "inline")
    assert rows(tmp_path / "job") == rows(tmp_path / "inline")
    (home,) = (tmp_path / "job" / "runs").iterdir()
    events = log_of(home)
    (started,) = (event for event in events if event["event"] == "started")
    assert started["dashboard"] == cluster.dashboard
    (node,) = {event["node"] for event in events if event["event"] == "chunk"}  # the head has no CPU
    assert re.fullmatch(r"[0-9.]+/[0-9a-f]{6}", node)


def test_a_job_that_is_stopped_ends_as_one_that_is_terminated(jobs, words):
    entry = " ".join(map(repr, command(*words, *ENDLESS, "address=auto")))
    job = submitted(jobs, f"cd {ROOT} && exec {entry}")
    wait_for(jobs, job, {"RUNNING"}, "combinations, ")
    jobs.stop_job(job)
    log = wait_for(jobs, job, {"STOPPED"})
    assert "terminated" in log.splitlines()[-1]
    assert "Traceback" not in log
