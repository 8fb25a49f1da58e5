"""The table of venues as text and as JSON."""

from __future__ import annotations

from datetime import date as calendar_date
from typing import TYPE_CHECKING, Any

from feed.errors import FeedUnavailable
from feed.markets.venues import VENUES, venue_of, venue_with
from feed.publishers import PUBLISHERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.markets.venues import Venue

_COLUMNS = ("id", "MIC", "name", "TAQ", "SIP", "Lean", "tardis", "first", "last", "Databento")


def choose_venues(text: str | None, date: str | None) -> tuple[Venue, ...]:
    """The venues of the table: all, or the one that a text names; with a date, those that may have quotes on it.

    Raises
    ------
    FeedUnavailable
        The text names none or several, or the date is none.
    """
    if date is not None:
        try:
            date = calendar_date.fromisoformat(date).isoformat()
        except ValueError:
            raise FeedUnavailable(f"--date: {date[:40]!r} is no date: expected ISO 8601, such as 2024-08-01") from None
    if text is None:
        return tuple(each for each in VENUES.values() if date is None or each.known_on(date))
    try:
        number = venue_of(text, date=date)
    except ValueError as error:
        raise FeedUnavailable(str(error)) from None
    return (venue_with(number),)


def as_dict(venue: Venue) -> dict[str, Any]:
    """A venue, JSON-able: all its attributes."""
    return {
        "id": venue.id,
        "mic": venue.mic,
        "name": venue.name,
        "also": list(venue.also),
        "market": venue.market,
        "taq": list(venue.taq),
        "sip": list(venue.sip),
        "lean": list(venue.lean),
        "tardis": venue.tardis,
        "databento": dict(venue.databento),
        "first": venue.first,
        "last": venue.last,
        "checked": venue.checked,
        "source": venue.source,
        "note": venue.note,
    }


def render_venues(venues: Sequence[Venue], *, verbose: bool = False) -> str:
    """Write venues as a table; verbose: with other names, notes and sources below each."""
    rows = [_COLUMNS, *(_cells(each) for each in venues)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if verbose:
        lines = [lines[0], *(line for pair in zip(lines[1:], map(_below, venues), strict=True) for line in pair)]
    return "\n".join(lines)


def _cells(venue: Venue) -> tuple[str, ...]:
    ids = ", ".join(f"{PUBLISHERS[number].data_set} {number}" for number in sorted(venue.databento.values()))
    letters = ["/".join(each) or "-" for each in (venue.taq, venue.sip, venue.lean)]
    dates = [each or "-" for each in (venue.tardis, venue.first, venue.last)]
    return (str(venue.id), venue.mic or "-", venue.name, *letters, *dates, ids or "-")


def _below(venue: Venue) -> str:
    parts = [
        *([f"also: {', '.join(venue.also)}"] if venue.also else []),
        *([f"note: {venue.note}"] if venue.note else []),
        f"source, {venue.checked}: {venue.source}",
    ]
    return "\n".join(f"       {part}" for part in parts)
