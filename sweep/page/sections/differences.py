"""Paired differences: what each order and each block of time saves against the strongest honest baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from feed.instants import format_instant
from sweep.page.drawing import NARROW, axis_left, bar, breadth, dots, drawing, fitted, line, text
from sweep.page.intervals import reach_of
from sweep.page.layout import figure, section, table
from sweep.page.numbers import bps, counted, whole
from sweep.page.paired import BPS, paired
from sweep.page.scales import Band, Linear, linear

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sweep.page.element import Element
    from sweep.page.intervals import Reach
    from sweep.page.paired import Paired
    from sweep.page.reading import Run

COLUMNS: Final = 96
"""More blocks share columns, neighbours together; a third of it on a phone."""

DOTS: Final = 900
"""Of more orders every k-th is drawn."""

EDGE: Final = 200
"""Orders beyond the axis that are drawn at most."""

MANY: Final = 50
"""Of more orders one in a hundred at either end may lie beyond the axis."""

ROWS: Final = 40
"""Blocks in the table; of more the extremes."""

BINS: Final = 25
"""Of the distribution beside the dots."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Blocks of time that have a notional, some neighbours together.

    Attributes
    ----------
    together : int
        Blocks in a column.
    of_order : (N,) int64
        The column of each order; -1 where its block has no notional.
    saved : (C,) float64
        bps of the notional.
    first : (C,) int64
        When the first order starts, UTC ns.
    """

    together: int
    of_order: NDArray[np.int64]
    saved: NDArray[np.float64]
    first: NDArray[np.int64]


def differences(run: Run) -> Element:
    """Whether a saving is that of all orders, of some times or of a few."""
    each = paired(run)
    title = f"Each order and each block against {run.against}"
    known = int(np.isfinite(each.bps).sum())
    if len(each.orders) < 2 or known < 2:
        lead = "There is one order, so there are no differences to compare."
        if len(each.orders) > 1:
            lead = "Orders have no notional, so there are no differences in bps to compare."
        return section("differences", title, lead=lead)
    statistics = run.document["statistics"]
    reach = reach_of(statistics["saving_bps"].get(run.against))
    return section(
        "differences",
        title,
        figure(_drawn(run, each, reach), _caption(each, reach), _table(each)),
        lead=_lead(each, reach),
    )


def _lead(each: Paired, reach: Reach | None) -> str:
    better, worse = int((each.saved > 0).sum()), int((each.saved < 0).sum())
    of = len(each.saved)
    known = each.bps[np.isfinite(each.bps)]
    middle = f"the median is {bps(float(np.median(known)))} bps"
    mean = "" if reach is None else f", the mean weighted by notional {reach} bps"
    saves, costs, same = counted(better, "save"), counted(worse, "cost"), counted(of - better - worse, "cost")
    counts = f"Of {whole(of)} orders {saves}, {costs} more and {same} the same"
    return f"{counts}; {middle}{mean}."


def columns_of(each: Paired, most: int) -> Columns:
    """Put blocks that have a notional into `most` columns at most, as many neighbours together in each."""
    blocks, saved, notional = each.by_block()
    known = notional > 0
    together = -(-int(known.sum()) // most)
    column = np.arange(known.sum()) // together
    value = BPS * np.bincount(column, saved[known]) / np.bincount(column, notional[known])
    of_block = np.full(len(blocks), -1)
    of_block[known] = column
    of_order = of_block[np.searchsorted(blocks, each.orders["block"].to_numpy(np.int64))]
    first = np.full(len(value), np.iinfo(np.int64).max)
    inside = of_order >= 0
    np.minimum.at(first, of_order[inside], each.orders["start"].to_numpy(np.int64)[inside])
    return Columns(together, of_order, value, first)


def ends_of(each: Paired, reach: Reach | None) -> tuple[float, float]:
    """What the axis holds: blocks, the interval, and all orders of few, of many all but one in a hundred at an end."""
    known = each.bps[np.isfinite(each.bps)]
    low, high = np.quantile(known, (0.01, 0.99)) if len(known) > MANY else (known.min(), known.max())
    mean = [] if reach is None else [reach.mean, reach.low, reach.high]
    scale = linear([low, high, *columns_of(each, COLUMNS).saved.tolist(), *mean], 0, 1, zero=True)
    return scale.low, scale.high


def _thinned(each: Paired, most: int, ends: tuple[float, float]) -> NDArray[np.int64]:
    """Orders that are drawn: every k-th by time, so that all times are there, and those beyond the axis."""
    values = each.bps
    known = np.flatnonzero(np.isfinite(values))
    by_time = known[np.argsort(each.orders["start"].to_numpy(np.int64)[known], kind="stable")]
    outside = by_time[(values[by_time] < ends[0]) | (values[by_time] > ends[1])]
    kept = outside[:: max(1, -(-len(outside) // EDGE))]
    return np.union1d(by_time[:: -(-len(known) // most)], kept)


def _drawn(run: Run, each: Paired, reach: Reach | None) -> Element:
    values, ends = each.bps, ends_of(each, reach)

    def make(width: float) -> Element:
        narrow = width <= NARROW
        columns = columns_of(each, COLUMNS // 3 if narrow else COLUMNS)
        top, bottom, left = 22.0, 250.0, 46.0
        right = width - (4.0 if narrow else 130.0)
        scale = Linear(*ends, bottom, top)
        band = Band(len(columns.saved), left, right, 0.25)
        marks: list[Element | None] = []
        if reach is not None and reach.low is not None and reach.high is not None:
            marks.append(bar(left, scale(reach.high), right - left, scale(reach.low) - scale(reach.high), "soft"))
        marks.append(axis_left(scale, left, "saved, bps", right=right, count=8))
        marks.append(line(left, scale(0), right, scale(0), "zero"))
        marks.extend(_dots(_thinned(each, DOTS // 3 if narrow else DOTS, ends), values, columns, band, scale))
        for at, saved in enumerate(columns.saved.tolist()):
            y = scale.held(saved)
            marks.append(bar(band(at), y - 1.5, band.width, 3, "ink"))
        marks.extend(_times(columns, band, bottom))
        if not narrow:
            marks.extend(_distribution(values, scale, right + 14, width - 2))
        first, last = (format_instant(int(columns.first[at]))[:16] for at in (0, -1))
        low, high = (bps(float(end)) for end in (columns.saved.min(), columns.saved.max()))
        quarter, three = (bps(float(end)) for end in np.nanquantile(values, (0.25, 0.75)))
        description = (
            f"Blocks of time from {first} to {last} UTC save from {low} to {high} bps; the middle half of the orders "
            f"from {quarter} to {three} bps."
        )
        return drawing(
            width,
            bottom + 40,
            f"What each order and each block saves against {run.against}",
            description,
            *marks,
            key="differences",
        )

    return fitted(make)


def _dots(
    drawn: NDArray[np.int64], values: NDArray[np.float64], columns: Columns, band: Band, scale: Linear
) -> Iterator[Element]:
    """Orders of a column side by side in the order of their numbers; those beyond the axis at its edge."""
    column = columns.of_order[drawn]
    order = np.argsort(column, kind="stable")
    counts = np.bincount(column, minlength=len(columns.saved))
    rank = np.empty(len(drawn), np.int64)
    rank[order] = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (rank + 0.5) / np.maximum(counts[column], 1)
    inside: list[tuple[float, float]] = []
    outside: list[tuple[float, float]] = []
    for at, part, value in zip(column.tolist(), share.tolist(), values[drawn].tolist(), strict=True):
        held = scale.low <= value <= scale.high
        (inside if held else outside).append((band(at) + part * band.width, scale.held(value)))
    yield dots(inside, "dots")
    if outside:
        yield dots(outside, "edge-dots")


def _times(columns: Columns, band: Band, y: float) -> Iterator[Element]:
    """Where days begin, or times of day where there is one day."""
    instants = [format_instant(int(first)) for first in columns.first]
    days = [instant[:10] for instant in instants]
    several = len(set(days)) > 1
    ends = float("-inf")
    for at, instant in enumerate(instants):
        x = band(at)
        if several and at and days[at] == days[at - 1]:
            continue
        label = days[at] if several else instant[11:16]
        if several and at:
            yield line(x - 1, 22, x - 1, y, "rule")
        if x < ends or x + breadth(label) > band.end + 40:
            continue
        yield line(x, y, x, y + 4, "axis")
        yield text(x, y + 16, label, "muted")
        ends = x + breadth(label) + 14
    what = "blocks of time by their first start, UTC"
    yield text(band.start, y + 33, what if several else f"{what}, {days[0]}", "muted")


def _distribution(values: NDArray[np.float64], scale: Linear, left: float, right: float) -> Iterator[Element]:
    """How many orders save how much, beside the same axis; those beyond it are in the last bars."""
    held = np.clip(values[np.isfinite(values)], scale.low, scale.high)
    counts, edges = np.histogram(held, BINS, (scale.low, scale.high))
    longest = max(int(counts.max()), 1)
    yield text(left, 12, "orders", "muted")
    yield line(left, scale.end, left, scale.start, "axis")
    for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            y = scale(high)
            reach = max((right - left) * count / longest, 1.0)
            yield bar(
                left, y + 0.5, reach, scale(low) - y - 1, "best faint", f"{whole(count)}: {bps(low)} to {bps(high)} bps"
            )


def _caption(each: Paired, reach: Reach | None) -> str:
    columns = columns_of(each, COLUMNS)
    low, high = ends_of(each, reach)
    outside = int(((each.bps < low) | (each.bps > high)).sum())
    stride = -(-int(np.isfinite(each.bps).sum()) // DOTS)
    parts = [
        "Dots are orders, short lines the blocks that they are in"
        + (f", {columns.together} neighbours together" if columns.together > 1 else "")
        + ": saved, bps of their arrival notional; above 0 is better."
    ]
    if reach is not None and reach.low is not None:
        parts.append(f"The shaded band is the 95 % interval of the mean, {reach.between} bps.")
    if stride > 1:
        parts.append(f"One order in {stride} is drawn, by time, and those beyond the axis; lines and bars count all.")
    if outside:
        extremes = f"{bps(float(np.nanmin(each.bps)))} to {bps(float(np.nanmax(each.bps)))} bps"
        every = -(-outside // EDGE)
        drawn = "drawn red at its edge" if every == 1 else f"of which one in {every} is drawn red at its edge"
        parts.append(f"{counted(outside, 'lie')} beyond the axis, {drawn}; orders reach from {extremes}.")
    if len(columns.saved) > COLUMNS // 3 or len(each.orders) > DOTS // 3:
        parts.append("On a phone more neighbours share a line and fewer orders are drawn.")
    return " ".join(parts)


def _table(each: Paired) -> Element:
    blocks, saved, notional = each.by_block()
    value = np.full(len(blocks), np.nan)
    np.divide(BPS * saved, notional, out=value, where=notional > 0)
    chosen = np.arange(len(blocks))
    caption = f"What each of {whole(len(blocks))} blocks of time saves"
    if len(blocks) > ROWS:
        by_value = np.argsort(value, kind="stable")[: np.isfinite(value).sum()]  # what has no notional is last
        chosen = np.union1d(by_value[: ROWS // 2], by_value[-ROWS // 2 :])
        caption = f"The {ROWS // 2} blocks that save least and the {ROWS // 2} that save most of {whole(len(blocks))}"
    position = np.searchsorted(blocks, each.orders["block"].to_numpy(np.int64))
    starts = each.orders["start"].to_numpy(np.int64)
    rows = [_block(each, np.flatnonzero(position == at), starts, float(value[at])) for at in chosen.tolist()]
    columns = ("Block from, UTC", "Orders", "Saved, bps", "Lowest order, bps", "Highest order, bps")
    where = "" if len(blocks) <= ROWS else "; orders.parquet has every order, with its block"
    return table(columns, rows, f"{caption}{where}")


def _block(each: Paired, at: NDArray[np.int64], starts: NDArray[np.int64], value: float) -> Sequence[str]:
    own = each.bps[at]
    own = own[np.isfinite(own)]
    low, high = (float(own.min()), float(own.max())) if len(own) else (None, None)
    return (
        format_instant(int(starts[at].min()))[:16].replace("T", " "),
        whole(len(at)),
        bps(value),
        bps(low),
        bps(high),
    )
