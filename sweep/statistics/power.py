"""What as many blocks can show, from baselines alone: before anything is swept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.statistics.blocks import blocks_of
from sweep.statistics.inference import blocks_for, detectable
from sweep.statistics.parts import notional_by_group, paid_by_group, parts_of
from sweep.statistics.verdict import EFFECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from allocator.order import Side
    from sweep.statistics.orders import Orders
    from sweep.statistics.totals import Outcome

BPS: Final = 1e4


@dataclass(frozen=True, slots=True)
class Power:
    """What can be shown of some orders, if savings vary from block to block as those of baselines against best_ask do.

    Attributes
    ----------
    side : str, optional
    size : int, optional
        None = of every one.
    blocks, days : int
        That were looked at.
    detectable : dict of str to float
        By baseline, the smallest effect that would show with a power of 80 %, bps; None where it cannot be told: of
        fewer than 20 blocks, or where the baseline does just what best_ask does.
    days_for : dict of str to dict of float to int
        By baseline, the days that effects of so many bps take.
    """

    side: Side | None
    size: int | None
    blocks: int
    days: int
    detectable: dict[str, float | None]
    days_for: dict[str, dict[float, int | None]]


def powers(orders: Orders, baselines: Mapping[str, Outcome], arrivals: Sequence[int]) -> list[Power]:
    """What can be shown of each part of some orders.

    Parameters
    ----------
    orders : Orders
    baselines : mapping of str to Outcome
        How they fill, ``best_ask`` among them.
    arrivals : (N,) sequence of int
        Twice their arrival mids, 1e-9 $; 0 = there is none.
    """
    blocks, paid = blocks_of(orders), paid_by_group(orders, baselines)
    notional = notional_by_group(orders, baselines["best_ask"], arrivals)
    each = []
    for part in parts_of(orders):
        of_part, position = np.unique(blocks.of_group[part.groups], return_inverse=True)
        days, weights = len(np.unique(blocks.day[of_part])), np.bincount(position, notional[part.groups])
        smallest: dict[str, float | None] = {}
        days_for: dict[str, dict[float, int | None]] = {}
        for name, cash in paid.items():
            if baselines[name].lookahead or name == "best_ask":
                continue
            saved = np.bincount(position, BPS * (paid["best_ask"] - cash)[part.groups])
            differs = bool(saved.any())
            smallest[name] = detectable(saved, weights) if differs else None
            needed = [blocks_for(effect, saved, weights) if differs else None for effect in EFFECTS]
            days_for[name] = {
                effect: None if count is None else -(-count * days // len(of_part))
                for effect, count in zip(EFFECTS, needed, strict=True)
            }
        each.append(Power(part.side, part.size, len(of_part), days, smallest, days_for))
    return each
