"""The document's `statistics` and `verdict`: how sure the answer is, as JSON and in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from allocator.money import rounded
from feed.instants import format_instant
from sweep.report.document import best_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.judging import FoldResult, HeldOut, Judged
    from sweep.search import Grid
    from sweep.statistics import Interval, Power

DECIMALS: Final = 4
"""Of a p-value or a share."""

SET_LEVEL: Final = 0.9
"""Of the set of combinations that cannot be told from the best."""


def verdict_section(judged: Judged, grid: Grid) -> dict[str, Any]:
    """What may be said, in a word and a sentence; the winner is null without evidence."""
    better = judged.verdict.kind == "better"
    return {
        "kind": judged.verdict.kind,
        "winner": best_parameters(grid, judged.combination) if better else None,
        "against": judged.against,
        "sentence": judged.verdict.sentence,
    }


def judged_document(
    document: Mapping[str, Any], each: Sequence[Judged], grid: Grid, *, held_out: bool
) -> dict[str, Any]:
    """A document's answer with what may be said of it.

    Parameters
    ----------
    document : mapping
    each : sequence of Judged
        All orders, and each part of them.
    grid : Grid
    held_out : bool
        Whether the savings that are printed are those of blocks that did not choose.
    """
    whole, *parts = each
    figures = _figures(whole, grid)
    savings = document["savings_vs_baselines_bps"]
    reported = {
        "savings_are": "in sample",
        "savings_vs_baselines_bps": savings,
    }
    if held_out and whole.held_out is not None:
        reported = {
            "savings_are": f"held out by {whole.held_out.validation}",
            "savings_vs_baselines_bps": figures["held_out"]["savings_vs_baselines_bps"],
            "savings_in_sample_bps": savings,
        }
    return {
        "best_parameters": document["best_parameters"],
        "verdict": verdict_section(whole, grid),
        **document,
        **reported,
        "statistics": {**figures, "parts": [_part(judged, grid) for judged in parts]},
    }


def _part(judged: Judged, grid: Grid) -> dict[str, Any]:
    """The same of some of the orders, with a verdict of their own."""
    return {
        "side": judged.side,
        "size": judged.size,
        "best_parameters": best_parameters(grid, judged.combination),
        "verdict": verdict_section(judged, grid),
        **_figures(judged, grid),
    }


def _figures(judged: Judged, grid: Grid) -> dict[str, Any]:
    best, fixed, pbo = judged.best_of, judged.corrected, judged.overfitting
    saving = judged.savings[judged.against]
    return {
        "blocks": judged.blocks,
        "days": judged.days,
        "looked_at": judged.looked_at,
        "distinct": judged.distinct,
        "against": judged.against,
        "saving_bps": {name: interval_section(each) for name, each in judged.savings.items()},
        "execution_bps": None if judged.execution is None else interval_section(judged.execution),
        "skewness": _rounded(saving.skewness, 2),
        "lag_1": _rounded(saving.lag_1, 2),
        "undercovers_percent": None if saving.undercovers is None else _rounded(100 * saving.undercovers, 1),
        "span_bps": _rounded(judged.span, 2),
        "best_of": None
        if best is None
        else {
            "p": _rounded(best.p, DECIMALS),
            "p_plain": _rounded(best.p_plain, DECIMALS),
            "agree": best.agree,
            "by_chance_bps": _rounded(best.by_chance, 2),
            "groups": best.groups,
            "sign_vectors": best.vectors,
            "beat_it": judged.beat_it,
        },
        "confidence_set": None
        if judged.close is None
        else {
            "level": SET_LEVEL,
            "combinations": judged.close.combinations,
            "percent": _rounded(100 * judged.close.combinations / judged.looked_at, 2),
            "parameters": judged.close.parameters,
        },
        "corrected_bps": None
        if fixed is None
        else {"mean": _rounded(fixed.corrected, 2), "low": _rounded(fixed.low, 2), "high": _rounded(fixed.high, 2)},
        "pbo": None
        if pbo is None
        else {
            "probability": _rounded(pbo.probability, DECIMALS),
            "low": _rounded(pbo.low, DECIMALS),
            "high": _rounded(pbo.high, DECIMALS),
            "groups": pbo.groups,
            "splits": pbo.splits,
            "columns": pbo.columns,
        },
        "detectable_bps": _rounded(judged.detectable, 2),
        "days_for_bps": {f"{effect:g}": days for effect, days in judged.days_for.items()},
        "held_out": None if judged.held_out is None else _held_out(judged.held_out, grid),
    }


def power_section(power: Power) -> dict[str, Any]:
    """What some orders can show, before anything is swept."""
    return {
        "side": power.side,
        "size": power.size,
        "blocks": power.blocks,
        "days": power.days,
        "detectable_bps": {name: _rounded(bps, 2) for name, bps in power.detectable.items()},
        "days_for_bps": {
            name: {f"{effect:g}": days for effect, days in each.items()} for name, each in power.days_for.items()
        },
    }


def _held_out(held_out: HeldOut, grid: Grid) -> dict[str, Any]:
    """What was chosen on some blocks and reported on others, fold by fold and together."""
    return {
        "validate": held_out.validation,
        "saving_bps": {
            "strongest": interval_section(held_out.against_strongest),
            "best_ask": interval_section(held_out.against_best_ask),
        },
        "savings_vs_baselines_bps": {
            name: rounded(saved * 10_000, cash, 2) if cash else None
            for name, (saved, cash) in held_out.cash_savings.items()
        },
        "folds": [_fold(fold, grid) for fold in held_out.folds],
    }


def _fold(fold: FoldResult, grid: Grid) -> dict[str, Any]:
    return {
        "from": format_instant(fold.first),
        "to": format_instant(fold.last),
        "trained_blocks": fold.trained,
        "tested_blocks": fold.tested,
        "best_parameters": best_parameters(grid, fold.combination),
        "against": fold.against,
        "in_sample_bps": _rounded(fold.in_sample, 2),
        "saved_bps": _rounded(fold.saved, 2),
    }


def interval_section(each: Interval) -> dict[str, float | None]:
    """A figure and its interval, as they are printed."""
    return {
        "mean": _rounded(each.mean, 2),
        "low": _rounded(each.low, 2),
        "high": _rounded(each.high, 2),
        "standard_error": _rounded(each.standard_error, 3),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    """A figure as it is printed; a zero has no sign."""
    return None if value is None or not math.isfinite(value) else round(value, digits) + 0.0
