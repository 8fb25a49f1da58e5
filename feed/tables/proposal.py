"""Looks at a table of somebody else's, and proposes which column holds what, with its reasons.

What two readings fit is not guessed: it becomes a doubt, with the key that settles it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.console import listing, quoted
from feed.errors import FeedUnavailable
from feed.instants import NANOS_FROM, format_instant
from feed.markets import VENUE_KINDS, venue_of, venue_with
from feed.tables.column_names import NAMES, WIDE, levels_of, plain_name
from feed.tables.dates import iso_of, orders_that_fit
from feed.tables.mapping import COLUMNS, SIDE_WORDS, QuoteMapping, check_keys
from feed.tables.parsing import to_numpy
from feed.tables.typed import (
    UNITS,
    coded,
    has_fractions,
    instants_of,
    integers_of,
    is_text,
    numbers_of,
    one_array,
    plain,
    prices_of,
    with_points,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from feed.tables.mapping import TimeUnit
    from feed.tables.parsing import Arrow

_LONG: Final = ("side", "px", "sz")
_PLAUSIBLE: Final = (Fraction(1, 100), Fraction(10**6))
"""Dollars that a share may cost where its unit is looked for."""

_PRICE_UNITS: Final = {
    "dollars": Fraction(1),
    "cents": Fraction(1, 100),
    "1e-4": Fraction(1, 10**4),
    "1e-9": Fraction(1, 10**9),
}
_SAMPLES: Final = 3
_FEW: Final = 64
_LOOKED: Final = 2**16
"""Rows of a table in memory that are grouped by their instant."""
_LOT: Final = 100
_KINDS: Final = 8
_QUOTE_WORDS: Final = frozenset({"q", "quote", "quotes", "bbo", "nbbo"})
_TRADE_WORDS: Final = frozenset({"t", "trade", "trades", "print", "exec"})
_THOUSAND: Final = 3


@dataclass(frozen=True, slots=True)
class Proposed:
    """A key of the mapping, its value, and why."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a table seems to hold.

    Attributes
    ----------
    keys : tuple of Proposed
        In the order of `QuoteMapping`.
    doubts : tuple of str
        What is not guessed, each with the keys that settle it; none where the mapping is whole.
    """

    keys: tuple[Proposed, ...]
    doubts: tuple[str, ...]

    @property
    def mapping(self) -> dict[str, Any]:
        """The section `quotes`."""
        return {each.key: each.value for each in self.keys}


def propose(table: Arrow, given: Mapping[str, Any], seen: Mapping[str, Any] | None = None) -> Proposal:
    """Propose a mapping of a table's first rows.

    Parameters
    ----------
    table : pyarrow.Table
        The first rows, with all columns; of a text file all of them text.
    given : mapping
        Keys that are settled already, as `parse_mapping` takes them.
    seen : mapping, optional
        Keys that reading the table settled.
    """
    columns = {name: _values(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return _Look(columns, dict(given), dict(seen or {})).all()


def _values(column: Arrow) -> Arrow:
    """A column as plain values; of texts too long for a name or a number, which may not be needed, their dictionary."""
    try:
        return plain(column)
    except FeedUnavailable:
        return one_array(column)


class _Look:
    """One look at a table: what is found so far."""

    def __init__(self, columns: dict[str, Arrow], given: dict[str, Any], seen: dict[str, Any]) -> None:
        check_keys(given)
        self.columns, self.given = columns, given
        self.keys = {key: Proposed(key, value, "as the first rows have it") for key, value in seen.items()}
        self.doubts: list[str] = []
        self.unlike = ""
        """A column that is called as one of sides, and holds other words."""

    def all(self) -> Proposal:
        """Look at the columns, then at what is in them."""
        for key, value in self.given.items():
            self.keys[key] = Proposed(key, value, "as given")
        self._known()
        if not self.doubts:
            self._columns()
        if not self.doubts:
            looks = (
                self._decimal,
                self._time,
                self._venue,
                self._prices,
                self._sizes,
                self._sequence,
                self._rows,
                self._kinds,
            )
            for look in looks:
                look()
        order = [field.name for field in msgspec.structs.fields(QuoteMapping)]
        keys = sorted(self.keys.values(), key=lambda each: order.index(each.key) if each.key in order else len(order))
        return Proposal(tuple(keys), tuple(self.doubts))

    def _take(self, key: str, value: Any, reason: str) -> None:  # noqa: ANN401 - as the mapping has it
        self.keys.setdefault(key, Proposed(key, value, reason))

    def _value(self, key: str) -> Any:  # noqa: ANN401
        return self.keys[key].value if key in self.keys else None

    # ------------------------------------------------------------------------------------------ columns

    def _known(self) -> None:
        """Ask for each column that is given and is not there."""
        for key in COLUMNS:
            missing = [name for name in self._names(key) if name not in self.columns]
            if missing:
                self.doubts.append(
                    f"quotes.{key}: there is no column {', '.join(map(quoted, missing))}; "
                    f"{listing('columns', self.columns)}"
                )

    def _columns(self) -> None:
        taken = self._names(*(key for key in self.keys if key != "venues"))
        free = [name for name in self.columns if name not in taken]
        levels = levels_of(free)
        for key, words in NAMES.items():
            if key in self.keys:
                continue
            if key in levels:
                names = levels[key]
                self._take(
                    key,
                    names if len(names) > 1 else names[0],
                    f"{len(names)} levels by their names; {self._samples(names[0])}",
                )
                continue
            fitting = [name for name in free if plain_name(name) in words.split()]
            ranked = sorted(fitting, key=lambda name: words.split().index(plain_name(name)))
            if key == "side" and ranked and not self._are_sides(ranked[0]):
                self.unlike = ranked[0]
                continue
            if ranked:
                others = f"; not {', '.join(map(quoted, ranked[1:]))}" if len(ranked) > 1 else ""
                self._take(key, ranked[0], f"by its name{others}; {self._samples(ranked[0])}")
        self._layout()

    def _layout(self) -> None:
        """Decide between rows of both sides and rows of one."""
        wide = [key for key in WIDE if key in self.keys]
        long = [key for key in _LONG if key in self.keys]
        drop = (*_LONG, "level") if len(wide) == len(WIDE) or len(long) < len(_LONG) else WIDE
        for key in drop:
            if key not in self.given:
                self.keys.pop(key, None)
        needed: tuple[str, ...] = WIDE if drop[0] in _LONG else _LONG
        if self.unlike and not wide and {"px", "sz"} <= {*long}:
            needed = ()
            self.doubts.append(
                f"column {quoted(self.unlike)} ({self._samples(self.unlike)}): which is a bid, which an ask? "
                "quotes.bid=..., quotes.ask=..., each a word or a list of them; or quotes.side=..."
            )
        for key in ("time", *needed):
            if key not in self.keys:
                self.doubts.append(f"which column is {key}? quotes.{key}=...; {listing('columns', self.columns)}")
        if "date" in self.keys and "date" not in self.given and not self._is_clock():
            self.keys.pop("date")

    def _samples(self, name: str) -> str:
        """Some values of a column."""
        values = list(dict.fromkeys(str(each) for each in self.columns[name].slice(0, 1000).drop_null().to_pylist()))
        return ", ".join(quoted(each) for each in values[:_SAMPLES]) or "empty"

    def _are_sides(self, name: str) -> bool:
        words = {word for each in SIDE_WORDS.values() for word in each} | {*self._names("bid", "ask")}
        column = self.columns[name]
        if not (is_text(column.type) or pa.types.is_integer(column.type)):
            return False
        values = {str(each) for each in pc.unique(column).drop_null().to_pylist()}
        return bool(values) and all(each in words or each.upper() in words for each in values)

    # ------------------------------------------------------------------------------------------ numbers of text

    def _decimal(self) -> None:
        """Whether commas stand before fractions: three digits behind each may also be thousands."""
        names = [
            name for name in self._names("bid_px", "ask_px", "px", "bid_sz", "ask_sz", "sz") if self._is_text(name)
        ]
        numbers = [str(each) for name in names for each in pc.unique(self.columns[name]).drop_null().to_pylist()]
        behind = [each.partition(",")[2] for each in numbers if "," in each]
        if behind and "decimal" not in self.keys and not any("." in each for each in numbers):
            if all(len(each) == _THOUSAND for each in behind):
                self.doubts.append(
                    f"numbers such as {quoted(next(each for each in numbers if ',' in each))} have a comma: "
                    "quotes.decimal=comma, or write thousands without"
                )
                return
            self._take("decimal", "comma", f"a comma stands before the fraction: {self._samples(names[0])}")
        if self._value("decimal") == "comma":
            for name in (*names, *self._names("time")):
                self.columns[name] = with_points(self.columns[name])

    def _is_text(self, name: str) -> bool:
        return is_text(self.columns[name].type)

    # ------------------------------------------------------------------------------------------ time

    def _is_clock(self) -> bool:
        """Whether the column of times holds times of day."""
        column = self.columns[str(self._value("time"))]
        if pa.types.is_time(column.type):
            return True
        first = str(column.drop_null()[0].as_py()) if column.null_count < len(column) else ""
        return is_text(column.type) and re.fullmatch(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?", first) is not None

    def _time(self) -> None:
        name = str(self._value("time"))
        column = self.columns[name].drop_null()
        if not len(column):
            self.doubts.append(f"column {quoted(name)} is empty in the first rows: quotes.time=...")
            return
        if self._is_clock():
            self._take("time_unit", "clock", f"a time of day: {self._samples(name)}")
            date = str(self._value("date"))
            if date in self.columns:
                self._ordered(date, self.columns[date].drop_null())
            if "date" not in self.keys:
                self.doubts.append(
                    f"{quoted(name)} is a time of day, of which date? quotes.date=2024-08-01, or a column of dates"
                )
            if "zone" not in self.keys:
                self.doubts.append(f"{quoted(name)} names no time zone: quotes.zone=America/New_York, UTC, ...")
            return
        text = is_text(column.type)
        if pa.types.is_timestamp(column.type) or (
            text and not pc.all(pc.match_substring_regex(column, r"^\d+(\.\d*)?$")).as_py()
        ):
            self._stamps(name, column)
        elif "time_unit" not in self.keys:
            self._unit(name, column)

    def _stamps(self, name: str, column: Arrow) -> None:
        if is_text(column.type):
            column = self._ordered(name, column)
            if self.doubts:
                return
            self._take("time_unit", "iso", f"text: {self._samples(name)}")
        if "zone" in self.keys:
            return
        try:
            instants_of(column, None, None)
        except ValueError as error:
            if "names no time zone" not in str(error):
                self.doubts.append(f"column {quoted(name)}: {error}; {self._samples(name)}")
                return
            readings = []
            for zone in ("UTC", "America/New_York"):
                first = int(instants_of(column.slice(0, 1), None, zone)[0])
                readings.append(f"quotes.zone={zone} makes the first row {format_instant(first)}")
            self.doubts.append(f"{quoted(name)} names no time zone: {', '.join(readings)}")

    def _ordered(self, name: str, column: Arrow) -> Arrow:
        """Dates that are no ISO 8601 in the order that only fits, or that is given."""
        order = self._value("date_order")
        if not is_text(column.type):
            return column
        texts = [str(each) for each in pc.unique(column).to_pylist()]
        fitting = orders_that_fit(texts)
        if order is None and len(fitting) == 1:
            order = fitting[0]
            self._take("date_order", order, f"no other order fits all of the first rows: {self._samples(name)}")
        elif order is None and fitting:
            iso = {each: iso_of(column.slice(0, 1), each)[0].as_py() for each in fitting}
            ways = ", ".join(f"quotes.date_order={each} makes the first one {text[:10]}" for each, text in iso.items())
            self.doubts.append(f"{quoted(name)} ({self._samples(name)}) is written day or month first: {ways}")
        return column if order is None else iso_of(column, order)

    def _unit(self, name: str, column: Arrow) -> None:
        """The unit of numbers: of 1973 to 2262 there is only one."""
        try:
            low = float(pc.min(pc.cast(column, pa.float64(), safe=False)).as_py())
        except pa.ArrowException:
            self.doubts.append(f"column {quoted(name)} ({self._samples(name)}) is {column.type}: quotes.time=...")
            return
        units: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
        fitting = [unit for unit in units if NANOS_FROM <= low * UNITS[unit] < 2**63]
        if len(fitting) == 1 and not self._value("date"):
            unit: Any = fitting[0]
            try:
                first = format_instant(int(instants_of(column.slice(0, 1), unit, None)[0]))
            except ValueError as error:
                self.doubts.append(f"column {quoted(name)} ({self._samples(name)}): as {unit} since 1970 {error}")
                return
            self._take(
                "time_unit",
                fitting[0],
                f"as {fitting[0]} since 1970 the first is {first}, in any other unit not of our time",
            )
            return
        self.doubts.append(
            f"{quoted(name)} ({self._samples(name)}) is no instant in any unit: is it a time since midnight? "
            "quotes.date=..., quotes.zone=..., quotes.time_unit=s, ms, us or ns"
        )

    # ------------------------------------------------------------------------------------------ venue

    def _venue(self) -> None:
        if "at" in self.keys:
            self.keys.pop("venue", None)
            return
        if "venue" not in self.keys:
            self.doubts.append(
                "which column names the venue? quotes.venue=..., or quotes.at=XNAS where all are of one; "
                f"{listing('columns', self.columns)}"
            )
            return
        name = self.keys["venue"].value
        if "venues" in self.keys:
            return
        try:
            indices, names = coded(self.columns[name])
        except ValueError as error:
            self.doubts.append(f"column {quoted(name)}: {error}: quotes.venue=...")
            return
        values = [names[code] for code in pc.unique(indices).drop_null().to_pylist()]
        if len(values) > _FEW:
            self.doubts.append(f"column {quoted(name)} has {len(values)} values, too many for venues: quotes.venue=...")
            return
        readings: dict[tuple[int, ...], list[str]] = {}
        for kind in VENUE_KINDS:
            try:
                ids = tuple(venue_of(value, kind, self._first_date()) for value in values)
            except ValueError:
                continue
            readings.setdefault(ids, []).append(kind)
        if not readings:
            unknown = [value for value in values if not _is_venue(value, self._first_date())]
            self.doubts.append(
                f"column {quoted(name)}: no venue is called {', '.join(map(quoted, unknown[:_SAMPLES]))}; which are "
                "they? quotes.venues={TEXT: MIC, ...}; python -m feed venues lists them"
            )
        elif len(readings) > 1:
            ways = "; ".join(
                f"quotes.venues={kinds[0]} makes them ids {', '.join(map(str, ids[:_FEW]))}"
                for ids, kinds in readings.items()
            )
            self.doubts.append(
                f"column {quoted(name)} ({self._samples(name)}) can be read in {len(readings)} ways: {ways}"
            )
        else:
            ids, kinds = next(iter(readings.items()))
            names = [f"{number} ({venue_with(number).name})" if kinds[0] == "id" else str(number) for number in ids]
            pairs = ", ".join(f"{quoted(value)} is {name}" for value, name in zip(values, names, strict=True))
            self._take("venues", kinds[0], f"each is one venue: {pairs[:200]}")

    def _first_date(self) -> str | None:
        """The date of the first row, where it can be told."""
        name, unit = str(self._value("time")), self._value("time_unit")
        if unit == "clock":
            date = str(self._value("date"))
            text = date
            if date in self.columns:
                column, order = self.columns[date].slice(0, 1), self._value("date_order")
                text = str((iso_of(column, order) if order and is_text(column.type) else column)[0].as_py())
            digits = re.sub(r"\D", "", text)[:8]
            return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 else None
        try:
            first = instants_of(self.columns[name].drop_null().slice(0, 1), unit, self._value("zone") or "UTC")
            return format_instant(int(first[0]))[:10]
        except ValueError:
            return None

    # ------------------------------------------------------------------------------------------ numbers

    def _names(self, *keys: str) -> list[str]:
        values = [self._value(key) for key in keys]
        return [
            str(each)
            for value in values
            if value is not None
            for each in (value if isinstance(value, list | tuple) else [value])
        ]

    def _numbers(self, names: Sequence[str], read: Callable[[Arrow], Any]) -> Any:  # noqa: ANN401
        """The values above 0 of some columns; None, and a doubt, where one cannot be read."""
        parts = []
        for name in names:
            try:
                parts.append(read(self.columns[name]))
            except ValueError as error:
                self.doubts.append(f"column {quoted(name)} ({self._samples(name)}): {error}")
                return None
        values = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return values[values > 0]

    def _prices(self) -> None:
        names = self._names("bid_px", "ask_px", "px")
        if "price_unit" in self.keys:
            return
        if any(has_fractions(numbers_of(self.columns[name]).drop_null()) for name in names):
            self._take("price_unit", "dollars", f"decimals: {self._samples(names[0])}")
            return
        values = self._numbers(names, _whole_numbers)
        if values is None:
            return
        if not len(values):
            self.doubts.append(
                f"columns {', '.join(map(quoted, names))} hold no price in the first rows: quotes.price_unit=..."
            )
            return
        middle = int(np.sort(values)[len(values) // 2])  # one of them, and not halfway between two
        fitting = [unit for unit, dollars in _PRICE_UNITS.items() if _PLAUSIBLE[0] <= middle * dollars < _PLAUSIBLE[1]]
        shown = {unit: f"{float(middle * _PRICE_UNITS[unit]):,.4f} $" for unit in fitting}
        if len(fitting) == 1:
            self._take(
                "price_unit",
                fitting[0],
                f"whole numbers; only so does a share cost 0.01 to 1,000,000 $: {middle} is {shown[fitting[0]]}",
            )
            return
        ways = ", ".join(f"quotes.price_unit={unit} makes it {worth}" for unit, worth in shown.items())
        self.doubts.append(
            f"prices are whole numbers, such as {middle}, of what nothing says: {ways or 'quotes.price_unit=...'}"
        )

    def _sizes(self) -> None:
        names = self._names("bid_sz", "ask_sz", "sz")
        if "size_unit" in self.keys:
            return
        texts = [numbers_of(self.columns[name]).drop_null() for name in names]
        decimals = max((_decimals(each) for each in texts), default=0)
        if decimals:
            unit = f"1e-{decimals}"
            self._take(
                "size_unit",
                unit,
                f"sizes have up to {decimals} decimals: {self._samples(names[0])}; one share of the tape is {unit} of "
                "what they count, and costs that part of the price",
            )
            return
        values = self._numbers(names, lambda column: integers_of(numbers_of(column).drop_null(), -(2**63), 2**63 - 1))
        if values is None:
            return
        if len(values) and int(values.max()) < _LOT:
            self.doubts.append(
                f"sizes are small, {self._samples(names[0])}: quotes.size_unit=shares, or quotes.size_unit=lots of 100"
            )
            return
        all_round = len(values) > 0 and not (values % _LOT).any()
        why = "all are multiples of 100" if all_round else "not all are multiples of 100, and some are above it"
        self._take("size_unit", "shares", f"{why}: {self._samples(names[0])}")

    def _sequence(self) -> None:
        name = self._value("sequence")
        if name is None or "sequence" in self.given:
            return
        try:
            integers_of(self.columns[name], 0, 2**63 - 1)
        except ValueError:
            self.keys.pop("sequence")

    def _rows(self) -> None:
        """Whether rows of one side are each the best, or at one instant a book."""
        if "side" not in self.keys or "level" in self.keys or "rows" in self.keys or self.doubts:
            return
        of_instant = self._names("time", "symbol", "venue", "side")
        if self._value("date") in self.columns:
            of_instant += self._names("date")
        px = str(self._value("px"))
        rows = pa.table({name: self.columns[name].slice(0, _LOOKED) for name in (*of_instant, px)})
        prices = rows.group_by(of_instant).aggregate([(px, "count_distinct")]).column(f"{px}_count_distinct")
        if (pc.max(prices).as_py() or 0) > 1:
            self.doubts.append(
                f"{quoted(px)} has several prices of one side at an instant, and no column is their level: "
                "quotes.rows=snapshots makes them one book, which is sent whole, quotes.rows=updates makes each the "
                "best, of which the last counts; or quotes.level=..."
            )

    def _kinds(self) -> None:
        """Whether rows of quotes stand among rows of trades."""
        used = {*self._names(*(key for key in self.keys if key in COLUMNS)), *(self._value("only") or {})}
        for name in (name for name in self.columns if name not in used):
            if not self._is_text(name) and not pa.types.is_dictionary(self.columns[name].type):
                continue
            words = {str(each) for each in pc.unique(self.columns[name].slice(0, _LOOKED)).drop_null().to_pylist()}
            plainly = {word.lower() for word in words}
            if len(words) <= _KINDS and plainly & _QUOTE_WORDS and plainly & _TRADE_WORDS:
                quote = next(word for word in sorted(words) if word.lower() in _QUOTE_WORDS)
                self.doubts.append(
                    f"column {quoted(name)} holds {', '.join(map(quoted, sorted(words)))}: "
                    f"quotes.only={{{name}: {quote}}} "
                    "reads the rows of quotes alone"
                )


def _whole_numbers(column: Arrow) -> Any:  # noqa: ANN401 - (N,) int64
    return prices_of(column, Fraction(1, 10**9))


def _decimals(column: Arrow) -> int:
    """The most decimals, other than zeros, of any number as it is written."""
    if not is_text(column.type):
        if not has_fractions(column):
            return 0
        if pa.types.is_floating(column.type):  # 0.1 + 0.2 and 1e-05 as they are read, to nine digits
            numbers = to_numpy(column).astype(np.float64)
            column = pa.array([f"{each:.9f}" for each in np.unique(numbers[np.isfinite(numbers)]).tolist()])
        column = column.cast(pa.string())
    parts = pc.utf8_rtrim(pc.replace_substring_regex(column, r"^[^.]*\.?", ""), "0")
    return int(pc.max(pc.utf8_length(parts)).as_py() or 0)


def _is_venue(value: str, date: str | None) -> bool:
    try:
        venue_of(value, "any", date)
    except ValueError as error:
        return "more than one" in str(error)
    return True
