"""Quality of a tape: what a reader of results should know about the quotes behind them.

Every check counts published rows, or snapshots of the carried book: at each instant, each venue's last row so far,
nothing hidden. `CHECKS` names and defines them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from feed.console import printable
from feed.instants import NANOS_FROM, format_instant
from feed.levels import flat_columns
from feed.markets import TICKS, VENUES, beyond, elsewhere, has_ticks, round_lots, tick_sizes
from feed.publishers import PUBLISHERS, advice, find_twins
from feed.quality.carried import count_snapshots, true
from feed.quality.tally import Tally, tally
from feed.tape import DAY, PASS, QUOTE_DTYPES, Tape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from feed.provenance import Provenance
    from feed.tape import Int64

    Flags = NDArray[np.bool_]

Level = Literal["info", "warning", "error"]

OLD = 60 * 10**9
GAP = 10 * 10**9
DEAD_SHARE = 4
CENT = 10**7
DOLLAR = 10**9
_MANY = 100
"""Quotes from which on what all or nearly all of them have in common is looked at."""

MOST_LOT = 100
"""Shares of the largest round lot there was."""
CARRIED = (
    "crossed_snapshots",
    "locked_snapshots",
    "one_sided_snapshots",
    "stub_quotes",
    "stale_quotes",
    "old_quotes",
)
"""Checks of what stands, which of several dates each has its own of."""

SHOWN = 20
"""Malformed messages that a table lists; `--json` lists all."""

NAMED = 10
"""Publisher ids that a line lists."""

CHECKS: dict[str, tuple[Level, str]] = {
    "no_quotes": ("error", "1 where no row quotes either side"),
    "unordered_rows": ("error", "rows before their predecessor by (time, venue, sequence)"),
    "unnormalised_rows": ("error", "rows with a negative number, or a price without a size or a size without a price"),
    "sides_swapped": ("error", "1 where over half of the two-sided rows have their own bid above their own ask"),
    "early_stamps": ("warning", "rows of before March 1973: their stamps may have been written in another unit"),
    "several_dates": ("warning", "UTC dates beyond the first; quotes are not carried over a date"),
    "own_crossed_rows": ("warning", "rows with their own bid above their own ask"),
    "own_locked_rows": ("info", "rows with their own bid at their own ask"),
    "crossed_snapshots": ("info", "snapshots of the carried book with the best bid above the best ask"),
    "locked_snapshots": ("info", "snapshots of the carried book with the best bid at the best ask"),
    "one_sided_snapshots": ("info", "snapshots of the carried book without any bid or without any ask"),
    "stale_quotes": ("info", "quotes of one side that a later row of another venue crossed while they stood"),
    "old_quotes": ("info", "rows with a quote that stood over 60 s before their venue published again, or to the end"),
    "withdrawn_bids": ("info", "rows that publish no bid, or one of no size"),
    "withdrawn_asks": ("info", "rows that publish no ask, or one of no size"),
    "stub_quotes": (
        "info",
        "quotes of one side, when published, over 10 % behind the best of the carried book, or its last mid if alone",
    ),
    "off_tick": (
        "warning",
        "quotes of one side between two ticks of US equities on their date: of a cent, below 1 $ of 0.0001 $",
    ),
    "odd_lots": (
        "info",
        "quotes of one side of fewer shares than a round lot of US equities on their date, at their price",
    ),
    "sizes_in_lots": ("warning", "1 where over 95 % of 100 quotes or more are odd lots: sizes may be in round lots"),
    "whole_dollars": ("warning", "1 where 100 quotes or more are all at whole dollars: prices may be in another unit"),
    "unknown_publishers": ("warning", "rows of ids that neither Databento's list of October 2026 nor feed venues has"),
    "twin_venues": ("warning", "publisher ids whose market another one shows already: its shares are there once"),
    "dead_venues": ("warning", "venues silent for the last quarter of the span, and for over 60 s"),
    "identical_rows": ("warning", "rows that repeat another one in every column"),
    "superseded_rows": ("info", "rows followed by another one of their venue at the same instant"),
    "backward_sequences": ("warning", "rows whose sequence is below that of their venue's row before"),
    "sequence_gaps": (
        "warning",
        "jumps in sequence at venues that count by one in 99 % of their rows (others skip by nature)",
    ),
    "time_gaps": ("info", "pauses of over 10 s between snapshots"),
}
"""Each check: its level when the count is not 0, and what it counts. An error makes the tape unusable."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Result of `check`.

    Attributes
    ----------
    symbol : str
    rows, snapshots, trades : int
    start, end : int or None
        First and last instant, UTC nanoseconds; None for an empty tape.
    largest_gap : int
        Longest pause between snapshots, nanoseconds.
    venues : dict of int to int
        Rows of each publisher id, ascending.
    levels : dict of int to int
        Rows by the levels of the side of them that shows more, ascending; 0 = neither shows any.
    dead_venues : tuple of int
        Publisher ids that `CHECKS` calls dead.
    details : dict of str to str
        More about some checks with a count, in words.
    counts : dict of str to int
        One count for each of `CHECKS`.
    """

    symbol: str
    rows: int
    snapshots: int
    trades: int
    start: int | None
    end: int | None
    largest_gap: int
    venues: dict[int, int]
    levels: dict[int, int]
    dead_venues: tuple[int, ...]
    counts: dict[str, int]
    details: dict[str, str]

    @property
    def errors(self) -> tuple[str, ...]:
        """Checks that make the tape unusable."""
        return self._of_level("error")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Checks that deserve a look."""
        return self._of_level("warning")

    def _of_level(self, level: Level) -> tuple[str, ...]:
        return tuple(name for name, (check_level, _) in CHECKS.items() if check_level == level and self.counts[name])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the attributes, `errors` and `warnings`; instants as ISO text, publisher ids as text keys."""
        return {
            "symbol": self.symbol,
            "rows": self.rows,
            "snapshots": self.snapshots,
            "trades": self.trades,
            "start": None if self.start is None else format_instant(self.start),
            "end": None if self.end is None else format_instant(self.end),
            "largest_gap_ns": self.largest_gap,
            "venues": {str(venue): rows for venue, rows in self.venues.items()},
            "levels": {str(levels): rows for levels, rows in self.levels.items()},
            "dead_venues": list(self.dead_venues),
            "counts": dict(self.counts),
            "details": dict(self.details),
            "warnings": list(self.warnings),
            "errors": list(self.errors),
        }


def check(tape: Tape, *, beside_kernels: bool = False) -> Quality:
    """Count what is unusual, suspicious or wrong in a tape.

    Parameters
    ----------
    tape : Tape
        Any tape, also an empty one.
    beside_kernels : bool
        Whether this process runs compiled code in any case: then compiled code counts a short tape, too. No result
        depends on it.

    Returns
    -------
    Quality
        Always the same for the same tape.
    """
    tallied = tally(tape, beside_kernels=beside_kernels) or tally_any(tape)
    counts = dict.fromkeys(CHECKS, 0) | tallied.counts
    counts["identical_rows"] = _identical_rows(tape, ordered=not counts["unordered_rows"]) if tallied.tied else 0
    start, end = tape.span if tape.rows or len(tape.trades.ts) else (None, None)
    counts["several_dates"] = end // DAY - start // DAY if start is not None and end is not None else 0
    if counts["several_dates"] and not counts["unordered_rows"]:
        of_dates = [(tally(part, beside_kernels=beside_kernels) or tally_any(part)).counts for part in tape.by_date()]
        counts |= {name: sum(of_date[name] for of_date in of_dates) for name in CARRIED}
    dead = [venue for venue, last in tallied.last.items() if _is_dead(tape, last)]
    counts["dead_venues"] = len(dead)
    unknown = [venue for venue in tallied.venues if venue not in PUBLISHERS and venue not in VENUES]
    counts["unknown_publishers"] = sum(tallied.venues[venue] for venue in unknown)
    details = {"unknown_publishers": _ids(unknown)} if unknown else {}
    details |= _by_rule(None if start is None or end is None else (start, end), counts, tallied.venues)
    quotes = 2 * tape.rows - counts["withdrawn_bids"] - counts["withdrawn_asks"]
    if quotes >= _MANY:
        counts["sizes_in_lots"] = int(20 * counts["odd_lots"] > 19 * quotes)
        counts["whole_dollars"] = int(_all_whole(tape.bid_px) and _all_whole(tape.ask_px))
    # only venues with quotes: one that reports trades alone shows no share twice
    twins = find_twins(tallied.quoting)
    counts["twin_venues"] = len({venue for each in twins for venue in each.extra})
    if twins:
        details["twin_venues"] = advice({*tallied.venues, *tape.trades.venue.tolist()}, twins)
    return Quality(
        symbol=tape.symbol,
        rows=tape.rows,
        snapshots=tape.snapshots,
        trades=len(tape.trades.ts),
        start=start,
        end=end,
        largest_gap=tallied.largest_gap,
        venues=tallied.venues,
        levels=_rows_by_levels(tape),
        dead_venues=tuple(dead),
        counts=counts,
        details=details,
    )


def _all_whole(px: Int64) -> bool:
    """Whether all prices are whole dollars; mostly one of the first ones is not."""
    return not (px[:PASS] % DOLLAR).any() and not (px % DOLLAR).any()


def _by_rule(span: tuple[int, int] | None, counts: dict[str, int], venues: Iterable[int]) -> dict[str, str]:
    """Take back counts by rules that are not for a tape, and say for which of its quotes there is no rule."""
    details = {}
    if foreign := elsewhere(venues):
        details = dict.fromkeys(("off_tick", "odd_lots"), f"not counted: {_ids(list(foreign))} trade no US equities")
        counts |= dict.fromkeys(details, 0)
    elif span is not None:
        first, last = span
        if not has_ticks(first):
            details["off_tick"] = f"counted from {TICKS[0].first} on, as there was no rule before"
        if last >= 0 and (late := beyond(last)):
            details |= {"off_tick": late, "odd_lots": late}
    return details


def tally_any(tape: Tape) -> Tally:
    """Count any tape with numpy; `feed.quality.tally` counts long ones faster, and is tested equal."""
    last_of_instant = _last_of_instant(tape)
    pauses = _steps(tape.ts)
    counts = _count_rows(tape) | count_snapshots(tape, np.flatnonzero(last_of_instant))
    counts["superseded_rows"] = tape.rows - true(last_of_instant)
    counts["time_gaps"] = true(pauses > GAP)
    venues = dict(_by_venue(tape))
    for rows in venues.values():
        for name, count in _count_venue(tape, rows, last_of_instant).items():
            counts[name] = counts.get(name, 0) + count
    return Tally(
        counts=counts,
        venues={venue: len(rows) for venue, rows in venues.items()},
        last={venue: int(rows[-1]) for venue, rows in venues.items()},
        quoting=np.unique(tape.venue[(tape.bid_px > 0) | (tape.ask_px > 0)]).tolist(),
        largest_gap=int(pauses.max(initial=0)),
        tied=tape.rows if counts["unordered_rows"] else true(_tied(tape)),
    )


def _rows_by_levels(tape: Tape) -> dict[int, int]:
    """Count rows by the levels that their deeper side shows."""
    at_least = [true((tape.bid_px > 0) | (tape.ask_px > 0)), 0]
    if tape.levels is not None:
        at_least[1:1] = tape.levels.counts.tolist()
    rows, counts = tape.rows, {}
    for levels, fewer in enumerate(at_least):
        if rows > fewer:
            counts[levels] = rows - fewer
        rows = fewer
    return counts


def _ids(venues: list[int]) -> str:
    more = f" and {len(venues) - NAMED:,} more" if len(venues) > NAMED else ""
    return f"ids {', '.join(map(str, venues[:NAMED]))}{more}"


def _steps(numbers: Int64) -> Int64:
    """Differences of neighbours, as `numpy.diff`."""
    return numbers[1:] - numbers[:-1]


def _by_venue(tape: Tape) -> Iterator[tuple[int, Int64]]:
    """Yield each publisher id and its rows, both ascending, after one sort for any number of ids."""
    if not tape.rows:
        return
    order = np.argsort(tape.venue, kind="stable")
    sorted_venues = tape.venue[order]
    ends = [0, *(np.flatnonzero(sorted_venues[1:] != sorted_venues[:-1]) + 1).tolist(), tape.rows]
    for start, end in pairwise(ends):
        yield int(sorted_venues[start]), order[start:end]


def _count_rows(tape: Tape) -> dict[str, int]:
    """Make the counts that need one row, or two neighbours."""
    bid, ask = tape.bid_px, tape.ask_px
    both = (bid > 0) & (ask > 0)
    crossed = true(both & (bid > ask))
    broken = ((bid > 0) != (tape.bid_sz > 0)) | ((ask > 0) != (tape.ask_sz > 0))
    for column in (bid, ask, tape.bid_sz, tape.ask_sz):
        broken |= column < 0
    unordered = np.zeros(max(tape.rows - 1, 0), np.bool_)
    for key in (tape.sequence, tape.venue, tape.ts):
        unordered = (key[1:] < key[:-1]) | ((key[1:] == key[:-1]) & unordered)
    return {
        "no_quotes": int(not (bid > 0).any() and not (ask > 0).any()),
        "unordered_rows": true(unordered),
        "unnormalised_rows": true(broken),
        "sides_swapped": int(2 * crossed > true(both)),
        "own_crossed_rows": crossed,
        "own_locked_rows": true(both & (bid == ask)),
        "withdrawn_bids": true(bid <= 0),
        "withdrawn_asks": true(ask <= 0),
        "early_stamps": true(tape.ts < NANOS_FROM),
        "off_tick": _off_tick(tape.ts, bid) + _off_tick(tape.ts, ask),
        "odd_lots": _odd_lots(tape.ts, bid, tape.bid_sz) + _odd_lots(tape.ts, ask, tape.ask_sz),
    }


def _off_tick(ts: Int64, px: Int64) -> int:
    """Count prices between two ticks."""
    off_cent = px // CENT * CENT != px  # mostly few, and every tick is a part of a cent
    if not true(off_cent):
        return 0
    px = px[off_cent]
    return true(px % np.maximum(tick_sizes(ts[off_cent], px), 1) > 0)


def _odd_lots(ts: Int64, px: Int64, sz: NDArray[np.int32]) -> int:
    """Count quotes of less than a round lot."""
    small = (sz > 0) & (sz < MOST_LOT) & (px > 0)
    if not true(small):
        return 0
    return true(sz[small] < round_lots(ts[small], px[small]))


def _tied(tape: Tape) -> Flags:
    """(N - 1,) bool: the row is at the time, venue and sequence of its predecessor."""
    tied: Flags = tape.ts[1:] == tape.ts[:-1]
    for key in (tape.venue, tape.sequence):
        tied &= key[1:] == key[:-1]
    return tied


def _identical_rows(tape: Tape, *, ordered: bool) -> int:
    columns = [getattr(tape, name) for name in QUOTE_DTYPES]
    if tape.levels is not None:
        columns += flat_columns(tape.levels).values()
    if ordered:  # then a row can only repeat one that it is tied with, and mostly there is none
        tied = _tied(tape)
        concerned = np.zeros(tape.rows, np.bool_)
        concerned[1:] = tied
        concerned[:-1] |= tied
        columns = [column[concerned] for column in columns]
    order = np.lexsort(columns)
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for column in columns:
        ordered_column = column[order]
        same &= ordered_column[1:] == ordered_column[:-1]
    return true(same)


def _last_of_instant(tape: Tape) -> Flags:
    """(N,) bool: the row is the last of its venue at its instant."""
    last = np.ones(tape.rows, np.bool_)
    last[:-1] = (tape.ts[1:] != tape.ts[:-1]) | (tape.venue[1:] != tape.venue[:-1])
    return last


def _count_venue(tape: Tape, rows: Int64, last_of_instant: Flags) -> dict[str, int]:
    """Make the counts that need the rows of one venue, given by index, in sequence."""
    steps = _steps(tape.sequence[rows])
    by_one = len(steps) > 0 and 100 * true(steps == 1) >= 99 * len(steps)
    standing = rows[last_of_instant[rows]]
    until = np.append(tape.ts[standing[1:]], tape.ts[-1])
    quoted = (tape.bid_px[standing] > 0) | (tape.ask_px[standing] > 0)
    return {
        "backward_sequences": true(steps < 0),
        "sequence_gaps": true(steps > 1) if by_one else 0,
        "old_quotes": true(quoted & (until - tape.ts[standing] > OLD)),
    }


def _is_dead(tape: Tape, last: int) -> bool:
    """Whether a venue is dead whose last row is that one."""
    silence = int(tape.ts[-1] - tape.ts[last])
    return silence > OLD and DEAD_SHARE * silence >= int(tape.ts[-1] - tape.ts[0])


def render(quality: Quality, provenance: Provenance) -> str:
    """Write a quality as a plain table, escaped for a terminal.

    Parameters
    ----------
    quality : Quality
    provenance : Provenance
        Of the same tape.
    """
    facts = [
        ("place", f"{provenance.source} {provenance.place}"),
        ("symbol", quality.symbol),
        ("digest", provenance.digest),
    ]
    if quality.start is not None and quality.end is not None:
        seconds = (quality.end - quality.start) / 1e9
        facts.append(("span", f"{format_instant(quality.start)} to {format_instant(quality.end)}, {seconds:,.3f} s"))
    facts += [
        ("rows", f"{quality.rows:,} in {quality.snapshots:,} snapshots; {quality.trades:,} trades"),
        ("venues", ", ".join(f"{venue}: {rows:,}" for venue, rows in quality.venues.items()) or "none"),
        ("levels", ", ".join(f"{levels}: {rows:,}" for levels, rows in quality.levels.items()) or "none"),
        ("dead", ", ".join(map(str, quality.dead_venues)) or "none"),
        ("largest gap", f"{quality.largest_gap / 1e9:,.3f} s"),
        *(
            ("sorted in" if reason == "out_of_order" else "ignored", f"{reason}: {count:,}")
            for reason, count in provenance.ignored.items()
        ),
        *(("bad", f"partition {bad.partition}, offset {bad.offset}: {bad.reason}") for bad in provenance.bad[:SHOWN]),
        *(("note", note) for note in provenance.notes),
        *(
            ("warning" if name in quality.warnings else "note", f"{name}: {detail}")
            for name, detail in quality.details.items()
        ),
    ]
    lines = [f"{name:<12} {printable(text)}" for name, text in facts]
    lines += ["", f"{'level':<8} {'count':>11}  check"]
    for name, (level, about) in CHECKS.items():
        count = quality.counts[name]
        lines.append(f"{level if count else '-':<8} {count:>11,}  {name}: {about}")
    return "\n".join(lines)
