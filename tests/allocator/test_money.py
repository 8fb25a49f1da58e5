from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.errors import AllocatorError
from allocator.money import INFINITE, LIMIT, divide_half_even, nano, penalty, rounded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (222.83, 222_830_000_000),
        ("222.83", 222_830_000_000),
        (0.1, 100_000_000),
        (1e-3, 1_000_000),
        (-0.002, -2_000_000),
        ("0.0000000005", 0),  # half-even
        ("0.0000000015", 2),
        ("0.00000000250000000000000000000000000000000000000001", 3),  # above the half, however little
        (Decimal(7), 7_000_000_000),
        (5, 5_000_000_000),
    ],
)
def test_dollars_become_nano_dollars_by_their_decimal_text(value, expected):
    assert nano(value) == expected


@given(st.integers(1 - LIMIT, LIMIT - 1))
def test_every_nano_dollar_survives_its_text_and_its_float(value):
    assert nano(str(Decimal(value) / 10**9)) == value
    assert nano(value / 10**9) == value


@pytest.mark.parametrize("value", ["x", float("nan"), "nan", None, True, [1]])
def test_no_number_is_refused(value):
    with pytest.raises(AllocatorError, match="tau: expected"):
        nano(value, "tau")


@pytest.mark.parametrize("value", [LIMIT // 10**9, 1e300, float("inf"), "-inf"])
def test_amounts_beyond_exact_money_are_refused(value):
    with pytest.raises(AllocatorError):
        nano(value)


def test_penalties_are_not_negative_and_may_be_infinite():
    assert penalty(".inf".strip(".")) == INFINITE
    assert penalty(float("inf")) == INFINITE
    assert penalty(0) == 0
    with pytest.raises(AllocatorError, match="lambda_under: expected 0 or more"):
        penalty(-0.01, "lambda_under")


@given(st.integers(-(10**6), 10**6), st.integers(1, 1000))
def test_division_is_half_even(numerator, denominator):
    exact = Decimal(numerator) / Decimal(denominator)
    assert divide_half_even(numerator, denominator) == int(exact.to_integral_value("ROUND_HALF_EVEN"))


def test_printed_numbers_round_half_even_from_exact_integers():
    assert rounded(1_005_000_000, 10**9, 2) == 1.0  # 1.005: to the even cent
    assert rounded(1_015_000_000, 10**9, 2) == 1.02
    assert rounded(1_114_117_280_000_000, 10**9, 2) == 1114117.28
    assert rounded(-1, -2, 1) == 0.5
