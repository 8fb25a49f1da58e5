"""Count a long tape with compiled code, where that takes less time than loading it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feed.instants import NANOS_FROM
from feed.markets import ROUND_LOTS, TICKS, spans_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feed.tape import Tape

COMPILED_FROM = 2**20
"""Rows from which the compiled count is used: what it saves pays for loading the compiler's library and the code, if
not in the first tape then in the second."""

BESIDE_KERNELS_FROM = 2**15
"""The same where the process needs the compiler's library anyway."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What the rows of a tape show.

    Attributes
    ----------
    counts : dict of str to int
        Checks of `feed.quality.CHECKS`, not all of them.
    venues : dict of int to int
        Rows of each publisher id, ascending.
    last : dict of int to int
        The last row of each, by index.
    quoting : list of int
        Those with a quote, ascending.
    largest_gap : int
        Longest pause between snapshots, nanoseconds.
    tied : int
        Rows at the time, venue and sequence of their predecessor.
    """

    counts: dict[str, int]
    venues: dict[int, int]
    last: dict[int, int]
    quoting: list[int]
    largest_gap: int
    tied: int


def tally(tape: Tape, *, beside_kernels: bool = False) -> Tally | None:
    """Count a tape; None where it is short, or not as `Tape.build` leaves it: numpy is to count it.

    Parameters
    ----------
    tape : Tape
    beside_kernels : bool
        As of `feed.quality.check`.
    """
    if tape.rows < (BESIDE_KERNELS_FROM if beside_kernels else COMPILED_FROM):
        return None
    from feed.quality import tally_kernel as kernel

    columns = (tape.ts, tape.venue, tape.bid_px, tape.ask_px, tape.bid_sz, tape.ask_sz, tape.sequence)
    counts, ids = np.zeros(kernel.PLACES, np.int64), np.zeros((3, kernel.IDS), np.int64)
    if not tape.rows:
        return None
    rules = _ticks(tape), _lots(tape, kernel.TIERS)
    if not kernel.tally(*map(np.ascontiguousarray, columns), NANOS_FROM, *rules, counts, ids):
        return None
    counted = dict(zip(kernel.COUNTS, counts.tolist(), strict=False))
    present = np.flatnonzero(ids[kernel.ROWS])
    venues = (present - kernel.IDS // 2).tolist()
    quoting = np.flatnonzero(ids[kernel.QUOTED]) - kernel.IDS // 2
    return Tally(
        counts=counted
        | {
            "no_quotes": int(len(quoting) == 0),
            "unordered_rows": 0,
            "unnormalised_rows": 0,
            "sides_swapped": int(2 * counted["own_crossed_rows"] > int(counts[kernel.TWO_SIDED])),
        },
        venues=dict(zip(venues, ids[kernel.ROWS, present].tolist(), strict=True)),
        last=dict(zip(venues, ids[kernel.LAST, present].tolist(), strict=True)),
        quoting=quoting.tolist(),
        largest_gap=int(counts[kernel.LARGEST_GAP]),
        tied=int(counts[kernel.TIED]),
    )


def _ticks(tape: Tape) -> NDArray[np.int64]:
    """(K, 4) int64: for which rows each tick size is, and the tick from 1 $ on and below."""
    spans = [(start, end, rule.whole, rule.below) for rule, start, end in spans_of(TICKS, tape.ts)]
    return np.array(spans, np.int64).reshape(-1, 4)


def _lots(tape: Tape, tiers: int) -> NDArray[np.int64]:
    """(K, 3 + 2 * tiers) int64: for which rows each table of round lots is, its tiers, and the shares beyond."""
    rows = []
    for rule, start, end in spans_of(ROUND_LOTS, tape.ts):
        padded = ((0, 0),) * (tiers - len(rule.tiers)) + rule.tiers
        rows.append((start, end, *(number for tier in padded for number in tier), rule.beyond))
    return np.array(rows, np.int64).reshape(-1, 3 + 2 * tiers)
