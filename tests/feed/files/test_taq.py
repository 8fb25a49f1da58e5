"""NYSE TAQ and WRDS quotes: read as a plain reading does, and refused in one line where they are damaged."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import fields
from feed.files.csv_writer import write_csv
from feed.files.registry import read_file
from feed.options import ReadOptions
from feed.source import read_tapes
from feed.tables import QuoteMapping
from feed.tape import Tape, same

HEADER = (
    "Time|Exchange|Symbol|Bid_Price|Bid_Size|Offer_Price|Offer_Size|Quote_Condition|Sequence_Number|National_BBO_Ind|"
    "FINRA_BBO_Indicator|FINRA_ADF_MPID_Indicator|Quote_Cancel_Correction|Source_Of_Quote|Retail_Interest_Indicator|"
    "Short_Sale_Restriction_Indicator|LULD_BBO_Indicator|SIP_Generated_Message_Identifier|National_BBO_LULD_Indicator|"
    "Participant_Timestamp|FINRA_ADF_Timestamp|FINRA_ADF_Market_Participant_Quote_Indicator|Security_Status_Indicator"
)
NAME = "SPLITS_US_ALL_BBO_Z_20180730.gz"
VENUES = {"P": 43, "K": 8, "Y": 6, "X": 4, "Q": 2, "T": 2, "N": 9, "Z": 5}
FIRM = {"", " ", "A", "B", "H", "O", "R", "W", "Y"}


def rows_of(count=200, seed=1, symbols=("Z", "ZZ A")):
    """(clock in ns, letter, symbol, bid, size, offer, size, condition, number, cancel), by symbol and time."""
    rng, made = np.random.default_rng(seed), []
    for symbol in symbols:
        clock = 4 * 3600 * 10**9
        for at in range(count):
            clock += int(rng.integers(0, 10**11))
            bid, offer = Decimal(int(rng.integers(5000, 5900))) / 100, Decimal(int(rng.integers(5900, 7000))) / 100
            sizes = rng.integers(1, 20, 2).tolist()
            if at % 11 == 0:
                bid, sizes[0] = Decimal(0), 0
            condition = str(rng.choice(["R", "R", "R", "R", "A", "B", "H", "Y", "O", "L", "N", "C", " "]))
            letter, cancel = str(rng.choice(list(VENUES))), str(rng.choice(["", "", "", "A", "B", "C"]))
            made.append((clock, letter, symbol, bid, sizes[0], offer, sizes[1], condition, 1000 + 7 * at, cancel))
    return made


def nyse(rows, *, digits=9, end=True):
    lines = [HEADER]
    for clock, letter, symbol, bid, bid_size, offer, offer_size, condition, number, cancel in rows:
        hour, rest = divmod(clock, 3600 * 10**9)
        minute, rest = divmod(rest, 60 * 10**9)
        time = f"{hour:02}{minute:02}{rest // 10**9:02}{rest % 10**9:09d}"[: 6 + digits]
        tail = f"2|||{cancel}|N||0||||{time}||| "
        prices = [f"{each.normalize():f}".removeprefix("0") or "0" for each in (bid, offer)]
        lines.append(
            f"{time}|{letter}|{symbol}|{prices[0]}|{bid_size}|{prices[1]}|{offer_size}|{condition}|{number}|{tail}"
        )
    if end:
        lines.append(f"END|20180730|{len(rows)}" + "|" * 20)
    return ("\n".join(lines) + "\n").encode()


def wrds(rows, date="2018-07-30"):
    lines = [
        "DATE,TIME_M,EX,BID,BIDSIZ,ASK,ASKSIZ,QU_COND,QU_SEQNUM,NATBBO_IND,QU_CANCEL,QU_SOURCE,SYM_ROOT,SYM_SUFFIX"
    ]
    for clock, letter, symbol, bid, bid_size, offer, offer_size, condition, number, cancel in rows:
        hour, rest = divmod(clock, 3600 * 10**9)
        minute, rest = divmod(rest, 60 * 10**9)
        root, _, suffix = symbol.partition(" ")
        time = f"{hour}:{minute:02}:{rest // 10**9:02}.{rest % 10**9:09d}"
        lines.append(
            f"{date},{time},{letter},{bid},{bid_size},{offer},{offer_size},{condition},{number},2,{cancel},N,{root},{suffix}"
        )
    return ("\n".join(lines) + "\n").encode()


def plainly(rows, symbol, lot=100, grain=1):
    """A symbol's tape, row by row."""
    midnight = int(datetime(2018, 7, 30, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9
    columns = {name: [] for name in ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")}
    for clock, letter, name, bid, bid_size, offer, offer_size, condition, number, cancel in rows:
        if name != symbol or cancel == "B":
            continue
        firm = condition in FIRM
        columns["ts"].append(midnight + clock // grain * grain)
        columns["venue"].append(VENUES[letter])
        columns["bid_px"].append(int(bid * 10**9) if firm else 0)
        columns["ask_px"].append(int(offer * 10**9) if firm else 0)
        columns["bid_sz"].append(bid_size * lot if firm else 0)
        columns["ask_sz"].append(offer_size * lot if firm else 0)
        columns["sequence"].append(number)
    return Tape.build(symbol, **{name: np.array(column) for name, column in columns.items()})


@pytest.mark.parametrize("block", [2**21, 2**11])
def test_a_day_is_what_a_plain_reading_gives(tmp_path, monkeypatch, block):
    monkeypatch.setattr(fields, "BLOCK", block)
    rows = rows_of()
    path = tmp_path / NAME
    path.write_bytes(gzip.compress(nyse(rows)))
    read = read_file(path)
    assert read.symbols == ("Z", "ZZ A")
    for fragment in read.fragments:
        expected = plainly(rows, fragment.tape.symbol)
        assert same(fragment.tape, expected)
        assert fragment.ignored["cancelled"] == sum(row[-1] == "B" for row in rows)
        assert fragment.ignored["not_firm"] == sum(row[-1] != "B" and row[-3] not in FIRM for row in rows)
        assert "sizes are round lots of 100, as before 2025-11-03" in fragment.notes
    chosen = read_file(path, symbol="ZZ A")
    assert same(chosen.tape, plainly(rows, "ZZ A"))
    assert chosen.fragments[0].ignored["other_symbol"] == 200
    canonical = tmp_path / "canonical.csv"
    write_csv(chosen.tape, canonical)
    assert read_file(canonical).tape.digest() == chosen.tape.digest()


def test_the_quotes_of_wrds_are_the_same_tape(tmp_path):
    rows = rows_of()
    (tmp_path / "cqm.csv").write_bytes(wrds(rows))
    read = read_file(tmp_path / "cqm.csv")
    assert [same(each.tape, plainly(rows, each.tape.symbol)) for each in read.fragments] == [True, True]
    (tmp_path / "lower.csv.gz").write_bytes(
        gzip.compress(wrds(rows, "20180730").replace(b"DATE,TIME_M,EX", b"date,time_m,ex"))
    )
    assert same(read_file(tmp_path / "lower.csv.gz", symbol="Z").tape, plainly(rows, "Z"))
    two = wrds(rows) + wrds(rows, "2018-07-31").partition(b"\n")[2]
    (tmp_path / "two.csv").write_bytes(two)
    tape = read_file(tmp_path / "two.csv", symbol="Z").tape
    alone = plainly(rows, "Z")
    assert np.array_equal(tape.ts, np.concatenate([alone.ts, alone.ts + 86_400 * 10**9]))


@pytest.mark.parametrize(("digits", "grain"), [(3, 10**6), (6, 10**3), (9, 1)])
def test_times_of_earlier_years_have_fewer_digits(tmp_path, digits, grain):
    rows = rows_of(20, symbols=("Z",))
    (tmp_path / "EQY_US_ALL_BBO_20180730").write_bytes(nyse(rows, digits=digits))
    assert same(read_file(tmp_path / "EQY_US_ALL_BBO_20180730").tape, plainly(rows, "Z", grain=grain))


def test_a_sample_of_nyse_is_read(tmp_path):
    """Rows of NYSE's own sample of 2018-07-30, without a last record."""
    lines = [
        "040000048494774|P|Z|30|1|0|0|R|1519|2||||N||0||||040000048034560||| ",
        "065800145965009|Y|Z|0|0|0|0|L|158932|0||||N||0||||065800144235000||| ",
        "070000517126629|Q|Z|.01|1|199999.99|1|R|161362|0||||N||0||||070000517095071||| ",
    ]
    (tmp_path / NAME).write_bytes(gzip.compress(("\n".join([HEADER, *lines]) + "\n").encode()))
    (fragment,) = read_file(tmp_path / NAME).fragments
    assert fragment.tape.bid_px.tolist() == [30 * 10**9, 0, 10**7]
    assert fragment.tape.ask_px.tolist() == [0, 0, 199_999_990_000_000]
    assert fragment.tape.venue.tolist() == [43, 6, 2]
    assert fragment.tape.ts[0] == int(datetime(2018, 7, 30, 8, tzinfo=ZoneInfo("UTC")).timestamp()) * 10**9 + 48_494_774
    assert "it has no last record, which would say how many rows it had" in fragment.notes


def test_sizes_are_shares_from_november_2025_on_unless_the_user_says_otherwise(tmp_path):
    rows = rows_of(20, symbols=("Z",))
    for date, size_unit, lot in (
        ("20251031", None, 100),
        ("20251103", None, 1),
        ("20251103", "lots of 10", 10),
        ("20251103", "lots", 100),  # below 250 $
        ("20180730", "shares", 1),
    ):
        path = tmp_path / f"EQY_US_ALL_BBO_{date}.gz"
        path.write_bytes(gzip.compress(nyse(rows)))
        tape = read_file(path, quotes=QuoteMapping(size_unit=size_unit)).tape
        assert tape.ask_sz.tolist() == plainly(rows, "Z", lot=lot).ask_sz.tolist()


def test_a_folder_of_days_is_read_by_name(tmp_path):
    rows = rows_of(20, symbols=("Z",))
    for day in ("20180730", "20180731"):
        (tmp_path / f"EQY_US_ALL_BBO_{day}.gz").write_bytes(gzip.compress(nyse(rows)))
    (tmp_path / "EQY_US_ALL_BBO_ADMIN_20180730.gz").write_bytes(gzip.compress(b"x"))
    assert len(list(read_tapes(str(tmp_path), ReadOptions(symbol="Z")))) == 2


def test_the_date_the_zone_and_the_venue_can_be_named(tmp_path):
    rows = rows_of(5, symbols=("Z",))
    (tmp_path / "quotes.csv").write_bytes(nyse(rows))
    with pytest.raises(FeedUnavailable, match="its name says no date"):
        read_file(tmp_path / "quotes.csv")
    quotes = QuoteMapping(date="2018-07-30", zone="UTC", at="XNAS", symbols={"Z": "Zillow"})
    tape = read_file(tmp_path / "quotes.csv", quotes=quotes).tape
    assert (tape.symbol, set(tape.venue.tolist())) == ("Zillow", {2})
    assert sorted(tape.ts) == sorted(ts - 4 * 3600 * 10**9 for ts in plainly(rows, "Z").ts)


def test_the_exchanges_own_times_can_be_asked_for(tmp_path):
    row = b"070000517126629|Q|Z|.01|1|199999.99|1|R|161362|0||||N||0||||070000517095071||| \n"
    (tmp_path / NAME).write_bytes(gzip.compress(HEADER.encode() + b"\n" + row))
    one, other = (read_file(tmp_path / NAME, quotes=QuoteMapping(stamps=each)).tape for each in ("arrival", "sent"))
    assert (one.ts - other.ts).tolist() == [517126629 - 517095071]


def last_line(text, change):
    lines = text.decode().splitlines()
    return ("\n".join([*lines[:-1], change(lines[-1])]) + "\n").encode()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda text: text[:-30], FeedCorrupt, "its last line does not end"),
        (lambda text: text[: text.rfind(b"END") - 40] + b"\n", FeedCorrupt, r"line 11: \d+ fields, expected 23"),
        (
            lambda text: last_line(text, lambda end: end.replace("|10|", "|11|")),
            FeedCorrupt,
            "its last record says 11 rows, it has 10",
        ),
        (
            lambda text: text + b"093000000000000|P|Z|30|1|0|0|R|1519|2||||N||0||||||| \n",
            FeedCorrupt,
            "rows follow its last record",
        ),
        (
            lambda text: (
                text.replace(b"|P|", b"|!|").replace(b"|K|", b"|!|").replace(b"|Q|", b"|!|").replace(b"|T|", b"|!|")
            ),
            FeedUnavailable,
            "'!' is no venue",
        ),
        (lambda text: text.replace(b"\n0", b"\n9", 1), FeedCorrupt, "line 2, column Time: .*a time of day"),
        (
            lambda text: text.replace(b"Bid_Price|", b"Bid|"),
            FeedUnavailable,
            "missing columns: Bid_Price; expected quotes of NYSE",
        ),
        (
            lambda text: text.replace(b"Security_Status_Indicator", b"Best_Bid_Price"),
            FeedUnavailable,
            "the national best bid and offer",
        ),
        (lambda text: b"\xff\xfe" + text, FeedCorrupt, "its header is no text"),
        (lambda text: text.replace(b"|Z|", b"| |"), FeedCorrupt, "rows that name no symbol"),
        (lambda text: text.replace(b"|R|", b"|\0|"), FeedCorrupt, "column Quote_Condition: .* .expected a short word"),
        (lambda _: HEADER.encode() + b"\nEND|20180730|0\n", FeedUnavailable, "the file holds no rows"),
    ],
)
def test_damaged_mixed_and_foreign_files_are_refused_in_one_line(tmp_path, change, error, message):
    path = tmp_path / NAME
    path.write_bytes(gzip.compress(change(nyse(rows_of(10, symbols=("Z",))))))
    with pytest.raises(error, match=message) as refused:
        read_file(path)
    assert "\n" not in str(refused.value)


def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(gzip.compress(nyse(rows_of(50)))[:-9])
    with pytest.raises(FeedCorrupt, match="the file is damaged"):
        read_file(path)


def test_a_table_of_csv_readers_agrees(tmp_path):
    """The columns by Python's csv, which knows the layout by its header alone."""
    rows = rows_of(30, symbols=("Z",))
    reader = csv.DictReader(nyse(rows, end=False).decode().splitlines(), delimiter="|")
    path = tmp_path / NAME
    path.write_bytes(gzip.compress(nyse(rows)))
    tape = read_file(path).tape
    listed = [row for row in reader if row["Quote_Cancel_Correction"] != "B" and row["Quote_Condition"] in FIRM]
    shown = tape.ask_px > 0
    assert sorted(int(Decimal(row["Offer_Price"]) * 10**9) for row in listed) == sorted(tape.ask_px[shown].tolist())
