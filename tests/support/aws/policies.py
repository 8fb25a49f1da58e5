"""What EC2 asks IAM policies about a request, and what they answer: as much of IAM as the project's policies use.

The requests are those that moto's server has recorded. A request is allowed where every question about it is answered
by a statement; there is no Deny in the policies.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl, urlsplit

from tests.support import ROOT

ACCOUNT = "ACCOUNT"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sor-sweep-head"
PAGE = ROOT / "docs" / "ec2.md"


def published(beginning):
    """The policy of docs/ec2.md below the paragraph that begins so."""
    _, _, after = PAGE.read_text().partition(f"\n\n{beginning}")
    return json.loads(re.search(r"^```json\n(.*?)^```$", after, re.MULTILINE | re.DOTALL)[1])


@dataclass(frozen=True)
class Asked:
    """One question: may this action be done on this resource, under these keys of the context?"""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A recorded call of EC2: who signed it, for which region, the parameters as they are sent."""

    signer: str
    region: str
    parameters: dict[str, str]

    @property
    def action(self):
        return self.parameters["Action"]

    def values(self, pattern):
        """The values of the parameters whose names match."""
        return [value for name, value in self.parameters.items() if re.fullmatch(pattern, name)]

    def tags(self, kind):
        """The tags that a resource of this kind is given when it is made."""
        for name, value in self.parameters.items():
            if (match := re.fullmatch(r"(TagSpecification\.\d+)\.ResourceType", name)) and value == kind:
                return self._pairs(re.escape(match[1]) + r"\.Tag")
        return {}

    def _pairs(self, prefix):
        return dict(
            zip(self.values(prefix + r"\.\d+\.Key"), self.values(prefix + r"\.\d+\.Value"), strict=True),
        )


def recorded(path):
    """The calls of EC2 in a recording of moto's server."""
    requests = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        signature = re.search(r"Credential=([^/]+)/\d+/([^/]+)/(\w+)/", entry["headers"].get("Authorization", ""))
        if entry["method"] != "POST" or not signature:
            continue
        body = base64.b64decode(entry["body"]).decode() if entry["body_encoded"] else entry["body"]
        parameters = dict(parse_qsl(body or urlsplit(entry["url"]).query))
        if signature[3] == "ec2" and "Action" in parameters:
            requests.append(Request(signature[1], signature[2], parameters))
    return requests


def questions(request, tags):
    """What is asked about a request, where `tags` are those of what it changes."""
    here = {"aws:RequestedRegion": request.region}

    def arn(kind, account=ACCOUNT, name="x"):
        return f"arn:aws:ec2:{request.region}:{account}:{kind}/{name}"

    def made(kind, name="x", **context):
        tags = {f"aws:RequestTag/{key}": value for key, value in request.tags(kind).items()}
        yield Asked(f"ec2:{request.action}", arn(kind, name=name), {**here, **context, **tags})
        if tags:
            yield Asked("ec2:CreateTags", arn(kind), {**here, **tags, "ec2:CreateAction": request.action})

    def existing(kind):
        tagged = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        yield Asked(f"ec2:{request.action}", arn(kind), {**here, **tagged})

    def started():
        yield from made("instance", **{"ec2:InstanceType": request.parameters["InstanceType"]})
        kinds = ["key-pair", "network-interface", "security-group", "subnet", "volume"]
        if request.parameters.get("InstanceMarketOptions.MarketType") == "spot":
            kinds.append("spot-instances-request")
        for kind in kinds:
            yield Asked("ec2:RunInstances", arn(kind), here)
        yield Asked("ec2:RunInstances", arn("image", account=""), here)
        if request.values(r"IamInstanceProfile\..*"):
            yield Asked("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"})

    if request.action.startswith("Describe"):
        return [Asked(f"ec2:{request.action}", "*", here)]
    return list(
        {
            "RunInstances": started,
            "CreateTags": lambda: existing("instance"),
            "TerminateInstances": lambda: existing("instance"),
            "CreateKeyPair": lambda: made("key-pair", name=request.parameters["KeyName"]),
            "CreateSecurityGroup": lambda: [
                Asked("ec2:CreateSecurityGroup", arn("vpc"), here),
                *made("security-group"),
            ],
            "AuthorizeSecurityGroupIngress": lambda: existing("security-group"),
        }[request.action]()
    )


def answering(policy, asked):
    """The Sid of a statement that allows what is asked; None where there is none."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        wanted = statement.get("Condition", {}).get("StringEquals", {})
        if (
            any(fnmatchcase(asked.action, each) for each in _several(statement["Action"]))
            and any(fnmatchcase(asked.resource, each) for each in _several(statement["Resource"]))
            and all(asked.context.get(key) in _several(values) for key, values in wanted.items())
        ):
            return statement["Sid"]
    return None


def check(policy, requests, tags):
    """Fail where the policy refuses one of these requests, or has an action that none of them needs.

    `tags` are those of what the requests change.
    """
    asked = [each for request in requests for each in questions(request, tags)]
    assert [each for each in asked if answering(policy, each) is None] == []
    allowed = {action for statement in policy["Statement"] for action in _several(statement["Action"])}
    assert allowed == {each.action for each in asked}


def _several(value):
    return [value] if isinstance(value, str) else value
