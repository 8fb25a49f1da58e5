"""How a table of somebody else's becomes quotes: the section `quotes` of a configuration."""

from __future__ import annotations

import re
from datetime import date as calendar_date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from feed.console import unknown_key
from feed.instants import at_clock
from feed.levels import MOST_LEVELS
from feed.yaml_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

PRICE_UNITS: Final = {"dollars": Fraction(1), "cents": Fraction(1, 100)}
"""Dollars of a unit of price, by name."""

SIDE_WORDS: Final = {"bid": ("B", "BID", "BUY"), "ask": ("A", "ASK", "S", "SELL", "O", "OFFER")}
"""What a column of sides may hold where the mapping does not say, in any case of letters."""

_LOTS: Final = re.compile(r"lots of ([1-9]\d{0,6})")
_DIGITS: Final = 12
"""Powers of ten that a unit may be away from one."""

_ISO_DATE: Final = re.compile(r"\d{4}-?\d{2}-?\d{2}")

_COLUMN: Final = "the name of a column, such as {}"
_LEVELS: Final = "the name of a column, such as {}, or a list of them, best level first"

EXPECTED: Final = {
    "format": "the name of a layout, such as taq",
    "delimiter": "a character, or tab",
    "decimal": "point or comma",
    "only": "a mapping of a column to what it holds in rows that are read, such as {type: quote}",
    "time": _COLUMN.format("time"),
    "time_unit": "iso, clock, s, ms, us or ns",
    "zone": "a time zone, such as America/New_York",
    "date": "a date, such as 2024-08-01, or the name of a column",
    "date_order": "ymd, mdy or dmy",
    "symbol": _COLUMN.format("ticker"),
    "symbols": "a mapping of what the table says to a symbol, such as {BTCUSDT: BTC-USD}",
    "venue": _COLUMN.format("exchange"),
    "venues": "what the column holds, such as mic, or a mapping such as {ARCA: ARCX}",
    "at": "a venue, such as XNAS",
    "sequence": _COLUMN.format("seq"),
    "bid_px": _LEVELS.format("bid"),
    "ask_px": _LEVELS.format("ask"),
    "bid_sz": _LEVELS.format("bid_size"),
    "ask_sz": _LEVELS.format("ask_size"),
    "side": _COLUMN.format("side"),
    "px": _COLUMN.format("price"),
    "sz": _COLUMN.format("size"),
    "level": _COLUMN.format("level"),
    "bid": "what the column of sides holds, such as B, or a list of it",
    "ask": "what the column of sides holds, such as A, or a list of it",
    "price_unit": "dollars, cents, or dollars such as 1e-4",
    "size_unit": "shares, lots, lots of 100, or a part such as 1e-6",
    "rows": "updates or snapshots",
    "sizes": "exact or down",
    "stamps": "arrival or sent",
    "prices": "positive or signed",
}
"""What the value of each key looks like."""

COLUMNS: Final = tuple(key for key, text in EXPECTED.items() if text.startswith("the name of a column"))
"""Keys whose values are names of columns alone."""

_AS_WRITTEN: Final = ("price_unit", "size_unit", "symbols", "venues")
"""Keys whose values are no names."""

_FILE_LIMIT: Final = 2**20
"""Bytes of a file that holds a mapping, at most."""

SEPARATORS: Final = {"tab": "\t", "space": " "}
"""Delimiters that have a name."""

TimeUnit = Literal["iso", "clock", "s", "ms", "us", "ns"]


class QuoteMapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column of a table holds what, and in which unit; docs/mapping.md says what each key means.

    Attributes
    ----------
    format : str, optional
        The layout of a vendor that is read, one of `feed.files.FORMATS`; by default it is seen from the file.
    delimiter : str, optional
        Between the fields of a row of text; by default a comma.
    decimal : str
        Before the fraction of a number of text, a point or a comma: 157,23.
    only : dict, optional
        What columns hold in the rows that are read; others are left out and counted.
    time, time_unit, zone, date : str, optional
        The column of instants; ISO 8601 text, the time of day, or a number since 1970 in a unit; the zone of what names
        none; the date, or the column of dates, of a time of day.
    date_order : str, optional
        Which part comes first where dates are no ISO 8601: 8/1/2024 is mdy or dmy.
    symbol, venue, sequence : str, optional
        Columns. Without `sequence` the order of the rows stands in.
    venues : str or dict
        How the column of venues is read, a kind of `feed.markets.venue_of`, or text to venue.
    at : str or int, optional
        The venue of all rows, where no column names one.
    bid_px, ask_px, bid_sz, ask_sz : str or tuple of str, optional
        Columns of a row that holds both sides, best level first.
    side, px, sz, level : str, optional
        Columns of a row that holds one level of one side; levels count from 0 or 1.
    bid, ask : str or tuple of str, optional
        What `side` holds.
    price_unit : str or float, optional
        dollars, cents, or dollars for each unit, such as 1e-4.
    size_unit : str or float, optional
        shares, lots (round lots of the date and price), ``lots of 100``; or what one share of the tape stands for, such
        as 1e-6 of a coin: prices are then of that much of it, too.
    rows : str, optional
        Whether what is not named at an instant stands (updates) or is gone (snapshots); by default it stands.
    prices : str
        Whether prices below 0 are refused (positive), or taken as no quotes and counted (signed).
    symbols : dict, optional
        What tapes are called, by the symbol in a vendor's file: venues name one instrument differently.
    sizes : str
        Whether a size in a vendor's file that is no whole number of `size_unit` is refused (exact), or what is left of
        it is not shown (down).
    stamps : str
        Of a vendor's file that has both: when a message arrived at whoever recorded it (arrival), or when the exchange
        says that it was sent (sent).
    """

    format: str | None = None
    delimiter: str | None = None
    decimal: Literal["point", "comma"] = "point"
    only: dict[str, str | tuple[str, ...]] | None = None
    time: str | None = None
    time_unit: TimeUnit | None = None
    zone: str | None = None
    date: str | None = None
    date_order: Literal["ymd", "mdy", "dmy"] | None = None
    symbol: str | None = None
    venue: str | None = None
    venues: str | dict[str, str | int] = "any"
    at: str | int | None = None
    sequence: str | None = None
    bid_px: str | tuple[str, ...] | None = None
    ask_px: str | tuple[str, ...] | None = None
    bid_sz: str | tuple[str, ...] | None = None
    ask_sz: str | tuple[str, ...] | None = None
    side: str | None = None
    px: str | None = None
    sz: str | None = None
    level: str | None = None
    bid: str | tuple[str, ...] | None = None
    ask: str | tuple[str, ...] | None = None
    price_unit: str | float | None = None
    size_unit: str | float | None = None
    rows: Literal["updates", "snapshots"] | None = None
    prices: Literal["positive", "signed"] = "positive"
    symbols: dict[str, str] | None = None
    sizes: Literal["exact", "down"] = "exact"
    stamps: Literal["arrival", "sent"] = "arrival"

    @property
    def names_columns(self) -> bool:
        """Whether it says which columns hold quotes; otherwise it says something about a vendor's layout."""
        return any(
            getattr(self, name) is not None for name in ("bid_px", "ask_px", "bid_sz", "ask_sz", "side", "px", "sz")
        )

    @property
    def given(self) -> dict[str, Any]:
        """The keys that are not at their defaults."""
        plain = QuoteMapping()
        names = (each.name for each in msgspec.structs.fields(self))
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(plain, name)}

    @property
    def separator(self) -> str:
        """Between the fields of a row of text."""
        return "," if self.delimiter is None else SEPARATORS.get(self.delimiter, self.delimiter)

    @property
    def quoted(self) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
        """What the prices and sizes of a row are of, a prefix, and their columns, best level first."""
        prefixes = ("bid_", "ask_") if self.side is None else ("",)
        return tuple(
            (each, _several(getattr(self, f"{each}px")), _several(getattr(self, f"{each}sz"))) for each in prefixes
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, the date's excepted, which may be a date itself."""
        single = (*(self.only or ()), self.time, self.symbol, self.venue, self.sequence, self.side, self.level)
        pairs = (name for _, px, sz in self.quoted for name in (*px, *sz))
        return tuple(dict.fromkeys(name for name in (*single, *pairs) if name is not None))

    @property
    def dollars(self) -> Fraction | None:
        """Dollars of a unit of price, for each share of the tape; None where it is not said."""
        if self.price_unit is None:
            return None if self.coin is None else self.coin
        return _price_unit(self.price_unit) * (self.coin or 1)

    @property
    def shares(self) -> Fraction | None:
        """Shares of the tape in a unit of size; None for round lots, which depend on date and price."""
        if self.size_unit in {None, "shares"}:
            return Fraction(1)
        if self.size_unit == "lots":
            return None
        lots = _LOTS.fullmatch(str(self.size_unit))
        return Fraction(int(lots[1])) if lots else 1 / _number(self.size_unit)

    @property
    def coin(self) -> Fraction | None:
        """What one share of the tape stands for, where it is not one share."""
        if self.size_unit in {None, "shares", "lots"} or _LOTS.fullmatch(str(self.size_unit)):
            return None
        return _number(self.size_unit)

    def words_of(self, side: str) -> tuple[str, ...]:
        """What the column of sides holds for one."""
        words = getattr(self, side)
        if words is not None:
            return _several(words)
        return tuple(each for word in SIDE_WORDS[side] for each in (word, word.lower(), word.capitalize()))


def _several(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else names


def _number(unit: object) -> Fraction:
    try:
        number = Decimal(str(unit))
    except InvalidOperation:
        number = Decimal(0)
    # the exponent first: of 1e-999999999 no fraction is made
    if not (number.is_finite() and number > 0 and -_DIGITS <= number.adjusted() <= _DIGITS):
        raise ValueError(f"{str(unit)[:40]!r} is no unit")
    return Fraction(number)


def _price_unit(unit: str | float) -> Fraction:
    return PRICE_UNITS[unit] if unit in PRICE_UNITS else _number(unit)


def parse_mapping(tree: object) -> QuoteMapping:
    """Make a mapping of a nested one, and check it.

    Raises
    ------
    ValueError
        An unknown key, a value of the wrong kind, or keys that do not go together; the message begins with the key.
    """
    if not isinstance(tree, dict):
        raise ValueError(  # noqa: TRY004 - one kind of error for all that a user typed
            f"quotes: expected a mapping, such as {{time: ts, bid_px: bid}}, but it had {str(tree)[:40]!r}"
        )
    check_keys(tree)
    try:
        quotes = msgspec.convert(_texts(tree), QuoteMapping)
    except msgspec.ValidationError as error:
        key = re.split(r"[.\[`]", str(error).partition(" - at `$.")[2])[0]
        raise ValueError(f"quotes.{key}: expected {EXPECTED[key]}, but it had {repr(tree[key])[:40]}") from None
    check_mapping(quotes)
    return quotes


def check_keys(tree: Mapping[str, Any]) -> None:
    """Refuse (ValueError) an unknown key; the nearest valid one is named."""
    for key in tree:
        if key not in EXPECTED:
            raise ValueError(unknown_key(f"quotes.{key}", [f"quotes.{name}" for name in EXPECTED]))


def _texts(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping whose names are text: a column may be called 1, and a date is text here."""
    return {key: value if key in _AS_WRITTEN else _text_of(value) for key, value in tree.items()}


def _text_of(value: Any) -> Any:  # noqa: ANN401 - YAML holds anything
    if isinstance(value, list | tuple):
        return [_text_of(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _text_of(each) for name, each in value.items()}
    return value if value is None else str(value)


def check_mapping(quotes: QuoteMapping) -> None:
    """Refuse (ValueError) keys that do not go together; the message begins with the key."""
    _check_units(quotes)
    if not quotes.names_columns:
        return
    if quotes.time is None:
        raise ValueError("quotes.time: which column holds the time? set quotes.time")
    if quotes.date is not None and quotes.zone is None:
        raise ValueError("quotes.date: a time of day needs its zone; set quotes.zone, such as America/New_York or UTC")
    if quotes.date is None and quotes.time_unit == "clock":
        raise ValueError(
            "quotes.time_unit: a time of day needs its date; set quotes.date, such as 2024-08-01, or a column"
        )
    if quotes.venue is None and quotes.at is None:
        raise ValueError(
            "quotes.venue: which column names the venue? set quotes.venue, or quotes.at=XNAS where all rows are of one"
        )
    if quotes.venue is not None and quotes.at is not None:
        raise ValueError("quotes.at: quotes.venue names the venue of each row; remove one of the two")
    _check_layout(quotes)


def _check_units(quotes: QuoteMapping) -> None:
    for key in ("price_unit", "size_unit"):
        unit = getattr(quotes, key)
        try:
            _ = _price_unit(unit or 1) if key == "price_unit" else quotes.shares
        except ValueError:
            examples = (
                "dollars, cents, or dollars such as 1e-4"
                if key == "price_unit"
                else "shares, lots, lots of 100, or a part such as 1e-6"
            )
            raise ValueError(f"quotes.{key}: expected {examples}, but it had {str(unit)[:40]!r}") from None
    if quotes.coin is not None and quotes.coin > 1:
        raise ValueError(f"quotes.size_unit: write lots of {quotes.coin}, where one unit of size is so many shares")
    if len(quotes.separator) != 1 or not quotes.separator.isascii() or quotes.separator in '\r\n"':
        raise ValueError(f"quotes.delimiter: expected a character, or tab, but it had {quotes.delimiter!r}")
    if quotes.zone is not None:
        try:
            at_clock(0, 0, quotes.zone)
        except ValueError as error:
            raise ValueError(f"quotes.zone: {error}") from None
    if quotes.date is not None and _ISO_DATE.fullmatch(quotes.date):
        try:
            calendar_date.fromisoformat(quotes.date)
        except ValueError:
            raise ValueError(f"quotes.date: {quotes.date!r} is no date") from None


def _check_layout(quotes: QuoteMapping) -> None:
    wide = {name: _several(getattr(quotes, name)) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    long = [name for name in ("side", "px", "sz") if getattr(quotes, name) is not None]
    if long and any(wide.values()):
        raise ValueError(
            f"quotes.{long[0]}: a row holds both sides (bid_px, ...) or one (side, px, sz); remove one of the two"
        )
    if long:
        for name in ("side", "px", "sz"):
            if getattr(quotes, name) is None:
                raise ValueError(f"quotes.{name}: a row of one side needs side, px and sz; set quotes.{name}")
        return
    for name, columns in wide.items():
        if not columns:
            raise ValueError(
                f"quotes.{name}: a row of both sides needs bid_px, ask_px, bid_sz and ask_sz; set quotes.{name}"
            )
        if len(columns) != len(wide["bid_px"]):
            raise ValueError(f"quotes.{name}: {len(columns)} levels, but quotes.bid_px has {len(wide['bid_px'])}")
        if len(columns) > MOST_LEVELS:
            raise ValueError(f"quotes.{name}: {len(columns)} levels, at most {MOST_LEVELS} are read")
    if quotes.level is not None:
        raise ValueError("quotes.level: rows of both sides have no level; list the columns of each: bid_px: [b1, b2]")


def parse_word(text: str, key: str) -> Any:  # noqa: ANN401 - YAML holds anything
    """Read the value of a key on a command line: a list or a mapping as YAML, anything else as it was typed.

    Raises
    ------
    ValueError
        Invalid YAML.
    """
    text = text.strip()
    if text.startswith(("[", "{")):
        return parse_yaml(text, key)
    quoted_whole = len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
    return text[1:-1] if quoted_whole else text or None


def read_mapping(file: str) -> dict[str, Any]:
    """Read a YAML file that holds the section `quotes`, alone or, as ``python -m feed map`` writes it, under its name.

    Raises
    ------
    ValueError
        A file that is missing, too large, not text, not YAML or not a mapping.
    """
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(_FILE_LIMIT + 1)
        tree = parse_yaml(content.decode(), file) if len(content) <= _FILE_LIMIT else None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise ValueError(f"{file}: cannot be read ({reason}); check the path") from None
    section = tree.get("quotes", tree) if isinstance(tree, dict) else tree
    if not isinstance(section, dict):
        raise ValueError(  # noqa: TRY004 - as above
            f"{file}: expected a mapping of columns, such as what python -m feed map writes"
        )
    return section
