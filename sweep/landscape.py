"""What each combination saves over all orders, and whether it can be told from the best: the grid as one table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.order import FIELDS
from sweep.judging import BPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sweep.judging import Ground, Judged
    from sweep.search import Classes

    Int64 = NDArray[np.int64]

SUMMED: Final = ("filled", "unfilled", "overfilled", "fees")
"""Of `allocator.order.FIELDS`: shares, and 1e-9 $."""

ROWS_AT_A_TIME: Final = 2**17
"""Combinations that are looked up at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """The K classes that have a result for every order, ascending; a class is combinations that decide alike.

    Attributes
    ----------
    classes : Classes
    of : (K,) int64
        Their numbers.
    world : (K,) int64
        Counted from 0.
    sums : dict of str to (K,) int64
        `SUMMED`, and ``saved``: what is paid less than by the strongest honest baseline of the world, 1e-9 $.
    saving_bps : (K,) float64
        The same, of the arrival notional.
    inside : (K,) int8
        1: it cannot be told from the best of its world; 0: it can; -1: there are too few blocks to say.
    """

    classes: Classes
    of: Int64
    world: Int64
    sums: dict[str, Int64]
    saving_bps: NDArray[np.float64]
    inside: NDArray[np.int8]

    def columns(self) -> Iterator[dict[str, Any]]:
        """Yield the columns of a table with a row for each combination that has a result, ascending, in parts.

        Yields
        ------
        dict of str to (M,) columns
            ``combination``, ``world``; `sums`; ``saving_bps``; ``in_set``, int8 as `inside`.
        """
        total = len(self.classes.grid)
        for first in range(0, total, ROWS_AT_A_TIME):
            numbers = np.arange(first, min(first + ROWS_AT_A_TIME, total))
            of = self.classes.of_numbers(numbers)
            at = np.minimum(np.searchsorted(self.of, of), len(self.of) - 1)
            has = self.of[at] == of
            numbers, at = numbers[has], at[has]
            yield {
                "combination": numbers,
                "world": self.world[at],
                **{name: column[at] for name, column in self.sums.items()},
                "saving_bps": self.saving_bps[at],
                "in_set": self.inside[at],
            }


def landscape_of(grounds: Sequence[Ground], judged: Sequence[Judged]) -> Landscape:
    """Put all worlds together.

    Parameters
    ----------
    grounds : (W,) sequence of Ground
    judged : (W,) sequence of Judged
        All orders of each.
    """
    each = [_of_world(number, *pair) for number, pair in enumerate(zip(grounds, judged, strict=True))]
    of = np.concatenate([world["of"] for world in each])
    order = np.argsort(of, kind="stable")
    columns = {name: np.concatenate([world[name] for world in each])[order] for name in each[0]}
    return Landscape(
        grounds[0].reduction.classes,
        columns["of"],
        columns["world"],
        {name: columns[name] for name in (*SUMMED, "saved")},
        columns["saving_bps"],
        columns["inside"],
    )


def _of_world(number: int, ground: Ground, judged: Judged) -> dict[str, NDArray[Any]]:
    """The columns of `Landscape` for one world, each class that is simulated."""
    cube, place = ground.reduction.cube, ground.place
    paid = ground.reduction.ranked(0)[0]
    saved = (sum(ground.baselines[judged.against].tolist()) - paid).astype(np.int64)
    inside = np.full(len(paid), -1, np.int8) if judged.close is None else judged.close.inside.astype(np.int8)
    return {
        "of": ground.simulated,
        "world": np.full(len(place), number),
        **{name: cube[:, :, FIELDS.index(name)].sum(axis=0)[place] for name in SUMMED},
        "saved": saved[place],
        "saving_bps": (BPS * saved / math.fsum(ground.notional.tolist()))[place],
        "inside": inside[place],
    }
