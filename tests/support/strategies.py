"""Generated tapes, shared by the property tests of every package."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from feed.instants import parse_instant
from feed.tape import UNDEFINED_PRICE, Tape

CENT = 10**7
SECOND = 10**9
OPEN = parse_instant("2024-08-01T14:00:00Z")
VENUES = (2, 3, 5, 9, 43)

_steps = st.sampled_from([0, 0, 1, 10**6, SECOND, 7 * SECOND, 61 * SECOND])
_sizes = st.sampled_from([1, 40, 99, 100, 100, 150, 200, 300, 1000])
_ticks = st.integers(-4, 4)
_withdrawn = st.sampled_from([(0, 0), (UNDEFINED_PRICE, 0), (100 * CENT, 0), (-CENT, 100), (0, 100)])


def quotes(middle, stub):
    """(price, size) of one side: mostly near the market, at times withdrawn or a stub."""
    near = st.tuples(_ticks.map(lambda tick: (middle + tick) * CENT), _sizes)
    return st.one_of(near, near, near, near, _withdrawn, st.just((stub, 100)))


@st.composite
def tapes(draw, *, min_rows=1, max_rows=40, max_venues=4, trades=True, symbol="XYZ"):
    """Small tapes of one date: withdrawn, crossed, locked, one-sided, stub and equal-stamp quotes; trades where asked.

    Prices are whole cents near 100 $, so that ties and crosses are common; stamps repeat, and span minutes at most.
    """
    venues = draw(st.lists(st.sampled_from(VENUES), min_size=1, max_size=max_venues, unique=True))
    row = st.tuples(
        _steps,
        st.sampled_from(venues),
        quotes(10_000, CENT),
        quotes(10_002, 199_999 * CENT),
        st.integers(0, 3),
    )
    rows = draw(st.lists(row, min_size=min_rows, max_size=max_rows))
    step, venue, bid, ask, sequence = zip(*rows, strict=True) if rows else ([], [], [], [], [])
    ts = OPEN + np.cumsum(np.array(step, np.int64))
    prints = None
    if trades:
        last = int(ts[-1]) - OPEN if rows else 0
        a_print = st.tuples(st.integers(0, last), st.sampled_from(venues), _ticks, _sizes, st.sampled_from([-1, 0, 1]))
        drawn = draw(st.lists(a_print, max_size=6))
        at, where, tick, size, side = np.array(drawn, np.int64).reshape(-1, 5).T
        prints = {
            "ts": OPEN + at,
            "venue": where,
            "px": (10_001 + tick) * CENT,
            "sz": size,
            "side": side,
            "sequence": np.arange(len(drawn)),
        }
    bid_px, bid_sz = np.array(bid, np.int64).reshape(-1, 2).T
    ask_px, ask_sz = np.array(ask, np.int64).reshape(-1, 2).T
    return Tape.build(
        symbol,
        ts=ts,
        venue=np.array(venue, np.int64),
        bid_px=bid_px,
        ask_px=ask_px,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        sequence=np.array(sequence, np.int64),
        trades=prints,
    )


def random_tape(seed, snapshots, venues, *, dense=False):
    """A long tape, of a seed: prices in cents around 100 $, crossed and withdrawn at times; dense = all publish always.

    Publisher ids are 1, 2, ...; a snapshot a second.
    """
    rng = np.random.default_rng(seed)
    publishes = rng.random((snapshots, venues)) < (1 if dense else min(1, 1.5 / venues))
    publishes[np.arange(snapshots), rng.integers(venues, size=snapshots)] = True
    at, venue = np.nonzero(publishes)
    rows = len(at)
    middle = 10_000 + np.cumsum(rng.integers(-1, 2, snapshots))[at]
    quoted = rng.random((2, rows)) < 0.95
    return Tape.build(
        "XYZ",
        ts=OPEN + at * SECOND,
        venue=venue + 1,
        bid_px=np.where(quoted[0], (middle - rng.integers(0, 4, rows)) * CENT, 0),
        ask_px=np.where(quoted[1], (middle + rng.integers(0, 5, rows)) * CENT, 0),
        bid_sz=rng.integers(1, 9, rows) * 50,
        ask_sz=rng.integers(1, 9, rows) * 50,
        sequence=np.arange(rows),
    )
