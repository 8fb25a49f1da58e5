"""Stored runs: the files in their folders, written so that a kill loses nothing that was stored."""

from sweep.runs.bad_messages import quarantine
from sweep.runs.files import open_regular, reason, write_text
from sweep.runs.folder import COMBINATIONS, ORDERS, RUNS, VENUES, VIEWS, is_held, open_output
from sweep.runs.log import LOG, BufferedProgress
from sweep.runs.manifest import (
    MALFORMED,
    Manifest,
    config_of,
    describe_malformed,
    now,
    plugins_of,
    read_complete,
    read_manifest,
    run_id,
)
from sweep.runs.store import Asked, Store, open_store
from sweep.runs.table import read_columns, read_combinations, read_document, read_result, read_table

__all__ = [
    "COMBINATIONS",
    "LOG",
    "MALFORMED",
    "ORDERS",
    "RUNS",
    "VENUES",
    "VIEWS",
    "Asked",
    "BufferedProgress",
    "Manifest",
    "Store",
    "config_of",
    "describe_malformed",
    "is_held",
    "now",
    "open_output",
    "open_regular",
    "open_store",
    "plugins_of",
    "quarantine",
    "read_columns",
    "read_combinations",
    "read_complete",
    "read_document",
    "read_manifest",
    "read_result",
    "read_table",
    "reason",
    "run_id",
    "write_text",
]
