"""cluster.yaml against Ray's schema, its AWS bootstrapper and the `ray up` and `ray down` executables; EC2 is moto."""

from __future__ import annotations

import copy
import http.client
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.aws import policies
from tests.support.aws.clusterfile import PLACEHOLDER, ROOT, cluster, one_node, text

REGION = "us-east-1"
PROFILE = "ray-autoscaler-v1"
USER = "laptop"
"""The access key that `ray up` and `ray down` sign with; the tests themselves sign with another."""
OWN_PROFILE = "arn:aws:iam::ACCOUNT:instance-profile/NAME"

pytestmark = pytest.mark.cluster


def launched(ec2):
    return [instance for answer in ec2.describe_instances()["Reservations"] for instance in answer["Instances"]]


def make_profile(iam, name=PROFILE):
    """Make an instance profile and its role: where Ray makes its own, it sleeps half a minute."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    made = iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return made["InstanceProfile"]["Arn"]


@pytest.fixture(scope="class")
def environment():
    """A monkeypatch that lasts as long as a class."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="class")
def home(tmp_path_factory, environment):
    """A home of its own, with stand-ins for credentials and the token; nothing of the user's is read or written."""
    place = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("AWS_", "RAY_")) or name.lower().endswith("_proxy"):
            environment.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.setenv(name, "testing")
    environment.setenv("AWS_DEFAULT_REGION", REGION)
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
    environment.setenv("HOME", str(place))
    (place / ".ray").mkdir()
    (place / ".ray" / "auth_token").write_text("0" * 64)
    return place


@pytest.fixture(scope="class")
def aws(home):
    """Stand-ins for EC2 and IAM in this process: a client of EC2, and an image that exists there."""
    import boto3
    from moto import mock_aws

    with mock_aws():
        ec2 = boto3.client("ec2", REGION)
        make_profile(boto3.client("iam", REGION))
        yield ec2, ec2.describe_images()["Images"][0]["ImageId"]


@pytest.fixture(scope="class")
def bootstrapped(aws):
    """What Ray's AWS bootstrapper makes of cluster.yaml."""
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config

    config = AWSNodeProvider.fillout_available_node_types_resources(prepare_config(cluster(aws[1])))
    return bootstrap_aws(config)


def asked_of_ec2(monkeypatch):
    """A list that grows by the parameters of every RunInstances."""
    from botocore.client import BaseClient

    asked = []
    call = BaseClient._make_api_call

    def listen(client, operation, parameters):
        if operation == "RunInstances":
            asked.append(parameters)
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", listen)
    return asked


def start(config, name):
    """Start a node of a kind, as Ray's autoscaler does."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    tags = {"ray-node-kind": name, "ray-user-node-type": name, "ray-node-status": "new"}
    provider.create_node(config["available_node_types"][name]["node_config"], tags, 1)


@pytest.mark.parametrize("change", [str, one_node])
def test_ray_s_schema_accepts_it_and_would_refuse_a_misspelt_key(change):
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(cluster(change=change))
    validate_config(config)
    misspelt = copy.deepcopy(config)
    misspelt["idle_timeout_minute"] = 5
    with pytest.raises(ValidationError, match="idle_timeout_minute"):
        validate_config(misspelt)


def test_a_value_that_must_be_replaced_is_marked_and_cannot_work():
    marked = text()[text().index("# REPLACE:") :]
    value = next(line for line in marked.splitlines() if not line.lstrip().startswith("#"))
    assert value.split() == ["ImageId:", "&image", PLACEHOLDER]
    assert text().count(PLACEHOLDER) == 1
    assert not re.fullmatch(r"ami-[0-9a-f]{8,17}", PLACEHOLDER)
    assert [kind["node_config"]["ImageId"] for kind in cluster()["available_node_types"].values()] == [PLACEHOLDER] * 2


def test_what_is_mounted_is_what_the_installation_needs():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    mounts = cluster()["file_mounts"]
    packages = {name.partition(".")[0] for name in project["tool"]["setuptools"]["packages"]}
    files = {"pyproject.toml", "constraints.txt", project["project"]["readme"], *project["project"]["license-files"]}
    assert mounts.pop("/home/ubuntu/.ray/auth_token") == "~/.ray/auth_token"
    assert mounts == {f"/home/ubuntu/sor-sweep/{name}": name for name in packages | files}


def test_no_foreign_host_is_named():
    assert "://" not in text()


class TestBootstrap:
    def test_only_ssh_is_open_to_the_world(self, aws, bootstrapped):
        ec2, _ = aws
        for kind in bootstrapped["available_node_types"].values():
            groups = ec2.describe_security_groups(GroupIds=kind["node_config"]["SecurityGroupIds"])["SecurityGroups"]
            assert [group["GroupName"] for group in groups] == ["sor-sweep"]
            rules = [rule for group in groups for rule in group["IpPermissions"]]
            open_to_the_world = [rule for rule in rules if rule["IpRanges"] or rule.get("Ipv6Ranges")]
            assert [(rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) for rule in open_to_the_world] == [
                (22, 22, "tcp"),
            ]
            members = [pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]]
            assert set(members) == {group["GroupId"] for group in groups}

    def test_head_coordinates_and_only_it_may_start_instances(self, bootstrapped):
        kinds = bootstrapped["available_node_types"]
        assert kinds["head"]["resources"]["CPU"] == 0
        assert kinds["worker"]["resources"]["CPU"] == 16
        assert kinds["worker"]["min_workers"] == 0
        assert kinds["worker"]["max_workers"] == bootstrapped["max_workers"] > 0
        assert bootstrapped["head_node"]["IamInstanceProfile"]["Arn"].endswith(PROFILE)
        assert "IamInstanceProfile" not in kinds["worker"]["node_config"]

    def test_workers_may_start_in_several_zones(self, aws, bootstrapped):
        ec2, _ = aws
        subnets = bootstrapped["available_node_types"]["worker"]["node_config"]["SubnetIds"]
        zones = {subnet["AvailabilityZone"] for subnet in ec2.describe_subnets(SubnetIds=subnets)["Subnets"]}
        assert len(zones) >= 3
        assert zones == set(bootstrapped["provider"]["availability_zone"].split(","))

    def test_instances_are_as_described(self, aws, bootstrapped, monkeypatch):
        ec2, image = aws
        asked = asked_of_ec2(monkeypatch)
        for name in ("head", "worker"):
            start(bootstrapped, name)
        head, worker = asked
        for request in asked:
            assert request["ImageId"] == image
            assert request["MetadataOptions"] == {
                "HttpEndpoint": "enabled",
                "HttpTokens": "required",
                "HttpPutResponseHopLimit": 1,
            }
            (disk,) = request["BlockDeviceMappings"]
            assert disk["Ebs"]["Encrypted"]
            assert disk["Ebs"]["DeleteOnTermination"]
            assert disk["Ebs"]["VolumeType"] == "gp3"
        assert (head["InstanceType"], worker["InstanceType"]) == ("m7i.large", "c7i.4xlarge")
        assert "InstanceMarketOptions" not in head
        assert worker["InstanceMarketOptions"]["MarketType"] == "spot"
        assert worker["InstanceMarketOptions"]["SpotOptions"]["InstanceInterruptionBehavior"] == "terminate"
        volumes = ec2.describe_volumes()["Volumes"]
        assert len(volumes) == 2
        assert all(volume["Encrypted"] for volume in volumes)

    def test_a_parameter_s_name_instead_of_an_image_reaches_ec2_as_it_is(self, bootstrapped, monkeypatch):
        name = re.search(r"--name (/aws/service/\S+)", text())[1]
        kinds = {kind: each["node_config"] for kind, each in bootstrapped["available_node_types"].items()}
        monkeypatch.setitem(kinds["worker"], "ImageId", f"resolve:ssm:{name}")
        asked = asked_of_ec2(monkeypatch)
        start(bootstrapped, "worker")
        assert [request["ImageId"] for request in asked] == [f"resolve:ssm:{name}"]

    def test_one_node_has_all_cpus_of_its_machine_and_no_workers(self, aws):
        from ray.autoscaler._private.aws.config import bootstrap_aws
        from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
        from ray.autoscaler._private.util import prepare_config

        filled = prepare_config(cluster(aws[1], one_node))
        config = bootstrap_aws(AWSNodeProvider.fillout_available_node_types_resources(filled))
        assert set(config["available_node_types"]) == {config["head_node_type"]} == {"head"}
        assert config["max_workers"] == 0
        head = config["available_node_types"]["head"]
        assert head["resources"]["CPU"] == 16
        whole = cluster(aws[1])["available_node_types"]["head"]["node_config"]
        same = set(whole) - {"InstanceType"}
        assert {name: head["node_config"][name] for name in same} == {name: whole[name] for name in same}


@pytest.fixture(scope="class")
def server(home, environment):
    """EC2 and IAM as a server on a free port of loopback, in a thread of this process: its address, and its record."""
    from moto.moto_api import recorder
    from moto.server import ThreadedMotoServer

    record = home / "requests"
    environment.setattr(recorder, "_location", str(record))
    thread = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    thread.start()
    host, port = thread.get_host_and_port()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("POST", "/moto-api/reset")  # it shares its memory with the stand-ins of this process
    assert connection.getresponse().status == 200
    connection.close()
    recorder.start_recording()
    yield f"http://{host}:{port}", record
    recorder.stop_recording()
    thread.stop()


@pytest.fixture(scope="class")
def laptop(home, server, environment):
    """A checkout with an image and a profile filled in, and ssh and rsync that note what they are asked.

    It is (checkout, what they noted, what EC2 was asked).
    """
    import boto3

    log = home / "calls.log"
    stubs = home / "stubs"
    stubs.mkdir()
    for name in ("ssh", "rsync"):
        (stubs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{log}"\n')
        (stubs / name).chmod(0o755)
    environment.setenv("PATH", f"{stubs}{os.pathsep}{os.environ['PATH']}")
    address, record = server
    environment.setenv("AWS_ENDPOINT_URL", address)
    profile = make_profile(boto3.client("iam", REGION), "sor-sweep-head")
    checkout = home / "checkout"
    checkout.mkdir()
    for source in cluster()["file_mounts"].values():
        if source.startswith("~"):
            continue
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, checkout / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, checkout / source)
    image = boto3.client("ec2", REGION).describe_images()["Images"][0]["ImageId"]
    named = f'# IamInstanceProfile: {{Arn: "{OWN_PROFILE}"}}'
    assert named in text()
    filled = text(image).replace(named, named.removeprefix("# ").replace(OWN_PROFILE, profile))
    (checkout / "cluster.yaml").write_text(filled)
    return checkout, log, record


def ray(checkout, *arguments):
    done = subprocess.run(
        [Path(sys.executable).parent / "ray", *arguments],
        cwd=checkout,
        env={**os.environ, "AWS_ACCESS_KEY_ID": USER},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class TestUpAndDown:
    def test_the_head_is_started_and_set_up_and_everything_ends(self, laptop):
        import boto3

        checkout, log, _ = laptop
        ec2 = boto3.client("ec2", REGION)
        ray(checkout, "up", "--yes", "--no-config-cache", "cluster.yaml")

        (head,) = launched(ec2)
        assert {tag["Key"]: tag["Value"] for tag in head["Tags"]}["ray-user-node-type"] == "head"
        assert head["IamInstanceProfile"]["Arn"].endswith("/sor-sweep-head")
        calls = log.read_text()
        shipped = [line for line in calls.splitlines() if line.startswith("rsync ")]
        for target, source in cluster()["file_mounts"].items():
            lines = [line for line in shipped if target in line and source.removeprefix("~/") in line]
            assert lines, f"{source} was not sent to {target}"
        assert all("--exclude **/__pycache__" in line and "dir-merge,- .gitignore" in line for line in shipped)
        for command in (
            "chmod 600 ~/.ray/auth_token",
            "pip install -q -c constraints.txt -e .",
            "python -m allocator.kernels",
            "pip install -q -c constraints.txt boto3",
            "RAY_AUTH_MODE=token ray start --head",
            "--dashboard-host=127.0.0.1",
            "--autoscaling-config=~/ray_bootstrap_config.yaml",
        ):
            assert command in calls

        ray(checkout, "down", "--yes", "cluster.yaml")
        assert {instance["State"]["Name"] for instance in launched(ec2)} <= {"terminated", "shutting-down"}

    def test_what_they_ask_of_ec2_is_what_the_policy_for_their_user_allows(self, laptop):
        *_, record = laptop
        requests = [request for request in policies.recorded(record) if request.signer == USER]
        policies.check(policies.published("Yours"), requests, {"ray-cluster-name": "sor-sweep"})

    def test_they_ask_nothing_of_iam_where_the_head_s_profile_is_named(self, laptop):
        *_, record = laptop
        services = re.findall(rf"Credential={USER}/\d+/{REGION}/(\w+)/", record.read_text())
        assert set(services) == {"ec2"}
