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
