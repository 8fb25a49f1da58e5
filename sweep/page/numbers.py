"""Figures as they are printed: one rule for tables, drawings, labels and what is read aloud."""

from __future__ import annotations

from typing import Final

from allocator.money import NANO, rounded

MINUS: Final = "\N{MINUS SIGN}"
NONE: Final = "\N{EN DASH}"
"""What stands where there is no figure."""


def decimal(value: float | None, digits: int = 2) -> str:
    """A figure with thousands separated; a dash where there is none; a zero has no sign."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return NONE
    text = f"{round(value, digits) + 0.0:,.{digits}f}"
    return text.replace("-", MINUS)


def bps(value: float | None) -> str:
    """Basis points, two decimals, signed above 0 too: what is saved or lost."""
    text = decimal(value)
    return f"+{text}" if value is not None and round(value, 2) > 0 else text


def dollars(nano: int | None, digits: int = 2) -> str:
    """Whole 1e-9 $ as dollars, half-even as the document rounds them."""
    return decimal(None if nano is None else rounded(nano, NANO, digits), digits)


def whole(value: int | None) -> str:
    """A whole number with thousands separated."""
    return NONE if value is None else f"{value:,}".replace("-", MINUS)


def counted(count: int, verb: str) -> str:
    """How many do something: ``1 saves``, ``2 save``; of ``have`` ``1 has``."""
    one = {"have": "has", "are": "is"}.get(verb, f"{verb}s")
    return f"{whole(count)} {one if count == 1 else verb}"


def label(value: object) -> str:
    """A value of an axis, with all of its digits."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "none"
    if not isinstance(value, int | float):
        return str(value)
    short = str(value) if isinstance(value, int) else f"{value:g}"
    return (short if float(short) == value or value != value else repr(value)).replace("-", MINUS)  # noqa: PLR0124 - NaN
