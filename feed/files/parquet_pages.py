"""Unpacked sizes of a Parquet file by the headers of its pages, as its footer may be wrong; nothing is unpacked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from feed.errors import FeedCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

    from feed.tables import Arrow

UNPACKED, PACKED, OF_DATA = 2, 3, (5, 8)
"""Fields of a page's header: bytes of the page unpacked, and as stored; of a page of data of either version, a struct,
which begins with its number of values."""

NESTED = 8
"""Maximum depth of a header: the format has three levels; the rest is reserve."""

(TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _, STRUCT) = range(1, 13)
"""Types of Thrift's compact protocol; headers hold no map."""


def page_bytes(path: Path, footer: Arrow, names: Sequence[str]) -> Iterator[tuple[int, str, int, int]]:
    """Yield the unpacked size and the values of each column, by the headers of its pages, by which pyarrow allocates.

    Parameters
    ----------
    path : Path
    footer : pyarrow.parquet.FileMetaData
    names : sequence of str
        Columns to look at; of lists by their path, such as ``bid_px.list.element``.

    Yields
    ------
    group : int
        Number of the row group.
    name : str
    nbytes : int
        Unpacked bytes of all its pages in that group.
    values : int
        What they hold; of lists there may be any number in a row.

    Raises
    ------
    FeedCorrupt
        A page has no valid header, or two columns share pages.
    """
    damaged = FeedCorrupt("the file is damaged: a page has no whole header", str(path), "copy or export it again")
    budget = path.stat().st_size
    with path.open("rb") as file:
        for group in range(footer.num_row_groups):
            row_group = footer.row_group(group)
            for column in map(row_group.column, range(row_group.num_columns)):
                if column.path_in_schema not in names or not column.num_values:  # then none of its pages is read
                    continue
                at = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
                end, unpacked, values = at + column.total_compressed_size, 0, 0
                budget -= column.total_compressed_size
                if at < 0 or column.total_compressed_size < 0 or budget < 0:  # also a page that is read for ever
                    raise damaged
                while at < end:
                    try:
                        file.seek(at)
                        header = _struct(file, 0)
                        size, packed = header[UNPACKED], header[PACKED]
                        held = sum(header[kind][1] for kind in OF_DATA if kind in header)
                    except (KeyError, TypeError, ValueError):
                        raise damaged from None
                    if not all(isinstance(each, int) and each >= 0 for each in (size, packed, held)):
                        raise damaged
                    unpacked, values = unpacked + size, values + held
                    at = file.tell() + packed
                yield group, column.path_in_schema, unpacked, values


def _struct(file: BufferedReader, depth: int) -> dict[int, Any]:
    """Read a struct of Thrift's compact protocol, skipping text; ValueError where it is none."""
    if depth > NESTED:
        raise ValueError
    values: dict[int, Any] = {}
    field = 0
    while head := _byte(file):
        field = field + (head >> 4) if head >> 4 else _signed(file)
        values[field] = _value(file, head & 15, depth)
    return values


def _value(file: BufferedReader, kind: int, depth: int) -> Any:  # noqa: ANN401 - one of several
    if kind in {TRUE, FALSE}:
        return kind == TRUE
    if kind in {I16, I32, I64}:
        return _signed(file)
    if kind == STRUCT:
        return _struct(file, depth + 1)
    skipped = {BYTE: 1, DOUBLE: 8}.get(kind)
    if kind == BINARY:
        skipped = _varint(file)
    if skipped is None:  # no header has one, nor a list
        raise ValueError
    file.seek(skipped, os.SEEK_CUR)
    return None


def _signed(file: BufferedReader) -> int:
    number = _varint(file)
    return number >> 1 ^ -(number & 1)


def _varint(file: BufferedReader) -> int:
    number = 0
    for shift in range(0, 70, 7):
        byte = _byte(file)
        number |= (byte & 127) << shift
        if byte < 128:
            return number
    raise ValueError


def _byte(file: BufferedReader) -> int:
    byte = file.read(1)
    if not byte:
        raise ValueError
    return byte[0]
