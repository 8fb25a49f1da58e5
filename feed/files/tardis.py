"""tardis.dev's CSV: incremental_book_L2 folded to a book, book_snapshot_5 and _25, quotes, trades.

Layout: https://docs.tardis.dev/downloadable-csv-files/data-types. Stamps are microseconds since 1970; prices and
amounts are decimals of a coin or contracts, which `quotes.size_unit` turns into whole numbers, exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.fields import NAME, WORD, Batch, Field, Reading, header_of, layout_of, read_batches
from feed.files.fragments import FileBlock, Labels, check_symbols, make_fragments
from feed.files.kinds import check_kind
from feed.files.layouts import LARGEST_PRICE, LARGEST_SIZE, asked, check_named, joined, tape_names, venues_named
from feed.files.price_book import UPDATES, PriceBook
from feed.files.streams import check_there, damage_reported, limit_of_levels, open_bytes
from feed.instants import NANOS_FROM, format_instant
from feed.levels import LEVEL_DTYPES, MOST_LEVELS
from feed.tape import INT64, QUOTE_DTYPES, TRADE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.registry import Request
    from feed.tables import QuoteMapping

    Columns = dict[str, NDArray[Any]]

STAMPS = {"arrival": "local_timestamp", "sent": "timestamp"}
"""When a message arrived at the recorder, and when the exchange says that it was sent."""

_LEVEL = re.compile(r"asks\[(\d+)\]\.price")
_MEASURED = 12
"""Decimals of amounts that a unit is looked for among."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """How decimals become whole numbers.

    Attributes
    ----------
    price, amount : int
        The powers of ten that a price becomes 1e-9 $ by, and an amount a whole number of units.
    times : int
        Whole units for each of those.
    down : bool
        What is below a whole unit is left out of a size.
    """

    price: int
    amount: int
    times: int
    down: bool


def read_tardis(path: Path, request: Request) -> FileBlock:
    """Read a file of tardis.dev, of one or several exchanges and symbols.

    Parameters
    ----------
    path : Path
        Compressed where it ends in .gz or .zst.
    request : Request

    Raises
    ------
    FeedUnavailable
        Another layout, an unknown exchange, or amounts that `quotes.size_unit` does not make whole.
    FeedCorrupt
        A damaged file or row.
    """
    check_there(path)
    check_kind(path, ".csv")
    quotes, where = asked(request.quotes), str(path)
    unit = _unit_of(quotes)
    with damage_reported(path), open_bytes(path, limit_of_levels(path, request.max_bytes, request.depth)) as stream:
        names = header_of(stream, where)
        reader = _reader_of(names, where)
        try:
            block: FileBlock = reader(stream, names, request, quotes, unit, where)
        except _NotWhole:
            pass
        else:
            return block
    raise _no_unit(path, request, names, where)


class _NotWhole(Exception):  # noqa: N818 - seen nowhere else
    """An amount is no whole number of units."""


def _unit_of(quotes: QuoteMapping) -> _Unit:
    coin, shares = quotes.coin, quotes.shares
    if shares is None:
        raise FeedUnavailable("a coin has no round lots", "quotes.size_unit", "write a part of it, such as 1e-6")
    if coin is None:
        return _Unit(9, 0, int(shares), quotes.sizes == "down")
    power = len(str(coin.denominator)) - 1
    if coin.numerator != 1 or coin.denominator != 10**power:
        raise FeedUnavailable(f"{quotes.size_unit} is no power of ten", "quotes.size_unit", "write one, such as 1e-6")
    return _Unit(9 - power, power, 1, quotes.sizes == "down")


def _reader_of(names: list[str], where: str) -> Any:  # noqa: ANN401 - a callable
    if "is_snapshot" in names:
        return _read_updates
    if any(_LEVEL.fullmatch(name) for name in names) or "ask_price" in names:
        return _read_snapshots
    if "side" in names and "price" in names:
        return _read_trades
    raise FeedUnavailable(
        f"missing columns; the header begins {quoted(','.join(names))}",
        where,
        "expected incremental_book_L2, book_snapshot_5 or _25, quotes or trades of tardis.dev",
    )


def _common(quotes: QuoteMapping) -> list[Field]:
    used = dict.fromkeys(("local_timestamp", STAMPS[quotes.stamps]))
    stamps = [Field(name, scale=3, low=NANOS_FROM) for name in used]
    return [Field("exchange", NAME), Field("symbol", NAME), *stamps]


def _priced(name: str, unit: _Unit) -> Field:
    return Field(name, scale=unit.price, optional=True, low=0, high=LARGEST_PRICE)


def _sized(name: str, unit: _Unit, high: int = LARGEST_SIZE) -> Field:
    return Field(name, scale=unit.amount, optional=True, down=True, low=0, high=high // unit.times)


class _Instruments:
    """The exchanges and symbols of a file, and which of them are asked for."""

    def __init__(self, request: Request, quotes: QuoteMapping, where: str) -> None:
        self.request, self.quotes, self.where = request, quotes, where
        self.codes: dict[tuple[str, str], int] = {}
        self.other_symbol = 0

    def of(self, batch: Columns, names: dict[str, list[str]]) -> NDArray[np.int64]:
        """Number the instrument of each row of a batch, alike over all."""
        exchanges, symbols = names["exchange"], names["symbol"]
        of_exchange, of_symbol = batch.pop("exchange"), batch.pop("symbol")
        if len(exchanges) == 1 == len(symbols):
            return np.full(len(of_symbol), self._code(exchanges[0], symbols[0]), np.int64)
        pairs = of_exchange * len(symbols) + of_symbol
        distinct, places = np.unique(pairs, return_inverse=True)
        of = [self._code(exchanges[pair // len(symbols)], symbols[pair % len(symbols)]) for pair in distinct.tolist()]
        return np.array(of, np.int64)[places]

    def _code(self, exchange: str, symbol: str) -> int:
        return self.codes.setdefault((exchange, symbol), len(self.codes))

    def wanted(self) -> dict[int, bool]:
        """Whether the tape of each instrument is asked for."""
        tapes = tape_names([symbol for _, symbol in self.codes], self.quotes)
        return {code: self.request.symbol in {None, tape} for code, tape in enumerate(tapes)}

    def resolved(self) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
        """The tapes, and of each instrument its tape and its venue.

        Raises
        ------
        FeedUnavailable
            An unknown exchange, or two symbols of one venue that are to be one tape.
        """
        exchanges = sorted({exchange for exchange, _ in self.codes})
        ids = venues_named(exchanges, self.quotes, "tardis", None, self.where)
        of = dict(zip(exchanges, ids.tolist(), strict=True))
        tapes = tape_names([symbol for _, symbol in self.codes], self.quotes)
        check_named(tapes, self.where)
        check_symbols(sorted(set(tapes)), self.request.symbol, self.where)
        venues = [of[exchange] for exchange, _ in self.codes]
        places: dict[tuple[str, int], tuple[str, str]] = {}
        for pair, key in zip(self.codes, zip(tapes, venues, strict=True), strict=True):
            other = places.setdefault(key, pair)
            if other != pair:
                one, two = quoted(" ".join(other)), quoted(" ".join(pair))
                raise FeedUnavailable(
                    f"{one} and {two} are both {quoted(key[0])} of venue {key[1]}",
                    self.where,
                    "read one at a time (symbol=...), or tell them apart by quotes.symbols and quotes.venues",
                )
        names = sorted(set(tapes))
        return names, np.array([names.index(tape) for tape in tapes], np.int64), np.array(venues, np.int64)


def _stamped(columns: Columns, quotes: QuoteMapping) -> NDArray[np.int64]:
    ts: NDArray[np.int64] = columns[STAMPS[quotes.stamps]]
    return ts


def _read_updates(
    stream: Any,  # noqa: ANN401 - a stream
    names: list[str],
    request: Request,
    quotes: QuoteMapping,
    unit: _Unit,
    where: str,
) -> FileBlock:
    """Fold updates: a row for each message that changes the best levels."""
    wanted = [
        *_common(quotes),
        Field("is_snapshot", WORD, words=("false", "true")),
        Field("side", WORD, words=("bid", "ask")),
        _priced("price", unit),
        _sized("amount", unit, INT64),
    ]
    layout = layout_of(names, wanted, where, "incremental_book_L2 of tardis.dev")
    instruments = _Instruments(request, quotes, where)
    books: dict[int, PriceBook] = {}
    parts: list[Columns] = []
    rows = 0
    for columns, labels, rounded in read_batches(stream, where, layout, _copied, alone=False):
        if rounded and not unit.down:
            raise _NotWhole
        code = instruments.of(columns, labels)
        count = len(code)
        updates = {
            "stamp": columns["local_timestamp"],
            "ts": _stamped(columns, quotes),
            "number": np.arange(rows + 1, rows + count + 1),
            "snapshot": columns["is_snapshot"],
            "side": columns["side"],
            "px": columns["price"],
            "sz": columns["amount"] if unit.times == 1 else columns["amount"] * unit.times,
        }
        rows += count
        keep = instruments.wanted()
        for each in range(len(instruments.codes)):
            of = None if len(instruments.codes) == 1 else np.flatnonzero(code == each)  # most files have one
            here = count if of is None else len(of)
            if here and keep[each]:
                own = updates if of is None else {name: updates[name][of] for name in UPDATES}
                out, levels = books.setdefault(each, PriceBook()).fold(own)
                parts.append(_shown(each, out, levels, request.depth))
            elif here:
                instruments.other_symbol += here
    nothing = {name: np.zeros(0, dtype) for name, dtype in UPDATES.items()}
    for each, book in books.items():
        out, levels = book.fold(nothing, over=True)
        parts.append(_shown(each, out, levels, request.depth))
    skipped = sum(book.skipped for book in books.values())
    ignored = {"before_snapshot": skipped} if skipped else {}
    how = f"incremental_book_L2: a row for each message that changes the best {MOST_LEVELS} levels of a side"
    return _block(parts, instruments, ignored, how, unit)


def _copied(batch: Batch) -> tuple[Columns, dict[str, list[str]], int]:
    return batch.columns, batch.names, batch.rounded


def _shown(code: int, out: NDArray[np.int64], levels: NDArray[np.int64], depth: int) -> Columns:
    """The tape's columns of rows that a book showed."""
    made: Columns = {"code": np.full(out.shape[1], code, np.int32), "ts": out[0].copy(), "sequence": out[1].copy()}
    sizes = levels[:, 1, :, :depth]
    if sizes.size and int(sizes.max()) > LARGEST_SIZE:
        row = int(np.argmax((sizes > LARGEST_SIZE).any(axis=(1, 2))))
        raise FeedUnavailable(
            f"a size of {int(sizes[row].max()):,} units at {format_instant(int(out[0, row]))} is beyond a tape",
            "quotes.size_unit",
            "name a larger part of a coin, or read less depth=N",
        )
    for place, side in enumerate(("bid", "ask")):
        for kind, what in enumerate(("px", "sz")):
            name = f"{side}_{what}"
            made[name] = levels[:, kind, place, 0].astype(QUOTE_DTYPES[name])
            if depth > 1:
                made[f"{name}_behind"] = levels[:, kind, place, 1:depth].astype(LEVEL_DTYPES[name])
    return made


def _read_snapshots(
    stream: Any,  # noqa: ANN401 - a stream
    names: list[str],
    request: Request,
    quotes: QuoteMapping,
    unit: _Unit,
    where: str,
) -> FileBlock:
    """Read rows of both sides: book_snapshot_N and quotes."""
    levels = sorted(int(match[1]) for match in map(_LEVEL.fullmatch, names) if match)
    depth = min(len(levels), request.depth, MOST_LEVELS) if levels else 1
    columns_of = {
        f"{side}_{what}": [f"{side}s[{level}].{word}" for level in range(depth)] if levels else [f"{side}_{word}"]
        for side in ("bid", "ask")
        for what, word in (("px", "price"), ("sz", "amount"))
    }
    fields = [
        _priced(name, unit) if what.endswith("px") else _sized(name, unit)
        for what, written in columns_of.items()
        for name in written
    ]
    what = f"book_snapshot_{len(levels)}" if levels else "quotes"
    layout = layout_of(names, [*_common(quotes), *fields], where, f"{what} of tardis.dev")

    def take(batch: Batch) -> tuple[Columns, dict[str, list[str]], int]:
        made: Columns = {name: batch.columns[name] for name in ("exchange", "symbol")}
        made["ts"] = _stamped(batch.columns, quotes).copy()
        for name, written in columns_of.items():
            values = [batch.columns[each] * (unit.times if name.endswith("sz") else 1) for each in written]
            made[name] = values[0].astype(QUOTE_DTYPES[name])
            if depth > 1:
                made[f"{name}_behind"] = np.stack(values[1:], axis=1).astype(LEVEL_DTYPES[name])
        return made, batch.names, batch.rounded

    instruments, reading = _Instruments(request, quotes, where), Reading()
    parts = list(_numbered(read_batches(stream, where, layout, take, reading), instruments, unit))
    return _block(parts, instruments, {}, f"{what}: each row as it is", unit)


def _numbered(
    batches: Iterator[tuple[Columns, dict[str, list[str]], int]], instruments: _Instruments, unit: _Unit
) -> Iterator[Columns]:
    """Give rows their instrument and number, and keep those that are asked for."""
    rows = 0
    for columns, labels, rounded in batches:
        if rounded and not unit.down:
            raise _NotWhole
        code = instruments.of(columns, labels)
        columns |= {"code": code.astype(np.int32), "sequence": np.arange(rows + 1, rows + len(code) + 1)}
        rows += len(code)
        keep = np.array(list(instruments.wanted().values()), np.bool_)[code]
        instruments.other_symbol += int(np.count_nonzero(~keep))
        yield columns if keep.all() else {name: column[keep] for name, column in columns.items()}


def _read_trades(
    stream: Any,  # noqa: ANN401 - a stream
    names: list[str],
    request: Request,
    quotes: QuoteMapping,
    unit: _Unit,
    where: str,
) -> FileBlock:
    """Read trades, which stand in files of their own."""
    wanted = [
        *_common(quotes),
        Field("side", WORD, words=("sell", "unknown", "buy")),
        _priced("price", unit),
        _sized("amount", unit),
    ]
    layout = layout_of(names, wanted, where, "trades of tardis.dev")

    def take(batch: Batch) -> tuple[Columns, dict[str, list[str]], int]:
        made: Columns = {name: batch.columns[name] for name in ("exchange", "symbol")}
        made |= {"ts": _stamped(batch.columns, quotes).copy(), "px": batch.columns["price"].copy()}
        made |= {"sz": (batch.columns["amount"] * unit.times).astype(np.int32)}
        made["side"] = (batch.columns["side"] - 1).astype(np.int8)
        return made, batch.names, batch.rounded

    instruments = _Instruments(request, quotes, where)
    parts = list(_numbered(read_batches(stream, where, layout, take), instruments, unit))
    return _block(parts, instruments, {}, "trades: no quotes", unit)


def _block(
    parts: list[Columns], instruments: _Instruments, ignored: dict[str, int], how: str, unit: _Unit
) -> FileBlock:
    """Make the tapes of columns."""
    names, tapes, venues = instruments.resolved()
    symbols = tuple(names)
    columns = joined(parts)
    if not columns or not len(columns["ts"]):
        return FileBlock((), symbols)
    code = columns.pop("code")
    columns["venue"] = venues[code].astype(np.int16)
    labels = tapes[code]
    if instruments.other_symbol:
        ignored = ignored | {"other_symbol": instruments.other_symbol}
    behind = {name: columns.pop(f"{name}_behind") for name in LEVEL_DTYPES if f"{name}_behind" in columns} or None
    notes: tuple[str, ...] = (
        f"tardis.dev, {how}; times are {STAMPS[instruments.quotes.stamps]}",
        "the sequence is the number of the row",
    )
    if unit.amount or unit.times > 1:
        notes += (f"a share is {'1e-' + str(unit.amount) if unit.amount else f'1/{unit.times}'} of a coin or contract",)
    if unit.down:
        notes += ("sizes are without what is no whole unit",)
    trades = None
    if "bid_px" not in columns:
        trades, columns = columns, {name: np.zeros(0, dtype) for name, dtype in QUOTE_DTYPES.items()}
        trades = {name: trades[name] for name in TRADE_DTYPES}
    rows = Labels(names, labels if trades is None else labels[:0], labels)
    fragments = make_fragments(rows, columns, trades, ignored, notes, behind, where=instruments.where)
    asked_for = instruments.request.symbol
    return FileBlock(tuple(each for each in fragments if asked_for in {None, each.tape.symbol}), symbols)


def _no_unit(path: Path, request: Request, names: list[str], where: str) -> FeedUnavailable:
    """Propose a unit that holds all sizes and prices of a file, where there is one."""
    sizes, prices = ([name for name in names if re.search(word, name)] for word in ("amount", "price"))
    fields = [Field(name, scale=_MEASURED, optional=True, down=True) for name in sizes]
    fields += [Field(name, scale=9, optional=True, down=True) for name in prices]
    fine, largest, priced = 0, 0, 0

    def take(batch: Batch) -> tuple[int, int, int]:
        amounts = [batch.columns[name] for name in sizes]
        return (
            int(np.gcd.reduce([np.gcd.reduce(each) for each in amounts])),
            max(int(each.max()) for each in amounts),
            int(np.gcd.reduce([np.gcd.reduce(batch.columns[name]) for name in prices])),
        )

    try:
        with damage_reported(path), open_bytes(path, request.max_bytes) as stream:
            stream.readline()
            layout = layout_of(names, fields, where, "a file of tardis.dev")
            for each, most, px in read_batches(stream, where, layout, take):
                fine, largest, priced = int(np.gcd(fine, each)), max(largest, most), int(np.gcd(priced, px))
    except FeedCorrupt:  # larger than what is measured, or damaged beyond
        return FeedUnavailable(
            "its sizes are no whole numbers", where, "set quotes.size_unit, such as 1e-6: what of a coin one unit is"
        )
    decimals, of_price = _decimals(fine, _MEASURED), _decimals(priced, 9)
    fitting = next((d for d in range(9 - of_price, -1, -1) if largest * 10**d < 2**31 * 10**_MEASURED), 0)
    unit = f"1e-{decimals}"
    what = f"its sizes have up to {decimals} decimals"
    if unit == str(asked(request.quotes).size_unit) or decimals > fitting:
        reach = f"and go up to {largest / 10**_MEASURED:g}, its prices have {of_price}: no unit holds all of that"
        remedy = f"set quotes.size_unit=1e-{fitting} and quotes.sizes=down, which leaves out what is below a unit"
        return FeedUnavailable(f"{what} {reach}", where, remedy)
    return FeedUnavailable(what, where, f"set quotes.size_unit={unit}, which holds all of them and its prices exactly")


def _decimals(multiple: int, scale: int) -> int:
    """Decimals that numbers have whose multiples of 10**-scale are all multiples of one."""
    decimals = scale
    while decimals and (multiple == 0 or multiple % 10 == 0):
        decimals, multiple = decimals - 1, multiple // 10
    return decimals
