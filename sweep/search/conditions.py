"""Conditions between the axes of a grid, such as ``lambda_over < lambda_under``: a small language, evaluated exactly.

A condition compares sums of axes and numbers, or an axis of names with names, and joins comparisons by and, or, not. It
is parsed by Python's grammar and never executed.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.money import NANO
from allocator.order import UNBOUNDED
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.search.grid import Axis

    Mask = NDArray[np.bool_]

LENGTH: Final = 1_000
"""Characters of a condition at most."""

_NAMES: Final[dict[str, Any]] = {"true": True, "false": False, "null": None, "inf": math.inf}

_HOW: Final = "write comparisons such as lambda_over < lambda_under or reference == 'touch', joined by and, or, not"


@dataclass(frozen=True, slots=True)
class _Sum:
    """A sum of axes, each times a number, and a number, 1e-9 $ (or 1e-9 of what an axis of numbers counts)."""

    of: dict[str, Fraction]
    number: Fraction

    def times(self, factor: Fraction) -> _Sum:
        return _Sum({name: each * factor for name, each in self.of.items()}, self.number * factor)

    def plus(self, other: _Sum) -> _Sum:
        names = dict.fromkeys([*self.of, *other.of])
        return _Sum(
            {name: self.of.get(name, Fraction(0)) + other.of.get(name, Fraction(0)) for name in names},
            self.number + other.number,
        )


@dataclass(frozen=True, slots=True)
class _Labels:
    """An axis of names, or a name that one is compared with."""

    axis: str | None
    values: tuple[Any, ...]


_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


def holds(conditions: Sequence[str], axes: Sequence[Axis]) -> Mask:
    """(K,) bool, which combinations of some axes fulfil all of some conditions; row-major, the last axis fastest.

    Axes of the router's parameters are in dollars. An infinite value is beyond all others; two of them are equal.

    Raises
    ------
    ConfigError
        A condition that is none, or names no axis; it quotes the condition.

    Examples
    --------
    >>> from sweep.search import build_grid
    >>> grid = build_grid({"lambda_over": 0, "lambda_under": [0.01, 0.03], "theta_queue": [0, 0.02]})
    >>> holds(["theta_queue < lambda_under"], grid.axes).tolist()
    [True, False, True, True]
    """
    shape = [len(axis) for axis in axes]
    spread = {axis.name: [-1 if at == position else 1 for at in range(len(axes))] for position, axis in enumerate(axes)}

    def laid_out(name: str, values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(spread[name])

    return np.broadcast_to(_mask(conditions, axes, laid_out, len(axes)), shape).reshape(-1)


def holds_at(conditions: Sequence[str], axes: Sequence[Axis], positions: Mapping[str, NDArray[np.int64]]) -> Mask:
    """(K,) bool, which of some combinations fulfil all of some conditions, whatever else the axes span.

    Parameters
    ----------
    conditions, axes
        As `holds`.
    positions : mapping of str to (K,) int64
        Of each axis.
    """
    count = len(next(iter(positions.values())))
    return np.broadcast_to(_mask(conditions, axes, lambda name, values: values[positions[name]], 1), [count])


def _mask(
    conditions: Sequence[str],
    axes: Sequence[Axis],
    laid_out: Callable[[str, NDArray[Any]], NDArray[Any]],
    dimensions: int,
) -> Mask:
    """Where all conditions hold; `laid_out` gives each value of an axis its places, in so many dimensions."""
    mask: Mask = np.ones([1] * dimensions, np.bool_)
    for text in conditions:
        if len(text) > LENGTH:
            raise ConfigError(f"where: {text[:40]}... is longer than {LENGTH:,} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise ConfigError(f"where: {text!r} cannot be read; {_HOW}") from None
        try:
            mask = mask & _Reader(text, axes, laid_out, dimensions).truth(tree)
        except RecursionError:
            raise ConfigError(f"where: {text[:40]!r}... is nested too deeply") from None
    return mask


class _Reader:
    """Evaluates one condition."""

    def __init__(
        self,
        text: str,
        axes: Sequence[Axis],
        laid_out: Callable[[str, NDArray[Any]], NDArray[Any]],
        dimensions: int,
    ) -> None:
        self._text, self._axes = text, {axis.name: axis for axis in axes}
        self._laid_out, self._ones = laid_out, [1] * dimensions

    def truth(self, node: ast.expr) -> Mask:
        """Where an expression is true, in a shape that broadcasts to that of the grid."""
        match node:
            case ast.BoolOp(op, values):
                masks = [self.truth(value) for value in values]
                joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
                mask = masks[0]
                for each in masks[1:]:
                    mask = joined(mask, each)
                return mask
            case ast.UnaryOp(ast.Not(), operand):
                return ~self.truth(operand)
            case ast.Compare(left, ops, comparators):
                mask = np.ones(self._ones, np.bool_)
                for comparison, right in zip(ops, comparators, strict=True):
                    mask = mask & self._compared(left, comparison, right)
                    left = right
                return mask
            case ast.Name(name) if name in self._axes and {*map(type, self._axes[name].labels)} == {bool}:
                return self._where(name, lambda label: label is True)
        raise self._refused("is no comparison")

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Mask:
        one = self._value(left)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple):
                raise self._refused("needs a list after in, such as [1, 10]")
            mask = np.zeros(self._ones, np.bool_)
            for each in right.elts:
                mask = mask | self._equal(one, self._value(each))
            return ~mask if isinstance(op, ast.NotIn) else mask
        other = self._value(right)
        if isinstance(one, _Sum) and isinstance(other, _Sum):
            if type(op) not in _COMPARE:
                raise self._refused("compares by what is no <, <=, >, >=, == or !=")
            return self._against_zero(one.plus(other.times(Fraction(-1))), _COMPARE[type(op)])
        if not isinstance(op, ast.Eq | ast.NotEq):
            raise self._refused("compares names by what is no ==, != or in")
        equal = self._equal(one, other)
        return ~equal if isinstance(op, ast.NotEq) else equal

    def _equal(self, one: _Sum | _Labels, other: _Sum | _Labels) -> Mask:
        if isinstance(one, _Sum) and isinstance(other, _Sum):
            return self._against_zero(one.plus(other.times(Fraction(-1))), np.equal)
        if isinstance(one, _Labels) and one.axis is None:
            one, other = other, one
        if isinstance(one, _Labels) and one.axis is not None:
            if isinstance(other, _Labels) and other.axis is None:
                return self._among(one.axis, other.values[0])
            if isinstance(other, _Sum) and not other.of:
                return self._among(one.axis, other.number / NANO)
        raise self._refused("compares what cannot be compared: an axis of names with one of its names")

    def _among(self, axis: str, value: Any) -> Mask:  # noqa: ANN401 - a label
        """Where an axis has a value that it has somewhere."""
        if not any(_alike(label, value) for label in self._axes[axis].labels):
            shown = float(value) if isinstance(value, Fraction) else value
            raise self._refused(f"names {shown!r}, and {axis} has {', '.join(map(str, self._axes[axis].labels))}")
        return self._where(axis, lambda label: _alike(label, value))

    def _where(self, axis: str, true: Callable[[Any], bool]) -> Mask:
        return self._laid_out(axis, np.array([true(label) for label in self._axes[axis].labels], np.bool_))

    def _value(self, node: ast.expr) -> _Sum | _Labels:
        match node:
            case ast.Constant(bool() | None as value) | ast.Constant(str() as value):
                return _Labels(None, (value,))
            case ast.Constant(int() | float() as value) if not isinstance(value, float) or math.isfinite(value):
                return _Sum({}, Fraction(repr(value)) * NANO)
            case ast.Name(name):
                return self._named(name)
            case ast.UnaryOp(ast.USub(), operand):
                return self._number(operand).times(Fraction(-1))
            case ast.BinOp(left, ast.Add(), right):
                return self._number(left).plus(self._number(right))
            case ast.BinOp(left, ast.Sub(), right):
                return self._number(left).plus(self._number(right).times(Fraction(-1)))
            case ast.BinOp(left, ast.Mult() | ast.Div() as op, right):
                one, other = self._number(left), self._number(right)
                if isinstance(op, ast.Mult) and not one.of:
                    one, other = other, one
                if other.of or (isinstance(op, ast.Div) and not other.number):
                    raise self._refused("multiplies or divides by what is no number above 0")
                factor = other.number / NANO
                return one.times(factor if isinstance(op, ast.Mult) else 1 / factor)
        raise self._refused("holds what is no axis, number or name")

    def _named(self, name: str) -> _Sum | _Labels:
        if name == "inf":
            return _Sum({_INFINITY: Fraction(1)}, Fraction(0))
        if name in _NAMES:
            return _Labels(None, (_NAMES[name],))
        if name not in self._axes:
            raise self._refused(f"names {name}, which is no axis of this grid; it has {', '.join(self._axes)}")
        labels = self._axes[name].labels
        if labels and not all(_is_number(label) for label in labels):
            return _Labels(name, labels)
        return _Sum({name: Fraction(1)}, Fraction(0))

    def _number(self, node: ast.expr) -> _Sum:
        value = self._value(node)
        if not isinstance(value, _Sum):
            raise self._refused("adds or multiplies what is no number")
        return value

    def _against_zero(self, total: _Sum, compare: Callable[[Any, Any], Any]) -> Mask:
        """Compare a sum with 0: its infinite values decide, and where these cancel out, the others."""
        whole = math.lcm(total.number.denominator, *(each.denominator for each in total.of.values()))
        infinite: Any = np.zeros(self._ones, np.int64)
        bound = abs(int(total.number * whole))
        parts = []
        for name, factor in total.of.items():
            times = int(factor * whole)
            if name == _INFINITY:
                infinite = infinite + int(np.sign(times))
                continue
            values = _values_of(self._axes[name])
            beyond = values >= UNBOUNDED
            infinite = infinite + self._laid_out(name, int(np.sign(times)) * beyond)
            below = np.where(beyond, 0, values)
            bound += abs(times) * max(1, int(np.abs(below).max()))
            parts.append((times, self._laid_out(name, below)))
        if bound >= 2**62:
            raise self._refused("has numbers with too many digits to compare exactly")
        finite: Any = np.full(self._ones, int(total.number * whole), np.int64)
        for times, below in parts:
            finite = finite + times * below
        mask: Mask = np.where(infinite != 0, compare(infinite, 0), compare(finite, 0))
        return mask

    def _refused(self, why: str) -> ConfigError:
        return ConfigError(f"where: {self._text!r} {why}; {_HOW}")


_INFINITY: Final = "inf"


def _is_number(label: object) -> bool:
    return isinstance(label, int | float) and not isinstance(label, bool)


def _alike(label: object, value: object) -> bool:
    """Whether a label is a value: 1 is not true."""
    if _is_number(label) and isinstance(value, Fraction):
        return Fraction(repr(label)) == value
    return type(label) is type(value) and label == value


def _values_of(axis: Axis) -> NDArray[np.int64]:
    """The values of an axis of numbers, 1e-9."""
    if not axis.labels:
        return axis.values
    return np.array([int(Fraction(repr(label)) * NANO) for label in axis.labels], np.int64)
