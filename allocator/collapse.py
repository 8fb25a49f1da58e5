"""Which combinations provably decide alike, so that one simulation speaks for all of them.

A policy of the table below decides from its own state and the view of a snapshot, and reads of its parameters only what
the table names. Combinations that agree in that decide alike at the first snapshot, so they meet the second one in the
same state, and so on to the end: under any liquidity rule.

- `static` in whole shares, measured from the best available cost, compares c_i - c_best with tau. Both are whole
  numbers of `CostUnits.unit` above one origin, so only floor(tau / unit) acts, and no more of it than the book's
  costs span. (From a mid or the arrival price the differences are no multiples of the unit: tau itself acts.)
- `static` in whole lots weighs the last lot's excess against the shortfall: tau and lambda_over + theta_queue act.
- `pseudocode` acts on nothing of its own; where it has no split it waits, or decides as `static`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from allocator.book import Int64
    from allocator.order import ParameterColumns, Routing
    from allocator.units import CostUnits

    Acting = Callable[[Routing, CostUnits, ParameterColumns], list[Int64]]


def _static(routing: Routing, units: CostUnits, parameters: ParameterColumns) -> list[Int64]:
    if routing.lots_only:
        return [parameters.tau, parameters.over]
    return [units.reach(parameters.tau) if routing.reference == "best" else parameters.tau]


def _pseudocode(routing: Routing, units: CostUnits, parameters: ParameterColumns) -> list[Int64]:
    return [] if routing.infeasible == "wait" else _static(routing, units, parameters)


ACTING: dict[str, Acting] = {"static": _static, "pseudocode": _pseudocode}
"""Policy to the (K,) columns that decide; combinations of a policy that is not here are never collapsed."""


def classes(
    routing: Routing, units: CostUnits, parameters: ParameterColumns
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Sort K combinations into R classes that decide alike.

    Returns
    -------
    first : (R,) intp
        A combination of each class, its first one.
    of : (K,) int32
        The class of each combination.
    """
    if routing.policy not in ACTING:
        return each_alone(parameters)
    code = np.zeros(len(parameters), np.int64)
    for column in ACTING[routing.policy](routing, units, parameters):
        _, digit = np.unique(column, return_inverse=True)
        _, code = np.unique(code * (digit.max(initial=0) + 1) + digit, return_inverse=True)
    _, first, of = np.unique(code, return_index=True, return_inverse=True)
    return first, of.astype(np.int32)


def each_alone(parameters: ParameterColumns) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """As `classes`, where nothing is collapsed."""
    return np.arange(len(parameters)), np.arange(len(parameters), dtype=np.int32)
