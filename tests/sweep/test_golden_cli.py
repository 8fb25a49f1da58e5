"""The published study's numbers and a fragmented day: from real files to the document that the command line prints."""

import json

import pandas as pd
import pytest

from feed import cli as feed_cli
from feed import synthetic
from feed.instants import format_instant
from sweep import cli
from tests.support import ROOT

STUDY = (
    "conventions=classic",
    "window.start=2024-08-01T13:36:32Z",
    "window.end=2024-08-01T13:45:14Z",
    "order.size=5000",
    "grid.lambda_over=[0.1,0.5,1.0]",
    "grid.lambda_under=[0.1,0.5,1.0]",
    "grid.theta_queue=[0.1,0.5,1.0]",
)
"""The published study, as KEY=VALUE."""

WAITING = ("policy=pseudocode", "infeasible=wait")
"""The study's literal allocator: it waits for an exact fit."""

FRAGMENTED = (
    "window.start=2018-01-02T16:00:00Z",
    "window.end=2018-01-02T16:09:00Z",
    "fees={default: {taker: 0.003, maker: -0.002}}",
)

SYNTHETIC = (
    f"window.start={format_instant(synthetic.WINDOW[0])}",
    f"window.end={format_instant(synthetic.WINDOW[1])}",
    f"fees={json.dumps({venue: {k: float(text) for k, text in fee.items()} for venue, fee in synthetic.FEES.items()})}",
)
"""The window and the fees that come with the embedded stream."""

EVERY_FIVE_MINUTES = (
    "order.size=[1000, 5000, 20000]", "order.side=[buy, sell]", "order.every=5m", "order.horizon=5m",
    "order.from=09:35", "order.to=15:50", "order.zone=America/New_York", "fees={default: {taker: 0.003}}",
    "grid.liquidity=[persist, refresh]",
)  # fmt: skip
"""The README's orders on a fragmented day."""

BASELINES = {"best_ask": 1114117.28, "twap": 1115265.03, "vwap": 1116307.4}


def check_study(document, optimized=1114117.28, savings=None):
    """Assert the study's numbers, to the cent."""
    assert document["optimized"]["total_cash"] == optimized
    assert {name: run["total_cash"] for name, run in document["baselines"].items()} == BASELINES
    if savings is None:
        savings = {"best_ask": 0.0, "twap": 10.29, "vwap": 19.62}
    assert document["savings_vs_baselines_bps"] == savings
    assert document["objective"]["flat"] is True
    assert document["objective"]["best_ties"] == 27
    assert document["sensitivity"] is None


def sweep(capsys, *words):
    """Run the command line in this process; the document it prints."""
    code = cli.main(["executor=inline", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def strategies(document, liquidity):
    """Every strategy of a document, under both liquidity rules: (name, its numbers)."""
    (other,) = document["sensitivity"]
    assert {liquidity, other} == {"persist", "refresh"}
    for rule, part in ((liquidity, document), (other, document["sensitivity"][other])):
        yield f"{rule} optimized", part["optimized"]
        for name, run in part["baselines"].items():
            yield f"{rule} {name}", run


def cents(dollars):
    return round(100 * dollars)


def check_identities(document, liquidity, size):
    """Shares and cash add up in every strategy, under both liquidity rules."""
    names = []
    for name, run in strategies(document, liquidity):
        assert run["filled"] + run["unfilled"] - run["overfilled"] == size, name
        parts = cents(run["cash_filled"]) + cents(run["unfilled_value"]) - cents(run["overfilled_value"])
        assert abs(cents(run["total_cash"]) - parts) <= 1, name  # each is rounded for itself
        names.append(name)
    assert len(names) == len(set(names)) == 2 * (1 + len(document["baselines"]))


def test_the_published_study(l1_day, capsys):
    document = sweep(capsys, f"source=file:{l1_day}", *STUDY)
    check_study(document)
    assert document["optimized"]["avg_fill_px"] == 222.8235
    assert document["feed"]["snapshots"] == 54305


def test_the_published_studys_accident_of_waiting_for_an_exact_fit(l1_day, capsys):
    document = sweep(capsys, f"source=file:{l1_day}", *STUDY, *WAITING)
    check_study(document, 1113715.0, {"best_ask": 3.61, "twap": 13.9, "vwap": 23.22})


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
def test_a_fragmented_day(taq_day, capsys, liquidity):
    document = sweep(capsys, f"source=file:{taq_day}", *FRAGMENTED, "order.size=20000", f"liquidity={liquidity}")
    assert document["objective"]["flat"] is False
    assert document["objective"]["distinct"] >= 3
    persist = document if liquidity == "persist" else document["sensitivity"]["persist"]
    assert persist["baselines"]["best_available"]["total_cash"] == 3150725.0
    check_identities(document, liquidity, 20000)


OLD_RULES = ("reference=best", "leftover_band=null", "baseline=best_available")
"""What `fair` was before it looked at the touch."""


EMBEDDED = {
    "depth=1": {
        "twap": 784382.25,
        "vwap": 784220.34,
        "pov": 783099.51,
        "optimized": 782413.17,
        "best_ask": 782484.05,
        "best_available": 782440.7,
        "sweep_now": 786551.05,
        "pro_rata": 782410.67,
        "touch": 782481.33,
        "clairvoyant": 782395.95,
    },
    "depth=10": {
        "twap": 784382.25,
        "vwap": 784220.34,
        "pov": 783099.51,
        "optimized": 782420.75,
        "best_ask": 782486.56,
        "best_available": 782424.65,
        "sweep_now": 782519.63,
        "pro_rata": 782410.54,
        "touch": 782483.47,
        "clairvoyant": 782396.6,
    },
}
"""By depth and strategy: total cash of the default run."""

BEFORE = {
    "depth=1": {"twap": 784421.59, "vwap": 784271.37, "pov": 783099.55, "sweep_now": 784866.51, "optimized": 782436.23},
    "depth=10": {"twap": 784406.25, "vwap": 784256.54, "pov": 783099.57, "optimized": 782428.96},
}
"""By depth: what of it the old rules change."""


@pytest.mark.parametrize("depth", EMBEDDED)
def test_the_figures_of_the_embedded_stream_and_those_of_the_rules_before_the_touch(capsys, tmp_path, depth):
    """The stream has ten levels; at depth 1 are the figures of when it had one."""
    path = tmp_path / "stream.csv"
    assert feed_cli.main(["synth", str(path)]) == 0
    capsys.readouterr()
    words = (f"source=file:{path}", *SYNTHETIC, *([depth] if depth == "depth=1" else []))
    for rules, expected in ((), EMBEDDED[depth]), (OLD_RULES, EMBEDDED[depth] | BEFORE[depth]):
        document = sweep(capsys, *words, *rules)
        runs = document["baselines"] | {"optimized": document["optimized"]}
        assert {name: run["total_cash"] for name, run in runs.items()} == expected


@pytest.mark.parametrize("reference", ["touch", "best"])
def test_one_level_of_the_published_studys_day_tells_no_parameter_apart(l1_day, capsys, reference):
    window = (word for word in STUDY if word.startswith("window"))
    fees = "fees={default: {taker: 0.003, maker: -0.002}}"
    document = sweep(capsys, f"source=file:{l1_day}", *window, f"reference={reference}", fees, "depth=1")
    assert document["objective"]["flat"] is True
    assert {
        name: run["total_cash"] for name, run in (("all", document["optimized"]), *document["baselines"].items())
    } == {
        **dict.fromkeys(("all", "best_ask", "best_available", "pro_rata", "touch"), 1113790.2),
        "twap": 1115333.59,
        "vwap": 1115217.49,
        "pov": 1113723.2,
        "sweep_now": 1122129.06,
        "clairvoyant": 1112923.31,
    }


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("order.size=400000",), "unfilled"),
        (
            ("order.size=20030", "lots_only=true", "grid={lambda_over: 0, lambda_under: 0.09, theta_queue: 0}"),
            "overfilled",
        ),
    ],
    ids=["more than there is", "whole lots"],
)
def test_identities_hold_where_shares_are_missing_or_too_many(taq_day, capsys, words, part, liquidity):
    document = sweep(capsys, f"source=file:{taq_day}", *FRAGMENTED, *words, f"liquidity={liquidity}")
    check_identities(document, liquidity, document["order"]["size"])
    assert any(run[part] for _, run in strategies(document, liquidity))


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
def test_penalties_beyond_every_spread_say_flat(taq_day, capsys, liquidity):
    dollars = [f"grid.{name}=[0.5, 1.0]" for name in ("lambda_over", "lambda_under", "theta_queue")]
    document = sweep(
        capsys, f"source=file:{taq_day}", *FRAGMENTED, "order.size=20000", f"liquidity={liquidity}", *dollars
    )
    assert document["objective"]["flat"] is True
    assert document["objective"]["inert"] == ["lambda_over", "lambda_under", "theta_queue"]


TEN_LEVELS = {
    "order.size=5000": {
        **dict.fromkeys((0,), 1113787.52),
        **dict.fromkeys((0.01, 0.02), 1113835.25),
        0.03: 1113864.13,
        0.05: 1113914.43,
        0.09: 1114104.45,
        0.11: 1114220.13,
        "best_ask": 1113787.52,
        "twap": 1115334.13,
    },
    "order.size=20000 order.start=2024-08-01T13:38:32Z": {
        0: 4459179.35,
        0.01: 4459318.03,
        0.02: 4459359.06,
        0.03: 4459424.48,
        0.05: 4459665.73,
        0.09: 4460345.15,
        0.11: 4460450.18,
        "best_ask": 4459179.35,
        "twap": 4462844.06,
    },
}
"""By order and tau, or baseline: total cash of the published study's day, ten levels, fair, fee 0.003."""

DEEP = ("window.start=2024-08-01T13:36:32Z", "window.end=2024-08-01T13:45:14Z", "depth=10")


@pytest.mark.parametrize("order", TEN_LEVELS)
def test_ten_levels_of_the_published_studys_day(l1_day, capsys, tmp_path, order):
    taus = [name for name in TEN_LEVELS[order] if not isinstance(name, str)]
    grid = f"grid={{lambda_over: 0, lambda_under: {taus}, theta_queue: 0}}"
    words = (f"source=file:{l1_day}", *DEEP, *order.split(), "fees={default: {taker: 0.003}}")
    document = sweep(capsys, *words, grid, "--output", str(tmp_path))
    (table,) = tmp_path.rglob("results.parquet")
    totals = {name: document["baselines"][name]["total_cash"] for name in ("best_ask", "twap")}
    totals |= dict(zip(taus, (pd.read_parquet(table)["total_cash"] / 1e9).round(2).tolist(), strict=True))
    assert totals == TEN_LEVELS[order]
    assert document["feed"]["depth"] == {"2": 10}
    if "20000" in order:
        without = sweep(capsys, *(word for word in words if word != "depth=10"), grid)
        assert {**without, "run": None} == {**document, "run": None}
        # from what its own takes leave no tau tells anything apart
        best = sweep(capsys, *words, grid, "reference=best")
        assert (best["objective"]["flat"], best["optimized"]["total_cash"]) == (True, 4460450.18)


def test_ten_levels_are_the_same_from_other_kinds_of_file(l1_day, capsys, tmp_path):
    def checked(path):
        assert feed_cli.main(["check", str(path), "depth=10", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["feed"]["digest"]

    digest = checked(l1_day)
    for ending in (".parquet", ".dbn.zst"):
        out = tmp_path / f"day{ending}"
        assert feed_cli.main(["convert", str(l1_day), str(out), "depth=10"]) == 0
        assert json.loads(capsys.readouterr().out)["digest"] == digest == checked(out)


def test_more_depth_than_there_is_is_refused_with_what_there_is(taq_day, capsys):
    assert cli.main(["executor=inline", f"source=file:{taq_day}", *FRAGMENTED, "depth=10"]) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == (
        f"error: {taq_day}: depth: 10 levels of a side are asked for, and the quotes have 1; set depth=1"
    )


def test_the_verdicts_on_a_fragmented_day_are_those_of_the_readme(taq_day, capsys):
    """For each size and both rules of liquidity; the two pages show what stderr and the document say."""
    assert cli.main(["executor=inline", f"source=file:{taq_day}", *EVERY_FIVE_MINUTES]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["orders"]["count"], document["orders"]["blocks"]) == (456, 38)
    persist, refresh = document["worlds"]
    kinds = {
        (world["market"]["liquidity"], part["side"], part["size"]): part["verdict"]["kind"]
        for world in document["worlds"]
        for part in world["statistics"]["parts"]
    }
    assert {key for key, kind in kinds.items() if kind == "better"} == {
        ("persist", side, 20_000) for side in (None, "buy", "sell")
    }
    assert (persist["verdict"]["kind"], refresh["verdict"]["kind"]) == ("better", "flat")
    rows = []
    for size in (1000, 5000, 20_000):
        cells = [f"{size:,}"]
        for world in (persist, refresh):
            (part,) = (p for p in world["statistics"]["parts"] if (p["side"], p["size"]) == (None, size))
            saving, kind = part["saving_bps"][part["against"]], part["verdict"]["kind"]
            cells += [
                f"{saving['mean']:.2f} ({saving['low']:.2f} to {saving['high']:.2f}) against {part['against']}",
                "**better**" if kind == "better" else kind,
                str(part["confidence_set"]["combinations"]),
            ]
        rows.append(f"| {' | '.join(cells)} |")
    readme, page = ((ROOT / name).read_text() for name in ("README.md", "docs/statistics.md"))
    for row in rows:
        assert row in readme
    shown = [part["detectable_bps"] for part in persist["statistics"]["parts"] if part["side"] is None]
    assert f"38 blocks show {shown[0]}, {shown[1]} and {shown[2]} bps" in readme
    assert err[err.index("  against the strongest baseline, bps, liquidity=persist") :] in page


def test_the_published_studys_window_is_not_enough_data(l1_day, capsys):
    for conventions in ("classic", "fair"):
        document = sweep(capsys, f"source=file:{l1_day}", *STUDY, f"conventions={conventions}")
        verdict = document["verdict"]
        assert (verdict["kind"], verdict["winner"]) == ("not enough data", None)
        assert verdict["sentence"].startswith("1 block of time is too few for an interval")
        assert document["statistics"]["best_of"] is None
