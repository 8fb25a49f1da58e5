"""The clairvoyant bound: the least that an order could have cost anybody who knew all quotes beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from allocator.engine import ChildOrder, best_quote, execute, settle, unfilled_price
from allocator.order import UNBOUNDED, Parameters, Rules, execution_of
from allocator.runners import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book
    from allocator.engine import View
    from allocator.order import Execution, Order


def clairvoyant(book: Book, order: Order, rules: Rules, fees: Sequence[int], *, plain: bool = False) -> Execution:
    """Bound what an order can cost: the cheapest of all shares that its span offers. No strategy, it looks ahead.

    A supply is a venue, a price and a spell in which what is taken there stays taken: under `persist` until the venue
    publishes a row without that price, under `refresh` until it publishes any. It begins at the order's first snapshot
    at the earliest, with nothing taken, and holds the largest size that is displayed in it; what is hidden offers
    nothing. With depth all levels are supplies. The bound takes the S cheapest shares of all supplies, and where a
    share costs more than `last`, one at `last` instead.

    Why nothing is below it. A strategy buys at a snapshot at most the size displayed less what it has taken of the
    supply, so of a supply at most the largest size displayed, at that supply's cost. The leftover rule `sweep` buys so,
    too, and each share that is missing then has the same value for every strategy: `last`. Under `last_ask` a share is
    bought at that ask, `last`, if there is one, and none is missing; otherwise none is bought, and `last` is the value
    of a missing one. So the S shares of a strategy are shares of the supplies, none of them twice, and shares at
    `last`; and no S of these are cheaper than the S cheapest. That holds for any prices, fees and rebates, whatever is
    hidden when, and, negated, for sells.

    Only a share that is sold again is outside that argument: the excess of `lots_only`. Where the book is crossed after
    fees (`uncross: false`, or a taker's rebate at locked quotes) it can be sold for more than it cost, and what it so
    earns is beyond the bound. And limit orders that rest are: they buy on the other side of the spread, and what passes
    their price fills them whole, whatever was displayed.

    Why no bound is higher: one who knows the supplies takes just these shares when they are displayed. Without a band
    the leftover rule may still buy deeper levels that cost more than `last`; in that case alone nobody reaches it.

    Parameters
    ----------
    book, order, rules, fees
        As `allocator.simulate.run_combinations`; the order is one that `allocator.runners.check_sums` has not refused.
    plain : bool
        By the reference engine: what an order without end takes.

    Returns
    -------
    Execution
        Of equal costs the shares of the highest venue index are taken first, which tells the fees.

    Raises
    ------
    NoPriceError
        Nothing was ever displayed.
    """
    price, ask = unfilled_price(book, order, rules, fees), _last_ask(book, order, rules)
    if ask is not None:
        venue, signed = ask
        last = signed + fees[venue]
    else:
        last = UNBOUNDED if price is None else price + rules.unfilled_penalty
    shares, cash, paid = (_cheapest_plainly if plain else _cheapest)(book, order, rules, fees, last)
    if ask is not None:
        missing = order.size - shares
        shares, cash, paid = order.size, cash + missing * last, paid + missing * fees[venue]
    return execution_of(settle(order, rules, price, shares, 0, cash, paid, 0))


def _last_ask(book: Book, order: Order, rules: Rules) -> tuple[int, int] | None:
    """The venue and the signed price at which the leftover rule buys without limit; None where it does not."""
    first, past = book.span(order)
    if rules.leftover != "last_ask" or first >= past:
        return None
    prices = [order.sign * px for px in book.price_list(book.take_side(order.side).ticks[past - 1].tolist())]
    venue = best_quote(prices, prices)
    return None if venue is None else (venue, prices[venue])


def _cheapest(book: Book, order: Order, rules: Rules, fees: Sequence[int], last: int) -> tuple[int, int, int]:
    """Shares, signed cash and fees of the cheapest supplies up to the order's size and the cost of `last`."""
    from allocator.kernels import bound

    _, quotes, prices, span = quoted(book, order, rules, fees, book.mid2)
    out = np.zeros(3, np.int64)
    find = bound.cheapest if book.levels is None else bound.cheapest_of_levels
    find(quotes, prices, span, order.size, last, out)
    shares, cash, paid = out.tolist()
    return shares, cash, paid


class _Everything:
    """Takes whatever is available."""

    unit: ClassVar[int] = 1

    def decide(self, view: View, remaining: int, parameters: Parameters) -> list[ChildOrder]:  # noqa: ARG002
        return [ChildOrder(v, shares, view.prices[v]) for v, shares in enumerate(view.available) if shares]


ENDLESS = 2**80
"""Shares that no book offers."""


def _cheapest_plainly(book: Book, order: Order, rules: Rules, fees: Sequence[int], last: int) -> tuple[int, int, int]:
    endless, to_the_end = replace(order, size=ENDLESS), Rules(rules.liquidity, "sweep", 0)
    taken = execute(book, endless, to_the_end, fees, _Everything(), Parameters(0, 0, 0), record=True).fills
    offers = sorted((order.sign * fill.price + fees[fill.venue], -fill.venue, fill.shares) for fill in taken)
    shares = cash = paid = 0
    for cost, venue, offered in offers:
        if cost <= last:
            buys = min(offered, order.size - shares)
            shares, cash, paid = shares + buys, cash + buys * cost, paid + buys * fees[-venue]
    return shares, cash, paid
