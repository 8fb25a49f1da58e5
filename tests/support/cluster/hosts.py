"""Several hosts on one Linux machine, as root: each a set of namespaces with an address, a file tree and an sshd.

A host has its own network, mounts, processes, name and shared memory. Its cable runs to a switch inside one more host,
`control`, which stands for the machine that one works at. Nothing has a name outside, so that two test runs do not
meet; the network of the machine itself is never touched. What is started ends with this process, however it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support import ROOT
from tools.kafka.tied import Starter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INIT = Path(__file__).with_name("hostinit.py")
READY_SECONDS = 20.0

USER = "ubuntu"
"""Who one is on a host: root, by the name and with the home that the image of cluster.yaml has."""
HOME = f"/home/{USER}"

TOOLS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "rsync": "rsync",
}
"""What is run, and the package that brings it."""

APART = ("--net", "--mount", "--uts", "--ipc", "--pid")
UNSHARE = ("unshare", *APART, "--fork", "--mount-proc", "--kill-child")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_SSHD = """Port 22
HostKey "{folder}/host_key"
PidFile none
AuthorizedKeysFile "{key}.pub"
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
MaxStartups 100
MaxSessions 100
PrintMotd no
PrintLastLog no
"""


class HostError(Exception):
    """A host did not start, or a command on it failed; the message ends with what it said."""


def why_not() -> str:
    """Why hosts cannot be made here, for a test that is skipped; empty where they can."""
    if not sys.platform.startswith("linux"):
        return "hosts are made of Linux namespaces"
    if os.geteuid() != 0:
        return "hosts are made by root"
    if missing := sorted({package for tool, package in TOOLS.items() if _tool(tool) is None}):
        return f"hosts need more tools: apt-get install {' '.join(missing)}"
    probe = "ip link add switch type bridge && ip link add one type veth peer name two && mount -t tmpfs tmpfs /run"
    tried = subprocess.run([*UNSHARE, "sh", "-c", probe], capture_output=True, text=True, timeout=20, check=False)
    return f"namespaces are not permitted here: {tried.stderr.strip()}" if tried.returncode else ""


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}{SYSTEM_PATH}")


@dataclass(slots=True, eq=False)
class Host:
    """One host.

    Attributes
    ----------
    name, address : str
        Its host name and IPv4 address.
    folder : Path
        Of the machine: holds ``home`` and ``tmp``, which are the host's /home and /tmp, and ``console.log``.
    number : int
        0 is control.
    """

    name: str
    address: str
    folder: Path
    number: int
    _hosts: Hosts
    _process: subprocess.Popen[str] | None = None
    _pid: int = 0

    @property
    def home(self) -> Path:
        """The home folder of its user, seen from outside."""
        return self.folder / HOME.removeprefix("/")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def words(self, *command: str | Path, env: Mapping[str, str] | None = None, cwd: str | Path = HOME) -> list[str]:
        """The command line that runs a command on it, as its user, with nothing of our environment."""
        if not self.alive:
            raise HostError(f"{self.name} is not running")
        environment = {
            "HOME": HOME,
            "USER": USER,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "PATH": f"{Path(sys.prefix) / 'bin'}:{SYSTEM_PATH}",
            **(env or {}),
        }
        return [
            *("nsenter", "--target", str(self._pid), *APART),
            *("setpriv", "--pdeathsig", "KILL"),  # or it would outlive an nsenter that a time limit kills
            *("env", "--ignore-environment", f"--chdir={cwd}"),
            *(f"{name}={value}" for name, value in environment.items()),
            *map(str, command),
        ]

    def run(
        self,
        *command: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: str | Path = HOME,
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on it to its end; stdout and stderr apart.

        Raises
        ------
        HostError
            It failed, and check says that it must not.
        """
        ran = subprocess.run(
            self.words(*command, env=env, cwd=cwd),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and ran.returncode:
            output = f"{ran.stdout}{ran.stderr}"
            raise HostError(f"{self.name}: exit code {ran.returncode} of {' '.join(map(str, command))}\n{output}")
        return ran

    def popen(
        self, *command: str | Path, env: Mapping[str, str] | None = None, cwd: str | Path = HOME, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command on it; options are those of subprocess.Popen."""
        return self._hosts.starter.popen(self.words(*command, env=env, cwd=cwd), **options)

    def boot(self) -> None:
        """Switch it on; its files are those that it had, but for /run and /dev/shm. Waits for its sshd.

        Raises
        ------
        HostError
            It runs already, or its sshd did not answer in time.
        """
        if self.alive:
            raise HostError(f"{self.name} runs already")
        with (self.folder / "console.log").open("a") as console:
            self._process = self._hosts.starter.popen(
                [*UNSHARE, sys.executable, "-I", "-S", str(INIT), str(self.folder / "host.json")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=console,
                text=True,
            )
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            raise HostError(f"{self.name} did not start:\n{self.last_lines()}")
        unshared = self._process.pid
        self._pid = int(Path(f"/proc/{unshared}/task/{unshared}/children").read_text().split()[0])
        try:
            self._hosts.connect(self)
        except HostError as error:
            raise HostError(f"{error}\n{self.last_lines()}") from None

    def power_off(self) -> None:
        """Switch it off at once; a machine without power says goodbye to nobody, so that its cable goes first."""
        self.cut()
        self.kill()

    def kill(self) -> None:
        """End all of its processes at once, with its cable as it is: the kernel closes its connections."""
        if self._process is not None:
            if self.alive and self._pid:
                os.kill(self._pid, signal.SIGKILL)  # its process 1: the kernel ends the others first
            else:
                self._process.kill()
            self._process.wait(timeout=10)
            self._process, self._pid = None, 0

    def cut(self) -> None:
        """Pull its cable."""
        self._hosts.ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        """Put its cable back."""
        self._hosts.ip("link", "set", self.cable, "up")

    @property
    def cable(self) -> str:
        """The name of its port on the switch."""
        return f"port{self.number}"

    def received(self) -> int:
        """Bytes that its network interface has received since it was switched on."""
        (link,) = json.loads(self._hosts.ip("-j", "-s", "link", "show", self.cable))
        return int(link["stats64"]["tx"]["bytes"])

    def last_lines(self) -> str:
        """The end of what its console shows."""
        return "\n".join((self.folder / "console.log").read_text(errors="replace").splitlines()[-25:])


@dataclass(slots=True)
class Hosts:
    """Hosts that live as long as this context: ``control`` and, by number, the others.

    Parameters
    ----------
    folder : Path
        For keys, logs and the hosts' files; belongs to them alone, is seen by all of them at its own path, and is left
        to the caller to remove.
    count : int
        Beside control; their names are host1, host2 ...
    kept : sequence of Path
        Folders that hosts see although they lie in a private place (/tmp, /home), beside the project, its interpreter
        and the folder above.
    shm : str
        The size of /dev/shm of each, as tmpfs wants it.

    Raises
    ------
    HostError
        One did not start.
    """

    folder: Path
    count: int = 3
    kept: Sequence[Path] = ()
    shm: str = "2g"
    starter: Starter = field(default_factory=Starter)
    control: Host = field(init=False)
    all: list[Host] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.control, *self.all = (
            Host(
                f"host{number}" if number else "control",
                f"10.77.0.{number + 1}",
                self.folder / str(number),
                number,
                self,
            )
            for number in range(self.count + 1)
        )

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _make_key(self.key)
            for host in (self.control, *self.all):
                self._prepare(host)
            self.control.boot()
            for host in self.all:
                host.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_raised: object) -> None:
        """Switch everything off."""
        for host in (*self.all, self.control):
            host.kill()
        self.starter.close()

    def __getitem__(self, number: int) -> Host:
        return self.all[number]

    @property
    def key(self) -> Path:
        """The private key that opens every host."""
        return self.folder / "key"

    def ip(self, *words: str) -> str:
        """Run ip beside the switch; what it wrote."""
        return _ip(self.control._pid, *words)

    def connect(self, host: Host) -> None:
        """Give a host that has just been switched on its interface, and wait until its sshd answers."""
        _ip(host._pid, "link", "set", "lo", "up")
        if host is self.control:
            self.ip("link", "add", "switch", "type", "bridge")
            self.ip("addr", "add", f"{host.address}/24", "dev", "switch")
            self.ip("link", "set", "switch", "up")
            return
        # what is left of the port of a host that was switched off: its other end goes with the host, but not at once
        with suppress(HostError):
            self.ip("link", "del", host.cable)
        address = f"02:00:00:00:00:{host.number:02x}"  # a machine keeps it over a boot, and others remember it
        ends = ("type", "veth", "peer", "name", "eth0", "address", address, "netns", str(host._pid))
        self.ip("link", "add", host.cable, *ends)
        self.ip("link", "set", host.cable, "master", "switch", "up")
        _ip(host._pid, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _ip(host._pid, "link", "set", "eth0", "up")
        # leads nowhere: without one, Ray does not find out which address is its own
        _ip(host._pid, "route", "add", "default", "via", self.control.address)
        _until(lambda: _answers(self.control, host), f"{host.name} answers")

    def _prepare(self, host: Host) -> None:
        """Write what a host finds when it is switched on."""
        files = {
            name: host.folder / name.rpartition("/")[2] for name in ("/etc/hosts", "/etc/passwd", "/etc/resolv.conf")
        }
        for place in ("tmp", "home"):
            (host.folder / place).mkdir(parents=True)
        (host.folder / "tmp").chmod(0o1777)
        host.home.mkdir()
        names = ["127.0.0.1 localhost", *(f"{each.address} {each.name}" for each in (self.control, *self.all))]
        files["/etc/hosts"].write_text("".join(f"{line}\n" for line in names))
        files["/etc/resolv.conf"].write_text("")  # no server: whoever asks for a name does not wait for an answer
        others = Path("/etc/passwd").read_text()
        files["/etc/passwd"].write_text(f"{USER}:x:0:0::{HOME}:/bin/bash\n{others}")
        (host.folder / "sshd_config").write_text(_SSHD.format(folder=host.folder, key=self.key))
        command = ["sleep", "infinity"]
        if host is not self.control:
            _make_key(host.folder / "host_key")
            command = [str(_tool("sshd")), "-D", "-e", "-f", str(host.folder / "sshd_config")]
        described = {
            "name": host.name,
            "private": {f"/{place}": str(host.folder / place) for place in ("tmp", "home")},
            "kept": [str(each) for each in (ROOT, Path(sys.prefix), Path(sys.base_prefix), self.folder, *self.kept)],
            "files": {name: str(path) for name, path in files.items()},
            "shm": self.shm,
            "command": command,
        }
        (host.folder / "host.json").write_text(json.dumps(described))


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", USER, "-f", path], check=True, timeout=30)


def _ip(pid: int, *words: str) -> str:
    """Run ip in the network of a process; what it wrote."""
    command = ["nsenter", "--target", str(pid), "--net", "ip", *words]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if ran.returncode:
        raise HostError(f"ip {' '.join(words)}: {ran.stderr.strip()}")
    return ran.stdout


def _answers(control: Host, host: Host) -> bool:
    if not host.alive:
        raise HostError(f"{host.name} ended")
    probe = f"exec 3<>/dev/tcp/{host.address}/22 && read -r -t 2 said <&3 && [[ $said == SSH-* ]]"
    return control.run("bash", "-c", probe, timeout=20, check=False).returncode == 0


def _until(met: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not met():
        if time.monotonic() > deadline:
            raise HostError(f"not within {READY_SECONDS:.0f} s: {what}")
        time.sleep(0.05)
