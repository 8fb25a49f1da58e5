"""What an installation consists of: each requirement is listed with a licence, no test tool is, the format is valid."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from email.message import Message
from importlib import metadata

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support import ROOT
from tools.dependencies import PROJECT, dependencies, licence_of, sbom, table


@pytest.fixture(scope="module")
def parts():
    return dependencies()


def names(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_each_requirement_is_listed_at_its_version_with_a_licence(parts):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = names(project["dependencies"])
    assert len(required) > 10
    assert required == set(parts[PROJECT].needs)
    assert {name: metadata.version(name) for name in required} == {name: parts[name].version for name in required}
    assert [each.name for each in parts.values() if not each.licence] == []
    assert parts[PROJECT].licence == project["license"]
    tools = names(project["optional-dependencies"]["test"]) - required
    assert "pytest" in tools
    assert not tools & set(parts)


def test_every_pin_admits_the_oldest_python_that_the_project_does():
    """Some name a patch: pymdown-extensions 13 wants 3.11.5, and Debian 12 has 3.11.2."""
    oldest = "3.11.0"
    assert oldest[:-2] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"][2:]
    wanted = {each.name: each.metadata["Requires-Python"] for each in metadata.distributions()}
    assert len(wanted) > 100
    assert {name: range_ for name, range_ in wanted.items() if oldest not in SpecifierSet(range_ or "")} == {}


def test_nothing_that_the_tests_need_makes_ray_start_late():
    """`import ray` imports jsonschema, which builds a grammar for seconds where this package lies beside it."""
    assert importlib.util.find_spec("rfc3987_syntax") is None, "who brought it? findings/README.md says what it costs"


def test_what_a_requirement_s_extra_needs_is_listed_and_nothing_that_nobody_needs(parts):
    assert "aiohttp" in parts["ray"].needs  # by ray[default]
    needed = {name for each in parts.values() for name in each.needs}
    assert set(parts) == {PROJECT, *needed}


def test_the_table_has_a_line_for_each(parts):
    lines = table(parts).splitlines()
    assert lines[0].split() == [PROJECT, parts[PROJECT].version, "Apache-2.0"]
    assert [line.split()[0] for line in lines] == [PROJECT, *(name for name in parts if name != PROJECT)]


def test_the_bill_is_cyclonedx_and_says_who_needs_whom(parts):
    text = sbom(parts)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    listed = {each["name"]: each for each in document["components"]}
    assert set(listed) == set(parts) - {PROJECT}
    assert all(each["licenses"] for each in listed.values())
    assert document["metadata"]["component"]["name"] == PROJECT
    needs = {each["ref"]: set(each.get("dependsOn", ())) for each in document["dependencies"]}
    own = document["metadata"]["component"]["bom-ref"]
    assert needs[own] == {listed[name]["bom-ref"] for name in parts[PROJECT].needs}


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT OR Apache-2.0"), ("License", "BSD")], "MIT OR Apache-2.0"),
        ([("License", "MIT")], "MIT"),
        ([("License", "Dual License"), ("Classifier", "License :: OSI Approved :: BSD License")], "BSD License"),
        ([("License", "Apache 2.0"), ("Classifier", "Topic :: Software")], "Apache 2.0"),
        (
            [("Classifier", "License :: OSI Approved :: A"), ("Classifier", "License :: OSI Approved :: B")],
            "A, B",
        ),
        ([("License", "Copyright\n" * 50)], ("Copyright " * 8).strip()),
        ([("Classifier", "Topic :: Software")], ""),
    ],
)
def test_a_licence_is_read_as_it_is_stated(fields, licence):
    about = Message()
    for name, text in fields:
        about[name] = text.replace("\n", " ")
    assert licence_of(about).strip() == licence
