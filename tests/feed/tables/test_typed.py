"""Numbers and instants of any type of column, against a reading of one value at a time in decimals and the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.tables.dates import iso_of
from feed.tables.typed import clocks_of, has_fractions, instants_of, integers_of, plain, prices_of, sizes_of
from tests.support.examples import examples

DOLLAR = Fraction(1)
SECOND = 10**9
NOON = 1_722_528_000  # 2024-08-01T16:00:00Z, 12:00 in New York


@pytest.mark.parametrize(
    ("column", "unit", "dollars"),
    [
        (pa.array(["157.23", "157", "", None, "nan", "1e2"]), DOLLAR, [157_230000000, 157 * 10**9, 0, 0, 0, 10**11]),
        (pa.array([157.23, None, float("nan"), 0.0001]), DOLLAR, [157_230000000, 0, 0, 100_000]),
        (pa.array([157.23, 0.1], pa.float32()), DOLLAR, [157_230000000, 10**8]),
        (pa.array([Decimal("157.2300"), Decimal("0.0001")]), DOLLAR, [157_230000000, 100_000]),
        (pa.array([1572300, 1]), Fraction(1, 10**4), [157_230000000, 100_000]),
        (pa.array(["1572300", "1"]), Fraction(1, 10**4), [157_230000000, 100_000]),
        (pa.array([15723]), Fraction(1, 100), [157_230000000]),
        (pa.array([157230000000, 2**63 - 1]), Fraction(1, 10**9), [157_230000000, 0]),  # Databento's undefined price
        (pa.array(["157230000000", str(2**63 - 1), ""]), Fraction(1, 10**9), [157_230000000, 0, 0]),
        (pa.array(["60000.01"]), Fraction(1, 10**6), [60_000_010]),  # of a millionth of a coin
        (pa.array([-1.5]), DOLLAR, [-1_500000000]),
        (pa.array(["157.23", "157.23"]).dictionary_encode(), DOLLAR, [157_230000000] * 2),
    ],
)
def test_prices_are_whole_nanodollars_whatever_the_type(column, unit, dollars):
    px = prices_of(plain(column), unit)
    assert px.dtype == np.int64
    assert px.tolist() == dollars


@pytest.mark.parametrize(
    ("column", "unit", "why"),
    [
        (pa.array(["157.2x"]), DOLLAR, "expected a number"),
        (pa.array(["0x10"]), DOLLAR, "expected a number"),
        (pa.array(["156,42"]), DOLLAR, "expected a number; write it with a decimal point, without commas"),
        (pa.array(["9000000"]), DOLLAR, "expected a price below"),
        (pa.array([10**15]), Fraction(1, 100), "expected a price below"),
        (pa.array(["0.0000000001"]), DOLLAR, "rounds to 0|digits beyond"),
        (pa.array(["60000.0001"]), Fraction(1, 10**6), "digits beyond 1e-9"),
        (pa.array([True]), DOLLAR, "expected numbers, but the column is bool"),
        (pa.array([float("inf")]), DOLLAR, "expected a"),
    ],
)
def test_a_price_that_cannot_be_kept_exactly_is_refused(column, unit, why):
    with pytest.raises(ValueError, match=why):
        prices_of(column, unit)


@given(st.lists(st.decimals(0, 8_000_000, places=4), min_size=1, max_size=20))
@examples(60)
def test_a_price_is_the_same_as_text_decimal_float_and_ten_thousandths(values):
    expected = [int(each * 10**9) for each in values]
    text = pa.array([format(each, "f") for each in values])
    for column, unit in (
        (text, DOLLAR),
        (text.cast(pa.decimal128(20, 4)), DOLLAR),
        (pa.array([float(each) for each in values]), DOLLAR),
        (pa.array([int(each * 10**4) for each in values]), Fraction(1, 10**4)),
    ):
        assert prices_of(column, unit).tolist() == expected


@pytest.mark.parametrize(
    ("column", "unit", "shares"),
    [
        (pa.array(["100", "", None, "7.0", "-3"]), DOLLAR, [100, 0, 0, 7, -1]),
        (pa.array([100.0, None, float("nan")]), DOLLAR, [100, 0, 0]),
        (pa.array([3, 0]), Fraction(100), [300, 0]),
        (pa.array(["0.00123", "2"]), Fraction(10**6), [1230, 2_000_000]),
        (pa.array([0.5]), Fraction(10), [5]),
        (pa.array([2**31 - 1], pa.uint32()), DOLLAR, [2**31 - 1]),
    ],
)
def test_sizes_are_whole_shares_whatever_the_type(column, unit, shares):
    assert sizes_of(column, unit).tolist() == shares


@pytest.mark.parametrize(
    ("column", "unit", "why"),
    [
        (pa.array(["0.5"]), DOLLAR, "whole number"),
        (pa.array(["0.0000000005"]), DOLLAR, "whole number"),
        (pa.array(["0.00123"]), Fraction(1000), "expected a multiple of 1/1000"),
        (pa.array([2**31]), DOLLAR, "a size up to 2147483647"),
        (pa.array([2**31 // 100 + 1]), Fraction(100), "a size up to 21474836"),
        (pa.array(["3000"]), Fraction(10**6), "a size up to"),
    ],
)
def test_a_size_that_is_no_whole_number_of_shares_is_refused(column, unit, why):
    with pytest.raises(ValueError, match=why):
        sizes_of(column, unit)


def test_whole_numbers_are_read_to_the_last_of_63_bits_and_no_further():
    last = 2**63 - 1
    for column in (pa.array([str(last)]), pa.array([last]), pa.array([last], pa.uint64())):
        assert integers_of(column, 0, last).tolist() == [last]
    assert integers_of(pa.array([str(last), "100.0"]), 0, last).tolist() == [last, 100]
    wide = pa.array([last, 5, None]).cast(pa.decimal128(38, 0))  # whole numbers of Snowflake, and of wide integers
    assert integers_of(plain(wide)[:2], 0, last).tolist() == [last, 5]
    assert prices_of(plain(wide), Fraction(1, 10**9)).tolist() == [0, 5, 0]  # the first one is Databento's undefined
    assert pa.types.is_decimal(plain(pa.array([Decimal(10**30)], pa.decimal128(38, 0))).type)
    for column in (
        pa.array([str(last + 1)]),
        pa.array([last + 1], pa.uint64()),
        pa.array(["1.5"]),
        pa.array(["0.0000000005"]),
        pa.array([None, "1"]),
    ):
        with pytest.raises(ValueError, match=r"expected|empty"):
            integers_of(column, 0, last)
    with pytest.raises(ValueError, match="expected 0 to 9"):
        integers_of(pa.array([10]), 0, 9)


# ------------------------------------------------------------------------------------------------ instants

STAMP = NOON * SECOND + 123_456_789


@pytest.mark.parametrize(
    ("column", "unit", "zone"),
    [
        (pa.array(["2024-08-01T16:00:00.123456789Z"]), None, None),
        (pa.array(["2024-08-01 18:00:00.123456789+02:00"]), "iso", None),
        (pa.array(["2024-08-01 12:00:00.123456789"]), None, "America/New_York"),
        (pa.array(["2024-08-01 16:00:00.123456789"]), None, "UTC"),
        (pa.array([STAMP]), None, None),
        (pa.array([str(STAMP)]), None, None),
        (pa.array([f"{NOON}.123456789"]), "s", None),
        (pa.array([f"{NOON}123.456789"]), "ms", None),
        (pa.array([STAMP]).cast(pa.timestamp("ns", "Asia/Tokyo")), None, None),
        (pa.array(["2024-08-01 12:00:00.123456789"]).cast(pa.timestamp("ns")), None, "America/New_York"),
    ],
)
def test_an_instant_is_exact_whatever_the_column(column, unit, zone):
    assert instants_of(column, unit, zone).tolist() == [STAMP]


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_of_a_unit_are_scaled_and_a_float_is_kept_to_a_microsecond(unit, per_second):
    assert instants_of(pa.array([NOON * per_second]), unit, None).tolist() == [NOON * SECOND]
    read = instants_of(pa.array([(NOON + 0.25) * per_second]), unit, None).tolist()
    assert read == [NOON * SECOND + SECOND // 4]


@pytest.mark.parametrize(
    ("column", "unit", "zone", "why"),
    [
        (
            pa.array([NOON * 10**6]),
            None,
            None,
            r"in ns it is of 1970-01-20.*quotes.time_unit=us makes it 2024-08-01T16",
        ),
        (pa.array([NOON * 10**3]), None, None, "quotes.time_unit=ms makes it 2024-08-01T16"),
        (pa.array([str(NOON)]), None, None, "quotes.time_unit=s makes it 2024-08-01T16"),
        (pa.array([NOON]), "ms", None, "in ms it is of 1970-01-20"),
        (pa.array(["2024-08-01 12:00:00"]), None, None, "names no time zone"),
        (pa.array(["2024-03-10 02:30:00"]), None, "America/New_York", "there is no such time"),
        (pa.array(["2024-11-03 01:30:00"]), None, "America/New_York", "one of two instants"),
        (pa.array(["2024-08-01T16:00:00Z", "2024-08-01 16:00:00"]), None, None, "expected ISO 8601"),
        (pa.array(["tomorrow"]), None, "UTC", "expected ISO 8601"),
        (pa.array([None, "2024-08-01T16:00:00Z"]), None, None, "empty"),
        (pa.array(["1960-01-01T00:00:00Z"]), None, None, "1970-01-01 or later"),
        (pa.array([2**62]), "s", None, "1970-01-01 to 2262"),
        (pa.array(["2024-08-01T16:00:00Z"]), "ns", None, "expected"),
        (pa.array([NOON]), "iso", None, "expected ISO"),
    ],
)
def test_an_instant_that_two_readings_fit_or_none_is_refused(column, unit, zone, why):
    with pytest.raises(ValueError, match=why):
        instants_of(column, unit, zone)


@given(
    st.dates(date(1990, 1, 1), date(2037, 12, 31)),
    st.times(),
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Kolkata", "UTC"]),
)
@examples(80)
def test_a_time_of_day_on_a_date_is_what_the_clocks_of_the_zone_showed(day, clock, zone):
    local = datetime.combine(day, clock).replace(tzinfo=ZoneInfo(zone))
    expected = (local - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    ambiguous = local.utcoffset() != local.replace(fold=1).utcoffset()
    dates = [
        pa.array([day.isoformat()]),
        pa.array([day.strftime("%Y%m%d")]),
        pa.array([day]),
        pa.array([int(day.strftime("%Y%m%d"))]),
    ]
    since = ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 10**6 + clock.microsecond
    columns = [(pa.array([clock.isoformat()]), None), (pa.array([clock]), None), (pa.array([since]), "us")]
    for dated in dates:
        for column, unit in columns:
            if ambiguous:
                with pytest.raises(ValueError, match="clocks"):
                    clocks_of(column, dated, unit, zone)
            else:
                read = int(clocks_of(column, dated, unit, zone)[0])
                assert read // 1000 == round(expected * 10**6), (column, dated)
                assert read % 1000 == 0


@pytest.mark.parametrize(
    ("column", "dated", "unit", "why"),
    [
        (pa.array(["25:00:00"]), pa.array(["2024-08-01"]), None, "expected a time of day"),
        (pa.array(["09:30:00"]), pa.array(["1st of August"]), None, "expected a date"),
        (pa.array([34200]), pa.array(["2024-08-01"]), None, "say the unit"),
        (pa.array([86_400]), pa.array(["2024-08-01"]), "s", "below a day"),
        (pa.array([None, "09:30:00"]), pa.array(["2024-08-01"] * 2), None, "empty"),
    ],
)
def test_a_time_of_day_that_is_none_is_refused(column, dated, unit, why):
    with pytest.raises(ValueError, match=why):
        clocks_of(column, dated, unit, "UTC")


def test_an_hour_of_one_digit_is_a_time_of_day():
    assert clocks_of(pa.array(["9:30:00.5"]), pa.array([date(2024, 8, 1)]), "clock", "UTC").tolist() == [
        1_722_504_600_500_000_000
    ]
    assert clocks_of(pa.array([time(9, 30)]), pa.array(["2024-08-01"]), None, "UTC").tolist() == [
        1_722_504_600 * SECOND
    ]


def test_a_column_has_fractions_only_where_one_is_written():
    assert not any(map(has_fractions, (pa.array(["157", "2"]), pa.array([157.0, float("nan")]), pa.array([1]))))
    assert all(map(has_fractions, (pa.array(["157.0"]), pa.array([157.5]), pa.array([Decimal("1.50")]))))


FIRST, LAST = (datetime(*day) for day in ((1970, 1, 2), (2037, 12, 31)))  # noqa: DTZ001 - clocks of any zone


@given(st.datetimes(FIRST, LAST), st.sampled_from(["ymd", "mdy", "dmy"]), st.booleans())
@examples(60)
def test_a_date_in_a_known_order_is_iso_8601(instant, order, half):
    parts = {"y": instant.year, "m": instant.month, "d": instant.day}
    date_text = "/".join(str(parts[each]) for each in order)
    hour = f"{(instant.hour - 1) % 12 + 1}" if half else f"{instant.hour}"
    clock = f"{hour}:{instant.minute:02}:{instant.second:02}.{instant.microsecond:06}"
    text = f"{date_text} {clock}{(' PM' if instant.hour >= 12 else ' AM') if half else ''}"
    assert iso_of(pa.array([text, date_text]), order).to_pylist() == [
        f"{instant:%Y-%m-%d %H:%M:%S.%f}",
        f"{instant:%Y-%m-%d}",
    ]


@pytest.mark.parametrize("text", ["13/1/2024 09:30", "8/1/24", "8/1/2024 13:00:00 PM", "8/1/2024 0:30 AM", ""])
def test_a_date_of_another_order_or_an_hour_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"expected ISO 8601"):
        instants_of(iso_of(pa.array([text]), "mdy"), None, "UTC")
