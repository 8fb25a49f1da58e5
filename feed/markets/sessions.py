"""Regular sessions by date: when an exchange opens and closes, on half days too, and which days it is shut.

They are those of the library exchange_calendars, which is imported when it is first asked, between dates that do not
move with the present day.
"""

from __future__ import annotations

import difflib
import warnings
from functools import cache
from typing import Final, NamedTuple

from feed.instants import format_instant

FIRST: Final = "2007-01-01"
"""The first date, ISO: from then on exchange_calendars and pandas_market_calendars agree on every session of XNYS."""

LAST: Final = "2028-12-31"
"""The last date: later closings are no more than rules about holidays."""

CALENDAR: Final = "XNYS"
"""The calendar of US equities."""

SOURCE: Final = "exchange_calendars 4.13, checked 2026-11-29; https://www.nyse.com/markets/hours-calendars"

_DAY = 86_400 * 10**9


class Session(NamedTuple):
    """When a regular session begins and ends; UTC nanoseconds, both included, of one UTC date."""

    opens: int
    closes: int


def session_on(day: int, calendar: str = CALENDAR) -> Session:
    """The regular session of a UTC date.

    Parameters
    ----------
    day : int
        Days since 1970-01-01.
    calendar : str
        A name of exchange_calendars, mostly a MIC; ``24/7`` is open all day.

    Raises
    ------
    ValueError
        No such calendar, a date that is beyond what is known of it, or without a session; or a session that is of two
        UTC dates.
    """
    sessions, first, last = _known(calendar)
    date = _date(day)
    if not first <= date <= last:
        raise ValueError(f"{date} is beyond the sessions of {calendar} that are known, {first} to {last}")
    if day not in sessions:
        following = next((each for each in range(day + 1, day + 15) if each in sessions), None)
        after = "" if following is None else f", the next is {_date(following)}"
        raise ValueError(f"{date} has no session of {calendar}{after}")
    opens, closes = sessions[day]
    if closes == (day + 1) * _DAY:
        closes -= 1  # a session that lasts to midnight
    if not day * _DAY <= opens <= closes < (day + 1) * _DAY:
        raise ValueError(f"the session of {calendar} on {date} is of two dates of UTC, so no tape of one has it whole")
    return Session(opens, closes)


def check_calendar(calendar: str) -> str:
    """Return the name of a calendar; ValueError where there is none of that name."""
    _known(calendar)
    return calendar


@cache
def _known(name: str) -> tuple[dict[int, tuple[int, int]], str, str]:
    """When each day opens and closes by a calendar, and the first and the last date that are known of it."""
    import exchange_calendars

    if name not in (names := exchange_calendars.get_calendar_names()):
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"; near ones are {', '.join(near)}" if near else ""
        raise ValueError(f"{name[:40]!r} is no calendar of exchange_calendars, such as XNYS or 24/7{hint}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, of what pandas will do one day
        try:
            calendar, first, last = exchange_calendars.get_calendar(name, start=FIRST, end=LAST), FIRST, LAST
        except (ValueError, NotImplementedError):  # of some exchanges holidays are known for fewer years
            try:
                calendar = exchange_calendars.get_calendar(name)
            except (ValueError, NotImplementedError) as error:
                raise ValueError(f"the sessions of {name} are not known: {str(error)[:80]}") from None
            first, last = (str(each.date()) for each in (calendar.first_session, calendar.last_session))
        columns = calendar.sessions_nanos // _DAY, calendar.opens_nanos, calendar.closes_nanos
    days, opens, closes = (column.tolist() for column in columns)
    return dict(zip(days, zip(opens, closes, strict=True), strict=True)), first, last


def _date(day: int) -> str:
    return format_instant(day * _DAY)[:10]
