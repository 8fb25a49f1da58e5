"""Where the best combination and the baselines fill, what that costs, and where the mid goes afterwards."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.money import NANO, rounded
from sweep.page.drawing import NARROW, axis_bottom, bar, breadth, drawing, fitted, text
from sweep.page.element import element
from sweep.page.layout import figure, folded, section, table
from sweep.page.names import BEST, plural, strategy, venue
from sweep.page.numbers import NONE, decimal, dollars, whole
from sweep.page.scales import Linear

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from sweep.page.element import Element
    from sweep.page.reading import Run

MARK_OUTS: Final = (1, 10, 60)
"""Seconds after a fill."""

DRAWN: Final = 12
"""Venues that are drawn at most."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Of some fills: shares, fills, and whole 1e-9 $ or half of it, as `allocator.fills.VenueFills`."""

    fills: int
    shares: int
    fees: int
    mark_out_1s: int
    mark_out_10s: int
    mark_out_60s: int
    marked_notional_1s: int
    marked_notional_10s: int
    marked_notional_60s: int
    crossed: int
    old: int

    def mark_out(self, seconds: int) -> float | None:
        """By how much the mid moved towards the order so long after the fills, bps of their notional, as printed."""
        moved, notional = (getattr(self, f"{name}_{seconds}s") for name in ("mark_out", "marked_notional"))
        return rounded(10_000 * moved, 2 * notional, 2) if notional else None


NAMES: Final = tuple(field.name for field in fields(Sums))


def venues(run: Run) -> Element:
    """Fills, fees and mark-outs by venue."""
    title = "Where it fills"
    each = {name: by_venue(run.venues, name) for name in run.strategies}
    if not each["optimized"]:
        return section("venues", title, lead="The best combination fills nothing, so no venue has a share of it.")
    base = each.get(run.against) or {}
    others = [name for name in run.strategies if name not in {"optimized", run.against} and each[name]]
    return section(
        "venues",
        title,
        figure(_shares(each["optimized"], base, run.against), _caption(run.against)),
        element("h3", {}, "The best combination, by venue"),
        _table(each["optimized"], "Fills of the best combination, by venue"),
        element("p", {"class": "note"}, _meaning()),
        folded(f"{run.against}, by venue", _table(base, f"Fills of {run.against}, by venue")) if base else None,
        folded("All venues together, by strategy", _strategies(each)) if others else None,
        *_resting(run.document.get("placement")),
        lead=_lead(each["optimized"], base, run.against),
    )


def by_venue(rows: pd.DataFrame, name: str) -> Mapping[int, Sums]:
    """The sums of one strategy's fills by publisher id, that of the most shares first; exact, whatever their size.

    Parameters
    ----------
    rows : DataFrame
        `Run.venues`.
    name : str
        Of the strategy.
    """
    own = rows[rows["strategy"] == name]
    numbers = own["venue"].to_numpy(np.int64)
    sums = {
        number: Sums(**{column: sum(own.loc[numbers == number, column].tolist()) for column in NAMES})
        for number in np.unique(numbers).tolist()
    }
    return dict(sorted(sums.items(), key=lambda item: (-item[1].shares, item[0])))


def total(each: Iterable[Sums]) -> Sums:
    """The sums of several."""
    parts = list(each)
    return Sums(**{column: sum(getattr(part, column) for part in parts) for column in NAMES})


def _lead(best: Mapping[int, Sums], base: Mapping[int, Sums], against: str) -> str:
    number, most = next(iter(best.items()))
    own, other = total(best.values()), total(base.values())
    fills = f"The best combination fills {_percent(most.shares, own.shares)} % of its shares at {venue(number)}"
    paid = f"It pays {dollars(own.fees)} $ in fees less rebates"
    if not base:
        return f"{fills}. {paid}."
    same = base[number].shares if number in base else 0
    ten = f"In the 10 s after its fills the mid moves {decimal(own.mark_out(10))} bps towards the order"
    return (
        f"{fills}, {against} {_percent(same, other.shares)} %. {paid}, {against} {dollars(other.fees)} $. "
        f"{ten}, after those of {against} {decimal(other.mark_out(10))}."
    )


def _percent(part: int, whole_of: int) -> str:
    return decimal(100 * part / whole_of, 1) if whole_of else NONE


def _caption(against: str) -> str:
    return (
        f"Shares filled at each venue, % of all shares that the strategy fills: above the best combination, below "
        f"{against}."
    )


def _meaning() -> str:
    return (
        "Fees are less rebates: below 0 the venue pays. A mark-out is the move of the mid after a fill, towards the "
        "order, in bps of the notional: above 0 waiting would have been dearer, below 0 cheaper. Crossed: filled while "
        "the best displayed bid was above the best displayed ask. Old: filled at a quote that its venue had published "
        "over 30 s before."
    )


def _shares(best: Mapping[int, Sums], base: Mapping[int, Sums], against: str) -> Element:
    """Two bars for each venue."""
    rows = _compared(best, base)
    most = max(max(first, second) for _, first, second in rows)
    listed = "; ".join(f"{name} {decimal(first, 1)} and {decimal(second, 1)}" for name, first, second in rows)

    def make(width: float) -> Element:
        narrow = width <= NARROW
        left = min(0.4 * width, max(breadth(name) for name, *_ in rows) + 10)
        right = width - (44 if narrow else breadth(f"{decimal(most, 1)} {BEST}") + 8)
        scale = Linear(0.0, most or 1.0, left, right)
        step, top = 34.0, 20.0 if narrow else 6.0
        bottom = top + step * len(rows) + 2
        marks: list[Element | None] = [axis_bottom(scale, bottom, "% of the shares that the strategy fills", top=top)]
        if narrow:
            marks.append(text(0, 10, f"Upper bars: {BEST}; lower: {against}", "muted", width=width))
        for at, (name, first, second) in enumerate(rows):
            y = top + step * at + 4
            owners = ("", "") if at or narrow else (f" {BEST}", f" {against}")
            marks.append(text(0, y + 16, name, width=left - 6))
            marks.append(bar(left, y, scale(first) - left, 13, "best"))
            marks.append(text(scale(first) + 5, y + 11, f"{decimal(first, 1)}{owners[0]}"))
            if base:
                marks.append(bar(left, y + 15, scale(second) - left, 8, "base"))
                marks.append(text(scale(second) + 5, y + 23, f"{decimal(second, 1)}{owners[1]}", "muted"))
        words = f"Percent of shares, {BEST} and {against}: {listed}."
        return drawing(width, bottom + 36, "Shares by venue", words, *marks, key="venue-shares")

    return fitted(make)


def _compared(best: Mapping[int, Sums], base: Mapping[int, Sums]) -> list[tuple[str, float, float]]:
    """The name of each venue, and which of all shares are filled there by the one and by the other, %."""
    numbers = list(dict.fromkeys([*best, *base]))
    drawn = numbers if len(numbers) <= DRAWN else numbers[: DRAWN - 1]
    rest = numbers[len(drawn) :]
    named = [(venue(number), [number]) for number in drawn]
    if rest:
        named.append((plural(len(rest), "other venue"), rest))
    return [(name, _part(best, among), _part(base, among)) for name, among in named]


def _part(each: Mapping[int, Sums], among: Sequence[int]) -> float:
    shares = total(each.values()).shares
    return 100 * sum(each[number].shares for number in among if number in each) / shares if shares else 0.0


COLUMNS: Final = (
    "Fills",
    "Shares",
    "Shares, %",
    "Fees, $",
    "Fees, $ per share",
    *(f"Mark-out {seconds} s, bps" for seconds in MARK_OUTS),
    "Crossed, %",
    "Old, %",
)


def _figures(sums: Sums, shares: int) -> list[str]:
    """A row: of all shares of the strategy which are these."""
    return [
        whole(sums.fills),
        whole(sums.shares),
        _percent(sums.shares, shares),
        dollars(sums.fees),
        decimal(rounded(sums.fees, sums.shares * NANO, 4) if sums.shares else None, 4),
        *(decimal(sums.mark_out(seconds)) for seconds in MARK_OUTS),
        _percent(sums.crossed, sums.shares),
        _percent(sums.old, sums.shares),
    ]


def _table(each: Mapping[int, Sums], caption: str) -> Element:
    whole_of = total(each.values())
    rows = [[venue(number), *_figures(sums, whole_of.shares)] for number, sums in each.items()]
    if len(rows) > 1:
        rows.append(["all", *_figures(whole_of, whole_of.shares)])
    return table(("Venue", *COLUMNS), rows, caption)


def _strategies(each: Mapping[str, Mapping[int, Sums]]) -> Element:
    sums = {name: total(venues.values()) for name, venues in each.items() if venues}
    rows = [[strategy(name), *_figures(own, own.shares)] for name, own in sums.items()]
    columns = [column for column in COLUMNS if column != "Shares, %"]
    at = COLUMNS.index("Shares, %") + 1
    return table(
        ("Strategy", *columns), ([*row[:at], *row[at + 1 :]] for row in rows), "Fills at all venues, by strategy"
    )


def _resting(placement: Mapping[str, Any] | None) -> list[Element]:
    """Limit orders and their fills apart, where the policy rests orders."""
    if not placement or not placement["limit_orders"]["sent"]:
        return []
    rows = [[venue(int(number)), *_rested(each)] for number, each in placement["venues"].items()]
    if len(rows) > 1:
        rows.append(["all", *_rested(placement["limit_orders"])])
    columns = (
        "Venue",
        "Limit orders",
        "Refused",
        "Shares sent",
        "Filled passively",
        "Expected",
        "Of sent, %",
        "Of all fills there, %",
        "Through, %",
        "Fees, $ per share",
        *(f"Mark-out {seconds} s, $ per share" for seconds in MARK_OUTS),
    )
    note = (
        "Of passive fills alone. A rebate (fees below 0) is a gain where the mid does not fall by more after a buy. "
        "Through: passive shares that nothing counted, because the price went through theirs."
    )
    return [
        element("h3", {}, "Orders that rested"),
        table(columns, rows, "Limit orders of the best combination, by venue"),
        element("p", {"class": "note"}, note),
    ]


def _rested(each: Mapping[str, Any]) -> list[str]:
    marks = each["mark_out_per_share"]
    return [
        whole(each["sent"]),
        whole(each["refused"]),
        whole(each["shares"]),
        whole(each["filled"]),
        decimal(each["expected"], 1),
        decimal(each["fill_rate_percent"]),
        decimal(each["passive_percent"]),
        decimal(each["through_percent"]),
        decimal(each["fees_per_share"], 4),
        *(decimal(marks.get(f"{seconds}s"), 4) for seconds in MARK_OUTS),
    ]
