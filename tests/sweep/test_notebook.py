"""A result in a notebook: one line, a short table, charts of the report's own specifications."""

import math

import pandas as pd
import pytest

from sweep.driver import run
from sweep.errors import ConfigError
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


def test_differences_are_those_whose_mean_the_statistics_print(result):
    chart = result.plot.differences()
    orders = result.orders_frame()
    own = orders[(orders["world"] == 0) & (orders["strategy"] == "optimized")]
    notional = (own["size"] * own["arrival_mid2"] / 2).to_numpy(float)
    mean = (chart.frame["saving_bps"] * notional).sum() / notional.sum()
    statistics = result.document["statistics"]
    assert mean == pytest.approx(statistics["saving_bps"][statistics["against"]]["mean"], abs=0.006)
    assert len(result.plot.parallel().frame) == 10, "at least ten, if there are"
