"""The reference fill engine: plain Python, one snapshot at a time, whole numbers only. Kernels are tested against it.

Prices inside are signed (model section 5): a sell is a buy at negated prices, so each rule is written once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from allocator.errors import AllocatorError, FractionLeftError, NoPriceError
from allocator.money import NANO, divide_half_even
from allocator.order import FIELDS, Fill, execution_of
from allocator.splits import by_cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from allocator.book import Book, SideLevels, TakeSide
    from allocator.order import Execution, Order, Parameters, Rules


@dataclass(frozen=True, slots=True)
class View:
    """What a policy sees at one snapshot: S supplies, which are the venues, or with depth the levels of each in turn.

    Attributes
    ----------
    snapshot : int
        Index into the book.
    prices, costs : (S,) sequences of int
        Signed price, and c = signed price + taker fee, 1e-9 $; only valid where something is displayed, price 0 where
        nothing is.
    available : (S,) sequence of int
        Shares (in units, see `Policy.unit`) that can be taken; 0 where nothing is displayed.
    displayed : (S,) sequence of int
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
    prices: Sequence[int]
    costs: Sequence[int]
    available: Sequence[int]
    displayed: Sequence[int]
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
    unit : int
        Quantities are counted in 1/unit of a share; 1 except for schedules with fractional slices.
    """

    @property
    def unit(self) -> int: ...  # noqa: D102

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """The orders to send now; together they may exceed `remaining` only if the excess can be sold back."""


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
    side, unit, sign = book.take_side(order.side), policy.unit, order.sign
    first, past = book.span(order)
    arrival_at, arrival2 = book.arrival(order)
    shown = _FirstLevels(book, side, rules) if side.levels is None else _AllLevels(book, side.levels, rules)
    paying = [fee for fee in fees for _ in range(book.depth)]
    remaining = order.size * unit
    filled = over = cash = paid = over_cash = 0
    fills = []
    steps = range(first, past) if acting is None else sorted({*acting.tolist(), *range(max(first, past - 1), past)})
    shown.begin(first)

    for t in steps:
        displayed, sizes, taken = shown.look(t)
        prices = [sign * px for px in displayed]
        costs = [px + fee for px, fee in zip(prices, paying, strict=True)]
        offered = [sz * unit if px else 0 for px, sz in zip(displayed, sizes, strict=True)]
        available = [max(size - shares, 0) for size, shares in zip(offered, taken, strict=True)]
        mid2 = int(book.mid2[t])
        other = best_other(book.price_list(side.other_ticks[t].tolist()), fees, sign)
        view = View(
            t,
            prices,
            costs,
            available,
            offered,
            min((c for c, px in zip(costs, displayed, strict=True) if px), default=None),
            sign * mid2 if mid2 else None,
            sign * arrival2 if t >= arrival_at else None,
            other is not None,
        )
        children = list(policy.decide(view, remaining, parameters))
        if t == past - 1:
            children += _leftover(view, remaining - sum(child.shares for child in children), children, rules)
        for child in children:
            v = child.venue
            if child.kind != "taker":
                raise AllocatorError("a passive order needs an engine that keeps queues")
            if child.shares < 0 or (child.shares > available[v] and child.limit != LAST_ASK):
                raise AllocatorError(f"a policy sent {child.shares} units where {available[v]} are available")
            if child.limit != LAST_ASK and prices[v] > child.limit:
                continue
            available[v] -= child.shares
            shown.take(v, child.shares)
            filled += child.shares
            cash += child.shares * costs[v]
            paid += child.shares * paying[v]
            remaining -= child.shares
            if record and child.shares:
                fills.append(Fill(t, v // book.depth, child.shares, displayed[v]))
        if remaining < 0:
            if other is None:
                raise AllocatorError("a policy exceeded the order with nowhere to sell the excess")
            over -= remaining
            over_cash -= remaining * other[0]
            paid -= remaining * other[1]
            remaining = 0
        if remaining == 0:
            break

    row = settle(
        order, rules, unfilled_price(book, order, rules, fees), *in_shares(unit, filled, over, cash, paid, over_cash)
    )
    return replace(execution_of(row), fills=tuple(fills))


class _FirstLevels:
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


class _AllLevels:
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


LAST_ASK = 2**62
"""The limit price of an order that the last-ask rule fills, whatever size is displayed."""


def _leftover(view: View, missing: int, sent: Sequence[ChildOrder], rules: Rules) -> list[ChildOrder]:
    """The orders that complete a parent order at its last snapshot."""
    if missing <= 0:
        return []
    if rules.leftover == "last_ask":
        venue = best_quote(view.prices, [bool(price) for price in view.prices])
        return [] if venue is None else [ChildOrder(venue, missing, LAST_ASK)]
    available = list(view.available)
    for child in sent:
        available[child.venue] -= child.shares
    touch = min((px for px in view.prices if px), default=0)
    edge = band_edge(touch, rules)
    orders = []
    for v in by_cost(view.costs, available):
        if edge is not None and view.prices[v] > edge:
            continue
        orders.append(ChildOrder(v, min(available[v], missing), view.prices[v]))
        missing -= orders[-1].shares
    return orders


def best_quote(prices: Sequence[int], shown: Sequence[float]) -> int | None:
    """The venue with the lowest signed price among those shown, the lowest index first; fees play no part."""
    return min((v for v, is_shown in enumerate(shown) if is_shown), key=lambda v: (prices[v], v), default=None)
