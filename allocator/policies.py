"""The router's policies: what to send at a snapshot, given the parameters of the sweep (model section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator import splits
from allocator.engine import ChildOrder, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from allocator.engine import Policy
    from allocator.order import Parameters, Routing


def _reference2(view: View, reference: str) -> int | None:
    """Twice the signed price that costs are measured from; None = wait."""
    if reference == "mid":
        return view.mid2
    if reference == "arrival":
        return view.arrival2
    return min((2 * c for c, shares in zip(view.costs, view.available, strict=True) if shares), default=None)


def _send(view: View, split: tuple[int, ...]) -> Iterable[ChildOrder]:
    return [ChildOrder(v, shares, view.prices[v]) for v, shares in enumerate(split) if shares]


@dataclass(frozen=True, slots=True)
class Static:
    """Take what costs at most tau above the reference (model 2.2)."""

    routing: Routing
    unit: int = 1

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """Send the split of `splits.static` or `splits.static_lots`; nothing where there is no reference."""
        routing = self.routing
        reference2 = _reference2(view, routing.reference)
        if reference2 is None:
            return []
        if routing.lots_only:
            split = splits.static_lots(
                view.costs,
                view.available,
                remaining,
                routing.step,
                parameters,
                reference2,
                may_exceed=view.can_sell_back,
            )
        else:
            split = splits.static(view.costs, view.available, remaining, parameters.tau, reference2)
        return _send(view, split)


@dataclass(frozen=True, slots=True)
class Pseudocode:
    """The published study's allocator: the whole order in lots, or not at all (model 2.1)."""

    routing: Routing
    unit: int = 1

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """Send the split of `splits.pseudocode`; where there is none, that of static, or nothing."""
        split = splits.pseudocode(view.costs, view.available, remaining, self.routing.step)
        if split is not None:
            return _send(view, split)
        return [] if self.routing.infeasible == "wait" else Static(self.routing).decide(view, remaining, parameters)


POLICIES: dict[str, Callable[[Routing], Policy]] = {"static": Static, "pseudocode": Pseudocode}
"""Every policy by name; one that `allocator.runners.COMPILED` does not name runs on the reference engine."""
