""".ci/run with a small suite in place of the project's: when it passes, and how it closes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.command

PASSED = "def test_passed(): pass\n"
SKIPPED = "import pytest\ndef test_skipped(): pytest.skip('no data')\n"
EXPECTED = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_expected(): assert False\n"
FAILED = "def test_failed(): assert False\n"


def ci(place, suite, limit=None):
    checkout = place / "a checkout"
    (checkout / ".ci").mkdir(parents=True)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    script = checkout / ".ci" / "run"
    shutil.copy(ROOT / ".ci" / "run", script)
    if limit is not None:
        script.write_text(re.sub(r"(?m)^limit_seconds=.*", f"limit_seconds={limit}", script.read_text()))
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (checkout / "Makefile").write_text("test:\n\t@.venv/bin/python -m pytest -p no:cacheprovider test_it.py\n")
    (checkout / "test_it.py").write_text(suite)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST_"))}
    return subprocess.run(
        [script],
        cwd=place,
        env={**kept, "CI": "true", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("suite", "passes", "closing"),
    [
        (PASSED, True, "1 passed in"),
        (PASSED + EXPECTED, True, "1 passed, 1 xfailed in"),
        (PASSED + SKIPPED, False, "1 passed, 1 skipped in"),
        (PASSED + FAILED, False, "1 failed, 1 passed in"),
    ],
)
def test_every_test_must_run_and_pytest_has_the_last_word(tmp_path, suite, passes, closing):
    done = ci(tmp_path, suite)
    assert (done.returncode == 0) == passes, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert closing in last
    assert last.startswith("==")


def test_what_was_skipped_is_named(tmp_path):
    assert "test_it::test_skipped: no data" in ci(tmp_path, SKIPPED).stderr


def test_a_suite_that_takes_too_long_says_what_failed_until_then(tmp_path):
    done = ci(tmp_path, FAILED + "def test_endless():\n    while True: pass\n", limit=8)
    assert done.returncode != 0
    assert "FAILED test_it.py::test_failed" in done.stdout
    assert ".ci/run: it took more than 8 s" in done.stdout


def test_the_quickest_of_several_interpreters_is_taken(tmp_path):
    """Of the same version; `make` would take the first on the path."""
    folders = [tmp_path / name for name in ("slow", "quick", "broken")]
    for folder, answer in zip(folders, ("echo 2.5", "echo 0.0001", "exit 1"), strict=True):
        folder.mkdir()
        (folder / "python3.11").write_text(f"#!/bin/sh\n{answer}\n")
        (folder / "python3.11").chmod(0o755)
    script = (ROOT / ".ci" / "run").read_text()
    functions = re.findall(r"(?ms)^(?:usable|seconds|quickest)\(\) \{.*?^\}", script)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([*functions, "quickest"])],
        env={"PATH": os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == f"{folders[1]}/python3.11\n"


def test_no_test_at_all_is_a_failure(tmp_path):
    assert ci(tmp_path, "").returncode != 0


APT = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/../apt.log"
"""
TOOLS = ("bash", "cat", "dirname", "env", "grep", "mktemp", "rm", "sed", "sh", "sort", "tail", "tee", "timeout")


def test_what_a_clean_machine_lacks_is_asked_of_apt_by_root_alone(tmp_path):
    """A PATH with a few tools, and an apt-get that notes what it is asked for: without a Python nothing is run."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    (tmp_path / "bin" / "apt-get").write_text(APT)
    (tmp_path / "bin" / "apt-get").chmod(0o755)
    ran = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0
    log = tmp_path / "apt.log"
    if os.geteuid() != 0:
        assert not log.exists()
        return
    first = next(line for line in log.read_text().splitlines() if " install " in line).split()
    assert {"make", "python3", "python3-venv", "openjdk-17-jre-headless", "maven"} < set(first)
    assert {"chromium", "nodejs", "npm", "iproute2", "openssh-server"} < set(first)
