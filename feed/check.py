"""Quality of a tape: what a reader of its results should know about the quotes behind them.

Every count is of published rows, or of snapshots of the carried book: at each instant, each venue's last row so far,
nothing hidden. `CHECKS` names and defines them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from feed.console import printable
from feed.instants import NANOS_FROM, format_instant
from feed.publishers import PUBLISHERS, advice, find_twins
from feed.tape import DAY, PRICE_LIMIT, QUOTE_DTYPES, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from feed.tape import Int64, Provenance

    Flags = NDArray[np.bool_]

Level = Literal["info", "warning", "error"]

OLD = 60 * 10**9
GAP = 10 * 10**9
DEAD_SHARE = 4
CENT = 10**7
DOLLAR = 10**9
SHOWN = 20
"""Malformed messages that a table names; `--json` names them all."""

NAMED = 10
"""Publisher ids that a line names."""

CHUNK = 2**19
"""Cells of the carried book that are looked at together: bounds memory, changes no count."""

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
        "quotes of one side at no multiple of a cent, below 1 $ of 0.0001 $ (Reg NMS rule 612 as of 2005)",
    ),
    "unknown_publishers": ("warning", "rows of publisher ids that Databento's list of October 2026 does not have"),
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
"""Each check: how bad it is when its count is not 0, and what it counts. An error makes the tape unusable."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What `check` found.

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
    dead_venues : tuple of int
        Publisher ids that `CHECKS` calls dead.
    details : dict of str to str
        More about some of the checks that found something, in words.
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
    dead_venues: tuple[int, ...]
    counts: dict[str, int]
    details: dict[str, str]

    @property
    def errors(self) -> tuple[str, ...]:
        """Checks that make the tape unusable."""
        return self._found("error")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Checks that deserve a look."""
        return self._found("warning")

    def _found(self, level: Level) -> tuple[str, ...]:
        return tuple(name for name, (its_level, _) in CHECKS.items() if its_level == level and self.counts[name])

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
            "dead_venues": list(self.dead_venues),
            "counts": dict(self.counts),
            "details": dict(self.details),
            "warnings": list(self.warnings),
            "errors": list(self.errors),
        }


def check(tape: Tape) -> Quality:
    """Count what is unusual, suspicious or wrong with a tape.

    Parameters
    ----------
    tape : Tape
        Any, also an empty one.

    Returns
    -------
    Quality
        The same for the same tape, always.
    """
    counts = dict.fromkeys(CHECKS, 0)
    counts |= _count_rows(tape)
    last_of_instant = _last_of_instant(tape)
    counts["superseded_rows"] = int((~last_of_instant).sum())
    counts |= _count_snapshots(tape, np.flatnonzero(last_of_instant))
    pauses = np.diff(tape.ts)
    counts["time_gaps"] = int((pauses > GAP).sum())
    start, end = tape.span if tape.rows or len(tape.trades.ts) else (None, None)
    counts["several_dates"] = end // DAY - start // DAY if start is not None and end is not None else 0
    venues, rows = np.unique(tape.venue, return_counts=True)
    dead = []
    for venue in venues.tolist():
        mine = tape.venue == venue
        dead += [venue] if _is_dead(tape, mine) else []
        for name, count in _count_venue(tape, mine, last_of_instant).items():
            counts[name] += count
    counts["dead_venues"] = len(dead)
    unknown = ~np.isin(venues, list(PUBLISHERS))
    counts["unknown_publishers"] = int(rows[unknown].sum())
    details = {"unknown_publishers": _ids(venues[unknown].tolist())} if unknown.any() else {}
    # of those that display something: one that reports trades alone doubles no share that there is to buy
    twins = find_twins(np.unique(tape.venue[(tape.bid_px > 0) | (tape.ask_px > 0)]).tolist())
    counts["twin_venues"] = len({venue for each in twins for venue in each.extra})
    if twins:
        details["twin_venues"] = advice({*venues.tolist(), *tape.trades.venue.tolist()}, twins)
    return Quality(
        symbol=tape.symbol,
        rows=tape.rows,
        snapshots=tape.snapshots,
        trades=len(tape.trades.ts),
        start=start,
        end=end,
        largest_gap=int(pauses.max(initial=0)),
        venues=dict(zip(venues.tolist(), rows.tolist(), strict=True)),
        dead_venues=tuple(dead),
        counts=counts,
        details=details,
    )


def _ids(venues: list[int]) -> str:
    more = f" and {len(venues) - NAMED:,} more" if len(venues) > NAMED else ""
    return f"ids {', '.join(map(str, venues[:NAMED]))}{more}"


def _count_rows(tape: Tape) -> dict[str, int]:
    """Count what one row, or two neighbours, show."""
    bid, ask = tape.bid_px, tape.ask_px
    both = (bid > 0) & (ask > 0)
    crossed = int((both & (bid > ask)).sum())
    broken = ((bid > 0) != (tape.bid_sz > 0)) | ((ask > 0) != (tape.ask_sz > 0))
    for column in (bid, ask, tape.bid_sz, tape.ask_sz):
        broken |= column < 0
    unordered = np.zeros(max(tape.rows - 1, 0), np.bool_)
    for key in (tape.sequence, tape.venue, tape.ts):
        unordered = (key[1:] < key[:-1]) | ((key[1:] == key[:-1]) & unordered)
    return {
        "no_quotes": int(not (bid > 0).any() and not (ask > 0).any()),
        "unordered_rows": int(unordered.sum()),
        "unnormalised_rows": int(broken.sum()),
        "sides_swapped": int(2 * crossed > int(both.sum())),
        "own_crossed_rows": crossed,
        "own_locked_rows": int((both & (bid == ask)).sum()),
        "withdrawn_bids": int((bid <= 0).sum()),
        "withdrawn_asks": int((ask <= 0).sum()),
        "early_stamps": int((tape.ts < NANOS_FROM).sum()),
        "off_tick": _off_tick(bid) + _off_tick(ask),
        "identical_rows": _identical_rows(tape),
    }


def _off_tick(px: Int64) -> int:
    """Count prices between two ticks."""
    rest = px[px // CENT * CENT != px]  # few as a rule; % is many times slower than // by a constant
    return int((np.where(rest < DOLLAR, rest % (CENT // 100), 1) > 0).sum())


def _identical_rows(tape: Tape) -> int:
    columns = [getattr(tape, name) for name in QUOTE_DTYPES]
    order = np.lexsort(columns)
    same = np.ones(max(tape.rows - 1, 0), np.bool_)
    for column in columns:
        same &= np.diff(column[order]) == 0
    return int(same.sum())


def _last_of_instant(tape: Tape) -> Flags:
    """(N,) bool: the row is the last one of its venue at its instant."""
    last = np.ones(tape.rows, np.bool_)
    last[:-1] = (np.diff(tape.ts) != 0) | (np.diff(tape.venue) != 0)
    return last


def _count_venue(tape: Tape, mine: Flags, last_of_instant: Flags) -> dict[str, int]:
    """Count what the rows of one venue show, one after the other."""
    steps = np.diff(tape.sequence[mine])
    by_one = len(steps) > 0 and 100 * int((steps == 1).sum()) >= 99 * len(steps)
    standing = mine & last_of_instant
    stood = np.diff(tape.ts[standing], append=tape.ts[-1])
    quoted = (tape.bid_px[standing] > 0) | (tape.ask_px[standing] > 0)
    return {
        "backward_sequences": int((steps < 0).sum()),
        "sequence_gaps": int((steps > 1).sum()) if by_one else 0,
        "old_quotes": int((quoted & (stood > OLD)).sum()),
    }


def _is_dead(tape: Tape, mine: Flags) -> bool:
    silence = int(tape.ts[-1] - tape.ts[mine][-1])
    return silence > OLD and DEAD_SHARE * silence >= int(tape.ts[-1] - tape.ts[0])


def _count_snapshots(tape: Tape, rows: Int64) -> dict[str, int]:
    """Count what the carried book shows, of the rows that are the last of their venue at their instant."""
    none = np.iinfo(np.int64).max
    crossed = locked = one_sided = stubs = sane = 0
    stale = np.zeros((2, len(rows)), np.bool_)
    for row, fresh in _carried(tape, rows):
        there = row >= 0
        bid = np.where(there, tape.bid_px[rows[row]], 0)
        ask = np.where(there, tape.ask_px[rows[row]], 0)
        ask[ask == 0] = none
        best_bid, best_ask = bid.max(axis=1), ask.min(axis=1)
        two_sided = (best_bid > 0) & (best_ask < none)
        one_sided += int((~two_sided).sum())
        crossed += int((two_sided & (best_bid > best_ask)).sum())
        locked += int((two_sided & (best_bid == best_ask)).sum())
        stubs += int((fresh & (bid > 0) & (10 * bid < 9 * best_bid[:, None])).sum())
        asked, least = np.where(ask < none, ask, 0), np.minimum(best_ask, PRICE_LIMIT)[:, None]
        stubs += int((fresh & (10 * asked > 11 * least)).sum())
        stub_bids, stub_asks, sane = _alone(best_bid, np.where(best_ask < none, best_ask, 0), sane)
        stubs += int((stub_bids[:, None] & fresh & (bid > 0) & (10 * bid >= 9 * best_bid[:, None])).sum())
        stubs += int((stub_asks[:, None] & fresh & (asked > 0) & (10 * asked <= 11 * least)).sum())
        new_bid = np.where(fresh, bid, 0).max(axis=1, keepdims=True)
        new_ask = np.where(fresh, ask, none).min(axis=1, keepdims=True)
        stale[0, row[~fresh & (bid > new_ask)]] = True
        stale[1, row[~fresh & (ask < new_bid)]] = True
    return {
        "crossed_snapshots": crossed,
        "locked_snapshots": locked,
        "one_sided_snapshots": one_sided,
        "stub_quotes": stubs,
        "stale_quotes": int(stale.sum()),
    }


def _alone(bid: Int64, ask: Int64, sane: int) -> tuple[Flags, Flags, int]:
    """Where the best of a side is itself a stub, as the book hides it (model section 3).

    Parameters
    ----------
    bid, ask : (C,) int64
        The best of each side, 1e-9 $, 0 = none.
    sane : int
        Twice the last mid before them of a book no wider than 10 % of it either way, 0 = none.

    Returns
    -------
    bids, asks : (C,) bool
    sane : int
        As before, after them.
    """
    both = (bid > 0) & (ask > 0)
    narrow = both & (10 * (ask - bid) <= ask + bid)
    at = np.maximum.accumulate(np.where(narrow, np.arange(len(bid)), -1))
    known = np.where(at >= 0, bid[at] + ask[at], sane)
    apart = both & (known == 0) & (ask > 2 * bid)
    compared = ~narrow & (known > 0)
    bids = apart | (compared & (bid > 0) & (20 * bid < 9 * known))
    asks = apart | (compared & (20 * ask > 11 * known))
    return bids, asks, int(known[-1])


def _carried(tape: Tape, rows: Int64) -> Iterator[tuple[Int64, Flags]]:
    """Give the carried book in chunks of snapshots.

    Yields
    ------
    row : (C, V) int64
        Index into `rows` of the quote that stands, -1 = none yet.
    fresh : (C, V) bool
        The venue published at this snapshot.
    """
    ts = tape.ts[rows]
    venues, column = np.unique(tape.venue[rows], return_inverse=True)
    snapshot = np.cumsum(np.diff(ts, prepend=ts[:1]) != 0)
    total = int(snapshot[-1]) + 1 if len(rows) else 0
    size = max(CHUNK // max(len(venues), 1), 1)
    standing = np.full(len(venues), -1, np.int64)
    for first in range(0, total, size):
        low, high = np.searchsorted(snapshot, [first, min(first + size, total)])
        row = np.full((min(size, total - first), len(venues)), -1, np.int64)
        row[snapshot[low:high] - first, column[low:high]] = np.arange(low, high)
        fresh = row >= 0
        row[0] = np.maximum(row[0], standing)
        np.maximum.accumulate(row, axis=0, out=row)
        standing = row[-1]
        yield row, fresh


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
        ("dead", ", ".join(map(str, quality.dead_venues)) or "none"),
        ("largest gap", f"{quality.largest_gap / 1e9:,.3f} s"),
        *(("ignored", f"{reason}: {count:,}") for reason, count in provenance.ignored.items()),
        *(("bad", f"partition {bad.partition}, offset {bad.offset}: {bad.reason}") for bad in provenance.bad[:SHOWN]),
        *(("note", note) for note in provenance.notes),
        *(("warning", f"{name}: {said}") for name, said in quality.details.items()),
    ]
    lines = [f"{name:<12} {printable(text)}" for name, text in facts]
    lines += ["", f"{'level':<8} {'count':>11}  check"]
    for name, (level, about) in CHECKS.items():
        count = quality.counts[name]
        lines.append(f"{level if count else '-':<8} {count:>11,}  {name}: {about}")
    return "\n".join(lines)
