"""Commands of the pages, as they stand there: they run, with a file and a broker of this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from feed.kafka.embedded import EmbeddedBroker
from feed.source import read_source
from tests.support import ROOT
from tests.support.desk import write_desk
from tests.support.pages import COMMAND, PAGES, blocks

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

BROKER = "kafka://127.0.0.1:9092/quotes"
RUN = "runs/0123456789abcdef"
ELSEWHERE = re.compile(r"address=|broker\.example|BUCKET|SOURCE|\.\.\.|\[|fedcba|monday|--follow|podman")
"""In commands that need a cluster, a container, another's broker, further runs or days, or a reader's own words: these
have tests of their own."""


def commands(page):
    """The commands of a page that run on one machine, without their comments."""
    lines = (line.partition("  #")[0] for block in blocks(page.read_text()) for line in block.splitlines())
    return [line.strip() for line in lines if COMMAND.search(line) and not ELSEWHERE.search(line)]


OF_OTHERS = {"CHANGELOG.md", "tutorial.md"}
"""A list of what was, and a page that runs from a wheel, as a whole: tests/integration/test_wheel.py."""

RUNNING = {page: commands(page) for page in PAGES if page.name not in OF_OTHERS and commands(page)}


def test_the_pages_that_a_user_types_from_are_among_them():
    names = {page.name: len(lines) for page, lines in RUNNING.items()}
    assert names == {
        "README.md": 9,
        "kafka.md": 3,
        "mapping.md": 2,
        "markets.md": 3,
        "model.md": 1,
        "orders.md": 1,
        "plan.md": 1,
        "report.md": 1,
        "router.md": 1,
        "runs.md": 6,
        "search.md": 2,
        "simulation.md": 1,
    }


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.name)
def test_they_run(page, l1_day, home, tmp_path):
    """The first sweep of the README on Ray, as it stands; others in one process, which gives the same document."""
    (tmp_path / "days").mkdir()
    for place in ("day.csv.gz", "days/day.csv.gz"):
        (tmp_path / place).symlink_to(l1_day)
    write_desk(read_source(str(l1_day))[0], tmp_path / "desk.csv")
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with EmbeddedBroker() as broker:
        for number, line in enumerate(RUNNING[page]):
            stored = next(iter(tmp_path.glob("runs/*")), Path(RUN))
            words = line.replace(BROKER, f"'{broker.source()}'").replace(RUN, f"runs/{stored.name}")
            if re.search("-m sweep (export|report)", line) and stored == Path(RUN):  # the page begins with it
                words = f"python -m sweep source=day.csv.gz --output . executor=inline; {words.replace(RUN, 'runs/*')}"
            elif re.search("-m sweep (?!export|compare|watch|report)", line) and (page.name, number) != (
                "README.md",
                1,
            ):
                words += " executor=inline"
            ran = subprocess.run(
                ["bash", "-ec", words],
                capture_output=True,
                text=True,
                env=environment,
                cwd=tmp_path,
                timeout=100,
                check=False,
            )
            assert ran.returncode == 0, f"{line}\n{ran.stderr}"
            assert ran.stdout or " > " in line
