"""The sections of the report, one module each, in the order of their questions: what, how sure, where, why, from what.

SECTIONS : they, in the order of the page; each takes a `Run` and returns an element, or None where there is nothing.
"""

from sweep.page.sections.calibration import calibration
from sweep.page.sections.cells import cells
from sweep.page.sections.differences import differences
from sweep.page.sections.extremes import extremes
from sweep.page.sections.held_out import held_out
from sweep.page.sections.landscape import landscape, landscape_figures
from sweep.page.sections.path import path
from sweep.page.sections.provenance import provenance
from sweep.page.sections.quality import quality
from sweep.page.sections.realism import realism
from sweep.page.sections.venues import venues
from sweep.page.sections.verdict import verdict
from sweep.page.sections.waterfall import waterfall

SECTIONS = (
    verdict,
    waterfall,
    differences,
    cells,
    landscape,
    held_out,
    realism,
    venues,
    calibration,
    path,
    extremes,
    quality,
    provenance,
)

__all__ = ["SECTIONS", "landscape_figures"]
