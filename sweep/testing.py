"""The conformance suites of all kinds of plug-in, to inherit from in tests of your own; they need pytest.

PolicySuite, BaselineSuite : of `allocator.testing`, with the names that entry points give.
CodecSuite, ReaderSuite : of `feed.testing`.
SamplerSuite : of samplers.

Each subclass is collected as a class of tests:

    from sweep.testing import PolicySuite

    class TestPatient(PolicySuite):
        name = "patient"
        policies = (Patient(), Patient(patience=0))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from allocator import testing
from feed import synthetic
from feed.files import write_csv
from feed.instants import format_instant
from feed.testing import CodecSuite, ReaderSuite
from sweep.driver import run
from sweep.plugins import BASELINE, policy_named, sampler_named
from sweep.search import Space

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.result import Result

__all__ = ["BaselineSuite", "CodecSuite", "PolicySuite", "ReaderSuite", "SamplerSuite"]

COUNTED: Final = ("run", "warnings")
"""Sections of a document that say how a result came about."""


def _minute(folder: Path, **keys: Any) -> Result:  # noqa: ANN401 - each key has its own type
    """A sweep of 20 synthetic seconds in this process."""
    day = folder / "day.csv"
    if not day.exists():
        write_csv(synthetic.generate(seconds=20.0, warmup=5.0, levels=1), day)
    start, end = synthetic.window(20.0)
    asked = {"start": format_instant(start), "end": format_instant(end)}
    return run({"source": str(day), "executor": "inline", "order.size": 2000, "window": asked, **keys})


class PolicySuite(testing.PolicySuite):
    """What every policy does, and that its name stands for it.

    Attributes
    ----------
    name : str
        Of its entry point.
    """

    name: ClassVar[str] = ""

    def test_its_name_stands_for_it(self) -> None:
        assert self.name, "set name, that of its entry point"
        assert {policy_named(self.name)} == {type(policy) for policy in self.policies}

    def test_a_sweep_of_it_is_the_same_twice(self, tmp_path: Path) -> None:
        one, other = (_minute(tmp_path, policy=self.name, collapse=collapse) for collapse in (True, False))
        assert not one.failures, one.failures[0].details
        assert np.array_equal(one.table, other.table)
        kept = [{name: part for name, part in each.document.items() if name not in COUNTED} for each in (one, other)]
        assert kept[0] == kept[1]
        assert one.document["run"]["id"] == other.document["run"]["id"]


class BaselineSuite(testing.BaselineSuite):
    """What every baseline does, and that its name stands for it beside those that are built in."""

    def test_its_name_stands_for_it_in_a_sweep(self, tmp_path: Path) -> None:
        names = [name for name in self.baselines if name not in BASELINE.built_in]
        document = _minute(tmp_path, baselines=names).document
        for name in self.baselines:
            assert name in document["savings_vs_baselines_bps"]
            shown = document["baselines"][name].get("lookahead", False)
            assert shown == bool(getattr(self.baselines[name], "lookahead", False))


class SamplerSuite:
    """What every sampler does; a subclass says which it is about.

    Attributes
    ----------
    name : str
        Of its entry point.
    """

    name: ClassVar[str] = ""

    spaces: ClassVar[tuple[Space, ...]] = (
        Space((1,), (True,)),
        Space((2, 3), (True, False)),
        Space((7, 5, 9), (True, True, True)),
        Space((2, 4, 1, 33, 17), (False, False, True, True, True)),
        Space((10**6, 10**6, 10**6), (True, True, True)),
    )

    def search(self, space: Space, seed: int, budget: int, batch: int) -> list[int]:
        """The places that it asks for until it has what it wants, or was given all."""
        assert self.name, "set name, that of its entry point"
        sampler, asked = sampler_named(self.name).make(space, seed, budget), list[int]()
        while len(asked) < budget:
            count = min(batch, budget - len(asked))
            places = sampler.ask(count)
            assert places.dtype == np.int64, f"it asks for {places.dtype}, expected int64"
            assert len(places) <= count, f"it asks for {len(places)} places, of {count} at most"
            if not len(places):
                break
            asked += places.tolist()
            sampler.tell(places, [None if place % 11 == 3 else cost_of(space, place) for place in places.tolist()])
        return asked

    def test_it_asks_for_places_inside_each_once_and_the_same_for_a_seed(self) -> None:
        for space in self.spaces:
            for batch in (1, 7, 1000):
                budget = min(30, space.places + 1)
                asked = self.search(space, 5, budget, batch)
                assert asked, "it asks for nothing"
                assert len({*asked}) == len(asked), "it asks for a place twice"
                assert all(0 <= place < space.places for place in asked), "it asks for a place that there is none"
                assert self.search(space, 5, budget, batch) == asked, "the same seed and costs give other places"

    def test_it_does_not_ask_for_what_it_was_told(self) -> None:
        space = Space((3, 2, 3), (True, False, True))
        foreign = np.array([0, 4, 5, 11, 17])
        sampler, asked = sampler_named(self.name).make(space, 2, 20), list[int]()
        sampler.tell(foreign, [cost_of(space, place) for place in foreign.tolist()])
        while len(places := sampler.ask(4)):
            asked += places.tolist()
            sampler.tell(places, [cost_of(space, place) for place in places.tolist()])
            assert len(asked) <= space.places, "it does not end"
        assert len({*asked, *foreign.tolist()}) == len(asked) + len(foreign)

    def test_it_ends_where_nothing_is_left(self) -> None:
        for space in (*self.spaces[:2], Space((3, 5, 7), (True, False, True))):
            asked = self.search(space, 0, space.places + 5, 20)
            assert len(asked) <= space.places

    def test_it_goes_on_where_nothing_has_a_cost(self) -> None:
        space = self.spaces[2]
        sampler = sampler_named(self.name).make(space, 1, 40)
        places = sampler.ask(20)
        sampler.tell(places, [None] * len(places))
        assert len(np.intersect1d(sampler.ask(20), places)) == 0


def cost_of(space: Space, place: int) -> int:
    """A bowl with its least cost inside; by name, too."""
    cost = 0.0
    for length, ordered in zip(reversed(space.shape), reversed(space.ordered), strict=True):
        place, at = divmod(place, length)
        cost += (at - 0.3 * length) ** 2 / length**2 if ordered else 0.1 * (at != length - 1)
    return int(10**12 * cost)
