"""What a head, a worker and a single node answer on the network to somebody without the token."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import yaml

from allocator.kernels import compile_all
from allocator.kernels.compiling import cache_folder
from tests.support.aws import clusterfile
from tests.support.aws.clusterfile import ROOT
from tests.support.cluster.hosts import USER, Hosts, why_not

pytestmark = pytest.mark.cluster

PROBE = ROOT / "tests" / "support" / "cluster" / "probe.py"
OWN, WRONG = "1" * 64, "0" * 64
SMALL = "--object-store-memory=200000000 --num-cpus=1"
TASK = "import ray; ray.init('auto'); ray.get(ray.remote(lambda: 1).remote()); print('done', flush=True); input()"
STRANGER = {"HOME": "/tmp", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": WRONG}  # noqa: S108 - of a host
OF = {
    "sshd": r"sshd",
    "GCS": r"gcs_server",
    "raylet": r"raylet/raylet ",
    "client server": r"ray\.util\.client\.server",
    "dashboard": r"dashboard/dashboard\.py",
    "autoscaler": r"_private/monitor\.py",
    "agent": r"ray::DashboardAgent",
    "runtime environment agent": r"ray::RuntimeEnvAgent",
    "worker": r"ray::(?!DashboardAgent|RuntimeEnvAgent)",
    "driver": r"-m sweep|import ray;",
}
"""Every process that may listen, by what its command line holds."""
OF_GRPC = ("health", "channelz", "reflection")


@dataclass(frozen=True)
class Listener:
    """A socket that listens: its port, the process and what it is bound to."""

    port: int
    of: str
    bound: str

    @property
    def on(self):
        if self.bound.removeprefix("::ffff:").startswith("127.") or self.bound == "::1":
            return "loopback"
        return "all addresses" if self.bound in {"*", "0.0.0.0", "::"} else "its address"  # noqa: S104 - as ss says


def processes(host):
    return dict(line.split(None, 1) for line in host.run("ps", "-eo", "pid=,args=").stdout.splitlines())


def listeners(host):
    """What listens on a host; a process that is not known goes by its command line."""
    running = processes(host)
    listening = set()
    for line in host.run("ss", "-ltnpH").stdout.splitlines():
        address, port = re.match(r"LISTEN +\d+ +\d+ +(\S+):(\d+) ", line).groups()
        command = running[re.search(r"pid=(\d+)", line)[1]]
        of = next((name for name, pattern in OF.items() if re.search(pattern, command)), command)
        listening.add(Listener(int(port), of, address.strip("[]").partition("%")[0]))
    return listening


def probed(stranger, host, listening, *token):
    """What a stranger is told, by port."""
    ports = ",".join(str(port) for port in sorted({each.port for each in listening if each.on != "loopback"}))
    ran = stranger.run(sys.executable, PROBE, host.address, ports, *token, env=STRANGER, timeout=120)
    return {int(port): answers for port, answers in json.loads(ran.stdout).items()}


def open_ports(stranger, host, ports):
    """Those of the ports to which a connection is made."""
    attempts = "".join(f"(timeout 2 bash -c '</dev/tcp/{host.address}/{port}' && echo {port}) & " for port in ports)
    return sorted(map(int, stranger.run("bash", "-c", f"{attempts} wait").stdout.split()))


def verdict(answers):
    """A port's answers in the words of the table."""
    refused, answered = answers["refused"], answers["answered"]
    of_grpc = {word for word in OF_GRPC for each in answered if each.lower().startswith(f"/grpc.{word}.")}
    if refused and len(answered) == sum(each.startswith("/grpc.") for each in answered):
        return "refuses" + (f", but {', '.join(each for each in OF_GRPC if each in of_grpc)}" if of_grpc else "")
    if not refused and "GET /metrics 200" in answered:
        return "metrics"
    if not refused and answered and answered[0].startswith("SSH-"):
        return "asks for a key"
    return str(answers)


def documented():
    """The rows of the table of docs/ec2.md."""
    table = (ROOT / "docs" / "ec2.md").read_text().partition("| port | of |")[2].partition("\n\n")[0]
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]}


def rows(listening, answers):
    """What was found, as rows of the table; a port that Ray chooses anew each time is any."""
    fixed = {int(port) for port, *_ in documented() if port != "any"}
    return {
        (
            str(each.port) if each.port in fixed else "any",
            each.of,
            each.on,
            "" if each.on == "loopback" else verdict(answers[each.port]),
        )
        for each in listening
    }


def autoscaling(head):
    """What `ray up` would leave for the autoscaler on a head that shall start nothing."""
    from ray.autoscaler._private.util import prepare_config

    provider = {"type": "local", "head_ip": head.address, "worker_ips": []}
    return prepare_config({"cluster_name": "ports", "provider": provider, "auth": {"ssh_user": USER}})


def start(host, command, head):
    """Start a node by a line of cluster.yaml, as Ray runs it."""
    environment = {"RAY_HEAD_IP": head.address, "RAY_USAGE_STATS_ENABLED": "0"}
    host.run("bash", "-c", command.replace("ray start", f"ray start {SMALL}"), env=environment)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Hosts with the start commands of cluster.yaml run on them: the first is the head; control has no token."""
    if reason := why_not():
        pytest.skip(reason)
    compile_all()
    with Hosts(tmp_path_factory.mktemp("ports") / "hosts", 2, kept=[cache_folder().parent], shm="8g") as hosts:
        for host in hosts.all:
            (host.home / ".ray").mkdir()
            (host.home / ".ray" / "auth_token").write_text(OWN)
        head, worker = hosts.all
        (head.home / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(autoscaling(head)))
        config = clusterfile.cluster()
        start(head, config["head_start_ray_commands"][-1], head)
        start(worker, config["worker_start_ray_commands"][-1], head)
        # a worker process comes with the first task, and goes with its driver
        driver = head.popen(
            *(sys.executable, "-c", TASK),
            env={"RAY_AUTH_MODE": "token"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "done\n" in iter(driver.stdout.readline, "")
        yield hosts


@pytest.fixture(scope="module")
def attempts(cluster):
    """Ray's own clients in the hands of a stranger, and what they should end with; some try for long."""
    head = cluster[0].address
    clients = {
        f"ray.init('{head}:6379')": "Failed to connect to Ray cluster",
        f"JobSubmissionClient('http://{head}:52365').list_jobs()": "Invalid authentication token",
        f"JobSubmissionClient('http://{head}:8265').list_jobs()": "Failed to connect to Ray at address",
    }
    return {
        refusal: cluster.control.popen(
            *(sys.executable, "-c", f"import ray; from ray.job_submission import *; {client}"),
            env=STRANGER,
            stderr=subprocess.PIPE,
            text=True,
        )
        for client, refusal in clients.items()
    }


@pytest.fixture(scope="module")
def listening(cluster):
    return {host: listeners(host) for host in cluster.all}


@pytest.mark.usefixtures("attempts")
class TestOfACluster:
    @pytest.mark.parametrize("token", [(), (WRONG,)], ids=["without a token", "with a wrong one"])
    def test_the_table_says_what_every_port_answers(self, cluster, listening, token):
        met = set()
        for host in cluster.all:
            met |= rows(listening[host], probed(cluster.control, host, listening[host], *token))
        assert met == documented()

    def test_with_the_token_what_was_refused_is_answered(self, cluster, listening):
        for host in cluster.all:
            answers = probed(cluster.control, host, listening[host], "--own", OWN)
            assert not [port for port in answers if answers[port]["refused"]]
            answering = {
                each.of for each in listening[host] if each.on != "loopback" and answers[each.port]["answered"]
            }
            assert answering >= {"raylet", "agent", "runtime environment agent"}

    def test_ray_s_own_clients_are_refused(self, attempts):
        for refusal, process in attempts.items():
            _, stderr = process.communicate(timeout=90)
            assert process.returncode != 0
            assert refusal in stderr


class TestOfASingleNode:
    """`python -m sweep` and `python -m feed broker` on one host."""

    @pytest.fixture
    def node(self, cluster):
        """A host that is no node of the cluster, and starts things in our checkout; they end with the test."""
        started = []

        def start(*words):
            environment = {"SOR_SWEEP_CACHE_DIR": str(cache_folder().parent)}
            process = cluster.control.popen(
                *(sys.executable, "-m", *words),
                env=environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(process)
            return process

        yield cluster.control, start
        for process in started:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)

    def test_the_broker_listens_on_loopback_only(self, node):
        host, start = node
        broker = start("feed", "broker", "--port", "9092")
        assert broker.stdout.readline().startswith("kafka://127.0.0.1:9092/")
        listening = listeners(host)
        assert 9092 in {each.port for each in listening}
        assert {each.on for each in listening} == {"loopback"}

    def test_a_sweep_with_the_embedded_broker_lets_nobody_in(self, cluster, node):
        host, start = node
        sweep = start("sweep", "workers=1", "collapse=false", "grid.theta_queue={start: 0, stop: 1, num: 1000000}")
        lines = iter(sweep.stderr.readline, "")
        broker = int(next(filter(None, (re.search(r"embedded broker at \S+:(\d+)", line) for line in lines)))[1])
        next(line for line in lines if " digest " in line)
        time.sleep(1)
        listening = listeners(host)
        assert {each.on for each in listening if each.port == broker} == {"loopback"}
        assert {each.of for each in listening if each.on != "loopback"} == {"driver", "GCS", "raylet", "worker"}
        met = rows(listening, probed(cluster[1], host, listening))
        assert not {row[1:] for row in met if row[2] != "loopback"} - {row[1:] for row in documented()}
        assert sweep.poll() is None


def test_the_firewall_of_the_readme_leaves_22_only(cluster, listening):
    if shutil.which("nft") is None:
        pytest.skip("the firewall needs nft: apt-get install nftables")
    worker = cluster[1]
    wide = sorted({each.port for each in listening[worker] if each.on != "loopback"})
    assert open_ports(cluster.control, worker, wide) == wide
    (rules,) = re.findall(r"^```nft\n(.*?)^```$", (ROOT / "docs" / "ec2.md").read_text(), re.MULTILINE | re.DOTALL)
    (worker.folder / "tmp" / "rules").write_text(rules)
    worker.run("nft", "-f", "/tmp/rules")  # noqa: S108 - of a host
    assert open_ports(cluster.control, worker, wide) == [22]
    loopback = "exec 3<>/dev/tcp/127.0.0.1/52365"
    assert worker.run("bash", "-c", loopback, check=False).returncode == 0


def test_a_call_that_ends_the_gcs_is_why_the_token_is_not_enough(cluster):
    """Last: there is no cluster afterwards. Where it fails, Ray has mended it, and docs/ec2.md need not warn."""
    call = f"""import grpc
with grpc.insecure_channel("{cluster[0].address}:6379") as channel:
    try:
        channel.unary_unary("/ray.rpc.syncer.RaySyncer/StartSync", bytes, bytes)(b"", timeout=5)
    except grpc.RpcError as error:
        print(error.code().name)
"""
    assert cluster.control.run(sys.executable, "-c", call, env=STRANGER).stdout == "UNAVAILABLE\n"
    deadline = time.monotonic() + 60
    while "gcs_server" in " ".join(processes(cluster[0]).values()):
        assert time.monotonic() < deadline, "the GCS goes on"
        time.sleep(0.1)
