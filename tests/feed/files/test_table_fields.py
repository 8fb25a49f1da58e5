"""The compiled reader of mapped text: what it takes it reads as the other one does; what is odd it does not take."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedError
from feed.files import fields, table_reader
from feed.files.fragments import FileBlock
from feed.files.table_reader import read_mapped
from feed.tables import parse_mapping
from tests.feed.tables.test_mapped import MICS, PRICES, ROW, TIMES, VENUES, WIDE
from tests.support.examples import examples
from tests.support.strategies import tapes

NEVER = 2**62


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def outcome(path, quotes, compiled):
    """What is read, or the error; and whether compiled code took it."""
    taken = []
    real = table_reader._compiled

    def spy(*arguments):
        mapper = real(*arguments)
        taken.append(mapper is not None)
        return mapper

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_reader, "COMPILED_FROM", 0 if compiled else NEVER)
        patch.setattr(table_reader, "_compiled", spy)
        patch.setattr(fields, "BLOCK", 1024)
        try:
            return read_mapped(path, parse_mapping(quotes), None, None, 10), any(taken)
        except FeedError as error:
            return str(error), any(taken)


def both(path, quotes):
    """Both readings, which must be the same; whether compiled code took it."""
    slow, _ = outcome(path, quotes, compiled=False)
    fast, taken = outcome(path, quotes, compiled=True)
    if isinstance(slow, str) or isinstance(fast, str):
        assert fast == slow
        return taken
    assert isinstance(fast, FileBlock)
    assert fast.symbols == slow.symbols
    for one, other in zip(fast.fragments, slow.fragments, strict=True):
        assert one.tape.digest() == other.tape.digest()
        assert (one.ignored, one.notes, one.named) == (other.ignored, other.notes, other.named)
    return taken


@given(tapes(trades=False), st.sampled_from(TIMES), st.sampled_from(VENUES), st.sampled_from(PRICES), st.booleans())
@examples(60)
def test_what_is_taken_is_read_alike(folder, tape, time, venue, price, long):
    columns = {"t": time[0](tape.ts), "v": [venue[0](each) for each in tape.venue.tolist()], "x": ["NA"] * tape.rows}
    bids, asks = ([price[0](each) for each in px.tolist()] for px in (tape.bid_px, tape.ask_px))
    quotes = {"time": "t", "venue": "v", "symbol": "x"} | time[1] | venue[1] | price[1]
    if long:
        columns |= {"side": ["B", "A"] * (tape.rows // 2) + ["B"] * (tape.rows % 2), "px": bids, "sz": tape.bid_sz}
        quotes |= {"side": "side", "px": "px", "sz": "sz"}
    else:
        columns |= {"b": bids, "a": asks, "bs": tape.bid_sz, "as": tape.ask_sz}
        quotes |= {"bid_px": "b", "ask_px": "a", "bid_sz": "bs", "ask_sz": "as"}
    path = folder / "day.csv"
    pa_csv.write_csv(pa.table(columns), path, pa_csv.WriteOptions(quoting_style="none", include_header=True))
    both(path, quotes)


@pytest.mark.parametrize("time", ["2024-08-01T14:00:00Z", "2024-08-01 14:00:00.123456789", "2024-08-01T14:00:00+0230"])
def test_the_usual_is_taken(tmp_path, time):
    path = tmp_path / "day.csv"
    path.write_text(
        "t,v,b,a,s\n" + "".join(f"{time},{mic},10.01,10.02,{size}\n" for mic in MICS.values() for size in (1, 300))
    )
    assert both(path, WIDE | ({} if time[-1] != "9" else {"zone": "America/New_York"}))


@pytest.mark.parametrize(
    "row",
    [
        "2024-02-29 23:59:59,XNAS,10.01,10.02,5",
        "2023-02-29 00:00:00,XNAS,10.01,10.02,5",
        "2024-13-01 00:00:00,XNAS,10.01,10.02,5",
        "2024-08-01 24:00:00,XNAS,10.01,10.02,5",
        "2024-08-01 9:30:00,XNAS,10.01,10.02,5",
        "2024-08-01 09:30,XNAS,10.01,10.02,5",
        "1969-12-31 23:59:59,XNAS,10.01,10.02,5",
        "2024-11-03 01:30:00,XNAS,10.01,10.02,5",
        "2024-08-01 09:30:00Z,XNAS,10.01,10.02,5",
        "2024-08-01 09:30:00,XNAS,1e1,10.02,5",
        "2024-08-01 09:30:00,XNAS,-1.5,10.02,5",
        "2024-08-01 09:30:00,XNAS,nan,,",
        "2024-08-01 09:30:00,XNAS,10.0000000001,10.02,5",
        "2024-08-01 09:30:00,XNAS,0.0000000001,10.02,5",
        "2024-08-01 09:30:00,XNAS,9e6,10.02,5",
        "2024-08-01 09:30:00,XNAS,10.01,10.02,5.0",
        "2024-08-01 09:30:00,XNAS,10.01,10.02,5.5",
        "2024-08-01 09:30:00,XNAS,10.01,10.02,-5",
        "2024-08-01 09:30:00,XNAS,10.01,10.02,2147483648",
        "2024-08-01 09:30:00,Nowhere,10.01,10.02,5",
        "2024-08-01 09:30:00,,10.01,10.02,5",
        '2024-08-01 09:30:00,"XNAS",10.01,10.02,5',
        "2024-08-01 09:30:00,XNAS,10.01,10.02",
        "2024-08-01 09:30:00,XNAS,10.01,10.02,5,6",
        "",
    ],
)
def test_what_is_odd_is_read_or_refused_alike(tmp_path, row):
    path = tmp_path / "day.csv"
    usual = "2024-08-01 09:30:00,XNYS,10.01,10.02,5\n"
    for before, after in ((usual, ""), ("", usual), (usual * 40, usual)):
        path.write_text(f"t,v,b,a,s\n{before}{row}\n{after}")
        both(path, WIDE | {"zone": "America/New_York"})


def test_a_table_whose_header_or_units_are_odd_is_left_to_the_other_reader(tmp_path):
    path = tmp_path / "day.csv"
    line = "2024-08-01 09:30:00,XNYS,10.01,10.02,5\n"
    path.write_text('"t",v,b,a,s\n' + line)
    assert not both(path, WIDE | {"zone": "UTC"})
    path.write_text("t,v,b,a,s\n" + line)
    assert not both(path, WIDE | {"zone": "UTC", "price_unit": "0.05"})
    assert not both(path, WIDE | {"zone": "UTC", "bid_px": "s", "price_unit": "cents"})
    assert both(path, WIDE | {"zone": "UTC", "size_unit": "lots of 100"})
    assert ROW
