"""cluster.yaml on hosts made of namespaces: `ray up` as it is, over ssh and rsync, without the internet.

What a cloud would add is replaced, everything else of cluster.yaml is kept: the nodes are given by address, and their
image brings a virtual environment in which nothing but the project itself is missing.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import yaml
from numba.core.caching import _CacheLocator

from allocator.kernels import compile_all
from allocator.kernels.compiling import cache_folder
from tests.support.cluster.hosts import HOME, ROOT, Host, Hosts

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

LOOKING = "AUTOSCALER_UPDATE_INTERVAL_S=1"
"""How often the autoscaler looks at its nodes; every 5 s by default."""
RECOVERY = f"AUTOSCALER_HEARTBEAT_TIMEOUT_S=10 {LOOKING}"
"""When the autoscaler starts Ray again on a node that does not report; half a minute by default."""

PROJECT = f"{HOME}/sor-sweep"
KERNELS = "allocator/kernels/walk.py"

OF_A_CLOUD = ("head_node_type", "available_node_types")
"""Keys that Ray refuses where the nodes are given by address."""

_RAY = f"""#!{HOME}/venv/bin/python
import sys
from ray.scripts.scripts import main
sys.exit(main())
"""

_PIP = f"""#!{HOME}/venv/bin/python
import sys
from importlib.metadata import version
from pathlib import Path
words = sys.argv[sys.argv.index("constraints.txt") + 1:]
if words[0] == "-e":
    Path({str(HOME)!r}, "venv", "editable").write_text(words[1])
    site = next(path for path in sys.path if path.startswith({str(HOME)!r}) and path.endswith("site-packages"))
    Path(site, "project.pth").write_text(str(Path(words[1]).resolve()) + "\\n")
else:
    print(*map(version, words))
"""


def bake(host: Host) -> None:
    """Give a host what its image would hold: a virtual environment like ours but without the project, and kernels."""
    base = getattr(sys, "_base_executable", sys.executable)
    host.run(base, "-m", "venv", "--without-pip", f"{HOME}/venv")
    (site,) = (host.home / "venv" / "lib").glob("python*/site-packages")
    # the folder of a .pth is searched, but what its own .pth files name, such as our checkout, is not
    (site / "image.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for name, text in (("ray", _RAY), ("pip", _PIP)):
        script = host.home / "venv" / "bin" / name
        script.write_text(text)
        script.chmod(0o755)
    (host.home / ".profile").write_text(". ~/.bashrc\n")
    (host.home / ".bashrc").write_text("")
    if (kernels := cache_folder()) is not None:
        # kept by the path of their sources, and valid for those of the same size and time, which rsync preserves
        ours, theirs = (_CacheLocator.get_suitable_cache_subpath(f"{root}/{KERNELS}") for root in (ROOT, PROJECT))
        cache = host.home / ".cache" / "sor-sweep"
        shutil.copytree(kernels / ours, cache / kernels.name / theirs)
        for folder in (cache.parent, cache, cache / kernels.name):
            folder.chmod(0o700)


def derive(cluster: Mapping[str, Any], hosts: Hosts, on_head: str, on_workers: str) -> dict[str, Any]:
    """The cluster file of these hosts, of which the first is the head; further words for `ray start` on each kind."""
    head, *workers = hosts.all

    def starting(command: str, words: str) -> str:
        return f"export {RECOVERY}; {command} {words}" if "ray start" in command else command

    return {
        **{key: value for key, value in cluster.items() if key not in OF_A_CLOUD},
        "provider": {
            "type": "local",
            "head_ip": head.address,
            "worker_ips": [worker.address for worker in workers],
        },
        "auth": {**cluster["auth"], "ssh_private_key": str(hosts.key)},
        "min_workers": len(workers),
        "max_workers": len(workers),
        "setup_commands": [command for command in cluster["setup_commands"] if "apt-get" not in command],
        "head_start_ray_commands": [
            starting(command, f"--node-ip-address={head.address} {on_head}")
            for command in cluster["head_start_ray_commands"]
        ],
        "worker_start_ray_commands": [
            starting(command, on_workers) for command in cluster["worker_start_ray_commands"]
        ],
    }


class RayCluster:
    """A cluster that `ray up` starts on hosts.

    Parameters
    ----------
    hosts : Hosts
        The first is the head.
    cpus : sequence of int
        Of the head, and of each worker.
    object_store : int
        Bytes of each.
    """

    def __init__(self, hosts: Hosts, cpus: tuple[int, int] = (0, 1), object_store: int = 300_000_000) -> None:
        self.hosts, self.head, self.workers = hosts, hosts[0], hosts.all[1:]
        self._file = hosts.folder / "cluster.yaml"
        cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
        words = (f"--num-cpus={count} --object-store-memory={object_store}" for count in cpus)
        self._file.write_text(yaml.safe_dump(derive(cluster, hosts, *words), sort_keys=False, width=10_000))
        compile_all()
        for host in hosts.all:
            bake(host)
        self._ray("get-auth-token", "--generate")

    def _ray(self, *words: str | Path, timeout: float = 170) -> subprocess.CompletedProcess[str]:
        """Run ray at the control host, in the checkout, as the README says."""
        # Ray 2.60 starts one worker too few on given addresses otherwise
        environment = {"RAY_UP_enable_autoscaler_v2": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
        return self.hosts.control.run("ray", *words, env=environment, cwd=ROOT, timeout=timeout)

    def up(self) -> str:
        """`ray up`, and wait until every host is a node of it; what it said."""
        stdout = self._ray("up", "--yes", "--no-config-cache", self._file).stdout
        self.wait(host.address for host in self.hosts.all)
        return stdout

    def down(self) -> str:
        """`ray down`, which on given addresses stops the head's Ray only; what it said."""
        return self._ray("down", "--yes", self._file).stdout

    def execute(self, command: str) -> str:
        """`ray exec` on the head; what it said."""
        return self._ray("exec", self._file, command).stdout

    def python(self, program: str, *words: str, timeout: float = 60) -> str:
        """Run a program on the head, in the project that was shipped; what it wrote on stdout."""
        return self.head.run(*self.words("python", "-c", program, *words), timeout=timeout).stdout

    def words(self, *command: str | Path) -> list[str]:
        """A command line for the user's shell on a node, in the project that was shipped."""
        return ["bash", "-c", f"source ~/.bashrc && cd ~/sor-sweep && exec {shlex.join(map(str, command))}"]

    def tasks(self) -> list[dict[str, str]]:
        """Attempts of tasks of the newest job that ran any: function, address of the node, state."""
        return json.loads(self.python(_TASKS))

    def wait(self, addresses: Any, seconds: float = 150) -> None:
        """Wait until the nodes that are alive are those with these addresses."""
        self.python(_WAIT, str(seconds), *sorted(addresses), timeout=seconds + 60)


_WAIT = """import sys, time, ray
ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
seconds, *wanted = sys.argv[1:]
deadline = time.monotonic() + float(seconds)
while True:
    alive = sorted(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])
    if alive == wanted:
        break
    if time.monotonic() > deadline:
        sys.exit("alive: " + " ".join(alive))
    time.sleep(0.2)
"""

_TASKS = """import json, ray
from ray.util.state import list_jobs, list_tasks
ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
tasks = list_tasks(limit=10_000, raise_on_missing_output=False)
newest = max(task.job_id for task in tasks)
print(json.dumps([
    {"function": task.func_or_class_name, "address": nodes.get(task.node_id), "state": task.state}
    for task in tasks if task.job_id == newest
]))
"""
