"""hftbacktest with limit orders resting: python -m benchmarks.peers.resting_orders FOLDER.

Each CASE.npz of the folder holds the `events`, the instants at which to look (`stops`), and orders of one side: the
stop at which each is `sent`, ascending, the stop before which it is taken back (`past`), its price; `buy`, and the
`tick` in dollars. `fills` writes CASE.fills.npz with, for each queue model, (E, 3): order, stop, shares filled in all,
0 where it is filled whole. All else is timed, of the first case alone, and takes an order back when the next is sent.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from hftbacktest import GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest, ROIVectorMarketDepthBacktest
from numba import njit

from benchmarks.peers.serving import per_run, serve

SHARES = 1e12
"""Of an order: more than prints fill. One that they fill to the share would end the run."""
EVER = 10**18
FEED = 2
"""What `wait_next_feed` returns where it met one."""

MODELS = {
    "risk_adverse": lambda asset: asset.risk_adverse_queue_model(),
    "power": lambda asset: asset.power_prob_queue_model(1.0),
    "power2": lambda asset: asset.power_prob_queue_model2(1.0),
    "power3": lambda asset: asset.power_prob_queue_model3(1.0),
    "square": lambda asset: asset.power_prob_queue_model(2.0),
    "log": lambda asset: asset.log_prob_queue_model(),
}


@njit
def send(backtest, order, price, buy):
    """Send a limit order that may not take."""
    if buy:
        backtest.submit_buy_order(0, order, price, SHARES, GTX, LIMIT, wait=False)
    else:
        backtest.submit_sell_order(0, order, price, SHARES, GTX, LIMIT, wait=False)


@njit
def take_back(backtest, order):
    """Cancel what is left of an order."""
    if backtest.orders(0).get(order).cancellable:
        backtest.cancel(0, order, wait=False)


@njit
def replay(backtest, stops, sent, prices, buy, past, fills):
    """Look at every stop, and note what was filled by then: how many notes, or minus an error."""
    notes, first, count = 0, 0, 0
    left = np.full(len(sent), SHARES)
    backtest.elapse(0)  # before which it has no time
    for stop in range(len(stops)):
        if backtest.elapse(stops[stop] - backtest.current_timestamp) > 1:
            return -1
        for order in range(first, count):
            if left[order] <= 0 or past[order] <= stop:
                continue
            now = backtest.orders(0).get(order).leaves_qty
            if now < left[order]:
                fills[notes, 0], fills[notes, 1], fills[notes, 2] = order, stop, np.int64(SHARES - now) if now else 0
                notes, left[order] = notes + 1, now
            if past[order] == stop + 1:
                take_back(backtest, order)
        while first < count and (left[first] <= 0 or past[first] <= stop):
            first += 1
        while count < len(sent) and sent[count] == stop:
            send(backtest, count, prices[count], buy)
            count += 1
    return notes


@njit
def step(backtest, stops, sent, prices, buy):
    """One order after the other, and a stop at each feed, as a strategy has it."""
    count = 0
    backtest.elapse(0)
    while True:
        if count < len(sent) and backtest.current_timestamp >= stops[sent[count]]:
            if count:
                take_back(backtest, count - 1)
            send(backtest, count, prices[count], buy)
            count += 1
        if backtest.wait_next_feed(include_order_resp=False, timeout=EVER) != FEED:
            return


@njit
def elapse(backtest, stops, sent, prices, buy):
    """One order after the other, and all time between them at once."""
    backtest.elapse(0)
    for order in range(len(sent)):
        backtest.elapse(stops[sent[order]] - backtest.current_timestamp)
        if order:
            take_back(backtest, order - 1)
        send(backtest, order, prices[order], buy)
    backtest.elapse(EVER)


class Case:
    """A case, and the backtests of it."""

    def __init__(self, path: Path) -> None:
        held = np.load(path)
        self.path, self.events, self.tick = path, held["events"], float(held["tick"])
        self.orders = *(held[name] for name in ("stops", "sent", "prices")), bool(held["buy"])
        self.past = held["past"]

    def asset(self, model):
        """What is traded, with a queue model."""
        asset = BacktestAsset().data(self.events).linear_asset(1.0).constant_order_latency(0, 0)
        return (
            MODELS[model](asset)
            .partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(self.tick)
            .lot_size(1.0)
        )

    def map(self, model):
        """A backtest whose book is a map."""
        return HashMapMarketDepthBacktest([self.asset(model)])

    def vector(self, model):
        """A backtest whose book is a vector over the prices that there are."""
        px = self.events["px"]
        return ROIVectorMarketDepthBacktest([self.asset(model).roi_lb(float(px.min())).roi_ub(float(px.max()))])

    def timed(self, book, model, loop):
        """Seconds of a loop."""
        backtest = getattr(self, book)(model)
        began = time.perf_counter()
        loop(backtest, *self.orders)
        seconds = time.perf_counter() - began
        backtest.close()
        return seconds

    def write_fills(self):
        """Write what each model fills."""
        notes, room = {}, (len(self.past) * 1000, 3)
        for model in MODELS:
            backtest, table = self.map(model), np.zeros(room, np.int64)
            count = replay(backtest, *self.orders, self.past, table)
            backtest.close()
            assert count >= 0, f"{self.path}, {model}: the backtest ended"
            notes[model] = table[:count]
        np.savez(self.path.with_suffix(".fills.npz"), **notes)


def main(folder: str) -> None:
    cases = [Case(path) for path in sorted(Path(folder).glob("*.npz"))]
    loops = {
        f"{book} {model} {loop.__name__}": partial(per_run, partial(cases[0].timed, book, model, loop))
        for book in ("map", "vector")
        for model in MODELS
        for loop in (step, elapse)
    }
    serve("hftbacktest", {"fills": lambda: [case.write_fills() for case in cases], **loops})


if __name__ == "__main__":
    main(*sys.argv[1:])
