"""Files beside the document: the table with its exact integers, and messages that were put aside."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.durable import reason, whole, write_text
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from feed.provenance import Provenance
    from sweep.result import Result


ROWS_AT_A_TIME = 2**17
"""Rows of a row group, which is all that is held twice."""


def open_output(name: str) -> Path:
    """Make the folder before anything runs.

    Raises
    ------
    ConfigError
        It cannot be made or written to.
    """
    folder = Path(name) / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output: {name} cannot be made ({reason(error)}); choose another folder") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"output: {name} cannot be written to; choose another folder")
    return folder


def quarantine(path: Path, provenance: Provenance) -> None:
    """Write the malformed messages that were put aside, one JSON line each; the file is whole or not there.

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


def write_table(path: Path, result: Result) -> None:
    """Write the frame of a result as Parquet, a row group at a time; the file is whole or not there.

    Raises
    ------
    OSError
        The disk is full, or the folder went away.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.Schema.from_pandas(result.to_frame(0, 1), preserve_index=False)
    with whole(path) as part, ParquetWriter(part, schema) as writer:
        for first in range(0, len(result.table), ROWS_AT_A_TIME):
            frame = result.to_frame(first, first + ROWS_AT_A_TIME)
            writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
