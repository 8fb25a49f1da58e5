"""The market's own rules, as dated tables with sources: its venues."""

from __future__ import annotations

from feed.markets.venues import CONSOLIDATED_QUOTE, VENUES, Venue, ids_of, venue_of

__all__ = ["CONSOLIDATED_QUOTE", "VENUES", "Venue", "ids_of", "venue_of"]
