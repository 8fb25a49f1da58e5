"""Instants and durations as text: exact, and refused where they say less than they must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.instants import (
    LAST_INSTANT,
    NANOS_FROM,
    format_instant,
    no_nanoseconds,
    parse_duration,
    parse_instant,
    session_open,
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-08-01T13:36:32Z", 1722519392 * 10**9),
        ("2024-08-01T13:36:32.491911683Z", 1722519392491911683),
        ("2024-08-01 13:36:32.5Z", 1722519392500000000),
        ("2024-08-01T15:36:32+02:00", 1722519392 * 10**9),
        ("2024-08-01T09:06:32-0430", 1722519392 * 10**9),
        ("  2024-08-01T13:36:32Z ", 1722519392 * 10**9),
        ("1722519392491911683", 1722519392491911683),
        (1722519392491911683, 1722519392491911683),
        (0, 0),
        ("2262-04-11T23:47:16.854775807Z", LAST_INSTANT),
    ],
)
def test_an_instant_is_exact(text, instant):
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2024-08-01T13:36:32",
        "2024-08-01",
        "13:36:32Z",
        "2024-08-01T13:36:32.1234567891Z",
        "2024-13-01T13:36:32Z",
        "2024-08-01T25:36:32Z",
        "2025-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2024-08-01T13:36:32+25:00",
        "2024-08-01T13:36:32+02:60",
        "9" * 5000,
        "1969-12-31T23:59:59Z",
        "2262-04-11T23:47:16.854775808Z",
        "9223372036854775808",
        "-1",
        -1,
        True,
        1.5,
        "",
        "now",
        "\u0661\u0662",
    ],
)
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(
        ValueError, match=r"is no instant: expected ISO 8601|is outside 1970-01-01 to 2262-04-11"
    ) as caught:
        parse_instant(text)
    assert str(caught.value).startswith(repr(str(text)[:60]))


@pytest.mark.parametrize("number", [1722519392, 1722519392491, 1722519392491911])
def test_an_instant_in_another_unit_is_refused_and_the_unit_is_named(number):
    unit = {10: "seconds", 13: "milliseconds", 16: "microseconds"}[len(str(number))]
    for text in (number, str(number)):
        with pytest.raises(ValueError, match=f"{number}' is no instant: .* as {unit} of 2024-08-01T13:36:32"):
            parse_instant(text)


@given(st.integers(0, NANOS_FROM - 1))
def test_what_is_said_of_a_number_names_one_unit_at_most(number):
    assert no_nanoseconds(number).count("seconds of ") <= 1
    assert format_instant(number) in no_nanoseconds(number)


@given(st.integers(0, LAST_INSTANT))
def test_written_and_read_back_nothing_is_lost(instant):
    text = format_instant(instant)
    assert parse_instant(text) == instant
    assert len(text) == len("2024-08-01T13:36:32.491911683Z")


@given(st.integers(0, LAST_INSTANT), st.integers(-14 * 60, 14 * 60))
def test_an_offset_names_the_same_instant(instant, minutes):
    seconds, fraction = divmod(instant, 10**9)
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=1, seconds=seconds, minutes=minutes)
    sign, away = ("-", -minutes) if minutes < 0 else ("+", minutes)
    text = f"{local:%Y-%m-%dT%H:%M:%S}.{fraction:09d}{sign}{away // 60:02d}:{away % 60:02d}"
    expected = instant + 86_400 * 10**9
    if expected <= LAST_INSTANT:
        assert parse_instant(text) == expected


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("500ms", 500 * 10**6),
        ("60s", 60 * 10**9),
        ("10m", 600 * 10**9),
        ("1h", 3600 * 10**9),
        ("1.5s", 1500 * 10**6),
        ("0.000000001 s", 1),
        ("7ns", 7),
        ("3us", 3000),
        (" 2m ", 120 * 10**9),
        ("0", 0),
        (0, 0),
    ],
)
def test_a_duration_is_exact(text, nanoseconds):
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["60", 60, "", "s", "1d", "-1s", "1e3s", "1.s", ".5s", "one minute", None, "9" * 5000 + "s"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("day", "opens"),
    [("2018-01-02T23:00:00Z", "2018-01-02T14:30:00Z"), ("2024-08-01T00:00:00Z", "2024-08-01T13:30:00Z")],
)
def test_the_session_opens_by_the_clock_of_new_york(day, opens):
    assert session_open(parse_instant(day)) == parse_instant(opens)
