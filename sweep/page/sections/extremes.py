"""The orders of which the best combination saves the most, and the least."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from allocator.money import NANO, rounded
from sweep.page.element import element
from sweep.page.layout import kept, section, table
from sweep.page.names import BEST, clock, tape, tapes
from sweep.page.numbers import NONE, bps, decimal, dollars, whole
from sweep.page.paired import BPS, paired
from sweep.page.shown import anchor, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sweep.page.element import Element
    from sweep.page.paired import Paired
    from sweep.page.reading import Run

ENDS: Final = 10
"""Orders at each end."""


@dataclass(frozen=True, slots=True)
class Fill:
    """What one strategy filled of an order: the average price after fees, $, and how many fills that were, if known."""

    price: float | None
    fills: int | None


def extremes(run: Run) -> Element:
    """The ten orders at each end; all of them where there are few."""
    pairs = paired(run)
    best, inner, worst = by_saving(pairs)
    drawn = set(shown(run, pairs).values())
    rows = _Rows(run, pairs, drawn)
    if worst:
        parts = [("The ten that save the most", best), ("The ten that save the least", worst)]
    else:
        parts = [("All orders, the largest saving first" if len(best) > 1 else "The order", best)]
    content = [
        each
        for title, chosen in parts
        for each in (element("h3", {}, title), table(rows.columns, map(rows.row, chosen), title))
    ]
    each_tape = [tape(each) for each in tapes(run.document)]
    of = f"All of {each_tape[0]}. " if len(each_tape) == 1 else ""
    note = (
        f"{of}Saved: against {run.against}, above 0 where the best combination is better; bps of size x arrival mid. "
        "Average prices are after fees and rebates. Orders count from 0, as the rows of one strategy in orders.parquet."
    )
    return section(
        "extremes", "Best and worst orders", *content, element("p", {"class": "note"}, note), lead=_lead(pairs, inner)
    )


def by_saving(pairs: Paired) -> tuple[list[int], list[int], list[int]]:
    """The positions of the orders that save the most, of those between, and of those that save the least.

    The first from the largest saving down, the last from the smallest up, equal ones in their order; where there are
    few, all of them are among the first.
    """
    savings = np.nan_to_num(pairs.bps)
    falling: list[int] = np.argsort(-savings, kind="stable").tolist()
    if len(falling) <= 2 * ENDS:
        return falling, [], []
    best = falling[:ENDS]
    others = sorted(falling[ENDS:], key=lambda position: (savings[position], position))
    return best, others[ENDS:], others[:ENDS]


class _Rows:
    """The rows of the tables.

    Parameters
    ----------
    run : Run
    pairs : Paired
    drawn : set of int
        Orders whose path is drawn.
    """

    def __init__(self, run: Run, pairs: Paired, drawn: set[int]) -> None:
        self._pairs, self._drawn = pairs, drawn
        self._tapes = [tape(each) for each in tapes(run.document)]
        self._names = {"optimized": BEST, run.against: run.against}
        self._fills = {name: _fills(run, name) for name in self._names}

    @property
    def columns(self) -> Sequence[str]:
        """Their names."""
        own, base = self._names.values()
        several = ("Tape",) if len(self._tapes) > 1 else ()
        return (
            "Order",
            *several,
            "Start, UTC",
            "Side",
            "Shares",
            "Arrival mid, $",
            f"Average, {own}, $",
            f"Average, {base}, $",
            "Saved, $",
            "Saved, bps",
            f"Fills, {own}",
            f"Fills, {base}",
        )

    def row(self, position: int) -> list[str | Element]:
        """Of one order."""
        return [*self._cells(position)]

    def _cells(self, position: int) -> Iterator[str | Element]:
        order, pairs = self._pairs.orders.iloc[position], self._pairs
        yield (
            element("a", {"href": f"#{anchor(position)}"}, str(position)) if position in self._drawn else str(position)
        )
        if len(self._tapes) > 1:
            yield kept(self._tapes[int(order["tape"])])
        yield clock(order["start"], 0)
        yield str(order["side"])
        yield whole(int(order["size"]))
        mid2 = int(order["arrival_mid2"])
        yield decimal(rounded(mid2, 2 * NANO, 4), 4) if mid2 else NONE
        fills = [each[position] for each in self._fills.values()]
        for each in fills:
            yield decimal(each.price, 4)
        saved = int(pairs.saved[position])
        yield f"{'+' if rounded(saved, NANO, 2) > 0 else ''}{dollars(saved)}"
        yield bps(float(pairs.bps[position]))
        for each in fills:
            yield whole(each.fills)


def _fills(run: Run, strategy: str) -> Sequence[Fill]:
    """Of each order."""
    orders = run.orders[run.orders["strategy"] == strategy]
    venues = run.venues[run.venues["strategy"] == strategy]
    counts: Counter[tuple[int, int]] = Counter()
    for number, order, fills in zip(*(venues[name].tolist() for name in ("tape", "order", "fills")), strict=True):
        counts[number, order] += fills
    return [
        Fill(rounded(cash, filled * NANO, 4) if filled else None, (counts[number, order] or None) if filled else 0)
        for number, order, cash, filled in zip(
            *(orders[name].tolist() for name in ("tape", "order", "cash_filled", "filled")), strict=True
        )
    ]


def _lead(pairs: Paired, inner: Sequence[int]) -> str:
    every = range(len(pairs.saved))
    if len(every) == 1:
        return f"The order saves {_sums(pairs, every)}."
    total = f"The {len(every):,} orders save {_sums(pairs, every)} together"
    if len(known := pairs.bps[np.isfinite(pairs.bps)]):
        total += f", from {bps(float(known.min()))} to {bps(float(known.max()))} bps each"
    if not inner:
        return f"{total}."
    return f"{total}; without the ten best and the ten worst, the other {len(inner):,} save {_sums(pairs, inner)}."


def _sums(pairs: Paired, positions: Sequence[int]) -> str:
    saved = sum(pairs.saved[list(positions)].tolist())
    notional = float(pairs.notional[list(positions)].sum())
    share = f" ({bps(BPS * saved / notional)} bps)" if notional else ""
    return f"{dollars(saved)} ${share}"
