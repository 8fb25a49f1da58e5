"""hftbacktest's event loop with nobody trading: python -m benchmarks.peers.bare_events EVENTS.npz TICK TRACE.npy."""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest, ROIVectorMarketDepthBacktest
from numba import njit

from benchmarks.peers.serving import per_run, serve

EVER = 10**18
"""Nanoseconds: beyond the end of the data."""
FEED = 2
"""What `wait_next_feed` returns where it met one."""


@njit
def step(backtest):
    """Stop at each feed, and do nothing there."""
    while backtest.wait_next_feed(include_order_resp=False, timeout=EVER) == FEED:
        pass


@njit
def elapse(backtest):
    """Let all time pass at once."""
    backtest.elapse(EVER)


@njit
def trace(backtest, quotes):
    """Note the time and the best prices, ticks, at each feed; how many there were.

    The last feed ends the data, and is not reported as one.
    """
    count = 0
    while backtest.wait_next_feed(include_order_resp=False, timeout=EVER) == FEED:
        depth = backtest.depth(0)
        quotes[count, 0] = backtest.current_timestamp
        quotes[count, 1] = depth.best_bid_tick
        quotes[count, 2] = depth.best_ask_tick
        count += 1
    return count


def main(path: str, tick: str, traced: str) -> None:
    events = np.load(path)["data"]
    lowest, highest = float(events["px"].min()), float(events["px"].max())

    def asset():
        return (
            BacktestAsset()
            .data(events)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(float(tick))
            .lot_size(1.0)
        )

    books = {
        "map": lambda: HashMapMarketDepthBacktest([asset()]),
        "vector": lambda: ROIVectorMarketDepthBacktest([asset().roi_lb(lowest).roi_ub(highest)]),
    }

    def timed(book, loop):
        backtest = books[book]()
        began = time.perf_counter()
        loop(backtest)
        seconds = time.perf_counter() - began
        backtest.close()
        return seconds

    def write_trace():
        backtest, quotes = books["map"](), np.zeros((len(events), 3), np.int64)
        np.save(traced, quotes[: trace(backtest, quotes)])
        backtest.close()

    loops = {f"{book} {loop.__name__}": partial(timed, book, loop) for book in books for loop in (step, elapse)}
    serve("hftbacktest", {name: partial(per_run, each) for name, each in loops.items()} | {"trace": write_trace})


if __name__ == "__main__":
    main(*sys.argv[1:])
