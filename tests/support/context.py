"""What an image is made of: the files of the checkout that .containerignore lets in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

IGNORED = ROOT / ".containerignore"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy_context(place: Path) -> Path:
    """Copy these files into a new folder, without the repository, as a build sends them."""
    lines = [line for line in IGNORED.read_text().splitlines() if not line.startswith("#")]
    if lines[0] != "*" or lines[-1] != "**/__pycache__":
        raise ValueError(f"{IGNORED.name}: expected everything to be left out but what is named")
    place.mkdir()
    for line in lines[1:-1]:
        name = line.removeprefix("!")
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, place / name)
    return place
