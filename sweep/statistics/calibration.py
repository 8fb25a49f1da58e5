"""What the policy `placement` expected of its limit orders and its decisions, beside what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.fills import MARK_OUTS, joined
from allocator.money import NANO
from allocator.order import UNBOUNDED
from allocator.placement.records import BITS, placed_of
from sweep.statistics.filling import exact_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allocator.placement.records import Decisions, LimitOrders, Placed
    from sweep.statistics.totals import Outcome

BINS: Final = 10
"""Of predicted probabilities, of the same width; the last one holds 1, too."""

TERCILES: Final = 3


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of some limit orders, the predicted probabilities that all of each is filled, beside how many were.

    Attributes
    ----------
    orders, complete : int
        How many, and how many of them were filled wholly; one that its venue refused, or that was cancelled because
        the parent order had all its shares, was not.
    predicted : int
        Sum of the probabilities, 1e-9.
    squares : int
        Sum of the squares of probability less 1, where it was filled, or 0, 1e-18.
    """

    orders: int
    complete: int
    predicted: int
    squares: int

    @property
    def no_better(self) -> bool:
        """Whether the Brier score is not below that of the base rate, which is only known afterwards."""
        return self.squares * self.orders >= self.complete * (self.orders - self.complete) * NANO**2

    @property
    def of_one_kind(self) -> bool:
        """Whether all of them, or none, were filled, so that no prediction could do better than that."""
        return self.complete in (0, self.orders)


def reliability(orders: LimitOrders, which: NDArray[np.intp] | None = None) -> Reliability:
    """Of limit orders, or those of some positions."""
    at = slice(None) if which is None else which
    complete, filled = orders.complete[at], orders.filled[at] >= orders.shares[at]
    missed = complete - NANO * filled
    return Reliability(len(complete), int(np.count_nonzero(filled)), exact_sum(complete), exact_sum(missed * missed))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The same of all limit orders, by tenth of the predicted probability, by venue, and by tercile of the queue."""

    whole: Reliability
    bins: tuple[Reliability, ...]
    venues: dict[int, Reliability]
    terciles: tuple[Reliability, ...]


def calibration(orders: LimitOrders) -> Calibration:
    """How reliable predictions of complete fills were."""
    tenth = np.minimum(orders.complete * BINS // NANO, BINS - 1)
    return Calibration(
        whole=reliability(orders),
        bins=tuple(reliability(orders, np.flatnonzero(tenth == at)) for at in range(BINS)),
        venues={
            int(venue): reliability(orders, np.flatnonzero(orders.venue == venue)) for venue in np.unique(orders.venue)
        },
        terciles=tuple(reliability(orders, np.flatnonzero(orders.tercile == at)) for at in range(TERCILES)),
    )


@dataclass(frozen=True, slots=True)
class Resting:
    """Limit orders at a venue, or at all of them, and what they filled.

    Attributes
    ----------
    sent, refused : int
        Limit orders.
    shares : int
        Of those that were sent.
    expected : int
        Of them those that were predicted to be filled, 1e-9 of a share.
    filled : int
        Passive fills, in shares.
    through : int
        Of them those that nothing counted, as the price went through theirs.
    all_filled : int
        Those that were taken, too.
    fees : int
        Of passive fills, 1e-9 $, below 0 = rebates.
    mark_outs : dict of int to (int, int)
        By seconds, of passive fills: shares times the move of twice the mid so long after each, half 1e-9 $, above 0 =
        towards the order; and the shares that this is of.
    """

    sent: int
    refused: int
    shares: int
    expected: int
    filled: int
    through: int
    all_filled: int
    fees: int
    mark_outs: dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Placing:
    """What the policy decided and sent, over all orders, and what came of it.

    Attributes
    ----------
    slices, fallback : int
        Decisions, and those that `static` took.
    violated : dict of str to int
        By assumption, in how many decisions it did not hold.
    rows, effective : int
        Sums over the other decisions: of past windows, and 1e-9 of those that do not overlap.
    predicted, realised : int
        Sums over the same of the cost v, half 1e-9 $.
    bounded : bool
        Whether these are costs: none of a penalty that is infinite.
    whole : Resting
    venues : dict of int to Resting
        By publisher id, ascending.
    calibration : Calibration
    """

    slices: int
    fallback: int
    violated: dict[str, int]
    rows: int
    effective: int
    predicted: int
    realised: int
    bounded: bool
    whole: Resting
    venues: dict[int, Resting]
    calibration: Calibration

    @property
    def decided(self) -> int:
        """Decisions that past windows made."""
        return self.slices - self.fallback


def placing(outcome: Outcome) -> Placing | None:
    """Add up what a strategy placed; None of one that places nothing."""
    if not outcome.placed:
        return None
    placed = placed_of(outcome.placed)
    decisions = placed.decisions
    ids = np.union1d(np.unique(placed.orders.venue), np.unique(joined(outcome.passive).venue)).tolist()
    costs = np.concatenate([decisions.predicted, decisions.realised])
    return Placing(
        slices=len(decisions.run),
        fallback=exact_sum(decisions.fallback),
        violated={name: _count(decisions, bit) for name, bit in BITS.items()},
        rows=exact_sum(decisions.rows),
        effective=exact_sum(decisions.effective),
        predicted=exact_sum(decisions.predicted),
        realised=exact_sum(decisions.realised),
        bounded=not (np.abs(costs) >= UNBOUNDED).any(),
        whole=_resting(outcome, placed),
        venues={int(venue): _resting(outcome, placed, int(venue)) for venue in ids},
        calibration=calibration(placed.orders),
    )


def _count(decisions: Decisions, bit: int) -> int:
    return int(np.count_nonzero(decisions.violated & bit))


def _resting(outcome: Outcome, placed: Placed, venue: int | None = None) -> Resting:
    """At one venue, or all of them."""
    orders, passive, every = placed.orders, joined(outcome.passive), joined(outcome.venues)
    sent, made, filled = (
        np.flatnonzero((each.venue == venue) | (venue is None)) for each in (orders, passive, every)
    )  # fmt: skip
    return Resting(
        sent=len(sent),
        refused=exact_sum(orders.refused[sent]),
        shares=exact_sum(orders.shares[sent]),
        expected=sum(e * s for e, s in zip(orders.expected[sent].tolist(), orders.shares[sent].tolist(), strict=True)),
        filled=exact_sum(passive.shares[made]),
        through=exact_sum(orders.through[sent]),
        all_filled=exact_sum(every.shares[filled]),
        fees=exact_sum(passive.fees[made]),
        mark_outs={
            seconds: (
                exact_sum(getattr(passive, f"mark_out_{seconds}s")[made]),
                exact_sum(getattr(passive, f"marked_{seconds}s")[made]),
            )
            for seconds in MARK_OUTS
        },
    )
