"""Which symbol a DBN record is of: by the mappings of the metadata, and by mapping records in the stream.

The metadata maps by date of receipt, and one instrument may have several symbols on a day. A recorded live session maps
by records: from its place on, and within its interval if it has one, a mapping record names its instrument, whatever
earlier ones say; but those that come together, with no market data between them, all name it, as two symbols that were
asked for may be one instrument. Before any mapping an instrument is unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.tape import DAY, UNNAMED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from feed.tape import Int64

    _Table = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], Int64]

SYMBOLS_OF_ONE = 16
"""Symbols that an instrument may have on one day unless one is asked for: each makes a tape of all its rows."""

MAPPING = 22
"""The rtype of a mapping record."""

_TEXT = {1: 22, 2: 71, 3: 71}
"""Bytes of a symbol in a mapping record, by the version of the encoding."""

LOW = 2**32 - 1
"""The bits of a key that are the instrument."""

_EPOCH = date(1970, 1, 1)
_NEVER = 2**64 - 1
_ALWAYS = (0, _NEVER)
_RAW_SYMBOL = 1
_HIGH = np.uint64(32)


def _fields(version: int) -> np.dtype[Any]:
    text = f"S{_TEXT[version]}"
    symbols = (
        [("stype_in_symbol", text), ("stype_out_symbol", text), ("dummy", "S4")]
        if version == 1
        else [("stype_in", "u1"), ("stype_in_symbol", text), ("stype_out", "u1"), ("stype_out_symbol", text)]
    )
    head = [("length", "u1"), ("rtype", "u1"), ("publisher_id", "<u2"), ("instrument_id", "<u4"), ("ts_event", "<u8")]
    return np.dtype([*head, *symbols, ("start_ts", "<u8"), ("end_ts", "<u8")])


MAPPING_RECORDS = {version: _fields(version) for version in _TEXT}
"""Layout of a mapping record, by the version of the encoding; a stamp may follow."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """The content of a mapping record.

    Attributes
    ----------
    instrument : int
    number : int
        Of the record, among all records of the file.
    start, end : int
        It holds for instants of receipt [start, end), nanoseconds.
    symbols : tuple of str
        Ascending; of one record one, empty where the instrument has no symbol from here on.
    data : int
        Records of market data before it.
    """

    instrument: int
    number: int
    start: int
    end: int
    symbols: tuple[str, ...]
    data: int = 0

    def joined(self, other: Mapping) -> Mapping | None:
        """Both, where they hold at the same time: they come together, and say one interval."""
        if (self.start, self.end, self.data) != (other.start, other.end, other.data):
            return None
        if not all((*self.symbols, *other.symbols)):
            return None
        return replace(self, symbols=tuple(sorted({*self.symbols, *other.symbols})))


def mapping_of(data: bytes, version: int, number: int, place: str, where: str, before: int = 0) -> Mapping:
    """Read a mapping record.

    Parameters
    ----------
    data : bytes
        From the record's first byte on.
    version : int
        Of the encoding.
    number : int
        Of the record.
    place, where : str
        The record, and the file, for a message.
    before : int
        Records of market data before it.

    Raises
    ------
    FeedCorrupt
        It is too short, or its symbol is not text.
    """
    dtype = MAPPING_RECORDS[version]
    if 4 * data[0] < dtype.itemsize:
        raise FeedCorrupt(
            f"{place}: {4 * data[0]} bytes, expected {dtype.itemsize} of rtype {MAPPING}",
            where,
            "the file is damaged; download it again",
        )
    (record,) = np.frombuffer(data, dtype, 1)
    instrument = int(record["instrument_id"])
    # stype_in is a group or a rank (ES.FUT, ES.c.0) mapped to the raw symbol, or the raw symbol mapped to a number. As
    # in Databento's Python library the text decides, because a live session may call either an instrument_id; a raw
    # symbol of digits, as in Tokyo, counts as one where the record says so
    out = _text(record["stype_out_symbol"], _TEXT[version])
    raw = version > 1 and record["stype_out"] == _RAW_SYMBOL and out != str(instrument)
    numbered = out is not None and out.isdigit() and not raw
    symbol = _text(record["stype_in_symbol"], _TEXT[version]) if numbered else out
    if symbol is None:
        raise FeedCorrupt(f"{place}: its symbol is no text", where, "the file is damaged; download it again")
    start, end = (int(record[name]) for name in ("start_ts", "end_ts"))
    start, end = 0 if start == _NEVER else start, end or _NEVER
    return Mapping(instrument, number, *((start, end) if start < end else _ALWAYS), (symbol,), before)


def _text(symbol: bytes, room: int) -> str | None:
    """Text of a symbol, which is UTF-8 and ends in a NUL; None where it is not."""
    if len(symbol) >= room:
        return None
    try:
        return symbol.partition(b"\0")[0].decode()
    except UnicodeDecodeError:
        return None


@dataclass(slots=True)
class Names:
    """Symbols by instrument and date, and by the mapping records so far."""

    spans: dict[int, list[tuple[int, int, str]]]  # instrument -> first day, day past the last, symbol
    codes: dict[str, int] = field(default_factory=dict)
    seen: dict[tuple[int, int], set[int]] = field(default_factory=dict)  # (index of a symbol, day) -> instruments
    heard: dict[int, list[Mapping]] = field(
        default_factory=dict
    )  # instrument -> mappings that may still name its records
    joint: list[tuple[int, ...]] = field(default_factory=list)  # indices of symbols that name an instrument together
    table: _Table | None = None
    mappings: int = 0

    def __post_init__(self) -> None:
        """Number the symbols by name: the library gives the mappings in a different order at each decode."""
        for name in sorted({name for spans in self.spans.values() for *_, name in spans}):
            self.codes[name] = len(self.codes)

    @property
    def named(self) -> bool:
        """Whether the file has named any symbol so far."""
        return bool(self.spans) or any(name != UNNAMED for name in self.codes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on where the symbols come from."""
        return (f"symbols by mapping records in the stream: {self.mappings}",) if self.mappings else ()

    def of(self, instrument: int, day: int) -> list[int]:
        """Ascending indices of an instrument's symbols on a day (since 1970); that of `UNNAMED` where it has none."""
        codes = {self.codes[name] for first, past, name in self.spans.get(instrument, ()) if first <= day < past}
        return sorted(codes) or [self.code(UNNAMED)]

    def code(self, name: str) -> int:
        """Index of a symbol; a new symbol gets the next one."""
        return self.codes.setdefault(name or UNNAMED, len(self.codes))

    def mapped_codes(
        self, mappings: list[Mapping], instrument: NDArray[Any], numbers: Callable[[], Int64], stamp: NDArray[Any]
    ) -> Int64:
        """(N,) int64: index of the symbol that a mapping record gives each record; -1 = none, -2 - n: those of `joint`.

        Parameters
        ----------
        mappings : list of Mapping
            Of this block of records, in the order of the file.
        instrument, stamp : (N,) integers
            Of each record: its instrument, and when it was received.
        numbers : callable
            Gives (N,) int64: the number of each record in the file.
        """
        for each in mappings:
            heard = self.heard.setdefault(each.instrument, [])
            both = heard[-1].joined(each) if heard else None
            if both is None:
                heard.append(each)
            else:
                heard[-1] = both
        self.mappings += len(mappings)
        if not self.heard:
            return constant(-1, len(instrument))
        symbol_codes = np.full(len(instrument), -1, np.int64)
        if not len(instrument):  # saves a sort that no record needs
            if mappings:
                self._forget(mappings)
            return symbol_codes
        number = numbers()
        if mappings or self.table is None:
            self.table = self._sorted()
        mapped, since, start, end, codes = self.table
        instruments = instrument.astype(np.uint64)
        last = np.searchsorted(mapped << _HIGH | since, instruments << _HIGH | number.astype(np.uint64)) - 1
        rows = np.arange(len(instrument))
        while len(rows):  # from the newest mapping back to one whose interval holds the record
            rows = rows[(last[rows] >= 0) & (mapped[last[rows]] == instruments[rows])]
            holds = (start[last[rows]] <= stamp[rows]) & (stamp[rows] < end[last[rows]])
            symbol_codes[rows[holds]] = codes[last[rows[holds]]]
            rows = rows[~holds]
            last[rows] -= 1
        if mappings:
            self._forget(mappings)
        return symbol_codes

    def _sorted(self) -> _Table:
        ordered = sorted(
            (each.instrument, each.number, each.start, each.end, self._code_of(each.symbols))
            for heard in self.heard.values()
            for each in heard
        )
        *columns, codes = zip(*ordered, strict=True)
        instruments, numbers, starts, ends = (np.array(column, np.uint64) for column in columns)
        return instruments, numbers, starts, ends, np.array(codes, np.int64)

    def _code_of(self, symbols: tuple[str, ...]) -> int:
        codes = tuple(sorted(self.code(name) for name in symbols))
        if len(codes) == 1:
            return codes[0]
        if codes not in self.joint:
            self.joint.append(codes)
        return -2 - self.joint.index(codes)

    def _forget(self, mappings: list[Mapping]) -> None:
        """Drop mappings that name no record from here on: a newer one of the instrument always holds where they do."""
        for instrument in {each.instrument for each in mappings}:
            newest: dict[tuple[int, int], Mapping] = {}
            for each in reversed(self.heard[instrument]):
                newest.setdefault((each.start, each.end), each)
                if (each.start, each.end) == _ALWAYS:
                    break
            self.heard[instrument] = list(reversed(newest.values()))
        self.table = None

    def label(self, keys: Int64, mapped_codes: Int64, symbol: str | None, where: str) -> tuple[Int64, Int64 | None]:
        """Repeat each record for each of its symbols.

        Parameters
        ----------
        keys : (N,) int64
            Day and instrument of each record, from `keys_of`.
        mapped_codes : (N,) int64
            From `mapped_codes`.
        symbol : str, optional
            The only one to label, and the unnamed as long as the file names none.
        where : str
            Place of the file.

        Returns
        -------
        codes, at : (M,) int64
            Index of the symbol, and index of the record, ascending; None where each record has one symbol.

        Raises
        ------
        FeedUnavailable
            One instrument has more than `SYMBOLS_OF_ONE` symbols, and none is asked for.
        """
        pairs, pair_of = _distinct(keys)
        mapped = np.full(len(pairs), -1, np.int64)
        if self.heard:
            below = 1 + len(self.joint)
            base = len(self.codes) + below
            both, pair_of = _distinct(pair_of * base + mapped_codes + below)
            pairs, mapped = pairs[both // base], both % base - below
        symbol_codes = [
            self.of(*_split_key(key)) if code == -1 else [code] if code >= 0 else list(self.joint[-2 - code])
            for key, code in zip(pairs.tolist(), mapped.tolist(), strict=True)
        ]
        if symbol is not None:
            allowed = {self.codes.get(symbol, -1)} | (set() if self.named else {self.codes.get(UNNAMED, -1)})
            symbol_codes = [[code for code in codes if code in allowed] for codes in symbol_codes]
        for key, codes in zip(pairs.tolist(), symbol_codes, strict=True):
            if len(codes) > SYMBOLS_OF_ONE:
                raise FeedUnavailable(
                    f"it gives {len(codes)} symbols to instrument {key & LOW} on one day",
                    where,
                    "name one: symbol=...",
                )
            for code in codes:
                self.seen.setdefault((code, key >> 32), set()).add(key & LOW)
        counts = np.array([len(codes) for codes in symbol_codes], np.int64)
        if (counts == 1).all():
            of_pair = np.array([code for (code,) in symbol_codes], np.int64)
            return constant(int(of_pair[0]), len(keys)) if len(of_pair) == 1 else of_pair[pair_of], None
        first = np.cumsum(counts) - counts  # where each pair's symbols begin
        repeats = counts[pair_of]
        at = np.repeat(np.arange(len(keys)), repeats)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return np.array([code for codes in symbol_codes for code in codes], np.int64)[first[pair_of[at]] + nth], at

    def in_doubt(self) -> set[int]:
        """Indices of symbols that stand for several instruments on one day."""
        return {code for (code, _), instruments in self.seen.items() if len(instruments) > 1}


def received(records: NDArray[Any]) -> NDArray[Any]:
    """(N,) uint64 nanoseconds of receipt, by which the symbol of each record is found."""
    stamps: NDArray[Any] = np.ascontiguousarray(records["ts_recv"])
    if len(stamps) and stamps.max() == _NEVER:
        stamps = np.where(stamps == _NEVER, records["ts_event"], stamps)
    return stamps


def keys_of(records: NDArray[Any], stamps: NDArray[Any]) -> Int64:
    """(N,) int64: for each record its day of receipt since 1970, times 2**32, plus its instrument."""
    instrument = records["instrument_id"]
    if len(stamps) and stamps.min() // DAY == (day := stamps.max() // DAY) and (instrument == instrument[0]).all():
        return constant(int(day) << 32 | int(instrument[0]), len(stamps))
    keys: Int64 = (stamps // DAY).astype(np.int64) << 32 | instrument
    return keys


def constant(value: int, count: int) -> Int64:
    """(count,) int64, all of one value: a view that takes no memory."""
    return np.broadcast_to(np.int64(value), count)


def _split_key(key: int) -> tuple[int, int]:
    """Instrument and day of a key."""
    return key & LOW, key >> 32


def _distinct(values: Int64) -> tuple[Int64, Int64]:
    """Ascending distinct values, and the index of each value among them."""
    if len(values) and (values.strides == (0,) or (values == values[0]).all()):
        return values[:1], constant(0, len(values))
    distinct, which = np.unique(values, return_inverse=True)
    return distinct, which


def spans_of(metadata: Any, instrument_id: Any) -> dict[int, list[tuple[int, int, str]]]:  # noqa: ANN401 - the library's
    """Turn the mappings, of either direction, into symbols by instrument; empty where they map none."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    if instrument_id not in {metadata.stype_in, metadata.stype_out} or metadata.stype_in == metadata.stype_out:
        return spans
    for key, intervals in metadata.mappings.items():
        for each in intervals:
            name, number = (key, each["symbol"]) if metadata.stype_out == instrument_id else (each["symbol"], key)
            if not name or not number:  # it has no symbol on these days
                continue
            days = ((each[end] - _EPOCH).days for end in ("start_date", "end_date"))
            spans.setdefault(int(number), []).append((*days, name))
    return spans
