"""Columns of any type of a table turned into exact integers: instants, prices, sizes, whole numbers.

Each reader takes (N,) values, null where there is none, and returns (N,) int64 or raises ValueError. It looks at each
value alone, so `feed.tables.parsing.first_bad` finds the culprit by bisection.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.errors import FeedUnavailable
from feed.instants import LAST_INSTANT, NANOS_FROM, as_coarser, format_instant
from feed.tables.parsing import decimals, int64_of, to_numpy, unscaled
from feed.tape import INT64, PRICE_LIMIT, SHARES_LIMIT, UNDEFINED_PRICE

if TYPE_CHECKING:
    from fractions import Fraction

    from feed.tables.mapping import TimeUnit
    from feed.tables.parsing import Arrow
    from feed.tape import Int64

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds of a unit of time."""

_SHORT = {"seconds": "s", "milliseconds": "ms", "microseconds": "us"}

MISSING = ["", "NaN", "nan", "NA", "N/A", "null", "None"]
"""Texts of a missing number."""

_NANO = 10**9
LONGEST = 256
"""Bytes of a text that stands for a number or a name, at most: repeated, it takes none in a file."""

_STAMP = pa.timestamp("ns")
_UTC = pa.timestamp("ns", "UTC")
_EXACT_FLOAT = 2.0**53
_COMPACT = r"^(\d{4})(\d{2})(\d{2})$"
_DECIMAL = re.compile(r"\d+(\.\d*)?")
_ZONED = re.compile(r":\d\d(\.\d*)?(Z|[+-]\d\d(:?\d\d)?)$")
_ONE_DIGIT = r"^(\d):"


def one_array(column: Arrow) -> Arrow:
    """A column as one array, text of any kind as plain text, also in a dictionary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    kind = column.type
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not is_text(values) or values == pa.string():
        return column
    return column.cast(pa.dictionary(pa.int32(), pa.string()) if values is not kind else pa.string())


def plain(column: Arrow) -> Arrow:
    """A column as one array of plain values, out of their dictionary; decimals without a scale as whole numbers."""
    column = one_array(column)
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        with suppress(pa.ArrowInvalid):  # of 20 digits and more
            return column.cast(pa.int64())
    if not pa.types.is_dictionary(column.type):
        return column
    values = column.dictionary
    if is_text(values.type) and (pc.max(pc.binary_length(values)).as_py() or 0) > LONGEST:
        raise FeedUnavailable(f"a text of more than {LONGEST} bytes", "", "is it the right column?")
    return column.cast(column.type.value_type)


def coded(column: Arrow) -> tuple[Arrow, list[str]]:
    """Codes of a column of few values, (N,) integers, null where there is none; and the values as text."""
    column = one_array(column)
    if not pa.types.is_dictionary(column.type):
        try:
            column = (column if is_text(column.type) else column.cast(pa.string())).dictionary_encode()
        except pa.ArrowException:
            raise ValueError(f"expected names, but the column is {column.type}") from None
    return column.indices, column.dictionary.cast(pa.string()).to_pylist()


def is_text(kind: Arrow) -> bool:
    """Whether a type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def with_points(column: Arrow) -> Arrow:
    """Text whose commas are points."""
    return pc.replace_substring(column, ",", ".") if is_text(column.type) else column


def without_points(column: Arrow) -> Arrow:
    """Text whose points are no points: where a comma is meant, a number with one is none."""
    return pc.replace_substring(column, ".", "'") if is_text(column.type) else column


def numbers_of(column: Arrow) -> Arrow:
    """A column whose texts of missing numbers are null."""
    if not is_text(column.type):
        return column
    return pc.if_else(pc.is_in(column, pa.array(MISSING)), None, column)


# ------------------------------------------------------------------------------------------------ instants


def instants_of(column: Arrow, unit: TimeUnit | None, zone: str | None, first: str | None = None) -> Int64:
    """Read instants of a whole calendar.

    Parameters
    ----------
    column : (N,) text, timestamps or numbers
    unit : str, optional
        Of numbers; by default nanoseconds, where all of them are that long. ``iso`` says that they are text.
    zone : str, optional
        Of text and timestamps that name none.
    first : str, optional
        The text whose form the others follow, with or without a zone, or a number; by default the first one.

    Returns
    -------
    (N,) int64
        UTC nanoseconds.
    """
    if column.null_count:
        raise ValueError("it is empty")
    if pa.types.is_timestamp(column.type):
        return _stamps(column, zone)
    first = first_text(column) if first is None else first
    if is_text(column.type) and unit in {None, "iso"} and not _DECIMAL.fullmatch(first):
        return _stamps(_parsed(column, _ZONED.search(first) is not None), zone)
    if unit in {"iso", "clock"}:
        raise ValueError(f"expected {'ISO 8601 text' if unit == 'iso' else 'a time of day'}")
    stamps = _scaled_time(column, UNITS[unit or "ns"])
    low = int(stamps.min()) if len(stamps) else NANOS_FROM
    if low < NANOS_FROM:
        raise ValueError(_other_unit(low // UNITS[unit or "ns"], unit))
    return stamps


def clocks_of(column: Arrow, date: Arrow, unit: TimeUnit | None, zone: str, first: str | None = None) -> Int64:
    """Read times of day on dates, as clocks of a zone show them.

    Parameters
    ----------
    column : (N,) text such as 09:30:00.123, times, or numbers since midnight
    date : (N,) text such as 2024-08-01 or 20240801, dates, or numbers such as 20240801
    unit : str, optional
        Of numbers.
    zone : str
    first : str, optional
        As of `instants_of`.

    Returns
    -------
    (N,) int64
        UTC nanoseconds.
    """
    if column.null_count or date.null_count:
        raise ValueError("it is empty" if column.null_count else "its date is empty")
    days = days_of_dates(date)
    if pa.types.is_time(column.type):
        since = to_numpy(column.cast(pa.time64("ns")).cast(pa.int64()))
    elif (
        is_text(column.type)
        and unit in {None, "iso", "clock"}
        and not _DECIMAL.fullmatch(first_text(column) if first is None else first)
    ):
        try:
            padded = pc.replace_substring_regex(column, _ONE_DIGIT, r"0\1:")
            joined = pc.binary_join_element_wise("1970-01-01", padded, " ")
            since = to_numpy(joined.cast(_STAMP).cast(pa.int64()))
        except pa.ArrowInvalid:
            raise ValueError("expected a time of day, such as 09:30:00.123456") from None
    elif unit in UNITS:
        since = _scaled_time(column, UNITS[unit])
        if len(since) and (since.min() < 0 or since.max() >= 86_400 * _NANO):
            raise ValueError(f"expected a time since midnight in {unit}, below a day")
    else:
        raise ValueError("expected a time of day, such as 09:30:00.123; of numbers since midnight say the unit")
    return localised_stamps(pa.array(days * (86_400 * _NANO) + since).cast(_STAMP), zone)


def first_text(column: Arrow) -> str:
    """The first value of a column of text; empty where there is none."""
    return str(column[0].as_py()) if len(column) and is_text(column.type) else ""


def _parsed(text: Arrow, zoned: bool) -> Arrow:
    try:
        return text.cast(_UTC if zoned else _STAMP)
    except pa.ArrowInvalid:
        form = ("with Z or an offset", "T13:30:00.123Z") if zoned else ("without a zone", " 09:30:00.123")
        raise ValueError(
            f"expected ISO 8601 {form[0]} in every row, such as 2024-08-01{form[1]}; quotes.date_order reads 8/1/2024"
        ) from None


def _stamps(column: Arrow, zone: str | None) -> Int64:
    if column.type.tz is None:
        if zone is None:
            raise ValueError("it names no time zone; say it, such as quotes.zone=America/New_York or UTC")
        return localised_stamps(_in_nanos(column), zone)
    stamps = to_numpy(_in_nanos(column).cast(pa.int64()))
    if len(stamps) and stamps.min() < 0:
        raise ValueError("expected 1970-01-01 or later")
    return stamps


def _in_nanos(column: Arrow) -> Arrow:
    try:
        return column.cast(pa.timestamp("ns", column.type.tz))
    except pa.ArrowInvalid:
        raise ValueError("expected 1970-01-01 to 2262-04-11") from None


def localised(local: Int64, zone: str) -> Int64:
    """UTC nanoseconds of nanoseconds that count from 1970 as the clocks of a zone show it."""
    return localised_stamps(pa.array(local).cast(_STAMP), zone)


def localised_stamps(stamps: Arrow, zone: str) -> Int64:
    """UTC nanoseconds of what the clocks of a zone show; an hour that is skipped or repeated is refused."""
    try:
        known = pc.assume_timezone(stamps, zone, ambiguous="raise", nonexistent="raise")
    except pa.ArrowInvalid as error:
        if "timezone" in str(error) and "locate" in str(error):
            raise ValueError(f"{zone!r} is no time zone; expected an IANA name, such as America/New_York") from None
        what = "there is no such time, as" if "exist" in str(error) else "it may be one of two instants, as"
        raise ValueError(f"{what} the clocks of {zone} are changed then; write UTC or an offset") from None
    numbers = to_numpy(known.cast(pa.int64()))
    if len(numbers) and numbers.min() < 0:
        raise ValueError("expected 1970-01-01 or later")
    return numbers


def days_of_dates(date: Arrow) -> Int64:
    """Days since 1970."""
    if pa.types.is_timestamp(date.type):
        date = date.cast(pa.date32(), safe=False)
    elif not pa.types.is_date(date.type):
        text = pc.replace_substring_regex(date.cast(pa.string()), _COMPACT, r"\1-\2-\3")
        try:
            date = text.cast(pa.date32())
        except pa.ArrowInvalid:
            raise ValueError(
                "expected a date, such as 2024-08-01 or 20240801; quotes.date_order reads 8/1/2024"
            ) from None
    return to_numpy(date.cast(pa.date32()).cast(pa.int32())).astype(np.int64)


def _scaled_time(column: Arrow, nanos: int) -> Int64:
    """Numbers of a unit of time in nanoseconds, whole or with decimals; a float's are kept to a microsecond."""
    if pa.types.is_floating(column.type):
        micros = np.rint(to_numpy(column).astype(np.float64) * (nanos / 1000))
        if not np.isfinite(micros).all() or (np.abs(micros) >= LAST_INSTANT // 1000).any():
            raise ValueError("expected a number of 1970-01-01 to 2262-04-11")
        return micros.astype(np.int64) * 1000
    if is_text(column.type) and pc.any(pc.match_substring(column, "."), min_count=0).as_py():
        whole, part = (pc.replace_substring_regex(column, r"^(\d*)\.?(\d*)$", group) for group in (r"\1", r"\2"))
        padded = pc.utf8_rpad(part, 9, "0")
        scaled = _text_integers(padded) * nanos
        if (scaled % _NANO).any():
            raise ValueError("it has digits beyond a nanosecond")
        return _scaled_time(pc.if_else(pc.equal(whole, ""), "0", whole), nanos) + scaled // _NANO
    whole = _text_integers(column) if is_text(column.type) else _whole(column)
    if len(whole) and (whole.min() < 0 or int(whole.max()) > LAST_INSTANT // nanos):
        raise ValueError("expected a number of 1970-01-01 to 2262-04-11")
    return whole * nanos


def _other_unit(value: int, unit: str | None) -> str:
    """Say that a number in its unit is a stamp of 1970 to 1973, and in which unit it makes sense."""
    instant = format_instant(min(max(value, 0) * UNITS[unit or "ns"], LAST_INSTANT))
    other = as_coarser(value)
    hint = f"; quotes.time_unit={_SHORT[other[0]]} makes it {format_instant(other[1])}" if other else ""
    return f"in {unit or 'ns'} it is of {instant}{hint}"


# ------------------------------------------------------------------------------------------------ numbers


def _whole(column: Arrow) -> Int64:
    """Whole numbers of any type."""
    kind = column.type
    if pa.types.is_integer(kind):
        if pa.types.is_uint64(kind) and len(column) and (pc.max(column).as_py() or 0) > INT64:
            raise ValueError(f"expected up to {INT64}")
        return to_numpy(column.cast(pa.int64()))
    if pa.types.is_floating(kind):
        numbers = to_numpy(column).astype(np.float64)
        if not (np.abs(numbers) <= _EXACT_FLOAT).all() or (numbers != np.rint(numbers)).any():
            raise ValueError("expected a whole number")
        return numbers.astype(np.int64)
    scaled = _nanos(column)
    if (scaled % _NANO).any():
        raise ValueError("expected a whole number")
    return scaled // _NANO


def integers_of(column: Arrow, low: int, high: int) -> Int64:
    """Read whole numbers from `low` to `high`."""
    if column.null_count:
        raise ValueError("it is empty")
    numbers = _text_integers(column) if is_text(column.type) else _whole(column)
    if len(numbers) and (numbers.min() < low or numbers.max() > high):
        raise ValueError(f"expected {low} to {high}")
    return numbers


def _text_integers(text: Arrow) -> Int64:
    """Whole numbers of text, also of 19 digits, also such as 100.0."""
    try:
        return int64_of(text)
    except pa.ArrowInvalid:
        pass
    plain_digits = to_numpy(pc.match_substring_regex(text, r"^-?\d{1,19}$"))
    numbers = np.zeros(len(text), np.int64)
    try:
        numbers[plain_digits] = int64_of(text.filter(pa.array(plain_digits)))
    except pa.ArrowInvalid:
        raise ValueError(f"expected up to {INT64}") from None
    scaled = decimals(text.filter(pa.array(~plain_digits)), exact=True)
    if (scaled % _NANO).any():
        raise ValueError("expected a whole number")
    numbers[~plain_digits] = scaled // _NANO
    return numbers


def _nanos(column: Arrow) -> Int64:
    """Numbers of any type in 1e-9 of their unit, exactly or rounded half-even beyond the ninth decimal."""
    kind = column.type
    if is_text(kind):
        return decimals(column)
    if pa.types.is_decimal(kind):
        try:
            return unscaled(column.cast(pa.decimal128(38, 9)))
        except pa.ArrowInvalid:
            return decimals(column.cast(pa.string()))
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        return decimals(column.cast(pa.string()))  # the shortest text: 157.23, where its value is 157.2299957
    if pa.types.is_floating(kind):
        scaled = np.rint(to_numpy(column).astype(np.float64) * _NANO)
        if not (np.abs(scaled) < 2.0**63).all():
            raise ValueError("expected a smaller number")
        return scaled.astype(np.int64)
    if pa.types.is_integer(kind):
        whole = _whole(column)
        if len(whole) and max(-int(whole.min()), int(whole.max())) > INT64 // _NANO:
            raise ValueError("expected a smaller number")
        return whole * _NANO
    raise ValueError(f"expected numbers, but the column is {kind}")


def prices_of(column: Arrow, unit: Fraction) -> Int64:
    """Read prices.

    Parameters
    ----------
    column : (N,) numbers of any type, null where there is none
    unit : Fraction
        Dollars of a unit of the column.

    Returns
    -------
    (N,) int64
        1e-9 $, 0 for none; below 0 as it is.
    """
    column = _numeric(column)
    nanos = unit * _NANO
    whole = _whole_or_none(column) if nanos.denominator == 1 and unit != 1 else None
    if whole is not None:
        whole = np.where(whole == UNDEFINED_PRICE, 0, whole)
        _check_below(whole, PRICE_LIMIT // nanos.numerator)
        return whole * nanos.numerator
    scaled = _nanos_or_missing(column)  # 1e-9 of the unit
    scaled = np.where(scaled == UNDEFINED_PRICE, 0, scaled)
    _check_below(scaled, PRICE_LIMIT / unit)
    if unit == 1:
        px = scaled
    elif pa.types.is_floating(column.type):
        px = np.rint(scaled * float(unit)).astype(np.int64)
    else:
        px, rest = np.divmod(_times(scaled, unit.numerator), unit.denominator)
        if rest.any():
            raise ValueError("it has digits beyond 1e-9 $")
    if (px == 0).any() and _any_above_zero(column.filter(pa.array(px == 0))):
        raise ValueError("it rounds to 0; the smallest price is 1e-9 $")
    return px


def _numeric(column: Arrow) -> Arrow:
    """A column of numbers, null where there is none."""
    kind = column.type
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_null(kind):
        return column.cast(pa.int64())
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise ValueError(f"expected numbers, but the column is {kind}")
    return column


def _whole_or_none(column: Arrow) -> Int64 | None:
    """Whole numbers of a column, 0 for none; None where any is written otherwise."""
    if pa.types.is_integer(column.type):
        return _whole(pc.fill_null(column, 0))
    if not is_text(column.type):
        return None
    for each in (column, numbers_of(column)) if column.null_count < len(column) else (column,):
        try:
            return int64_of(pc.fill_null(each, "0"))
        except pa.ArrowInvalid:
            continue
    return None


def _nanos_or_missing(column: Arrow, *, exact: bool = False) -> Int64:
    """Numbers in 1e-9 of their unit, 0 for none."""
    if not is_text(column.type):
        return _nanos(pc.fill_null(column, 0))
    try:
        return decimals(pc.fill_null(column, "0"), exact=exact)
    except ValueError:  # words for a missing number are looked for only where there is something to look for
        return decimals(pc.fill_null(numbers_of(column), "0"), exact=exact)


def _any_above_zero(column: Arrow) -> bool:
    """Whether any number, as it is written, is not 0."""
    column = column.drop_null()
    if is_text(column.type):
        return bool(pc.any(pc.match_substring_regex(column, r"^[^eE]*[1-9]"), min_count=0).as_py())
    if pa.types.is_integer(column.type):
        return False  # undefined
    return bool(pc.any(pc.not_equal(column.cast(pa.float64()), 0.0), min_count=0).as_py())


def _check_below(numbers: Int64, limit: Fraction | float) -> None:
    if len(numbers) and int(numbers.max()) >= limit:
        raise ValueError(f"expected a price below {PRICE_LIMIT // 10**9} $")


def _times(numbers: Int64, factor: int) -> Int64:
    if len(numbers) and max(-int(numbers.min()), int(numbers.max())) > INT64 // factor:
        raise ValueError("expected a smaller number")
    return numbers * factor


def sizes_of(column: Arrow, unit: Fraction) -> Int64:
    """Read sizes.

    Parameters
    ----------
    column : (N,) numbers of any type, null where there is none
    unit : Fraction
        Shares of the tape in a unit of the column.

    Returns
    -------
    (N,) int64
        Shares, 0 for none; below 0 as -1, which is no size either.
    """
    column = _numeric(column)
    whole = _whole_or_none(column) if unit.denominator == 1 else None
    if whole is not None:
        whole = np.maximum(whole, -1)
        if len(whole) and int(whole.max()) > (SHARES_LIMIT - 1) // unit.numerator:
            raise ValueError(f"expected a size up to {(SHARES_LIMIT - 1) // unit.numerator}")
        multiples: Int64 = np.maximum(whole * unit.numerator, -1)
        return multiples
    scaled = _nanos_or_missing(column, exact=True)
    shares, rest = np.divmod(_times(scaled, unit.numerator), unit.denominator * _NANO)
    if rest.any():
        raise ValueError(
            "expected a whole number of shares"
            if unit == 1
            else f"expected a multiple of {1 / unit}, what one share of the tape is"
        )
    if len(shares) and int(shares.max()) >= SHARES_LIMIT:
        raise ValueError(f"expected a size up to {SHARES_LIMIT - 1} shares")
    kept: Int64 = np.maximum(shares, -1)
    return kept


def has_fractions(column: Arrow) -> bool:
    """Whether any number is no whole one, as it is written: 157.0 has a fraction in text, and none as a float."""
    kind = column.type
    if is_text(kind):
        return bool(pc.any(pc.match_substring_regex(column, r"[.eE]"), min_count=0).as_py())
    if pa.types.is_decimal(kind):
        return bool(kind.scale > 0)
    if pa.types.is_floating(kind):
        numbers = to_numpy(column).astype(np.float64)
        numbers = numbers[np.isfinite(numbers)]
        return bool((numbers != np.rint(numbers)).any())
    return False
