"""The solver of `placement` at n = 500: warm, cold, against a linear program by HiGHS and the paper's own algorithm.

The problems are the random ones of the tests: outflows with a common part, independent ones, and ones scaled by the
activity of the moment; a figure is of the one that takes the median time, or the mean over all where its line says so.
A warm start is the optimum of the window before, which lacks the newest sample and has an older one in its place, for
an order that has 2 % more to go.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.kernels import placement as kernels
from allocator.placement.bound import lower_bound
from allocator.placement.cost import Placing
from allocator.placement.solver import solve
from allocator.placement.stochastic import stochastic_approximation
from benchmarks.frame import Case, Duel, Scale, Side
from tests.support.placement_program import declined, program, solver
from tests.support.placings import COMMON, cents, random_placing

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = 500
NEAR = 0.001
"""Cents per share: how close to our value the paper's algorithm has to come at half of the problems."""

MOST_STEPS = 2**20

LINEAR = "the linear program with optional fills, by HiGHS"


@dataclass(frozen=True)
class Prepared:
    """A problem as the kernel takes it, and its orders in the window before."""

    placing: Placing
    arguments: tuple[Any, ...]
    before: np.ndarray[Any, Any]

    def cold(self):
        """The value from three starts."""
        x = np.full(len(self.before), -1, np.int64)
        return kernels.best(*self.arguments, x)

    def warm(self):
        """The value from the orders of before."""
        return kernels.best(*self.arguments, self.before.copy())


def prepared(number: int, venues: int, kind: int | None = None) -> Prepared:
    whole = random_placing(np.random.default_rng([venues, number]), venues, SAMPLES + 1, kind)
    costs, size = whole.costs, whole.size - whole.size // 50
    through = np.minimum(whole.through[:, 1:], size).copy()
    placing = Placing(costs, size, through, ((size, costs.taking),))
    before = solve(costs, whole.size, whole.through[:, :-1])
    columns = [np.array(each, np.int64) for each in ([size], [costs.taking], costs.gains)]
    for each in (through, *columns):
        each.setflags(write=False)
    return Prepared(placing, (size, through, *columns, costs.theta, costs.under, costs.over), np.array(before.x))


def problems(scale: Scale, venues: int, kind: int | None = None) -> list[Prepared]:
    return [prepared(number, venues, kind) for number in range(scale.pick(40, 4))]


def typical(run: str, these: list[Prepared], clock: Callable[[], float] = time.perf_counter) -> list[Prepared]:
    """The problem that takes the median time, by the best of five runs each."""

    def least(each: Prepared) -> float:
        seconds = []
        for _ in range(5):
            began = clock()
            getattr(each, run)()
            seconds.append(clock() - began)
        return min(seconds)

    took = [least(each) for each in these]
    return [these[sorted(range(len(these)), key=took.__getitem__)[len(these) // 2]]]


def _all(run: str, these: list[Prepared]) -> list[int]:
    return [getattr(each, run)() for each in these]


def _excess(these: list[Prepared], values: list[int], others: list[int]) -> np.ndarray[Any, Any]:
    return np.array(
        [cents(each.placing, value - other) for each, value, other in zip(these, values, others, strict=True)]
    )


def _warm(scale: Scale, venues: int) -> Duel:
    these = problems(scale, venues)

    def guard():
        excess = _excess(these, _all("warm", these), _all("cold", these))
        assert np.median(excess) < 0.001, "a warm start ends elsewhere"
        assert excess.max() < 0.5, "a warm start ends far above"

    _all("warm", these)
    one = typical("warm", these)
    return Duel(
        Side(partial(_all, "warm", one)),
        Side(partial(_all, "cold", one)),
        guard,
        f"K={venues} n={SAMPLES}, median of {len(these)} problems",
    )


def _linear(scale: Scale, venues: int, kind: int | None = None) -> Duel:
    these = problems(scale, venues, kind)
    _all("cold", these)
    one = typical("cold", these)
    model = program(one[0].placing, exact=False)[0]

    def theirs():
        solver(model).run()

    def guard():
        for each, value in zip(these, _all("cold", these), strict=True):
            assert value / SAMPLES > declined(each.placing).cost - 1e-6 * each.placing.size * 10**7, "below the bound"
        theirs()

    return Duel(
        Side(partial(_all, "cold", one)),
        Side(theirs),
        guard,
        f"K={venues} n={SAMPLES}, median of {len(these)} problems (baseline: the same one, its model made beforehand)",
    )


def _bound(scale: Scale, venues: int) -> Duel:
    these = problems(scale, venues)[: scale.pick(8, 2)]
    optima = [solve(each.placing.costs, each.placing.size, each.placing.through).x for each in these]
    models = [program(each.placing, exact=False)[0] for each in these]

    def ours():
        return [lower_bound(each.placing, x) for each, x in zip(these, optima, strict=True)]

    def theirs():
        for each in models:
            solver(each).run()

    def guard():
        values = _all("cold", these)
        gaps = _excess(these, values, ours()).mean()
        linear = _excess(these, values, [round(SAMPLES * declined(each.placing).cost) for each in these]).mean()
        assert 0 <= gaps < linear, "the linear program bounds as closely"

    return Duel(
        Side(ours, len(these)),
        Side(theirs, len(these)),
        guard,
        f"K={venues} n={SAMPLES}, mean of {len(these)} problems",
    )


def _paper(scale: Scale, venues: int) -> Duel:
    these = problems(scale, venues)
    values = _all("cold", these)

    def theirs(steps):
        return [each.placing.total(stochastic_approximation(each.placing, steps)) for each in these]

    steps = SAMPLES
    while steps < MOST_STEPS and np.median(_excess(these, theirs(steps), values)) > NEAR:
        steps *= 2
    excess = _excess(these, theirs(steps), values)

    def guard():
        assert _all("cold", these) == values
        assert np.median(excess) > -NEAR, "the paper's algorithm is below"

    return Duel(
        Side(partial(_all, "cold", these), len(these)),
        Side(partial(theirs, steps), len(these)),
        guard,
        f"K={venues} n={SAMPLES}, mean of {len(these)} problems (baseline {steps:,} steps, compiled, after which it is "
        f"{np.median(excess):.4f} cents per share above ours in the median, {excess.mean():.4f} in the mean)",
    )


CASES = (
    *(
        Case(
            f"placement_warm_{venues}", "ms", "the same from three starts", partial(_warm, venues=venues), target=target
        )
        for venues, target in ((1, 0.02), (4, 0.08), (10, 0.2))
    ),
    Case("placement_cold_4", "ms", LINEAR, partial(_linear, venues=4), target=0.6, rounds=5),
    Case("placement_cold_4_common", "ms", LINEAR, partial(_linear, venues=4, kind=COMMON), rounds=5, least_ratio=100),
    Case("placement_bound_4", "ms", "the linear program as a bound, by HiGHS", partial(_bound, venues=4), rounds=5),
    Case("placement_paper_4", "ms", "the paper's algorithm, as accurate", partial(_paper, venues=4), rounds=5),
)
