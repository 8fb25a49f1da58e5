"""What names a run: the same question, data and code have the same name, wherever they run."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

from sweep.config import config_hash
from sweep.stamps import sources_hash

if TYPE_CHECKING:
    from sweep.config import Config
    from sweep.conventions import Settings
    from sweep.materialise import Facts


def run_id(config: Config, settings: Settings, facts: Facts) -> str:
    """16 hexadecimal digits: the same for the same question, data and code, wherever it runs and reads.

    The embedded source brings a window and fees that the configuration does not name: what they came to counts too.
    """
    resolved = [msgspec.to_builtins(settings, str_keys=True), facts.start, facts.end]
    content = hashlib.sha256(msgspec.json.encode(resolved, order="deterministic"))
    for part in (config_hash(config), facts.provenance.digest, metadata.version("sor-sweep"), sources_hash()):
        content.update(part.encode())
    return content.hexdigest()[:16]
