"""The solver of `placement` against the mixed-integer program, which knows the least cost of small samples."""

from __future__ import annotations

import numpy as np
import pytest

from allocator.placement.bound import lower_bound
from allocator.placement.solver import solve
from tests.support.placement_program import declined, truth
from tests.support.placings import CENT, cents, random_placing

SAMPLES = {2: (10, 41), 3: (6, 19), 4: (5, 13)}
"""As many as the program can take in a tenth of a second."""

COUNT = 200


@pytest.fixture(scope="module")
def compared():
    """Of each random order: what the solver's cost is above the truth at most, and of both bounds below it, cents."""
    rows = []
    for number in range(COUNT):
        rng = np.random.default_rng((16, number))
        venues = 2 + number % 3
        placing = random_placing(rng, venues, int(rng.integers(*SAMPLES[venues])))
        done = solve(placing.costs, placing.size, placing.through)
        known = truth(placing, done.x, within=0.003 * CENT * placing.size)
        share = CENT * placing.size
        assert known.cost <= known.bound + 0.0031 * share
        below = (known.cost - lower_bound(placing, done.x) / placing.samples) / share
        declining = (known.cost - declined(placing).cost) / share
        rows.append((cents(placing, done.value) - known.bound / share, below, declining))
    return np.array(rows).T


def test_it_is_within_a_hundredth_of_a_cent_of_the_truth_almost_always(compared):
    excess, _, _ = compared
    assert np.mean(excess <= 0.01) >= 0.96
    assert excess.max() <= 0.05


def test_no_bound_is_above_the_truth_and_ours_is_the_closer_one(compared):
    _, ours, declining = compared
    assert ours.min() > -1e-9
    assert declining.min() > -1e-6
    assert np.mean(ours) < 0.2 * np.mean(declining)
