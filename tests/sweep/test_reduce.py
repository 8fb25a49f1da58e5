"""Best, ties, inert axes and edges on hand-made rows."""

import numpy as np
import pytest

from allocator.order import FIELDS, execution_of
from sweep.document import best_parameters, money, savings_bps
from sweep.grid import Axis, Grid
from sweep.reduce import find_best
from sweep.sink import COLUMNS, MemorySink

GRID = Grid((Axis("lambda_over", (0, 1)), Axis("lambda_under", (0, 1, 2)), Axis("theta_queue", (5,))))


def rows_of(*totals, filled=100):
    """One row per total; (total, filled) where a row differs in what it filled."""
    rows = []
    for each in totals:
        total, got = each if isinstance(each, tuple) else (each, filled)
        rows.append([got, 100 - got, 0, total, 0, 0, 0, total])
    return np.array(rows, np.int64)


def best_ask(filled=100, total=1000):
    return execution_of([filled, 100 - filled, 0, total, 0, 0, 0, total])


def found(*totals, side="buy", baseline=None, grid=GRID, numbers=None):
    rows = rows_of(*totals)
    numbers = np.arange(len(rows)) if numbers is None else np.array(numbers)
    return find_best(numbers, rows, grid, side, baseline or best_ask())


def test_the_least_cash_wins_then_the_lowest_number_and_a_sell_takes_the_greatest():
    assert found(9, 7, 8, 9, 7, 8).combination == 1
    assert found(9, 7, 8, 9, 7, 8).objective["best_ties"] == 2
    assert found(9, 7, 8, 9, 7, 8, side="sell").combination == 0


def test_a_combination_that_fills_less_than_best_ask_cannot_be_best_unless_all_do():
    less = found((5, 90), 7, 8, 9, 9, 9)
    assert less.combination == 1
    assert found(*[(total, 90) for total in (9, 8, 7, 9, 9, 9)]).combination == 2
    assert found((5, 90), 7, 8, 9, 9, 9, baseline=best_ask(filled=80)).combination == 0


def test_flat_inert_and_edges():
    flat = found(7, 7, 7, 7, 7, 7).objective
    assert flat["flat"] is True
    assert flat["distinct"] == 1
    assert flat["inert"] == ["lambda_over", "lambda_under"]
    assert (flat["best_at_edge"], flat["edges"]) == (False, [])
    inside = found(9, 7, 8, 9, 7, 8).objective
    assert inside["inert"] == ["lambda_over"]
    assert (inside["distinct"], inside["flat"], inside["best_at_edge"]) == (3, False, False)
    edge = found(7, 8, 9, 7, 8, 9).objective
    assert (edge["best_at_edge"], edge["edges"]) == (True, ["lambda_under"])
    both = found(6, 8, 9, 7, 8, 9).objective
    assert both["inert"] == []
    assert both["edges"] == ["lambda_over", "lambda_under"]


def test_rows_that_cost_the_same_by_different_fills_are_different_rows():
    assert found((7, 100), (7, 99), 7, 7, 7, 7).objective["distinct"] == 2


def test_a_combination_that_failed_says_nothing_about_its_axes():
    some = found(9, 8, 9, 7, numbers=[0, 2, 3, 4])
    assert some.combination == 4
    assert some.objective["inert"] == ["lambda_over"]
    with pytest.raises(ValueError, match="no combination"):
        find_best(np.zeros(0, np.int64), np.zeros((0, 8), np.int64), GRID, "buy", best_ask())


def test_the_range_is_in_dollars():
    assert found(9 * 10**9, 7 * 10**9, 8 * 10**9, 9 * 10**9, 9 * 10**9, 12_345_000_000).objective["range"] == 5.34


def test_savings_are_of_the_baselines_total_cash_and_mirrored_for_a_sell():
    cheap, dear = best_ask(total=999_000), best_ask(total=1_000_000)
    assert savings_bps(cheap, dear, "buy") == 10.0
    assert savings_bps(dear, cheap, "buy") == -10.01
    assert savings_bps(dear, cheap, "sell") == 10.01
    assert savings_bps(dear, best_ask(total=0), "buy") is None


def test_nothing_filled_has_no_average_price():
    shown = money(execution_of([0, 5, 0, 0, 0, 10**9, 0, 10**9]))
    assert shown["avg_fill_px"] is None
    assert shown["total_cash"] == 1.0


def test_best_parameters_name_the_three_and_further_axes_longer_than_one():
    grid = Grid((Axis("step", (1, 2)), Axis("size", (1,)), *GRID.axes))
    assert best_parameters(grid, 6) == {"lambda_over": 0.0, "lambda_under": 0.0, "theta_queue": 5e-9, "step": 2e-9}


def test_the_sink_sorts_by_key_whatever_the_order_of_arrival():
    from sweep.plan import Chunk
    from sweep.tasks import ChunkRows

    sink = MemorySink()
    for first in (4, 0, 2):
        numbers = np.arange(first, first + 2)
        sink.append(Chunk(0, 0, first, first + 2), ChunkRows(numbers, rows_of(first, first + 1), ()))
    table = sink.table()
    assert table[:, COLUMNS.index("combination")].tolist() == [0, 1, 2, 3, 4, 5]
    assert table[:, COLUMNS.index("total_cash")].tolist() == [0, 1, 2, 3, 4, 5]
    assert len(COLUMNS) == 3 + len(FIELDS)
    assert MemorySink().table().shape == (0, len(COLUMNS))
