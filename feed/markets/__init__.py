"""The market's own rules, as dated tables with sources: its venues.

venue_of : the venue that a text names: an id, a MIC, a name, a letter of TAQ, of the plans or of Lean.
VENUES : every venue of the table, by id.
ids_of : the ids under which a venue's quotes may be on a tape.
CONSOLIDATED_QUOTE : the id of a best quote that names no venue.
choose_venues, render_venues, as_dict : the table as text and JSON.
"""

from __future__ import annotations

from feed.markets.listing import as_dict, choose_venues, render_venues
from feed.markets.venues import CONSOLIDATED_QUOTE, VENUES, Venue, ids_of, venue_of

__all__ = [
    "CONSOLIDATED_QUOTE",
    "VENUES",
    "Venue",
    "as_dict",
    "choose_venues",
    "ids_of",
    "render_venues",
    "venue_of",
]
