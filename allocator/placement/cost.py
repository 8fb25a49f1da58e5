"""The cost of market and limit orders at several venues (Cont and Kukanov, arXiv 1210.1625, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.errors import AllocatorError
from allocator.money import SUM_LIMIT, nano

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]

ASSUMPTIONS: Final = {
    "A1": "a passive fill costs more than the mid: h + min r is not above 0",
    "A2": "shares too many are cheap: lambda_over is not above h + max r, so that more limit orders may always pay",
    "A3": "shares missing are cheap: lambda_under is not above h + f, so that not to buy at all may be best",
}
"""What the paper assumes of its parameters, as it reads where it does not hold."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Prices of the model, per share and relative to the mid; whole numbers of any one unit of money.

    Attributes
    ----------
    half_spread, fee : int
        h, and f of the cheapest venue to take at.
    rebates : tuple of int
        r_k of each venue: the maker rebate, less what fills there lose to adverse selection.
    theta : int
        Impact of a share that is sent, at once or at the end; 0 or more.
    under, over : int
        lambda_under and lambda_over, of a share missing at the end and of one too many; 0 or more.

    Raises
    ------
    AllocatorError
        One of the last three is below 0.
    """

    half_spread: int
    fee: int
    rebates: tuple[int, ...]
    theta: int
    under: int
    over: int

    def __post_init__(self) -> None:
        for name in ("theta", "under", "over"):
            if getattr(self, name) < 0:
                raise AllocatorError(f"{name}: expected 0 or more, but it had {getattr(self, name)}")

    @classmethod
    def of_dollars(
        cls,
        *,
        half_spread: float | str | Decimal,
        fee: float | str | Decimal,
        rebates: Sequence[float | str | Decimal],
        theta: float | str | Decimal = 0,
        under: float | str | Decimal,
        over: float | str | Decimal,
    ) -> Costs:
        """Read dollars per share into 1e-9 $, as `allocator.money.nano`.

        Raises
        ------
        AllocatorError
            No amount of money, or one below 0 that may not be.
        """
        return cls(
            nano(half_spread, "half_spread"),
            nano(fee, "fee"),
            tuple(nano(each, "rebates") for each in rebates),
            nano(theta, "theta"),
            nano(under, "under"),
            nano(over, "over"),
        )

    @property
    def gains(self) -> tuple[int, ...]:
        """h + r_k, by which a passive fill at each venue is better than the mid."""
        return tuple(self.half_spread + each for each in self.rebates)

    @property
    def taking(self) -> int:
        """h + f, by which a market order is worse than the mid."""
        return self.half_spread + self.fee


def violated(costs: Costs) -> tuple[str, ...]:
    """Name the assumptions of the paper that do not hold; its propositions are proven where all do.

    A1: h + min r > 0. A2: lambda_over > h + max r. A3: lambda_under > h + f. `ASSUMPTIONS` has the words to each.
    """
    return unmet(costs.gains, costs.taking, costs.under, costs.over)


def unmet(gains: Sequence[int], taking: int | None, under: int, over: int) -> tuple[str, ...]:
    """The same of gains h + r_k, and of h + f, None where nothing can be taken; the penalties in the same unit."""
    holds = {
        "A1": min(gains, default=1) > 0,
        "A2": not gains or over > max(gains),
        "A3": taking is None or under > taking,
    }
    return tuple(name for name, true in holds.items() if not true)


def passed(outflows: Int64, queues: Sequence[int]) -> Int64:
    """u_k = max(xi_k - Q_k, 0): shares that pass the front of our place behind each queue.

    Parameters
    ----------
    outflows : (K, n) int64
        xi: shares that leave the front of each queue, in each of n samples.
    queues : sequence of K int
        Q: shares ahead of us.
    """
    through: Int64 = np.maximum(outflows - np.asarray(queues, np.int64)[:, None], 0)
    return through


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """An order that is to be placed, and samples of what its limit orders would meet.

    Attributes
    ----------
    costs : Costs
    size : int
        S, shares.
    through : (K, n) int64
        As `passed`, each column one joint sample.
    offered : tuple of (int, int)
        What a market order can buy: shares, and the cost of each of them relative to the mid, the fee included;
        ascending in cost. One step of `size` shares at h + f where the model has it so.

    Raises
    ------
    AllocatorError
        Shapes that do not fit, a step that is cheaper than the one before, or sums beyond int64.
    """

    costs: Costs
    size: int
    through: Int64
    offered: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if self.size < 0:
            raise AllocatorError(f"size: expected 0 or more shares, but it had {self.size}")
        if self.through.ndim != 2 or self.through.shape[0] != len(self.costs.rebates):
            raise AllocatorError(
                f"through: expected a row for each of {len(self.costs.rebates)} venues, but its shape is "
                f"{self.through.shape}"
            )
        if self.through.shape[1] == 0:
            raise AllocatorError("through: expected a sample or more, but it had none")
        if self.through.min(initial=0) < 0:
            raise AllocatorError(f"through: expected 0 or more shares, but it had {self.through.min()}")
        steps = [cost for _, cost in self.offered]
        if steps != sorted(steps) or any(shares < 0 for shares, _ in self.offered):
            raise AllocatorError("offered: expected sizes of 0 or more, ascending in cost")
        costs = self.costs
        dearest, greatest = (max(map(abs, each), default=0) for each in (steps, costs.gains))
        amounts = dearest + costs.under + self.orders * (greatest + costs.theta + costs.over)
        if self.size * self.samples * amounts >= SUM_LIMIT:
            raise AllocatorError("size: the sum of its costs over all samples is beyond what is kept exactly")

    @property
    def samples(self) -> int:
        """n."""
        return int(self.through.shape[1])

    @property
    def orders(self) -> int:
        """K + 1."""
        return 1 + len(self.costs.rebates)

    @property
    def most(self) -> int:
        """Shares that a market order can buy, at most `size`."""
        return min(self.size, sum(shares for shares, _ in self.offered))

    def swept(self, shares: int) -> int:
        """What a market order costs."""
        total = 0
        for offered, cost in self.offered:
            total += min(offered, shares) * cost
            shares -= min(offered, shares)
        return total

    def allows(self, x: Sequence[int]) -> bool:
        """Whether 0 <= M <= S, 0 <= L_k <= S - M, M + sum L_k >= S, and the market has M."""
        market, *limits = x
        return (
            0 <= market <= self.most and sum(x) >= self.size and all(0 <= each <= self.size - market for each in limits)
        )

    def each(self, x: Sequence[int]) -> Int64:
        """v(X, xi) of every sample; (n,) int64.

        Parameters
        ----------
        x : sequence of K + 1 int
            (M, L_1 .. L_K), shares.
        """
        market, *limits = x
        costs, rows = self.costs, np.asarray(limits, np.int64)[:, None]
        fills = np.minimum(self.through, rows)
        bought = market + fills.sum(0)
        short, excess = np.maximum(self.size - bought, 0), np.maximum(bought - self.size, 0)
        earned = np.asarray(costs.gains, np.int64) @ fills
        sent = costs.theta * (sum(x) + short)
        value: Int64 = self.swept(market) - earned + sent + costs.under * short + costs.over * excess
        return value

    def total(self, x: Sequence[int]) -> int:
        """The sum of v(X, xi) over all samples: n times the sample average V."""
        return int(self.each(x).sum())
