"""The grid: an ordered table of axes, never expanded; combinations are numbered row-major, and made when needed.

Axes of the router's parameters vary fastest. Those before them make variants: a variant is one value of each, and its
combinations are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from allocator.errors import AllocatorError
from allocator.money import INFINITE, NANO, Amount, divide_half_even, nano, penalty
from allocator.order import UNBOUNDED, ParameterColumns, amount, bounded
from feed.quantities import parse_count
from sweep.errors import ConfigError
from sweep.search.conditions import holds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]

COMBINATION_LIMIT: Final = 100_000_000
LATTICE_LIMIT: Final = 2**62
"""Places that the axes of a search may span: only those that it looks at are combinations."""
AXIS_LIMIT: Final = 1_000_000
VARIANT_LIMIT: Final = 1_000

Label = str | int | float | bool | None
"""A value of an axis that is no parameter, as it is printed."""


@dataclass(frozen=True, slots=True)
class AxisKind:
    """What a grid may vary.

    Attributes
    ----------
    acts_on : str
        ``parameters``: a field of `allocator.order.Parameters`. ``router``: another choice of the router's. ``market``:
        what the router cannot choose, and what a simulation assumes; the best is found for each value of it by itself.
    default : tuple of float
        The values of an axis that the configuration does not name, dollars per share; empty = there is then no such
        axis.
    """

    acts_on: Literal["parameters", "router", "market"]
    default: tuple[float, ...] = ()


AXES: Final[dict[str, AxisKind]] = {
    "policy": AxisKind("router"),
    "reference": AxisKind("router"),
    "participation": AxisKind("router"),
    "schedule": AxisKind("router"),
    "slice": AxisKind("router"),
    "posting": AxisKind("router"),
    "at_T": AxisKind("router"),
    "samples": AxisKind("router"),
    "adverse": AxisKind("router"),
    "condition": AxisKind("router"),
    "catch_up": AxisKind("router"),
    "liquidity": AxisKind("market"),
    "fees": AxisKind("market"),
    "latency": AxisKind("market"),
    "depth": AxisKind("market"),
    "max_age": AxisKind("market"),
    "uncross": AxisKind("market"),
    "phi": AxisKind("market"),
    "rho": AxisKind("market"),
    "lambda_over": AxisKind("parameters", (0, 0.01, 0.05)),
    "lambda_under": AxisKind("parameters", (0, 0.03, 0.09)),
    "theta_queue": AxisKind("parameters", (0, 0.01, 0.02)),
}
"""Every axis that a grid may name. Those of the router's parameters come last in a grid, in this order: the last varies
fastest. Their defaults give nine different values of tau, 0 to 11 cents (model 2.2). The others take the values that
the key of their name takes."""

PARAMETERS: Final = tuple(name for name, kind in AXES.items() if kind.acts_on == "parameters")
"""The axes of the router's parameters."""

MARKET: Final = tuple(name for name, kind in AXES.items() if kind.acts_on == "market")
"""The axes of what the router cannot choose."""

_EXAMPLES: Final = "write 0.01, [0, 0.01] or {start: 0, stop: 0.05, num: 11}"


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One axis: its name, and its distinct values in the order of the configuration.

    Attributes
    ----------
    name : str
    values : (N,) int64, read-only
        1e-9 $, `UNBOUNDED` where infinite: a million values cost a worker their bytes only, once. Of an axis with
        labels their positions.
    labels : (N,) tuple of str, int, float, bool or None
        The values of an axis that is no parameter.
    """

    name: str
    values: Int64
    labels: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        self.values.setflags(write=False)

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, name: str, labels: Sequence[Label]) -> Axis:
        """An axis that is no parameter."""
        return cls(name, np.arange(len(labels), dtype=np.int64), tuple(labels))

    def printed(self, position: int) -> Label:
        """A value as it is printed: a label, or dollars, or ``.inf``, for which JSON has no number."""
        return self.labels[position] if self.labels else in_dollars(amount(int(self.values[position])))

    def dollars(self) -> NDArray[np.float64]:
        """(N,) float64, dollars, inf where infinite."""
        dollars: NDArray[np.float64] = np.where(self.values < UNBOUNDED, self.values / NANO, np.inf)
        return dollars


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Every combination of the axes that no condition drops, or those that a search chose, the last axis fastest.

    Attributes
    ----------
    axes : tuple of Axis
        lambda_over, lambda_under, theta_queue last, in this order; before them further axes in the order of the config.
    kept : (K,) int32 or int64, optional, read-only
        The places among all combinations of those that are kept, ascending; None = all are.
    """

    axes: tuple[Axis, ...]
    kept: NDArray[np.int32] | Int64 | None = None

    def __post_init__(self) -> None:
        if self.kept is not None:
            self.kept.setflags(write=False)

    def __len__(self) -> int:
        return prod(self.shape) if self.kept is None else len(self.kept)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values per axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def further(self) -> tuple[Axis, ...]:
        """The axes that are no parameters: a variant is one value of each."""
        return tuple(axis for axis in self.axes if axis.name not in PARAMETERS)

    @property
    def variants(self) -> int:
        """How many variants there are, those without a combination included."""
        return prod(len(axis) for axis in self.further)

    @property
    def variant_edges(self) -> NDArray[np.int64]:
        """(V + 1,) int64: variant v has the combinations [edges[v], edges[v + 1])."""
        edges = np.arange(self.variants + 1) * (prod(self.shape) // self.variants)
        return edges if self.kept is None else np.searchsorted(self.kept, edges)

    def variant_of(self, number: int) -> int:
        """The variant of a combination."""
        return int(np.searchsorted(self.variant_edges, number, "right")) - 1

    def counterpart(self, number: int, other: int, axes: Collection[str]) -> int | None:
        """A combination with the values of another one on some axes; None where a condition drops it."""
        positions, place = self.positions(np.array([number, other])), 0
        for axis in self.axes:
            place = place * len(axis) + int(positions[axis.name][int(axis.name in axes)])
        if self.kept is None:
            return place
        at = int(np.searchsorted(self.kept, place))
        return at if at < len(self.kept) and self.kept[at] == place else None

    def places(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) int64, the places of many combinations among all, dropped ones included."""
        return numbers if self.kept is None else self.kept[numbers].astype(np.int64)

    def point(self, number: int) -> dict[str, Amount]:
        """The values of one combination, by axis, 1e-9 $; positions on axes with labels."""
        return {name: amount(int(values[0])) for name, values in self.columns(self._one(number)).items()}

    def printed(self, number: int) -> dict[str, Label]:
        """The values of one combination as they are printed, by axis."""
        positions = self.positions(self._one(number))
        return {axis.name: axis.printed(int(positions[axis.name][0])) for axis in self.axes}

    def _one(self, number: int) -> NDArray[np.int64]:
        if not 0 <= number < len(self):
            raise IndexError(f"combination {number} of {len(self)}")
        return np.array([number])

    def positions(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The positions of many combinations on each axis, (K,) int64 by axis, counted from 0."""
        places, positions = self.places(numbers), {}
        for axis in reversed(self.axes):
            places, positions[axis.name] = np.divmod(places, len(axis))
        return {axis.name: positions[axis.name] for axis in self.axes}

    def columns(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The values of many combinations as columns by axis, (K,) int64, 1e-9 $, `UNBOUNDED` where infinite."""
        positions = self.positions(numbers)
        return {axis.name: axis.values[positions[axis.name]] for axis in self.axes}

    def printed_columns(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The values of many combinations as columns by axis: (K,) float64, dollars, inf where infinite; or labels."""
        positions = self.positions(numbers)
        return {
            axis.name: (np.array(axis.labels, object) if axis.labels else axis.dollars())[positions[axis.name]]
            for axis in self.axes
        }

    def parameters(self, first: int, past: int) -> ParameterColumns:
        """The router's parameters of the combinations [first, past)."""
        return self.parameters_of(np.arange(first, past, dtype=np.int64))

    def parameters_of(self, numbers: NDArray[np.int64]) -> ParameterColumns:
        """The router's parameters of many combinations."""
        columns = self.columns(numbers)
        return ParameterColumns(**{name: columns[name] for name in PARAMETERS})


def spread(total: int, count: int) -> NDArray[np.int64]:
    """(count,) int64: numbers below `total`, spread by golden-ratio steps, so that every axis of a grid varies."""
    golden = (np.sqrt(5) - 1) / 2
    numbers: NDArray[np.int64] = (np.arange(count) * golden % 1 * total).astype(np.int64)
    return numbers


def build_grid(
    spec: Mapping[str, Any], labels: Mapping[str, Sequence[Label]] | None = None, where: Sequence[str] = ()
) -> Grid:
    """Check a grid's axes and order them, and drop what conditions exclude.

    Parameters
    ----------
    spec : mapping of axis name to a number, a list, or {start, stop, num, scale}
        Axes that are not named keep their default values.
    labels : mapping of axis name to the values as they are printed
        Of the axes of `spec` that are no parameters, which are checked already.
    where : sequence of str
        As `sweep.search.conditions.holds`.

    Raises
    ------
    ConfigError
        A value that is not a number, NaN, negative or repeated; an empty list, a malformed range, or a grid too large;
        a condition that cannot be read, or drops everything.
    """
    grid = build_lattice(spec, labels, COMBINATION_LIMIT)
    if not where:
        return grid
    kept = np.flatnonzero(holds(where, grid.axes)).astype(np.int32)
    if not len(kept):
        raise ConfigError(f"where: {'; '.join(where)} drops all {len(grid):,} combinations")
    return replace(grid, kept=kept)


def build_lattice(
    spec: Mapping[str, Any], labels: Mapping[str, Sequence[Label]] | None = None, limit: int = LATTICE_LIMIT
) -> Grid:
    """The same without conditions, of so many places at most: what a search looks at a part of."""
    labels = labels or {}
    values = {name: list(kind.default) for name, kind in AXES.items() if kind.default} | dict(spec)
    order = [name for name in values if name not in PARAMETERS] + list(PARAMETERS)
    made = (Axis.of(name, labels[name]) if name in labels else _axis(name, values[name]) for name in order)
    grid = Grid(tuple(made))
    if (count := prod(grid.shape)) > limit:  # len() takes no more than 63 bits
        raise ConfigError(
            f"grid: {' x '.join(f'{len(axis):,}' for axis in grid.axes if len(axis) > 1)} = {count:,} combinations "
            f"are above the {limit:,} of one {'sweep; split it' if limit == COMBINATION_LIMIT else 'search'}"
        )
    if grid.variants > VARIANT_LIMIT:
        axes = ", ".join(axis.name for axis in grid.further)
        raise ConfigError(
            f"grid: {grid.variants:,} combinations of {axes} are above the {VARIANT_LIMIT:,} of one sweep; split it"
        )
    return grid


def _axis(name: str, spec: Any) -> Axis:  # noqa: ANN401 - whatever the configuration holds
    return Axis(name, _values(name, spec))


def refuse_vanished(key: str, value: float, rounded: Amount) -> None:
    """Refuse (ConfigError) a value other than 0 that rounds to 0 at 1e-9 $."""
    if value and not rounded:
        raise ConfigError(f"{key}: {value} rounds to 0; the smallest value that is kept is 1e-9")


def _values(name: str, spec: Any) -> Int64:  # noqa: ANN401 - whatever the configuration holds
    key = f"grid.{name}"
    if isinstance(spec, dict):
        return _range(key, spec)
    items: Sequence[Any] = spec if isinstance(spec, list) else [spec]
    if not items:
        raise ConfigError(f"{key}: expected one value or more, but it had an empty list")
    if len(items) > AXIS_LIMIT:
        raise ConfigError(f"{key}: {len(items):,} values are above the {AXIS_LIMIT:,} of one axis")
    values = rounded_values(key, items)
    _refuse_repeats(key, values)
    return values


def rounded_values(key: str, items: Sequence[Any]) -> Int64:
    """(N,) int64, values of a parameter in dollars as 1e-9 $, `UNBOUNDED` where infinite.

    Raises
    ------
    ConfigError
        One that is not a number, NaN, negative, or rounds to 0.
    """
    if not {*map(type, items)} <= {int, float}:
        for item in items:
            if not isinstance(item, int | float) or isinstance(item, bool):
                raise ConfigError(f"{key}: expected a number, but it had {_shown(item)}; {_EXAMPLES}")
    return _rounded(items, key)


_NEAR_HALF: Final = 1e-3
"""How near to a half 1e-9 $ a product of floats may be wrong about the rounding, by far: below `_SMALL` a product of a
float with 1e9 is off by less than 2e-6."""

_SMALL: Final = 1.0
"""Dollars below which a whole axis is rounded at once."""


def _rounded(items: Sequence[float], key: str) -> Int64:
    """(N,) int64 of penalties in dollars, each as `allocator.money.penalty` rounds it; most of them at once."""
    try:
        dollars = np.array(items, np.float64)
    except OverflowError:  # a whole number beyond any float
        dollars = np.full(len(items), np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = dollars * NANO
        whole = np.rint(scaled)
        surely = (dollars > 0) & (dollars < _SMALL) & (whole > 0) & (np.abs(scaled - whole) < 0.5 - _NEAR_HALF)
        values = np.where(surely, whole, 0).astype(np.int64)
    for position in np.flatnonzero(~surely).tolist():
        item = items[position]
        try:
            value = penalty(item, key)
        except AllocatorError as error:
            raise ConfigError(str(error)) from None
        refuse_vanished(key, item, value)
        values[position] = bounded(value)
    return values


def _refuse_repeats(key: str, values: Int64) -> None:
    """Refuse (ConfigError) the first value that stands twice."""
    ascending = np.argsort(values, kind="stable")
    again = ascending[1:][values[ascending[1:]] == values[ascending[:-1]]]
    if len(again):
        value = amount(int(values[again.min()]))
        raise ConfigError(f"{key}: {in_dollars(value)} stands twice; each value of an axis stands once")


def _range(key: str, spec: dict[str, Any]) -> Int64:
    """Points of {start, stop, num, scale}, both ends included, exact before they are rounded half-even to 1e-9 $."""
    unknown = sorted(str(name) for name in set(spec) - {"start", "stop", "num", "scale"})
    missing = sorted({"start", "stop", "num"} - set(spec))
    if unknown or missing:
        problem = f"it had {', '.join(unknown)}" if unknown else f"{', '.join(missing)} is missing"
        raise ConfigError(f"{key}: a range is {{start, stop, num, scale: linear | log}}, but {problem}")
    num, scale = _count(spec["num"]), spec.get("scale", "linear")
    if num is None or not 1 <= num <= AXIS_LIMIT:
        raise ConfigError(f"{key}.num: expected a whole number, 1 to {AXIS_LIMIT:,}, but it had {spec['num']!r}")
    if scale not in {"linear", "log"}:
        raise ConfigError(f"{key}.scale: expected linear or log, but it had {scale!r}")
    try:
        for end in ("start", "stop"):
            if not isinstance(spec[end], int | float) or isinstance(spec[end], bool):
                raise ConfigError(f"{key}.{end}: expected a number, but it had {spec[end]!r}")
            penalty(spec[end], f"{key}.{end}")
        start, stop = (nano(spec[end], f"{key}.{end}") for end in ("start", "stop"))
    except AllocatorError as error:
        raise ConfigError(str(error)) from None
    for end, value in (("start", start), ("stop", stop)):
        refuse_vanished(f"{key}.{end}", spec[end], value)
    if num == 1 and start != stop:
        raise ConfigError(
            f"{key}: one value from {spec['start']} to {spec['stop']}; both ends are included, so num is 2 or more"
        )
    if scale == "log":
        if min(start, stop) <= 0:
            raise ConfigError(f"{key}: a log range needs start and stop above 0")
        inner = [round(start * (stop / start) ** (i / (num - 1))) for i in range(1, num - 1)]
        points = [start, *inner, stop][:num]
    else:
        steps = max(num - 1, 1)
        points = [divide_half_even(start * (steps - i) + stop * i, steps) for i in range(num)]
    values = np.array(points, np.int64)
    _refuse_repeats(key, values)
    return values


def _count(value: object) -> int | None:
    try:
        return parse_count(value)
    except ValueError:
        return None


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]


def in_dollars(value: Amount) -> float | str:
    """An axis value as it is printed: dollars, or ``.inf``, for which JSON has no number."""
    return ".inf" if value == INFINITE else value / NANO
