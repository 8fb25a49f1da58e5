"""The recorder of order books, with exchanges of CCXT's shape: what it writes is read as what they showed."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal
from types import ModuleType

import pytest

from feed import cli, recording
from feed.errors import FeedUnavailable
from feed.files.registry import read_file
from feed.options import ReadOptions
from feed.recording import LOST_SECONDS, Market, Recorder, market_of, record
from feed.source import read_tapes
from feed.tables import QuoteMapping

START = 1_700_000_000 * 10**9
UNIT = QuoteMapping(size_unit="1e-5", symbols={"BTC/USDT": "BTC", "BTC/USD": "BTC"})


class Exchange:
    """What CCXT's exchanges have in common, with books that are given."""

    def __init__(self, name, books):
        self.id, self.books, self.asked = name, list(books), []

    def fetch_order_book(self, symbol, limit=None):
        self.asked.append((symbol, limit))
        book = self.books.pop(0) if len(self.books) > 1 else self.books[0]
        if isinstance(book, Exception):
            raise book
        bids, asks = book
        return {
            "symbol": symbol,
            "bids": bids,
            "asks": asks,
            "timestamp": 1_700_000_000_123,
            "datetime": None,
            "nonce": None,
        }


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


ONE = ([[35000.1, 0.5], [35000.0, 1e-05]], [[35000.2, 0.00012], [35001.0, 2]])
TWO = ([[35000.1, 0.25], [34999.9, 3.0]], [[35000.2, 0.00012], [35001.0, 2]])


def recorded(path, exchange, steps, gap=1.0, symbol="BTC/USDT"):
    clock, lines = Clock(), []
    recorder, market = Recorder(path, 2, now=clock, tell=lines.append), Market(exchange, symbol)
    for _ in range(steps):
        recorder.poll(market)
        clock.now += int(gap * 10**9)
    recorder.close()
    return market, lines


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_what_is_recorded_is_what_was_shown(tmp_path, ending):
    exchange = Exchange("binance", [ONE, ONE, TWO])
    market, lines = recorded(tmp_path / f"btc{ending}", exchange, 3)
    tape = read_file(tmp_path / f"btc{ending}", quotes=UNIT).tape
    assert (market.polls, market.rows, market.errors, lines) == (3, 7, 0, [])
    assert exchange.asked == [("BTC/USDT", 2)] * 3
    assert (tape.symbol, tape.venues.tolist()) == ("BTC", [20_100])
    assert tape.ts.tolist() == [START, START + 2 * 10**9]  # the second book was the first
    scaled = [
        [[int(Decimal(str(px)) * 10**4), int(Decimal(str(sz)) * 10**5)] for px, sz in side] for side in (*ONE, *TWO)
    ]
    for row, (bids, asks) in enumerate((scaled[:2], scaled[2:])):
        for side, levels in (("bid", bids), ("ask", asks)):
            assert [getattr(tape, f"{side}_px")[row], getattr(tape, f"{side}_sz")[row]] == levels[0]
            behind = [getattr(tape.levels, f"{side}_{what}")[row, 0] for what in ("px", "sz")]
            assert behind == levels[1]


def test_a_book_that_is_lost_is_withdrawn_and_comes_back_whole(tmp_path):
    lost = [ConnectionError("no route\x1b[2J")] * 3
    exchange = Exchange("binance", [ONE, *lost, TWO])
    market, lines = recorded(tmp_path / "btc.csv", exchange, 5, gap=LOST_SECONDS / 2 + 0.5)
    tape = read_file(tmp_path / "btc.csv", quotes=UNIT).tape
    assert market.errors == 3
    assert lines == ["binance:BTC/USDT: ConnectionError: no route\\x1b[2J"]
    assert tape.bid_sz.tolist() == [50_000, 0, 25_000]
    assert (tape.ts - START).tolist() == [0, 11 * 10**9, 22 * 10**9]
    assert (tmp_path / "btc.csv").read_text().count(",true,") == 8


@pytest.mark.parametrize("book", [([[1, 0]], []), ([[float("nan"), 1]], []), ([["x", 1]], []), (None, []), ([[1]], [])])
def test_a_book_of_another_shape_is_an_error_that_is_said(tmp_path, book):
    market, lines = recorded(tmp_path / "btc.csv", Exchange("binance", [ONE, book]), 2)
    assert (market.rows, market.errors, len(lines)) == (4, 1, 1)


def test_several_exchanges_make_one_tape(tmp_path):
    recorder = Recorder(tmp_path / "btc.csv.gz", now=Clock())
    markets = [Market(Exchange("binance", [ONE]), "BTC/USDT"), Market(Exchange("coinbaseexchange", [TWO]), "BTC/USD")]
    stop = threading.Event()
    stop.set()
    record(recorder, markets, 0, None, stop)
    recorder.close()
    ((tape, _),) = read_tapes(str(tmp_path / "btc.csv.gz"), ReadOptions(quotes=UNIT))
    assert (tape.symbol, tape.venues.tolist(), tape.rows) == ("BTC", [20_100, 20_104], 2)


def test_markets_are_polled_until_somebody_stops_it(tmp_path):
    stop = threading.Event()

    class Stops(Exchange):
        def fetch_order_book(self, symbol, limit=None):
            if len(self.asked) == 5:
                stop.set()
            return super().fetch_order_book(symbol, limit)

    recorder, market = Recorder(tmp_path / "btc.csv"), Market(Stops("binance", [ONE, TWO]), "BTC/USDT")
    record(recorder, [market], 0, None, stop)
    recorder.close()
    assert market.polls >= 6
    stamps = [int(line.split(",")[3]) for line in (tmp_path / "btc.csv").read_text().splitlines()[1:]]
    assert stamps == sorted(stamps)


def test_a_market_without_a_book_is_refused_at_once(tmp_path):
    recorder = Recorder(tmp_path / "btc.csv")
    with pytest.raises(FeedUnavailable, match="binance:X/Y: it gives no book; check the symbol"):
        record(recorder, [Market(Exchange("binance", [KeyError("X/Y")]), "X/Y")], 0, 0)
    recorder.close()
    assert not (tmp_path / "btc.csv").exists()


def test_no_file_is_written_over_or_named_otherwise(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(FeedUnavailable, match="there is a file already"):
        Recorder(tmp_path / "a.csv")
    with pytest.raises(FeedUnavailable, match=r"ends otherwise than \.csv or \.csv\.gz"):
        Recorder(tmp_path / "a.parquet")
    with pytest.raises(FeedUnavailable, match="it cannot be written: No such file"):
        Recorder(tmp_path / "nowhere" / "a.csv")


@pytest.fixture
def library(monkeypatch):
    """A library of two exchanges."""
    module = ModuleType("ccxt")
    module.exchanges = ["binance", "kraken"]
    module.binance = lambda options: Exchange("binance", [ONE, TWO]) if options == {"enableRateLimit": True} else None
    monkeypatch.setitem(sys.modules, "ccxt", module)
    return module


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("binance", "'binance' is no market; expected exchange:SYMBOL"),
        ("binanc:BTC/USDT", "'binanc' is no exchange of ccxt; did you mean binance"),
        ("zzz:BTC/USDT", "'zzz' is no exchange of ccxt; python -c"),
        ("binance:a,b", "is no market"),
    ],
)
def test_a_market_is_named_by_exchange_and_symbol(library, text, message):
    with pytest.raises(FeedUnavailable, match=message):
        market_of(text)
    assert market_of("binance:BTC/USDT").name == "binance:BTC/USDT"


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(FeedUnavailable, match=r"needs the library ccxt.*pip install 'sor-sweep\[crypto\]'"):
        market_of("binance:BTC/USDT")


def test_the_command_records_and_sums_up(library, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "raise_on_signals", lambda: None)
    words = ["record", str(tmp_path / "btc.csv.gz"), "binance:BTC/USDT", "--seconds", "0.001", "--every", "9"]
    assert cli.main(words) == 0
    assert capsys.readouterr().err == "binance:BTC/USDT: 1 books, 4 rows, 0 errors\n"
    assert read_file(tmp_path / "btc.csv.gz", quotes=UNIT).tape.rows == 1
    assert cli.main(words) == 2
    assert "there is a file already" in capsys.readouterr().err


def test_a_recording_that_breaks_off_is_read_up_to_its_last_member(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "_MEMBER", 1)
    recorder, market = (
        Recorder(tmp_path / "btc.csv.gz", now=Clock()),
        Market(Exchange("binance", [ONE, TWO]), "BTC/USDT"),
    )
    recorder.poll(market)
    recorder.poll(market)  # and no end
    assert read_file(tmp_path / "btc.csv.gz", quotes=UNIT).tape.rows == 2
