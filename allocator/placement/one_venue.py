"""One venue: the explicit optimum of Cont and Kukanov's proposition 3, for any distribution of the outflow."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Protocol

from allocator.errors import AllocatorError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.placement.cost import Costs


class Distribution(Protocol):
    """Of the shares that leave the front of a queue."""

    def cdf(self, shares: int, /) -> float | Fraction:
        """F(shares): the probability of no more than that."""
        ...

    def quantile(self, probability: Fraction, /) -> float:
        """The least number of shares of which F is at least the probability, which lies between 0 and 1."""
        ...


class Empirical:
    """The distribution of equally likely samples; exact.

    Parameters
    ----------
    samples : iterable of int
        Shares.

    Raises
    ------
    AllocatorError
        There is no sample.
    """

    def __init__(self, samples: Iterable[int]) -> None:
        self._sorted = sorted(int(each) for each in samples)
        if not self._sorted:
            raise AllocatorError("samples: expected one or more, but it had none")

    def cdf(self, shares: int) -> Fraction:
        """F(shares)."""
        return Fraction(bisect_right(self._sorted, shares), len(self._sorted))

    def quantile(self, probability: Fraction) -> int:
        """F^-1(probability)."""
        return self._sorted[max(ceil(probability * len(self._sorted)), 1) - 1]


def one_venue(costs: Costs, size: int, queue: int, distribution: Distribution) -> tuple[float, float]:
    """Split an order between the market and one queue: M and L, M + L = S, that minimise the expected cost.

    A share that moves from the market order to the end of the limit order saves 2h + f + r where it fills; where it
    does not, it has lost nothing but lambda_under + theta - h - f. So the limit order grows while F(Q + L) is below
    p = (2h + f + r) / (lambda_under + h + r + theta), and L = F^-1(p) - Q within 0 <= L <= S. lambda_over plays no
    part: never more than S is sent.

    Parameters
    ----------
    costs : Costs
        With one rebate.
    size, queue : int
        S, and Q ahead of the limit order; shares.
    distribution : Distribution
        F of the outflow; where its quantiles are whole, so are the orders.

    Returns
    -------
    (M, L)
        Of equally cheap splits the one with the least limit order.

    Raises
    ------
    AllocatorError
        Several venues, or lambda_under + h + r + theta is not above 0 (A1 makes sure that it is).
    """
    if len(costs.rebates) != 1:
        raise AllocatorError(f"costs: expected one rebate, but it had {len(costs.rebates)}")
    saved, missed = costs.taking + costs.gains[0], costs.under + costs.theta + costs.gains[0]
    if missed <= 0:
        raise AllocatorError(f"costs: expected lambda_under + h + r + theta above 0, but it had {missed}")
    p = Fraction(saved, missed)
    if distribution.cdf(queue) >= p:
        return size, 0
    if distribution.cdf(queue + size) < p:
        return 0, size
    limit = distribution.quantile(p) - queue
    return size - limit, limit
