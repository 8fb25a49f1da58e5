"""A result in a notebook: one line, a short table, charts of the report's own specifications."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest

from sweep.driver import run
from sweep.errors import ConfigError
from sweep.plotting import Plots
from tests.support.minute import config_of

MANY = {"side": ["buy", "sell"], "size": [500], "every": "2s", "horizon": "1s"}
GRID = {
    "theta_queue": [0, 0.01, float("inf")],
    "lambda_over": [0, 0.02],
    "lambda_under": 0,
    "fees": {"none": {"default": {"taker": 0}}, "</script><b>": {"default": {"taker": 0.003}}},
}


@pytest.fixture(scope="module")
def result(stream):
    return run(config_of(stream, order=MANY, grid=GRID))


def test_what_is_best_and_what_may_be_said(result):
    assert result.best == result.document["best_parameters"]
    assert result.verdict["sentence"] in result._repr_html_().replace("&#x27;", "'")
    assert "\n" not in repr(result)


def test_the_short_table_escapes_what_the_configuration_says(result):
    html = result._repr_html_()
    assert "</script>" not in html
    assert len(html) < 2_000
    statistics = result.document["statistics"]
    for name, each in statistics["saving_bps"].items():
        assert f"<td>{each['mean']:+.2f}</td>" in html[html.index(name) :]


def test_a_heat_map_shows_the_frame_at_the_best_of_the_other_axes(result):
    chart = result.plot.heatmap("theta_queue", "lambda_over")
    frame = result.frame()
    own = frame[frame["fee_table"] == result.best["fees"]]
    pd.testing.assert_frame_equal(chart.frame, own.reset_index(drop=True))
    cells = {(cell["theta_queue"], cell["lambda_over"]): cell["saving"] for cell in chart.spec["datasets"]["cells"]}
    assert len(cells) == 6
    for row in own.itertuples():
        theta = ".inf" if math.isinf(row.theta_queue) else f"{row.theta_queue:g}"
        assert cells[theta, f"{row.lambda_over:g}"] == round(row.saving_bps, 2)
    assert "application/vnd.vegalite.v5+json" in chart._repr_mimebundle_()


def test_an_axis_can_be_held_elsewhere(result):
    chart = result.plot.heatmap(fee_table="none", x="lambda_over")
    assert set(chart.frame["fee_table"]) == {"none"}
    assert "fee_table none" in chart.title
    alike = result.plot.heatmap(y="lambda_over", x="fee_table", theta_queue=float("inf"))
    assert alike.frame["theta_queue"].map(math.isinf).all()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"x": "lambda_under"}, "x: expected one of the axes"),
        ({"x": "lambda_over", "theta": 1}, "theta: expected one of the axes"),
        ({"x": "theta_queue", "y": "lambda_over", "fee_table": "other"}, "no combination has fee_table='other'"),
    ],
)
def test_what_is_no_axis_is_refused(result, axes, message):
    with pytest.raises(ConfigError, match=message):
        result.plot.heatmap(**axes)


def test_one_axis_alone_makes_no_heat_map(stream):
    narrow = run(config_of(stream, grid={"theta_queue": [0, 0.01], "lambda_over": 0, "lambda_under": 0}))
    with pytest.raises(ConfigError, match="needs two axes with several values"):
        narrow.plot.heatmap()
    single = run(config_of(stream, grid={"theta_queue": 0, "lambda_over": 0, "lambda_under": 0}))
    with pytest.raises(ConfigError, match="the grid has none"):
        single.plot.parallel()
    for percent in (0, -5, 200, float("nan")):
        with pytest.raises(ConfigError, match="percent: expected above 0 to 100"):
            single.plot.parallel(percent)


def test_differences_are_those_whose_mean_the_statistics_print(result):
    chart = result.plot.differences()
    orders = result.orders_frame()
    own = orders[(orders["world"] == 0) & (orders["strategy"] == "optimized")]
    notional = (own["size"] * own["arrival_mid2"] / 2).to_numpy(float)
    mean = (chart.frame["saving_bps"] * notional).sum() / notional.sum()
    statistics = result.document["statistics"]
    assert mean == pytest.approx(statistics["saving_bps"][statistics["against"]]["mean"], abs=0.006)
    parallel = result.plot.parallel()
    assert set(parallel.frame["world"]) == {0}
    assert len(parallel.frame) == 6, "all of the first world"
    assert f"bps against {statistics['against']}; lambda_over" in parallel.alternative


LABELS = {"phi": [0.0, "auto"], "latency": [0, "5ms"], "lambda": [0.0, 0.01, math.inf]}


def plots(saving=None, filled=(100, 100), pruned=False, **best):
    """Of two worlds by latency; columns of labels of several types are of text, as in the stored tables."""
    rows = [
        {"combination": at, "world": int(latency != 0), "phi": str(phi), "latency": str(latency), "lambda": over}
        for at, (phi, latency, over) in enumerate(product(*LABELS.values()))
    ]
    frame = pd.DataFrame(rows).astype({"phi": "string", "latency": "string"})
    frame["saving_bps"] = np.arange(12.0) if saving is None else saving
    frame["filled"] = [filled[over == 0] for over in frame["lambda"]]
    frame["overfilled"], frame["in_set"] = 0, pd.array([pd.NA] * 12, "boolean")
    base = {"baselines": {"best_ask": {"filled": 100, "overfilled": 0}}}
    worlds = [{"statistics": {"against": name}, **base} for name in ("twap", "pov")]
    best = {"phi": 0.0, "latency": 0, "lambda": ".inf", **best}
    return Plots(lambda: frame, None, tuple(LABELS), best, {}, worlds, pruned)


def marked(chart):
    return [(cell["x"], cell["y"]) for cell in chart.spec["datasets"]["cells"] if cell["best"]]


def test_labels_of_several_types_are_found():
    chart = plots().heatmap("phi", "lambda")
    assert set(chart.frame["latency"]) == {"0"}
    assert set(plots().heatmap("latency", "lambda", phi=0.0).frame["phi"]) == {"0.0"}
    assert set(plots().heatmap("latency", "lambda", phi="auto").frame["phi"]) == {"auto"}
    with pytest.raises(ConfigError, match="no combination has latency='6ms'"):
        plots().heatmap("phi", "lambda", latency="6ms")


def test_the_diamond_is_at_the_best_combination_alone():
    # others save more, as of those that fill too little, or of another market
    assert marked(plots().heatmap("phi", "lambda")) == [(0, 2)]
    assert marked(plots().heatmap("latency", "lambda")) == [(0, 2)]
    assert marked(plots().heatmap("phi", "lambda", latency="5ms")) == []


def test_savings_are_named_after_the_baseline_of_their_world():
    assert "bps against twap" in plots().heatmap("phi", "lambda").alternative
    elsewhere = plots().heatmap("phi", "lambda", latency="5ms")
    assert "bps against pov" in elsewhere.alternative
    assert elsewhere.spec["layer"][0]["encoding"]["tooltip"][2]["title"] == "saves against pov, bps"
    assert "against the strongest baseline of its world" in plots().heatmap("latency", "lambda").alternative
    lines = plots().parallel()
    assert set(lines.frame["world"]) == {0}
    assert lines.spec["params"][0]["value"] == ["phi", "lambda", "saves, bps"]
    assert "bps against twap" in lines.alternative


def test_why_the_set_is_not_known():
    assert "too few blocks to say" in plots().heatmap("phi", "lambda").alternative
    assert "pruning left out too much to say" in plots(pruned=True).heatmap("phi", "lambda").alternative


def test_what_fills_too_little_comes_last():
    # with filled (90, 100) those of lambda 0 alone fill as much as best_ask
    lines = plots(filled=(90, 100), **{"lambda": 0.0}).parallel()
    assert lines.frame["lambda"].tolist()[:2] == [0.0, 0.0]
    assert "4 of all fill less than best_ask" in lines.alternative
    assert "of all fill less" not in plots(filled=(90, 90)).parallel().alternative
