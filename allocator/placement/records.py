"""What was decided and sent, slice by slice, beside what came of it: of orders that are run once more to be seen."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Int64


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Columns of int64, ascending by ``run``."""

    run: Int64

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Self:
        """From rows."""
        return cls(*np.array(rows, np.int64).reshape(-1, len(fields(cls))).T.copy())

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Part after part."""
        none = np.empty(0, np.int64)
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in names})

    def of_runs(self, first: int, past: int) -> Self:
        """The rows of the runs [first, past), which are counted from 0 then."""
        rows = slice(*np.searchsorted(self.run, [first, past]))
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return type(self)(**{**columns, "run": columns["run"] - first})

    def after(self, runs: int) -> Self:
        """The same rows, of runs that come after so many others."""
        return replace(self, run=self.run + runs)


@dataclass(frozen=True, slots=True, eq=False)
class Decisions(_Table):
    """D decisions, (D,) int64 each.

    Attributes
    ----------
    run : counted from 0
    snapshot : index into the book
    size : shares to be placed
    market, limits : shares of the market order, and of all limit orders together
    rows : past windows looked at; 0 where there were too few, or no mid
    effective : 1e-9 of windows that do not overlap
    fallback : 1 where `static` decided
    violated : 1 where A1 does not hold, + 2 for A2, + 4 for A3
    predicted : what the decision is expected to cost, by the model's cost v, half 1e-9 $; 0 where `static` decided
    realised : v of what happened, half 1e-9 $
    """

    snapshot: Int64
    size: Int64
    market: Int64
    limits: Int64
    rows: Int64
    effective: Int64
    fallback: Int64
    violated: Int64
    predicted: Int64
    realised: Int64


@dataclass(frozen=True, slots=True, eq=False)
class LimitOrders(_Table):
    """N limit orders that were sent, (N,) int64 each.

    Attributes
    ----------
    run : counted from 0
    snapshot : of the decision, index into the book
    venue : publisher id
    price : 1e-9 $
    shares : of the order
    queue : shares displayed at its price at the decision
    expected : 1e-9 of its shares that are filled in the mean of the windows looked at
    complete : 1e-9 of the windows in which it is filled wholly
    filled : shares
    refused : 1 where it would have taken at once when it arrived, and was not posted
    tercile : of the queue, 0 to 2, among those of the windows looked at
    through : of the shares filled those that nothing counted: the price went through theirs
    """

    snapshot: Int64
    venue: Int64
    price: Int64
    shares: Int64
    queue: Int64
    expected: Int64
    complete: Int64
    filled: Int64
    refused: Int64
    tercile: Int64
    through: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """The decisions and the limit orders of some runs."""

    decisions: Decisions
    orders: LimitOrders

    def of_runs(self, first: int, past: int) -> Placed:
        """Those of the runs [first, past), which are counted from 0 then."""
        return Placed(self.decisions.of_runs(first, past), self.orders.of_runs(first, past))

    def after(self, runs: int) -> Placed:
        """The same, of runs that come after so many others."""
        return Placed(self.decisions.after(runs), self.orders.after(runs))


def placed_of(parts: Sequence[Placed]) -> Placed:
    """Records of several parts, one after the other."""
    return Placed(
        Decisions.joined([part.decisions for part in parts]), LimitOrders.joined([part.orders for part in parts])
    )


BITS: Final = {"A1": 1, "A2": 2, "A3": 4}
"""Of `Decisions.violated`, by assumption."""
