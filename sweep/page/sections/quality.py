"""Quality of what was read: over time, what the feed lost or left out, and what every check counts."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feed.quality import CHECKS
from sweep.page.element import element
from sweep.page.layout import figure, folded, section, table
from sweep.page.names import clock, plural, tape, tapes, venue
from sweep.page.numbers import NONE, decimal, whole
from sweep.page.stretches import RULE, SHARES, Stretches, stretches_of
from sweep.page.strips import STRIPS, rows, strips

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run

DRAWN: Final = 20
"""Tapes that are drawn at most."""

LISTED: Final = 40
"""Rows of a table at most."""

LEVELS: Final = ("error", "warning", "info")

BOOK: Final = {
    "crossed_snapshots": "snapshots with the best bid above the best ask, before anything is hidden",
    "locked_snapshots": "snapshots with the best bid at the best ask, of what is not hidden",
    "own_crossed_quotes": "quotes hidden: their venue's own bid is above its own ask",
    "expired_quotes": "quotes hidden: older than max_age",
    "uncrossed_quotes": "quotes hidden: a later one of another venue crosses them",
    "stub_quotes": "quotes hidden: beyond stub_band",
}
"""What the simulation counted while it built its book."""


def quality(run: Run) -> Element:
    """What the data are like."""
    sections, each = tapes(run.document), stretches_of(run.timeline)
    names = {number: tape(one) for number, one in enumerate(sections)}
    labels = {one.tape: names.get(one.tape, f"tape {one.tape}") for one in each}
    checked = [one["quality"] for one in sections if one.get("quality")]
    return section(
        "quality",
        "Data quality",
        *_over_time(each, labels),
        element("h3", {}, "What the feed lost or left out"),
        table(("What", "Count"), _counts(run.document["feed"], checked), "Counts of the feed"),
        *_book(checked),
        *_checks(checked),
        lead=_lead(each, checked),
    )


def _lead(each: Sequence[Stretches], checked: Sequence[Mapping[str, Any]]) -> str:
    counted = {
        level: [name for name, (of, _) in CHECKS.items() if of == level and _total(checked, name)]
        for level in LEVELS[:2]
    }
    serious = [
        f"{plural(len(counted[level]), level)} ({', '.join(counted[level])})" for level in LEVELS[:2] if counted[level]
    ]
    first = f"The checks give {' and '.join(serious)}" if serious else "No check gives an error or a warning"
    if not checked:
        first = "The document holds no checks of quality"
    if not each:
        return f"{first}."
    marked, total = sum(int(one.outstanding.sum()) for one in each), sum(len(one.start) for one in each)
    if not marked:
        return f"{first}; no stretch of time stands out."
    snapshots = [float(one.columns["snapshots"].sum()) for one in each]
    inside = sum(float(one.columns["snapshots"][one.outstanding].sum()) for one in each)
    share = f", with {decimal(100 * inside / sum(snapshots), 1)} % of the snapshots" if sum(snapshots) else ""
    return f"{first}; {marked:,} of {total:,} stretches of time stand{'s' if marked == 1 else ''} out{share}."


def _over_time(each: Sequence[Stretches], labels: Mapping[int, str]) -> Iterator[Element]:
    if not each:
        yield element("p", {}, "The run holds no quality over time.")
        return
    if len(each) == 1:
        (one,) = each
        never = [name.replace("_", "-") for name in SHARES if not one.counts[name]]
        none = f" No snapshot is {' or '.join(never)}." if never else ""
        caption = (
            f"{labels[one.tape]} in {plural(len(one.start), 'even stretch', 'even stretches')} of its window.{none} "
            f"Bars below a line mark what stands out. {RULE}"
        )
        drawn = strips(one, _words(one))
    else:
        worst = sorted(each, key=lambda one: (-int(one.outstanding.sum()), one.tape))[:DRAWN]
        shown = [one for one in each if one in worst]
        rest = [one for one in each if one not in worst]
        more = sum(int(one.outstanding.sum()) for one in rest)
        others = f" Not drawn: {plural(len(rest), 'tape')} with {more:,} such stretches, no more each." if rest else ""
        caption = (
            "Snapshots by time of day, a row for each tape: the stronger the colour, the more, up to the fullest "
            "stretch of the tape. "
            f"Bars below a row mark stretches that stand out. {RULE}{others}"
        )
        drawn = rows(shown, labels, "; ".join(f"{labels[one.tape]}: {_words(one)}" for one in shown))
    yield figure(drawn, caption, _by_tape(each, labels))
    if any(one.outstanding.any() for one in each):
        yield folded("Stretches that stand out", *_marked(each, labels))


def _words(one: Stretches) -> str:
    shares = ", ".join(f"{name.replace('_', '-')} {decimal(one.share(name))} %" for name in SHARES)
    return (
        f"{whole(int(one.columns['snapshots'].sum()))} snapshots, {shares}, longest gap {_most(one)} s, "
        f"{int(one.outstanding.sum())} of {len(one.start)} stretches stand out."
    )


def _most(one: Stretches) -> str:
    gaps = one.columns["longest_gap"]
    return decimal(float(np.nanmax(gaps)), 3) if not np.isnan(gaps).all() else NONE


def _by_tape(each: Sequence[Stretches], labels: Mapping[int, str]) -> Element:
    lines = []
    for one in each[:LISTED]:
        spread = one.columns["spread"]
        known = spread[~np.isnan(spread)]
        lines.append(
            [
                labels[one.tape],
                whole(int(one.columns["snapshots"].sum())),
                *(decimal(one.share(name)) for name in SHARES),
                _most(one),
                decimal(float(np.median(known)) if len(known) else None, 4),
                f"{whole(int(one.columns['venues'].min()))} to {whole(int(one.columns['venues'].max()))}",
                f"{whole(int(one.outstanding.sum()))} of {whole(len(one.start))}",
            ]
        )
    if len(each) > LISTED:
        lines.append([f"{len(each) - LISTED:,} more, in timeline.parquet", *[""] * 8])
    columns = (
        "Tape",
        "Snapshots",
        "Crossed, %",
        "Locked, %",
        "One-sided, %",
        "Longest gap, s",
        "Spread of the median stretch, $",
        "Venues by stretch",
        "Stretches that stand out",
    )
    return table(columns, lines, "Quality by tape")


def _marked(each: Sequence[Stretches], labels: Mapping[int, str]) -> Iterator[Element]:
    lines = [
        (labels[one.tape], clock(int(one.start[at])), clock(int(one.end[at])), _reasons(one, at))
        for one in each
        for at in np.flatnonzero(one.outstanding).tolist()
    ]
    yield table(("Tape", "From, UTC", "To, UTC", "What stands out"), islice(lines, LISTED), "Stretches that stand out")
    if len(lines) > LISTED:
        yield element("p", {"class": "note"}, f"{len(lines) - LISTED:,} more: in timeline.parquet.")


def _reasons(one: Stretches, at: int) -> str:
    reasons = []
    for name, marks in one.marked.items():
        if marks[at]:
            title, digits, _ = STRIPS[name]
            reasons.append(f"{title.lower()}: {decimal(float(one.columns[name][at]), digits)}")
    return "; ".join(reasons)


def _counts(feed: Mapping[str, Any], checked: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if feed.get("messages") is not None:
        yield "messages", whole(feed["messages"])
        yield "malformed messages put aside", whole(feed.get("bad"))
        yield "messages sent twice and dropped", whole(feed.get("resent"))
        yield "offsets without a message", whole(feed.get("empty"))
    for reason, count in (feed.get("ignored") or {}).items():
        yield f"{'sorted in' if reason == 'out_of_order' else 'left out'}: {reason}", whole(count)
    if not feed.get("ignored"):
        yield "left out by the reader", "0"
    if checked:
        yield "pauses of over 10 s between snapshots", whole(_total(checked, "time_gaps"))
        yield "longest pause, s", decimal(max(one["largest_gap_ns"] for one in checked) / 1e9, 3)
        dead = sorted({number for one in checked for number in one.get("dead_venues") or []})
        yield f"venues silent at the end{': ' if dead else ''}{', '.join(map(venue, dead))}", whole(len(dead))


def _book(checked: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    """What the rules of the simulated book met."""
    books = [one["book"] for one in checked if one.get("book")]
    lines = [
        (meaning, whole(sum(int(book.get(name, 0)) for book in books)))
        for name, meaning in BOOK.items()
        if any(name in book for book in books)
    ]
    if lines:
        yield element("h3", {}, "What the simulated book met")
        yield table(("At each snapshot", "Count"), lines, "Counts of the simulated book, added up over its snapshots")


def _total(checked: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(int(one["counts"].get(name, 0)) for one in checked)


def _checks(checked: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    """What counts something, by level; the others by name."""
    if not checked:
        return
    lines, silent = [], []
    for level in LEVELS:
        for name, (of, _) in CHECKS.items():
            if of != level:
                continue
            count = _total(checked, name)
            if not count:
                silent.append(name)
                continue
            concerned = sum(1 for one in checked if one["counts"].get(name))
            lines.append((name, level, whole(count), *((whole(concerned),) if len(checked) > 1 else ()), _about(name)))
    several = ("Tapes",) if len(checked) > 1 else ()
    yield element("h3", {}, "Checks")
    if lines:
        yield table(("Check", "Level", "Count", *several, "What is counted"), lines, "Checks that count something")
    advice = dict.fromkeys(f"{name}: {text}" for one in checked for name, text in (one.get("details") or {}).items())
    if advice:
        shown = [*islice(advice, LISTED)]
        yield element("ul", {"class": "note"}, *(element("li", {}, line) for line in shown))
    if silent:
        yield folded(
            f"{plural(len(silent), 'check')} that {'counts' if len(silent) == 1 else 'count'} nothing",
            table(("Check", "What is counted"), ((name, _about(name)) for name in silent), "Checks that count nothing"),
        )


def _about(name: str) -> Element:
    """What a check counts, in a column that stays wide enough to read."""
    return element("span", {"class": "about"}, CHECKS[name][1])
