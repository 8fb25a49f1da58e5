"""Samplers: what each of them promises, and the sequences behind them."""

import hashlib
import sys
from collections import Counter
from importlib.util import find_spec
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.driver import run
from sweep.errors import ConfigError
from sweep.search.samplers import SAMPLERS, Space, make_sampler
from sweep.search.sequences import DIMENSIONS, permuted, sobol, sobol_places

KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(kind == "optuna" and not find_spec("optuna"), reason="an extra"))
    for kind in SAMPLERS
]

SPACES = [
    Space((1,), (True,)),
    Space((2, 3), (True, False)),
    Space((7, 5, 9), (True, True, True)),
    Space((2, 4, 1, 33, 17), (False, False, True, True, True)),
    Space((10**6, 10**6, 10**6), (True, True, True)),
]


def cost_of(space, place):
    """A bowl with its least cost inside; by name, too."""
    cost = 0
    for length, ordered in zip(reversed(space.shape), reversed(space.ordered), strict=True):
        place, at = divmod(place, length)
        cost += (at - 0.3 * length) ** 2 / length**2 if ordered else 0.1 * (at != length - 1)
    return int(10**12 * cost)


def search(kind, space, seed, budget, batch):
    """The places that a sampler asks for until it has what it wants or was given all."""
    sampler, asked = make_sampler(kind, space, seed, budget), []
    while len(asked) < budget:
        places = sampler.ask(min(batch, budget - len(asked)))
        assert places.dtype == np.int64
        assert len(places) <= min(batch, budget - len(asked))
        if not len(places):
            break
        asked += places.tolist()
        sampler.tell(places, [None if place % 11 == 3 else cost_of(space, place) for place in places.tolist()])
    return asked


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", SPACES, ids=lambda space: "x".join(map(str, space.shape)))
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_no_place_twice_inside_the_lattice_and_the_same_for_a_seed(kind, space, batch):
    budget = min(60, space.places + 1)
    asked = search(kind, space, 5, budget, batch)
    assert len({*asked}) == len(asked) > 0
    assert all(0 <= place < space.places for place in asked)
    assert search(kind, space, 5, budget, batch) == asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_it_was_told_of_is_not_asked_for(kind):
    space = Space((3, 2, 3), (True, False, True))
    foreign = np.array([0, 4, 5, 11, 17])
    sampler, asked = make_sampler(kind, space, 2, 20), []
    sampler.tell(foreign, [cost_of(space, place) for place in foreign.tolist()])
    while len(places := sampler.ask(4)):
        asked += places.tolist()
        sampler.tell(places, [cost_of(space, place) for place in places.tolist()])
    assert len({*asked, *foreign.tolist()}) == len(asked) + len(foreign)


@pytest.mark.parametrize("kind", ["random", "sobol"])
@pytest.mark.parametrize("space", SPACES[:4], ids=lambda space: "x".join(map(str, space.shape)))
def test_a_lattice_is_used_up(kind, space):
    assert sorted(search(kind, space, 0, space.places + 5, 100)) == list(range(space.places))
    assert len(search(kind, space, 0, space.places - 1, 50)) >= 0.9 * (space.places - 1)


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_how_many_are_asked_for_at_once_plays_no_part(kind):
    space = SPACES[3]
    assert search(kind, space, 3, 200, 200) == search(kind, space, 3, 200, 13)
    assert search(kind, space, 3, 200, 200) != search(kind, space, 4, 200, 200)


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1), st.data())
def test_a_random_order_holds_each_number_once_and_any_part_of_it_is_that_part(count, seed, data):
    every = permuted(count, 0, count, seed)
    assert sorted(every.tolist()) == list(range(count))
    first = data.draw(st.integers(0, count))
    past = data.draw(st.integers(first, count))
    assert permuted(count, first, past, seed).tolist() == every[first:past].tolist()


def test_all_orders_of_few_numbers_are_equally_likely():
    counts = Counter(tuple(permuted(4, 0, 4, seed).tolist()) for seed in range(24_000))
    assert len(counts) == 24
    chi_squared = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi_squared < 49.7  # 23 degrees of freedom, one in a thousand


def test_numbers_of_a_large_lattice_are_spread():
    drawn = permuted(10**18, 0, 100_000, 1) / 1e18
    counts = np.histogram(drawn, 100, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 148.2  # 99 degrees of freedom, one in a thousand


def test_sobol_points_are_the_published_ones():
    # the first points of three dimensions by hand: van der Corput, and x + 1, x^2 + x + 1
    points = sobol(3, 0, 8) / 2**32
    assert points.tolist() == [
        [0, 0, 0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75],
        [0.375, 0.375, 0.625], [0.875, 0.875, 0.125], [0.625, 0.125, 0.875], [0.125, 0.625, 0.375],
    ]  # fmt: skip
    # 4,096 points of 16 dimensions, equal to those of scipy 1.17.1, scipy.stats.qmc.Sobol(16, scramble=False, bits=32)
    digest = hashlib.sha256(sobol(DIMENSIONS, 0, 4096).tobytes()).hexdigest()
    assert digest == "48528a388dbef0f5fd96de70afed2e02088db924dbd00111bb0be4d88788e029"


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_sobol_places_are_even_on_each_axis_and_in_each_pair(seed):
    shape = (16, 8, 4)
    places = sobol_places(shape, 0, 512, seed)
    assert len({*places.tolist()}) == prod(shape)  # of powers of two each cell has one
    at = np.array(np.unravel_index(sobol_places((10, 7, 5), 0, 7000, seed), (10, 7, 5)))
    for axis, length in enumerate((10, 7, 5)):
        counts = np.bincount(at[axis], minlength=length)
        assert np.abs(counts - 7000 / length).max() <= 2


def zoomed(space, cost, budget=None, batch=10**6):
    """What a zoom looks at, and its costs."""
    sampler, costs = make_sampler("zoom", space, 0, budget), {}
    while (budget is None or len(costs) < budget) and len(
        places := sampler.ask(batch if budget is None else min(batch, budget - len(costs)))
    ):
        paid = [cost(place) for place in places.tolist()]
        sampler.tell(places, paid)
        costs |= dict(zip(places.tolist(), paid, strict=True))
    return costs


@pytest.mark.parametrize("shape", [(1,), (2,), (5, 6), (33, 17, 9), (1000, 7, 321)])
def test_a_zoom_finds_the_bottom_of_a_bowl_in_few_steps(shape):
    space = Space(shape, (True,) * len(shape))
    rng = np.random.default_rng(1)
    for _ in range(5):
        target = rng.integers(0, shape)

        def cost(place, target=target):
            distance = (np.array(np.unravel_index(place, shape)) - target) / np.array(shape)
            return int(1e15 * (distance**2).sum())

        costs = zoomed(space, cost)
        best = min(costs, key=costs.get)
        assert np.unravel_index(best, shape) == tuple(target)
        corners = np.array(list(np.ndindex(*(2,) * len(shape)))) * (np.array(shape) - 1)
        assert {*np.ravel_multi_index(corners.T, shape).tolist()} <= {*costs}  # both ends of each axis
        assert len(costs) <= min(prod(shape), 5 ** len(shape) + 3 ** len(shape) * 2 * max(shape).bit_length() + 8)
        assert zoomed(space, cost, batch=3).keys() == costs.keys()
        assert min(zoomed(space, cost, budget=4).values()) >= costs[best]


def test_a_zoom_searches_each_combination_of_names_by_itself():
    space = Space((2, 40, 3, 50), (False, True, False, True))

    def cost(place):
        one, x, other, y = np.unravel_index(place, space.shape)
        # the names that are worse on a coarse lattice have the narrow valley
        return int(1000 * abs(x - 17 - one) + 900 * abs(y - 33 + other) - 500_000 * (one == other == 1 and x == 18))

    costs = zoomed(space, cost)
    every = {place: cost(place) for place in range(space.places)}
    for one in range(2):
        for other in range(3):
            own = [p for p in every if np.unravel_index(p, space.shape)[::2] == (one, other)]
            assert min(every[p] for p in own) == min(costs[p] for p in own if p in costs)
    assert len(costs) < 0.2 * space.places


def test_a_zoom_that_was_not_told_refuses_to_go_on_and_one_without_costs_ends():
    sampler = make_sampler("zoom", Space((9, 9), (True, True)))
    first = sampler.ask(1000)
    with pytest.raises(RuntimeError, match="the costs of 25 places are awaited"):
        sampler.ask(1)
    sampler.tell(first, [None] * len(first))
    assert not len(sampler.ask(1000))


def test_a_zoom_of_a_small_budget_looks_at_an_even_part():
    costs = zoomed(Space((9, 9, 9), (True,) * 3), int, budget=5)
    assert [*costs] == [0, 8, 80, 648, 720]  # of the eight corners


def test_optuna_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"optuna is not installed; pip install 'sor-sweep\[search\]'"):
        make_sampler("optuna", SPACES[1])
    with pytest.raises(ConfigError, match="optuna is not installed"):
        run({"source": "not looked at", "search": {"kind": "optuna", "combinations": 5}})


def test_optuna_learns(monkeypatch):
    pytest.importorskip("optuna")
    space = Space((101, 3, 101), (True, False, True))

    def cost(place):
        x, name, y = np.unravel_index(place, space.shape)
        return int((x - 70) ** 2 + (y - 20) ** 2 + 2000 * (name != 1))

    best = {}
    for kind in ("optuna", "random"):
        bests = []
        for seed in range(3):
            sampler, costs = make_sampler(kind, space, seed), []
            while len(costs) < 96:
                places = sampler.ask(96 - len(costs))
                sampler.tell(places, [cost(place) for place in places.tolist()])
                costs += [cost(place) for place in places.tolist()]
            bests.append(min(costs))
        best[kind] = sorted(bests)[1]
    assert best["optuna"] < best["random"] / 2
