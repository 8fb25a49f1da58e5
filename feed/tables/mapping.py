"""How a table of somebody else's becomes quotes: the section `quotes` of a configuration."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

TimeUnit = Literal["iso", "clock", "s", "ms", "us", "ns"]


class QuoteMapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column of a table holds what, and in which unit; docs/mapping.md says what each key means.

    Attributes
    ----------
    format : str, optional
        The layout of a vendor that is read, one of `feed.files.FORMATS`; by default it is seen from the file.
    delimiter : str, optional
        Between the fields of a row of text; by default a comma.
    time, time_unit, zone, date : str, optional
        The column of instants; ISO 8601 text, the time of day, or a number since 1970 in a unit; the zone of what names
        none; the date, or the column of dates, of a time of day.
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
    size_unit : str or int, optional
        shares, lots (round lots of the date and price), or shares for each unit, such as 100.
    rows : str
        Whether what is not named at an instant stands (updates) or is gone (snapshots).
    prices : str
        Whether prices below 0 are refused (positive), or taken as no quotes and counted (signed).
    """

    format: str | None = None
    delimiter: str | None = None
    time: str | None = None
    time_unit: TimeUnit | None = None
    zone: str | None = None
    date: str | None = None
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
    size_unit: str | int | None = None
    rows: Literal["updates", "snapshots"] = "updates"
    prices: Literal["positive", "signed"] = "positive"

    @property
    def names_columns(self) -> bool:
        """Whether it says which columns hold quotes; otherwise it says something about a vendor's layout."""
        return self.bid_px is not None or self.ask_px is not None or self.px is not None
