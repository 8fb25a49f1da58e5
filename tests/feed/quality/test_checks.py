"""The quality check: each count against a hand-made tape, and all of the carried book against a plain loop."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import fields, replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.files.parquet import write_parquet
from feed.instants import parse_instant
from feed.options import ReadOptions
from feed.provenance import Provenance
from feed.quality import stretches
from feed.quality.checks import CHECKS, check, render
from feed.source import read_source, read_tapes
from feed.synthetic import VENUES, WINDOW, generate
from feed.tape import DAY, QUOTE_DTYPES, Tape
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, tapes
from tests.support.tapes import with_levels

FEW = examples(40)
PROVENANCE = Provenance(source="file", place="a\x1b[31m.csv", digest="0" * 64, snapshots=0, rows=0, trades=0)

_prices = st.one_of(
    st.integers(0, 300).map(lambda cents: cents * CENT),
    st.integers(0, 30_000).map(lambda part: part * CENT // 100),
    st.integers(0, 3 * 10**9),
)


_dear = st.sampled_from([250, 250.01, 251, 1_000, 1_000.01, 10_000, 10_000.01]).map(lambda px: round(px * 10**9))
COLUMNS = ("venue", "bid_px", "ask_px", "bid_sz", "ask_sz")


def build(*rows):
    """A tape of rows (seconds, venue, bid in cents, ask in cents, sequence), 100 shares each."""
    table = np.array(rows, np.int64).reshape(-1, 5)
    shares = np.full(len(table), 100)
    columns = (OPEN + table[:, 0] * SECOND, table[:, 1], table[:, 2] * CENT, table[:, 3] * CENT, shares, shares)
    return Tape.build("XYZ", **dict(zip(QUOTE_DTYPES, (*columns, table[:, 4]), strict=True)))


def counts_of(tape):
    return {name: count for name, count in check(tape).counts.items() if count}


def test_rows_are_counted_by_the_levels_of_their_deeper_side():
    flat = build((0, 2, 100, 102, 1), (1, 2, 0, 101, 2), (1, 3, 0, 0, 1), (2, 3, 100, 0, 2))
    assert check(flat).levels == {0: 1, 1: 3}
    assert check(flat).to_dict()["levels"] == {"0": 1, "1": 3}
    deep = with_levels(generate(seconds=20.0, levels=1), 4, seed=5)
    rows = zip(deep.bid_px, deep.ask_px, deep.levels.bid_px, deep.levels.ask_px, strict=True)
    shown = [1 + max((bids > 0).sum(), (asks > 0).sum()) if bid or ask else 0 for bid, ask, bids, asks in rows]
    quality = check(deep)
    assert quality.levels == dict(sorted(Counter(shown).items()))
    assert {1, 2, 3, 4} <= set(quality.levels)
    levels = ", ".join(f"{at}: {rows:,}" for at, rows in quality.levels.items())
    assert f"levels       {levels}" in render(quality, Provenance("file", "x", "", 0, 0, 0)).splitlines()


def test_a_clean_tape_has_no_findings():
    tape = build((0, 2, 100, 102, 1), (1, 2, 100, 101, 2), (1, 3, 99, 101, 1), (2, 3, 100, 102, 2))
    quality = check(tape)
    assert counts_of(tape) == {}
    assert (quality.rows, quality.snapshots, quality.trades) == (4, 3, 0)
    assert quality.venues == {2: 2, 3: 2}
    assert quality.largest_gap == SECOND
    assert (quality.start, quality.end) == (OPEN, OPEN + 2 * SECOND)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [(0, 2, 103, 102, 1), (1, 2, 100, 102, 2), (2, 2, 100, 102, 3)],
            {"own_crossed_rows": 1, "crossed_snapshots": 1},
        ),
        ([(0, 2, 102, 102, 1)], {"own_locked_rows": 1, "locked_snapshots": 1}),
        ([(0, 2, 100, 102, 1), (1, 3, 98, 99, 1)], {"crossed_snapshots": 1, "stale_quotes": 1}),
        ([(0, 2, 100, 102, 1), (1, 3, 103, 104, 1)], {"crossed_snapshots": 1, "stale_quotes": 1}),
        ([(0, 2, 100, 102, 1), (0, 3, 98, 99, 1)], {"crossed_snapshots": 1}),
        ([(0, 2, 100, 102, 1), (1, 3, 99, 100, 1)], {"locked_snapshots": 1}),
        ([(0, 2, 0, 102, 1)], {"withdrawn_bids": 1, "one_sided_snapshots": 1}),
        ([(0, 2, 100, 0, 1)], {"withdrawn_asks": 1, "one_sided_snapshots": 1}),
        ([(0, 2, 100, 102, 1), (1, 3, 90, 113, 1)], {"stub_quotes": 1}),
        ([(0, 2, 100, 102, 1), (1, 3, 89, 112, 1)], {"stub_quotes": 1}),
        ([(0, 9, 1, 19_999_999, 1), (1, 2, 9_999, 10_001, 1)], {"stub_quotes": 2}),
        (
            [(0, 2, 9_999, 10_001, 1), (1, 2, 0, 100_001, 2)],
            {"stub_quotes": 1, "withdrawn_bids": 1, "one_sided_snapshots": 1},
        ),
        ([(0, 2, 9_999, 10_001, 1), (1, 2, 0, 100_000, 2)], {"withdrawn_bids": 1, "one_sided_snapshots": 1}),
        ([(0, 2, 9_999, 10_001, 1), (1, 2, 999, 100_001, 2)], {"stub_quotes": 2}),
        ([(0, 2, 9_999, 10_001, 1), (1, 2, 4_000, 10_001, 2)], {}),
        ([(0, 2, 100, 200, 1)], {}),
        ([(0, 2, 100, 102, 1), (0, 2, 100, 103, 2)], {"superseded_rows": 1}),
        ([(0, 2, 100, 102, 1), (0, 2, 100, 102, 1)], {"superseded_rows": 1, "identical_rows": 1}),
        ([(0, 2, 100, 102, 5), (1, 2, 100, 102, 4)], {"backward_sequences": 1}),
        ([(0, 2, 100, 102, 1), (11, 2, 100, 102, 2)], {"time_gaps": 1}),
        ([(at, 2, 100, 102, at + (at > 150)) for at in range(200)], {"sequence_gaps": 1}),
        ([(at, 2, 100, 102, 3 * at) for at in range(200)], {}),
    ],
)
def test_each_finding(rows, expected):
    assert counts_of(build(*rows)) == expected


@pytest.mark.parametrize(
    ("bid", "ask", "count"),
    [
        (100 * CENT, 101 * CENT, 0),
        (100 * CENT + CENT // 2, 101 * CENT, 1),
        (100 * CENT + 1, 101 * CENT - 1, 2),
        (100 * CENT - CENT // 100, 100 * CENT, 0),  # below a dollar
        (99 * CENT + 1, 100 * CENT, 1),
        (CENT // 100, CENT, 0),
        (0, 0, 0),
    ],
)
def test_a_quote_is_off_tick_by_the_cent_and_below_a_dollar_by_its_hundredth(bid, ask, count):
    tape = replace(build((0, 2, 100, 101, 1)), bid_px=np.array([bid]), ask_px=np.array([ask]))
    assert check(tape).counts["off_tick"] == count


def lot_of(day, px):
    """Shares of a round lot on a date at a price in 1e-9 $, as rule 600(b)(93) words it."""
    dollars = Decimal(px) / 10**9
    if day < "2025-11-03" or dollars <= 250:
        return 100
    return 40 if dollars <= 1000 else 10 if dollars <= 10_000 else 1


DAYS = ["2006-01-30", "2006-01-31", "2018-01-02", "2025-11-02", "2025-11-03", "2026-11-27", "2027-10-29", "2027-11-01"]


@FEW
@given(
    st.sampled_from([(2, 3, 43), (2, 1), (2, 20_100), (900, 20_000, 122)]),
    st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(DAYS), _prices | _dear, _prices | _dear, *[st.integers(1, 101)] * 2
        ),
        max_size=20,
    ),
)
def test_ticks_and_lots_and_publishers_are_counted_as_in_a_plain_loop(ids, rows):
    rows = [(ids[at % len(ids)], *others) for at, *others in rows]
    quotes = [
        (venue, day, px, sz) for venue, day, bid, ask, *sizes in rows for px, sz in zip((bid, ask), sizes, strict=True)
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    ts = [parse_instant(f"{day}T15:00:00Z") + at for at, day in enumerate(columns[1])]
    tape = Tape.build(
        "XYZ",
        ts=np.array(ts, np.int64),
        sequence=np.arange(len(rows)),
        **{name: np.array(each, np.int64) for name, each in zip(COLUMNS, (columns[0], *columns[2:]), strict=True)},
    )
    counts = check(tape).counts
    assert counts["unknown_publishers"] == sum(row[0] == 900 for row in rows)
    abroad = any(row[0] in {1, 20_100} for row in rows)
    off = odd = 0
    for _, day, px, sz in quotes:
        cent = Decimal("0.005") if day >= "2027-11-01" else Decimal("0.01")
        tick = cent if px >= 10**9 else Decimal("0.0001")
        off += px > 0 and day >= "2006-01-31" and Decimal(px) / 10**9 % tick != 0
        odd += px > 0 and sz < lot_of(day, px)
    assert counts["off_tick"] == (0 if abroad else off)
    assert counts["odd_lots"] == (0 if abroad else odd)


def test_what_is_no_us_equity_or_of_another_time_is_not_counted_and_says_so():
    coins = replace(build((0, 20_100, 100, 101, 1)), bid_px=np.array([CENT + 1]))
    quality = check(coins)
    assert quality.counts["off_tick"] == quality.counts["odd_lots"] == 0
    assert quality.details["off_tick"] == "not counted: ids 20100 trade no US equities"
    assert "note         off_tick: not counted" in render(quality, PROVENANCE)
    stock = replace(coins, venue=np.array([2], np.int16))
    assert check(stock).counts["off_tick"] == 1
    before = replace(stock, ts=np.array([parse_instant("2005-06-01T15:00:00Z")]))
    assert check(before).counts["off_tick"] == 0
    assert check(before).details == {"off_tick": "counted from 2006-01-31 on, as there was no rule before"}
    later = replace(stock, ts=np.array([parse_instant("2026-11-30T15:00:00Z")]))
    said_so = "2026-11-30 is after 2026-11-29, when the tables of these rules were last checked"
    assert check(later).details == {"off_tick": said_so, "odd_lots": said_so}


def test_odd_lots_of_real_days_are_those_that_pandas_counts(l1_day, taq_day):
    for path, expected in ((l1_day, 34_381), (taq_day, 0)):
        table = pd.read_csv(path)
        odd = sum(
            int(((table[f"{side}_px_00"] > 0) & table[f"{side}_sz_00"].between(1, 99)).sum()) for side in ("bid", "ask")
        )
        counts = check(read_source(str(path))[0]).counts
        assert (counts["odd_lots"], counts["off_tick"]) == (odd, 0)
        assert odd == expected


@pytest.mark.parametrize(
    ("day", "px", "lot"),
    [
        ("2025-10-31", 260, 100),
        ("2025-11-03", 260, 40),
        ("2025-11-03", 250, 100),
        ("2026-11-27", 1_000, 40),
        ("2026-11-27", 1_001, 10),
        ("2026-11-27", 10_001, 1),
    ],
)
def test_a_round_lot_depends_on_the_date_and_the_price(day, px, lot):
    ts, nanos = np.array([parse_instant(f"{day}T15:00:00Z")] * 2), np.array([px, px]) * 10**9
    columns = {"bid_px": nanos - CENT * (px > 1_000), "ask_px": nanos, "venue": np.array([2, 3], np.int16)}
    sizes = {"bid_sz": np.full(2, lot), "ask_sz": np.array([lot, max(lot - 1, 1)])}
    tape = Tape.build("XYZ", ts=ts, sequence=np.arange(2), **columns, **sizes)
    assert check(tape).counts["odd_lots"] == (lot > 1)


def test_an_old_quote_stood_over_a_minute_also_at_the_end():
    every = [(at, 3, 100, 102, at) for at in range(0, 130, 5)]
    assert counts_of(build((0, 2, 100, 102, 1), (61, 2, 100, 102, 2), *every))["old_quotes"] == 2
    assert counts_of(build((0, 2, 100, 102, 1), (61, 2, 0, 0, 2), *every))["old_quotes"] == 1


def test_a_venue_is_dead_after_silence_of_a_minute_and_a_quarter():
    every = [(at, 3, 100, 102, at) for at in range(0, 201, 5)]
    assert check(build((0, 2, 100, 102, 1), (139, 2, 100, 102, 2), *every)).dead_venues == (2,)
    assert check(build((0, 2, 100, 102, 1), (140, 2, 100, 102, 2), *every)).dead_venues == ()
    later = [(at, 3, 100, 102, at) for at in range(0, 401, 5)]
    assert check(build((0, 2, 100, 102, 1), (310, 2, 100, 102, 2), *later)).dead_venues == ()


def test_rows_of_1970_are_a_warning_in_whatever_they_were_written():
    early = build((0, 2, 100, 102, 1), (1, 2, 100, 102, 2))
    early = Tape.build("XYZ", **{name: getattr(early, name) for name in QUOTE_DTYPES} | {"ts": early.ts // 1000})
    assert counts_of(early) == {"early_stamps": 2}
    assert check(early).warnings == ("early_stamps",)
    assert (
        check(
            Tape.build("XYZ", **{name: getattr(early, name) for name in QUOTE_DTYPES} | {"ts": early.ts * 0 + 10**17})
        ).warnings
        == ()
    )


def test_an_empty_tape_and_one_without_quotes_are_errors():
    assert check(build()).errors == ("no_quotes",)
    assert check(build()).to_dict()["start"] is None
    assert check(build((0, 2, 0, 0, 1))).errors == ("no_quotes",)
    assert "no_quotes" in render(check(build()), PROVENANCE)


def test_swapped_sides_are_an_error():
    assert check(build((0, 2, 103, 102, 1), (1, 2, 103, 102, 2))).errors == ("sides_swapped",)


@pytest.mark.parametrize(
    ("column", "values", "error"),
    [
        ("ask_sz", [100, 0], "unnormalised_rows"),
        ("bid_px", [0, CENT], "unnormalised_rows"),
        ("ask_px", [-1, 102 * CENT], "unnormalised_rows"),
        ("ts", [OPEN + 1, OPEN], "unordered_rows"),
    ],
)
def test_a_tape_that_was_not_built_is_an_error(column, values, error):
    tape = build((0, 2, 100, 102, 1), (1, 2, 100, 102, 2))
    columns = {f.name: getattr(tape, f.name) for f in fields(tape)}
    columns[column] = np.array(values, columns[column].dtype)
    assert check(Tape(**columns)).errors == (error,)


def test_dates_beyond_the_first_are_a_warning():
    quality = check(build((0, 2, 100, 102, 1), (DAY // SECOND, 2, 100, 102, 2)))
    assert quality.counts["several_dates"] == 1
    assert "several_dates" in quality.warnings
    assert quality.errors == ()


def test_nothing_is_carried_over_a_date():
    """Of two dates together what each has alone: quotes that stand at midnight cross none of the next day's."""
    first = [(0, 2, 100, 102, 1), (1, 43, 99, 101, 1), (70, 2, 103, 104, 2)]
    later = [(DAY // SECOND + each, *row) for each, *row in [(0, 2, 90, 95, 3), (5, 43, 96, 97, 2), (6, 2, 96, 97, 4)]]
    together = check(build(*first, *later)).counts
    apart = [check(build(*rows)).counts for rows in (first, later)]
    carried = (
        "crossed_snapshots",
        "locked_snapshots",
        "one_sided_snapshots",
        "stub_quotes",
        "stale_quotes",
        "old_quotes",
    )
    assert {name: together[name] for name in carried} == {name: apart[0][name] + apart[1][name] for name in carried}
    assert together["crossed_snapshots"] == 2
    assert together["old_quotes"] == 2


def plain_counts(tape):
    """The carried book in a loop over rows, without arrays."""
    counts = dict.fromkeys(("crossed", "locked", "one_sided", "stub"), 0)
    stale, book, sane = set(), {}, None
    rows = list(zip(tape.ts.tolist(), tape.venue.tolist(), tape.bid_px.tolist(), tape.ask_px.tolist(), strict=True))
    for ts in sorted({row[0] for row in rows}):
        fresh = {venue: (at, bid, ask) for at, (row_ts, venue, bid, ask) in enumerate(rows) if row_ts == ts}
        book |= fresh
        bids = [bid for _, bid, _ in book.values() if bid]
        asks = [ask for _, _, ask in book.values() if ask]
        counts["one_sided"] += not bids or not asks
        if bids and asks:
            counts["crossed"] += max(bids) > min(asks)
            counts["locked"] += max(bids) == min(asks)
        hidden = {"bid": False, "ask": False}
        if bids and asks and min(asks) <= 2 * max(bids):
            sane = (min(asks) + max(bids)) / 2
        elif sane is not None:
            hidden = {"bid": bids and 10 * max(bids) < sane, "ask": asks and min(asks) > 10 * sane}
        elif bids and asks and min(asks) > 100 * max(bids):
            hidden = {"bid": True, "ask": True}
        for _, bid, ask in fresh.values():
            counts["stub"] += bool(bid and (hidden["bid"] or 10 * bid < 9 * max(bids)))
            counts["stub"] += bool(ask and (hidden["ask"] or 10 * ask > 11 * min(asks)))
            for venue, (at, old_bid, old_ask) in book.items():
                if venue not in fresh:
                    stale |= {(at, "bid")} if ask and old_bid > ask else set()
                    stale |= {(at, "ask")} if old_ask and old_ask < bid else set()
    return counts | {"stale": len(stale)}


@FEW
@given(tapes(max_rows=30))
def test_the_carried_counts_equal_a_plain_loop(tape):
    counts, plain = check(tape).counts, plain_counts(tape)
    for name in ("crossed", "locked", "one_sided"):
        assert counts[f"{name}_snapshots"] == plain[name]
    assert (counts["stub_quotes"], counts["stale_quotes"]) == (plain["stub"], plain["stale"])


@FEW
@given(tapes())
def test_the_size_of_a_chunk_changes_nothing(tape):
    whole = check(tape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "CHUNK", 3)
        assert check(tape) == whole


def plain_counts_of_venues(tape):
    """Count what the rows of each venue show, one venue after the other; and name the dead ones."""
    last = {(ts, venue): row for row, (ts, venue) in enumerate(zip(tape.ts.tolist(), tape.venue.tolist(), strict=True))}
    backward, gaps, old, dead = 0, 0, 0, []
    for venue in np.unique(tape.venue).tolist():
        mine = np.flatnonzero(tape.venue == venue)
        steps = np.diff(tape.sequence[mine]).tolist()
        backward += sum(step < 0 for step in steps)
        if steps and 100 * steps.count(1) >= 99 * len(steps):
            gaps += sum(step > 1 for step in steps)
        stand = [row for row in mine.tolist() if last[tape.ts[row], venue] == row]
        for row, after in zip(stand, [*stand[1:], -1], strict=True):
            quoted = tape.bid_px[row] > 0 or tape.ask_px[row] > 0
            old += bool(quoted and tape.ts[after] - tape.ts[row] > 60 * SECOND)
        silence = tape.ts[-1] - tape.ts[mine[-1]]
        if silence > 60 * SECOND and 4 * silence >= tape.ts[-1] - tape.ts[0]:
            dead.append(venue)
    return backward, gaps, old, tuple(dead)


@FEW
@given(tapes(max_rows=30), st.sampled_from([1, 30, 90]))
def test_the_counts_of_venues_equal_a_plain_loop(tape, slower):
    tape = replace(tape, ts=OPEN + (tape.ts - OPEN) * slower)
    quality = check(tape)
    counts = tuple(quality.counts[name] for name in ("backward_sequences", "sequence_gaps", "old_quotes"))
    assert (*counts, quality.dead_venues) == plain_counts_of_venues(tape)


@pytest.mark.timeout(60)
def test_the_check_takes_no_cell_for_each_snapshot_and_venue():
    venues = 30_000  # with one it would be 1.8e9 of them, and minutes
    row = np.arange(2 * venues)
    tape = Tape.build(
        "XYZ",
        ts=OPEN + row * 1000,
        venue=row % venues,
        bid_px=(100 + row // venues) * CENT,
        ask_px=101 * CENT + 0 * row,
        bid_sz=100 + 0 * row,
        ask_sz=100 + 0 * row,
        sequence=row // venues,
    )
    quality = check(tape)
    assert quality.counts["locked_snapshots"] == venues  # 1.00 at 1.01 $, then 1.01 at 1.01 $
    assert quality.counts["crossed_snapshots"] == quality.counts["stale_quotes"] == 0
    assert len(quality.venues) == venues


@FEW
@given(tapes())
def test_it_is_plain_json_and_complete(tape):
    quality = check(tape)
    assert json.loads(json.dumps(quality.to_dict())) == quality.to_dict()
    assert list(quality.counts) == list(CHECKS)
    assert sum(quality.venues.values()) == quality.rows
    assert quality.errors in {(), ("no_quotes",), ("sides_swapped",)}


def test_the_synthetic_stream_shows_what_it_promises():
    tape = generate()
    quality = check(tape)
    assert quality.dead_venues == (VENUES[4],)
    assert quality.errors == ()
    alive = check(tape.clip(WINDOW[0] - 78 * SECOND, WINDOW[0] + 170 * SECOND))
    assert alive.counts["stale_quotes"] > 20
    assert 0 < alive.counts["crossed_snapshots"] < 0.2 * alive.snapshots
    assert alive.counts["locked_snapshots"] > 0


def test_the_table_is_escaped_and_says_the_level():
    text = render(check(build((0, 2, 103, 102, 1), (1, 2, 100, 102, 2))), PROVENANCE)
    assert "\x1b" not in text
    assert "a\\x1b[31m.csv" in text
    assert "warning            1  own_crossed_rows" in text
    assert "-                  0  no_quotes" in text


def test_real_days_are_usable(l1_day, taq_day):
    for path, stale in ((l1_day, 0), (taq_day, 987)):
        tape, provenance = read_source(str(path))
        quality = check(tape)
        assert quality.errors == ()
        assert quality.counts["stale_quotes"] == stale
        assert provenance.digest in render(quality, provenance)


HEADER = "ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol"


def written(path, symbols, rows=2):
    """A file of so many symbols, their rows in turn."""
    lines = [
        f"{OPEN + at * SECOND},{2 + at % 3},{at},100.10,100.12,100,200,S{at % symbols:05d}"
        for at in range(rows * symbols)
    ]
    path.write_text("\n".join([HEADER, *lines, ""]))
    return str(path)


def calls(source, **options):
    """How many functions, numpy's too, are called to read and check a source, and how many tapes it has."""
    count = 0

    def noted(_frame, event, _what):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(noted)
    try:
        reports = [(check(tape).to_dict(), its.to_dict()) for tape, its in read_tapes(source, ReadOptions(**options))]
    finally:
        sys.setprofile(None)
    return count, len(reports)


def test_a_symbol_takes_the_same_work_however_many_there_are_and_little(tmp_path):
    sizes = [10, 50, 250]
    sources = [written(tmp_path / f"{size}.csv", size) for size in sizes]
    calls(sources[0])  # what is imported at first use
    counts = [calls(source)[0] for source in sources]
    few, many = ((counts[at + 1] - counts[at]) / (sizes[at + 1] - sizes[at]) for at in (0, 1))
    assert abs(many - few) < 2
    assert many < 760  # each tape costs what its calls do, not what its rows do


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_of_many_symbols_the_one_asked_for_is_read_alone(tmp_path, monkeypatch, ending):
    source = written(tmp_path / "day.csv", 30)
    if ending == ".parquet":
        write_parquet([tape for tape, _ in read_tapes(source)], tmp_path / "day.parquet")
        source = str(tmp_path / "day.parquet")
    built = []
    build_tape = Tape.build
    monkeypatch.setattr(Tape, "build", lambda symbol, **columns: built.append(symbol) or build_tape(symbol, **columns))
    ((tape, provenance),) = read_tapes(source, ReadOptions(symbol="S00007"))
    assert (tape.symbol, tape.rows, built) == ("S00007", 2, ["S00007"])
    assert provenance.ignored["other_symbol"] == 58


@pytest.mark.parametrize(
    ("size", "cents", "count", "expected"),
    [
        (3, 1, 60, {"sizes_in_lots"}),
        (3, 1, 40, set()),  # 80 quotes are too few to say so
        (100, 1, 60, set()),
        (100, 0, 60, {"whole_dollars"}),
        (7, 0, 60, {"sizes_in_lots", "whole_dollars"}),
    ],
)
def test_sizes_and_prices_that_may_be_in_another_unit_are_warned_of(size, cents, count, expected):
    rows = np.arange(count)
    px = 100 * 10**9 + cents * CENT
    tape = Tape.build(
        "X",
        ts=OPEN + rows,
        venue=np.full(count, 2),
        bid_px=np.full(count, px),
        ask_px=np.full(count, px + 10**9),
        bid_sz=np.full(count, size),
        ask_sz=np.full(count, size),
        sequence=rows,
    )
    warned = {"sizes_in_lots", "whole_dollars"} & {*check(tape).warnings}
    assert warned == expected
