"""Quality over time: what `feed.quality.CHECKS` counts of a whole tape, in even stretches of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feed.tape import Int64, Tape

LOOKED_AT: Final = 200_000
"""Snapshots whose carried book is looked at, of a longer tape one of each even part."""


def over_time(tape: Tape, start: int, end: int, stretches: int) -> dict[str, Int64]:
    """Count in stretches of equal length.

    Parameters
    ----------
    tape : Tape
        In order, not empty.
    start, end : int
        Of the first and the last stretch, UTC nanoseconds, the end included; quotes from before `start` stand.
    stretches : int
        How many, at most one per nanosecond.

    Returns
    -------
    dict of str to (stretches,) int64
        ``start`` and ``end`` (UTC nanoseconds, [start, end) but for the last, which has its end); ``snapshots``, the
        instants with rows; ``looked_at``, of these; of those ``crossed``, ``locked`` and ``one_sided``, as `CHECKS` of
        these names; ``spread``, the median of ask less bid of the others that have both sides, 1e-9 $, -1 where there
        is none; ``venues`` that publish; ``longest_gap`` between a snapshot and the one before, nanoseconds;
        ``traded``, shares.
    """
    stretches = min(stretches, end - start + 1)
    edges = start + np.arange(stretches + 1) * (end - start + 1) // stretches
    last = np.flatnonzero(np.append(tape.ts[1:] != tape.ts[:-1], True))  # the last row of each instant
    ts = tape.ts[last]
    first, past = np.searchsorted(ts, [start, end + 1]).tolist()
    of_snapshot = np.searchsorted(edges, ts[first:past], "right") - 1
    chosen = first + _spread(past - first, min(LOOKED_AT, past - first))
    where = of_snapshot[chosen - first]
    bid, ask = _best(tape, last[chosen])
    both = (bid > 0) & (ask > 0)
    gaps = np.diff(ts[max(first - 1, 0) : past], prepend=ts[:1] if not first else ts[:0])
    longest = np.zeros(stretches, np.int64)
    np.maximum.at(longest, of_snapshot, gaps)
    inside = (tape.ts >= start) & (tape.ts <= end)
    at = np.searchsorted(edges, tape.ts[inside], "right") - 1
    publishing = np.unique(at * 2**17 + tape.venue[inside].astype(np.int64) + 2**16)
    trades = tape.trades
    traded = np.zeros(stretches, np.int64)
    counted = (trades.ts >= start) & (trades.ts <= end)
    np.add.at(traded, np.searchsorted(edges, trades.ts[counted], "right") - 1, trades.sz[counted].astype(np.int64))

    def count(flags: NDArray[np.bool_]) -> Int64:
        return np.bincount(where[flags], minlength=stretches)

    return {
        "start": edges[:-1],
        "end": np.append(edges[1:-1], end),
        "snapshots": np.bincount(of_snapshot, minlength=stretches),
        "looked_at": np.bincount(where, minlength=stretches),
        "crossed": count(both & (bid > ask)),
        "locked": count(both & (bid == ask)),
        "one_sided": count(~both),
        "spread": _medians(where, ask - bid, both & (bid < ask), stretches),
        "venues": np.bincount(publishing // 2**17, minlength=stretches),
        "longest_gap": longest,
        "traded": traded,
    }


def _spread(total: int, count: int) -> Int64:
    """(count,) int64 below `total`, ascending: one of each of `count` even parts, in no pattern."""
    parts = np.arange(count)
    if count == total:
        return parts
    places: Int64 = ((parts + parts * (np.sqrt(5) - 1) / 2 % 1) * (total / count)).astype(np.int64)
    return np.minimum(places, total - 1)


def _best(tape: Tape, rows: Int64) -> tuple[Int64, Int64]:
    """(N,) int64 each, the best bid and ask of the carried book after some rows, ascending; 1e-9 $, 0 = none."""
    bid, ask = np.zeros(len(rows), np.int64), np.full(len(rows), np.iinfo(np.int64).max)
    order = np.argsort(tape.venue, kind="stable")
    ends = np.flatnonzero(np.diff(tape.venue[order])) + 1
    for own in np.split(order, ends):
        at = np.searchsorted(own, rows, "right") - 1
        stands = at >= 0
        row = own[at[stands]]
        bid[stands] = np.maximum(bid[stands], tape.bid_px[row])
        asked = tape.ask_px[row]
        ask[stands] = np.minimum(ask[stands], np.where(asked > 0, asked, np.iinfo(np.int64).max))
    return bid, np.where(ask < np.iinfo(np.int64).max, ask, 0)


def _medians(where: Int64, values: Int64, counted: NDArray[np.bool_], stretches: int) -> Int64:
    """(stretches,) int64, the lower median of the values that count; -1 where none does."""
    medians = np.full(stretches, -1, np.int64)
    edges = np.searchsorted(where[counted], np.arange(stretches + 1))
    own = values[counted]
    for at in range(stretches):
        part = own[edges[at] : edges[at + 1]]
        if len(part):
            middle = (len(part) - 1) // 2
            medians[at] = np.partition(part, middle)[middle]
    return medians
