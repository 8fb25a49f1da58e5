"""Count a long tape with compiled code, where that takes less time than loading it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feed.instants import NANOS_FROM

if TYPE_CHECKING:
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
    if not tape.rows or not kernel.tally(*map(np.ascontiguousarray, columns), NANOS_FROM, counts, ids):
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
