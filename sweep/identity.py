"""What names a run: the same question, data and code have the same name, wherever they run."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import TYPE_CHECKING

from sweep.config import config_hash
from sweep.stamps import sources_hash

if TYPE_CHECKING:
    from sweep.config import Config


def run_id(config: Config, digest: str) -> str:
    """16 hexadecimal digits: the same for the same question, data and code, wherever it runs and reads."""
    content = hashlib.sha256()
    for part in (config_hash(config), digest, metadata.version("sor-sweep"), sources_hash()):
        content.update(part.encode())
    return content.hexdigest()[:16]
