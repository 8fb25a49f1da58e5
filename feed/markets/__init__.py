"""The market's own rules, as dated tables with sources: its venues."""

from __future__ import annotations

from feed.markets.venues import CONSOLIDATED_QUOTE, VENUES, Venue, ids_of, venue_of
from feed.markets.venues import KINDS as VENUE_KINDS

__all__ = ["CONSOLIDATED_QUOTE", "VENUES", "VENUE_KINDS", "Venue", "ids_of", "venue_of"]
