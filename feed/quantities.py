"""Whole numbers as people write them: 5000, 5e3, 5k shares, 16GiB."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_NUMBER = re.compile(
    r"(?P<number>[0-9](?:_?[0-9]){0,29}(?:\.[0-9]{1,30})?(?:e[+-]?[0-9]{1,2})?)\s*(?P<unit>[a-z]{0,3})", re.IGNORECASE
)

COUNT: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}
"""Units of a count, without a small m: it may mean minutes or milli."""

BYTES: Final = {
    "": 1,
    "b": 1,
    **{f"{letter}{ending}": 1000**power for power, letter in enumerate("kmgt", 1) for ending in ("", "b")},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
"""Units of a size in bytes, in lower case: GB is 10**9, GiB is 2**30."""


def parse_count(value: object) -> int:
    """Read a whole number such as 5000, 5e3, 1_000, 5k or 1.5M, exactly.

    Parameters
    ----------
    value : object
        Text, or a number.

    Raises
    ------
    ValueError
        It is no whole number.
    """
    return _exact(value, COUNT, "a whole number, such as 5000, 5k or 5e3")


def parse_counts(value: object) -> int | list[int]:
    """Read a whole number as `parse_count`, or a list of them.

    Raises
    ------
    ValueError
        One of them is no whole number.
    """
    return [parse_count(each) for each in value] if isinstance(value, list | tuple) else parse_count(value)


def parse_bytes(value: object) -> int:
    """Read a size in bytes such as 16GiB, 100MB or 1e9, exactly; units in any case.

    Parameters
    ----------
    value : object
        Text, or a number.

    Raises
    ------
    ValueError
        It is no whole number of bytes.
    """
    return _exact(value.lower() if isinstance(value, str) else value, BYTES, "a size in bytes, such as 16GiB or 500MB")


def _exact(value: object, units: dict[str, int], expected: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None and match["unit"] in units:
        exact = Fraction(match["number"]) * units[match["unit"]]
        if exact.denominator == 1:
            return exact.numerator
    raise ValueError(f"expected {expected}, but it had {str(value)[:40]!r}")
