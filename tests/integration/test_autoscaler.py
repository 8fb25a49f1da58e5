"""cluster.yaml by `ray up`, the autoscaler's own calls of EC2, and `ray down`; EC2 is moto, its instances are hosts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
import yaml

from allocator.kernels import compile_all
from tests.support.aws import cloud, policies
from tests.support.aws.clusterfile import ROOT, cluster
from tests.support.cluster.hosts import Hosts, why_not
from tests.support.cluster.raycluster import LOOKING, bake

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

MOST = 2
"""Workers at most."""
SPARE = 2
"""Machines beyond those: a worker that a slow machine makes late is given up, and another one is asked for."""
IDLE_MINUTES = 0.2
SWEEP = (
    "collapse=false",
    "policy=pseudocode",
    "order.size=200000",
    "grid.theta_queue={start: 0, stop: 0.05, num: 600}",
)
"""Seconds of work for the workers, which come one after the other."""


class Cloud:
    """The stand-in on the control host, and what it says about its instances, the last of each."""

    def __init__(self, hosts):
        self.hosts, self.instances, self.history = hosts, {}, []
        self._changed = threading.Condition()
        with (hosts.folder / "cloud.log").open("w") as log:
            self._process = hosts.control.popen(
                *(sys.executable, cloud.__file__, hosts.folder, hosts.control.address),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.described = json.loads(self._process.stdout.readline())
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        """Note every change; a machine that is terminated has no power."""
        for line in self._process.stdout:
            instance = json.loads(line)
            if instance["state"] == "terminated":
                self.host(instance).power_off()
            with self._changed:
                self.instances[instance["id"]] = instance
                self.history.append(instance)
                self._changed.notify_all()

    def host(self, instance):
        return next(host for host in self.hosts.all if host.address == instance["address"])

    def workers(self, **wanted):
        """The workers that were ever in this state, by id."""
        return {
            instance["id"]
            for instance in self.history
            if instance["kind"] == "worker" and wanted.items() <= instance.items()
        }

    def wait(self, met, seconds):
        with self._changed:
            assert self._changed.wait_for(met, seconds), self.history

    def environment(self, signer):
        """What boto3 needs to find it; signer tells in the record who asked."""
        return {
            "AWS_ENDPOINT_URL": self.described["endpoint"],
            "AWS_ACCESS_KEY_ID": signer,
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def close(self):
        self._process.kill()
        self._process.wait(timeout=10)
        self._thread.join(timeout=10)


def derived(described, hosts, head_environment):
    """cluster.yaml for this cloud: what only an account knows is filled in, apt is left out, the workers are small."""
    config = cluster(described["image"])
    config["provider"] |= {"availability_zone": cloud.ZONE, "use_internal_ips": True}
    config["auth"]["ssh_private_key"] = str(hosts.key)
    for kind in config["available_node_types"].values():
        kind["node_config"] |= {"KeyName": described["key"], "SubnetIds": [described["subnet"]]}
    head, worker = (config["available_node_types"][name] for name in ("head", "worker"))
    head["node_config"]["IamInstanceProfile"] = {"Arn": described["profile"]}
    worker["node_config"]["InstanceType"] = "c7i.large"
    worker["max_workers"] = config["max_workers"] = MOST
    config["idle_timeout_minutes"] = IDLE_MINUTES
    config["setup_commands"] = [command for command in config["setup_commands"] if "apt-get" not in command]
    exported = " ".join([*(f"{name}={value}" for name, value in head_environment.items()), LOOKING])
    config["head_setup_commands"].append(f"echo 'export {exported}' >> ~/.bashrc")
    return config


@pytest.fixture(scope="module")
def quotes(tmp_path_factory):
    path = tmp_path_factory.mktemp("quotes") / "quotes.csv.gz"
    synth = [sys.executable, "-m", "feed", "synth", path, "--minutes", "40", "--venues", "8"]
    subprocess.run(synth, cwd=ROOT, timeout=60, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def at(tmp_path_factory, quotes):
    if reason := why_not():
        pytest.skip(reason)
    compile_all()
    folder = tmp_path_factory.mktemp("autoscaler") / "hosts"
    with Hosts(folder, cloud.FIRST_HOST + MOST + SPARE, kept=[quotes.parent], shm="16g") as hosts:
        for host in hosts.all[cloud.FIRST_HOST - 1 :]:
            bake(host)
        fake_cloud = Cloud(hosts)
        file = folder / "cluster.yaml"
        config = derived(fake_cloud.described, hosts, fake_cloud.environment("head"))
        file.write_text(yaml.safe_dump(config, sort_keys=False, width=10_000))
        hosts.control.run("ray", "get-auth-token", "--generate")
        yield fake_cloud
        fake_cloud.close()


def ray(at, *words, timeout=300):
    """Run ray at the control host, in the checkout, as the README says."""
    return at.hosts.control.run("ray", *words, env=at.environment("laptop"), cwd=ROOT, timeout=timeout)


def rows(output):
    (path,) = output.rglob("results.parquet")
    return path.read_bytes()


class TestTheCluster:
    """From nothing to workers, and back to nothing."""

    def test_ray_up_starts_a_head_alone(self, at):
        ray(at, "up", "--yes", "--no-config-cache", at.hosts.folder / "cluster.yaml")
        (head,) = at.instances.values()
        assert (head["kind"], head["state"], head["status"]) == ("head", "running", "up-to-date")

    def test_a_sweep_brings_workers_and_gives_the_rows_of_one_process(self, at, quotes, tmp_path):
        output = at.hosts.folder / "output"
        words = " ".join(f"'{word}'" for word in (f"source={quotes}", *SWEEP))
        command = f"cd ~/sor-sweep && python -m sweep address=auto {words} --output {output}"
        ray(at, "exec", at.hosts.folder / "cluster.yaml", command)
        at.wait(lambda: len(at.workers(status="up-to-date")) == MOST, 120)
        inline = [
            sys.executable,
            "-m",
            "sweep",
            "executor=inline",
            f"source={quotes}",
            *SWEEP,
            "collapse=true",
            "--output",
            tmp_path,
        ]
        subprocess.run(inline, cwd=ROOT, timeout=120, check=True, capture_output=True)
        assert rows(output) == rows(tmp_path)

    def test_idle_workers_are_terminated(self, at):
        at.wait(lambda: len(at.workers()) >= MOST and at.workers(state="terminated") == at.workers(), 170)
        (head,) = (instance for instance in at.instances.values() if instance["kind"] == "head")
        assert head["state"] == "running"

    def test_ray_down_leaves_nothing(self, at):
        ray(at, "down", "--yes", at.hosts.folder / "cluster.yaml")
        at.wait(lambda: {instance["state"] for instance in at.instances.values()} == {"terminated"}, 120)

    def test_what_the_head_asked_of_ec2_is_what_its_policy_allows(self, at):
        workers = cluster()["available_node_types"]["worker"]["node_config"]["InstanceType"]
        asked = [each for each in policies.recorded(at.hosts.folder / cloud.RECORD) if each.signer == "head"]
        started = [each for each in asked if each.action == "RunInstances"]
        assert {each.parameters["InstanceMarketOptions.MarketType"] for each in started} == {"spot"}
        # the workers here are small, those of the policy are cluster.yaml's
        for each in started:
            each.parameters["InstanceType"] = workers
        policies.check(policies.published("`head.json`"), asked, {"ray-cluster-name": "sor-sweep"})
