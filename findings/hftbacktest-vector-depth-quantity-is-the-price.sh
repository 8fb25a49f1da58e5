#!/usr/bin/env bash
# hftbacktest (the guess was not written down first: this was met on the way): of a book kept as a vector over a range
# of prices, `best_bid_qty` and `best_ask_qty` are the best prices; of one kept as a map they are quantities.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check hftbacktest==2.4.4 numpy==2.2.6 numba==0.68.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype

print("guess:     both kinds of book give the same prices and quantities of the same events")
quotes = [
    (1000, BUY_EVENT, 100.0, 500), (1000, SELL_EVENT, 100.02, 700),
    (2000, BUY_EVENT, 100.0, 100), (2000, SELL_EVENT, 100.02, 900),
    (3000, BUY_EVENT, 99.99, 100),  # the event that ends the data
]
events = np.zeros(len(quotes), event_dtype)
for event, (ts, side, price, quantity) in zip(events, quotes):
    event["ev"] = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side
    event["exch_ts"] = event["local_ts"] = ts
    event["px"], event["qty"] = price, quantity


def asset():
    return (
        BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(0, 0).risk_adverse_queue_model()
        .no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(0.01).lot_size(1.0)
    )


def imbalance(bid, ask):
    return round((bid - ask) / (bid + ask), 4)


books = {
    "map": HashMapMarketDepthBacktest([asset()]),
    "vector": ROIVectorMarketDepthBacktest([asset().roi_lb(90.0).roi_ub(110.0)]),
}
print("behaviour: the vector's quantities are its prices, and its imbalance is next to nothing whatever is displayed")
seen = {}
for name, backtest in books.items():
    seen[name] = []
    for _ in range(2):
        backtest.wait_next_feed(False, 10**9)
        depth = backtest.depth(0)
        best = depth.best_bid_qty, depth.best_ask_qty
        at_tick = depth.bid_qty_at_tick(depth.best_bid_tick), depth.ask_qty_at_tick(depth.best_ask_tick)
        seen[name].append((depth.best_bid, depth.best_ask, *best, *at_tick))
        print(f"output:    {name:6}  best_bid, best_ask {depth.best_bid}, {depth.best_ask}; best_bid_qty, best_ask_qty "
              f"{best[0]}, {best[1]}; by tick {at_tick[0]}, {at_tick[1]}; imbalance {imbalance(*best)}")
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("hftbacktest", "numpy", "numba")))
print("measured:  2026-11-29")
sizes = [(500.0, 700.0), (100.0, 900.0)]
if seen != {
    "map": [(100.0, 100.02, *each, *each) for each in sizes],
    "vector": [(100.0, 100.02, 100.0, 100.02, *each) for each in sizes],
}:
    sys.exit("CHANGED: a vector's best quantities are quantities now, or a map's are none")
print("for us:    ask for the size at the best price by bid_qty_at_tick(best_bid_tick): any signal of best quantities")
print("           is wrong without a word once a backtest is made faster by the other kind of book")
PYTHON
