"""Random orders to be placed, of the kinds of outflow that the paper and its field know; money in 1e-9 $."""

from __future__ import annotations

import numpy as np

from allocator.placement.cost import Costs, Placing

CENT = 10**7


def placing_of(costs, size, through):
    """An order whose market offers all of it at h + f."""
    return Placing(costs, size, np.ascontiguousarray(np.minimum(through, size)), ((size, costs.taking),))


COMMON = 0
"""The kind of outflow that the paper's tables have: six tenths are common to all venues, and close to the queue."""


def random_placing(rng, venues, samples, kind=None):
    """Outflows with a common part, independent ones, or scaled by the activity of the moment; prices of all kinds."""
    size = int(rng.choice([200, 1000, 5000, 20_000]))
    means = rng.exponential(size * rng.uniform(0.1, 1, venues)[:, None], (venues, samples))
    kind = rng.integers(3) if kind is None else kind
    if kind == COMMON:
        common, own = rng.poisson(2200, samples), rng.poisson(2200, (venues, samples))
        passed = (6 * common + 4 * own) // 10 - 2000
    elif kind == 1:
        passed = means - size * rng.uniform(0, 0.3, venues)[:, None]
    else:
        passed = means * rng.exponential(1, samples)
    half, rebates = int(rng.choice([5, 10, 20])) * CENT // 10, rng.integers(-2 * CENT // 10, 4 * CENT // 10, venues)
    costs = Costs(
        half,
        3 * CENT // 10,
        tuple(rebates.tolist()),
        int(rng.choice([0, 5, 20])) * CENT // 100,
        int(rng.integers(0, 8 * CENT)),
        half + int(rebates.max()) + int(rng.integers(CENT // 100, 6 * CENT)),
    )
    return placing_of(costs, size, np.clip(passed, 0, size).astype(np.int64))


def cents(placing, total):
    """A sum over samples as cents per share."""
    return total / (placing.samples * placing.size * CENT)
