"""Best, ties, inert axes and edges: on hand-made rows, and against the plain way to find them."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.money import rounded
from allocator.order import SIGN, execution_of
from sweep.chunks import Chunk
from sweep.reduce import Reduction, fill_enough, group
from sweep.report.document import best_parameters, money, savings_bps
from sweep.search.classes import each_alone
from sweep.search.grid import PARAMETERS, Axis, Grid
from sweep.sink import COLUMNS, MemorySink
from sweep.statistics.totals import Total
from sweep.tasks import ChunkRows

GRID = Grid((Axis("lambda_over", np.arange(2)), Axis("lambda_under", np.arange(3)), Axis("theta_queue", np.array([5]))))


def rows_of(*totals, filled=100):
    """One row per total; (total, filled) where a row differs in what it filled."""
    rows = []
    for each in totals:
        total, got = each if isinstance(each, tuple) else (each, filled)
        rows.append([got, 100 - got, 0, total, 0, 0, 0, total])
    return np.array(rows, np.int64)


def table_of(numbers, rows):
    """The table of one group of orders."""
    table = np.zeros((len(rows), len(COLUMNS)), np.int64)
    table[:, 2], table[:, 3:] = numbers, rows
    return table


def strategy(total, sign=1):
    return Total(execution_of([100, 0, 0, total, 0, 0, 0, total]), sign * total, None, None, None)


def chosen(*totals, side="buy", baseline=None, grid=GRID, numbers=None):
    rows = rows_of(*totals)
    numbers = np.arange(len(rows)) if numbers is None else np.array(numbers)
    reduction = Reduction.of(table_of(numbers, rows), each_alone(grid), [SIGN[side]])
    return reduction.find_best(100 if baseline is None else baseline)


def test_the_least_cash_wins_then_the_lowest_number_and_a_sell_takes_the_greatest():
    assert chosen(9, 7, 8, 9, 7, 8).combination == 1
    assert chosen(9, 7, 8, 9, 7, 8).objective["best_ties"] == 2
    assert chosen(9, 7, 8, 9, 7, 8, side="sell").combination == 0


def test_a_combination_that_fills_less_than_best_ask_cannot_be_best_unless_all_do():
    less = chosen((5, 90), 7, 8, 9, 9, 9)
    assert less.combination == 1
    assert chosen(*[(total, 90) for total in (9, 8, 7, 9, 9, 9)]).combination == 2
    assert chosen((5, 90), 7, 8, 9, 9, 9, baseline=80).combination == 0


def test_flat_inert_and_edges():
    flat = chosen(7, 7, 7, 7, 7, 7).objective
    assert flat["flat"] is True
    assert flat["distinct"] == 1
    assert flat["inert"] == ["lambda_over", "lambda_under"]
    assert (flat["best_at_edge"], flat["edges"]) == (False, [])
    inside = chosen(9, 7, 8, 9, 7, 8).objective
    assert inside["inert"] == ["lambda_over"]
    assert (inside["distinct"], inside["flat"], inside["best_at_edge"]) == (3, False, False)
    edge = chosen(7, 8, 9, 7, 8, 9).objective
    assert (edge["best_at_edge"], edge["edges"]) == (True, ["lambda_under"])
    both = chosen(6, 8, 9, 7, 8, 9).objective
    assert both["inert"] == []
    assert both["edges"] == ["lambda_over", "lambda_under"]


def test_rows_that_cost_the_same_by_different_fills_are_different_rows():
    assert chosen((7, 100), (7, 99), 7, 7, 7, 7).objective["distinct"] == 2


def test_a_combination_that_failed_says_nothing_about_its_axes():
    some = chosen(9, 8, 9, 7, numbers=[0, 2, 3, 4])
    assert some.combination == 4
    assert some.objective["inert"] == ["lambda_over"]
    with pytest.raises(ValueError, match="no combination"):
        Reduction.of(table_of([], np.zeros((0, 8))), each_alone(GRID), [1]).find_best(100)


def test_the_range_is_in_dollars():
    assert chosen(9 * 10**9, 7 * 10**9, 8 * 10**9, 9 * 10**9, 9 * 10**9, 12_345_000_000).objective["range"] == 5.34


def test_savings_are_of_the_baselines_total_cash_and_mirrored_for_a_sell():
    cheap, dear = strategy(999_000), strategy(1_000_000)
    assert savings_bps(cheap, dear) == 10.0
    assert savings_bps(dear, cheap) == -10.01
    assert savings_bps(strategy(1_000_000, -1), strategy(999_000, -1)) == 10.01
    assert savings_bps(dear, strategy(0)) is None


def test_nothing_filled_has_no_average_price():
    shown = money(execution_of([0, 5, 0, 0, 0, 10**9, 0, 10**9]))
    assert shown["avg_fill_px"] is None
    assert shown["total_cash"] == 1.0


def test_best_parameters_name_the_three_and_further_axes_longer_than_one():
    grid = Grid((Axis("step", np.array([1, 2])), Axis("size", np.array([1])), *GRID.axes))
    assert best_parameters(grid, 6) == {"lambda_over": 0.0, "lambda_under": 0.0, "theta_queue": 5e-9, "step": 2e-9}


def plain(combinations, rows, grid, side, bought):
    """`find_best`, spelled out: one row after the other, in Python integers."""
    by_number = dict(zip(combinations.tolist(), map(tuple, rows.tolist()), strict=True))
    allowed = {n: row for n, row in by_number.items() if row[0] - row[2] >= bought} or by_number
    pick = min if side == "buy" else max
    best_total = pick(row[-1] for row in allowed.values())
    ties = [n for n, row in allowed.items() if row[-1] == best_total]
    inert, edges = [], []
    for axis in grid.axes:
        if len(axis) == 1:
            continue
        lines = {}
        for n, row in by_number.items():
            others = tuple(value for name, value in grid.point(n).items() if name != axis.name)
            lines.setdefault(others, []).append(row)
        compared = [set(seen) for seen in lines.values() if len(seen) > 1]
        tried = {grid.point(n)[axis.name] for n in range(len(grid))}
        if compared and all(len(seen) == 1 for seen in compared):
            inert.append(axis.name)
        elif len(tried) > 1 and grid.point(min(ties))[axis.name] in (min(tried), max(tried)):
            edges.append(axis.name)
    totals = [row[-1] for row in by_number.values()]
    return {
        "combination": min(ties),
        "row": by_number[min(ties)],
        "combinations": len(grid),
        "distinct": len(set(by_number.values())),
        "best_ties": len(ties),
        "range": rounded(max(totals) - min(totals), 10**9, 2),
        "flat": len(set(by_number.values())) == 1,
        "inert": inert,
        "best_at_edge": bool(edges),
        "edges": edges,
    }


@st.composite
def sweeps(draw):
    """A small grid with axes that may do nothing, and rows of few values, some of them missing."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    grid = Grid(tuple(Axis(name, np.arange(size)) for name, size in zip(PARAMETERS, shape, strict=True)))
    if draw(st.booleans()):
        places = draw(st.sets(st.sampled_from(range(len(grid))), min_size=1))
        grid = replace(grid, kept=np.array(sorted(places), np.int32))
    acting = draw(st.tuples(*[st.booleans()] * 3))
    pool = draw(st.lists(st.tuples(*[st.integers(0, 2)] * 7, st.integers(-2, 2)), min_size=1, max_size=6))
    positions = grid.positions(np.arange(len(grid)))
    key = sum(10**at * positions[axis.name] * on for at, (axis, on) in enumerate(zip(grid.axes, acting, strict=True)))
    rows = np.array([pool[k % len(pool)] for k in key.tolist()], np.int64)
    rows[:, -1] *= draw(st.sampled_from([1, 10**9, 2**58]))
    kept = (
        np.flatnonzero(draw(st.lists(st.booleans(), min_size=len(grid), max_size=len(grid))))
        if draw(st.booleans())
        else np.arange(len(grid))
    )
    return grid, kept, rows[kept]


@given(sweeps(), st.sampled_from(["buy", "sell"]), st.integers(0, 2))
def test_the_reduction_equals_the_plain_one(sweep, side, filled):
    grid, numbers, rows = sweep
    assume(len(numbers))
    best = Reduction.of(table_of(numbers, rows), each_alone(grid), [SIGN[side]]).find_best(filled)
    expected = plain(numbers, rows, grid, side, filled)
    assert {"combination": best.combination, "row": best.row, **best.objective} == expected


@given(sweeps(), st.lists(st.sampled_from([1, -1]), min_size=2, max_size=4), st.randoms())
def test_groups_of_orders_are_reduced_by_their_sums(sweep, signs, rng):
    grid, numbers, rows = sweep
    assume(len(numbers))
    # the same rows in another order in each group; a combination that lacks one of them is out
    cube = [rows[rng.sample(range(len(rows)), len(rows))] for _ in signs]
    missing = {rng.randrange(len(numbers)) for _ in range(rng.randrange(2))}
    parts = []
    for of, group_rows in enumerate(cube):
        part = table_of(numbers, group_rows)
        part[:, 1] = of
        parts.append(part[[k not in missing or of == 0 for k in range(len(numbers))]])
    whole = [k for k in range(len(numbers)) if k not in missing]
    assume(whole)
    best = Reduction.of(np.concatenate(parts), each_alone(grid), signs).find_best(0)
    exact = [[tuple(group_rows[k].tolist()) for group_rows in cube] for k in range(len(numbers))]
    sums = {k: tuple(map(sum, zip(*exact[k], strict=True))) for k in whole}
    paid = {k: sum(sign * row[-1] for sign, row in zip(signs, exact[k], strict=True)) for k in whole}
    enough = [k for k in whole if sums[k][0] >= sums[k][2]] or whole
    ties = [k for k in enough if paid[k] == min(paid[n] for n in enough)]
    assert best.combination == numbers[ties[0]]
    assert best.row == sums[ties[0]]
    assert best.objective["best_ties"] == len(ties)
    assert best.objective["distinct"] == len({tuple(exact[k]) for k in whole})
    assert best.objective["range"] == rounded(max(paid.values()) - min(paid.values()), 10**9, 2)


@given(st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1) | st.integers(0, 1)] * 8), max_size=20))
def test_rows_have_the_same_number_where_they_are_equal(rows):
    groups, distinct = group(np.array(rows, np.int64).reshape(1, -1, 8))
    assert distinct == len(set(rows))
    assert len(set(zip(rows, groups.tolist(), strict=True))) == distinct
    assert all(0 <= number < distinct for number in groups.tolist())


def test_sink_and_reduction_take_a_bounded_memory_per_combination():
    side = 60
    grid = Grid(tuple(Axis(name, np.arange(side)) for name in PARAMETERS))
    total, size = len(grid), 12_000  # 216,000
    rng = np.random.default_rng(1)
    blocks = []
    for first in range(0, total, size):
        # every row different and every column telling some apart: the most that grouping can be asked
        rows = rng.integers(0, 2**40, (size, 8))
        rows[:, :3] = rows[:, :3] % 7
        blocks.append((Chunk(0, 0, first, first + size), ChunkRows(np.arange(size, dtype=np.int32), rows, (), 0.0)))
    tracemalloc.start()
    try:
        sink = MemorySink([1], total)
        for chunk, rows in blocks:
            sink.append(chunk, rows)
        table = sink.table()
        kept, _ = tracemalloc.get_traced_memory()
        Reduction.of(table, each_alone(grid), [1]).find_best(0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / total < 92
    assert peak / total < 92 + 110


def test_enough_is_what_the_best_ask_of_a_world_fills():
    columns = {"filled": [10, 12, 9, 8, 7, 3], "overfilled": [0, 3, 0, 0, 0, 0], "world": [0, 0, 0, 1, 2, 2]}
    # of the last world none fills enough, so that all may be best
    assert fill_enough(columns, [10, 8, 9]).tolist() == [True, False, False, True, True, True]
