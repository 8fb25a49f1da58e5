"""The policy `placement`: every slice of an order is split into a market order and limit orders that rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from allocator.errors import AllocatorError
from allocator.money import NANO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.engine import ChildOrder, View
    from allocator.order import Parameters, Reference

SECOND: Final = 10**9

SHORTEST_SLICE: Final = 5 * SECOND
LONGEST_SLICE: Final = 86_400 * SECOND
"""Nanoseconds."""

FEWEST_SAMPLES: Final = 30
"""Rows of outflows below which a slice is not decided by them."""
MOST_SAMPLES: Final = 5000

MOST_CATCH_UP: Final = 100 * NANO

POSTING: Final = re.compile(r"touch|inside|deep:[1-9]")


@dataclass(frozen=True, slots=True)
class Placement:
    """Split each slice between a market order and limit orders, by the least mean cost over past outflows.

    Attributes
    ----------
    slice : int
        Nanoseconds from one decision to the next.
    samples : int
        Rows of past outflows that a decision looks at, at most.
    posting : str
        Where limit orders rest: at the best price of their side (``touch``), a cent better (``inside``), or N levels
        behind it (``deep:N``, N 1 to 9).
    at_T : str
        What a slice misses at its end: it is left to the next one (``roll``), or bought (``buy``).
    adverse : str
        What passive fills lose to the mid afterwards: ``measured`` before the decision, or ``none``.
    condition : str
        Which outflows count: of all past windows (``none``), or of those alike in ``queue``, ``volume`` or ``both``.
    catch_up : int
        1e-9 of the measured cost of catching up that a share short of the slice costs beside lambda_under.
    step, reference
        As of `allocator.policies.Static`, which decides where there are too few samples.
    """

    unit: ClassVar[int] = 1

    slice: int = 30 * SECOND
    samples: int = 200
    posting: str = "touch"
    at_T: Literal["roll", "buy"] = "roll"  # noqa: N815 - T is the paper's
    adverse: Literal["measured", "none"] = "measured"
    condition: Literal["none", "queue", "volume", "both"] = "none"
    catch_up: int = NANO
    step: int = 100
    reference: Reference = "touch"

    def __post_init__(self) -> None:
        if not SHORTEST_SLICE <= self.slice <= LONGEST_SLICE:
            raise AllocatorError(f"slice: expected 5 s to 24 h, but it had {self.slice / SECOND} s")
        if not FEWEST_SAMPLES <= self.samples <= MOST_SAMPLES:
            raise AllocatorError(
                f"samples: expected a whole number, {FEWEST_SAMPLES} to {MOST_SAMPLES:,}, but it had {self.samples}"
            )
        if not POSTING.fullmatch(self.posting):
            raise AllocatorError(
                f"posting: expected touch, inside or deep:N with N 1 to 9, but it had {self.posting!r:.40}"
            )
        if not 0 <= self.catch_up <= MOST_CATCH_UP:
            raise AllocatorError(f"catch_up: expected 0 to 100, but it had {self.catch_up / NANO}")

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:  # noqa: ARG002
        """Refuse: this engine keeps no queues.

        Raises
        ------
        AllocatorError
            Always.
        """
        raise AllocatorError("placement: its limit orders need an engine that keeps queues")
