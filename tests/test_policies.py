"""What the policies of docs/ec2.md allow, and what they refuse."""

from __future__ import annotations

import pytest

from tests.support.aws import policies
from tests.support.aws.clusterfile import cluster, one_node

REGION = "us-east-1"


def request(action, region=REGION, **parameters):
    return policies.Request("x", region, {"Action": action, **parameters})


def refused(name, request, tags):
    asked = policies.questions(request, tags)
    return [each.action for each in asked if policies.answering(policies.published(name), each) is None]


def launch(kind, cluster="sor-sweep", region=REGION, **parameters):
    tag = "TagSpecification.1"
    return request(
        "RunInstances",
        region,
        InstanceType=kind,
        **{
            f"{tag}.ResourceType": "instance",
            f"{tag}.Tag.1.Key": "ray-cluster-name",
            f"{tag}.Tag.1.Value": cluster,
        },
        **parameters,
    )


@pytest.mark.parametrize("name", ["`head.json`", "Yours"])
def test_instances_of_others_are_neither_ended_nor_tagged(name):
    for changing in (
        request("TerminateInstances", **{"InstanceId.1": "i-1"}),
        request("CreateTags", **{"ResourceId.1": "i-1", "Tag.1.Key": "a", "Tag.1.Value": "b"}),
    ):
        assert refused(name, changing, {"ray-cluster-name": "sor-sweep"}) == []
        assert refused(name, changing, {"ray-cluster-name": "other"}) == [f"ec2:{changing.action}"]
        assert refused(name, changing, {}) == [f"ec2:{changing.action}"]


def test_the_head_starts_workers_and_nothing_else():
    worker = cluster()["available_node_types"]["worker"]["node_config"]["InstanceType"]
    spot = {"InstanceMarketOptions.MarketType": "spot"}
    assert refused("`head.json`", launch(worker, **spot), {}) == []
    assert "ec2:RunInstances" in refused("`head.json`", launch("p5.48xlarge"), {})
    assert "ec2:CreateTags" in refused("`head.json`", launch(worker, cluster="other"), {})
    assert "ec2:RunInstances" in refused("`head.json`", launch(worker, region="eu-west-1"), {})
    armed = launch(worker, **{"IamInstanceProfile.Name": "admin"})
    assert refused("`head.json`", armed, {}) == ["iam:PassRole"]


def test_you_start_heads_of_both_sections():
    for change in (str, one_node):
        kind = cluster(change=change)["available_node_types"]["head"]["node_config"]["InstanceType"]
        profile = {"IamInstanceProfile.Arn": "sor-sweep-head"}
        assert refused("Yours", launch(kind, **profile), {}) == []
