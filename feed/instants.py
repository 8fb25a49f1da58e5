"""Instants and durations as text: ISO 8601 with a zone and up to nine digits, or integer nanoseconds."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ISO = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ](?P<time>\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<zone>Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)"
)
_DURATION = re.compile(r"(?P<number>\d{1,30}(?:\.\d{1,30})?)\s*(?P<unit>ns|us|ms|s|m|h)")
_CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?")
_UNIT = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = 2**63 - 1

NANOS_FROM = 10**17
"""As nanoseconds, numbers below this are before March 1973: such a stamp is in another unit."""

_COARSER = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3}
_DIGITS = 100
_SHOWN = 60


def parse_instant(text: str | int) -> int:
    """Turn an instant into UTC nanoseconds, exactly.

    Parameters
    ----------
    text : str or int
        ``2024-08-01T13:36:32.491911683Z``, the same with an offset such as ``+02:00``, or integer nanoseconds.

    Returns
    -------
    int
        Nanoseconds since 1970-01-01T00:00:00Z.

    Raises
    ------
    ValueError
        The text is no instant, names no zone, or is a number of seconds, milliseconds or microseconds.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        instant = text
    else:
        text = str(text).strip()
        if not (text.isascii() and text.isdigit()):
            return bounded(_iso(text), text)
        instant = int(text) if len(text) < _DIGITS else LAST_INSTANT + 1
    if as_coarser(instant):
        raise ValueError(f"{str(text)[:_SHOWN]!r} is no instant: {no_nanoseconds(instant)}")
    return bounded(instant, text)


def bounded(instant: int, text: object) -> int:
    """Return the instant; ValueError, naming `text`, where int64 nanoseconds cannot hold it."""
    if not 0 <= instant <= LAST_INSTANT:
        raise ValueError(f"{str(text)[:_SHOWN]!r} is outside 1970-01-01 to 2262-04-11")
    return instant


def no_nanoseconds(stamp: int) -> str:
    """Explain a whole number below `NANOS_FROM`: its date as nanoseconds, and the unit in which it makes sense.

    Parameters
    ----------
    stamp : int
        0 or more.
    """
    coarser = as_coarser(stamp)
    hint = f", as {coarser[0]} of {format_instant(coarser[1])}" if coarser else ""
    return f"as nanoseconds it is of {format_instant(stamp)}{hint}; write nanoseconds since 1970, or ISO 8601 with Z"


def as_coarser(stamp: int) -> tuple[str, int] | None:
    """Find the unit in which a number is an instant from March 1973 on, and that instant; at most one of three fits."""
    candidates = ((unit, stamp * scale) for unit, scale in _COARSER.items())
    return next(((unit, instant) for unit, instant in candidates if NANOS_FROM <= instant <= LAST_INSTANT), None)


def _iso(text: str) -> int:
    match = _ISO.fullmatch(text)
    whole = None
    if match is not None:
        with suppress(ValueError):  # no such day or hour
            whole = datetime.fromisoformat(f"{match['date']}T{match['time']}").replace(tzinfo=_zone(match["zone"]))
    if match is None or whole is None:
        raise ValueError(
            f"{text[:_SHOWN]!r} is no instant: expected ISO 8601 with Z or an offset, such as 2024-08-01T13:36:32Z, "
            "or integer nanoseconds"
        )
    seconds = (whole - _EPOCH) // timedelta(seconds=1)
    return seconds * 10**9 + int((match["fraction"] or "0").ljust(9, "0"))


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def format_instant(instant: int) -> str:
    """Write UTC nanoseconds as ISO 8601 with nine digits and Z.

    Parameters
    ----------
    instant : int
        Nanoseconds since 1970-01-01T00:00:00Z.
    """
    seconds, fraction = divmod(int(instant), 10**9)
    whole = _EPOCH + timedelta(seconds=seconds)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def session_open(instant: int) -> int:
    """When the regular session of US equities opens, 09:30 in New York, on the UTC date of an instant.

    Parameters
    ----------
    instant : int
        UTC nanoseconds.

    Returns
    -------
    int
        UTC nanoseconds, whatever the day: weekends and holidays have an hour, too.
    """
    date = _EPOCH + timedelta(days=instant // (86_400 * 10**9))
    opens = datetime(date.year, date.month, date.day, 9, 30, tzinfo=ZoneInfo("America/New_York"))
    return (opens - _EPOCH) // timedelta(seconds=1) * 10**9


def parse_clock(text: str) -> int:
    """Turn a time of day, ``09:40`` or ``09:40:30``, into nanoseconds since midnight.

    Raises
    ------
    ValueError
        The text is no time of day.
    """
    match = _CLOCK.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{str(text)[:_SHOWN]!r} is no time of day: expected 00:00 to 23:59:59, such as 09:40")
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    return (3600 * hour + 60 * minute + second) * 10**9


def at_clock(day: int, clock: int, zone: str) -> int:
    """The instant at which the clocks of a zone show a time of day on a date; UTC nanoseconds.

    Parameters
    ----------
    day : int
        Days since 1970-01-01, of the zone's own calendar.
    clock : int
        Nanoseconds since midnight as the clocks show it, not as they pass: where they are changed that day, a time that
        is skipped is an hour later, and of one that is repeated the first counts.
    zone : str
        An IANA name.

    Raises
    ------
    ValueError
        No such zone.
    """
    seconds, fraction = divmod(clock, 10**9)
    try:
        known = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{zone[:_SHOWN]!r} is no time zone: expected an IANA name, such as America/New_York"
        ) from None
    local = (_EPOCH + timedelta(days=day, seconds=seconds)).replace(tzinfo=known)
    return (local - _EPOCH) // timedelta(seconds=1) * 10**9 + fraction


def parse_duration(text: str | float) -> int:
    """Turn a duration such as ``500ms``, ``60s``, ``10m`` or ``1h`` into nanoseconds.

    Parameters
    ----------
    text : str or int
        A number with a unit (ns, us, ms, s, m, h); a bare 0 is allowed, any other bare number is not.

    Raises
    ------
    ValueError
        The text is no duration, int64 nanoseconds cannot hold it, or it rounds to 0.
    """
    if text in (0, "0"):
        return 0
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(
            f"{str(text)[:_SHOWN]!r} is no duration: expected a number with a unit, such as 500ms, 60s, 10m or 1h"
        )
    whole, _, fraction = match["number"].partition(".")
    scaled = int(whole + fraction) * _UNIT[match["unit"]]
    nanoseconds: int = scaled // 10 ** len(fraction)
    if scaled and not nanoseconds:
        raise ValueError(f"{str(text)[:_SHOWN]!r} rounds to 0; the shortest duration is 1ns")
    if nanoseconds > LAST_INSTANT:
        raise ValueError(f"{str(text)[:_SHOWN]!r} is longer than the longest duration, {LAST_INSTANT // _UNIT['h']}h")
    return nanoseconds
