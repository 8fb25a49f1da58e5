"""The fuzzers' targets as properties: valid inputs, changed a little, are read right or refused, and nothing else.

`make fuzz` attacks the same targets for longer, guided by what the inputs cover.
"""

import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import mutations
from tests.fuzz.corpus import seed_tapes
from tests.fuzz.targets import TARGETS, accepted
from tests.support.examples import examples
from tests.support.strategies import tapes


@st.composite
def inputs(draw, target):
    """A valid input, some changes to it made."""
    data = draw(st.sampled_from(list(target.valid(draw(tapes(max_rows=6))))))
    rng = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(0, 2))):
        data = target.change(data, rng)
    return data[: target.size]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@examples(15)
@given(st.data())
def test_an_input_is_read_right_or_refused(target, data):
    accepted(target, data.draw(inputs(target)))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_most_seeds_are_accepted(target):
    seeds = [data for tape in seed_tapes()[:4] for data in target.valid(tape)]
    taken = [accepted(target, data) for data in seeds]
    assert sum(taken) > len(seeds) / 2


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_changes_know_what_valid_inputs_are_made_of(target, monkeypatch):
    damage, failed = mutations.damage, []

    def noted(data, rng):
        if sys.exception() is not None:
            failed.append(sys.exception())
        return damage(data, rng)

    monkeypatch.setattr(mutations, "damage", noted)
    seeds = [data for tape in seed_tapes()[:4] for data in target.valid(tape)]
    rng = Random(20240801)
    for _ in range(200):
        target.change(rng.choice(seeds), rng)
    assert len(failed) < 10, failed[0]
