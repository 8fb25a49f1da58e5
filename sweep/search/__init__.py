"""Which combinations a sweep tries."""

from sweep.search.choice import drawn, listed, router_axes, space_of
from sweep.search.classes import Classes, each_alone, in_classes
from sweep.search.grid import (
    AXES,
    COMBINATION_LIMIT,
    MARKET,
    PARAMETERS,
    VARIANT_LIMIT,
    Axis,
    Grid,
    Label,
    build_grid,
    build_lattice,
    in_dollars,
    refuse_vanished,
    rounded_values,
    spread,
)
from sweep.search.samplers import SAMPLERS, make_sampler

__all__ = [
    "AXES",
    "COMBINATION_LIMIT",
    "MARKET",
    "PARAMETERS",
    "SAMPLERS",
    "VARIANT_LIMIT",
    "Axis",
    "Classes",
    "Grid",
    "Label",
    "build_grid",
    "build_lattice",
    "drawn",
    "each_alone",
    "in_classes",
    "in_dollars",
    "listed",
    "make_sampler",
    "refuse_vanished",
    "rounded_values",
    "router_axes",
    "space_of",
    "spread",
]
