"""The end of stderr: what a person reads of a document, as a table of 80 columns."""

from __future__ import annotations

from contextlib import suppress
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, TextIO

from feed.console import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIDTH: Final = 80

_LABEL: Final = 16
_FIGURE: Final = 10
_WORLD: Final = 42
_POSTED: Final = 23


def summary(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table: the best, what it saves in total and in parts, fill rates, and each cell of many orders.

    Parameters
    ----------
    document : mapping
        Of this version, or an older one that lacks parts of it.
    """
    objective, orders = document["objective"], document.get("orders") or {"count": 1, "cells": []}
    chosen = _named(document["best_parameters"])
    yield from _wrapped(f"best of {objective['combinations']:,} for {_plural(orders['count'], 'order')}: {chosen}")
    shares = sum(document["optimized"][name] for name in ("filled", "unfilled")) - document["optimized"]["overfilled"]
    parts = (document.get("shortfall") or {}).get("savings_parts_bps", {})
    held_out = document["savings_vs_baselines_bps"] if "savings_in_sample_bps" in document else None
    last = () if held_out is None else ("held out",)
    yield _row("saved, bps", "total" if held_out is None else "in sample", "timing", "execution", "filled, %", *last)
    for name, run in {**document["baselines"], "optimized": document["optimized"]}.items():
        saved = parts.get(name, {})
        total = _in_sample(document).get(name)
        last = () if held_out is None else (_bps(held_out.get(name)),)
        looks_ahead = " *" if run.get("lookahead") else ""
        filled = 100 * (run["filled"] - run["overfilled"]) / shares if shares else None
        figures = map(_bps, (total, saved.get("timing"), saved.get("execution"), filled))
        yield _row(name + looks_ahead, *figures, *last)
    if any(run.get("lookahead") for run in document["baselines"].values()):
        yield "* looks ahead: nobody could have traded so"
    room = document.get("room")
    if room and room["bps"] is not None and room["taken_percent"] is not None:
        taken, bps = _bps(room["taken_percent"]), _bps(room["bps"])
        yield f"the best takes {taken} % of the {bps} bps between best_ask and clairvoyant"
    if orders["count"] > 1:
        yield from _cells(orders["cells"])
    if document.get("worlds"):
        yield from _worlds(document["worlds"])
    yield from _limit_orders(document.get("worlds") or [document])
    if document.get("verdict"):
        yield from _verdicts(document, orders["count"])


def _limit_orders(worlds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """In each world what the limit orders of its best filled, and how good their predictions were."""
    placed = [world for world in worlds if world.get("placement")]
    if placed:
        yield _posted("limit orders", ("sent", "filled, %", "passive, %", "Brier", "base rate"))
    for world in placed:
        section = world["placement"]
        orders, scores = section["limit_orders"], (section["calibration"][f"brier{of}"] for of in ("", "_of_base_rate"))
        label = _named(world.get("market", {}))
        if len(label) > _POSTED:
            yield from _wrapped(f"  {label}")
            label = ""
        rates = (_bps(orders[name]) for name in ("fill_rate_percent", "passive_percent"))
        yield _posted(label, (f"{orders['sent']:,}", *rates, *("" if x is None else f"{x:.4f}" for x in scores)))
    if placed:
        yield from _wrapped(f"  {placed[0]['placement']['calibration']['sentence']}")


def _posted(label: str, figures: Sequence[str]) -> str:
    return f"  {label:<{_POSTED}}{''.join(f'{each:>11}' for each in figures)}".rstrip()


def _verdicts(document: Mapping[str, Any], orders: int) -> Iterator[str]:
    """The verdict in words; of many orders first a line for all of them and for each part, in each world."""
    worlds = document.get("worlds") or [document]
    if orders > 1:
        for world in worlds:
            where = f", {_named(world['market'])}" if "market" in world else ""
            yield from _wrapped(f"  against the strongest baseline, bps{where}")
            yield _judged("", ("baseline", "saves", "95 % interval", "p", "verdict"))
            whole = {"side": None, "size": None, "verdict": world["verdict"], **world["statistics"]}
            for part in (whole, *world["statistics"]["parts"]):
                yield from _part(part)
    verdict = document["verdict"]
    yield from _wrapped(f"verdict: {verdict['kind']}. {verdict['sentence']}")


def _part(part: Mapping[str, Any]) -> Iterator[str]:
    """What may be said of some orders."""
    saving, best = part["saving_bps"][part["against"]], part["best_of"]
    reach = "" if saving["low"] is None else f"{saving['low']:,.2f} to {saving['high']:,.2f}"
    size = "" if part["size"] is None else f"{part['size']:,}"
    label = " ".join(filter(None, (part["side"], size))) or "all"
    chance = "" if best is None else f"{best['p']:.3f}"
    figures = (part["against"], _bps(saving["mean"]), reach, chance, part["verdict"]["kind"])
    line = _judged(label, figures)
    if len(line) <= WIDTH:
        yield line
    else:
        yield from _wrapped(f"  {label} {' '.join(filter(None, figures))}")


def _judged(label: str, figures: Sequence[str]) -> str:
    baseline, saves, reach, chance, kind = figures
    return f"  {label:<11} {baseline:<14} {saves:>8}{reach:>17}{chance:>7}  {kind}"


def _worlds(worlds: list[dict[str, Any]]) -> Iterator[str]:
    """In each world what its own best saves in sample against best_ask, and what the best of the first world does."""
    where = "where" if "savings_in_sample_bps" not in worlds[0] else "in sample, where"
    yield f"  {f'against best_ask, bps, {where}':<{_WORLD}}{'best there':>16}{'best above':>18}"
    chosen = _router(worlds[0])
    for world in worlds:
        same = world["first_best"]
        saved = [_in_sample(each).get("best_ask") for each in (world, same) if each is not None]
        figures = [_bps(each) for each in saved] + [""] * (2 - len(saved))
        label = _named(world["market"])
        if len(label) > _WORLD:
            yield from _wrapped(f"  {label}")
            label = ""
        yield f"  {label:<{_WORLD}}{figures[0]:>16}{figures[1]:>18}".rstrip()
        if _router(world) != chosen:
            yield from _wrapped(f"    best there: {_router(world)}")


def _in_sample(answer: Mapping[str, Any]) -> Mapping[str, float | None]:
    """What a document, or one of its worlds, saves against each baseline on the orders that chose its best, bps."""
    savings: Mapping[str, float | None] = answer.get("savings_in_sample_bps", answer["savings_vs_baselines_bps"])
    return savings


def _named(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _wrapped(line: str) -> Iterator[str]:
    """A line, folded where it is longer than the table is wide."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    yield from wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _router(world: Mapping[str, Any]) -> str:
    """The best parameters of a world, without what the router cannot choose."""
    return " ".join(
        f"{name}={value}" for name, value in world["best_parameters"].items() if name not in world["market"]
    )


def _cells(cells: list[dict[str, Any]]) -> Iterator[str]:
    """The mean saving of an order and its standard error, by side and size."""
    shown = ("best_ask", "twap", "vwap")
    yield _row("mean, bps (s.e.)", "orders", *shown, wide=True)
    for cell in cells:
        figures = (
            f"{_bps(cell['mean_saving_bps'].get(name))} ({_bps(cell['standard_error_bps'].get(name))})"
            for name in shown
        )
        yield _row(f"{cell['side']} {cell['size']:,}", f"{cell['orders']:,}", *figures, wide=True)


def _row(label: str, *figures: str, wide: bool = False) -> str:
    width = 17 if wide else 14 if len(figures) < 5 else 12
    first, *rest = figures
    return f"  {label:<{_LABEL}}{first:>{_FIGURE}}{''.join(f'{figure:>{width}}' for figure in rest)}".rstrip()


def _bps(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_summary(document: Mapping[str, Any], stream: TextIO) -> None:
    """Print the table; a stream that nobody reads any more is no error."""
    try:
        lines = [printable(line) for line in summary(document)]
    except (KeyError, TypeError, ValueError, AttributeError):  # a stored one, which anybody may have written
        return
    with suppress(OSError):
        print(*lines, sep="\n", file=stream, flush=True)
