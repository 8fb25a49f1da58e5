"""Exact splits of an order at one snapshot, in integers: closed forms of the searches in `allocator.exhaustive`.

Every function takes, per venue, c_i in 1e-9 $ and the shares available; a reference price is doubled, because a mid may
lie on half a nano-dollar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.cost import times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.money import Amount
    from allocator.order import Parameters


def by_cost(costs: Sequence[int], available: Sequence[int]) -> list[int]:
    """Venues that have shares, cheapest first, the highest index first among equals."""
    return sorted((i for i, shares in enumerate(available) if shares > 0), key=lambda i: (costs[i], -i))


def pro_rata(shares: int, weights: Sequence[int]) -> list[int]:
    """Split shares in proportion to weights, whole by the largest remainder, the lowest index first among equals.

    Parameters
    ----------
    shares : int
    weights : sequence of int
        0 or more, not all 0.
    """
    total = sum(weights)
    split, rests = zip(*(divmod(shares * weight, total) for weight in weights), strict=True)
    missing = shares - sum(split)
    gets_more = set(sorted(range(len(weights)), key=lambda i: (-rests[i], i))[:missing])
    return [whole + (i in gets_more) for i, whole in enumerate(split)]


def pseudocode(costs: Sequence[int], available: Sequence[int], size: int, step: int) -> tuple[int, ...] | None:
    """The published study's split in whole lots, or None where no split adds up to the order (model 2.1)."""
    if size % step or sum(step * (shares // step) for shares in available) < size:
        return None
    split = [0] * len(costs)
    for i in by_cost(costs, available):
        split[i] = min(step * (available[i] // step), size)
        size -= split[i]
    return tuple(split)


def static(costs: Sequence[int], available: Sequence[int], size: int, tau: Amount, reference2: int) -> tuple[int, ...]:
    """Take whatever costs at most tau above the reference, odd lots included (model 2.2)."""
    split = [0] * len(costs)
    for i in by_cost(costs, available):
        if 2 * costs[i] - reference2 > 2 * tau:
            break
        split[i] = min(available[i], size)
        size -= split[i]
    return tuple(split)


def static_lots(
    costs: Sequence[int],
    available: Sequence[int],
    size: int,
    step: int,
    parameters: Parameters,
    reference2: int,
    *,
    may_exceed: bool = True,
) -> tuple[int, ...]:
    """`static` in whole lots, with one lot more where the excess costs less than the shortfall (model 2.2).

    Parameters
    ----------
    costs, available, size, step, parameters, reference2
        As above.
    may_exceed : bool
        Whether an excess can be sold back.
    """
    split = [0] * len(costs)
    order = by_cost(costs, available)
    short = size
    for i in order:
        if 2 * costs[i] - reference2 > 2 * parameters.tau:
            break
        split[i] = step * min(available[i] // step, short // step)
        short -= split[i]
    if may_exceed and 0 < short < step:
        for i in order:
            if available[i] - split[i] >= step:
                excess = times(parameters.lambda_over + parameters.theta_queue, step - short)
                if step * (2 * costs[i] - reference2) + 2 * excess < 2 * times(parameters.tau, short):
                    split[i] += step
                break
    return tuple(split)
