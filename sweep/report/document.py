"""The JSON document: takes exact integers, gives the keys and decimals of the public interface."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from math import prod
from typing import TYPE_CHECKING, Any, Final

from allocator.book import OFF
from allocator.money import NANO, rounded
from allocator.order import execution_of
from feed.instants import format_instant
from sweep.config import PLACEMENT, switches
from sweep.search import MARKET, PARAMETERS
from sweep.statistics import Total, blocks_of, savings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from allocator.order import Execution, Side
    from sweep.config import Question, Settings, World
    from sweep.reduce import Best, Sums
    from sweep.search import Grid
    from sweep.statistics import Filling, Orders, Outcome
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


def savings_bps(optimized: Total, baseline: Total) -> float | None:
    """By how many basis points of the baseline's total cash the optimized run is better; None if that cash is 0."""
    if baseline.execution.total_cash == 0:
        return None
    gain = baseline.signed_cash - optimized.signed_cash
    return rounded(gain * 10_000, baseline.execution.total_cash, 2)


def strategies(totals: Mapping[str, Total]) -> dict[str, Any]:
    """`optimized`, `baselines` and `savings_vs_baselines_bps`; `totals` holds all of them, ``optimized`` among them."""
    baselines = {name: run for name, run in totals.items() if name != "optimized"}
    return {
        "optimized": money(totals["optimized"].execution),
        "baselines": {
            name: {**money(run.execution), **({"lookahead": True} if run.lookahead else {})}
            for name, run in baselines.items()
        },
        "savings_vs_baselines_bps": {name: savings_bps(totals["optimized"], run) for name, run in baselines.items()},
    }


def _room(totals: Mapping[str, Total]) -> dict[str, Any] | None:
    """How far `best_ask` is from the bound, and how much of that the optimized run takes; None without a bound."""
    if "clairvoyant" not in totals:
        return None
    best, base, bound = (totals[name].signed_cash for name in ("optimized", "best_ask", "clairvoyant"))
    return {
        "bps": savings_bps(totals["clairvoyant"], totals["best_ask"]),
        "taken_percent": rounded(100 * (base - best), base - bound, 2) if base > bound else None,
    }


def answer_section(
    grid: Grid, best: Best, totals: Mapping[str, Total], sensitivity: dict[str, Any] | None
) -> dict[str, Any]:
    """The best combination, what it saves, and how much that says."""
    return {
        "best_parameters": best_parameters(grid, best.combination),
        **strategies(totals),
        "room": _room(totals),
        "objective": best.objective,
        "sensitivity": sensitivity,
    }


def worlds_section(
    worlds: Sequence[World],
    grid: Grid,
    bests: Sequence[Best],
    answers: Sequence[tuple[Mapping[str, Any], Mapping[str, Total]]],
    sums_of: Callable[[int], Sums | None],
) -> list[dict[str, Any]]:
    """What is best in each world, and what the best of the first one is worth in it.

    Parameters
    ----------
    worlds, grid
        As everywhere.
    bests : sequence of Best
        Of each world.
    answers : sequence of (dict, dict)
        The document's answer in each world, and the totals of all strategies.
    sums_of : callable
        The sums of a combination over all orders; None where it failed.
    """
    section = []
    for world, best, (answer, totals) in zip(worlds, bests, answers, strict=True):
        same = grid.counterpart(bests[0].combination, best.combination, MARKET)
        sums = None if same is None else sums_of(same)
        section.append(
            {
                "market": world.point,
                **{name: answer[name] for name in _OF_WORLD if name in answer},
                "cells": answer["orders"]["cells"],
                "first_best": None if sums is None else _first_best(sums, totals),
            }
        )
    return section


_OF_WORLD: Final = (
    "best_parameters",
    "optimized",
    "baselines",
    "savings_vs_baselines_bps",
    "savings_in_sample_bps",
    "room",
    "objective",
    "shortfall",
    "placement",
    "verdict",
    "statistics",
)


def _first_best(sums: Sums, totals: Mapping[str, Total]) -> dict[str, Any]:
    run = Total(execution_of(sums.row), sums.signed_cash)
    return {
        "total_cash": rounded(run.execution.total_cash, NANO, 2),
        "filled": run.execution.filled,
        "savings_vs_baselines_bps": {
            name: savings_bps(run, baseline) for name, baseline in totals.items() if name != "optimized"
        },
    }


def shortfall_section(totals: Mapping[str, Total], around: Around, *, twap_acted: bool) -> dict[str, Any] | None:
    """When each strategy filled, what it lost against the arrival mid, and which part of a saving is timing.

    None where no book is two-sided. Of several orders these are sums, and the arrival mid is that of the first. Exact
    integers are rounded half-even; the `execution` of a saving is its printed `total` less its printed `timing`.
    """
    if around.arrived is None or any(run.loss is None for run in totals.values()):
        return None
    losses = {name: _loss(run) for name, run in totals.items()}
    return {
        "arrival_mid": rounded(around.arrival2, 2 * NANO, 4),
        "arrival_at": format_instant(around.arrived),
        "optimized": losses.pop("optimized"),
        "baselines": losses,
        "savings_parts_bps": {
            name: _saving(totals["optimized"], totals[name], acted=twap_acted or name != "twap") for name in losses
        },
        "twap_slices": {"all": around.slices, "with_quotes": around.quoted},
    }


def _loss(run: Total) -> dict[str, Any]:
    """One strategy's first and last fill, and its shortfall in dollars; above 0 = a loss.

    What needs the time of a fill is null for a bound, which does not trade; fees are less rebates where these are null.
    """
    halves = {
        "shortfall": run.loss,
        "timing": None if run.parts is None else run.parts.timing,
        "spread": None if run.parts is None else run.parts.spread,
        "fees": 2 * (run.execution.fees - (run.rebates or 0)),
        "rebates": None if run.rebates is None else 2 * run.rebates,
        "leftover": run.leftover,
    }
    instants = {"first_fill": run.first, "last_fill": run.last}
    return {
        **{name: None if ts is None else format_instant(ts) for name, ts in instants.items()},
        **{name: None if half is None else rounded(half, 2 * NANO, 2) for name, half in halves.items()},
    }


def fills_section(totals: Mapping[str, Total]) -> dict[str, Any]:
    """When each strategy filled, where, and where the mid went afterwards; None where its fills are unknown."""
    of_each = {name: None if run.filling is None else _filling(run.filling) for name, run in totals.items()}
    return {"optimized": of_each.pop("optimized"), "baselines": of_each}


def _filling(sums: Filling) -> dict[str, Any]:
    return {
        "seconds_to_fill": rounded(sums.waited, sums.filled * NANO, 3) if sums.filled else None,
        "completion_percent": [rounded(100 * shares, sums.asked, 2) for shares in sums.completion],
        "mark_out_bps": {
            f"{seconds}s": rounded(moved * 10_000, 2 * notional, 2) if notional else None
            for seconds, (moved, notional) in sums.mark_outs.items()
        },
        "venues": {
            str(venue): {"shares": shares, "fees": rounded(fees, NANO, 2)}
            for venue, (shares, fees) in sums.venues.items()
        },
        "crossed_shares": sums.crossed,
        "old_shares": sums.old,
    }


def _saving(optimized: Total, baseline: Total, *, acted: bool) -> dict[str, Any]:
    """A saving in two parts, in basis points of the baseline's total cash; against a bound, without them.

    `comparable`: the baseline could act.
    """
    twice_baseline_cash, best, base = 2 * baseline.execution.total_cash, optimized.parts, baseline.parts
    total = timing = execution = None
    if twice_baseline_cash and optimized.loss is not None and baseline.loss is not None:
        total = rounded((baseline.loss - optimized.loss) * 10_000, twice_baseline_cash, 2)
        if best is not None and base is not None:
            timing = rounded((base.timing - best.timing) * 10_000, twice_baseline_cash, 2)
            execution = round(total - timing, 2)
    return {"total": total, "timing": timing, "execution": execution, "comparable": acted}


def best_parameters(grid: Grid, combination: int) -> dict[str, Any]:
    """The three parameters and each further axis longer than 1, in dollars."""
    printed = grid.printed(combination)
    return {name: printed[name] for name in (*PARAMETERS, *(axis.name for axis in grid.further if len(axis) > 1))}


def order_section(orders: Orders) -> dict[str, Any]:
    """The parent order; of several their sides, their sizes, and the first start and the last end."""
    sides = list(dict.fromkeys(side for side, _ in orders.cells))
    sizes = list(dict.fromkeys(size for _, size in orders.cells))
    return {
        "side": sides[0] if len(sides) == 1 else sides,
        "size": sizes[0] if len(sizes) == 1 else sizes,
        "start": format_instant(min(order.start for order in orders.orders)),
        "end": format_instant(max(order.end for order in orders.orders)),
    }


def orders_section(orders: Orders, outcomes: Mapping[str, Outcome], tapes: Sequence[str]) -> dict[str, Any]:
    """How many parent orders there are, and by side and size what one saves; `tapes`: those with orders."""
    symbols, days = ({label.rpartition(" ")[part] for label in tapes} for part in (0, 2))
    return {
        "count": len(orders),
        "left_out": orders.left_out,
        "blocks": len(blocks_of(orders)),
        "days": len(days),
        "symbols": len(symbols),
        "cells": [_cell(orders, outcomes, *cell) for cell in orders.of_cells()],
    }


def _cell(orders: Orders, outcomes: Mapping[str, Outcome], cell: tuple[Side, int], at: list[int]) -> dict[str, Any]:
    side, size = cell
    optimized = outcomes["optimized"].rows[at]
    of_cell = [orders.orders[position] for position in at]
    saved = {
        name: savings_of(of_cell, optimized, run.rows[at]) for name, run in outcomes.items() if name != "optimized"
    }
    asked = size * len(optimized)
    filled = {name: run.rows[at, :3].sum(axis=0).tolist() for name, run in outcomes.items()}
    return {
        "side": side,
        "size": size,
        "orders": len(optimized),
        "filled_percent": {name: rounded(100 * (got - over), asked, 2) for name, (got, _, over) in filled.items()},
        "mean_saving_bps": {name: None if mean is None else round(mean, 2) for name, (mean, _) in saved.items()},
        "standard_error_bps": {name: None if error is None else round(error, 2) for name, (_, error) in saved.items()},
    }


def rules_section(question: Question) -> dict[str, Any]:
    """The rules of the simulation: conventions with every override applied, and the policies' switches.

    What an axis of the grid varies is the list of its values, or each by its name.
    """
    config, settings = question.config, question.settings
    kept = question.variants.positions(question.grid)
    varied = {axis.name: [axis.labels[at] for at in kept[axis.name]] for axis in question.grid.further}
    rules = {
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
        **({"switches": config.switches} if config.switches else {}),
        **switches(config),
        "participation": config.participation,
        "latency_s": _latency(settings),
        "baseline": settings.baseline,
        "taker_fees": _taker_fees(settings),
    }
    variants, grid = question.variants, question.grid
    named = [("fees", "taker_fees", _taker_fees), ("latency", "latency_s", _latency)]
    if variants.placing:
        rules |= {name: getattr(config, name) for name in (*PLACEMENT, "phi", "rho")}
        rules["maker_fees"] = _maker_fees(settings)
        named.append(("fees", "maker_fees", _maker_fees))
    for name, key, shown in named:
        if labels := varied.get(name):
            each = [shown(variants.example(grid, name, at)) for at in kept[name]]
            rules[key] = dict(zip(map(str, labels), each, strict=True))
    varied = {name: values for name, values in varied.items() if name not in {"fees", "latency"}}
    if "max_age" in varied:
        varied["max_age_s"] = varied.pop("max_age")
    return rules | varied


def search_section(question: Question, pruned: int) -> dict[str, Any]:
    """How many places of the grid were looked at, and by which search; nothing where all were, on all tapes."""
    search, grid = question.config.search, question.grid
    if search.kind == "grid" and not search.prune:
        return {}
    section = {"kind": search.kind, "looked_at": len(grid), "of": prod(grid.shape)}
    return {"search": {**section, **({"pruned": pruned} if search.prune else {})}}


def _taker_fees(settings: Settings) -> dict[str, float]:
    by_venue = {str(venue): fee / NANO for venue, fee in sorted(settings.fees.venues.items())}
    return {"default": settings.fees.default / NANO, **by_venue}


def _maker_fees(settings: Settings) -> dict[str, float]:
    fees = settings.rules.maker_fees
    return {"default": fees.default / NANO, **{str(venue): fee / NANO for venue, fee in fees.venues}}


def _latency(settings: Settings) -> dict[str, Any] | float:
    """Seconds, by venue where they differ; several are drawn from."""
    latency = settings.rules.latency
    by_venue = {"default": latency.default, **{str(venue): choices for venue, choices in latency.venues}}
    shown = {
        venue: choices[0] / NANO if len(choices) == 1 else [choice / NANO for choice in choices]
        for venue, choices in by_venue.items()
    }
    drawn = any(len(choices) > 1 for choices in by_venue.values())
    if len(shown) == 1 and not drawn:
        return latency.default[0] / NANO
    return {**shown, **({"seed": latency.seed} if drawn else {})}


def failed_section(grid: Grid, failures: Iterable[Failure]) -> list[dict[str, Any]]:
    """The combinations that could not be simulated."""
    return [
        {
            "combination": failure.combination,
            "parameters": grid.printed(failure.combination),
            "error": failure.message,
        }
        for failure in failures
    ]


def feed_section(tapes: Sequence[Facts]) -> dict[str, Any]:
    """Provenance and quality of what was read; of several tapes their sums, and each of them in ``tapes``."""
    each = [_tape_section(facts) for facts in tapes]
    first = each[0]
    if len(each) == 1:
        return first
    depths: dict[str, int] = {}
    for tape in each:
        depths |= {venue: max(depth, depths.get(venue, 0)) for venue, depth in tape["depth"].items()}
    digests = "".join(tape["digest"] for tape in each)
    return {
        **{name: first[name] for name in ("source", "place", "topic", "replay", "partitions")},
        **{name: first[name] for name in ("messages", "resent", "empty", "bad", "ignored")},
        "notes": [],
        "digest": hashlib.sha256(digests.encode()).hexdigest(),
        "symbol": ", ".join(dict.fromkeys(tape["symbol"] for tape in each)),
        "depth": dict(sorted(depths.items(), key=lambda item: int(item[0]))),
        "window": {
            "start": min(tape["window"]["start"] for tape in each),
            "end": max(tape["window"]["end"] for tape in each),
        },
        **{name: sum(tape[name] for tape in each) for name in ("snapshots", "rows", "trades")},
        "tapes": each,
    }


def _tape_section(facts: Facts) -> dict[str, Any]:
    """Of one tape: first what depends on the place, then what depends on the data."""
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
