"""Markets in which it is known by construction what each combination saves, as tapes.

A market is made of blocks, each of one order: at its start every venue publishes, and again at each of its frames. Both
sides of a book are mirrored about its mid, so that a sell meets what a buy does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feed import synthetic
from feed.tape import DAY, Tape

TICK = 10**6
"""0.001 $, in 1e-9 $: a tenth of a basis point of the mid."""

MID = 100_000
"""Ticks."""

VENUES = (2, 43, 38)
PLENTY = 50_000
"""Shares: 1 % of what is displayed, which is what pov buys at once, is more than an order."""

EVERY, HORIZON = 20, 10
"""Seconds from one order to the next, and until it ends: a block of two horizons has one start."""

ORDER = {"every": f"{EVERY}s", "horizon": f"{HORIZON}s"}


@dataclass(frozen=True)
class Frame:
    """What all venues show from one second of a block on.

    Attributes
    ----------
    mid : int
        Ticks.
    quotes : tuple of (half, size)
        Of each venue: how far its prices are from the mid, ticks, and shares on either side.
    """

    mid: int
    quotes: tuple[tuple[int, int], ...]


def alone(mid, half):
    """A frame in which one venue shows plenty at the touch, and the others lie far behind."""
    return Frame(mid, ((half, PLENTY), (half + 300, PLENTY), (half + 300, PLENTY)))


def tape_of(*days):
    """A tape of the blocks of one date after the other, each of frames a second apart."""
    placed = []
    for date, blocks in enumerate(days):
        for number, frames in enumerate(blocks):
            placed += [(date, EVERY * number + second, frame) for second, frame in enumerate(frames)]
        _, _, last = placed[-1]
        placed.append((date, EVERY * (len(blocks) - 1) + HORIZON, last))  # the last order ends inside the tape, too
    return tape_at(placed)


def tape_at(placed, name="TRUTH"):
    """A tape of frames, each at a date and a second of it, ascending."""
    dates, seconds, frames = zip(*placed, strict=True)
    ts = synthetic.STARTS + np.array(dates, np.int64) * DAY + np.array(seconds, np.int64) * 10**9
    shown = np.array([frame.quotes for frame in frames], np.int64)
    mid = np.array([frame.mid for frame in frames], np.int64)[:, None]
    sizes = shown[:, :, 1].astype(np.int32).ravel()
    return Tape.build(
        name,
        ts=np.repeat(ts, len(VENUES)),
        venue=np.tile(np.array(VENUES, np.int16), len(frames)),
        bid_px=((mid - shown[:, :, 0]) * TICK).ravel(),
        ask_px=((mid + shown[:, :, 0]) * TICK).ravel(),
        bid_sz=sizes,
        ask_sz=sizes,
        sequence=np.arange(len(frames) * len(VENUES)),
    )


HALF = 50
"""Ticks from the mid at which `matrix` and `trending` begin."""


def taus_of(columns):
    """The limits of as many combinations, ticks above the mid: all below `HALF`."""
    return [5 * (column + 1) for column in range(columns)]


def matrix(savings):
    """Blocks in which each limit saves, against all who buy at once, what a row of a matrix has, in ticks a share.

    For a router that buys at no more than its limit above the mid. The spread narrows from frame to frame, to each
    limit in turn from the largest on, and the mid goes to where buying then saves what it should. Whoever looks at the
    touch buys in the first frame.

    Parameters
    ----------
    savings : (n, N) of int
        By block; of each of `taus_of`, N <= 8.
    """
    blocks = []
    for row in savings:
        narrowing = sorted(zip(taus_of(len(row)), row, strict=True), reverse=True)
        blocks.append([alone(MID, HALF), *(alone(MID + HALF - tau - int(saved), tau) for tau, saved in narrowing)])
    return blocks


def trending(noise, direction, shift=0):
    """Blocks of a market that falls by 80 ticks in each, or rises, for routers that measure from the arrival mid.

    With a limit of 20 ticks above it a buy waits until the mid has fallen by 40, with one of 0 until it has fallen by
    60; one of 50 buys at once. The spread is then wider by twice the noise, and `shift` ticks on either side, which the
    price of arrival hides from them: what execution saves is that alone, with its sign changed.

    Parameters
    ----------
    noise : (n, 2) of int
        By block, when the limits of 20 and of 0 are met; ticks, at most 10 less the shift in size.
    direction : int
        -1 falls, 1 rises.
    """
    blocks, arrival = [], MID
    for first, second in noise:
        halves = (HALF, HALF + int(first) + shift, HALF + int(second) + shift, HALF)
        mids = (0, 40 + shift, 60 + shift, 80)
        blocks.append([alone(arrival + direction * mid, half) for mid, half in zip(mids, halves, strict=True)])
        arrival += 80 * direction
    return blocks


def momentary(blocks, generator):
    """Blocks in which a router saves with the right limit, whoever it is measured against, and what each saves.

    An order of 400 finds 100 shares 10 ticks from the mid, 200 shares 10 ticks dearer for a second, and more at a
    premium that is drawn. Then the first venue improves by a tick, with 100 shares more, before all prices go far away.
    Who takes up to 10 ticks above the touch pays 10, 20 and 9 ticks; who takes all at once pays the premium for the
    last 100; who waits at the touch misses the 200 and pays the far price.

    Returns
    -------
    blocks : list of lists of Frame
    premiums : list of int
        Ticks above 20, of the last 100 shares of who takes all at once: 8 to 30.
    """
    made, premiums = [], []
    for _ in range(blocks):
        premium, far = int(generator.integers(8, 31)), int(generator.integers(60, 120))
        mid = MID + int(generator.integers(-200, 201))
        gone = (far, PLENTY)
        made.append(
            [
                Frame(mid, ((10, 100), (20, 200), (20 + premium, 1_000))),
                Frame(mid, ((10, 100), gone, gone)),
                Frame(mid, ((9, 100), gone, gone)),
                Frame(mid, (gone, gone, gone)),
            ]
        )
        premiums.append(premium)
    return made, premiums
