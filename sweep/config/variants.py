"""The axes of a grid that are no parameters: each takes the values of the key of its name, and each value is a variant.

A variant is a configuration of its own, with one value of each such axis in place of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import UNSET
from msgspec.structs import fields, replace

from allocator.placement.policy import Placement
from sweep.config.conventions import resolve
from sweep.config.keys import NAMED
from sweep.config.rules import check_rules, normalised
from sweep.config.schema import Config
from sweep.errors import ConfigError
from sweep.search import MARKET, PARAMETERS, VARIANT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from allocator.book import BookRules
    from sweep.config.conventions import Settings
    from sweep.search import Grid, Label

_DEFAULTS: Final = {field.name: field.default for field in fields(Config)}


@dataclass(frozen=True, slots=True)
class Variant:
    """One value of each axis that is no parameter.

    Attributes
    ----------
    settings : Settings
        The configuration with these values, resolved.
    world : int
        Which of the worlds it is in.
    book : int
        On which of the books it runs.
    """

    settings: Settings
    world: int
    book: int


@dataclass(frozen=True, slots=True)
class World:
    """One value of each axis of the market: what a router finds, and cannot choose.

    Attributes
    ----------
    point : dict
        These values, as they are printed.
    variants : tuple of int
        Those with combinations, ascending.
    """

    point: dict[str, Label]
    variants: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BookAsked:
    """A book that a variant runs on.

    Attributes
    ----------
    rules : BookRules
    depth : int, optional
        Levels of a side; None = as many as the tape has.
    """

    rules: BookRules
    depth: int | None


@dataclass(frozen=True, slots=True)
class Variants:
    """All variants of a grid, and what they share.

    Attributes
    ----------
    each : tuple of Variant
        In grid order.
    worlds : tuple of World
        Those with combinations, in grid order; the first is the one that a document is about.
    books : tuple of BookAsked
        Those of the first world first.
    """

    each: tuple[Variant, ...]
    worlds: tuple[World, ...]
    books: tuple[BookAsked, ...]

    @property
    def first(self) -> Settings:
        """The settings of the first combination."""
        return self.each[self.worlds[0].variants[0]].settings

    @property
    def placing(self) -> bool:
        """Whether the policy of any combination is `placement`."""
        return any(isinstance(variant.settings.policy, Placement) for variant in self.each if variant.book >= 0)

    def of_world(self, world: int) -> Variant:
        """The first variant of a world, which shares its market with the others."""
        return self.each[self.worlds[world].variants[0]]

    @property
    def depth(self) -> int | None:
        """The deepest of the books; None = as deep as the source."""
        depths = [book.depth for book in self.books if book.depth is not None]
        return max(depths) if len(depths) == len(self.books) else None

    def positions(self, grid: Grid) -> dict[str, list[int]]:
        """By axis that is no parameter, the positions of the values that any combination has."""
        kept: NDArray[np.int64] = np.array([number for number, variant in enumerate(self.each) if variant.book >= 0])
        positions = {}
        for axis in reversed(grid.further):
            kept, at = np.divmod(kept, len(axis))
            positions[axis.name] = np.unique(at).tolist()
        return positions

    def example(self, grid: Grid, axis: str, position: int) -> Settings:
        """The settings of a variant that has this value of an axis."""
        stride = 1
        for each in reversed(grid.further):
            if each.name == axis:
                break
            stride *= len(each)
        return self.each[position * stride].settings

    def ranges(self, book: int, edges: Sequence[int]) -> list[tuple[int, int]]:
        """Of [edges[v], edges[v + 1]), a range of classes or combinations of each variant, those that run on a book."""
        return [(edges[number], edges[number + 1]) for number, variant in enumerate(self.each) if variant.book == book]


_NAMED_LATENCIES: Final = "what each name stands for, such as {fast: 50us, drawn: [1ms, 5ms]}"


def axis_values(config: Config) -> dict[str, tuple[tuple[Label, ...], tuple[Any, ...]]]:
    """The labels and the values of each axis of a configuration that is no parameter.

    Raises
    ------
    ConfigError
        No value, one that its key does not take, one that stands twice, or a key that says another.
    """
    return {name: _values(config, name, spec) for name, spec in config.grid.items() if name not in PARAMETERS}


def _values(config: Config, name: str, spec: Any) -> tuple[tuple[Label, ...], tuple[Any, ...]]:  # noqa: ANN401 - checked
    key = f"grid.{name}"
    if getattr(config, name) not in (UNSET, _DEFAULTS[name]):
        raise ConfigError(f"{name}: {key} says which values to try; remove one of the two")
    named = isinstance(spec, dict)
    if named and name not in NAMED:
        raise ConfigError(f"{key}: expected a list of values, but it had a mapping")
    labels = tuple(spec if named or isinstance(spec, list | tuple) else [spec])
    if len(labels) > VARIANT_LIMIT:
        raise ConfigError(f"{key}: {len(labels):,} values are above the {VARIANT_LIMIT:,} of one sweep; split it")
    if not labels:
        raise ConfigError(f"{key}: expected one value or more, but it had none")
    if name == "latency":
        _check_latencies(key, labels, named=named)
    values = tuple(spec.values() if named else labels)
    seen: dict[Any, Label] = {}
    for label, value in zip(labels, values, strict=True):
        try:
            check_rules(replace(config, **{name: value}))
        except ConfigError as error:
            raise ConfigError(f"{key}.{label}{str(error).removeprefix(name)}" if named else f"grid.{error}") from None
        plain = normalised(name, value)
        if plain in seen:
            raise ConfigError(f"{key}: {label} stands twice, as {seen[plain]}; each value of an axis stands once")
        seen[plain] = label
    return labels, values


def _check_latencies(key: str, labels: tuple[Any, ...], *, named: bool) -> None:
    """Refuse (ConfigError) what could be read in two ways: a list to draw from, or venues in place of names."""
    if named and any(label in {"default", "seed"} or label.isdigit() for label in labels):
        raise ConfigError(f"{key}: expected {_NAMED_LATENCIES}; one latency by venue is a value, too, and needs a name")
    if not named and not all(isinstance(label, str | int) for label in labels):
        shown = [list(label) if isinstance(label, tuple) else label for label in labels]
        raise ConfigError(f"{key}: expected durations, or {_NAMED_LATENCIES}, but it had {shown!r}"[:200])


def variants_of(
    config: Config,
    grid: Grid,
    values: Mapping[str, tuple[Any, ...]],
    source_fees: Mapping[str, Mapping[str, Any]],
    known: Sequence[BookAsked] = (),
) -> Variants:
    """Resolve a configuration for each variant of its grid.

    Parameters
    ----------
    config : Config
    grid : Grid
    values : mapping of str to tuple
        Of each axis that is no parameter, in the order of its labels.
    source_fees : mapping
        As `sweep.config.conventions.resolve`.
    known : sequence of BookAsked
        Books that come first, whether a combination runs on them or not.
    """
    further, edges = grid.further, grid.variant_edges
    each: list[Variant] = []
    points: dict[tuple[int, ...], int] = {}
    members: list[list[int]] = []
    books = {book: number for number, book in enumerate(known)}
    for number, positions in enumerate(product(*(range(len(axis)) for axis in further))):
        at = dict(zip((axis.name for axis in further), positions, strict=True))
        own = replace(config, **{name: values[name][position] for name, position in at.items()})
        settings = resolve(own, source_fees)
        market = tuple(position for name, position in at.items() if name in MARKET)
        if edges[number] == edges[number + 1]:  # a condition drops it
            each.append(Variant(settings, -1, -1))
            continue
        world = points.setdefault(market, len(points))
        if world == len(members):
            members.append([])
        members[world].append(number)
        depth = 1 if own.depth is None and own.conventions == "classic" else own.depth
        book = books.setdefault(BookAsked(settings.book, depth), len(books))
        each.append(Variant(settings, world, book))
    market_axes = [axis for axis in further if axis.name in MARKET]
    worlds = tuple(
        World(
            {axis.name: axis.printed(position) for axis, position in zip(market_axes, point, strict=True)},
            tuple(members[world]),
        )
        for point, world in points.items()
    )
    return Variants(tuple(each), worlds, tuple(books))
