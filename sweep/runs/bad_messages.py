"""The quarantine file: malformed messages that were put aside, one JSON line each."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from sweep.errors import ConfigError
from sweep.runs.files import reason, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from feed.provenance import Provenance


def quarantine(path: Path, provenance: Provenance) -> None:
    """Write the malformed messages that were put aside, one JSON line each, atomically.

    A line holds partition, offset, reason, size (bytes of the value) and value_base64, at most its first 64 KiB.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    lines = [
        {
            "place": provenance.place,
            "replay": provenance.replay,
            "partition": bad.partition,
            "offset": bad.offset,
            "reason": bad.reason,
            "size": bad.size,
            "value_base64": base64.b64encode(bad.value).decode(),
        }
        for bad in provenance.bad
    ]
    try:
        write_text(path, "".join(f"{json.dumps(line)}\n" for line in lines))
    except OSError as error:
        raise ConfigError(f"feed.quarantine: {path} cannot be written ({reason(error)})") from None
