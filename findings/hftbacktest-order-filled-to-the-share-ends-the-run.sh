#!/usr/bin/env bash
# hftbacktest (partly guessed: what is left of an order and where it stands after a partial fill was guessed right; of
# the position and of an order filled to the share the guess was that nothing is special): under the exchange of partial
# fills no partial fill reaches the position, and the print after one that fills an order to the share ends the backtest.
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
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.types import event_dtype

print("guess:     a resting order of 100 behind 50, with sellers of 110, 40 and 10: 60, then 100 filled and held, and on")
feed = [
    (1000, DEPTH_EVENT | BUY_EVENT, 100.0, 50), (1000, DEPTH_EVENT | SELL_EVENT, 100.02, 50),
    (2000, DEPTH_EVENT | SELL_EVENT, 100.02, 60),
    (3000, TRADE_EVENT | SELL_EVENT, 100.0, 110),
    (4000, TRADE_EVENT | SELL_EVENT, 100.0, 40),
    (5000, TRADE_EVENT | SELL_EVENT, 100.0, 10),
    (6000, DEPTH_EVENT | SELL_EVENT, 100.02, 70), (7000, DEPTH_EVENT | SELL_EVENT, 100.02, 80),
]
events = np.zeros(len(feed), event_dtype)
for event, (ts, kind, price, quantity) in zip(events, feed):
    event["ev"] = EXCH_EVENT | LOCAL_EVENT | kind
    event["exch_ts"] = event["local_ts"] = ts
    event["px"], event["qty"] = price, quantity


def run(shares):
    asset = (
        BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(0, 0).risk_adverse_queue_model()
        .partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(0.01).lot_size(1.0)
    )
    backtest, seen = HashMapMarketDepthBacktest([asset]), []
    backtest.elapse(0)  # before which there is no time
    for ts in (2000, 3500, 4500, 5500):
        code = backtest.elapse(ts - backtest.current_timestamp)
        if ts == 2000:
            backtest.submit_buy_order(0, 1, 100.0, shares, GTX, LIMIT, False)
        else:
            left = backtest.orders(0).get(1).leaves_qty
            seen.append((int(code), int(shares - left), int(backtest.position(0))))
    return seen


print("behaviour: an order says how much of it is filled, the position knows of the last fill alone; filled to the share, the")
print("           next print at its price stops the backtest with error 14")
seen = {shares: run(float(shares)) for shares in (100, 105)}
for shares, states in seen.items():
    for code, filled, held in states:
        print(f"output:    order of {shares}: code {code}, filled {filled}, position {held}")
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("hftbacktest", "numpy", "numba")))
print("measured:  2026-11-29")
if seen != {100: [(0, 60, 0), (0, 100, 40), (14, 100, 40)], 105: [(0, 60, 0), (0, 100, 0), (0, 105, 5)]}:
    sys.exit("CHANGED: partial fills reach the position now, or an order filled to the share does not end the run")
print("for us:    compare fills by what is left of an order that is larger than anything prints fill; a profit taken from")
print("           the position lacks every partial fill but the last, and a run that stopped looks like one that ended")
PYTHON
