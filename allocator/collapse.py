"""Finds combinations that provably decide alike, so that one simulation stands for all of them.

A policy of the table below decides from its own state, the view of a snapshot, and only those parameters that the table
names. Combinations that agree in these decide alike at the first snapshot, so they reach the second one in the same
state, and so on to the end, under any liquidity rule. What is in flight is part of that state: which children were
sent, when, and up to which limits; and a child's instant and venue alone decide when it arrives. A cap on what is
displayed, and a schedule, change in the same way for all of them what a snapshot and the order show.

- `static` in whole shares, measured from the lowest cost displayed or left, compares c_i less that cost with tau. Both
  are whole numbers of `CostUnits.unit` above one origin, so only floor(tau / unit) matters, up to the span of the
  book's costs. (From a mid or the arrival price the differences are no multiples of the unit: tau itself matters.)
- `static` in whole lots weighs the last lot's excess against the shortfall: tau and lambda_over + theta_queue matter.
- `pseudocode` reads no parameters; where it has no split it waits, or decides as `static`.
- `placement` weighs all parameters in every decision: only equal ones decide alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.order import COST_REFERENCES, ParameterColumns
from allocator.placement.policy import Placement
from allocator.policies import Pseudocode, Static

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from allocator.book import Int64
    from allocator.engine import Policy
    from allocator.units import CostUnits

    Acting = Callable[[Any, CostUnits, ParameterColumns], list[Int64]]


def _static(policy: Static, units: CostUnits, parameters: ParameterColumns) -> list[Int64]:
    if policy.lots_only:
        return [parameters.tau, parameters.over]
    return [units.reach(parameters.tau) if policy.reference in COST_REFERENCES else parameters.tau]


def _pseudocode(policy: Pseudocode, units: CostUnits, parameters: ParameterColumns) -> list[Int64]:
    return [] if policy.fallback is None else _static(policy.fallback, units, parameters)


def _placement(_policy: Placement, _units: CostUnits, parameters: ParameterColumns) -> list[Int64]:
    return [getattr(parameters, name) for name in ParameterColumns.__slots__]


ACTING: dict[type, Acting] = {Static: _static, Pseudocode: _pseudocode, Placement: _placement}
"""By policy, the (K,) columns that decide; combinations of a policy that is missing here are never collapsed."""


def read_by(policy: Policy) -> tuple[str, ...]:
    """The parameters that a policy reads; fields of `ParameterColumns`."""
    if isinstance(policy, Pseudocode):
        return () if policy.fallback is None else read_by(policy.fallback)
    if type(policy) is Static and not policy.lots_only:
        return ("lambda_under", "theta_queue")
    return ParameterColumns.__slots__


def classes(
    policy: Policy, units: CostUnits, parameters: ParameterColumns
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Group K combinations into R classes that decide alike.

    Returns
    -------
    first : (R,) intp
        The first combination of each class.
    of : (K,) int32
        The class of each combination.
    """
    if type(policy) not in ACTING:
        return each_alone(parameters)
    code = np.zeros(len(parameters), np.int64)
    for column in ACTING[type(policy)](policy, units, parameters):
        _, digit = np.unique(column, return_inverse=True)
        _, code = np.unique(code * (digit.max(initial=0) + 1) + digit, return_inverse=True)
    _, first, of = np.unique(code, return_index=True, return_inverse=True)
    return first, of.astype(np.int32)


def each_alone(parameters: ParameterColumns) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """As `classes`, but with each combination in a class of its own."""
    return np.arange(len(parameters)), np.arange(len(parameters), dtype=np.int32)
