"""The rules of model section 4 and 5 on the reference engine and the kernel alike, and the two against each other."""

import ast
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import allocator.kernels
from allocator.book import OFF, BookRules, build_book
from allocator.engine import band_edge, execute
from allocator.errors import AllocatorError, NoPriceError
from allocator.kernels.compiling import Kernel
from allocator.money import INFINITE
from allocator.order import FIELDS, Order, ParameterColumns, Parameters, Rules
from allocator.policies import Pseudocode, Static
from allocator.simulate import run_baselines, run_combinations
from feed.tape import Tape
from tests.allocator.test_book import tape_of
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, tapes

FAIR = Rules("persist", "sweep", 50_000_000)
CLASSIC = Rules("refresh", "last_ask", 50_000_000)
FEE = 3_000_000
POINTS = [
    Parameters(0, 0, 0),
    Parameters(0, 2 * CENT, 0),
    Parameters(CENT, 0, 3 * CENT),
    Parameters(0, 2 * CENT, CENT // 2),
    Parameters(CENT, 2 * CENT, 3 * CENT),
    Parameters(CENT, INFINITE, 0),
    Parameters(INFINITE, INFINITE, CENT),
]
GRID = ParameterColumns.of(POINTS)

SWITCHES = {
    "step": st.sampled_from([1, 40, 100]),
    "reference": st.sampled_from(["touch", "best", "mid", "arrival"]),
    "lots_only": st.booleans(),
}
policies = st.one_of(
    st.builds(Static, **SWITCHES), st.builds(Pseudocode, infeasible=st.sampled_from(["sweep", "wait"]), **SWITCHES)
)
rules_of = st.builds(
    Rules,
    st.sampled_from(["persist", "refresh"]),
    st.sampled_from(["sweep", "last_ask"]),
    st.sampled_from([0, 5 * CENT]),
    st.sampled_from([None, None, 0, 200_000, 5_000_000, 10**9]),
)
book_rules = st.builds(
    BookRules,
    st.sampled_from(["consolidated", "event"]),
    st.booleans(),
    st.sampled_from([OFF, 10**8]),
    st.sampled_from([OFF, SECOND]),
    st.sampled_from([None, "ask"]),
)


@st.composite
def orders(draw, tape):
    """An order somewhere around a tape's span, at times before, after, or of no length."""
    first, last = tape.span
    start = draw(st.integers(first - SECOND, last + SECOND))
    return Order(
        draw(st.sampled_from(["buy", "sell"])),
        draw(st.sampled_from([1, 40, 100, 137, 500, 2500])),
        start,
        draw(st.integers(start, max(start, last) + 70 * SECOND)),
    )


def fees_of(book):
    """One fee per venue: a rebate, ties, and a cent, so that different prices and fees make one c."""
    return [(0, CENT, FEE, -2_000_000, FEE)[i] for i in range(len(book.venues))]


@st.composite
def cases(draw):
    tape = draw(tapes(max_rows=25, trades=False))
    book = build_book(tape, draw(book_rules))
    return book, draw(orders(tape)), draw(rules_of), fees_of(book)


def outcome(run):
    """What a run returns, or that it refuses to value what was never quoted."""
    try:
        return run()
    except NoPriceError:
        return "no price"


@examples(80)
@given(cases(), policies)
def test_the_kernel_equals_the_reference_engine(case, policy):
    book, order, rules, fees = case
    kernel, reference = (
        outcome(
            lambda kernel=kernel: run_combinations(book, order, rules, policy, fees, GRID, kernel=kernel).table.tolist()
        )
        for kernel in ("walk", "reference")
    )
    assert kernel == reference


@examples(70)
@given(cases(), st.sampled_from(["fair", "classic"]), st.sampled_from(["best_ask", "best_available"]))
def test_the_compiled_schedules_equal_the_reference_engine(case, conventions, follower):
    book, order, rules, fees = case
    kernel, reference = (
        outcome(
            lambda engine=engine: run_baselines(book, order, rules, fees, conventions, follower=follower, engine=engine)
        )
        for engine in ("kernel", "reference")
    )
    assert kernel == reference


@examples(70)
@given(cases(), policies)
def test_the_identities_hold_for_every_strategy(case, policy):
    book, order, rules, fees = case
    try:
        rows = run_combinations(book, order, rules, policy, fees, GRID).table
        baselines = run_baselines(book, order, rules, fees, "fair")
    except NoPriceError:
        assume(False)
    for row in [*rows.tolist(), *([getattr(b, name) for name in FIELDS] for b in baselines.values())]:
        filled, unfilled, over, cash, _, unfilled_value, over_value, total = row
        assert filled + unfilled - over == order.size
        assert total == cash + unfilled_value - over_value
        assert min(filled, unfilled, over) >= 0


def mirrored(tape, constant):
    """p -> C - p, bids for asks."""
    flip = lambda px: np.where(px > 0, constant - px, 0)  # noqa: E731
    return Tape.build(
        tape.symbol,
        ts=tape.ts,
        venue=tape.venue,
        bid_px=flip(tape.ask_px),
        ask_px=flip(tape.bid_px),
        bid_sz=tape.ask_sz,
        ask_sz=tape.bid_sz,
        sequence=np.arange(tape.rows),
    )


@examples(70)
@given(st.data(), policies, rules_of, st.booleans(), st.sampled_from(["consolidated", "event"]))
def test_a_sell_in_the_mirror_is_the_buy_to_the_nano_dollar(data, policy, rules, uncross, kind):
    tape = data.draw(tapes(max_rows=20, trades=False))
    constant = 400_001 * CENT  # above every stub
    # a band is a share of the price, which a mirror does not keep
    bare, rules = BookRules(kind, uncross, OFF, OFF), replace(rules, leftover_band=None)
    book, other = build_book(tape, bare), build_book(mirrored(tape, constant), bare)
    order = replace(data.draw(orders(tape)), side="buy")
    fees = fees_of(book)
    for conventions in ("fair", "classic"):
        runs = [
            outcome(lambda b=b, o=o, c=conventions: _all_rows(b, o, rules, policy, fees, c))
            for b, o in ((book, order), (other, replace(order, side="sell")))
        ]
        if "no price" in runs:
            assert runs == ["no price"] * 2
            continue
        for buy, sell in zip(*runs, strict=True):
            f, u, o, cash, paid, u_value, o_value, total = buy
            assert sell == [
                f, u, o, constant * f - cash, paid, constant * u - u_value, constant * o - o_value,
                constant * order.size - total,
            ]  # fmt: skip


def _all_rows(book, order, rules, policy, fees, conventions):
    rows = run_combinations(book, order, rules, policy, fees, GRID).table.tolist()
    return rows + [
        [getattr(run, name) for name in FIELDS] for run in run_baselines(book, order, rules, fees, conventions).values()
    ]


@given(
    tapes(max_venues=1, trades=False),
    st.sampled_from(["persist", "refresh"]),
    st.sampled_from(POINTS),
    st.sampled_from(["touch", "best"]),
)
def test_on_one_venue_static_against_what_it_shows_is_best_ask(tape, liquidity, parameters, reference):
    book = build_book(tape, BookRules())
    order = Order("buy", 700, tape.ts[0], tape.ts[-1])
    rules = replace(FAIR, liquidity=liquidity)
    try:
        baselines = run_baselines(book, order, rules, [FEE], "fair")
    except NoPriceError:
        assume(False)
    policy = Static(reference=reference)
    row = run_combinations(book, order, rules, policy, [FEE], ParameterColumns.of([parameters])).rows[0]
    for name in ("best_ask", "best_available", "pro_rata", "touch"):
        assert row.tolist() == [getattr(baselines[name], field) for field in FIELDS]


@given(tapes(trades=False), st.sampled_from(["touch", "best"]))
def test_equal_fees_and_infinite_tau_walk_the_consolidated_book(tape, reference):
    book = build_book(tape, BookRules())
    order = Order("buy", 700, tape.ts[0], tape.ts[-1])
    fees = [FEE] * len(book.venues)
    missing, cash, taken = 700, 0, [0] * len(fees)
    for t in range(len(book.ts)):
        taken = [0 if moved else was for moved, was in zip(book.flags_of(book.ask_moved[t]), taken, strict=True)]
        for px, _, v in sorted((int(px), -v, v) for v, px in enumerate(book.ask_px[t]) if px):
            shares = min(max(int(book.ask_sz[t, v]) - taken[v], 0), missing)
            taken[v] += shares
            missing -= shares
            cash += shares * (px + FEE)
    assume(missing < 700 or book.ask_px.any())
    policy, endless = Static(reference=reference), ParameterColumns.of([Parameters(0, INFINITE, 0)])
    row = run_combinations(book, order, FAIR, policy, fees, endless).rows[0]
    assert row[:4].tolist() == [700 - missing, missing, 0, cash]


def prefilled(*sizes, price=100, moves=()):
    """One venue at one price, one snapshot a second; `moves` are seconds at which the price is one cent higher."""
    return build_book(
        tape_of(*((s, 1, 90, 100, price + (s in moves), size) for s, size in enumerate(sizes))),
        BookRules(stub_band=OFF),
    )


def fills_of(book, size, liquidity="persist", end=None):
    order = Order("buy", size, OPEN, OPEN + (len(book.ts) if end is None else end) * SECOND)
    run = execute(
        book, order, replace(FAIR, liquidity=liquidity), [0], Static(Static()), Parameters(0, INFINITE, 0), record=True
    )
    return [(fill.snapshot, fill.shares) for fill in run.fills]


def test_what_was_taken_stays_taken_until_the_price_changes():
    # shows 500, 300 are taken by an order of 300; then a larger order sees 400 -> 100, 100 -> 0, 600 -> 300
    assert fills_of(prefilled(300, 400, 100, 600), 10_000) == [(0, 300), (1, 100), (3, 200)]
    assert fills_of(prefilled(300, 400, 100, 600), 10_000, "refresh") == [(0, 300), (1, 400), (2, 100), (3, 600)]
    # any change of price gives the displayed size again, also back to an earlier level
    assert fills_of(prefilled(300, 300, 300, moves={1}), 10_000) == [(0, 300), (1, 300), (2, 300)]


def bought(book, size, rules=FAIR, parameters=None, policy=None, fees=None, side="buy"):
    """The execution on the reference engine, which the kernel equals."""
    order = Order(side, size, int(book.ts[0]), int(book.ts[-1]))
    fees = [0] * len(book.venues) if fees is None else fees
    policy = policy or Static()
    parameters = parameters or Parameters(0, INFINITE, 0)
    return execute(book, order, rules, fees, policy, parameters, record=True)


def taken_by(run):
    return [(fill.snapshot, fill.venue, fill.shares) for fill in run.fills]


def test_under_refresh_a_carried_quote_keeps_what_was_taken_and_a_bid_of_its_own_frees_it():
    book = build_book(tape_of((0, 1, 90, 1, 100, 300), (1, 2, 90, 1, 0, 0), (2, 1, 91, 1, 100, 300)), BookRules())
    assert taken_by(bought(book, 10_000, replace(FAIR, liquidity="refresh"))) == [(0, 0, 300), (2, 0, 300)]
    assert taken_by(bought(book, 10_000)) == [(0, 0, 300)]


def test_a_withdrawal_frees_what_was_taken_and_hiding_does_not():
    gone = build_book(tape_of((0, 1, 90, 1, 100, 300), (1, 1, 90, 1, 0, 0), (2, 1, 90, 1, 100, 300)), BookRules())
    assert taken_by(bought(gone, 10_000)) == [(0, 0, 300), (2, 0, 300)]
    hidden = build_book(tape_of((0, 1, 90, 1, 100, 300), (1, 2, 101, 1, 102, 1), (2, 2, 99, 1, 102, 1)), BookRules())
    assert taken_by(bought(hidden, 10_000)) == [(0, 0, 300), (1, 1, 1)]


def test_unfilled_shares_are_valued_at_the_dearest_quote_of_the_last_snapshot_that_showed_one():
    book = build_book(
        tape_of((0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 105, 10), (1, 1, 0, 0, 0, 0), (1, 2, 0, 0, 0, 0)), BookRules()
    )
    run = bought(book, 50, fees=[FEE, -FEE])
    assert (run.filled, run.unfilled) == (20, 30)
    assert run.unfilled_value == 30 * (105 * CENT - FEE + FAIR.unfilled_penalty)
    assert run.cash_filled == 10 * (100 * CENT + FEE) + 10 * (105 * CENT - FEE)
    assert run.fees == 0


def test_the_leftover_is_swept_at_the_last_snapshot_or_bought_at_the_last_ask():
    book = build_book(tape_of((0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 105, 30)), BookRules())
    only_the_best = Parameters(0, 0, 0)
    assert taken_by(bought(book, 35, parameters=only_the_best)) == [(0, 0, 10), (0, 1, 25)]
    run = bought(book, 35, CLASSIC, only_the_best)
    assert (run.filled, run.cash_filled) == (35, 35 * 100 * CENT)


def test_an_order_without_a_snapshot_stays_unfilled_and_is_valued_by_the_standing_book():
    book = build_book(tape_of((0, 1, 90, 1, 100, 10), (9, 1, 90, 1, 101, 10)), BookRules())
    order = Order("buy", 5, OPEN + SECOND, OPEN + 2 * SECOND)
    row = run_combinations(book, order, FAIR, Static(), [0], ParameterColumns.of([Parameters(0, 0, 0)])).rows[0]
    assert row.tolist() == [0, 5, 0, 0, 0, 5 * (100 * CENT + FAIR.unfilled_penalty), 0, row[-1]]


@pytest.mark.parametrize(
    ("side", "far", "edge"), [("buy", (10_040, 10_051), 10_050 * CENT), ("sell", (9_960, 9_949), 9_950 * CENT)]
)
def test_within_the_band_the_rest_is_swept_and_beyond_it_is_valued_at_the_edge(side, far, edge):
    near, farther = far
    quotes = [(0, venue, px, 10, px, 10) for venue, px in enumerate((10_000, near, farther), 1)]
    book = build_book(tape_of(*quotes), BookRules(uncross=False))
    rules, fees, sign = replace(FAIR, leftover_band=5_000_000), [FEE, -FEE, 2 * FEE], 1 if side == "buy" else -1
    waits = Static(reference="touch")
    for size in (15, 20, 50):
        run = bought(book, size, rules=rules, policy=waits, parameters=Parameters(0, 0, 0), fees=fees, side=side)
        assert taken_by(run) == [(0, 0, 10), (0, 1, min(size - 10, 10))]
        assert run.unfilled == max(size - 20, 0)
        assert run.unfilled_value == run.unfilled * (edge + sign * (2 * FEE + FAIR.unfilled_penalty))
    # what the policy takes is its own affair, whatever the band
    policy, endless = Static(reference="touch"), Parameters(0, INFINITE, 0)
    assert bought(book, 30, rules=rules, policy=policy, parameters=endless, fees=fees, side=side).filled == 30


@pytest.mark.parametrize(("band", "edge"), [(0, 5), (100_000_000, 6), (300_000_000, 6), (400_000_000, 7), (10**9, 10)])
def test_the_edge_of_the_band_is_rounded_half_to_even(band, edge):
    """5e-9 $ and a tenth, three and four of it: 5.5 is 6, 6.5 is 6."""
    assert band_edge(5, replace(FAIR, leftover_band=band)) == edge
    assert (
        band_edge(-5, replace(FAIR, leftover_band=band))
        == {0: -5, 10**8: -4, 3 * 10**8: -4, 4 * 10**8: -3, 10**9: 0}[band]
    )


def test_where_nothing_was_ever_displayed_unfilled_shares_have_no_value():
    book = build_book(tape_of((0, 1, 90, 1, 0, 0)), BookRules())
    with pytest.raises(NoPriceError, match="no ask was displayed"):
        bought(book, 5)
    assert bought(book, 1, side="sell").total_cash == 90 * CENT


def test_a_lot_too_many_is_sold_back_at_the_best_bid_less_its_fee():
    book = build_book(tape_of((0, 1, 99, 1, 100, 300)), BookRules())
    run = bought(
        book, 150, fees=[FEE], policy=Static(lots_only=True, reference="best"), parameters=Parameters(0, 2 * CENT, 0)
    )
    assert (run.filled, run.overfilled, run.unfilled) == (200, 50, 0)
    assert run.overfilled_value == 50 * (99 * CENT - FEE)
    assert run.total_cash == 200 * (100 * CENT + FEE) - 50 * (99 * CENT - FEE)
    assert run.fees == 250 * FEE
    no_bid = build_book(tape_of((0, 1, 0, 0, 100, 300)), BookRules())
    assert bought(no_bid, 150, policy=Static(lots_only=True), parameters=Parameters(0, 2 * CENT, 0)).overfilled == 0


def test_mid_waits_on_a_one_sided_book_and_arrival_before_there_is_one():
    book = build_book(
        tape_of((0, 1, 0, 0, 100, 10), (1, 1, 98, 1, 100, 10), (2, 1, 98, 1, 104, 10), (3, 1, 98, 1, 99, 10)),
        BookRules(),
    )
    one_cent = Parameters(0, CENT, 0)
    # mids: none, 99, 101, 98.5
    assert taken_by(bought(book, 100, parameters=one_cent, policy=Static(reference="mid"))) == [
        (1, 0, 10),
        (3, 0, 10),
    ]
    assert taken_by(bought(book, 100, parameters=one_cent, policy=Static(reference="arrival"))) == [
        (1, 0, 10),
        (3, 0, 10),
    ]
    late = Order("buy", 100, int(book.ts[2]), int(book.ts[3]))
    rows = run_combinations(book, late, FAIR, Static(reference="arrival"), [0], ParameterColumns.of([one_cent])).rows
    assert rows[0, 0] == 10 + 0  # 104 is 3 cents above the arrival mid of 101, 99 below it


def test_measured_from_the_touch_an_emptied_venue_is_not_left_for_a_dear_one():
    book = build_book(
        tape_of(
            *((0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 104, 10), (1, 1, 91, 1, 100, 10), (2, 2, 91, 1, 103, 10)),
            *((3, 1, 91, 1, 0, 0), (3, 2, 91, 1, 0, 0)),
        ),
        BookRules(),
    )
    for reference, tau, fills in (
        ("best", 0, [(0, 0, 10), (1, 1, 10), (2, 1, 10)]),
        ("touch", 0, [(0, 0, 10)]),
        ("touch", 3 * CENT - 1, [(0, 0, 10)]),
        ("touch", 3 * CENT, [(0, 0, 10), (2, 1, 10)]),
    ):
        run = bought(book, 40, policy=Static(reference=reference), parameters=Parameters(0, tau, 0))
        assert taken_by(run) == fills, (reference, tau)


@pytest.mark.parametrize("kernel", ["walk", "reference"])
@pytest.mark.parametrize("policy", ["static", "pseudocode"])
def test_of_equal_c_the_highest_index_is_taken_first(kernel, policy):
    book = build_book(tape_of((0, 1, 90, 1, 101, 100), (0, 2, 90, 1, 100, 100), (0, 3, 90, 1, 101, 100)), BookRules())
    order = Order("buy", 100, OPEN, OPEN)
    # c is 101 cents at the first two, by different fees, which tell who was taken
    row = run_combinations(
        book,
        order,
        FAIR,
        {"static": Static, "pseudocode": Pseudocode}[policy](),
        (0, CENT, 2 * CENT),
        ParameterColumns.of([Parameters(0, 0, 0)]),
        kernel=kernel,
    ).rows[0]
    assert row[FIELDS.index("fees")] == 100 * CENT


def test_a_threshold_exactly_on_a_price_takes_it():
    book = build_book(tape_of((0, 1, 90, 1, 100, 10), (0, 2, 90, 1, 103, 10), (1, 1, 90, 1, 100, 10)), BookRules())
    assert taken_by(bought(book, 15, parameters=Parameters(0, 3 * CENT, 0)))[:2] == [(0, 0, 10), (0, 1, 5)]
    late = taken_by(bought(book, 15, parameters=Parameters(0, 3 * CENT - 1, 0)))
    assert late == [(0, 0, 10), (1, 1, 5)]


@given(cases(), st.sampled_from(["fair", "classic"]))
def test_an_order_that_could_leave_int64_is_refused_before_it_runs(case, conventions):
    book, order, rules, fees = case
    assume(book.ask_px.any())
    huge = replace(order, size=2**62 // int(book.ask_px.max()) + 1)
    with pytest.raises(AllocatorError, match=r"order\.size"):
        run_combinations(book, huge, rules, Static(), fees, GRID)
    with pytest.raises(AllocatorError, match=r"order\.size"):
        run_baselines(book, huge, rules, fees, conventions)


@pytest.mark.parametrize("step", [256, 1000, 100_000])
def test_large_lots_run_where_their_money_is_exact(step):
    book = build_book(tape_of((0, 1, 99, 10**6, 100, 10**6), (0, 2, 99, 10**6, 101, 10**6)), BookRules())
    order = Order("buy", 2 * step + step // 2, OPEN, OPEN)
    policy = Static(step=step, lots_only=True)
    rows = [
        run_combinations(book, order, FAIR, policy, [0, FEE], GRID, kernel=kernel).table.tolist()
        for kernel in ("walk", "reference")
    ]
    assert rows[0] == rows[1]
    with pytest.raises(AllocatorError, match="step: lots of"):
        run_combinations(
            book,
            order,
            FAIR,
            replace(policy, step=2**31 - 1),
            [0, FEE],
            ParameterColumns.of([Parameters(0, 2**52, 0)]),
        )


def test_orders_are_checked():
    for order in (("hold", 1, 0, 1), ("buy", 0, 0, 1), ("buy", -5, 0, 1), ("buy", 1, 2, 1)):
        with pytest.raises(AllocatorError):
            Order(*order)


def test_a_jitted_function_calls_jitted_functions_of_its_own_module_only():
    folder = Path(allocator.kernels.__file__).parent
    modules = sorted(path for path in folder.glob("*.py") if not path.name.startswith("__"))
    assert len(modules) >= 2
    for path in modules:
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        # constants and the definitions of tuples are no code that a cache could hold
        shared = {
            alias.asname or alias.name
            for node in nodes
            if getattr(node, "module", None)
            in {f"allocator.kernels.{name}" for name in ("walk", "deep_walk", "delayed", "stateful")}
            for alias in node.names
            if not isinstance(getattr(import_module(node.module), alias.name), Kernel)
        }
        imported = {alias.asname or alias.name for node in nodes for alias in node.names} - shared
        allowed = {"annotations", "np", "types", "kernel", "lowest", "mixed", "ones", "record"}
        allowed |= {"Annotated", "Any", "NamedTuple", "NDArray"}
        assert path.name == "compiling.py" or imported <= allowed, path
