"""A policy that holds out for a price below what the penalties allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator import NANO, AllocatorError, ChildOrder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator import Parameters, View


@dataclass(frozen=True)
class Patient:
    """Takes, cheapest first, what costs at most tau less its patience above the arrival price.

    patience : $ per share that it holds out for; a switch of its own.
    participation : 1e-9 of what is displayed that it takes at most; set by the key of that name.
    """

    patience: float = 0.0
    participation: int = NANO

    def __post_init__(self) -> None:
        if not 0 <= self.patience < 100:
            raise AllocatorError(f"patience: expected 0 to 100 $ per share, but it had {self.patience}")

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """Send what is cheap enough; before there is an arrival price, nothing."""
        if view.arrival2 is None:
            return
        worst = view.arrival2 + 2 * (parameters.tau - round(self.patience * NANO))
        for supply in sorted(range(len(view.costs)), key=lambda each: (view.costs[each], each)):
            shares = min(view.available[supply], remaining) if 2 * view.costs[supply] <= worst else 0
            remaining -= shares
            if shares:
                yield ChildOrder(supply, shares, view.prices[supply])
