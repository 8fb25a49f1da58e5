"""Tables of somebody else's in files, CSV and Parquet, read by a mapping of their columns to quotes."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from feed.console import listing, quoted
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.files.csv_reader import PACKED, REQUIRED
from feed.files.csv_text import blocks_of, line_of, refused_row
from feed.files.fragments import FileBlock, Labels, check_symbols, make_fragments, unnamed
from feed.files.kinds import check_kind
from feed.files.parquet import by_code
from feed.files.parquet_pages import page_bytes
from feed.files.registry import FORMATS
from feed.files.streams import COMPRESSIONS, bounds_of, check_there, damage_reported, limit_of_levels, open_bytes
from feed.tables import ArrowBlock, Mapper, QuoteMapping, is_text, parse_mapping, parse_word, propose, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feed.files.streams import Limit
    from feed.tables import Arrow, Mapped

COMPILED_FROM = 2**23
"""Bytes from which on a text table is read by compiled code; compressed ones count `PACKED` times."""

BATCH = 2**18
"""Rows of Parquet that are decoded together."""

HEADER_BYTES = 2**20
SAMPLE_BYTES, SAMPLE_ROWS = 2**21, 2**14
"""Of a table that are looked at to propose a mapping."""

DELIMITERS = (",", "|", ";", "\t")


def read_mapped(path: Path, quotes: QuoteMapping, symbol: str | None, max_bytes: Limit, depth: int) -> FileBlock:
    """Read a table by its mapping.

    Parameters
    ----------
    path : Path
        Parquet where it ends so, else text, compressed where it ends in .gz or .zst.
    quotes : QuoteMapping
    symbol : str, optional
        Which symbol; all by default. A table without a column of symbols holds one, named by this, or `UNNAMED`.
    max_bytes : int or Share, optional
        Decompressed bytes that may be read; by default as many as `feed.files.streams.bounds_of` says.
    depth : int
        Levels of a side that are read at most.

    Raises
    ------
    FeedUnavailable
        No such file, no rows, columns that are missing, units that are not certain.
    FeedCorrupt
        Damaged, or a value that cannot be read; names row, column and value.
    """
    check_there(path)
    of_parquet = path.suffix.lower() == ".parquet"
    check_kind(path, ".parquet" if of_parquet else ".csv")
    limit = limit_of_levels(path, max_bytes, depth)
    place = (lambda row: f"row {row}") if of_parquet else (lambda row: f"line {line_of(path, limit, row + 1)}")
    if not of_parquet and path.stat().st_size * (PACKED if path.suffix.lower() in COMPRESSIONS else 1) >= COMPILED_FROM:
        mapper = _compiled(path, quotes, limit, Mapper(quotes, str(path), place, symbol, depth))
        if mapper is not None:
            return block_of(mapper.finish(), symbol, str(path))
    mapper = Mapper(quotes, str(path), place, symbol, depth)
    with damage_reported(path):
        for table in (_parquet if of_parquet else _text)(path, quotes, limit):
            mapper.take(ArrowBlock.of(table, mapper.rows, quotes, str(path), place))
    if not mapper.rows:
        raise NoRows("the file holds no rows", str(path), "export it again")
    return block_of(mapper.finish(), symbol, str(path))


def _compiled(path: Path, quotes: QuoteMapping, limit: Limit, mapper: Mapper) -> Mapper | None:
    """Read a large text table by compiled code; None where that does not take it."""
    from feed.files.table_fields import read_compiled

    with damage_reported(path):
        header = header_of(path, limit, quotes.separator)
        _wanted(header, quotes, str(path))
    return mapper if read_compiled(path, limit, mapper, header) else None


def block_of(mapped: Mapped, symbol: str | None, where: str) -> FileBlock:
    """Make tapes of what a mapping has made of a table."""
    symbols = mapped.symbols if mapped.named else ()
    check_symbols(symbols, symbol, where)
    if mapped.named and symbol is not None and (symbol not in symbols or not mapped.quotes):
        return FileBlock((), symbols)
    names, notes = (mapped.symbols, mapped.notes)
    if not mapped.named:
        name, about = unnamed(symbol)
        names, notes = (name,), (*about, *notes)
    labels = Labels(names, mapped.codes, np.zeros(0, np.int64), named=mapped.named)
    fragments = make_fragments(labels, mapped.quotes, None, mapped.ignored, notes, mapped.levels, where=where)
    return FileBlock(fragments, symbols)


def _wanted(columns: Sequence[str], quotes: QuoteMapping, where: str) -> list[str]:
    """The columns to read, of those that the table has."""
    wanted = [*quotes.columns, *(name for name in columns if name == quotes.date)]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise FeedUnavailable(
            f"missing columns: {', '.join(map(quoted, missing))}", where, listing("columns", set(columns))
        )
    twice = [name for name in wanted if list(columns).count(name) > 1]
    if twice:
        raise FeedUnavailable(f"columns there more than once: {', '.join(twice)}", where, "keep one of each")
    return list(dict.fromkeys(wanted))


def header_of(path: Path, limit: Limit, delimiter: str) -> list[str]:
    """Names of the columns of a text file."""
    with open_bytes(path, limit) as lines:
        line = lines.readline(HEADER_BYTES).decode("utf-8-sig")
    line = io.StringIO(line, newline="").readline()
    columns: list[str] = []
    with suppress(csv.Error):
        columns = next(csv.reader([line], delimiter=delimiter), [])
    return columns


def _text(path: Path, quotes: QuoteMapping, limit: Limit) -> Iterator[Arrow]:
    """Yield the columns of a text file as text, block after block."""
    delimiter = quotes.separator
    names = _wanted(header_of(path, limit, delimiter), quotes, str(path))
    read = partial(
        pa_csv.read_csv,
        parse_options=pa_csv.ParseOptions(delimiter=delimiter),
        convert_options=pa_csv.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    try:
        for block in blocks_of(path, limit):
            yield read(pa.BufferReader(block))
    except pa.ArrowInvalid as reason:
        raise refused_row(path, limit, delimiter, str(reason)) from None


def _parquet(path: Path, quotes: QuoteMapping, limit: Limit) -> Iterator[Arrow]:
    """Yield the columns of a Parquet file, batch after batch."""
    import pyarrow.parquet as pq

    where = str(path)
    with _parquet_errors(where):
        schema = pq.read_schema(path)
    names = _wanted(schema.names, quotes, where)
    bounds = bounds_of(path, limit)
    nbytes = rows = 0
    with _parquet_errors(where):
        footer = pq.read_metadata(path)
        bounds.check(0, footer.num_rows)
        for _, _, size, _ in page_bytes(path, footer, names):
            nbytes += size
            bounds.check(nbytes, 0)
        labels = [each.name for each in schema if each.name in names and is_text(each.type)]
        coded = by_code(footer, labels)
    nbytes = 0
    with _parquet_errors(where), pq.ParquetFile(path, read_dictionary=coded, page_checksum_verification=True) as file:
        for batch in file.iter_batches(BATCH, columns=names):
            nbytes, rows = nbytes + batch.nbytes, rows + batch.num_rows
            bounds.check(nbytes, rows)
            yield pa.Table.from_batches([batch])


def sample(path: Path, delimiter: str | None = None) -> tuple[Arrow, str | None]:
    """Read the first rows of a table, with all its columns.

    Parameters
    ----------
    path : Path
    delimiter : str, optional
        Of a text file; by default one of `DELIMITERS`, that which the header has most of.

    Returns
    -------
    table : pyarrow.Table
        Of a text file all columns are text.
    delimiter : str or None
        That of a text file.

    Raises
    ------
    FeedError
        As `read_mapped`.
    """
    check_there(path)
    of_parquet = path.suffix.lower() == ".parquet"
    check_kind(path, ".parquet" if of_parquet else ".csv")
    where = str(path)
    with damage_reported(path):
        if of_parquet:
            table, delimiter = _parquet_head(path, where), None
        else:
            with open_bytes(path, None, lines=False) as stream:
                head = stream.read(SAMPLE_BYTES)
            delimiter = delimiter or _delimiter_of(head)
            table = _text_head(head, delimiter, where)
    if not table.num_rows:
        raise NoRows("the file holds no rows", where, "export it again")
    return table, delimiter


def _delimiter_of(head: bytes) -> str:
    header = head.partition(b"\n")[0]
    return max(DELIMITERS, key=lambda each: header.count(each.encode()))


def _text_head(head: bytes, delimiter: str, where: str) -> Arrow:
    whole = head[: head.rfind(b"\n") + 1] if len(head) == SAMPLE_BYTES else head
    try:
        columns = next(csv.reader(io.StringIO(whole.decode("utf-8-sig"), newline=""), delimiter=delimiter), [])
        twice = dict.fromkeys(name for name in columns if name and columns.count(name) > 1)
        if twice:
            raise FeedUnavailable(
                f"columns there more than once: {', '.join(map(quoted, twice))}", where, "name each once"
            )
        broken = [name for name in columns if "\n" in name or "\r" in name]
        if broken:
            raise FeedUnavailable(f"a line break in the name of a column: {quoted(broken[0])}", where, "take it out")
        table = pa_csv.read_csv(
            pa.BufferReader(whole),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        # columns without a name, such as those of spreadsheets behind the last one, can be named by no key
        return table.select([at for at, name in enumerate(table.column_names) if name])
    except UnicodeDecodeError:
        raise FeedUnavailable("it is no text in UTF-8", where, "write it as UTF-8 (iconv -t UTF-8)") from None
    except (pa.ArrowInvalid, csv.Error) as reason:
        raise FeedCorrupt(f"no table: {quoted(str(reason))}", where, "is quotes.delimiter right?") from None


def _parquet_head(path: Path, where: str) -> Arrow:
    import pyarrow.parquet as pq

    with _parquet_errors(where), pq.ParquetFile(path, page_checksum_verification=True) as file:
        batch = next(file.iter_batches(SAMPLE_ROWS), None)
        return file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])


@contextmanager
def _parquet_errors(where: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise FeedCorrupt(f"the file is damaged: {quoted(str(error))}", where, "copy or export it again") from None


def propose_mapping(place: str, words: Sequence[str]) -> str:
    """Look at a file, and write the section `quotes` that it seems to need.

    Parameters
    ----------
    place : str
    words : sequence of str
        KEY=VALUE of what is settled already, ``quotes.*`` and ``symbol``.

    Returns
    -------
    str
        YAML: the source and its mapping, each key with its reason.

    Raises
    ------
    FeedUnavailable
        What two readings fit; says each, and the key that settles it.
    FeedError
        As `read_mapped`.
    """
    given: dict[str, Any] = {}
    for word in words:
        key, _, text = word.partition("=")
        if not key.startswith("quotes."):
            raise FeedUnavailable(f"{key} settles nothing of a mapping", place, "quotes.* do")
        try:
            given[key.removeprefix("quotes.")] = parse_word(text, key)
        except ValueError as error:
            raise FeedUnavailable(str(error), place) from None
    path = Path(place)
    check_there(path)
    known = next((each.about for each in FORMATS.values() if each.fits(path)), None)
    if known is not None:
        raise FeedUnavailable(
            f"it is of a layout that needs no mapping: {known}", place, "name it as it is: source=FILE"
        )
    named = given.get("delimiter")
    try:
        separator = None if named is None else parse_mapping({"delimiter": named}).separator
    except ValueError as error:
        raise FeedUnavailable(str(error), place) from None
    table, delimiter = sample(path, separator)
    seen: dict[str, str] = {}
    if {*REQUIRED} <= {*table.column_names}:
        raise FeedUnavailable(
            "it has Databento's columns, which need no mapping", place, "name it as it is: source=FILE"
        )
    if delimiter not in {None, ","} and named is None:
        seen["delimiter"] = "tab" if delimiter == "\t" else delimiter
    try:
        proposal = propose(table, given, seen)
    except ValueError as error:
        raise FeedUnavailable(str(error), place) from None
    if proposal.doubts:
        raise FeedUnavailable("; ".join(proposal.doubts), place)
    try:
        quotes = parse_mapping(proposal.mapping)
    except ValueError as error:
        raise FeedUnavailable(str(error), place) from None
    # lines are not counted here; a row of Parquet is called as the reading calls it
    of_text = delimiter is not None
    mapper = Mapper(quotes, place, lambda row: f"row {row + of_text}")
    mapper.take(ArrowBlock.of(table, 0, quotes, place, mapper.place))
    first = mapper.finish().quotes
    if first:
        both = (first["bid_px"] > 0) & (first["ask_px"] > 0)
        crossed = both & (first["bid_px"] > first["ask_px"])
        if 2 * np.count_nonzero(crossed) > np.count_nonzero(both):
            raise FeedUnavailable(
                "the bid is above the ask in over half of the first rows",
                place,
                "are they exchanged? name them: quotes.bid_px=..., quotes.ask_px=...",
            )
    return written(proposal, place)
