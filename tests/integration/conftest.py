"""What tests on the embedded broker share, and tests on a cluster of hosts."""

import os

# Ray starts its processes by fork while gRPC runs in threads of the tests' process, whose handlers may end the child.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import pytest

from feed.kafka.embedded import EmbeddedBroker
from feed.source import read_source
from feed.synthetic import write_csv
from tests.support.cluster.hosts import why_not
from tests.support.cluster.streamedcluster import run_cluster


@pytest.fixture(scope="module")
def broker():
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A HOME of our own, in which Ray writes its token: one for all tests, as a process reads that once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def touch(l1_day, tmp_path_factory):
    """`l1_day` with one level of a side: as many messages, a fifth of their size."""
    path = tmp_path_factory.mktemp("touch") / "day.csv"
    write_csv(read_source(str(l1_day))[0].up_to(1), path)
    return path


@pytest.fixture
def topic(broker, request):
    """The SOURCE of a topic of the test's own."""
    return broker.source("".join(letter if letter.isalnum() else "-" for letter in request.node.name))


@pytest.fixture(scope="module")
def running(request, kafka_runs, tmp_path_factory):
    """Three hosts that `ray up` made a cluster of, CPUS of the module each; a broker beside them with a stream."""
    if reason := why_not():
        pytest.skip(reason)
    with run_cluster(tmp_path_factory.mktemp("hosts") / "h", request.module.CPUS) as cluster:
        yield cluster
