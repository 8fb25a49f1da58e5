"""The best combination's path through the book beside the baselines': the median order, the best and the worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.money import NANO, rounded
from sweep.page.element import element
from sweep.page.layout import figure, folded, section, table
from sweep.page.names import BEST, clock, plural, tape, tapes, venue
from sweep.page.numbers import bps, decimal, dollars, whole
from sweep.page.paired import paired
from sweep.page.panels import Fills, Path, looks, panels
from sweep.page.shown import anchor, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sweep.page.element import Element
    from sweep.page.paired import Paired
    from sweep.page.reading import Run

BESIDE: Final = ("twap", "vwap")
"""Baselines that are drawn beside the strongest one."""

TITLES: Final = {
    "median": "The median order by saving",
    "best": "The order that saves the most",
    "worst": "The order that saves the least",
}

LISTED: Final = 40
"""Venues in a table at most."""


def path(run: Run) -> Element:
    """How orders are filled: one in full, others folded."""
    pairs = paired(run)
    paths = {kind: path_of(run, position) for kind, position in shown(run, pairs).items()}
    title = "An order's path through the book"
    if not paths:
        return section("path", title, lead="The run holds the path of no order.")
    (kind, first), *others = paths.items()
    heading = TITLES[kind] if len(pairs.saved) > 1 else "The order"
    content = [element("h3", {"id": anchor(first.position)}, heading), _figure(first)]
    for name, one in others:
        # the target is inside: a link to it opens what is folded
        summary = element("p", {"id": anchor(one.position)}, _summary(run, pairs, one))
        content.append(folded(TITLES[name], summary, _figure(one)))
    return section("path", title, *content, lead=_summary(run, pairs, first))


def path_of(run: Run, position: int) -> Path:
    """The path of one order: strategies that fill exactly alike are one; without those whose fills are not known."""
    order = run.orders[run.orders["strategy"] == "optimized"].iloc[position]
    market = run.paths[run.paths["position"] == position].sort_values("ts", kind="stable")
    own = run.fills[run.fills["position"] == position]
    names = dict.fromkeys(("optimized", run.against, *(name for name in BESIDE if name in run.strategies)))
    apart: dict[bytes, Fills] = {}
    for name in names:
        rows = own[own["strategy"] == name].sort_values("ts", kind="stable")
        if not len(rows) and _shares_of(run, name, position):
            continue
        columns = {column: rows[column].to_numpy(np.int64) for column in ("ts", "venue", "shares", "price")}
        key = b"".join(column.tobytes() for column in columns.values()) + name.encode() * (name == "optimized")
        before = apart[key].names if key in apart else ()
        apart[key] = Fills((*before, name), **columns, passive=rows["passive"].to_numpy(np.bool_))
    side = str(order["side"])
    taken = "ask_shares" if side == "buy" else "bid_shares"
    ts, bid, ask, shares = (market[column].to_numpy(np.int64) for column in ("ts", "bid", "ask", taken))
    size, start, end = (int(order[name]) for name in ("size", "start", "end"))
    return Path(position, side, size, start, end, ts, bid, ask, shares, tuple(apart.values()))


def _shares_of(run: Run, name: str, position: int) -> float:
    """What a strategy fills of an order as orders.parquet has it, whether its fills are known or not."""
    filled = run.orders.loc[run.orders["strategy"] == name, "filled"]
    return float(filled.iloc[position]) if len(filled) else 0.0


def _figure(one: Path) -> Element:
    legend = element("ul", {"class": "legend"}, *(element("li", {}, drawn, name) for drawn, name in looks(one)))
    return figure(element("div", {}, legend, panels(one, _words(one))), _caption(one), _table(one))


def _summary(run: Run, pairs: Paired, one: Path) -> str:
    """The order, what became of it, and what it saves."""
    labels = [tape(each) for each in tapes(run.document)]
    order = run.orders[run.orders["strategy"] == "optimized"].iloc[one.position]
    best, *others = one.each
    words = (
        f"Order {one.position} {one.side}s {whole(one.size)} shares of {labels[int(order['tape'])]} from "
        f"{clock(one.start, 0)} to {clock(one.end, 0)} UTC. The {BEST} fills {_filled(best)}"
    )
    base = next((fills for fills in others if run.against in fills.names), None)
    saved = f"{dollars(int(pairs.saved[one.position]))} $ ({bps(float(pairs.bps[one.position]))} bps)"
    against = f", {run.against} {_filled(base)}" if base is not None else f"; the fills of {run.against} are not known"
    return f"{words}{against}. It saves {saved}, fees included."


def _filled(fills: Fills) -> str:
    if not len(fills.ts):
        return "nothing"
    venues = plural(len(np.unique(fills.venue)), "venue")
    return (
        f"{whole(fills.filled)} in {plural(len(fills.ts), 'fill')} at {venues} by {clock(int(fills.ts[-1]))}, at "
        f"{decimal(_average(fills), 4)} $ on average before fees"
    )


def _average(fills: Fills, numbers: Sequence[int] | None = None) -> float | None:
    """The average price of fills, or those at some venues, $, before fees."""
    own = np.ones(len(fills.ts), np.bool_) if numbers is None else np.isin(fills.venue, numbers)
    pairs = zip(fills.shares[own].tolist(), fills.price[own].tolist(), strict=True)
    shares = sum(fills.shares[own].tolist())
    return rounded(sum(count * price for count, price in pairs), shares * NANO, 4) if shares else None


def _words(one: Path) -> str:
    """What the drawing says to who does not see it."""
    asks, bids = one.ask[one.ask > 0] / 1e9, one.bid[one.bid > 0] / 1e9
    quotes = [
        f"best {name} from {decimal(float(prices.min()), 4)} to {decimal(float(prices.max()), 4)} $"
        for name, prices in (("bid", bids), ("ask", asks))
        if len(prices)
    ]
    strategies = [f"{fills.label} fills {_filled(fills)}" for fills in one.each]
    return "; ".join([*quotes, *strategies]) + "."


def _caption(one: Path) -> str:
    side = "ask" if one.side == "buy" else "bid"
    rested = " Rings are fills of orders that rested." if one.each[0].passive.any() else ""
    return (
        f"From above: best bid and ask with the fills at their prices, before fees; shares displayed at the {side}s of "
        f"all venues, first levels; shares still to fill; fills by venue, the {BEST} above the lines, "
        f"{one.each[1].label if len(one.each) > 1 else 'nothing'} below, and shares in all.{rested}"
    )


def _table(one: Path) -> Element:
    """Fills by venue of what is drawn."""
    totals: dict[int, int] = {}
    for fills in one.each:
        for number, shares in zip(fills.venue.tolist(), fills.shares.tolist(), strict=True):
            totals[number] = totals.get(number, 0) + shares
    numbers = sorted(totals, key=lambda number: (-totals[number], number))
    rests = bool(one.each[0].passive.any())
    columns = ["Venue"]
    for fills in one.each:
        columns += [f"Shares, {fills.label}", f"Average before fees, {fills.label}, $"]
        if rests and fills is one.each[0]:
            columns.append("Of them passive")
    rows = [[venue(number), *_cells(one, [number], rests=rests)] for number in numbers[:LISTED]]
    if len(numbers) > LISTED:
        rest = numbers[LISTED:]
        rows.append([plural(len(rest), "other venue"), *_cells(one, rest, rests=rests)])
    rows.append(["all", *_cells(one, numbers, rests=rests)])
    return table(columns, rows, f"Fills of order {one.position} by venue")


def _cells(one: Path, numbers: Sequence[int], *, rests: bool) -> Iterator[str]:
    for fills in one.each:
        own = np.isin(fills.venue, numbers)
        yield whole(sum(fills.shares[own].tolist()))
        yield decimal(_average(fills, numbers), 4)
        if rests and fills is one.each[0]:
            yield whole(sum(fills.shares[own & fills.passive].tolist()))
