"""The market's own rules, as dated tables with sources: its venues, tick sizes and round lots.

venue_of : the venue that a text names: an id, a MIC, a name, a letter of TAQ, of the plans or of Lean.
VENUES : every venue of the table, by id.
choose_venues, render_venues, as_dict : the table as text and JSON.
TICKS, ROUND_LOTS : the SEC's rules about them, by date.
tick_sizes, round_lots : those of quotes of US equities, by date and price.
spans_of, elsewhere, beyond, has_ticks : for which quotes a table has a rule.
"""

from __future__ import annotations

from feed.markets.listing import as_dict, choose_venues, render_venues
from feed.markets.ticks import ROUND_LOTS, TICKS, beyond, elsewhere, has_ticks, round_lots, spans_of, tick_sizes
from feed.markets.venues import VENUE_KINDS, VENUES, venue_of

__all__ = [
    "ROUND_LOTS",
    "TICKS",
    "VENUES",
    "VENUE_KINDS",
    "as_dict",
    "beyond",
    "choose_venues",
    "elsewhere",
    "has_ticks",
    "render_venues",
    "round_lots",
    "spans_of",
    "tick_sizes",
    "venue_of",
]
