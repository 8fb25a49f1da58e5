"""`allocate`: the public function for splits, in dollars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from allocator import exhaustive, splits
from allocator.cost import Venue, in_dollars, split_cost, whole_shares
from allocator.errors import AllocatorError
from allocator.money import INFINITE, decimal, nano
from allocator.order import COST_REFERENCES, Parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.order import Infeasible


@dataclass(frozen=True, slots=True)
class Allocation:
    """A split and what it costs; unpacks as ``split, cost``.

    Attributes
    ----------
    split : tuple of int
        Shares, one number per venue; empty where there is no split.
    cost : float
        Dollars: absolute for a pseudocode answer, measured from the reference price otherwise.
    """

    split: tuple[int, ...]
    cost: float

    def __iter__(self) -> Iterator[tuple[int, ...] | float]:
        yield self.split
        yield self.cost


def allocate(
    order_size: int,
    venues: Sequence[Venue],
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
    *,
    step: int = 100,
    policy: Literal["static", "pseudocode"] = "static",
    reference: float | str = "best",
    infeasible: Infeasible = "sweep",
    lots_only: bool = False,
    method: Literal["exact", "exhaustive"] = "exact",
) -> Allocation:
    """Split a buy order over the venues of one snapshot.

    Parameters
    ----------
    order_size : int
        Shares to buy.
    venues : sequence of Venue
    lambda_over, lambda_under, theta_queue : float
        Dollars per share, 0 or more, infinity allowed.
    step : int
        Shares of a lot.
    policy : str
        ``static`` (model 2.2) or ``pseudocode``, the published study's (model 2.1).
    reference : str or float
        What prices are measured from: ``best`` (the lowest c_i available; before anything is taken also the ``touch``),
        or a price in dollars.
    infeasible : str
        Where pseudocode has no split, ``sweep`` returns that of static, and ``wait`` returns ``((), inf)``.
    lots_only : bool
        Let static send whole lots only.
    method : str
        ``exact`` (closed form) or ``exhaustive`` (the literal search, at most 2,000,000 splits).

    Returns
    -------
    Allocation

    Raises
    ------
    AllocatorError
        A ValueError: an argument out of range, or a search that is too large.

    Source
    ------
    R. Cont, A. Kukanov, Optimal order placement in limit order markets, Quantitative Finance 17(1), 2017.

    Examples
    --------
    600 shares, and 300 at the cheapest venue. One cent behind it a venue pays a rebate of 0.001 $; its shares cost
    0.6 cents more after fees. Where a missing share costs 2 cents, they are bought:

    >>> from allocator import Venue, allocate
    >>> venues = [Venue(ask=100.00, ask_size=300, fee=0.003), Venue(ask=100.01, ask_size=500, fee=-0.001)]
    >>> allocate(600, venues, lambda_over=0.0, lambda_under=0.02, theta_queue=0.0)
    Allocation(split=(300, 300), cost=1.8)

    Where it costs half a cent, they are not:

    >>> split, cost = allocate(600, venues, lambda_over=0.0, lambda_under=0.005, theta_queue=0.0)
    >>> split, cost
    ((300, 0), 1.5)
    """
    size = whole_shares(order_size, "order_size")
    step = whole_shares(step, "step")
    if step == 0:
        raise AllocatorError("step: expected 1 share or more, but it had 0")
    for name, value, valid in (
        ("policy", policy, ("static", "pseudocode")),
        ("infeasible", infeasible, ("sweep", "wait")),
        ("method", method, ("exact", "exhaustive")),
    ):
        if value not in valid:
            raise AllocatorError(f"{name}: expected {' or '.join(valid)}, but it had {value!r}")
    parameters = Parameters.of(lambda_over, lambda_under, theta_queue)
    costs = [venue.cost_nano for venue in venues]
    available = [venue.available for venue in venues]
    rebates = [nano(venue.rebate) for venue in venues]
    search = method == "exhaustive"

    if policy == "pseudocode":
        split = (
            exhaustive.pseudocode(costs, available, rebates, size, step, parameters)
            if search
            else splits.pseudocode(costs, available, size, step)
        )
        if split is not None:
            return Allocation(split, in_dollars(split_cost(split, costs, available, rebates, size, parameters)))
        if infeasible == "wait":
            return Allocation((), INFINITE)

    reference2 = _reference2(reference, costs, available)
    relative2 = [2 * c - reference2 for c in costs]
    if search:
        split = exhaustive.static(relative2, available, rebates, size, parameters, step=step, lots_only=lots_only)
    elif lots_only:
        split = splits.static_lots(costs, available, size, step, parameters, reference2)
    else:
        split = splits.static(costs, available, size, parameters.tau, reference2)
    penalties = split_cost(split, [0] * len(split), available, rebates, size, parameters)
    doubled = sum(sent * c2 for sent, c2 in zip(split, relative2, strict=True))
    return Allocation(split, in_dollars((2 * penalties + doubled) / 2 if doubled % 2 else penalties + doubled // 2))


def _reference2(reference: float | str, costs: Sequence[int], available: Sequence[int]) -> int:
    """Twice the reference price, 1e-9 $; 0 where no venue has shares, as it is not used then."""
    if reference in COST_REFERENCES:
        return 2 * min((c for c, shares in zip(costs, available, strict=True) if shares > 0), default=0)
    if reference in {"mid", "arrival"}:
        raise AllocatorError(f"reference={reference!r} needs bids, which Venue has not: give the price in dollars")
    if isinstance(reference, str) and not decimal(reference, "reference").is_finite():
        raise AllocatorError(f"reference: expected best, touch or a price in dollars, but it had {reference!r}")
    return 2 * nano(reference, "reference")
