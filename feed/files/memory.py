"""Tables in memory as a source: frames of pandas or polars, tables of pyarrow, streams of the Arrow C interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from feed.errors import FeedUnavailable, NoRows
from feed.files.plan import FilePlan
from feed.files.table_reader import block_of
from feed.levels import MOST_LEVELS
from feed.plan import MEMORY
from feed.tables import ArrowBlock, Mapper, parse_mapping, propose

if TYPE_CHECKING:
    from feed.files.fragments import FileBlock
    from feed.options import ReadOptions
    from feed.tables import Arrow, QuoteMapping

INDEX = "index"
"""What the index of a frame of pandas is called, where it has no name."""

_UNNAMED_INDEX = "__index_level_0__"
_BATCH = 2**18
_HELD = 8
"""Memory that all that is made of a table may take, in multiples of its bytes, beside what any source may take."""


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """A table that is read already."""

    block: FileBlock

    def read(self) -> FileBlock:
        """The block."""
        return self.block


def plan_table(source: object, options: ReadOptions) -> FilePlan:
    """Read a table in memory, and make a plan of what it holds.

    Parameters
    ----------
    source : object
        Anything of the Arrow C stream interface; the index of a frame of pandas is a column, called `INDEX` where it
        has no name.
    options : ReadOptions
        `quotes` says which column holds what; without it the mapping is that which is proposed, if nothing is in doubt.

    Raises
    ------
    FeedUnavailable
        It cannot be converted, holds no rows, or what a column holds is in doubt; says which key settles it.
    FeedCorrupt
        A value that cannot be read; names row and column.
    """
    table = _table(source)
    quotes = (
        options.quotes if options.quotes is not None and options.quotes.names_columns else _proposed(table, options)
    )
    wanted = [name for name in table.column_names if name in quotes.columns or name == quotes.date]
    if missing := [name for name in quotes.columns if name not in wanted]:
        raise FeedUnavailable(
            f"missing columns: {', '.join(missing)}",
            MEMORY,
            f"columns there: {', '.join(map(str, table.column_names))}",
        )
    mapper = Mapper(quotes, MEMORY, lambda row: f"row {row}", options.symbol, options.depth or MOST_LEVELS)
    for batch in table.select(wanted).to_batches(_BATCH):
        mapper.take(ArrowBlock.of(pa.Table.from_batches([batch]), mapper.rows, quotes, MEMORY, mapper.place))
    block = block_of(mapper.finish(), options.symbol, MEMORY)
    if options.depth is None:
        block = block.shown()
    held = max(_HELD * table.nbytes, options.max_bytes if options.of_file is not None else 0) + 2**30
    return FilePlan("memory", "table", (MemoryRange(block),), options.symbol, False, held, (), options.depth)  # noqa: FBT003


def _table(source: Any) -> Arrow:  # noqa: ANN401 - whatever brings it
    try:
        table = pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise FeedUnavailable(
            f"it is no table: {str(error)[:200]}", MEMORY, "give a frame of pandas or polars"
        ) from None
    if not table.num_rows:
        raise NoRows("the table holds no rows", MEMORY)
    names = [INDEX if name == _UNNAMED_INDEX else name for name in table.column_names]
    return table.rename_columns(names)


def _proposed(table: Arrow, options: ReadOptions) -> QuoteMapping:
    given = {} if options.quotes is None else options.quotes.given
    proposal = propose(table, given)
    if proposal.doubts:
        raise FeedUnavailable("; ".join(proposal.doubts), MEMORY)
    try:
        return parse_mapping(proposal.mapping)
    except ValueError as error:
        raise FeedUnavailable(str(error), MEMORY) from None
