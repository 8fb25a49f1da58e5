"""Stored runs that are written down by hand: documents and orders whose figures are known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from allocator.order import FIELDS
from sweep.page.reading import Run

DOLLAR = 10**9
HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m[bold]\u202e"


def interval(mean, low=None, high=None):
    return {"mean": mean, "low": low, "high": high, "standard_error": None if low is None else (high - low) / 4}


def statistics(against="best_ask", **known):
    """Of one block; `known` replaces."""
    return {
        "blocks": 1,
        "days": 1,
        "looked_at": 27,
        "distinct": None,
        "against": against,
        "saving_bps": {against: interval(1.0)},
        "execution_bps": None,
        "best_of": None,
        "confidence_set": None,
        "corrected_bps": None,
        "pbo": None,
        "detectable_bps": None,
        "days_for_bps": {"0.2": None, "0.5": None, "1": None},
        "held_out": None,
        "parts": [],
        **known,
    }


def document(against="best_ask", **known):
    """Of one order; `known` replaces."""
    return {
        "best_parameters": {"lambda_over": 0.0, "theta_queue": 0.02},
        "verdict": {"kind": "not enough data", "winner": None, "against": against, "sentence": "1 block is too few."},
        "baselines": {"best_ask": {}, "vwap": {"lookahead": True}},
        "savings_vs_baselines_bps": {"best_ask": 1.0},
        "savings_are": "in sample",
        "sensitivity": None,
        "orders": {"count": 1, "blocks": 1, "days": 1},
        "shortfall": None,
        "statistics": statistics(against),
        "rules": {"liquidity": "persist"},
        "warnings": [],
        **known,
    }


def orders_frame(orders, cash):
    """Rows of `Run.orders`.

    `orders`: (side, size, start in seconds, block, arrival mid in dollars); `cash`: dollars of each by strategy.
    """
    rows = []
    for strategy, paid in cash.items():
        for number, ((side, size, start, block, mid), dollars) in enumerate(zip(orders, paid, strict=True)):
            fields = {**dict.fromkeys(FIELDS, 0), "filled": size, "total_cash": round(dollars * DOLLAR)}
            order = {"tape": 0, "order": number, "side": side, "size": size, "block": block}
            span = {"start": start * DOLLAR, "end": (start + 60) * DOLLAR}
            rows.append({"strategy": strategy, **order, **span, **fields, "arrival_mid2": round(2 * mid * DOLLAR)})
    return pd.DataFrame(rows)


ONE = (("buy", 100, 52_200, 0, 10.0),)


def made_run(printed=None, orders=ONE, cash=None):
    """A run of some orders; without `cash` the best combination saves 1 bps of each."""
    if cash is None:
        cash = {
            "optimized": [size * mid * (1 - 1e-4 * (1 if side == "buy" else -1)) for side, size, _, _, mid in orders],
            "best_ask": [size * mid for _, size, _, _, mid in orders],
        }
    none = pd.DataFrame()
    return Run(Path("run"), None, None, printed or document(), none, orders_frame(orders, cash), none, none, none, none)


def words(made):
    """All text of an element."""
    return "".join(made.itertext())


def lead_of(made):
    """The sentence that carries the finding."""
    return next(words(each) for each in made.iter("p") if each.get("class") == "lead")


def cells_of(made, at=0):
    """The rows of a table, as text, the heading first."""
    table = list(made.iter("table"))[at]
    return [[words(cell) for cell in row] for row in table.iter("tr")]


def descriptions(made):
    """What drawings say."""
    return [words(each) for each in made.iter("desc")]
