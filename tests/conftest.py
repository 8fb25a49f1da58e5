"""Shared fixtures: unit tests start no Ray, open no socket and do not sleep; real data, a real Kafka."""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from allocator.kernels import compiling
from tests.support import ROOT
from tests.support.examples import examples
from tests.support.long import is_long
from tests.support.together import GROUP, TOGETHER
from tools.kafka.cluster import Cluster
from tools.kafka.jars import KafkaAbsentError, jars, java

# Commands with a HOME of their own find the kernels that are compiled already.
if (folder := compiling.cache_folder()) is not None:
    os.environ.setdefault(compiling.ROOT_VARIABLE, str(folder.parent))

# Ray's workers give way to everything else by default, here to the other tests: what waits for them then starves.
os.environ.setdefault("RAY_worker_niceness", "0")

# A shell without job control lets what it runs in the background ignore ctrl-C, and so would what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_PARTS = {"kafka", "s3", "cluster", "browser", "command"}
DATA = Path(os.environ.get("SOR_SWEEP_TEST_DATA", ROOT.parent / "shared" / "data"))


# How long an example takes is the machine's property.
settings.register_profile("unhurried", examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give whole groups of files, and else whole files, to the processes that run tests, where that is asked for.

    Otherwise each takes neighbours, of which few processes make the same fixtures, and in the end from another's rest.
    """
    from xdist.scheduler import LoadScopeScheduling, WorkStealingScheduling

    if config.getvalue("dist") == "load":
        return WorkStealingScheduling(config, log)
    if config.getvalue("dist") != "loadscope":
        return None

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return GROUP.get(Path(file).name, file)

    return ByGroup(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Put unit tests first, as they are quick to fail; the groups, where tests run in several processes."""
    for item in filter(is_long, items):
        item.add_marker("soak")
    marks = {item: {mark.name for mark in item.iter_markers()} for item in items}
    groups = {item: GROUP.get(item.path.name) for item in items}
    order = [*TOGETHER, None]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: order.index(groups[item]))
    else:
        items.sort(key=lambda item: bool(REAL_PARTS & marks[item]))


KAFKA = pytest.StashKey[str]()
"""Why Apache Kafka cannot be run here; empty where it can."""


def pytest_collection_finish(session):
    """Fetch Apache Kafka before the first test, so that this takes nothing of the time that one test may take."""
    gc.freeze()  # modules and tests stay to the end: no collection need look at them again
    wanted = any("kafka_runs" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly:
        try:
            java()
            jars()
        except KafkaAbsentError as error:
            session.config.stash[KAFKA] = f"no Apache Kafka: {error}"


@pytest.fixture(autouse=True)
def _unit_tests_stay_inside(request, monkeypatch):
    """Raise where a test without a marker for real parts opens a socket, sleeps or starts Ray."""
    if REAL_PARTS & {mark.name for mark in request.node.iter_markers()}:
        return

    def refuse(*_arguments, **_keywords):
        pytest.fail("a unit test opened a socket, slept or started Ray: mark it, or leave that to an integration test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(time, "sleep", refuse)


def _data(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real market data {path} is absent (set SOR_SWEEP_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def l1_day():
    """AAPL 2024-08-01 13:36:32 - 13:45:14 UTC, one venue."""
    return _data("l1_day.csv.gz")


@pytest.fixture(scope="session")
def taq_day():
    """A US stock, 2018-01-02, twelve venues."""
    return _data("taq_2018-01-02.csv.gz")


@pytest.fixture(scope="session")
def kafka_runs(request):
    """Skip where Apache Kafka cannot be run, and say why."""
    if reason := request.config.stash.get(KAFKA, ""):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka_one(kafka_runs, tmp_path_factory):
    """One broker for the whole run of tests, so nobody kills it: each test has topics of its own."""
    with Cluster(tmp_path_factory.mktemp("kafka-one")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kafka_three(kafka_runs, tmp_path_factory):
    """Three brokers for a file, as they take a tenth of a CPU also while idle: replication 3, min.insync.replicas 2."""
    with Cluster(tmp_path_factory.mktemp("kafka-three"), 3) as cluster:
        yield cluster


@pytest.fixture
def kafka_fresh(kafka_runs, tmp_path_factory):
    """Start a cluster of a test's own, whose brokers it may kill; takes what `Cluster` takes after the folder."""
    with ExitStack() as ending:
        yield lambda brokers=1, **options: ending.enter_context(
            Cluster(tmp_path_factory.mktemp("kafka"), brokers, **options)
        )
