"""The container's file: its steps are the README's, its linter has no complaint, what it copies is what they need."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.context import IGNORED, copy_context

FILE = ROOT / "Containerfile"


def instructions():
    """Each instruction and its text; a line that is continued is one line."""
    lines = [line for line in FILE.read_text().splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]


def steps():
    """The commands that make the image, one by one, and the one that it runs."""
    made = [part.strip() for word, text in instructions() if word == "RUN" for part in text.split("&&")]
    (started,) = [text for word, text in instructions() if word == "CMD"]
    return made, started


def test_its_steps_are_the_readme_s():
    readme = (ROOT / "README.md").read_text()
    (packages,) = re.findall(r"`apt-get install -y ([\w. -]+)`", readme)
    made, started = steps()
    (installing,) = [shlex.split(step) for step in made if step.startswith("apt-get install")]
    assert [word for word in installing if not word.startswith("-")] == ["apt-get", "install", *packages.split()]
    assert made[-1] == "make install"
    assert "# after make install" in readme
    assert started == '["make", "run"]'
    assert re.search(r"^make run\b", readme, re.MULTILINE)


def test_it_is_of_a_pinned_distribution_and_runs_as_nobody_special():
    words = instructions()
    (base,) = [text for word, text in words if word == "FROM"]
    assert re.fullmatch(r"debian:\d+\.\d+-slim", base)
    users = [position for position, (word, _) in enumerate(words) if word == "USER"]
    assert [words[position][1] for position in users] == ["1000"]
    assert users[0] < words.index(("RUN", "make install"))


def test_both_builders_leave_out_the_same():
    assert (ROOT / ".dockerignore").read_text() == IGNORED.read_text()


@pytest.mark.command
def test_the_linter_has_no_complaint_and_would_have_one(tmp_path):
    hadolint = Path(sys.executable).parent / "hadolint"
    spoiled = tmp_path / "Containerfile"
    spoiled.write_text(re.sub(r"debian:\S+", "debian", FILE.read_text()))
    clean, caught = [
        subprocess.run([hadolint, "--no-color", file], capture_output=True, text=True, check=False)
        for file in (FILE, spoiled)
    ]
    assert (clean.returncode, clean.stdout) == (0, "")
    assert caught.returncode == 1
    assert "DL3006" in caught.stdout


INTERPRETER = """#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip") for file in pyproject.toml constraints.txt README.md LICENSE; do test -f $file || exit 1; done ;;
"-m compileall") shift 5; for package; do test -d $package || exit 1; done ;;
"-m sweep") test -f sweep/__main__.py && echo swept ;;
esac
"""
"""Stands in for Python, which would install for minutes: it looks only whether what is to be installed is at hand."""


@pytest.mark.command
def test_what_it_copies_is_enough_for_its_own_steps(tmp_path):
    place = copy_context(tmp_path / "image")
    (tmp_path / "bin").mkdir()
    for tool in ("cp", "make", "mkdir", "sh", "touch"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    python = tmp_path / "bin" / "python3"
    python.write_text(INTERPRETER)
    python.chmod(0o755)
    others = ("MAKE", "MFLAGS", "PYTHON")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    for step in ("make install", "make run"):
        ran = subprocess.run(
            step.split(),
            cwd=place,
            env={**kept, "PATH": str(tmp_path / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "swept\n"
