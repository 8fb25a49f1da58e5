"""A table of somebody else's, block after block, turned into the columns of a tape."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import listing, quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.growing import GrowingColumns
from feed.instants import format_instant
from feed.levels import LEVEL_DTYPES
from feed.markets import round_lots, venue_of
from feed.tables.books import SIDES, fold, group_starts, packed, ranked, withdrawals
from feed.tape import INT64, QUOTE_DTYPES, UNNAMED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from feed.tables.blocks import Block, Place
    from feed.tables.mapping import QuoteMapping
    from feed.tape import Int64

Columns = dict[str, Any]

_WHOLE = "its prices are whole numbers, and nothing says of what"
_UNITS = "set quotes.price_unit=dollars, cents, 1e-4 or 1e-9; python -m feed map shows what each makes of them"


@dataclass(frozen=True, slots=True)
class Mapped:
    """The columns of a tape, of all symbols.

    Attributes
    ----------
    symbols : tuple of str
        Ascending; `UNNAMED` where a row names none.
    named : bool
        Whether the table names them.
    codes : (N,) int64
        Index into `symbols` of each row.
    quotes : dict of str to (N,) integers
        The columns of `feed.tape.QUOTE_DTYPES`, in order of arrival, or folded books by time.
    levels : dict of str to (N, D - 1) integers, optional
    ignored : dict of str to int
        Rows left out, by reason.
    notes : tuple of str
        How the table is read.
    """

    symbols: tuple[str, ...]
    named: bool
    codes: Int64
    quotes: Columns
    levels: Columns | None
    ignored: dict[str, int]
    notes: tuple[str, ...]


@dataclass(slots=True)
class Mapper:
    """Takes a table block after block.

    Attributes
    ----------
    quotes : QuoteMapping
        Checked by `check_mapping`.
    where : str
        The source, for messages.
    place : callable
        What to call a row, given its number from 0, such as ``line 2``.
    symbol : str, optional
        The only one to keep.
    depth : int
        Levels of a side that are kept.
    """

    quotes: QuoteMapping
    where: str
    place: Place
    symbol: str | None = None
    depth: int = 1
    rows: int = 0
    grown: GrowingColumns | None = None
    symbols: dict[str, int] = field(default_factory=dict)
    other_symbol: int = 0
    other_kind: int = 0
    negative: int = 0
    first_negative: str = ""
    fractions: bool = False
    priced: bool = False
    floats: bool = False

    def take(self, block: Block) -> None:
        """Take a block.

        Raises
        ------
        FeedUnavailable
            A column whose unit is not certain, or of a type that cannot be read; an unknown venue.
        FeedCorrupt
            A value that cannot be read; names row, column and value.
        """
        self.rows += len(block.numbers)
        quotes, columns = self.quotes, Columns()
        block = self._only(block)
        if quotes.symbol is not None and len(block.numbers):
            columns["code"] = self._codes(*block.coded(quotes.symbol))
            if self.symbol is not None:
                kept = columns["code"] == self.symbols.get(self.symbol, -1)
                self.other_symbol += int(np.count_nonzero(~kept))
                block, columns["code"] = block.keep(kept), columns["code"][kept]
        numbers = block.numbers
        if not len(numbers):
            return
        columns["ts"] = block.instants()
        columns["venue"] = self._venues(block, int(columns["ts"].min()))
        columns["sequence"] = numbers if quotes.sequence is None else block.integers(quotes.sequence, INT64)
        for name, px_names, sz_names in quotes.quoted:
            px = [self._prices(block, each) for each in px_names]
            sz = [self._sizes(block, each, columns["ts"], at) for each, at in zip(sz_names, px, strict=True)]
            columns |= {f"{name}px@{level}": column for level, column in enumerate(px)}
            columns |= {f"{name}sz@{level}": column for level, column in enumerate(sz)}
        if quotes.side is not None:
            columns["side"] = self._sides(block, quotes.side)
            if quotes.level is not None:
                columns["level"] = block.integers(quotes.level, 2**31)
        self.add(columns)

    def _only(self, block: Block) -> Block:
        """The rows whose columns hold what is asked for."""
        for name, wanted in (self.quotes.only or {}).items():
            if not len(block.numbers):
                break
            codes, values = block.coded(name)
            words = {wanted} if isinstance(wanted, str) else {*wanted}
            kept = np.array([value in words for value in [*values, ""]])[codes]
            self.other_kind += int(np.count_nonzero(~kept))
            block = block.keep(kept)
        return block

    def add(self, columns: Columns) -> None:
        """Add rows as another mapper of the same mapping has them (`give`), their codes by `symbols` of this one."""
        if self.grown is None:
            self.grown = GrowingColumns({each: column.dtype.str for each, column in columns.items()})
        self.grown.extend(columns)

    def give(self) -> Columns:
        """Give the rows away as they are kept, (N,) integers each; none is left here."""
        grown, self.grown = self.grown, None
        return {} if grown is None else grown.arrays()

    def finish(self) -> Mapped:
        """Join the blocks, fold what is to be folded, and say how the table was read.

        Raises
        ------
        FeedUnavailable
            Prices whose unit is not certain, or that are negative where they may not be.
        """
        quotes, where = self.quotes, self.where
        if self.priced and not self.fractions and quotes.dollars is None:
            raise FeedUnavailable(_WHOLE, where, _UNITS)
        if self.negative and quotes.prices == "positive":
            count = f"{self.negative:,} prices are" if self.negative > 1 else "a price is"
            raise FeedUnavailable(
                f"{count} below 0, the first at {self.first_negative}",
                where,
                "equities have none; for an instrument that has, quotes.prices=signed takes them as no quotes",
            )
        symbols = tuple(sorted(self.symbols)) or (UNNAMED,)
        counts = {"other_kind": self.other_kind, "other_symbol": self.other_symbol}
        ignored = {reason: count for reason, count in counts.items() if count}
        if self.grown is None:
            return Mapped(symbols, bool(self.symbols), np.zeros(0, np.int64), {}, None, ignored, self._notes())
        columns = _by_level(self.give())
        if len(symbols) > 1:
            rank = np.zeros(len(self.symbols), np.int64)
            for at, name in enumerate(symbols):
                rank[self.symbols[name]] = at
            columns["code"] = rank[columns["code"]]
        else:
            columns["code"] = np.broadcast_to(np.int64(0), len(columns["ts"]))
        if quotes.side is not None:
            columns = self._folded(columns, ignored)
        elif quotes.rows == "snapshots":
            columns = _with_withdrawals(columns)
        codes = columns.pop("code")
        levels = {name: columns[name][:, 1 : self.depth] for name in LEVEL_DTYPES}
        first = {name: columns[name][:, 0] if name in LEVEL_DTYPES else columns[name] for name in QUOTE_DTYPES}
        deep = levels["bid_px"].shape[1] > 0
        return Mapped(symbols, bool(self.symbols), codes, first, levels if deep else None, ignored, self._notes())

    def _folded(self, columns: Columns, ignored: dict[str, int]) -> Columns:
        """Make books of rows of one level of one side."""
        snapshots = self.quotes.rows == "snapshots"
        rows = {name: column[:, 0] if column.ndim > 1 else column for name, column in columns.items()}
        late = int(np.count_nonzero(rows["ts"][1:] < rows["ts"][:-1]))
        order = np.lexsort((rows["ts"], rows["venue"], rows["code"]))
        rows = {name: column[order] for name, column in rows.items()}
        if late:
            ignored["out_of_order"] = late
        if "level" in rows:
            base = int(rows["level"].min())
            if base > 1:
                raise FeedUnavailable(
                    f"its levels begin at {base}, not at 0 or 1", self.where, "is quotes.level the right column?"
                )
            rows["level"] = rows["level"] - base
        elif snapshots:
            group: Int64 = np.cumsum(group_starts(rows["code"], rows["venue"], rows["ts"]))
            rows["level"] = ranked(group, rows["side"], rows["px"], rows["sz"])
        else:
            rows["level"] = np.zeros(len(order), np.int64)
        shown = rows["level"][rows["sz"] > 0]
        books = fold(rows, min(self.depth, int(shown.max()) + 1 if len(shown) else 1), snapshots=snapshots)
        for side in SIDES:
            packed(books[f"{side}_px"], books[f"{side}_sz"], bids=side == "bid")
        if snapshots:
            books = _with_withdrawals(books)
        order = np.lexsort((books["venue"], books["ts"]))
        return {name: column[order] for name, column in books.items()}

    def _venues(self, block: Block, first: int) -> NDArray[np.int16]:
        """(N,) int16: publisher ids; a letter that several exchanges have had is of that of the first row's date."""
        quotes, numbers = self.quotes, block.numbers
        if quotes.venue is None:
            return np.full(len(numbers), self._venue(quotes.at, "any", first, lambda: "quotes.at"), np.int16)
        codes, values = block.coded(quotes.venue)
        self._refuse_empty(codes, numbers, quotes.venue)
        ids = np.zeros(len(values), np.int16)
        for code in _present(codes):
            row = int(numbers[np.argmax(codes == code)])
            ids[code] = self._venue_in(values[code], first, partial(self._cell, row, quotes.venue))
        return ids[codes]

    def _refuse_empty(self, codes: Int64, numbers: Int64, name: str) -> None:
        if len(codes) and int(codes.min()) < 0:
            raise FeedCorrupt(f"{self._cell(int(numbers[np.argmax(codes < 0)]), name)}: it is empty", self.where)

    def _cell(self, row: int, name: str) -> str:
        """Where a value stands, for a message; a line is counted for it."""
        return f"{self.place(row)}, column {name}"

    def _venue_in(self, value: str, first: int, cell: Callable[[], str]) -> int:
        """The id of what a column of venues holds."""
        venues = self.quotes.venues
        if not isinstance(venues, dict):
            return self._venue(value, venues, first, cell)
        if value not in venues:
            known = listing("venues", set(venues))
            raise FeedUnavailable(f"{cell()}: {quoted(value)} is not in quotes.venues", self.where, known)
        return self._venue(venues[value], "any", first, lambda: "quotes.venues")

    def _venue(self, value: object, kind: str, first: int, cell: Callable[[], str]) -> int:
        try:
            return venue_of(str(value), kind, format_instant(first)[:10])
        except ValueError as error:
            key = "quotes.at=MIC" if self.quotes.venue is None else "quotes.venues={TEXT: MIC}"
            raise FeedUnavailable(f"{cell()}: {error}", self.where, f"say which it is: {key}") from None

    def _codes(self, codes: Int64, names: list[str]) -> NDArray[np.int32]:
        """(N,) int32: the symbol of each row."""
        ranks = np.zeros(len(names) + 1, np.int32)  # the last is that of -1
        for code in _present(codes):
            name = names[code] if code >= 0 else ""
            name = (self.quotes.symbols or {}).get(name, name)
            ranks[code] = self.symbols.setdefault(name or UNNAMED, len(self.symbols))
        return ranks[codes]

    def _sides(self, block: Block, name: str) -> NDArray[np.int8]:
        """(N,) int8: 0 bid, 1 ask."""
        words = {word: code for code, side in enumerate(SIDES) for word in self.quotes.words_of(side)}
        codes, values = block.coded(name)
        self._refuse_empty(codes, block.numbers, name)
        sides = np.zeros(len(values), np.int8)
        for code in _present(codes):
            if values[code] not in words:
                cell = self._cell(int(block.numbers[np.argmax(codes == code)]), name)
                raise FeedUnavailable(
                    f"{cell}: {quoted(values[code])} is no side",
                    self.where,
                    "say what it holds: quotes.bid=..., quotes.ask=...",
                )
            sides[code] = words[values[code]]
        return sides[codes]

    def _prices(self, block: Block, name: str) -> Int64:
        if self.quotes.dollars is None and not self.fractions:
            self.fractions = block.has_fractions(name)
        px = block.prices(name)
        self.priced |= bool((px != 0).any())
        if px.min() < 0:
            below = px < 0
            self.first_negative = self.first_negative or self._cell(int(block.numbers[np.argmax(below)]), name)
            self.negative += int(np.count_nonzero(below))
        self.floats |= block.is_float(name)
        return px

    def _sizes(self, block: Block, name: str, ts: Int64, px: Int64) -> NDArray[np.int32]:
        sz = block.sizes(name)
        if self.quotes.shares is None:
            sz = np.where(sz > 0, sz * round_lots(ts, px), sz)
        return sz.astype(np.int32)

    def _notes(self) -> tuple[str, ...]:
        """How the table was read."""
        quotes = self.quotes
        zone = f", {quotes.zone}" if quotes.zone else ""
        units = f"prices in {quotes.price_unit or 'dollars'}, sizes in {quotes.size_unit or 'shares'}"
        notes = [f"{quoted(str(quotes.time))} is {quotes.time_unit or 'the instant'}{zone}; {units}"]
        if quotes.sequence is None:
            notes.append("no sequence: the order of the rows stands in")
        if self.floats:
            notes.append("prices were floating point: rounded to 1e-9 $")
        return tuple(notes)


def _present(codes: Int64) -> list[int]:
    """The codes there are, ascending, -1 among them; counting is several times as fast as sorting."""
    present: list[int] = (np.flatnonzero(np.bincount(codes + 1)) - 1).tolist()
    return present


def _by_level(columns: Columns) -> Columns:
    """Columns of levels side by side, (N, D); one level is a view of what is there."""
    joined: Columns = {}
    for name in [*columns]:
        column, (what, _, level) = columns.pop(name), name.partition("@")
        if level == "":
            joined[what] = column
        elif level == "0":
            joined[what] = [column]
        else:
            joined[what].append(column)
    levels = {name: each for name, each in joined.items() if isinstance(each, list)}
    return joined | {
        name: each[0][:, None] if len(each) == 1 else np.stack(each, axis=1) for name, each in levels.items()
    }


def _with_withdrawals(columns: Columns) -> Columns:
    """Add rows at which a venue that a whole market does not name any more shows nothing."""
    code, venue, ts = withdrawals(columns["code"], columns["venue"], columns["ts"])
    if not len(ts):
        return columns
    added = {"code": code, "venue": venue, "ts": ts}
    joined = {
        name: np.concatenate([column, added.get(name, np.zeros((len(ts), *column.shape[1:]), column.dtype))])
        for name, column in columns.items()
    }
    order = np.argsort(joined["ts"], kind="stable")
    return {name: column[order] for name, column in joined.items()}
