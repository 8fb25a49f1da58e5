"""The part of a lattice that a search looks at, as a grid: points that are listed, or drawn."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.errors import ConfigError
from sweep.search.conditions import holds_at
from sweep.search.grid import COMBINATION_LIMIT, MARKET, Grid
from sweep.search.samplers import Space

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from sweep.search.samplers import Sampler

    Int64 = NDArray[np.int64]

BLOCK: Final = 2**18
"""Points that are looked at together."""

FUTILE: Final = 2**24
"""Points that conditions may drop one after another before the search gives up."""


def router_axes(grid: Grid) -> tuple[str, ...]:
    """The axes that a search chooses on: what the router cannot choose is run with all its values at each point."""
    return tuple(axis.name for axis in grid.axes if axis.name not in MARKET)


def space_of(grid: Grid) -> Space:
    """The lattice of these axes."""
    axes = [axis for axis in grid.axes if axis.name in router_axes(grid)]
    return Space(tuple(len(axis) for axis in axes), tuple(not axis.labels for axis in axes))


def spanned(grid: Grid, names: Collection[str], points: Int64) -> Int64:
    """(N, W) int64, the places of N points on some axes with each of the W values of all other axes.

    Parameters
    ----------
    grid : Grid
    names : collection of str
    points : (N,) int64
        Places on the axes of these names, row-major in the order of the grid.
    """
    others = np.arange(prod(len(axis) for axis in grid.axes if axis.name not in names), dtype=np.int64)
    places, weight = np.zeros((len(points), len(others)), np.int64), 1
    for axis in reversed(grid.axes):
        if axis.name in names:
            points, at = np.divmod(points, len(axis))
            places += weight * at[:, None]
        else:
            others, at = np.divmod(others, len(axis))
            places += weight * at
        weight *= len(axis)
    return places


def fulfilling(grid: Grid, where: Sequence[str], places: Int64) -> NDArray[np.bool_]:
    """Which places fulfil all conditions, in the shape of `places`."""
    if not where or not places.size:
        return np.ones(places.shape, np.bool_)
    return holds_at(where, grid.axes, grid.positions(places.reshape(-1))).reshape(places.shape)


def kept_of(grid: Grid, places: NDArray[Any]) -> Grid:
    """The grid of some places of a lattice, no two of them the same."""
    kept = np.sort(places).astype(np.int64)
    return replace(grid, kept=kept.astype(np.int32) if prod(grid.shape) <= 2**31 else kept)


def listed(grid: Grid, where: Sequence[str], names: Collection[str], points: Int64) -> Grid:
    """The grid of some points on some axes, with each value of all others, that fulfil all conditions.

    Raises
    ------
    ConfigError
        There are too many, or conditions drop all of them.
    """
    count = len(points) * prod(len(axis) for axis in grid.axes if axis.name not in names)
    if count > COMBINATION_LIMIT:
        raise ConfigError(f"search.points: {count:,} combinations are above the {COMBINATION_LIMIT:,} of one sweep")
    places = spanned(grid, names, points).reshape(-1)
    kept = places[fulfilling(grid, where, places)]
    if not len(kept):
        raise ConfigError(f"where: {'; '.join(where)} drops all {len(places):,} combinations of search.points")
    return kept_of(grid, kept)


def drawn(grid: Grid, where: Sequence[str], sampler: Sampler, count: int) -> Grid:
    """The grid of the first points of a sampler that fulfil all conditions, of `count` combinations at most.

    Raises
    ------
    ConfigError
        Not one of them does.
    """
    names, parts, missing, dropped = router_axes(grid), [np.empty(0, np.int64)], count, 0
    worlds = prod(len(axis) for axis in grid.axes if axis.name not in names)
    while missing >= worlds and dropped < FUTILE:
        points = sampler.ask(min(BLOCK, missing // worlds))
        if not len(points):
            break
        places = spanned(grid, names, points)
        kept = places[fulfilling(grid, where, places)]
        dropped = 0 if len(kept) else dropped + len(points)
        parts.append(kept)
        missing -= len(kept)
    kept = np.concatenate(parts)
    if not len(kept) and not where:
        raise ConfigError("search.kind: the sampler asked for no combination at all; name another")
    if not len(kept):
        raise ConfigError(f"where: {'; '.join(where)} drops every combination that was drawn; widen it")
    return kept_of(grid, kept)
