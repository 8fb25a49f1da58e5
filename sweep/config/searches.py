"""The section `search`: which combinations of the grid a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.config.rules import check_count, normalised
from sweep.errors import ConfigError
from sweep.search import (
    COMBINATION_LIMIT,
    PARAMETERS,
    SAMPLERS,
    build_grid,
    build_lattice,
    drawn,
    listed,
    make_sampler,
    rounded_values,
    router_axes,
    space_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.config.schema import Config
    from sweep.search import Grid, Label

SEED_LIMIT: Final = 2**32
"""Seeds are below this."""

_KEYS: Final = {"grid": (), "list": ("points",), "random": ("combinations", "seed"), "sobol": ("combinations", "seed")}
"""The keys that each kind of search takes beside `kind`."""


def spanned_by(config: Config) -> dict[str, Any]:
    """The axes of a configuration as written, and those that points of its search name, with the values that occur.

    Raises
    ------
    ConfigError
        A key that its kind of search does not take, or lacks; points that do not name the same axes.
    """
    _check_search(config)
    points = config.search.points
    if not points:
        return config.grid
    names = list(points[0])
    for number, point in enumerate(points):
        if {*point} != {*names}:
            raise ConfigError(
                f"search.points: the first one names {', '.join(names) or 'nothing'}, but number {number + 1} names "
                f"{', '.join(point) or 'nothing'}; each names the same axes"
            )
    if missing := [name for name in PARAMETERS if name not in names and name not in config.grid]:
        raise ConfigError(f"search.points: they name no {missing[0]}; name it, or set grid.{missing[0]}")
    axes = dict(config.grid)
    for name in names:
        if name in axes:
            continue
        if name == "fees":
            raise ConfigError("search.points: fees has names; set grid.fees={NAME: TABLE, ...}")
        first: dict[Any, Any] = {}
        for value, key in zip(_column(points, name), _comparable(name, _column(points, name)), strict=True):
            first.setdefault(key, value)
        axes[name] = list(first.values())
    return axes


def looked_at(config: Config, labels: Mapping[str, Sequence[Label]]) -> Grid:
    """The combinations that a configuration asks for.

    Parameters
    ----------
    config : Config
        With all axes in its grid.
    labels : mapping of str to sequence
        As `sweep.search.build_grid`.

    Raises
    ------
    ConfigError
        As that; a point that is not on the grid, or stands twice.
    """
    search = config.search
    where = (config.where,) if isinstance(config.where, str) else config.where
    if search.kind == "grid":
        return build_grid(config.grid, labels, where)
    lattice = build_lattice(config.grid, labels)
    if search.kind == "list":
        names = {*search.points[0]}
        return listed(lattice, where, names, _places(config, lattice, names))
    count = search.combinations or 0
    worlds = len(lattice) // space_of(lattice).places
    if count < worlds:
        raise ConfigError(
            f"search.combinations: {count:,} is below {worlds:,}: each point is run with all values of "
            f"{', '.join(axis.name for axis in lattice.axes if axis.name not in router_axes(lattice))}"
        )
    sampler = make_sampler(search.kind, space_of(lattice), search.seed, count // worlds)
    return drawn(lattice, where, sampler, count)


def _check_search(config: Config) -> None:
    search = config.search
    takes = _KEYS[search.kind]
    for name in ("points", "combinations", "seed"):
        if getattr(search, name) and name not in takes:
            kinds = " or ".join(kind for kind, names in _KEYS.items() if name in names)
            raise ConfigError(f"search.{name}: search.kind={search.kind} does not take it; set search.kind={kinds}")
    if search.kind == "list" and not search.points:
        raise ConfigError("search.points: search.kind=list needs them, such as [{theta_queue: 0.01, ...}, ...]")
    if search.kind in SAMPLERS and search.combinations is None:
        raise ConfigError(f"search.combinations: search.kind={search.kind} needs it, such as 1000: how many are tried")
    if search.combinations is not None:
        check_count("search.combinations", search.combinations, 1, COMBINATION_LIMIT + 1)
    check_count("search.seed", search.seed, 0, SEED_LIMIT)


def _places(config: Config, lattice: Grid, names: set[str]) -> NDArray[np.int64]:
    """(N,) int64, the places of all points on the axes that they name."""
    points, places = config.search.points, np.zeros(len(config.search.points), np.int64)
    for axis in lattice.axes:
        if axis.name not in names:
            continue
        column, named = _column(points, axis.name), isinstance(config.grid[axis.name], dict)
        values = axis.values.tolist() if not axis.labels else _comparable(axis.name, axis.labels, named=named)
        at = {key: position for position, key in enumerate(values)}
        for number, key in enumerate(_comparable(axis.name, column, named=named)):
            if key not in at:
                raise ConfigError(f"search.points: {axis.name}={column[number]} is no value of grid.{axis.name}")
            places[number] = places[number] * len(axis) + at[key]
    distinct, first = np.unique(places, return_index=True)
    if len(distinct) < len(places):
        again = int(np.setdiff1d(np.arange(len(places)), first)[0])
        shown = ", ".join(f"{name}: {value}" for name, value in points[again].items())
        raise ConfigError(f"search.points: {{{shown}}} stands twice; each point once")
    return places


def _column(points: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [point[name] for point in points]


def _comparable(name: str, values: Sequence[Any], *, named: bool = False) -> list[Any]:
    """Values of an axis that can be hashed, such that two that mean the same are equal; those of names are names."""
    if name in PARAMETERS:
        return [*rounded_values("search.points", values).tolist()]
    return [str(value) if named else normalised(name, value) for value in values]
