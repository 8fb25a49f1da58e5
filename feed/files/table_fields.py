"""Text tables by a mapping, read by compiled code: as `feed.files.table_reader` reads them, or not at all.

What it does not take, for whatever reason, the other one reads, or refuses with the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from feed.errors import FeedError
from feed.files.fields import COLONS, NAME, NUMBER, STAMP, Batch, Field, Layout, read_batches
from feed.files.streams import open_bytes
from feed.instants import NANOS_FROM
from feed.tables import UNITS, Mapper, days_of_dates, localised
from feed.tape import DAY, INT64, PRICE_LIMIT, SHARES_LIMIT

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.streams import Limit
    from feed.tables import QuoteMapping
    from feed.tape import Int64

_LINE = 2**16
_POWERS = {Fraction(10) ** power: power for power in range(-12, 13)}


@dataclass(frozen=True, slots=True)
class FieldBlock:
    """Rows of a text table, as `feed.tables.blocks.Block`, whose numbers are read already.

    Attributes
    ----------
    numbers : (N,) int64
    ts : (N,) int64
        UTC nanoseconds.
    columns : dict of str to (N,) int64
    names : dict of str to list of str
        Of columns of names, what their codes stand for.
    """

    numbers: Int64
    ts: Int64
    columns: dict[str, Int64]
    names: dict[str, list[str]]

    def keep(self, mask: NDArray[np.bool_]) -> FieldBlock:
        """As `Block`."""
        columns = {name: column[mask] for name, column in self.columns.items()}
        return FieldBlock(self.numbers[mask], self.ts[mask], columns, self.names)

    def coded(self, name: str) -> tuple[Int64, list[str]]:
        """As `Block`."""
        return self.columns[name], self.names[name]

    def instants(self) -> Int64:
        """As `Block`."""
        return self.ts

    def integers(self, name: str, high: int) -> Int64:  # noqa: ARG002 - a limit of the field
        """As `Block`."""
        return self.columns[name]

    def prices(self, name: str) -> Int64:
        """As `Block`."""
        return self.columns[name]

    def sizes(self, name: str) -> Int64:
        """As `Block`."""
        return np.maximum(self.columns[name], -1)

    def has_fractions(self, name: str) -> bool:  # noqa: ARG002 - looked at before
        """As `Block`."""
        return True

    def is_float(self, name: str) -> bool:  # noqa: ARG002 - text
        """As `Block`."""
        return False


class _NotTakenError(Exception):
    """The other reader has to read this."""


def read_compiled(path: Path, limit: Limit, mapper: Mapper, header: list[str]) -> bool:
    """Read a text table into a mapper; whether it was taken. If not, the mapper is of no more use.

    Parameters
    ----------
    path : Path
    limit : int or Share, optional
        Decompressed bytes that may be read.
    mapper : Mapper
        That has taken nothing yet.
    header : list of str
        Names of all columns.
    """
    quotes = mapper.quotes
    try:
        with open_bytes(path, limit) as stream:
            layout, take = _layout_of(stream, quotes, header)
            for ts, columns, names in read_batches(stream, str(path), layout, take):
                numbers = np.arange(mapper.rows, mapper.rows + len(ts))
                mapper.take(FieldBlock(numbers, ts, columns, names))
    except (FeedError, OSError, EOFError, ValueError, _NotTakenError):
        return False
    return True


def _layout_of(
    stream: io.BufferedReader, quotes: QuoteMapping, header: list[str]
) -> tuple[Layout, Callable[[Batch], tuple[Int64, dict[str, Int64], dict[str, list[str]]]]]:
    """The layout of a file whose first line is read here, and what is made of each batch."""
    delimiter = quotes.separator
    first = stream.readline(_LINE)
    line = bytes(stream.peek(_LINE)[:_LINE]).partition(b"\n")[0].rstrip(b"\r")
    values = dict(zip(header, line.decode("ascii").split(delimiter), strict=False))
    if b'"' in first or b'"' in line or not first.endswith(b"\n") or len(values) != len(header):
        raise _NotTakenError
    fields: dict[str, Field] = {}

    def read(name: str, kind: int, scale: int = 0, *, optional: bool = False, low: int = 0, high: int = INT64) -> None:
        wanted = Field(name, kind, scale, optional, low=low, high=high)
        if fields.setdefault(name, wanted) != wanted:
            raise _NotTakenError  # one column for two things

    for each in (*(quotes.only or ()), quotes.symbol, quotes.venue, quotes.side):
        if each is not None:
            read(each, NAME)
    for each in (quotes.sequence, quotes.level):
        if each is not None:
            read(each, NUMBER, high=INT64 if each == quotes.sequence else 2**31)
    dollars = Fraction(1) if quotes.dollars is None else quotes.dollars
    shares = Fraction(1) if quotes.shares is None else quotes.shares
    priced = [name for _, px, _ in quotes.quoted for name in px]
    if quotes.dollars is None and not any("." in values[name] for name in priced):
        raise _NotTakenError
    if dollars not in _POWERS or shares not in _POWERS:
        raise _NotTakenError
    for _, px, sz in quotes.quoted:
        for name in px:
            read(name, NUMBER, 9 + _POWERS[dollars], optional=True, low=-INT64, high=PRICE_LIMIT - 1)
        for name in sz:
            read(name, NUMBER, _POWERS[shares], optional=True, low=-INT64, high=SHARES_LIMIT - 1)
    read(str(quotes.time), _time_kind(quotes, values[str(quotes.time)]))
    if quotes.date in header:
        read(quotes.date, NAME)
    layout = Layout(tuple(fields.get(name) for name in header), delimiter, header=True)
    time = fields[str(quotes.time)]

    def take(batch: Batch) -> tuple[Int64, dict[str, Int64], dict[str, list[str]]]:
        ts = _instants(batch, time, quotes)
        if any("\\x" in name for names in batch.names.values() for name in names):
            raise _NotTakenError  # it may be no text
        columns = {name: column.copy() for name, column in batch.columns.items() if name != time.name}
        for name, names in batch.names.items():
            if "" in names:
                columns[name][columns[name] == names.index("")] = -1
        return ts, columns, batch.names

    return layout, take


def _time_kind(quotes: QuoteMapping, value: str) -> int:
    """How a time is written, by the first one."""
    if quotes.date_order is not None or quotes.decimal != "point":
        raise _NotTakenError
    if quotes.date is not None:
        if ":" not in value or quotes.time_unit not in {None, "iso", "clock"}:
            raise _NotTakenError
        return COLONS
    if value[4:5] == "-" and quotes.time_unit in {None, "iso"}:
        return STAMP
    if value.isdigit() and quotes.time_unit != "iso":
        return NUMBER
    raise _NotTakenError


def _instants(batch: Batch, time: Field, quotes: QuoteMapping) -> Int64:
    """UTC nanoseconds of a batch."""
    values = batch.columns[time.name]
    if time.kind == NUMBER:
        nanos = UNITS[quotes.time_unit or "ns"]
        if len(values) and (values.min() * nanos < NANOS_FROM or int(values.max()) > INT64 // nanos):
            raise _NotTakenError
        return values * nanos
    if time.kind == COLONS:
        return localised(_days(batch, quotes) * DAY + values, str(quotes.zone))
    if batch.rounded == len(values):  # each names its zone
        return values.copy()
    if batch.rounded or quotes.zone is None:
        raise _NotTakenError
    return localised(values, quotes.zone)


def _days(batch: Batch, quotes: QuoteMapping) -> Int64:
    """Days since 1970 of a batch's rows."""
    name = str(quotes.date)
    by_row = name in batch.columns
    days: Int64 = days_of_dates(pa.array(batch.names[name] if by_row else [name]))
    return days[batch.columns[name]] if by_row else days.repeat(len(batch))
