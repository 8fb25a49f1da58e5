"""Columns of text turned into exact integers: counts, prices in 1e-9 $, instants in nanoseconds.

Each parser takes (N,) text, null where the field is empty, and returns (N,) int64 or raises ValueError. It looks at
each value alone, so `first_bad` finds the culprit by bisection.
"""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.instants import NANOS_FROM, no_nanoseconds
from feed.tape import PRICE_LIMIT, UNDEFINED_PRICE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feed.tape import Int64

Arrow = Any
"""A pyarrow array, plain or chunked; pyarrow carries no types."""

Text = Arrow
"""The same, of strings."""

CENT = 10**7
"""A cent in 1e-9 $."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_SMALL = r"^[+-]?0*\.\d*[1-9]|^[^eE]*[1-9].*[eE]-"
_DIGITS = 38
_NANO_DOLLARS = pa.decimal128(_DIGITS, 9)
_INSTANT = pa.timestamp("ns", "UTC")


def integers(text: Text, low: int, high: int, *, empty: int | None = None) -> Int64:
    """Parse whole numbers from `low` to `high`; ``100.0`` is whole. A null becomes `empty`, where that is given."""
    if text.null_count:
        if empty is None:
            raise ValueError("it is empty")
        text = pc.fill_null(text, str(empty))
    try:
        numbers = int64_of(text)
    except pa.ArrowInvalid:
        whole, remainder = np.divmod(decimals(text, exact=True), 10**9)
        if remainder.any():
            raise ValueError("expected a whole number") from None
        numbers = whole
    if len(numbers) and (numbers.min() < low or numbers.max() > high):
        raise ValueError(f"expected {low} to {high}")
    return numbers


def instants(text: Text, *, iso: bool) -> Int64:
    """Parse UTC nanoseconds: ISO 8601 text with a zone and up to nine digits (`iso`), or integers.

    An integer in another unit is refused: as nanoseconds it is a stamp of 1970.
    """
    if text.null_count:
        raise ValueError("it is empty")
    try:
        numbers = to_numpy(text.cast(_INSTANT).cast(pa.int64())) if iso else int64_of(text)
    except pa.ArrowInvalid:
        form = "ISO 8601 with Z or an offset and up to nine digits" if iso else "integer nanoseconds"
        raise ValueError(f"expected {form}, as in the rest of the file") from None
    if len(numbers) and numbers.min() < 0:
        raise ValueError("expected 1970-01-01 or later")
    if not iso and len(numbers) and numbers.min() < NANOS_FROM:
        raise ValueError(no_nanoseconds(int(numbers.min())))
    return numbers


def prices(text: Text, *, nanos: bool) -> Int64:
    """Parse prices to 1e-9 $, 0 for a null and for Databento's undefined price.

    Decimal dollars are exact to nine decimals and rounded half-even beyond; with `nanos` the text is 1e-9 $ already.
    """
    text = pc.fill_null(text, "0")
    if nanos:
        try:
            numbers = int64_of(text)
        except pa.ArrowInvalid:
            raise ValueError("expected a whole number of 1e-9 $, as in the rest of the file") from None
    else:
        numbers = decimals(text)
    numbers = np.where(numbers == UNDEFINED_PRICE, 0, numbers)
    if len(numbers) and numbers.max() >= PRICE_LIMIT:
        raise ValueError(f"expected a price below {PRICE_LIMIT // 10**9} $")
    return numbers


def prices_kept(text: Text, *, nanos: bool) -> Int64:
    """Parse prices as `prices` does, and refuse one that rounds to 0, which would mean no price."""
    numbers = prices(text, nanos=nanos)
    zeros = text.filter(pa.array(numbers == 0))
    if not nanos and pc.any(pc.match_substring_regex(zeros, _SMALL), min_count=0).as_py():
        raise ValueError("it rounds to 0; the smallest price is 1e-9 $")
    return numbers


def are_iso(text: Text) -> bool:
    """Whether instants are ISO text: at least one holds more than digits."""
    return not pc.all(pc.match_substring_regex(text.drop_null(), r"^\d+$"), min_count=0).as_py()


def are_nanos(columns: list[Text]) -> bool:
    """Whether prices are integers of 1e-9 $, as Databento writes them: none has a decimal point or an exponent."""
    return not any(pc.any(pc.match_substring_regex(text, r"[.eE]"), min_count=0).as_py() for text in columns)


def whole_numbers(text: Text) -> Int64:
    """(M,) int64, the values of a column that consist of up to 18 digits."""
    return to_numpy(text.filter(pc.match_substring_regex(text, r"^\d{1,18}$")).cast(pa.int64()))


def below_a_cent(prices: Sequence[Int64]) -> tuple[int, int]:
    """Count prices above 0, in 1e-9 $, and those below a cent, which may be in another unit."""
    priced = sum(int(np.count_nonzero(px > 0)) for px in prices)
    return priced, sum(int(np.count_nonzero((px > 0) & (px < CENT))) for px in prices)


def beyond_nanos(text: Text) -> int:
    """Count prices that `prices` rounds: a digit other than 0 follows the ninth decimal."""
    return pc.sum(pc.match_substring_regex(text, r"\.\d{9}\d*[1-9]"), min_count=0).as_py() or 0


def first_bad(text: Text, parse: Callable[[Text], object]) -> int:
    """Index of the first value that `parse` refuses, in a column that it refuses."""
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            parse(text.slice(low, middle - low))
        except ValueError:
            high = middle
        else:
            low = middle
    return low


def int64_of(text: Text) -> Int64:
    """Whole numbers of up to 19 decimal digits; pyarrow.ArrowInvalid where any is something else."""
    if _holds_x(text):  # pyarrow takes 0x10 for 16
        raise pa.ArrowInvalid("expected decimal digits")
    return to_numpy(text.cast(pa.int64()))


def _holds_x(text: Text) -> bool:
    """Whether any text holds an x; a quick look at all bytes comes first, as a slice shares its buffer with others."""
    chunks = text.chunks if isinstance(text, pa.ChunkedArray) else [text]
    for data in (chunk.buffers()[2] for chunk in chunks):
        if data is not None and ((np.frombuffer(data, np.uint8) | 32) == ord("x")).any():
            return bool(pc.any(pc.match_substring_regex(text, "[xX]"), min_count=0).as_py())
    return False


def to_numpy(column: Arrow) -> Int64:
    """The values of a column without nulls."""
    numbers: Int64 = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return numbers


def decimals(text: Text, *, exact: bool = False) -> Int64:
    """Turn decimal text into integers of 1e-9, by 128-bit decimals where they hold it, else one by one.

    Digits beyond the ninth decimal are rounded half-even, or refused with `exact`.
    """
    long = (pc.max(pc.utf8_length(text)).as_py() or 0) > _DIGITS  # pyarrow lets more digits wrap around
    column = None
    if not long:
        with suppress(pa.ArrowInvalid):
            column = text.cast(_NANO_DOLLARS)
    if column is None:
        distinct = pc.unique(text)
        scaled = np.array([_scaled(value, exact=exact) for value in distinct.to_pylist()], np.int64)
        return scaled[to_numpy(pc.index_in(text, distinct))]
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([unscaled(chunk) for chunk in chunks]) if chunks else np.zeros(0, np.int64)


def unscaled(column: Arrow) -> Int64:
    """Take the integers behind decimals: two little-endian words each, the upper one only a sign here."""
    words = np.frombuffer(column.buffers()[1], "<i8").reshape(-1, 2)[column.offset : column.offset + len(column)]
    numbers = words[:, 0]
    if not np.array_equal(words[:, 1], numbers >> 63):
        raise ValueError("expected a smaller number")
    return numbers


def _scaled(value: str, *, exact: bool) -> int:
    if _NUMBER.fullmatch(value) is None:
        raise ValueError(
            "expected a number" + ("; write it with a decimal point, without commas" if "," in value else "")
        )
    with localcontext(prec=1200):
        number = Decimal(value).scaleb(9)
        scaled = int(number.to_integral_value(ROUND_HALF_EVEN))
        if exact and scaled != number:
            raise ValueError("expected a whole number")
    if abs(scaled) > UNDEFINED_PRICE:
        raise ValueError("expected a smaller number")
    return scaled
