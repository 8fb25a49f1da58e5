"""Specifications of charts: what is drawn is what the frame holds, and the words say the same."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sweep.charts import (
    MOST_TEXTS,
    PAGE,
    Chart,
    bins_of,
    density,
    edges,
    heat_map,
    heat_map_spec,
    labelled,
    parallel,
    strip,
    texts,
    thresholds,
    top,
)

OVER, UNDER = [0.0, 0.01, float("inf")], [0.0, 0.03]


@pytest.fixture
def frame():
    rows = [
        {"lambda_over": over, "lambda_under": under, "saving_bps": 1.234 * at - 3, "in_set": at >= 4}
        for at, (over, under) in enumerate(product(OVER, UNDER))
    ]
    made = pd.DataFrame(rows)
    made["in_set"] = made["in_set"].astype("boolean")
    return made


def test_heat_map_draws_each_row_of_the_frame(frame):
    chart = heat_map(frame, "lambda_over", "lambda_under", best=3, against="best_ask")
    cells = chart.spec["datasets"]["cells"]
    drawn = {(cell["x"], cell["y"]): (cell["saving"], cell["in_set"], cell["best"]) for cell in cells}
    assert drawn == {
        (OVER.index(row.lambda_over), UNDER.index(row.lambda_under)): (
            round(row.saving_bps, 2),
            row.in_set,
            row.Index == 3,
        )
        for row in frame.itertuples()
    }
    assert chart.spec["params"][0]["value"] == ["0", "0.01", ".inf"]
    first = chart.spec["layer"][0]["encoding"]
    assert [first[axis]["scale"]["domain"] for axis in ("x", "y")] == [[-0.5, 2.5], [-0.5, 1.5]]
    assert (
        "the best, lambda_over 0.01 and lambda_under 0.03, saves +0.70 bps against best_ask, the worst \u22123.00 bps"
        in chart.alternative
    )
    assert "2 cannot be told from the best" in chart.alternative


def test_chart_is_what_a_notebook_reads(frame):
    chart = heat_map(frame, "lambda_over", "lambda_under")
    bundle = chart._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.vegalite.v5+json", "text/plain"}
    json.dumps(bundle["application/vnd.vegalite.v5+json"], allow_nan=False)
    assert bundle["text/plain"] == repr(chart) == f"Chart({chart.title}: {chart.alternative})"
    assert "\n" not in repr(chart)
    assert set(chart._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(chart._repr_mimebundle_(exclude={"text/plain"})) == {"application/vnd.vegalite.v5+json"}
    assert isinstance(chart, Chart)
    assert chart.frame is frame


def test_heat_map_wants_one_row_for_a_cell(frame):
    with pytest.raises(ValueError, match="two rows have the same lambda_over and lambda_under"):
        heat_map(pd.concat([frame, frame]), "lambda_over", "lambda_under")
    with pytest.raises(ValueError, match="theta is missing"):
        heat_map(frame, "theta", "lambda_under")


def test_heat_map_of_too_few_blocks_says_so(frame):
    frame["in_set"] = pd.array([pd.NA] * len(frame), "boolean")
    chart = heat_map(frame, "lambda_over", "lambda_under")
    assert "too few blocks" in chart.alternative
    assert "; pruning left" in heat_map(frame, "lambda_over", "lambda_under", unknown="pruning left").alternative
    assert chart.spec["datasets"]["edges"] == []


def test_page_colours_are_variables_of_its_style_sheet():
    text = json.dumps(heat_map_spec([0.0, 1.0], PAGE))
    assert "#" not in text.replace("$schema", "")
    assert "var(--h5)" in text


@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e4, 1e4)))
def test_thresholds_ascend_and_part_the_savings(saved):
    steps = thresholds(saved)
    assert 1 <= len(steps) <= 5
    assert steps == sorted(set(steps))
    assert steps == [round(step, 2) for step in steps]


def test_thresholds_leave_outliers_to_the_lowest_step():
    assert min(thresholds(np.append(np.linspace(0, 1, 100), -1e6))) > -1


@given(st.integers(1, 500), st.integers(1, 60))
def test_bins_hold_each_value_once(count, most):
    bins = bins_of(count, most)
    assert len(bins) == min(count, most)
    assert [value for first, last in bins for value in range(first, last + 1)] == list(range(count))
    for at, (first, last) in enumerate(bins):
        assert {value * len(bins) // count for value in (first, last)} == {at}


@given(arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_edges_part_members_from_the_others(members):
    sides = edges(members)
    assert len(set(sides)) == len(sides)
    wider = np.pad(members, 1).astype(int)
    assert len(sides) == np.abs(np.diff(wider, axis=0)).sum() + np.abs(np.diff(wider, axis=1)).sum()
    for x, y, x2, y2 in sides:
        assert (x == x2 and y2 - y == 1) or (y == y2 and x2 - x == 1)


@given(st.integers(1, 10_000))
def test_labels_are_few(count):
    at = labelled(count)
    assert at[0] == 0
    assert len(at) <= 12


def test_texts_tell_values_apart():
    assert texts([1_234_567, 1_000_000]) == ["1234567", "1000000"]
    assert texts([0.0, 0.5, float("inf"), None, True, "touch"]) == ["0", "0.5", ".inf", "none", "true", "touch"]
    assert len(set(texts([0.1234567, 0.1234568]))) == 2


def test_top_is_the_best_part():
    saved = np.array([*range(400), np.nan], float)
    assert top(saved, 5).tolist() == list(range(399, 379, -1))
    assert len(top(saved, 0.1)) == 10
    assert len(top(np.arange(1e5), 5)) == 200


def test_without_the_best_no_cell_is_marked(frame):
    chart = heat_map(frame, "lambda_over", "lambda_under")
    assert not any(cell["best"] for cell in chart.spec["datasets"]["cells"])
    assert "the one that saves most, lambda_over .inf" in chart.alternative


def test_what_does_not_fill_enough_is_not_among_the_best(frame):
    assert top(np.arange(40.0), 5, np.arange(40) < 35).tolist() == list(range(34, 24, -1))
    assert top(np.arange(12.0), 5, np.arange(12) < 3).tolist() == [2, 1, 0, 11, 10, 9, 8, 7, 6, 5]
    enough = np.array([True] * 4 + [False] * 2)
    chart = parallel(frame, ["lambda_over", "lambda_under"], enough=enough)
    assert chart.frame["saving_bps"].iloc[0] == frame["saving_bps"].iloc[3]
    for made in (chart, heat_map(frame, "lambda_over", "lambda_under", enough=enough)):
        assert "; 2 of all fill less than best_ask and cannot be the best" in made.alternative


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 50), st.just(3)), elements=st.floats(0, 1)))
def test_density_counts_every_combination(heights):
    lines = density(heights, [3, 4, 40])
    for left in (0, 1):
        shares = [share for at, _, _, share in lines if at == left]
        assert max(shares) == 1
        assert 1 <= len(shares) <= len(heights)


def test_parallel_draws_the_best_over_all_axes(frame):
    chart = parallel(frame, ["lambda_over", "lambda_under"], against="best_ask")
    assert len(chart.spec["datasets"]["lines"]) == 6 * 3
    assert chart.frame["saving_bps"].is_monotonic_decreasing
    assert "6 of 6 combinations save \u22123.00 to +3.17 bps against best_ask" in chart.alternative
    with pytest.raises(ValueError, match="none has one"):
        parallel(frame.assign(saving_bps=np.nan), ["lambda_over"])


def test_strip_is_in_the_order_of_time():
    orders = pd.DataFrame({"start": [3 * 10**18, 10**18, 2 * 10**18], "saving_bps": [1.0, -2.0, np.nan]})
    chart = strip(orders, interval=(-1.0, 0.5), against="twap")
    assert chart.spec["datasets"]["orders"] == [{"start": 10**12, "saving": -2.0}, {"start": 3 * 10**12, "saving": 1.0}]
    assert "2 orders save \u22122.00 to +1.00 bps against twap" in chart.alternative
    assert "95 % interval of the mean \u22121.00 to +0.50 bps" in chart.alternative
    with pytest.raises(ValueError, match="none has one"):
        strip(orders.assign(saving_bps=np.nan))


def test_large_heat_map_has_no_text_in_its_cells():
    count = MOST_TEXTS + 6
    wide = pd.DataFrame({"a": np.arange(count), "b": 0, "saving_bps": np.arange(count, dtype=float)})
    assert {cell["text"] for cell in heat_map(wide, "a", "b").spec["datasets"]["cells"]} == {""}
