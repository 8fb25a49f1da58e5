"""The files of a complete run: the document, and the table with its exact integers."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from sweep.errors import ConfigError
from sweep.result import Result
from sweep.runs.files import atomic_write, open_regular, reason, sha256
from sweep.runs.folder import COMBINATIONS, DOCUMENT, ORDERS, TABLE, VENUES, VIEWS
from sweep.runs.manifest import MALFORMED, Manifest, config_of, describe_malformed
from sweep.runs.manifest import NAME as MANIFEST
from sweep.sink import COLUMNS
from sweep.tasks import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray


ROWS_AT_A_TIME = 2**17
"""Rows of a row group; no more rows than these are held twice."""


def write_table(path: Path, result: Result) -> None:
    """Write the frame of a result as Parquet, a row group at a time, atomically.

    Raises
    ------
    OSError
        The disk is full, or the folder went away.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.Schema.from_pandas(result.to_frame(0, 1), preserve_index=False)
    with atomic_write(path) as part, ParquetWriter(part, schema) as writer:
        for first in range(0, len(result.table), ROWS_AT_A_TIME):
            frame = result.to_frame(first, first + ROWS_AT_A_TIME)
            writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))


def write_combinations(path: Path, result: Result) -> None:
    """Write what each combination saves as Parquet, a row group at a time, atomically.

    Raises
    ------
    OSError
        The disk is full, or the folder went away.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema: Any = None
    with atomic_write(path) as part, ExitStack() as stack:
        for frame in result.load_combinations():
            table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
            if schema is None:
                schema = table.schema.remove_metadata()
                writer = stack.enter_context(ParquetWriter(part, schema))
            writer.write_table(table.cast(schema))


def write_columns(path: Path, tables: Iterable[Mapping[str, Any]]) -> None:
    """Write one or more tables of integers and names as Parquet, atomically; None, and what is masked, as null.

    Raises
    ------
    OSError
        The disk is full, or the folder went away.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    each = iter(tables)
    first = next(each)
    schema = pa.schema([(name, _type_of(name)) for name in first])
    with atomic_write(path) as part, ParquetWriter(part, schema) as writer:
        for columns in chain([first], each):
            arrays = [pa.array(column, _type_of(name)) for name, column in columns.items()]
            writer.write_table(pa.table(arrays, schema=schema))


def _type_of(column: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.string() if column in {"strategy", "side"} else pa.int64()


def read_combinations(home: Path, manifest: Manifest) -> pd.DataFrame:
    """What each combination of a complete run saves: the columns of `sweep.result.Result.frame`.

    Raises
    ------
    ConfigError
        As of `read_columns`.
    """
    import pyarrow as pa

    stored = _read_arrow(home, manifest, COMBINATIONS)
    frame: pd.DataFrame = stored.to_pandas(types_mapper=_nullable)
    texts = [
        name
        for name in stored.column_names
        if pa.types.is_large_string(kind := stored.schema.field(name).type) or pa.types.is_string(kind)
    ]
    return frame.astype(dict.fromkeys(texts, "string"))


def _nullable(kind: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The type of pandas for booleans that may be missing; others as they are."""
    import pandas as pd
    import pyarrow as pa

    return pd.BooleanDtype() if kind == pa.bool_() else None


def read_document(home: Path, manifest: Manifest) -> dict[str, Any]:
    """The stored document of a complete run, checked against its manifest.

    Raises
    ------
    ConfigError
        It is missing, or not what the manifest names.
    """
    path = home / DOCUMENT
    try:
        with open_regular(path) as file:
            content = file.read()
        digest = sha256(path)
        has_table = (home / TABLE).exists()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({reason(error)}); start the run anew with --force") from None
    if digest != manifest.files.get(DOCUMENT) or not has_table:
        problem = f"{path}: is not what {MANIFEST} names" if has_table else f"{home / TABLE}: is missing"
        raise ConfigError(f"{problem}; it was changed or damaged: start the run anew with --force")
    try:
        msgspec.json.decode(content, type=_Stored)
        document: dict[str, Any] = json.loads(content)
    except (msgspec.DecodeError, *MALFORMED) as error:
        raise ConfigError(
            f"{path}: is no result, or damaged ({describe_malformed(error)}); start the run anew with --force"
        ) from None
    return document


class _Failed(msgspec.Struct):
    """What is read about a combination that failed."""

    combination: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    error: str


class _Stored(msgspec.Struct):
    """The parts of a document that are read, and not just printed."""

    failed: list[_Failed]
    feed: dict[str, Any]


def read_table(home: Path, manifest: Manifest, combination: int | None = None) -> NDArray[np.int64]:
    """(R, 11) int64, the stored rows of a complete run, or of one combination; the columns of `sweep.sink.COLUMNS`.

    Raises
    ------
    ConfigError
        The file is missing, damaged, or not what the manifest names.
    """
    import pyarrow as pa
    from pyarrow import parquet

    path = home / TABLE
    try:
        open_regular(path).close()
        changed = sha256(path) != manifest.files.get(TABLE)
        wanted = None if combination is None else [("combination", "=", combination)]
        stored = parquet.read_table(path, columns=list(COLUMNS), filters=wanted)
        table = np.empty((stored.num_rows, len(COLUMNS)), np.int64)
        for index, name in enumerate(COLUMNS):
            table[:, index] = stored.column(name).to_numpy()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        problem = reason(error) if isinstance(error, OSError) else str(error)
        problem = next(iter(problem.splitlines()), type(error).__name__)
        raise ConfigError(f"{path}: is damaged ({problem}); start the run anew with --force") from None
    if changed:
        raise ConfigError(f"{path}: is not what {MANIFEST} names; it was changed: start the run anew with --force")
    return table


def read_columns(home: Path, manifest: Manifest, name: str) -> dict[str, Any]:
    """The columns of a file of a complete run, of its orders or of their fills by venue; as lists where some is null.

    Raises
    ------
    ConfigError
        The file is missing (earlier versions wrote none), damaged, or not what the manifest names.
    """
    stored = _read_arrow(home, manifest, name)
    return {name: _plain(stored.column(name)) for name in stored.column_names}


def _read_arrow(home: Path, manifest: Manifest, name: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A table of a file of a complete run; ConfigError as `read_columns`."""
    import pyarrow as pa
    from pyarrow import parquet

    path = home / name
    try:
        open_regular(path).close()
        changed = sha256(path) != manifest.files.get(name)
        stored = parquet.read_table(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        problem = reason(error) if isinstance(error, OSError) else str(error)
        problem = next(iter(problem.splitlines()), type(error).__name__)
        raise ConfigError(f"{path}: cannot be read ({problem}); start the run anew with --force") from None
    if changed:
        raise ConfigError(f"{path}: is not what {MANIFEST} names; it was changed: start the run anew with --force")
    return stored


def _plain(column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """(N,) int64, or a list of names, each held once, or of integers and None."""
    import pyarrow as pa

    if column.type != pa.int64():
        return [sys.intern(name) for part in column.chunks for name in part.to_pylist()]
    return column.to_pylist() if column.null_count else column.to_numpy()


def read_result(home: Path, manifest: Manifest) -> Result:
    """The stored result of a complete run.

    Raises
    ------
    ConfigError
        Its files are not what the manifest names.
    """
    document = read_document(home, manifest)
    failures = tuple(Failure(failure["combination"], failure["error"], "") for failure in document["failed"])
    return Result(
        config_of(manifest),
        document,
        lambda: read_table(home, manifest),
        lambda: read_columns(home, manifest, ORDERS),
        lambda: [read_columns(home, manifest, VENUES)],
        lambda: [read_combinations(home, manifest)],
        lambda name: read_columns(home, manifest, VIEWS[name]),
        failures,
        home,
    )
