"""Which package may import which: the contracts of pyproject.toml hold, and would notice a violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import feed
from tests.support import ROOT

PACKAGES = ("allocator", "feed", "sweep")


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


@pytest.mark.command
@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("allocator/rogue.py", "import sweep"),
        ("allocator/rogue.py", "from feed.instants import parse_instant"),
        ("allocator/rogue.py", "from feed import Tape"),
        ("allocator/rogue.py", "import ray"),
        ("allocator/rogue.py", "def late():\n    import pandas"),
        ("feed/rogue.py", "import allocator"),
        ("feed/rogue.py", "import sweep"),
        ("feed/rogue.py", "import ray.util"),
    ],
)
def test_a_violation_breaks_a_contract(tmp_path, module, line):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(f"{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert module.removesuffix(".py").replace("/", ".") in done.stdout


def test_feed_exports_the_tape_and_its_provenance_only():
    assert sorted(feed.__all__) == ["Provenance", "Tape"]
    public = {name for name in vars(feed) if not name.startswith("_")}
    submodules = {path.stem for path in (ROOT / "feed").glob("*.py")}
    assert public - submodules == {"Provenance", "Tape"}
