"""How often limit orders were filled wholly, beside how often that was predicted; and what decisions cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sweep.page.drawing import axis_bottom, axis_left, bar, dot, drawing, fitted, line, text
from sweep.page.element import element
from sweep.page.layout import figure, section, table
from sweep.page.names import plural, venue
from sweep.page.numbers import decimal, whole
from sweep.page.scales import Linear

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sweep.page.element import Element
    from sweep.page.reading import Run

TERCILES: Final = ("queue in the shortest third", "queue in the middle third", "queue in the longest third")

SQUARE: Final = 340.0
"""Px of the diagram at most."""

SMALLEST, LARGEST = 3.0, 9.0
"""Px, radius of a mark: its area grows with the count of orders."""


def calibration(run: Run) -> Element | None:
    """How reliable predictions of fills were; None where no policy predicts any."""
    if "placement" not in run.document:
        return None
    title, placement = "Predicted and realised fills", run.document["placement"]
    if placement is None:
        return section(
            "calibration", title, lead="The best combination places no limit orders, so it predicts no fill."
        )
    scores = placement["calibration"]
    lead = f"{_capital(scores['sentence'])}."
    cost = _cost(placement)
    if not scores["orders"]:
        return section("calibration", title, cost, lead=lead)
    return section(
        "calibration",
        title,
        figure(_diagram(scores), _caption(scores), _bins(scores)),
        element("h3", {}, "By venue and by queue"),
        table(COLUMNS, _groups(scores), "Predictions of complete fills, by venue and by length of the queue"),
        element(
            "p",
            {"class": "note"},
            "The Brier score is the mean square of predicted less realised, 0 at best; predictions are worth something "
            "where theirs is lower than that of the base rate, which is only known afterwards. Thirds are of the "
            "queues at the venue in past windows.",
        ),
        cost,
        lead=lead,
    )


COLUMNS: Final = ("Limit orders", "Count", "Predicted, %", "Realised, %", "Brier score", "Brier score of base rate")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _percent(share: float | None, digits: int = 2) -> str:
    return decimal(None if share is None else 100 * share, digits)


def _scored(each: Mapping[str, Any]) -> list[str]:
    return [
        whole(each["orders"]),
        _percent(each["predicted"]),
        _percent(each["realised"]),
        decimal(each["brier"], 4),
        decimal(each["brier_of_base_rate"], 4),
    ]


def _groups(scores: Mapping[str, Any]) -> Iterator[list[str]]:
    for number, each in scores["venues"].items():
        yield [venue(int(number)), *_scored(each)]
    for name, each in zip(TERCILES, scores["terciles"], strict=False):
        yield [name, *_scored(each)]
    yield ["all", *_scored(scores)]


def _bins(scores: Mapping[str, Any]) -> Element:
    rows = [
        [_span(each), whole(each["orders"]), _percent(each["predicted"]), _percent(each["realised"])]
        for each in scores["bins"]
    ]
    columns = ("Tenth, %", "Limit orders", "Mean predicted, %", "Realised, %")
    return table(columns, rows, "Limit orders by predicted probability of a complete fill")


def _span(each: Mapping[str, Any]) -> str:
    return f"{100 * each['from']:.0f} to {100 * each['to']:.0f}"


def _caption(scores: Mapping[str, Any]) -> str:
    return (
        f"Limit orders by tenths of the predicted probability that all of each is filled: mean predicted, and share "
        f"that was, in %; the numbers are counts of orders, the bars below them, too. On the diagonal predictions come "
        f"true; the dashed line is the base rate, {_percent(scores['realised'])} %."
    )


def _diagram(scores: Mapping[str, Any]) -> Element:
    """Realised over predicted, and the counts below."""
    bins = [each for each in scores["bins"] if each["orders"]]
    most = max(each["orders"] for each in bins)
    listed = "; ".join(
        f"predicted {_percent(each['predicted'], 1)}, realised {_percent(each['realised'], 1)} of {each['orders']:,}"
        for each in bins
    )

    def make(width: float) -> Element:
        left, top, counts = 46.0, 24.0, 44.0
        side = min(SQUARE, width - left - 14)
        bottom = top + side
        floor = bottom + 14 + counts
        x, y = Linear(0, 100, left, left + side), Linear(0, 100, bottom, top)
        base = y(100 * scores["realised"])
        marks: list[Element | None] = [
            axis_left(y, left, "Realised, %", right=left + side, count=5),
            *(line(x(at), top, x(at), bottom) for at in (20, 40, 60, 80, 100)),
            line(x(0), y(0), x(100), y(100), "axis"),
            element("path", {"d": f"M{left:g},{base:.1f}h{side:g}", "class": "whisker", "stroke-dasharray": "5 4"}),
            axis_bottom(x, floor, "Predicted, %", count=5),
        ]
        for each in bins:
            tall = counts * each["orders"] / most
            start, end = x(100 * each["from"]), x(100 * each["to"])
            marks.append(bar(start + 1, floor - tall, end - start - 2, tall, "h2"))
        for each in bins:
            radius = SMALLEST + (LARGEST - SMALLEST) * (each["orders"] / most) ** 0.5
            at, high = x(100 * each["predicted"]), y(100 * each["realised"])
            marks.append(dot(at, high, radius, "best"))
            below = high - radius - 5 < top
            marks.append(text(at, high + radius + 13 if below else high - radius - 5, whole(each["orders"]), "middle"))
        marks.append(text(left + side - 4, base - 5, "base rate", "muted end"))
        return drawing(
            left + side + 14,
            floor + 38,
            "Predicted and realised probabilities of complete fills",
            f"Percent, by tenths: {listed}. Base rate {_percent(scores['realised'])}.",
            *marks,
            key="calibration",
        )

    return fitted(make)


def _cost(placement: Mapping[str, Any]) -> Element | None:
    """What decisions were predicted to cost, and what they did."""
    decisions, cost = placement["decisions"], placement["cost"]
    decided = decisions["slices"] - decisions["fallback"]
    if not decided or cost["predicted"] is None:
        return None
    fallback = f" ({whole(decisions['fallback'])} more had too few past windows)" if decisions["fallback"] else ""
    return element(
        "p",
        {},
        f"The cost beyond the mid, penalties included, of {plural(decided, 'decision')}{fallback}: predicted "
        f"{decimal(cost['predicted'])} $, realised {decimal(cost['realised'])} $.",
    )
