"""tardis.dev's tables: read as a plain reading does, decimals scaled exactly, or refused in one line."""

from __future__ import annotations

import csv
import gzip
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import fields
from feed.files.price_book import UPDATES, PriceBook
from feed.files.registry import read_file
from feed.options import ReadOptions
from feed.source import read_tapes
from feed.tables import QuoteMapping
from feed.tape import Tape, same
from tests.support.examples import examples
from tests.support.plain_price_book import fold_plainly

UNIT = QuoteMapping(size_unit="1e-5")
START = 1_598_918_400_000_000
HEADER = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
BINANCE, COINBASE = 20_100, 20_104


def updates(rows=400, seed=3, exchange="binance", symbol="BTCUSDT", levels=40):
    """Rows of incremental_book_L2: some before the first snapshot, messages of several rows, a snapshot amid."""
    rng = np.random.default_rng(seed)
    made, now = [], START
    for at in range(rows):
        now += int(rng.integers(0, 3)) * 1000
        snapshot = 5 <= at < 25 or rows // 2 <= at < rows // 2 + 20
        side = "bid" if rng.random() < 0.5 else "ask"
        price = Decimal(60_000) + (Decimal(int(rng.integers(1, levels))) / 100) * (-1 if side == "bid" else 1)
        amount = Decimal(int(rng.integers(0, 4) and rng.integers(1, 10**6))) / 100_000
        if snapshot and not amount:
            amount = Decimal("0.00001")
        made.append([exchange, symbol, now - 500, now, str(snapshot).lower(), side, f"{price:f}", f"{amount:f}"])
    return made


def write(path, rows, header=HEADER):
    text = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def plainly(rows, decimals=5, symbol="BTCUSDT", venue=BINANCE, stamp=3, depth=10):
    """The tape of one instrument by Python's decimals and dicts."""
    scaled = [
        (
            int(row[3]),
            int(row[stamp]) * 1000,
            at,
            row[4] == "true",
            row[5] == "ask",
            int(Decimal(row[6]) * 10 ** (9 - decimals)),
            int(Decimal(row[7]) * 10**decimals),
        )
        for at, row in enumerate(rows, 1)
    ]
    made = fold_plainly(scaled)
    columns = {name: np.zeros((len(made), 10), np.int64) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    for at, (_, _, bids, asks) in enumerate(made):
        for side, levels in (("bid", bids), ("ask", asks)):
            for rank, (px, sz) in enumerate(levels):
                columns[f"{side}_px"][at, rank], columns[f"{side}_sz"][at, rank] = px, sz
    return Tape.build(
        symbol,
        ts=np.array([ts for ts, *_ in made], np.int64),
        sequence=np.array([number for _, number, *_ in made], np.int64),
        venue=np.full(len(made), venue),
        **{name: values[:, 0] for name, values in columns.items()},
        levels={name: values[:, 1:depth] for name, values in columns.items()} if depth > 1 else None,
    )


@pytest.mark.parametrize("block", [2**21, 2**10])
def test_updates_are_folded_as_plainly(tmp_path, monkeypatch, block):
    monkeypatch.setattr(fields, "BLOCK", block)
    rows = updates()
    path = write(tmp_path / "binance_incremental_book_L2_2020-09-01_BTCUSDT.csv.gz", rows)
    read = read_file(path, depth=10, quotes=UNIT)
    expected = plainly(rows)
    assert read.tape.rows > 100
    assert same(read.tape, expected)
    assert read.tape.digest() == expected.digest()
    (fragment,) = read.fragments
    assert fragment.ignored == {"before_snapshot": 5}
    assert "a share is 1e-5 of a coin or contract" in fragment.notes
    assert same(read_file(path, depth=1, quotes=UNIT).tape, plainly(rows, depth=1))
    sent = read_file(path, depth=10, quotes=QuoteMapping(size_unit="1e-5", stamps="sent")).tape
    assert same(sent, plainly(rows, stamp=2))


def pairs_of(out, levels):
    """What a book showed, as the plain fold gives it."""
    return [
        (ts, number, *([pair for pair in zip(px[side], sz[side], strict=True) if any(pair)] for side in (0, 1)))
        for ts, number, (px, sz) in zip(*out.tolist(), levels.tolist(), strict=True)
    ]


@examples(60)
@given(st.data())
def test_the_kernel_folds_as_dicts_do(data):
    rows = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.booleans(),
                st.integers(0, 1),
                st.integers(1, 25),
                st.sampled_from([0, 0, 1, 2, 7]),
            ),
            max_size=80,
        )
    )
    stamps = np.cumsum([step for step, *_ in rows])
    scaled = [(int(stamp), 10 * at, at, *row[1:]) for at, (stamp, row) in enumerate(zip(stamps, rows, strict=True))]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    book, made = PriceBook(np.zeros((2, 1), np.int64), np.zeros((2, 1), np.int64)), []
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = scaled[first:last]
        columns = {
            name: np.array([row[place] for row in part], dtype) for place, (name, dtype) in enumerate(UPDATES.items())
        }
        made += pairs_of(*book.fold(columns))
    made += pairs_of(*book.fold({name: np.zeros(0, dtype) for name, dtype in UPDATES.items()}, over=True))
    assert made == fold_plainly(scaled)


def test_several_exchanges_and_symbols_of_a_file_are_told_apart(tmp_path):
    one, two = updates(seed=1), updates(seed=2, exchange="coinbase", symbol="BTC-USD")
    other = updates(seed=5, symbol="ETHUSDT")
    rows = [row for group in zip(one, two, other, strict=True) for row in group]
    path = write(tmp_path / "all.csv", rows)
    quotes = QuoteMapping(size_unit="1e-5", symbols={"BTCUSDT": "BTC-USD"})
    read = read_file(path, depth=10, quotes=quotes)
    assert [each.tape.symbol for each in read.fragments] == ["BTC-USD", "ETHUSDT"]
    tape = read.fragments[0].tape
    for venue, own in ((BINANCE, one), (COINBASE, two)):
        alone, here = plainly(own), tape.of_venues([venue])
        assert (alone.rows, here.rows) == (here.rows, alone.rows)
        assert np.array_equal(alone.bid_px, here.bid_px)
        assert np.array_equal(alone.levels.ask_sz, here.levels.ask_sz)
        assert np.array_equal(alone.ts, here.ts)
    chosen = read_file(path, symbol="ETHUSDT", depth=10, quotes=quotes)
    assert same(chosen.tape, read.fragments[1].tape)
    assert chosen.fragments[0].ignored["other_symbol"] == 800
    assert chosen.symbols == ("BTC-USD", "ETHUSDT")
    with pytest.raises(FeedUnavailable, match="'binance BTCUSDT' and 'binance ETHUSDT' are both 'X' of venue 20100"):
        read_file(path, quotes=QuoteMapping(size_unit="1e-5", symbols={"BTCUSDT": "X", "ETHUSDT": "X"}))


def test_a_directory_of_exchanges_is_one_tape_of_several_venues(tmp_path):
    write(tmp_path / "binance.csv.gz", updates(seed=1))
    write(tmp_path / "coinbase.csv.gz", updates(seed=2, exchange="coinbase", symbol="BTC-USD"))
    quotes = QuoteMapping(size_unit="1e-5", symbols={"BTCUSDT": "BTC-USD"})
    ((tape, provenance),) = read_tapes(str(tmp_path), ReadOptions(quotes=quotes))
    assert (tape.symbol, tape.venues.tolist()) == ("BTC-USD", [BINANCE, COINBASE])
    assert provenance.ignored == {"before_snapshot": 10}


def snapshots(levels, rows=50):
    header = "exchange,symbol,timestamp,local_timestamp," + ",".join(
        f"{side}s[{level}].{what}" for level in range(levels) for side in ("ask", "bid") for what in ("price", "amount")
    )
    rng, made = np.random.default_rng(levels), []
    for at in range(rows):
        row = ["deribit", "BTC-PERPETUAL", START + 10 * at, START + 10 * at + 7]
        for level in range(levels):
            row += [f"{100 + level}.5", int(rng.integers(1, 999)) * 10, f"{100 - level}", int(rng.integers(1, 99)) * 10]
        if at == 3:
            row[-8:] = [""] * 8  # a book with fewer levels
        made.append(row)
    return made, header


@pytest.mark.parametrize("levels", [5, 25])
def test_snapshots_are_read_as_they_are(tmp_path, levels):
    rows, header = snapshots(levels)
    path = write(tmp_path / "book.csv", rows, header)
    tape = read_file(path, depth=10).tape
    with path.open(newline="") as file:
        for at, row in enumerate(csv.DictReader(file)):
            assert int(row["local_timestamp"]) * 1000 == tape.ts[at]
            for level in range(min(levels, 10)):
                for side in ("bid", "ask"):
                    px, sz = row[f"{side}s[{level}].price"], row[f"{side}s[{level}].amount"]
                    first = level == 0
                    read = [getattr(tape if first else tape.levels, f"{side}_{what}")[at] for what in ("px", "sz")]
                    read = read if first else [each[level - 1] for each in read]
                    assert read == [int(Decimal(px or 0) * 10**9), int(sz or 0)]
    assert (tape.rows, tape.depth, tape.venues.tolist()) == (50, min(levels, 10), [20_132])


def test_quotes_and_trades_are_read(tmp_path):
    header = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
    rows = [
        ["huobi", "BTC-USD", START, START + 5, 5000, "8629.3", "8629.1", 800],
        ["huobi", "BTC-USD", START, START + 9, "", "", "8629", 1],
    ]
    quotes = read_file(write(tmp_path / "q.csv", rows, header)).tape
    assert (quotes.ask_px.tolist(), quotes.bid_px.tolist()) == ([8629_300_000_000, 0], [8629_100_000_000, 8629 * 10**9])
    assert (quotes.ask_sz.tolist(), quotes.bid_sz.tolist(), quotes.sequence.tolist()) == ([5000, 0], [800, 1], [1, 2])
    header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    rows = [
        ["huobi", "BTC-USD", START, START + at, "a-1", side, "8629.3", 2]
        for at, side in enumerate(("buy", "sell", "unknown"))
    ]
    trades = read_file(write(tmp_path / "t.csv", rows, header)).tape
    assert (trades.rows, trades.trades.side.tolist(), trades.trades.sz.tolist()) == (0, [1, -1, 0], [2, 2, 2])


def test_exponents_and_small_units_are_exact(tmp_path):
    rows = [
        ["binance", "SHIB", START, START + 1, "true", "bid", "0.00001234", "1e3"],
        ["binance", "SHIB", START, START + 1, "true", "ask", "1.235e-5", 7],
    ]
    tape = read_file(write(tmp_path / "a.csv", rows)).tape
    assert (tape.bid_px.tolist(), tape.ask_px.tolist(), tape.bid_sz.tolist()) == ([12_340], [12_350], [1000])


@pytest.mark.parametrize(
    ("amounts", "price", "unit", "message"),
    [
        (["0.00123", "2"], "60000.01", None, "up to 5 decimals; set quotes.size_unit=1e-5, which holds all of them"),
        (["0.5"], "60000", None, "set quotes.size_unit=1e-1,"),
        (["0.00123"], "60000.01", "1e-3", "set quotes.size_unit=1e-5,"),
        (
            ["0.00000001", "3"],
            "60000.01",
            None,
            "8 decimals and go up to 3, its prices have 2: no unit.*1e-7 and quotes.sizes=down",
        ),
        (["0.00001", "40000"], "60000", None, "5 decimals and go up to 40000, .*set quotes.size_unit=1e-4 and"),
        (["1", "2.5"], "1", "shares", "set quotes.size_unit=1e-1"),
        (["1"], "1", "lots", "a coin has no round lots"),
        (["1"], "1", "0.003", "is no power of ten"),
    ],
)
def test_a_unit_that_holds_all_is_proposed(tmp_path, amounts, price, unit, message):
    rows = [["binance", "B", START, START + at, "true", "bid", price, amount] for at, amount in enumerate(amounts)]
    with pytest.raises(FeedUnavailable, match=message):
        read_file(write(tmp_path / "a.csv", rows), quotes=QuoteMapping(size_unit=unit))


def test_what_is_below_a_unit_is_left_out_only_where_that_is_asked_for(tmp_path):
    rows = [
        ["coinbase", "B", START, START, "true", "bid", "60000.01", "0.00000019"],
        ["coinbase", "B", START, START, "true", "ask", "60000.02", "1.99999999"],
    ]
    block = read_file(write(tmp_path / "a.csv", rows), quotes=QuoteMapping(size_unit="1e-7", sizes="down"))
    assert (block.tape.bid_sz.tolist(), block.tape.ask_sz.tolist()) == ([1], [19_999_999])
    assert "sizes are without what is no whole unit" in block.fragments[0].notes


NUL, NUL_NAME = "true\0", ",B\0,"
ROW = "binance,B,1598918400000000,1598918400000001,true,bid,100,1\n"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (HEADER + "\n", FeedUnavailable, "the file holds no rows"),
        (HEADER, FeedUnavailable, "no row below its header"),
        (f"{HEADER}\n{ROW}{ROW[:-3]}", FeedCorrupt, "its last line does not end"),
        (f"{HEADER}\n{ROW}{ROW[:30]}\n", FeedCorrupt, "line 3: 4 fields, expected 8"),
        (f"{HEADER}\n{ROW.replace('bid', 'buy')}", FeedCorrupt, "line 2, column side: 'buy' .expected bid or ask"),
        (
            f"{HEADER}\n{ROW}{ROW.replace('true', 'True')}",
            FeedCorrupt,
            "line 3, column is_snapshot: 'True' .expected false or true",
        ),
        (f"{HEADER}\n{ROW.replace(',100,', ',1OO,')}", FeedCorrupt, "column price: '1OO' .expected a number"),
        (f"{HEADER}\n{ROW.replace(',100,', ',0.0000000001,')}", FeedCorrupt, "column price: .*more decimals"),
        (
            f"{HEADER}\n{ROW.replace(',100,', ',9000000,')}",
            FeedCorrupt,
            "column price: .*expected 0 to 8388607.999999999",
        ),
        (
            f"{HEADER}\n{ROW.replace('1598918400000001', '1598918400001')}",
            FeedCorrupt,
            "column local_timestamp: .*expected 1",
        ),
        (f"{HEADER}\n{ROW.replace(',100,', ',-1,')}", FeedCorrupt, "column price: '-1'"),
        (f"{HEADER}\n{ROW.replace(',B,', ',,')}", FeedCorrupt, "rows that name no symbol"),
        (
            f"{HEADER}\n{ROW.replace('true', NUL)}",
            FeedCorrupt,
            "line 2, column is_snapshot: 'true.x00' .expected a short word",
        ),
        (f"{HEADER}\n\n\n", FeedUnavailable, "the file holds no rows"),
        (
            f"{HEADER}\n{ROW.replace(',B,', NUL_NAME)}{ROW.replace('binance', 'Binance').replace(',B,', NUL_NAME)}",
            FeedUnavailable,
            "'binance B.x00' and 'Binance B.x00' are both 'B.x00'",
        ),
        (
            "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n\n",
            FeedUnavailable,
            "the file holds no rows",
        ),
        (f"{HEADER}\n{ROW.replace('binance', 'nowhere')}", FeedUnavailable, "'nowhere' is no venue.*quotes.venues"),
        (HEADER.replace("side,", "") + "\nbinance,B,1,1,true,1,1\n", FeedUnavailable, "missing columns: side"),
        (f"{HEADER},side\n{ROW[:-1]},bid\n", FeedUnavailable, "columns there more than once: side"),
        (
            "exchange,symbol,timestamp,local_timestamp,funding_rate\nbinance,B,1,1,2\n",
            FeedUnavailable,
            "missing columns; the header",
        ),
        (
            f"{HEADER}\n{ROW[:-2]}3000000000\n",
            FeedUnavailable,
            "size of 3,000,000,000 units at 2020-09-01.*beyond a tape",
        ),
    ],
)
def test_damaged_mixed_and_foreign_files_are_refused_in_one_line(tmp_path, text, error, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(error, match=message) as refused:
        read_file(path)
    assert "\n" not in str(refused.value)


def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path):
    path = write(tmp_path / "a.csv.gz", updates())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FeedCorrupt, match="the file is damaged"):
        read_file(path, quotes=UNIT)
