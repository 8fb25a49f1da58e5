"""Hosts made of namespaces: apart from one another and from this machine, and gone with whoever made them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.cluster.hosts import HOME, ROOT, USER, HostError, Hosts, why_not

pytestmark = pytest.mark.cluster

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - of a host
SSH = ("ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=2")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    if reason := why_not():
        pytest.skip(reason)
    with Hosts(tmp_path_factory.mktemp("hosts") / "of this test", 2) as hosts:
        yield hosts


def ssh(hosts, host, command):
    return hosts.control.run(*SSH, "-i", hosts.key, f"{USER}@{host.address}", command, check=False)


def test_a_host_has_files_processes_and_a_name_of_its_own(hosts):
    one, two = hosts.all
    for place in ("/tmp", SHARED_MEMORY, "/run", HOME):  # noqa: S108 - of a host
        one.run("touch", f"{place}/of-one")
        assert two.run("test", "-e", f"{place}/of-one", check=False).returncode == 1
        assert not Path(place, "of-one").exists()
    sleeping = one.popen("sh", "-c", "echo asleep; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        assert sleeping.stdout.readline() == "asleep\n"
        assert one.run("pgrep", "-cf", "[s]leep 1000").stdout == "1\n"
        assert two.run("pgrep", "-cf", "[s]leep 1000", check=False).stdout == "0\n"
    finally:
        sleeping.kill()
        sleeping.communicate()
    assert [host.run("hostname").stdout for host in (one, two)] == ["host1\n", "host2\n"]
    assert one.run("sh", "-c", "echo ~").stdout == f"{HOME}\n"


def test_a_host_sees_the_project_and_its_interpreter(hosts):
    program = "import feed, sys; print(feed.__file__, sys.prefix)"
    ran = hosts[0].run(sys.executable, "-c", program, cwd=ROOT)
    assert ran.stdout == f"{ROOT / 'feed' / '__init__.py'} {sys.prefix}\n"


def test_the_network_of_the_machine_is_not_theirs(hosts):
    ours = str(Path("/proc/self/ns/net").readlink())
    theirs = {host.run("readlink", "/proc/self/ns/net").stdout.strip() for host in (hosts.control, *hosts.all)}
    assert len(theirs | {ours}) == 4
    assert not {host.cable for host in hosts.all} & {entry.name for entry in Path("/sys/class/net").iterdir()}


def test_a_key_opens_them_from_the_control_host(hosts, tmp_path):
    assert ssh(hosts, hosts[1], "hostname && pwd").stdout == f"host2\n{HOME}\n"
    sent = hosts.folder / "sent"
    sent.write_text("by rsync")
    shell = " ".join((*SSH, "-i", f"'{hosts.key}'"))
    hosts.control.run("rsync", "-a", "-e", shell, sent, f"{USER}@{hosts[0].address}:place/")
    assert (hosts[0].home / "place" / "sent").read_text() == "by rsync"


def test_a_cable_that_is_cut_carries_nothing_until_it_is_back(hosts):
    hosts[0].cut()
    assert ssh(hosts, hosts[0], "true").returncode == 255
    hosts[0].plug()
    assert ssh(hosts, hosts[0], "true").returncode == 0


def test_a_host_that_lost_power_boots_with_its_files(hosts):
    one = hosts[0]
    for place in (HOME, SHARED_MEMORY):
        one.run("touch", f"{place}/before")
    one.power_off()
    assert not one.alive
    with pytest.raises(HostError, match="host1 is not running"):
        one.run("true")
    assert ssh(hosts, one, "true").returncode == 255
    one.boot()
    assert ssh(hosts, one, "ls before").stdout == "before\n"
    assert one.run("test", "-e", f"{SHARED_MEMORY}/before", check=False).returncode == 1
    assert hosts.all[1].run("hostname").stdout == "host2\n"


def test_bytes_that_a_host_receives_are_counted(hosts):
    before = hosts[0].received()
    command = f"head -c 3000000 /dev/urandom | {' '.join(SSH)} -i '{hosts.key}' {USER}@{hosts[0].address} 'wc -c'"
    assert hosts.control.run("bash", "-c", command).stdout == "3000000\n"
    assert 3_000_000 < hosts[0].received() - before < 3_500_000


def test_a_command_that_fails_or_takes_too_long_says_so(hosts):
    with pytest.raises(HostError, match=r"host1: exit code 3 of bash -c .*\nwhy\n"):
        hosts[0].run("bash", "-c", "echo why >&2; exit 3")
    with pytest.raises(subprocess.TimeoutExpired):
        hosts[0].run("sleep", "1000", timeout=0.2)
    assert hosts[0].run("pgrep", "-r", "S", "sleep", check=False).stdout == ""


def test_two_runs_do_not_meet(hosts, tmp_path):
    with Hosts(tmp_path / "others", 1) as others:
        assert others[0].address == hosts[0].address
        others[0].run("touch", f"{HOME}/of-others")
        assert not (hosts[0].home / "of-others").exists()
        assert ssh(others, others[0], "ls").stdout == "of-others\n"


MAKER = """import os, signal, sys, time
from pathlib import Path
from tests.support.cluster.hosts import Hosts
with Hosts(Path(sys.argv[1]), 1) as hosts:
    hosts[0].popen("sleep", "1000")
    print(*(os.readlink(f"/proc/{host._pid}/ns/pid") for host in (hosts.control, hosts[0])), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def living_in(spaces):
    """Processes whose pid namespace is one of these."""
    names = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "ns" / "pid").readlink()) in spaces:
                names.append(entry.name)
        except OSError:
            continue
    return names


@pytest.mark.usefixtures("hosts")
def test_they_end_with_a_process_that_is_killed(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", MAKER, str(tmp_path / "hosts")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    spaces = ran.stdout.split()
    assert ran.returncode == -9
    assert len(spaces) == 2
    deadline = time.monotonic() + 60
    while living_in(spaces) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert living_in(spaces) == []
