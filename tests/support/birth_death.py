"""Fill probabilities of an order in a queue whose orders come, trade and go at given rates; by formula and by matrices.

The setting is that of Cont, Stoikov and Talreja (2010, section 3) with rates that may depend on the state, as Lokin and
Yu (arXiv 2403.02572) have them: unit orders, the best queues of either side, until the other side's queue is empty and
the mid moves. Restated from there: what is wanted, and the transform of a first passage as a continued fraction. Where
what is ahead of the order falls on its own, at rates of the number ahead alone, no transform has to be inverted: the
time to the fill is a sum of exponentials, so that its survival is a sum of exponentials too, and the probability that
it outlasts an independent time is that time's transform at those rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from feed.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rate = Callable[[int], float]

DEEP = 200
"""Where a continued fraction begins, from its end."""


@dataclass(frozen=True, slots=True)
class Flows:
    """What comes to a queue and leaves it: events a second, by the number of orders in it.

    Attributes
    ----------
    limit, market, cancel
        Orders that join the end, that take the front, that go from anywhere.
    """

    limit: Rate
    market: Rate
    cancel: Rate

    def leave(self, orders: int) -> float:
        """Rate at which a queue of so many orders loses one."""
        return self.market(orders) + self.cancel(orders)


def steady(limit: float, market: float, cancel: float) -> Flows:
    """Rates that do not depend on the queue, but for cancels, which are so many for each order."""
    return Flows(lambda _: limit, lambda _: market, lambda orders: cancel * orders)


def weights(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """w with P(sum of exponentials of these rates > t) = sum w exp(-rates t); the rates must differ."""
    others = rates[None, :] - rates[:, None]
    np.fill_diagonal(others, rates)
    return (rates[None, :] / others).prod(axis=1)


def fill_by(ahead: int, leave: Rate, seconds: float) -> float:
    """P(the order fills within so many seconds): `ahead` orders leave one by one, then a market order has to come."""
    rates = np.array([leave(orders) for orders in range(ahead + 1)])
    return float(1 - weights(rates) @ np.exp(-rates * seconds))


def fill_by_matrix(ahead: int, leave: Rate, seconds: float, steps: int = 20) -> float:
    """The same by the generator of the chain: its exponential by scaling and squaring."""
    generator = np.zeros((ahead + 2, ahead + 2))
    for orders in range(ahead + 1):
        generator[orders + 1, orders] = leave(orders)
        generator[orders + 1, orders + 1] = -leave(orders)
    small = generator * seconds / 2**steps
    jump = np.eye(ahead + 2) + small + small @ small / 2
    for _ in range(steps):
        jump = jump @ jump
    return float(jump[ahead + 1, 0])


def empties(orders: int, flows: Flows, s: float) -> float:
    """E exp(-s tau), tau = when a queue of so many orders is first empty: a product of continued fractions."""
    down, passage = 0.0, 1.0
    for level in range(DEEP, 0, -1):
        leave, join = flows.leave(level), flows.limit(level)
        down = leave / (leave + join + s - join * down)
        passage *= down if level <= orders else 1.0
    return passage


def fill_before(ahead: int, leave: Rate, far: int, other: Flows) -> float:
    """P(the order fills before the other side's queue, of `far` orders, is empty)."""
    rates = np.array([leave(orders) for orders in range(ahead + 1)])
    return 1 - sum(weight * empties(far, other, rate) for weight, rate in zip(weights(rates), rates, strict=True))


def fill_before_by_matrix(
    state: tuple[int, int, int], own: Flows, other: Flows, ahead_of_cancels: Callable[[int, int], float], most: int
) -> float:
    """P(fill before the mid moves) from (ahead, behind, other side's queue), by the linear equations of the chain.

    `ahead_of_cancels` is the share of cancels that fall ahead of the order, by the numbers ahead and behind; queues
    behind and of the other side stay at `most` orders.
    """
    states = list(product(range(state[0] + 1), range(most + 1), range(1, most + 1)))
    index = {each: row for row, each in enumerate(states)}
    matrix, filled = np.zeros((len(states), len(states))), np.zeros(len(states))
    for (ahead, behind, far), row in index.items():
        orders = ahead + behind
        share = ahead_of_cancels(ahead, behind) if orders else 0.0
        for rate, after in (
            (own.limit(orders), (ahead, behind + 1, far)),
            (own.cancel(orders) * share, (ahead - 1, behind, far)),
            (own.cancel(orders) * (1 - share), (ahead, behind - 1, far)),
            (own.market(orders), (ahead - 1, behind, far)),
            (other.limit(far), (ahead, behind, far + 1)),
            (other.leave(far), (ahead, behind, far - 1)),
        ):
            if rate == 0 or max(after[1:]) > most:
                continue
            matrix[row, row] += rate
            if after[0] < 0:
                filled[row] += rate
            elif after[2] > 0:
                matrix[row, index[after]] -= rate
    return float(np.linalg.solve(matrix, filled)[index[state]])


@dataclass(frozen=True, slots=True)
class Recorded:
    """Many short markets one after the other as one tape of one venue, whose own orders are not in it.

    Attributes
    ----------
    tape : Tape
    joined, past : (N,) int64
        Snapshots at which each begins, and at which the ask has moved.
    """

    tape: Tape
    joined: NDArray[np.int64]
    past: NDArray[np.int64]


PRICE, CENT, LOWER = 100 * 10**9, 10**7, 5
"""Of the bid; 1e-9 $. Orders that rest a cent below it."""


def record(seed: int, markets: int, start: tuple[int, int], own: Flows, other: Flows, unit: int) -> Recorded:
    """Markets of `start` orders at the bid and at the ask, until the ask moves; an order is of `unit` shares.

    Where the bid's queue is empty its venue shows the price below, and who sells trades there. A market also ends as
    soon as so many have sold that whoever stood behind the first orders is filled, whatever was cancelled.
    """
    rng = Random(seed)
    ts, rows, prints, joined, past = 10**18, [], [], [], []

    def row(bid: int, ask: int) -> None:
        shown = (PRICE, bid) if bid else (PRICE - CENT, LOWER)
        rows.append((ts, shown[0], shown[1] * unit, PRICE + (1 if ask else 2) * CENT, (ask or LOWER) * unit))

    for _ in range(markets):
        bid, ask = start
        ts, sold = ts + 10**12, 0
        joined.append(len(rows))
        row(bid, ask)
        while ask and sold <= start[0]:
            rates = [own.limit(bid), own.cancel(bid), own.market(bid), other.limit(ask), other.leave(ask)]
            ts += 1 + int(rng.expovariate(sum(rates)) * 1e9)
            (kind,) = rng.choices(range(5), rates)
            if kind == 2:
                prints.append((ts, PRICE if bid else PRICE - CENT))
                sold += 1
            bid += (1, -1, -1 if bid else 0, 0, 0)[kind]
            ask += (0, 0, 0, 1, -1)[kind]
            row(bid, ask)
        past.append(len(rows) if ask else len(rows) - 1)
    columns = dict(zip(("ts", "bid_px", "bid_sz", "ask_px", "ask_sz"), np.array(rows).T, strict=True))
    at, px = np.array(prints).T
    tape = Tape.build(
        "ONE",
        **columns,
        venue=np.full(len(rows), 1),
        sequence=np.arange(len(rows)),
        trades={
            "ts": at,
            "venue": np.full(len(at), 1),
            "px": px,
            "sz": np.full(len(at), unit),
            "side": np.full(len(at), -1),
            "sequence": np.arange(len(at)),
        },
    )
    return Recorded(tape, np.array(joined), np.array(past))
