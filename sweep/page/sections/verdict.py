"""The verdict: the answer in one sentence, its interval, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sweep.caveats import named
from sweep.page.element import element
from sweep.page.intervals import Reach, Row, intervals_drawn, reach_of, sketch_scale, sketched
from sweep.page.layout import figure, folded, kept, section, table
from sweep.page.numbers import NONE, bps, decimal, dollars, label, whole
from sweep.page.paired import paired

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "better": ("better", "better"),
    "flat": ("unclear", "the parameters do not matter"),
    "drift": ("unclear", "drift, not execution"),
    "not enough data": ("unclear", "not enough data"),
    "worse": ("worse", "worse"),
}
"""By kind of verdict, the class in style.css, and how it is called."""

SHOWN: Final = 6
"""Warnings that are not folded away."""

MOST_PARTS: Final = 40

_PARTS: Final = (
    "Each part has a best combination and a strongest baseline of its own; its verdict is not adjusted for the number "
    "of parts."
)


def verdict(run: Run) -> Element:
    """What may be description of the best combination, in ten seconds."""
    document, statistics = run.document, run.document["statistics"]
    judged = document["verdict"]
    kind, called = KINDS.get(judged["kind"], ("unclear", str(judged["kind"])))
    first, _, rest = _clauses(judged["sentence"])
    sentence = element("p", {"class": "sentence"}, first, element("span", {"class": "rest"}, rest) if rest else None)
    box = element(
        "div",
        {"class": f"verdict {kind}"},
        element("p", {"class": "kind"}, f"{called[0].upper()}{called[1:]}"),
        sentence,
        _drawn(run),
        element(
            "dl",
            {"class": "facts"},
            *(
                element("div", {"class": None if at else "wide"}, element("dt", {}, name), element("dd", {}, value))
                for at, (name, value) in enumerate(_facts(run))
            ),
        ),
    )
    return section("verdict", "Verdict", _where(document), box, _warnings(document), _parts(statistics))


def _clauses(sentence: str) -> tuple[str, str, str]:
    """The first clause, and the rest: clauses end with semicolons outside parentheses."""
    depth = 0
    for at, character in enumerate(sentence):
        depth += (character == "(") - (character == ")")
        if character == ";" and depth <= 0:
            return sentence[:at], ";", sentence[at:]
    return sentence, "", ""


def _where(document: Mapping[str, Any]) -> Element | None:
    """Which world this is of."""
    worlds = document.get("worlds") or []
    if len(worlds) < 2:
        return None
    link = element("a", {"href": "#realism"}, "what the others say")
    where = f"Of the first of {len(worlds):,} worlds, {named(worlds[0]['market'])}; "
    return element("p", {"class": "muted"}, where, link, ".")


def _drawn(run: Run) -> Element:
    statistics = run.document["statistics"]
    rows = list(_rows(statistics))
    band = statistics.get("detectable_bps") or None
    listed = "; ".join(f"{row.label} {row.reach} bps" for row in rows)
    smallest = "" if band is None else f" Effects smaller than {decimal(band)} bps in size are not seen."
    caption = f"Saving against {run.against}, bps of the arrival notional; lines are 95 % intervals."
    if all(row.reach.low is None for row in rows):
        caption += " No intervals: these take 20 blocks of time."
    elif band is not None:
        caption += " Shaded: too small for these blocks to show with 80 % power."
    drawn = intervals_drawn(
        rows,
        "verdict",
        f"Saving of the best combination against {run.against}",
        f"{listed}.{smallest}",
        f"saved against {run.against}, bps (right of 0 is better)",
        band,
    )
    return figure(drawn, caption)


def _rows(statistics: Mapping[str, Any]) -> Iterator[Row]:
    """The saving in sample, held out, its execution part, and corrected for having been picked."""
    held_out = statistics.get("held_out")
    tested = None if held_out is None else reach_of(held_out["saving_bps"]["strongest"])
    chosen = reach_of(statistics["saving_bps"][statistics["against"]])
    for name, reach, bold in (
        ("held out", tested, True),
        ("in sample", chosen, tested is None),
        ("corrected for the choice", reach_of(statistics.get("corrected_bps")), False),
        ("execution part", reach_of(statistics.get("execution_bps")), False),
    ):
        if reach is not None:
            yield Row(name, reach, bold)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """What the verdict rests on, name and value."""
    document, statistics = run.document, run.document["statistics"]
    each = paired(run)
    saved = int(sum(each.saved.tolist()))
    yield "Best parameters", ", ".join(f"{name} {label(at)}" for name, at in document["best_parameters"].items())
    yield f"Saved in sample against {run.against}", f"{'+' if saved > 0 else ''}{dollars(saved)} $"
    yield "Arrival notional", f"{dollars(round(float(each.notional.sum())), 0)} $"
    counted = document["orders"]
    yield "Orders, blocks of time, days", " / ".join(whole(counted[name]) for name in ("count", "blocks", "days"))
    if (best_of := statistics.get("best_of")) is not None:
        yield f"p of the best of {whole(statistics['looked_at'])}", _chance(best_of["p"])
    if (close := statistics.get("confidence_set")) is not None:
        alike = f"{whole(close['combinations'])} ({decimal(close['percent'])} %)"
        yield f"Cannot be told from the best, {decimal(100 * close['level'], 0)} %", alike
    if (smallest := statistics.get("detectable_bps")) is not None:
        yield "Smallest effect seen, 80 % power", f"{decimal(smallest)} bps"
    if (pbo := statistics.get("pbo")) is not None:
        yield "Probability of overfitting (PBO)", decimal(pbo["probability"])
    elif statistics.get("distinct") is not None:
        yield "Probability of overfitting (PBO)", f"not known: {whole(statistics['distinct'])} results differ"
    days = {effect: needed for effect, needed in (statistics.get("days_for_bps") or {}).items() if needed}
    if days:
        yield "Days needed", ", ".join(f"{whole(needed)} for {effect} bps" for effect, needed in days.items())


def _chance(p: float) -> str:
    return "below 0.001" if p < 0.001 else decimal(p, 3)


def _warnings(document: Mapping[str, Any]) -> Element | None:
    lines = [str(line) for line in document.get("warnings") or []]
    if not lines:
        return None
    shown, more = lines[:SHOWN], lines[SHOWN:]
    return element(
        "div",
        {"class": "warnings", "role": "note", "aria-label": "Warnings"},
        _listed(shown),
        folded(f"{len(more):,} more", _listed(more)) if more else None,
    )


def _listed(lines: Sequence[str]) -> Element:
    return element("ul", {}, *(element("li", {}, line) for line in lines))


def _parts(statistics: Mapping[str, Any]) -> Element | None:
    """The same of each size and side, with verdicts of their own."""
    parts = statistics.get("parts") or []
    if not parts:
        return None
    each = [{"side": None, "size": None, "verdict": None, **statistics}, *parts]
    reaches = [reach_of(part["saving_bps"][part["against"]]) for part in each]
    scale = sketch_scale(reaches)
    rows = [_part(part, reach, sketched(reach, scale)) for part, reach in zip(each[1:], reaches[1:], strict=True)]
    columns = (
        "Orders",
        "Blocks",
        "Against",
        "Saving, bps",
        "95 % interval, bps",
        "Drawn",
        "Execution, bps",
        "p",
        "Verdict",
    )
    left = len(rows) - MOST_PARTS
    return element(
        "div",
        {},
        element("h3", {}, "By side and size"),
        table(columns, rows[:MOST_PARTS], "Saving by side and size of the orders"),
        element("p", {"class": "muted"}, f"{left:,} more are in result.json, statistics.parts.") if left > 0 else None,
        element("p", {"class": "muted"}, _PARTS),
    )


def _part(part: Mapping[str, Any], reach: Reach | None, drawn: Element | str) -> tuple[str | Element, ...]:
    best_of, execution = part.get("best_of"), reach_of(part.get("execution_bps"))
    return (
        kept(part_name(part["side"], part["size"])),
        whole(part["blocks"]),
        part["against"],
        NONE if reach is None else bps(reach.mean),
        kept(NONE if reach is None else reach.between),
        drawn,
        NONE if execution is None else bps(execution.mean),
        NONE if best_of is None else _chance(best_of["p"]),
        kept(part["verdict"]["kind"]),
    )


def part_name(side: str | None, size: int | None) -> str:
    """Some orders in words."""
    return " ".join(filter(None, (side, None if size is None else whole(size)))) or "all"
