"""The grid: an ordered table of axes, never expanded; combinations are numbered row-major, and made when needed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.errors import AllocatorError
from allocator.money import INFINITE, NANO, Amount, nano, penalty
from allocator.order import ParameterColumns, bounded
from feed.quantities import parse_count
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

COMBINATION_LIMIT: Final = 100_000_000
AXIS_LIMIT: Final = 1_000_000

AXES: Final[dict[str, Callable[[Any, str], Amount]]] = {
    "lambda_over": penalty,
    "lambda_under": penalty,
    "theta_queue": penalty,
}
"""Every axis that a grid may name, and how its values become integers. The last three vary fastest, in this order."""

_EXAMPLES: Final = "write 0.01, [0, 0.01] or {start: 0, stop: 0.05, num: 11}"

DEFAULT: Final[dict[str, list[float]]] = {
    "lambda_over": [0, 0.01, 0.05],
    "lambda_under": [0, 0.03, 0.09],
    "theta_queue": [0, 0.01, 0.02],
}
"""Nine different values of tau, 0 to 11 cents (model 2.2)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its name, and its distinct values in the order of the configuration.

    Attributes
    ----------
    name : str
    values : tuple of Amount, or (N,) int64
        1e-9 $; workers get an array with `UNBOUNDED` where infinite.
    """

    name: str
    values: tuple[Amount, ...] | NDArray[np.int64]

    @property
    def column(self) -> NDArray[np.int64]:
        """(N,) int64, 1e-9 $, `UNBOUNDED` where infinite."""
        if isinstance(self.values, np.ndarray):
            return self.values
        return np.array([bounded(value) for value in self.values], np.int64)


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of the axes, the last axis fastest.

    Attributes
    ----------
    axes : tuple of Axis
        lambda_over, lambda_under, theta_queue last, in this order; before them further axes in the order of the config.
    """

    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        return prod(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values per axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def packed(self) -> Grid:
        """The same grid with arrays as axes: a million values then cost a worker their bytes only, once."""
        return Grid(tuple(Axis(axis.name, axis.column) for axis in self.axes))

    def point(self, number: int) -> dict[str, Amount]:
        """The values of one combination, by axis, 1e-9 $."""
        if not 0 <= number < len(self):
            raise IndexError(f"combination {number} of {len(self)}")
        point = {}
        for axis in reversed(self.axes):
            number, position = divmod(number, len(axis.values))
            point[axis.name] = axis.values[position]
        return {axis.name: point[axis.name] for axis in self.axes}

    def spread(self, count: int) -> NDArray[np.int64]:
        """(count,) int64: combinations spread over the grid by golden-ratio steps, so that every axis varies."""
        golden = (np.sqrt(5) - 1) / 2
        numbers: NDArray[np.int64] = (np.arange(count) * golden % 1 * len(self)).astype(np.int64)
        return numbers

    def positions(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The positions of many combinations on each axis, (K,) int64 by axis, counted from 0."""
        positions = {}
        for axis in reversed(self.axes):
            numbers, positions[axis.name] = np.divmod(numbers, len(axis.values))
        return {axis.name: positions[axis.name] for axis in self.axes}

    def columns(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The values of many combinations as columns by axis, (K,) int64, 1e-9 $, `UNBOUNDED` where infinite."""
        positions = self.positions(numbers)
        return {axis.name: axis.column[positions[axis.name]] for axis in self.axes}

    def dollars(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """The values of many combinations as columns by axis, (K,) float64, dollars, inf where infinite."""
        positions = self.positions(numbers)
        return {
            axis.name: np.array([value / NANO for value in axis.values])[positions[axis.name]] for axis in self.axes
        }

    def parameters(self, first: int, past: int) -> ParameterColumns:
        """The router's parameters of the combinations [first, past)."""
        columns = self.columns(np.arange(first, past, dtype=np.int64))
        return ParameterColumns(**{name: columns[name] for name in DEFAULT})


def build_grid(spec: Mapping[str, Any]) -> Grid:
    """Check a grid's axes and order them.

    Parameters
    ----------
    spec : mapping of axis name to a number, a list, or {start, stop, num, scale}
        Axes that are not named keep their default values.

    Raises
    ------
    ConfigError
        A value that is not a number, NaN, negative or repeated; an empty list, a malformed range, or a grid too large.
    """
    values = {**{name: DEFAULT[name] for name in DEFAULT if name not in spec}, **spec}
    order = [name for name in spec if name not in DEFAULT] + list(DEFAULT)
    grid = Grid(tuple(Axis(name, _values(name, values[name])) for name in order))
    if len(grid) > COMBINATION_LIMIT:
        raise ConfigError(
            f"grid: {len(grid):,} combinations are above the {COMBINATION_LIMIT:,} of one sweep; split it"
        )
    return grid


def refuse_vanished(key: str, value: float, amount: Amount) -> None:
    """Refuse (ConfigError) a value other than 0 that rounds to 0 at 1e-9 $."""
    if value and not amount:
        raise ConfigError(f"{key}: {value} rounds to 0; the smallest value that is kept is 1e-9")


def _values(name: str, spec: Any) -> tuple[Amount, ...]:  # noqa: ANN401 - whatever the configuration holds
    key = f"grid.{name}"
    if isinstance(spec, dict):
        return _range(key, spec)
    items: Sequence[Any] = spec if isinstance(spec, list) else [spec]
    if not items:
        raise ConfigError(f"{key}: expected one value or more, but it had an empty list")
    if len(items) > AXIS_LIMIT:
        raise ConfigError(f"{key}: {len(items):,} values are above the {AXIS_LIMIT:,} of one axis")
    try:
        for item in items:
            if not isinstance(item, int | float) or isinstance(item, bool):
                raise ConfigError(f"{key}: expected a number, but it had {_shown(item)}; {_EXAMPLES}")
        values = tuple(AXES[name](item, key) for item in items)
    except AllocatorError as error:
        raise ConfigError(str(error)) from None
    for item, value in zip(items, values, strict=True):
        refuse_vanished(key, item, value)
    _refuse_repeats(key, values)
    return values


def _refuse_repeats(key: str, values: tuple[Amount, ...]) -> None:
    seen: set[Amount] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f"{key}: {in_dollars(value)} stands twice; each value of an axis stands once")
        seen.add(value)


def _range(key: str, spec: dict[str, Any]) -> tuple[Amount, ...]:
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
    for end, amount in (("start", start), ("stop", stop)):
        refuse_vanished(f"{key}.{end}", spec[end], amount)
    if num == 1 and start != stop:
        raise ConfigError(
            f"{key}: one value from {spec['start']} to {spec['stop']}; both ends are included, so num is 2 or more"
        )
    if scale == "log":
        if min(start, stop) <= 0:
            raise ConfigError(f"{key}: a log range needs start and stop above 0")
        inner = [round(start * (stop / start) ** (i / (num - 1))) for i in range(1, num - 1)]
        values = (start, *inner, stop)[:num]
    else:
        values = (
            tuple(round(Fraction(start * (num - 1 - i) + stop * i, max(num - 1, 1))) for i in range(num))
            if num > 1
            else (start,)
        )
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
