"""Children in flight, caps and schedules against laws: the kernel and the plain engine, identities, bound, mirror."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.book import OFF, BookRules, build_book
from allocator.clairvoyant import clairvoyant
from allocator.engine import best_other, execute
from allocator.errors import NoPriceError
from allocator.fills import stood_mids
from allocator.kernels import delayed
from allocator.money import NANO
from allocator.order import LONGEST_LATENCY, Latency, Order, Parameters, Rules
from allocator.policies import Pseudocode, Static
from allocator.runners import RUNNERS, SHARED, Task, in_flight, walk_in_flight
from allocator.shortfall import trace_fills, trace_row
from allocator.simulate import (
    kernels_for,
    kernels_for_orders,
    run_baselines,
    run_combinations,
    run_orders,
    trace_baselines,
    trace_combination,
)
from tests.allocator.test_engine import (
    FAIR,
    FEE,
    GRID,
    SWITCHES,
    book_rules,
    fees_of,
    mirrored,
    orders,
    outcome,
    rules_of,
)
from tests.allocator.traced import comparable, rows_of
from tests.support.examples import examples
from tests.support.strategies import CENT, SECOND, deep_tapes, random_tape, restless_tape, tapes
from tests.support.tapes import with_levels

TOUCH = Static(reference="touch")


WAITS = st.lists(
    st.sampled_from([0, 0, 1, 10**6, SECOND, 2 * SECOND, 7 * SECOND, 30 * SECOND, 10**13]), min_size=1, max_size=3
).map(tuple)
latencies = st.builds(
    Latency,
    WAITS,
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 5, 43]), WAITS), max_size=2).map(tuple),
    st.integers(-2, 9),
)
PACED = {
    **SWITCHES,
    "participation": st.sampled_from([NANO, NANO, NANO // 2, NANO // 10, 1]),
    "schedule": st.sampled_from(["now", "now", "twap", "pov"]),
}
paced = st.one_of(
    st.builds(Static, **PACED), st.builds(Pseudocode, infeasible=st.sampled_from(["sweep", "wait"]), **PACED)
)


@st.composite
def dense_cases(draw):
    """Orders over most of a tape on which most children find something, of a seed."""
    seed, venues, snapshots = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 4)), draw(st.integers(5, 50))
    tape = draw(st.sampled_from([random_tape, restless_tape]))(seed, snapshots, venues)
    depth = draw(st.sampled_from([1, 1, 2, 4]))
    book = build_book(tape if depth == 1 else with_levels(tape, depth, seed), draw(book_rules))
    assume(len(book.ts))
    side, size = draw(st.sampled_from(["buy", "sell"])), draw(st.sampled_from([137, 500, 2500, 20_000]))
    order = Order(side, size, int(book.ts[min(draw(st.integers(0, 3)), len(book.ts) - 1)]), int(book.ts[-1]))
    return book, order, draw(rules_of), fees_of(book)


@st.composite
def small_cases(draw):
    """The awkward ones: withdrawn, crossed and hidden quotes, stamps that repeat, orders beside the tape."""
    tape = draw(st.one_of(tapes(max_rows=25, trades=False), deep_tapes(max_rows=20, trades=False)))
    book = build_book(tape, draw(book_rules))
    return book, draw(orders(tape)), draw(rules_of), fees_of(book)


late_cases = st.tuples(st.one_of(dense_cases(), small_cases()), latencies).map(
    lambda drawn: (*drawn[0][:2], replace(drawn[0][2], latency=drawn[1]), drawn[0][3])
)


@examples(150)
@given(late_cases, paced)
def test_the_kernel_equals_the_reference_engine(case, policy):
    book, order, rules, fees = case
    task = Task.of(book, order, rules, policy, fees)
    reference, kernel = (outcome(lambda run=run: RUNNERS[run](task, GRID).tolist()) for run in ("reference", "delayed"))
    assert kernel == reference


@examples(60)
@given(late_cases, paced)
def test_the_trace_is_that_of_the_recorded_fills(case, policy):
    book, order, rules, fees = case
    try:
        done = execute(book, order, rules, fees, policy, GRID[4], record=True)
    except NoPriceError:
        assume(False)
    traced = trace_combination(book, order, rules, policy, fees, GRID.take(np.array([4])))
    trace = trace_row(book, *trace_fills(stood_mids(book), done))
    assert comparable(traced) == (replace(done, fills=()), trace, rows_of(done))
    unrecorded = trace_combination(book, order, rules, policy, fees, GRID.take(np.array([4])), record=False)
    assert comparable(unrecorded) == (replace(done, fills=()), trace, None)


@examples(40)
@given(late_cases, paced, st.sampled_from([1, 3, 1000]))
def test_fills_are_kept_however_many_there_are_and_none_where_none_are_asked_for(case, policy, room):
    book, order, rules, fees = case
    run = walk_in_flight(Task.of(book, order, rules, policy, fees), GRID, stood_mids(book))
    out, fills = in_flight(run, len(GRID), room)
    for row, kept, point in zip(out.tolist(), fills, GRID, strict=True):
        try:
            done = execute(book, order, rules, fees, policy, point, record=True)
        except NoPriceError:
            assert row[0] < order.size
            continue
        assert sorted(kept.tolist()) == rows_of(done)
        assert kept[:, 0].tolist() == sorted(kept[:, 0].tolist())
        assert row[0] == done.filled
    again, none = in_flight(run, len(GRID), 0)
    assert again.tolist() == out.tolist()
    assert [len(each) for each in none] == [0] * len(GRID)


@examples(80)
@given(late_cases, st.sampled_from(["fair", "classic"]), st.sampled_from(["best_ask", "best_available"]))
def test_the_compiled_schedules_equal_the_reference_engine(case, conventions, follower):
    book, order, rules, fees = case
    kernel, reference = (
        outcome(
            lambda engine=engine: comparable(
                trace_baselines(book, order, rules, fees, conventions, follower=follower, engine=engine)
            )
        )
        for engine in ("kernel", "reference")
    )
    assert kernel == reference


@examples(80)
@given(st.one_of(dense_cases(), small_cases()), paced, st.integers(0, 9))
def test_no_latency_no_cap_and_no_schedule_are_the_engine_without_them(case, policy, seed):
    book, order, rules, fees = case
    policy = replace(policy, participation=NANO, schedule="now")
    at_once = replace(rules, latency=Latency((0, 0), ((2, (0,)),), seed))
    task, other = (Task.of(book, order, each, policy, fees) for each in (rules, at_once))
    assert not other.delayed
    plain, *rest = (
        outcome(lambda name=name, task=task: RUNNERS[name](task, GRID).tolist())
        for name, task in (("walk", task), ("delayed", task), ("delayed", other), ("reference", other))
    )
    assert rest == [plain] * 3


@examples(60)
@given(late_cases, paced)
def test_identities_hold_and_nothing_is_below_the_bound(case, policy):
    book, order, rules, fees = case
    try:
        rows = run_combinations(book, order, rules, policy, fees, GRID).table.tolist()
        bound = clairvoyant(book, order, rules, fees)
        baselines = run_baselines(book, order, rules, fees, "fair").values()
    except NoPriceError:
        assume(False)
    side, earned = book.take_side(order.side), 0
    for t in range(*book.span(order)):  # by how much an excess share can earn more than it cost, at the most
        other = best_other(book.price_list(side.other_ticks[t].tolist()), fees, order.sign)
        shown = [order.sign * px for px in book.price_list(side.ticks[t].tolist()) if px]
        earned = max(earned, other[0] - min(shown) - min(fees)) if other and shown else earned
    for filled, unfilled, over, cash, _, unfilled_value, over_value, total in rows:
        assert filled + unfilled - over == order.size
        assert total == cash + unfilled_value - over_value
        assert min(filled, unfilled, over) >= 0
        assert order.sign * (total - bound.total_cash) + over * earned >= 0
    for each in baselines:
        assert order.sign * (each.total_cash - bound.total_cash) >= 0


@examples(60)
@given(late_cases, paced)
def test_combinations_that_are_collapsed_decide_alike(case, policy):
    book, order, rules, fees = case
    collapsed, each = (
        outcome(
            lambda collapse=collapse: run_combinations(
                book, order, rules, policy, fees, GRID, collapse=collapse
            ).table.tolist()
        )
        for collapse in (True, False)
    )
    assert collapsed == each


@examples(50)
@given(st.data(), paced, rules_of, latencies)
def test_a_sell_in_the_mirror_is_the_buy_to_the_nano_dollar(data, policy, rules, latency):
    tape = data.draw(tapes(max_rows=20, trades=False))
    constant = 400_001 * CENT  # above every stub
    bare, rules = BookRules(stub_band=OFF), replace(rules, leftover_band=None, latency=latency)
    book, other = build_book(tape, bare), build_book(mirrored(tape, constant), bare)
    order, fees = replace(data.draw(orders(tape)), side="buy"), fees_of(book)
    buys, sells = (
        outcome(lambda b=b, o=o: run_combinations(b, o, rules, policy, fees, GRID).table.tolist())
        for b, o in ((book, order), (other, replace(order, side="sell")))
    )
    if "no price" in (buys, sells):
        assert buys == sells
        return
    for (f, u, o, cash, paid, u_value, o_value, total), sell in zip(buys, sells, strict=True):
        assert sell == [
            f, u, o, constant * f - cash, paid, constant * u - u_value, constant * o - o_value,
            constant * order.size - total,
        ]  # fmt: skip


@dataclass(frozen=True)
class Never:
    """Sends nothing."""

    unit: int = 1

    def decide(self, view, remaining, parameters):  # noqa: ARG002
        return []


@examples(40)
@given(st.one_of(dense_cases(), small_cases()), paced)
def test_a_latency_beyond_the_span_leaves_everything_to_the_leftover_rule(case, policy):
    book, order, rules, fees = case
    never = replace(rules, latency=Latency((LONGEST_LATENCY,)))
    try:
        rows = run_combinations(book, order, never, policy, fees, GRID).table
        expected = execute(book, order, rules, fees, Never(), Parameters(0, 0, 0))
    except NoPriceError:
        assume(False)
    assert (
        rows[:, [0, 1, 3, -1]]
        == [getattr(expected, name) for name in ("filled", "unfilled", "cash_filled", "total_cash")]
    ).all()


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
def test_more_children_in_flight_than_there_is_room_for_at_first(depth, liquidity):
    tape = random_tape(7, 420, 3)
    book = build_book(tape if depth == 1 else with_levels(tape, depth, 7), BookRules())
    rules = Rules(liquidity, "sweep", 0, None, Latency((150 * SECOND, 200 * SECOND), ((2, (3 * SECOND,)),)))
    order = Order("buy", 150_000, *book.ts[[0, -1]].tolist())
    task = Task.of(book, order, rules, TOUCH, fees_of(book))
    once = Task.of(book, order, replace(rules, latency=Latency((LONGEST_LATENCY,))), TOUCH, fees_of(book))
    rows = RUNNERS["delayed"](task, GRID)
    assert rows.tolist() == RUNNERS["reference"](task, GRID).tolist()
    assert rows.tolist() != RUNNERS["delayed"](once, GRID).tolist()
    sent = execute(book, order, replace(rules, latency=Latency()), fees_of(book), TOUCH, GRID[0], record=True).fills
    assert sum(fill.snapshot < 150 and fill.venue != 1 for fill in sent) > delayed.SLOTS


def test_which_kernels_run_what():
    book = build_book(random_tape(1, 50, 3), BookRules())
    order, fees = Order("buy", 500, *book.ts[[0, -1]].tolist()), [FEE] * 3
    for rules, policy in (
        (replace(FAIR, latency=Latency((1,))), TOUCH),
        (FAIR, Static(participation=NANO - 1)),
        (FAIR, Pseudocode(schedule="twap")),
    ):
        assert kernels_for(book, order, rules, policy, fees) == ("delayed",)
        assert SHARED not in kernels_for_orders(book, [order, order], rules, policy, fees)
        with pytest.raises(ValueError, match="cannot share"):
            run_orders(book, [order], rules, policy, fees, GRID, kernel=SHARED)
        with pytest.raises(ValueError, match="cannot run"):
            run_combinations(book, order, rules, policy, fees, GRID, kernel="rows")
        # the walk is the delayed one where that is needed
        rows = [
            run_combinations(book, order, rules, policy, fees, GRID, kernel=kernel).table.tolist()
            for kernel in ("walk", "delayed", "reference")
        ]
        assert rows[0] == rows[1] == rows[2]
    assert "delayed" not in kernels_for(book, order, FAIR, TOUCH, fees)
