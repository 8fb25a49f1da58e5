"""The pages of the documentation: their blocks of code, and the commands in these."""

from __future__ import annotations

import re

from tests.support import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^(```|~~~).*?\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"python[0-9.]* -m (sweep|feed)\b(.*)")


def blocks(text):
    """What stands between fences; a line that is continued is one line."""
    return [body.replace("\\\n", " ") for _, body in FENCE.findall(text)]


def leaves(value, path=""):
    """The dotted paths of a document; of lists of objects ``[]``, of what is empty the path to it."""
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name.replace('.', '_')}".lstrip("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from leaves(value[0], f"{path}[]")
    else:
        yield path


def unnamed(page, heading, *documents):
    """By the tables below a heading of a page, up to the next: fields that they do not name, and names of no field."""
    text = (ROOT / "docs" / page).read_text()
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)[1]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`\n]+)`", row)]
    patterns = {name: re.compile(re.escape(name).replace(r"\*", r"[^.]+")) for name in named}
    fields = {field for document in documents for field in leaves(document)}
    lacking = [field for field in sorted(fields) if not any(rule.fullmatch(field) for rule in patterns.values())]
    return lacking, [name for name, rule in patterns.items() if not any(map(rule.fullmatch, fields))]
