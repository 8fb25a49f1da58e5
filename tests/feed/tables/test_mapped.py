"""Any tape, written as a desk might write it, is read back by its mapping as the same tape; what is wrong is named."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.memory import plan_table
from feed.files.registry import read_file
from feed.instants import format_instant
from feed.options import ReadOptions
from feed.tables import parse_mapping
from feed.tape import UNNAMED, Tape, same
from tests.support.examples import examples
from tests.support.strategies import OPEN, deep_tapes, tapes

MICS = {2: "XNAS", 3: "XBOS", 5: "BATS", 9: "XNYS", 43: "ARCX"}
LETTERS = {2: "Q", 3: "B", 5: "Z", 9: "N", 43: "P"}


def local(ts, zone):
    return [str(pd.Timestamp(each, unit="ns", tz="UTC").tz_convert(zone).tz_localize(None)) for each in ts.tolist()]


TIMES = [
    (lambda ts: [format_instant(each) for each in ts.tolist()], {}),
    (lambda ts: local(ts, "America/New_York"), {"zone": "America/New_York"}),
    (lambda ts: ts.tolist(), {}),
    (lambda ts: ts.tolist(), {"time_unit": "ns"}),
    (
        lambda ts: [each[11:] for each in local(ts, "America/New_York")],
        {"zone": "America/New_York", "date": "2024-08-01", "time_unit": "clock"},
    ),
    (
        lambda ts: (ts - OPEN // (86_400 * 10**9) * 86_400 * 10**9).tolist(),
        {"zone": "UTC", "date": "20240801", "time_unit": "ns"},
    ),
]
VENUES = [
    (int, {}),
    (int, {"venues": "id"}),
    (MICS.get, {}),
    (LETTERS.get, {"venues": "taq"}),
    (
        {2: "one", 3: "two", 5: "three", 9: "four", 43: "five"}.get,
        {"venues": {"one": 2, "two": "XBOS", "three": 5, "four": "N", "five": "ARCX"}},
    ),
]
PRICES = [
    (lambda px: format(Decimal(px).scaleb(-9), ".2f") if px else "", {}),
    (lambda px: format(Decimal(px).scaleb(-9), "f"), {"price_unit": "dollars"}),
    (lambda px: px // 10**7, {"price_unit": "cents"}),
    (lambda px: px // 10**5, {"price_unit": "1e-4"}),
    (lambda px: px, {"price_unit": 1e-9}),
    (lambda px: px / 1e9 if px else None, {"price_unit": "dollars"}),
]
READERS = ["csv", "csv.gz", "parquet", "pandas", "polars", "arrow"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def read(folder, kind, columns, quotes, **options):
    """Read columns that are written in a kind of file, or given as a kind of frame."""
    quotes = parse_mapping(quotes)
    table = pa.table(columns)
    if kind in {"pandas", "polars", "arrow"}:
        source = {"pandas": table.to_pandas, "polars": lambda: pl.from_arrow(table), "arrow": lambda: table}[kind]()
        plan = plan_table(source, ReadOptions(quotes=quotes, **options))
        return plan.ranges[0].read()
    path = folder / f"day.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.CompressedOutputStream(path, "gzip") if kind.endswith("gz") else pa.OSFile(str(path), "wb") as file:
            pa_csv.write_csv(table, file)
    return read_file(path, quotes=quotes, **options)


@st.composite
def layouts(draw):
    return [draw(st.sampled_from(each)) for each in (TIMES, VENUES, PRICES, READERS)]


@given(tapes(trades=False), layouts(), st.booleans(), st.booleans())
@examples(150)
def test_rows_of_both_sides_are_the_tape_that_they_were_written_from(folder, tape, layout, named, numbered):
    (time, times), (venue, venues), (price, prices), kind = layout
    columns = {
        "when": time(tape.ts),
        "where": [venue(each) for each in tape.venue.tolist()],
        "b": [price(each) for each in tape.bid_px.tolist()],
        "a": [price(each) for each in tape.ask_px.tolist()],
        "bs": tape.bid_sz,
        "as": tape.ask_sz,
    }
    quotes = {"time": "when", "venue": "where", "bid_px": "b", "ask_px": "a", "bid_sz": "bs", "ask_sz": "as"}
    if named:
        columns["what"], quotes["symbol"] = [tape.symbol] * tape.rows, "what"
    if numbered:
        columns["n"], quotes["sequence"] = tape.sequence, "n"
    block = read(folder, kind, columns, quotes | times | venues | prices)
    sequence = tape.sequence if numbered else np.arange(tape.rows)
    expected = Tape.build(
        tape.symbol if named else UNNAMED,
        **{name: getattr(tape, name) for name in ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz")},
        sequence=sequence,
    )
    assert block.tape.digest() == expected.digest()
    assert same(block.tape, expected)


@given(deep_tapes(trades=False), st.sampled_from(READERS), st.sampled_from([0, 1]), st.randoms(use_true_random=False))
@examples(80)
def test_rows_of_one_level_of_one_side_are_folded_into_the_tape_that_they_were_written_from(
    folder, tape, kind, base, rng
):
    last = np.append((tape.ts[1:] != tape.ts[:-1]) | (tape.venue[1:] != tape.venue[:-1]), True)
    kept = np.flatnonzero(last)
    rows = []
    for at in kept.tolist():
        own = []
        for side, word in (("bid", "B"), ("ask", "ask")):
            for level in range(tape.depth):
                px, sz = (
                    (
                        getattr(tape, f"{side}_{what}")[at]
                        if level == 0
                        else getattr(tape.levels, f"{side}_{what}")[at, level - 1]
                    )
                    for what in ("px", "sz")
                )
                own.append((tape.ts[at], tape.venue[at], word, level + base, int(px), int(sz), at))
        rng.shuffle(own)
        rows += own
    names = ("when", "where", "side", "level", "px", "sz", "n")
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    quotes = {
        "time": "when",
        "venue": "where",
        "side": "side",
        "px": "px",
        "sz": "sz",
        "level": "level",
        "sequence": "n",
    }
    block = read(folder, kind, columns, quotes | {"price_unit": "1e-9"}, depth=tape.depth)
    levels = {name: getattr(tape.levels, name)[kept] for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    expected = Tape.build(
        UNNAMED,
        **{name: getattr(tape, name)[kept] for name in ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz")},
        sequence=kept,
        levels=levels,
    )
    assert same(block.tape.shown(), expected.shown())


def test_levels_in_columns_are_read_best_first_up_to_the_depth_asked_for(folder):
    columns = {"t": ["2024-08-01T14:00:00Z"], "b1": ["10.01"], "b2": ["10.00"], "a1": ["10.02"], "a2": ["10.04"]}
    columns |= {f"{side}s{level}": [level * 100] for side in "ba" for level in (1, 2)}
    quotes = {
        "time": "t",
        "at": "XNAS",
        "bid_px": ["b1", "b2"],
        "ask_px": ["a1", "a2"],
        "bid_sz": ["bs1", "bs2"],
        "ask_sz": ["as1", "as2"],
    }
    block = read(folder, "csv", columns, quotes)
    assert (block.tape.depth, block.tape.venue.tolist()) == (2, [2])
    assert block.tape.levels.ask_px.tolist() == [[10_040000000]]
    assert read(folder, "csv", columns, quotes, depth=1).tape.levels is None


def test_a_market_sent_whole_withdraws_the_venue_that_it_does_not_name_any_more(folder):
    columns = {
        "t": [OPEN, OPEN, OPEN + 1, OPEN + 2, OPEN + 2],
        "v": ["XNAS", "XNYS", "XNAS", "XNAS", "XNYS"],
        "b": ["10.00", "10.01", "10.02", "10.03", "10.04"],
        "a": ["11.00", "11.01", "11.02", "11.03", "11.04"],
        "s": [100] * 5,
    }
    quotes = {"time": "t", "venue": "v", "bid_px": "b", "ask_px": "a", "bid_sz": "s", "ask_sz": "s"}
    updates = read(folder, "csv", columns, quotes).tape
    whole = read(folder, "csv", columns, quotes | {"rows": "snapshots"}).tape
    assert updates.rows == 5
    gone = (whole.ts == OPEN + 1) & (whole.venue == 9)
    assert whole.rows == 6
    assert (whole.bid_px[gone].tolist(), whole.ask_sz[gone].tolist()) == ([0], [0])


def test_books_sent_whole_row_by_row_are_ranked_by_price(folder):
    rows = [("bid", "9.99", 5), ("bid", "10.00", 7), ("ask", "10.02", 3), ("ask", "10.01", 1), ("bid", "9.98", 0)]
    columns = {"t": [OPEN] * 5 + [OPEN + 1], "v": ["XNAS"] * 6}
    columns |= {name: [row[at] for row in [*rows, ("bid", "9.97", 4)]] for at, name in enumerate(("side", "px", "sz"))}
    quotes = {"time": "t", "venue": "v", "side": "side", "px": "px", "sz": "sz", "rows": "snapshots"}
    tape = read(folder, "csv", columns, quotes).tape
    assert tape.bid_px.tolist() == [10 * 10**9, 9_970000000]
    assert tape.levels.bid_px.tolist() == [[9_990000000], [0]]
    assert (tape.ask_px.tolist(), tape.levels.ask_sz.tolist()) == ([10_010000000, 0], [[3], [0]])


ROW = {"t": [OPEN], "v": ["XNAS"], "b": ["10.00"], "a": ["10.01"], "s": ["100"]}
WIDE = {"time": "t", "venue": "v", "bid_px": "b", "ask_px": "a", "bid_sz": "s", "ask_sz": "s"}


@pytest.mark.parametrize(
    ("columns", "quotes", "error", "why"),
    [
        ({"b": ["10"], "a": ["11"]}, {}, FeedUnavailable, "prices are whole numbers, and nothing says of what"),
        ({"b": ["-10.5"]}, {}, FeedUnavailable, "a price is below 0, the first at line 2, column b"),
        ({"v": ["Nowhere"]}, {}, FeedUnavailable, "line 2, column v: 'Nowhere' is no venue"),
        ({"v": ["Nowhere"]}, {}, FeedUnavailable, "say which it is: quotes.venues={TEXT: MIC}"),
        ({}, {"venue": None, "at": "Nowhere"}, FeedUnavailable, "say which it is: quotes.at=MIC"),
        ({"v": ["ARCA"]}, {"venues": {"NSDQ": 2}}, FeedUnavailable, "'ARCA' is not in quotes.venues"),
        ({"v": [None]}, {}, FeedCorrupt, "line 2, column v: it is empty"),
        ({"t": ["yesterday"]}, {}, FeedCorrupt, "line 2, column t: 'yesterday' .expected ISO 8601"),
        ({"t": [OPEN // 1000]}, {}, FeedCorrupt, "line 2, column t: .*quotes.time_unit=us makes it 2024"),
        ({"s": ["1.5"]}, {}, FeedCorrupt, "line 2, column s: '1.5' .expected a whole number of shares"),
        ({"b": ["ten"]}, {}, FeedCorrupt, "line 2, column b: 'ten' .expected a number"),
        ({}, {"bid_px": "bid"}, FeedUnavailable, "missing columns: 'bid'; columns there: a, b, s, t, v"),
        ({}, {"time_unit": "us"}, FeedCorrupt, "column t: .*1970-01-01 to 2262"),
        ({}, {"date": "2024-08-01", "zone": "UTC"}, FeedCorrupt, "column t: .* of numbers since midnight say the unit"),
        ({"q": ["x"]}, {"sequence": "q"}, FeedCorrupt, "line 2, column q: 'x' .expected"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_named_with_its_row_and_column(folder, columns, quotes, error, why):
    with pytest.raises(error, match=why):
        read(folder, "csv", ROW | columns, WIDE | quotes)


def test_a_price_below_0_is_no_quote_where_that_is_said_to_be_meant(folder):
    block = read(folder, "csv", ROW | {"b": ["-10.5"]}, WIDE | {"prices": "signed"})
    assert (block.tape.bid_px.tolist(), block.fragments[0].ignored) == ([0], {"negative_numbers": 1})


@pytest.mark.parametrize("kind", READERS)
def test_of_several_symbols_each_is_a_tape_and_one_can_be_asked_for(folder, kind):
    columns = {name: values * 3 for name, values in ROW.items()} | {"x": ["NA", "AAPL", None]}
    quotes = WIDE | {"symbol": "x"}
    assert [each.tape.symbol for each in read(folder, kind, columns, quotes).fragments] == ["AAPL", "NA", UNNAMED]
    block = read(folder, kind, columns, quotes, symbol="NA")
    assert (block.tape.symbol, block.fragments[0].ignored) == ("NA", {"other_symbol": 2})
    assert read(folder, kind, columns, quotes, symbol="MSFT").fragments == ()


def test_a_side_of_unknown_name_is_asked_for_and_a_named_one_read(folder):
    columns = {"t": [OPEN], "v": ["XNAS"], "side": ["Geld"], "px": ["10.00"], "sz": [1]}
    quotes = {"time": "t", "venue": "v", "side": "side", "px": "px", "sz": "sz"}
    with pytest.raises(FeedUnavailable, match=r"'Geld' is no side; say what it holds: quotes.bid=\.\.\., quotes.ask"):
        read(folder, "csv", columns, quotes)
    assert read(folder, "csv", columns, quotes | {"bid": "Geld", "ask": "Brief"}).tape.bid_sz.tolist() == [1]


def test_rows_out_of_time_are_sorted_in_and_counted_in_both_layouts(folder):
    columns = {name: values * 2 for name, values in ROW.items()} | {"t": [OPEN + 5, OPEN]}
    assert read(folder, "csv", columns, WIDE).fragments[0].ignored == {"out_of_order": 1}
    long = {"t": [OPEN + 5, OPEN], "v": ["XNAS"] * 2, "side": ["B", "A"], "px": ["10.00", "10.01"], "sz": [1, 2]}
    block = read(folder, "csv", long, {"time": "t", "venue": "v", "side": "side", "px": "px", "sz": "sz"})
    assert block.fragments[0].ignored == {"out_of_order": 1}
    assert block.tape.ask_sz.tolist() == [2, 2]


@pytest.mark.parametrize(("day", "order"), [("20240801", {}), ("8/1/2024", {"date_order": "mdy"})])
def test_a_delimiter_a_date_column_and_a_note_of_how_the_table_was_read(tmp_path, day, order):
    path = tmp_path / "desk.csv"
    path.write_text(f"day|at|ex|bid|ask|n\n{day}|9:30:00.5|ARCA|10.00|10.01|3\n")
    quotes = {
        "time": "at",
        "date": "day",
        "zone": "America/New_York",
        "venue": "ex",
        "delimiter": "|",
        "size_unit": "lots of 100",
    }
    quotes |= {"bid_px": "bid", "ask_px": "ask", "bid_sz": "n", "ask_sz": "n"}
    block = read_file(path, quotes=parse_mapping(quotes | order))
    assert format_instant(int(block.tape.ts[0])) == "2024-08-01T13:30:00.500000000Z"
    assert (block.tape.venue.tolist(), block.tape.bid_sz.tolist()) == ([43], [300])
    assert "no sequence: the order of the rows stands in" in block.fragments[0].notes


@pytest.mark.parametrize("content", ["a,b\n", "", "a,b\n1\n", "a,b\n1,2,3\n"])
def test_a_table_without_rows_or_of_torn_rows_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "desk.csv"
    path.write_text(content)
    quotes = parse_mapping({"time": "a", "at": 2, **dict.fromkeys(("bid_px", "ask_px", "bid_sz", "ask_sz"), "b")})
    with pytest.raises((FeedUnavailable, FeedCorrupt)) as raised:
        read_file(path, quotes=quotes)
    assert "\n" not in str(raised.value)


def test_coins_are_counted_in_parts_and_cost_that_part_of_the_price(folder):
    columns = ROW | {"v": ["binance"], "b": ["60000.01"], "a": ["60000.02"], "s": ["0.00123"]}
    tape = read(folder, "csv", columns, WIDE | {"size_unit": "1e-5", "venues": "tardis"}).tape
    assert (tape.bid_sz.tolist(), tape.bid_px.tolist()) == ([123], [600_000_100])
    with pytest.raises(FeedCorrupt, match=r"'0.00123' .expected a multiple of 1/10000"):
        read(folder, "csv", columns, WIDE | {"size_unit": "1e-4"})


@pytest.mark.parametrize("kind", READERS)
def test_rows_of_another_kind_are_left_out_and_counted_and_need_not_be_read(folder, kind):
    columns = {name: values * 3 for name, values in ROW.items()} | {
        "k": ["quote", "trade", None],
        "b": ["10.00", "x", "y"],
    }
    block = read(folder, kind, columns, WIDE | {"only": {"k": "quote"}})
    assert (block.tape.rows, block.fragments[0].ignored) == (1, {"other_kind": 2})
    columns |= {"k": [1, 2, 3], "b": ["10.00", "10.01", "x"]}
    assert read(folder, kind, columns, WIDE | {"only": {"k": [1, 2]}}).tape.rows == 2


def test_symbols_may_be_called_otherwise(folder):
    columns = {name: values * 2 for name, values in ROW.items()} | {"x": ["BTCUSDT", "BTC-USD"], "v": ["XNAS", "XNYS"]}
    quotes = WIDE | {"symbol": "x", "symbols": {"BTCUSDT": "BTC-USD"}}
    block = read(folder, "csv", columns, quotes)
    assert (block.symbols, block.tape.rows) == (("BTC-USD",), 2)
    assert read(folder, "csv", columns, quotes, symbol="BTC-USD").tape.rows == 2
