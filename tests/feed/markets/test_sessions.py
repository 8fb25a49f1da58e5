"""Sessions by date: hand-checked days, and a clear line where there is none."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.instants import format_instant, parse_instant, session_open
from feed.markets.sessions import FIRST, LAST, session_on
from tests.support.examples import examples

DAY = 86_400 * 10**9
NEW_YORK = ZoneInfo("America/New_York")


def day_of(text):
    return parse_instant(f"{text}T00:00:00Z") // DAY


def shown(day, calendar="XNYS"):
    return [format_instant(each)[11:19] for each in session_on(day_of(day), calendar)]


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2018-01-02", "14:30:00", "21:00:00"),
        ("2024-08-01", "13:30:00", "20:00:00"),
        ("2024-11-29", "14:30:00", "18:00:00"),  # the day after Thanksgiving ends at 13:00 in New York
        ("2026-11-27", "14:30:00", "18:00:00"),
        ("2024-07-03", "13:30:00", "17:00:00"),
        ("2024-12-24", "14:30:00", "18:00:00"),
        ("2024-03-08", "14:30:00", "21:00:00"),  # the last day before the clocks are changed
        ("2024-03-11", "13:30:00", "20:00:00"),
    ],
)
def test_sessions_of_new_york_by_hand(day, opens, closes):
    assert shown(day) == [opens, closes]


@pytest.mark.parametrize(
    ("day", "following"),
    [
        ("2025-01-09", "2025-01-10"),  # National Day of Mourning for a president
        ("2018-12-05", "2018-12-06"),
        ("2012-10-29", "2012-10-31"),  # a storm, two days
        ("2026-11-26", "2026-11-27"),
        ("2024-08-03", "2024-08-05"),
    ],
)
def test_a_day_without_a_session_names_the_next(day, following):
    with pytest.raises(ValueError, match=f"{day} has no session of XNYS, the next is {following}"):
        session_on(day_of(day))


@pytest.mark.parametrize(
    ("day", "calendar", "message"),
    [
        ("2006-12-29", "XNYS", "2006-12-29 is beyond the sessions of XNYS that are known, 2007-01-01 to 2028-12-31"),
        ("2029-01-02", "XNYS", "2029-01-02 is beyond the sessions of XNYS"),
        ("2024-08-01", "XNYZ", "'XNYZ' is no calendar of exchange_calendars, such as XNYS or 24/7; near ones are"),
        ("2024-08-01", "CME", "the session of CME on 2024-08-01 is of two dates of UTC"),
    ],
)
def test_what_has_no_answer_is_one_line(day, calendar, message):
    with pytest.raises(ValueError, match=message):
        session_on(day_of(day), calendar)


def test_other_exchanges_and_markets_that_never_close():
    assert shown("2024-08-01", "XLON") == ["07:00:00", "15:30:00"]
    assert shown("2024-08-03", "24/7") == ["00:00:00", "23:59:59"]


@given(st.dates(date.fromisoformat(FIRST), date.fromisoformat(LAST)))
@examples(60)
def test_a_session_opens_at_half_past_nine_and_ends_at_one_or_four(day):
    number = (day - date(1970, 1, 1)).days
    try:
        session = session_on(number)
    except ValueError:
        # shut for a week-end, or not much longer than one day, but for storms and terror
        assert day.weekday() >= 5 or any(_is_open(number + step) for step in (1, 2, 3, 4))
        return
    assert day.weekday() < 5
    opens, closes = (datetime.fromtimestamp(each // 10**9, NEW_YORK) for each in session)
    assert opens.date() == closes.date() == day
    assert (opens.hour, opens.minute) == (9, 30)
    assert session.opens == session_open(number * DAY)
    assert closes - opens in {timedelta(hours=6, minutes=30), timedelta(hours=3, minutes=30)}


def _is_open(number):
    try:
        return bool(session_on(number))
    except ValueError:
        return False


def test_the_library_is_imported_only_when_a_session_is_asked_for():
    program = (
        "import sys; from sweep.config import load_config; load_config(assignments=['source=x.csv']);"
        "assert 'exchange_calendars' not in sys.modules; load_config(assignments=['source=x.csv', 'window=session']);"
        "sys.exit('exchange_calendars' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
