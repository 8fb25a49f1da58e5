"""`placement` beside `static` and every baseline on real days: the README's table, and an order book with trades."""

from __future__ import annotations

import re

import pytest

import sweep
from tests.support import ROOT

MANY = {
    "size": 5000,
    "side": ["buy", "sell"],
    "every": "5m",
    "horizon": "5m",
    "from": "09:35",
    "to": "15:50",
    "zone": "America/New_York",
}
PHI = [0, "neutral", 1]


def cell(interval):
    """An interval as the README writes it."""
    mean, low, high = (interval[name] for name in ("mean", "low", "high"))
    return f"{mean:.2f}" if low == high == mean else f"{mean:.2f} ({low:.2f} to {high:.2f})"


def row(name, world):
    """A line of the README's table."""
    saves = world["statistics"]["saving_bps"]
    cells = [name, *(cell(saves[baseline]) for baseline in ("best_ask", "twap", "touch"))]
    if (placed := world["placement"]) is None:
        return [*cells, "", ""]
    scores = placed["calibration"]
    brier = f"{scores['brier']:.3f} ({scores['brier_of_base_rate']:.3f})"
    return [*cells, f"{placed['limit_orders']['passive_percent']:.2f}", brier]


@pytest.mark.timeout(300)
def test_the_readmes_table_is_what_its_commands_say(taq_day, home):
    shared = {"source": str(taq_day), "order": MANY, "executor": "inline"}
    static = sweep.run(policy="static", **shared).document
    placed = sweep.run(policy="placement", grid={"phi": PHI}, **shared).document
    names = ("placement, pessimistic (phi 0)", "placement, neutral", "placement, optimistic (phi 1)")
    rows = [row("static", static | {"placement": static.get("placement")})]
    rows += [row(name, world) for name, world in zip(names, placed["worlds"], strict=True)]
    text = (ROOT / "README.md").read_text()
    written = [
        [each.strip() for each in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| (static|placement)", line)
    ]
    assert written == rows
    rho = [line for line in placed["warnings"] if "rho=0.185" in line]
    assert len(rho) == 1, "the document says that nothing is known of trades"


@pytest.mark.timeout(300)
def test_a_day_with_trades_is_placed_under_every_assumption(l1_day, home):
    run = sweep.run(
        source=str(l1_day),
        window={"start": "2024-08-01T13:39:00Z", "end": "2024-08-01T13:45:14Z"},
        order={"size": 500, "side": ["buy", "sell"], "every": "1m", "horizon": "1m"},
        slice="10s",
        depth=1,
        executor="inline",
        grid={
            "policy": ["static", "placement"],
            "phi": PHI,
            "lambda_over": 0.01,
            "lambda_under": [0, 0.03],
            "theta_queue": 0,
        },
    )
    document = run.document
    assert [world["market"]["phi"] for world in document["worlds"]] == [0.0, "neutral", 1.0]
    assert {"best_ask", "twap", "vwap", "pov", "touch", "clairvoyant"} <= set(document["baselines"])
    table = run.to_frame()
    assert ((table.filled + table.unfilled - table.overfilled) % 500 == 0).all()
    by_policy = table.groupby("policy").total_cash
    assert by_policy.nunique()["static"] < by_policy.nunique()["placement"]
    assert not any("rho" in line for line in document["warnings"])
