"""Money as integers: dollars are converted once, from their decimal text, rounded half-even to 1e-9 $."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import Final

from allocator.errors import AllocatorError

NANO: Final = 10**9
LIMIT: Final = 2**23 * NANO
"""Finite amounts stay below this many 1e-9 $ (8,388,608 $), so that a float of dollars keeps them exactly."""

SUM_LIMIT: Final = 2**62
"""Sums of money stay below this many 1e-9 $, so that int64 never wraps."""

INFINITE: Final = math.inf

Amount = int | float
"""1e-9 $; an int, or `INFINITE`."""


def decimal(value: float | str | Decimal, name: str = "value") -> Decimal:
    """Read a number exactly: a float by its shortest text, anything else by its str().

    Raises
    ------
    AllocatorError
        It is not a number, or NaN.
    """
    if isinstance(value, bool):
        raise AllocatorError(f"{name}: expected a number, but it had {value}")
    try:
        number = Decimal(float.__repr__(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        raise AllocatorError(f"{name}: expected a number, but it had {value!r}") from None
    if number.is_nan():
        raise AllocatorError(f"{name}: expected a number, but it had NaN")
    return number


def nano(value: float | str | Decimal, name: str = "value") -> int:
    """Convert dollars to 1e-9 $, half-even.

    Parameters
    ----------
    value : int, float, str or Decimal
        Dollars; finite, below `LIMIT` in size; negative is allowed (a rebate).
    name : str
        What it is, for the message.

    Raises
    ------
    AllocatorError
        NaN, infinite, not a number, or beyond the limit.
    """
    number = decimal(value, name)
    if number.is_infinite():
        raise AllocatorError(f"{name}: expected a finite amount, but it had {value}")
    if abs(number) >= LIMIT // NANO:
        raise AllocatorError(f"{name}: {value} $ is beyond the {LIMIT // NANO:,} $ that are kept exactly")
    with localcontext() as context:
        context.prec = 200
        context.rounding = ROUND_HALF_EVEN
        return int((number * NANO).to_integral_value())


def penalty(value: float | str | Decimal, name: str = "value") -> Amount:
    """Convert a parameter of the cost model, dollars per share, to 1e-9 $; not negative, infinity allowed.

    Raises
    ------
    AllocatorError
        Negative, NaN, not a number, or finite beyond the limit.
    """
    number = decimal(value, name)
    if number < 0:
        raise AllocatorError(f"{name}: expected 0 or more, but it had {value}")
    return INFINITE if number.is_infinite() else nano(number, name)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Exact integer division, rounded half-even; the denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    return quotient + (2 * remainder > denominator or (2 * remainder == denominator and quotient % 2 == 1))


def rounded(numerator: int, denominator: int, places: int) -> float:
    """numerator / denominator, half-even to `places` decimals, as the float nearest to that decimal."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    scale = int(10**places)
    return divide_half_even(numerator * scale, denominator) / scale
