"""Which combinations a sweep tries."""

from sweep.search.choice import drawn, fulfilling, kept_of, listed, router_axes, space_of, spanned
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
from sweep.search.samplers import SAMPLERS, Sampler, SamplerKind, Space, make_sampler

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
    "Sampler",
    "SamplerKind",
    "Space",
    "build_grid",
    "build_lattice",
    "drawn",
    "each_alone",
    "fulfilling",
    "in_classes",
    "in_dollars",
    "kept_of",
    "listed",
    "make_sampler",
    "refuse_vanished",
    "rounded_values",
    "router_axes",
    "space_of",
    "spanned",
    "spread",
]
