"""Seeds: valid inputs of each target, made of generated tapes, the same ones each time."""

from __future__ import annotations

import hashlib
from functools import cache

from hypothesis import HealthCheck, given, seed, settings

from tests.support.strategies import tapes

TAPES = 30


@cache
def seed_tapes():
    """Small tapes, with all that `strategies.tapes` knows."""
    made = []

    @seed(20240801)
    @settings(max_examples=TAPES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(tapes(max_rows=12))
    def collect(tape):
        made.append(tape)

    collect()
    return tuple(made)


def fill(target, folder):
    """Write a target's seeds into a folder, each under the hash of its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for tape in seed_tapes():
        for data in target.valid(tape):
            if len(data) <= target.size:
                (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
