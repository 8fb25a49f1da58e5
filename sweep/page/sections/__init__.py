"""The sections of the report, one module each, in the order of their questions: what, how sure, where, why, from what.

SECTIONS : they, in the order of the page; each takes a `Run` and returns an element, or None where there is nothing.
"""

from sweep.page.sections.landscape import landscape, landscape_figures
from sweep.page.sections.verdict import verdict
from sweep.page.sections.waterfall import waterfall

SECTIONS = (verdict, waterfall, landscape)

__all__ = ["SECTIONS", "landscape_figures"]
