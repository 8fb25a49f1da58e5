"""The example distributions, installed beside the project: their own tests pass, and sweeps take them by name."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from pyarrow import parquet

from feed import synthetic
from feed.instants import format_instant
from feed.kafka.embedded import EmbeddedBroker
from feed.source import read_source
from tests.support import ROOT
from tests.support.runlogs import log_of

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

EXAMPLES = ("patient_policy", "psv_reader", "house_kit")
PATIENT = ["policy=patient", "switches.patience=0.01", "participation=0.5"]
GRID = ["grid.lambda_under={start: 0, stop: 0.09, num: 10}", "order.size=20000"]


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    """A copy of the examples, in which they are built."""
    folder = tmp_path_factory.mktemp("examples")
    return shutil.copytree(ROOT / "examples", folder / "examples")


@pytest.fixture(scope="session")
def installed(copies, tmp_path_factory):
    """A folder with the examples, installed as a user does; nothing is fetched."""
    target = tmp_path_factory.mktemp("installed")
    words = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    sources = [str(copies / name) for name in EXAMPLES]
    ran = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", str(target), *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return target


@pytest.fixture(scope="session")
def environment(installed, home):
    path = os.pathsep.join([str(ROOT), str(installed), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "HOME": str(home), "PYTHONPATH": path}


@pytest.fixture(scope="session")
def day(tmp_path_factory):
    path = tmp_path_factory.mktemp("day") / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=30.0, warmup=5.0), path)
    return path


def words(day, *more):
    start, end = map(format_instant, synthetic.window(30.0))
    return [f"source={day}", f"window.start={start}", f"window.end={end}", *more]


def sweep(environment, *arguments, code=0):
    ran = subprocess.run(
        [sys.executable, "-m", "sweep", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=170,
    )
    assert ran.returncode == code, ran.stderr
    return json.loads(ran.stdout) if code == 0 else ran.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes_the_suites_that_are_shipped(copies, environment, example):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=copies / example,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout


def test_a_policy_module_is_short():
    assert len((ROOT / "examples/patient_policy/patient_policy.py").read_text().splitlines()) <= 40


def run_of(folder):
    return next(iter((folder / "runs").glob("*")), None)


def cut_short(environment, folder, arguments):
    """Interrupt a sweep once a part of it is stored."""
    command = [sys.executable, "-m", "sweep", *arguments, f"output={folder}"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline and process.poll() is None:
        home = run_of(folder)
        if home and any((home / "parts").glob("*.parquet")) and any(e["event"] == "chunk" for e in log_of(home)):
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.02)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    return run_of(folder)


@pytest.mark.timeout(600)  # Ray starts twice, which on a busy machine takes a minute each
def test_a_policy_runs_on_ray_is_resumed_and_verified(environment, day, tmp_path, installed):
    asked = words(day, *PATIENT, *GRID)
    plain = sweep(environment, *asked, "executor=inline", f"output={tmp_path / 'plain'}")
    (plugin,) = plain["run"]["plugins"]
    assert (plugin["kind"], plugin["name"], plugin["version"]) == ("policy", "patient", "0.1.0")
    home = cut_short(environment, tmp_path / "cut", [*asked, "workers=2"])
    assert home.name == plain["run"]["id"]
    resumed = sweep(environment, "resume", home)
    tables = [parquet.read_table(each / "results.parquet") for each in (home, run_of(tmp_path / "plain"))]
    assert tables[0].equals(tables[1])
    apart = [{name: part for name, part in each.items() if name not in {"run", "feed"}} for each in (plain, resumed)]
    assert apart[0] == apart[1]
    assert resumed["run"]["plugins"] == plain["run"]["plugins"]
    assert sweep(environment, "verify", home, "executor=inline")["identical"]

    other = tmp_path / "other"
    shutil.copytree(installed, other)
    module = other / "patient_policy.py"
    module.write_text(module.read_text().replace("<= worst", "< worst"))
    changed = environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(other)])}
    message = sweep(changed, "verify", home, "executor=inline", code=2)
    assert "was made with policy patient of patient-policy 0.1.0" in message
    assert "Traceback" not in message
    elsewhere = sweep(changed, *asked, "executor=inline")
    assert elsewhere["run"]["id"] != plain["run"]["id"]
    without = environment | {"PYTHONPATH": str(ROOT)}
    message = sweep(without, "resume", home, code=2)
    assert "which cannot be had here: expected one of static, pseudocode, placement" in message
    message = sweep(without, *asked, "executor=inline", code=2)
    assert "policy: expected one of static, pseudocode, placement, but it had 'patient'" in message


def test_a_baseline_and_a_sampler_and_a_reader_are_taken_by_name(environment, day, tmp_path):
    tape, _ = read_source(str(day))
    columns = (tape.ts, tape.venue, tape.bid_px, tape.bid_sz, tape.ask_px, tape.ask_sz, tape.sequence)
    psv = tmp_path / "day.psv"
    with psv.open("w") as file:
        for ts, venue, bid, bid_sz, ask, ask_sz, sequence in zip(*(each.tolist() for each in columns), strict=True):
            file.write(f"{tape.symbol}|{ts}|{venue}|{bid / 1e9}|{bid_sz}|{ask / 1e9}|{ask_sz}|{sequence}\n")
    more = ["baselines=[half_time]", "search.kind=corners", "search.combinations=9", "executor=inline"]
    document = sweep(environment, *words(psv, *more, f"output={tmp_path / 'out'}"))
    assert [(each["kind"], each["name"]) for each in document["run"]["plugins"]] == [
        ("baseline", "half_time"),
        ("reader", "psv"),
        ("sampler", "corners"),
    ]
    assert document["search"] == {"kind": "corners", "looked_at": 9, "of": 27}
    assert "half_time" in document["savings_vs_baselines_bps"]
    assert "lookahead" not in document["baselines"]["half_time"]
    orders = parquet.read_table(run_of(tmp_path / "out") / "orders.parquet")
    assert "half_time" in orders.column("strategy").to_pylist()
    fills = parquet.read_table(run_of(tmp_path / "out") / "fills.parquet")
    assert "half_time" in fills.column("strategy").to_pylist(), "a report shows its path"
    assert sweep(environment, "verify", run_of(tmp_path / "out"), "executor=inline")["identical"]


def test_a_codec_is_taken_by_the_name_in_the_topic(environment, day):
    with EmbeddedBroker() as broker:
        place = broker.source("packed")
        ran = subprocess.run(
            [sys.executable, "-m", "feed", "replay", str(day), place, "--codec", "packed"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        document = sweep(environment, *words(place, "executor=inline"))
        (plugin,) = document["run"]["plugins"]
        assert (plugin["kind"], plugin["name"]) == ("codec", "packed")
        assert document["feed"]["digest"] == sweep(environment, *words(day, "executor=inline"))["feed"]["digest"]
        message = sweep(environment | {"PYTHONPATH": str(ROOT)}, *words(place, "executor=inline"), code=3)
        assert "codec 'packed', this reader knows arrow, json" in message
