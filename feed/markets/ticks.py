"""US equities by date: tick sizes, round lots, caps on access fees, and whether quotes may cross.

Each table holds rules from a date on, with its source. What came after `CHECKED` is not in them, and `beyond` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from feed.instants import format_instant, parse_instant
from feed.markets.venues import US_EQUITIES, VENUES
from feed.publishers import PUBLISHERS, in_us_equities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]

CHECKED: Final = "2026-11-29"
"""The date on which the sources were looked at."""

ALWAYS: Final = "1970-01-01"
"""Of a rule that was there before any quote."""

DOLLAR: Final = 10**9

_ADOPTED = "SEC Release 34-101070, 89 FR 81620 (2024)"
_DEFERRED = "SEC Release 34-105656 of 2026-06-11, https://www.sec.gov/files/rules/exorders/2026/34-105656.pdf"
_TRADING_PHASE = "SEC Release 34-55160, 72 FR 4202 (2007)"


@dataclass(frozen=True, slots=True)
class Ticks:
    """The least step between prices of quotes, from a date on.

    Attributes
    ----------
    first : str
        ISO.
    whole, below : int
        1e-9 $: of prices of 1 $ and more, and of those below.
    source, note : str
    """

    first: str
    whole: int
    below: int
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RoundLots:
    """How many shares a round lot is by price, from a date on.

    Attributes
    ----------
    first : str
        ISO.
    tiers : tuple of (int, int)
        A price, 1e-9 $, and the shares of a round lot up to and with it, ascending.
    beyond : int
        The shares above the last of these prices.
    source, note : str
    """

    first: str
    tiers: tuple[tuple[int, int], ...]
    beyond: int
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class FeeCap:
    """What a venue may charge at most for access to a quote, from a date on.

    Attributes
    ----------
    first : str
        ISO.
    amount : int
        1e-9 $ a share, of quotes of 1 $ and more.
    parts : int
        Of quotes below 1 $, 1e-6 of the price.
    source, note : str
    """

    first: str
    amount: int
    parts: int
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Whether members of exchanges may display quotes that lock or cross those of others, from a date on.

    Attributes
    ----------
    first : str
        ISO.
    allowed : bool
        Where not, a crossed quote is a late or a wrong one, which the key `uncross` hides.
    source, note : str
    """

    first: str
    allowed: bool
    source: str
    note: str = ""


TICKS: Final = (
    Ticks(
        "2006-01-31",
        DOLLAR // 100,
        DOLLAR // 10_000,
        "17 CFR 242.612; compliance: SEC Release 34-52196, 70 FR 45529 (2005)",
    ),
    Ticks(
        "2027-11-01",
        DOLLAR // 200,
        DOLLAR // 10_000,
        f"17 CFR 242.612 as amended by {_ADOPTED}; compliance, the first business day of November 2027: {_DEFERRED}",
        "half a cent where it is assigned to a stock by its quoted spread, else a cent; a price does not say which",
    ),
)
"""Rule 612. Before the first date there was none of the SEC's."""

ROUND_LOTS: Final = (
    RoundLots(
        ALWAYS,
        (),
        100,
        "UTP Vendor Alert 2025-10, https://www.nasdaqtrader.com/TraderNews.aspx?id=UTP2025-10",
        "a few stocks of a very high price had less, by their listing exchange",
    ),
    RoundLots(
        "2025-11-03",
        ((250 * DOLLAR, 100), (1_000 * DOLLAR, 40), (10_000 * DOLLAR, 10)),
        1,
        f"17 CFR 242.600(b)(93) as amended by {_ADOPTED}; UTP Vendor Alert 2025-10",
        "assigned each May and November by the average close of March and September; a quote may be in another tier",
    ),
)
"""Rule 600(b)(93)."""

FEE_CAPS: Final = (
    FeeCap(
        "2007-03-05",
        3 * DOLLAR // 1_000,
        3_000,
        f"17 CFR 242.610(c); compliance: {_TRADING_PHASE}",
        "the first of three dates of compliance in 2007",
    ),
    FeeCap(
        "2027-11-01",
        DOLLAR // 1_000,
        1_000,
        f"17 CFR 242.610(c) as amended by {_ADOPTED}; compliance, the first business day of November 2027: {_DEFERRED}",
    ),
)
"""Rule 610(c), of protected quotes and other best ones."""

CROSSINGS: Final = (
    Crossing(ALWAYS, allowed=True, source="no rule of the SEC's before Regulation NMS, 70 FR 37496 (2005)"),
    Crossing(
        "2007-03-05",
        allowed=False,
        source=f"17 CFR 242.610(d), since 2024 610(e); compliance: {_TRADING_PHASE}",
        note="on 2026-06-11 the SEC proposed to rescind it: Release 34-105655",
    ),
)
"""Rule 610(e): exchanges forbid a pattern of displaying quotes that lock or cross protected ones."""

Rule = TypeVar("Rule", Ticks, RoundLots, FeeCap, Crossing)


def rule_on(table: Sequence[Rule], date: str) -> Rule | None:
    """The rule of a table on a date, ISO; None before its first."""
    return next((rule for rule in reversed(table) if rule.first <= date), None)


def beyond(instant: int) -> str:
    """Say that the date of an instant is beyond what the tables know; empty where it is not."""
    if instant < _instant(CHECKED) + 86_400 * 10**9:
        return ""
    return f"{format_instant(instant)[:10]} is after {CHECKED}, when the tables of these rules were last checked"


def has_ticks(instant: int) -> bool:
    """Whether there was a rule about ticks at an instant."""
    return instant >= _instant(TICKS[0].first)


_ELSEWHERE: Final = frozenset(
    {number for number in PUBLISHERS if not in_us_equities([number])}
    | {each.id for each in VENUES.values() if each.market not in {US_EQUITIES, "consolidated"}}
)


def elsewhere(venues: Iterable[int]) -> tuple[int, ...]:
    """The venues that are known to trade something else than US equities, for which these rules mean nothing."""
    return tuple(sorted(_ELSEWHERE.intersection(venues)))


def spans_of(table: Sequence[Rule], ts: Int64) -> list[tuple[Rule, int, int]]:
    """Which rows of a tape each rule is for: the rule, its first row, and the row behind its last one.

    Parameters
    ----------
    table : sequence of rules
        By date.
    ts : (N,) int64
        UTC nanoseconds, ascending. A day is one of UTC, and of New York's while its exchanges trade.
    """
    edges = [*np.searchsorted(ts, [_instant(rule.first) for rule in table]).tolist(), len(ts)]
    return [(rule, start, end) for rule, (start, end) in zip(table, pairwise(edges), strict=True) if start < end]


def tick_sizes(ts: Int64, px: Int64) -> Int64:
    """The tick of each quote by its date and its price, 1e-9 $; 0 before there was a rule.

    Parameters
    ----------
    ts : (N,) int64
        UTC nanoseconds.
    px : (N,) int64
        1e-9 $.
    """
    ticks = np.zeros(len(ts), np.int64)
    for rule in TICKS:
        since = ts >= _instant(rule.first)
        ticks[since] = np.where(px[since] < DOLLAR, rule.below, rule.whole)
    return ticks


def round_lots(ts: Int64, px: Int64) -> Int64:
    """How many shares a round lot is, by the date and the price of each quote.

    Parameters
    ----------
    ts : (N,) int64
        UTC nanoseconds.
    px : (N,) int64
        1e-9 $.

    Returns
    -------
    (N,) int64
        Shares.
    """
    lots = np.full(len(ts), ROUND_LOTS[0].beyond, np.int64)
    for rule in ROUND_LOTS[1:]:
        limits, shares = _tiers(rule)
        since = ts >= _instant(rule.first)
        lots[since] = shares[limits.searchsorted(px[since])]
    return lots


@cache
def _tiers(rule: RoundLots) -> tuple[Int64, Int64]:
    """The prices up to which each tier reaches, and the shares of each, and beyond."""
    limits = np.array([limit for limit, _ in rule.tiers], np.int64)
    return limits, np.array([*(shares for _, shares in rule.tiers), rule.beyond], np.int64)


@cache
def _instant(date: str) -> int:
    """When the rules of a date begin; those of `ALWAYS` before any stamp."""
    return -(2**63) if date == ALWAYS else parse_instant(f"{date}T00:00:00Z")
