"""Scales: ends, round ticks, instants, degenerate ranges."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.instants import parse_instant
from sweep.page.scales import Band, Linear, Log, Time, linear, log, time

MINUS = "\N{MINUS SIGN}"


def test_linear_maps_and_holds():
    scale = Linear(-1.0, 3.0, 100.0, 300.0)

    assert [scale(value) for value in (-1, 0, 3, 5)] == [100, 150, 300, 400]
    assert [scale.held(value) for value in (-9, 9)] == [100, 300]


@pytest.mark.parametrize(
    ("low", "high", "count", "printed"),
    [
        (-1.2, 3.4, 5, [f"{MINUS}1", "0", "1", "2", "3"]),
        (0, 0.35, 4, ["0.0", "0.1", "0.2", "0.3"]),
        (-0.0004, 0.0004, 4, [f"{MINUS}0.0004", f"{MINUS}0.0002", "0.0000", "0.0002", "0.0004"]),
        (0, 45_000, 3, ["0", "20,000", "40,000"]),
        (0, 2.5e9, 3, ["0", "1e+09", "2e+09"]),
    ],
)
def test_round_ticks(low, high, count, printed):
    assert Linear(low, high, 0, 1).ticks(count)[1] == printed


def test_ticks_are_the_nearest_floats():
    assert Linear(0, 0.7, 0, 1).ticks(7)[0] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


@given(
    st.lists(st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf, None]), max_size=5),
    st.booleans(),
    st.integers(min_value=1, max_value=12),
)
def test_any_values_have_a_scale(values, zero, count):
    scale = linear(values, 0, 500, zero=zero)
    ticks, printed = scale.ticks(count)
    finite = [value for value in values if value is not None and math.isfinite(value)] + [0.0] * zero

    assert scale.low < scale.high
    assert all(-1e-6 <= scale(value) <= 500 + 1e-6 for value in finite)
    assert len(ticks) == len(printed) <= 2 * count + 2
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize(
    "values", [[1.79e308, -1.79e308], [0, 1.79e308], [5e-324, 0], [1e-310, 3e-310], [1e18, 1e18 + 256], [-1e-201, 3]]
)
def test_extreme_values_have_a_scale(values):
    scale = linear(values, 0, 500)

    assert all(0 <= scale(min(max(value, -1.7e308), 1.7e308)) <= 500 for value in values)
    assert all(math.isfinite(tick) for tick in scale.ticks()[0])


@pytest.mark.parametrize(
    ("values", "zero", "ends"),
    [
        ([], False, (0, 1)),
        ([5.0], False, (4.5, 5.5)),
        ([-5.0, -5.0], False, (-5.5, -4.5)),
        ([5.0], True, (0, 5.5)),
        ([-10.0, None, math.nan, 10.0], False, (-12, 12)),
    ],
)
def test_ends(values, zero, ends):
    scale = linear(values, 0, 1, zero=zero, pad=0.1)

    assert (scale.low, scale.high) == pytest.approx(ends)


def test_logarithms():
    scale = log([None, 0, -1, 0.1, 1000], 0, 400)

    assert [scale(value) for value in (0.1, 1, 1000)] == pytest.approx([0, 100, 400])
    assert scale.ticks(6)[1] == ["0.1", "1", "10", "100", "1,000"]
    assert scale.ticks(2)[1] == ["1", "1,000"]
    assert Log(1, 10, 0, 1).ticks(6)[1] == ["1", "2", "5", "10"]
    assert (log([], 0, 1).low, log([7], 0, 1).high) == (1, 70)


@pytest.mark.parametrize(
    ("low", "high", "count", "printed"),
    [
        ("2024-05-06T13:29:10Z", "2024-05-06T15:01:00Z", 4, ["13:30", "14:00", "14:30", "15:00"]),
        ("2024-05-06T13:29:58Z", "2024-05-06T13:30:09Z", 3, ["13:30:00", "13:30:05"]),
        ("2024-05-06T00:00:00Z", "2024-05-06T00:00:00.4Z", 2, ["00:00:00.0", "00:00:00.2", "00:00:00.4"]),
        ("2024-05-06T20:00:00Z", "2024-05-07T08:00:00Z", 2, ["05-07 00:00", "05-07 06:00"]),
        ("2024-05-06T20:00:00Z", "2024-05-10T08:00:00Z", 4, ["2024-05-07", "2024-05-08", "2024-05-09", "2024-05-10"]),
    ],
)
def test_instants(low, high, count, printed):
    assert Time(parse_instant(low), parse_instant(high), 0, 1).ticks(count)[1] == printed


@given(st.lists(st.integers(0, 2**63 - 1), max_size=4), st.integers(min_value=1, max_value=12))
def test_any_instants_have_a_scale(instants, count):
    scale = time(instants, 0, 500)
    ticks, printed = scale.ticks(count)

    assert all(0 <= scale(instant) <= 500 for instant in instants)
    assert len(ticks) == len(printed) <= 4 * count + 1
    assert all(scale.low <= tick <= scale.high for tick in ticks)


def test_bands():
    band = Band(4, 0, 100, 0.2)

    assert (band.step, band.width, band(1), band.middle(3)) == pytest.approx((25, 20, 27.5, 87.5))
    assert Band(0, 0, 100).step == 100
