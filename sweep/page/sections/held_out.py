"""Out of sample: what was chosen on some blocks of time, and what it saves on others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sweep.page.drawing import NARROW, axis_bottom, breadth, dot, drawing, fitted, line, text
from sweep.page.intervals import Reach, marked, reach_of
from sweep.page.layout import figure, section, table
from sweep.page.numbers import NONE, bps, counted, decimal, label, whole
from sweep.page.scales import linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run

ROWS: Final = 40
"""Folds in the table."""

DRAWN: Final = 24
"""Folds in the drawing."""


def held_out(run: Run) -> Element:
    """In sample against out of sample, fold by fold."""
    document, statistics = run.document, run.document["statistics"]
    title = "In sample against out of sample"
    tested = statistics.get("held_out")
    if tested is None:
        why = f"{whole(statistics['blocks'])} of the 20 that it takes"
        if run.pruned:
            pruned = f"{whole(run.pruned)} combinations were pruned (search.prune)"
            why = f"{pruned}, and folds need all of them in every block"
        lead = (
            f"No blocks were held out: {why}. Savings are "
            f"{document.get('savings_are', 'in sample')}, of the data that the best combination was chosen on."
        )
        return section("held-out", title, lead=lead)
    together, chosen = reach_of(tested["saving_bps"]["strongest"]), reach_of(statistics["saving_bps"][run.against])
    folds = tested["folds"]
    return section(
        "held-out",
        title,
        figure(_drawn(folds, together, tested["validate"]), _caption(folds, document), _table(folds)),
        lead=_lead(folds, together, chosen),
    )


def _lead(folds: Sequence[Mapping[str, Any]], together: Reach | None, chosen: Reach | None) -> str:
    better = sum((fold["saved_bps"] or 0) > 0 for fold in folds)
    lower = sum(_known(fold) and fold["saved_bps"] < fold["in_sample_bps"] for fold in folds)
    sentence = (
        f"Of {whole(len(folds))} folds {counted(better, 'save')} on blocks that did not choose, and {whole(lower)} "
        f"less than in sample; together {together or NONE} bps"
    )
    if chosen is not None:
        sentence += f", against {chosen} bps of the best combination in sample"
    choices = {repr(sorted(fold["best_parameters"].items())) for fold in folds}
    if len(choices) == 1:
        return f"{sentence}. All folds choose the same combination."
    return f"{sentence}. The folds choose {whole(len(choices))} different combinations."


def _known(fold: Mapping[str, Any]) -> bool:
    return fold["saved_bps"] is not None and fold["in_sample_bps"] is not None


def _span(fold: Mapping[str, Any], *, narrow: bool = False) -> str:
    """When a fold is tested, UTC."""
    first, last = (str(fold[end]).replace("T", " ")[:16] for end in ("from", "to"))
    if first[:10] == last[:10]:
        return f"{first[5:] if narrow else first} to {last[11:]}"
    return f"{first[5:10]} to {last[5:10]}" if narrow else f"{first[:10]} to {last[:10]}"


def _drawn(folds: Sequence[Mapping[str, Any]], together: Reach | None, validate: str) -> Element:
    shown = folds[:DRAWN]

    def make(width: float) -> Element:
        narrow = width <= NARROW
        printed = [f"{bps(fold['in_sample_bps'])} to {bps(fold['saved_bps'])}" for fold in shown]
        room = max(map(breadth, [*printed, str(together or "")]))
        names = [_span(fold, narrow=narrow) for fold in shown]
        left = 8.0 if narrow else max(map(breadth, [*names, "together"])) + 20
        right = width - 8.0 if narrow else width - min(room, 260.0) - 20
        step, top = (40.0 if narrow else 25.0), 26.0
        bottom = top + step * (len(shown) + 1) + 8
        values = [fold[name] for fold in shown for name in ("in_sample_bps", "saved_bps")]
        ends = [] if together is None else [together.mean, together.low, together.high]
        scale = linear([*values, *ends], left, right, zero=True)
        marks: list[Element | None] = [
            axis_bottom(scale, bottom, "saved, bps (right of 0 is better)", top=top),
            line(scale(0), top, scale(0), bottom, "zero"),
            dot(left, 10, 4, "hollow"),
            text(left + 9, 14, "in sample", "muted"),
            dot(left + 90, 10, 4, "best"),
            text(left + 99, 14, "out of sample", "muted"),
        ]
        for at, (fold, name, figures) in enumerate(zip(shown, names, printed, strict=True)):
            y = top + step * at + (27 if narrow else 15)
            above = -11 if narrow else 4
            marks += [text(0, y + above, name, "muted over"), text(width, y + above, figures, "end over")]
            if _known(fold):
                trained, tested = scale(fold["in_sample_bps"]), scale(fold["saved_bps"])
                marks.append(line(trained, y, tested, y, "gain-line" if tested >= trained else "loss-line"))
            if fold["in_sample_bps"] is not None:
                marks.append(
                    dot(scale(fold["in_sample_bps"]), y, 4, "hollow", f"in sample {bps(fold['in_sample_bps'])} bps")
                )
            if fold["saved_bps"] is not None:
                marks.append(
                    dot(scale(fold["saved_bps"]), y, 4.5, "best", f"out of sample {bps(fold['saved_bps'])} bps")
                )
        if together is not None:
            y = top + step * len(shown) + (27 if narrow else 17)
            above = -11 if narrow else 4
            marks += [line(0, y - (25 if narrow else 14), width, y - (25 if narrow else 14))]
            marks += [
                text(0, y + above, "together", "bold over"),
                text(width, y + above, str(together), "bold end over"),
            ]
            marks += marked(scale, together, y, bold=True)
        listed = "; ".join(f"{name}: {figures}" for name, figures in zip(names, printed, strict=True))
        sentence = f"bps in sample to out of sample, by fold: {listed}; together {together or NONE}."
        return drawing(
            width, bottom + 38, f"In sample against out of sample, {validate}", sentence, *marks, key="held-out"
        )

    return fitted(make)


def _caption(folds: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> str:
    caption = (
        "Each line is a fold: the mean saving in the part that chose the combination (hollow), and in the part that "
        "did not (full), against the strongest honest baseline of the part that chose, bps of the arrival notional. "
        f"The savings of result.json are {document.get('savings_are', 'in sample')}."
    )
    left = len(folds) - DRAWN
    return caption if left <= 0 else f"{caption} {whole(left)} more folds are not drawn."


def _table(folds: Sequence[Mapping[str, Any]]) -> Element:
    columns = (
        "Tested, UTC",
        "Trained, blocks",
        "Tested, blocks",
        "Against",
        "In sample, bps",
        "Out, bps",
        "Change, bps",
        "Chosen",
    )
    rows = [
        (
            _span(fold),
            whole(fold["trained_blocks"]),
            whole(fold["tested_blocks"]),
            fold["against"],
            bps(fold["in_sample_bps"]),
            bps(fold["saved_bps"]),
            bps(fold["saved_bps"] - fold["in_sample_bps"]) if _known(fold) else NONE,
            ", ".join(f"{name} {label(value)}" for name, value in fold["best_parameters"].items()),
        )
        for fold in folds[:ROWS]
    ]
    caption = "What each fold chose and what it saves"
    if len(folds) > ROWS:
        caption += f"; {decimal(len(folds) - ROWS, 0)} more: result.json, statistics.held_out.folds"
    return table(columns, rows, caption)
