"""Child orders that take time, a cap on what is displayed, and schedules of the router, worked out by hand."""

from dataclasses import replace

import pytest

from allocator.baselines import schedules
from allocator.book import OFF, BookRules, build_book
from allocator.engine import execute
from allocator.errors import AllocatorError
from allocator.fills import stood_mids
from allocator.flight import Child, Flight, drawn, mixed
from allocator.money import NANO
from allocator.order import LONGEST_LATENCY, Latency, Order, ParameterColumns, Parameters
from allocator.policies import Pseudocode, Static
from allocator.shortfall import trace_fills, trace_row
from allocator.simulate import (
    run_baselines,
    trace_combination,
)
from tests.allocator.test_book import tape_of
from tests.allocator.test_depth import deep_tape_of
from tests.allocator.test_engine import (
    FAIR,
    FEE,
)
from tests.allocator.traced import comparable, rows_of
from tests.support.strategies import CENT, OPEN, SECOND, random_tape

PATIENT = replace(FAIR, leftover_band=0)
TOUCH = Static(reference="touch")


def late(*seconds, rules=PATIENT, **venues):
    """Rules under which a child takes one of so many seconds, one to a venue `v2` as many as named."""
    named = tuple((int(name[1:]), (int(each * SECOND),)) for name, each in venues.items())
    return replace(rules, latency=Latency(tuple(int(each * SECOND) for each in seconds or (0,)), named))


def run(tape, size, rules, policy=TOUCH, *, tau=0, over=0, fees=None, end=None, made=None):
    """Run a buy over a whole tape, on the plain engine, whose sums and trace those of the kernel are.

    Returns its fills, (second, venue, shares, cents), and the execution.
    """
    book = build_book(tape, made or BookRules(stub_band=OFF))
    order = Order("buy", size, OPEN, int(book.ts[-1]) if end is None else OPEN + end * SECOND)
    fees = fees or [0] * len(book.venues)
    point = Parameters(over, tau * CENT, 0)
    done = execute(book, order, rules, fees, policy, point, record=True)
    traced = trace_combination(book, order, rules, policy, fees, ParameterColumns.of([point]))
    trace = trace_row(book, *trace_fills(stood_mids(book), done))
    assert comparable(traced) == (replace(done, fills=()), trace, rows_of(done))
    at = (book.ts - OPEN) // SECOND
    fills = [(int(at[fill.snapshot]), fill.venue, fill.shares, fill.price // CENT) for fill in done.fills]
    return fills, done


BID = [(90, 10)]

# Latency


def test_a_child_meets_the_first_book_at_or_after_its_latency():
    tape = tape_of(*((s, 1, 90, 1, 100, 50) for s in (0, 1, 2)), (3, 1, 90, 1, 100, 20), (5, 1, 90, 1, 100, 50))
    for latency, second in ((0, 0), (1, 1), (1.5, 2), (2, 2), (2.001, 3), (3.5, 5)):
        assert run(tape, 10, late(latency))[0] == [(second, 0, 10, 100)], latency


def test_it_fills_what_it_finds_and_what_is_missing_is_sent_again():
    # 30 sent, 20 found; the 10 more are not sent before the price moves, as nothing is left; the last ones are too late
    rows = [(0, 1, 90, 1, 100, 50), (2, 1, 90, 1, 100, 20), (3, 1, 90, 1, 101, 50), (5, 1, 90, 1, 101, 50)]
    assert run(tape_of(*rows), 30, late(2))[0] == [(2, 0, 20, 100), (5, 0, 10, 101)]
    assert run(tape_of(*rows), 30, late(2.5))[0] == [(5, 0, 30, 101)]  # the leftover rule: the price had left


def test_a_dearer_book_fills_nothing_and_a_cheaper_one_at_its_own_price():
    rows = [(0, 1, 90, 1, 100, 50), (1, 1, 90, 1, 101, 50), (2, 1, 90, 1, 99, 50), (3, 1, 90, 1, 98, 30)]
    # sent at 100 to find 101; sent at 101 to find 99
    fills, done = run(tape_of(*rows, (4, 1, 90, 1, 110, 1)), 40, late(1))
    assert fills == [(2, 0, 40, 99)]
    assert done.cash_filled == 40 * 99 * CENT
    # with fees the limit is the price without: a rebate does not buy a dearer one
    fills, done = run(tape_of(*rows, (4, 1, 90, 1, 110, 1)), 40, late(1), fees=[-5 * CENT])
    assert (fills, done.fees) == ([(2, 0, 40, 99)], -40 * 5 * CENT)


def test_shares_in_flight_count_as_sent_and_are_not_sent_for_twice():
    # of 80 the 50 displayed are sent at 0, and 20 more at 1, when 70 are displayed; nothing at 2, though 10 are missing
    rows = [(0, 1, 90, 1, 100, 50), (1, 1, 90, 1, 100, 70), (2, 1, 90, 1, 100, 70), (3, 1, 90, 1, 100, 75)]
    fills, _ = run(tape_of(*rows, (4, 1, 90, 1, 100, 75), (9, 1, 90, 1, 105, 9)), 80, late(3))
    # at 3 the first 50 arrive, and 5 more are seen, for which 105 at 9 is too dear
    assert fills == [(3, 0, 50, 100), (4, 0, 20, 100), (9, 0, 9, 105)]


def test_all_of_the_order_in_flight_is_nothing_left_to_send():
    rows = [(0, 1, 90, 1, 100, 50), (1, 2, 90, 1, 99, 50), (3, 1, 90, 1, 100, 50), (4, 2, 90, 1, 99, 50)]
    fills, _ = run(tape_of(*rows), 50, late(3))
    assert fills == [(3, 0, 50, 100)]  # the better offer at 1 came too late for it


def test_what_one_child_would_take_the_next_policy_does_not_see_whatever_its_limit():
    # the child at 101 would now take 60 of the 70 at 100: 10 are free, of the other venue's 30 all
    rows = [(0, 1, 90, 1, 101, 60), (1, 1, 90, 1, 100, 70), (1, 2, 90, 1, 100, 30), (3, 1, 90, 1, 100, 70)]
    fills, _ = run(tape_of(*rows, (4, 1, 90, 1, 100, 70)), 200, late(3), tau=0)
    assert fills == [(3, 0, 60, 100), (4, 0, 10, 100), (4, 1, 30, 100)]


def test_a_child_at_a_price_that_has_gone_takes_nothing_of_the_dearer_one():
    rows = [(0, 1, 90, 1, 100, 50), (1, 1, 90, 1, 101, 40), (3, 1, 90, 1, 101, 40), (4, 1, 90, 1, 101, 40)]
    # the 50 sent at 100 are in flight at 1: 30 are missing, for all of which 101 has shares; the 50 then find nothing
    assert run(tape_of(*rows), 80, late(3))[0] == [(4, 0, 30, 101), (4, 0, 10, 101)]


def test_venues_have_latencies_of_their_own():
    rows = [(0, 1, 90, 1, 100, 30), (0, 2, 90, 1, 100, 30), (1, 1, 90, 1, 100, 30), (2, 2, 90, 1, 100, 30)]
    assert run(tape_of(*rows), 50, late(v2=2))[0] == [(0, 0, 20, 100), (2, 1, 30, 100)]
    assert run(tape_of(*rows), 50, late(0.5, v2=2))[0] == [(1, 0, 20, 100), (2, 1, 30, 100)]


def test_at_the_end_the_leftover_rule_buys_at_once_and_what_is_in_flight_is_lost():
    rows = [(0, 1, 90, 1, 100, 30), (1, 2, 90, 1, 100, 30), (2, 1, 90, 1, 100, 40)]
    assert run(tape_of(*rows), 50, late(60))[0] == [(2, 1, 30, 100), (2, 0, 20, 100)]
    # a venue without latency fills at the last snapshot, before the leftover rule, which sees what it took
    assert run(tape_of(*rows), 95, late(60, v2=0), tau=0)[0] == [(1, 1, 30, 100), (2, 0, 40, 100)]
    fills, done = run(tape_of(*rows), 100, late(60, rules=replace(FAIR, leftover="last_ask")))
    assert (fills, done.unfilled) == ([(2, 0, 100, 100)], 0)


LEVELS = [(100, 150), (101, 150), (102, 50)]


def test_what_arrives_at_once_takes_what_was_decided_on_and_what_comes_later_the_best_prices_first():
    tape = deep_tape_of((0, 1, BID, LEVELS), (1, 1, BID, LEVELS), (2, 1, BID, [(110, 1)]))
    lots = Static(lots_only=True, reference="touch")
    assert run(tape, 200, PATIENT, lots, tau=2)[0] == [(0, 0, 100, 100), (0, 0, 100, 101)]
    assert run(tape, 200, late(1), lots, tau=2)[0] == [(1, 0, 150, 100), (1, 0, 50, 101)]


def test_a_child_goes_through_the_levels_up_to_the_dearest_that_was_decided_on():
    rows = [(0, 1, BID, [(100, 10), (101, 10)]), (1, 1, BID, [(99, 5), (101, 9), (102, 90)])]
    fills, _ = run(deep_tape_of(*rows, (2, 1, BID, [(110, 1)])), 20, late(1), tau=1)
    assert fills == [(1, 0, 5, 99), (1, 0, 9, 101), (2, 0, 1, 110)]


def test_children_in_flight_are_set_aside_in_the_order_in_which_they_were_sent():
    book = build_book(tape_of((0, 1, 90, 1, 100, 1)), BookRules())
    near, far = Child(0, 10, 100), Child(0, 10, 101)
    for children, left in (((near, far), [0, 0]), ((far, near), [0, 10])):
        flight = Flight(book, Latency((1,)))
        for child in children:
            flight.send(child, 1)
        assert flight.leave([100, 101], [10, 10], 2) == left
    rows = [(0, 1, BID, [(100, 10)]), (1, 1, BID, [(101, 10)]), (2, 1, BID, [(100, 10), (101, 10)])]
    rows += [(10, 1, BID, rows[2][3]), (11, 1, BID, rows[2][3]), (12, 1, BID, rows[2][3]), (19, 1, BID, [(150, 1)])]
    # sent for at 100, then at 101: nothing is free at 2. At 101, then at 100: the first would take the 100
    assert run(deep_tape_of(*rows), 90, late(10), tau=1)[0] == [(10, 0, 10, 100), (11, 0, 10, 101), (19, 0, 1, 150)]
    rows[:2] = [(0, 1, BID, [(101, 10)]), (1, 1, BID, [(100, 10)])]
    fills = [(10, 0, 10, 100), (12, 0, 10, 101), (19, 0, 1, 150)]
    assert run(deep_tape_of(*rows), 90, late(10), tau=1)[0] == fills


def test_children_in_flight_are_set_aside_level_by_level():
    # 20 up to 101 sent at 0; at 1 they would take 12 at 100 and 8 of the 10 at 101: 2 more are sent
    rows = [(0, 1, BID, [(100, 10), (101, 10)]), (1, 1, BID, [(100, 12), (101, 10), (102, 30)])]
    rows += [(2, 1, BID, rows[1][3]), (3, 1, BID, rows[1][3]), (9, 1, BID, [(150, 1)])]
    fills, _ = run(deep_tape_of(*rows), 35, late(2), tau=1)
    assert fills == [(2, 0, 12, 100), (2, 0, 8, 101), (3, 0, 2, 101), (9, 0, 1, 150)]


def test_a_lot_too_many_is_sold_back_where_it_arrives():
    rows = [(0, 1, 90, 1, 100, 300), (1, 1, 97, 1, 100, 300), (2, 1, 96, 1, 100, 300)]
    lots = Static(lots_only=True, reference="touch")
    _, done = run(tape_of(*rows), 150, late(0.5), lots, tau=2, fees=[FEE])
    assert (done.filled, done.overfilled, done.unfilled) == (200, 50, 0)
    assert done.overfilled_value == 50 * (97 * CENT - FEE)
    assert done.fees == 250 * FEE
    # without a bid the child fills up to the order only
    no_bid = [rows[0], (1, 1, 0, 0, 100, 300), rows[2]]
    fills, done = run(tape_of(*no_bid), 150, late(0.5), lots, tau=2)
    assert (fills, done.overfilled) == ([(1, 0, 150, 100)], 0)


def test_a_lot_too_many_in_flight_is_no_excess_before_it_arrives():
    # 100 of the near venue at once, 100 of the other in flight for 50: the order is complete when they arrive
    rows = [(0, 1, 90, 1, 100, 100), (0, 2, 90, 1, 100, 100), (1, 1, 95, 1, 100, 100), (2, 1, 95, 1, 100, 9)]
    fills, done = run(tape_of(*rows), 150, late(v1=1), Static(lots_only=True, reference="touch"), tau=2)
    assert fills == [(0, 1, 100, 100), (1, 0, 100, 100)]
    assert (done.overfilled, done.overfilled_value) == (50, 50 * 95 * CENT)


def test_draws_are_those_of_splitmix64_and_know_instant_and_publisher_alone():
    # the first two numbers of its reference implementation for a seed of 0
    assert [mixed(0), mixed(0x9E3779B97F4A7C15)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    tape = random_tape(1, 200, 3)
    whole, later = (
        build_book(tape, BookRules()),
        build_book(tape.clip(OPEN + 50 * SECOND, OPEN + 150 * SECOND), BookRules()),
    )
    choices = (0, SECOND, 5 * SECOND)
    latency = Latency(choices, ((2, (SECOND,)),), seed=-1)
    flights = [Flight(book, latency) for book in (whole, later)]
    waits = []
    for t in range(40):
        at = [flights[0].arrival(50 + t, v) - 50 for v in range(3)]
        assert at == [flights[1].arrival(t, v) for v in range(3)]
        assert at[1] == t + 1
        waits.append((at[0] - t, at[2] - t))
        assert waits[-1][0] == choices[drawn(-1, int(later.ts[t]), 1, 3)] // SECOND
    assert {first for first, _ in waits} == {0, 1, 5}
    assert len(set(waits)) == 9  # two venues draw by themselves


def test_every_combination_and_kernel_has_the_same_draws():
    rows = [(s, 1, 90, 1, 100 + s % 2, 1) for s in range(60)]
    book = build_book(tape_of(*rows), BookRules())
    order, rules = (
        Order("buy", 1, *book.ts[[0, -1]].tolist()),
        replace(PATIENT, latency=Latency((0, 3 * SECOND, 8 * SECOND))),
    )
    arrivals = []
    for first in range(40):
        late_order = replace(order, start=int(book.ts[first]))
        runs = [
            execute(book, late_order, rules, [0], policy, Parameters(0, tau, 0), record=True).fills[0].snapshot - first
            for policy in (TOUCH, Static(reference="best"), Static(step=1, lots_only=True), Pseudocode(step=1))
            for tau in (9 * CENT, 20 * CENT)
        ]
        assert len(set(runs)) == 1
        arrivals.append(runs[0])
    assert set(arrivals) >= {0, 8}


def test_a_latency_is_checked():
    assert Latency((1, 2), ((43, (5,)),)).of([2, 43]) == ((1, 2), (5,))
    assert (Latency().delays, Latency((0, 0)).delays, Latency((0, 1)).delays) == (False, False, True)
    assert Latency((0,), ((2, (3,)),)).delays
    for default, venues in (((), ()), ((-1,), ()), ((0,), ((2, ()),)), ((0,), ((2, (LONGEST_LATENCY + 1,)),))):
        with pytest.raises(AllocatorError, match="latency: expected 0 to"):
            Latency(default, venues)
    for share in (0, -1, NANO + 1):
        for policy in (Static, Pseudocode):
            with pytest.raises(AllocatorError, match="participation: expected above 0, up to 1"):
                policy(participation=share)


# Participation


def test_of_a_quote_that_stands_the_router_takes_its_share_in_all():
    rows = [(0, 1, 90, 1, 100, 505), (1, 2, 90, 1, 105, 1), (2, 1, 90, 1, 100, 619), (3, 1, 90, 1, 100, 10)]
    rows += [(4, 1, 90, 1, 101, 99), (5, 1, 90, 1, 102, 9), (6, 1, 90, 1, 102, 90)]
    tenth = replace(TOUCH, participation=NANO // 10)
    fills, done = run(tape_of(*rows), 1000, PATIENT, tenth)
    # 50 of 505, 61 of 619, 1 of 10 is less than is taken; 9 of 99; none of 9; the leftover rule has no cap
    assert fills == [(0, 0, 50, 100), (2, 0, 11, 100), (4, 0, 9, 101), (6, 0, 9, 102), (6, 0, 81, 102)]
    assert done.unfilled == 1000 - 160
    refreshed = run(tape_of(*rows), 1000, replace(PATIENT, liquidity="refresh"), tenth)[0]
    assert refreshed[:3] == [(0, 0, 50, 100), (2, 0, 61, 100), (3, 0, 1, 100)]


def test_best_is_measured_from_what_the_cap_leaves_and_touch_from_what_is_displayed():
    rows = [(0, 1, 90, 1, 100, 9), (0, 2, 90, 1, 103, 200), (1, 1, 90, 1, 0, 0), (1, 2, 90, 1, 0, 0)]
    for reference, fills in (("best", [(0, 1, 20, 103)]), ("touch", [])):
        policy = Static(reference=reference, participation=NANO // 10)
        assert run(tape_of(*rows), 100, PATIENT, policy)[0] == fills
    # whole lots of what the cap leaves: 200 of 2,050 are 2, and no lot more; the study's allocator has no split of it
    one = tape_of((0, 1, 99, 500, 100, 2_050), (1, 1, 0, 0, 0, 0))
    tenth = {"reference": "touch", "participation": NANO // 10}
    assert run(one, 900, PATIENT, Static(lots_only=True, **tenth), tau=3)[0] == [(0, 0, 200, 100)]
    assert run(one, 900, PATIENT, Pseudocode(infeasible="wait", **tenth))[0] == []
    assert run(one, 200, PATIENT, Pseudocode(infeasible="wait", **tenth))[0] == [(0, 0, 200, 100)]


def test_each_level_has_its_cap_and_those_in_flight_count_against_it():
    tape = deep_tape_of(
        (0, 1, BID, [(100, 45), (101, 100)]), (1, 1, BID, [(101, 160), (102, 30)]), (2, 1, BID, [(150, 1)])
    )
    tenth = replace(TOUCH, participation=NANO // 10)
    assert run(tape, 500, PATIENT, tenth, tau=1)[0][:4] == [
        (0, 0, 4, 100),
        (0, 0, 10, 101),
        (1, 0, 6, 101),
        (1, 0, 3, 102),
    ]
    # 14 in flight up to 101 at 1 would take 14 of the 16 that the cap allows; what arrives is not capped
    fills, _ = run(tape, 500, late(1.5), tenth, tau=1)
    assert fills == [(2, 0, 1, 150)]
    sizes = enumerate((45, 95, 3, 7))
    more = tape_of(*((s, 1, 90, 1, 100, size) for s, size in sizes), (4, 1, 90, 1, 150, 1))
    # 4 at 0, of the 9 of 95 then 5 more at 1; they find 3, and 4 more of the 7
    assert run(more, 500, late(2), tenth)[0] == [(2, 0, 3, 100), (3, 0, 4, 100), (4, 0, 1, 150)]


def test_a_cap_near_the_largest_sizes_does_not_wrap():
    huge = tape_of((0, 1, 90, 1, 100, 2**31 - 1), (1, 1, 90, 1, 100, 2**31 - 1))
    cap = (2**31 - 1) * (NANO - 1) // NANO
    fills, _ = run(huge, 2**31 - 1, replace(PATIENT, unfilled_penalty=0), replace(TOUCH, participation=NANO - 1))
    assert fills == [(0, 0, cap, 100), (1, 0, 2**31 - 1 - cap, 100)]


# Schedules of the router


def test_twap_lets_the_router_have_sent_as_much_as_is_due():
    rows = [(0, 1, 90, 1, 100, 30), (30, 1, 90, 1, 101, 90), (60, 1, 90, 1, 102, 45), (90, 1, 90, 1, 103, 90)]
    twap = replace(TOUCH, schedule="twap")
    # 50 due in the first minute, 101 by the second: 30 and 20, then 45 and 6
    tape = tape_of(*rows, (119, 1, 90, 1, 104, 90))
    assert run(tape, 101, PATIENT, twap, end=119)[0] == [
        (0, 0, 30, 100),
        (30, 0, 20, 101),
        (60, 0, 45, 102),
        (90, 0, 6, 103),
    ]
    # what is in flight is sent: 30 at 0 and 20 at 30; then 45 of the 51 more that are due, as 20 of 65 are spoken for
    rows = [(0, 1, 90, 1, 100, 30), (30, 1, 90, 1, 100, 90), (60, 1, 90, 1, 100, 95), (119, 1, 90, 1, 100, 200)]
    fills = [(60, 0, 30, 100), (119, 0, 20, 100), (119, 0, 45, 100), (119, 0, 6, 100)]
    assert run(tape_of(*rows), 101, late(35), twap, end=119)[0] == fills


def test_pov_lets_it_have_sent_a_hundredth_of_what_was_displayed():
    rows = [(0, 1, 90, 1, 100, 900), (1, 1, 90, 1, 101, 250), (2, 2, 90, 1, 101, 149), (3, 1, 90, 1, 101, 201)]
    pov = replace(TOUCH, schedule="pov")
    # 9, 11, 12 and 15 by displayed shares of 900, 1,150, 1,299 and 1,500; then all that is missing
    fills, _ = run(tape_of(*rows, (4, 1, 90, 1, 110, 0)), 30, PATIENT, pov)
    assert fills == [(0, 0, 9, 100), (1, 0, 2, 101), (2, 1, 1, 101), (3, 1, 3, 101), (4, 1, 15, 101)]


def test_a_lot_more_than_is_due_is_bought_ahead_and_only_what_exceeds_the_order_is_sold():
    rows = [(0, 1, 95, 1, 100, 200), (60, 1, 96, 1, 101, 200), (119, 1, 97, 1, 102, 200)]
    lots = Static(step=40, lots_only=True, reference="touch", schedule="twap")
    # 50 due: a lot, and one more, 30 ahead; 20 more are due by 60: a lot, of which 20 exceed the order
    fills, done = run(tape_of(*rows), 100, PATIENT, lots, tau=2, end=119)
    assert fills == [(0, 0, 80, 100), (60, 0, 40, 101)]
    assert (done.filled, done.overfilled, done.overfilled_value) == (120, 20, 20 * 96 * CENT)
    # where the excess would cost more than the shortfall there is none
    assert run(tape_of(*rows), 100, PATIENT, lots, tau=2, over=50 * CENT, end=119)[0] == [
        (0, 0, 40, 100), (60, 0, 40, 101), (119, 0, 20, 102),
    ]  # fmt: skip


def test_the_published_allocator_splits_what_is_due():
    rows = [(0, 1, 95, 1, 100, 200), (60, 1, 96, 1, 101, 200), (119, 1, 97, 1, 102, 200)]
    twap = Pseudocode(step=25, infeasible="wait", schedule="twap")
    assert run(tape_of(*rows), 100, PATIENT, twap, end=119)[0] == [(0, 0, 50, 100), (60, 0, 50, 101)]
    assert run(tape_of(*rows), 90, PATIENT, twap, end=119)[0] == [(119, 0, 90, 102)]  # 45 is no number of lots


# Baselines


def baseline(tape, size, rules, name, end):
    """The fills of a baseline on the plain engine, (second, venue, shares, cents); the kernel has the same sums."""
    book = build_book(tape, BookRules(stub_band=OFF))
    order, fees = Order("buy", size, OPEN, OPEN + end * SECOND), [0] * len(book.venues)
    schedule = schedules(book, order, "fair", "best_ask")[name]
    done = execute(book, order, rules, fees, schedule, Parameters(0, 0, 0), record=True, acting=schedule.acting)
    assert run_baselines(book, order, rules, fees, "fair")[name] == replace(done, fills=())
    at = (book.ts - OPEN) // SECOND
    return [(int(at[fill.snapshot]), fill.venue, fill.shares, fill.price // CENT) for fill in done.fills]


def test_baselines_send_children_with_the_same_latency():
    rows = [
        (0, 1, 90, 1, 100, 30),
        (0, 2, 90, 1, 101, 40),
        (1, 1, 90, 1, 100, 20),
        (2, 2, 90, 1, 99, 40),
        (3, 1, 90, 1, 110, 5),
    ]
    tape = tape_of(*rows)
    # best_ask looks at the touch: 30 to the first venue, which has 20 then; at 2 the 30 that are missing to the second
    assert baseline(tape, 50, late(1), "best_ask", 3) == [(1, 0, 20, 100), (3, 1, 30, 99)]
    # all at once: 30 and 20, of which 20 and 20 are filled, and no more is due
    assert baseline(tape, 50, late(1), "sweep_now", 3) == [(1, 0, 20, 100), (1, 1, 20, 101), (3, 1, 10, 99)]
    book = build_book(tape, BookRules(stub_band=OFF))
    touch = run_baselines(book, Order("buy", 50, OPEN, OPEN + 3 * SECOND), late(1), [0, 0], "fair")["touch"]
    assert (touch.filled, touch.cash_filled) == (50, (20 * 100 + 30 * 99) * CENT)
    # twap has 15 of the 20 of the first minute in flight at 40, when they arrive; the 5 more find another price
    slow = tape_of((0, 1, 90, 1, 100, 15), (40, 1, 90, 1, 100, 25), (70, 1, 90, 1, 101, 50), (119, 1, 90, 1, 101, 60))
    assert baseline(slow, 40, late(30), "twap", 119) == [(40, 0, 15, 100), (119, 0, 25, 101)]
