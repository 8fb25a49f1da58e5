"""A chart: its specification, the frame that it draws, and what it shows in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"
"""Vega-Lite 5, which JupyterLab draws by itself; the report's bundle, version 6, reads the same specifications."""

MIME: Final = "application/vnd.vegalite.v5+json"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chart:
    """A chart for a notebook, which draws it where it is the last value of a cell.

    Attributes
    ----------
    spec : dict
        Vega-Lite, its data included.
    frame : DataFrame
        What is drawn, a row for each mark.
    title : str
    alternative : str
        What it shows, in words and figures.
    """

    spec: dict[str, Any]
    frame: pd.DataFrame
    title: str
    alternative: str

    def __repr__(self) -> str:
        """One line, for terminals."""
        return f"Chart({self.title}: {self.alternative})"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        """What a notebook reads: the specification, and words for what draws none."""
        bundle = {MIME: self.spec, "text/plain": repr(self)}
        return {
            kind: content
            for kind, content in bundle.items()
            if (not include or kind in include) and kind not in (exclude or ())
        }
