"""Which combinations a sweep tries."""

from sweep.search.classes import Classes, each_alone, in_classes
from sweep.search.grid import AXES, PARAMETERS, Axis, Grid, build_grid, in_dollars, refuse_vanished, spread

__all__ = [
    "AXES",
    "PARAMETERS",
    "Axis",
    "Classes",
    "Grid",
    "build_grid",
    "each_alone",
    "in_classes",
    "in_dollars",
    "refuse_vanished",
    "spread",
]
