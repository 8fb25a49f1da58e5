"""Colours of charts by what they stand for, as the report's style sheet has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a chart.

    Attributes
    ----------
    paper, ink, muted, rule, strong_rule, best, gain, loss : str
        CSS colours.
    heat : tuple of str
        Six steps, from the worst to the best.
    """

    paper: str
    ink: str
    muted: str
    rule: str
    strong_rule: str
    best: str
    gain: str
    loss: str
    heat: tuple[str, ...]

    def config(self) -> dict[str, Any]:
        """What all charts have in common, as Vega-Lite's ``config``."""
        guide = {
            "labelColor": self.muted,
            "titleColor": self.ink,
            "titleFontWeight": 500,
            "labelFontSize": 11,
            "titleFontSize": 12,
        }
        axis = {"domainColor": self.strong_rule, "tickColor": self.strong_rule, "gridColor": self.rule}
        return {
            "aria": False,
            "background": None,
            "font": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
            "view": {"stroke": self.strong_rule},
            "axis": {**guide, **axis, "labelLimit": 110},
            "legend": guide,
        }


PAGE: Final = Theme(
    paper="var(--paper)",
    ink="var(--ink)",
    muted="var(--muted)",
    rule="var(--rule)",
    strong_rule="var(--strong-rule)",
    best="var(--best)",
    gain="var(--gain)",
    loss="var(--loss)",
    heat=tuple(f"var(--h{step})" for step in range(6)),
)
"""Of the report: the variables of its style sheet, so that a drawing follows light, dark and print by itself."""

LIGHT: Final = Theme(
    paper="#ffffff",
    ink="#16191d",
    muted="#545c66",
    rule="#d5d9de",
    strong_rule="#8b939d",
    best="#0b5fa5",
    gain="#11703c",
    loss="#b3261e",
    heat=("#f1f5f9", "#cfdfee", "#9dc0de", "#5f97c5", "#2c6ea6", "#0b4a80"),
)
"""Of notebooks, on white."""
