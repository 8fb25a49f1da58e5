"""A proposed mapping as YAML: each key with its reason, so that who reads the file can check it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from feed.tables.proposal import Proposal

_UNQUOTED: Final = re.compile(r"[A-Za-z_][\w ./-]*\w|[A-Za-z]|\d{4}-\d\d-\d\d|\d+(e-?\d+)?")
"""Texts that YAML reads as they are."""

_WORDS: Final = ("true", "false", "null")


def written(proposal: Proposal, source: str) -> str:
    """The mapping as YAML, each key with its reason."""
    lines = [f"source: {_scalar(source)}", "quotes:"]
    for each in proposal.keys:
        value = (
            f"[{', '.join(map(_scalar, each.value))}]" if isinstance(each.value, list | tuple) else _scalar(each.value)
        )
        lines.append(f"  {each.key}: {value}  # {each.reason}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:  # noqa: ANN401 - text, a number or a mapping
    """A value as YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(name)}: {_scalar(each)}" for name, each in value.items()) + "}"
    text = str(value)
    if not text.isprintable():  # a line break, which single quotes would make a space
        return json.dumps(text)
    if _UNQUOTED.fullmatch(text) and text not in _WORDS:
        return text
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


def _name(value: object) -> str:
    """A name of a mapping: text, also where it would read as a number."""
    text = _scalar(str(value))
    return f"'{text}'" if text[:1].isdigit() else text
