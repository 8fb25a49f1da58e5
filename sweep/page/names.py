"""How a report names venues, tapes, orders and instants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feed.instants import format_instant
from feed.markets import venue_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BEST = "best combination"
"""How ``optimized`` is named."""


def strategy(name: str) -> str:
    """A strategy, as it is read."""
    return BEST if name == "optimized" else name


def venue(number: int) -> str:
    """A publisher id after its market identifier code, such as ``XNAS (2)``."""
    known = venue_with(number)
    name = known.mic or ("" if known.market == "unknown" else known.name)
    return f"{name}\N{NO-BREAK SPACE}({number})" if name else f"id\N{NO-BREAK SPACE}{number}"


def tapes(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The document's section of each tape that was read."""
    feed: Mapping[str, Any] = document["feed"]
    return feed.get("tapes") or [feed]


def tape(section: Mapping[str, Any]) -> str:
    """A tape: its symbol and its date."""
    return f"{section['symbol']} {section['window']['start'][:10]}"


def moment(ts: int, digits: int = 3) -> str:
    """The date and the time of an instant, UTC, cut after `digits` of the second."""
    day, _, clock = format_instant(int(ts)).rstrip("Z").partition("T")
    return f"{day} {clock[: 9 + digits] if digits else clock[:8]}"


def clock(ts: int, digits: int = 3) -> str:
    """The time of day of an instant, UTC."""
    return moment(ts, digits).partition(" ")[2]


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun; `nouns` where more of them take more than an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
