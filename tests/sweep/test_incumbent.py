"""What leads while a sweep runs, against plain sums over the rows that have arrived; and what looking costs."""

import json
import time
from itertools import pairwise

import numpy as np
import pytest

from allocator.order import FIELDS
from sweep import incumbent
from sweep.chunks import Cutter
from sweep.driver import run
from sweep.incumbent import EVERY_SECONDS, SHARE, Incumbents, Lookout
from sweep.runs import Store
from sweep.statistics import blocks_of, interval
from tests.support.minute import config_of
from tests.sweep.test_pruning import asked, days  # noqa: F401 - a fixture

FILLED, OVERFILLED, TOTAL = (FIELDS.index(name) for name in ("filled", "overfilled", "total_cash"))


def plainly(orders, competing, markets, arrived):
    """(class, mean, interval's ends, groups) of the best by whole numbers, class by class; None where there is none."""
    before = [0, *np.cumsum(orders.groups_of).tolist()]
    rows = {}
    complete = []
    for tape in markets:
        table, has = arrived.on_tape(tape)
        awaited = {span.order for span in arrived.missing(tape)}
        for at in range(orders.groups_of[tape]):
            rows[before[tape] + at] = {of: table[at, of].tolist() for of in competing if has[at, of]}
            if at not in awaited:
                complete.append(before[tape] + at)
    groups = complete or [*range(before[min(markets)], before[min(markets) + 1])]
    of_order = {group: range(*edges) for group, edges in enumerate(pairwise(orders.edges))}
    best_ask, notional = {}, {}
    for tape, (outcome, arrivals) in markets.items():
        first = orders.span_of(tape).start
        for group in range(before[tape], before[tape + 1]):
            own = [outcome.rows[position - first].tolist() for position in of_order[group]]
            best_ask[group] = [sum(column) for column in zip(*own, strict=True)]
            notional[group] = sum(orders.orders[at].size * arrivals[at - first] / 2 for at in of_order[group])

    def saved(of, group):
        return (best_ask[group][TOTAL] - rows[group][of][TOTAL]) * orders.signs[group]

    def shares(row):
        return row[FILLED] - row[OVERFILLED]

    whole = [of for of in competing if all(of in rows[group] for group in groups)]
    enough = [of for of in whole if sum(shares(rows[g][of]) - shares(best_ask[g]) for g in groups) >= 0]
    if not whole:
        return None
    best = max(enough or whole, key=lambda of: (sum(saved(of, group) for group in groups), -of))
    block_of = blocks_of(orders).of_group
    blocks = sorted({int(block_of[group]) for group in groups})
    sums = [[sum(f(g) for g in groups if block_of[g] == block) for block in blocks]
            for f in (lambda g: 1e4 * saved(best, g), notional.get)]  # fmt: skip
    found_interval = interval(*map(np.array, sums))
    return best, found_interval.mean, found_interval.low, found_interval.high, len(groups)


@pytest.fixture
def looks(monkeypatch):
    """Look after every chunk; each time compare with plain sums, and keep what leads."""
    monkeypatch.setattr(incumbent, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(incumbent, "SHARE", 1e9)
    monkeypatch.setattr(Cutter, "_size", lambda _: 6)
    seen = []

    class Checked(Incumbents):
        def __init__(self, classes, orders, ranges):
            super().__init__(classes, orders, ranges)
            self.asked = orders, [of for first, past in ranges for of in range(first, past)]
            self.markets = {}

        def add(self, tape, best_ask, arrivals):
            super().add(tape, best_ask, arrivals)
            self.markets[tape] = best_ask, arrivals

        def look(self, arrived):
            leading = super().look(arrived)
            expected = plainly(*self.asked, self.markets, arrived)
            assert (leading is None) == (expected is None)
            if leading is not None:
                of, mean, low, high, groups = expected
                assert leading.combination == self._classes.numbers(np.array([of]))[0]
                assert leading.groups == groups
                assert leading.saving.mean == pytest.approx(mean)
                assert (leading.saving.low, leading.saving.high) == (pytest.approx(low), pytest.approx(high))
                seen.append(leading)
            return leading

    monkeypatch.setattr(incumbent, "Incumbents", Checked)
    return seen


WORLDS = {"liquidity": ["persist", "refresh"], "theta_queue": [0, 0.01], "lambda_under": [0, 0.2]}
KEYS = {
    "orders of two days": {},
    "each combination": {"collapse": False},
    "worlds": {"extra": {"grid": WORLDS}},
    "pruned": {"prune": True},
    "in rounds": {
        "search": {"kind": "zoom"},
        "extra": {"grid": {"theta_queue": {"start": 0, "stop": 0.02, "num": 41}, "lambda_under": [0, 0.2]}},
    },
}  # fmt: skip


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_what_leads_is_the_best_of_what_has_arrived(keys, days, looks, tmp_path):  # noqa: F811
    keys = {**keys}
    config = asked(days[2], prune=keys.pop("prune", False), output=str(tmp_path), **keys.pop("extra", {}), **keys)
    result = run(config)
    assert len(looks) > 3
    events = [json.loads(line) for line in (result.home / "log.jsonl").read_text().splitlines()]
    last = [event for event in events if event["event"] == "incumbent"][-1]
    assert last["parameters"] == result.document["best_parameters"]
    assert last["groups"] == last["of"]
    assert last["reason"] is None or "an interval takes 20" in last["reason"]
    assert (last["reason"] is None) == (last["low"] is not None)


def test_combinations_that_fail_lead_nowhere(stream, looks, tmp_path, monkeypatch):
    from allocator import simulate
    from sweep import tasks

    original = simulate.run_combinations

    def fails(book, order, rules, policy, fees, parameters, **keywords):
        if any(p.theta_queue == 0 for p in parameters):
            raise ZeroDivisionError("a bug")
        return original(book, order, rules, policy, fees, parameters, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    result = run(config_of(stream, output=str(tmp_path), collapse=False))
    assert len(result.failures) == 9
    assert result.document["best_parameters"]["theta_queue"] > 0
    grid = result.config.question.grid
    assert grid.printed(looks[-1].combination)["theta_queue"] > 0


def test_who_looks_takes_its_share_of_the_time_and_no_more(monkeypatch):
    """A look that takes 3 s, at a clock of our own: the next one is not before 3 s are that share of it all."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    taken = []

    class Slow:
        def look(self, _):
            taken.append(now[0])
            now[0] += 3.0

    class Watched(Store):
        watched = True

    lookout = Lookout(Watched())
    lookout._incumbents = Slow()
    while len(taken) < 3:
        lookout.look()
        now[0] += EVERY_SECONDS / 2
    assert all(later - earlier >= 3.0 / SHARE for earlier, later in pairwise(taken))
    lookout.look(ended=True)
    assert len(taken) == 4


def test_a_run_that_is_not_stored_is_not_looked_at(stream, looks):
    run(config_of(stream, grid={"theta_queue": [0, 0.01]}))
    assert looks == []
