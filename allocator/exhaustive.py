"""The literal searches, which cost every split; the closed forms are tested against them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from allocator.cost import split_cost
from allocator.errors import AllocatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.order import Parameters

SPLIT_LIMIT = 2_000_000


def _choices(available: Sequence[int], size: int, step: int, excess: int) -> list[range]:
    choices = [range(0, min(shares, size + excess) + 1, step) for shares in available]
    splits = prod(len(choice) for choice in choices)
    if splits > SPLIT_LIMIT:
        raise AllocatorError(
            f"the exhaustive search would cost {splits:,} splits, above {SPLIT_LIMIT:,}: use method='exact'"
        )
    return choices


def pseudocode(
    costs: Sequence[int],
    available: Sequence[int],
    rebates: Sequence[int],
    size: int,
    step: int,
    parameters: Parameters,
) -> tuple[int, ...] | None:
    """The first of the cheapest splits in lots that add up to the order, in lexicographic order; None if there is none.

    Raises
    ------
    AllocatorError
        Above `SPLIT_LIMIT` splits.
    """
    _choices(available, size, step, 0)
    best, least_cost = None, None
    for split in _lots(available, size, step):
        cost = split_cost(split, costs, available, rebates, size, parameters)
        if least_cost is None or cost < least_cost:
            best, least_cost = split, cost
    return best


def _lots(available: Sequence[int], size: int, step: int) -> Iterator[tuple[int, ...]]:
    if not available:
        if size == 0:
            yield ()
        return
    for sent in range(0, min(size, available[0]) + 1, step):
        for rest in _lots(available[1:], size - sent, step):
            yield (sent, *rest)


def static(
    relative: Sequence[int],
    available: Sequence[int],
    rebates: Sequence[int],
    size: int,
    parameters: Parameters,
    *,
    step: int = 1,
    lots_only: bool = False,
) -> tuple[int, ...]:
    """The cheapest split with s_i <= a_i; of equals the least excess, the greatest sum, the lexicographically smallest.

    Parameters
    ----------
    relative : sequence of int
        c_i less the reference price, times 2; 1e-9 $.
    available, rebates, size, parameters
        As `cost.split_cost`; rebates play no part where s_i <= a_i.
    step, lots_only
        Send whole lots of `step`, whose sum may exceed the order by less than one lot.

    Raises
    ------
    AllocatorError
        Above `SPLIT_LIMIT` splits.
    """
    unit, excess = (step, step - 1) if lots_only else (1, 0)
    doubled = replace(
        parameters,
        lambda_over=2 * parameters.lambda_over,
        lambda_under=2 * parameters.lambda_under,
        theta_queue=2 * parameters.theta_queue,
    )
    best: tuple[int, ...] = ()
    best_key = None
    for split in product(*_choices(available, size, unit, excess)):
        total = sum(split)
        if total > size + excess:
            continue
        key = (split_cost(split, relative, available, rebates, size, doubled), max(total - size, 0), -total, split)
        if best_key is None or key < best_key:
            best, best_key = split, key
    return best
