"""The market's own rules, as dated tables with sources: its venues, tick sizes, round lots, fees and sessions.

venue_of : the venue that a text names: an id, a MIC, a name, a letter of TAQ, of the plans or of Lean.
venue_with : the venue of an id.
ids_of : the ids under which a venue's quotes may be on a tape.
VENUES : every venue of the table, by id.
choose_venues, render_venues, as_dict : the table as text and JSON.
TICKS, ROUND_LOTS, FEE_CAPS, CROSSINGS, rule_on : the SEC's rules about them, by date.
tick_sizes, round_lots : those of quotes of US equities, by date and price.
session_on : the regular session of a date, by a calendar of exchange_calendars; CALENDAR, check_calendar : its name.
SCENARIOS, fees_of : fee scenarios, and each as the key `fees` takes it.
spans_of, elsewhere, beyond, has_ticks : for which quotes a table has a rule.
"""

from __future__ import annotations

from feed.markets.fees import SCENARIOS, fees_of
from feed.markets.listing import as_dict, choose_venues, render_venues
from feed.markets.sessions import CALENDAR, Session, check_calendar, session_on
from feed.markets.ticks import (
    CROSSINGS,
    FEE_CAPS,
    ROUND_LOTS,
    TICKS,
    beyond,
    elsewhere,
    has_ticks,
    round_lots,
    rule_on,
    spans_of,
    tick_sizes,
)
from feed.markets.venues import VENUE_KINDS, VENUES, ids_of, venue_of, venue_with

__all__ = [
    "CALENDAR",
    "CROSSINGS",
    "FEE_CAPS",
    "ROUND_LOTS",
    "SCENARIOS",
    "TICKS",
    "VENUES",
    "VENUE_KINDS",
    "Session",
    "as_dict",
    "beyond",
    "check_calendar",
    "choose_venues",
    "elsewhere",
    "fees_of",
    "has_ticks",
    "ids_of",
    "render_venues",
    "round_lots",
    "rule_on",
    "session_on",
    "spans_of",
    "tick_sizes",
    "venue_of",
    "venue_with",
]
