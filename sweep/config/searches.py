"""The section `search`: which combinations of the grid a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.config.rules import check_count, normalised, parsed
from sweep.errors import ConfigError
from sweep.plugins import sampler_named
from sweep.search import (
    COMBINATION_LIMIT,
    PARAMETERS,
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

    from sweep.config.question import Question
    from sweep.config.schema import Config
    from sweep.search import Grid, Label, SamplerKind

SEED_LIMIT: Final = 2**32
"""Seeds are below this."""

ROUNDS_LIMIT: Final = 1_000_000
"""Combinations that a search in rounds looks at, at most: they stand in the manifest of a run."""

UNKNOWN: Final = 1_000
"""What is planned for where a search ends by itself, or by the clock."""

_BUDGETS: Final = ("combinations", "seconds")

_KEYS: Final = {
    "grid": (),
    "list": ("points",),
    "random": (*_BUDGETS, "seed"),
    "sobol": (*_BUDGETS, "seed"),
    "zoom": _BUDGETS,
    "optuna": (*_BUDGETS, "seed"),
}
"""The keys that each kind of search takes beside `kind`."""

_BROUGHT: Final = (*_BUDGETS, "seed")
"""The same of a sampler that a plug-in brings."""


def sampler_of(config: Config) -> SamplerKind | None:
    """The sampler of a configuration; None where it has no use for one.

    Raises
    ------
    ConfigError
        Its kind is neither built in nor installed, or cannot be used.
    """
    kind = config.search.kind
    return None if kind in _LISTING else parsed("search.kind", kind, sampler_named)


_LISTING: Final = ("grid", "list")


def in_rounds(config: Config) -> bool:
    """Whether what is looked at depends on what costs or time say, and so is not known before."""
    sampler = sampler_of(config)
    return sampler is not None and (sampler.learns or config.search.seconds is not None)


def most_of(config: Config, grid: Grid) -> int:
    """How many combinations are looked at, at most; a guess where the search ends by itself, or by the clock.

    Parameters
    ----------
    config : Config
    grid : Grid
        Its own, or of a search in rounds the lattice that its axes span.
    """
    if not in_rounds(config):
        return len(grid)
    return min(len(grid), config.search.combinations or UNKNOWN)


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
    """The combinations that a configuration asks for; of a search in rounds the lattice on which it looks for them.

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
    count = len(lattice) if search.combinations is None else search.combinations
    worlds = len(lattice) // space_of(lattice).places
    if count < worlds:
        raise ConfigError(
            f"search.combinations: {count:,} is below {worlds:,}: each point is run with all values of "
            f"{', '.join(axis.name for axis in lattice.axes if axis.name not in router_axes(lattice))}"
        )
    if in_rounds(config):
        return lattice
    kind = parsed("search.kind", search.kind, sampler_named)
    return drawn(lattice, where, kind.make(space_of(lattice), search.seed, count // worlds), count)


def like(question: Question) -> Question:
    """A question about as many combinations as a search in rounds may look at, drawn at random: for a plan of it."""
    lattice, config = question.grid, question.config
    where = (config.where,) if isinstance(config.where, str) else config.where
    space = space_of(lattice)
    count = max(question.most, len(lattice) // space.places)
    grid = drawn(lattice, where, make_sampler("random", space), count)
    return config.having(grid.places(np.arange(len(grid)))).question


def _check_search(config: Config) -> None:
    search = config.search
    takes, sampler = _KEYS.get(search.kind, _BROUGHT), sampler_of(config)
    for name in ("points", "combinations", "seconds", "seed"):
        if getattr(search, name) and name not in takes:
            kinds = " or ".join(kind for kind, names in _KEYS.items() if name in names)
            raise ConfigError(f"search.{name}: search.kind={search.kind} does not take it; set search.kind={kinds}")
    if search.kind == "list" and not search.points:
        raise ConfigError("search.points: search.kind=list needs them, such as [{theta_queue: 0.01, ...}, ...]")
    bounded = search.combinations is not None or search.seconds is not None
    if sampler is not None and not (bounded or sampler.ends):
        raise ConfigError(f"search.combinations: search.kind={search.kind} needs it, such as 1000: how many are tried")
    if search.combinations is not None:
        limit = ROUNDS_LIMIT if in_rounds(config) else COMBINATION_LIMIT
        check_count("search.combinations", search.combinations, 1, limit + 1)
    if search.seconds is not None and not 0 < search.seconds < float("inf"):
        raise ConfigError(f"search.seconds: expected above 0, but it had {search.seconds}")
    if search.prune:
        _check_prune(config)
    if in_rounds(config) and not isinstance(config.detail, str):
        raise ConfigError(f"detail: search.kind={search.kind} numbers combinations at its end; write best or all")
    check_count("search.seed", search.seed, 0, SEED_LIMIT)


def _check_prune(config: Config) -> None:
    """Refuse (ConfigError) to prune where the bound is none, or where something asks for every row."""
    policies = config.grid.get("policy", config.policy)
    if in_rounds(config):
        raise ConfigError(f"search.prune: search.kind={config.search.kind} asks for every cost; remove one of the two")
    if config.validate != "none":
        raise ConfigError(f"search.prune: validate={config.validate} asks for every row; remove one of the two")
    if config.conventions != "fair" or config.lots_only or policies not in ("static", ["static"]):
        raise ConfigError("search.prune: its bound is one of conventions=fair, policy=static and lots_only=false")


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
