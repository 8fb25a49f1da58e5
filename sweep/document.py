"""The JSON document: exact integers in, the public interface's keys and decimals out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from allocator.book import OFF
from allocator.money import NANO, rounded
from allocator.order import execution_of
from feed.instants import format_instant
from sweep.grid import in_dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from allocator.order import Execution, Order, Side
    from sweep.conventions import Settings
    from sweep.grid import Grid
    from sweep.materialise import Facts
    from sweep.reduce import Best
    from sweep.tasks import Failure


def money(execution: Execution) -> dict[str, Any]:
    """One strategy: cash and fees to 2 decimals, the average price to 4, shares whole."""
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
    """By how many basis points of the baseline's total cash the optimized run is better; None of nothing."""
    gain = baseline.total_cash - optimized.total_cash
    if baseline.total_cash == 0:
        return None
    return rounded((gain if side == "buy" else -gain) * 10_000, baseline.total_cash, 2)


def strategies(optimized: Execution, baselines: Mapping[str, Execution], side: Side) -> dict[str, Any]:
    """`optimized`, `baselines` and `savings_vs_baselines_bps`."""
    return {
        "optimized": money(optimized),
        "baselines": {
            # its target knows the volume of the whole span, which no one has at the time
            name: {**money(run), **({"lookahead": True} if name == "vwap" else {})}
            for name, run in baselines.items()
        },
        "savings_vs_baselines_bps": {name: savings_bps(optimized, run, side) for name, run in baselines.items()},
    }


def answer(
    grid: Grid, best: Best, baselines: Mapping[str, Execution], side: Side, sensitivity: dict[str, Any] | None
) -> dict[str, Any]:
    """What was asked for: the best, what it saves, and how much that says."""
    return {
        "best_parameters": best_parameters(grid, best.combination),
        **strategies(execution_of(best.row), baselines, side),
        "objective": best.objective,
        "sensitivity": sensitivity,
    }


def best_parameters(grid: Grid, combination: int) -> dict[str, Any]:
    """The three parameters, and each further axis longer than 1, in dollars."""
    router = ("lambda_over", "lambda_under", "theta_queue")
    point = grid.point(combination)
    further = [axis.name for axis in grid.axes if axis.name not in router and len(axis.values) > 1]
    return {name: in_dollars(point[name]) for name in (*router, *further)}


def order_section(order: Order) -> dict[str, Any]:
    """The parent order."""
    return {
        "side": order.side,
        "size": order.size,
        "start": format_instant(order.start),
        "end": format_instant(order.end),
    }


def rules_section(settings: Settings) -> dict[str, Any]:
    """What was simulated: conventions with every override applied, and the policy's switches."""
    return {
        "conventions": settings.conventions,
        "liquidity": settings.rules.liquidity,
        "leftover": settings.rules.leftover,
        "unfilled_penalty": settings.rules.unfilled_penalty / NANO,
        "book": settings.book.book,
        "uncross": settings.book.uncross,
        "stub_band": None if settings.book.stub_band == OFF else settings.book.stub_band / NANO,
        "max_age_s": None if settings.book.max_age == OFF else settings.book.max_age / NANO,
        "warmup_s": settings.warmup / NANO,
        **asdict(settings.routing),
        "taker_fees": {
            "default": settings.fees.default / NANO,
            **{str(venue): fee / NANO for venue, fee in sorted(settings.fees.venues.items())},
        },
    }


def failed_section(grid: Grid, failures: Iterable[Failure]) -> list[dict[str, Any]]:
    """The combinations that could not be simulated."""
    return [
        {
            "combination": each.combination,
            "parameters": {name: in_dollars(value) for name, value in grid.point(each.combination).items()},
            "error": each.message,
        }
        for each in failures
    ]


def feed_section(facts: Facts) -> dict[str, Any]:
    """Provenance and quality; what depends on the place stands first, what depends on the data after it."""
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
        "window": {"start": format_instant(facts.start), "end": format_instant(facts.end)},
        "snapshots": provenance.snapshots,
        "rows": provenance.rows,
        "trades": provenance.trades,
        "quality": facts.quality,
    }
