"""What names a run: the same question, data and code have the same name, wherever they run."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.config import config_hash

if TYPE_CHECKING:
    from sweep.config import Config


def run_id(config: Config, digest: str) -> str:
    """16 hexadecimal digits: the same for the same question, data and code, wherever it runs and reads."""
    content = hashlib.sha256()
    for part in (config_hash(config), digest, metadata.version("sor-sweep"), _sources_hash()):
        content.update(part.encode())
    return content.hexdigest()[:16]


def _sources_hash() -> str:
    """SHA-256 of the three packages' modules, by name."""
    content = hashlib.sha256()
    home = Path(__file__).resolve().parent.parent
    for package in ("allocator", "feed", "sweep"):
        for path in sorted((home / package).rglob("*.py")):
            content.update(path.relative_to(home).as_posix().encode())
            content.update(path.read_bytes())
    return content.hexdigest()
