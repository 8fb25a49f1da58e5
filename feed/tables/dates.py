"""Dates as people write them, 8/1/2024 or 1.8.2024 9:30 PM, turned into ISO 8601 once their order is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from feed.tables.parsing import Arrow

ORDERS: Final = {"ymd": ("y", "m", "d"), "mdy": ("m", "d", "y"), "dmy": ("d", "m", "y")}
"""Which part of a date comes first, second and third."""

_PARTS: Final = {"y": r"(?P<y>\d{4})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})"}
_CLOCK: Final = r"(?:,?[ T]+(?P<h>\d{1,2})(?P<rest>:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(?P<half>[AaPp][Mm])?)?"
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:.*(?<![AaPp][Mm])$|$)")
_YEAR_FIRST: Final = re.compile(r"\d{4}[/.-]\d{1,2}[/.-]\d{1,2}(?!\d)")
_SLASHED: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}(?!\d)")


def iso_of(column: Arrow, order: str) -> Arrow:
    """Write dates, with or without a time of day, as ISO 8601.

    Parameters
    ----------
    column : (N,) text
    order : str
        A key of `ORDERS`.

    Returns
    -------
    (N,) text
        What is no date of that order stays as it is, and is no ISO 8601.
    """
    pattern = "[/.-]".join(_PARTS[each] for each in ORDERS[order])
    parts = pc.extract_regex(column, f"^{pattern}{_CLOCK}$")
    year, month, day, hour, rest, half = (pc.struct_field(parts, name) for name in ("y", "m", "d", "h", "rest", "half"))
    date = pc.binary_join_element_wise(year, pc.utf8_lpad(month, 2, "0"), pc.utf8_lpad(day, 2, "0"), "-")
    written = pc.binary_join_element_wise(date, _clock(hour, rest, half), "")
    return pc.coalesce(written, column)


def _clock(hour: Arrow, rest: Arrow, half: Arrow) -> Arrow:
    """A space and a time of day of 24 hours; empty where there is none."""
    hours = pc.if_else(pc.equal(hour, ""), None, hour).cast(pa.int64())
    half = pc.utf8_upper(half)
    of_twelve = pc.subtract(hours, pc.multiply(pc.divide(hours, 12), 12))
    afternoon = pc.if_else(pc.equal(half, "PM"), 12, 0)
    there_is = pc.and_(pc.greater_equal(hours, 1), pc.less_equal(hours, 12))
    # 13 PM is none, nor is any hour 99, which whoever reads it refuses
    of_half = pc.if_else(there_is, pc.add(of_twelve, afternoon), 99)
    written = pc.utf8_lpad(pc.if_else(pc.equal(half, ""), hours, of_half).cast(pa.string()), 2, "0")
    clock = pc.binary_join_element_wise("", pc.binary_join_element_wise(written, rest, ""), " ")
    return pc.if_else(pc.equal(hour, ""), "", clock)


def orders_that_fit(texts: list[str]) -> list[str]:
    """The orders in which all of some texts begin with a date; none where they do not, or are ISO 8601 already."""
    if texts and all(_YEAR_FIRST.match(text) for text in texts):
        return [] if all(_ISO.match(text) for text in texts) else ["ymd"]
    matches = [_SLASHED.match(text) for text in texts]
    if not matches or any(match is None for match in matches):
        return []
    pairs = [(int(match[1]), int(match[2])) for match in matches if match]
    fitting = []
    if all(1 <= one <= 12 and 1 <= two <= 31 for one, two in pairs):
        fitting.append("mdy")
    if all(1 <= two <= 12 and 1 <= one <= 31 for one, two in pairs):
        fitting.append("dmy")
    return fitting
