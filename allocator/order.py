"""The parent order, the router's parameters, the rules of fills, and the result of an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from allocator.errors import AllocatorError
from allocator.money import INFINITE, NANO, Amount, penalty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]

Side = Literal["buy", "sell"]
Liquidity = Literal["persist", "refresh"]
Leftover = Literal["sweep", "last_ask"]
Reference = Literal["touch", "best", "mid", "arrival"]
COST_REFERENCES: Final = ("touch", "best")
"""The references that are costs of the book themselves."""

Infeasible = Literal["sweep", "wait"]
Pace = Literal["now", "twap", "pov"]
"""How much of an order the router may have sent by a snapshot: all of it, or what a baseline of that name would."""

SIGN: dict[str, int] = {"buy": 1, "sell": -1}
"""A sell is a buy at negated prices; every rule is written once, for the buy."""


@dataclass(frozen=True, slots=True)
class Order:
    """A parent order.

    Attributes
    ----------
    side : str
        ``buy`` or ``sell``.
    size : int
        Shares, above 0.
    start, end : int
        UTC nanoseconds, both included.
    """

    side: Side
    size: int
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.side not in SIGN:
            raise AllocatorError(f"order.side: expected buy or sell, but it had {self.side!r}")
        if self.size <= 0:
            raise AllocatorError(f"order.size: expected 1 share or more, but it had {self.size}")
        if self.start > self.end:
            raise AllocatorError("order.start is after order.end")

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return SIGN[self.side]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that a sweep varies, 1e-9 $ per share; `money.INFINITE` allowed.

    Attributes
    ----------
    lambda_over, lambda_under : int or INFINITE
        Penalty per share bought beyond, or short of, the order (Cont & Kukanov, eq. 3).
    theta_queue : int or INFINITE
        Penalty per share missed either way, for queue risk.
    """

    lambda_over: Amount
    lambda_under: Amount
    theta_queue: Amount

    @classmethod
    def of(
        cls, lambda_over: float | str | Decimal, lambda_under: float | str | Decimal, theta_queue: float | str | Decimal
    ) -> Parameters:
        """From dollars per share.

        Raises
        ------
        AllocatorError
            A value is negative, NaN, or not a number.
        """
        return cls(
            penalty(lambda_over, "lambda_over"),
            penalty(lambda_under, "lambda_under"),
            penalty(theta_queue, "theta_queue"),
        )

    @property
    def tau(self) -> Amount:
        """How much above the reference a share may cost and still be cheaper than missing it, 1e-9 $."""
        return self.lambda_under + self.theta_queue


UNBOUNDED: Final = 2**60
"""Stands for an infinite penalty among integers; beyond any difference of prices, and twice it still fits int64."""


@dataclass(frozen=True, slots=True, eq=False)
class ParameterColumns:
    """The parameters of K combinations as columns, 1e-9 $ per share, `UNBOUNDED` where infinite.

    Attributes
    ----------
    lambda_over, lambda_under, theta_queue : (K,) int64
        As in `Parameters`.
    """

    lambda_over: Int64
    lambda_under: Int64
    theta_queue: Int64

    @classmethod
    def of(cls, parameters: Sequence[Parameters]) -> ParameterColumns:
        """From one `Parameters` per combination."""
        names = cls.__slots__
        columns = ([getattr(combination, name) for combination in parameters] for name in names)
        return cls(*(np.array([bounded(value) for value in column], np.int64) for column in columns))

    def __len__(self) -> int:
        return len(self.lambda_over)

    def __getitem__(self, k: int) -> Parameters:
        return Parameters(*(amount(int(getattr(self, name)[k])) for name in self.__slots__))

    def __iter__(self) -> Iterator[Parameters]:
        return (self[k] for k in range(len(self)))

    def take(self, which: NDArray[np.intp]) -> ParameterColumns:
        """The combinations of these positions."""
        return ParameterColumns(*(getattr(self, name)[which] for name in self.__slots__))

    @property
    def tau(self) -> Int64:
        """(K,) int64, lambda_under + theta_queue."""
        tau: Int64 = np.minimum(self.lambda_under + self.theta_queue, UNBOUNDED)
        return tau

    @property
    def over(self) -> Int64:
        """(K,) int64, lambda_over + theta_queue: the penalty of an excess share."""
        over: Int64 = np.minimum(self.lambda_over + self.theta_queue, UNBOUNDED)
        return over


def bounded(value: Amount) -> int:
    """An amount as an integer, `UNBOUNDED` for infinity."""
    return UNBOUNDED if value == INFINITE else int(value)


def amount(bound: int) -> Amount:
    """The amount that an integer stands for: the inverse of `bounded`."""
    return INFINITE if bound >= UNBOUNDED else bound


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a child order takes to its venue.

    Several choices are drawn from, one for each child order.

    Attributes
    ----------
    default : tuple of int
        Nanoseconds, 0 or more each; of every venue that is not named.
    venues : tuple of (int, tuple of int)
        Publisher ids and the choices of each, nanoseconds.
    seed : int
        Of the draws.
    """

    default: tuple[int, ...] = (0,)
    venues: tuple[tuple[int, tuple[int, ...]], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for choices in (self.default, *(choices for _, choices in self.venues)):
            if not choices or not all(0 <= choice <= LONGEST_LATENCY for choice in choices):
                raise AllocatorError(
                    f"latency: expected 0 to {LONGEST_LATENCY:,} ns, one or more, but it had {list(choices)}"
                )

    def of(self, venues: Iterable[int]) -> tuple[tuple[int, ...], ...]:
        """The choices of each of some publisher ids, nanoseconds."""
        named = dict(self.venues)
        return tuple(named.get(int(venue), self.default) for venue in venues)

    @property
    def delays(self) -> bool:
        """Whether a child order of some venue may arrive after the snapshot that it was sent at."""
        return any(choice for choices in (self.default, *(each for _, each in self.venues)) for choice in choices)


LONGEST_LATENCY: Final = 2**60
"""Nanoseconds, 36 years: the time of a snapshot and this still fit int64 together."""


@dataclass(frozen=True, slots=True)
class MakerFees:
    """What venues charge for shares that a resting order fills, 1e-9 $ per share, negative = a rebate.

    Attributes
    ----------
    default : int
        Of every venue that is not named.
    venues : tuple of (int, int)
        Publisher ids and the fee of each.
    """

    default: int = 0
    venues: tuple[tuple[int, int], ...] = ()

    def of(self, venues: Iterable[int]) -> tuple[int, ...]:
        """The fees of each of some publisher ids, 1e-9 $ per share."""
        named = dict(self.venues)
        return tuple(named.get(int(venue), self.default) for venue in venues)


NEUTRAL: Final = -1
"""In place of a share: of what is cancelled at a price, as much was ahead of an order as of all that stood at it."""

RHO: Final = 185_000_000
"""1e-9 of what leaves a best quote whose price stays that traded: of AAPL at Nasdaq, 2024-08-01 13:36 - 13:45 UTC, as
``python -m tools.traded_share`` measures it on a tape with trades; of what leaves it as the price does, it was .64."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How orders fill, whatever the policy.

    Attributes
    ----------
    liquidity : str
        ``persist``: shares taken stay taken until the venue's price changes. ``refresh``: until it publishes.
    leftover : str
        At the order's last snapshot: ``sweep`` what is available, or buy all the rest at the ``last_ask``.
    unfilled_penalty : int
        1e-9 $ per unfilled share, on top of their value.
    leftover_band : int, optional
        A `sweep` takes nothing dearer than this far above the lowest ask displayed, 1e-9 of that ask, and what it
        leaves is valued there. None = at any distance, valued at the dearest quote.
    latency : Latency
        Of child orders; the leftover rule has none.
    phi : int
        1e-9 of the shares cancelled at the price of an order that rests: how many of them were ahead of it, 0 to 1e9,
        or `NEUTRAL`.
    rho : int
        1e-9 of the shares by which a price's size decreases that were traded, 0 to 1e9, where the tape has no trades.
    maker_fees : MakerFees
        Of what orders that rest fill.
    """

    liquidity: Liquidity
    leftover: Leftover
    unfilled_penalty: int
    leftover_band: int | None = None
    latency: Latency = Latency()
    phi: int = NEUTRAL
    rho: int = RHO
    maker_fees: MakerFees = MakerFees()

    def __post_init__(self) -> None:
        if self.phi != NEUTRAL and not 0 <= self.phi <= NANO:
            raise AllocatorError(f"phi: expected 0 to 1, or neutral, but it had {self.phi / NANO}")
        if not 0 <= self.rho <= NANO:
            raise AllocatorError(f"rho: expected 0 to 1, but it had {self.rho / NANO}")

    @property
    def delayed(self) -> bool:
        """Whether a child order may arrive after the snapshot that it was sent at."""
        return self.latency.delays


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill: snapshot index, venue index, shares, price in 1e-9 $ before the fee."""

    snapshot: int
    venue: int
    shares: int
    price: int


@dataclass(frozen=True, slots=True)
class Execution:
    """The result of an order; money in 1e-9 $, shares whole.

    filled + unfilled - overfilled == size, and total_cash == cash_filled + unfilled_value - overfilled_value.

    Attributes
    ----------
    filled : int
        Shares, the overfilled ones included.
    unfilled, overfilled : int
        Shares.
    cash_filled : int
        Paid for `filled`, fees included; for a sell, received after fees.
    fees : int
        Paid, less rebates; contained in the cash.
    unfilled_value : int
        The value of the unfilled shares.
    overfilled_value : int
        Proceeds of the overfilled shares after fees; for a sell, the cost of buying them back.
    total_cash : int
    fills : tuple of Fill
        Only if asked for.
    """

    filled: int
    unfilled: int
    overfilled: int
    cash_filled: int
    fees: int
    unfilled_value: int
    overfilled_value: int
    total_cash: int
    fills: tuple[Fill, ...] = ()


FIELDS: tuple[str, ...] = (
    "filled",
    "unfilled",
    "overfilled",
    "cash_filled",
    "fees",
    "unfilled_value",
    "overfilled_value",
    "total_cash",
)
"""The integer fields of an `Execution`, in the order of a result row's columns."""


def execution_of(row: Iterable[int]) -> Execution:
    """The execution of a result row, in the order of `FIELDS`."""
    filled, unfilled, overfilled, cash_filled, fees, unfilled_value, overfilled_value, total_cash = row
    return Execution(filled, unfilled, overfilled, cash_filled, fees, unfilled_value, overfilled_value, total_cash)
