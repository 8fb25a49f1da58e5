"""QuantConnect Lean's archives: read as a plain reading does, and refused in one line where they are something else."""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import fields
from feed.files.csv_writer import write_csv
from feed.files.registry import read_file
from feed.files.streams import Share
from feed.options import ReadOptions
from feed.source import read_tapes
from feed.tables import QuoteMapping
from feed.tape import Tape, same

MIDNIGHT = int(datetime(2013, 10, 7, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9
MINUTE, VENUES = 60 * 10**9, {"P": 43, "T": 2, "K": 8, "Z": 5}


def packed(text, name="20131007_aapl_minute_quote.csv", method=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr(name, text)
    return made.getvalue()


def put(folder, text, name="20131007_aapl_minute_quote.csv"):
    path = folder / f"20131007_{'trade' if 'trade' in name.lower() else 'quote'}.zip"
    path.write_bytes(packed(text, name))
    return path


def bars(count=300, seed=1):
    """Rows (ms, bid open, high, low, close, size, the same of asks), None where a bar has no side."""
    rng, made = np.random.default_rng(seed), []
    for at in range(count):
        bid, ask = (
            [*(rng.integers(4_800_000, 4_900_000, 4) + over).tolist(), int(rng.integers(1, 9999))]
            for over in (0, 10**5)
        )
        made.append((34_200_000 + 60_000 * at, *(bid if at % 13 else [None] * 5), *(ask if at % 17 else [None] * 5)))
    return made


def text_of(rows):
    return "".join(",".join("" if each is None else str(each) for each in row) + "\n" for row in rows)


def of_bars(rows, period=MINUTE, venue=20_000):
    return Tape.build(
        "AAPL",
        ts=np.array([MIDNIGHT + row[0] * 10**6 + period for row in rows]),
        venue=np.full(len(rows), venue),
        bid_px=np.array([(row[4] or 0) * 10**5 for row in rows]),
        ask_px=np.array([(row[9] or 0) * 10**5 for row in rows]),
        bid_sz=np.array([row[5] or 0 for row in rows]),
        ask_sz=np.array([row[10] or 0 for row in rows]),
        sequence=np.arange(1, len(rows) + 1),
    )


@pytest.mark.parametrize("block", [2**21, 2**11])
@pytest.mark.parametrize(("bar", "period"), [("minute", MINUTE), ("second", 10**9)])
def test_a_bar_is_its_last_quote_at_its_end(tmp_path, monkeypatch, block, bar, period):
    monkeypatch.setattr(fields, "BLOCK", block)
    rows = bars()
    (fragment,) = read_file(put(tmp_path, text_of(rows), f"20131007_aapl_{bar}_quote.csv")).fragments
    assert same(fragment.tape, of_bars(rows, period))
    assert f"a row is the last quote of a {bar}, at its end" in fragment.notes
    assert "bars name no venue; they are taken as venue 20000, a consolidated quote" in fragment.notes
    canonical = tmp_path / "canonical.csv"
    write_csv(fragment.tape, canonical)
    assert read_file(canonical).tape.digest() == fragment.tape.digest()


def test_what_the_user_says_goes_before_the_archive(tmp_path):
    rows = bars(20)
    quotes = QuoteMapping(at="XNAS", symbols={"AAPL": "Apple"}, date="2014-01-02", zone="UTC")
    tape = read_file(put(tmp_path, text_of(rows)), quotes=quotes).tape
    assert (tape.symbol, set(tape.venue.tolist())) == ("Apple", {2})
    started = int(datetime(2014, 1, 2, 9, 31, tzinfo=ZoneInfo("UTC")).timestamp()) * 10**9
    assert tape.ts[0] == started
    assert read_file(put(tmp_path, text_of(rows)), symbol="MSFT").fragments == ()


def ticks(count=300, seed=2):
    """Rows (ms, bid, size, ask, size, exchange, condition, suspicious), one side each."""
    rng, made, now = np.random.default_rng(seed), [], 14_400_000_000
    for at in range(count):
        now += int(rng.integers(0, 9_000_000))
        bid, ask = int(rng.integers(130_000, 131_000)), int(rng.integers(131_000, 132_000))
        sides = [(bid, 100, 0, 0), (0, 0, ask, 200), (bid, 300, ask, 400), (0, 0, 0, 0)][
            min(int(rng.integers(0, 12)) // 5, 3) if at % 29 else 3
        ]
        condition = str(rng.choice(["1", "1", "1", "0", "800", "2", "400", "10"]))
        time = f"{now // 1000}.{now % 1000:03}" if at % 2 else str(now // 1000)
        made.append((time, *sides, str(rng.choice(list(VENUES))), condition, int(at % 31 == 30)))
    return made


def of_ticks(rows):
    """Row by row: what a tick does not name stands, at its exchange."""
    books, columns = {}, {name: [] for name in ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")}
    for number, (time, bid, bid_size, ask, ask_size, exchange, condition, suspicious) in enumerate(rows, 1):
        if suspicious:
            continue
        book = books.setdefault(exchange, [0, 0, 0, 0])
        if condition in {"400", "10"} or not (bid or ask):
            book[:] = [0, 0, 0, 0]
        else:
            book[:2] = (bid * 10**5, bid_size) if bid else book[:2]
            book[2:] = (ask * 10**5, ask_size) if ask else book[2:]
        whole, _, part = time.partition(".")
        columns["ts"].append(MIDNIGHT + int(whole) * 10**6 + int((part or "0").ljust(6, "0")))
        for name, value in zip(("bid_px", "bid_sz", "ask_px", "ask_sz"), book, strict=True):
            columns[name].append(value)
        columns["venue"].append(VENUES[exchange])
        columns["sequence"].append(number)
    return Tape.build("BAC", **{name: np.array(column) for name, column in columns.items()})


@pytest.mark.parametrize("name", ["20131007_bac_Quote_Tick.csv", "20131007_bac_tick_quote.csv"])
def test_a_tick_names_one_side_and_the_other_stands(tmp_path, monkeypatch, name):
    monkeypatch.setattr(fields, "BLOCK", 2**11)
    rows = ticks()
    (fragment,) = read_file(put(tmp_path, text_of(rows), name)).fragments
    assert same(fragment.tape, of_ticks(rows))
    assert fragment.ignored["suspicious"] == 9
    assert fragment.ignored["not_firm"] == sum(row[6] in {"400", "10"} and not row[7] for row in rows)


def test_trade_ticks_are_trades_without_quotes(tmp_path):
    text = "14400009.367,137450,100,P,1,0\n14400010,137460,7,T,80000000,0\n14400011,1,7,T,0,1\n"
    (fragment,) = read_file(put(tmp_path, text, "20131007_bac_Trade_Tick.csv")).fragments
    trades = fragment.tape.trades
    assert (fragment.tape.rows, trades.px.tolist(), trades.sz.tolist()) == (
        0,
        [13_745_000_000, 13_746_000_000],
        [100, 7],
    )
    assert (trades.venue.tolist(), trades.side.tolist()) == ([43, 2], [0, 0])
    assert trades.ts[0] == MIDNIGHT + 14_400_009_367_000
    assert fragment.ignored == {"suspicious": 1}


def test_folders_are_read_with_their_quotes_alone(tmp_path):
    rows = bars(20)
    for place in ("minute/aapl", "tick/bac"):
        (tmp_path / place).mkdir(parents=True)
    put(tmp_path / "minute/aapl", text_of(rows))
    put(tmp_path / "minute/aapl", "34200000,1,1,1,1,5\n", "20131007_aapl_minute_trade.csv")
    put(tmp_path / "tick/bac", text_of(ticks()), "20131007_bac_Quote_Tick.csv")
    put(tmp_path / "tick/bac", "14400009.367,137450,100,P,1,0\n", "20131007_bac_Trade_Tick.csv")
    ((tape, _),) = read_tapes(str(tmp_path / "minute/aapl"), ReadOptions())
    assert same(tape, of_bars(rows))
    ((tape, _),) = read_tapes(str(tmp_path / "tick/bac"), ReadOptions())
    assert same(Tape(**{name: getattr(tape, name) for name in Tape.__slots__ if name != "trades"}), of_ticks(ticks()))
    assert tape.trades.sz.tolist() == [100]
    with pytest.raises(
        FeedUnavailable, match=r"trade bars, which name no trade and no quote; read 20131007_quote\.zip"
    ):
        read_file(tmp_path / "minute/aapl/20131007_trade.zip")


GOOD = text_of(bars(20))


def several():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("20131007_aapl_minute_quote.csv", "20131007_ibm_minute_quote.csv"):
            archive.writestr(name, GOOD)
    return made.getvalue()


def encrypted():
    data = bytearray(packed(GOOD))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark) + place
        data[at : at + 2] = struct.pack("<H", 1)
    return bytes(data)


def flipped():
    data = bytearray(packed(GOOD))
    data[200] ^= 255
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (packed(GOOD)[:-40], FeedCorrupt, "it is no whole ZIP archive"),
        (b"PK\x03\x04" + bytes(99), FeedCorrupt, "it is no whole ZIP archive"),
        (packed(GOOD, method=zipfile.ZIP_LZMA), FeedUnavailable, "compressed otherwise"),
        (flipped(), FeedCorrupt, "the file is damaged"),
        (encrypted(), FeedUnavailable, "it is encrypted"),
        (several(), FeedUnavailable, "it holds '20131007_aapl_minute_quote.csv', '20131007_ibm.*expected one file"),
        (packed(GOOD, "20131008_aapl_minute_quote.csv"), FeedUnavailable, "it holds another day"),
        (packed(GOOD, "../20131007_aapl_minute_quote.csv"), FeedUnavailable, "expected one file"),
        (packed(GOOD, "20131007_aapl_daily_quote.csv"), FeedUnavailable, "expected one file"),
        (packed(GOOD[:-3]), FeedCorrupt, "its last line does not end"),
        (packed(GOOD + "36000000,1,1,1,1,1\n"), FeedCorrupt, "minute_quote.csv: line 21: 6 fields, expected 11"),
        (
            packed(GOOD.replace("34200000", "86400000")),
            FeedCorrupt,
            "line 1, column time: '86400000' .expected 0 to 86399999.99",
        ),
        (packed(""), FeedUnavailable, "the file holds no rows"),
        (packed("a" * 3_000_000), FeedCorrupt, "a line of more than"),
        (packed("1,1,1,1,!,1,1,1,1,1,1\n"), FeedCorrupt, "column bid close: '!'"),
    ],
)
def test_damaged_mixed_and_foreign_archives_are_refused_in_one_line(tmp_path, data, error, message):
    path = tmp_path / "20131007_quote.zip"
    path.write_bytes(data)
    with pytest.raises(error, match=message) as refused:
        read_file(path)
    assert "\n" not in str(refused.value)


def test_an_archive_that_unpacks_to_more_than_it_is_trusted_with_is_refused(tmp_path):
    path = put(tmp_path, "34200000,,,,,,,,,,\n" * 10**4)
    with pytest.raises(FeedCorrupt, match="more than 100000 bytes when decompressed"):
        read_file(path, max_bytes=10**5)
    assert read_file(path).tape.rows == 10**4
    with pytest.raises(FeedCorrupt, match="it unpacks to more than a file of its size is trusted with"):
        read_file(path, max_bytes=Share(10**6))


def test_another_zip_is_refused_as_before(tmp_path):
    (tmp_path / "day.zip").write_bytes(packed(GOOD))
    with pytest.raises(FeedUnavailable, match="it is a ZIP archive"):
        read_file(tmp_path / "day.zip")


@pytest.mark.parametrize(
    ("text", "message"),
    [("14400009,1,1,0,0,?,1,0\n", "'\\?' is no venue"), ("14400009,1,1,0,0,P,zz,0\n", "'zz' is no quote condition")],
)
def test_ticks_of_no_exchange_or_condition_are_refused(tmp_path, text, message):
    with pytest.raises((FeedCorrupt, FeedUnavailable), match=message):
        read_file(put(tmp_path, text, "20131007_bac_Quote_Tick.csv"))
