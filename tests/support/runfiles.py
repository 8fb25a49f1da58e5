"""The files of a complete run."""

from sweep.runs.folder import COMBINATIONS, ORDERS, TABLE, VENUES, VIEWS

TABLES = (TABLE, ORDERS, VENUES, COMBINATIONS, *VIEWS.values())
"""All tables, which are the same bytes wherever and however a run ran."""
