"""Numbers that no market has: a price below 0, and integers in another unit than theirs, are refused in one line."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.parquet import write_parquet
from feed.files.registry import read_file
from feed.tables import parse_mapping
from feed.tape import Tape, same
from tests.support.strategies import CENT, OPEN

SIGNED = parse_mapping({"prices": "signed"})
HEADER = "ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n"


def columns(*, bid_px=(100 * CENT, 100 * CENT), venue=2, ts=(OPEN, OPEN + 1)):
    return {
        "ts": list(ts),
        "venue": [venue] * 2,
        "bid_px": list(bid_px),
        "ask_px": [each + each // 100 if each > 0 else 101 * CENT for each in bid_px],
        "bid_sz": [100] * 2,
        "ask_sz": [100] * 2,
        "sequence": [1, 2],
    }


@pytest.fixture
def write(tmp_path):
    def as_kind(kind, **changed):
        written = columns(**changed)
        path = tmp_path / f"day{kind}"
        if kind == ".parquet":
            pq.write_table(pa.table(written), path)
        else:
            order = ("ts", "venue", "sequence", "bid_px", "ask_px", "bid_sz", "ask_sz")
            rows = zip(*(written[name] for name in order), strict=True)
            path.write_text(HEADER + "".join(f"{','.join(map(str, row))}\n" for row in rows))
        return path

    return as_kind


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_a_price_below_0_is_refused_of_equities_with_the_count(write, kind):
    path = write(kind, bid_px=(-CENT, 100 * CENT))
    with pytest.raises(
        FeedUnavailable, match=r"day.*: a price is below 0; US equities have none; quotes.prices=signed"
    ):
        read_file(path)
    block = read_file(path, quotes=SIGNED)
    assert (block.tape.bid_px.tolist(), block.fragments[0].ignored) == ([0, 100 * CENT], {"negative_numbers": 1})
    with pytest.raises(FeedUnavailable, match="2 prices are below 0"):
        read_file(write(kind, bid_px=(-CENT, -2 * CENT)))


@pytest.mark.parametrize("venue", [1, 20001])
def test_of_other_markets_a_price_below_0_is_no_quote_and_counted(write, venue):
    block = read_file(write(".parquet", bid_px=(-CENT, 100 * CENT), venue=venue))
    assert (block.tape.bid_px.tolist(), block.fragments[0].ignored) == ([0, 100 * CENT], {"negative_numbers": 1})


@pytest.mark.parametrize("unit", [1, 10**4])
def test_integers_of_a_table_of_others_that_do_not_reach_a_cent_are_of_an_unknown_unit(write, unit):
    path = write(".parquet", bid_px=(100 * unit, 100 * unit))
    with pytest.raises(FeedUnavailable, match=r"its prices are integers, and as 1e-9 .* most do not reach a cent"):
        read_file(path)


def test_what_was_converted_by_us_is_in_its_unit_whatever_it_is_worth(tmp_path):
    tape = Tape.build("BTC", **columns(bid_px=(600, 601), venue=20001))
    write_parquet([tape], tmp_path / "day.parquet")
    assert same(read_file(tmp_path / "day.parquet").tape, tape)


@pytest.mark.parametrize(("scale", "unit"), [(10**3, "us"), (10**6, "ms"), (10**9, "s")])
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_stamps_of_another_unit_are_refused_and_the_unit_is_named(write, kind, scale, unit):
    names = {"us": "microseconds", "ms": "milliseconds", "s": "seconds"}
    with pytest.raises((FeedCorrupt, FeedUnavailable), match=names[unit]):
        read_file(write(kind, ts=(OPEN // scale, OPEN // scale + 1)))
