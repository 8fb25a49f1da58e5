"""What an installation consists of at run time: python -m tools.dependencies {sbom,licences}.

`sbom` prints CycloneDX 1.6 JSON, `licences` a table. Both list what the project's own requirements ask for, extras and
test tools left out, and what these ask for in turn, as it is installed here.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT: Final = "sor-sweep"


@dataclass(frozen=True, slots=True)
class Dependency:
    """An installed distribution.

    Attributes
    ----------
    name, version : str
        The name in its canonical form.
    licence : str
        As `licence_of` reads it; empty where nothing is stated.
    summary : str
    needs : tuple of str
        Names of the distributions that it asks for here, sorted.
    """

    name: str
    version: str
    licence: str
    summary: str
    needs: tuple[str, ...]


def licence_of(about: metadata.PackageMetadata) -> str:
    """The licence by a distribution's metadata: in SPDX's words if it has them, else its classifiers, else its text."""
    from cyclonedx.spdx import fixup_id, is_expression

    stated = [" ".join((about.get(field) or "").split()) for field in ("License-Expression", "License")]
    for text in stated:
        if text and (is_expression(text) or fixup_id(text)):
            return text
    classified = [text for text in about.get_all("Classifier") or () if text.startswith("License :: ")]
    return ", ".join(text.rpartition(" :: ")[2] for text in classified) or max(stated, key=bool)[:80]


def _asked_for(requirements: Sequence[str], extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Name and extras of each requirement that applies to this machine."""
    for line in requirements:
        requirement = Requirement(line)
        asking = extras or {""}
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in asking):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def dependencies(project: str = PROJECT) -> dict[str, Dependency]:
    """The project and all that it needs at run time, by name.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        A requirement is not installed.
    """
    walked: dict[str, tuple[frozenset[str], Dependency]] = {}
    waiting = [(canonicalize_name(project), frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        known = walked.get(name, (frozenset[str](), None))
        extras |= known[0]
        if known[1] is not None and extras == known[0]:
            continue
        distribution = metadata.distribution(name)
        asked = list(_asked_for(distribution.requires or (), extras))
        about = distribution.metadata
        needs = tuple(sorted({each for each, _ in asked}))
        walked[name] = (
            extras,
            Dependency(name, distribution.version, licence_of(about), about.get("Summary") or "", needs),
        )
        waiting += asked
    return {name: walked[name][1] for name in sorted(walked)}


def table(parts: Mapping[str, Dependency]) -> str:
    """Name, version and licence of each, a line each, in columns; the project itself first."""
    own = canonicalize_name(PROJECT)
    rows = [(each.name, each.version, each.licence or "not stated") for each in parts.values()]
    rows.sort(key=lambda row: (row[0] != own, row[0]))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "".join(f"{name:<{widths[0]}}  {version:<{widths[1]}}  {licence}\n" for name, version, licence in rows)


def sbom(parts: Mapping[str, Dependency]) -> str:
    """The same as CycloneDX 1.6 JSON, with who needs whom."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from packageurl import PackageURL

    licences = LicenseFactory()
    own = canonicalize_name(PROJECT)
    components = {}
    for each in parts.values():
        address = PackageURL("pypi", None, each.name, each.version)
        components[each.name] = Component(
            name=each.name,
            version=each.version,
            type=ComponentType.APPLICATION if each.name == own else ComponentType.LIBRARY,
            description=each.summary or None,
            licenses=[licences.make_from_string(each.licence)] if each.licence else (),
            purl=address,
            bom_ref=address.to_string(),
        )
    bom = Bom(components=[component for name, component in components.items() if name != own])
    bom.metadata.component = components[own]
    for each in parts.values():
        bom.register_dependency(components[each.name], [components[name] for name in each.needs])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


PRINTED: Final = {"sbom": sbom, "licences": table}


def main(argv: Sequence[str] | None = None) -> None:
    """Print one of both."""
    parser = argparse.ArgumentParser(prog="python -m tools.dependencies", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=PRINTED)
    sys.stdout.write(PRINTED[parser.parse_args(argv).what](dependencies()))


if __name__ == "__main__":
    main()
