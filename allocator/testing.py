"""The conformance suites of policies and of baselines, to inherit from in tests of your own; they need pytest.

Each subclass is collected as a class of tests:

    from allocator.testing import PolicySuite

    class TestPatient(PolicySuite):
        policies = (Patient(), Patient(patience=0))
"""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pytest

from allocator.baselines import Schedule
from allocator.book import BookRules, build_book
from allocator.engine import execute
from allocator.order import FIELDS, Latency, Order, ParameterColumns, Parameters, Rules
from allocator.simulate import run_combinations, run_orders, trace_baselines, trace_combination
from feed.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from allocator.baselines import Make
    from allocator.book import Book
    from allocator.engine import ChildOrder, Policy, View

SECOND: Final = 10**9
STEP: Final = 6 * SECOND
CENT: Final = 10**7
OPEN: Final = 1_722_520_800 * SECOND
SEEDS: Final = range(4)
FEES: Final = {1: 3_000_000, 2: -2_000_000, 3: 0}
COMBINATIONS: Final = tuple(
    Parameters.of(*each) for each in ((0, 0, 0), (0, 0.01, 0), (0.01, 0.03, 0.02), (0.05, float("inf"), 0.01))
)
RULES: Final = (
    Rules("persist", "sweep", 5 * CENT),
    Rules("refresh", "sweep", 5 * CENT),
    Rules("persist", "last_ask", 5 * CENT),
)


@cache
def book_of(seed: int, levels: int = 1, changed_from: int | None = None) -> Book:
    """A small book of a seed: three venues, 240 s, prices in cents that cross, vanish and repeat.

    Parameters
    ----------
    seed : int
    levels : int
        Of a side.
    changed_from : int, optional
        Of the 40 steps of 6 s, the one from which on it shows other prices and sizes, at the same instants.
    """
    rng, other = np.random.default_rng(seed), np.random.default_rng(10_000 + seed)
    rows = 40 + 20 * (seed % 3)
    at = np.sort(rng.integers(0, 40, rows))
    columns: dict[str, Any] = {"ts": OPEN + at * STEP, "venue": rng.integers(1, 4, rows)}
    drawn = [_prices(each, rows) for each in (rng, other)]
    late = np.zeros(rows, np.bool_) if changed_from is None else at >= changed_from
    columns |= {name: np.where(late, drawn[1][name], column) for name, column in drawn[0].items()}
    behind = None
    if levels > 1:
        steps = CENT * np.arange(1, levels)
        behind = {
            "bid_px": columns["bid_px"][:, None] - steps,
            "ask_px": columns["ask_px"][:, None] + steps,
            "bid_sz": np.repeat(columns["bid_sz"][:, None], levels - 1, axis=1),
            "ask_sz": np.repeat(columns["ask_sz"][:, None], levels - 1, axis=1),
        }
    tape = Tape.build("XYZ", **columns, sequence=np.arange(rows), levels=behind)
    return build_book(tape, BookRules("consolidated"))


def _prices(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    middle = 10_000 + np.cumsum(rng.integers(-1, 2, rows))
    shown = rng.random((2, rows)) < 0.9
    return {
        "bid_px": np.where(shown[0], (middle - rng.integers(0, 4, rows)) * CENT, 0),
        "ask_px": np.where(shown[1], (middle + rng.integers(1, 5, rows)) * CENT, 0),
        "bid_sz": rng.integers(1, 9, rows) * 50,
        "ask_sz": rng.integers(1, 900, rows),
    }


def fees_of(book: Book) -> tuple[int, ...]:
    """Taker fees of the venues of a book, 1e-9 $ per share, a rebate among them."""
    return tuple(FEES[venue] for venue in book.venues.tolist())


def orders() -> tuple[Order, ...]:
    """Buys and sells, of one share up to more than a book shows, over all of it and a part."""
    spans = ((OPEN, OPEN + 40 * STEP), (OPEN + 7 * STEP, OPEN + 33 * STEP))
    return tuple(Order(side, size, *span) for side, size, span in product(("buy", "sell"), (1, 700, 20_000), spans))  # type: ignore[arg-type]


class _Recording:
    """Decides as a policy does, and keeps what it saw and sent."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.seen: list[tuple[View, int, Parameters, list[ChildOrder]]] = []
        for name in ("participation", "schedule"):
            if hasattr(policy, name):
                setattr(self, name, getattr(policy, name))

    def decide(self, view: View, remaining: int, parameters: Parameters) -> list[ChildOrder]:
        before = replace(view)
        sent = list(self._policy.decide(view, remaining, parameters))
        assert view == before, f"it changed what it was shown: {before} became {view}"
        self.seen.append((view, remaining, parameters, sent))
        return sent


def _decisions(policy: Policy) -> Iterator[tuple[View, int, Parameters, list[ChildOrder]]]:
    """What a policy sees and sends, over all books, orders, rules and combinations."""
    for seed, (number, order) in product(SEEDS, enumerate(orders())):
        book, recording = book_of(seed, 1 + 2 * (seed % 2)), _Recording(policy)
        rules, parameters = RULES[number % len(RULES)], COMBINATIONS[(seed + number) % len(COMBINATIONS)]
        execute(book, order, rules, fees_of(book), recording, parameters)
        yield from recording.seen


def _adds_up(order: Order, row: Sequence[int]) -> None:
    """Whether the shares and the money of a result row do; the columns of `allocator.order.FIELDS`."""
    named = dict(zip(FIELDS, row, strict=True))
    shares = named["filled"] - named["overfilled"] + named["unfilled"]
    assert shares == order.size, f"of {order.size} shares {shares} are filled or left: {named}"
    cash = named["cash_filled"] + named["unfilled_value"] - named["overfilled_value"]
    assert cash == named["total_cash"], f"the parts of the cash are {cash}: {named}"


class PolicySuite:
    """What every policy does; a subclass says which it is about.

    Attributes
    ----------
    policies : sequence of Policy
        With the switches that are to be tested; one at least.
    may_exceed : bool
        Whether it may send more than is missing where the excess can be sold back.
    """

    policies: ClassVar[Sequence[Any]] = ()
    may_exceed: ClassVar[bool] = False

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run each test for each policy."""
        if "policy" in metafunc.fixturenames:
            metafunc.parametrize("policy", _listed(metafunc, "policies"), ids=repr)

    def test_it_is_a_frozen_dataclass_of_equal_values(self, policy: Any) -> None:  # noqa: ANN401
        assert is_dataclass(policy), "its fields are its switches: make it a dataclass"
        made: Any = type(policy)
        assert made.__dataclass_params__.frozen, "frozen=True, so that no decision depends on those before it"
        assert replace(policy) == policy  # type: ignore[type-var]
        assert hash(replace(policy)) == hash(policy)  # type: ignore[type-var]
        assert all(field.init for field in fields(policy)), "a field without init is no switch"

    def test_it_is_sent_to_other_processes(self, policy: Any) -> None:  # noqa: ANN401
        assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 - its own bytes

    def test_equal_views_have_equal_answers(self, policy: Any) -> None:  # noqa: ANN401
        written = pickle.dumps(policy)
        seen = list(_decisions(policy))
        assert any(sent for *_, sent in seen), "it never sends anything"
        other = pickle.loads(written)  # noqa: S301 - its own bytes
        for view, remaining, parameters, sent in reversed(seen):
            again = list(other.decide(view, remaining, parameters))
            assert again == sent, f"it sent {sent}, and asked again {again}"
        assert pickle.dumps(policy) == written, "its fields changed while it decided"

    def test_it_sends_what_is_there_and_missing(self, policy: Any) -> None:  # noqa: ANN401
        for view, remaining, _, sent in _decisions(policy):
            left = list(view.available)
            for child in sent:
                assert type(child.venue) is type(child.shares) is type(child.limit) is int, f"{child}: expected int"
                assert child.kind == "taker", f"{child}: its limit orders would need queues"
                assert 0 <= child.venue < len(left), f"{child}: there are {len(left)} supplies"
                assert 0 <= child.shares <= left[child.venue], f"{child}: {left[child.venue]} shares are available"
                left[child.venue] -= child.shares
            total = sum(child.shares for child in sent)
            exceeds = self.may_exceed and view.can_sell_back
            assert exceeds or total <= remaining, f"it sent {total} shares, and {remaining} are missing"

    def test_orders_add_up(self, policy: Any) -> None:  # noqa: ANN401
        delayed = replace(RULES[0], latency=Latency((3 * STEP,)))
        for seed, order, rules in product((0, 1), orders(), (*RULES, delayed)):
            book = book_of(seed, 1 + 2 * seed)
            columns = ParameterColumns.of(COMBINATIONS)
            for row in run_combinations(book, order, rules, policy, fees_of(book), columns).table.tolist():
                _adds_up(order, row)

    def test_combinations_and_orders_together_are_those_alone(self, policy: Any) -> None:  # noqa: ANN401
        book, columns = book_of(2), ParameterColumns.of(COMBINATIONS)
        arguments = RULES[0], policy, fees_of(book)
        together = run_orders(book, orders(), *arguments, columns)
        for order, outcome in zip(orders(), together, strict=True):
            each = run_combinations(book, order, *arguments, columns, collapse=False).table
            assert np.array_equal(outcome.table, each), "what runs together differs from what runs alone"
            for number in range(len(columns)):
                alone = columns.take(np.array([number]))
                row = run_combinations(book, order, *arguments, alone).table[0]
                assert np.array_equal(row, each[number]), f"{columns[number]} alone differs"
                traced = trace_combination(book, order, *arguments, alone).execution
                assert [getattr(traced, name) for name in FIELDS] == row.tolist(), "it is traced otherwise than it runs"


def _listed(metafunc: pytest.Metafunc, name: str) -> Any:  # noqa: ANN401 - what a suite is about
    """What a subclass of a suite says that it is about; UsageError where it says nothing."""
    given = getattr(metafunc.cls, name)
    if not given:
        raise pytest.UsageError(f"{metafunc.cls.__name__}: set {name}, which it is about")
    return given


def _fills(make: Make, book: Book, order: Order) -> list[tuple[int, int, int, int]]:
    """How a baseline fills, on the plain engine."""
    policy = make(book, order)
    if isinstance(policy, Schedule):
        policy = policy.in_whole_shares()
    run = execute(book, order, RULES[0], fees_of(book), policy, Parameters(0, 0, 0), record=True)
    return [(fill.snapshot, fill.venue, fill.shares, fill.price) for fill in run.fills]


class BaselineSuite:
    """What every baseline does; a subclass says which it is about.

    Attributes
    ----------
    baselines : mapping of str to callable
        By name, what makes of a book and an order what decides. One that looks ahead has an attribute ``lookahead``
        that is true.
    """

    baselines: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run each test for each baseline."""
        if "baseline" in metafunc.fixturenames:
            given = _listed(metafunc, "baselines")
            metafunc.parametrize("baseline", given.values(), ids=given.keys())

    def test_it_is_sent_to_other_processes(self, baseline: Make) -> None:
        book, order = book_of(0), orders()[2]
        again = pickle.loads(pickle.dumps(baseline))  # noqa: S301 - its own bytes
        assert _fills(again, book, order) == _fills(baseline, book, order)

    def test_it_is_the_same_twice_and_by_both_engines(self, baseline: Make) -> None:
        for seed, order in product(SEEDS, orders()):
            book = book_of(seed, 1 + 2 * (seed % 2))
            arguments = book, order, RULES[seed % len(RULES)], fees_of(book), "fair"
            runs = [
                trace_baselines(*arguments, engine=engine, more={"own": baseline})["own"]  # type: ignore[arg-type]
                for engine in ("kernel", "kernel", "reference")
            ]
            assert runs[0].execution == runs[1].execution, "it differs from one run to the next"
            assert runs[0].execution == runs[2].execution, "it differs from one engine to the other"
            _adds_up(order, [getattr(runs[0].execution, name) for name in FIELDS])

    def test_it_leaves_the_book_alone(self, baseline: Make) -> None:
        book = book_of(3)
        before = pickle.dumps(book)
        for order in orders():
            _fills(baseline, book, order)
        assert pickle.dumps(book) == before

    def test_it_does_not_look_ahead_or_says_so(self, baseline: Make) -> None:
        if getattr(baseline, "lookahead", False):
            return
        for seed, order, change in product(SEEDS, orders(), (5, 12, 20, 31)):
            book, other = book_of(seed), book_of(seed, changed_from=change)
            until = int(np.searchsorted(book.ts, OPEN + change * STEP))
            ours, theirs = (
                [fill for fill in _fills(baseline, each, order) if fill[0] < until] for each in (book, other)
            )
            assert ours == theirs, (
                f"other quotes from {6 * change} s on change what it bought before; if it is to look ahead, give it "
                "lookahead = True, and no verdict is against it"
            )
