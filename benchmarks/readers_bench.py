"""Vendors' layouts: rows a second against the faster of pyarrow and polars on the same columns of the same file.

They give floats and text of single columns; ours are exact integers, checked, folded or carried to a book, and ordered.
"""

from __future__ import annotations

import gzip
import zipfile
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow.csv as pa_csv

from benchmarks.frame import Case, Duel, Scale, Side, fastest
from feed.files.registry import read_file
from feed.tables import QuoteMapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = "2018-07-30"
MIDNIGHT = int(datetime(2018, 7, 30, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9
UNIT = QuoteMapping(size_unit="1e-5")


def _walk(rows: int, seed: int):
    """A price in cents for each row, and sizes: what any layout's file is made of."""
    rng = np.random.default_rng(seed)
    px = 22_000 + np.cumsum(rng.integers(-1, 2, rows)) % 2_000
    return px.tolist(), rng.integers(1, 50, (2, rows)).tolist()


def lobster_pair(folder: Path, rows: int, levels: int) -> tuple[Path, Path]:
    """A pair of files; the levels are a cent apart."""
    px, (bids, asks) = _walk(rows, 1)
    paths = tuple(folder / f"AAPL_{DAY}_34200000_57600000_{kind}_{levels}.csv" for kind in ("message", "orderbook"))
    with paths[0].open("w") as messages, paths[1].open("w") as book:
        for at in range(rows):
            clock = 34_200 * 10**9 + at * 20_000_001
            kind = 4 if at % 10 == 0 else 1 + at % 3
            messages.write(
                f"{clock // 10**9}.{clock % 10**9:09d},{kind},{at},{bids[at]},{px[at] * 100},{at % 2 * 2 - 1}\n"
            )
            row = (
                f"{(px[at] + 1 + level) * 100},{asks[at] + level},{(px[at] - level) * 100},{bids[at] + level}"
                for level in range(levels)
            )
            book.write(",".join(row) + "\n")
    return paths[0], paths[1]


def taq_day(path: Path, rows: int) -> None:
    """NYSE's file of one symbol, all 23 columns."""
    px, (bids, asks) = _walk(rows, 2)
    names = (
        "Time|Exchange|Symbol|Bid_Price|Bid_Size|Offer_Price|Offer_Size|Quote_Condition|Sequence_Number|National_BBO_Ind|"
        "FINRA_BBO_Indicator|FINRA_ADF_MPID_Indicator|Quote_Cancel_Correction|Source_Of_Quote|"
        "Retail_Interest_Indicator|Short_Sale_Restriction_Indicator|LULD_BBO_Indicator|"
        "SIP_Generated_Message_Identifier|National_BBO_LULD_Indicator|Participant_Timestamp|FINRA_ADF_Timestamp|"
        "FINRA_ADF_Market_Participant_Quote_Indicator|Security_Status_Indicator\n"
    )
    with path.open("w") as file:
        file.write(names)
        for at in range(rows):
            second, nano = divmod(at * 20_000_001, 10**9)
            time = f"{9 + second // 3600:02}{second // 60 % 60:02}{second % 60:02}{nano:09d}"
            quote = f"{px[at] / 100}|{bids[at]}|{px[at] / 100 + 0.01:.2f}|{asks[at]}"
            file.write(f"{time}|{'PKQNZYX'[at % 7]}|AAPL|{quote}|R|{at}|2||||N||0||||{time}||| \n")
        file.write(f"END|20180730|{rows}{'|' * 20}\n")


def lean_ticks(path: Path, rows: int) -> bytes:
    """A day of quote ticks; returns the CSV in it."""
    px, (bids, asks) = _walk(rows, 3)
    lines = (
        f"{34_200_000 + at // 50}.{at % 1000:03},"
        + (f"{px[at] * 100},{bids[at]},0,0" if at % 2 else f"0,0,{px[at] * 100 + 100},{asks[at]}")
        + f",{'PKTNZYX'[at % 7]},1,0\n"
        for at in range(rows)
    )
    text = "".join(lines).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("20180730_aapl_Quote_Tick.csv", text)
    return text


def tardis_updates(path: Path, rows: int) -> None:
    """Updates of levels, most near the touch, three to a message, after a snapshot of 1,000 levels a side."""
    rng = np.random.default_rng(4)
    far = np.minimum(rng.geometric(0.08, rows), 1_000).tolist()
    amounts = (rng.integers(1, 10**6, rows) * (rng.random(rows) < 0.7)).tolist()
    with path.open("w") as file:
        file.write("exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n")
        stamp = 1_532_944_800_000_000
        for level in range(1, 1_001):
            for side, sign in (("bid", -1), ("ask", 1)):
                file.write(f"binance,BTCUSDT,{stamp},{stamp},true,{side},{60_000 + sign * level / 100:.2f},1.5\n")
        for at in range(rows - 2_000):
            side, sign = ("bid", -1) if at % 2 else ("ask", 1)
            stamp += 997 if at % 3 == 0 else 0
            price = 60_000 + sign * far[at] / 100
            file.write(f"binance,BTCUSDT,{stamp - 500},{stamp},false,{side},{price:.2f},{amounts[at] / 10**5:.5f}\n")


def tardis_snapshots(path: Path, rows: int) -> None:
    """book_snapshot_25 of one instrument."""
    px, (bids, asks) = _walk(rows, 5)
    with path.open("w") as file:
        names = (f"{side}s[{at}].{what}" for at in range(25) for side in ("ask", "bid") for what in ("price", "amount"))
        file.write("exchange,symbol,timestamp,local_timestamp," + ",".join(names) + "\n")
        for at in range(rows):
            stamp = 1_532_944_800_000_000 + 100 * at
            row = (
                f"{(px[at] + 1 + level) / 100},{asks[at] / 100},{(px[at] - level) / 100},{bids[at] / 100}"
                for level in range(25)
            )
            file.write(f"binance,BTCUSDT,{stamp},{stamp + 50},{','.join(row)}\n")


def by_pyarrow(path: Path, columns: list[str], *, delimiter: str = ",", names: list[str] | None = None):
    """The named columns by pyarrow."""
    return pa_csv.read_csv(
        path,
        read_options=pa_csv.ReadOptions(column_names=names),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter),
        convert_options=pa_csv.ConvertOptions(include_columns=columns),
    )


def by_polars(path: Path, columns: list[str], *, delimiter: str = ",", names: list[str] | None = None):
    """The same by polars."""
    places = [names.index(each) for each in columns] if names else columns
    return pl.read_csv(path, columns=places, separator=delimiter, has_header=names is None, ignore_errors=True)


def _duel(ours: Callable[[], object], others: dict[str, Callable[[], object]], rows: int, guard, what: str) -> Duel:
    name, listed = fastest({each: Side(run, rows) for each, run in others.items()})
    return Duel(Side(ours, rows), Side(others[name], rows), guard, f"{what}; {listed}")


def _both(path: Path, columns: list[str], **options) -> dict[str, Callable[[], object]]:
    return {
        "pyarrow": partial(by_pyarrow, path, columns, **options),
        "polars": partial(by_polars, path, columns, **options),
    }


def _lobster(scale: Scale) -> Duel:
    rows, levels = scale.pick(1_000_000, 50_000), 10
    messages, book = lobster_pair(scale.scratch, rows, levels)
    of_book = [f"f{at}" for at in range(4 * levels)]
    of_messages = ["time", "type", "id", "size", "price", "direction"]
    one = _both(messages, [each for each in of_messages if each != "id"], names=of_messages)
    two = _both(book, of_book, names=of_book)
    others = {name: lambda name=name: (one[name](), two[name]()) for name in one}

    def guard():
        tape = read_file(book).tape
        read = by_polars(book, of_book, names=of_book)
        assert (tape.rows, tape.depth) == (rows, levels)
        assert np.array_equal(tape.ask_px, read.to_series(0).to_numpy() * 10**5)
        assert np.array_equal(tape.levels.bid_sz[:, -1], read.to_series(39).to_numpy())
        assert len(tape.trades.ts) == -(-rows // 10)

    return _duel(partial(read_file, book), others, rows, guard, f"{rows:,} rows of {levels} levels and their messages")


def _taq(scale: Scale) -> Duel:
    rows, path = scale.pick(1_000_000, 50_000), scale.scratch / "EQY_US_ALL_BBO_20180730"
    taq_day(path, rows)
    columns = ["Time", "Exchange", "Symbol", "Bid_Price", "Bid_Size", "Offer_Price", "Offer_Size", "Quote_Condition"]
    columns += ["Sequence_Number", "Quote_Cancel_Correction"]
    others = _both(path, columns, delimiter="|")

    def guard():
        tape = read_file(path).tape
        read = by_polars(path, columns, delimiter="|")
        assert tape.rows == rows
        assert np.array_equal(np.round(read["Bid_Price"].to_numpy()[:rows] * 100) * 10**7, tape.bid_px)

    return _duel(partial(read_file, path), others, rows, guard, f"{rows:,} rows x 23 columns, uncompressed")


def _lean(scale: Scale) -> Duel:
    rows, path = scale.pick(1_000_000, 50_000), scale.scratch / "20180730_quote.zip"
    plain = scale.scratch / "ticks.csv"
    names = ["time", "bid", "bid size", "ask", "ask size", "exchange", "condition", "suspicious"]
    plain.write_bytes(lean_ticks(path, rows))

    def unpacked(read: Callable[..., object]):
        with zipfile.ZipFile(path) as archive:
            plain.write_bytes(archive.read("20180730_aapl_Quote_Tick.csv"))
        return read(plain, names, names=names)

    others = {"pyarrow": partial(unpacked, by_pyarrow), "polars": partial(unpacked, by_polars)}

    def guard():
        tape = read_file(path).tape
        assert tape.rows == rows
        assert int(tape.bid_px.max()) == 100_000 * pl.read_csv(plain, has_header=False, new_columns=names)["bid"].max()

    return _duel(partial(read_file, path), others, rows, guard, f"{rows:,} quote ticks in a ZIP archive")


def _updates(scale: Scale) -> Duel:
    rows, path = scale.pick(1_000_000, 50_000), scale.scratch / "updates.csv"
    tardis_updates(path, rows)
    columns = ["exchange", "symbol", "timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount"]
    others = _both(path, columns)

    def guard():
        tape = read_file(path, quotes=UNIT).tape
        assert tape.depth == 10
        assert rows // 6 < tape.rows <= rows // 3 + 1, tape.rows

    what = f"{rows:,} updates, folded; pyarrow and polars read them only"
    return _duel(partial(read_file, path, quotes=UNIT), others, rows, guard, what)


def _snapshots(scale: Scale) -> Duel:
    rows, path = scale.pick(300_000, 20_000), scale.scratch / "snapshots.csv"
    tardis_snapshots(path, rows)
    columns = ["exchange", "symbol", "local_timestamp"]
    columns += [f"{side}s[{at}].{what}" for at in range(10) for side in ("ask", "bid") for what in ("price", "amount")]
    others, unit = _both(path, columns), QuoteMapping(size_unit="1e-2")

    def guard():
        tape = read_file(path, quotes=unit).tape
        read = by_polars(path, columns)["asks[9].price"].to_numpy()
        assert (tape.rows, tape.depth) == (rows, 10)
        assert np.array_equal(tape.levels.ask_px[:, 8], np.round(read * 100).astype(np.int64) * 10**5)

    return _duel(
        partial(read_file, path, quotes=unit), others, rows, guard, f"{rows:,} rows of 25 levels, ten of them read"
    )


def _packed(scale: Scale) -> Duel:
    rows, path = scale.pick(1_000_000, 50_000), scale.scratch / "EQY_US_ALL_BBO_20180730"
    taq_day(path, rows)
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 6))
    columns = ["Time", "Exchange", "Symbol", "Bid_Price", "Bid_Size", "Offer_Price", "Offer_Size", "Quote_Condition"]
    others = _both(packed, columns, delimiter="|")

    def guard():
        assert read_file(packed).tape.rows == rows

    return _duel(partial(read_file, packed), others, rows, guard, f"{rows:,} rows x 23 columns, gzip")


def desk_table(path: Path, rows: int) -> None:
    """A table as a desk has it: New York's clocks, names of venues, dollars, no sequence."""
    px, (bids, asks) = _walk(rows, 6)
    venues = ("NASDAQ", "NYSE", "ARCA", "IEX", "EDGX")
    with path.open("w") as file:
        file.write("Time,Exch,Ticker,Bid,Ask,BidSize,AskSize\n")
        for at in range(rows):
            second, micro = divmod(at * 20_001, 10**6)
            clock = f"{9 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{micro:06}"
            quote = f"{px[at] / 100:.2f},{(px[at] + 1) / 100:.2f},{100 * bids[at]},{100 * asks[at]}"
            file.write(f"{DAY} {clock},{venues[at % 5]},AAPL,{quote}\n")


def _desk(scale: Scale, *, packed: bool = False) -> Duel:
    rows, path = scale.pick(1_000_000, 50_000), scale.scratch / "desk.csv"
    desk_table(path, rows)
    if packed:
        whole, path = path, path.with_suffix(".csv.gz")
        path.write_bytes(gzip.compress(whole.read_bytes(), 6))
    columns = ["Time", "Exch", "Ticker", "Bid", "Ask", "BidSize", "AskSize"]
    quotes = QuoteMapping(
        time="Time",
        zone="America/New_York",
        venue="Exch",
        symbol="Ticker",
        bid_px="Bid",
        ask_px="Ask",
        bid_sz="BidSize",
        ask_sz="AskSize",
    )

    def guard():
        tape = read_file(path, quotes=quotes).tape
        read = by_polars(path, columns)
        assert np.array_equal(np.round(read["Bid"].to_numpy() * 100).astype(np.int64) * 10**7, tape.bid_px)
        assert int(tape.ts[0]) == MIDNIGHT + 9 * 3600 * 10**9

    what = (
        f"{rows:,} rows, {'gzip' if packed else 'uncompressed'}, by a mapping; pyarrow turns its stamps into instants"
    )
    return _duel(partial(read_file, path, quotes=quotes), _both(path, columns), rows, guard, what)


AGAINST = "the fastest of pyarrow and polars on the columns that are needed (floats and text)"

CASES = tuple(
    Case(name, "rows/s", AGAINST, prepare, least_ratio=0.5)
    for name, prepare in (
        ("desk", _desk),
        ("desk_gzip", partial(_desk, packed=True)),
        ("lobster", _lobster),
        ("taq", _taq),
        ("taq_gzip", _packed),
        ("lean", _lean),
        ("tardis_updates", _updates),
        ("tardis_snapshots", _snapshots),
    )
)
