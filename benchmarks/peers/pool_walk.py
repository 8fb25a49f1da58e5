"""A plain compiled walk per combination in a pool of two: python -m benchmarks.peers.pool_walk TAPE.npz.

As one would write it by hand: costs and sizes as cubes of whole numbers, one task per combination.
"""

from __future__ import annotations

import multiprocessing
import sys
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.peers.serving import per_run, serve, took

WORKERS = 2

_held: list[Any] = []
"""The tape, for processes that were forked after it was read."""


@njit
def walk(cost, price, size, resets, edge, order, tau):
    """Shares and cash of an order that takes what costs at most tau above the touch, cheapest first.

    At the last snapshot it takes all up to `edge`, without fees. cost, price, size are (T, V) int64, 0 = no quote;
    resets (T, V) bool: shares taken there are available again.
    """
    snapshots, venues = cost.shape
    taken = np.zeros(venues, np.int64)
    shares = cash = 0
    for t in range(snapshots):
        touch = np.int64(2**62)
        for v in range(venues):
            if resets[t, v]:
                taken[v] = 0
            if size[t, v] > 0 and cost[t, v] < touch:
                touch = cost[t, v]
        while shares < order:
            best = -1
            for v in range(venues):
                if size[t, v] > taken[v] and (best < 0 or cost[t, v] <= cost[t, best]):
                    near = cost[t, v] <= touch + tau
                    if near or (t == snapshots - 1 and price[t, v] <= edge):
                        best = v
            if best < 0:
                break
            some = min(size[t, best] - taken[best], order - shares)
            taken[best] += some
            shares += some
            cash += some * cost[t, best]
        if shares == order:
            break
    return shares, cash


def by_fork(tau: int) -> tuple[int, int]:
    return walk(*_held, tau)


def by_pickle(task: tuple[Any, ...]) -> tuple[int, int]:
    return walk(*task)


def main(path: str) -> None:
    with np.load(path) as given:
        tape = [given[name] for name in ("cost", "price", "size", "resets")]
        tape += [int(given[name]) for name in ("edge", "order")]
        taus = given["tau"].tolist()
    _held[:] = tape
    sums = [by_fork(tau) for tau in taus]  # compiled before any process is made
    fork = multiprocessing.get_context("fork")

    def forked():
        with fork.Pool(WORKERS) as pool:
            return pool.map(by_fork, taus, chunksize=1)

    def pickled():
        with fork.Pool(WORKERS) as pool:
            return pool.map(by_pickle, [(*tape, tau) for tau in taus], chunksize=1)

    standing = fork.Pool(WORKERS)

    def held():
        return standing.map(by_fork, taus, chunksize=1)

    runs = {"fork": forked, "pickle": pickled, "held": held}
    assert all(run() == sums for run in runs.values())
    serve("numba", {name: partial(per_run, partial(took, run)) for name, run in runs.items()} | {"sums": lambda: sums})
    standing.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
