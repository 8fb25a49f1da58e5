"""Tapes on which limit orders rest: a book that hardly moves, sizes that do, prints beside the rows after them."""

from __future__ import annotations

import numpy as np

from feed.tape import Tape
from tests.support.strategies import CENT, OPEN, SECOND
from tests.support.tapes import with_levels


def resting_tape(seed, *, seconds=600, venues=3, rate=4, trades=True, depth=1, thin=False):
    """A tape of a seed; about `rate` rows a second in all, a touch that moves every half minute or so.

    Half of the decreases of a size are prints, which come with the row that follows them, or a moment before it; some
    prints have no known aggressor, and some are below the bid or above the ask. Of a thin tape queues are short, and
    many prints are beyond them.
    """
    rng = np.random.default_rng(seed)
    bid, ask = np.full(venues, 9_999), np.full(venues, 10_001)
    lot = 10 if thin else 100
    sizes = rng.integers(1, 9, (2, venues)) * lot
    rows, prints = [], []
    ts, sequence = OPEN, 0
    for _ in range(seconds * rate):
        ts += int(rng.integers(1, 2 * SECOND // rate)) * int(rng.random() < 0.9)
        v, side, event = int(rng.integers(venues)), int(rng.integers(2)), rng.random()
        sequence += 1
        if event < 0.03:
            step = int(rng.integers(-1, 2))
            bid[v] += step
            ask[v] += step
            sizes[:, v] = rng.integers(1, 9, 2) * lot
        elif event < 0.04:
            sizes[side, v] = 0
        elif event < 0.45:
            sizes[side, v] += int(rng.integers(1, 4)) * (lot // 2)
        elif sizes[side, v]:
            gone = int(min(rng.integers(1, 5) * 50 + rng.integers(2) * 7, sizes[side, v]))
            if trades and rng.random() < 0.5:
                px = (bid[v] if side == 0 else ask[v]) + int(rng.choice([0, 0, 0, 0, 0, -1, 1]))
                aggressor = int(rng.choice([-1 if side == 0 else 1, 0]))
                prints.append((ts, v + 1, px * CENT, gone * (3 if thin else 1), aggressor, sequence))
                if rng.random() < 0.3:
                    ts += int(rng.integers(1, SECOND // rate))
                    sequence += 1
            sizes[side, v] -= gone
        shown = sizes[:, v] > 0
        rows.append((
            ts, v + 1, bid[v] * CENT * shown[0], ask[v] * CENT * shown[1], sizes[0, v], sizes[1, v], sequence,
        ))  # fmt: skip
    names = ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")
    tape = Tape.build(
        "XYZ",
        **dict(zip(names, np.array(rows, np.int64).T, strict=True)),
        trades=dict(
            zip(
                ("ts", "venue", "px", "sz", "side", "sequence"),
                np.array(prints, np.int64).reshape(-1, 6).T,
                strict=True,
            )
        ),
    )
    return tape if depth == 1 else with_levels(tape, depth, seed)
