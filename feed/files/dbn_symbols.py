"""Whose symbol a DBN record is: by the mappings of the metadata, and by mapping records in the stream.

The metadata maps by date of receipt, and one instrument may have several symbols on a day. A session that was recorded
live maps in records: from its place on, a record of its own interval, if it has one, names its instrument, whatever was
said before. Before any mapping an instrument is unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.tape import DAY, UNNAMED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feed.tape import Int64

    _Table = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], Int64]

SYMBOLS_OF_ONE = 16
"""Symbols that an instrument may have on one day where no one of them is asked for: each is a tape of all its rows."""

MAPPING = 22
"""The rtype of a mapping record."""

_TEXT = {1: 22, 2: 71, 3: 71}
"""Bytes of a symbol in a mapping record, by the version of the encoding."""

LOW = 2**32 - 1
"""Of a key, the bits that are the instrument."""

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
"""A mapping record by the version of the encoding; a stamp may follow."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a mapping record says.

    Attributes
    ----------
    instrument : int
    number : int
        Of the record, among all records of the file.
    start, end : int
        Nanoseconds of receipt from which on, and before which, it holds.
    symbol : str
        Empty where the instrument stands for nothing from here on.
    """

    instrument: int
    number: int
    start: int
    end: int
    symbol: str


def mapping_of(data: bytes, version: int, number: int, place: str, where: str) -> Mapping:
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

    Raises
    ------
    FeedCorrupt
        It is too short, or its symbol is no text.
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
    # what was asked for may be a group or a rank (ES.FUT, ES.c.0), and is mapped to the raw symbol; or it is the raw
    # symbol, mapped to a number. As in Databento's Python library the text decides, as a live session may call either
    # an instrument_id; a raw symbol of digits, as Tokyo has them, is one where the record says so
    out = _text(record["stype_out_symbol"], _TEXT[version])
    raw = version > 1 and record["stype_out"] == _RAW_SYMBOL and out != str(instrument)
    numbered = out is not None and out.isdigit() and not raw
    symbol = _text(record["stype_in_symbol"], _TEXT[version]) if numbered else out
    if symbol is None:
        raise FeedCorrupt(f"{place}: its symbol is no text", where, "the file is damaged; download it again")
    start, end = (int(record[name]) for name in ("start_ts", "end_ts"))
    start, end = 0 if start == _NEVER else start, end or _NEVER
    return Mapping(instrument, number, *((start, end) if start < end else _ALWAYS), symbol)


def _text(symbol: bytes, room: int) -> str | None:
    """Text of a symbol, None where it is none: it ends in a NUL, and is UTF-8."""
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
    seen: dict[tuple[int, int], set[int]] = field(default_factory=dict)  # symbol's index, day -> instruments
    heard: dict[int, list[Mapping]] = field(default_factory=dict)  # instrument -> what may still name a record of it
    table: _Table | None = None
    mappings: int = 0

    def __post_init__(self) -> None:
        """Number the symbols by name: the library gives the mappings in another order at each decode."""
        for name in sorted({name for spans in self.spans.values() for *_, name in spans}):
            self.codes[name] = len(self.codes)

    @property
    def named(self) -> bool:
        """Whether the file named any symbol so far."""
        return bool(self.spans) or any(name != UNNAMED for name in self.codes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of where the symbols came from."""
        return (f"symbols by mapping records in the stream: {self.mappings}",) if self.mappings else ()

    def of(self, instrument: int, day: int) -> list[int]:
        """Indices, ascending, of the symbols of an instrument on a day since 1970; of the unnamed where it has none."""
        codes = {self.codes[name] for first, past, name in self.spans.get(instrument, ()) if first <= day < past}
        return sorted(codes) or [self.code(UNNAMED)]

    def code(self, name: str) -> int:
        """Index of a symbol, a new one where it has none yet."""
        return self.codes.setdefault(name or UNNAMED, len(self.codes))

    def said(self, mappings: list[Mapping], instrument: NDArray[Any], number: Int64, stamp: NDArray[Any]) -> Int64:
        """(N,) int64: index of the symbol that a mapping record gave to each record, -1 = none did.

        Parameters
        ----------
        mappings : list of Mapping
            Of this block of records, in the order of the file.
        instrument, number, stamp : (N,) integers
            Of each record: its instrument, its number in the file, when it was received.
        """
        for each in mappings:
            self.heard.setdefault(each.instrument, []).append(each)
        self.mappings += len(mappings)
        symbol_codes = np.full(len(number), -1, np.int64)
        if not self.heard:
            return symbol_codes
        if not len(number):  # what is not looked up in is not sorted, block after block
            if mappings:
                self._forget(mappings)
            return symbol_codes
        if mappings or self.table is None:
            self.table = self._sorted()
        mapped, since, start, end, codes = self.table
        instruments = instrument.astype(np.uint64)
        last = np.searchsorted(mapped << _HIGH | since, instruments << _HIGH | number.astype(np.uint64)) - 1
        rows = np.arange(len(number))
        while len(rows):  # the newest whose interval holds the record, or the one before it
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
            (each.instrument, each.number, each.start, each.end, self.code(each.symbol))
            for heard in self.heard.values()
            for each in heard
        )
        *columns, codes = zip(*ordered, strict=True)
        instruments, numbers, starts, ends = (np.array(column, np.uint64) for column in columns)
        return instruments, numbers, starts, ends, np.array(codes, np.int64)

    def _forget(self, mappings: list[Mapping]) -> None:
        """Drop what names no record from here on, as a newer mapping of the instrument holds whenever it would."""
        for instrument in {each.instrument for each in mappings}:
            newest: dict[tuple[int, int], Mapping] = {}
            for each in reversed(self.heard[instrument]):
                newest.setdefault((each.start, each.end), each)
                if (each.start, each.end) == _ALWAYS:
                    break
            self.heard[instrument] = list(reversed(newest.values()))
        self.table = None

    def label(self, keys: Int64, said: Int64, symbol: str | None, where: str) -> tuple[Int64, Int64]:
        """Give each record once for each of its symbols.

        Parameters
        ----------
        keys : (N,) int64
            Day and instrument of each record, as `keys_of` gives them.
        said : (N,) int64
            As `said` gives it.
        symbol : str, optional
            The only one; as long as the file names none, the unnamed too.
        where : str
            Place of the file.

        Returns
        -------
        codes, at : (M,) int64
            Index of the symbol, and which record it is; records ascending.

        Raises
        ------
        FeedUnavailable
            More symbols of one instrument than `SYMBOLS_OF_ONE`, and none asked for.
        """
        pairs, pair_of = _distinct(keys)
        mapped = np.full(len(pairs), -1, np.int64)
        if self.heard:
            base = len(self.codes) + 1
            both, pair_of = _distinct(pair_of * base + said + 1)
            pairs, mapped = pairs[both // base], both % base - 1
        symbol_codes = [
            [code] if code >= 0 else self.of(*_split_key(key))
            for key, code in zip(pairs.tolist(), mapped.tolist(), strict=True)
        ]
        if symbol is not None:
            allowed = {self.codes.get(symbol, -1)} | (set() if self.named else {self.codes.get(UNNAMED, -1)})
            symbol_codes = [[code for code in codes if code in allowed] for codes in symbol_codes]
        for key, codes in zip(pairs.tolist(), symbol_codes, strict=True):
            if len(codes) > SYMBOLS_OF_ONE:
                raise FeedUnavailable(
                    f"its metadata gives {len(codes)} symbols to instrument {key & LOW} on one day",
                    where,
                    "name one: symbol=...",
                )
            for code in codes:
                self.seen.setdefault((code, key >> 32), set()).add(key & LOW)
        counts = np.array([len(codes) for codes in symbol_codes], np.int64)
        first = np.cumsum(counts) - counts  # of each pair's symbols, among all of them
        repeats = counts[pair_of]
        at = np.repeat(np.arange(len(keys)), repeats)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return np.array([code for codes in symbol_codes for code in codes], np.int64)[first[pair_of[at]] + nth], at

    def in_doubt(self) -> set[int]:
        """Indices of symbols that stood for several instruments on one day."""
        return {code for (code, _), instruments in self.seen.items() if len(instruments) > 1}


def received(records: NDArray[Any]) -> NDArray[Any]:
    """(N,) uint64 nanoseconds, by which the symbol of each record is found."""
    stamps: NDArray[Any] = np.where(records["ts_recv"] == _NEVER, records["ts_event"], records["ts_recv"])
    return stamps


def keys_of(records: NDArray[Any], stamps: NDArray[Any]) -> Int64:
    """(N,) int64: of each record the day since 1970 by which its symbol is found, times 2**32, and its instrument."""
    keys: Int64 = (stamps // DAY).astype(np.int64) << 32 | records["instrument_id"]
    return keys


def _split_key(key: int) -> tuple[int, int]:
    """Instrument and day of a key."""
    return key & LOW, key >> 32


def _distinct(values: Int64) -> tuple[Int64, Int64]:
    """Distinct values, ascending, and which of them each is."""
    if len(values) and (values == values[0]).all():
        return values[:1], np.zeros(len(values), np.int64)
    distinct, which = np.unique(values, return_inverse=True)
    return distinct, which


def spans_of(metadata: Any, instrument_id: Any) -> dict[int, list[tuple[int, int, str]]]:  # noqa: ANN401 - the library's
    """Turn the mappings, which may go either way, into symbols by instrument; none where they name none."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    if instrument_id not in {metadata.stype_in, metadata.stype_out} or metadata.stype_in == metadata.stype_out:
        return spans
    for key, intervals in metadata.mappings.items():
        for each in intervals:
            name, number = (key, each["symbol"]) if metadata.stype_out == instrument_id else (each["symbol"], key)
            if not name or not number:  # on these days it stood for nothing
                continue
            days = ((each[end] - _EPOCH).days for end in ("start_date", "end_date"))
            spans.setdefault(int(number), []).append((*days, name))
    return spans
