"""Counts over the carried book of a tape: at each instant, each venue's last row so far, nothing hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feed.quality.stretches import carried, highest_over, highest_within
from feed.tape import PRICE_LIMIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feed.tape import Int64, Tape

    Flags = NDArray[np.bool_]


ALONE = 10
"""A side that is the best of its own is still a stub beyond this multiple, or fraction, of a mid; as in the book."""


def true(flags: Flags) -> int:
    """Count True values; several times faster than a sum, which would dominate for thousands of small tapes."""
    return int(np.count_nonzero(flags))


def count_snapshots(tape: Tape, rows: Int64) -> dict[str, int]:
    """Count by check; `rows`, ascending, are the last of their venue at their instant."""
    no_ask = np.iinfo(np.int64).max
    crossed = locked = one_sided = stubs = sane = 0
    stale = np.zeros((2, len(rows)), np.bool_)
    for quotes in carried(tape, rows):
        row, size, fresh = rows[quotes.row], quotes.snapshots, quotes.fresh
        bid, ask = np.maximum(tape.bid_px[row], 0), tape.ask_px[row]
        ask[ask == 0] = no_ask
        best_bid = highest_over(bid, quotes.start, quotes.end, size, 0)
        best_ask = -highest_over(-ask, quotes.start, quotes.end, size, -no_ask)
        two_sided = (best_bid > 0) & (best_ask < no_ask)
        one_sided += true(~two_sided)
        crossed += true(two_sided & (best_bid > best_ask))
        locked += true(two_sided & (best_bid == best_ask))
        stub_bids, stub_asks, sane = _stubs(best_bid, np.where(best_ask < no_ask, best_ask, 0), sane)

        snapshot, new_bid, new_ask = quotes.start[fresh], bid[fresh], ask[fresh]
        best, finite_ask = best_bid[snapshot], np.where(new_ask < no_ask, new_ask, 0)
        far = 10 * new_bid < 9 * best
        stubs += true((new_bid > 0) & (far | stub_bids[snapshot]))
        far = 10 * finite_ask > 11 * np.minimum(best_ask, PRICE_LIMIT)[snapshot]
        stubs += true(far | ((finite_ask > 0) & stub_asks[snapshot]))

        top_bid, low_ask = np.zeros(size, np.int64), np.full(size, no_ask)
        np.maximum.at(top_bid, snapshot, new_bid)
        np.minimum.at(low_ask, snapshot, new_ask)
        since = quotes.start + fresh  # only later quotes count as crossing it
        stale[0, quotes.row[bid > -highest_within(-low_ask, since, quotes.end, -no_ask)]] = True
        stale[1, quotes.row[ask < highest_within(top_bid, since, quotes.end, 0)]] = True
    return {
        "crossed_snapshots": crossed,
        "locked_snapshots": locked,
        "one_sided_snapshots": one_sided,
        "stub_quotes": stubs,
        "stale_quotes": true(stale),
    }


def _stubs(bid: Int64, ask: Int64, sane: int) -> tuple[Flags, Flags, int]:
    """Where the best of a side is itself a stub, as the book hides it (model section 3).

    Parameters
    ----------
    bid, ask : (C,) int64
        The best of each side, 1e-9 $, 0 = none.
    sane : int
        Twice the last earlier mid of two sides at most 2 to 1 apart, 0 = none.

    Returns
    -------
    bids, asks : (C,) bool
    sane : int
        The same, after these.
    """
    both = (bid > 0) & (ask > 0)
    vouched = both & (ask <= 2 * bid)
    last_vouched = np.maximum.accumulate(np.where(vouched, np.arange(len(bid)), -1))
    twice_mid = np.where(last_vouched >= 0, bid[last_vouched] + ask[last_vouched], sane)
    apart = both & (twice_mid == 0) & (ask > ALONE**2 * bid)
    compared = ~vouched & (twice_mid > 0)
    bids = apart | (compared & (bid > 0) & (2 * ALONE * bid < twice_mid))
    asks = apart | (compared & (2 * ask > ALONE * twice_mid))
    return bids, asks, int(twice_mid[-1])
