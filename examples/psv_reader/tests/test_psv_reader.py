"""The suite that every reader passes, on files as the house writes them."""

from decimal import Decimal

import pytest

from feed.errors import FeedCorrupt
from feed.files.registry import read_file
from sweep.testing import ReaderSuite


def rows_of(tape):
    columns = (tape.ts, tape.venue, tape.bid_px, tape.bid_sz, tape.ask_px, tape.ask_sz, tape.sequence)
    for ts, venue, bid, bid_size, ask, ask_size, sequence in zip(*(each.tolist() for each in columns), strict=True):
        prices = [f"{Decimal(price).scaleb(-9):f}" for price in (bid, ask)]
        yield f"{tape.symbol}|{ts}|{venue}|{prices[0]}|{bid_size}|{prices[1]}|{ask_size}|{sequence}\n"


class TestPsv(ReaderSuite):
    ending = ".psv"
    trades = False

    def write(self, tapes, path):
        path.write_text("".join(row for tape in tapes for row in rows_of(tape)))


def test_a_price_that_no_tape_holds_is_named(tmp_path):
    path = tmp_path / "day.psv"
    path.write_text("XYZ|1722520800000000000|1|99.9999999999|100|100|100|1\n")
    with pytest.raises(FeedCorrupt, match=r"day\.psv: reader psv: ValueError: 99\.9999999999 is finer than 1e-9"):
        read_file(path)
