"""The setup commands of cluster.yaml, run by a shell."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.support.aws.clusterfile import ROOT, cluster

pytestmark = pytest.mark.command


@pytest.fixture
def node(tmp_path):
    for folder in ("bin", "sor-sweep"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "bin" / "sudo", 'exec env "$@"')
    put(tmp_path / "bin" / "dpkg", "test -e ~/installed")
    put(tmp_path / "bin" / "apt-get", 'case "$*" in *install*) touch ~/installed;; esac')
    put(
        tmp_path / "bin" / "python3",
        "mkdir -p ~/venv/bin && cp ~/bin/noted ~/venv/bin/pip && cp ~/bin/noted ~/venv/bin/python",
    )
    put(tmp_path / "bin" / "noted", "true")
    put(tmp_path / "bin" / "sleep", "true")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    (tmp_path / ".bashrc").touch()
    return tmp_path


def put(file, body):
    file.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >> ~/calls\n{body}\n')
    file.chmod(0o755)


def set_up(node, commands):
    for command in commands:
        subprocess.run(
            ["bash", "-c", command],
            env={"HOME": str(node), "PATH": f"{node / 'bin'}:{os.environ['PATH']}"},
            timeout=30,
            check=True,
        )


def calls(node):
    lines = (node / "calls").read_text().splitlines()
    (node / "calls").unlink()
    return lines


def test_a_second_time_nothing_is_installed_anew(node):
    config = cluster()
    commands = [*config["setup_commands"], *config["head_setup_commands"]]
    set_up(node, commands)
    first = calls(node)
    assert [call for call in first if call.startswith(("pip", "python "))] == [
        "pip install -q -c constraints.txt -e .",
        "python -m allocator.kernels",
        "pip install -q -c constraints.txt boto3",
    ]
    assert "python3 -m venv" in " ".join(first)
    assert (node / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    shell = (node / ".bashrc").read_text()
    set_up(node, commands)
    assert not [call for call in calls(node) if call.startswith(("apt-get", "python3"))]
    assert (node / ".bashrc").read_text() == shell


def test_apt_that_is_busy_is_asked_again(node):
    put(
        node / "bin" / "apt-get",
        'case "$*" in *install*) touch ~/installed;; *) test "$(grep -c update ~/calls)" -gt 4;; esac',
    )
    set_up(node, cluster()["setup_commands"])
    verbs = [call.split()[-1] for call in calls(node) if call.startswith("apt-get")]
    assert verbs == ["update"] * 3 + ["python3-venv"]


def test_every_version_is_pinned_and_boto3_is_among_them():
    commands = [*cluster()["setup_commands"], *cluster()["head_setup_commands"]]
    installing = [command for command in commands if "pip install" in command]
    assert len(installing) == 2
    assert all("-c constraints.txt" in command for command in installing)
    assert re.search(r"^boto3==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
