"""The cost of one split at one snapshot: Cont & Kukanov, eq. 3, with immediate fills (model section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from allocator.errors import AllocatorError
from allocator.money import INFINITE, NANO, Amount, nano
from allocator.order import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Venue:
    """One venue's ask at one snapshot.

    Parameters
    ----------
    ask : float, str or Decimal
        Dollars; 0 or less = no ask.
    ask_size : int
        Shares available, 0 or more.
    fee : float, str or Decimal
        Taker fee, dollars per share; negative = rebate.
    rebate : float, str or Decimal
        Maker rebate, dollars per share.

    Raises
    ------
    AllocatorError
        A price that is not finite, or a size that is not a whole number of shares.
    """

    ask: float
    ask_size: int
    fee: float = 0.0
    rebate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("ask", "fee", "rebate"):
            nano(getattr(self, name), name)
        whole_shares(self.ask_size, "ask_size")

    @property
    def cost_nano(self) -> int:
        """c = ask + fee, 1e-9 $."""
        return nano(self.ask, "ask") + nano(self.fee, "fee")

    @property
    def available(self) -> int:
        """Shares that can be bought; 0 where there is no ask."""
        return int(self.ask_size) if nano(self.ask, "ask") > 0 else 0


def venues_of_levels(asks: Sequence[tuple[float, int]], fee: float = 0.0, rebate: float = 0.0) -> tuple[Venue, ...]:
    """Make of a venue's levels what `allocate` takes: a supply of its own each, in the same order.

    Parameters
    ----------
    asks : sequence of (float, int)
        Dollars and shares, best first; they end at the first level without either.
    fee, rebate : float, str or Decimal
        Of the venue, as of `Venue`.

    Raises
    ------
    AllocatorError
        As `Venue`; or prices that do not rise from level to level.

    Examples
    --------
    Two levels of one venue, and another venue between them:

    >>> from allocator import Venue, allocate, venues_of_levels
    >>> supplies = [*venues_of_levels([(100.00, 300), (100.02, 500)], fee=0.003), Venue(100.01, 200, fee=0.003)]
    >>> allocate(700, supplies, lambda_over=0.0, lambda_under=0.02, theta_queue=0.0).split
    (300, 200, 200)
    """
    venues = tuple(Venue(ask, shares, fee, rebate) for ask, shares in asks)
    venues = venues[: next((level for level, venue in enumerate(venues) if not venue.available), len(venues))]
    for level, (better, worse) in enumerate(pairwise(venues), 2):
        if worse.cost_nano <= better.cost_nano:
            raise AllocatorError(f"asks: level {level} is {worse.ask} $ behind {better.ask} $; levels rise in price")
    return venues


def whole_shares(value: float, name: str) -> int:
    """A whole number of shares, 0 or more.

    Raises
    ------
    AllocatorError
        Anything else.
    """
    try:
        shares = int(value)
    except (TypeError, ValueError, OverflowError):
        shares = -1
    if isinstance(value, bool) or shares != value or shares < 0:
        raise AllocatorError(f"{name}: expected a whole number of shares, 0 or more, but it had {value!r}")
    return shares


def times(amount: Amount, shares: int) -> Amount:
    """amount * shares; 0 for 0 shares, even at an infinite amount."""
    return amount * shares if shares else 0


def split_cost(
    split: Sequence[int],
    costs: Sequence[int],
    available: Sequence[int],
    rebates: Sequence[int],
    size: int,
    parameters: Parameters,
) -> Amount:
    """The cost of a split in integers.

    Parameters
    ----------
    split, available : sequences of int
        Shares sent to, and available at, each venue.
    costs, rebates : sequences of int
        c_i and r_i, 1e-9 $ per share; costs may be measured from any reference price.
    size : int
        Shares still to buy.
    parameters : Parameters

    Returns
    -------
    int or INFINITE
        1e-9 $.
    """
    executed = [min(sent, shares) for sent, shares in zip(split, available, strict=True)]
    total = sum(executed)
    under, over = max(size - total, 0), max(total - size, 0)
    paid = sum(e * c for e, c in zip(executed, costs, strict=True))
    earned = sum(max(sent - e, 0) * r for sent, e, r in zip(split, executed, rebates, strict=True))
    return (
        paid
        - earned
        + times(parameters.theta_queue, under + over)
        + times(parameters.lambda_under, under)
        + times(parameters.lambda_over, over)
    )


def in_dollars(amount: Amount) -> float:
    """1e-9 $ to dollars, correctly rounded; infinity stays."""
    return INFINITE if amount == INFINITE else amount / NANO


def compute_cost(
    split: Sequence[int],
    venues: Sequence[Venue],
    order_size: int,
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
) -> float:
    """What sending `split` costs, in dollars.

    Parameters
    ----------
    split : sequence of int
        Shares sent to each venue.
    venues : sequence of Venue
    order_size : int
        Shares to buy.
    lambda_over, lambda_under, theta_queue : float
        Dollars per share, 0 or more, infinity allowed.

    Returns
    -------
    float
        sum e_i c_i - sum max(s_i - e_i, 0) r_i + theta (U + O) + lambda_under U + lambda_over O, with
        e_i = min(s_i, a_i), U and O the shares short of and beyond the order.

    Raises
    ------
    AllocatorError
        A split of another length, negative shares, or a parameter that is negative or NaN.
    """
    if len(split) != len(venues):
        raise AllocatorError(f"split: expected {len(venues)} numbers, one per venue, but it had {len(split)}")
    return in_dollars(
        split_cost(
            [whole_shares(sent, "split") for sent in split],
            [venue.cost_nano for venue in venues],
            [venue.available for venue in venues],
            [nano(venue.rebate) for venue in venues],
            whole_shares(order_size, "order_size"),
            Parameters.of(lambda_over, lambda_under, theta_queue),
        )
    )
