"""The wheel: everything of the packages is in it, its version is the tag's, and it works where there is no checkout.

The tutorial is one of the things that work: its blocks run in their order, as somebody would who has the wheel and that
page. Its sweep runs in one process, which gives the same document, as on Ray it takes as long as all the rest.
"""

import gzip
import json
import signal
import subprocess
import sys
import zipfile

import pytest

from tests.support import ROOT
from tests.support.context import copy_context
from tests.support.pages import FENCE
from tests.support.wheel import build, environment_of, install, outside
from tools.kafka.ports import free_ports

pytestmark = pytest.mark.command

PACKAGES = ("allocator", "feed", "sweep")
MADE = ("sweep/page/new.css", "sweep/page/assets/new.js", "sweep/page/assets/licences/LICENSE")
"""As the scripts of the report: git does not keep them, they lie in a folder that is no package, or have no ending."""

GIT = ("git", "-c", "user.name=tester", "-c", "user.email=tester@example.com", "-c", "commit.gpgsign=false")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what is packed, without a repository, and with files that only a command makes: see `MADE`."""
    place = copy_context(tmp_path_factory.mktemp("packed") / "sor-sweep")
    for name in MADE:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("/* new */")
    return place


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    return build(checkout, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def commands(wheel, tmp_path_factory):
    """The folder of commands of an environment that has the wheel."""
    return install(wheel, tmp_path_factory.mktemp("fresh") / "venv")


@pytest.fixture
def run(commands, tmp_path):
    """Run a command of the wheel from an empty folder, and return its stdout."""

    def run(name, *words):
        command = [commands / name, *words]
        environment = environment_of(commands)
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def files_of(checkout):
    """What lies in the packages, their modules and everything else."""
    return {
        path.relative_to(checkout).as_posix()
        for package in PACKAGES
        for path in (checkout / package).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_everything_that_lies_in_a_package_is_in_the_wheel_and_nothing_else(checkout, wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert len(names) > 200
    assert {"sweep/forecast/prices.yaml", *MADE} < names
    assert names == files_of(checkout)


def test_its_version_is_the_commit_s_tag_and_elsewhere_the_one_that_is_worked_on(tmp_path):
    place = tmp_path / "clone"
    place.mkdir()
    (place / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())

    def version():
        command = [sys.executable, "-m", "setuptools_scm"]
        return subprocess.run(command, cwd=place, env=outside(), capture_output=True, text=True, check=True).stdout

    def git(*words):
        subprocess.run([*GIT, *words], cwd=place, capture_output=True, check=True)

    working_on = version()
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    assert version() == working_on
    git("tag", "v7.8.9")
    assert version() == "7.8.9\n"
    (place / "pyproject.toml").open("a").write("\n# changed\n")
    assert version() == "7.8.9\n"
    git("commit", "--quiet", "--all", "--message", "two")
    assert version() == working_on


def test_nothing_of_the_checkout_can_be_imported_from_it(run, commands):
    script = (
        "import importlib.util as u, json, sys\n"
        "spec = lambda name: u.find_spec(name)\n"
        "homes = {name: spec(name) and spec(name).origin for name in "
        "('allocator', 'feed', 'sweep', 'tests', 'tools', 'benchmarks')}\n"
        "from importlib import metadata\n"
        "print(json.dumps([homes, sys.path, str(metadata.distribution('sor-sweep').locate_file(''))]))\n"
    )
    homes, path, place = json.loads(run("python", "-c", script))
    venv = str(commands.parent)
    assert [name for name, home in homes.items() if home and home.startswith(venv)] == list(PACKAGES)
    assert [home for name, home in homes.items() if name not in PACKAGES] == [None] * 3
    assert place.startswith(venv)
    assert not [each for each in path if each.startswith(str(ROOT)) and ".venv" not in each]


ROWS = """ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00
2024-08-01T14:00:00Z,2,1,99.99,100.01,300,300
2024-08-01T14:00:00Z,43,2,99.98,100.02,500,500
2024-08-01T14:00:10Z,2,3,99.99,100.03,300,400
2024-08-01T14:00:20Z,43,4,99.98,100.01,500,600
2024-08-01T14:00:30Z,2,5,99.99,100.01,300,300
"""
"""Two venues, half a minute: an order of 600 shares takes all 300 at the first and the rest at the second."""


def test_a_sweep_of_a_file_of_one_s_own_runs_from_an_empty_folder(run, tmp_path):
    assert run("sor-sweep", "--version").startswith("sor-sweep ")
    (tmp_path / "day.csv").write_text(ROWS)
    document = json.loads(run("sor-sweep", "source=day.csv", "order.size=600", "executor=inline"))
    assert document["optimized"]["filled"] == 600
    assert document["feed"]["rows"] == 5


def test_the_feed_s_command_writes_a_stream(run, tmp_path):
    run("sor-feed", "synth", "quotes.csv.gz", "--minutes", "0.5")
    lines = gzip.decompress((tmp_path / "quotes.csv.gz").read_bytes()).splitlines()
    assert len(lines) > 100


def steps():
    """The tutorial's commands, block by block, and what the page says that each prints; without the installation."""
    page = (ROOT / "docs" / "tutorial.md").read_text()
    blocks = [(match[0].partition("\n")[0][3:], match[2]) for match in FENCE.finditer(page)]
    assert {kind for kind, _ in blocks} == {"sh", "text"}
    assert blocks[0][1].startswith("python3 -m venv sor\n. sor/bin/activate\npip install ./sor_sweep-*.whl\n")
    return [
        (text, blocks[at + 1][1] if blocks[at + 1 : at + 2] and blocks[at + 1][0] == "text" else "")
        for at, (kind, text) in enumerate(blocks)
        if at and kind == "sh"
    ]


@pytest.mark.kafka
def test_the_tutorial_works_as_it_stands_from_the_wheel_alone(commands, tmp_path):
    (port,) = free_ports(1)
    environment = environment_of(commands)
    brokers = []
    try:
        for block, shown in steps():
            words = block.replace("9092", str(port)).replace("--output .", "--output . executor=inline")
            if "# another terminal" in words:
                command = [commands / "python", *words.partition("#")[0].split()[1:]]
                brokers.append(
                    subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
                )
                assert f"127.0.0.1:{port}" in brokers[-1].stdout.readline()
                continue
            ran = subprocess.run(
                ["bash", "-ec", words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, f"{block}\n{ran.stderr}"
            printed = ran.stdout + ran.stderr
            missing = [line for line in shown.splitlines() if line not in printed]
            assert missing == [], f"{block}\n{printed}"
    finally:
        for broker in brokers:
            broker.send_signal(signal.SIGINT)
            broker.wait()
            broker.stdout.close()
    assert len(brokers) == 1
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "not enough data" in report.read_text()
