"""The JSON document: takes exact integers, gives the keys and decimals of the public interface."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from allocator.baselines import LOOKING_AHEAD
from allocator.book import OFF
from allocator.money import NANO, rounded
from allocator.order import SIGN, execution_of
from allocator.shortfall import leftover_loss, loss, shortfall
from feed.instants import format_instant
from sweep.config import switches
from sweep.search import PARAMETERS, in_dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from allocator.order import Execution, Order, Side
    from allocator.shortfall import Shortfall, Trace
    from sweep.config import Question
    from sweep.reduce import Best
    from sweep.search import Grid
    from sweep.tapes import Facts
    from sweep.tasks import Around, Failure


def money(execution: Execution) -> dict[str, Any]:
    """One strategy: cash and fees to 2 decimals, the average price to 4, whole shares."""
    return {
        "total_cash": rounded(execution.total_cash, NANO, 2),
        "avg_fill_px": rounded(execution.cash_filled, execution.filled * NANO, 4) if execution.filled else None,
        "cash_filled": rounded(execution.cash_filled, NANO, 2),
        "unfilled_value": rounded(execution.unfilled_value, NANO, 2),
        "overfilled_value": rounded(execution.overfilled_value, NANO, 2),
        "filled": execution.filled,
        "unfilled": execution.unfilled,
        "overfilled": execution.overfilled,
        "fees": rounded(execution.fees, NANO, 2),
    }


def savings_bps(optimized: Execution, baseline: Execution, side: Side) -> float | None:
    """By how many basis points of the baseline's total cash the optimized run is better; None if that cash is 0."""
    gain = baseline.total_cash - optimized.total_cash
    if baseline.total_cash == 0:
        return None
    return rounded(SIGN[side] * gain * 10_000, baseline.total_cash, 2)


def strategies(optimized: Execution, baselines: Mapping[str, Execution], side: Side) -> dict[str, Any]:
    """`optimized`, `baselines` and `savings_vs_baselines_bps`."""
    return {
        "optimized": money(optimized),
        "baselines": {
            name: {**money(run), **({"lookahead": True} if name in LOOKING_AHEAD else {})}
            for name, run in baselines.items()
        },
        "savings_vs_baselines_bps": {name: savings_bps(optimized, run, side) for name, run in baselines.items()},
    }


def answer_section(
    grid: Grid, best: Best, baselines: Mapping[str, Execution], side: Side, sensitivity: dict[str, Any] | None
) -> dict[str, Any]:
    """The best combination, what it saves, and how much that says."""
    return {
        "best_parameters": best_parameters(grid, best.combination),
        **strategies(execution_of(best.row), baselines, side),
        "objective": best.objective,
        "sensitivity": sensitivity,
    }


def shortfall_section(
    order: Order,
    optimized: tuple[Execution, Trace],
    baselines: Mapping[str, tuple[Execution, Trace | None]],
    around: Around,
    *,
    twap_acted: bool,
) -> dict[str, Any] | None:
    """When each strategy filled, what it lost against the arrival mid, and which part of a saving is timing.

    None where no book is two-sided. Exact integers are rounded half-even; the `execution` of a saving is its printed
    `total` less its printed `timing`.
    """
    if around.arrived is None:
        return None
    arrival2 = around.arrival2
    best = shortfall(order, *optimized, arrival2)
    parts = {
        name: None if trace is None else shortfall(order, run, trace, arrival2)
        for name, (run, trace) in baselines.items()
    }
    return {
        "arrival_mid": rounded(around.arrival2, 2 * NANO, 4),
        "arrival_at": format_instant(around.arrived),
        "optimized": _loss(order, *optimized, best, arrival2),
        "baselines": {name: _loss(order, *run, parts[name], arrival2) for name, run in baselines.items()},
        "savings_parts_bps": {
            name: {**_saving(order, best, parts[name], run, arrival2), "comparable": twap_acted or name != "twap"}
            for name, (run, _) in baselines.items()
        },
        "twap_slices": {"all": around.slices, "with_quotes": around.quoted},
    }


def _loss(order: Order, run: Execution, trace: Trace | None, parts: Shortfall | None, arrival2: int) -> dict[str, Any]:
    """One strategy's first and last fill, and its shortfall in dollars; above 0 = a loss.

    What needs the time of a fill is null for a bound, which does not trade.
    """
    halves = {
        "shortfall": loss(order, run, arrival2),
        "timing": None if parts is None else parts.timing,
        "spread": None if parts is None else parts.spread,
        "fees": 2 * run.fees,
        "leftover": leftover_loss(order, run, arrival2),
    }
    instants = {
        "first_fill": None if trace is None else trace.first,
        "last_fill": None if trace is None else trace.last,
    }
    return {
        **{name: None if ts is None else format_instant(ts) for name, ts in instants.items()},
        **{name: None if half is None else rounded(half, 2 * NANO, 2) for name, half in halves.items()},
    }


def _saving(
    order: Order, optimized: Shortfall, baseline: Shortfall | None, run: Execution, arrival2: int
) -> dict[str, float | None]:
    """A saving in two parts, in basis points of the baseline's total cash; against a bound, without them."""
    twice_baseline_cash = 2 * run.total_cash
    if not twice_baseline_cash:
        return {"total": None, "timing": None, "execution": None}
    total = rounded((loss(order, run, arrival2) - optimized.total) * 10_000, twice_baseline_cash, 2)
    if baseline is None:
        return {"total": total, "timing": None, "execution": None}
    timing = rounded((baseline.timing - optimized.timing) * 10_000, twice_baseline_cash, 2)
    return {"total": total, "timing": timing, "execution": round(total - timing, 2)}


def best_parameters(grid: Grid, combination: int) -> dict[str, Any]:
    """The three parameters and each further axis longer than 1, in dollars."""
    point = grid.point(combination)
    further = [axis.name for axis in grid.axes if axis.name not in PARAMETERS and len(axis) > 1]
    return {name: in_dollars(point[name]) for name in (*PARAMETERS, *further)}


def order_section(order: Order) -> dict[str, Any]:
    """The parent order."""
    return {
        "side": order.side,
        "size": order.size,
        "start": format_instant(order.start),
        "end": format_instant(order.end),
    }


def rules_section(question: Question) -> dict[str, Any]:
    """The rules of the simulation: conventions with every override applied, and the policies' switches."""
    config, settings = question.config, question.settings
    return {
        "conventions": settings.conventions,
        "liquidity": settings.rules.liquidity,
        "leftover": settings.rules.leftover,
        "leftover_band": None if settings.rules.leftover_band is None else settings.rules.leftover_band / NANO,
        "unfilled_penalty": settings.rules.unfilled_penalty / NANO,
        "book": settings.book.book,
        "uncross": settings.book.uncross,
        "stub_band": None if settings.book.stub_band == OFF else settings.book.stub_band / NANO,
        "max_age_s": None if settings.book.max_age == OFF else settings.book.max_age / NANO,
        "warmup_s": settings.warmup / NANO,
        "policy": config.policy,
        **switches(config),
        "baseline": settings.baseline,
        "taker_fees": {
            "default": settings.fees.default / NANO,
            **{str(venue): fee / NANO for venue, fee in sorted(settings.fees.venues.items())},
        },
    }


def failed_section(grid: Grid, failures: Iterable[Failure]) -> list[dict[str, Any]]:
    """The combinations that could not be simulated."""
    return [
        {
            "combination": failure.combination,
            "parameters": {name: in_dollars(value) for name, value in grid.point(failure.combination).items()},
            "error": failure.message,
        }
        for failure in failures
    ]


def feed_section(facts: Facts) -> dict[str, Any]:
    """Provenance and quality; first what depends on the place, then what depends on the data."""
    provenance = facts.provenance
    return {
        "source": provenance.source,
        "place": provenance.place,
        "topic": provenance.topic,
        "replay": provenance.replay,
        "partitions": [asdict(partition) for partition in provenance.partitions],
        "messages": provenance.messages,
        "resent": provenance.resent,
        "empty": provenance.empty,
        "bad": len(provenance.bad),
        "ignored": provenance.ignored,
        "notes": list(provenance.notes),
        "digest": provenance.digest,
        "symbol": facts.symbol,
        "depth": {str(venue): depth for venue, depth in zip(facts.venues, facts.depth, strict=True)},
        "window": {"start": format_instant(facts.start), "end": format_instant(facts.end)},
        "snapshots": provenance.snapshots,
        "rows": provenance.rows,
        "trades": provenance.trades,
        "quality": facts.quality,
    }
