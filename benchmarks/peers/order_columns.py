"""vectorbt's bookkeeping of orders, a column each combination: python -m benchmarks.peers.order_columns ORDERS.npz."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import vectorbt as vbt

from benchmarks.peers.serving import per_run, serve, took


def main(path: str) -> None:
    with np.load(path) as given:
        close, price, size = (given[name] for name in ("close", "price", "size"))
    columns, orders = size.shape[1], int(np.isfinite(size).sum())

    def run():
        portfolio = vbt.Portfolio.from_orders(close, size=size, price=price, init_cash=1e15, max_orders=orders)
        records = portfolio.orders.records
        return [
            np.bincount(records["col"], weights, columns)
            for weights in (records["size"], records["size"] * records["price"])
        ]

    serve("vectorbt", {"run": partial(per_run, partial(took, run)), "sums": lambda: [each.tolist() for each in run()]})


if __name__ == "__main__":
    main(*sys.argv[1:])
