"""CSV rows as text, each with its place in the file, so that an error can name its line."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.files.streams import check_there, damage_reported, open_bytes
from feed.tables import first_bad
from feed.tape import UNDEFINED_PRICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.streams import Limit
    from feed.tables import Arrow, Text
    from feed.tape import Int64

NULLS = ["", "NaN", "nan", "NA", "N/A", "null", "None", str(UNDEFINED_PRICE)]
"""Texts of a missing number; of a missing label only the first, as a symbol may be called like the others."""

BLOCK = 2**24
"""Bytes of lines that become columns together."""

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a file as text, with their place in it."""

    path: Path
    max_bytes: Limit
    table: Arrow
    index: Int64  # (N,) the row's number in the file, 0 = the first after the header, blank lines not counted

    def keep(self, mask: NDArray[np.bool_]) -> Rows:
        """Rows where the (N,) mask is True."""
        return self if mask.all() else replace(self, table=self.table.filter(pa.array(mask)), index=self.index[mask])

    def has(self, *names: str) -> bool:
        """Whether the file has all these columns."""
        return all(name in self.table.column_names for name in names)

    def text(self, name: str) -> Text:
        """A column as text, null where a field is empty."""
        return self.table.column(name)

    def label(self, name: str) -> Text:
        """A column as text, never null."""
        return pc.fill_null(self.text(name).cast(pa.string()), "")

    def parse(self, name: str, parser: Callable[[Text], Int64]) -> Int64:
        """Parse a column; FeedCorrupt, naming line, column and value, where a value is refused."""
        text = self.text(name)
        try:
            return parser(text)
        except ValueError:
            bad = first_bad(text, parser)
        value = text[bad].as_py()
        try:
            parser(text.slice(bad, 1))
        except ValueError as reason:
            line = line_of(self.path, self.max_bytes, int(self.index[bad]) + 1)
            raise FeedCorrupt(f"line {line}, column {name}: {quoted(value)} ({reason})", str(self.path)) from None
        raise AssertionError(
            f"{name}: a column was refused, none of its values was"
        )  # cannot be: a parser looks at each value alone


def read_rows(
    path: Path, required: Sequence[str], optional: Sequence[str], labels: Sequence[str], max_bytes: Limit
) -> Rows:
    """Read the named columns of a file; the `optional` ones may be missing.

    Parameters
    ----------
    path : Path
        Compressed where it ends in .gz or .zst.
    required, optional, labels : sequence of str
        Names of columns; `labels` have few distinct values.
    max_bytes : int or Share, optional
        Decompressed bytes that may be read; by default as many as `feed.files.streams.bounds_of` says.

    Raises
    ------
    FeedUnavailable
        No such file, nothing in it, or missing columns.
    FeedCorrupt
        Damaged compression, or a row of another length.
    """
    with damage_reported(path):
        check_there(path)
        names = _header(path, required, optional, max_bytes)
        table = _read_table(path, names, labels, max_bytes)
    if not table.num_rows:
        raise _no_rows(path)
    return Rows(path, max_bytes, table, np.arange(table.num_rows))


def _no_rows(path: Path) -> NoRows:
    return NoRows("the file holds a header and no rows", str(path), "export it again")


def _header(path: Path, required: Sequence[str], optional: Sequence[str], max_bytes: Limit) -> list[str]:
    """Names of the columns to read: the required ones, and the optional ones in the file."""
    with open_bytes(path, max_bytes) as lines:  # only this line is decoded: unread columns need not be text
        line = lines.readline(2**20).decode("utf-8-sig")
    line = io.StringIO(line, newline="").readline()
    columns: list[str] = []
    with suppress(csv.Error):  # a field longer than any name
        columns = next(csv.reader([line]), [])
    missing = [name for name in required if name not in columns]
    if missing:
        hint = ""
        if len(missing) == len(required):  # no such header at all: show the first line instead
            begins = ascii(line.rstrip("\r\n")[:_SHOWN])[1:-1][:_SHOWN]
            hint = f"; the header there begins '{begins}'" if begins else "; the first line is blank"
        raise FeedUnavailable(
            f"missing columns: {', '.join(missing)}{hint}",
            str(path),
            "expected a Databento CSV of mbp-1 or mbp-10; for a table of yours: python -m feed map FILE",
        )
    names = [*required, *(name for name in optional if name in columns)]
    twice = [name for name in names if columns.count(name) > 1]
    if twice:
        raise FeedUnavailable(f"columns there more than once: {', '.join(twice)}", str(path), "keep one of each")
    if not line.endswith(("\n", "\r")):
        raise _no_rows(path)
    return names


def _read_table(path: Path, names: list[str], labels: Sequence[str], max_bytes: Limit) -> Arrow:
    table = _read_columns(path, names, labels, max_bytes, NULLS)
    reread = [name for name in names if name in labels and table.column(name).null_count]
    if reread:  # null_values hold for all columns of a read
        for name, column in zip(reread, _read_columns(path, reread, labels, max_bytes, NULLS[:1]).columns, strict=True):
            table = table.set_column(names.index(name), name, column)
    return table


def _read_columns(path: Path, names: list[str], labels: Sequence[str], max_bytes: Limit, nulls: list[str]) -> Arrow:
    label = pa.dictionary(pa.int32(), pa.string())
    convert = pa_csv.ConvertOptions(
        include_columns=names,
        column_types={name: label if name in labels else pa.string() for name in names},
        null_values=nulls,
        strings_can_be_null=True,
    )
    try:
        blocks = blocks_of(path, max_bytes)
        return pa.concat_tables([pa_csv.read_csv(pa.BufferReader(block), convert_options=convert) for block in blocks])
    except pa.ArrowInvalid as reason:
        raise refused_row(path, max_bytes, ",", str(reason)) from None


def refused_row(path: Path, max_bytes: Limit, delimiter: str, reason: str) -> FeedCorrupt:
    """Say which row of a file has another number of fields; where none has, what pyarrow says of it."""
    number, row = _broken_row(path, max_bytes, delimiter)
    if row is None:
        return FeedCorrupt(f"the file is damaged: {quoted(reason)}", str(path), "export it again")
    line = line_of(path, max_bytes, number - 1)
    text = row.text.encode("latin-1").decode(errors="replace")
    return FeedCorrupt(
        f"line {line}: {row.actual_columns} fields, expected {row.expected_columns}: {quoted(text)}",
        str(path),
        "the file may be cut short; export it again",
    )


def _broken_row(path: Path, max_bytes: Limit, delimiter: str) -> tuple[int, pa_csv.InvalidRow | None]:
    """Find the first row of another length, and its number; its bytes become Latin-1 letters, as they may be no text.

    Where the row is no text, pyarrow prints a traceback and raises nothing.
    """
    broken: list[pa_csv.InvalidRow] = []
    rows_before = 0

    def refuse(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    with suppress(pa.ArrowInvalid):
        for block in blocks_of(path, max_bytes, latin=True):
            table = pa_csv.read_csv(  # only a single thread knows the number of a row
                pa.BufferReader(block),
                read_options=pa_csv.ReadOptions(use_threads=False, autogenerate_column_names=True),
                parse_options=pa_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=refuse),
            )
            rows_before += table.num_rows - 1
    return (rows_before + broken[0].number, broken[0]) if broken else (0, None)


def blocks_of(path: Path, max_bytes: Limit, *, latin: bool = False) -> Iterator[Arrow]:
    """Yield a file's lines in buffers of pyarrow's own, the header first in each; with `latin`, bytes become Latin-1.

    A stream of Python's would not do: if a thread of pyarrow releases it after the interpreter has ended, the process
    aborts.
    """
    with open_bytes(path, max_bytes) as stream:
        line = stream.readline(BLOCK)
        header = line[: line.find(b"\r") + 1] or line  # a line may end in CR alone
        rest, yielded = line[len(header) :], False
        while (block := stream.read(BLOCK)) or rest or not yielded:
            data = rest + block
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 if block else len(data)
            rest = data[end:]
            if len(rest) > BLOCK:
                raise pa.ArrowInvalid(f"a line of more than {BLOCK} bytes")
            if not end and yielded:
                continue
            lines, yielded = header + data[:end], True
            sink = pa.BufferOutputStream()
            sink.write(lines.decode("latin-1").encode() if latin else lines)
            yield sink.getvalue()


def line_of(path: Path, max_bytes: Limit, row: int) -> int:
    """Line number, from 1, of a row; row 0 is the header, blank lines are no rows, a line ends in LF, CR or both."""
    with io.TextIOWrapper(open_bytes(path, max_bytes), encoding="latin-1") as lines:
        row_numbers = (number for number, line in enumerate(lines, 1) if line != "\n")
        return next(islice(row_numbers, row, None))
