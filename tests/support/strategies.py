"""Generated tapes, shared by the property tests of every package."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import strategies as st

from feed.instants import parse_instant
from feed.tape import UNDEFINED_PRICE, Tape
from tests.support.tapes import with_levels

CENT = 10**7
SECOND = 10**9
OPEN = parse_instant("2024-08-01T14:00:00Z")
VENUES = (2, 3, 5, 9, 43)

_STEPS = np.array([0, 0, 1, 10**6, SECOND, 7 * SECOND, 61 * SECOND])
_SEQUENCES = 4
_TICKS = np.array([0, 1, -1, 2, -2, 3, -3, 4, -4])
_SIZES = np.array([100, 1, 40, 99, 100, 150, 200, 300, 1000])
_SIDES = np.array([0, 1, -1])
_WITHDRAWN = [(0, 0), (UNDEFINED_PRICE, 0), (100 * CENT, 0), (-CENT, 100), (0, 100)]


def quotes(middle, stub):
    """(price, size) of one side, each as likely as the others: mostly near the market, at times withdrawn or a stub."""
    near = [((middle + tick) * CENT, size) for tick in _TICKS.tolist() for size in _SIZES.tolist()]
    return np.array([*near, *_WITHDRAWN * 4, *[(stub, 100)] * 20], np.int64)


_BIDS, _ASKS = quotes(10_000, CENT), quotes(10_002, 199_999 * CENT)


@st.composite
def deep_tapes(draw, *, max_depth=4, **options):
    """`tapes` with further levels behind the first, a cent to three apart, some of them without a quote."""
    tape = draw(tapes(**options))
    return with_levels(tape, draw(st.integers(2, max_depth)), draw(st.integers(0, 2**32 - 1)))


@st.composite
def tapes(draw, *, min_rows=1, max_rows=40, max_venues=4, trades=True, symbol="XYZ"):
    """Small tapes of one date: withdrawn, crossed, locked, one-sided, stub and equal-stamp quotes; trades where asked.

    Prices are whole cents near 100 $, so that ties and crosses are common; stamps repeat, and span minutes at most.
    A row is one drawn number, which is ten times as fast as a number for each of its columns.
    """
    venues = np.array(draw(st.lists(st.sampled_from(VENUES), min_size=1, max_size=max_venues, unique=True)))
    shape = (len(_STEPS), len(venues), len(_BIDS), len(_ASKS), _SEQUENCES)
    step, venue, bid, ask, sequence = _drawn(draw, shape, min_rows, max_rows)
    ts = OPEN + np.cumsum(_STEPS[step])
    prints = None
    if trades:
        where, tick, size, side = _drawn(draw, (len(venues), len(_TICKS), len(_SIZES), len(_SIDES)), 0, 6)
        last = int(ts[-1]) - OPEN if len(ts) else 0
        at = draw(st.lists(st.integers(0, last), min_size=len(where), max_size=len(where)))
        prints = {
            "ts": OPEN + np.array(at, np.int64),
            "venue": venues[where],
            "px": (10_001 + _TICKS[tick]) * CENT,
            "sz": _SIZES[size],
            "side": _SIDES[side],
            "sequence": np.arange(len(at)),
        }
    bid_px, bid_sz = _BIDS[bid].T
    ask_px, ask_sz = _ASKS[ask].T
    return Tape.build(
        symbol,
        ts=ts,
        venue=venues[venue],
        bid_px=bid_px,
        ask_px=ask_px,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        sequence=sequence,
        trades=prints,
    )


def _drawn(draw, shape, least, most):
    """Indices into several tables at once, of `least` to `most` rows."""
    rows = draw(st.lists(st.integers(0, prod(shape) - 1), min_size=least, max_size=most))
    return np.unravel_index(np.array(rows, np.int64), shape)


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


def restless_tape(seed, snapshots, venues):
    """Prices that hardly move and sizes that do: what is taken of a quote differs from one combination to the next."""
    rng, rows = np.random.default_rng(seed), snapshots * 2
    at = rng.integers(0, 40 * snapshots, rows) // 40
    ask = 10_000 + rng.integers(0, 3, venues)[venue := rng.integers(0, venues, rows)] + (rng.random(rows) < 0.05)
    return Tape.build(
        "XYZ",
        ts=OPEN + np.sort(at) * SECOND,
        venue=venue + 1,
        bid_px=(9_998 - rng.integers(0, 8, rows) // 7) * CENT,
        ask_px=ask * CENT,
        bid_sz=rng.integers(1, 2000, rows),
        ask_sz=rng.integers(0, 2000, rows) ** 2 // 2000,
        sequence=np.arange(rows),
    )
