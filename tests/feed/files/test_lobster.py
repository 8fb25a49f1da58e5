"""LOBSTER pairs: read as pandas reads them, and refused in one line where they are damaged or of another layout."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import fields
from feed.files.registry import read_file
from feed.options import ReadOptions
from feed.source import read_tapes
from feed.tables import QuoteMapping
from feed.tape import Tape, same

DUMMY = 9999999999
STEM = "AAPL_2012-06-21_34200000_57600000_{}_{}.csv"


def write_pair(folder, rows=300, levels=3, seed=1, stem=STEM):
    """A random pair in the vendor's own form: at times empty levels, halts, trades on either side."""
    rng = np.random.default_rng(seed)
    times = 34200 * 10**9 + np.cumsum(rng.integers(0, 10**8, rows))
    kinds = rng.choice([1, 2, 3, 4, 4, 5, 6], rows)
    prices = rng.integers(5_850_000, 5_860_000, rows) // 100 * 100
    if rows > 60:
        kinds[[40, 50, 55]], prices[[40, 50, 55]] = 7, (-1, 0, 1)
    directions, sizes = rng.choice([-1, 1], rows), rng.integers(1, 500, rows)
    messages = [
        f"{time // 10**9}.{time % 10**9:09d},{kind},{1000 + at},{size},{price},{direction}"
        for at, (time, kind, size, price, direction) in enumerate(
            zip(times.tolist(), kinds, sizes, prices, directions, strict=True)
        )
    ]
    book = []
    for at in range(rows):
        row = []
        shown = [int(each) for each in rng.integers(0 if at % 7 == 0 else levels, levels + 1, 2)]
        for level in range(levels):
            ask, bid = 5_860_000 + 100 * (level + at % 5), 5_859_900 - 100 * (level + at % 3)
            row += [ask, int(rng.integers(1, 900))] if level < shown[0] else [DUMMY, 0]
            row += [bid, int(rng.integers(1, 900))] if level < shown[1] else [-DUMMY, 0]
        book.append(",".join(map(str, row)))
    paths = [folder / stem.format(kind, levels) for kind in ("message", "orderbook")]
    for path, lines in zip(paths, (messages, book), strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


def by_pandas(messages, book, levels, symbol="AAPL"):
    """The same pair through pandas and Python's integers, which know nothing of the reader."""
    events = pd.read_csv(messages, header=None, dtype=str)
    ranks = pd.read_csv(book, header=None, dtype=np.int64).to_numpy()
    day = pd.Timestamp("2012-06-21", tz="America/New_York").value
    ts = []
    for text in events[0]:
        seconds, _, fraction = text.partition(".")
        ts.append(day + int(seconds) * 10**9 + int(fraction.ljust(9, "0")))
    ts = np.array(ts)
    halted, now = [], False
    for kind, price in zip(events[1], events[4], strict=True):
        if kind == "7":
            now = price != "1"
        halted.append(now)
    columns = {}
    for name, offset in (("ask_px", 0), ("ask_sz", 1), ("bid_px", 2), ("bid_sz", 3)):
        values = ranks[:, offset::4][:, : min(levels, 10)].copy()
        values[np.abs(values) == DUMMY] = 0
        values[halted] = 0
        columns[name] = values * 100_000 if name.endswith("px") else values
    sequence = np.arange(1, len(ts) + 1)
    hit = events[1].isin(["4", "5"]).to_numpy()
    return Tape.build(
        symbol,
        ts=ts,
        venue=np.full(len(ts), 2),
        sequence=sequence,
        **{name: values[:, 0] for name, values in columns.items()},
        levels={name: values[:, 1:] for name, values in columns.items()} if levels > 1 else None,
        trades={
            "ts": ts[hit],
            "venue": np.full(hit.sum(), 2),
            "px": events[4][hit].astype(np.int64).to_numpy() * 100_000,
            "sz": events[3][hit].astype(np.int64).to_numpy(),
            "side": -events[5][hit].astype(np.int64).to_numpy(),
            "sequence": sequence[hit],
        },
    )


@pytest.mark.parametrize("levels", [1, 3, 12])
@pytest.mark.parametrize("block", [2**21, 2**12])
def test_a_pair_is_what_pandas_reads_of_it(tmp_path, monkeypatch, levels, block):
    monkeypatch.setattr(fields, "BLOCK", block)
    messages, book = write_pair(tmp_path, levels=levels, rows=300)
    expected = by_pandas(messages, book, levels)
    for path in (messages, book):
        block_ = read_file(path, depth=10)
        assert same(block_.tape, expected)
        assert block_.tape.digest() == expected.digest()
        assert block_.symbols == ("AAPL",)
        (fragment,) = block_.fragments
        assert fragment.ignored["cross_trade"] > 10
        assert "15 rows while trading was halted have no quotes" in fragment.notes
    assert read_file(book, depth=1).tape.depth == 1


def test_a_halt_withdraws_the_quotes_until_trading_goes_on(tmp_path):
    (tmp_path / STEM.format("message", 1)).write_text(
        "34200.5,1,1,100,1000000,1\n34201,7,0,0,-1,-1\n34202.000000001,1,2,5,1000000,1\n34203,7,0,0,0,-1\n"
        "34204,7,0,0,1,-1\n34205,4,2,5,1000000,1\n"
    )
    (tmp_path / STEM.format("orderbook", 1)).write_text("1000100,7,1000000,8\n" * 6)
    tape = read_file(tmp_path / STEM.format("message", 1)).tape
    assert tape.bid_sz.tolist() == [8, 0, 0, 0, 8, 8]
    assert tape.ask_px.tolist() == [100_010_000_000, 0, 0, 0, 100_010_000_000, 100_010_000_000]
    opened = pd.Timestamp("2012-06-21 09:30:00", tz="America/New_York").value
    assert (tape.ts - opened).tolist() == [500_000_000, 10**9, 2 * 10**9 + 1, 3 * 10**9, 4 * 10**9, 5 * 10**9]
    assert (tape.trades.px.tolist(), tape.trades.side.tolist()) == ([10**11], [-1])  # a bid was hit: a seller took


def test_a_directory_reads_each_pair_once(tmp_path):
    write_pair(tmp_path, seed=1)
    write_pair(tmp_path, seed=2, stem=STEM.replace("AAPL", "MSFT"))
    tapes = [tape for tape, _ in read_tapes(str(tmp_path), ReadOptions())]
    assert [(tape.symbol, tape.rows) for tape in tapes] == [("AAPL", 300), ("MSFT", 300)]
    assert [tape.symbol for tape, _ in read_tapes(str(tmp_path / "*message*"), ReadOptions())] == ["AAPL", "MSFT"]


def test_compressed_pairs_are_read(tmp_path):
    paths = write_pair(tmp_path)
    expected = read_file(paths[0]).tape
    for path in paths:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert same(read_file(paths[1].with_name(paths[1].name + ".gz")).tape, expected)


def test_what_the_user_says_goes_before_the_name(tmp_path):
    paths = write_pair(tmp_path)
    plain = read_file(paths[0]).tape
    quotes = QuoteMapping(date="2013-01-02", zone="UTC", at="ARCX", symbols={"AAPL": "apple"})
    tape = read_file(paths[0], quotes=quotes).tape
    assert (tape.symbol, set(tape.venue.tolist())) == ("apple", {43})
    moved = pd.Timestamp("2013-01-02").value - pd.Timestamp("2012-06-21 04:00").value
    assert np.array_equal(tape.ts, plain.ts + moved)
    assert read_file(paths[0], symbol="MSFT").fragments == ()


def cut(path, fewer):
    path.write_bytes(path.read_bytes()[:-fewer])


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (
            lambda _, b: b.unlink(),
            FeedUnavailable,
            "the file that goes with it is not beside it: AAPL.*orderbook_3.csv",
        ),
        (lambda m, _: cut(m, 3), FeedCorrupt, "its last line does not end: '.*cut short"),
        (
            lambda _, b: b.write_text(b.read_text()[: b.read_text()[:-1].rfind("\n") + 1]),
            FeedCorrupt,
            "299 rows, and AAPL",
        ),
        (lambda m, b: m.write_text(b.read_text()), FeedCorrupt, "line 1: 12 fields, expected 6"),
        (lambda _, b: b.write_text(b.read_text().replace(",", ";")), FeedCorrupt, "line 1: 1 fields, expected 12"),
        (
            lambda m, _: m.write_text("a,b,c,d,e,f\n" + m.read_text()),
            FeedCorrupt,
            "line 1, column time: 'a' .*a number",
        ),
        (lambda m, _: m.write_text(m.read_text().replace(",6,", ",8,", 1)), FeedCorrupt, "event type: '8' .*1 to 7"),
        (lambda m, _: m.write_text("86400" + m.read_text()[5:]), FeedCorrupt, "time: '86400.* to 86399.999999999"),
        (
            lambda m, _: m.write_text(m.read_text() + "34200.1234567891,1,1,1,1,1\n"),
            FeedCorrupt,
            "line 301, .*more decimals",
        ),
        (lambda _, b: b.write_text(""), FeedUnavailable, "the file is empty"),
        (lambda _, b: b.write_bytes(b"PK\x03\x04" + bytes(600)), FeedUnavailable, "a ZIP archive"),
    ],
)
def test_damaged_mixed_and_foreign_files_are_refused_in_one_line(tmp_path, damage, error, message):
    messages, book = write_pair(tmp_path)
    damage(messages, book)
    with pytest.raises(error, match=message) as refused:
        read_file(messages)
    assert "\n" not in str(refused.value)
