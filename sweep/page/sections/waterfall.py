"""Shortfall against the arrival mid in its parts: of the best combination, of the baselines, and of the saving."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from sweep.page.drawing import (
    NARROW,
    axis_bottom,
    bar,
    breadth,
    diamond,
    drawing,
    fitted,
    line,
    polygon,
    sketch,
    text,
)
from sweep.page.element import element
from sweep.page.layout import figure, section, table
from sweep.page.numbers import NONE, bps, decimal
from sweep.page.paired import BPS, paired
from sweep.page.scales import Band, linear

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run
    from sweep.page.scales import Linear

PARTS: Final[Mapping[str, str]] = {"spread": "s1", "timing": "s2", "fees": "s4", "rebates": "s3", "leftover": "s6"}
"""The parts of a shortfall in the order in which they are drawn, and their classes."""

MEANING: Final[Mapping[str, str]] = {
    "spread": "price paid beyond the mid at the fill",
    "timing": "what the mid moved until the fills",
    "fees": "paid to venues",
    "rebates": "received from venues",
    "leftover": "valuation of what stayed unfilled",
}

CUT: Final = 2.0
"""Rows longer than this many times the longest of the best and the baselines that lead are cut at the edge."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One strategy's shortfall.

    Attributes
    ----------
    name : str
    total : float, optional
        bps of the arrival notional; above 0 = a loss.
    cash : float, optional
        $.
    parts : dict of str to float
        bps, of those that are known.
    ahead : bool
        It looks ahead.
    """

    name: str
    total: float | None
    cash: float | None
    parts: dict[str, float]
    ahead: bool


def waterfall(run: Run) -> Element:
    """Where the money goes, and which part of it the best combination saves."""
    losses = losses_of(run)
    title = "Where the shortfall comes from"
    if not losses:
        reason = "No book is two-sided when orders arrive, so there is no arrival mid to measure a shortfall against."
        return section("shortfall", title, lead=reason)
    best, base = losses[0], next((each for each in losses if each.name == run.against), None)
    saved = None if base is None else difference(best, base)
    return section(
        "shortfall",
        title,
        None if saved is None or base is None else _saving(saved, base),
        figure(_stacked(losses, run.against), _caption(losses), _table(losses, run.against)),
        lead=_lead(best, base, saved),
    )


def losses_of(run: Run) -> list[Loss]:
    """Of the best combination and of every baseline; none without an arrival mid."""
    shortfall = run.document.get("shortfall")
    notional = float(paired(run).notional.sum()) / 1e9
    if not shortfall or not notional:
        return []
    ahead = {name for name, each in run.document["baselines"].items() if each.get("lookahead")}
    each = {"optimized": shortfall["optimized"], **shortfall["baselines"]}
    return [
        Loss(
            name,
            _bps(figures["shortfall"], notional),
            figures["shortfall"],
            {part: BPS * figures[part] / notional for part in PARTS if figures.get(part) is not None},
            name in ahead,
        )
        for name, figures in each.items()
    ]


def difference(best: Loss, base: Loss) -> Loss | None:
    """What the best combination saves against a baseline, part by part; None where a part of either is unknown."""
    if best.total is None or base.total is None or len(best.parts) < len(PARTS) or len(base.parts) < len(PARTS):
        return None
    parts = {part: base.parts[part] - best.parts[part] for part in PARTS}
    cash = None if best.cash is None or base.cash is None else base.cash - best.cash
    return Loss(base.name, base.total - best.total, cash, parts, base.ahead)


def _bps(cash: float | None, notional: float) -> float | None:
    return None if cash is None else BPS * cash / notional


def _lead(best: Loss, base: Loss | None, saved: Loss | None) -> str:
    loses = f"The best combination {_amount(best)} against the arrival mid"
    if base is None or base.total is None or best.total is None:
        return f"{loses}."
    loses += f", {base.name} {_amount(base)}"
    if saved is None:
        return f"{loses}; how much of the difference is which part is unknown."
    most = max(PARTS, key=lambda part: abs(saved.parts[part]))
    if round(saved.parts[most], 2) == 0:
        return f"{loses}; the two do not differ in any part."
    part = f"{most}, {bps(saved.parts[most])} bps"
    return f"{loses}; of the difference of {bps(saved.total)} bps the largest part is {part}."


def _amount(loss: Loss) -> str:
    """A shortfall in words."""
    if loss.total is None or loss.cash is None:
        return f"loses {NONE}"
    verb = "gains" if loss.total < 0 else "loses"
    return f"{verb} {decimal(abs(loss.total))} bps ({decimal(abs(loss.cash))} $)"


def _saving(saved: Loss, base: Loss) -> Element:
    """From 0 to the saving, part by part."""
    values = [saved.parts[part] for part in PARTS]
    ends = [0.0, *accumulate(values)]
    steps = [*zip(PARTS, ends, ends[1:], values, strict=False), ("saving", 0.0, saved.total or 0.0, saved.total or 0.0)]

    def make(width: float) -> Element:
        narrow = width <= NARROW
        height, top, bottom = 204.0, 22.0, 154.0
        wide = min(width, 520.0)
        band = Band(len(steps), 0.0, wide, 0.18)
        scale = linear([*ends, saved.total], bottom, top, zero=True, pad=0)
        marks: list[Element | None] = [line(0, scale(0), wide, scale(0), "zero")]
        for at, (name, start, end, value) in enumerate(steps):
            kind = "ink" if name == "saving" or round(value, 2) == 0 else "gain" if value > 0 else "loss"
            high = min(scale(start), scale(end))
            thick = max(abs(scale(end) - scale(start)), 1.5)
            marks.append(bar(band(at), high, band.width, thick, kind, f"{name}: {bps(value)} bps"))
            if at < len(steps) - 1:
                marks.append(line(band(at), scale(end), band(at + 1) + band.width, scale(end), "whisker faint"))
            weight = " bold" if name == "saving" else ""
            beside = high + thick + 13 if value < 0 else high - 5
            marks.append(text(band.middle(at), beside, bps(value), f"middle{weight}"))
            label = name.capitalize() if not narrow else {"leftover": "left", "rebates": "rebate"}.get(name, name)
            marks.append(text(band.middle(at), height - 16, label, f"{'muted ' if not weight else ''}middle{weight}"))
        listed = ", ".join(f"{name} {bps(value)}" for name, _, _, value in steps)
        return drawing(
            width, height, f"What is saved against {base.name}, by part", f"bps: {listed}.", *marks, key="saving-parts"
        )

    caption = (
        f"What the best combination saves against {base.name}, part by part, bps of the arrival notional: parts above "
        "0 (green) are better, below 0 (red) worse. Spread, fees, rebates and leftover are execution; timing is what "
        "the market did while orders waited."
    )
    return figure(fitted(make), caption)


def _limits(losses: Sequence[Loss], against: str) -> tuple[float, float]:
    """The ends of the axis: those that lead are shown whole, and others up to `CUT` times as long."""
    spans = {each.name: _span(each) for each in losses}
    leading = [spans[name] for name in ("optimized", against, "best_ask") if name in spans]
    reach = CUT * max(high - low for low, high in leading)
    whole = [span for span in spans.values() if span[1] - span[0] <= reach] if reach else list(spans.values())
    low, high = min(low for low, _ in whole), max(high for _, high in whole)
    cut = [span for span in spans.values() if span not in whole]
    return (
        min([low, *(max(span[0], -reach) for span in cut)]),
        max([high, *(min(span[1], reach) for span in cut)]),
    )


def _span(loss: Loss) -> tuple[float, float]:
    """How far the parts of one row reach to the left and to the right of 0."""
    values = list(loss.parts.values()) if len(loss.parts) == len(PARTS) else [loss.total or 0.0]
    return sum(min(value, 0.0) for value in values), sum(max(value, 0.0) for value in values)


def _stacked(losses: Sequence[Loss], against: str) -> Element:
    """A row for each strategy: parts that cost to the right of 0, parts that gain to the left, the sum as a mark."""
    limits = _limits(losses, against)

    def make(width: float) -> Element:
        narrow = width <= NARROW
        labels = {each.name: _label(each) for each in losses}
        left = 8.0 if narrow else min(190.0, max(map(breadth, labels.values())) + 16)
        printed = max(breadth(decimal(each.total)) for each in losses) + 16
        right = width - 8.0 if narrow else width - printed
        step, top = (40.0 if narrow else 26.0), 8.0
        bottom = top + step * len(losses) + 4
        scale = linear(limits, left, right, zero=True)
        marks: list[Element | None] = [
            axis_bottom(scale, bottom, "bps of the arrival notional (right of 0 costs)", top=top)
        ]
        for at, loss in enumerate(losses):
            y = top + step * at + (26 if narrow else 13)
            weight = "bold" if loss.name in {"optimized", against} else ""
            marks.append(
                text(
                    0,
                    y + (-11 if narrow else 4),
                    labels[loss.name],
                    f"{weight} over".strip(),
                    width=190 if narrow else left - 10,
                )
            )
            marks.append(text(width, y + (-11 if narrow else 4), decimal(loss.total), f"end {weight} over"))
            marks.extend(_row(loss, scale, y))
        marks.append(line(scale(0), top, scale(0), bottom, "zero"))
        listed = "; ".join(f"{labels[each.name]} {decimal(each.total)}" for each in losses)
        description = f"Shortfall against the arrival mid, bps: {listed}."
        return drawing(width, bottom + 38, "Shortfall of each strategy, by part", description, *marks, key="shortfall")

    return element("div", {}, _legend(), fitted(make))


def _row(loss: Loss, scale: Linear, y: float) -> Iterator[Element]:
    """The bars and the sum of one strategy."""
    reach = {1: 0.0, -1: 0.0}
    if len(loss.parts) == len(PARTS):
        for part, kind in PARTS.items():
            value = loss.parts[part]
            sign = 1 if value >= 0 else -1
            start, end = scale.held(reach[sign]), scale.held(reach[sign] + value)
            reach[sign] += value
            if abs(end - start) >= 0.05:
                yield bar(start, y - 7, end - start, 14, kind, f"{part}: {decimal(value)} bps")
    for sign, edge in ((1, scale.end), (-1, scale.start)):
        beyond = reach[sign] > scale.high if sign > 0 else reach[sign] < scale.low
        if beyond:  # two strokes in the colour of the paper: the bar goes on
            for off in (8, 13):
                x = edge - sign * off
                yield polygon([(x - 2, y + 9), (x + 1, y + 9), (x + 4, y - 9), (x + 1, y - 9)], "paper")
    if loss.total is not None and not loss.parts.keys() >= PARTS.keys() and not scale.low <= loss.total <= scale.high:
        edge, sign = (scale.start, 1) if loss.total < scale.low else (scale.end, -1)
        yield polygon(
            [(edge, y), (edge + sign * 9, y - 5), (edge + sign * 9, y + 5)], "ink", f"{decimal(loss.total)} bps"
        )
    elif loss.total is not None and scale.low <= loss.total <= scale.high:
        yield diamond(scale(loss.total), y, 6.5, "paper")
        yield diamond(scale(loss.total), y, 4.5, "ink", f"{loss.name}: {decimal(loss.total)} bps in all")


def _label(loss: Loss) -> str:
    return "best combination" if loss.name == "optimized" else f"{loss.name}{' (looks ahead)' if loss.ahead else ''}"


def _legend() -> Element:
    """What the colours mean."""
    entries = [(name, sketch(12, 12, bar(0, 0, 12, 12, kind)), MEANING[name]) for name, kind in PARTS.items()]
    entries.append(("sum", sketch(12, 12, diamond(6, 6, 5, "ink")), ""))
    return element(
        "ul",
        {"class": "legend"},
        *(
            element("li", {}, drawn, name, element("span", {"class": "muted"}, f": {meaning}") if meaning else None)
            for name, drawn, meaning in entries
        ),
    )


def _caption(losses: Sequence[Loss]) -> str:
    caption = (
        "Shortfall of each strategy against the arrival mid: parts that cost lie right of 0, parts that gain left of "
        "it; the diamond and the figure are their sum."
    )
    if any(len(each.parts) < len(PARTS) for each in losses):
        caption += " Without bars: a bound does not trade, so it has no spread and no timing."
    if any(each.ahead for each in losses):
        caption += " What looks ahead uses prices or volumes that nobody knows when the order arrives: it is no rival."
    return caption + " Where two strokes or an arrow mark the edge, the rest lies beyond it; the figure is whole."


def _table(losses: Sequence[Loss], against: str) -> Element:
    columns = ("Strategy", "Shortfall, bps", "Shortfall, $", *(f"{part.capitalize()}, bps" for part in PARTS), "Note")
    rows = [
        (
            _label(each),
            decimal(each.total),
            decimal(each.cash),
            *(decimal(each.parts.get(part)) for part in PARTS),
            "strongest" if each.name == against else "",
        )
        for each in losses
    ]
    return table(columns, rows, f"Shortfall by part; {NONE}: not known, as a bound does not trade")
