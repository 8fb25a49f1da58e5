"""The Makefile with stand-ins for the interpreter: what it installs when, what it says, and where it says it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.command

# Makes a .venv whose interpreter notes its arguments and answers `-m sweep` with JSON.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv")
    rm -rf .venv
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    echo chatter ;;
"-m pip")
    echo "$@" >> pip.log
    echo chatter ;;
"-m build")
    shift 2
    mkdir -p dist
    touch dist/it.whl dist/it.tar.gz
    echo "$@" >> build.log
    echo chatter ;;
"-m mkdocs" | "-m tools.dependencies")
    shift
    echo "$@" ;;
"-m sweep")
    shift 2
    echo "{\\"arguments\\": \\"$*\\"}" ;;
"-m tools.kafka")
    shift 2
    echo kafka "$@" ;;
"-m tests.fuzz.run")
    shift 2
    echo "$@" ;;
esac
"""
TOO_OLD = '#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\n'
WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n'
NOT_SELECTED = '#!/bin/sh\necho "python3.11: command not found" >&2; exit 127\n'


@pytest.fixture
def checkout(tmp_path):
    """A directory with the Makefile and what it installs from, and a PATH of its own without any Python."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in ("make", "sh", "cp", "ls", "mkdir", "rm", "touch"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def interpreter(checkout, script, name="python3"):
    path = checkout / "bin" / name
    path.write_text(script)
    path.chmod(0o755)


def make(checkout, *arguments):
    return subprocess.run(
        ["make", *arguments],
        env={"PATH": str(checkout / "bin"), "HOME": str(checkout)},
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def installs(checkout):
    lines = (checkout / "pip.log").read_text().splitlines()
    return [line for line in lines if " install " in line]


@pytest.mark.parametrize(
    ("scripts", "complaint"),
    [
        ({}, "no Python 3.11 or newer was found"),
        ({"python3.11": NOT_SELECTED}, "no Python 3.11 or newer was found"),
        ({"python3": TOO_OLD}, "python3 is too old"),
        ({"python3": WITHOUT_VENV}, "python3 cannot make a virtual environment"),
    ],
)
def test_missing_system_package_is_named_with_its_command(checkout, scripts, complaint):
    for name, script in scripts.items():
        interpreter(checkout, script, name)
    done = make(checkout, "run")
    assert done.returncode == 2
    assert done.stdout == ""
    assert complaint in done.stderr
    assert "apt-get install -y python3 python3-venv" in done.stderr
    assert "dnf install -y python3.11" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists()


def test_first_interpreter_that_serves_is_taken(checkout):
    interpreter(checkout, NOT_SELECTED, "python3.11")
    interpreter(checkout, WITHOUT_VENV, "python3.12")
    interpreter(checkout, PYTHON, "python3")
    assert make(checkout, "install").returncode == 0


def test_interpreter_can_be_named(checkout):
    interpreter(checkout, PYTHON, "mine")
    assert make(checkout, "install").returncode == 2
    assert make(checkout, "install", "PYTHON=mine").returncode == 0


def test_run_prints_the_json_only_and_installs_once(checkout):
    interpreter(checkout, PYTHON)
    first = make(checkout, "run")
    again = make(checkout, "run", "ARGS=order.size=1000 executor=inline")
    assert first.stdout == '{"arguments": ""}\n'
    assert again.stdout == '{"arguments": "order.size=1000 executor=inline"}\n'
    assert "installing into .venv" in first.stderr
    assert again.stderr == ""
    assert [line.partition("-c constraints.txt ")[2] for line in installs(checkout)] == ["pip", "-e ."]


def test_kafka_runs_on_the_port_that_is_asked_for(checkout):
    interpreter(checkout, PYTHON)
    assert make(checkout, "kafka").stdout == "kafka\n"
    assert make(checkout, "kafka", "PORT=9093").stdout == "kafka --port 9093\n"


def test_fuzz_takes_its_time_and_its_folder(checkout):
    interpreter(checkout, PYTHON)
    assert make(checkout, "fuzz").stdout == "--seconds 600\n"
    asked = make(checkout, "fuzz", "SECONDS=60", "FINDINGS=found", "ARGS=csv")
    assert asked.stdout == "--seconds 60 --findings found csv\n"


def test_wheel_is_built_by_its_tool_and_named_alone_on_stdout(checkout):
    interpreter(checkout, PYTHON)
    # -o: the bundle of scripts counts as made
    assert make(checkout, "wheel", "-o", "sweep/page/assets/charts.js").stdout == "dist/it.tar.gz\ndist/it.whl\n"
    assert (checkout / "build.log").read_text() == "--outdir dist .\n"
    assert installs(checkout)[-1].endswith("-c constraints.txt build")


def test_what_the_project_consists_of_is_alone_on_stdout(checkout):
    interpreter(checkout, PYTHON)
    assert make(checkout, "sbom").stdout == "tools.dependencies sbom\n"
    assert make(checkout, "licences").stdout == "tools.dependencies licences\n"


def test_docs_are_built_strictly(checkout):
    interpreter(checkout, PYTHON)
    assert make(checkout, "docs").stdout == "mkdocs build --quiet --strict\n"


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed(checkout, name):
    interpreter(checkout, PYTHON)
    make(checkout, "install")
    later = (checkout / ".venv" / "installed").stat().st_mtime + 5
    os.utime(checkout / name, (later, later))
    assert make(checkout, "install").returncode == 0
    assert [line.endswith(" -e .") for line in installs(checkout)] == [False, True, False, True]


def test_a_lost_interpreter_is_replaced(checkout):
    interpreter(checkout, PYTHON)
    make(checkout, "install")
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to(checkout / "gone")
    assert make(checkout, "run").stdout == '{"arguments": ""}\n'


def test_help_is_the_default_and_lists_every_target(checkout):
    done = make(checkout)
    assert done.returncode == 0
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert listed == {
        *(
            "help",
            "install",
            "run",
            "kafka",
            "charts",
            "pictures",
            "test",
            "unit",
            "soak",
            "lint",
            "docs",
            "wheel",
            "sbom",
            "licences",
        ),
        *("bench", "bench-stats", "peers", "fuzz"),
    }
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert listed == set(phony.split()[1:])


def test_no_index_and_no_host_is_named():
    text = (ROOT / "Makefile").read_text() + (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "index" not in text
