"""The reference fill engine: plain Python, one snapshot at a time, whole numbers only. Kernels are tested against it.

Prices inside are signed (model section 5): a sell is a buy at negated prices, so each rule is written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from allocator.errors import FractionLeftError, IllegalOrderError, NoPriceError
from allocator.flight import Child, Flight
from allocator.money import NANO, divide_half_even
from allocator.order import FIELDS, Fill, execution_of
from allocator.pace import TARGETS
from allocator.splits import by_cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from allocator.book import Book, SideLevels, TakeSide
    from allocator.order import Execution, Order, Pace, Parameters, Rules


@dataclass(frozen=True, slots=True)
class View:
    """What a policy sees at one snapshot: S supplies, which are the venues, or with depth the levels of each in turn.

    Attributes
    ----------
    snapshot : int
        Index into the book.
    prices, costs : (S,) tuples of int
        Signed price, and c = signed price + taker fee, 1e-9 $; only valid where something is displayed, price 0 where
        nothing is.
    available : (S,) tuple of int
        Shares (in units, see `Policy`) that can be taken; 0 where nothing is displayed. Of the participation of
        what is displayed, those that are not taken, and that children in flight would not take.
    displayed : (S,) tuple of int
        The same, whatever is taken of it.
    touch : int, optional
        The lowest cost displayed, whatever is taken of it, 1e-9 $; None where nothing is displayed.
    mid2 : int, optional
        Twice the consolidated mid, signed; None where the book is one-sided.
    arrival2 : int, optional
        Twice the arrival mid, signed; None before there is one.
    can_sell_back : bool
        Whether the other side shows a quote.
    """

    snapshot: int
    prices: tuple[int, ...]
    costs: tuple[int, ...]
    available: tuple[int, ...]
    displayed: tuple[int, ...]
    touch: int | None
    mid2: int | None
    arrival2: int | None
    can_sell_back: bool


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """What a policy sends: shares (in units) to a supply of the `View`, at no worse than a signed limit price."""

    venue: int
    shares: int
    limit: int
    kind: Literal["taker", "maker"] = "taker"


class Policy(Protocol):
    """Decides at each snapshot from what it sees.

    Attributes
    ----------
    unit : int, optional
        Quantities are counted in 1/unit of a share; 1 where a policy has none, and except for schedules with fractional
        slices.
    participation, schedule : optional
        As of `allocator.policies.Static`: the engine keeps to them, whatever decides. All, and ``now``, where a policy
        has none.
    """

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """The orders to send now; together they may exceed `remaining` only if the excess can be sold back."""


def unit_of(policy: Policy) -> int:
    """The units of a share that a policy counts in."""
    return int(getattr(policy, "unit", 1))


def unfilled_price(book: Book, order: Order, rules: Rules, fees: Sequence[int]) -> int | None:
    """What an unfilled share is worth before the penalty, signed, 1e-9 $.

    Of the last snapshot up to the order's end that displays a quote: the highest c, or, under a `leftover_band`, the
    band's edge and the dearest fee of a venue that displays one.
    """
    side = book.take_side(order.side)
    for t in range(book.span(order)[1] - 1, -1, -1):
        if side.shown[t].any():
            shown = [
                (side.sign * px, fee)
                for px, fee in zip(book.price_list(side.ticks[t].tolist()), fees, strict=True)
                if px
            ]
            edge = band_edge(min(px for px, _ in shown), rules)
            return max(px + fee for px, fee in shown) if edge is None else edge + max(fee for _, fee in shown)
    return None


def band_edge(touch: int, rules: Rules) -> int | None:
    """The dearest signed price that the leftover rule takes, where the lowest displayed is `touch`; None = any."""
    if rules.leftover != "sweep" or rules.leftover_band is None:
        return None
    edge = divide_half_even(abs(touch) * (NANO + (rules.leftover_band if touch > 0 else -rules.leftover_band)), NANO)
    return edge if touch > 0 else -edge


def leftover_edge(book: Book, order: Order, rules: Rules) -> int | None:
    """`band_edge` at the order's last snapshot; None also where nothing is displayed there."""
    first, past = book.span(order)
    side = book.take_side(order.side)
    if first >= past or not side.shown[past - 1].any():
        return None
    return band_edge(min(side.sign * px for px in book.price_list(side.ticks[past - 1].tolist()) if px), rules)


def settle(order: Order, rules: Rules, price: int | None, *filled_rows: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Turn sums of fills into the fields of an `Execution`; for integers and int64 columns alike.

    Parameters
    ----------
    order, rules : Order, Rules
    price : int, optional
        `unfilled_price`.
    *filled_rows : five of int or (K,) int64
        Shares filled; how many of them exceed the order; signed cash paid for the filled; fees paid; signed cash
        received for the excess. Money in 1e-9 $.

    Raises
    ------
    NoPriceError
        Shares are left unfilled and nothing was ever displayed.
    """
    filled, over, cash, fees, over_cash = filled_rows
    sign = order.sign
    unfilled = order.size - filled + over
    if price is None:
        if np.any(unfilled):
            raise NoPriceError(
                f"no {'ask' if sign > 0 else 'bid'} was displayed up to the order's end, so that its unfilled shares "
                "have no value; choose a window in which the stream has quotes that stub_band does not hide"
            )
        price = 0
    unfilled_value = sign * unfilled * (price + rules.unfilled_penalty)
    cash, over_cash = sign * cash, sign * over_cash
    return filled, unfilled, over, cash, fees, unfilled_value, over_cash, cash + unfilled_value - over_cash


def as_row(execution: Execution) -> tuple[int, ...]:
    """The integer fields of an execution, in the order of a result row's columns."""
    return tuple(getattr(execution, name) for name in FIELDS)


def in_shares(unit: int, filled: int, over: int, cash: int, fees: int, over_cash: int) -> tuple[int, ...]:
    """Convert units to whole shares, and money per unit to 1e-9 $, half-even.

    Raises
    ------
    FractionLeftError
        The units filled are not whole shares.
    """
    if filled % unit:
        raise FractionLeftError(f"{filled}/{unit} shares were filled")
    return filled // unit, over // unit, *(divide_half_even(money, unit) for money in (cash, fees, over_cash))


def best_other(row: Sequence[int], fees: Sequence[int], sign: int) -> tuple[int, int] | None:
    """Signed proceeds per share (after the fee) at the best opposite quote, and that fee; None where there is none.

    Among equal prices the lowest publisher id wins.
    """
    shown = [v for v, px in enumerate(row) if px]
    if not shown:
        return None
    best = max(shown, key=lambda v: (sign * row[v], -v))
    return sign * row[best] - fees[best], fees[best]


def execute(
    book: Book,
    order: Order,
    rules: Rules,
    fees: Sequence[int],
    policy: Policy,
    parameters: Parameters,
    *,
    record: bool = False,
    acting: NDArray[np.intp] | None = None,
) -> Execution:
    """Run one order through the book.

    At each snapshot the children that arrive take what they can, in the order in which they were sent; then the policy
    decides on what is neither bought nor in flight, and due; at the last one the leftover rule buys the rest. A
    decision makes one child for each venue. One without latency takes what was decided on; any other takes the best
    prices that its venue then shows, up to the dearest that was decided on, and what it does not get is missing again.

    Parameters
    ----------
    book : Book
    order : Order
    rules : Rules
    fees : (V,) sequence of int
        Taker fee of each venue of the book, 1e-9 $ per share.
    policy : Policy
    parameters : Parameters
    record : bool
        Keep every fill.
    acting : (N,) intp, optional
        The only snapshots at which the policy sends anything, ascending; the others are passed over.

    Raises
    ------
    NoPriceError
        Shares are left unfilled and nothing was ever displayed.
    FractionLeftError
        A schedule of fractional slices ends on a part of a share.
    AllocatorError
        A policy sends more than is available, or a passive order, which this engine does not fill.
    """
    side, unit, sign = book.take_side(order.side), unit_of(policy), order.sign
    first, past = book.span(order)
    arrival_at, arrival2 = book.arrival(order)
    shown = FirstLevels(book, side, rules) if side.levels is None else AllLevels(book, side.levels, rules)
    paying = [fee for fee in fees for _ in range(book.depth)]
    account, flight = Account(order.size * unit, shown, paying), Flight(book, rules.latency)
    share = getattr(policy, "participation", NANO)
    pace: Pace = getattr(policy, "schedule", "now")
    targets = None if pace == "now" else TARGETS[pace](book, order).tolist()
    steps: Iterable[int] = range(first, past)
    if acting is not None and not rules.delayed:
        steps = sorted({*acting.tolist(), *range(max(first, past - 1), past)})
    shown.begin(first)

    for t in steps:
        displayed, sizes, taken = shown.look(t)
        prices = [sign * px for px in displayed]
        costs = [px + fee for px, fee in zip(prices, paying, strict=True)]
        offered = [sz * unit if px else 0 for px, sz in zip(displayed, sizes, strict=True)]
        left = [max(size - shares, 0) for size, shares in zip(offered, taken, strict=True)]
        other = best_other(book.price_list(side.other_ticks[t].tolist()), fees, sign)
        offer = Offer(t, displayed, costs, left, other)

        for arrived in flight.arriving(t):
            # what could not be sold back is not bought
            within = arrived if other else replace(arrived, shares=min(arrived.shares, account.missing))
            for s, shares in within.takes(prices, left, book.depth):
                account.buy(offer, s, shares)
            account.sell_back(offer)
            if not account.missing:
                break

        due = account.size if targets is None else targets[t - first] * unit
        remaining = due - account.bought - flight.shares
        if account.missing and remaining > 0:
            caps = [size * share // NANO for size in offered]
            spared = flight.leave(prices, left, book.depth)
            free = [max(cap - size + rest, 0) for cap, size, rest in zip(caps, offered, spared, strict=True)]
            mid2 = int(book.mid2[t])
            view = View(
                t,
                tuple(prices),
                tuple(costs),
                tuple(free),
                tuple(offered),
                min((c for c, px in zip(costs, displayed, strict=True) if px), default=None),
                sign * mid2 if mid2 else None,
                sign * arrival2 if t >= arrival_at else None,
                other is not None,
            )
            children = _checked(policy.decide(view, remaining, parameters), free)
            venues = sorted({child.venue // book.depth for child in children})
            arrivals = {v: flight.arrival(t, v) for v in venues}
            for child in children:
                if arrivals[child.venue // book.depth] == t and prices[child.venue] <= child.limit:
                    account.buy(offer, child.venue, child.shares)
            for v in venues:
                sent = [child for child in children if child.venue // book.depth == v]
                if arrivals[v] > t:
                    flight.send(
                        Child(v, sum(child.shares for child in sent), max(child.limit for child in sent)), arrivals[v]
                    )
            account.sell_back(offer)
        if t == past - 1 and account.missing:
            for s, shares in leftover_orders(prices, costs, left, account.missing, rules):
                account.buy(offer, s, shares)
        if not account.missing:
            break

    sums = account.filled, account.over, account.cash, account.paid, account.over_cash
    row = settle(order, rules, unfilled_price(book, order, rules, fees), *in_shares(unit, *sums))
    fills = (Fill(t, s // book.depth, shares, px) for t, s, shares, px in account.fills if record)
    return replace(execution_of(row), fills=tuple(fills))


@dataclass(frozen=True, slots=True)
class Offer:
    """What a snapshot offers.

    Attributes
    ----------
    snapshot : int
    displayed, costs : (S,) sequences of int
        Prices, 0 = none; signed c; 1e-9 $.
    left : (S,) list of int
        Units that are left of each supply, kept up to date while they are bought.
    other : tuple of int, optional
        `best_other`.
    """

    snapshot: int
    displayed: Sequence[int]
    costs: Sequence[int]
    left: list[int]
    other: tuple[int, int] | None


@dataclass(slots=True)
class Account:
    """What an order of some units has bought, in units, and what that cost: signed money, 1e-9 $ times units."""

    size: int
    shown: FirstLevels | AllLevels
    paying: Sequence[int]
    filled: int = 0
    over: int = 0
    cash: int = 0
    paid: int = 0
    over_cash: int = 0
    fills: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def bought(self) -> int:
        """Less what was sold back."""
        return self.filled - self.over

    @property
    def missing(self) -> int:
        """To the order; below 0 until the excess is sold back."""
        return self.size - self.bought

    def buy(self, offer: Offer, s: int, shares: int) -> None:
        """Take units of a supply."""
        offer.left[s] -= shares
        self.shown.take(s, shares)
        self.filled += shares
        self.cash += shares * offer.costs[s]
        self.paid += shares * self.paying[s]
        if shares:
            self.fills.append((offer.snapshot, s, shares, offer.displayed[s]))

    def sell_back(self, offer: Offer) -> None:
        """Sell what exceeds the order at the best quote of the other side."""
        excess = -self.missing
        if excess <= 0:
            return
        if offer.other is None:
            raise IllegalOrderError("a policy exceeded the order with nowhere to sell the excess")
        self.over += excess
        self.over_cash += excess * offer.other[0]
        self.paid += excess * offer.other[1]


def _checked(children: Iterable[ChildOrder], available: Sequence[int]) -> list[ChildOrder]:
    """What a policy sends, if an engine without queues can fill it and so much is available."""
    sent, left = [child for child in children if child.shares], list(available)
    for child in sent:
        if child.kind != "taker":
            raise IllegalOrderError("a passive order needs an engine that keeps queues")
        if type(child.shares) is not int or type(child.venue) is not int:
            raise IllegalOrderError(f"a policy sent {child.shares!r:.40} to {child.venue!r:.40}: expected two int")
        if not 0 <= child.venue < len(left):
            raise IllegalOrderError(f"a policy sent to supply {child.venue}, and there are {len(left)}")
        if not 0 < child.shares <= left[child.venue]:
            raise IllegalOrderError(f"a policy sent {child.shares} units where {left[child.venue]} are available")
        left[child.venue] -= child.shares
    return sent


class FirstLevels:
    """What the venues of a book display, and what an order has taken of it."""

    def __init__(self, book: Book, side: TakeSide, rules: Rules) -> None:
        self._book, self._side = book, side
        self._resets = side.moved if rules.liquidity == "persist" else book.published
        self._taken = [0] * len(book.venues)
        self._seen = 0

    def begin(self, first: int) -> None:
        """Start at a snapshot, with nothing taken."""
        self._seen = first

    def look(self, t: int) -> tuple[list[int], list[int], list[int]]:
        """Prices displayed at a snapshot, 1e-9 $, 0 = none; shares displayed; units taken of them."""
        reset = self._book.flags_of(np.bitwise_or.reduce(self._resets[self._seen : t + 1])).tolist()
        self._taken = [0 if back else shares for back, shares in zip(reset, self._taken, strict=True)]
        self._seen = t + 1
        return self._book.price_list(self._side.ticks[t].tolist()), self._side.sz[t].tolist(), self._taken

    def take(self, v: int, shares: int) -> None:
        """Take units of a venue."""
        self._taken[v] += shares


class AllLevels:
    """The same of all levels, venue after venue; what is taken is kept by venue and price (model section 6)."""

    def __init__(self, book: Book, levels: SideLevels, rules: Rules) -> None:
        self._book, self._levels, self._persist = book, levels, rules.liquidity == "persist"
        self._depth = book.depth
        self._taken: list[dict[int, int]] = [{} for _ in book.venues]
        self._at, self._shown = [-1] * len(book.venues), [0] * (len(book.venues) * book.depth)
        self._seen = 0

    def begin(self, first: int) -> None:
        """Start at a snapshot, with nothing taken."""
        self._seen = first

    def look(self, t: int) -> tuple[list[int], list[int], list[int]]:
        """Prices, shares and units taken, as above, level after level of each venue."""
        for now in range(self._seen, t + 1):
            for v, row in enumerate(self._levels.rows[now].tolist()):
                if row != self._at[v]:
                    published = self._levels.ticks[row].tolist() if self._persist else ()
                    self._taken[v] = {px: shares for px, shares in self._taken[v].items() if px in published}
                    self._at[v] = row
        self._seen = t + 1
        ticks: list[int] = []
        sizes: list[int] = []
        for row, count in zip(self._at, self._levels.count[t].tolist(), strict=True):
            hidden = [0] * (self._depth - count)
            ticks += [*(self._levels.ticks[row, :count].tolist() if count else ()), *hidden]
            sizes += [*(self._levels.sz[row, :count].tolist() if count else ()), *hidden]
        self._shown = ticks
        taken = [self._taken[i // self._depth].get(each, 0) for i, each in enumerate(ticks)]
        return self._book.price_list(ticks), sizes, taken

    def take(self, v: int, shares: int) -> None:
        """Take units of a supply."""
        taken, ticks = self._taken[v // self._depth], self._shown[v]
        taken[ticks] = taken.get(ticks, 0) + shares


def leftover_orders(
    prices: Sequence[int], costs: Sequence[int], left: Sequence[int], missing: int, rules: Rules
) -> list[tuple[int, int]]:
    """Supplies, and the units of each, that complete a parent order at its last snapshot; price 0 = none displayed."""
    if rules.leftover == "last_ask":  # whatever size is displayed
        supply = best_quote(prices, prices)
        return [] if supply is None else [(supply, missing)]
    edge = band_edge(min((px for px in prices if px), default=0), rules)
    orders = []
    for s in by_cost(costs, left):
        if edge is None or prices[s] <= edge:
            orders.append((s, min(left[s], missing)))
            missing -= orders[-1][1]
    return orders


def best_quote(prices: Sequence[int], shown: Sequence[float]) -> int | None:
    """The venue with the lowest signed price among those shown, the lowest index first; fees play no part."""
    return min((v for v, is_shown in enumerate(shown) if is_shown), key=lambda v: (prices[v], v), default=None)
