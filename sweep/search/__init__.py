"""Which combinations a sweep tries."""

from sweep.search.classes import Classes, each_alone, in_classes
from sweep.search.grid import (
    AXES,
    MARKET,
    PARAMETERS,
    VARIANT_LIMIT,
    Axis,
    Grid,
    Label,
    build_grid,
    in_dollars,
    refuse_vanished,
    spread,
)

__all__ = [
    "AXES",
    "MARKET",
    "PARAMETERS",
    "VARIANT_LIMIT",
    "Axis",
    "Classes",
    "Grid",
    "Label",
    "build_grid",
    "each_alone",
    "in_classes",
    "in_dollars",
    "refuse_vanished",
    "spread",
]
