"""The market's own rules, as dated tables with sources: its venues.

venue_of : the venue that a text names: an id, a MIC, a name, a letter of TAQ, of the plans or of Lean.
choose_venues, render_venues, as_dict : the table as text and JSON.
"""

from __future__ import annotations

from feed.markets.listing import as_dict, choose_venues, render_venues
from feed.markets.venues import KINDS as VENUE_KINDS
from feed.markets.venues import venue_of

__all__ = ["VENUE_KINDS", "as_dict", "choose_venues", "render_venues", "venue_of"]
