"""What vendors' layouts have in common: the venue, date and zone that a file does not say, and parts made one."""

from __future__ import annotations

from datetime import date as calendar_date
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import at_clock
from feed.markets import venue_of
from feed.tables import QuoteMapping
from feed.tape import PRICE_LIMIT, SHARES_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from feed.tape import Int64

    Columns = dict[str, NDArray[Any]]

NEW_YORK = "America/New_York"
HOUR = 3600 * 10**9
TEN_THOUSANDTH = 5
"""The power of ten that turns 1e-4 $ into 1e-9 $."""

LARGEST_PRICE, LARGEST_SIZE = PRICE_LIMIT - 1, SHARES_LIMIT - 1
_EPOCH = calendar_date(1970, 1, 1)
_PLAIN = QuoteMapping()


def asked(quotes: QuoteMapping | None) -> QuoteMapping:
    """What the user says of a file; nothing by default."""
    return quotes or _PLAIN


def venue_at(quotes: QuoteMapping, default: int) -> int:
    """The venue of all rows: as the user says, or the layout's own.

    Raises
    ------
    FeedUnavailable
        It is none.
    """
    if quotes.at is None:
        return default
    try:
        return venue_of(quotes.at)
    except ValueError as error:
        raise FeedUnavailable(str(error), "quotes.at") from None


def venues_named(texts: Sequence[str], quotes: QuoteMapping, kind: str, day: int | None, where: str) -> Int64:
    """The venues that texts of a file name.

    Parameters
    ----------
    texts : sequence of str
    quotes : QuoteMapping
        Its `at` holds for all; its `venues` says another kind, or the venue of each text.
    kind : str
        As `feed.markets.venue_of`, of the layout; what is no such text may be the name of one.
    day : int, optional
        Days since 1970: letters were others' before.
    where : str

    Raises
    ------
    FeedUnavailable
        One is no venue, or was none on that day.
    """
    if quotes.at is not None:
        return np.full(len(texts), venue_at(quotes, 0), np.int64)
    table = quotes.venues if isinstance(quotes.venues, dict) else {}
    kind = quotes.venues if isinstance(quotes.venues, str) and quotes.venues != "any" else kind
    date = None if day is None else date_of(day)
    try:
        return np.array([_venue(text, table, kind, date) for text in texts], np.int64)
    except ValueError as error:
        raise FeedUnavailable(str(error), where, "name it in quotes.venues, or all by quotes.at") from None


def _venue(text: str, table: dict[str, str | int], kind: str, date: str | None) -> int:
    if text in table:
        return venue_of(table[text])
    try:
        return venue_of(text, kind, date)
    except ValueError:
        if kind != "tardis":
            raise
        return venue_of(text, "name")  # ccxt calls some of them otherwise


def date_of(day: int) -> str:
    """The ISO date of days since 1970."""
    return calendar_date.fromordinal(_EPOCH.toordinal() + day).isoformat()


def day_of(quotes: QuoteMapping, text: str, where: str) -> int:
    """The date of a file's rows, in days since 1970: as the user says, or as its name does.

    Parameters
    ----------
    quotes : QuoteMapping
    text : str
        The date in the file's name, with or without dashes; empty where it names none.
    where : str

    Raises
    ------
    FeedUnavailable
        There is none, or no such day.
    """
    text = quotes.date or text
    if not text:
        raise FeedUnavailable("its name says no date", where, "set quotes.date, such as 2024-08-01")
    try:
        day = (calendar_date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        day = -1
    if not 0 <= day < 2**15 * 3:
        raise FeedUnavailable(
            f"{quoted(text)} is no date of 1970 or later", where, "set quotes.date, such as 2024-08-01"
        )
    return day


def instants_of(clock: Int64, day: int, quotes: QuoteMapping, zone: str = NEW_YORK) -> Int64:
    """UTC nanoseconds of times of day on the clocks of a zone, hour by hour.

    Parameters
    ----------
    clock : (N,) int64
        Nanoseconds since midnight as the clocks show it, below 24 hours.
    day : int
        Days since 1970, of the zone's calendar.
    quotes : QuoteMapping
        Its zone, where it names one, goes before the layout's.
    zone : str

    Raises
    ------
    FeedUnavailable
        No such zone.
    """
    zone = quotes.zone or zone
    try:
        hours = np.array([at_clock(day, hour * HOUR, zone) - hour * HOUR for hour in range(24)], np.int64)
    except ValueError as error:
        raise FeedUnavailable(str(error), "quotes.zone") from None
    alike = bool((hours == hours[0]).all())  # as on all days but two
    instants: Int64 = clock + (hours[0] if alike else hours[clock // HOUR])
    return instants


def tape_names(names: Sequence[str], quotes: QuoteMapping) -> list[str]:
    """What the tapes of a file's symbols are called: `quotes.symbols` joins what venues call differently."""
    table = quotes.symbols or {}
    return [table.get(name, name) for name in names]


def check_named(names: Sequence[str], where: str) -> None:
    """Refuse (FeedCorrupt) a file with rows that name no symbol."""
    if "" in names:
        raise FeedCorrupt("it has rows that name no symbol", where, "export it again")


def coded(parts: Iterable[tuple[Int64, list[str]]]) -> tuple[list[NDArray[np.int32]], list[str]]:
    """Number names alike over all blocks: codes of each, and the names in the order in which they came."""
    known: dict[str, int] = {}
    codes = []
    for local, names in parts:
        places = np.array([known.setdefault(name, len(known)) for name in names], np.int32)
        codes.append(places[local] if len(names) else np.zeros(0, np.int32))
    return codes, list(known)


def joined(parts: list[Columns]) -> Columns:
    """Make the columns of parts one, column after column, so that none is held twice for long."""
    names = list(parts[0]) if parts else []
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in names}


def span_note(day: int, quotes: QuoteMapping, zone: str = NEW_YORK) -> str:
    """How the times of a file are read."""
    return f"times are of {quotes.zone or zone} on {date_of(day)}"
