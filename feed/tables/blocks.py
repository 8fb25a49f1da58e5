"""Rows of a table whose columns are asked for by name, as exact integers: what a mapping makes quotes of."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.tables.dates import iso_of
from feed.tables.parsing import first_bad, to_numpy
from feed.tables.typed import (
    clocks_of,
    coded,
    first_text,
    has_fractions,
    instants_of,
    integers_of,
    is_text,
    one_array,
    plain,
    prices_of,
    sizes_of,
    with_points,
    without_points,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from feed.tables.mapping import QuoteMapping
    from feed.tables.parsing import Arrow
    from feed.tape import Int64

    Place = Callable[[int], str]


class Block(Protocol):
    """Rows of a table. FeedCorrupt, naming row, column and value, where a value cannot be read."""

    @property
    def numbers(self) -> Int64:
        """(N,) int64: the number of each row in the table, from 0."""

    def keep(self, mask: NDArray[np.bool_]) -> Block:
        """Rows where the (N,) mask is True."""

    def coded(self, name: str) -> tuple[Int64, list[str]]:
        """(N,) int64 codes of a column of few values, -1 where there is none, and these values."""

    def instants(self) -> Int64:
        """(N,) int64: UTC nanoseconds."""

    def integers(self, name: str, high: int) -> Int64:
        """(N,) int64: whole numbers from 0 to `high`."""

    def prices(self, name: str) -> Int64:
        """(N,) int64: 1e-9 $, 0 for none, below 0 as it is."""

    def sizes(self, name: str) -> Int64:
        """(N,) int64: shares, or round lots where the mapping counts these; 0 for none, -1 for below 0."""

    def has_fractions(self, name: str) -> bool:
        """Whether any number of a column has a fraction."""

    def is_float(self, name: str) -> bool:
        """Whether a column is floating point."""


@dataclass(frozen=True, slots=True)
class ArrowBlock:
    """Rows of a table of pyarrow, of any types.

    Attributes
    ----------
    table : pyarrow.Table
    numbers : (N,) int64
    quotes : QuoteMapping
    where : str
        The source, for messages.
    place : callable
        What to call a row, such as ``line 2``.
    """

    table: Arrow
    numbers: Int64
    quotes: QuoteMapping
    where: str
    place: Place

    @classmethod
    def of(cls, table: Arrow, first: int, quotes: QuoteMapping, where: str, place: Place) -> ArrowBlock:
        """A block whose first row has a number."""
        columns = {name: one_array(table.column(name)) for name in table.column_names}
        return cls(pa.table(columns), np.arange(first, first + table.num_rows), quotes, where, place)

    def keep(self, mask: NDArray[np.bool_]) -> ArrowBlock:
        """As `Block`."""
        table = self.table.filter(pa.array(mask))
        return ArrowBlock(table, self.numbers[mask], self.quotes, self.where, self.place)

    def coded(self, name: str) -> tuple[Int64, list[str]]:
        """As `Block`."""
        try:
            indices, values = coded(self.table.column(name))
        except ValueError as error:
            raise FeedUnavailable(f"column {name}: {error}", self.where, "is it the right column?") from None
        return to_numpy(pc.fill_null(indices.cast(pa.int64()), -1)), values

    def instants(self) -> Int64:
        """As `Block`."""
        quotes, name = self.quotes, str(self.quotes.time)
        column = plain(self.table.column(name))
        if quotes.decimal == "comma":
            column = with_points(column)
        if quotes.date is None:
            first = first_text(self._iso(column.slice(0, 1)))

            def read(rows: Arrow) -> Int64:
                return instants_of(self._iso(rows), quotes.time_unit, quotes.zone, first)

            return self._read(column, name, read)
        by_row = quotes.date in self.table.column_names
        dates = plain(self.table.column(quotes.date)) if by_row else pa.array([quotes.date])
        zone, first = str(quotes.zone), first_text(column)

        def parse(rows: Arrow) -> Int64:
            own = dates.slice(rows.offset, len(rows)) if by_row else pa.array([quotes.date] * len(rows))
            return clocks_of(rows, self._iso(own), quotes.time_unit, zone, first)

        return self._read(column, name, parse)

    def integers(self, name: str, high: int) -> Int64:
        """As `Block`."""
        return self._numbers(name, partial(integers_of, low=0, high=high))

    def prices(self, name: str) -> Int64:
        """As `Block`."""
        unit = Fraction(1) if self.quotes.dollars is None else self.quotes.dollars
        return self._numbers(name, partial(prices_of, unit=unit))

    def sizes(self, name: str) -> Int64:
        """As `Block`."""
        unit = Fraction(1) if self.quotes.shares is None else self.quotes.shares
        return self._numbers(name, partial(sizes_of, unit=unit))

    def has_fractions(self, name: str) -> bool:
        """As `Block`."""
        return has_fractions(self._pointed(plain(self.table.column(name))))

    def is_float(self, name: str) -> bool:
        """As `Block`."""
        return bool(pa.types.is_floating(plain(self.table.column(name)).type))

    def _numbers(self, name: str, parser: Callable[[Arrow], Int64]) -> Int64:
        return self._read(plain(self.table.column(name)), name, lambda rows: parser(self._pointed(rows)))

    def _pointed(self, column: Arrow) -> Arrow:
        """Numbers with points where they are written with commas."""
        return column if self.quotes.decimal == "point" else with_points(without_points(column))

    def _iso(self, column: Arrow) -> Arrow:
        """Dates in the order that the mapping names, as ISO 8601; others as they are."""
        order = self.quotes.date_order
        return column if order is None or not is_text(column.type) else iso_of(column, order)

    def _read(self, column: Arrow, name: str, parser: Callable[[Arrow], Int64]) -> Int64:
        try:
            return parser(column)
        except ValueError:
            bad = first_bad(column, parser)
        try:
            parser(column.slice(bad, 1))
        except ValueError as reason:
            value = quoted(str(column[bad].as_py()))
            raise FeedCorrupt(
                f"{self.place(int(self.numbers[bad]))}, column {name}: {value} ({reason})", self.where
            ) from None
        raise FeedCorrupt(f"column {name}: its numbers are written in forms that do not go together", self.where)
