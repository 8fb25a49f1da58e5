"""Which package may import which: the contracts of pyproject.toml hold, and would notice a violation."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import feed
from tests.support import ROOT

PACKAGES = ("allocator", "benchmarks", "feed", "sweep", "tests", "tools")


def lint_imports(place):
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=place,
        env={"PYTHONPATH": str(place), "PATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.command
def test_the_tree_keeps_every_contract():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


VIOLATIONS = {
    "sweep over allocator over feed.tape": ("allocator", "import sweep"),
    "allocator is numbers only": ("allocator", "def late():\n    import pandas"),
    "and knows nothing of the feed but the tape": ("allocator.kernels", "from feed import Tape"),
    "feed imports nothing of allocator or sweep": ("feed.quality", "import allocator"),
    "and no ray": ("feed.codecs", "import ray.util"),
    "feed: the front door over its rooms over the tape": ("feed.quality", "import feed.source"),
    "Kafka and files do not know each other": ("feed.files", "from feed.kafka import address"),
    "only feed.kafka imports a Kafka client": ("feed.files", "from kafka import KafkaConsumer"),
    "sweep: the command line over the driver over its rooms": ("sweep.config", "import sweep.driver"),
    "one room imports ray": ("sweep.runs", "def late():\n    import ray"),
    "search is numbers": ("sweep.search", "import pyarrow"),
    "nothing that is shipped imports tests": ("sweep.report", "from tests.support import ROOT"),
}
"""A module of a room, and what it may not import, by the contract that says so."""


def copied(place):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)


@pytest.mark.command
def test_each_violation_breaks_its_contract(tmp_path):
    copied(tmp_path)
    for number, (room, line) in enumerate(VIOLATIONS.values()):
        (tmp_path / room.replace(".", "/") / f"rogue_{number}.py").write_text(f"{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    for number, (room, _) in enumerate(VIOLATIONS.values()):
        assert f"{room}.rogue_{number}" in done.stdout, done.stdout
    assert " 0 kept" in done.stdout, done.stdout


@pytest.mark.command
@pytest.mark.parametrize("package", ["feed", "sweep"])
def test_a_module_in_no_room_is_found(tmp_path, package):
    copied(tmp_path)
    (tmp_path / package / "rogue.py").touch()
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{package}.rogue" in done.stdout, done.stdout


def test_every_room_is_shipped():
    with (ROOT / "pyproject.toml").open("rb") as file:
        shipped = tomllib.load(file)["tool"]["setuptools"]["packages"]
    homes = [path.parent for name in ("allocator", "feed", "sweep") for path in (ROOT / name).rglob("__init__.py")]
    assert sorted(shipped) == sorted(".".join(home.relative_to(ROOT).parts) for home in homes)


def imported(path):
    """The packages of the tree that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)


def test_tests_import_no_benchmark_and_tools_no_test():
    for folder, forbidden in (("tests", {"benchmarks"}), ("tools", {"tests", "benchmarks"})):
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert not forbidden & set(imported(path)), path


def test_feed_exports_the_tape_and_its_provenance_only():
    assert sorted(feed.__all__) == ["Provenance", "Tape"]
    public = {name for name in vars(feed) if not name.startswith("_")}
    submodules = {path.stem for path in (ROOT / "feed").iterdir()}
    assert public - submodules == {"Provenance", "Tape"}
