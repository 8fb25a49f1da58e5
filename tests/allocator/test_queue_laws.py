"""Queues of known laws: closed forms of the birth-death chain, and queues whose every order is known."""

from math import exp, lgamma, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.book import OFF, BookRules, build_book
from allocator.money import NANO
from allocator.order import NEUTRAL
from allocator.queues import Joins, QueueRules, cleared
from feed.tape import Tape
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND

BARE = BookRules(uncross=False, stub_band=OFF)
PRICE = 9_000 * CENT
TIMES = ("after", "before")
"""Whether the row of a trade's stamp shows the book after it, or before it, as Databento's rows of action T do."""


class Stream:
    """Rows of one venue, whose bid is at `PRICE` while it has shares, and trades."""

    def __init__(self, shows):
        self.rows, self.trades, self.before = [], [], shows == "before"

    def row(self, ts, size):
        self.rows.append((ts, PRICE if size else PRICE - CENT, size or 100))

    def trade(self, ts, size, shares):
        """Trade shares, and show the book without them; `size` was displayed."""
        self.trades.append((ts, shares))
        if self.before:
            self.row(ts, size)
        self.row(ts + self.before, size - min(shares, size))

    def book(self):
        ts, px, sz = np.array(self.rows, np.int64).T
        at, shares = np.array(self.trades, np.int64).reshape(-1, 2).T
        columns = {"ts": ts, "venue": np.full_like(ts, 2), "sequence": np.arange(len(ts))}
        prints = {"ts": at, "venue": np.full_like(at, 2), "px": np.full_like(at, PRICE), "sz": shares}
        prints |= {"side": np.full_like(at, -1), "sequence": np.arange(len(at))}
        ask = {"ask_px": np.full_like(ts, PRICE + 9 * CENT), "ask_sz": np.full_like(ts, 100)}
        return build_book(Tape.build("XYZ", **columns, bid_px=px, bid_sz=sz, **ask, trades=prints), BARE)


# A queue that is served by trades and cancels of one share, at known rates

EPISODES, SPAN = 2_000, 10.0
AHEAD, TRADES = 6, 0.5
"""Shares ahead of us; trades a second."""


def episodes(cancels, behind, shows):
    """A book of `EPISODES` queues, one after the other, and an order that joins each.

    Parameters
    ----------
    cancels : function of int
        Cancels a second, of the shares displayed.
    behind : int
        Shares that join behind us, right away.
    """
    rng, stream, starts = np.random.default_rng(16), Stream(shows), []
    for episode in range(EPISODES):
        start, now, size = OPEN + int(episode * 2 * SPAN * SECOND), 1e-6, AHEAD + behind
        starts.append(start)
        stream.row(start, AHEAD)
        stream.row(start + 1, size)
        while (now := now + rng.exponential(1 / (TRADES + cancels(size)))) < SPAN:
            ts = start + int(now * SECOND)
            if rng.random() * (TRADES + cancels(size)) < TRADES:
                stream.trade(ts, size, 1)
                size = max(size - 1, 0)
            else:
                size -= 1
                stream.row(ts, size)
    book, starts = stream.book(), np.array(starts)
    joined = book.ts.searchsorted(starts)
    past = book.ts.searchsorted(starts + int(SPAN * SECOND) + 1, "right")
    return book, Joins(np.zeros_like(starts), joined, past, np.full_like(starts, PRICE), np.zeros_like(starts))


def poisson(count, mean):
    return exp(count * log(mean) - mean - lgamma(count + 1))


def passes_pessimistic(_):
    """Only trades count, and it takes one more than the shares ahead."""
    return 1 - sum(poisson(count, TRADES * SPAN) for count in range(AHEAD + 1))


def passes_optimistic(cancels):
    """Whatever happens takes one that is ahead; a trade after these passes us."""
    rate, part = TRADES + cancels(0), TRADES / (TRADES + cancels(0))
    return sum(poisson(count, rate * SPAN) * (1 - (1 - part) ** (count - AHEAD)) for count in range(AHEAD + 1, 200))


def passes_death_chain(cancels):
    """The chain of the shares ahead, all that are displayed; from none of them a trade leads to the last state."""
    rates = np.array([TRADES + cancels(ahead) for ahead in range(AHEAD, 0, -1)] + [TRADES, 0])
    generator = np.diag(rates[:-1], 1) - np.diag(rates)
    steps = 2**24
    return np.linalg.matrix_power(np.eye(len(rates)) + generator * SPAN / steps, steps)[0, -1]


@pytest.mark.parametrize(
    ("phi", "cancels", "behind", "shows", "law"),
    [
        (0, lambda _: 0.4, 10_000, "before", passes_pessimistic),
        (NANO, lambda _: 0.4, 10_000, "after", passes_optimistic),
        (NEUTRAL, lambda size: 0.1 * size, 0, "before", passes_death_chain),
    ],
    ids=["pessimistic", "optimistic", "neutral"],
)
def test_an_order_is_filled_as_often_as_the_closed_form_says(phi, cancels, behind, shows, law):
    book, joins = episodes(cancels, behind, shows)
    passed = (cleared(book, "buy", joins, QueueRules(phi)).passed() > 0).mean()
    expected = law(cancels)
    assert 0.2 < expected < 0.8
    assert abs(passed - expected) < 3 * sqrt(expected * (1 - expected) / EPISODES)


# A queue whose every order is known


def known_queue(seed, shows):
    """A book of one queue of orders, what of it passed a place, and all that traded and was cancelled.

    Orders join behind, are cancelled in part or whole, and trade from the front; the place is behind the first ones.
    """
    rng, stream = np.random.default_rng(seed), Stream(shows)
    orders = [(int(size), True) for size in rng.choice([10, 30, 50, 100], rng.integers(0, 4))]  # shares, ahead of us
    stream.row(OPEN, sum(size for size, _ in orders))
    passed, traded, cancelled, course = 0, 0, 0, []
    for step in range(1, 1 + rng.integers(1, 30)):
        ts, displayed = OPEN + step * SECOND, sum(size for size, _ in orders)
        kind = rng.integers(3)
        if kind == 0:
            shares = int(rng.choice([5, 20, 60]))
            ahead = sum(size for size, first in orders if first)
            passed, traded = passed + max(shares - ahead, 0), traded + shares
            stream.trade(ts, displayed, shares)
            while shares and orders:
                size, first = orders.pop(0)
                if size > shares:
                    orders.insert(0, (size - shares, first))
                shares -= min(size, shares)
        elif kind == 1 and orders:
            at = rng.integers(len(orders))
            size, first = orders.pop(at)
            shares = int(rng.integers(1, size + 1))
            if shares < size:
                orders.insert(at, (size - shares, first))
            cancelled += shares
            stream.row(ts, displayed - shares)
        else:
            orders.append((int(rng.choice([10, 30, 50, 100])), False))
            stream.row(ts, displayed + orders[-1][0])
        course.append((ts + 1, passed))
    return stream.book(), course, traded, cancelled


@pytest.mark.parametrize("shows", TIMES)
@examples(120)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_passed_in_truth_is_between_the_pessimistic_and_the_optimistic(shows, seed):
    book, course, traded, cancelled = known_queue(seed, shows)
    joins = Joins(*np.array([[0], [0], [len(book.ts)], [PRICE], [0]]))
    bounds = []
    for phi in (0, NEUTRAL, NANO):
        run = cleared(book, "buy", joins, QueueRules(phi, 0))
        passed = run.passed()[0]
        # never two fills of a trade and its row, and no more gone from the queue than went
        assert passed <= traded
        assert run.queue[0] - run.ahead[0] + passed <= traded + cancelled
        at = np.searchsorted(book.ts[run.snapshot], [ts for ts, _ in course], "right")
        bounds.append(np.concatenate([[0], run.through])[at].tolist())
    pessimistic, neutral, optimistic = bounds
    truth = [passed for _, passed in course]
    assert all(low <= true <= high for low, true, high in zip(pessimistic, truth, optimistic, strict=True))
    assert all(low <= mid <= high for low, mid, high in zip(pessimistic, neutral, optimistic, strict=True))


def test_both_ways_to_stamp_a_trade_give_the_same_fills():
    for seed in range(30):
        ends = []
        for shows in TIMES:
            book, *_ = known_queue(seed, shows)
            joins = Joins(*np.array([[0], [0], [len(book.ts)], [PRICE], [0]]))
            runs = [cleared(book, "buy", joins, QueueRules(phi, 0)) for phi in (0, NEUTRAL, NANO)]
            ends.append([(run.queue.tolist(), run.ahead.tolist(), run.passed().tolist()) for run in runs])
        assert ends[0] == ends[1]
