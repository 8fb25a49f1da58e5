"""hftbacktest's queues against ours: the same fills, or differences of which each has a name."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from allocator.book import OFF, BookRules, build_book
from allocator.order import NEUTRAL
from allocator.queues import Joins, QueueRules, cleared
from feed.source import read_source
from tests.support import ROOT
from tests.support.hftbacktest import (
    CENT,
    FULL,
    OURS,
    START,
    Market,
    QueueDifferences,
    events_with_prints,
    restated,
    stream,
    tape_of,
)

pytestmark = pytest.mark.command

DISPLAYED = BookRules(uncross=False, stub_band=OFF)
"""Quotes stand, and all that is published is displayed."""
THEIRS = QueueDifferences()
NEUTRAL_MODELS = ("power", "power2", "power3")
"""Three of hftbacktest's formulas, which are one where the power is 1."""
NEEDED = ("hftbacktest", "llvmlite", "numba", "numpy")
"""What a replay takes of the environment that `make peers` makes: a third of it."""


BEYOND = [(START + t, 100, 5, 103, 5) for t in range(4)], [(START + 2, 99, 1, 1)]
"""A buyer's print below the best bid."""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    """An interpreter that has hftbacktest: that of `make peers`, or of a smaller environment."""
    whole = ROOT / ".peers" / "hftbacktest" / "bin" / "python"
    if whole.exists():
        return whole
    folder = tmp_path_factory.mktemp("hftbacktest")
    pins = (ROOT / "benchmarks" / "peers" / "hftbacktest.txt").read_text().split()
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run(
        [*pip, "--no-deps", *(pin for pin in pins if pin.partition("==")[0] in NEEDED)],
        check=False,
        capture_output=True,
        text=True,
    )
    if installed.returncode:
        pytest.skip(f"hftbacktest cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
    return python


def _case(tape, side, every, rests):
    """Orders at the best price, and a cent better where that does not take, from the second snapshot on.

    At the first hftbacktest has no book yet. Each rests for so many snapshots.
    """
    book, sign = build_book(tape, DISPLAYED), 1 if side == "buy" else -1
    best, far = (column[:, 0] for column in (book.bid_px, book.ask_px)[::sign])
    orders = [
        (t, min(t + rests, len(best)), price)
        for t in range(1, len(best), every)
        if best[t] > 0
        for price in (int(best[t]), int(best[t]) + sign * CENT)
        if price == best[t] or (far[t] > 0 and (far[t] - price) * sign > 0)
    ]
    joined, past, price = np.array(orders, np.int64).T
    return SimpleNamespace(tape=tape, book=book, side=side, joined=joined, past=past, price=price)


@pytest.fixture(scope="module")
def cases(interpreter, tmp_path_factory, request):
    """Streams and the real day, where it is there, either side, and what each of their models fills, by order."""
    folder = tmp_path_factory.mktemp("cases")
    tapes = {"unit": stream(11, 1500, unit=True), "larger": stream(12, 1500, unit=False)}
    with suppress(pytest.skip.Exception):
        tapes["l1_day"] = read_source(str(request.getfixturevalue("l1_day")))[0].up_to(1)
    made = {
        f"{name}-{side}": _case(tape, side, *((700, 20_000) if name == "l1_day" else (5, 400)))
        for name, tape in tapes.items()
        for side in ("buy", "sell")
    } | {"beyond": _case(tape_of(*BEYOND), "buy", 1, 9)}
    for name, case in made.items():
        trades = case.tape.trades
        np.savez(
            folder / f"{name}.npz",
            events=events_with_prints(case.book, trades, case.side),
            stops=case.book.ts,
            sent=case.joined,
            past=case.past,
            prices=case.price / 1e9,
            buy=case.side == "buy",
            tick=CENT / 2e9,  # half a cent, at which hidden shares trade: theirs rounds prices to ticks
        )
    command = [interpreter, "-m", "benchmarks.peers.resting_orders", folder]
    done = subprocess.run(command, cwd=ROOT, input="fills\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [None] * len(made)
    for name, case in made.items():
        case.theirs = {}
        for model, notes in np.load(folder / f"{name}.fills.npz").items():
            fills = case.theirs[model] = [[] for _ in case.joined]
            for order, stop, shares in notes.tolist():
                fills[order].append((stop, shares or FULL))
    return made


NAMES = [f"{name}-{side}" for name in ("unit", "larger", "l1_day") for side in ("buy", "sell")]


@pytest.fixture(params=NAMES)
def case(request, cases):
    if request.param not in cases:
        pytest.skip("real market data is absent (set SOR_SWEEP_TEST_DATA)")
    return cases[request.param]


def _restated(case, rules, *, cautious=False):
    """Fills of each order by the restatement."""
    market = Market(case.book, case.tape.trades, case.side)
    orders = zip(case.joined.tolist(), case.past.tolist(), case.price.tolist(), strict=True)
    return [list(restated(market, *order, cautious=cautious, rules=rules)) for order in orders]


def _ours(case, phi):
    """Fills of each order by our queues."""
    count = len(case.joined)
    joins = Joins(
        venue=np.zeros(count, np.int64),
        joined=case.joined,
        past=case.past,
        price=case.price,
        ahead=np.zeros(count, np.int64),
    )
    done = cleared(case.book, case.side, joins, QueueRules(phi=phi, rho=0))
    assert not done.refused.any()
    fills = [[] for _ in range(count)]
    for order, stop, through in zip(done.order.tolist(), done.snapshot.tolist(), done.through.tolist(), strict=True):
        fills[order].append((stop, through))
    return fills


def test_the_restatement_does_what_hftbacktest_does(case):
    assert case.theirs["risk_adverse"] == _restated(case, THEIRS, cautious=True)
    assert case.theirs["power"] == _restated(case, THEIRS)
    assert sum(map(bool, case.theirs["power"])) > len(case.joined) / 2  # orders are filled


def test_the_pessimistic_queue_is_their_risk_adverse_one(case):
    assert _ours(case, 0) == case.theirs["risk_adverse"]


def test_the_neutral_queue_is_theirs_of_power_one_but_for_rules_with_names(case):
    ours = _ours(case, NEUTRAL)
    assert ours == _restated(case, OURS)
    for model in NEUTRAL_MODELS:
        assert case.theirs[model] == case.theirs["power"]


def test_a_print_beyond_our_price_fills_us_whoever_took(cases):
    case = cases["beyond"]
    assert case.theirs["power"][0] == []
    assert _ours(case, NEUTRAL)[0] == [(2, FULL)]


def test_other_models_of_theirs_are_other_formulas(cases):
    for model in ("square", "log"):
        assert any(case.theirs[model] != case.theirs["power"] for case in cases.values()), model


@pytest.mark.parametrize("name", [each.name for each in fields(QueueDifferences)])
def test_each_rule_makes_a_difference(name, cases):
    """None of them is there for nothing: with it alone taken back, some fills are others."""
    kinds = [cases[kind] for kind in ("unit-buy", "larger-buy", "beyond")]
    assert any(_restated(case, replace(OURS, **{name: False})) != _restated(case, OURS) for case in kinds)
