"""A stand-in for EC2 and IAM, whose instances are hosts that are there: `python cloud.py FOLDER ADDRESS`.

It prints lines of JSON: once it answers, its endpoint and what a cluster file has to name; then every change of an
instance. FOLDER holds ``key.pub``, which opens the hosts; every request is recorded there. moto gives the first
instance of a subnet its fourth address, and so on: hosts 3, 4, 5 ... of `hosts.Hosts`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

REGION = "us-east-1"
ZONE = f"{REGION}a"
ROLE = "sor-sweep-head"
RECORD = "requests"
FIRST_HOST = 3
"""The number of the host that the first instance is."""


def prepare(endpoint: str, folder: Path) -> dict[str, str]:
    """Make the network, the key pair and the profile that are there before a cluster is; what they are called."""
    import boto3

    def client(service):
        return boto3.client(
            service,
            REGION,
            endpoint_url=endpoint,
            aws_access_key_id="owner",
            aws_secret_access_key="testing",  # noqa: S106 - of a stand-in
        )

    ec2, iam = client("ec2"), client("iam")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.0.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    ec2.import_key_pair(KeyName="hosts", PublicKeyMaterial=(folder / "key.pub").read_bytes())
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")
    profile = iam.create_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    return {"endpoint": endpoint, "subnet": subnet, "key": "hosts", "profile": profile, "image": image}


def start_as_many_as_are_asked_for() -> None:
    """Let moto start MaxCount instances, as EC2 does where it has them; by itself it starts MinCount."""
    from moto.ec2.responses.instances import InstanceResponse

    parameter = InstanceResponse._get_param

    def most(self, name, if_none=None):
        return parameter(self, "MaxCount" if name == "MinCount" else name, if_none)

    InstanceResponse._get_param = most


def watch() -> NoReturn:
    """Print what changes of an instance."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.ec2.models import ec2_backends

    backend = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    known: dict[str, dict[str, str]] = {}
    while True:
        for instance in backend.all_instances():
            tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
            now = {
                "id": instance.id,
                "address": instance.private_ip,
                "state": instance._state.name,
                "kind": tags.get("ray-user-node-type", ""),
                "status": tags.get("ray-node-status", ""),
            }
            if known.get(instance.id) != now:
                known[instance.id] = now
                print(json.dumps(now), flush=True)
        time.sleep(0.1)


def main(folder: Path, address: str) -> NoReturn:
    """Answer until the end of the process."""
    os.environ["MOTO_RECORDER_FILEPATH"] = str(folder / RECORD)
    from moto.moto_api import recorder
    from moto.server import ThreadedMotoServer

    start_as_many_as_are_asked_for()
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    prepared = prepare("http://{}:{}".format(*server.get_host_and_port()), folder)
    recorder.start_recording()
    print(json.dumps(prepared), flush=True)
    watch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
